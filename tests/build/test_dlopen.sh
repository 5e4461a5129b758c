#!/usr/bin/env bash
# The shared library as a plugin's: loaded, used and unloaded fifty times, in a
# program that has nothing to do with it or with libcurl.
set -u
: "${CFT_SOURCE_DIR:?}" "${CFT_BINARY_DIR:?}"
if [ -z "${CFT_SHARED:-}" ]; then
  echo "skipped: no shared library was built"
  exit 77
fi
work=$(mktemp -d "$CFT_BINARY_DIR/dlopen.XXXXXX") || exit 1
# shellcheck source=tests/support/db.sh
. "$CFT_SOURCE_DIR/tests/support/db.sh"
clean_up() {
  local status=$?
  [ -z "${COUCHDB_URL-}" ] || db_ask DELETE "/$database" >/dev/null
  db_stop
  rm -rf "$work"
  return "$status"
}
database=cft-dlopen-$$
trap clean_up EXIT

read -r -a flags <<<"${CFT_CFLAGS:-}"
"${CC:-cc}" -std=gnu11 -Wall -Wextra -Werror "${flags[@]}" \
  -I"$CFT_SOURCE_DIR/include" -I"$CFT_BINARY_DIR/include" \
  -o "$work/dlopen" "$CFT_SOURCE_DIR/tests/build/dlopen.c" -ldl || exit 1
db_start --memory && db_create "$database" && db_fill "$database" 1 200 ||
  exit 1
# What an unloaded library has not freed cannot be named; growth is measured.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 \
  "$work/dlopen" "$CFT_SHARED" "$DB_URL/$database" 50 200
