#!/usr/bin/env bash
# The man page names every flag of --help, every counter, event and exit
# status, and is well formed.
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

page=$root/docs/man/changefeed.1
[ -f "$page" ] || { fail "there is no $page"; finish; }

run --help
flags=$(sed -nE 's/^  --([a-z0-9_-]+).*/\1/p' out)
[ "$(wc -w <<<"$flags")" -gt 60 ] || fail "--help cannot be read"
for flag in $flags; do
  grep -qE "^\\.It Fl Fl ${flag}( |\$)" "$page" || fail "$page lacks --$flag"
done
# And no flag that there is not.
for flag in $(sed -nE 's/^\.It Fl Fl ([a-z0-9_-]+).*/\1/p' "$page"); do
  grep -qxF -- "$flag" <<<"$flags" || fail "$page has --$flag, --help has not"
done
# Ranges and defaults are those of --help.
ranges=0
while IFS='|' read -r flag range default || [ -n "$flag" ]; do
  ranges=$((ranges + 1))
  sed -n "/^\\.It Fl Fl $flag /,/^\\.It/p" "$page" | tr '\n' ' ' |
    grep -qF -- "Range: $range; default: $default." ||
    fail "$page: --$flag: not \"Range: $range; default: $default.\""
done < <(tr '\n' ' ' <out | sed 's/  --/\n--/g' | tr -s ' ' |
  sed -nE 's/^--([a-z_]+)=NUMBER .*\[(.*); default: ([0-9]+)\].*/\1|\2|\3/p')
[ "$ranges" -gt 20 ] || fail "only $ranges ranges were found in --help"

for event in state retry reset rewind fallback store endpoint tick log stats end; do
  grep -qE "^\\.It Cm $event\$" "$page" || fail "$page lacks the event $event"
done
for status in 0 1 2; do
  grep -qE "^\\.It $status\$" "$page" || fail "$page lacks the status $status"
done
grep -q 'CHANGEFEED_PASSWORD' "$page" || fail "$page lacks the environment"

# ---- mirror and diff --------------------------------------------------------

# The pages of the sub-commands have the command's own flags; the library's are
# in changefeed(1).
for sub in mirror diff; do
  sub_page=$root/docs/man/changefeed-$sub.1
  run "$sub" --help
  sed -n '/^Options of the library/q;s/^  --\([a-z0-9-]*\).*/\1/p' out |
    sort >in_help
  sed -nE 's/^\.It Fl Fl ([a-z0-9_-]+).*/\1/p' "$sub_page" | sort >in_page
  [ "$(lines in_help)" -gt 10 ] || fail "$sub --help cannot be read"
  diff in_help in_page || fail "$sub_page has other flags than --help"
  for status in 0 1 2 3 4; do
    grep -qE "^\\.It $status\$" "$sub_page" ||
      fail "$sub_page lacks the status $status"
  done
  grep -q "changefeed-$sub" "$page" || fail "$page does not name $sub_page"
done
for type in digest entry put gone difference audit; do
  grep -qE "^\\.It Cm .*\b$type\b" "$root/docs/man/changefeed-mirror.1" ||
    fail "changefeed-mirror.1 lacks the type $type"
done

if command -v mandoc >/dev/null; then
  mandoc -T lint -W warning "$root"/docs/man/*.1 || fail "mandoc -T lint"
fi

finish
