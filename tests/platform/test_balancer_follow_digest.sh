#!/usr/bin/env bash
# Against a database that somebody else wrote: what a balancer says it holds is
# what the changefeed command says is there, from the first reading on, after
# changes, deletions and conflicts, and from its snapshot when nobody answers.
# ctest: LABEL couch
# shellcheck disable=SC2317,SC2119 # others call them
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=SCRIPTDIR/../support/db.sh
. "$root/tests/support/db.sh"
# shellcheck source=SCRIPTDIR/../support/expect.sh
. "$root/tests/support/expect.sh"
: "${CFT_PLATFORM:?is the directory of the programs}" "${CFT_CHANGEFEED:?}"
work=$(mktemp -d) || exit 1
apps=apps_follow_$$
pid=

# shellcheck disable=SC2317 # the trap calls it
clean_up() {
  [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
  [ -z "${COUCHDB_URL-}" ] || db_ask DELETE "/$apps" >/dev/null
  db_stop
  rm -rf "$work"
}
trap clean_up EXIT

begin() {
  rm -f "$work/ports"
  "$CFT_PLATFORM/balancer" --couch "$DB_URL" --apps "$apps" --id b \
    --listen 127.0.0.1:0 --admin 127.0.0.1:0 --port-file "$work/ports" \
    --snapshot "$work/snapshot" --snapshot-every 100ms 2>>"$work/log" &
  pid=$!
  wait_until test -s "$work/ports" || { cat "$work/log"; exit 1; }
  admin=http://$(sed -n 2p "$work/ports")
}

end() {
  kill -TERM "$pid"
  wait "$pid"
  expect "its exit status" 0 $?
  pid=
}

# "DIGEST COUNT"
held() {
  curl -sS --noproxy '*' "$admin/digest" |
    sed -E 's/.*"digest": ?"([0-9a-f]+)".*"routes": ?([0-9]+).*/\1 \2/'
}
there() {
  "$CFT_CHANGEFEED" mirror --digest --prefix=route: "$DB_URL/$apps" |
    awk '{print $1, $2}'
}
same() { [ "$(held)" = "$(there)" ]; }

route() { # name, gen
  printf '{"_id":"route:%s","app":"%s","hosts":["%s.test"],"gen":%d,' \
    "$1" "$1" "$1" "$2"
  printf '"state":"queued","to":[]%s}' "${3-}"
}

db_start || exit 1
db_create "$apps" || exit 1
{
  printf '{"docs":['
  for i in $(seq 300); do
    route "a$i" 1
    printf ','
  done
  printf '{"_id":"app:a1","command":"x"}]}'
} | db_bulk "$apps" >/dev/null || exit 1

begin
wait_until same
expect_match "300 routes" '* 300' "$(held)"

rev=$(db_ask GET "/$apps/route:a7" | sed -E 's/.*"_rev": ?"([^"]+)".*/\1/')
db_ask DELETE "/$apps/route:a7?rev=$rev" >/dev/null
rev=$(db_ask GET "/$apps/route:a8" | sed -E 's/.*"_rev": ?"([^"]+)".*/\1/')
db_put "$apps" route:a8 "$(route a8 2 ",\"_rev\":\"$rev\"")" >/dev/null
# Two leaves that no replicator has told of before: one of them wins.
printf '{"new_edits":false,"docs":[%s,%s]}' \
  "$(route a9 3 ',"_rev":"3-0123456789abcdef0123456789abcdef"')" \
  "$(route a9 2 ',"_rev":"2-f123456789abcdef0123456789abcdef"')" |
  db_bulk "$apps" >/dev/null
db_put "$apps" route:new "$(route new 1)" >/dev/null
wait_until same
expect_match "one went, one came" '* 300' "$(held)"
before=$(held)
end

database=$DB_URL
DB_URL=http://127.0.0.1:1
begin
expect "what the snapshot holds" "$before" "$(held)"
expect_match "where it comes from" '*"source":*"snapshot"*' \
  "$(curl -sS --noproxy '*' "$admin/digest")"
end
DB_URL=$database

[ "$failures" -eq 0 ] || cat "$work/log"
finish
