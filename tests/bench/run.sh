#!/usr/bin/env bash
# Measures, and prints tables in Markdown. Builds the library as a packager
# would (Release) in build/bench; nothing else is changed.
#
#   tests/bench/run.sh [--quick] [--scale N] [--only LIST] [--feeds abcd] [--docs]
#                      [PART]...
#
#   --quick        less of everything: does it run, and about what comes out
#   --scale N      the feeds are a Nth as long
#   --only LIST    of the feeds' clients, only these: library,libcurl,nano-spool
#   --feeds abcd   only these feeds
#   --docs         writes what was measured to docs/benchmarks.md and .svg
#   PART           parse     bytes in memory to rows: the library against yajl
#                  feeds     whole feeds over sockets: the library, bare libcurl,
#                            and the followers people use from Node
#                  latency   from the server's write of a row to its callback,
#                            and from a broken connection to the next row
#                  many      thousands of feeds that wait: memory, processor time
#                  mirror    a copy of a million documents: see mirror.sh
#                  default: all
#
# A new part is a function part_NAME below, and a line here and in `parts`.
set -eu

parts=(parse feeds latency many mirror)

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

export LC_ALL=C
quick=0
scale=
only=
feeds=abcd
docs=0
wanted=()
given=${*:+ $*}
while [ "$#" -gt 0 ]; do
  case $1 in
    --quick) quick=1 ;;
    --docs) docs=1 ;;
    --scale) scale=${2:?--scale needs a number} && shift ;;
    --only) only=${2:?--only needs a list} && shift ;;
    --feeds) feeds=${2:?--feeds needs letters} && shift ;;
    -h | --help) usage && exit 0 ;;
    *)
      if ! printf '%s\n' "${parts[@]}" | grep -qxF -- "$1"; then
        usage >&2
        exit 2
      fi
      wanted+=("$1")
      ;;
  esac
  shift
done
[ "${#wanted[@]}" -gt 0 ] || wanted=("${parts[@]}")

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
build=${CFT_BENCH_DIR:-build/bench}
mkdir -p "$build"
build=$(cd "$build" && pwd)
rounds=5
[ "$quick" -eq 0 ] || rounds=1
[ -n "$scale" ] || scale=$((quick == 0 ? 1 : 20))
failures=0
results=$build/results.txt
race_log=$build/race.log
: >"$race_log"
{
  cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DCHANGEFEED_BUILD_TESTS=ON &&
    cmake --build "$build" --target bench_programs
} >"$build/bench.log" 2>&1 || {
  cat "$build/bench.log" >&2
  echo "tests/bench/run.sh: the build failed" >&2
  exit 1
}

# shellcheck source=tests/bench/race.sh
. "$root/tests/bench/race.sh"

# The followers, if they can be had: without them the rest is measured.
install_followers() {
  local directory=$root/tests/bench/followers wanted stamp
  stamp=$directory/node_modules/.installed-from
  command -v npm >/dev/null 2>&1 || {
    echo "without npm: no follower to compare with" >&2
    return 0
  }
  wanted="$(sha256sum <"$directory/package-lock.json") $(node --version)"
  [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
  if npm ci --prefix "$directory" --prefer-offline --no-audit --no-fund \
    --loglevel=error >>"$build/bench.log" 2>&1; then
    printf '%s\n' "$wanted" >"$stamp"
  else
    echo "npm ci failed (see $build/bench.log): no follower to compare with" >&2
  fi
}

# ---- parts ------------------------------------------------------------------

part_parse() {
  local chunk rounds=61 huge=64
  [ "$quick" -eq 0 ] || rounds=5 huge=8
  echo "## Bytes in memory to rows"
  echo
  echo "CPU time of one process; medians of $rounds interleaved runs."
  for chunk in 1490 16384 65536; do
    echo
    "$build/tests/bench/bench_parse" --rounds "$rounds" --chunk "$chunk"
  done
  # yajl looks at a token again for each chunk it spans: large chunks only.
  echo
  "$build/tests/bench/bench_parse" --rounds 5 --size "$huge" --chunk 4194304 \
    --feed d
}

part_feeds() {
  local feed rows huge
  : >"$results"
  install_followers
  for feed in a b c d; do
    [[ $feeds == *$feed* ]] || continue
    huge=$((64 * 1024 * 1024 / scale))
    case $feed in
      a) rows=$((1000000 / scale)) ;;
      b) rows=$((400000 / scale)) ;;
      c) rows=$((30000 / scale)) ;;
      d) rows=200 ;;
    esac
    race "$feed" "$rows" "$huge"
  done
  cat <<TEXT
