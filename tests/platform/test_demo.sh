#!/usr/bin/env bash
# The demo keeps its promises: it ends well, its pages are there in a browser
# after --keep and go with --stop, it notices a change that its follower has not
# told and a visitor who saw another's page, and a signal at any moment leaves
# nothing behind. Some run side by side.
# ctest: LABEL couch
# ctest: COST 100
# ctest: TIMEOUT 500
# shellcheck disable=SC2317 # called by names that are put together
set -u
if [ "${CFT_INSTRUMENTED:-0}" != 0 ]; then
  echo "skipped: the demo is about the programs as they are installed"
  exit 77
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export CHANGEFEED=${CFT_CHANGEFEED-} PLATFORM=${CFT_PLATFORM:?is not set}
[ -n "$CHANGEFEED" ] && command -v node >/dev/null || exit 77
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
# shellcheck source=tests/support/db.sh
. "$root/tests/support/db.sh"
unset COUCHDB_URL # databases of our own

work=$(mktemp -d) || exit 1
chmod 0711 "$work" # root's apps are somebody else's
# shellcheck disable=SC2317 # the trap calls it
clean_up() {
  local at
  for at in "$work"/*/tmp; do
    TMPDIR=$at "$root/examples/demo.sh" --stop >/dev/null 2>&1
  done
  db_stop
  rm -rf "$work"
}
trap clean_up EXIT

# ---- a demo in a place of its own: all that it leaves is there ----------------

place() { # name
  at=$work/$1
  mkdir -p "$at/tmp" && chmod 0711 "$at" "$at/tmp"
}

demo() { TMPDIR=$at/tmp "$root/examples/demo.sh" "$@" >"$at/out" 2>"$at/err"; }

says() { # what, extended regular expression
  grep -qE -e "$2" "$at/out" ||
    fail "$1: nothing like \"$2\" in: $(tail "$at/out" "$at/err")"
}

# What a demo starts has its TMPDIR from it, or, what a drone starts, a path in
# there among its arguments.
expect_no_process() { # after what
  local left
  left=$(grep -lzxF "TMPDIR=$at/tmp" /proc/[0-9]*/environ 2>/dev/null
    pgrep -af -- "$at/tmp")
  [ -z "$left" ] || fail "$1 left processes: $left"
}

expect_nothing_left() { # after what
  local left
  expect_no_process "$1"
  left=$(ls -A "$at/tmp")
  [ -z "$left" ] || fail "$1 left files: $left"
  rm -rf "${at:?}/tmp/"*
}

# What failed leaves its logs, says where, and nothing else.
expect_logs_left() { # after what
  local logs
  expect_no_process "$1"
  logs=$(sed -n 's/^demo: the logs are in //p' "$at/err")
  expect "$1: logs" "$(ls -d "$at"/tmp/*)" "$logs"
  [ -f "$logs/database.log" ] || [ -f "$logs/provisioner.log" ] ||
    fail "$1 left no logs: $(ls "$logs")"
  [ -z "$(find "$logs" -mindepth 1 ! -name '*.log' ! -name '*.tsv' \
    ! -name '*.jsonl')" ] || fail "$1 left more than logs: $(ls "$logs")"
  rm -rf "$logs"
}

# ---- arguments ----------------------------------------------------------------

try_arguments() {
  local wrong
  place arguments
  demo --help || fail "--help ends with $?"
  says "--help" '--keep '
  for wrong in --nonsense extra '--keep --stop'; do
    # shellcheck disable=SC2086 # words are wanted
    demo $wrong
    expect "status after $wrong" 2 $?
  done
  demo --stop || fail "--stop without a demo ends with $?"
  says "--stop without a demo" '^There is no demo to stop'
  PLATFORM=$work/none demo
  expect "status without programs" 1 $?
  COUCHDB_URL=http://127.0.0.1:1 demo
  expect "status without the database" 1 $?
  rm -rf "${at:?}/tmp/"*
}

# ---- the whole of it, kept ----------------------------------------------------

