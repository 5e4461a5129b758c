#!/usr/bin/env bash
# The path of the scanner for ARM, on a machine of another kind: built by a cross
# compiler, and held to the reference by its fuzzer under qemu.
set -u
: "${CFT_SOURCE_DIR:?}"
export LC_ALL=C

if [ "$(uname -m)" = aarch64 ]; then
  echo "this is an ARM: unit.scan and fuzz.scan have tried it"
  exit 77
fi
compiler=$(command -v aarch64-linux-gnu-gcc)
runner=$(command -v qemu-aarch64 || command -v qemu-aarch64-static)
if [ -z "$compiler" ] || [ -z "$runner" ]; then
  echo "no aarch64-linux-gnu-gcc, or no qemu-aarch64 (Debian:" \
    "gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user)"
  exit 77
fi

work=$(mktemp -d "${CFT_BINARY_DIR:?}/neon.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$CFT_SOURCE_DIR" || exit 1
"$compiler" -std=c11 -O2 -static -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
  -Wsign-conversion -Wundef -Wcast-qual -Wvla -Wformat=2 -Werror \
  -Iinclude -I"$CFT_BINARY_DIR/include" -Ilib -Itests \
  lib/scan*.c tests/fuzz/fuzz_scan.c tests/fuzz/standalone.c \
  -o "$work/fuzz_scan" || exit 1
# So that it is that path that is tried, and not the portable one alone.
aarch64-linux-gnu-nm "$work/fuzz_scan" >"$work/symbols" || exit 1
grep -q ' cfi_scan_neon$' "$work/symbols" || {
  echo "the compiler has not built the path for NEON"
  exit 1
}
"$runner" "$work/fuzz_scan" --count 20000 tests/fuzz/corpus/scan
