#!/bin/sh
# A thin client of Tidemark: curl, awk and a folder. It pushes and pulls documents through POST /api/sync in batches, each
# change exactly once, and goes on where it was interrupted.
#
#   TOKEN=… sh tide.sh push FILE     sends what differs from what the service is known to hold
#   TOKEN=… sh tide.sh pull FILE     fetches what is new, then writes all documents to FILE
#
# A line of FILE is a document: its id as JSON, a tab, its content as JSON; `-` instead of the content deletes it.
#
#   API         default http://127.0.0.1:7071/api
#   TOKEN       access token (JWT)
#   COLLECTION  default items
#   STATE       folder of this store, default .tide: one for each user, never copied
#   BATCH       changes in a request, default 990: ten batches of 99 and their ledger in Cosmos DB

set -eu
API=${API:-http://127.0.0.1:7071/api} COLLECTION=${COLLECTION:-items} STATE=${STATE:-.tide} BATCH=${BATCH:-990}
here=$(dirname "$0")
export LC_ALL=C

die() { echo "tide: $*" >&2; exit 1; }
[ $# -eq 2 ] && [ -n "${TOKEN:-}" ] || die "usage: TOKEN=… sh tide.sh push|pull FILE"

# Puts text into a file in one step: after a crash there is the old content or the new one.
keep() { cat >"$1.part"; mv "$1.part" "$1"; }
stored() { if [ -f "$STATE/$1" ]; then cat "$STATE/$1"; else printf null; fi; }

# Sends a request as often as it takes, and reads the answer. A 503 or 429 is repeated after the time it names.
post() { # request, changes in it
  sed "1s/{/{\"clientTime\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\",/" "$1" >"$STATE/request"
  rm -f "$STATE/more" "$STATE/resync" "$STATE/refused" "$STATE/stream.new" "$STATE/checkpoint.new"
  code=$(curl -sS --retry 8 --retry-connrefused -o "$STATE/answer" -w '%{http_code}' "$API/sync" \
    -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -H 'Expect:' --data-binary "@$STATE/request") ||
    die "no answer. Nothing is lost: run it again."
  [ "$code" = 200 ] || die "$code $(cat "$STATE/answer")"
  awk -v dir="$STATE" -v sent="$2" -f "$here/answer.awk" "$STATE/answer"
  cat "$STATE/new" >>"$STATE/known"
}

# What is known of each document, the last line of each: documentId, version, data.
compact() {
  [ -z "$(tail -c 1 "$STATE/known")" ] || echo >>"$STATE/known" # a crash may have cut the last line
  awk -F '\t' 'NF == 3 { known[$1] = $0 } END { for (id in known) print known[id] }' "$STATE/known" | keep "$STATE/known"
}

# The request is on disk before it is sent, and is sent again as it was until it is answered.
send() {
  post "$STATE/pending.json" "$STATE/pending"
  if [ -f "$STATE/refused" ]; then
    cat "$STATE/refused" >&2
    ! grep -q device_forked "$STATE/refused" || die "another store has taken in changes as this one. Remove $STATE and pull."
  fi
  mv "$STATE/stream.new" "$STATE/stream"
  rm "$STATE/pending.json"
}

push() {
  [ ! -f "$STATE/pending.json" ] || send
  compact
  # The last line of each document that differs, with the version it was made on.
  awk -F '\t' 'FILENAME == ARGV[1] { version[$1] = $2; data[$1] = $3; next }
    NF == 2 && $2 != data[$1] && !($2 == "-" && !($1 in data)) { if (!($1 in out)) order[++n] = $1; out[$1] = $2 }
    END { for (i = 1; i <= n; i++) { id = order[i]; print id "\t" (id in version ? version[id] : "null") "\t" out[id] } }
  ' "$STATE/known" "$1" >"$STATE/outbox"
  total=$(awk 'END { print NR }' "$STATE/outbox") from=1
  while [ "$from" -le "$total" ]; do
    awk -v from="$from" -v to="$((from + BATCH - 1))" 'NR > to { exit } NR >= from' "$STATE/outbox" | keep "$STATE/pending"
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    stored stream | awk -F '\t' -v device="$device" -v collection="$COLLECTION" -v scope="$(cat "$STATE/scope")" -v now="$now" '
      NR == FNR { stream = $0; seq = match(stream, /"seq":[0-9]+/) ? substr(stream, RSTART + 6, RLENGTH - 6) : 0; next }
      FNR == 1 {
        printf "{\"protocol\":1,\"deviceId\":\"%s\",\"collections\":[],", device
        printf "\"streams\":{%s:%s},\"changes\":[", scope, stream
      }
      {
        printf "%s\n{\"changeId\":\"%s.%d\",\"seq\":%d,\"type\":\"%s\",", (FNR == 1 ? "" : ","), device, ++seq, seq, ($3 == "-" ? "delete" : "upsert")
        printf "\"scope\":%s,\"collection\":\"%s\",\"documentId\":%s,\"baseVersion\":%s,", scope, collection, $1, $2
        printf "\"lastModified\":\"%s\"%s}", now, ($3 == "-" ? "" : ",\"data\":" $3)
      }
      END { print "]}" }' - "$STATE/pending" | keep "$STATE/pending.json"
    send
    from=$((from + BATCH))
    echo "tide: sent $((from > total ? total : from - 1)) of $total" >&2
  done
}

pull() {
  more=true fetched=0
  while [ "$more" = true ]; do
    printf '{"protocol":1,"deviceId":"%s","collections":["%s"],"checkpoints":{%s}}' "$device" "$COLLECTION" \
      "$([ ! -f "$STATE/checkpoint" ] || printf '%s:%s' "$(cat "$STATE/scope")" "$(cat "$STATE/checkpoint")")" >"$STATE/asked"
    post "$STATE/asked" ''
    # The delta starts over: what it does not bring is gone.
    [ ! -f "$STATE/resync" ] || keep "$STATE/known" <"$STATE/new"
    mv "$STATE/checkpoint.new" "$STATE/checkpoint"
    fetched=$((fetched + $(awk 'END { print NR }' "$STATE/new"))) more=$(cat "$STATE/more")
    echo "tide: fetched $fetched" >&2
  done
  compact
  awk -F '\t' '$3 != "-" { print $1 "\t" $3 }' "$STATE/known" | keep "$1"
}

mkdir -p "$STATE"
touch "$STATE/known"
[ -f "$STATE/device" ] || printf 'sh-%s' "$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')" | keep "$STATE/device"
device=$(cat "$STATE/device")
if [ ! -f "$STATE/scope" ]; then
  printf '{"protocol":1,"deviceId":"%s","collections":[]}' "$device" >"$STATE/asked"
  post "$STATE/asked" ''
fi
case $1 in
  push) push "$2" ;;
  pull) pull "$2" ;;
  *) die "push or pull, not $1" ;;
esac
