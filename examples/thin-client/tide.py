#!/usr/bin/env python3
"""A thin client of Tidemark in plain Python 3.8+: an offline store in one SQLite file, and its sync over POST /api/sync.

    TOKEN=… python3 tide.py push FILE     takes in the documents of FILE that differ, and syncs
    TOKEN=… python3 tide.py pull FILE     syncs, and writes all documents to FILE

FILE, API, TOKEN, COLLECTION, STATE (here a file, default .tide.db) and BATCH are as in tide.sh.
"""
import datetime, gzip, http.client, json, os, sqlite3, sys, time, urllib.parse, uuid

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, data TEXT, base TEXT, edited TEXT, pass INTEGER);
CREATE INDEX IF NOT EXISTS unsent ON rows (edited) WHERE edited IS NOT NULL;
CREATE TABLE IF NOT EXISTS refused (id TEXT, data TEXT, error TEXT);
"""  # data: null after a delete; base: the version it was made on; edited: when, null where nothing waits to be sent


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def text_of(data):
    return None if data is None else compact(data)


class Store:
    """Documents of one user in one collection. Edits need no network; `sync` may fail anywhere and is simply called again."""

    def __init__(self, path, api, token, collection="items", batch=990):
        self.api, self.token, self.collection, self.batch = urllib.parse.urlsplit(api), token, collection, batch
        self.db, self.http = sqlite3.connect(path), None
        self.db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + SCHEMA)

    def get_meta(self, name, otherwise=None):
        found = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return otherwise if found is None else json.loads(found[0])

    def set_meta(self, name, value):
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, compact(value)))

    def documents(self):
        return self.db.execute("SELECT id, data FROM rows WHERE data IS NOT NULL ORDER BY id")

    def put(self, id, data):
        """Writes a document, or deletes it where `data` is None. The edit keeps the version it was made on."""
        text = text_of(data)
        old = self.db.execute("SELECT data FROM rows WHERE id = ?", (id,)).fetchone() or (None,)
        if text != old[0]:
            insert = "INSERT INTO rows (id, data, edited) VALUES (?1, ?2, ?3)"
            self.db.execute(insert + " ON CONFLICT (id) DO UPDATE SET data = ?2, edited = ?3", (id, text, utc_now()))

    def sync(self, progress=lambda changes, documents: None):
        """Sends what waits and fetches what is new, a batch in each request, until there is neither."""
        more = True
        while more:
            request = self.get_meta("pending") or self.compose()
            answer = self.post(request)
            with self.db:  # all of an answer is taken in, or nothing
                more = self.take(request, answer)
            progress(len(answer["results"]), len(answer["delta"]["documents"]))

    def compose(self):
        """The next request. It is stored before it is sent, and sent as it is until it is answered."""
        device = self.get_meta("device") or "py-" + uuid.uuid4().hex
        scope, stream = self.get_meta("scope"), self.get_meta("stream")
        request = {"protocol": 1, "deviceId": device, "collections": [self.collection]}
        if scope is not None:  # the first answer tells it
            seq = stream["seq"] if stream else 0
            changes, unsent = [], "SELECT id, data, base, edited FROM rows WHERE edited IS NOT NULL ORDER BY edited, id LIMIT ?"
            for id, data, base, edited in self.db.execute(unsent, (self.batch,)).fetchall():
                seq += 1
                change = {"changeId": f"{device}.{seq}", "seq": seq, "type": "delete" if data is None else "upsert", "scope": scope}
                change.update(collection=self.collection, documentId=id, baseVersion=base, lastModified=edited)
                changes.append(change if data is None else {**change, "data": json.loads(data)})
                self.db.execute("UPDATE rows SET edited = NULL WHERE id = ?", (id,))
            request.update(changes=changes, streams={scope: stream})
            if self.get_meta("checkpoint"):
                request["checkpoints"] = {scope: self.get_meta("checkpoint")}
        self.set_meta("device", device)
        self.set_meta("pending", request)
        self.db.commit()
        return request

    def take(self, request, answer):
        scope, refetch = answer["scopes"][0], False
        for change, result in zip(request.get("changes", []), answer["results"]):
            id, error, document = change["documentId"], result.get("error", {}), result.get("document")
            data, edited = self.db.execute("SELECT data, edited FROM rows WHERE id = ?", (id,)).fetchone()
            if error.get("code") == "device_forked":  # this file was copied: its edits go out under a new name
                self.db.execute("UPDATE rows SET edited = ? WHERE id = ?", (edited or change["lastModified"], id))
                self.db.execute("DELETE FROM meta WHERE name IN ('device', 'stream', 'checkpoint', 'pending')")
                continue
            outcome, version = result.get("outcome", result["status"]), result.get("version")
            if outcome == "failed":  # certainly not taken in: goes out again as a new change
                edited, version = edited or change["lastModified"], change["baseVersion"]
            elif outcome == "rejected":
                self.db.execute("INSERT INTO refused VALUES (?, ?, ?)", (id, text_of(change.get("data")), compact(error)))
            if document is not None and edited is None:
                data, version = text_of(document["data"]), document["version"]
            elif document is not None:  # edited on meanwhile: made on something else than what is stored now
                version = change["baseVersion"] if outcome == "rejected" else None if change["type"] == "delete" else "live"
            elif version is None and change["type"] != "delete" and outcome != "failed":
                refetch = True  # the answer had no room for what is stored: the delta brings it
                data = None if outcome == "rejected" and edited is None else data
            update = "UPDATE rows SET data = ?, base = ?, edited = ?, pass = ? WHERE id = ?"
            self.db.execute(update, (data, version, edited, self.get_meta("pass", 0), id))
        if self.get_meta("pending") is None:
            return True
        if scope in answer["resync"]:
            self.set_meta("pass", self.get_meta("pass", 0) + 1)
            ours = [(self.get_meta("pass"), change["documentId"]) for change in request.get("changes", [])]
            self.db.executemany("UPDATE rows SET pass = ? WHERE id = ?", ours)
        number = self.get_meta("pass", 0)
        brought = [(d["documentId"], text_of(d["data"]), d["version"], number) for d in answer["delta"]["documents"]]
        self.db.executemany(
            "INSERT INTO rows (id, data, base, pass) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE SET"
            " data = ?2, base = ?3, pass = ?4 WHERE edited IS NULL", brought)  # what waits to be sent keeps its base
        if not answer["delta"]["hasMore"]:  # what a delta from the beginning did not bring is gone
            self.db.execute("DELETE FROM rows WHERE edited IS NULL AND pass IS NOT ?", (number,))
        self.set_meta("scope", scope)
        self.set_meta("stream", answer["streams"].get(scope, self.get_meta("stream")))
        self.set_meta("checkpoint", None if refetch else answer["checkpoints"][scope])
        self.db.execute("DELETE FROM meta WHERE name = 'pending'")
        unsent = self.db.execute("SELECT 1 FROM rows WHERE edited IS NOT NULL LIMIT 1").fetchone()
        return answer["delta"]["hasMore"] or refetch or unsent is not None

    def post(self, request, tries=8):
        body = gzip.compress(compact({**request, "clientTime": utc_now()}).encode(), 1)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
        for left in reversed(range(tries)):
            try:
                if self.http is None:
                    kind = http.client.HTTPSConnection if self.api.scheme == "https" else http.client.HTTPConnection
                    self.http = kind(self.api.netloc, timeout=240)
                self.http.request("POST", self.api.path + "/sync", body, headers)
                response = self.http.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException):
                self.http = None
                if left == 0:
                    raise
                time.sleep(1)
                continue
            if response.getheader("Content-Encoding") == "gzip":
                content = gzip.decompress(content)
            if response.status == 200:
                return json.loads(content)
            if response.status not in (429, 503) or left == 0:
                raise RuntimeError(f"{response.status} {content.decode(errors='replace')}")
            time.sleep(float(response.getheader("Retry-After") or 1))


def main(command, path):
    env = os.environ
    api, state = env.get("API", "http://127.0.0.1:7071/api"), env.get("STATE", ".tide.db")
    store = Store(state, api, env["TOKEN"], env.get("COLLECTION", "items"), int(env.get("BATCH", "990")))
    if command == "push":
        with open(path, encoding="utf-8") as lines, store.db:
            for line in lines:
                id, data = line.rstrip("\n").split("\t")
                store.put(json.loads(id), None if data == "-" else json.loads(data))
    done = [0, 0]

    def progress(changes, documents):
        done[0], done[1] = done[0] + changes, done[1] + documents
        print(f"tide: sent {done[0]}, fetched {done[1]}", file=sys.stderr)

    store.sync(progress)
    for refused in store.db.execute("SELECT id, error FROM refused"):
        print("tide: refused", *refused, file=sys.stderr)
    if command == "pull":
        with open(path, "w", encoding="utf-8") as out:
            out.writelines(f"{compact(id)}\t{data}\n" for id, data in store.documents())


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("push", "pull") or "TOKEN" not in os.environ:
        sys.exit(__doc__)
    main(*sys.argv[1:])
