# shellcheck shell=bash disable=SC2034
# What the tests of the examples share; to be sourced by them. The built library
# is installed into a throw-away directory, and each example is built against
# that by the one line of its own comment. A test works in a directory of its
# own, $work, which is removed at the end, as is what it has started.
#
#   embed_begin [OPTION]...  installs, starts couchsim ($sim, $db is a URL)
#   example NAME.c         builds it in $work
#   begin NAME ARG...      starts $work/NAME with stdout in NAME.out and stderr
#                          in NAME.err; its process is $pid
#   end SIGNAL             sends that to $pid, waits; $status
#   ended                  waits until $pid has ended by itself; $status
#   fill COUNT             documents doc-1 .. doc-COUNT in a new database, and
#                          the lines that say so in the file wanted

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export LC_ALL=C
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
pid=

# shellcheck source=tests/cli/sim.sh
. "$root/tests/cli/sim.sh"

clean_up() {
  local status=$? job
  for job in $(jobs -p) $SIM_PID; do
    kill -KILL "$job" 2>/dev/null
  done
  wait
  cd /
  rm -rf "$work"
  return "$status"
} 2>/dev/null

embed_begin() {
  local pc
  if [ "${CFT_INSTRUMENTED:-0}" != 0 ]; then
    echo "skipped: a program of a user's has no sanitizer in it"
    exit 77
  fi
  work=$(mktemp -d "${TMPDIR:-/tmp}/cft-embed-XXXXXX") || exit 1
  trap clean_up EXIT
  cd "$work" || exit 1
  "${CFT_CMAKE:-cmake}" --install "${CFT_BINARY_DIR:?}" \
    --prefix "$work/prefix" >install.log 2>&1 || {
    cat install.log
    exit 1
  }
  pc=$(find "$work/prefix" -name changefeed.pc)
  [ -n "$pc" ] || { echo "changefeed.pc is not installed"; exit 1; }
  export PKG_CONFIG_PATH=${pc%/*}
  export LD_LIBRARY_PATH=${pc%/pkgconfig/*}
  sim_start --q 1 "$@"
}

# The line of a source's first comment that builds it; that of the program in
# README.md, which is to stay short, is there.
build_line() {
  local line
  line=$(sed -n '1,/^#include/s,^[ /]*\(\(cc\|c++\) .*pkg-config.*\)$,\1,p' \
    "$1")
  line=${line% \*/}
  [ -n "$line" ] || line=$(grep "^cc ${1##*/} " "$root/README.md")
  printf '%s\n' "$line"
}

# Example without its library: told, and no failure where nobody has seen to it
# that everything is installed.
example() {
  local source=$root/examples/$1 line packages package lacking=
  line=$(build_line "$source")
  if [ -z "$line" ] || [ "$(wc -l <<<"$line")" -ne 1 ]; then
    fail "$1 does not say by which one line it is built"
    return 1
  fi
  packages=${line#*--libs }
  for package in ${packages%%)*}; do
    pkg-config --exists "$package" || lacking+=" $package"
  done
  if [ -n "$lacking" ]; then
    [ -z "${CI-}" ] || fail "$1 needs$lacking, which is not installed"
    echo "skipped: $1 needs$lacking"
    return 1
  fi
  cp "$source" "$work/"
  eval "$line" || { fail "\"$line\""; return 1; }
}

begin() {
  local name=$1
  shift
  : >"$name.out" # the rows of an earlier run are not to be taken for its own
  "$work/$name" "$@" >"$name.out" 2>"$name.err" </dev/null &
  pid=$!
}

end() {
  kill "-$1" "$pid"
  ended
}

is_gone() { ! kill -0 "$pid" 2>/dev/null; }

# Waits until $pid has ended by itself; $status.
ended() {
  wait_until is_gone || kill -KILL "$pid"
  wait "$pid" 2>/dev/null
  status=$?
  pid=
}

count() { wc -l <"$1" | tr -d ' '; }
has_rows() { [ "$(count "$1")" -ge "$2" ]; }

databases=0
fill() {
  local from
  databases=$((databases + 1))
  db=$sim/db-$databases
  sim_create "db-$databases" || exit 1
  add 1 "$1"
}

add() { # FROM TO
  local from
  for ((from = $1; from <= $2; from += 20000)); do
    awk -v from="$from" -v to="$((from + 19999 < $2 ? from + 19999 : $2))" '
      BEGIN {
        printf "{\"docs\":["
        for (n = from; n <= to; n++)
          printf "%s{\"_id\":\"doc-%d\",\"n\":%d}", (n > from ? "," : ""), n, n
        printf "]}"
      }' >bulk.json
    sim_ask POST "$db/_bulk_docs" @bulk.json >/dev/null || exit 1
  done
  seq "$2" | sed 's/.*/doc-& changed/' >wanted
}
