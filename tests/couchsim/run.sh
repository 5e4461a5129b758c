#!/usr/bin/env bash
# Long runs of the simulation.
#
#   tests/couchsim/run.sh [--mirror] COUNT [FIRST_SEED]
#
# --mirror: runs of mirrors, not of a feed.
# Takes couchsim_run from build/dev unless COUCHSIM_RUN names another. One
# process per processor, each with a part of the seeds; the first seed that
# breaks a rule is told, and can be seen again by `couchsim_run --seed N`.
set -u
what=()
if [ "${1-}" = --mirror ]; then
  what=(--mirror)
  shift
fi
count=${1:?usage: run.sh [--mirror] COUNT [FIRST_SEED]} first=${2:-1}
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
program=${COUCHSIM_RUN:-build/dev/tests/couchsim/couchsim_run}
jobs=${COUCHSIM_JOBS:-$(nproc)}
[ -x "$program" ] || {
  echo "run.sh: $program is not there; build the preset dev first" >&2
  exit 1
}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
part=$(((count + jobs - 1) / jobs)) pids=()
for ((job = 0; job < jobs; job++)); do
  from=$((first + job * part))
  left=$((first + count - from))
  [ "$left" -gt 0 ] || break
  "$program" ${what[@]+"${what[@]}"} --first "$from" --count $((left < part ? left : part)) \
    >"$scratch/$job" 2>&1 &
  pids+=($!)
done
failed=0
for job in "${!pids[@]}"; do
  wait "${pids[$job]}" || failed=1
  cat "$scratch/$job"
done
echo "seeds $first to $((first + count - 1))"
exit $failed
