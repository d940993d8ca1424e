import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * What RxDB's replication asks of a server, and no more: documents with a position, a push that is refused row by row where
 * the client's assumption does not hold, a pull from a position on. On SQLite, a transaction for each request, on disk before
 * it is answered. No authentication, no history of conflicts.
 *
 * Argument: the folder for data. Prints the address.
 */
const [, , folder = ''] = process.argv;

interface Pushed {
  readonly newDocumentState: { readonly id: string };
  readonly assumedMasterState?: object;
}

const places = new Map<string, ReturnType<typeof openPlace>>();

function openPlace(name: string) {
  const database = new DatabaseSync(join(folder, `${name}.sqlite`));
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE documents (at INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, state TEXT NOT NULL)`);
  const find = database.prepare('SELECT state FROM documents WHERE id = ?');
  const put = database.prepare('INSERT OR REPLACE INTO documents (id, state) VALUES (?, ?)');
  const page = database.prepare('SELECT at, state FROM documents WHERE at > ? ORDER BY at LIMIT ?');
  return {
    /** @returns the current states of those that were refused */
    push: (rows: readonly Pushed[]): string => {
      const conflicts: string[] = [];
      database.exec('BEGIN IMMEDIATE');
      for (const { newDocumentState, assumedMasterState } of rows) {
        const current = find.get(newDocumentState.id)?.['state'];
        const assumed = assumedMasterState === undefined ? undefined : JSON.stringify(assumedMasterState);
        if (current === assumed) put.run(newDocumentState.id, JSON.stringify(newDocumentState));
        else conflicts.push(String(current));
      }
      database.exec('COMMIT');
      return `[${conflicts.join(',')}]`;
    },
    pull: (after: number, limit: number): string => {
      const rows = page.all(after, limit);
      const at = rows.at(-1)?.['at'] ?? after;
      return `{"documents":[${rows.map(({ state }) => String(state)).join(',')}],"checkpoint":{"at":${Number(at)}}}`;
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1');
  const name = pathname.slice(1);
  const place = places.get(name) ?? openPlace(name);
  places.set(name, place);
  const answer = async (): Promise<string> =>
    request.method === 'POST'
      ? place.push((await bodyOf(request)) as Pushed[])
      : place.pull(Number(searchParams.get('after')), Number(searchParams.get('limit')));
  answer().then(
    (text) => response.setHeader('content-type', 'application/json').end(text),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
});
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
