#!/usr/bin/env bash
# How many instructions it takes to read rows: a figure that is the same on a
# busy machine and on an idle one. Counted by callgrind, for each path of the
# scanner that valgrind can go, as the difference between few rounds and more.
set -u
: "${CFT_BENCH_PARSE:?}"
export LC_ALL=C

if [ "${CFT_INSTRUMENTED:-0}" = 1 ] || [ "$(uname -m)" != x86_64 ]; then
  echo "the bounds are those of a plain build for x86-64"
  exit 77
fi
command -v valgrind >/dev/null 2>&1 || {
  echo "no valgrind"
  exit 77
}

# Instructions for one KiB of feed at most: a third more than gcc 12 makes with
# -O2, which leaves room for another compiler, not for another algorithm.
bounds='
a portable 8500
a sse2 4850
a avx2 4100
b portable 10400
b sse2 6100
b avx2 3400
c portable 14000
c sse2 7300
c avx2 3100
'

work=$(mktemp -d "${CFT_BINARY_DIR:?}/instructions.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

# Prints the instructions of so many rounds over a MiB; nothing for a path that
# is not there.
count() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null \
    --log-file="$work/log" "$CFT_BENCH_PARSE" --only "row; $2" --feed "$1" \
    --chunk 16384 --rounds "$3" >"$work/out" || exit 1
  grep -q "row; $2" "$work/out" || return 0
  sed -n 's/.*Collected : //p' "$work/log"
}

failed=0
seen=0
while read -r feed path bound; do
  [ -n "$feed" ] || continue
  few=$(count "$feed" "$path" 1) && more=$(count "$feed" "$path" 3) || exit 1
  [ -n "$few" ] || continue
  seen=$((seen + 1))
  figure=$(((more - few) / 2 / 1024))
  echo "$feed $path: $figure for a KiB, at most $bound"
  # Far below means that nothing was counted.
  if [ "$figure" -gt "$bound" ] || [ "$figure" -lt $((bound / 4)) ]; then
    failed=1
  fi
done <<<"$bounds"
[ "$seen" -ge 6 ] || {
  echo "only $seen of the paths were counted"
  exit 1
}
exit "$failed"
