#!/usr/bin/env bash
# Writes libchangefeed.abi anew from the headers, and adds new enumerators to
# numbers.txt. For a change that is meant: build.abi says what was promised
# before. What is written belongs into the same commit as the change.
#
#   tests/build/abi/renew.sh BUILD-DIRECTORY
set -u
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
CFT_SOURCE_DIR=$(cd "$here/../../.." && pwd) || exit 1
[ -f "${1:?the build directory is missing}/include/changefeed/version.h" ] || {
  echo "$1 is no build directory"
  exit 1
}
CFT_BINARY_DIR=$(cd "$1" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/build/abi/stub.sh
. "$here/stub.sh"

abi_stub "$CFT_SOURCE_DIR/include" "$work/stub.so" || exit 1
abidw --no-show-locs --no-corpus-path --no-comp-dir-path --no-elf-needed \
  --type-id-style hash --out-file "$work/abi" "$work/stub.so" || exit 1
# The name of the stub's source differs each time.
sed -E "s/ path='[^']*'//; s/ name='[^']*stub\.so\.c'//" "$work/abi" \
  >"$here/libchangefeed.abi"

"$here/numbers.sh" names | while read -r name; do
  grep -q "^$name " "$here/numbers.txt" || printf '%s\n' "$name"
done >"$work/new"
if [ -s "$work/new" ]; then
  "$here/numbers.sh" values "$CFT_BINARY_DIR" <"$work/new" >"$work/values" &&
    cat "$work/values" >>"$here/numbers.txt" || exit 1
  echo "new numbers: $(tr '\n' ' ' <"$work/new")"
fi
