# shellcheck shell=bash disable=SC2034
# What tests in bash say; to be sourced by what they share. What is not so is
# told at once, and counted; the test goes on, and fails at its end.
#
#   fail TEXT              tells it
#   expect WHAT WANTED GOT, expect_match WHAT PATTERN GOT
#   wait_until COMMAND     until that is true, a minute at most
#   finish                 ends the test

failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

expect() { # what, wanted, got
  [ "$2" = "$3" ] || fail "$1: expected \"$2\", got \"$3\""
}

expect_match() { # what, pattern of [[ == ]], got
  # shellcheck disable=SC2053
  [[ $3 == $2 ]] || fail "$1: expected something like \"$2\", got \"$3\""
}

# Waits until a command is true; a minute at most.
wait_until() {
  local until=$((SECONDS + 60))
  until "$@"; do
    [ "$SECONDS" -lt "$until" ] || { fail "never true: $*"; return 1; }
    sleep 0.02
  done
}

finish() {
  [ "$failures" -eq 0 ] || exit 1
  exit 0
}
