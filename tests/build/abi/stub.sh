# shellcheck shell=bash
# The public headers as a shared library of functions that do nothing: what
# their promise is in binary form, without what is behind it. To be sourced, by
# bash, with CFT_BINARY_DIR set.
#
#   abi_stub HEADERS LIBRARY   from changefeed.h and mirror.h in the directory
#                              HEADERS/changefeed

abi_stub() {
  local headers=$1 library=$2
  {
    # Strings and comments of declarations hold no semicolon before their end.
    echo '#include "changefeed/export.h"'
    echo '#include "changefeed/version.h"'
    perl -0pe 's/\/\*.*?\*\///gs;
      s/^#include.*(export|version|changefeed)\.h.*$//mg;
      s/CHANGEFEED_EXTERN\s+([^;]*);/CHANGEFEED_EXTERN $1 { __builtin_trap(); }/g' \
      "$headers/changefeed/changefeed.h" "$headers/changefeed/mirror.h"
  } >"$library.c"
  # Names of parameters may be left out in declarations.
  gcc -std=c2x -g -O0 -w -fPIC -shared -fvisibility=hidden \
    -I"$headers" -I"$CFT_BINARY_DIR/include" -Wl,-soname,libchangefeed.so.0 \
    -Wl,--version-script="$CFT_SOURCE_DIR/lib/changefeed.map" \
    "$library.c" -o "$library"
}
