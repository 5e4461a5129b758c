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
export CFT_PLATFORM=${CFT_PLATFORM:-$root/build/dev/platform}
export CFT_COUCHSIM=${CFT_COUCHSIM:-$root/build/dev/tests/couchsim/couchsim}
program=$CFT_PLATFORM/platform_kernel_run

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

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

naive=0 seeds=10 arguments=() wanted=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --naive) naive=1 ;;
    --seeds) seeds=${2:?--seeds takes a number} && shift ;;
    -*)
      arguments+=("$1")
      case $1 in
        --full | --dry | --keep | --no-faults | --no-kills) ;;
        *) [ $# -lt 2 ] || { arguments+=("$2") && shift; } ;;
      esac
      ;;
    *) wanted+=("$1") ;;
  esac
  shift
done
for file in "$program" "$CFT_COUCHSIM"; do
  [ -x "$file" ] || {
    echo "run.sh: $file is not there; build the preset dev first" >&2
    exit 2
  }
done
if [ $naive = 0 ]; then
  [ ${#wanted[@]} = 0 ] || { usage >&2 && exit 2; }
  exec "$program" --seeds "$seeds" ${arguments[@]+"${arguments[@]}"}
fi

is_wanted() {
  local one
  [ ${#wanted[@]} != 0 ] || return 0
  for one in "${wanted[@]}"; do
    [ "$one" != "$1" ] || return 0
  done
  return 1
}
for one in ${wanted[@]+"${wanted[@]}"}; do
  ways | grep -q "^$one " || {
    echo "run.sh: there is no naive way \"$one\"" >&2
    exit 2
  }
done

out=$(mktemp) || exit 2
trap 'rm -f "$out"' EXIT
all_well=0
printf '%-10s %-18s %-16s %-20s %5s  %s\n' \
  way expected broken held runs 'as expected?'
while read -r way expected how; do
  is_wanted "$way" || continue
  # $how is words.
  # shellcheck disable=SC2086
  "$program" --naive "$way" --expect "$expected" --seeds "$seeds" $how \
    ${arguments[@]+"${arguments[@]}"} </dev/null >"$out" 2>&1
  status=$?
  # ok 2 runs of WAY: broken I2 I3; held I1 I4; expected ...
  verdict=$(grep ' runs of ' "$out" | tail -n 1)
  broken=${verdict#*: broken } held=${verdict#*; held }
  read -r _ runs _ <<<"$verdict"
  answer=yes
  [ $status = 0 ] || answer=NO all_well=1
  printf '%-10s %-18s %-16s %-20s %5s  %s\n' "$way" "$expected" \
    "${broken%%;*}" "${held%%;*}" "$runs" "$answer"
  [ $status = 0 ] || sed 's/^/    /' "$out"
done < <(ways)
exit $all_well
