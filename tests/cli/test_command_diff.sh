#!/usr/bin/env bash
# "changefeed diff": two databases, or snapshots of them, compared.
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"
# shellcheck source=tests/cli/sim.sh
. "$(dirname "${BASH_SOURCE[0]}")/sim.sh"

sim_start
a=$sim/a
b=$sim/b
for db in a b; do
  sim_create "$db"
  sim_fill "$db" 1 20
  sim_put "$db" 'tab%09id'
  sim_put "$db" gone
  sim_remove "$db" gone
done

# ---- equal ------------------------------------------------------------------

begin=$(now_ms)
run diff "$a" "$b"
expect "equal: status" 0 "$status"
expect "equal: nothing is said" "" "$(cat out err)"
[ $(($(now_ms) - begin)) -lt 4000 ] || fail "equal: it waited"
run diff --digest-only "$a" "$b"
expect "equal digests: status" 0 "$status"
expect "equal digests" "21 $a,21 $b,equal," \
  "$(sed 's/^[0-9a-f]\{32\} //' out | tr '\n' ,)"
expect "equal digests" 1 "$(head -n 2 out | cut -d' ' -f1 | sort -u | lines /dev/stdin)"
run diff --json "$a" "$b"
expect "equal as JSON" '["digest","digest","summary","equal",0]' \
  "$(json_of out '[...a.map((o) => o.type), a[2].verdict, a[2].only_a]')"

# ---- different --------------------------------------------------------------

sim_put a only-a
sim_put b 'only%09b'
sim_put a doc-1 '{"x":1}'
sim_put b doc-1 '{"x":2}'
sim_remove b doc-2
rev() { sim__rev "$1" "$2"; }
{
  printf '! doc-1\t%s\t%s\n' "$(rev a doc-1)" "$(rev b doc-1)"
  printf '< doc-2\t%s\n' "$(rev a doc-2)"
  printf '> only\\tb\t%s\n' "$(rev b only%09b)"
  printf '< only-a\t%s\n' "$(rev a only-a)"
} >wanted
run diff --settle=0.3 "$a" "$b"
expect "different: status" 1 "$status"
expect "different" "$(cat wanted)" "$(cat out)"
expect "different: summary" "changefeed: 2 only in A, 1 only in B, 1 in another revision" \
  "$(cat err)"
run diff --settle=0 --quiet "$a" "$b"
expect "at once" "1 $(cat wanted)" "$status $(cat out err)"
run diff --settle=0 --start=changes "$b" "$a"
expect "the other way: status" 1 "$status"
expect "the other way" "$(tr '<>' '><' <wanted | cut -d' ' -f1,2 | cut -f1)" \
  "$(cut -f1 out)"
run diff --settle=0 --json "$a" "$b"
expect_json "different as JSON" out 'typeof o.type === "string"'
expect "different as JSON" '[["doc-1",2,2],["doc-2",1,null],["only\tb",null,1],["only-a",1,null]]' \
  "$(json_of out 'a.filter((o) => o.type === "difference").map((o) =>
    [o.id, o.a && Number(o.a.split("-")[0]), o.b && Number(o.b.split("-")[0])])')"
expect "summary as JSON" '{"type":"summary","verdict":"different","only_a":2,"only_b":1,"revisions":1,"moving":0,"under_way":0}' \
  "$(tail -n 1 out)"
run diff --settle=0 --digest-only "$a" "$b"
expect "different digests" "1 different" "$status $(tail -n 1 out)"

run diff --settle=0 --prefix=only "$a" "$b"
expect "prefix" "$(grep only wanted)" "$(cat out)"
run diff --settle=0 --from=doc-2 --to=only "$a" "$b"
expect "range" "$(grep doc-2 wanted)" "$(cat out)"
run diff --settle=0 --from=doc-3 --to=only "$a" "$b"
expect "range without differences" "0" "$status$(cat out err)"
run diff --settle=0 --doc-ids='["doc-1","doc-3"]' "$a" "$b"
expect "some ids" "$(grep doc-1 wanted)" "$(cat out)"
run diff --settle=0 --a-option='doc_ids=["doc-1"]' --b-option 'doc-ids=[]' "$a" "$b"
expect "options for each side" "< doc-1" "$(cut -f1 out)"

# Standard output that nobody reads, or cannot be written.
sim_create many
sim_fill many 1 3000
sim_create empty
"$command" diff --settle=0 "$sim/many" "$sim/empty" 2>err | head -n 1 >out
expect "a reader who goes: status" 1 "${PIPESTATUS[0]}"
"$command" diff --settle=0 "$a" "$b" >/dev/full 2>err
expect "full disk: status" 3 $?
expect_match "full disk" "*No space left*standard output*" "$(cat err)"

# ---- snapshots --------------------------------------------------------------