try_keep() {
  local status admin page
  place keep
  demo --keep || {
    fail "the demo ends with $?: $(cat "$at/err" "$at/out")"
    return
  }
  says 'three drones' 'may have 3 drones, and has made them'
  says 'live' 'shop is live at http://shop.localhost:[0-9]+/, balancers 2/2'
  says 'too few' 'E05 503 .*drones are taken'
  says 'the scaler' 'the scaler has added [0-9]+ drones; chat and mail were live'
  says 'the scripts' '^[0-9:.]+ +[1-5] operations came of it'
  says 'the drone' 'shop is live on 127.1.[0-9.:]+, [0-9.]+ s later'
  says 'the database' 'attempt 3 failed'
  says 'the database' 'visitors meanwhile: [0-9]+ pages .*: none$'
  says 'the balancer' 'shop is live .* balancers 1/2'
  says 'the balancer' 'has 5 routes of its snapshot'
  says 'stopped' 'visitors of mail: E04 503'
  says 'destroyed' 'visitors of chat: E01 404'
  says 'the balancers' 'have one digest, [0-9a-f]{32}, of 4 routes; .*: equal$'
  says 'the summary' '^  wrong sites  0; without an answer: 0;'
  says 'the summary' '^  missed +0: '

  page=$(sed -n 's/^  \(http:.*shop.localhost.*\)$/\1/p' "$at/out")
  expect_match 'the page by its name' '*<h1>shop</h1>*' \
    "$(curl -sS --noproxy '*' --max-time 60 "$page")"
  eval "$(grep -A1 '^  export APPS_SERVER' "$at/out" | sed '2s/^/run=/;2s/ list$//;2s/= */=/')"
  # shellcheck disable=SC2154 # the lines above set it
  expect_match 'the command line' '*shop*live*' "$("$run" list 2>&1)"
  admin=$(sed -n 's/^  \(http:.*\)  is the status page of b1$/\1/p' "$at/out")
  node "$root/tests/platform/page/demo.js" "$admin" "$page" \
    "${page/shop/mail}" >"$at/browser" 2>&1
  status=$?
  cat "$at/browser"
  [ "$status" -eq 0 ] || [ "$status" -eq 77 ] || fail 'not so in the browser'

  demo --stop || fail "--stop ends with $?"
  says '--stop' ' [0-9]+ processes ended, and the directory is gone'
  expect_nothing_left '--stop'
}

# ---- a follower that does not tell everything, somebody else's database -------

try_liar() {
  place liar
  cat >"$at/liar" <<'END'
#!/usr/bin/env node
// The follower, without the rows of one document and the newer of another.
const { spawn } = require('child_process');
const child = spawn(process.env.CFT_CHANGEFEED, process.argv.slice(2),
  { stdio: ['ignore', 'pipe', 'inherit'] });
process.on('SIGTERM', () => child.kill('SIGTERM'));
require('readline').createInterface({ input: child.stdout })
  .on('line', (line) => /\tapp:wiki\t|\tapp:shop\t[^1]/.test(line) ||
    console.log(line));
child.on('exit', (code) => { process.exitCode = code; });
END
  chmod +x "$at/liar"
  COUCHDB_URL=$DB_URL/ CHANGEFEED=$at/liar demo
  expect 'status of a demo that missed changes' 1 $?
  says 'missed changes' ', missed [2-9]: app:shop app:wiki'
  expect 'why it failed' 'demo: FAILED: changefeed has missed changes' \
    "$(head -n 1 "$at/err")"
  says 'COUCHDB_URL' '7. .*: skipped, as COUCHDB_URL names it$'
  ! grep -rE 'pa(:|%3A)ss' "$at/out" "$at/err" "$at/tmp" ||
    fail 'the password was written'
  ! db_ask GET /_all_dbs | grep changefeed-demo || fail 'it left its databases'
  expect_logs_left 'a demo that fails'

  printf '#!/bin/sh\necho no >&2\nexit 3\n' >"$at/liar"
  CHANGEFEED=$at/liar demo
  expect 'status of a demo whose follower dies' 1 $?
  grep -q 'the follower ended: exit code 3, no' "$at/err" ||
    fail "it says: $(cat "$at/err")"
  expect_logs_left 'a demo whose follower dies'
}

