#!/usr/bin/env bash
# The units in examples/systemd are understood by systemd, whole, and use options
# that the programs have; what runs is closed in well.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
programs=${CFT_PLATFORM:?is the directory of the programs}
command -v systemd-analyze >/dev/null 2>&1 || { echo 'no systemd-analyze' && exit 77; }
export LC_ALL=C
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/cft-units-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

checked=0
for unit in "$root"/examples/systemd/*.service; do
  name=$(basename "$unit" .service)
  name=${name%@}
  [ -x "$programs/$name" ] || { echo "no $programs/$name" && exit 77; }
  "$programs/$name" --help >"$work/help"
  sed -n '/^ExecStart=/,/[^\\]$/p' "$unit" | grep -oE ' --[a-z-]+' >"$work/options"
  [ -s "$work/options" ] || fail "$name: no options are found"
  while read -r option; do
    grep -qE "^  $option(=| |\$)" "$work/help" || fail "$name has no $option"
  done <"$work/options"
  # Under a name that an instance has, with programs that are there.
  copy=$work/$(basename "$unit" | sed 's/@/@1/')
  sed "s|/opt/platform/bin/|$programs/|" "$unit" >"$copy"
  # That our pages are not installed is no fault of the unit.
  said=$(systemd-analyze verify "$copy" 2>&1 | grep -v "Command 'man ")
  expect "$name: verified" '' "$said"
  systemd-analyze security --offline=true --threshold=30 "$copy" >"$work/security" 2>&1 ||
    fail "$name is open: $(tail -n 1 "$work/security")"
  checked=$((checked + 1))
done
[ "$checked" -ge 3 ] || fail "only $checked units are there"
finish
