#!/usr/bin/env bash
# "changefeed mirror": digests, lists, audits, snapshots, and following.
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"
# shellcheck source=tests/cli/sim.sh
. "$(dirname "${BASH_SOURCE[0]}")/sim.sh"

sim_start
sim_create db
sim_fill db 1 9
sim_put db 'tab%09id'
sim_put db prefix-1
sim_put db prefix-2
sim_remove db doc-9
sim_put db doc-8 '{"x":1}'
url=$sim/db

rows() { # of the list of documents: id TAB rev
  curl -sS --noproxy '*' "$url/_all_docs" | node -e '
    const body = JSON.parse(require("fs").readFileSync(0, "utf8"));
    for (const row of body.rows)
      console.log(row.id.replace(/\t/g, "\\t") + "\t" + row.value.rev);'
}

# ---- the digest and the list ------------------------------------------------

run mirror "$url"
expect "digest: status: $(cat err)" 0 "$status"
expect "digest: standard error" "" "$(cat err)"
expect_match "digest" "????????????????????????????????\ 11\ $url" "$(cat out)"
digest=$(cut -d' ' -f1 out)
run mirror --digest --start=changes "$url"
expect "by changes" "$digest 11 $url" "$(cat out)"
run mirror --json "$url"
expect "digest as JSON" "[\"digest\",\"$digest\",11,\"$url\"]" \
  "$(json_of out '[a[0].type, a[0].digest, a[0].documents, a[0].of]')"

run mirror --list "$url"
expect "list: status" 0 "$status"
expect "list" "$(rows)" "$(cat out)"
run mirror --list --prefix=prefix- "$url"
expect "prefix" "$(rows | grep '^prefix-')" "$(cat out)"
run mirror --list --from=doc-3 --to=doc-5 "$url"
expect "range" "$(rows | grep '^doc-[34]')" "$(cat out)"
run mirror --list --json --keep=docs "$url"
expect "documents" '{"x":1}' \
  "$(json_of out '(({x}) => ({x}))(a.find((o) => o.id === "doc-8").doc)')"
run mirror --list --keep=docs --prefix=doc-8 "$url"
expect "documents as text" '1' "$(cut -f3 out | json_of /dev/stdin 'a[0].x')"
run mirror --list --doc-ids='["doc-1","doc-9","none"]' "$url"
expect "some ids" "$(rows | grep '^doc-1')" "$(cat out)"

"$command" mirror --list "$url" 2>err | head -n 1 >out
expect "a reader who goes: status" 0 "${PIPESTATUS[0]}"
expect "a reader who goes: nothing is told" "" "$(cat err)"
"$command" mirror --list "$url" >/dev/full 2>err
expect "full disk: status" 3 $?
expect_match "full disk" "changefeed: *No space left*standard output" "$(cat err)"

# ---- snapshots --------------------------------------------------------------

run mirror --snapshot=snap "$url"
expect "snapshot: status: $(cat err)" 0 "$status"
[ -s snap ] || fail "there is no snapshot"
sim_put db later
sim_remove db prefix-1
run mirror --snapshot=snap --stats "$url"
expect "with a snapshot: documents" 11 "$(cut -d' ' -f2 out)"
expect "with a snapshot: what was read" true \
  "$(json_of err 'a.at(-1).puts + a.at(-1).gones < 14 && a.at(-1).saves === 1')"
with=$(cat out)
run mirror "$url"
expect "with a snapshot and without" "$(cat out)" "$with"

cp snap good
expect_trouble() { # what, pattern, argument...
  local what=$1 pattern=$2
  shift 2
  run mirror "$@"
  expect "$what: status" 3 "$status"
  expect "$what: standard output" "" "$(cat out)"
  expect_match "$what" "changefeed: $pattern" "$(cat err)"
}
expect_trouble "another range" '*snapshot*snap holds revisions*' \
  --snapshot=snap --prefix=x "$url"
expect_trouble "documents wanted" '*snapshot*snap*' --snapshot=snap \
  --keep=docs "$url"
