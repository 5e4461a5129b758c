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

say() { printf '== %s\n' "$*"; }

die() {
  printf 'tests/run.sh: FAILED: %s\n' "$*" >&2
  exit 1
}

# ---- what has to be there ---------------------------------------------------

# Everything that a fresh Debian 12 lacks.
packages=(
  gcc g++ libc6-dev binutils clang libclang-rt-14-dev
  clang-format clang-tidy cmake ninja-build
  check libjansson-dev libyajl-dev
  bash curl mandoc openssl procps stunnel4
)

has_package() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

node_is_new_enough() {
  node -e 'process.exit(parseInt(process.versions.node, 10) >= 18 ? 0 : 1)' \
    >/dev/null 2>&1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
    apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

# The lists on the machine may be missing or old: fetched when it fails.
apt_install() {
  local try
  for try in 1 2 3 4; do
    if apt_get install -y --no-install-recommends "$@" >"$log" 2>&1; then
      return 0
    fi
    [ "$try" -eq 4 ] && break
    [ "$try" -eq 1 ] || sleep $((try * 5))
    apt_get update >>"$log" 2>&1
  done
  cat "$log"
  return 1
}

install_packages() {
  local missing=() package
  if ! command -v apt-get >/dev/null 2>&1; then
    say "no apt-get here: taking the tools as they are"
    return 0
  fi
  for package in "${packages[@]}"; do
    has_package "$package" || missing+=("$package")
  done
  # Any flavour of these will do.
  command -v pkg-config >/dev/null 2>&1 || missing+=(pkg-config)
  has_package libcurl4-openssl-dev || has_package libcurl4-gnutls-dev ||
    has_package libcurl4-nss-dev || missing+=(libcurl4-openssl-dev)
  node_is_new_enough || missing+=(nodejs)
  command -v npm >/dev/null 2>&1 || missing+=(npm)
  [ "${#missing[@]}" -gt 0 ] || return 0

  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
    die "neither root nor sudo, and these packages are missing:" \
      "${missing[*]}"
  fi
  say "installing ${missing[*]}"
  apt_install "${missing[@]}" || die "apt-get could not install ${missing[*]}"
  hash -r
}

# The database that the tests talk to. The stamp says what was installed from:
# `npm ci` begins by removing everything, so it is not run for nothing.
install_database() {
  local try stamp=node_modules/.installed-from wanted
  [ -f tests/couch-serve/package-lock.json ] || return 0
  node_is_new_enough ||
    die "node >= 18 is needed; $(command -v node || echo none) is" \
      "$(node --version 2>&1)"
  cd tests/couch-serve || exit 1
  wanted="$(sha256sum <package-lock.json) $(node --version)"
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "installing the test database's node modules"
    for try in 1 2 3 4; do
      if npm ci --prefer-offline --no-audit --no-fund --loglevel=error \
        >"$log" 2>&1; then
        printf '%s\n' "$wanted" >"$stamp"
        break
      fi
      if [ "$try" -eq 4 ]; then
        cat "$log"
        die "npm ci in tests/couch-serve"
      fi
      sleep $((try * 5))
    done
  fi
  cd "$root" || exit 1
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

# Configures and builds a preset. A build that breaks ends everything.
build() {
  say "$1: build"
  configure "$1" >"$log" 2>&1 || {
    cat "$log"
    die "configuring preset $1"
  }
  cmake --build --preset "$1" -- --quiet || die "building preset $1"
}

# High randomisation of addresses confuses the sanitizers of these compilers.
steady=()
if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -gt 28 ] &&
  setarch "$(uname -m)" -R true 2>/dev/null; then
  steady=(setarch "$(uname -m)" -R)
fi

# Runs a preset's tests; a failure is remembered, and told at the end.
run_tests() {
  local preset=$1
  shift
  say "$preset: tests"
  "${steady[@]}" ctest --preset "$preset" --parallel "$(nproc)" "$@" \
    "${ctest_arguments[@]}" || failed+=("the tests of preset $preset")
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

install_packages
install_database
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
  build tsan
  run_tests tsan "${none[@]}"
  build fuzz
  run_tests fuzz "${none[@]}"
  build asan
  run_tests asan "${none[@]}"
fi
run_tests dev

[ "${#failed[@]}" -eq 0 ] || die "$(IFS=';' && echo "${failed[*]}")"
