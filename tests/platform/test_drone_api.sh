#!/bin/bash
# The drone's agent from outside; see drone/api.js.
command -v node >/dev/null || exit 77
exec node "$CFT_SOURCE_DIR/tests/platform/drone/api.js"
