#!/usr/bin/env bash
# What deploybot is told: wrong words are named, deploybot(1) has every option of
# --help and no other, with the same defaults, and every metric; the canary's
# app says its word.
# shellcheck disable=SC2119,SC2317
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export LC_ALL=C
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
# shellcheck source=tests/platform/support/deploybot.sh
. "$root/tests/platform/support/deploybot.sh"
# shellcheck source=tests/platform/support/options.sh
. "$root/tests/platform/support/options.sh"
program=deploybot
work=$(mktemp -d "${TMPDIR:-/tmp}/cft-botopt-XXXXXX") || exit 1
end() {
  local pid
  for pid in $bot_pid $serve_pid; do
    kill -KILL "$pid" 2>/dev/null
  done
  rm -rf "$work"
}
serve_pid=
trap end EXIT
cd "$work" || exit 1
(umask 077 && echo t0ken >token)
echo 'not mine' >open-token
chmod 0644 open-token
mkdir box

base=(--token-file token --state state --mailbox box)
refused '--state is needed' --token-file token --mailbox box
refused '--token-file is needed' --state s --mailbox box
refused '--smtp or --mailbox is needed' --token-file token --state s
refused 'do not go together' "${base[@]}" --smtp smtp://127.0.0.1:1
refused 'mails of once need --state' once --token-file token --mailbox box
refused 'open-token' --token-file open-token --state s --mailbox box
refused '--smtp needs --mail-to' --token-file token --state s --smtp smtp://h
refused '--smtp is smtp://' --token-file token --state s --smtp http://h
refused 'without a user' --token-file token --state s --smtp smtp://u:p@h
refused '--smtp-tls is try' "${base[@]}" --smtp-tls maybe
refused 'go together' "${base[@]}" --smtp-user u
refused 'needs TLS' "${base[@]}" --smtp-user u --smtp-password-file token \
  --smtp-tls never
refused '--mail-to a b@c is no' "${base[@]}" --mail-to 'a b@c'
refused '--mail-from' "${base[@]}" --mail-from "$(printf 'a@b\r\nBcc: c@d')"
refused '--mailbox /nonexistent' --token-file token --state s \
  --mailbox /nonexistent
refused '--lines /nonexistent' "${base[@]}" --lines /nonexistent
printf '# only this\n\n' >lines
refused 'there is no line in it' "${base[@]}" --lines lines
refused '--balancer b1:80: it is ADDRESS:PORT' "${base[@]}" --balancer b1:80
refused '--id Ann: it consists' "${base[@]}" --id Ann
refused '--app a_b: it consists' "${base[@]}" --app a_b
refused '--host A' "${base[@]}" --host A
refused 'every' "${base[@]}" --every 10ms
refused 'no-such' --no-such
refused 'there is no command "fly"' fly
refused 'one word too many' gate once
refused '--log-level is' --log-level loud
refused '--state is needed' gate
run "${base[@]}" --listen nowhere:1
expect 'listen: status' 1 "$status"
expect_match 'listen: told' '*deploybot: *nowhere:1*' "$(cat err)"
run --token-file token --mailbox box --state /nonexistent/s
expect 'state: status' 1 "$status"
expect_match 'state: told' '*deploybot: *--state /nonexistent/s*' "$(cat err)"
run --version
expect_match 'version' 'deploybot of libchangefeed*' "$(cat out)"

# ---- the manual page ----

expect_manual 30

# ---- the face ----

closed=http://127.0.0.1:1
bot_with=("${base[@]}" --couch "$closed" --server "$closed" --every 1h)
bot_start
await_bot 'deploybot_runs_total{result="failed"}' 1
run "${base[@]}" --listen 127.0.0.1:0
expect 'a second bot: status' 1 "$status"
expect_match 'a second bot: told' '*another deploybot uses it*' "$(cat err)"
face() { curl -sS --noproxy '*' --max-time 20 -o face -w '%{http_code}' "$@"; }
expect 'health' '200 ok' "$(face "http://$bot_face/healthz") $(cat face)"
expect 'no such page' 404 "$(face "http://$bot_face/")"
expect 'not to be written' 405 "$(face -X POST "http://$bot_face/metrics")"
expect 'metrics' 200 "$(face "http://$bot_face/metrics")"
sed -nE 's/^# TYPE ([a-z_]+) .*/\1/p' face | sort -u >metrics
[ "$(wc -l <metrics)" -gt 8 ] || fail 'the metrics cannot be read'
while read -r name; do
  grep -qE "^\.It .*\b$name\b" "$page" || fail "$page lacks $name"
done <metrics
grep -oE '\bdeploybot_[a-z_]+' "$page" | sort -u | diff - metrics ||
  fail "$page has other metrics than the program"
bot_end
expect 'ended' 0 "$status"
[ "$(stat -c %a state)" = 600 ] || fail 'the state can be read by others'
if grep -q t0ken bot.log out err state; then
  fail 'the token is in a log or the state'
fi

# ---- the canary's app ----

PORT=x run serve
expect 'serve without a port: status' 1 "$status"
expect_match 'serve without a port: told' '*PORT is no number*' "$(cat err)"
PORT=1 run serve
expect_match 'serve without a word: told' '*NONCE_APP and NONCE*' "$(cat err)"
port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
PORT=$port NONCE_APP=a NONCE=w0rd "$deploybot" serve 2>serve.log &
serve_pid=$!
disown
said() { [ "$(curl -sS --noproxy '*' "http://127.0.0.1:$port/" 2>&1)" = "$1" ]; }
wait_until said 'app=a nonce=w0rd'
finish
