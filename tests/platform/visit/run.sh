#!/usr/bin/env bash
# What visitors of three balancers see, run from outside, in programs that
# somebody built.
#
#   tests/platform/visit/run.sh [--seeds N] [--seed FIRST] [OPTION...]
#   tests/platform/visit/run.sh --naive [WAY...]
#
#   --seeds N      so many runs (10), each from a seed of its own
#   --naive        each way of working known to be wrong, or those named, must
#                  break the laws it is expected to, and no others: a table.
#                  What goes wrong is random; up to ten seeds are tried.
#   OPTION         of platform_visit_run, see its --help
#
# CFT_PLATFORM is the directory of the programs, CFT_COUCHSIM the simulated
# database; those of build/dev unless told otherwise. Exits 0 when all was as it
# has to be, 1 when not, 2 when nothing could be run.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# shellcheck source=tests/platform/support/runs.sh
. "$root/tests/platform/support/runs.sh"

# WAY, what must be broken and what may be besides ("?"), how it is provoked.
#
#   I5 somebody sees another app        I8  he sees more errors than before,
#   I6 digests are not the database's       with the database away
#   I7 a change is late, unsaid         I9  an app that exists is unknown
#                                       I16 gen goes back in a balancer
ways() {
  cat <<'TABLE'
noguard    I5                 --drones 14
feed       I6,I7              --no-kills
history    I6?,I16            --spell backward
prune      I6?,I7?,I8,I9
TABLE
}

runs_of platform_visit_run --no-faults --no-kills --keep -- "$@"
