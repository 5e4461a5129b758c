#!/usr/bin/env bash
# The whole way, on the programs themselves: apps asks a provisioner, which makes
# drones and writes routes, and three balancers take visitors there. Nobody sees
# an error while an app is moved, nor while the database is away.
#
#   test_balancer_path.sh [--away SECONDS] [--engine NAME]
#
#     --away     how long the database is away (4)
#     --engine   what serves visitors: embedded, or haproxy: each balancer has
#                an HAProxy of its own, which stays when it ends
#
# ctest: TIMEOUT 170
# ctest: COST 40
# shellcheck disable=SC2119,SC2154,SC2317
set -u
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"
# shellcheck source=tests/platform/support/drones.sh
. "$root/tests/platform/support/drones.sh"
# shellcheck source=tests/platform/support/balancer.sh
. "$root/tests/platform/support/balancer.sh"
apps=$CFT_PLATFORM/apps nonce=$CFT_PLATFORM/platform_nonce
for program in "$apps" "$nonce"; do
  [ -x "$program" ] || { echo "no $program"; exit 77; }
done
command -v node >/dev/null 2>&1 || { echo 'no node'; exit 77; }
away=4
while [ $# -gt 0 ]; do
  case $1 in
    --away) away=${2:?--away takes seconds} ;;
    --engine) bal_engine=${2:?--engine takes embedded or haproxy} ;;
    *) echo "test_balancer_path.sh: $1?" >&2 && exit 2 ;;
  esac
  shift 2
done
options=(--threads 1 --snapshot-every 200ms --max-connections 500)
# HAProxy's pages have no words of a document.
words='*Back at noon.*'
case $bal_engine in
  embedded) ;;
  haproxy)
    command -v haproxy >/dev/null 2>&1 || { echo 'no haproxy'; exit 77; }
    words='*'
    ;;
  *) echo "test_balancer_path.sh: there is no engine $bal_engine" >&2 && exit 2 ;;
esac
declare -A load_pid
all=(b1 b2 b3)

path_end() {
  local status=$? pid
  for pid in "${load_pid[@]}"; do
    kill -KILL "$pid" 2>/dev/null
  done
  bals_kill
  (exit "$status")
  drones_end
}
trap path_end EXIT

run() {
  timeout 100 "$apps" "$@" >out 2>err </dev/null
  status=$?
}

# ---- visitors ----

load_start() { # name
  : >"load.$1.begun"
  node "$root/tests/platform/visit/load.js" "${bal[$1]}" shop.example \
    'app=shop nonce=' >"load.$1" 2>>"load.$1.begun" &
  load_pid[$1]=$!
  wait_until grep -q begun "load.$1.begun"
}

# Everybody got the app's own page, on the connections he began with.
load_end() { # what, name
  kill -TERM "${load_pid[$2]}"
  wait "${load_pid[$2]}"
  unset "load_pid[$2]"
  printf "%s: visitors of %s: %s\n" "$1" "$2" "$(cat "load.$2")"
  expect_match "$1: visitors of $2" '{"ok":[1-9]*,"wrong":0,"connections":4,*' \
    "$(cat "load.$2")"
}

# Those of a balancer that ends go before, and come when it is back; those of an
# HAProxy stay.
load_leave() { # what, name
  [ "$bal_engine" = haproxy ] || load_end "$@"
}

load_come() { # name
  [ "$bal_engine" = haproxy ] || load_start "$1"
}

each() { # what, pattern
  local name
  for name in "${all[@]}"; do
    await_visit "$1" "$2" "$name" shop.example
  done
}

# Until all have said so, and from then on none says anything else.
stays() { # what, wanted
  local name i
  each "$1" "$2"
  for ((i = 0; i < 20; i++)); do
    for name in "${all[@]}"; do
      visit "$name" shop.example
      expect_match "$1, later" "$2" "$code $page $body"
    done
  done
}

# ---- the programs ----

sim_start
"$provisioner" --init --couch "$sim" 2>init.log || fail 'init'
drones_dir
cp "$nonce" nonce # where a drone of another user can get at it
nonce=$work/nonce
mkdir -m 0700 run
prov_start a "${with_drones[@]}" --drones-least 3 --drones-most 3 \
  --app-every 200ms --force-every 200ms --rate 1000
