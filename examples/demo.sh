#!/usr/bin/env bash
# Shows the platform at work, on one machine, in about a minute once all is
# built: a database, a provisioner that makes drones, two balancers, apps that are
# created and started, visitors. Scripts repeat "start" without a pause; a drone,
# the database and a balancer are killed. Each step is checked from outside, and
# the changefeed command follows all of it: what it told is compared with the
# database at the end.
#
#   examples/demo.sh [--keep]
#   examples/demo.sh --stop
#
#   --keep     leave all of it running, for a browser, and say where
#   --stop     end what was left running, and remove its directory
#   --help     this text
#
# On a Debian 12 as root or with sudo it installs what is missing, and nothing
# else outside the tree and its directory in TMPDIR. Exit status: 0 when all came
# as told, 1 when something did not (a sentence says what, and where the logs
# are), 2 for a wrong argument.
#
# COUCHDB_URL=http://user:password@host:5984 uses that server, in which it makes
# two databases of its own and deletes them at the end; it is not killed.
# CHANGEFEED=path and PLATFORM=directory take that command and those programs
# instead of building them.
set -u

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

say() { printf '== %s\n' "$*"; }

die() {
  printf 'examples/demo.sh: FAILED: %s\n' "$*" >&2
  exit 1
}

wrong() {
  printf 'examples/demo.sh: %s. See --help.\n' "$*" >&2
  exit 2
}

arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --keep | --stop) arguments+=("$1") ;;
    *) wrong "there is no argument $1" ;;
  esac
  shift
done

[ "${#arguments[@]}" -le 1 ] || wrong "only one argument is taken"
[ -z "${CHANGEFEED-}" ] || command=$(realpath -e -- "$CHANGEFEED") ||
  die "CHANGEFEED: there is no $CHANGEFEED"
[ -z "${PLATFORM-}" ] || platform=$(realpath -e -- "$PLATFORM") ||
  die "PLATFORM: there is no $PLATFORM"
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
root=$PWD

# ---- running steps ----------------------------------------------------------

# A step in a process group of its own, so that a signal ends all of it at once.
# What it says is shown only when it fails.
step=
run() {
  local status
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  step=$!
  set +m
  wait "$step"
  status=$?
  step=
  [ "$status" -eq 0 ] || cat "$log"
  return "$status"
}

interrupted() {
  if [ -n "$step" ]; then
    kill -TERM -- "-$step"
    wait "$step"
  fi 2>/dev/null
  exit "$1"
}
trap 'interrupted 129' HUP
trap 'interrupted 130' INT
trap 'interrupted 143' TERM

# ---- what has to be there ---------------------------------------------------

# shellcheck source=tests/support/install.sh
. tests/support/install.sh

# Whether something is to be built.
builds() { [ -z "${CHANGEFEED-}" ] || [ -z "${PLATFORM-}" ]; }

missing() {
  if builds; then
    missing_build_packages
    missing_packages libuv1-dev libjansson-dev
  fi
  missing_node
  [ -n "${COUCHDB_URL-}" ] || missing_npm
}

install_missing() {
  local packages
  command -v apt-get >/dev/null 2>&1 || return 0
  mapfile -t packages < <(missing)
  install_packages "${packages[@]}"
}

build() {
  local fresh=() cache=build/release/CMakeCache.txt
  # A cache made where the tree lay before is of no use.
  if [ -f "$cache" ] &&
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    fresh=(--fresh)
  fi
  pkg-config --exists 'libuv >= 1.44' 'jansson >= 2.13' ||
    die "libuv >= 1.44 and jansson >= 2.13 are needed to build the platform" \
      "(Debian: libuv1-dev, libjansson-dev)"
  say "building the library, the command, and the platform"
  run cmake "${fresh[@]}" --preset release || die "configuring the build"
  run cmake --build --preset release \
    --target changefeed_cli provisioner drone apps balancer || die "the build"
  : "${command:=$root/build/release/examples/changefeed/changefeed}"
  : "${platform:=$root/build/release/platform}"
}

# ---- all of it --------------------------------------------------------------

if [ "${arguments[*]}" = --stop ]; then
  node_is_new_enough || die "node >= 18 is needed, and is not there"
  exec node examples/demo/demo.js --stop
fi

mkdir -p build || die "cannot write to $root"
log=$root/build/demo.log
# A second demo waits here for what the first one installs and builds.
exec 9>build/demo.lock
! command -v flock >/dev/null 2>&1 || flock 9 || die "cannot lock build/demo.lock"

install_missing
[ -n "${COUCHDB_URL-}" ] || install_node_modules tests/couch-serve run
! builds || build
exec 9>&-

exec node examples/demo/demo.js --command "$command" --programs "$platform" \
  "${arguments[@]}"
