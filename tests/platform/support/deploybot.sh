# shellcheck shell=bash disable=SC2034,SC2154
# Deploybots and the mail they send, for tests by bash; to be sourced behind
# provisioner.sh or expect.sh, in a directory that is thrown away.
#
#   bot_start [OPTION...]     a bot that goes on, with the options in bot_with:
#                             its face at $bot_face, its process in $bot_pid,
#                             its log in bot.log
#   bot_end [SIGNAL]          ends it, and its status in $status
#   bot_metric NAME           the value, with its label as it is written
#   await_bot NAME LEAST      until that is at least so much
#   node_start VAR SCRIPT...  a script of support/ that says "ready X": VAR=X,
#                             its process in $node_pid
#   sink_start [OPTION...]    a mail server: its port in $sink, mails in mail/
#   mail_count                in mail/
#   await_mails N             until there are so many; more is an error
#   mail_text N               the N-th mail, as a reader shows it

support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
deploybot=${CFT_PLATFORM:?is the directory of the programs}/deploybot
for one in node python3 curl; do
  command -v "$one" >/dev/null 2>&1 || { echo "no $one" && exit 77; }
done
[ -x "$deploybot" ] || { echo "no $deploybot" && exit 77; }
bot_with=()
bot_pid=

bot_start() {
  rm -f bot.port
  "$deploybot" --listen 127.0.0.1:0 --port-file bot.port "${bot_with[@]}" \
    "$@" 2>>bot.log &
  bot_pid=$!
  wait_until test -s bot.port || exit 1
  bot_face=$(cat bot.port)
}

bot_end() {
  kill "-${1:-TERM}" "$bot_pid"
  wait "$bot_pid" 2>/dev/null
  status=$?
  bot_pid=
}

bot_metric() {
  curl -sS --noproxy '*' --max-time 20 "http://$bot_face/metrics" |
    awk -v name="$1" '$1 == name { print $2 }'
}

bot_has() { [ "$(bot_metric "$1")" -ge "$2" ]; }

await_bot() { wait_until bot_has "$1" "$2"; }

node_start() { # variable, script, arguments
  local -n node__out=$1
  local script=$2 line='' pipe=node.ready.$RANDOM
  shift 2
  mkfifo "$pipe" || exit 1
  node "$support/$script" "$@" >"$pipe" 2>>node.log </dev/null &
  node_pid=$!
  IFS= read -r -t 60 line <"$pipe"
  rm -f "$pipe"
  [[ $line == ready* ]] || { cat node.log >&2 && exit 1; }
  node__out=${line#ready }
}

sink_start() {
  mkdir -p mail
  node_start sink smtp.js mail "$@"
  sink_pid=$node_pid
}

mail_files() { find mail -name '*.eml' 2>/dev/null | sort -V; }

mail_count() { mail_files | wc -l; }

has_mails() { [ "$(mail_count)" -ge "$1" ]; }

await_mails() { # how many
  wait_until has_mails "$1"
  expect 'mails' "$1" "$(mail_count)"
}

mail_text() {
  python3 -c '
import email, email.policy, sys
data = open(sys.argv[1], "rb").read()
while data.startswith((b"from <", b"to <")):
    print(data.split(b"\n", 1)[0].decode())
    data = data.split(b"\n", 1)[1]
mail = email.message_from_bytes(data, policy=email.policy.default)
for defect in mail.defects:
    print("DEFECT", defect)
for name, value in mail.items():
    print(f"{name}: {value}")
print()
print(mail.get_content().replace("\r\n", "\n"), end="")
' "$(mail_files | sed -n "$1p")"
}
