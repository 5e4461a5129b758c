# shellcheck shell=bash
# For tests of what a program is told: it is run with options, and held to its
# manual page. The test has $root, $program (its name), $CFT_PLATFORM, and is in
# a directory of its own.

# run WORD...: sets status; what it says is in out and err.
run() {
  timeout 20 "$CFT_PLATFORM/$program" "$@" >out 2>err </dev/null
  status=$?
}

# refused SAID WORD...: it exits with 2, and says so.
refused() {
  local said=$1
  shift
  run "$@"
  expect "$* : status" 2 "$status"
  expect_match "$* : told" "$program: *$said*" "$(cat err)"
}

# expect_manual LEAST: its page has the options of --help, LEAST of them and
# more, and no other, with the same defaults. Sets page.
expect_manual() {
  page=$root/docs/man/$program.1
  run --help
  expect 'help: status' 0 "$status"
  sed -nE 's/^  --([a-z0-9-]+).*/\1/p' out | sort -u >in_help
  grep '^\.It Fl Fl' "$page" | grep -oE 'Fl Fl [a-z0-9-]+' | cut -c7- |
    sort -u >in_page
  [ "$(wc -l <in_help)" -gt "$1" ] || fail 'the help cannot be read'
  # These three are every program's.
  diff <(grep -vxE 'config|help|version' in_help) in_page ||
    fail "$page has other options than --help"
  while read -r value; do
    grep -qE "^Defaults?: .*$value" "$page" ||
      fail "$page lacks the default $value"
  done < <(sed -nE 's/.*\[([^]]+)\]$/\1/p' out)
}
