#!/usr/bin/env bash
# The admin faces of real balancers: what they tell while routes come and go,
# one differs from the other, and the database ends.
# ctest: TIMEOUT 170
# shellcheck disable=SC2119,SC2154,SC2317
set -u
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"
# shellcheck source=tests/platform/support/balancer.sh
. "$root/tests/platform/support/balancer.sh"

admin_end() {
  local status=$?
  bals_kill
  (exit "$status")
  clean_up
}
trap admin_end EXIT

claim=0123456789abcdef0123456789abcde

route() { # database, app, gen, claim's last digit
  sim_put "$1" "route:$2" "{\"app\":\"$2\",\"gen\":$3,\"state\":\"live\",
    \"code\":\"ok\",\"msg\":\"\",\"at\":0,\"hosts\":[\"$2.example\"],\"prev\":[],
    \"to\":[{\"drone\":\"127.0.0.1:9\",\"addr\":\"127.0.0.1:9\",
    \"claim\":\"$claim$4\"}]}"
}

tick() { # database
  sim_put "$1" sys:tick:p "{\"boot\":\"b\",\"n\":1,\"at\":1,\"up\":1,\"addr\":\"x\"}"
}

face() { # balancer, path, [arguments of curl]: $code, $body
  local name=$1 path=$2
  shift 2
  code=$(curl -sS --noproxy '*' --max-time 70 -o face.body -w '%{http_code}' \
    "$@" "http://${bal_admin[$name]}$path") || code=none
  body=$(cat face.body)
}

await_face() { # what, pattern of "code body", balancer, path
  local until=$((SECONDS + 60))
  while :; do
    face "$3" "$4"
    # shellcheck disable=SC2053
    [[ "$code $body" == $2 ]] && return
    if [ "$SECONDS" -ge "$until" ]; then
      fail "$1: never like \"$2\", but \"$code $body\""
      return
    fi
    sleep 0.05
  done
}

sim_start
sim_create apps
sim_create other
route apps shop 1 1
route apps blog 1 2
route other shop 9 3
tick apps
tick other
bal_start b1 --stale-time 2s
bal_start b2
await_face 'b1 follows' '200 *"source":"database"*' b1 /status
await_face 'b2 follows' '200 *"source":"database"*' b2 /status
await_face 'they know each other' '200 *"peers":?{"id":"b2",*"answers":true*' \
  b1 /status

# Who waits for a claim is told when it is there.
face b1 "/route/shop.example?claim=${claim}1"
expect 'the claim serves' 200 "$code"
curl -s --noproxy '*' --max-time 70 -o waited.body -w '%{http_code}' \
  "http://${bal_admin[b1]}/route/shop.example?claim=${claim}4&wait=60" >waited &
waiter=$!
waits() {
  curl -s --noproxy '*' "http://${bal_admin[b1]}/metrics" |
    grep -q '^balancer_admin_waiting 1$'
}
wait_until waits
route apps shop 2 4
wait "$waiter"
expect 'who waited is told' 200 "$(cat waited)"
expect_match 'of the new one' '*"gen":2,*"served":true*' "$(cat waited.body)"
face b2 "/route/shop.example?claim=${claim}4&wait=60"
expect 'the other has it, too' 200 "$code"
sim_remove apps route:blog
await_face 'what is gone is gone' '404 *no app has this host*' b1 \
  /route/blog.example

# Their digests are one, and an audit finds nothing.
face b1 /digest
digest=$(sed -n 's/.*"digest":"\([0-9a-f]*\)".*/\1/p' <<<"$body")
expect_match 'a digest' '????????????????????????????????' "$digest"
await_face 'the same digest' "200 *\"digest\":\"$digest\",\"routes\":1,*" b2 \
  /digest
face b1 "/diff?peer=b2"
expect_match 'nothing differs' '200 *"same":true,"differences":??,*' \
  "$code $body"
face b1 /audit -X POST
expect 'an audit' 202 "$code"
await_face 'it was made' '200 *"audits":[1-9]*,"repairs":0,*' b1 /status

# Pages are counted by their codes.
visit b1 nobody.example
expect 'no such host' '404 E01' "$code $page"
visit b1 shop.example
expect 'nobody is at its address' '502 E10' "$code $page"
await_face 'they are counted' '200 *"errors":{"E01":1,*"E10":1,*' b1 /status

# One that holds other routes is told of, by all who know it.
bal_start b3 --apps other --peer "http://${bal_admin[b1]}"
await_face 'drift is seen' '200 ok?warning: drift: b1 *' b3 /healthz
face b3 "/diff?peer=http://${bal_admin[b1]}"
expect_match 'and what it is' '200 *"differences":?{"app":"shop",*' \
  "$code $body"

# Without the database: it serves on, says that it is stale, and stays in.
kill -KILL "$SIM_PID"
SIM_PID=
await_face 'stale' '200 ok?*warning: stale: nothing has come*' b1 /healthz
face b1 /route/shop.example
expect 'the route is there' 200 "$code"

# The end: who waits is told, and the program ends well.
curl -s --noproxy '*' --max-time 70 -o waited.body -w '%{http_code}' \
  "http://${bal_admin[b1]}/route/none.example?wait=60" >waited &
waiter=$!
wait_until waits
for name in b1 b2 b3; do
  bal_end "$name"
  expect "how $name ended" 0 "$status"
done
wait "$waiter"
expect 'who waited is told of the end' 503 "$(cat waited)"
finish
