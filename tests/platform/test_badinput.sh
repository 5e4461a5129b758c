#!/usr/bin/env bash
# Bad input: requests that are nearly right, or not at all, to a provisioner and
# to both ports of a drone, and documents that somebody wrote into the databases
# by hand, while an app runs. Nothing ends, nothing is lost.
# By hand, as the proof wants it: test_badinput.sh --count 10000 --seed 1
# ctest: TIMEOUT 170
# shellcheck disable=SC2119,SC2154,SC2317
set -u
count=2000 seed=1
while [ $# -gt 1 ]; do
  case $1 in
  --count) count=$2 ;;
  --seed) seed=$2 ;;
  *) echo "no such option: $1" && exit 2 ;;
  esac
  shift 2
done
command -v node >/dev/null || exit 77
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"
# shellcheck source=tests/platform/support/drones.sh
. "$root/tests/platform/support/drones.sh"
here=$root/tests/platform/badinput

cp "$CFT_PLATFORM/platform_nonce" nonce && chmod 0755 nonce || exit 77
sim_start
"$provisioner" --init --couch "$sim" 2>init.log || fail 'init'
drones_dir
prov_start a "${with_drones[@]}" --drones-least 4 --drones-most 24 \
  --start-time 5s --bind-time 5s
first_pid=${prov_pid[a]}

# The place and the claim of an app that is live.
live() { # app
  ask a POST "/apps/$1" "{\"command\":\"exec $work/nonce\",\"env\":{\"NONCE_APP\":\"$1\"}}"
  ask a POST "/apps/$1/start"
  op=$(sed -n 's/.*"op":"\([^"]*\)".*/\1/p' <<<"$body")
  await "$1 lives" '*"state":"live"*' a GET "/ops/$op?wait=10"
  addr=$(sed -n 's/.*"addr":"\([^"]*\)".*/\1/p' <<<"$body")
  claim=$(sed -n 's/.*"to":\[{[^]]*"claim":"\([0-9a-f]*\)".*/\1/p' <<<"$body")
}

document() { curl -sS --noproxy '*' "$sim/$1/$2"; } # database, id

# Another document was found to be unreadable.
is_seen() { [ "$(grep -c 'event=view.unreadable' a.log)" -gt "$seen" ]; }

# As it was, and where it was.
is_kept() { # when
  expect "$1: visited" 'app=keep nonce=?' "$(curl -sS --noproxy '*' \
    --max-time 20 -H "X-Drone-Claim: keep/$kept" "http://$place/")"
  kill -0 "$first_pid" || fail "$1: the provisioner has ended"
  kill -0 "$drone_pid" || fail "$1: the drone has ended"
}

live keep
kept=$claim place=$addr
[ -n "$kept" ] || fail "no claim: $body"
ctl=$(document locks "drone:$place" | sed -n 's/.*"ctl":"\([^"]*\)".*/\1/p')
drone_pid=
for file in drones/*/pid; do
  grep -qsF "$place" "${file%/pid}"/* && drone_pid=$(cut -d' ' -f1 "$file")
done
[ -n "$drone_pid" ] || { fail 'the drone has no pid' && finish; }
is_kept 'at first'

# ---- requests ----

node "$here/fuzz.js" --api "${api[a]#http://}" --ctl "$ctl" --guard "$place" \
  --claim "keep/$kept" --token "$(cat token)" \
  --drone-token "$(cat drone-token)" --count "$count" --seed "$seed" ||
  fail 'requests'
is_kept 'after the requests'
ask a GET /apps/keep
expect_match 'still live' "200 *\"state\":\"live\"*\"claim\":\"$kept\"*" \
  "$code $body"

# ---- documents ----

node "$here/documents.js" --couch "$sim" --count $((count / 10)) \
  --seed "$seed" || fail 'documents'
wait_until grep -q 'event=view.unreadable' a.log
is_kept 'after the documents'
ask a GET /apps
expect 'listed' 200 "$code"
ask a GET /drones
expect 'drones' 200 "$code"

# What is its own, broken, and put right after a while.
for id in apps/app:keep apps/route:keep "locks/drone:$place" \
  locks/host:keep.localhost apps/sys:tick:a locks/sys:tick:a \
  apps/sys:maintenance; do
  for bad in '{"want":7,"to":"x","state":[],"mode":7,"at":"now"}' '{}'; do
    before=$(document "${id%%/*}" "${id#*/}" | sed 's/"_rev":"[^"]*",//')
    seen=$(grep -c 'event=view.unreadable' a.log)
    sim_put "${id%%/*}" "${id#*/}" "$bad"
    # Nobody follows hosts.
    [[ $id == */host:* ]] || wait_until is_seen
    sleep 0.3 # for what must not happen
    ask a GET /apps/keep
    is_kept "$id broken"
    sim_put "${id%%/*}" "${id#*/}" "$before"
  done
done
await 'it is live again' "*\"state\":\"live\"*\"claim\":\"$kept\"*" \
  a GET /apps/keep
is_kept 'mended'

# A route is made again out of what is: without anybody's help.
sim_put apps route:keep '{"to":7}'
await 'its route is made again' "*\"state\":\"live\"*\"claim\":\"$kept\"*" \
  a GET /apps/keep
is_kept 'made again'

# ---- and all goes on ----

ask a PUT /maintenance '{"mode":"off"}'
expect 'maintenance off' 200 "$code"
live after
expect 'a new one' 'app=after nonce=?' "$(curl -sS --noproxy '*' \
  --max-time 20 -H "X-Drone-Claim: after/$claim" "http://$addr/")"
is_kept 'in the end'
grep -E 'Sanitizer|runtime error' ./*.log drones/*/log &&
  fail 'a sanitizer has found something'
prov_end a
expect 'a has ended' 0 "$status"
finish
