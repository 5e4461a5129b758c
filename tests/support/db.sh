# shellcheck shell=bash
# A database for shell tests and the demo; to be sourced, by bash.
#
#   db_start [--memory] [OPTION...]  start one: sets DB_URL (no slash at its
#                       end) and DB_PID. COUCHDB_URL, if set, is taken instead,
#                       and DB_PID stays empty. Else couch-serve on a free port
#                       with the OPTIONs, its data in a directory of its own
#                       (or in memory), which db_stop removes.
#   db_kill9            SIGKILL, and wait for the end
#   db_restart          the same port and data again, after db_kill9 or not
#   db_stop             stop it; done at EXIT unless the script has a trap there
#   db_ask METHOD PATH [JSON]  one request: the body on standard output; fails,
#                       with the body on standard error, unless the status is 2xx
#   db_create NAME      a new, empty database; an old one of that name is deleted
#   db_put NAME ID [JSON]      one document
#   db_bulk NAME        {"docs":[...]} or the like from standard input
#   db_fill NAME FROM TO       documents doc-FROM .. doc-TO in one bulk
#
# Each returns non-zero when it failed and says why on standard error.

DB_SERVE=${CFT_COUCH_SERVE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../couch-serve" && pwd)}
DB_URL=
DB_PID=
db__dir=
db__options=()

db__say() { printf 'db: %s\n' "$*" >&2; }

db_start() {
  local memory=''
  if [ "${1-}" = --memory ]; then
    memory=1
    shift
  fi
  [ -z "$DB_PID" ] || { db__say "already running as $DB_PID"; return 1; }
  if [ -n "${COUCHDB_URL-}" ]; then
    DB_URL=${COUCHDB_URL%/}
    db_ask GET / >/dev/null || return
    return 0
  fi
  if [ ! -d "$DB_SERVE/node_modules/express-pouchdb" ]; then
    db__say "couch-serve is not installed: run \"npm ci\" in $DB_SERVE"
    return 1
  fi
  db__dir=$(mktemp -d "${TMPDIR:-/tmp}/cft-db-XXXXXX") || return
  [ -n "$(trap -p EXIT)" ] || trap db_stop EXIT
  db__options=("$@")
  [ -n "$memory" ] || db__options=(--dir "$db__dir/data" "$@")
  db__launch 0
}

# The ready line comes through a pipe: nothing is polled, and an end before it
# is noticed at once.
db__launch() {
  local line='' pipe=$db__dir/ready
  rm -f "$pipe"
  mkfifo "$pipe" || return
  node "$DB_SERVE/couch-serve.js" --port "$1" --parent $$ "${db__options[@]}" \
    >"$pipe" 2>"$db__dir/log" </dev/null &
  DB_PID=$!
  IFS= read -r -t 60 line <"$pipe"
  if [[ $line != "ready "* ]]; then
    db__say "couch-serve did not start: $(cat "$db__dir/log")"
    db__end KILL
    return 1
  fi
  DB_URL=${line#ready }
  DB_URL=${DB_URL%/}
}

db__end() {
  local pid=$DB_PID
  DB_PID=
  [ -n "$pid" ] || return 0
  # The redirection is for the shell's own word about a killed job.
  {
    kill "-$1" "$pid"
    wait "$pid"
  } 2>/dev/null
  return 0
}

db__ours() {
  [ -n "$db__dir" ] && return
  db__say "$1: only for a server that db_start has started, not for COUCHDB_URL"
  return 1
}

db_kill9() {
  db__ours db_kill9 || return
  [ -n "$DB_PID" ] || { db__say "db_kill9: it is not running"; return 1; }
  db__end KILL
}

db_restart() {
  db__ours db_restart || return
  db__end KILL
  db__launch "${DB_URL##*:}"
}

db_stop() {
  db__end TERM
  if [ -n "$db__dir" ]; then
    cat "$db__dir/log" >&2
    rm -rf "$db__dir"
  fi
  db__dir=
}

db_ask() {
  local body args=(-sS --noproxy '*' --max-time 60 --fail-with-body -X "$1")
  if [ $# -gt 2 ]; then
    args+=(-H 'Content-Type: application/json' --data-binary "$3")
  fi
  if body=$(curl "${args[@]}" "$DB_URL$2"); then
    printf '%s\n' "$body"
  else
    db__say "$1 $2 failed: $body"
    return 1
  fi
}

db_create() {
  local code
  code=$(curl -sS --noproxy '*' --max-time 60 -o /dev/null -w '%{http_code}' \
    -X DELETE "$DB_URL/$1") || return
  case $code in
    200 | 202 | 404) db_ask PUT "/$1" >/dev/null ;;
    *) db__say "DELETE /$1 was answered $code"; return 1 ;;
  esac
}

db_put() { db_ask PUT "/$1/$2" "${3:-"{}"}"; }

db_bulk() { db_ask POST "/$1/_bulk_docs" @-; }

db_fill() {
  local n separator='{"docs":['
  for ((n = $2; n <= $3; n++)); do
    printf '%s{"_id":"doc-%d","n":%d}' "$separator" "$n" "$n"
    separator=,
  done | { cat && printf ']}'; } | db_bulk "$1" >/dev/null
}
