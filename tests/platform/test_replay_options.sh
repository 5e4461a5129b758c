#!/usr/bin/env bash
# What the replay is told: wrong words are named, and replay(1) has every option
# of --help and no other, and each law and each step that the program knows.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
replay=${CFT_PLATFORM:?is the directory of the programs}/replay
[ -x "$replay" ] || { echo "no $replay" && exit 77; }
export LC_ALL=C
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/cft-replayopt-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

run() {
  timeout 20 "$replay" "$@" >out 2>err </dev/null
  status=$?
}

refused() { # what is said, words
  local said=$1
  shift
  run "$@"
  expect "$* : status" 2 "$status"
  expect_match "$* : told" "replay: *$said*" "$(cat err)"
}

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

page=$root/docs/man/replay.1
run --help
expect 'help: status' 0 "$status"
sed -nE 's/^  --([a-z0-9-]+).*/\1/p' out | sort -u >in_help
grep '^\.It Fl Fl' "$page" | grep -oE 'Fl Fl [a-z0-9-]+' | cut -c7- | sort -u >in_page
[ "$(wc -l <in_help)" -gt 10 ] || fail 'the help cannot be read'
diff <(grep -vxE 'config|help|version' in_help) in_page ||
  fail "$page has other options than --help"
for ((law = 1; law <= 18; law++)); do
  grep -qx "\\.It I$law" "$page" || fail "$page lacks I$law"
done
for ((step = 0; step <= 10; step++)); do
  grep -qx "\\.It $step" "$page" || fail "$page lacks step $step"
done
finish
