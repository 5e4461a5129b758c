#!/usr/bin/env bash
# What is told on standard error: events and counters as lines of JSON, lines
# for people, and one line when the feed has failed.
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

iso='/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(o.time)'
members() { # event
  json_of err "a.filter((o) => o.event === '$1').map((o) => Object.keys(o).join())[0] || 'none'"
}

# ---- a feed that ends well ----

new_database events
db_fill "$database" 1 5
run --once --events --stats --seq_interval=1 "$url"
expect "once: status" 0 "$status"
expect_json "events" err "typeof o.event === 'string' && $iso"
expect "once: what is told" \
  'state state state stats end' "$(json_of err 'a.map((o) => o.event).join(" ")')"
expect "once: states" \
  'connecting>catchup catchup>live live>ended' \
  "$(json_of err "a.filter((o) => o.event === 'state')
    .map((o) => o.previous + '>' + o.state).join(' ')")"
expect "members of state" event,time,state,previous "$(members state)"
expect "members of end" event,time,code,message,position "$(members end)"
expect "end" '[0,""]' "$(json_of err '[a.at(-1).code, a.at(-1).message]')"
expect "end: position" "$(json_of out 'a.at(-1).seq')" \
  "$(json_of err 'a.at(-1).position')"
# Every counter of the struct, under its name.
counters=$(sed -n '/^typedef struct changefeed_stats/,/^} changefeed_stats/p' \
  "$root/include/changefeed/changefeed.h" |
  sed -nE 's/^ +u?int64_t ([a-z_]+);.*/\1/p' | paste -sd, -)
expect "members of stats" "event,time,$counters,position" "$(members stats)"
expect "stats" '[5,5,0,0]' \
  "$(json_of err "a.filter((o) => o.event === 'stats')
    .map((o) => [o.changes, o.acked, o.unacked, o.reconnects])[0]")"

run --once "$url"
expect "nothing is told unasked" "" "$(cat err)"
run --once --stats "$url"
expect "stats alone" stats "$(json_of err 'a.map((o) => o.event).join(" ")')"
# ---- stats at intervals ----

"$command" --stats-interval 0.1 "$url" >out 2>err &
pid=$!
enough() { [ "$(lines err)" -ge 4 ]; }
wait_until enough
stop_command TERM "$pid"
expect "stats-interval: status" 0 "$status"
expect_json "stats-interval" err "o.event === 'stats' && $iso"

# ---- trouble ----

run --events --retry_min_ms=10 --retry_max_ms=20 --retry_limit=3 \
  http://127.0.0.1:1/db
expect "refused: status" 1 "$status"
expect_json "refused" err "$iso"
expect "members of retry" event,time,attempt,delay_ms,code,http_status,message \
  "$(members retry)"
expect "refused: retries" '[[1,-32,0],[2,-32,0]]' \
  "$(json_of err "a.filter((o) => o.event === 'retry')
    .map((o) => [o.attempt, o.code, o.http_status])")"
expect "refused: end" '[-32,null]' \
  "$(json_of err '[a.at(-1).code, a.at(-1).position]')"
expect_match "refused: message" '*127.0.0.1*' "$(json_of err 'a.at(-1).message')"

run --retry_min_ms=10 --retry_max_ms=20 --retry_limit=3 http://127.0.0.1:1/db
expect "for people: status" 1 "$status"
expect "for people: lines" 3 "$(lines err)"
expect_match "for people: retry" \
  'changefeed: *http://127.0.0.1:1/db*; trying again in 0.* s' "$(head -n 1 err)"
expect_match "for people: end" \
  'changefeed: network error: *http://127.0.0.1:1/db*; last position: none' \
  "$(tail -n 1 err)"
run --quiet --retry_min_ms=10 --retry_max_ms=20 --retry_limit=3 \
  http://127.0.0.1:1/db
expect "quiet: one line" 1 "$(lines err)"
expect_match "quiet: end" 'changefeed: network error: *' "$(cat err)"

start_peer --status 503
run --events --retry_min_ms=10 --retry_max_ms=20 --retry_limit=2 "$peer/db"
expect "503: retry" '[503,-37]' \
  "$(json_of err "a.filter((o) => o.event === 'retry')
    .map((o) => [o.http_status, o.code])[0]")"
expect_match "503: the server's reason" '*It was told to.*' \
  "$(json_of err "a.filter((o) => o.event === 'retry')[0].message")"
start_peer --status 404 --reason 'Database does not exist.'
run "$peer/db"
expect "404: status" 1 "$status"
expect "404: one line" 1 "$(lines err)"
expect_match "404: end" "changefeed: not found: *$peer/db*does not exist*" \
  "$(cat err)"

# The last position is told with a failure that comes after rows.
printf '{"results":[{"seq":"1-a","id":"one","changes":[{"rev":"1-a"}]}],"last_seq":"1-a","pending":0}\n' >body
printf '{"error":"nope","reason":"No."}\n' >live
start_peer --rows body --live live
run --retry_min_ms=10 --retry_max_ms=20 --retry_limit=2 "$peer/db"
expect "failure after rows: status" 1 "$status"
expect_match "failure after rows" 'changefeed: *; last position: 1-a' \
  "$(tail -n 1 err)"

# ---- another history, and the log ----

start_peer --rows body --uuid first
run --once --checkpoint=file:position "$peer/db"
expect "checkpoint: status: $(cat err)" 0 "$status"
peer_port=${peer##*:}
start_peer --rows body --uuid second --port "$peer_port"
run --once --events --checkpoint=file:position "$peer/db"
expect "reset: members" event,time,reason "$(members reset)"
expect "reset: the rows again" 1 "$(lines out)"
start_peer --rows body --uuid third --port "$peer_port"
run --once --on_reset=stop --checkpoint=file:position "$peer/db"
expect "on_reset=stop: status" 1 "$status"
expect "on_reset=stop: rows" 0 "$(lines out)"
expect_match "on_reset=stop" 'changefeed: *another history*' "$(tail -n 1 err)"

start_peer --user me:right
run --verbose --once --username=me --password=wrong "$peer/db"
expect "wrong password: status" 1 "$status"
expect_match "wrong password" 'changefeed: not authorized: *401*' \
  "$(tail -n 1 err)"
expect "wrong password is told to nobody" 0 "$(grep -c wrong$ err)"

finish
