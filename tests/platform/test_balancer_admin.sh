#!/bin/bash
# The balancer's admin face; see page/admin.js.
command -v node >/dev/null || exit 77
exec node "$CFT_SOURCE_DIR/tests/platform/page/admin.js"
