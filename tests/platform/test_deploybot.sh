#!/usr/bin/env bash
# A deploybot over real programs: canaries through every balancer; three stagings
# that are broken, each one mail and one when it is well again, over a restart of
# the bot; a misroute, told at once; a visitor who sees a deploy; the gate; an
# app that is left alone, one that is left behind, one that is cut short.
# ctest: TIMEOUT 170
# ctest: COST 40
# shellcheck disable=SC2119,SC2154,SC2317
set -u
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"
# shellcheck source=tests/platform/support/balancer.sh
. "$root/tests/platform/support/balancer.sh"
# shellcheck source=tests/platform/support/drones.sh
. "$root/tests/platform/support/drones.sh"
# shellcheck source=tests/platform/support/deploybot.sh
. "$root/tests/platform/support/deploybot.sh"

nodes=()
bot_world_end() {
  local status=$? pid
  for pid in $bot_pid "${nodes[@]}"; do
    kill -KILL "$pid" 2>/dev/null
  done
  bals_kill
  (exit "$status")
  drones_end
}
trap bot_world_end EXIT

# A sanitizer's shadow does not fit into an app's limit of memory.
command=()
[ "${CFT_INSTRUMENTED:-0}" = 0 ] ||
  command=(--command "exec $CFT_PLATFORM/platform_nonce")

sim_start
"$provisioner" --init --couch "$sim" 2>init.log || fail 'init'
drones_dir
prov_start p "${with_drones[@]}" --drones-least 6 --drones-most 6 \
  --app-every 50ms --domain staging.example
bal_start b1
bal_start b2
node_start front fronts.js broken "${api[p]#http://}" api.broken
nodes+=("$node_pid")
mkdir mail
printf 'Wake up and smell the incident.\n' >lines
bot_with=(--couch "$sim" --server "http://$front" --token-file token --id t
  --state state --mailbox mail --lines lines --every 1s --again 1s
  --run-time 20s --settle 2s "${command[@]}")

once() { # one that knows of no other, but of --state
  rm -f lone lone.*
  timeout 100 "$deploybot" once --listen 127.0.0.1:0 "${bot_with[@]}" "$@" \
    >out 2>>bot.log
  status=$?
}
gate() { # what is expected: status, sentence; options
  local wanted=$1 said=$2
  shift 2
  timeout 60 "$deploybot" gate --couch "$sim" --state state "$@" >out 2>err
  expect "gate, $said: status" "$wanted" "$?"
  expect_match "gate, $said" "*$said*" "$(cat out err)"
}
balancer_doc() { # name, address of visitors: an admin face that b1 has
  sim_put apps "balancer:$1" "{\"addr\":\"$2\",\"admin\":\"${bal_admin[b1]}\",
    \"boot\":\"x\",\"version\":\"1\",\"at\":0}"
}
well() { await_bot 'deploybot_runs_total{result="ok"}' "$1"; }
is_over() { [ "$(bot_metric deploybot_incident)" = 0 ]; }

# ---- one canary; the gate ----

gate 6 'No canary has ended yet'
once
expect_match 'once' '0 canary-t is well*' "$status $(cat out)"
ask p GET /apps/canary-t
expect 'nothing is left of it' 404 "$code"
gate 0 'Deploy: '
now=$((${EPOCHREALTIME/./} / 1000))
sim_put apps sys:freeze "{\"from\":$((now - 5000)),\"to\":$((now + 600000)),
  \"oncall\":[\"ann\",\"ann\",\"ben\"],\"need\":3}"
gate 3 'There is a freeze since * until *'
expect_match 'the other reason' '*Too few are on call: 2 of the 3 *ann, ben.*' \
  "$(cat err)"
sim_put apps sys:freeze "{\"to\":$((now - 1)),\"oncall\":[\"ann\"],\"need\":2}"
gate 4 'Too few are on call: 1 of the 2'
sim_put apps sys:freeze '{"from":"monday"}'
gate 1 'its from is not a whole number'
sim_put apps sys:freeze '{"oncall":["ann","ben"],"need":2}'
gate 0 'Deploy: '
gate 1 'is not known' --apps elsewhere
gate 1 'is not known' --couch http://127.0.0.1:1

# ---- an app of the same name that is none of its ----

ask p POST /apps/mine '{"command":"exec sleep 1000"}'
once --app mine --state lone
expect_match 'not its app' '1 *the app mine was made by somebody else*' \
  "$status $(cat out)"
ask p GET /apps/mine
expect 'it is still there' 200 "$code"

# ---- 1: a pool without a spare drone; the bot is killed meanwhile ----

