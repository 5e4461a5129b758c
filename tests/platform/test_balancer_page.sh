#!/bin/bash
# The balancer's status page in a browser; see page/page.js. Skipped only where
# there is no Chromium to be had.
# ctest: TIMEOUT 300
command -v node >/dev/null || exit 77
exec node "$CFT_SOURCE_DIR/tests/platform/page/page.js"
