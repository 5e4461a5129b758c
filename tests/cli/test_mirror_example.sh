#!/usr/bin/env bash
# examples/mirror.c: the table is printed when it is in step, after each change,
# when a signal asks for it, and goes on through the death of the server.
# ctest: LABEL couch
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

mirror=$(find "${CFT_BINARY_DIR:?}/examples" -name mirror -type f -perm -u+x 2>/dev/null | head -n 1)
if [ -z "$mirror" ]; then
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
db_create routes || exit 1
db_put routes route:a >/dev/null || exit 1
db_put routes other >/dev/null || exit 1

mkfifo "$work/lines" || exit 1
"$mirror" "$DB_URL/routes" route: >"$work/lines" 2>"$work/err" &
follower=$!
exec {lines}<"$work/lines"

expect() { # the beginnings of the next lines
  local want line
  for want in "$@"; do
    line=
    IFS= read -r -t 60 -u "$lines" line
    [[ $line == "$want"* ]] ||
      fail "expected \"$want\", got \"$line\": $(cat "$work/err")"
  done
}

expect '1 routes' 'route:a 1-'
rev=$(db_put routes route:b | sed 's/.*"rev":"\([^"]*\)".*/\1/')
expect '2 routes' 'route:a 1-' "route:b $rev {"
db_put routes another >/dev/null || fail "PUT"
kill -USR1 "$follower"
expect '2 routes' 'route:a 1-' 'route:b 1-'
db_kill9 || fail "the database cannot be killed"
db_restart || fail "the database cannot be restarted"
db_ask DELETE "/routes/route:b?rev=$rev" >/dev/null || fail "DELETE"
expect 'route:b is gone' '1 routes' 'route:a 1-'
kill "$follower"
wait "$follower" 2>/dev/null
follower=

"$mirror" 2>/dev/null
[ $? -eq 2 ] || fail "without a URL it does not end with 2"
"$mirror" ftp://localhost/db 2>"$work/err"
[ $? -eq 2 ] || fail "with an unusable URL it does not end with 2"
[ -s "$work/err" ] || fail "an unusable URL is refused without a word"
"$mirror" "$DB_URL/none" 2>"$work/err"
[ $? -eq 1 ] || fail "without a database it does not end with 1"

[ "$failures" -eq 0 ] && echo "mirror: all well"
exit $((failures > 0))
