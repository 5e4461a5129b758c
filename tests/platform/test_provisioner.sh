#!/usr/bin/env bash
# The provisioner's API, without drones: what it takes, refuses and joins; what it
# writes, and how seldom; with the database slow, late, or away.
# ctest: TIMEOUT 170
# shellcheck disable=SC2016,SC2119,SC2154,SC2317
set -u
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"

sim_start

# ---- options, and databases ----

run() {
  timeout 60 "$provisioner" "$@" >out 2>err
  status=$?
}
run --no-such
expect 'wrong option: status' 2 "$status"
run --couch "$sim"
expect 'no token: status' 2 "$status"
expect_match 'no token: said' '*--token-file*' "$(cat err)"
run --couch "$sim" --token-file token --drone-token-file drone-token \
  --listen 127.0.0.1:0
expect 'no databases: status' 1 "$status"
expect_match 'no databases: said' '*--init*' "$(cat err)"
for round in 1 2; do
  run --init --couch "$sim"
  expect "init, $round: status" 0 "$status"
done
expect_match 'locks has one copy' '*"n":1*' \
  "$(curl -sS --noproxy '*' "$sim/locks" | tr -d ' ')"
expect_match 'maintenance is off' '*"mode":"off"*' \
  "$(curl -sS --noproxy '*' "$sim/apps/sys:maintenance")"

prov_start a

# ---- who may ----

ask a GET /healthz
expect_match 'health' '{"id":"a","synced":true,*' "$body"
for token in '' 'Bearer ' 'Bearer t0ken-of-caller' 'Bearer t0ken-of-callerz' \
  'Bearer t0ken-of-callerst0ken-of-callers' 'Basic t0ken-of-callers'; do
  expect "token \"$token\"" 401 "$(curl -sS --noproxy '*' -o body \
    -w '%{http_code}' -H "Authorization: $token" "${api[a]}/apps")"
  expect_match "token \"$token\": said" '{"error":"*","code":"token"}' \
    "$(cat body)"
done
expect 'numbers need no token' 200 "$(curl -sS --noproxy '*' -o body \
  -w '%{http_code}' "${api[a]}/metrics")"
ask a GET /nothing
expect 'nothing there' 404 "$code"
ask a PUT /apps
expect 'no such method' 405 "$code"
ask a GET /apps/UPPER
expect 'a name that is none' 400 "$code"
ask a GET /ops/shop.0
expect 'an operation that is none' 400 "$code"
ask a GET /ops/shop.1
expect 'an operation that is not there' 404 "$code"

# ---- bodies ----

big=$(head -c 5000 /dev/zero | tr '\0' x)
while IFS='|' read -r field text; do
  ask a POST /apps/bad "$text"
  expect "refused: ${text:0:60}" 400 "$code"
  expect_match "refused: ${text:0:60}" "{\"error\":\"$field*\",\"code\":\"request\"}" \
    "$body"
