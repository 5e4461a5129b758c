#!/usr/bin/env bash
# How much code the shared library of a release has: with mirrors, and as it is
# built without them; and that it is whole in both cases.
#
#   ctest: TIMEOUT 300
set -u
: "${CFT_SOURCE_DIR:?}" "${CFT_BINARY_DIR:?}"
export LC_ALL=C

if [ "${CFT_INSTRUMENTED:-0}" = 1 ] || [ "$(uname -m)" != x86_64 ]; then
  echo "the bounds are those of a plain build for x86-64"
  exit 77
fi
# shellcheck source=tests/build/release.sh
. "$CFT_SOURCE_DIR/tests/build/release.sh"
failed=0

# bounded WHAT KIB: the .text of the library in release_dir.
bounded() {
  local bytes library=$release_dir/libchangefeed.so
  bytes=$(objdump -h "$library" | awk '$2 == ".text" { print $3 }')
  bytes=$((16#${bytes:?}))
  echo "$1: .text has $bytes bytes, at most $(($2 * 1024))"
  # Far below means that something is missing.
  if [ "$bytes" -gt $(($2 * 1024)) ] || [ "$bytes" -lt $(($2 * 512)) ]; then
    failed=1
  fi
}

# exports NAME: the library in release_dir has that function.
exports() {
  nm -D --defined-only "$release_dir/libchangefeed.so" |
    grep -q " T $1@@CHANGEFEED_0\$"
}

release_build package || exit 1
bounded "with mirrors" 172
exports changefeed_mirror_open || {
  echo "no changefeed_mirror_open is exported"
  failed=1
}

release_build small -DCHANGEFEED_MIRROR=OFF -DCHANGEFEED_BUILD_STATIC=OFF ||
  exit 1
bounded "without mirrors" 120
exports changefeed_open || {
  echo "without mirrors no changefeed_open is exported"
  failed=1
}
# Not one function of mirror.h, and no mirror.h either.
nm -D --defined-only "$release_dir/libchangefeed.so" |
  grep -E 'changefeed_(mirror|view|snapshot)_' && {
  echo "built without mirrors, and yet it exports these"
  failed=1
}
DESTDIR=$release_dir/installed "${CFT_CMAKE:-cmake}" --install "$release_dir" \
  >/dev/null || exit 1
headers=$(cd "$release_dir/installed/usr/include/changefeed" && echo *)
[ "$headers" = "changefeed.h export.h version.h" ] || {
  echo "without mirrors these headers are installed: $headers"
  failed=1
}
exit "$failed"
