#!/usr/bin/env bash
# A balancer that serves nobody beside live ones: it compares every host, ends
# well when nothing differs, and says what does.
# ctest: TIMEOUT 170
# shellcheck disable=SC2119,SC2154,SC2317
set -u
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"
# shellcheck source=tests/platform/support/balancer.sh
. "$root/tests/platform/support/balancer.sh"

shadow_end() {
  local status=$?
  bals_kill
  (exit "$status")
  clean_up
}
trap shadow_end EXIT

route() { # app, gen, claim: its route, live
  sim_put apps "route:$1" "{\"app\":\"$1\",\"gen\":$2,\"state\":\"live\",
    \"code\":\"ok\",\"msg\":\"\",\"at\":0,\"hosts\":[\"$1.example\"],\"prev\":[],
    \"to\":[{\"drone\":\"127.0.0.1:9\",\"addr\":\"127.0.0.1:9\",\"claim\":\"$3\"}]}"
}

tick() { sim_put apps sys:tick:p '{"boot":"b","n":1,"at":1,"up":1,"addr":"x"}'; }

shadow() { # what is told, peers: for longer, where that was not seen in time
  local told=$1 words=() name seconds
  shift
  for name in "$@"; do
    words+=(--peer "http://${bal_admin[$name]}")
  done
  for seconds in 5 15 40; do
    timeout 80 "$balancer" --couch "$sim" --shadow --admin 127.0.0.1:0 \
      --for "${seconds}s" "${words[@]}" >out 2>shadow.log
    status=$?
    # shellcheck disable=SC2053
    [[ $(cat out) == $told ]] && return
  done
  fail "a shadow never told \"$told\", but \"$(cat out)\""
}

synced() {
  curl -sf --noproxy '*' "http://${bal_admin[$1]}/status" |
    grep -q '"source":"database"'
}

sim_start
curl -s --noproxy "*" -X PUT "$sim/apps" >/dev/null
claim=0123456789abcdef0123456789abcde
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
  route "shop-$i" 3 "$claim$(printf %x "$((i % 10))")"
done
sim_put apps route:blog '{"app":"blog","gen":1,"state":"stopped","code":"",
  "msg":"","at":0,"hosts":["blog.example","www.blog.example"],"to":[],"prev":[]}'
tick
bal_start b1
bal_start b2
wait_until synced b1
wait_until synced b2

shadow 'balancer: [1-9]* answers compared, 0 differ' b1 b2
expect 'the same: status' 0 "$status"
expect 'no document of a shadow' 0 \
  "$(curl -s --noproxy '*' "$sim/apps/_all_docs" | grep -o '"id":"balancer:[^"]*"' |
    grep -vcE ':b[12]"')"

# Somebody who is not asked, or is not there, is no proof.
bal_end b2 KILL
bal_admin[b2]=127.0.0.1:1
shadow '*not every host at every peer was compared yet' b1 b2
expect 'one is away: status' 1 "$status"

# One that follows another database differs for good.
curl -s --noproxy '*' -X PUT "$sim/other" >/dev/null
sim_put other route:shop-3 '{"app":"shop-3","gen":2,"state":"stopped","code":"",
  "msg":"","at":0,"hosts":["shop-3.example"],"to":[],"prev":[]}'
bal_start b3 --apps other
wait_until synced b3
shadow '*answers compared, [1-9]* differ*' b1 b3
expect 'another table: status' 1 "$status"
expect_match 'which host, whose, and how' \
  "*event=shadow.differs host=shop-3.example peer=http://${bal_admin[b3]} ours=\"shop-3 3 live ${claim}3\" theirs=\"shop-3 2 stopped\"*" \
  "$(cat shadow.log)"
grep -q "differs.*${bal_admin[b1]}" shadow.log && fail 'b1 does not differ'

bal_end b1
expect 'b1 ended' 0 "$status"
finish