done <<END
the body|[]
the body|{
command|{}
command|{"command": "$big"}
comand|{"command":"x","comand":"y"}
hosts|{"command":"x","hosts":["UPPER"]}
env.A|{"command":"x","env":{"A":1}}
memory_mb|{"command":"x","memory_mb":-1}
END
printf '{"command":"x","env":%s' "$(head -c 300000 /dev/zero | tr '\0' '[')" >deep
ask a POST /apps/bad @deep
expect 'too large' 413 "$code"
printf '{"command":"x","env":%s' "$(head -c 100000 /dev/zero | tr '\0' '[')" >deep
ask a POST /apps/bad @deep
expect 'too deep' 400 "$code"
ask a POST /apps/bad/start '{"forse":true}'
expect_match 'start: unknown member' '{"error":"forse*' "$body"
ask a GET /apps/bad
expect 'nothing came of it' 404 "$code"

# ---- create and start, without drones ----

ask a POST /apps/shop '{"command":"run","env":{"A":"b"}}'
expect 'created' '201 {"app":"shop","hosts":["shop.localhost"],"gen":0,"changed":false,"restart":false}' \
  "$code $body"
ask a POST /apps/shop '{"command":"run","env":{"A":"b"}}'
expect 'the same again' 200 "$code"
await 'seen' '*"want":null*' a GET /apps/shop
ask a POST /apps/shop/start
# A worker may have found by then that there is no drone.
expect_match 'started' \
  '202 {"op":"shop.1","app":"shop","gen":1,"state":"@(starting|queued)"*,"coalesced":false}' \
  "$code $body"
await 'queued' '*"state":"queued","position":1,*' a GET '/ops/shop.1?wait=5'
puts=$(asked doc_put)
for _ in 1 2 3 4 5 6 7 8 9 10; do
  ask a POST /apps/shop/start
  expect_match 'joined' '202 {"op":"shop.1",*"state":"queued","position":1,*"coalesced":true}' \
    "$code $body"
done
expect_match 'nothing was written for that, but ticks' '[0-4]' \
  "$(($(asked doc_put) - puts))"

# Many at once: one operation.
ask a POST /apps/rush '{"command":"run"}'
args=()
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  args+=(-o "rush.$i" "${api[a]}/apps/rush/start")
done
curl -sS --no-progress-meter --noproxy "*" -Z --parallel-immediate -X POST \
  -H 'Authorization: Bearer t0ken-of-callers' "${args[@]}"
expect 'a rush is one operation' 20 "$(grep -l '"op":"rush.1"' rush.* | wc -l)"
expect 'of which one was the first' 1 \
  "$(grep -l '"coalesced":false' rush.* | wc -l)"

# Another definition is another operation; so is a key.
ask a POST /apps/shop '{"command":"other"}'
expect_match 'changed' '200 *"changed":true,"restart":true}' "$code $body"
await 'seen' '*"command":"other"*' a GET /apps/shop
ask a POST /apps/shop/start
expect_match 'started anew' '202 {"op":"shop.2",*' "$code $body"
await 'the first is over' '*"state":"superseded"*' a GET /ops/shop.1
ask a GET /apps
expect_match 'listed' '{"apps":[*"name":"rush"*"name":"shop","want":"started","state":"queued"*' \
  "$body"

# A call that waits is told what changes.
(curl -sS --noproxy '*' -H 'Authorization: Bearer t0ken-of-callers' \
  "${api[a]}/ops/shop.2?wait=25" >waited; date +%s >waited.at) &
waiter=$!
sleep 0.3
before=$(date +%s)
ask a POST /apps/shop/stop
expect_match 'stopped' '20[02] {"op":"shop.3",*' "$code $body"
wait "$waiter"
expect_match 'told' '*"state":"superseded"*' "$(cat waited)"
expect_match 'soon' '[0-5]' "$(($(cat waited.at) - before))"
await 'stopped' '*"state":"stopped"*' a GET '/ops/shop.3?wait=10'
ask a POST /apps/shop/stop
expect_match 'stopped already' '200 *"state":"stopped"*' "$code $body"

# ---- maintenance of one app ----

ask a PUT /apps/shop/maintenance '{"mode":"on","msg":"New shelves."}'
expect 'closed' '200 {"app":"shop","mode":"on"}' "$code $body"
await 'the route says so' '*"route":{*"maintenance":"New shelves."*' a GET /apps/shop
ask a PUT /apps/shop/maintenance '{"mode":"off"}'
expect 'open' '200 {"app":"shop","mode":"off"}' "$code $body"
route_is_open() {
  ask a GET /apps/shop
  [[ $body == *'"route":{'* && $body != *maintenance* ]]
}
wait_until route_is_open || fail "still closed: $body"
ask a PUT /apps/nobody/maintenance '{"mode":"on"}'
expect_match 'of no app' '404 *' "$code $body"
for bad in '{}' '{"mode":"full"}' '{"mode":"on","msg":1}' '{"mode":"on","until":1}'; do
  ask a PUT /apps/shop/maintenance "$bad"
  expect "refused: $bad" 400 "$code"
done

# ---- hosts ----

ask a POST /apps/thief '{"command":"run","hosts":["mine.de","shop.localhost"]}'
expect 'taken' '409 {"error":"the host shop.localhost belongs to the app shop","code":"host"}' \
  "$code $body"
ask a GET /apps/thief
expect 'and not created' 404 "$code"
ask a DELETE /apps/shop
expect_match 'destroyed' '202 {"op":"shop.4",*' "$code $body"
await 'gone' '*"state":"stopped"*' a GET '/ops/shop.4?wait=10'
ask a GET /apps/shop
expect 'is no more' 404 "$code"
ask a DELETE /apps/shop
expect 'is no more to destroy' 404 "$code"
ask a POST /apps/shop/start
expect 'nor to start' '404 {"error":"there is no app shop","code":"unknown"}' \
  "$code $body"
ask a POST /apps/thief '{"command":"run","hosts":["mine.de","shop.localhost"]}'
expect 'its host is free' 201 "$code"
ask a POST /apps/shop '{"command":"run","hosts":["shop.de"]}'
expect_match 'created again: gen goes on' '201 *"gen":4,*' "$code $body"

# ---- how often ----

ask a POST /apps/often '{"command":"run"}'
refused=0
for i in 1 2 3 4 5 6; do
  ask a POST /apps/often/start "{\"key\":\"$i\"}"
  ask a POST /apps/often/stop
  if [ "$code" = 429 ]; then
    refused=$((refused + 1))
    expect_match 'too often' '*"code":"rate"}' "$body"
    expect_match 'when again' '*[0-9]*' "$(grep -i '^retry-after: [1-9]' head)"
  fi
done
expect_match 'refused some' '[3-6]' "$refused"

# ---- a document that was broken by hand ----

ask a POST /apps/broken '{"command":"run"}'
sim_put apps app:broken '{"command":7}'
wait_until grep -q 'event=view.unreadable.*app:broken' a.log
ask a POST /apps/broken/start
expect_match 'broken' '409 {"error":"*broken*command*","code":"broken"}' \
  "$code $body"
ask a POST /apps/broken '{"command":"run"}'
expect 'mended' 200 "$code"
ask a POST /apps/broken/start
expect 'runs again' 202 "$code"
sim_put apps route:nonsense '{"to":"x"}'
sim_put locks drone:nonsense '{"state":5}'

# ---- a database that says little ----

ask a POST /apps/late '{"command":"run"}'
sim_tell rules '{"kind":"doc_put","path":"/apps/app","times":1,"do":{"then":"close"}}'
ask a POST /apps/late/start
expect_match 'written, not told' '202 {"op":"late.1",*' "$code $body"
expect_match 'and once only' '1-*' "$(sim__rev apps app:late | sed 's/^2-/1-/')"
ask a POST /apps/later '{"command":"run"}'
sim_tell rules '{"kind":"doc_put","path":"/apps/app","times":1,"do":{"status":503}}'
ask a POST /apps/later/start
expect_match 'refused once' '202 {"op":"later.1",*' "$code $body"
sim_tell rules '{"kind":"doc_get","path":"/apps/app","times":-1,"do":{"status":500}}'
ask a POST /apps/never '{"command":"run"}'
expect_match 'the database is away' '503 {"error":*,"code":"database"}' \
  "$code $body"
expect_match 'come again' '*[1-9]*' "$(grep -i '^retry-after:' head)"
ask a GET /apps/late
expect 'what is seen is still told' 200 "$code"
sim_ask DELETE "${sim_control}rules" >/dev/null
ask a POST /apps/never '{"command":"run"}'
expect 'and it is back' 201 "$code"

# ---- several ----

prov_start b
ask b POST /apps/two '{"command":"run"}'
expect 'created here' 201 "$code"
ask a POST /apps/two/start
expect_match 'started there' '202 {"op":"two.1",*' "$code $body"
await 'seen here' '*"state":"queued"*' b GET '/ops/two.1?wait=5'
ask b POST /apps/two/start
expect_match 'the same here' '202 {"op":"two.1",*"coalesced":true}' "$code $body"
await 'both are counted' '*"provisioners":2}' a GET /healthz

# ---- maintenance ----

ask a PUT /maintenance '{"mode":"on"}'
expect_match 'no such mode' '400 {"error":"mode*' "$code $body"
ask a PUT /maintenance '{"mode":"api","msg":"back at nine"}'
expect 'maintenance' 200 "$code"
await 'everywhere' '{"mode":"api","msg":"back at nine","until":null}' \
  b GET /maintenance
ask b POST /apps/two/start
expect_match 'nothing is begun' '503 *back at nine*"code":"maintenance"}' \
  "$code $body"
ask b DELETE /apps/two
expect 'nor ended' 503 "$code"
ask b GET /apps/two
expect 'but shown' 200 "$code"
ask b PUT /maintenance '{"mode":"off"}'
expect 'and it can be ended' 200 "$code"
await 'everywhere' '*"mode":"off"*' a GET /maintenance

# ---- a full queue ----

prov_start small --queue 1
ask small POST /apps/full '{"command":"run"}'
ask small POST /apps/full/start
expect_match 'full' '503 *"code":"capacity"}' "$code $body"
expect_match 'come again' '*[1-9]*' "$(grep -i '^retry-after:' head)"
prov_end small
expect 'small has ended' 0 "$status"

# ---- the end ----

(curl -sS --noproxy '*' -H 'Authorization: Bearer t0ken-of-callers' \
  "${api[b]}/ops/two.1?wait=25" >waited) &
waiter=$!
sleep 0.3
before=$SECONDS
prov_end b
wait "$waiter"
expect 'b has ended' 0 "$status"
expect_match 'who waited was answered' '*"state":"queued"*' "$(cat waited)"
expect_match 'and soon' '?' "$((SECONDS - before))"
expect 'its tick is gone' 404 "$(curl -sS --noproxy '*' -o /dev/null \
  -w '%{http_code}' "$sim/apps/sys:tick:b")"
await 'one is left' '*"provisioners":1}' a GET /healthz
grep -q 't0ken' ./*.log && fail 'a token is in a log'
prov_end a
expect 'a has ended' 0 "$status"
finish
