#!/usr/bin/env bash
# status and list that go on: by asking the API, and by the database's feed.
# shellcheck disable=SC2016,SC2119,SC2317
set -u
# shellcheck source=tests/platform/support/apps.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/apps.sh"
# shellcheck source=tests/cli/sim.sh
. "$root/tests/cli/sim.sh"

shown() { grep -q "$1" followed; }
# follow ARG...: in the background; $followed is its process.
follow() {
  : >followed
  "$apps" "$@" --follow >followed 2>followed.err </dev/null &
  followed=$!
}

# ---- by asking ----

app() { # name, state
  printf '{"app": "%s", "hosts": ["%s.example"], "want": {"state": "started", "gen": 1},
    "route": {"state": "%s", "gen": 1, "msg": "", "to": []}}' "$1" "$1" "$2"
}
list() { script "[{\"match\": \"GET /apps\", \"body\": {\"apps\": [$1]}}]"; }
list "$(app a starting),$(app b live)"
api_start
follow list
wait_until shown 'b .*live'
list "$(app a live),$(app b live)"
wait_until shown 'a .*live'
list "$(app a live)"
wait_until shown 'b .*gone'
kill "$followed" && wait "$followed" 2>/dev/null
expect 'asked: lines' 'a starting
b live
a live
b gone' "$(awk '{ print $2, $3 }' followed)"
script "[{\"match\": \"GET /apps/a\", \"times\": 1, \"body\": $(app a starting)},
  {\"match\": \"GET /apps/a\", \"times\": 1, \"status\": 500, \"body\": {}},
  {\"match\": \"GET /apps/a\", \"times\": 1, \"body\": $(app a live)},
  {\"match\": \"GET /apps/a\", \"status\": 401, \"body\": {}}]"
run status a --follow --json
expect 'asked for one: ends when it is refused' 1 "$status"
expect 'asked for one: lines' '[["a","starting"],["a","live"]]' \
  "$(json_of out 'a.slice(0, 2).map((r) => [r.app, r.state])')"

# ---- by the feed ----

sim_start --admin admin:s3cret
sim=http://admin:s3cret@${sim#http://}
export COUCHDB_URL=$sim
export APPS_SERVER=http://127.0.0.1:1 # nobody asks there
route() { # app, state, [more]
  sim_put apps "route:$1" "{\"app\":\"$1\",\"hosts\":[\"$1.example\"],\"gen\":1,
    \"state\":\"$2\",\"code\":\"\",\"msg\":\"\",\"to\":[{\"drone\":\"127.1.0.2:4000\",
    \"addr\":\"127.1.0.2:4000\",\"claim\":\"0123456789abcdef0123456789abcdef\"}]${3-}}"
}
sim_create apps
route shop queued
route shop-2 live
sim_put apps app:shop '{}'
follow list --json
wait_until shown '"shop-2".*live'
route shop starting
wait_until shown 'shop".*starting'
route shop live
wait_until shown 'shop".*"live"'
sim_remove apps route:shop-2
wait_until shown 'shop-2".*gone'
kill "$followed"
wait "$followed"
expect 'feed: status' 0 "$?"
expect 'feed: errors' '' "$(cat followed.err)"
expect 'feed: the last of each' '[["shop","live"],["shop-2","gone"]]' "$(json_of followed \
  'Object.entries(Object.fromEntries(a.map((r) => [r.app, r.state]))).sort()')"
expect 'feed: fields' '["shop.example"],127.1.0.2:4000,1' "$(json_of followed \
  '((r) => JSON.stringify(r.hosts) + "," + r.drone + "," + r.gen)(a.find((r) => r.app === "shop"))')"

follow status shop
wait_until shown 'shop .*live'
route shop-2 starting
sim_put apps route:shop '{"state":7,"hosts":"x","to":{}}'
wait_until shown 'shop  *- *$'
kill -INT "$followed"
wait "$followed"
expect 'feed of one: status' 0 "$?"
expect 'feed of one: not its neighbour' 0 "$(grep -c shop-2 followed)"
expect_match 'feed of one: a line' \
  '[0-2][0-9]:[0-5][0-9]:[0-5][0-9]  shop                 live      shop.example  127.1.0.2:4000' \
  "$(head -n 1 followed)"

run list --follow --couch "${sim/s3cret/wr0ng}"
expect 'feed, wrong password: status' 1 "$status"
expect_match 'feed, wrong password: said' 'apps: *' "$(cat err)"
grep -q wr0ng err && fail 'a password was said'
run list --follow --couch nonsense://x
expect 'feed, wrong URL: status' 2 "$status"
finish
