#!/usr/bin/env bash
# daemon.c: options by name from a file, the password from another; systemd is
# told; SIGHUP changes what is followed and keeps what works when the file is
# wrong; SIGTERM ends it with the position saved; the numbers can be scraped.
set -u
# shellcheck source=tests/embed/embed.sh
. "$(dirname "${BASH_SOURCE[0]}")/embed.sh"

embed_begin --admin me:secret
plain=$sim
sim=http://me:secret@${sim#http://}
example daemon.c || finish

# What is told to systemd, a line each, in the file told.
cat >told.c <<'C'
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  char text[4096];
  ssize_t n;
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (argc != 2 || fd < 0 || strlen(argv[1]) >= sizeof at.sun_path)
    return 1;
  strcpy(at.sun_path, argv[1]);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
    return 1;
  while ((n = recv(fd, text, sizeof text, 0)) > 0) {
    fwrite(text, (size_t)n, 1, stdout);
    putchar('\n');
    fflush(stdout);
  }
  return 1;
}
C
cc told.c -o listener || exit 1
./listener "$work/notify" >told &
export NOTIFY_SOCKET=$work/notify
wait_until test -S notify

configure() { # database, [line]...
  printf '%s\n' '# of a test' "url = $plain/$1" 'username = me' '' \
    "password_file=$work/password" "  checkpoint = file:$work/$1.position" \
    "metrics = $work/metrics.prom" 'header = X-One: 1' 'header = X-Two: 2' \
    "${@:2}" >daemon.conf
}
metric() { sed -n "s,^changefeed_$1{feed=\"[^\"]*\"} ,,p" metrics.prom; }

# ---- it follows -------------------------------------------------------------

fill 200
first=${db##*/}
printf 'secret\n' >password
configure "$first"
begin daemon daemon.conf
wait_until has_rows daemon.out 200
wait_until grep -qx 'READY=1' told
grep -qx 'STATUS=catchup' told || fail "the way to readiness is not told"
add 201 210
wait_until has_rows daemon.out 210
cmp daemon.out wanted || fail "not the rows that were written"
# shellcheck disable=SC2317 # wait_until calls it
is_counted() { [ "$(metric changes_total)" = "$1" ]; }
wait_until is_counted 210
expect "unacknowledged rows" 0 "$(metric unacked_rows)"
grep -q "{feed=\"$plain/$first\"}" metrics.prom || fail "the label is another"
if grep -q secret metrics.prom daemon.err told "/proc/$pid/cmdline"; then
  fail "the password is told"
fi

# ---- SIGHUP: a wrong file changes nothing -----------------------------------

: >told
configure "$first" 'no_such_option = 1'
kill -HUP "$pid"
wait_until grep -q 'is not used' daemon.err
grep -q 'no_such_option' daemon.err || fail "the wrong option is not named"
wait_until grep -qx 'READY=1' told
grep -qx 'RELOADING=1' told || fail "systemd is not told of the reload"
grep -qE '^MONOTONIC_USEC=[1-9][0-9]+$' told || fail "nor when it began"
add 211 212
wait_until has_rows daemon.out 212

# ---- SIGHUP: another database, and back -------------------------------------

fill 5
second=${db##*/}
configure "$second"
kill -HUP "$pid"
wait_until has_rows daemon.out 217
tail -n 5 daemon.out | cmp - wanted || fail "not the rows of the other database"
db=$sim/$first
add 213 215
configure "$first"
kill -HUP "$pid"
wait_until has_rows daemon.out 220
expect "rows after the return" "doc-213 doc-214 doc-215" \
  "$(tail -n 3 daemon.out | sed 's/ .*//' | xargs)"

# ---- the end, and the next start --------------------------------------------

end TERM
expect "exit status" 0 "$status"
grep -qx 'STOPPING=1' told || fail "systemd is not told of the end"
expect "rows of the last run of this feed" 3 "$(metric changes_total)"
add 216 216
begin daemon daemon.conf
wait_until has_rows daemon.out 1
end INT
expect "the row after a stop" "doc-216 changed" "$(cat daemon.out)"
# Not systemd's child: nobody to tell.
unset NOTIFY_SOCKET
begin daemon daemon.conf
wait_until is_counted 0
end TERM
expect "exit status without systemd" 0 "$status"

# ---- what cannot work -------------------------------------------------------

fails() { # wanted status, pattern in what it says
  "$work/daemon" daemon.conf >out 2>err
  expect "exit status ($2)" "$1" $?
  grep -q "$2" err || fail "it does not say \"$2\": $(cat err)"
}
configure "$first" 'heartbeat_ms'
fails 2 'line 10 cannot be used'
configure "$first" 'heartbeat_ms = 1'
fails 2 heartbeat_ms
configure "$first" "bearer_token_file = $work/missing"
fails 2 "$work/missing"
printf 'wrong\n' >password
configure "$first"
fails 1 401
rm daemon.conf
fails 2 daemon.conf

[ "$failures" -ne 0 ] || echo "daemon: all well"
finish
