#!/usr/bin/env bash
# Shows the library at work: a database, a writer, and the changefeed command
# that prints every change as it arrives. The database is killed and started
# again; the follower finds its place by itself, and what it has seen is compared
# with what the database holds. It takes less than a minute once all is built.
#
#   examples/demo.sh [--keep] [--rows N]
#
#   --keep     leave the data, the rows and the events on disk, and say where
#   --rows N   rows to watch before and after the database's death (default 50)
#   --help     this text
#
# On a Debian 12 as root or with sudo it installs what is missing, and nothing
# else outside the tree. Exit status: 0 when no change was missed, 1 when one
# was or something failed, 2 for a wrong argument.
#
# COUCHDB_URL=http://user:password@host:5984 uses that database, in which it
# creates one of its own and deletes it at the end. CHANGEFEED=path takes that
# command instead of building it.
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
    --keep) arguments+=(--keep) ;;
    --rows | --rows=*)
      rows=${1#--rows}
      rows=${rows#=}
      if [ "$1" = --rows ]; then
        shift
        rows=${1-}
      fi
      [[ $rows =~ ^[1-9][0-9]{0,2}$ ]] ||
        wrong "--rows must be a number from 1 to 999"
      arguments+=(--rows "$rows")
      ;;
    *) wrong "there is no argument $1" ;;
  esac
  shift
done

[ -z "${CHANGEFEED-}" ] || command=$(realpath -e -- "$CHANGEFEED") ||
  die "CHANGEFEED: there is no $CHANGEFEED"
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

missing() {
  [ -n "${CHANGEFEED-}" ] || missing_build_packages
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
  say "building the library and the command"
  run cmake "${fresh[@]}" --preset release || die "configuring the build"
  run cmake --build --preset release --target changefeed_cli || die "the build"
  command=$root/build/release/examples/changefeed/changefeed
}

# ---- all of it --------------------------------------------------------------

mkdir -p build || die "cannot write to $root"
log=$root/build/demo.log
# A second demo waits here for what the first one installs and builds.
exec 9>build/demo.lock
! command -v flock >/dev/null 2>&1 || flock 9 || die "cannot lock build/demo.lock"

install_missing
[ -n "${COUCHDB_URL-}" ] || install_node_modules tests/couch-serve run
[ -n "${CHANGEFEED-}" ] || build
exec 9>&-

exec node examples/demo/demo.js --command "$command" "${arguments[@]}"
