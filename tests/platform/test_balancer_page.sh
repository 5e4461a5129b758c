#!/bin/bash
# The balancer's status page in a browser; see page/page.js. Skipped only where
# there is no Chromium to be had.
# ctest: TIMEOUT 300
# ctest: COST 90
command -v node >/dev/null || exit 77
if [ "${CFT_INSTRUMENTED-}" = 1 ]; then
  echo 'the page is the same; balancer_admin asks what is behind it'
  exit 77
fi
exec node "$CFT_SOURCE_DIR/tests/platform/page/page.js"
