#!/usr/bin/env bash
# What judges what visitors see can fail: ways of working known to be wrong are
# caught, each by the laws that it breaks. visit/run.sh --naive has all of them.
# ctest: TIMEOUT 170
# ctest: COST 80
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${CFT_PLATFORM:?is the directory of the programs}"
: "${CFT_COUCHSIM:?is the simulated database}"
[ -x "$CFT_PLATFORM/balancer_hooked" ] || {
  echo "no $CFT_PLATFORM/balancer_hooked"
  exit 77
}
# What goes wrong is a matter of time, which a sanitizer changes.
[ "${CFT_INSTRUMENTED:-0}" = 0 ] || {
  echo 'skipped: the programs are instrumented'
  exit 77
}
work=$(mktemp -d) || exit 1
TMPDIR=$work "$here/visit/run.sh" --naive noguard prune \
  --apps 10 --drones 12 --trouble-ms 6000 --stale-ms 2000 --away-ms 2000 --soon-ms 5000
status=$?
if [ $status = 0 ]; then
  rm -rf "$work"
else
  echo "logs: $work" >&2
fi
exit $status