sim_create other
expect_trouble "another database" '*position*' --snapshot=snap "$sim/other"
cmp snap good || fail "a snapshot of another mirror was touched"
head -c 200 good >snap
expect_trouble "damaged" '*snap is damaged: *' --snapshot=snap "$url"
printf 'hello\n' >snap
expect_trouble "foreign" '*snap is no snapshot*' --snapshot=snap "$url"
expect "foreign: left as it is" hello "$(cat snap)"
expect_trouble "no directory" '*none/snap*' --snapshot=none/snap "$url"
rm snap

# ---- following --------------------------------------------------------------

mkfifo pipe
"$command" mirror --follow --snapshot=snap "$url" >pipe 2>err.follow &
pid=$!
exec 3<pipe
for ((n = 0; n < 11; n++)); do
  IFS= read -r -t 20 line <&3 || fail "line $n did not come"
  printf '%s\n' "$line"
done >first
expect "follow: what is there" "$(rows)" "$(sed 's/^+ //' first)"
expect_line() { # pattern
  local line=
  IFS= read -r -t 20 line <&3
  expect_match "follow" "$1" "$line"
}
sim_put db fresh
expect_line $'+ fresh\t1-*'
sim_put db fresh '{"y":2}'
expect_line $'+ fresh\t2-*'
sim_remove db fresh
expect_line $'- fresh\t2-*'
expect_trouble "locked" '*snap*' --snapshot=snap "$url"
sim_put db kept
expect_line $'+ kept\t1-*'
stop_command TERM "$pid"
exec 3<&-
expect "follow: status: $(cat err.follow)" 0 "$status"
expect "follow: told" "changefeed: in step, with 11 documents" \
  "$(cat err.follow)"

# What came meanwhile, and nothing else, is told by the next run.
sim_remove db kept
sim_put db later
: >out
"$command" mirror --follow --json --snapshot=snap "$url" >out 2>err &
pid=$!
has_two() { [ "$(lines out)" -ge 2 ]; }
wait_until has_two
stop_command INT "$pid"
expect "follow from a snapshot: status" 0 "$status"
expect "follow from a snapshot" '[["gone","kept"],["put","later"]]' \
  "$(json_of out 'a.map((o) => [o.type, o.id])')"
run mirror --snapshot=snap "$url"
with=$(cat out)
run mirror "$url"
expect "the snapshot of a follower" "$(cat out)" "$with"

# The list first, also of what the snapshot holds; a reset is told as state.
: >out
"$command" mirror --follow --list --events --snapshot=snap "$url" >out 2>err &
pid=$!
has_all() { [ "$(lines out)" -ge 11 ]; }
wait_until has_all
: >out
sim_tell recreate '{"db":"db"}'
gone() { [ "$(grep -c '^- ' out)" -ge 11 ]; }
wait_until gone
stop_command TERM "$pid"
expect_json "events" err 'typeof o.event === "string"'
expect "events: reset and syncs" '[1,2]' "$(json_of err \
  '["reset", "synced"].map((e) => a.filter((o) => o.event === e).length)')"

# A reader who does not read holds nothing up, and costs nothing.
sim_fill db 1 3000
mkfifo slow
# shellcheck disable=SC2217
sleep 300 <slow &
reader=$!
: >err
"$command" mirror --follow --snapshot=slow.snap --events "$url" >slow 2>err &
pid=$!
is_synced() { grep -q '"event":"synced"' err; }
wait_until is_synced
stop_command TERM "$pid"
expect "blocked: status" 0 "$status"
[ "$took_ms" -lt 5000 ] || fail "blocked: stopped after $took_ms ms"
{ kill "$reader" && wait "$reader"; } 2>/dev/null
run mirror --snapshot=slow.snap "$url"
expect "blocked: the snapshot" "0 3000" "$status $(cut -d' ' -f2 out)"
"$command" mirror --follow "$url" 2>err | head -n 1 >out
expect "follow, a reader who goes: status" 0 "${PIPESTATUS[0]}"

