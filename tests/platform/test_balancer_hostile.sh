#!/bin/bash
# Clients that mean it badly, at a balancer; see smuggle/hostile.js.
#
#   test_balancer_hostile.sh [--subject front] [--idle COUNT]
#
# ctest: TIMEOUT 400
# ctest: COST 60
command -v node >/dev/null && [ -x "$CFT_PLATFORM/balancer" ] || exit 77
if ! ulimit -n 20000 2>/dev/null; then
  echo "descriptors are limited to $(ulimit -Hn): ten thousand connections" \
    "are not possible here"
  exit 77
fi
exec node "$CFT_SOURCE_DIR/tests/platform/smuggle/hostile.js" \
  --subject balancer "$@"
