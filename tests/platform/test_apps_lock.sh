#!/usr/bin/env bash
# One run of apps at a time for an app of a server; and what a terminal sees.
# shellcheck disable=SC2016,SC2119,SC2317
set -u
# shellcheck source=tests/platform/support/apps.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/apps.sh"

script '[{"match": "POST /apps/slow/start", "status": 202, "body":
    {"op": "slow.1", "state": "starting"}},
  {"match": "GET /ops/slow.1", "delay_ms": 500, "body":
    {"op": "slow.1", "state": "starting"}},
  {"match": "POST /apps/other/start", "body": {"op": "other.1", "state": "live"}}]'
api_start

# ---- a second run waits for the first ----

"$apps" start slow --quiet --timeout 60s &
first=$!
strays+=("$first")
disown
is_asked() { [ "$(asked "$1")" -ge 1 ]; }
wait_until is_asked 'GET /ops/slow.1'
run start slow --no-wait
expect 'no wait: status' 3 "$status"
expect 'no wait: said' "apps: slow: apps start slow (process $first) is under way." "$(cat err)"
run stop slow --timeout 1s
expect 'time over: status' 3 "$status"
expect 'time over: said' "slow: waiting for apps start slow (process $first)
apps: slow: apps start slow (process $first) is still under way, and the time is over." "$(cat err)"
run start other --no-wait
expect 'another app: status' 0 "$status"
run status slow --timeout 1s
expect 'who only looks is not kept' 1 "$status"
expect 'posts' 1 "$(asked 'POST /apps/slow')"
APPS_SERVER=${api/127.0.0.1/localhost} run start slow --no-wait --json
expect 'another server: status' 3 "$status"
expect 'another server: posts' 2 "$(asked 'POST /apps/slow')"

# One that is killed leaves nothing behind; who waited goes on.
"$apps" start slow --timeout 60s >second.out 2>second.err &
second=$!
wait_until grep -q 'waiting for' second.err
script '[{"match": "POST /apps/slow/start", "body": {"op": "slow.2", "state": "live"}}]'
kill -KILL "$first"
wait "$second"
expect 'waited: status' 0 "$?"
expect 'waited: said' 'slow is live' "$(cat second.out)"
expect 'the directory' 700 "$(stat -c %a run/apps)"
expect 'the files' 600 "$(stat -c %a run/apps/slow.* | sort -u)"

# ---- what others may have put there ----

refuses() { # what, said
  : >api.log
  run start slow
  expect "$1: status" 1 "$status"
  expect_match "$1: said" "$2" "$(cat err)"
  expect "$1: posts" 0 "$(asked 'POST /apps/slow')"
}
file=$(echo run/apps/slow.*)
file=${file%% *}
rm run/apps/slow.*
script '[{"match": "POST /apps/slow/start", "body": {"op": "slow.2", "state": "live"}}]'
run start slow
file=$(echo run/apps/slow.*)
rm "$file"
echo precious >victim
ln -s "$work/victim" "$file"
refuses 'a link' '*cannot be used: it is a link.'
expect 'a link: untouched' precious "$(cat victim)"
rm "$file"
ln victim "$file"
refuses 'a hard link' '*cannot be used: it is no file of ours.'
expect 'a hard link: untouched' precious "$(cat victim)"
rm "$file"
mkfifo "$file"
refuses 'a pipe' '*cannot be used: it is no file of ours.'
rm "$file"
chmod 0770 run/apps
refuses 'a shared directory' '*cannot be used: others may use it (chmod 700 it).'
rm -rf run/apps
mkdir elsewhere && chmod 700 elsewhere
ln -s "$work/elsewhere" run/apps
refuses 'a linked directory' '*cannot be used: it is no directory.'
rm run/apps
XDG_RUNTIME_DIR=/nowhere run start slow
expect 'without a runtime directory: status' 0 "$status"
expect 'without a runtime directory: in /tmp' 700 "$(stat -c %a "/tmp/apps-$(id -u)")"

# ---- a terminal ----

if command -v script >/dev/null && type -P script >/dev/null; then
  cat >script.json <<'END'
[{"match": "POST /apps/slow/start", "status": 202, "body":
    {"op": "slow.1", "state": "queued", "position": 2}},
 {"match": "GET /ops/slow.1", "times": 1, "body":
    {"op": "slow.1", "state": "starting", "msg": "A \u001b[31m\u009b31m very long message that does not fit on one line of any terminal that people have used so far, and then some words more, to be sure of it, and more."}},
 {"match": "GET /ops/slow.1", "body": {"op": "slow.1", "state": "live"}}]
END
  TERM=xterm "$(type -P script)" -qec "'$apps' start slow" typescript \
    >/dev/null </dev/null
  sed -e '1d' -e '$d' typescript | tr '\r\033' '\n^' >screen
  grep -q '^\^\[Kslow: starting: A ?\[31m?31m very long' screen ||
    fail "terminal: no line replaced in $(cat screen)"
  [ "$(grep -c 'slow is live' screen)" -eq 1 ] || fail "terminal: $(cat screen)"
  [ "$(awk '{ if (length($0) > most) most = length($0) } END { print most }' screen)" -le 84 ] ||
    fail 'terminal: a line is longer than the terminal'
  TERM=dumb "$(type -P script)" -qec "'$apps' start slow" typescript \
    >/dev/null </dev/null
  sed -e '1d' -e '$d' typescript | tr '\r\033' '\n^' >screen
  grep -q '\^' screen && fail 'a dumb terminal was told to do something'
fi
finish
