# shellcheck shell=bash disable=SC2034
# Provisioners and a simulated database, for tests by bash; to be sourced.
#
#   prov_start NAME [OPTION...]  a provisioner: its API's URL in api[NAME], its
#                                process in prov_pid[NAME], its log in NAME.log
#   prov_end NAME                SIGTERM, and its status in $status
#   ask NAME METHOD PATH [BODY]  $code, the body in $body, the head in file head
#   await WHAT PATTERN ASK...    asks until the body is like the pattern

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
provisioner=${CFT_PLATFORM:?is the directory of the programs}/provisioner
if [ ! -x "$provisioner" ]; then
  echo "no $provisioner"
  exit 77
fi
export LC_ALL=C
unset COUCHDB_URL
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
declare -A api prov_pid
SIM_PID=

work=$(mktemp -d "${TMPDIR:-/tmp}/cft-prov-XXXXXX") || exit 1
cd "$work" || exit 1
(umask 077 && echo t0ken-of-callers >token && echo t0ken-of-drones >drone-token)

clean_up() {
  local status=$? pid
  for pid in "${prov_pid[@]}" $SIM_PID $(jobs -p); do
    kill -KILL "$pid" 2>/dev/null
  done
  if [ "$status" -ne 0 ]; then
    tail -n 30 ./*.log >&2
  fi
  cd /
  rm -rf "$work"
  return "$status"
}
trap clean_up EXIT

# shellcheck source=tests/cli/sim.sh
. "$root/tests/cli/sim.sh"

prov_start() { # name, options
  local name=$1
  shift
  rm -f "$name.port"
  "$provisioner" --couch "$sim" --id "$name" --listen 127.0.0.1:0 \
    --port-file "$name.port" --token-file token \
    --drone-token-file drone-token "$@" 2>>"$name.log" &
  prov_pid[$name]=$!
  wait_until test -s "$name.port" || exit 1
  api[$name]=http://$(cat "$name.port")
  wait_until is_synced "$name" || exit 1
}

is_synced() { curl -sf --noproxy '*' -o /dev/null "${api[$1]}/healthz"; }

prov_end() {
  kill -TERM "${prov_pid[$1]}"
  wait "${prov_pid[$1]}"
  status=$?
  unset "prov_pid[$1]"
}

ask() { # name, method, path, [body]
  local args=(-sS --noproxy '*' --max-time 60 -D head -o body
    -w '%{http_code}' -X "$2" -H "Authorization: Bearer t0ken-of-callers")
  [ $# -lt 4 ] || args+=(--data-binary "$4")
  code=$(curl "${args[@]}" "${api[$1]}$3") || fail "$2 $3 has no answer"
  body=$(cat body)
}

await() { # what, pattern, arguments of ask
  local what=$1 pattern=$2 until=$((SECONDS + 60))
  shift 2
  while :; do
    ask "$@"
    # shellcheck disable=SC2053
    [[ $body == $pattern ]] && return
    if [ "$SECONDS" -ge "$until" ]; then
      fail "$what: never like \"$pattern\", but \"$body\""
      return
    fi
    sleep 0.05
  done
}

# Requests of a kind that the database has had.
asked() {
  curl -sS --noproxy '*' "${sim_control}counters" |
    sed -n "s/.*\"$1\": *\\([0-9]*\\).*/\\1/p" | head -n 1
}
