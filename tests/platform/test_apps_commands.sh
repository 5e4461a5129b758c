#!/usr/bin/env bash
# The command apps: what each other command asks and shows, and wrong words.
# shellcheck disable=SC2016,SC2119,SC2317
set -u
# shellcheck source=tests/platform/support/apps.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/apps.sh"

api_start

# ---- create ----

printf 'SECRET=a=b c\n# no\n\nTWO=2\r\n' >vars
script '[{"match": "POST /apps/shop", "status": 201, "body": {"app": "shop"}}]'
: >api.log
run create shop --command 'node "x" $PORT' --host shop.example --host www.shop.example --env TWO=3 --env EMPTY= --env-file vars
expect 'create: status' 0 "$status"
expect 'create: said' 'shop is created; "apps start shop" puts it to work' "$(cat out)"
expect 'create: body' '{"command":"node \"x\" $PORT","env":{"EMPTY":"","SECRET":"a=b c","TWO":"3"},"hosts":["shop.example","www.shop.example"]}' \
  "$(json_of api.log '((b) => ({command: b.command, env: Object.fromEntries(Object.entries(b.env).sort()), hosts: b.hosts}))(a[0].body)')"
: >api.log
run create shop --command x
expect 'create: what is not said' '{"command":"x"}' "$(json_of api.log 'a[0].body')"
wrong_create() { # said, ARG...
  local said=$1
  shift
  : >api.log
  run create shop "$@"
  expect "create $*: status" 2 "$status"
  expect_match "create $*: said" "$said" "$(cat err)"
  expect "create $*: requests" 0 "$(asked 'POST /apps')"
}
printf 'A=1\nB B=2\n' >vars
wrong_create '*needs --command*'
wrong_create '*"Shop.example" is no name of a host*' --command x --host Shop.example
wrong_create '*--env: there must be NAME=VALUE*' --command x --env 1A=2
wrong_create '*--env: there must be NAME=VALUE*' --command x --env A
wrong_create '*vars, line 2: there must be NAME=VALUE*' --command x --env-file vars
wrong_create '*nowhere cannot be opened: No such file*' --command x --env-file nowhere
script '[{"match": "POST /apps/shop", "status": 409, "body":
  {"error": "The host shop.example belongs to other.", "code": "host"}}]'
run create shop --command x --host shop.example
expect 'taken: status' 1 "$status"
expect 'taken: said' 'apps: The host shop.example belongs to other.' "$(cat err)"

# ---- stop, restart, destroy ----

script '[{"match": "POST /apps/s/stop", "status": 202, "body":
    {"op": "s.2", "state": "starting"}},
  {"match": "GET /ops/s.2", "body": {"op": "s.2", "state": "stopped"}},
  {"match": "POST /apps/s/start", "times": 1, "then": "close"},
  {"match": "POST /apps/s/start", "status": 202, "body":
    {"op": "s.3", "state": "starting"}},
  {"match": "GET /ops/s.3", "body": {"op": "s.3", "state": "live"}},
  {"match": "DELETE /apps/s", "times": 1, "status": 202, "body":
    {"op": "s.4", "state": "starting"}},
  {"match": "GET /ops/s.4", "status": 404, "body": {}},
  {"match": "DELETE /apps/s", "times": 1, "then": "close"}]'
: >api.log
run stop s
expect 'stop: status' 0 "$status"
expect 'stop: said' 's is stopped' "$(cat out)"
run restart s
expect 'restart: status' 0 "$status"
expect 'restart: the same key twice' true "$(json_of api.log \
  '((k) => k.length === 2 && /^[0-9a-f]{32}$/.test(k[0]) && k[0] === k[1])(a.filter((r) => r.url === "/apps/s/start").map((r) => r.body.key))')"
run destroy s
expect 'destroy: status' 0 "$status"
expect 'destroy: said' 's is gone' "$(cat out)"
run destroy s # ends without an answer, and then there is nothing
expect 'destroy, done unheard: status' 0 "$status"
run destroy s
expect 'destroy what is not: status' 1 "$status"

# ---- looking ----

app() { # state, code, gen of the route, gen wanted
  printf '{"app": "shop", "hosts": ["shop.example"], "want": {"state": "started", "gen": %s},
    "route": {"app": "shop", "state": "%s", "code": "%s", "gen": %s, "msg": "", "at": 1700000000000,
      "to": [{"drone": "127.1.0.2:4000", "addr": "127.1.0.2:4000", "claim": "0123456789abcdef0123456789abcdef"}]}}' \
    "$4" "$1" "$2" "$3"
}
shows() { # state, code, gen, wanted, exit status
  script "[{\"match\": \"GET /apps/shop\", \"body\": $(app "$1" "$2" "$3" "$4")}]"
  run status shop
  expect "status $*" "$5" "$status"
}
shows live ok 3 3 0
expect 'status: shown' 'shop: live
  hosts    shop.example
  drone    127.1.0.2:4000, claim 01234567
  wanted   started, generation 3
  since    2023-11-14T22:13:20Z' "$(sed '1s/ for .*//' out)"
run status shop --json
expect 'status: json' live "$(json_of out 'a[0].route.state')"
shows live ok 2 3 3
shows stopped ok 3 3 0
shows starting '' 3 3 3
shows queued capacity 3 3 4
shows queued '' 3 3 3
shows crashed crash 3 3 5
shows failed app 3 3 5
# As the server sums it up, when the route is behind.
script '[{"match": "GET /apps/shop", "body": {"name": "shop", "state": "starting", "gen": 3,
  "hosts": ["shop.example"], "app": {"command": "x"}, "want": {"state": "started", "gen": 3},
  "route": {"state": "live", "gen": 2, "to": []}}}]'
