#!/usr/bin/env bash
# The examples that keep a position, killed with SIGKILL at random moments while
# rows come: resume.c loses nothing and repeats no more than it says; batch.c
# has each row exactly once in its database.
set -u
# shellcheck source=tests/embed/embed.sh
. "$(dirname "${BASH_SOURCE[0]}")/embed.sh"

# shellcheck disable=SC2119
embed_begin
KILLS=20 ROWS=20000
RANDOM=${CFT_SEED:-$$}
echo "CFT_SEED=${CFT_SEED:-$$}"

# Slow enough that a kill finds it in the middle: some 60 ms for 1000 rows, so
# that a run has a tenth of them. On a fast machine fewer kills are enough.
slow_down() {
  sim_tell rules '{"kind":"changes","do":{"slice":4096,"slice_ms":2}}'
}
is_most() { [ "${1:-0}" -gt $((ROWS * 3 / 4)) ]; }

# Ends what runs after some milliseconds, with rows or without.
kill_at_random() {
  sleep "0.$(printf '%03d' $((RANDOM % 120 + 10)))"
  end KILL
  expect "how it ended" 137 "$status"
}

# ---- resume.c ---------------------------------------------------------------

# Each run's rows are in order without a gap, and begin at most behind what came
# so far, at least $1 rows before its end: files of runs, oldest first.
runs_join() {
  awk -v most="$1" '
    FNR == 1 && NR > 1 {
      again = last + 1 - number($0)
      if (again < 0) wrong("after " last " comes " $0)
      if (again > most) wrong(again " rows come again")
      repeats += again
      expected = number($0)
    }
    FNR == 1 && NR == 1 { expected = 1 }
    number($0) != expected { wrong("expected row " expected ", got " $0) }
    { expected++; if (number($0) > last) last = number($0) }
    END { print last, repeats + 0; exit bad }
    function number(line) {
      if (line !~ /^doc-[0-9]+ changed$/) wrong("not a row: " line)
      sub(/^doc-/, "", line)
      return line + 0
    }
    function wrong(what) {
      print FILENAME ": " what > "/dev/stderr"
      bad = 1
      exit 1
    }' "${@:2}"
}

resume_is_killed() {
  local i files=() told
  example resume.c || return
  fill "$ROWS"
  slow_down
  for ((i = 0; i < KILLS; i++)); do
    begin resume "$db" position
    kill_at_random
    # A line half written is a row that was not acknowledged.
    sed -n '/changed$/p' resume.out >"run-$i"
    files+=("run-$i")
    expect "resume: says" "" "$(cat resume.err)"
    is_most "$(sed -n '$s/^doc-\([0-9]*\) .*/\1/p' "run-$i")" && break
  done
  sim_ask DELETE "${sim_control}rules" >/dev/null
  begin resume "$db" position
  wait_until grep -qx "doc-$ROWS changed" resume.out
  end TERM
  expect "resume: exit status" 0 "$status"
  cp resume.out run-last
  # Those behind the last save, which was at most 100 rows before, and a
  # position that lies before it: one row in 100 has its own.
  told=$(runs_join 200 "${files[@]}" run-last) || fail "resume: see above"
  expect "resume: the last row" "$ROWS" "${told% *}"
  [ "${told#* }" -gt 0 ] || fail "resume: no kill made any row come again"
  echo "resume: ${told#* } rows came again after ${#files[@]} kills"

  # It was stopped in order, so nothing comes again.
  add $((ROWS + 1)) $((ROWS + 1))
  begin resume "$db" position
  wait_until grep -qx "doc-$((ROWS + 1)) changed" resume.out
  end TERM
  expect "resume: rows after a stop" 1 "$(count resume.out)"

  # Another database under the same name: told, and read from the beginning.
  sim_tell recreate "{\"db\":\"${db##*/}\"}"
  add 1 3
  begin resume "$db" position
  wait_until has_rows resume.out 3
  end INT
  expect "resume: exit status" 0 "$status"
  cmp resume.out wanted || fail "resume: not the rows of the new database"
  grep -q 'from the beginning' resume.err || fail "resume: tells no reset"
}

# ---- batch.c ----------------------------------------------------------------

