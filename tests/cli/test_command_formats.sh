#!/usr/bin/env bash
# What is printed of a change: one line each, whatever the ids, the documents
# and the server's layout are like.
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

# ---- a real database ----

new_database formats
db_bulk "$database" >/dev/null <<'JSON'
{"docs":[{"_id":"plain","n":1},{"_id":"tab\there"},{"_id":"line\nbreak"},
 {"_id":"back\\slash"},{"_id":"quote\"d"},{"_id":"grün \u4e2d\u6587 😀"},
 {"_id":"csi\u009b31m and \u001b[31m"}]}
JSON
rev=$(db_ask GET "/$database/plain" | sed 's/.*"_rev":"\([^"]*\)".*/\1/')
db_put "$database" plain "{\"_rev\":\"$rev\",\"n\":2,\"text\":\"a\\nb\"}" >/dev/null
db_put "$database" gone '{"n":1}' >/dev/null
rev=$(db_ask GET "/$database/gone" | sed 's/.*"_rev":"\([^"]*\)".*/\1/')
db_ask DELETE "/$database/gone?rev=$rev" >/dev/null

run --once --seq_interval=1 "$url"
expect "row: status: $(cat err)" 0 "$status"
expect "row: lines" 8 "$(lines out)"
expect_json "row" out 'o.seq !== undefined && o.changes.length === 1 &&
  /^[0-9]+-/.test(o.changes[0].rev) && !("doc" in o)'
expect "row: ids" \
  '["back\\slash","csi31m and [31m","gone","grün 中文 😀","line\nbreak","plain","quote\"d","tab\there"]' \
  "$(json_of out 'a.map((o) => o.id).sort()' | tr -d '\302\233\033' | sed 's/\\u001b//')"
expect "row: deleted" '["gone"]' \
  "$(json_of out 'a.filter((o) => o.deleted).map((o) => o.id)')"
cp out rows

run --once --format=id "$url"
expect "id: lines" 8 "$(lines out)"
for id in plain 'tab\there' 'line\nbreak' 'back\\slash' 'quote"d' \
  'grün 中文 😀' 'csi\xc2\x9b31m and \x1b[31m' gone; do
  grep -qxF -- "$id" out || fail "id: $id is missing in: $(cat out)"
done

run --once --format tsv "$url"
expect "tsv: lines" 8 "$(lines out)"
expect "tsv: fields" 4 "$(awk -F '\t' '{print NF}' out | sort -u)"
expect "tsv: gone" 1 "$(awk -F '\t' '$2 == "gone" {print $4}' out)"
expect "tsv: plain" 0 "$(awk -F '\t' '$2 == "plain" {print $4}' out)"
expect "tsv: seqs and revs are those of the rows" \
  "$(json_of rows 'a.map((o) => o.seq + " " + o.changes[0].rev).join("\n")')" \
  "$(awk -F '\t' '{print $1 " " $3}' out)"

run --once --format=doc "$url"
expect "doc: lines" 8 "$(lines out)"
expect_json "doc" out 'typeof o._id === "string" && typeof o._rev === "string"'
expect "doc: plain" '{"n":2,"text":"a\nb"}' \
  "$(json_of out 'a.filter((o) => o._id === "plain")
    .map(({ n, text }) => ({ n, text }))[0]')"
expect "doc: the deleted one" true \
  "$(json_of out 'a.filter((o) => o._id === "gone")[0]._deleted')"

run --once --limit=3 --format=id "$url"
expect "limit: status" 0 "$status"
expect "limit: lines" 3 "$(lines out)"

run --once --include-docs --format=row "$url"
expect_json "row with documents" out 'o.doc._id === o.id'

# ---- a server that lays its JSON out in its own way ----

cat >body <<'JSON'
{"results" : [
  { "seq" : [ 1, "a b" ],
    "id" : "a \" b",
    "changes" : [ { "rev" : "1-a" }, { "rev" : "1-b" } ],
    "doc" : {
      "_id" : "a \" b",
      "text" : "two  spaces, \\\" and \n stay"
    }
  },
  {"seq":2,"id":"one line","changes":[{"rev":"1-c"}],"deleted": true},
  {"seq":null,"id":"no seq","changes":[{"rev":"1-d"}]}
], "last_seq" : 3, "pending" : 0 }
JSON
start_peer --rows body
run --once "$peer/db"
expect "own layout: status: $(cat err)" 0 "$status"
expect "own layout: rows" \
  '{"seq":[1,"a b"],"id":"a \" b","changes":[{"rev":"1-a"},{"rev":"1-b"}],"doc":{"_id":"a \" b","text":"two  spaces, \\\" and \n stay"}}
{"seq":2,"id":"one line","changes":[{"rev":"1-c"}],"deleted": true}
{"seq":null,"id":"no seq","changes":[{"rev":"1-d"}]}' "$(cat out)"
run --once --format=tsv "$peer/db"
expect "own layout: tsv" \
  "$(printf '[ 1, "a b" ]\ta " b\t1-a\t0\n2\tone line\t1-c\t1\n\tno seq\t1-d\t0')" \
  "$(cat out)"
run --once --format=doc "$peer/db"
expect "own layout: doc" \
  '{"_id":"a \" b","text":"two  spaces, \\\" and \n stay"}' "$(cat out)"
expect "rows without a document are done too" 3 \
  "$("$command" --once --format=doc --stats "$peer/db" 2>&1 >/dev/null |
    sed 's/.*"acked":\([0-9]*\).*/\1/')"

finish
