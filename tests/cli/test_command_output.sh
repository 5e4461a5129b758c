#!/usr/bin/env bash
# Standard output: rows go out at once, whole, and are acknowledged only then;
# a reader who is slow, stopped or gone holds nothing up.
# ctest: LABEL threads
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

# ---- a row is printed the moment it is complete ----

new_database live
mkfifo pipe
"$command" --format=id "$url" >pipe 2>err &
pid=$!
exec 3<pipe
for n in 1 2 3; do
  db_put "$database" "doc-$n" >/dev/null
  line=
  IFS= read -r -t 20 line <&3 || fail "document $n did not arrive in 20 s"
  expect "document $n" "doc-$n" "$line"
done

# ---- a reader who goes ends it, without another row ----

exec 3<&-
wait "$pid"
expect "reader gone: status: $(cat err)" 0 $?
expect "reader gone: nothing is told" "" "$(cat err)"

db_fill "$database" 100 3000
for _ in 1 2 3; do
  "$command" --format=id "$url" 2>err | head -n 2 >out
  expect "head: status" "0 0" "${PIPESTATUS[*]}"
  expect "head: lines" 2 "$(lines out)"
  expect "head: nothing is told" "" "$(cat err)"
done

# ---- standard output that cannot be written ----

"$command" --once "$url" >/dev/full 2>err
expect "full disk: status" 1 $?
expect "full disk: one line" 1 "$(lines err)"
expect_match "full disk" \
  "changefeed: *standard output*No space left on device*; last position: none" \
  "$(cat err)"
"$command" --once --events "$url" >/dev/full 2>err
expect "full disk: code of end" -17 "$(json_of err 'a.at(-1).code')"
"$command" --once "$url" >&- 2>err
expect "closed: status" 1 $?
expect "closed" "changefeed: standard output is closed" "$(cat err)"
"$command" --once "$url" >out 2>&- <&-
expect "standard error closed: status" 0 $?
expect "standard error closed: rows" 2904 "$(lines out)"

# ---- a reader who does not read ----

# Gets the pipe open at once, and reads it when the file "go" is there.
late_reader() {
  rm -f go
  (
    until [ -e go ]; do sleep 0.05; done
    cat >drained
  ) <pipe &
  reader=$!
}
blocked() { # until so many rows, and no more, are acknowledged
  sleep 0.5
  before=$(wc -c <err)
  sleep 0.5
  [ "$before" -gt 0 ] && grep -q '"state":"paused"' err
}

# 40 MB of rows; the feed pauses instead of keeping them. None is longer than
# what a pipe takes at once.
new_database blocked
text=$(head -c 2000 /dev/zero | tr '\0' x)
for ((block = 0; block < 20; block++)); do
  for ((n = 0; n < 1000; n++)); do
    printf ',{"_id":"doc-%d","text":"%s"}' $((block * 1000 + n)) "$text"
  done | sed -e '1s/^,/{"docs":[/' -e '$s/$/]}/' | db_bulk "$database" >/dev/null ||
    fail "db_bulk"
done
late_reader
: >err
"$command" --format=doc --events --checkpoint=file:position "$url" >pipe 2>err &
pid=$!
wait_until blocked
if [ "${CFT_INSTRUMENTED:-0}" = 0 ]; then
  kib=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
  [ "$kib" -lt 32768 ] || fail "blocked: $kib KiB of memory"
fi
stop_command TERM "$pid"
expect "blocked: status" 0 "$status"
touch go
wait "$reader"
expect_json "blocked: rows in the pipe are whole" drained \
  "o.text.length === 2000"
written=$(lines drained)
[ "$written" -gt 0 ] || fail "blocked: nothing was written"

# What is in the pipe is acknowledged, and nothing else: no row is lost, and
# none comes twice.
run --once --format=id --checkpoint=file:position "$url"
expect "after it: status: $(cat err)" 0 "$status"
json_of drained 'a.map((o) => o._id).join("\n")' | cat - out | sort >all
expect "after it: every document once" "20000 20000" \
  "$(lines all) $(sort -u all | wc -l | tr -d ' ')"

# A slow reader gets everything.
late_reader
"$command" --once --include-docs --format=row "$url" >pipe 2>err &
pid=$!
sleep 1
touch go
wait "$pid"
expect "slow reader: status" 0 $?
wait "$reader"
expect "slow reader: rows" 20000 "$(lines drained)"
expect_json "slow reader: rows" drained "o.doc.text.length === 2000"

# Also when the feed has ended long before.
late_reader
: >err
"$command" --once --include-docs --limit=100 --events "$url" >pipe 2>err &
pid=$!
has_ended() { grep -q '"state":"ended"' err; }
wait_until has_ended
sleep 0.5
touch go
wait "$pid"
expect "late reader: status" 0 $?
wait "$reader"
expect "late reader: rows" 100 "$(lines drained)"

# Both streams are one pipe that nobody reads.
late_reader
"$command" --include-docs --verbose "$url" >pipe 2>&1 &
pid=$!
sleep 1
stop_command INT "$pid"
expect "both blocked: status" 0 "$status"
[ "$took_ms" -lt 3000 ] || fail "both blocked: stopped after $took_ms ms"
touch go
wait "$reader"

finish