hogs=(hog1 hog2 hog3 hog4 hog5)
for one in "${hogs[@]}"; do
  ask p POST "/apps/$one" "{\"command\":\"exec python3 -m http.server --bind 127.0.0.1 \$PORT\"}"
  ask p POST "/apps/$one/start"
done
for one in "${hogs[@]}"; do
  await "$one" '*"state":"live"*' p GET "/ops/$one.1?wait=5"
done
bot_start --run-time 3s
await_mails 1
bot_end KILL
gate 5 'The last canary failed'
bot_start --run-time 3s
await_bot 'deploybot_runs_total{result="failed"}' 1
expect 'an incident goes on' 1 "$(bot_metric deploybot_incident)"
expect 'and is told once' 1 "$(mail_count)"
for one in "${hogs[@]}"; do
  ask p DELETE "/apps/$one"
done
await_mails 2
bot_end
mail_text 1 >first
expect_match '1: the mail' '*Subject: [[]staging] canary-t: cannot * at *fails since *, 2 times*Wake up and smell the incident.' "$(cat first)"
expect_match '1: the end' '*Subject: [[]staging] canary-t: well again after *It began:  *' "$(mail_text 2)"

# ---- 2: a balancer that follows another database ----

sim_create other
bal_start b3 --apps other
await_visit 'b3 knows nothing' '404 E01 *' b3 canary-t.staging.example
bot_start
well 1
balancer_doc b3x "${bal[b3]}"
await_mails 3
sim_remove apps balancer:b3x
await_mails 4
expect_match '2: the mail' "*Subject: *cannot read the app at balancer b3x (${bal[b3]})*Request:   *Expected:  200 with the nonce *Came:      404 with the balancer's page E01*What came (*  | E01 404*" \
  "$(mail_text 3 | tr '\n' ' ' | sed 's/  *(/ (/g')"
expect_match '2: the end' '*well again after*' "$(mail_text 4)"

# ---- 3: the API says 503 ----

touch api.broken
await_mails 5
rm api.broken
await_mails 6
expect_match '3: the mail' '*Subject: *at the API http://*Came: *503*' \
  "$(mail_text 5)"
expect_match '3: the end' '*well again after*' "$(mail_text 6)"

# ---- a misroute: told at once ----

before=$(bot_metric 'deploybot_runs_total{result="failed"}')
node_start foreign fronts.js foreign
nodes+=("$node_pid")
balancer_doc bad "$foreign"
await_mails 7
expect 'no other failure was waited for' "$before" \
  "$(bot_metric 'deploybot_runs_total{result="failed"}')"
sim_remove apps balancer:bad
await_mails 8
wait_until is_over
expect_match 'misroute: the mail' "*Subject: *SOMEBODY ELSE'S PAGE at balancer bad ($foreign)*bytes that are not of this app*  | app=canary-t nonce=0000*" \
  "$(mail_text 7)"
bot_end
expect 'ended' 0 "$status"
is_old() {
  ! timeout 60 "$deploybot" gate --couch "$sim" --state state --max-age 1s \
    >/dev/null 2>&1
}
wait_until is_old
gate 6 'is not within the last 1 second' --max-age 1s

# ---- a visitor sees the deploy ----

node_start flaky fronts.js flaky "${bal[b2]}"
nodes+=("$node_pid")
once --balancer "${bal[b1]}" --balancer "$flaky" --state lone
expect_match 'a 500 meanwhile' '1 *serve visitors while a new version is deployed*a bad day*' \
  "$status $(cat out)"

# ---- maintenance is no failure ----

ask p PUT /maintenance '{"mode":"api","msg":"new disks"}'
once --state lone
expect_match 'maintenance' '3 *is in maintenance*' "$status $(cat out)"
ask p PUT /maintenance '{"mode":"off"}'

# ---- killed: cleaned up at the next start; told to end: at once ----

lives() { ask p GET /apps/canary-t && [[ $body == *'"state":"live"'* ]]; }
gone() { ask p GET /apps/canary-t && [ "$code" = 404 ]; }
balancer_doc b3x "${bal[b3]}" # so that a canary takes its time
bot_start --settle 20s --run-time 40s
wait_until lives
bot_end KILL
: >bot.log
sleep_from=$SECONDS
bot_start --settle 20s --run-time 40s
wait_until grep -q event=canary.leftover bot.log
wait_until lives
bot_end
expect 'told to end' 0 "$status"
[ $((SECONDS - sleep_from)) -lt 60 ] || fail 'it took too long to end'
wait_until gone
sim_remove apps balancer:b3x
expect 'no mail of all that' 8 "$(mail_count)"
[ "$failures" -eq 0 ] || grep -h ^Subject mail/*.eml >&2
grep -q t0ken bot.log state mail/*.eml && fail 'a token is told'
finish
