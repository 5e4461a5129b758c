#!/usr/bin/env bash
# Measures, and prints tables in Markdown. Builds the library as a packager
# would (Release) in build/bench; nothing else is changed.
#
#   tests/bench/run.sh [--quick] [PART]...
#
#   --quick   less of everything: does it run, and about what comes out
#   PART      parse   bytes in memory to rows: the library against yajl
#             default: all
#
# A new part is a function part_NAME below, and a line here and in `parts`.
set -eu

parts=(parse)

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

quick=0
wanted=()
for argument in "$@"; do
  case $argument in
    --quick) quick=1 ;;
    -h | --help) usage && exit 0 ;;
    *)
      if ! printf '%s\n' "${parts[@]}" | grep -qxF -- "$argument"; then
        usage >&2
        exit 2
      fi
      wanted+=("$argument")
      ;;
  esac
done
[ "${#wanted[@]}" -gt 0 ] || wanted=("${parts[@]}")

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${CFT_BENCH_DIR:-build/bench}
mkdir -p "$build"
{
  cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DCHANGEFEED_BUILD_TESTS=ON &&
    cmake --build "$build" --target bench_parse
} >"$build/bench.log" 2>&1 || {
  cat "$build/bench.log" >&2
  echo "tests/bench/run.sh: the build failed" >&2
  exit 1
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

# ---- all of it --------------------------------------------------------------

echo "# Measured on $(uname -m), $(nproc) processors"
[ ! -r /proc/cpuinfo ] || sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1
for part in "${wanted[@]}"; do
  echo
  "part_$part"
done