# ---- an app whose page is another's -------------------------------------------

try_mixed() {
  place mixed
  mkdir -p "$at/tree/tests" "$at/tree/build"
  cp -R "$root/examples" "$at/tree/"
  ln -s "$root/tests/couch-serve" "$root/tests/support" "$at/tree/tests/"
  # shellcheck disable=SC2016 # of JavaScript
  sed -i 's/site=${name}/site=${visits === 40 ? "blog" : name}/' \
    "$at/tree/examples/demo/site.js"
  TMPDIR=$at/tmp "$at/tree/examples/demo.sh" >"$at/out" 2>"$at/err"
  expect 'status when visitors see another site' 1 $?
  expect_match 'what it says then' \
    'demo: FAILED: a visitor of [sw]* at b? got a page of blog, status 200*' \
    "$(cat "$at/err")"
  expect_logs_left 'a demo of mixed sites'
}

# ---- signals ------------------------------------------------------------------

# Sends a demo a signal as soon as it has printed what is given.
interrupt() { # signal, status, what it prints
  local pid status reader line
  place signal
  mkfifo "$at/pipe" || exit 1
  # A shell in the background has SIGINT ignored; a terminal's has not.
  TMPDIR=$at/tmp env --default-signal=INT "$root/examples/demo.sh" \
    >"$at/pipe" 2>"$at/err" &
  pid=$!
  exec {reader}<"$at/pipe"
  rm "$at/pipe"
  : >"$at/out"
  while IFS= read -r -t 100 -u "$reader" line; do
    printf '%s\n' "$line" >>"$at/out"
    if [[ $line == *"$3"* ]]; then
      kill -"$1" "$pid"
      break
    fi
  done
  { # bash tells of a kill
    cat <&"$reader" >>"$at/out"
    exec {reader}<&-
    wait "$pid"
    status=$?
  } 2>/dev/null
  expect "status after SIG$1 at \"$3\"" "$2" "$status"
  ! grep -q missed "$at/out" || fail "SIG$1 at \"$3\": it went on to its end"
}

try_signals() {
  interrupt INT 130 'A database'
  expect_nothing_left 'SIGINT at the beginning'
  interrupt TERM 143 'status page is'
  expect_nothing_left 'SIGTERM before the provisioner'
  interrupt HUP 129 'apps start shop'
  expect_nothing_left 'SIGHUP with an app'
  # Whose reader goes away is over, too.
  TMPDIR=$at/tmp env --default-signal=PIPE "$root/examples/demo.sh" \
    2>"$at/err" | head -5 >"$at/out"
  expect 'status after a closed pipe' 141 "${PIPESTATUS[0]}"
  expect_nothing_left 'a closed pipe'
  # Who is killed can clear up nothing; --stop can.
  interrupt KILL 137 'puts it to work'
  demo --stop || fail "--stop ends with $?"
  says '--stop' ' [0-9]+ processes ended'
  expect_nothing_left 'SIGKILL and --stop'
  interrupt INT 130 'attempt 2 failed'
  expect_nothing_left 'SIGINT without a database'
}

# ---- side by side -------------------------------------------------------------

try_arguments
db_start --memory --admin 'us@r:pa:ss' --require-valid-user || exit 1
DB_URL="http://us%40r:pa%3Ass@${DB_URL#http://}"
pids=()
for part in keep liar mixed signals; do
  # A failure is counted in a shell of its own.
  (trap - EXIT && "try_$part" && [ "$failures" -eq 0 ]) &
  pids+=($!)
done
for pid in "${pids[@]}"; do
  wait "$pid" || failures=$((failures + 1))
done
[ "$failures" -ne 0 ] || echo 'the demo: all well'
finish
