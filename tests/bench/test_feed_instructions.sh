#!/usr/bin/env bash
# How many instructions the library and libcurl take for a row of a whole feed
# over a socket, as the difference between a short feed and a longer one. How
# the bytes arrive differs from run to run, which is a few in a hundred.
set -u
export LC_ALL=C

if [ "${CFT_INSTRUMENTED:-0}" = 1 ] || [ "$(uname -m)" != x86_64 ]; then
  echo "the bounds are those of a plain build for x86-64"
  exit 77
fi
command -v valgrind >/dev/null 2>&1 || {
  echo "no valgrind"
  exit 77
}

# FEED ROWS BOUND: instructions of a row at most, a third more than gcc 12
# makes with -O2.
bounds='
a 4000 2550
b 4000 4900
c 400 47500
'

build=${CFT_BINARY_DIR:?}
work=$(mktemp -d "$build/instructions.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
race_log=$work/race.log
: >"$race_log"
# shellcheck source=tests/bench/race.sh
. "$(dirname "${BASH_SOURCE[0]}")/race.sh"

# count FEED ROWS: sets counted.
count() {
  start_server "$1" "$2" 1 1490 || return 1
  valgrind --tool=callgrind --callgrind-out-file=/dev/null \
    --log-file="$work/log" "$programs/bench_client_changefeed" \
    --url "$url/db" >"$work/out"
  end_server || return 1
  grep -q "^$2 " "$work/out" || return 1
  counted=$(sed -n 's/.*Collected : //p' "$work/log")
  [ -n "$counted" ]
}

failed=0
while read -r feed short bound; do
  [ -n "$feed" ] || continue
  count "$feed" "$short" || exit 1
  few=$counted
  count "$feed" "$((short * 4))" || exit 1
  figure=$(((counted - few) / (short * 3)))
  echo "$feed: $figure for a row, at most $bound"
  # Far below means that nothing was counted.
  if [ "$figure" -gt "$bound" ] || [ "$figure" -lt $((bound / 4)) ]; then
    failed=1
  fi
done <<<"$bounds"
exit "$failed"
