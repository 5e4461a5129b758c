#!/usr/bin/env bash
# The shell functions around the database that tests and the demo use. Its own
# suite is tests/couch-serve/test.
# ctest: LABEL couch
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

expect() { # what, wanted, got
  [ "$2" = "$3" ] || fail "$1: expected \"$2\", got \"$3\""
}

serve=${CFT_COUCH_SERVE:-$root/tests/couch-serve}
if [ ! -d "$serve/node_modules/express-pouchdb" ]; then
  fail "couch-serve is not installed: run \"npm ci\" in $serve"
  exit 1
fi

# Its process is under the test's control: no database of somebody else's here.
unset COUCHDB_URL

# ---- db.sh ------------------------------------------------------------------

# A script that is killed leaves its directory behind: all of them go in here.
TMPDIR=$(mktemp -d) || exit 1
export TMPDIR
trap 'db_stop; rm -rf "$TMPDIR"' EXIT

# shellcheck source=tests/support/db.sh
. "$root/tests/support/db.sh"

count() { db_ask GET "/$1" | sed 's/.*"doc_count":\([0-9]*\).*/\1/'; }

db_start || exit 1
url=$DB_URL
db_create 'a%2Fb' || fail "db_create"
db_put 'a%2Fb' one '{"n":1}' >/dev/null || fail "db_put"
db_put 'a%2Fb' one '{"n":2}' >/dev/null 2>&1 && fail "a conflict passed"
printf '{"docs":[{"_id":"two"},{"_id":"three"}]}' | db_bulk 'a%2Fb' >/dev/null ||
  fail "db_bulk"
db_fill 'a%2Fb' 1 1000 || fail "db_fill"
expect "documents" 1003 "$(count 'a%2Fb')"

pid=$DB_PID
db_kill9 || fail "db_kill9"
kill -0 "$pid" 2>/dev/null && fail "$pid lives after db_kill9"
db_ask GET / >/dev/null 2>&1 && fail "a killed server answers"
db_restart || fail "db_restart after db_kill9"
expect "URL after a restart" "$url" "$DB_URL"
expect "documents after a restart" 1003 "$(count 'a%2Fb')"
db_restart || fail "db_restart of a running server"
expect "documents after another" 1003 "$(count 'a%2Fb')"
db_create 'a%2Fb' || fail "db_create of an old name"
expect "documents in the new one" 0 "$(count 'a%2Fb')"

pid=$DB_PID
db_stop
expect "what db_stop left" "" "$(ls "$TMPDIR")"
kill -0 "$pid" 2>/dev/null && fail "$pid lives after db_stop"

db_start --no-such-option 2>/dev/null && fail "a wrong option started it"
db_stop 2>/dev/null

# A script that ends, in whatever way, leaves no server behind. The process id
# of the dead is asked for until it is gone, or for 5 s.
for end in 'exit 3' 'kill -9 $$' 'kill -TERM $$'; do
  pid=$(bash -c ". '$root/tests/support/db.sh'
    db_start --memory >/dev/null; echo \$DB_PID; exec >/dev/null; $end" 2>/dev/null)
  for ((try = 0; try < 100; try++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  kill -0 "$pid" 2>/dev/null && fail "$pid lives after \"$end\" of its script"
done

[ "$failures" -eq 0 ] && echo "db.sh: all well"
exit $((failures > 0))
