#!/usr/bin/env bash
# Signals end the command well, soon, and in every state it can be in.
# ctest: LABEL threads
# ctest: SERIAL
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

# The promise is 300 ms. A busy machine may be late, but not each time.
expect_soon() { # what, milliseconds...
  local what=$1 best=$2 each
  shift
  for each in "$@"; do
    [ "$each" -lt "$best" ] && best=$each
    [ "$each" -lt 5000 ] || fail "$what: stopped after $each ms"
  done
  [ "${CFT_INSTRUMENTED:-0}" != 0 ] || [ "$best" -le 300 ] ||
    fail "$what: stopped after $* ms, never within 300"
}

# Starts the command, waits until a condition holds, and stops it; three times.
stop_when() { # what, condition, signal, argument...
  local what=$1 condition=$2 signal=$3 took=() n
  shift 3
  for n in 1 2 3; do
    : >err # not what the run before has told
    : >peer.log
    "$command" --events "$@" >"${out:-out}" 2>err &
    pid=$!
    wait_until "$condition"
    stop_command "$signal" "$pid"
    took+=("$took_ms")
    expect "$what: status, run $n" 0 "$status"
    expect "$what: the end is told" '["end",0]' \
      "$(json_of err '[a.at(-1).event, a.at(-1).code]')"
  done
  expect_soon "$what" "${took[@]}"
}

is_live() { grep -q '"state":"live"' err; }
is_waiting() { grep -q '"state":"waiting"' err; }
was_asked() { [ -s peer.log ]; }
is_paused() { grep -q '"state":"paused"' err; }

new_database signals
db_fill "$database" 1 10
for signal in INT TERM HUP; do
  stop_when "live, $signal" is_live "$signal" "$url"
  expect "live, $signal: rows" 10 "$(lines out)"
done
stop_when "refused" is_waiting TERM http://127.0.0.1:1/db
start_peer --silent
stop_when "silent server" was_asked TERM "$peer/db"

# Nobody reads standard output.
for ((n = 0; n < 20; n++)); do
  db_fill "$database" $((n * 1000)) $((n * 1000 + 999))
done
mkfifo pipe
# It keeps the pipe open and reads nothing.
# shellcheck disable=SC2217
sleep 300 <pipe &
reader=$!
out=pipe
stop_when "blocked" is_paused TERM --seq_interval=1 "$url"
out=out

# ---- more than one signal ----

# Some callers send the same signal twice at once: still an orderly end.
: >err
"$command" --events --seq_interval=1 "$url" >pipe 2>err &
pid=$!
wait_until is_paused
kill -INT "$pid"
sleep 0.02
kill -INT "$pid" 2>/dev/null
wait "$pid"
expect "two at once: status" 0 $?
expect "two at once: the end is told" '["end",0]' \
  "$(json_of err '[a.at(-1).event, a.at(-1).code]')"
{ kill "$reader" && wait "$reader"; } 2>/dev/null

# Started in the background by a shell without job control, SIGINT is ignored;
# with nohup, SIGHUP is.
: >err
sh -c '"$0" --events "$1" >out 2>err & echo $! >pid; wait $!; echo $? >status' \
  "$command" "$url" &
wait_until is_live
kill -INT "$(cat pid)"
wait $!
expect "in the background: status" 0 "$(cat status)"

: >err
nohup "$command" --events "$url" >out 2>err </dev/null &
pid=$!
wait_until is_live
kill -HUP "$pid"
db_put "$database" after-hup >/dev/null
has_row() { grep -q after-hup out; }
wait_until has_row
stop_command TERM "$pid"
expect "nohup: status" 0 "$status"

# ---- the position is saved at the end ----

rm -f position
: >err
"$command" --events --checkpoint=file:position --checkpoint_every=1000000 \
  --checkpoint_interval_ms=86400000 --format=id "$url" >out 2>err &
pid=$!
wait_until is_live
stop_command TERM "$pid"
db_put "$database" after >/dev/null
run --once --checkpoint=file:position --format=id "$url"
expect "position: the next run" after "$(cat out)"

# ---- the end of a wait for a slow reader ----

mkfifo slow
# It keeps the pipe open and reads nothing.
# shellcheck disable=SC2217
sleep 300 <slow &
reader=$!
"$command" --once --events "$url" >slow 2>err &
pid=$!
sleep 1
stop_command TERM "$pid"
expect "once, blocked: status" 0 "$status"
expect_soon "once, blocked" "$took_ms" 300
{ kill "$reader" && wait "$reader"; } 2>/dev/null

finish
