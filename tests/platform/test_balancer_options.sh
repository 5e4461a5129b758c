#!/usr/bin/env bash
# What the balancer is told: wrong words are named, balancer(1) has every option
# of --help and no other, with the same defaults, and every page's code.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
program=balancer
[ -x "${CFT_PLATFORM:?is the directory of the programs}/$program" ] ||
  { echo "no $program" && exit 77; }
export LC_ALL=C
# shellcheck source=tests/support/expect.sh
. "$root/tests/support/expect.sh"
# shellcheck source=tests/platform/support/options.sh
. "$root/tests/platform/support/options.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/cft-balopt-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

refused '--engine is embedded or haproxy' --engine nginx
refused '--engine haproxy needs --haproxy-socket' --engine haproxy
refused 'goes only with --engine haproxy' --haproxy-socket /tmp/x
refused '--shadow needs a --peer' --shadow
refused '--for goes only with --shadow' --for 5s
refused '--id B1: it consists of' --id B1
refused '--advertise b1:80: it is ADDRESS:PORT' --advertise b1:80
refused '--advertise-admin *: it is ADDRESS:PORT' --advertise-admin 127.0.0.1
refused '--log-level is' --log-level loud
refused 'threads' --threads 64
refused 'max-head' --max-head 100
refused 'no-such' --no-such
refused 'couch-password-file' --couch-password-file /nonexistent
refused 'naive' --naive feed
run --listen nowhere:1 --admin 127.0.0.1:0
expect 'listen: status' 1 "$status"
expect_match 'listen: told' '*balancer: *nowhere:1*' "$(cat err)"
run --listen 127.0.0.1:0 --admin 300.0.0.1:80
expect 'admin: status' 1 "$status"
expect_match 'admin: told' '*balancer: *300.0.0.1:80*' "$(cat err)"
run --listen 127.0.0.1:0 --admin 127.0.0.1:0 --port-file /nonexistent/x
expect 'port file: status' 1 "$status"
expect_match 'port file: told' '*--port-file /nonexistent/x: *' "$(cat err)"
echo 'a snapshot that is none' >snapshot
run --listen 127.0.0.1:0 --admin 127.0.0.1:0 --shadow --peer http://127.0.0.1:1 \
  --snapshot snapshot --for 300ms
expect 'a shadow that compared nothing: status' 1 "$status"
expect_match 'a shadow that compared nothing: told' \
  '*0 answers compared, 0 differ; not every host at every peer was compared yet*' \
  "$(cat out)"
expect_match 'a damaged snapshot is told' '*snapshot*' "$(cat err)"
expect 'and left as it is' 'a snapshot that is none' "$(cat snapshot)"
run --version
expect_match 'version' 'balancer of libchangefeed*' "$(cat out)"

expect_manual 30
grep -oE 'E[0-9][0-9]' "$root/examples/balancer/pages.h" | sort -u >codes
[ "$(wc -l <codes)" -eq 17 ] || fail 'the codes cannot be read'
while read -r code; do
  grep -q "^\\.It $code" "$page" || fail "$page lacks $code"
done <codes
finish
