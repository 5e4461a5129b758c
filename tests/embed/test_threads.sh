#!/usr/bin/env bash
# threads.c: workers finish rows in any order, and the saved position is right:
# stopped, nothing comes again and nothing is missing; killed, nothing is
# missing, and what comes again is what was out.
set -u
# shellcheck source=tests/embed/embed.sh
. "$(dirname "${BASH_SOURCE[0]}")/embed.sh"

# shellcheck disable=SC2119
embed_begin
ROWS=8000 OUT=256 KILLS=10
example threads.c || finish
fill "$ROWS"

# ---- stopped twice on the way -----------------------------------------------

: >all
for rows in 1000 2000; do
  begin threads "$db" position
  wait_until has_rows threads.out "$rows"
  end TERM
  expect "exit status" 0 "$status"
  cat threads.out >>all
done
done_before=$(count all)
[ "$done_before" -lt "$ROWS" ] || fail "all was read before the last stop"
begin threads "$db" position
wait_until has_rows threads.out $((ROWS - done_before))
end TERM
expect "exit status" 0 "$status"
cat threads.out >>all
sort all >got
sort wanted | cmp - got || fail "not each row once"
! cmp -s all wanted || fail "the workers finished in order: nothing is shown"

# ---- killed -----------------------------------------------------------------

: >all
runs=0
until [ "$(sort -u all | wc -l)" -eq "$ROWS" ]; do
  begin threads "$db" position-2
  if [ "$runs" -lt "$KILLS" ]; then
    wait_until has_rows threads.out $((200 + RANDOM % 200))
    end KILL
  else
    wait_until grep -qx "doc-$ROWS changed" threads.out
    end TERM
    expect "exit status" 0 "$status"
  fi
  cat threads.out >>all
  runs=$((runs + 1))
  [ "$runs" -le "$KILLS" ] || break
done
sort -u all >got
sort wanted | cmp - got || fail "killed: a row is missing"
# The rows since the last save, 20 at most, and those that were out.
again=$(($(count all) - ROWS))
[ "$again" -le $((KILLS * (20 + OUT))) ] || fail "killed: $again rows came again"
[ "$again" -gt 0 ] || fail "killed: no row came again, so nothing was killed"

begin threads "$db" position-2
add $((ROWS + 1)) $((ROWS + 1))
wait_until has_rows threads.out 1
end TERM
expect "the row after all" "doc-$((ROWS + 1)) changed" "$(cat threads.out)"

# ---- a worker that cannot do its work ---------------------------------------

fill 500
"$work/threads" "$db" position-3 >/dev/full 2>err
expect "exit status when nothing can be written" 1 $?
begin threads "$db" position-3
wait_until has_rows threads.out 500
end TERM
sort threads.out >got
sort wanted | cmp - got || fail "rows that could not be written are lost"

[ "$failures" -ne 0 ] || echo "threads: all well"
finish
