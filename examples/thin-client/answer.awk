# Reads an answer of POST /api/sync and writes what a client keeps of it. Any POSIX awk.
#
#   awk -v dir=STATE -v sent=BATCH -f answer.awk ANSWER
#
# BATCH holds the changes that were sent, a line each: documentId, baseVersion, data. What comes out, in STATE:
#   new         what is known now of documents: documentId, version, data; a line each, data is `-` where there is none
#   scope stream.new checkpoint.new      of the first scope, the caller's own
#   more        "true" while there is more to fetch
#   resync      there when the delta starts over
#   refused     changes that were not taken in, with the reason
#
# The text is read from quote to quote, so that what stands in a string is never taken for structure.

BEGIN {
  while (sent != "" && (getline line < sent) > 0) {
    split(line, field, "\t")
    id[++sentCount] = field[1]
    data[sentCount] = field[3]
  }
  RS = "\""
  new = dir "/new"; printf "" > new
}

inside {
  text = text $0
  match($0, /\\*$/)
  if (RLENGTH % 2 == 1) { text = text "\""; next } # an escaped quote: the string goes on
  inside = 0
  if (kind[depth] == "{" && expectKey) {
    key[depth] = text
    if (capture) raw = raw "\"" text "\""
  } else leaf("\"" text "\"")
  next
}

{
  length_ = length($0)
  for (i = 1; i <= length_; i++) {
    c = substr($0, i, 1)
    if (c == "{" || c == "[") enter(c)
    else if (c == "}" || c == "]") leave(c)
    else if (c == ",") { literal_end(); if (capture) raw = raw c; expectKey = kind[depth] == "{" }
    else if (c == ":") { if (capture) raw = raw c; expectKey = 0 }
    else if (c !~ /[ \t\r\n]/) literal = literal c
  }
  inside = 1
  text = ""
}

END { if (depth > 0 || !complete) { print "The answer is cut off." > "/dev/stderr"; exit 1 } }

function path() {
  if (depth == 0) return ""
  if (kind[depth] == "[") return place[depth] "[]"
  return place[depth] == "" ? key[depth] : place[depth] "." key[depth]
}

function enter(c,   at) {
  at = capture ? "" : path()
  if (!capture && (at ~ /^streams\./ || at ~ /^(delta\.documents\[\]|results\[\]\.document)\.data$/)) {
    capture = depth + 1
    raw = ""
  }
  if (capture) raw = raw c
  kind[++depth] = c
  place[depth] = at
  expectKey = c == "{"
}

function leave(c,   at) {
  literal_end()
  if (capture) raw = raw c
  at = place[depth--]
  if (capture == depth + 1) { capture = 0; got(at, raw) }
  if (!capture) ended(at)
  expectKey = 0
}

function literal_end() {
  if (literal != "") { c_ = literal; literal = ""; leaf(c_) }
}

function leaf(value) {
  if (capture) raw = raw value
  else got(path(), value)
}

function got(at, value) {
  if (at ~ /^results\[\]\./ || at ~ /^delta\.documents\[\]\./) part[at] = value
  else if (at == "delta.hasMore") print value > (dir "/more")
  else if (at == "scopes[]" && own == "") { own = value; print value > (dir "/scope") }
  else if (at ~ /^checkpoints\./) checkpoint[substr(at, 13)] = value
  else if (at ~ /^streams\./) stream[substr(at, 9)] = value
  else if (at == "resync[]") resync[value] = 1
}

function ended(at) {
  if (at == "delta.documents[]") document("delta.documents[].", part["delta.documents[].documentId"])
  else if (at == "results[]") result()
  else if (at == "") finish()
  else return
  split("", part)
}

function document(at, name) {
  print name "\t" part[at "version"] "\t" (part[at "data"] == "null" ? "-" : part[at "data"]) > new
}

function result(   status, outcome) {
  index_++
  status = part["results[].status"]
  outcome = status == "\"duplicate\"" ? part["results[].outcome"] : status
  if (outcome == "\"rejected\"" || outcome == "\"failed\"") {
    print id[index_] "\t" status "\t" part["results[].error.code"] "\t" part["results[].error.message"] > (dir "/refused")
    return
  }
  if ("results[].document.version" in part) document("results[].document.", id[index_])
  else if (part["results[].version"] != "null" || data[index_] == "-")
    print id[index_] "\t" part["results[].version"] "\t" data[index_] > new
}

function finish(   name) {
  complete = 1
  name = substr(own, 2, length(own) - 2)
  if (name in checkpoint) print checkpoint[name] > (dir "/checkpoint.new")
  if (name in stream) print stream[name] > (dir "/stream.new")
  if (own in resync) print "" > (dir "/resync")
}
