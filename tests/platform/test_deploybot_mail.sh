#!/usr/bin/env bash
# Mails of deploybot, where nothing works: one for an incident, over restarts and
# mail servers that are away, refuse it, or are not who they should be; what a
# reader shows of them.
# shellcheck disable=SC2119,SC2317
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export LC_ALL=C
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
# shellcheck source=tests/platform/support/deploybot.sh
. "$root/tests/platform/support/deploybot.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/cft-botmail-XXXXXX") || exit 1
sink_pid=
end() {
  local status=$? pid
  for pid in $bot_pid $sink_pid; do
    kill -KILL "$pid" 2>/dev/null
  done
  [ "$status" -eq 0 ] || tail -n 30 "$work"/*.log >&2
  rm -rf "$work"
  return "$status"
}
trap end EXIT
cd "$work" || exit 1
umask 077
echo t0ken >token
echo p4ssword >password
printf '# one only\n\n  Get up, you lazy bones.  \n' >lines
closed=http://127.0.0.1:1
common=(--token-file token --couch "$closed" --server "$closed" --id mailer
  --balancer 127.0.0.1:1 --every 1s --again 1s --alert-after 1
  --mail-again 1s --mail-from bot@example.org)

fresh() { # a bot that knows nothing, and a box that is empty
  rm -rf state state.* mail
  mkdir mail
}
fails() { await_bot 'deploybot_runs_total{result="failed"}' "$1"; }

# ---- the server is away, then there: one mail, to each receiver one ----

fresh
sink_start
kill -KILL "$sink_pid"
wait "$sink_pid" 2>/dev/null
bot_with=("${common[@]}" --state state --smtp "smtp://127.0.0.1:$sink"
  --mail-to ann@example.org --mail-to ben@example.org --lines lines)
bot_start
await_bot deploybot_mails_refused_total 2
expect 'it waits' 1 "$(bot_metric deploybot_mails_waiting)"
bot_end KILL # and it is not forgotten
bot_start
sink_start --port "$sink"
await_mails 2
fails 2 # more failures, no more mails
expect 'nothing waits' 0 "$(bot_metric deploybot_mails_waiting)"
expect 'sent' 2 "$(bot_metric deploybot_mails_sent_total)"
bot_end KILL
bot_start
fails 2
expect 'no mail again after a restart' 2 "$(mail_count)"
expect 'an incident' 1 "$(bot_metric deploybot_incident)"
bot_end
expect 'ended' 0 "$status"
mail_text 1 >shown
for one in 'from <bot@example.org>' 'to <ann@example.org>' \
  'From: deploybot <bot@example.org>' \
  'To: ann@example.org, ben@example.org' \
  'Subject: [staging] canary-mailer: cannot clean up what was left at the API http://127.0.0.1:1' \
  'MIME-Version: 1.0' 'Auto-Submitted: auto-generated' \
  'At:        the API http://127.0.0.1:1' 'No canary of this bot was well before.' \
  'Get up, you lazy bones.'; do
  grep -qxF "$one" shown || fail "the mail lacks \"$one\": $(cat shown)"
done
grep -qE '^Message-ID: <[0-9]+\.[0-9a-f]{32}@example\.org>$' shown ||
  fail "no id: $(cat shown)"
# shellcheck disable=SC2016
[ "$(sed '1,/^$/d' shown | awk '{ if (length($0) > most) most = length($0) }
  END { print most }')" -lt 76 ] || fail "long lines: $(cat shown)"
python3 -c '
import email.utils, re, sys, time
date = re.search("^Date: (.*)$", open("shown").read(), re.M).group(1)
at = email.utils.parsedate_to_datetime(date).timestamp()
sys.exit(abs(at - time.time()) > 300)' || fail "the date is wrong"
expect_match 'the other one' '*to <ben@example.org>*' "$(mail_text 2)"

# ---- for one receiver never, for all not now ----

fresh
echo 'rcpt ben@example.org 550' >mail/answer
bot_with=("${common[@]}" --state state --smtp "smtp://127.0.0.1:$sink"
  --mail-to ann@example.org --mail-to ben@example.org --polite --lines lines)
bot_start
await_mails 1
await_bot deploybot_mails_refused_total 2
expect_match 'one has it' '*to <ann@example.org>*' "$(mail_text 1)"
grep -q 'lazy bones' mail/*.eml && fail 'a rude line of a polite bot'
expect 'one has it once' 1 "$(mail_count)"
wait_until grep -q 'event=mail.refused .*to=ben@example.org .*550' bot.log
echo 'data 451' >mail/answer
wait_until grep -q 'event=mail.not_sent .*to=ben@example.org .*451' bot.log
rm mail/answer
await_mails 2
expect_match 'the other has it' '*to <ben@example.org>*' "$(mail_text 2)"
bot_end

# ---- told again and again, in one thread; nothing given breaks a header ----

fresh
bot_with=("${common[@]}" --state state --smtp "smtp://127.0.0.1:$sink"
  --mail-to ann@example.org --repeat-first 1s --repeat 2s
  --staging "$(printf 'B\303\274hne\r\nBcc: eve@example.org\r\n\r\nhello')")
bot_start
wait_until has_mails 3
bot_end
mail_text 1 >first
mail_text 2 >second
mail_text 3 >third
expect_match 'the name' \
  "Subject: [[]$(printf 'B\303\274hne') *Bcc: eve@example.org *hello] canary-mailer:*" \
  "$(grep '^Subject' first)"
grep -q '^Bcc' first && fail "a header of somebody else's: $(cat first)"
grep -q DEFECT first second third && fail 'a mail is broken'
expect 'the second one refers to the first' \
  "$(sed -n 's/^Message-ID: //p' first)" "$(sed -n 's/^In-Reply-To: //p' second)"
expect 'and the third' \
  "$(sed -n 's/^Message-ID: //p' first)" "$(sed -n 's/^References: //p' third)"
grep -q ', still$' second || fail "it is not told as an old one: $(cat second)"

# ---- who the server is, and who we are ----

openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 \
  -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2>/dev/null ||
  { echo 'no openssl' && exit 77; }
kill -KILL "$sink_pid"
wait "$sink_pid" 2>/dev/null
fresh
sink_start --tls key cert --user bot p4ssword
bot_with=("${common[@]}" --state state --smtp "smtp://127.0.0.1:$sink"
  --mail-to ann@example.org --smtp-user bot --smtp-password-file password)
bot_start
await_bot deploybot_mails_refused_total 1
bot_end
expect 'not to a server that nobody knows' 0 "$(mail_count)"
grep -q 'event=mail.not_sent .*certificate' bot.log ||
  fail "it is not told: $(tail -n 5 bot.log)"
bot_start --smtp-ca-file cert
await_mails 1
bot_end
echo wrong >password
fresh
bot_start --smtp-ca-file cert
await_bot deploybot_mails_refused_total 1
bot_end
expect 'not as somebody else' 0 "$(mail_count)"
if grep -qE 'p4ssword|t0ken' bot.log state mail/*; then
  fail 'a secret is in a log, the state or a mail'
fi

# ---- a mailbox; a damaged state ----

fresh
bot_with=("${common[@]}" --state state --mailbox mail)
bot_start
await_mails 1
bot_end
sed -i 's/"misroute": false/"misroute":  true/' state
bot_start
await_bot deploybot_state_damaged_total 1
await_mails 2
bot_end
[ -s state.damaged ] || fail 'the damaged state is not kept'
grep -q 'event=state.damaged .*checksum' bot.log || fail 'it is not told'
grep -q DEFECT <(mail_text 1) && fail 'a mail of the mailbox is broken'
once() {
  timeout 60 "$deploybot" once "${bot_with[@]}" >out 2>>bot.log
  status=$?
}
once
expect 'once: status' 1 "$status"
expect_match 'once: told' '*Failed:    clean up what was left*' "$(cat out)"
expect 'and no mail more' 2 "$(mail_count)"
finish
