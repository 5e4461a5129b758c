#!/bin/bash
# Lives and ends of a drone; see drone/life.js.
command -v node >/dev/null || exit 77
exec node "$CFT_SOURCE_DIR/tests/platform/drone/life.js"
