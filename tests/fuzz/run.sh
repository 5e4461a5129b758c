#!/usr/bin/env bash
# Long runs of the libFuzzer targets, as many at once as there are processors.
#
#   tests/fuzz/run.sh [--minimise] [SECONDS] [TARGET]...
#
# SECONDS is the time of each target, by default 300. TARGET is the NAME of a
# fuzz_NAME.c; by default all. What is found goes to CFT_FUZZ_FOUND (default
# build/fuzz-found): NAME/corpus is gone on with by the next run, NAME/log is
# the last run's output, NAME/crash-* and the like are inputs with a finding.
# Ends with 1 when there was one, and prints how to see it again.
#
# --minimise: afterwards, the inputs that reach more than tests/fuzz/corpus
# does are put into NAME/minimal, few and small; the ones worth to be kept can
# be copied into the corpus.
#
# CFT_FUZZ_BUILD names the build directory, by default build/fuzz; it is
# configured with the preset fuzz when it is not there.
set -u

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

minimise=0 seconds=300 targets=()
for argument in "$@"; do
  case $argument in
    -h | --help) usage && exit 0 ;;
    --minimise) minimise=1 ;;
    -*) usage >&2 && exit 2 ;;
    *[!0-9]*) targets+=("$argument") ;;
    *) seconds=$argument ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
root=$PWD
build=${CFT_FUZZ_BUILD:-build/fuzz} found=${CFT_FUZZ_FOUND:-build/fuzz-found}

die() {
  echo "run.sh: $*" >&2
  exit 2
}

if [ "${#targets[@]}" -eq 0 ]; then
  for file in tests/fuzz/fuzz_*.c; do
    file=${file##*/fuzz_}
    targets+=("${file%.c}")
  done
fi
for target in "${targets[@]}"; do
  [ -f "tests/fuzz/fuzz_$target.c" ] ||
    die "there is no target $target (tests/fuzz/fuzz_$target.c)"
done

mkdir -p "$found" || exit 2
found=$(cd "$found" && pwd)
if [ ! -f "$build/CMakeCache.txt" ]; then
  cmake --preset fuzz -B "$build" >"$found/build.log" 2>&1 ||
    die "configuring failed; see $found/build.log"
fi
cmake --build "$build" --target "${targets[@]/#/fuzz_}" \
  >"$found/build.log" 2>&1 || die "building failed; see $found/build.log"
build=$(cd "$build" && pwd)

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# One target; what it answers is libFuzzer's status.
run_target() { # NAME
  local name=$1 dir=$found/$1
  local program=$build/tests/fuzz/fuzz_$name
  mkdir -p "$dir/corpus" || return 2
  (cd "$dir" && exec nice "$program" -max_total_time="$seconds" -timeout=20 \
    -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$dir/" \
    corpus "$root/tests/fuzz/corpus/$name") >"$dir/log" 2>&1 &
  child=$!
  wait "$child"
}

# How many inputs it tried, or what it found and how to see it again.
report() { # NAME STATUS
  local dir=$found/$1 input
  if [ "$2" -eq 0 ]; then
    printf '%-12s %s inputs, nothing found\n' "$1" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/log")"
    return
  fi
  input=$(sed -n 's/.*Test unit written to //p' "$dir/log" | tail -1)
  printf '%-12s FAILED (%s); see %s\n' "$1" "$2" "$dir/log"
  grep -m 3 -E 'does not hold|runtime error|ERROR: |SUMMARY: ' "$dir/log" |
    sed 's/^/    /'
  [ -z "$input" ] ||
    printf '    again: %s %s\n' "$build/tests/fuzz/fuzz_$1" "$input"
}

keep_minimal() { # NAME
  local name=$1 dir=$found/$1
  rm -rf "$dir/minimal" && mkdir "$dir/minimal" &&
    cp "$root/tests/fuzz/corpus/$name/"* "$dir/minimal/" &&
    "$build/tests/fuzz/fuzz_$name" -merge=1 "$dir/minimal" "$dir/corpus" \
      >>"$dir/log" 2>&1 || return 1
  for file in "$root/tests/fuzz/corpus/$name/"*; do
    rm -f "$dir/minimal/${file##*/}"
  done
  printf '%-12s %s inputs reach more than the corpus: %s\n' "$name" \
    "$(find "$dir/minimal" -type f | wc -l)" "$dir/minimal"
}

# A slot for each processor; one that is free takes the next target.
worker() { # NUMBER
  local i status child=
  # Nothing that was started outlives this script.
  trap 'kill $child 2>/dev/null; exit 130' INT TERM
  for ((i = $1; i < ${#targets[@]}; i += jobs)); do
    run_target "${targets[i]}"
    status=$?
    report "${targets[i]}" "$status"
    [ "$status" -eq 0 ] || : >"$found/failed"
    [ "$minimise" -eq 0 ] || keep_minimal "${targets[i]}" || : >"$found/failed"
  done
}

rm -f "$found/failed"
jobs=$(nproc)
workers=()
trap 'kill "${workers[@]}" 2>/dev/null; wait; exit 130' INT TERM
for ((n = 0; n < jobs; n++)); do
  worker "$n" &
  workers+=("$!")
done
wait "${workers[@]}"
[ ! -e "$found/failed" ]
