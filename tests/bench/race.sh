# Whole feeds over sockets: starts the feed server and runs the clients in turn,
# round after round. To be sourced by bash. The caller sets build (the build
# directory), only, rounds, failures (0) and race_log, a file; results go to the
# file that `results` names, a line each:
#   FEED CHUNK CLIENT ROWS BYTES SECONDS CPU-SECONDS PEAK-MB
# CHUNK is the size of the server's HTTP chunks, or "live": the rows come on the
# continuous feed.

programs=$build/tests/bench
here=$(dirname "${BASH_SOURCE[0]}")
followers=(nano-spool nano-pages pouchdb ibm-cloudant follow cloudant-follow)

is_wanted() {
  [ -z "$only" ] || case ",$only," in *",$1,"*) ;; *) return 1 ;; esac
}

# start_server FEED ROWS HUGE CHUNK [BREAK-MS]: sets url, feed_rows and
# feed_bytes. The server ends
# with the descriptor that end_server closes.
start_server() {
  local port
  coproc SERVER {
    exec "$programs/bench_feed_server" --feed "$1" --rows "$2" --huge "$3" \
      --chunk "$4" --lines 1 --break "${5:-20}"
  }
  server_pid=$SERVER_PID
  server_in=${SERVER[1]}
  read -r port feed_rows feed_bytes <&"${SERVER[0]}" || return 1
  url=http://127.0.0.1:$port
}

end_server() {
  exec {server_in}>&-
  wait "$server_pid"
}

# measured FEED CHUNK CLIENT COMMAND...: a client that fails is told, and counts
# as nothing.
measured() {
  local feed=$1 chunk=$2 client=$3 line
  shift 3
  is_wanted "$client" || return 0
  if line=$(timeout 300 "$programs/bench_measure" "$@" 2>>"$race_log"); then
    set -- $line
    [ "$1" -ne 0 ] || set -- "$feed_rows" "$2" "$3" "$4" "$5"
    if [ "$1" -eq "$feed_rows" ]; then
      echo "$feed $chunk $client $1 $feed_bytes $3 $4 $5" >>"$results"
      return 0
    fi
    line="$1 rows, not $feed_rows"
  fi
  echo "$client failed on feed $feed: $line" >&2
  failures=$((failures + 1))
}

# The library and what bounds it, over the same bytes.
run_native() {
  local feed=$1 chunk=$2 library=("$programs/bench_client_changefeed"
    --option max_row_bytes=1073741824 --url)
  measured "$feed" "$chunk" libcurl "$programs/bench_client_curl" \
    --url "$url/db/_changes"
  measured "$feed" "$chunk" library "${library[@]}" "$url/db"
  measured "$feed" "$chunk" library-batch "${library[@]}" "$url/db" --how batch
  measured "$feed" "$chunk" curl curl -sS -o /dev/null \
    -w '0 %{size_download} %{time_total}\n' "$url/db/_changes"
}

run_live() {
  local feed=$1
  # Of the same rows, "\n" behind each instead of ",\n" between them.
  measured "$feed" live libcurl "$programs/bench_client_curl" \
    --bytes $((feed_bytes - feed_rows + 2)) \
    --url "$url/live/_changes?feed=continuous&since=0"
  measured "$feed" live library "$programs/bench_client_changefeed" \
    --option max_row_bytes=1073741824 --rows "$feed_rows" --url "$url/live"
}

run_followers() {
  local name
  [ -d "$here/followers/node_modules" ] || return 0
  for name in "${followers[@]}"; do
    measured "$1" "$2" "$name" node "$here/followers/client.js" "$name" \
      "$url/db" "$feed_rows"
  done
}

# race FEED ROWS HUGE
race() {
  local chunk round
  for chunk in 1490 65536; do
    start_server "$1" "$2" "$3" "$chunk" || return 1
    for ((round = 0; round < rounds; round++)); do
      run_native "$1" "$chunk"
      [ "$chunk" -ne 1490 ] || {
        run_live "$1"
        run_followers "$1" "$chunk"
      }
    done
    end_server || return 1
  done
}
