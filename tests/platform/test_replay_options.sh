#!/usr/bin/env bash
# What the replay is told: wrong words are named, and replay(1) has every option
# of --help and no other, and each law and each step that the program knows.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
program=replay
[ -x "${CFT_PLATFORM:?is the directory of the programs}/$program" ] ||
  { echo "no $program" && exit 77; }
export LC_ALL=C
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
# shellcheck source=tests/platform/support/options.sh
. "$root/tests/platform/support/options.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/cft-replayopt-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

refused 'no-such' --no-such
refused '--seed takes a number from 0, not: "some"' --seed some
refused '--seed takes a number from 0, not: "-1"' --seed=-1
refused 'seeds' --seeds 0
refused '--steps takes numbers from 0 to 10 with commas, not: "11"' --steps 11
refused '--steps takes numbers' --steps 1,,2
refused '--steps takes numbers' --steps calm
refused '--apps: 8 at least are needed' --apps 7
refused '--drones: there must be two more than apps' --apps 20 --drones 21
refused 'apps' --apps 257
refused 'there is no naive way: "none"' --naive none
refused '--incident-2013 has naive ways of its own' --naive feed --incident-2013
refused 'naive programs are for the simulated database' --naive feed \
  --against http://127.0.0.1:1
refused 'there is no such directory' --programs "$work/none"
refused "there is no such program: \"$work/drone\"" --programs "$work"
refused 'there is no such program' --couchsim "$work/none"
refused 'There is one word too many: "operand"' operand
run --version
expect_match 'version' 'replay of libchangefeed*' "$(cat out)"
# Nothing was begun, and nothing is left.
expect 'files' 'err out' "$(echo *)"

expect_manual 10
for ((law = 1; law <= 18; law++)); do
  grep -qx "\\.It I$law" "$page" || fail "$page lacks I$law"
done
for ((step = 0; step <= 10; step++)); do
  grep -qx "\\.It $step" "$page" || fail "$page lacks step $step"
done
finish
