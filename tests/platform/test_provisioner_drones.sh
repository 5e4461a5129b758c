#!/usr/bin/env bash
# Provisioners with drones that they make themselves: an app is created, started,
# visited, moved, its provisioner killed, and it is there all the time; the last
# one stops it.
# ctest: TIMEOUT 170
# shellcheck disable=SC2016,SC2119,SC2154,SC2317
set -u
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"

drone=$CFT_PLATFORM/drone
if [ ! -x "$drone" ] || ! command -v python3 >/dev/null 2>&1; then
  echo "no $drone, or no python3"
  exit 77
fi

# Drones outlive their provisioner: they end with the test.
end_drones() {
  local status=$? file
  for file in drones/*/pid; do
    [ -s "$file" ] && kill -TERM "$(cut -d' ' -f1 "$file" | head -n 1)"
  done 2>/dev/null
  for file in drones/*/pid; do
    [ -s "$file" ] &&
      wait_gone "$(cut -d' ' -f1 "$file" | head -n 1)"
  done
  (exit "$status")
  clean_up
}
wait_gone() {
  local tries=200
  while kill -0 "$1" 2>/dev/null && [ "$tries" -gt 0 ]; do
    sleep 0.05
    tries=$((tries - 1))
  done
}
trap end_drones EXIT

sim_start
"$provisioner" --init --couch "$sim" 2>init.log || fail 'init'
mkdir -m 0700 drones
with=(--driver local --driver-path "$drone" --driver-dir "$work/drones"
  --drones-least 3 --drones-most 6)
# Root's drones become somebody else, who has to get at what is his.
if [ "$(id -u)" -eq 0 ]; then
  with+=(--drone-user nobody)
  chmod 0711 "$work"
fi
prov_start a "${with[@]}"

site() { # what it says
  printf '{"command":"echo %s >index.html; exec python3 -m http.server $PORT --bind 127.0.0.1"}' "$1"
}

# The place and the claim of what is live, out of an answer.
take_place() {
  addr=$(sed -n 's/.*"addr":"\([^"]*\)".*/\1/p' body)
  claim=$(sed -n 's/.*"to":\[{[^]]*"claim":"\([0-9a-f]*\)".*/\1/p' body)
}

visit() { # app, [claim]: the page, and its status in $visited
  visited=$(curl -sS --noproxy '*' --max-time 10 -o page -w '%{http_code}' \
    -H "X-Drone-Claim: $1/${2-$claim}" "http://$addr/index.html")
  cat page
}

live() { # provisioner, operation
  local until=$((SECONDS + 60))
  while :; do
    ask "$1" GET "/ops/$2?wait=10"
    [[ $body == *'"state":"live"'* ]] && break
    if [[ $body == *'"state":"failed"'* ]] || [ "$SECONDS" -ge "$until" ]; then
      fail "$2 does not live: $body"
      break
    fi
  done
  take_place
}

# ---- created, started, visited ----

ask a POST /apps/hello "$(site first)"
expect 'created' 201 "$code"
ask a POST /apps/hello/start
expect_match 'started' '202 {"op":"hello.1",*' "$code $body"
live a hello.1
expect 'visited' first "$(visit hello)"
expect_match 'by its host' '*"url":"http://hello.localhost/"*' "$body"
visit hello "${claim//[0-9]/a}" >/dev/null
expect 'another claim is none of its' 421 "$visited"
ask a POST /apps/hello/start
expect_match 'it is live' '200 {"op":"hello.1",*"state":"live"*"acks":"0/0"*"coalesced":*"drone":*"claim":*' \
  "$code $body"
ask a GET /apps/hello/log
expect_match 'its log' '*GET /index.html*' "$body"
ask a GET /drones
expect_match 'its drone' '*"state":"bound"*"app":"hello"*' "$body"

# ---- moved by force, once ----

