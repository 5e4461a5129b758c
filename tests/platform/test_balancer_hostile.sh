#!/bin/bash
# Clients that mean it badly; see smuggle/hostile.js.
# ctest: TIMEOUT 400
command -v node >/dev/null || exit 77
if ! ulimit -n 20000 2>/dev/null; then
  echo "descriptors are limited to $(ulimit -Hn): ten thousand connections" \
    "are not possible here"
  exit 77
fi
exec node "$CFT_SOURCE_DIR/tests/platform/smuggle/hostile.js" "$@"