run mirror --snapshot=a.snap "$a"
run diff a.snap "$a"
expect "a snapshot and its database" "0" "$status$(cat out err)"
run diff a.snap "$b"
expect "a snapshot and a database: status" 1 "$status"
expect "a snapshot and a database" "$(cat wanted)" "$(cat out)"
run diff "$b" a.snap
expect "a database and a snapshot" "$(tr '<>' '><' <wanted | cut -f1)" \
  "$(cut -f1 out)"
run mirror --snapshot=b.snap --keep=docs "$b"
run diff a.snap b.snap
expect "two snapshots: status" 1 "$status"
expect "two snapshots" "$(cat wanted)" "$(cat out)"
[ ! -e copy.lock ] || fail "a lock before"
cp a.snap copy
run diff copy a.snap
expect "two equal snapshots" "0" "$status$(cat out err)"
[ ! -e copy.lock ] || fail "reading a snapshot leaves a lock"

run mirror --snapshot=doc.snap --prefix=doc- "$a"
run diff doc.snap "$b"
expect "a snapshot of a range: status" 1 "$status"
expect "a snapshot of a range" "$(grep doc- wanted)" "$(cat out)"
expect "a snapshot of a range is told" \
  "changefeed: A: doc.snap holds only ids from doc- to before doc.; only these are compared" \
  "$(head -n 1 err)"
run diff --quiet --from=doc-2 doc.snap b.snap
expect "a range of a range" "$(grep doc-2 wanted)" "$(cat out err)"

# A mirror that holds the lock does not matter.
: >err.follow
"$command" mirror --follow --snapshot=a.snap "$a" >followed 2>err.follow &
pid=$!
is_in_step() { grep -q 'in step' err.follow; }
wait_until is_in_step
run diff a.snap "$a"
expect "a locked snapshot" 0 "$status"
stop_command TERM "$pid"

# ---- trouble ----------------------------------------------------------------

expect_trouble() { # pattern, argument...
  local pattern=$1
  shift
  run diff "$@"
  expect "$*: status" 3 "$status"
  expect "$*: standard output" "" "$(cat out)"
  expect_match "$*" "$pattern" "$(cat err)"
}
head -c 100 a.snap >damaged
printf 'hello\n' >foreign
expect_trouble "changefeed: A: *damaged is damaged: *" damaged "$a"
expect_trouble "changefeed: B: foreign is no snapshot*" "$a" foreign
expect_trouble "changefeed: B: There is no snapshot nothing*" a.snap nothing
expect_trouble "changefeed: A: not found: *404*" "$sim/none" "$b"
expect_trouble "changefeed: B: not found: *404*" "$a" "$sim/none"
expect_trouble "*changefeed: B: *http://127.0.0.1:1/x*" "$a" http://127.0.0.1:1/x
start_peer --user me:right
wrong=http://me:secret1@${peer#http://}/db
expect_trouble "changefeed: B: *401*" "$a" "$wrong"
grep -q secret1 err && fail "the password is shown"
run diff --events --a-option=username=me --a-option password=secret1 "$peer/db" \
  "$a"
expect "wrong password of A: status" 3 "$status"
expect "wrong password of A" '["A",-35]' "$(json_of err \
  '((o) => [o.side, o.code])(a.findLast((o) => o.event === "end"))')"
expect_json "events" err 'typeof o.event === "string"'
grep -q secret1 err && fail "the password of A is shown"

"$command" diff "$a" "$b" >out 2>err &
pid=$!
sleep 0.5
stop_command TERM "$pid"
expect "stopped: status" 3 "$status"
expect "stopped: standard output" "" "$(cat out)"
expect "stopped" "changefeed: stopped by a signal before it was done" "$(cat err)"

# ---- one side is being written ----------------------------------------------

# Writes the same to both, the second a little later, as a replication does.
sim_create c
sim_create d
replicate() {
  local n=0
  while [ -e writing ]; do
    n=$((n + 1))
    sim_fill c "$((n * 10))" "$((n * 10 + 9))"
    sleep 0.2
    sim_fill d "$((n * 10))" "$((n * 10 + 9))"
  done
}
: >writing
replicate &
writer=$!
run diff --settle=1 "$sim/c" "$sim/d"
expect "a replica behind: status: $(cat err)" 0 "$status"
expect "a replica behind" "" "$(cat out)"
# A difference among them that stands still is found.
sim_put d stuck
run diff --settle=1 "$sim/c" "$sim/d"
expect "a replica behind, and wrong: status: $(cat err)" 1 "$status"
expect_match "a replica behind, and wrong" $'> stuck\t1-*' "$(cat out)"
rm writing
wait "$writer"
sim_ask DELETE "$sim/d/stuck?rev=$(rev d stuck)" >/dev/null
run diff "$sim/c" "$sim/d"
expect "written, and quiet" "0" "$status$(cat out err)"

