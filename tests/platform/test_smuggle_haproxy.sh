#!/bin/bash
# The tables of test_smuggle through HAProxy as it comes: what both pass on means
# the same to both; see smuggle/compare.js.
# ctest: TIMEOUT 400
# ctest: COST 165
command -v node >/dev/null && command -v haproxy >/dev/null || exit 77
if [ "${CFT_INSTRUMENTED-}" = 1 ]; then
  echo 'nothing of ours runs in it'
  exit 77
fi
exec node "$CFT_SOURCE_DIR/tests/platform/smuggle/run.js" --subject haproxy