export APPS_SERVER=${api[a]} APPS_TOKEN_FILE=$work/token
export XDG_RUNTIME_DIR=$work/run
for name in "${all[@]}"; do
  bal_start "$name" "${options[@]}"
done

# ---- created, started, visited ----

each 'no such app' '404 E01 *'
run create shop --command "exec $nonce" --host shop.example \
  --env NONCE_APP=shop --env NONCE=first
expect 'create' 0 "$status"
stays 'never started' '503 E04 *'
run start shop
expect 'start' 0 "$status"
expect_match 'start: said' '*is live*balancers 3/3*' "$(cat out err)"
for name in "${all[@]}"; do
  visit "$name" shop.example
  expect 'told live, it is' '200  app=shop nonce=first' "$code $page $body"
done

# ---- moved, and nobody sees it ----

for name in "${all[@]}"; do
  load_start "$name"
done
run start shop --force
expect 'force' 0 "$status"
run create shop --command "exec $nonce" --host shop.example \
  --env NONCE_APP=shop --env NONCE=second
expect 'change' 0 "$status"
run restart shop
expect 'restart' 0 "$status"
each 'restart' '200  app=shop nonce=second'
run start shop --force
expect 'force again' 0 "$status"
for name in "${all[@]}"; do
  load_end 'moved' "$name"
done

# ---- stopped, closed, gone ----

run stop shop
expect 'stop' 0 "$status"
each 'stopped' '503 E04 *'
run start shop
expect 'started again' 0 "$status"
run maintenance full --message 'Back at noon.'
each 'maintenance' "503 E31 $words"
run maintenance off
each 'open again' '200  app=shop*'

# ---- a balancer dies ----

balancers_say() { # pattern of what apps says
  local until=$((SECONDS + 60))
  while :; do
    run start shop
    # shellcheck disable=SC2053
    [[ $(cat out err) == $1 ]] && return
    [ "$SECONDS" -lt "$until" ] || break
    sleep 0.2
  done
  fail "apps never says \"$1\", but \"$(cat out err)\""
}
bal_end b3 KILL
balancers_say '*balancers 2/3*b3*'
if [ "$bal_engine" = haproxy ]; then
  visit b3 shop.example
  expect_match 'HAProxy goes on' '200  app=shop*' "$code $page $body"
fi
bal_start b3 "${options[@]}"
balancers_say '*balancers 3/3*'

# Nobody is told live where visitors would not find it so.
if [ "$bal_engine" = haproxy ]; then
  hap_end b3 KILL
  balancers_say '*balancers 2/3*b3*'
  hap_start b3 "${options[@]}"
  balancers_say '*balancers 3/3*'
  visit b3 shop.example
  expect_match 'told live again, it is' '200  app=shop*' "$code $page $body"
fi

# ---- the database is away ----

for name in "${all[@]}"; do
  load_start "$name"
done
sim_tell node '{"node":0,"up":false}'
load_leave 'before it dies' b2
bal_end b2 KILL
bal_start b2 "${options[@]}"
load_come b2
load_leave 'before it is ended' b1
bal_end b1
expect 'a balancer ends, the database away' 0 "$status"
bal_start b1 "${options[@]}"
load_come b1
sleep "$away" # so long it is to be away
sim_tell node '{"node":0,"up":true}'
run start shop --force
expect 'moved, the database back' 0 "$status"
balancers_say '*balancers 3/3*'
for name in "${all[@]}"; do
  load_end 'the database away' "$name"
done

# ---- the end ----

run destroy shop
expect 'destroy' 0 "$status"
each 'destroyed' '404 E01 *'
for name in "${all[@]}"; do
  bal_end "$name"
  expect "$name ends" 0 "$status"
done
for name in "${!hap_pid[@]}"; do
  visit "$name" shop.example
  expect "HAProxy of $name goes on" '404 E01' "$code $page"
  hap_end "$name"
done
prov_end a
expect 'the provisioner ends' 0 "$status"
finish
