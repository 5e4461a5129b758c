#!/usr/bin/env bash
# The library on other machines: one that counts bytes from the other end
# (s390x, under qemu), one of 32 bits (i386), and with another C library (musl).
# All of lib/ is compiled for each without a warning; the unit tests that need
# neither libcurl nor yajl, which are not at hand for them, are run there; and
# what it makes of recorded rows is the same as here.
#
#   ctest: TIMEOUT 300
# ctest: COST 60
set -u
: "${CFT_SOURCE_DIR:?}" "${CFT_BINARY_DIR:?}"
export LC_ALL=C

if [ "${CFT_INSTRUMENTED:-0}" = 1 ] || [ "$(uname -m)" != x86_64 ]; then
  echo "a plain build on x86-64 tries the others"
  exit 77
fi
work=$(mktemp -d "$CFT_BINARY_DIR/portable.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$CFT_SOURCE_DIR" || exit 1

# These need hours under qemu, or much memory for 32 bits; the same code runs in
# says.c and in other tests.
slow='mirror_file_(faults|kill|power|damage)|mirror_tree(_memory|_model|_range)?'
slow="$slow|store_file_(power|kill)"

# Headers of libraries are the same for all machines, but lie beside those of
# this machine's C library.
mkdir "$work/include" || exit 1
for name in curl yajl; do
  for place in /usr/include/x86_64-linux-gnu /usr/include; do
    [ -d "$place/$name" ] && ln -s "$place/$name" "$work/include/$name" && break
  done
done
paths=(-Iinclude -I"$CFT_BINARY_DIR/include" -Ilib -idirafter "$work/include")
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  -Wundef -Wcast-qual -Wvla -Wwrite-strings -Wformat=2 -Werror)

# sources_of TEST: what its program is made of besides the library.
sources_of() {
  echo "$1"
  grep -q '"support/tree_model.h"' "$1" && echo tests/support/tree_model.c
  grep -q '"support/power_disk.h"\|"unit/power_' "$1" &&
    echo tests/support/power_disk.c
}

# A machine's library: lib/*.c in $1/lib.a.
build_library() {
  local machine=$1
  shift
  mkdir -p "$work/$machine" || exit 1
  # shellcheck disable=SC2016 # the inner shell's
  printf '%s\n' lib/*.c | xargs -P 3 -I {} sh -c '
    source=$1 directory=$2; shift 2
    name=${source##*/}
    exec "$@" -c "$source" -o "$directory/${name%.c}.o"' \
    sh {} "$work/$machine" "$@" -std=c11 -O1 "${warnings[@]}" "${paths[@]}" \
    >"$work/$machine/output" 2>&1 || {
    cat "$work/$machine/output"
    return 1
  }
  ar rcs "$work/$machine/lib.a" "$work/$machine"/*.o
}

# try MACHINE RUNNER COMPILER...: RUNNER is what starts its programs, or "".
try() {
  local machine=$1 runner=$2 name source ran=0 result
  shift 2
  build_library "$machine" "$@" || {
    echo "$machine: lib/ does not compile"
    failed=1
    return
  }

  "$@" -std=c11 -O1 -static "${paths[@]}" tests/build/portable/says.c \
    "$work/$machine/lib.a" -o "$work/$machine/says" || failed=1
  $runner "$work/$machine/says" <"$work/rows" >"$work/$machine.said" || failed=1
  if ! cmp "$work/$machine.said" "$work/here.said"; then
    echo "$machine: says something else than this machine:"
    diff "$work/$machine.said" "$work/here.said" | head -10
    failed=1
  fi

  for source in tests/unit/test_*.c; do
    name=${source##*/test_} name=${name%.c}
    [[ $name =~ ^($slow)$ ]] && continue
    [[ $name == feed* ]] && continue # whole feeds need both libraries
    # What cannot be linked needs one of them; what must be, is counted below.
    # shellcheck disable=SC2046 # a list of files
    "$@" -std=gnu11 -O0 -w -static -Itests/build/portable "${paths[@]}" \
      -Itests $(sources_of "$source") "$work/$machine/lib.a" -lpthread \
      -o "$work/$machine/$name" >"$work/$machine/output" 2>&1 || {
      grep -qE 'undefined reference to .(curl|yajl)_' \
        "$work/$machine/output" && continue
      cat "$work/$machine/output"
      echo "$machine: $name cannot be built"
      failed=1
      continue
    }
    if result=$(cd "$work/$machine" && $runner "$work/$machine/$name" 2>&1); then
      ran=$((ran + 1))
      echo "$name" >>"$work/$machine.ran"
    else
      echo "$machine: $name: $result"
      failed=1
    fi
    rm -f "$work/$machine/$name"
  done
  for name in scan frame hash crc mirror_digest mirror_file mirror_tree_threads \
    checkpoint store_file window repeat buf arena str; do
    grep -qx "$name" "$work/$machine.ran" || {
      echo "$machine: $name was not run"
      failed=1
    }
  done
  echo "$machine: $ran test programs, and $(wc -l <"$work/rows") rows the same"
}

# Rows as a CouchDB wrote them, and as none does.
grep -ahE '^\{"seq":.*\},?.?$' tests/data/wire/*.response |
  sed 's/\r$//; s/,$//' | sort -u >"$work/rows"
[ "$(wc -l <"$work/rows")" -ge 100 ] || {
  echo "too few rows were found in tests/data/wire"
  exit 1
}
build_library here "${CC:-cc}" || exit 1
"${CC:-cc}" -std=c11 -O1 "${paths[@]}" tests/build/portable/says.c \
  "$work/here/lib.a" -o "$work/says" &&
  "$work/says" <"$work/rows" >"$work/here.said" || exit 1
grep -q 'rev=' "$work/here.said" || {
  echo "not one row was taken"
  exit 1
}

export CFT_DATA_DIR=$CFT_SOURCE_DIR/tests/data CK_FORK=no
machines=()
# Beside each other; what each says is shown when all have ended.
start() {
  machines+=("$1")
  (
    failed=0
    try "$@"
    [ "$failed" -eq 0 ] || : >"$work/failed"
  ) >"$work/$1.out" 2>&1 &
}

emulator=$(command -v qemu-s390x || command -v qemu-s390x-static)
if command -v s390x-linux-gnu-gcc >/dev/null 2>&1 && [ -n "$emulator" ]; then
  start s390x "$emulator" s390x-linux-gnu-gcc
else
  echo "s390x: not tried (Debian: gcc-s390x-linux-gnu, libc6-dev-s390x-cross," \
    "qemu-user)"
fi
echo 'int main(void) { return sizeof(void *) == 4 ? 0 : 1; }' >"$work/word.c"
if gcc -m32 -static "$work/word.c" -o "$work/word" 2>/dev/null &&
  "$work/word"; then
  start i386 "" gcc -m32 -idirafter /usr/include/x86_64-linux-gnu
else
  echo "i386: not tried (Debian: libc6-dev-i386, lib32gcc-12-dev)"
fi
if command -v musl-gcc >/dev/null 2>&1; then
  start musl "" musl-gcc
else
  echo "musl: not tried (Debian: musl-tools)"
fi
[ "${#machines[@]}" -gt 0 ] || exit 77
wait
for machine in "${machines[@]}"; do
  cat "$work/$machine.out"
done
[ ! -e "$work/failed" ]
