#!/usr/bin/env bash
# The command apps, a provisioner, the drones it makes, and a database: an app is
# created, started, visited through its drone's guard, and each other end.
# ctest: TIMEOUT 170
# shellcheck disable=SC2016,SC2119,SC2154,SC2317
set -u
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"

drone=$CFT_PLATFORM/drone apps=$CFT_PLATFORM/apps
nonce=$CFT_PLATFORM/platform_nonce
for program in "$drone" "$apps" "$nonce"; do
  [ -x "$program" ] || { echo "no $program"; exit 77; }
done
command -v node >/dev/null 2>&1 || { echo 'no node'; exit 77; }

# Drones outlive their provisioner: they end with the test.
drone_pids() { cat drones/*/pid 2>/dev/null | cut -d' ' -f1; }
any_drone() {
  local pid
  for pid in $(drone_pids); do
    kill -0 "$pid" 2>/dev/null && return 0
  done
  return 1
}
end_drones() {
  local status=$? pid tries=200
  for pid in $(drone_pids); do
    kill -TERM "$pid" 2>/dev/null
  done
  while any_drone && [ "$((tries -= 1))" -gt 0 ]; do
    sleep 0.05
  done
  (exit "$status")
  clean_up
}
trap end_drones EXIT

sim_start
"$provisioner" --init --couch "$sim" 2>init.log || fail 'init'
mkdir -m 0700 drones run
as=()
[ "$(id -u)" -ne 0 ] || as=(--drone-user root)
prov_start a --driver local --driver-dir "$work/drones" "${as[@]}" \
  --drones-least 2 --drones-most 2 --start-time 4s --app-every 1s
export APPS_SERVER=${api[a]} APPS_TOKEN_FILE=$work/token
export XDG_RUNTIME_DIR=$work/run

run() {
  timeout 100 "$apps" "$@" >out 2>err </dev/null
  status=$?
}
of_json() { node -pe 'const o = JSON.parse(require("fs").readFileSync("out")); '"$1"; }

# Whose page the guard at an address shows for a claim; the status in $visited.
visit() { # app/claim
  visited=$(curl -sS --noproxy '*' --max-time 10 -o page -w '%{http_code}' \
    -H "X-Drone-Claim: $1" "http://$addr/")
}

"$apps" list --follow --couch "$sim" --json >followed 2>followed.err </dev/null &
follower=$!

# ---- created, started, visited ----

run create hello --command "exec $nonce" --host hello.example \
  --env NONCE_APP=hello --env NONCE=first
expect 'create' 0 "$status"
run start hello
expect 'start' 0 "$status"
expect_match 'start: said' 'hello is live at http://hello.example/*' "$(cat out)"
run status hello --json
expect 'status' 0 "$status"
addr=$(of_json 'o.route.to[0].addr')
claim=$(of_json 'o.route.to[0].claim')
visit "hello/$claim"
expect 'visit' '200 app=hello nonce=first' "$visited $(cat page)"
visit "hello/${claim//[0-9]/0}"
expect 'another claim' 421 "$visited"
run list
expect_match 'list' "hello * live * hello.example * $addr" "$(tr -s ' ' '*' <out | tr '*' ' ' | sed 's/ / * /;s/ live / live * /;s/example /example * /')"
run drones
expect 'drones: one is bound' 1 "$(grep -c "^$addr * bound * hello * ${claim:0:8}\$" out)"
run logs hello
expect 'logs' 0 "$status"

# Again: the same operation, and not a byte of another app.
run start hello --json
expect 'start again' '0 hello.1 live' "$status $(of_json '[o.op, o.state].join(" ")')"
run create hello --command "exec $nonce" --host hello.example \
  --env NONCE_APP=hello --env NONCE=second
expect 'change' 0 "$status"
run restart hello --timeout 60s
expect 'restart' 0 "$status"
run status hello --json
addr=$(of_json 'o.route.to[0].addr')
claim=$(of_json 'o.route.to[0].claim')
visit "hello/$claim"
expect 'visit after the restart' '200 app=hello nonce=second' "$visited $(cat page)"

# ---- what can go wrong ----

run create bad --command 'exit 3'
run start bad --timeout 60s
expect 'an app that fails' 5 "$status"
expect_match 'an app that fails: said' '*bad has failed: *' "$(cat err)"
run create other --command "exec $nonce" --host hello.example
expect 'a host that is taken' 1 "$status"
expect_match 'a host that is taken: said' '*hello.example*hello*' "$(cat err)"
run create two --command "exec $nonce" --env NONCE_APP=two
run start two --timeout 60s
expect 'the last drone' 0 "$status"
run create three --command "exec $nonce" --env NONCE_APP=three
run start three --no-wait
expect 'no drone, no wait' 3 "$status"
run start three --timeout 2s
expect 'no drone' 4 "$status"
: >three.err
"$apps" start three --timeout 60s >three.out 2>three.err </dev/null &
three=$!
wait_until grep -q 'three: queued for a drone, place 1' three.err
run stop two --timeout 60s
expect 'stop' 0 "$status"
wait "$three"
expect 'a drone came free' 0 "$?"
run maintenance api --message 'Moving house.'
expect 'maintenance' 0 "$status"
run stop three
expect 'stop in maintenance' 6 "$status"
expect_match 'stop in maintenance: said' '*Moving house.*' "$(cat err)"
run status three
expect 'visitors do not notice' 0 "$status"
run maintenance off
run destroy hello --timeout 60s
expect 'destroy' 0 "$status"
visit "hello/$claim"
expect 'nobody is there' 421 "$visited"
run status hello
expect 'destroyed' 1 "$status"
# Another drone for it on demand, but not again and again.
run start three --force
expect 'force' 0 "$status"
run start three --force --timeout 3s
expect 'force again' 7 "$status"
expect_match 'force again: said' '* Ask again in [0-9]* s.' "$(cat err)"
(umask 077 && echo wrong >wrong)
run list --token-file wrong
expect 'wrong token' 1 "$status"

# ---- what the feed has shown ----

shown() { grep -q '"app":"hello","state":"gone"' followed; }
wait_until shown
kill -TERM "$follower"
wait "$follower"
expect 'follower: status' 0 "$?"
expect 'follower: errors' '' "$(cat followed.err)"
grep -q '"app":"hello","state":"live"' followed || fail 'follower: hello was not live'
grep -q '"app":"three","state":"queued"' followed || fail 'follower: three was not queued'
prov_end a
expect 'the provisioner ends' 0 "$status"
finish
