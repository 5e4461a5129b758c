#!/usr/bin/env bash
# The units in examples/systemd are understood by systemd, whole, and use options
# that the programs have; what runs is closed in well, and each drone is a user
# of its own.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
programs=${CFT_PLATFORM:?is the directory of the programs}
command -v systemd-analyze >/dev/null 2>&1 || { echo 'no systemd-analyze' && exit 77; }
export LC_ALL=C
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/cft-units-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
units=$root/examples/systemd

# As they would be installed, with programs that are there, one drone for all.
for file in "$units"/*.*; do
  [ -f "$file" ] || continue
  sed "s|/opt/platform/bin/|$programs/|" "$file" >"$work/$(basename "$file")"
done
mkdir "$work/haproxy"
cp "$work"/*.slice "$work"/*.target "$work/balancer-haproxy.service" "$work/haproxy"
# What a drop-in makes of its unit: systemd-analyze reads none beside a file.
{
  sed '/^ExecStart=/,/[^\\]$/d' "$work/balancer.service"
  sed '/^ExecStart=$/d' "$units/balancer.service.d/haproxy.conf" |
    sed "s|/opt/platform/bin/|$programs/|"
} >"$work/haproxy/balancer.service"

check_options() { # unit; of each program that it starts
  local name option
  sed -n '/^ExecStart/,/[^\\]$/p' "$1" | tr -d '\n' | tr "\\\\'" '  ' |
    grep -oE "$programs/[a-z]+[^>]*" >"$work/commands"
  while read -r line; do
    name=${line#"$programs/"}
    name=${name%% *}
    [ -x "$programs/$name" ] || { echo "no $programs/$name" && exit 77; }
    "$programs/$name" --help >"$work/help"
    grep -oE -- ' --[a-z-]+' <<<"$line" >"$work/options"
    [ -s "$work/options" ] || fail "$1: $name has no options there"
    while read -r option; do
      grep -qE "^  $option(=| |\$)" "$work/help" || fail "$name has no $option"
    done <"$work/options"
  done <"$work/commands"
}

# That our pages are not installed is no fault of a unit.
verify() {
  expect "$(basename "$1"): verified" '' \
    "$(systemd-analyze verify --recursive-errors=no "$1" 2>&1 | grep -v "Command 'man ")"
}

checked=0
for unit in "$work"/*.service "$work"/haproxy/*.service; do
  copy=${unit/@/@1}
  [ "$copy" = "$unit" ] || cp "$unit" "$copy"
  case $unit in
    */balancer-haproxy.service)
      command -v haproxy >/dev/null || continue ;;
  esac
  check_options "$copy"
  verify "$copy"
  systemd-analyze security --offline=true --threshold=20 "$copy" >"$work/security" 2>&1 ||
    fail "$copy is open: $(tail -n 1 "$work/security")"
  checked=$((checked + 1))
done
[ "$checked" -ge 5 ] || fail "only $checked units were checked"
for unit in "$work"/*.slice "$work"/*.target; do
  verify "$unit"
done

# All that the target has is started with it, and nothing else is.
grep -L '^WantedBy=platform.target$' "$units"/*.service >"$work/without"
expect 'without the target' '' "$(cat "$work/without")"
# Two units' dynamic users are one when neither is named, and share all files.
expect 'a user for each drone' 'User=drone-%i' "$(grep '^User=' "$units/drone@.service")"
expect 'one user for a balancer and its HAProxy' 'User=balancer' \
  "$(grep -h '^User=' "$units/balancer-haproxy.service" "$units"/balancer.service.d/*.conf | sort -u)"
# Secrets come as credentials: no unit has one, or names its file otherwise.
grep -hE -- '-file' "$units"/*.service "$units"/*/*.conf | grep -vE -- '-file %d/' >"$work/other"
expect 'files of secrets' '' "$(cat "$work/other")"
finish
