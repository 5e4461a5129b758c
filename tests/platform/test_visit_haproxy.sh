#!/usr/bin/env bash
# What visitors see when each balancer drives an HAProxy (visit/haproxy.c): one
# small run. visit/run.sh --engine haproxy does more and longer ones.
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
command -v haproxy >/dev/null 2>&1 || {
  echo 'no haproxy'
  exit 77
}
# As test_visit.sh.
[ "${CFT_INSTRUMENTED:-0}" = 0 ] || {
  echo 'skipped: the programs are instrumented'
  exit 77
}
work=$(mktemp -d) || exit 1
export TMPDIR=$work
failures=0
"$here/visit/run.sh" --engine haproxy --seed 1 --seeds 1 --apps 8 --drones 11 \
  --moves 2 --trouble-ms 3000 --stale-ms 2000 --away-ms 2000 --soon-ms 5000 ||
  failures=1

# What there is not is said.
for options in '--engine none' '--engine haproxy --naive noguard'; do
  # shellcheck disable=SC2086
  "$CFT_PLATFORM/platform_visit_run" $options >"$work/said" 2>&1
  status=$?
  [ $status = 2 ] || {
    echo "FAILED: $options: $status, not 2: $(cat "$work/said")" >&2
    failures=1
  }
done

if [ $failures = 0 ]; then
  cd / && rm -rf "$work"
else
  echo "logs: $work" >&2
fi
[ $failures = 0 ]