# A slow one gets everything once, and of what changes meanwhile the newest.
sim_create large
for ((n = 0; n < 40; n++)); do
  sim_fill large "$((n * 1000))" "$((n * 1000 + 999))"
done
late_reader() { # reads when the file "go" is there
  until [ -e go ]; do sleep 0.05; done
  cat >drained
}
late_reader <slow &
reader=$!
: >err
"$command" mirror --follow --events "$sim/large" >slow 2>err &
pid=$!
wait_until is_synced
sim_remove large doc-39999
sim_put large doc-0 '{"newer":1}'
touch go
newest() { grep -q '^- doc-39999' drained && grep -q $'^+ doc-0\t2-' drained; }
wait_until newest
stop_command TERM "$pid"
wait "$reader"
expect "slow reader: status" 0 "$status"
expect "slow reader: every document" 40000 \
  "$(grep '^+' drained | cut -f1 | sort -u | lines /dev/stdin)"
expect "slow reader: none without need" 1 \
  "$(($(grep -c '^+' drained) <= 40001))"

# A snapshot that cannot be saved is trouble, and told.
mkdir place
: >err
"$command" mirror --follow --events --snapshot=place/snap "$url" >out 2>err &
pid=$!
wait_until is_synced
rm -r place
stop_command TERM "$pid"
expect "not saved: status" 3 "$status"
expect "not saved" -18 "$(json_of err 'a.findLast((o) => o.event === "end").code')"
expect_match "not saved" "*place/snap*" \
  "$(json_of err 'a.findLast((o) => o.event === "end").message')"

# On a terminal: how much was read, and nothing of it left.
if command -v script >/dev/null; then
  sim_tell rules '{"kind":"all_docs","times":1,"do":{"slice":4000,"slice_ms":15}}'
  TERM=xterm script -qec "'$command' mirror --list '$url' >listed" typescript \
    >/dev/null </dev/null
  sed -e '1d' -e '$d' typescript | tr '\r\033' '\n^' >screen
  grep -qE '^(\^\[K)?reading: [0-9]+ documents' screen ||
    fail "no progress in: $(cat screen)"
  expect "progress: erased at the end" '^[K' "$(tail -n 1 screen)"
  sim_tell rules '{"kind":"all_docs","times":1,"do":{"slice":4000,"slice_ms":15}}'
  TERM=xterm script -qec "'$command' mirror --quiet '$url' >listed" typescript \
    >/dev/null </dev/null
  grep -q reading: typescript && fail "progress in spite of --quiet"
fi

# ---- stale ------------------------------------------------------------------

: >err
"$command" mirror --follow --stale=0.5 --heartbeat_ms=60000 "$url" >out 2>err &
pid=$!
is_stale() { grep -q 'stale: not proven to be in step for' err; }
wait_until is_stale
sim_put db wakes
is_fresh() { grep -q 'fresh: in step again' err; }
wait_until is_fresh
stop_command TERM "$pid"
expect "stale: status" 0 "$status"

# ---- audits -----------------------------------------------------------------

run mirror --audit "$url"
expect "audit: status" 0 "$status"
expect_match "audit" "audit: complete, 3001 documents, 0 missing, 0 extra, 0 stale, 0 repaired, 0 unsettled, quiet, *" \
  "$(cat out)"
run mirror --audit --digest --json "$url"
expect "audit and digest" '["audit","digest"]' \
  "$(json_of out 'a.map((o) => o.type)')"

: >out
"$command" mirror --follow --audit-interval=0.2 --prefix=none "$url" >out 2>err &
pid=$!
has_audits() { [ "$(grep -c '^audit: complete, 0 documents' out)" -ge 2 ]; }
wait_until has_audits
stop_command TERM "$pid"
expect "audits by themselves: status" 0 "$status"

# A backup that came back behind the mirror's back, and was written to until its
# position was as high: no feed can tell. The audit can.
sim_create restored
sim_put restored same
sim_put restored both
sim_tell snapshot '{"name":"backup","db":"restored"}'
sim_put restored lost
sim_put restored same '{"lost":true}'
run mirror --snapshot=restored.snap "$sim/restored"
sim_tell restore '{"name":"backup"}'
sim_put restored found
sim_put restored same '{"found":true}'
run mirror --audit --snapshot=restored.snap "$sim/restored"
expect "differences: status: $(cat err)" 1 "$status"
expect "differences" "extra lost,missing found,stale same," \
  "$(sed -n 's/\t.*//p' out | sort | tr '\n' ,)"
