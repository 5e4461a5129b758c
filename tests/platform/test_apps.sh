#!/usr/bin/env bash
# The command apps: starting an app, how long it asks, and how it ends.
# shellcheck disable=SC2016,SC2119,SC2317
set -u
# shellcheck source=tests/platform/support/apps.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/apps.sh"

api_start --token t0ken
(umask 077 && echo t0ken >token)
export APPS_TOKEN_FILE=$work/token

# ---- starting ----

# Live at once: one request, with the token, and the place of the app.
script '[{"match": "POST /apps/shop/start", "status": 200, "body":
  {"op": "shop.3", "state": "live", "url": "http://shop.example/",
   "hosts": ["shop.example"], "acks": "3/3", "drone": "127.1.0.2:4000",
   "claim": "0123456789abcdef0123456789abcdef"}}]'
run start shop
expect 'live: status' 0 "$status"
expect 'live: said' 'shop is live at http://shop.example/, balancers 3/3, drone 127.1.0.2:4000' "$(cat out)"
expect 'live: nothing else' '' "$(cat err)"
expect 'live: requests' 1 "$(asked 'POST /apps/shop/start')"
expect 'live: body' '{}' "$(json_of api.log 'a[0].body')"

# Queued, starting, live: asked for once, then only looked at.
: >api.log
script '[
  {"match": "POST /apps/queue/start", "times": 1, "status": 202, "body":
    {"op": "queue.1", "state": "queued", "position": 3, "coalesced": true}},
  {"match": "GET /ops/queue.1?wait=", "times": 1, "body":
    {"op": "queue.1", "state": "queued", "position": 1, "code": "capacity"}},
  {"match": "GET /ops/queue.1?wait=", "times": 1, "delay_ms": 300, "body":
    {"op": "queue.1", "state": "starting"}},
  {"match": "GET /ops/queue.1?wait=", "body":
    {"op": "queue.1", "state": "live", "url": "http://q.example/",
     "acks": "2/3", "lacking": ["b3"]}}]'
run start queue
expect 'waited: status' 0 "$status"
expect_match 'waited: said' '*live at http://q.example/, balancers 2/3' "$(cat out)"
expect 'waited: progress' 'queue: the same is under way already (queue.1)
queue: queued for a drone, place 3
queue: queued for a drone, place 1
queue: starting
apps: It is not known yet to b3.' "$(cat err)"
expect 'waited: posted once' 1 "$(asked 'POST /apps/queue/start')"
expect 'waited: looked' 3 "$(asked 'GET /ops/queue.1?wait=2')"

run start queue --quiet
expect 'quiet: status' 1 "$status" # the script has no start any more
script '[{"match": "POST /apps/a/start", "status": 202, "body":
    {"op": "a.1", "state": "queued"}},
  {"match": "GET /ops/a.1", "body": {"op": "a.1", "state": "live"}}]'
run start a --quiet
expect 'quiet: status' 0 "$status"
expect 'quiet: progress' '' "$(cat err)"
run start a --json
expect 'json: status' 0 "$status"
expect 'json: nothing for people' '' "$(cat err)"
expect 'json: result' '["a","a.1","live",0]' \
  "$(json_of out '[a[0].app, a[0].op, a[0].state, a[0].exit]')"
: >api.log
run start a --no-wait
expect 'no-wait: status' 3 "$status"
expect 'no-wait: looked' 0 "$(asked 'GET /ops/')"
run start a --force
expect 'force: body' '{"force":true}' \
  "$(json_of api.log 'a.filter((r) => r.method === "POST")[1].body')"

# How an operation can end.
ends() { # state, code, exit status, said
  script '[{"match": "POST /apps/e/start", "status": 202, "body":
    {"op": "e.1", "state": "starting"}},
  {"match": "GET /ops/e.1", "body":
    {"op": "e.1", "state": "'"$1"'", "code": "'"$2"'", "msg": "Because."}}]'
  run start e --quiet --timeout 1200ms
  expect "$1 $2: status" "$3" "$status"
  expect "$1 $2: said" "$4" "$(cat err)"
  run start e --json --timeout 1200ms
  expect "$1 $2: status of json" "$3" "$(json_of out 'a[0].exit')"
}
ends failed app 5 'apps: e has failed: Because.'
ends failed capacity 4 'apps: e has got no drone: Because.'
ends failed database 1 'apps: e has failed: Because.'
ends crashed crash 5 'apps: e crashes: Because.'
ends superseded ok 1 'apps: e was told something else meanwhile: Because.'
ends stopped ok 1 'apps: e was stopped meanwhile: Because.'
ends queued capacity 4 'apps: e has got no drone: Because.'
ends starting '' 3 'apps: e is still under way, and the time is over: Because.'
[ "$took_ms" -lt 6000 ] || fail "the time was over after $took_ms ms"
: >api.log
run start e --quiet --timeout 3s
count=$(asked 'GET /ops/e.1')
[ "$count" -le 6 ] || fail "a server that does not hold questions got $count"

