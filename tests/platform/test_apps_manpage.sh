#!/usr/bin/env bash
# apps(1) has every option of every command's --help and no other, with the same
# ranges and defaults, and every exit status.
# shellcheck disable=SC2016
set -u
# shellcheck source=tests/platform/support/apps.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/apps.sh"

page=$root/docs/man/apps.1
run --help
commands=$(sed -nE 's/^  ([a-z]+) .*/\1/p' out)
[ "$(wc -w <<<"$commands")" -eq 10 ] || fail 'apps --help cannot be read'
: >all
for name in $commands; do
  grep -qE "^\\.It Cm $name( |\$)" "$page" || fail "$page lacks the command $name"
  run "$name" --help
  expect "$name --help" 0 "$status"
  cat out >>all
done
sed -nE 's/^  --([a-z-]+).*/\1/p' all | sort -u >in_help
sed -nE 's/^\.It Fl Fl ([a-z-]+).*/\1/p' "$page" | sort >in_page
[ "$(wc -l <in_help)" -gt 15 ] || fail 'the help cannot be read'
diff in_help in_page || fail "$page has other options than --help"
for value in 5m apps 16384 http://127.0.0.1:7400; do
  grep -q "\\[$value\\]" all || fail "--help lacks the default $value"
  grep -qiE "default: $value\\.|^\\.Cm $value \\." "$page" ||
    fail "$page lacks the default $value"
done
for status in 0 1 2 3 4 5 6 7; do
  grep -qE "^\\.It $status\$" "$page" || fail "$page lacks the status $status"
done
finish
