#!/usr/bin/env bash
# Each function of the public headers can be linked: a program with a pointer to
# every one of them, made from the declarations, built against the shared and
# the static library, in C and in C++, and run.
set -u
: "${CFT_SOURCE_DIR:?}" "${CFT_BINARY_DIR:?}" "${CFT_STATIC:?}"
export LC_ALL=C
work=$(mktemp -d "$CFT_BINARY_DIR/link.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
read -r -a flags <<<"${CFT_CFLAGS:-}"
includes=(-I"$CFT_SOURCE_DIR/include" -I"$CFT_BINARY_DIR/include")
read -r -a libraries <<<"$(pkg-config --libs libcurl yajl) -pthread"

perl -0ne 's/\/\*.*?\*\///gs;
  print "$1\n" while /CHANGEFEED_EXTERN[^;(]*\b(changefeed_\w+)\(/g' \
  "$CFT_SOURCE_DIR/include/changefeed/changefeed.h" \
  "$CFT_SOURCE_DIR/include/changefeed/mirror.h" >"$work/names" || exit 1
count=$(wc -l <"$work/names")
declared=$(cat "$CFT_SOURCE_DIR"/include/changefeed/{changefeed,mirror}.h |
  grep -c '^CHANGEFEED_EXTERN')
if [ "$count" -ne "$declared" ] || [ "$count" -lt 50 ]; then
  echo "$declared declarations, but the names of $count functions"
  exit 1
fi

{
  cat <<'END'
#include <changefeed/changefeed.h>
#include <changefeed/mirror.h>
#include <stdio.h>

typedef void (*any)(void);

int main(void) {
  static const any all[] = {
END
  sed 's/.*/    (any)&,/' "$work/names"
  cat <<'END'
  };
  size_t i, found = 0;

  for (i = 0; i < sizeof all / sizeof *all; i++)
    found += all[i] != (any)0;
  printf("%u\n", (unsigned)found);
  return 0;
}
END
} >"$work/all.c"
cp "$work/all.c" "$work/all.cc"

# WHAT COMMAND...: builds $work/all with it and runs it.
links() {
  local what=$1 got
  shift
  "$@" -o "$work/all" || {
    echo "$what: cannot be linked"
    exit 1
  }
  got=$("$work/all") || exit 1
  [ "$got" -eq "$count" ] || {
    echo "$what: $got functions, not $count"
    exit 1
  }
  echo "$what: $got functions"
}

# All of it at the start: what is missing shows at once.
export LD_BIND_NOW=1
if [ -n "${CFT_SHARED:-}" ]; then
  cp "$CFT_SHARED" "$work/libchangefeed.so.0"
  export LD_LIBRARY_PATH=$work
  links "C, shared" "${CC:-cc}" -Wno-cast-function-type "${flags[@]}" \
    "${includes[@]}" "$work/all.c" "$work/libchangefeed.so.0"
  if [ "${CFT_INSTRUMENTED:-0}" = 0 ]; then
    links "C++, shared" g++ "${includes[@]}" "$work/all.cc" \
      "$work/libchangefeed.so.0"
  fi
fi
links "C, static" "${CC:-cc}" "${flags[@]}" -DCHANGEFEED_STATIC \
  "${includes[@]}" "$work/all.c" "$CFT_STATIC" "${libraries[@]}"
