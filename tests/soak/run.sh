#!/usr/bin/env bash
# A long soak: feeds follow a database that does everything wrong.
#
#   tests/soak/run.sh [MINUTES] [SEED]
#
# Ten minutes unless told otherwise. Takes soak_run from build/dev unless
# SOAK_RUN names another. Ends with a table of what was used and asked.
set -u
minutes=${1:-10} seed=${2:-1}
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
program=${SOAK_RUN:-build/dev/tests/soak/soak_run}
[ -x "$program" ] || {
  echo "run.sh: $program is not there; build the preset dev first" >&2
  exit 1
}
exec "$program" --seconds $((minutes * 60)) --seed "$seed"
