#!/bin/bash
# The drone's guard; see drone/guard.js.
command -v node >/dev/null || exit 77
exec node "$CFT_SOURCE_DIR/tests/platform/drone/guard.js"
