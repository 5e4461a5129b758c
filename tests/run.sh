#!/usr/bin/env bash
# Runs every check of the project, from a fresh Debian 12 or a clean clone on:
# installs what is missing, builds, and runs all tests with and without
# sanitizers. Ends with ctest's summary of the last and largest run.
#
#   tests/run.sh [--quick] [CTEST-ARGUMENT]...
#
#   --quick   only the formatting check, the developer build and its tests
#
# As root or with sudo it installs packages; otherwise it names them. Nothing
# outside the tree is changed besides. Further arguments go to ctest, for
# instance: tests/run.sh --quick -R unit
set -u
# Nothing may ask a question, or eat the input of who called.
exec </dev/null

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

quick=0
ctest_arguments=()
for argument in "$@"; do
  case $argument in
    --quick) quick=1 ;;
    -h | --help) usage && exit 0 ;;
    *) ctest_arguments+=("$argument") ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
root=$PWD
failed=()
shaky=()

say() { printf '== %s\n' "$*"; }

die() {
  printf 'tests/run.sh: FAILED: %s\n' "$*" >&2
  exit 1
}

# ---- what has to be there ---------------------------------------------------

# What the tests take besides what the library is built with.
packages=(
  g++ binutils clang libclang-rt-14-dev clang-format clang-tidy
  check libjansson-dev
  bash cmark-gfm curl mandoc openssl procps python3 stunnel4 valgrind
  abigail-tools dpkg-dev fakeroot file musl-tools
  libuv1-dev libevent-dev libglib2.0-dev libsystemd-dev libsqlite3-dev
  chromium haproxy libhttp-parser-dev nftables systemd
)
# For the paths of the scanner that are not this processor's, a machine that
# counts bytes from the other end, and one of 32 bits.
if [ "$(uname -m)" = x86_64 ]; then
  packages+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
    gcc-s390x-linux-gnu libc6-dev-s390x-cross
    libc6-dev-i386 lib32gcc-12-dev)
fi

# shellcheck source=tests/support/install.sh
. tests/support/install.sh

missing() {
  missing_packages "${packages[@]}"
  missing_build_packages
  missing_node
  missing_npm
}

install_missing() {
  local wanted
  if ! command -v apt-get >/dev/null 2>&1; then
    say "no apt-get here: taking the tools as they are"
    return 0
  fi
  mapfile -t wanted < <(missing)
  install_packages "${wanted[@]}"
}

# What npm says is shown when it fails.
quietly() {
  "$@" >"$log" 2>&1 || {
    cat "$log"
    return 1
  }
}

# ---- steps ------------------------------------------------------------------

# A cache made where the tree lay before is of no use.
configure() {
  local fresh=() cache=build/$1/CMakeCache.txt
  if [ -f "$cache" ] &&
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    fresh=(--fresh)
  fi
  cmake "${fresh[@]}" --preset "$1"
}

# Configures and builds a preset, or some targets of it. A build that breaks ends
# everything.
build() { # PRESET [TARGET]...
  local preset=$1
  shift
  set -- "$preset" "${@/#/--target=}"
  say "$1: build"
  configure "$1" >"$log" 2>&1 || {
    cat "$log"
    die "configuring preset $1"
  }
  cmake --build --preset "$@" -- --quiet || die "building preset $1"
}

# High randomisation of addresses confuses the sanitizers of these compilers.
steady=()
if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -gt 28 ] &&
  setarch "$(uname -m)" -R true 2>/dev/null; then
  steady=(setarch "$(uname -m)" -R)
fi

# The names of the tests that failed in the last run of a preset.
failed_tests() {
  cut -d: -f2 "build/$1/Testing/Temporary/LastTestsFailed.log" 2>/dev/null
}

# A few tests bound how long something may take, and the tests run beside each
# other on a machine that may do other things: what failed so runs once more,
# alone. A fault of the code fails there too; what does not is told as shaky, in
# the last lines.
run_again() {
  local preset=$1 names
  mapfile -t names < <(failed_tests "$preset")
  [ "${#names[@]}" -ge 1 ] && [ "${#names[@]}" -le 3 ] || return 1
  say "$preset: once more, alone: ${names[*]}"
  "${steady[@]}" ctest --preset "$preset" --rerun-failed --output-on-failure ||
    return 1
  shaky+=("${names[@]/#/$preset }")
}

# Runs a preset's tests; a failure is remembered, and told at the end.
run_tests() {
  local preset=$1 at_once=2
  shift
  say "$preset: tests"
  # Most of a test's time is waiting for what is late on purpose; less of it
  # where a sanitizer makes everything else slower.
  case $preset in
    dev) at_once=4 ;;
    asan) at_once=3 ;;
  esac
  "${steady[@]}" ctest --preset "$preset" --parallel $((at_once * $(nproc))) "$@" \
    "${ctest_arguments[@]}" || run_again "$preset" ||
    failed+=("the tests of preset $preset")
}

check_format() {
  local tool
  for tool in clang-format-14 clang-format; do
    command -v "$tool" >/dev/null 2>&1 || continue
    case $("$tool" --version) in
      *"version 14."*)
        say "formatting"
        find lib include tests examples cmake -name node_modules -prune -o \
          -name '*.[ch]' -print0 2>/dev/null |
          xargs -0 "$tool" --dry-run -Werror || failed+=("formatting")
        return
        ;;
    esac
  done
  failed+=("formatting: clang-format 14 was not found")
}

# ---- all of it --------------------------------------------------------------

mkdir -p build || die "cannot write to $root"
log=$root/build/run.log

install_missing
install_node_modules tests/couch-serve quietly
check_format
build dev

if [ "$quick" -eq 0 ]; then
  # clang with warnings as errors, and clang-tidy, over library and command.
  say "tidy: build"
  if ! { configure tidy && cmake --build --preset tidy -- -k 0; } \
    >"$log" 2>&1; then
    grep -vE '^(\[[0-9]+/[0-9]+\]|-- |[0-9]+ warnings?( and .*)? generated)' \
      "$log"
    failed+=("clang and clang-tidy")
  fi

  # What the user asked for may not be among these tests.
  none=()
  [ "${#ctest_arguments[@]}" -eq 0 ] || none=(--no-tests=ignore)
  build tsan tests_with_threads
  run_tests tsan "${none[@]}"
  build fuzz
  run_tests fuzz "${none[@]}"
  build asan
  run_tests asan --label-exclude "^fuzz$" "${none[@]}" # fuzz: just done
fi
# The tests over sockets and the soak, a quarter of the time, have just run with
# sanitizers; --quick has them in this build.
but=()
[ "$quick" -eq 1 ] || [ "${#ctest_arguments[@]}" -ne 0 ] ||
  but=(--label-exclude '^(net|soak)$')
run_tests dev "${but[@]}"

[ "${#shaky[@]}" -eq 0 ] ||
  say "SHAKY, failed beside others and passed alone: $(IFS=';' &&
    echo "${shaky[*]}")"
[ "${#failed[@]}" -eq 0 ] || die "$(IFS=';' && echo "${failed[*]}")"
