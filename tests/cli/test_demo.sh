#!/usr/bin/env bash
# The demo keeps its promises: it ends well, it notices a change that its
# follower has not told, and a signal at any moment leaves nothing behind.
# ctest: LABEL couch
# ctest: COST 70
# ctest: TIMEOUT 240
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

if [ "${CFT_INSTRUMENTED:-0}" != 0 ]; then
  echo "skipped: the demo is about the command as it is installed"
  exit 77
fi
export CHANGEFEED=${CFT_CHANGEFEED:?is not set}
unset COUCHDB_URL # the database is to be killed
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# All that the demo leaves behind would be here, or in its children.
export TMPDIR=$work/tmp
mkdir "$TMPDIR"

demo() { "$root/examples/demo.sh" "$@" >"$work/out" 2>"$work/err"; }

says() { # what, extended regular expression
  grep -qE -e "$2" "$work/out" || fail "$1: nothing like \"$2\" in: $(tail "$work/out")"
}

# The database of a demo has its directory among its arguments, the follower
# the database's URL.
expect_nothing_left() { # after what
  local left url
  left=$(ls -A "$TMPDIR")
  [ -z "$left" ] || fail "$1 left files: $left"
  rm -rf "${TMPDIR:?}"/*
  url=$(sed -nE 's/.* up at ([^,]*),.*/\1/p' "$work/out")
  left=$(pgrep -af -- "$TMPDIR|${url:-$TMPDIR}/demo")
  [ -z "$left" ] || fail "$1 left processes: $left"
}

# ---- arguments --------------------------------------------------------------

demo --help || fail "--help ends with $?"
says "--help" '--keep '
for wrong in --nonsense '--rows 0' '--rows x' --rows extra; do
  # shellcheck disable=SC2086 # words are wanted
  demo $wrong
  [ $? -eq 2 ] || fail "$wrong is not refused"
done

# ---- the whole of it --------------------------------------------------------

start=$SECONDS
demo --rows 15 || fail "the demo ends with $?: $(cat "$work/err" "$work/out")"
[ $((SECONDS - start)) -le 90 ] || fail "it took $((SECONDS - start)) s"
says "a row" ' seq 1-[^ ]+ +id doc-[0-9]+ +rev 1-[^ ]+$'
says "a deletion" ' seq [^ ]+ +id doc-[0-9]+ +rev [2-9]-[^ ]+ +deleted$'
says "the kill" 'killed by SIGKILL'
says "the trouble" 'follower: attempt 3 failed'
says "the recovery" 'resumed by itself, [0-9]+ writes behind'
says "the summary" '^  missed +0: '
says "the summary" '^  reconnects +[3-9]'
expect_nothing_left "the demo"

# ---- a follower that does not tell everything -------------------------------

cat >"$work/liar" <<'END'
#!/usr/bin/env node
// The follower, without the rows of one document and the newer of another.
const { spawn } = require('child_process');
const child = spawn(process.env.CFT_CHANGEFEED, process.argv.slice(2),
  { stdio: ['ignore', 'pipe', 'inherit'] });
process.on('SIGTERM', () => child.kill('SIGTERM'));
require('readline').createInterface({ input: child.stdout })
  .on('line', (line) => /\tdoc-14\t|\tdoc-07\t[^1]/.test(line) ||
    console.log(line));
child.on('exit', (code) => { process.exitCode = code; });
END
chmod +x "$work/liar"
CHANGEFEED=$work/liar demo --rows 12
[ $? -eq 1 ] || fail "missed changes are not noticed"
says "missed changes" '^  missed +2: doc-07 doc-14$'
expect_nothing_left "a demo that fails"

printf '#!/bin/sh\necho no >&2\nexit 3\n' >"$work/liar"
CHANGEFEED=$work/liar demo --rows 3
[ $? -eq 1 ] || fail "a follower that dies is not noticed"
grep -q 'the follower ended: exit code 3, no' "$work/err" ||
  fail "it says: $(cat "$work/err")"
expect_nothing_left "a demo whose follower dies"

# ---- signals ----------------------------------------------------------------

# Ends a demo by a signal as soon as it has printed what is given.
interrupt() { # signal, status, what it prints
  local pid status reader line
  mkfifo "$work/pipe" || exit 1
  # A shell in the background has SIGINT ignored; a terminal's has not.
  env --default-signal=INT "$root/examples/demo.sh" --rows 15 \
    >"$work/pipe" 2>"$work/err" &
  pid=$!
  exec {reader}<"$work/pipe"
  rm "$work/pipe"
  : >"$work/out"
  while IFS= read -r -t 60 -u "$reader" line; do
    printf '%s\n' "$line" >>"$work/out"
    if [[ $line == *"$3"* ]]; then
      kill -"$1" "$pid"
      break
    fi
  done
  cat <&"$reader" >>"$work/out"
  exec {reader}<&-
  wait "$pid"
  status=$?
  [ "$status" -eq "$2" ] || fail "SIG$1 at \"$3\": ended with $status, not $2"
  grep -q missed "$work/out" && fail "SIG$1 at \"$3\": it went on to its end"
  expect_nothing_left "SIG$1 at \"$3\""
}

interrupt INT 130 'the database is up'
interrupt INT 130 'seq 9-'
interrupt TERM 143 'attempt 2 failed'
interrupt INT 130 'the database is back'
interrupt HUP 129 'the follower has resumed'

# Whose reader goes away is over too.
env --default-signal=PIPE "$root/examples/demo.sh" --rows 15 2>"$work/err" |
  head -5 >"$work/out"
[ "${PIPESTATUS[0]}" -eq 141 ] || fail "a closed pipe: ${PIPESTATUS[0]}"
expect_nothing_left "a closed pipe"

# ---- somebody else's database -----------------------------------------------

# shellcheck source=SCRIPTDIR/../support/db.sh
. "$root/tests/support/db.sh"
trap 'db_stop; rm -rf "$work"' EXIT
db_start --memory --admin 'us@r:p:w' --require-valid-user || exit 1
DB_URL="http://us%40r:p%3Aw@${DB_URL#http://}"
COUCHDB_URL=$DB_URL/ demo --rows 5 || fail "with COUCHDB_URL it ends with $?"
says "with COUCHDB_URL" 'the relay between it and the follower is cut'
says "with COUCHDB_URL" '^  missed +0: '
grep -E 'p(:|%3A)w' "$work/out" "$work/err" && fail "the password was printed"
db_ask GET /_all_dbs | grep changefeed-demo && fail "it left its database"
COUCHDB_URL=http://127.0.0.1:1 demo
[ $? -eq 1 ] || fail "a COUCHDB_URL that does not answer is not noticed"
db_stop
expect_nothing_left "COUCHDB_URL"

# ---- --keep -----------------------------------------------------------------

demo --rows 2 --keep || fail "--keep ends with $?"
kept=$(sed -n 's/^The data and the rows are in //p' "$work/out")
for file in rows.tsv events.jsonl data; do
  [ -e "$kept/$file" ] || fail "--keep did not keep $file in $kept"
done
rm -rf "$kept"
expect_nothing_left "--keep"

[ "$failures" -eq 0 ] && echo "the demo: all well"
exit $((failures > 0))
