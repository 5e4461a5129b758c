# shellcheck shell=bash disable=SC2034
# What the tests of the changefeed command share; to be sourced by them. The
# command is in CFT_CHANGEFEED. Each test works in a directory of its own,
# which is removed at the end, as are the databases of new_database and the
# processes of start_peer.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
command=${CFT_CHANGEFEED:?is the path of the command}
command=$(realpath -e -- "$command") || exit 1
unset CHANGEFEED_PASSWORD
export LC_ALL=C
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
databases=()
PEER_PID=

# shellcheck source=tests/support/db.sh
. "$root/tests/support/db.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/cft-cli-XXXXXX") || exit 1
cd "$work" || exit 1

clean_up() {
  local status=$? name
  stop_peer
  for name in "${databases[@]}"; do
    [ -z "${COUCHDB_URL-}" ] || db_ask DELETE "/$name" >/dev/null
  done
  db_stop
  cd /
  rm -rf "$work"
  return "$status"
}
trap clean_up EXIT

# Runs the command: its streams in the files out and err, its status in
# $status. One that hangs is an error of its own.
run() {
  timeout 60 "$command" "$@" >out 2>err </dev/null
  status=$?
}

# A new, empty database; its URL is in $url.
new_database() { # stem
  [ -n "$DB_URL" ] || db_start --memory || exit 1
  databases+=("cft-$1-$$")
  db_create "cft-$1-$$" || exit 1
  url=$DB_URL/cft-$1-$$
  database=cft-$1-$$
}

# A scripted server, see peer.js; its URL is in $peer, its log in peer.log.
start_peer() {
  local line=''
  stop_peer
  : >peer.log
  rm -f peer.ready
  mkfifo peer.ready || exit 1
  node "$root/tests/cli/peer.js" "$@" >peer.ready 2>>peer.log </dev/null &
  PEER_PID=$!
  IFS= read -r -t 60 line <peer.ready
  [[ $line == ready* ]] || { cat peer.log >&2; exit 1; }
  peer=${line#ready }
}

stop_peer() {
  [ -n "$PEER_PID" ] || return 0
  { kill -KILL "$PEER_PID" && wait "$PEER_PID"; } 2>/dev/null
  PEER_PID=
}

now_ms() { printf '%s\n' "$((${EPOCHREALTIME/./} / 1000))"; }

# Sends a signal and waits; $status and $took_ms.
stop_command() { # signal, pid
  local begin
  begin=$(now_ms)
  kill "-$1" "$2"
  wait "$2"
  status=$?
  took_ms=$(($(now_ms) - begin))
}

lines() { wc -l <"$1" | tr -d ' '; }

# The lines of a file are JSON objects for all of which the expression about o
# (and its index i) is true.
expect_json() { # what, file, expression
  node -e '
    const [file, expression] = process.argv.slice(1);
    const test = new Function("o", "i", `return (${expression});`);
    const text = require("fs").readFileSync(file, "utf8");
    if (text !== "" && !text.endsWith("\n")) throw new Error("half a line");
    text.split("\n").slice(0, -1).forEach((line, i) => {
      if (!test(JSON.parse(line), i)) {
        console.error(line);
        process.exitCode = 1;
      }
    });' "$2" "$3" || fail "$1: not all of $2: $3"
}

# What an expression about all lines of JSON (the array a) says.
json_of() { # file, expression
  node -e '
    const [file, expression] = process.argv.slice(1);
    const a = require("fs").readFileSync(file, "utf8").split("\n")
      .filter((line) => line !== "").map((line) => JSON.parse(line));
    const value = new Function("a", `return (${expression});`)(a);
    console.log(typeof value === "string" ? value : JSON.stringify(value));
  ' "$1" "$2"
}