expect "differences: the last line" "audit: complete, 3 documents, 1 missing, 1 extra, 1 stale, 3 repaired, 0 unsettled" \
  "$(tail -n 1 out | sed 's/, quiet.*//')"
run mirror --audit --json --snapshot=restored.snap "$sim/restored"
expect "repaired: status" 0 "$status"
expect "repaired" '[0,3]' "$(json_of out '[a[0].repaired, a[0].documents]')"
run mirror --audit --selector='{"n":1}' "$url"
expect "audit with a filter: status" 2 "$status"
expect_match "audit with a filter" "changefeed: *filter*" "$(cat err)"

# ---- trouble ----------------------------------------------------------------

expect_trouble "no database" '*404*' "$sim/none"
expect_trouble "nobody there" '*http://127.0.0.1:1/x*' http://127.0.0.1:1/x
start_peer --user me:right
expect_trouble "wrong password" '*401*' "http://me:secret9@${peer#http://}/db"
grep -q secret9 err && fail "the password is shown"
sim_tell rules '{"kind":"all_docs","times":-1,"do":{"status":500}}'
expect_trouble "no list" '*500*' "$url"
sim_ask DELETE "${sim_control}rules" >/dev/null

expect_usage() { # sentence, argument...
  local sentence=$1
  shift
  run mirror "$@"
  expect "status of \"$*\"" 2 "$status"
  expect "sentence of \"$*\"" "changefeed: $sentence" "$(head -n 1 err)"
  expect "second line of \"$*\"" 'Try "changefeed mirror --help".' \
    "$(sed -n '2,$p' err)"
}
expect_usage "there is no URL, such as http://127.0.0.1:5984/db"
expect_usage "there is more than one URL" "$url" "$url"
expect_usage "--list and --digest exclude each other" --list --digest "$url"
expect_usage "--digest and --follow exclude each other" --digest --follow "$url"
expect_usage "--prefix and --from exclude each other" --prefix=a --from=b "$url"
expect_usage "--audit-interval is of use with --follow only" \
  --audit-interval=1 "$url"
expect_usage '--keep: "all" is not one of revs|docs' --keep=all "$url"
expect_usage '--stale: "x" is not in 0.1..86400 seconds' --stale=x "$url"
expect_usage "there is no flag --settle; did you mean --stale?" --settle=1 \
  "$url"
expect_usage "there is no flag --once" --once "$url"
expect_usage "--since: a mirror decides that itself" --since=now "$url"
expect_usage "from must not be behind to" --from=b --to=a "$url"
expect_usage "start: a list cannot be filtered; use CHANGEFEED_START_CHANGES" \
  --start=list --doc_ids='["a"]' "$url"
run mirror --help
expect "--help: status" 0 "$status"
expect "--help: lines longer than 80" "" "$(grep -nE '.{81}' out)"

# What --help leaves out of the library's options is what a mirror refuses.
sed -nE 's/^  --([a-z0-9_]+)[=[].*/\1/p' out | sort >of_use
run --help
sed -nE 's/^  --([a-z0-9_]+)[=[].*/\1/p' out | grep -vxE 'once|format' | sort |
  comm -23 - of_use >decided
[ "$(lines decided)" -gt 10 ] || fail "--help leaves out too little"
while read -r option; do
  run mirror "--$option=0" "$url"
  expect "status of --$option" 2 "$status"
  expect_match "sentence of --$option" \
    "changefeed: *--$option: a mirror decides that itself*" "$(cat err)"
done <decided

# "mirror" is a word of its own only in the first place.
run -- mirror
expect "a URL called mirror: status" 2 "$status"
grep -q 'mirror --help' err && fail "a URL called mirror is taken for the command"

finish
