# shellcheck shell=bash disable=SC2016,SC2034,SC2119,SC2120
# What the tests of the command `apps` share; to be sourced by them.
#
#   api_start [OPTION...]  a scripted API, see api.js: $api, its log in api.log
#   script JSON            what it does from now on
#   run ARG...             apps; its streams in out and err, $status, $took_ms
#   asked BEGINNING        how many requests began so ("POST /apps/a")

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
apps=${CFT_PLATFORM:?is the directory of the programs}/apps
if [ ! -x "$apps" ] || ! command -v node >/dev/null 2>&1; then
  echo "no $apps, or no node"
  exit 77
fi
export LC_ALL=C
unset COUCHDB_URL APPS_SERVER APPS_TOKEN_FILE
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
API_PID=

work=$(mktemp -d "${TMPDIR:-/tmp}/cft-apps-XXXXXX") || exit 1
cd "$work" || exit 1
mkdir -m 0700 run home
export XDG_RUNTIME_DIR=$work/run HOME=$work/home
unset XDG_CONFIG_HOME

clean_up() {
  local status=$? pid
  for pid in $API_PID $SIM_PID "${strays[@]}" $(jobs -p); do
    kill -KILL "$pid" 2>/dev/null
  done
  cd /
  rm -rf "$work"
  return "$status"
}
SIM_PID=
strays=() # processes that the shell does not know any more
trap clean_up EXIT

now_ms() { printf '%s\n' "$((${EPOCHREALTIME/./} / 1000))"; }

script() { printf '%s\n' "$1" >script.new && mv script.new script.json; }

api_start() {
  local line=''
  : >api.log
  [ -e script.json ] || script '[]'
  rm -f api.ready
  mkfifo api.ready || exit 1
  node "$root/tests/platform/support/api.js" script.json "$@" \
    >api.ready 2>>api.log </dev/null &
  API_PID=$!
  disown
  IFS= read -r -t 60 line <api.ready
  [[ $line == ready* ]] || { cat api.log >&2; exit 1; }
  api=${line#ready }
  export APPS_SERVER=$api
}

run() {
  local begin
  begin=$(now_ms)
  timeout 60 "$apps" "$@" >out 2>err </dev/null
  status=$?
  took_ms=$(($(now_ms) - begin))
}

asked() {
  local method=${1%% *} path=${1#* }
  grep -c "^{\"method\":\"$method\",\"url\":\"$path" api.log
}

# What an expression about the array a of all lines of JSON in a file says.
json_of() { # file, expression
  node -e '
    const [file, expression] = process.argv.slice(1);
    const a = require("fs").readFileSync(file, "utf8").split("\n")
      .filter((line) => line !== "").map((line) => JSON.parse(line));
    const value = new Function("a", `return (${expression});`)(a);
    console.log(typeof value === "string" ? value : JSON.stringify(value));
  ' "$1" "$2"
}
