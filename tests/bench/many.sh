#!/usr/bin/env bash
# Measures idle feeds by the thousand and prints tables in Markdown. Builds the
# library as a packager would (Release) in build/bench.
#
#   tests/bench/many.sh [--quick]
set -eu

seconds=60 settle=15
case ${1-} in
  '') ;;
  --quick) seconds=5 settle=1 ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${CFT_BENCH_DIR:-build/bench}
mkdir -p "$build"
{
  cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DCHANGEFEED_BUILD_TESTS=ON &&
    cmake --build "$build" --target bench_many
} >"$build/many.log" 2>&1 || {
  cat "$build/many.log" >&2
  echo "tests/bench/many.sh: the build failed" >&2
  exit 1
}

echo "## Many idle feeds"
for feeds in 1000 10000; do
  echo
  status=0
  "$build/tests/bench/bench_many" --feeds "$feeds" --beat 10000 \
    --seconds "$seconds" --settle "$settle" || status=$?
  # 77: not allowed so many descriptors, and it has said so.
  [ "$status" -eq 0 ] || [ "$status" -eq 77 ] || exit "$status"
done
