#!/usr/bin/env bash
# Passwords: where they come from, and that nobody else sees them.
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

# ---- the list of processes ----

secrets='sec1 sec2 sec3 sec4 sec5 sec6 sec7 sec8 sec9'
start_peer --silent
CHANGEFEED_PASSWORD=sec9 "$command" --events --username=u --password sec1 \
  --header 'X-A: sec2' --header=X-B:sec3 --proxy sec4:sec5@127.0.0.1:1 \
  --proxy=- --endpoint=http://127.0.0.1:2 --query=visible=1 \
  --no-tls-verify --bearer-token= \
  --client-key-password=sec8 --client-cert="$root/LICENSE" \
  "http://sec6:sec7@${peer#http://}/db" >out 2>err &
pid=$!
asked() { [ -s peer.log ] || ! kill -0 "$pid" 2>/dev/null; }
wait_until asked
kill -0 "$pid" 2>/dev/null || fail "it has ended: $(cat err)"
tr '\0' '\n' <"/proc/$pid/cmdline" >cmdline
tr '\0' '\n' <"/proc/$pid/environ" >environ
for secret in $secrets; do
  grep -qF "$secret" cmdline && fail "$secret in the list of processes"
  grep -qF "$secret" environ && fail "$secret in the environment"
done
for shown in --query=visible=1 --username=u --no-tls-verify "@${peer#http://}/db"
do
  grep -qF -- "$shown" cmdline || fail "$shown was overwritten: $(cat cmdline)"
done
stop_command TERM "$pid"
expect "status" 0 "$status"

# In a URL that is none, the password may be anywhere.
for bad in 'http://a:sec1/sec2@127.0.0.1:1/db' 'a:sec1@127.0.0.1/db' \
  'http://a:sec1@sec2@127.0.0.1:1/db'; do
  "$command" --retry_limit=2 --verbose "$bad" >out 2>err
  grep -qE 'sec[0-9]' err && fail "$bad: a secret in $(cat err)"
done
run --pasword=sec1 http://127.0.0.1:1/db
grep -q sec1 err && fail "the value of a wrong flag is shown"
run --password="$(printf 'sec1\001')" --username=u http://127.0.0.1:1/db
expect "control character: status" 2 "$status"
grep -q sec1 err && fail "the value of a wrong password is shown"

# ---- where a password comes from ----

start_peer
printf 'from file\r\nsecond line\n' >file
credentials() { # argument...
  : >peer.log
  run --once "$@"
  [ "$status" -eq 0 ] || cat err >&2
  json_of peer.log '((text) => {
    const [scheme, value] = text.split(" ");
    return scheme === "Basic" ? Buffer.from(value, "base64").toString() : text;
  })(a.at(-1).headers.authorization || "none")'
}
db=$peer/db
with() { printf '%s\n' "http://$1@${peer#http://}/db"; }

expect "URL" me:url "$(credentials "$(with me:url)")"
expect "encoded URL" 'me:u@l/' "$(credentials "$(with me:u%40l%2F)")"
expect "--password" me:flag "$(credentials --username=me --password=flag "$db")"
expect "--password before the URL's" me:flag \
  "$(credentials --password=flag "$(with me:url)")"
expect "--password-file" 'me:from file' \
  "$(credentials --username=me --password-file=file "$db")"
expect "--password-file before the URL's" 'me:from file' \
  "$(credentials --password_file file "$(with me:url)")"
export CHANGEFEED_PASSWORD=environment
expect "environment with --username" me:environment \
  "$(credentials --username=me "$db")"
expect "environment with the URL's user" me:environment \
  "$(credentials "$(with me)")"
expect "environment after the URL" me:url "$(credentials "$(with me:url)")"
expect "environment after --password" me:flag \
  "$(credentials --username=me --password=flag "$db")"
expect "environment after --password-file" 'me:from file' \
  "$(credentials --username=me --password-file=file "$db")"
expect "environment without a user" none "$(credentials "$db")"
expect "environment beside a token" "Bearer abc" \
  "$(credentials --bearer_token=abc "$db")"
unset CHANGEFEED_PASSWORD
expect "nothing" none "$(credentials "$db")"
expect "a user alone" me: "$(credentials --username=me "$db")"

# ---- password files that cannot be used ----

expect_refused() { # sentence, argument...
  local sentence=$1
  shift
  run --username=me "$@" "$db"
  expect "$*: status" 2 "$status"
  expect "$*" "changefeed: $sentence" "$(head -n 1 err)"
}
: >empty
printf '\nsecond\n' >first_empty
printf 'a\0b\n' >binary
head -c 10000 /dev/zero | tr '\0' a >long
expect_refused "--password-file: none: No such file or directory" \
  --password-file=none
expect_refused "--password-file: .: Is a directory" --password-file=.
expect_refused "--password-file: empty: its first line is empty" \
  --password-file=empty
expect_refused "--password-file: first_empty: its first line is empty" \
  --password-file=first_empty
expect_refused "--password-file: binary: it is no text" --password-file=binary
expect_refused "--password-file: long: its first line is too long" \
  --password-file=long
expect_refused "--password and --password-file exclude each other" \
  --password=x --password-file=file

finish