## Whole feeds over HTTP

Medians of $rounds interleaved runs. Feed a: $((1000000 / scale)) rows without documents; b:
$((400000 / scale)) with documents of 500 bytes; c: $((30000 / scale)) with documents of 10 KB, full of escapes and
letters beyond ASCII; d: one row of $((64 / scale)) MiB among 200 small ones. Chunk: the size of the
server's buffer for an HTTP chunk, 1490 is CouchDB's default; "live": the rows come on the continuous
feed. \`libcurl\` is a loop with a callback that does nothing, the limit of the wire; \`library\` has a
callback for each row, \`library-batch\` for each hundred. CPU and memory are those of the client's
process, its start included.

TEXT
  awk -f "$root/tests/bench/table.awk" "$results"
}

# sample WAY DATABASE COUNT: a line for latency.awk.
sample() {
  local kind=late line
  [ "$2" = tick ] || kind=again
  case $1 in
    follow)
      [ -d "$root/tests/bench/followers/node_modules" ] || return 0
      line=$(node "$root/tests/bench/followers/client.js" follow "$url/$2" "$3" latency)
      ;;
    *) line=$("$programs/bench_latency" --way "$1" --url "$url/$2" --rows "$3") ;;
  esac || failures=$((failures + 1))
  echo "$kind $1 $line" >>"$build/latency.txt"
}

part_latency() {
  # Short turns, so that what else the machine does meets all of them.
  local round turns=$((3 * rounds)) rows=1000 breaks=4 pause=6000 way
  [ "$quick" -eq 0 ] || rows=500 breaks=1 pause=1000
  install_followers
  start_server a 10 1 1490 "$pause" || return 1
  : >"$build/latency.txt"
  for way in library libcurl follow; do
    is_wanted "$way" && sample "$way" break "$breaks"
  done
  for ((round = 0; round < turns; round++)); do
    for way in library libcurl follow; do
      is_wanted "$way" && sample "$way" tick "$rows"
    done
  done
  end_server
  cat <<TEXT
## Latency

Microseconds from the server's write of a row to the callback, $rows rows, one each millisecond; and
from the end of a connection that broke after $pause ms to the first row after it, $breaks times: the
library, with \`retry_min_ms=10\`, asks first who the server is and what it has missed, libcurl asks
again at once, \`follow\` waits. Medians of $turns interleaved runs.

TEXT
  awk -f "$root/tests/bench/latency.awk" "$build/latency.txt"
}

part_many() {
  local option=()
  [ "$quick" -eq 0 ] || option=(--quick)
  CFT_BENCH_DIR=$build "$root/tests/bench/many.sh" ${option[@]+"${option[@]}"} ||
    failures=$((failures + 1))
}

part_mirror() {
  local option=()
  [ "$quick" -eq 0 ] || option=(--quick)
  CFT_BENCH_DIR=$build "$root/tests/bench/mirror.sh" ${option[@]+"${option[@]}"} ||
    failures=$((failures + 1))
}

# ---- all of it --------------------------------------------------------------

report() {
  local part
  echo "# Benchmarks"
  echo
  echo "Made by \`tests/bench/run.sh$given\` on a machine of this class: $(uname -m), $(nproc) processors,"
  sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1
  echo
  echo "Client and server share it. Ratios hold on a busy machine, figures do not."
  for part in "${wanted[@]}"; do
    echo
    "part_$part"
  done
}

if [ "$docs" -eq 0 ]; then
  report
else
  report >"$build/benchmarks.md"
  if [ -s "$results" ]; then
    awk -f tests/bench/plot.awk "$results" >docs/benchmarks.svg
    printf '\n![Rows per second](benchmarks.svg)\n' >>"$build/benchmarks.md"
  fi
  mv "$build/benchmarks.md" docs/benchmarks.md
fi
[ "$failures" -eq 0 ]
