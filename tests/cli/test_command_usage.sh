#!/usr/bin/env bash
# --help, --version and every kind of wrong usage: exit status 2 and a sentence
# on standard error that names the flag, and the nearest one.
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

# ---- help and version ----

run --help
expect "--help: status" 0 "$status"
expect "--help: standard error" "" "$(cat err)"
expect "--help: lines longer than 80" "" "$(grep -nE '.{81}' out)"
for name in once format events stats stats-interval password-file verbose \
  quiet version help; do
  grep -qE "^  --$name(=|\$)" out || fail "--help lacks --$name"
done
# The same names as in the table that the library is built from.
names=$(sed -nE 's/^(STRING|INT|SWITCH|ENUM|LIST|JSON)\(([a-z0-9_]+),.*/\2/p' \
  "$root/lib/options_table.h")
[ "$(wc -w <<<"$names")" -gt 50 ] || fail "the option table cannot be read"
for name in $names; do
  grep -qE "^  --$name(=|\[)" out || fail "--help lacks --$name"
done
grep -A3 -e '--heartbeat_ms=NUMBER' out | tr -s ' \n' ' ' |
  grep -qF '[100..60000 ms; default: 10000]' || fail "--help lacks the range"
grep -A5 -e '--limit=NUMBER' out | tr -s ' \n' ' ' |
  grep -qF '[0 or 1..9223372036854775807 rows; default: 0]' ||
  fail "--help does not say that limit may be 0"
cp out help
run --events --help --nonsense
expect "--help before a mistake" 0 "$status"
run -h
cmp -s out help || fail "-h is not --help"
"$command" --help >/dev/full 2>err
expect "--help to a full disk" 1 $?
expect_match "--help to a full disk" "changefeed: *No space left*" "$(cat err)"

run --version
expect "--version: status" 0 "$status"
expect_match "--version" "changefeed [0-9]*.[0-9]*.[0-9]*changefeed/*libcurl/*yajl/*" \
  "$(tr -d '\n' <out)"

# ---- wrong usage ----

expect_usage() { # sentence, argument...
  local sentence=$1
  shift
  run "$@"
  expect "status of \"$*\"" 2 "$status"
  expect "standard output of \"$*\"" "" "$(cat out)"
  expect "sentence of \"$*\"" "changefeed: $sentence" "$(head -n 1 err)"
  expect "second line of \"$*\"" 'Try "changefeed --help".' \
    "$(sed -n '2,$p' err)"
}

db=http://127.0.0.1:9/db
expect_usage "there is no URL, such as http://127.0.0.1:5984/db"
expect_usage "there is more than one URL" "$db" "$db"
expect_usage "there is more than one URL" --url="$db" "$db"
expect_usage "there is more than one URL" -- "$db" --once
expect_usage "there is no flag --evnts; did you mean --events?" --evnts "$db"
expect_usage "there is no flag --hearbeat-ms; did you mean --heartbeat_ms?" \
  --hearbeat-ms=1 "$db"
expect_usage "there is no flag --heartbeat; did you mean --heartbeat_ms?" \
  --heartbeat 1000 "$db"
expect_usage "there is no flag --pasword; did you mean --password?" \
  --pasword=secret "$db"
expect_usage "there is no flag --xyzzy" --xyzzy "$db"
expect_usage "there is no flag -x" -x "$db"
expect_usage "there is no flag --no-limit; did you mean --limit?" --no-limit \
  "$db"
expect_usage "--since needs a value" "$db" --since
expect_usage "--format needs a value: row|id|tsv|doc" "$db" --format
expect_usage "--once takes no value" --once=1 "$db"
expect_usage "--no-session takes no value" --no-session=1 "$db"
expect_usage '--format: "xml" is not one of row, id, tsv, doc' --format=xml "$db"
for seconds in 0 0.05 86401 -1 1s '' .5 1.5.5; do
  expect_usage "--stats-interval: \"$seconds\" is not in 0.1..86400 seconds" \
    --stats-interval="$seconds" "$db"
done
expect_usage "--verbose and --quiet exclude each other" --verbose --quiet "$db"
expect_usage "heartbeat_ms: 5 is not in 100..60000 ms" --heartbeat_ms=5 "$db"
expect_usage 'limit: "1k" is not a number in decimal without a unit; it counts rows' \
  --limit 1k "$db"
expect_usage 'transport: "sse" is not one of auto|continuous|longpoll|eventsource' \
  --transport=sse "$db"
expect_usage 'session: "maybe" is not one of 0, 1, true, false, yes, no, on, off' \
  --session=maybe "$db"
expect_usage "query: the parameter feed is the library's; use mode and transport" \
  --query feed=normal "$db"
expect_usage "descending: mode must be once" --descending "$db"
expect_usage "password: there is no user name; set username" --password=x "$db"
expect_usage "retry_min_ms: 500 ms is more than retry_max_ms, which is 100 ms" \
  --retry_min_ms=500 --retry-max-ms=100 "$db"

run ftp://127.0.0.1/db
expect "status of a URL of another scheme" 2 "$status"

# ---- what is no mistake ----

# All forms of flags; the refused port shows that the options were taken.
new_peer_url() {
  start_peer
  url=$peer/db
}
new_peer_url
expect_runs() {
  run "$@"
  expect "status of \"$*\": $(cat err)" 0 "$status"
}
expect_runs --once "$url"
expect_runs "$url" --once
expect_runs --mode=once "$url"
expect_runs --mode once -- "$url"
expect_runs --once --url "$url"
expect_runs --once --tls_verify 0 --session off "$url"
expect_runs --once --tls-verify --no-tls-verify --no-session "$url"
expect_runs --once --heartbeat-ms=500 --idle_timeout-ms 800 "$url"
expect_runs --once --stats_interval=0.1 "$url"
expect_runs --once --header='X-A: 1' --header 'X-B: 2' --query=a=b "$url"
expect_json "repeated flags" peer.log \
  'o.path !== "/db/_changes" || o.query.a !== "b" ||
   (o.headers["x-a"] === "1" && o.headers["x-b"] === "2")'
expect "requests with repeated flags" 1 \
  "$(json_of peer.log 'a.filter((o) => o.query.a === "b").length')"

finish