first=$addr
ask a POST /apps/hello/start '{"force":true}'
expect_match 'forced' '202 {"op":"hello.2",*' "$code $body"
live a hello.2
[ "$addr" != "$first" ] || fail "it was not moved from $first"
expect 'visited there' first "$(visit hello)"
ask a POST /apps/hello/start '{"force":true}'
expect 'forced again' 429 "$code"

# ---- another definition ----

ask a POST /apps/hello "$(site second)"
expect_match 'changed' '200 *"restart":true}' "$code $body"
ask a POST /apps/hello/start
live a hello.3
expect 'the new one' second "$(visit hello)"

# ---- the provisioner is killed; what runs, runs; the next one goes on ----

kill -KILL "${prov_pid[a]}"
wait "${prov_pid[a]}" 2>/dev/null
unset 'prov_pid[a]'
expect 'without a provisioner' second "$(visit hello)"
prov_start b "${with[@]}" --start-time 8s
ask b GET /ops/hello.3
expect_match 'it is known' '200 *"state":"live"*' "$code $body"
expect 'and where it was' "$addr" \
  "$(sed -n 's/.*"addr":"\([^"]*\)".*/\1/p' body)"
ask b POST /apps/other "$(site other)"
ask b POST /apps/other/start
live b other.1
expect 'another one' other "$(visit other)"

# ---- what does not answer has failed ----

ask b POST /apps/bad '{"command":"exit 3"}'
ask b POST /apps/bad/start
expect 'it is tried' 202 "$code"

# ---- meanwhile: stopped, destroyed ----

ask b GET /apps/hello
take_place
ask b POST /apps/hello/stop
expect_match 'stopped' '20[02] *' "$code $body"
await 'stopped' '*"state":"stopped"*' b GET '/ops/hello.4?wait=10'
is_refused() {
  visit hello >/dev/null
  [ "$visited" = 421 ]
}
wait_until is_refused
ask b DELETE /apps/other
expect 'destroyed' 202 "$code"
await 'gone' '*"state":"stopped"*' b GET '/ops/other.2?wait=10'
await 'it has failed' '*"state":"failed"*"code":"app"*' b GET '/ops/bad.1?wait=10'
ask b POST /apps/bad "$(site good)"
ask b POST /apps/bad/start
live b bad.2
expect 'mended' good "$(visit bad)"

# ---- the same by the command ----

if [ -x "$CFT_PLATFORM/apps" ]; then
  mkdir -m 0700 run
  apps() {
    XDG_RUNTIME_DIR=$work/run HOME=$work timeout 100 "$CFT_PLATFORM/apps" \
      --server "${api[b]}" --token-file "$work/token" "$@" >out 2>err
    status=$?
  }
  apps create tool --command \
    'echo tool >index.html; exec python3 -m http.server $PORT --bind 127.0.0.1'
  expect 'apps create' 0 "$status"
  apps start tool
  expect "apps start, $(cat err)" 0 "$status"
  expect_match 'apps start: said' 'tool is live at http://tool.localhost/*' \
    "$(cat out)"
  ask b GET /apps/tool
  take_place
  expect 'visited' tool "$(visit tool)"
  apps logs tool
  expect_match 'apps logs' '*GET /index.html*' "$(cat out)"
  apps maintenance api
  expect 'apps maintenance' 0 "$status"
  await 'maintenance is seen' '*"mode":"api"*' b GET /maintenance
  apps stop tool
  expect 'apps stop, in maintenance' 6 "$status"
  expect 'visited all the same' tool "$(visit tool)"
  apps maintenance off
  await 'and over' '*"mode":"off"*' b GET /maintenance
  apps stop tool
  expect "apps stop, $(cat err)" 0 "$status"
  apps destroy tool
  expect "apps destroy, $(cat err)" 0 "$status"
fi

grep -q 't0ken' ./*.log drones/*/log && fail 'a token is in a log'
prov_end b
expect 'b has ended' 0 "$status"
finish
