#!/bin/bash
# What test_smuggle does to the engine, to a balancer; see smuggle/run.js.
command -v node >/dev/null && [ -x "$CFT_PLATFORM/balancer" ] || exit 77
exec node "$CFT_SOURCE_DIR/tests/platform/smuggle/run.js" --subject balancer
