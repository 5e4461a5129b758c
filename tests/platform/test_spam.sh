#!/usr/bin/env bash
# Callers who start the same apps thousands of times: how many operations come of
# it, how many writes, what it costs a quiet app, and whether memory grows.
# By hand, as the proof wants it:
#   test_spam.sh --apps 60 --rate 2000 --seconds 60 --quiet 30
# ctest: TIMEOUT 170
# ctest: SERIAL
# shellcheck disable=SC2119,SC2154,SC2317
set -u
apps=12 rate=500 seconds=8 quiet=6 bounds=timed
if [ "${CFT_INSTRUMENTED:-0}" = 1 ]; then
  rate=100 bounds=
fi
while [ $# -gt 1 ]; do
  case $1 in
  --apps) apps=$2 ;;
  --rate) rate=$2 ;;
  --seconds) seconds=$2 ;;
  --quiet) quiet=$2 ;;
  *) echo "no such option: $1" && exit 2 ;;
  esac
  shift 2
done
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"
# shellcheck source=tests/platform/support/drones.sh
. "$root/tests/platform/support/drones.sh"

spam=$CFT_PLATFORM/platform_spam
[ -x "$spam" ] || exit 77
cp "$CFT_PLATFORM/platform_nonce" nonce && chmod 0755 nonce || exit 77
export SPAM_COMMAND="exec $work/nonce"

value() { sed -n "s/^$2 //p" "$1"; } # file, name

rss() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/${prov_pid[a]}/status"; }

free_drones() {
  ask a GET /drones
  [ "$(grep -o '"state":"free"' <<<"$body" | wc -l)" -ge "$1" ]
}

# What the database was asked to write, a line each.
writes() {
  curl -sS --noproxy '*' "${sim_control}log?since=$1" | tr '{' '\n' |
    sed -n 's/.*"method":"\(PUT\|DELETE\)","target":"\([^"?]*\).*/\2/p' |
    grep -v '/sys:tick:'
}

# Seconds of CPU time of the provisioner.
cpu() {
  awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f", ($14 + $15) / hz }' \
    "/proc/${prov_pid[a]}/stat"
}

log_next() {
  curl -sS --noproxy '*' "${sim_control}log?since=999999999" |
    sed -n 's/.*"next":\([0-9]*\).*/\1/p'
}

sim_start
"$provisioner" --init --couch "$sim" 2>init.log || fail 'init'
drones_dir
prov_start a "${with_drones[@]}" --drones-least $((apps + 8)) \
  --drones-most $((apps + 40))
for ((n = 0; n < apps; n++)); do
  ask a POST "/apps/spam-$n" "{\"command\":\"$SPAM_COMMAND\"}"
  expect "created spam-$n" 201 "$code"
done
wait_until free_drones $((apps + 8))

# ---- one who waits, alone, and then among them ----

calls=(--api "${api[a]#http://}" --token-file token)
"$spam" quiet "${calls[@]}" --prefix quiet --apps "$quiet" >alone ||
  fail "alone: $(cat alone)"
before=$(log_next)
cpu_before=$(cpu)
"$spam" flood "${calls[@]}" --prefix spam --apps "$apps" --rate "$rate" \
  --seconds "$seconds" >flood.out 2>flood.log &
flood=$!
sleep $((seconds / 4 + 1))
early=$(rss)
every=$((seconds * 600 / quiet))
"$spam" quiet "${calls[@]}" --prefix quiet --first "$quiet" --apps "$quiet" \
  --every "$every" >among || fail "among: $(cat among)"
wait "$flood" || fail "answers: $(cat flood.out flood.log)"
late=$(rss)
cpu_after=$(cpu)
writes "$before" >written

# ---- what came of it ----

minutes=$(((seconds + 59) / 60))
expect 'sent' $((rate * seconds)) "$(value flood.out sent)"
begun=$(value flood.out begun_most)
[ "$begun" -ge 1 ] || fail 'nothing was begun'
[ "$begun" -le $((2 * minutes)) ] ||
  fail "an app had $begun operations in $seconds s"
# What was told to be begun is what is wanted, as soon as that is seen.
gens=0
count_gens() {
  gens=0
  for ((n = 0; n < apps; n++)); do
    ask a GET "/apps/spam-$n"
    gen=$(sed -n 's/.*"want":{[^}]*"gen":\([0-9]*\).*/\1/p' <<<"$body")
    [ "${gen:-99}" -le $((2 * minutes)) ] ||
      fail "spam-$n is at ${gen:-nothing}: $body"
    gens=$((gens + ${gen:-0}))
  done
  [ "$gens" -ge "$(value flood.out begun)" ]
}
wait_until count_gens
expect 'wanted' "$(value flood.out begun)" "$gens"
own=$(grep -E '/(app|route)(:|%3A)spam-' written | sort | uniq -c | awk '
  { sub(/.*(:|%3A)/, "", $2); n[$2] += $1 }
  END { for (i in n) if (n[i] > most) most = n[i]; print most + 0 }')
all=$(wc -l <written)
each=$((all / (apps + quiet)))
[ "$own" -ge 2 ] || fail "the writes were not counted: $own"
[ "$each" -le $((20 * minutes)) ] || fail "$all writes, $each for each app"
[ "$own" -le $((20 * minutes)) ] || fail "$own writes of one app's documents"
if [ -n "$bounds" ]; then
  [ "$late" -le $((early + early / 5 + 4096)) ] ||
    fail "memory grew from $early to $late kB"
fi

sed 's/^/flood: /' flood.out
sed 's/^/alone: /' alone
sed 's/^/among: /' among
printf 'quiet p95: %s ms alone, %s ms among them, ratio %s\n' \
  "$(value alone p95_ms)" "$(value among p95_ms)" \
  "$(awk "BEGIN { printf \"%.2f\", $(value among p95_ms) / ($(value alone p95_ms) + 0.001) }")"
printf 'operations: %s of %s apps, at most %s of one\n' "$gens" "$apps" "$begun"
printf 'writes: %s, %s for each app, at most %s of one app'\''s documents\n' \
  "$all" "$each" "$own"
printf 'provisioner: %s kB early, %s kB late, %s s of CPU time\n' \
  "$early" "$late" "$(awk "BEGIN { print $cpu_after - $cpu_before }")"
if [ -n "$bounds" ]; then
  [ "$(value among p95_ms)" -le 30000 ] || fail 'a quiet start took too long'
fi
prov_end a
expect 'a has ended' 0 "$status"
finish