# ---- refusals ----

script '[{"match": "POST /apps/r/start", "times": 1, "status": 429,
    "headers": {"Retry-After": "1"}, "body": {"error": "Slowly.", "code": "rate"}},
  {"match": "POST /apps/r/start", "body": {"op": "r.1", "state": "live"}}]'
: >api.log
run start r
expect 'rate: status' 0 "$status"
expect 'rate: progress' 'r: Slowly.; asking again in 2 s' \
  "$(sed 's/in 1 s/in 2 s/' err)"
expect 'rate: requests' 2 "$(asked 'POST /apps/r/start')"
expect 'rate: waited as told' true "$(json_of api.log 'a[1].began - a[0].began >= 1000')"

script '[{"match": "POST /apps/r/start", "status": 429,
    "headers": {"Retry-After": "60"}, "body": {"error": "Slowly.", "code": "rate"}}]'
: >api.log
run start r --timeout 5s
expect 'rate beyond: status' 7 "$status"
expect 'rate beyond: said' 'apps: Slowly. Ask again in 60 s.' "$(cat err)"
expect 'rate beyond: requests' 1 "$(asked 'POST /apps/r/start')"
[ "$took_ms" -lt 3000 ] || fail "it waited for nothing: $took_ms ms"
run start r --no-wait
expect 'rate, no wait: status' 7 "$status"

refused() { # HTTP status, code, exit status
  script '[{"match": "POST /apps/r/start", "status": '"$1"', "headers":
    {"Retry-After": "30"}, "body": {"error": "It \u001b[2Jis so.", "code": "'"$2"'"}}]'
  : >api.log
  run start r --timeout 2s
  expect "$1 $2: status" "$3" "$status"
  expect_match "$1 $2: said" 'apps: It ?\[2Jis so.*' "$(cat err)"
  expect "$1 $2: requests" 1 "$(asked 'POST /apps/r/start')"
  run start r --timeout 2s --json
  expect "$1 $2: json" "[\"$2\",$3,\"r\"]" \
    "$(json_of out '[a[0].code, a[0].exit, a[0].app]')"
}
refused 503 capacity 4
refused 503 maintenance 6
refused 503 database 1
refused 409 host 1
refused 400 field 1
refused 404 unknown 1

# A maintenance is not waited for.
script '[{"match": "POST /apps/r/start", "status": 503, "headers":
  {"Retry-After": "1"}, "body": {"error": "Closed.", "code": "maintenance"}}]'
: >api.log
run start r
expect 'maintenance: status' 6 "$status"
expect 'maintenance: requests' 1 "$(asked 'POST /apps/r/start')"

# ---- a server that is not well ----

script '[{"match": "POST /apps/w/start", "times": 2, "then": "close"},
  {"match": "POST /apps/w/start", "status": 202, "body":
    {"op": "w.1", "state": "starting"}},
  {"match": "GET /ops/w.1", "times": 1, "status": 404, "body": {}},
  {"match": "GET /ops/w.1", "times": 1, "status": 500, "text": "oops"},
  {"match": "GET /ops/w.1", "times": 1, "then": "close"},
  {"match": "GET /ops/w.1", "body": {"op": "w.1", "state": "live"}}]'
: >api.log
run start w
expect 'ill: status' 0 "$status"
expect 'ill: posts' 3 "$(asked 'POST /apps/w/start')"

APPS_SERVER=http://127.0.0.1:1 run start w --timeout 1s
expect 'nobody there: status' 1 "$status"
expect_match 'nobody there: said' '*POST http://127.0.0.1:1/apps/w/start failed: *' "$(cat err)"
run start w --token-file /dev/null
expect 'no token: status' 1 "$status"
(umask 077 && echo wrong >wrong)
run start w --token-file wrong
expect 'wrong token: status' 1 "$status"
expect 'wrong token: said' 'apps: The server does not accept the token (401); see --token-file.' "$(cat err)"
script '[{"match": "POST /apps/w/start", "text": "<html>"}]'
run start w
expect 'a page: status' 1 "$status"
expect_match 'a page: said' '*did not answer as a provisioner does.' "$(cat err)"

finish