# What agrees within the time is equal at once.
sim_put c late
(sleep 1 && sim_put d late) &
begin=$(now_ms)
run diff --settle=20 "$sim/c" "$sim/d"
expect "late" "0" "$status$(cat out err)"
[ $(($(now_ms) - begin)) -lt 10000 ] || fail "late: it waited"
wait $!

# A document that differs and never stands still.
: >writing
(
  while [ -e writing ]; do
    sim_put c restless
    sleep 0.05
  done
) &
writer=$!
is_restless() { [ -n "$(rev c restless)" ]; }
wait_until is_restless
run diff --settle=0.5 "$sim/c" "$sim/d"
expect "restless: status: $(cat out)" 4 "$status"
expect "restless" "" "$(cat out)"
expect "restless is told" "changefeed: 1 documents differ that went on changing" \
  "$(cat err)"
run diff --settle=0.5 --json "$sim/c" "$sim/d"
expect "restless as JSON" '["unsettled",1]' \
  "$(json_of out '[a.at(-1).verdict, a.at(-1).moving]')"
rm writing
wait "$writer"

# ---- usage ------------------------------------------------------------------

expect_usage() { # sentence, argument...
  local sentence=$1
  shift
  run diff "$@"
  expect "status of \"$*\"" 2 "$status"
  expect "standard output of \"$*\"" "" "$(cat out)"
  expect "sentence of \"$*\"" "changefeed: $sentence" "$(head -n 1 err)"
  expect "second line of \"$*\"" 'Try "changefeed diff --help".' \
    "$(sed -n '2,$p' err)"
}
expect_usage "two sides are needed, each a URL or a snapshot file"
expect_usage "two sides are needed, each a URL or a snapshot file" "$a"
expect_usage "two sides are needed, each a URL or a snapshot file" "$a" "$b" "$b"
expect_usage "--a-option needs NAME=VALUE" --a-option=x "$a" "$b"
expect_usage "--b-option: sinse is no option of a side" --b-option=sinse=1 "$a" "$b"
expect_usage "--b-option: since is no option of a side" --b-option=since=1 "$a" "$b"
expect_usage "--a-option: that side is no URL, but a file" \
  --a-option=session=1 a.snap "$b"
expect_usage "heartbeat_ms: 1 is not in 100..60000 ms" \
  --b-option=heartbeat_ms=1 "$a" "$b"
expect_usage "there is no flag --snapshot" --snapshot=x "$a" "$b"
expect_usage '--settle: "-1" is not 0 or in 0.1..86400 seconds' --settle=-1 "$a" "$b"
run diff --help
expect "--help: lines longer than 80" "0" "$status$(grep -nE '.{81}' out)"

# ---- secrets ----------------------------------------------------------------

start_peer --silent
printf 'sec9\n' >pw
"$command" diff --a-option=password=sec1 --a-option username=u \
  --b-option 'header=X-B: sec2' --b-option=proxy=http://sec3:sec4@127.0.0.1:1 \
  --b-option=proxy=- --a-option=query=visible=1 --b-password-file=pw \
  --b-option=bearer_token= --verbose \
  "${peer}/db" "http://sec5:sec6@${peer#http://}/db" >out 2>err &
pid=$!
asked() { [ -s peer.log ] || ! kill -0 "$pid" 2>/dev/null; }
wait_until asked
kill -0 "$pid" 2>/dev/null || fail "it has ended: $(cat err)"
tr '\0' '\n' <"/proc/$pid/cmdline" >cmdline
for secret in sec1 sec2 sec3 sec4 sec5 sec6 sec9; do
  grep -qF "$secret" cmdline && fail "$secret in the list of processes"
  grep -qF "$secret" out err && fail "$secret in the output"
done
for shown in --a-option=query=visible=1 username=u "@${peer#http://}/db"; do
  grep -qF -- "$shown" cmdline || fail "$shown was overwritten: $(cat cmdline)"
done
stop_command TERM "$pid"
expect "silent: status" 3 "$status"
run diff --pasword=sec1 --a-option=pasword=sec1 "$a" "$b"
grep -q sec1 err && fail "the value of a wrong flag is shown"

start_peer --user me:right
printf 'right\n' >pw
run diff --settle=0 --a-password-file=pw "http://me@${peer#http://}/db" "$a"
grep -qw 401 err && fail "the password file is not used: $(cat err)"
run diff --settle=0 --b-password-file=pw "$a" "http://me@${peer#http://}/db"
grep -qw 401 err && fail "the password file of B is not used: $(cat err)"
CHANGEFEED_PASSWORD=wrong run diff "http://me@${peer#http://}/db" "$a"
grep -q 'A: .*401' err || fail "the environment is not used: $(cat err)"

finish
