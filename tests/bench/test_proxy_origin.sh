#!/usr/bin/env bash
# The server behind proxies that are measured: its bodies, the echo of the
# claim, its count of connections, and that it ends with its standard input.
set -u
export LC_ALL=C

work=$(mktemp -d "${CFT_BINARY_DIR:?}/origin.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*"
  exit 1
}

coproc ORIGIN { exec "$CFT_BINARY_DIR/tests/bench/bench_proxy_origin" 0; }
origin_pid=$ORIGIN_PID
origin_in=${ORIGIN[1]}
read -r port <&"${ORIGIN[0]}" || fail "it says no port"
url=http://127.1.0.9:$port

# One connection for both; each asks with a claim of its own.
curl -sS --max-time 60 -D "$work/heads" -H 'X-Drone-Claim: a/1' \
  -o "$work/small" "$url/small" --next -sS --max-time 60 -D "$work/heads2" \
  -H 'x-drone-claim: b/2' -o "$work/large" "$url/large" || fail "curl"
[ "$(wc -c <"$work/small")" -eq 100 ] || fail "the small body"
[ "$(wc -c <"$work/large")" -eq 65536 ] || fail "the large body"
grep -q $'^X-Drone-Claim: a/1\r$' "$work/heads" || fail "the first claim"
grep -q $'^X-Drone-Claim: b/2\r$' "$work/heads2" || fail "the second claim"
read -r connections requests < <(curl -sS --max-time 60 "$url/stats")
[ "$connections $requests" = "2 2" ] ||
  fail "$connections connections, $requests requests"

exec {origin_in}>&-
wait "$origin_pid" || fail "it ended badly"