sql() { "$work/query" changes.sqlite "$1"; }
# shellcheck disable=SC2317 # wait_until calls it
batch_has() { [ "$(sql 'SELECT count(*) FROM changes')" -ge "$1" ]; }

# No command of SQLite's is taken for granted: one answer of one column.
make_query() {
  cat >query.c <<'C'
#include <sqlite3.h>
#include <stdio.h>
int main(int argc, char **argv) {
  sqlite3 *db;
  sqlite3_stmt *s;
  int rc;
  if (argc != 3 || sqlite3_open(argv[1], &db) ||
      sqlite3_busy_timeout(db, 10000) ||
      sqlite3_prepare_v2(db, argv[2], -1, &s, 0))
    return 1;
  while ((rc = sqlite3_step(s)) == SQLITE_ROW)
    puts((const char *)sqlite3_column_text(s, 0));
  return rc != SQLITE_DONE || sqlite3_finalize(s) || sqlite3_close(db);
}
C
  # shellcheck disable=SC2046 # a list of flags
  cc query.c $(pkg-config --cflags --libs sqlite3) -o query || exit 1
}

batch_is_killed() {
  local i before=0 now grew=0
  example batch.c || return
  make_query
  fill "$ROWS"
  slow_down
  for ((i = 0; i < KILLS; i++)); do
    begin batch "$db" changes.sqlite
    kill_at_random
    expect "batch: says" "" "$(cat batch.err)"
    now=$(sql "SELECT count(*) FROM sqlite_master WHERE name = 'changes'")
    [ "$now" -eq 0 ] || now=$(sql 'SELECT count(*) FROM changes')
    [ "$now" -le "$before" ] || grew=$((grew + 1))
    before=$now
    is_most "$now" && break
  done
  [ "$grew" -ge 3 ] || fail "batch: only $grew runs wrote anything"
  [ "$now" -lt "$ROWS" ] || fail "batch: all was read before the last kill"
  sim_ask DELETE "${sim_control}rules" >/dev/null
  begin batch "$db" changes.sqlite
  wait_until batch_has "$ROWS"
  end TERM
  expect "batch: exit status" 0 "$status"
  expect "batch: rows" "$ROWS" "$(sql 'SELECT count(*) FROM changes')"
  expect "batch: rows that were written twice" 0 \
    "$(sql 'SELECT count(*) FROM changes WHERE times <> 1')"
  sql "SELECT id || ' changed' FROM changes WHERE NOT deleted" | sort >got
  sort wanted | cmp got - || fail "batch: not the rows that were written"

  # A deletion is a row as well, and comes after a stop as the only one.
  sim_remove "${db##*/}" doc-1
  begin batch "$db" changes.sqlite
  wait_until batch_has $((ROWS + 1))
  end TERM
  expect "batch: deletions" doc-1 \
    "$(sql 'SELECT id FROM changes WHERE deleted')"

  # When SQLite refuses a row or the position, neither is written.
  before=$(sql "SELECT hex(value) FROM positions")
  add $((ROWS + 1)) $((ROWS + 3))
  refused changes "new.id = 'doc-$((ROWS + 2))'"
  refused positions 1
  begin batch "$db" changes.sqlite
  wait_until batch_has $((ROWS + 4))
  end TERM
  expect "batch: rows that were written twice" 0 \
    "$(sql 'SELECT count(*) FROM changes WHERE times <> 1')"
}

# The position before is in $before.
refused() { # TABLE, CONDITION
  sql "CREATE TRIGGER full BEFORE INSERT ON $1 WHEN $2
    BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
  begin batch "$db" changes.sqlite
  ended
  expect "batch: exit status when SQLite refuses" 1 "$status"
  grep -q 'the disk is full' batch.err || fail "batch: does not say why it ends"
  expect "batch: the position when SQLite refuses" "$before" \
    "$(sql "SELECT hex(value) FROM positions")"
  expect "batch: rows when SQLite refuses" $((ROWS + 1)) \
    "$(sql 'SELECT count(*) FROM changes')"
  sql 'DROP TRIGGER full'
}

resume_is_killed
batch_is_killed
[ "$failures" -ne 0 ] || echo "positions: all well"
finish
