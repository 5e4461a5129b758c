#!/usr/bin/env bash
# What judges the programs from outside can fail: two ways of working known to
# be wrong are caught, each by the law that it breaks. kernel/run.sh --naive has
# all of them.
# ctest: TIMEOUT 170
# ctest: COST 35
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${CFT_PLATFORM:?is the directory of the programs}"
: "${CFT_COUCHSIM:?is the simulated database}"
# What goes wrong is a matter of time, which a sanitizer changes.
[ "${CFT_INSTRUMENTED:-0}" = 0 ] || {
  echo 'skipped: the programs are instrumented'
  exit 77
}
work=$(mktemp -d) || exit 1
TMPDIR=$work "$here/kernel/run.sh" --naive timeoutok emptypool
status=$?
if [ $status = 0 ]; then
  rm -rf "$work"
else
  echo "logs: $work" >&2
fi
exit $status
