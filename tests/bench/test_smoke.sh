#!/usr/bin/env bash
# Do the programs of the benchmarks still work? All feeds in small, each client
# once; the tables and the plot are made of that.
set -u
export LC_ALL=C

here=$(dirname "${BASH_SOURCE[0]}")
work=$(mktemp -d "${CFT_BINARY_DIR:?}/bench.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

build=$CFT_BINARY_DIR
results=$work/results.txt
race_log=$work/race.log
only=
rounds=1
failures=0
: >"$race_log" >"$results"
# shellcheck source=tests/bench/race.sh
. "$here/race.sh"

fail() {
  echo "FAILED: $*"
  cat "$race_log"
  exit 1
}

[ -d "$here/followers/node_modules" ] || followers=()
race a 1000 1 || fail "feed a"
for client in "${followers[@]}"; do
  grep -q "^a 1490 $client 1000 " "$results" || fail "$client"
done
bars=$((4 * 4 + ${#followers[@]}))
followers=() # they take half a second each to start
race b 400 1 || fail "feed b"
race c 30 1 || fail "feed c"
race d 200 65536 || fail "feed d"
[ "$failures" -eq 0 ] || fail "$failures clients"

for feed in a b c d; do
  for client in library library-batch libcurl curl; do
    grep -q "^$feed 1490 $client " "$results" || fail "$client on feed $feed"
  done
  grep -q "^$feed live library " "$results" || fail "feed $feed, live"
  grep -q "^$feed 65536 library " "$results" || fail "feed $feed, large chunks"
done

table=$(awk -f "$here/table.awk" "$results") || fail "table.awk"
[ "$(wc -l <<<"$table")" -eq "$(($(wc -l <"$results") + 2))" ] ||
  fail "the table: $table"
awk -f "$here/plot.awk" "$results" >"$work/plot.svg" || fail "plot.awk"
[ "$(grep -c '^<rect x' "$work/plot.svg")" -eq "$bars" ] ||
  fail "the plot lacks bars"

start_server a 10 1 1490 || fail "the server"
for way in library libcurl; do
  echo "late $way $("$programs/bench_latency" --way "$way" --rows 50 \
    --url "$url/tick")"
  echo "again $way $("$programs/bench_latency" --way "$way" --rows 1 \
    --url "$url/break")"
done >"$work/latency.txt"
end_server || fail "the server did not end well"
table=$(awk -f "$here/latency.awk" "$work/latency.txt") || fail "latency.awk"
[ "$(grep -cE '^\| (library|libcurl) \| [0-9.]+ \| [0-9.]+ \|' \
  <<<"$table")" -eq 2 ] || fail "latencies: $table"
