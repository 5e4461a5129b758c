#!/usr/bin/env bash
# Measures a mirror of a million documents and prints tables in Markdown. Builds
# the library as a packager would (Release) in build/bench. Needs curl.
#
#   tests/bench/mirror.sh [--quick]
set -eu

documents=1000000 paced=250000 rounds=5
case ${1-} in
  '') ;;
  --quick) documents=100000 paced=50000 rounds=1 ;;
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
    cmake --build "$build" --target bench_mirror
} >"$build/mirror.log" 2>&1 || {
  cat "$build/mirror.log" >&2
  echo "tests/bench/mirror.sh: the build failed" >&2
  exit 1
}

cat <<TEXT
## The mirror

Ids and revisions of a database, by its list and a quiet feed of changes; medians of $rounds
interleaved runs. The server's rows lie ready in its memory, so at its full speed this compares a
program that reads each row, hashes it and keeps it with one that throws bytes away; a CouchDB makes
some 50000 rows a second, as the second table's server does.

TEXT
"$build/tests/bench/bench_mirror" --documents "$documents" --rounds "$rounds"
echo
"$build/tests/bench/bench_mirror" --documents "$paced" --rounds 1 --rate 50000
