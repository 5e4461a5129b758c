#!/usr/bin/env bash
# The public header stands alone, twice, in C and C++ of every age, with gcc
# and with clang, without a warning.
set -u
work=$(mktemp -d "${CFT_BINARY_DIR:?}/header.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

cat >"$work/alone.c" <<'EOF'
#include "changefeed/changefeed.h"
#include "changefeed/changefeed.h"
#include "changefeed/mirror.h"
#include "changefeed/mirror.h"

extern int use(void);

int use(void) {
  changefeed_mirror_config config = CHANGEFEED_MIRROR_CONFIG_INIT;
  changefeed_mirror_stats stats = CHANGEFEED_MIRROR_STATS_INIT;
  changefeed_str text = {"abc", 3};
  changefeed_options *options = NULL;

  if (config.size != sizeof config || stats.size != sizeof stats)
    return CHANGEFEED_ERR_INVALID;
  if (changefeed_version_num() < CHANGEFEED_VERSION_NUM)
    return CHANGEFEED_ERR_INVALID;
  if (changefeed_options_new(&options) != CHANGEFEED_OK)
    return CHANGEFEED_ERR_NOMEM;
  changefeed_options_free(options);
  return text.len == 3 ? CHANGEFEED_OK : CHANGEFEED_END;
}
EOF
cp "$work/alone.c" "$work/alone.cc"
includes=(-I"${CFT_SOURCE_DIR:?}/include" -I"$CFT_BINARY_DIR/include")
warnings=(-Wall -Wextra -pedantic -Wundef -Wcast-qual -Werror)
failures=0 tried=0

compile() {
  tried=$((tried + 1))
  if ! "$@" "${warnings[@]}" "${includes[@]}" -c -o "$work/alone.o" \
    2>"$work/errors"; then
    echo "FAILED: $*"
    cat "$work/errors"
    failures=$((failures + 1))
  fi
}

have() { command -v "$1" >/dev/null 2>&1; }

# pedantic C++98 has neither long long nor a comma behind the last enumerator.
for cc in "${CC:-cc}" gcc clang; do
  have "$cc" || continue
  for std in c99 c11 c17; do
    compile "$cc" -std=$std -Wstrict-prototypes -Wmissing-prototypes \
      "$work/alone.c"
    compile "$cc" -std=$std -DCHANGEFEED_STATIC "$work/alone.c"
  done
done
cxx=0
for cc in g++ clang++; do
  have "$cc" || continue
  cxx=$((cxx + 1))
  for std in c++98 c++11 c++20; do
    compile "$cc" -std=$std "$work/alone.cc"
  done
done

if [ "$cxx" -eq 0 ]; then
  echo "no C++ compiler was found"
  exit 1
fi
[ "$failures" -eq 0 ] || exit 1
echo "$tried compilations without a warning"
