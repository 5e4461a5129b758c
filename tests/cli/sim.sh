# shellcheck shell=bash disable=SC2034
# couchsim, a simulated CouchDB with faults to order, for tests of the command;
# to be sourced behind command.sh.
#
#   sim_start [OPTION...]  starts it: $sim is its URL, without a slash
#   sim_tell WHAT JSON     POST to the control port
#   sim_put DB ID [BODY]   a document's next revision; the server must be open
#   sim_remove DB ID       deletes it
#   sim_fill DB FROM TO    documents doc-FROM .. doc-TO in one bulk

SIM_PID=
sim__ports=0

sim_start() {
  local ports
  sim__ports=$((sim__ports + 1))
  ports=ports.$sim__ports
  "${CFT_COUCHSIM:?is the path of couchsim}" --with-parent \
    --port-file "$ports" "$@" >/dev/null 2>sim.log &
  SIM_PID=$!
  disown
  wait_until test -s "$ports"
  sim=$(sed -n 's,^\(http://[^ /]*\)/*$,\1,p' "$ports" | head -n 1)
  sim_control=$(sed -n 's,^control \(http://.*\)$,\1,p' "$ports")
  if [ -z "$sim" ] || [ -z "$sim_control" ]; then
    cat "$ports" >&2
    exit 1
  fi
}

sim_ask() { # method, URL, [JSON]
  local args=(-sS --noproxy '*' --max-time 60 --fail-with-body -X "$1")
  [ $# -lt 3 ] || args+=(-H 'Content-Type: application/json' --data-binary "$3")
  curl "${args[@]}" "$2" || { fail "$1 $2"; return 1; }
}

sim_tell() { sim_ask POST "$sim_control$1" "$2" >/dev/null; }

sim_create() { sim_ask PUT "$sim/$1" >/dev/null; }

sim__rev() { # DB, ID; nothing when it is not there
  curl -sS --noproxy '*' "$sim/$1/$2" | sed -n 's/.*"_rev":"\([^"]*\)".*/\1/p'
}

sim_put() {
  local rev body=${3:-'{}'}
  rev=$(sim__rev "$1" "$2")
  sim_ask PUT "$sim/$1/$2${rev:+?rev=$rev}" "$body" >/dev/null
}

sim_remove() {
  sim_ask DELETE "$sim/$1/$2?rev=$(sim__rev "$1" "$2")" >/dev/null
}

sim_fill() {
  local n separator='{"docs":[' docs=''
  for ((n = $2; n <= $3; n++)); do
    docs+="$separator{\"_id\":\"doc-$n\",\"n\":$n}"
    separator=,
  done
  sim_ask POST "$sim/$1/_bulk_docs" "$docs]}" >/dev/null
}