run status shop
expect 'status: behind' 3 "$status"
expect 'status: behind, shown' 'shop: starting' "$(head -n 1 out)"
script "[{\"match\": \"GET /apps\", \"body\": {\"apps\": [$(app live ok 1 1),
  {\"app\": \"new\", \"hosts\": [], \"want\": {\"state\": \"started\", \"gen\": 1}}, 7, {},
  {\"name\": \"short\", \"want\": \"started\", \"state\": \"live\", \"gen\": 3, \"hosts\": [\"a.b\"], \"drone\": \"127.1.0.4:1\"}]}},
  {\"match\": \"GET /drones\", \"body\": {\"drones\": [
   {\"addr\": \"127.1.0.2:4000\", \"state\": \"bound\", \"claim\": {\"id\": \"0123456789abcdef0123456789abcdef\", \"app\": \"shop\"}},
   {\"addr\": \"127.1.0.3:4000\", \"state\": \"free\", \"claim\": null}]}}]"
run list
expect 'list: status' 0 "$status"
expect 'list: shown' 'shop                 live      shop.example  127.1.0.2:4000
new                  queued    -
short                live      a.b  127.1.0.4:1' "$(cat out)"
run drones
expect 'drones: shown' '127.1.0.2:4000         bound     shop                 01234567
127.1.0.3:4000         free      -                    ' "$(cat out)"
run drones --json
expect 'drones: json' 2 "$(json_of out 'a[0].drones.length')"

# ---- maintenance ----

script '[{"match": "GET /maintenance", "body": {"mode": "api", "msg": "Moving.", "until": 1700000000000}},
  {"match": "PUT /maintenance", "body": {}}]'
run maintenance
expect 'maintenance: shown' 'maintenance is api until 2023-11-14T22:13:20Z: Moving.' "$(cat out)"
: >api.log
run maintenance full --message 'Back soon' --until 2h
expect 'maintenance: status' 0 "$status"
expect 'maintenance: sent' '["full","Back soon",true]' "$(json_of api.log \
  '((b) => [b.mode, b.msg, Math.abs(b.until - Date.now() - 7200000) < 60000])(a[0].body)')"
run maintenance off
expect 'maintenance: off' '{"mode":"off","msg":"","until":null}' "$(json_of api.log 'a[1].body')"
script '[{"match": "PUT /apps/shop/maintenance", "body": {"app": "shop", "mode": "on"}}]'
: >api.log
run maintenance on --app shop --message 'New shelves.'
expect 'maintenance of one: status' 0 "$status"
expect 'maintenance of one: told' 'shop: maintenance on' "$(cat out)"
expect 'maintenance of one: sent' '{"mode":"on","msg":"New shelves."}' "$(json_of api.log 'a[0].body')"
run maintenance off --app shop --json
expect 'maintenance of one: json' '{"app":"shop","mode":"off"}' "$(tr -d ' \n' <out)"
for words in 'full --app shop' '--app shop' 'on --app Shop' 'on --app shop --until 2h'; do
  # shellcheck disable=SC2086
  run maintenance $words
  expect "maintenance $words" 2 "$status"
done
for words in 'on' 'api --until tomorrow' '--message x' 'api off'; do
  # shellcheck disable=SC2086
  run maintenance $words
  expect "maintenance $words" 2 "$status"
done

# ---- logs ----

script '[{"match": "GET /apps/shop/log?bytes=16384", "text": "one\ntwo \u001b[31m\n"}]'
run logs shop
expect 'logs: status' 0 "$status"
expect 'logs: bytes as they are' $'one\ntwo \e[31m' "$(cat out)"
run logs shop --json
expect 'logs: json' '["shop",14]' "$(json_of out '[a[0].app, a[0].log.length]')"
script '[{"match": "GET /apps/shop/log", "times": 2, "text": "one\ntwo\n"},
  {"match": "GET /apps/shop/log", "times": 1, "text": "two\nthree\n"},
  {"match": "GET /apps/shop/log", "times": 1, "text": "nine\n"},
  {"match": "GET /apps/shop/log", "status": 404, "body": {"error": "It is gone.", "code": "unknown"}}]'
run logs shop --follow --bytes 20
expect 'logs, followed: status' 1 "$status"
expect 'logs, followed: each line once' $'one\ntwo\nthree\nnine' "$(cat out)"
expect 'logs, followed: said' 'apps: Some of the log was not seen.
apps: It is gone.' "$(cat err)"
"$apps" list --server "$api" >/dev/full 2>err
expect 'a full disk: status' 1 "$?"

# ---- usage ----

for words in '' 'strt a' 'start' 'start a b' 'start a --host x' 'start A' \
  'start a --timeout 5' 'start --nothing' 'list --no-wait' 'start a --json=x'; do
  # shellcheck disable=SC2086
  run $words
  expect "usage: apps $words" 2 "$status"
  expect_match "usage: apps $words" 'apps: *' "$(cat err)"
done
run start a --server nonsense
expect 'no URL' 1 "$status"
for words in --help 'start --help' 'help start' 'logs -h' --version; do
  # shellcheck disable=SC2086
  run $words
  expect "usage: apps $words" 0 "$status"
  [ -s out ] || fail "apps $words says nothing"
done
finish
