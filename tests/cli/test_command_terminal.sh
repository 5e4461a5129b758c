#!/usr/bin/env bash
# On a terminal: a progress line while catching up, and nothing of it left when
# something else is shown.
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

command -v script >/dev/null || { echo "no script(1) to make a terminal"; exit 77; }

# Runs a command line with a terminal as its standard output and error; what
# the terminal got is in the file screen, with carriage returns as ^M.
on_terminal() { # TERM, command line
  TERM=$1 script -qec "$2" typescript >/dev/null </dev/null
  sed -e '1d' -e '$d' typescript | tr '\r\033' '\n^' >screen
}

# A catch-up of which the start is known to be seen: the server goes on when
# it is told to.
rows() { # from, to
  local n
  for ((n = $1; n <= $2; n++)); do
    printf '{"seq":%d,"id":"doc-%d","changes":[{"rev":"1-a"}]},\n' "$n" "$n"
  done
}
{
  printf '{"results":[\n'
  rows 1 40
} >first
{
  rows 41 60
  printf '{"seq":61,"id":"last","changes":[{"rev":"1-a"}]}\n],"last_seq":61,"pending":0}\n'
} >second
start_peer --rows first --then second --after-ms 1200
line="'$command' --once --format=id '$peer/db'"

on_terminal xterm "$line >rows"
expect "progress: rows" 61 "$(lines rows)"
grep -qE '^(\^\[K)?catching up: 40 rows, [0-9]+ rows/s, [0-9.]+ MB read' screen ||
  fail "progress: no line in: $(cat screen)"
draws=$(grep -c 'catching up' screen)
[ "$draws" -ge 3 ] && [ "$draws" -le 9 ] || fail "progress: drawn $draws times"
expect "progress: erased at the end" '^[K' "$(tail -n 1 screen)"

on_terminal xterm "$line --limit=50 >rows"
grep -qE 'catching up: 40 rows, .*10 to go, 80 % done' screen ||
  fail "progress with a limit: $(cat screen)"

# Rows on the same terminal: each on a line of its own.
on_terminal xterm "$line"
expect "same terminal: rows" 61 "$(grep -cE '^(\^\[K)?(doc-[0-9]+|last)$' screen)"
grep -q 'catching up: 40 rows' screen || fail "same terminal: no progress"
grep -qE 'catching up.*(doc|last)' screen && fail "same terminal: $(cat screen)"

for quiet in '--quiet' '--events' '--verbose'; do
  on_terminal xterm "$line $quiet >rows"
  grep -q 'catching up' screen && fail "progress in spite of $quiet"
done
on_terminal dumb "$line >rows"
grep -q 'catching up' screen && fail "progress on a dumb terminal"
expect "dumb terminal: nothing" "" "$(tr -d '\n' <screen)"
"$command" --once "$peer/db" >rows 2>err
expect "no terminal: no progress" "" "$(cat err)"

finish
