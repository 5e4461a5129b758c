#!/usr/bin/env bash
# The claim protocol run from outside, in programs that somebody built.
#
#   tests/platform/kernel/run.sh [--seeds N] [--seed FIRST] [--full] [OPTION...]
#   tests/platform/kernel/run.sh --naive [WAY...]
#
#   --seeds N      so many runs (10), each from a seed of its own
#   --full         200 apps, 150 drones, 500 starts at once, a minute of trouble
#   --naive        each way of working known to be wrong, or those named, must
#                  break the laws it is expected to, and no others: a table.
#                  What goes wrong is random; up to ten seeds are tried.
#   OPTION         of platform_kernel_run, see its --help
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
#   I2 two live routes name one drone     I4  two apps were told one claim
#   I3 "live" was not true at the drone   I10 something is never put right
#   I12 more apps are live than there are drones
#
# A drone on which two meet is told two things: what follows from that differs
# from run to run, so it may be seen, but need not.
ways() {
  cat <<'TABLE'
claim2xx   I2?,I3             --calm-ms 60000 --copies 3
samebody   I2?,I3             --calm-ms 60000
lastwrite  I2?,I3             --calm-ms 60000 --drones 21 --apps 20 --users 40
readback   I2?,I3             --calm-ms 60000 --copies 3
emptypool  I2,I3?,I4,I10?,I12 --calm-ms 3000 --dry --apps 30 --drones 20
timeoutok  I2?,I3             --calm-ms 60000
nofence    I2?,I3             --calm-ms 60000 --dry --apps 20 --drones 12 --users 30
TABLE
}

runs_of platform_kernel_run --full --dry --keep --no-faults --no-kills -- "$@"
