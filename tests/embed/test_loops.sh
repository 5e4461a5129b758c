#!/usr/bin/env bash
# The examples with other people's event loops: 100,000 rows in order and the
# live one behind them; stopped by a signal while rows come they end at once,
# and leave neither memory nor descriptors behind.
set -u
# shellcheck source=tests/embed/embed.sh
. "$(dirname "${BASH_SOURCE[0]}")/embed.sh"

# shellcheck disable=SC2119
embed_begin
ROWS=100000
loops=()
for name in epoll libuv libevent glib sdevent; do
  example "$name.c" && loops+=("$name")
done

# ---- all rows, then what is new ---------------------------------------------

fill "$ROWS"
pids=()
for name in "${loops[@]}"; do
  begin "$name" "$db"
  pids+=("$pid")
done
for name in "${loops[@]}"; do
  wait_until has_rows "$name.out" "$ROWS"
done
add $((ROWS + 1)) $((ROWS + 1))
for name in "${loops[@]}"; do
  wait_until has_rows "$name.out" $((ROWS + 1))
done
for i in "${!loops[@]}"; do
  name=${loops[i]}
  pid=${pids[i]}
  end TERM
  expect "$name: exit status when it is live" 0 "$status"
  cmp "$name.out" wanted || fail "$name: not the rows that were written"
  expect "$name: says" "" "$(cat "$name.err")"
done

# ---- stopped under load -----------------------------------------------------

for name in "${loops[@]}"; do
  begin "$name" "$db"
  wait_until has_rows "$name.out" 1000
  kill -STOP "$pid" # so that most rows are still to come
  rows=$(count "$name.out")
  kill -TERM "$pid"
  before=${EPOCHREALTIME/./}
  end CONT
  took_ms=$(((${EPOCHREALTIME/./} - before) / 1000))
  expect "$name: exit status under load" 0 "$status"
  [ "$rows" -lt "$ROWS" ] || fail "$name: there was no load any more"
  [ "$(count "$name.out")" -lt "$ROWS" ] ||
    fail "$name: was stopped at row $rows, and read to the end"
  [ "$took_ms" -lt 1000 ] || fail "$name: took $took_ms ms to stop"
  head -n "$(count "$name.out")" wanted | cmp - "$name.out" ||
    fail "$name: not the first rows"
done

# ---- nothing is left --------------------------------------------------------

# Descriptors that were opened and not closed, as valgrind tells them: neither
# those a process is born with, nor those of the thread GLib keeps for signals.
left_open() {
  sed 's/^==[0-9]*== *//' "$1" |
    awk 'BEGIN { RS = "" } /Open (file|AF_)/ && !/inherited from|libglib/'
}

# What valgrind says of a program that is stopped as soon as it has 500 rows.
leaves_nothing() { # NAME
  local kinds=definite,indirect,possible
  [ "$1" != glib ] || kinds=definite,indirect # that thread's, again
  : >"$1.rows"
  valgrind --quiet --error-exitcode=9 --leak-check=full \
    --show-leak-kinds=$kinds --errors-for-leak-kinds=$kinds \
    --track-fds=yes --log-file="$1.valgrind" \
    "$work/$1" "$db" >"$1.rows" 2>"$1.err" </dev/null &
  pid=$!
  wait_until has_rows "$1.rows" 500
  end TERM
  expect "$1: exit status under valgrind" 0 "$status"
  grep -q 'FILE DESCRIPTORS' "$1.valgrind" || fail "$1: valgrind tells nothing"
  left_open "$1.valgrind" >open
  if [ "$status" -ne 0 ] || [ -s open ]; then
    fail "$1: valgrind says"
    cat "$1.valgrind" >&2
  fi
}

if command -v valgrind >/dev/null; then
  for name in "${loops[@]}"; do
    leaves_nothing "$name"
  done
elif [ -n "${CI-}" ]; then
  fail "valgrind is not installed"
else
  echo "skipped: valgrind is not installed"
fi

# ---- wrong use --------------------------------------------------------------

for name in "${loops[@]}"; do
  "./$name" 2>err
  expect "$name: exit status without a URL" 2 $?
  "./$name" ftp://127.0.0.1/db 2>err
  expect "$name: exit status with an unusable URL" 2 $?
  [ -s err ] || fail "$name: an unusable URL is refused without a word"
  "./$name" "$sim/missing" 2>err
  expect "$name: exit status without a database" 1 $?
  grep -q missing err || fail "$name: the missing database is not named"
done

[ "$failures" -ne 0 ] || echo "loops: all well: ${loops[*]}"
finish
