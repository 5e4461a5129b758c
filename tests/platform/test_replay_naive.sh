#!/usr/bin/env bash
# What judges a replay can fail: programs that work in a way known to be wrong
# break the laws that they have to, and no others. replay --naive all has every
# way.
# ctest: TIMEOUT 290
# ctest: COST 60
set -u
replay=${CFT_PLATFORM:?is the directory of the programs}/replay
: "${CFT_COUCHSIM:?is the simulated database}"
[ -x "$replay" ] || { echo "no $replay" && exit 77; }
# What goes wrong is a matter of time, which a sanitizer changes.
[ "${CFT_INSTRUMENTED:-0}" = 0 ] || {
  echo 'skipped: the programs are instrumented'
  exit 77
}
work=$(mktemp -d) || exit 1
status=0
for way in noguard nocoalesce; do
  TMPDIR=$work "$replay" --naive $way --seed 1 --couchsim "$CFT_COUCHSIM" \
    --out "$work/out" || status=1
done
if [ $status = 0 ]; then
  rm -rf "$work"
else
  echo "logs: $work" >&2
fi
exit $status
