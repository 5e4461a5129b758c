#!/usr/bin/env bash
# examples/many.c: a feed of _db_updates wakes feeds of databases, which go on
# from where they were, have no connection while nothing happens, and survive
# the death of the server.
# ctest: LABEL couch
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

many=$(find "${CFT_BINARY_DIR:?}/examples" -name many -type f -perm -u+x 2>/dev/null | head -n 1)
if [ -z "$many" ]; then
  echo "skipped: the examples are not built"
  exit 77
fi
work=$(mktemp -d) || exit 1
unset COUCHDB_URL # the database is to be killed
# shellcheck source=SCRIPTDIR/../support/db.sh
. "$root/tests/support/db.sh"
follower=
# shellcheck disable=SC2317 # the trap calls it
clean_up() {
  [ -z "$follower" ] || kill "$follower" 2>/dev/null
  db_stop
  rm -rf "$work"
}
trap clean_up EXIT

# shellcheck disable=SC2119
db_start || exit 1
db_create one || exit 1
db_put one a >/dev/null || exit 1

mkfifo "$work/rows" || exit 1
"$many" "$DB_URL" >"$work/rows" 2>"$work/err" &
follower=$!
exec {rows}<"$work/rows"

# Each change once: a row that comes again is not the one expected next.
expect_row() { # row
  local row=
  IFS= read -r -t 60 -u "$rows" row
  [ "$row" = "$1" ] || fail "expected the row \"$1\", got \"$row\": $(cat "$work/err")"
}

expect_row 'one a changed'
rev=$(db_put one b | sed 's/.*"rev":"\([^"]*\)".*/\1/')
expect_row 'one b changed'
db_create 'two%2Fparts' || exit 1
db_put 'two%2Fparts' x >/dev/null || exit 1
expect_row 'two/parts x changed'
db_ask DELETE "/one/b?rev=$rev" >/dev/null || fail "DELETE"
expect_row 'one b deleted'

# While nothing happens there is the connection of _db_updates alone.
connections() { # of TCP: libcurl has a pair of sockets besides
  local fd count=0
  for fd in "/proc/$follower/fd/"*; do
    fd=$(readlink "$fd") || continue
    [[ $fd == socket:* ]] || continue
    fd=${fd#socket:[}
    grep -qw "${fd%]}" /proc/net/tcp /proc/net/tcp6 && count=$((count + 1))
  done
  echo "$count"
}
for ((i = 0; i < 300; i++)); do
  [ "$(connections)" -eq 1 ] && break
  sleep 0.1
done
[ "$(connections)" -eq 1 ] || fail "$(connections) connections while all is idle"

db_kill9 || fail "the database cannot be killed"
db_restart || fail "the database cannot be restarted"
db_put 'two%2Fparts' y >/dev/null || fail "PUT"
expect_row 'two/parts y changed'
kill "$follower"
wait "$follower" 2>/dev/null
follower=

"$many" 2>/dev/null
[ $? -eq 2 ] || fail "without a server it does not end with 2"
"$many" ftp://localhost 2>"$work/err"
[ $? -eq 1 ] || fail "with an unusable URL it does not end with 1"
[ -s "$work/err" ] || fail "an unusable URL is refused without a word"

[ "$failures" -eq 0 ] && echo "many: all well"
exit $((failures > 0))
