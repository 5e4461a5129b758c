#!/usr/bin/env bash
# The incident of 2013 in small, on the programs as they are: every law holds,
# and each was held to something. And a run that is interrupted leaves nothing.
# ctest: TIMEOUT 290
# ctest: COST 90
# shellcheck disable=SC2317
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
replay=${CFT_PLATFORM:?is the directory of the programs}/replay
: "${CFT_COUCHSIM:?is the simulated database}"
[ -x "$replay" ] || { echo "no $replay" && exit 77; }
# A second is little for programs that a sanitizer slows down; longer runs can be
# done with them by hand.
[ "${CFT_INSTRUMENTED:-0}" = 0 ] || {
  echo 'skipped: the programs are instrumented'
  exit 77
}
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/cft-replay-XXXXXX") || exit 1
export TMPDIR=$work
cd "$work" || exit 1

# ---- interrupted ----

processes() { pgrep -f "$work/" | wc -l; }
none_left() { [ "$(processes)" -eq 0 ]; }
has_begun() { grep -q ' 0 calm' interrupted; }

"$replay" --small --apps 8 --drones 10 --steps 0,9 --seed 1 \
  --couchsim "$CFT_COUCHSIM" --out none >interrupted 2>&1 &
pid=$!
wait_until has_begun
[ "$(processes)" -gt 10 ] || fail "programs run: $(processes)"
kill -INT $pid
wait $pid
expect 'interrupted: status' 130 $?
wait_until none_left
expect 'interrupted: files' interrupted "$(echo *)"

# ---- all ----

"$replay" --small --seed "${CFT_SEED:-1}" --couchsim "$CFT_COUCHSIM" \
  --out out >said 2>&1
status=$?
cat said
expect 'status' 0 $status
for file in table.txt replay.json timeline.svg; do
  [ -s out/$file ] || fail "there is no $file"
done
python3 - <<'PY' || fail 'the JSON is not as it has to be'
import json
run, = json.load(open("out/replay.json"))["runs"]
assert run["clean"] is True
laws = {law["id"]: law for law in run["laws"]}
assert sorted(laws) == sorted(f"I{n}" for n in range(1, 19)), sorted(laws)
excused = [id for id in laws if laws[id]["verdict"] != "held"]
assert excused in ([], ["I17"]), excused
assert all(laws[id]["checks"] > 0 for id in laws if id not in excused)
assert len([step for step in run["steps"] if "skipped" not in step]) >= 10
assert run["visitors"]["foreign"] == 0 and run["visitors"]["own"] > 100
PY
wait_until none_left

# A run that failed has left its logs; they are what can be looked at.
if [ "$failures" -eq 0 ]; then
  cd / && rm -rf "$work"
else
  echo "logs: $work" >&2
fi
finish
