#!/bin/bash
# Requests and answers that two readers could understand differently, through
# the engine; see smuggle/run.js.
command -v node >/dev/null || exit 77
exec node "$CFT_SOURCE_DIR/tests/platform/smuggle/run.js"
