#!/usr/bin/env bash
# The bash completion knows the flags, their words, and where files are wanted.
set -u
# shellcheck source=tests/cli/command.sh
. "$(dirname "${BASH_SOURCE[0]}")/command.sh"

# shellcheck source=examples/changefeed/changefeed.bash
. "$root/examples/changefeed/changefeed.bash" || fail "it cannot be read"
complete -p changefeed | grep -q _changefeed || fail "it is not registered"
: >some.pem

# The words of a command line; the last one is to be completed.
expect_words() { # wanted, word...
  local wanted=$1
  shift
  COMP_WORDS=(changefeed "$@")
  COMP_CWORD=$#
  _changefeed "$command" "${COMP_WORDS[COMP_CWORD]}" \
    "${COMP_WORDS[COMP_CWORD - 1]}"
  expect "completion of $*" "$wanted" "${COMPREPLY[*]}"
}

expect_words "--stats --stats-interval" --stat
expect_words "--heartbeat_ms" --heart
expect_words "--tls_verify" --tls
expect_words "row id tsv doc" --format = ''
expect_words "row id tsv doc" --format =
expect_words "tsv" --format = t
expect_words "live once" --mode ''
expect_words "longpoll" --once --transport l
expect_words "0 1" --tls-verify ''
expect_words "restart" --on-reset = r
expect_words "some.pem" --ca-file = so
expect_words "some.pem" --client_cert so
expect_words "" --limit ''
expect_words "" http
expect_words "mirror" m
expect_words "mirror diff" ''
expect_words "--follow --follow_redirects" mirror --follow
expect_words "" mirror --onc
expect_words "revs docs" mirror --keep = ''
expect_words "some.pem" mirror --snapshot = so
expect_words "--digest-only" diff --digest
expect_words "some.pem" diff http://127.0.0.1/db so
expect_words "" mirror http
COMP_WORDS=(changefeed '')
COMP_CWORD=1
_changefeed /nonexistent -- changefeed
expect "completion without the command" "" "${COMPREPLY[*]}"

finish
