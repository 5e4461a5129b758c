#!/usr/bin/env bash
# fork.c: the master's children have no connection but the follower's own, the
# server sees no end of the master's by their doing, a killed child is replaced,
# and no row is lost on the way from the master to the followers.
set -u
# shellcheck source=tests/embed/embed.sh
. "$(dirname "${BASH_SOURCE[0]}")/embed.sh"

# shellcheck disable=SC2119
embed_begin
example fork.c || finish
ROWS=3000
fill "$ROWS"

children() { pgrep -P "$pid" | sort -n; }
connections() { # of a process, to the server
  local fd count=0
  for fd in "/proc/$1/fd/"*; do
    fd=$(readlink "$fd") || continue
    [[ $fd == socket:* ]] || continue
    fd=${fd#socket:[}
    ! grep -qw "${fd%]}" /proc/net/tcp || count=$((count + 1))
  done
  echo "$count"
}
# Four children, of which one alone is connected; the master is not.
# shellcheck disable=SC2317 # wait_until calls them
is_settled() {
  local child connected=0 total=0
  [ "$(connections "$pid")" -eq 0 ] || return 1
  for child in $(children); do
    total=$((total + 1))
    [ "$(connections "$child")" -eq 0 ] || connected=$((connected + 1))
  done
  [ "$total" -eq 4 ] && [ "$connected" -eq 1 ]
}
follower() {
  local child
  for child in $(children); do
    [ "$(connections "$child")" -eq 0 ] || echo "$child"
  done
}

begin fork "$db" position
wait_until has_rows fork.out "$ROWS"
wait_until is_settled
add $((ROWS + 1)) $((ROWS + 10))
wait_until has_rows fork.out $((ROWS + 10))
cmp fork.out wanted || fail "not the rows that were written, in order"
for child in $(children); do
  # Of the master's loop nothing is left in a child that serves.
  [ "$child" = "$(follower)" ] ||
    ! readlink /proc/"$child"/fd/* | grep -q 'eventpoll\|timerfd' ||
    fail "a child that serves still has the master's loop"
done

# ---- killed children are replaced -------------------------------------------

for ((i = 0; i < 3; i++)); do
  killed=$(follower)
  kill -KILL "$killed"
  # shellcheck disable=SC2317 # wait_until calls it
  is_replaced() { ! children | grep -qx "$killed" && is_settled; }
  wait_until is_replaced
done
rows=$(count fork.out)
add $((ROWS + 11)) $((ROWS + 20))
wait_until grep -qx "doc-$((ROWS + 20)) changed" fork.out
sort -u fork.out | cmp - <(sort wanted) || fail "a row is missing"
# The dead had not saved the rows of their last five seconds, at most ten.
[ "$rows" -le $((ROWS + 10 + 30)) ] || fail "$rows rows, of them too many again"

others=$(children | grep -vx "$(follower)")
kill -KILL "${others%%[!0-9]*}"
wait_until is_settled

# ---- the end ----------------------------------------------------------------

all=$(children)
end TERM
expect "exit status" 0 "$status"
for child in $all; do
  ! kill -0 "$child" 2>/dev/null || fail "child $child is left"
done
expect "says" "" "$(cat fork.err)"
begin fork "$db" position
wait_until is_settled
expect "rows after a stop" 0 "$(count fork.out)"

# The database goes: the follower gives up, and so do all.
sim_ask DELETE "$db" >/dev/null
end TERM
"$work/fork" "$sim/missing" position-2 2>err >out
expect "exit status without a database" 1 $?
grep -q missing err || fail "the missing database is not named"

[ "$failures" -ne 0 ] || echo "fork: all well"
finish
