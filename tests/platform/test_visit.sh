#!/usr/bin/env bash
# All programs together, balancers and visitors as well, under faults, judged
# from outside (visit/phases.h): one small run here. visit/run.sh does more and
# longer ones.
# ctest: TIMEOUT 170
# ctest: COST 30
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${CFT_PLATFORM:?is the directory of the programs}"
: "${CFT_COUCHSIM:?is the simulated database}"
[ -x "$CFT_PLATFORM/balancer" ] || {
  echo "no $CFT_PLATFORM/balancer"
  exit 77
}
# A second is little for programs that a sanitizer slows down; longer runs can
# be done with them by hand.
[ "${CFT_INSTRUMENTED:-0}" = 0 ] || {
  echo 'skipped: the programs are instrumented'
  exit 77
}
work=$(mktemp -d) || exit 1
export TMPDIR=$work
failures=0
"$here/visit/run.sh" --seed 1 --seeds 1 --apps 8 --drones 11 --moves 3 \
  --trouble-ms 5000 --stale-ms 2000 --away-ms 2000 --soon-ms 5000 || failures=1

# What cannot be run, and what there is not, is said.
expect_status() { # STATUS, OPTION...
  local status wanted=$1
  shift
  "$here/visit/run.sh" "$@" >said 2>&1
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
expect_status 2 --apps 20 --drones 10
expect_status 2 --naive-ways
CFT_PLATFORM=$work/none expect_status 2

# A run that failed has left its logs; they are what can be looked at.
if [ $failures = 0 ]; then
  cd / && rm -rf "$work"
else
  echo "logs: $work" >&2
fi
[ $failures = 0 ]
