#!/usr/bin/env bash
# What README.md says can be done as it stands there: its program is the file of
# the examples, it builds against the installed library, and follows a database
# through its death; every example of the command runs.
# ctest: LABEL couch
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

if [ "${CFT_INSTRUMENTED:-0}" != 0 ]; then
  echo "skipped: a program of a user's has no sanitizer in it"
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

# The code blocks of README.md with a line that matches, without the fences.
blocks() { # language, pattern
  awk -v fence="\`\`\`$1" -v pattern="$2" '
    $0 == fence { inside = 1; text = ""; next }
    /^```/ { if (inside && text ~ pattern) printf "%s", text; inside = 0 }
    inside { text = text $0 "\n" }' "$root/README.md"
}

# ---- the program ------------------------------------------------------------

blocks c 'int main' >"$work/minimal.c"
cmp "$work/minimal.c" "$root/examples/minimal.c" ||
  fail "the program of README.md is not examples/minimal.c"

cmake --install "${CFT_BINARY_DIR:?}" --prefix "$work/prefix" \
  >"$work/log" 2>&1 || {
  cat "$work/log"
  exit 1
}
found=$(find "$work/prefix" -name changefeed.pc)
export PKG_CONFIG_PATH=${found%/*}
export LD_LIBRARY_PATH=${found%/pkgconfig/*}
export PATH=$work/prefix/bin:$PATH
build=$(blocks sh 'pkg-config --cflags' | grep '^cc ')
[ -n "$build" ] || fail "README.md does not say how the program is built"
(cd "$work" && eval "$build") || fail "\"$build\" fails"

{ cmake -G Ninja -S "$root/examples" -B "$work/examples" \
  -DCMAKE_PREFIX_PATH="$work/prefix" && cmake --build "$work/examples"; } \
  >"$work/log" 2>&1 || fail "the examples do not build alone: $(cat "$work/log")"
[ -x "$work/examples/minimal" ] || fail "examples/CMakeLists.txt makes no minimal"

# ---- it follows -------------------------------------------------------------

db_start --admin me:secret || exit 1
public=$DB_URL
DB_URL=http://me:secret@${DB_URL#http://}
db_create db || exit 1
# The first examples go without credentials.
db_ask PUT /db/_security '{}' >/dev/null || exit 1
db_put db one >/dev/null || exit 1

mkfifo "$work/rows" || exit 1
"$work/minimal" "$public/db" >"$work/rows" 2>"$work/err" &
follower=$!
exec {rows}<"$work/rows"

expect_row() { # row
  local row=
  IFS= read -r -t 60 -u "$rows" row
  [ "$row" = "$1" ] || fail "expected the row \"$1\", got \"$row\""
}

expect_row 'one changed'
rev=$(db_put db two | sed 's/.*"rev":"\([^"]*\)".*/\1/')
expect_row 'two changed'
db_kill9 || fail "the database cannot be killed"
db_restart || fail "the database cannot be restarted"
DB_URL=http://me:secret@${DB_URL#http://}
db_ask DELETE "/db/two?rev=$rev" >/dev/null || fail "DELETE"
expect_row 'two deleted'
kill "$follower"
wait "$follower"
follower=

# ---- it ends when there is no use in going on -------------------------------

"$work/minimal" 2>/dev/null
[ $? -eq 2 ] || fail "without a URL it does not end with 2"
"$work/minimal" ftp://localhost/db 2>"$work/err"
[ $? -eq 2 ] || fail "with an unusable URL it does not end with 2"
[ -s "$work/err" ] || fail "an unusable URL is refused without a word"
"$work/minimal" "$public/no-such-database" 2>"$work/err"
[ $? -eq 1 ] || fail "without a database it does not end with 1"
grep -q no-such-database "$work/err" || fail "it says: $(cat "$work/err")"

# ---- the examples of the command --------------------------------------------

printf 'secret\n' >"$work/pw"
count=0
while IFS= read -r example; do
  example=${example%%  #*}
  example=$(sed -E "s,https?://[^ ]+/db,$public/db,g" <<<"$example")
  once=" --once"
  case $example in
    "changefeed mirror"* | "changefeed diff"*) once= ;; # they end by themselves
  esac
  (cd "$work" && eval "timeout 60 $example$once") \
    >"$work/out" 2>"$work/err" </dev/null ||
    fail "\"$example$once\" ends with $?: $(cat "$work/err")"
  count=$((count + 1))
done < <(blocks sh '(^|\n)changefeed ')
[ "$count" -ge 5 ] || fail "only $count examples of the command in README.md"
[ -s "$work/orders.position" ] || fail "the example with a checkpoint kept none"

[ "$failures" -eq 0 ] && echo "README.md: all well"
exit $((failures > 0))
