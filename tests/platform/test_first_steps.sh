#!/usr/bin/env bash
# What docs/platform.md says of one machine can be done as it stands there: its
# blocks of commands run one behind the other, against a database that somebody
# else wrote. Only what a test must not have is changed: fixed ports.
# ctest: LABEL couch
# shellcheck disable=SC2016 # others expand it
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

work=$(mktemp -d) || exit 1
unset COUCHDB_URL
# shellcheck source=SCRIPTDIR/../support/db.sh
. "$root/tests/support/db.sh"
# shellcheck disable=SC2317 # the trap calls it
clean_up() {
  local file
  [ -z "${server-}" ] || kill "$server" 2>/dev/null
  [ -z "${balancer-}" ] || kill "$balancer" 2>/dev/null
  for file in "$work"/home/try/drones/*/pid; do
    [ ! -f "$file" ] || kill -KILL "$(cut -d' ' -f1 "$file")" 2>/dev/null
  done
  db_stop
  rm -rf "$work"
}
trap clean_up EXIT

# The N-th block of commands.
block() {
  awk -v wanted="$1" '
    /^```/ { open = !open; n += open; next }
    open && n == wanted' "$root/docs/platform.md"
}

# shellcheck disable=SC2119
db_start || exit 1
mkdir "$work/home"
export HOME=$work/home
user=
[ "$(id -u)" -ne 0 ] || user='--drone-user root'

first=$(block 1 | sed -e '/^export COUCHDB_URL/d' \
  -e '/^provisioner --listen/,/&$/s|&$|>provisioner.log 2>\&1 \&\nserver=$!; until [ -s port ]; do kill -0 $server \|\| break; sleep 0.05; done|' \
  -e '/^balancer --listen/s|&.*$|--admin 127.0.0.1:0 --port-file ports >balancer.log 2>\&1 \&\nbalancer=$!; until [ -s ports ]; do kill -0 $balancer \|\| break; sleep 0.05; done|' \
  -e 's|--listen 127.0.0.1:8000|--listen 127.0.0.1:0|' \
  -e "s|^curl -H .* http://127.0.0.1:8000/|curl -sS --noproxy '*' -H 'Host: hello.localhost' http://\$(head -n 1 ports)/|" \
  -e "s|--listen 127.0.0.1:8080|--listen 127.0.0.1:0 --port-file port $user|" \
  -e 's|http://127.0.0.1:8080|http://$(cat port)|' \
  -e 's|^apps start|timeout 120 apps start|')
export COUCHDB_URL=$DB_URL PATH=${CFT_PLATFORM:?}:$PATH
[ "$(grep -c '^provisioner\|^balancer\|apps start\|^curl' <<<"$first")" -ge 5 ] ||
  fail "the first block is not what is expected: $first"
eval "$first" >"$work/out" 2>"$work/err"
[ -n "${server-}" ] || fail "the provisioner was not started"
grep -q 'hello is live' "$work/out" ||
  fail "not live: $(cat "$work/out" "$work/err" provisioner.log)"
grep -q 'hello is live.*balancers 1/1' "$work/out" ||
  fail "the balancer was not heard: $(cat "$work/out" balancer.log)"
grep -q 'Directory listing' "$work/out" ||
  fail "no page through the balancer: $(cat "$work/out" "$work/err" balancer.log)"
addr=$(sed -n 's/^"addr":"\(.*\)"$/\1/p' "$work/out" | head -n 1)
claim=$(sed -n 's/^"claim":"\(.*\)"$/\1/p' "$work/out" | head -n 1)
[ "${#claim}" -eq 32 ] || fail "no claim was told: $(cat "$work/out")"

answers() { # what the two requests were answered
  block 2 | sed -e "s|/CLAIM|/$claim|" -e "s|ADDR|$addr|" \
    -e "s|^curl|curl -sS -o /dev/null -D - --noproxy '*'|" |
    bash 2>&1 | tr -d '\r' | grep -iE '^HTTP/|^X-Drone-Claim' | cut -d' ' -f1,2
}
wanted="HTTP/1.1 200
X-Drone-Claim: hello/$claim
HTTP/1.1 421
X-Drone-Claim: hello/$claim"
[ "$(answers)" = "$wanted" ] || fail "through the guard: $(answers)"

drones=$(cat drones/*/pid | cut -d' ' -f1)
eval "$(block 3 | sed "s|%provisioner|$server|; s|%balancer|$balancer|")" >"$work/out" 2>"$work/err" ||
  {
    fail "the last block: $(cat "$work/out" "$work/err")"
    kill "$server"
  }
wait "$server" || fail "the provisioner did not end with 0"
wait "$balancer" || fail "the balancer did not end with 0"
server='' balancer=
for drone in $drones; do
  until ! kill -0 "$drone" 2>/dev/null; do
    [ "$SECONDS" -lt 60 ] || { fail "a drone does not end" && break; }
    sleep 0.05
  done
done

[ "$failures" -eq 0 ] && echo "first steps: all well"
exit $((failures > 0))
