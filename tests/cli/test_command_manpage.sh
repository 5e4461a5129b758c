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

if command -v mandoc >/dev/null; then
  mandoc -T lint -W warning "$page" || fail "mandoc -T lint"
fi

finish
