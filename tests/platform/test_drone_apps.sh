#!/bin/bash
# What becomes of a drone's app; see drone/apps.js.
command -v node >/dev/null || exit 77
exec node "$CFT_SOURCE_DIR/tests/platform/drone/apps.js"
