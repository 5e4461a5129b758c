#!/usr/bin/env bash
# All programs together under faults, judged from outside (kernel/kernel.h): a few
# small runs here, one of them with fewer drones than apps. kernel/run.sh does
# more and larger ones.
# ctest: TIMEOUT 170
# ctest: COST 35
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${CFT_PLATFORM:?is the directory of the programs}"
: "${CFT_COUCHSIM:?is the simulated database}"
# Programs that a sanitizer slows down take longer to come to rest than they are
# given here; the long runs can be done with them by hand.
[ "${CFT_INSTRUMENTED:-0}" = 0 ] || {
  echo 'skipped: the programs are instrumented'
  exit 77
}
work=$(mktemp -d) || exit 1
export TMPDIR=$work
failures=0

run() {
  "$here/kernel/run.sh" "$@" || failures=$((failures + 1))
}

run --seed 1 --seeds 2 --apps 14 --drones 17 --trouble-ms 6000
run --seed 3 --seeds 1 --apps 16 --drones 10 --dry --copies 3 --trouble-ms 6000

# What cannot be run, and what there is not, is said.
expect_status() { # STATUS, OPTION...
  local status wanted=$1
  shift
  "$here/kernel/run.sh" "$@" >said 2>&1
  status=$?
  [ $status = "$wanted" ] || {
    echo "FAILED: run.sh $*: $status, not $wanted: $(cat said)" >&2
    failures=$((failures + 1))
  }
}
cd "$work" || exit 1
expect_status 0 --help
expect_status 2 --naive no-such-way
expect_status 2 --seeds none
expect_status 2 --naive-ways
CFT_PLATFORM=$work/none expect_status 2

# A run that failed has left its logs; they are what can be looked at.
if [ $failures = 0 ]; then
  cd / && rm -rf "$work"
else
  echo "logs: $work" >&2
fi
[ $failures = 0 ]
