#!/usr/bin/env bash
# What docs/operations.md and docs/capacity.md say can be done: HAProxy takes the
# configurations of examples/haproxy, one of which is what the balancer prints; each
# metric that the pages and the alerts name is one that a program shows, each option
# and command is there, each file, and the firewall's rules are understood.
# ctest: TIMEOUT 170
# ctest: COST 8
# shellcheck disable=SC2016 # back quotes are markdown
# shellcheck disable=SC2317 # the trap calls it
set -u
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"
# shellcheck source=tests/platform/support/balancer.sh
. "$root/tests/platform/support/balancer.sh"
[ -x "$CFT_PLATFORM/deploybot" ] || { echo 'no deploybot' && exit 77; }
pages=("$root/docs/operations.md" "$root/docs/capacity.md")
rules=$root/examples/prometheus/rules.yml
others=()

operations_end() {
  local status=$?
  bals_kill
  [ "${#others[@]}" -eq 0 ] || kill -KILL "${others[@]}" 2>/dev/null
  (exit "$status")
  clean_up
}
trap operations_end EXIT

# ---- HAProxy ----

if command -v haproxy >/dev/null; then
  "$balancer" --print-haproxy-config --id b1 --listen 10.77.0.1:8000 --https \
    --engine haproxy --haproxy-socket /run/balancer-haproxy/socket >printed.cfg
  diff "$root/examples/haproxy/balancer.cfg" printed.cfg >differs ||
    fail "examples/haproxy/balancer.cfg is not what the balancer prints: $(head -c 500 differs)"
  haproxy -c -f printed.cfg >checked 2>&1 || fail "balancer.cfg: $(cat checked)"
  mkdir certs
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=shop.example -keyout key.pem -out chain.pem 2>openssl.err ||
    fail "no certificate: $(cat openssl.err)"
  cat chain.pem key.pem >certs/shop.pem
  # Who it becomes is Debian's package's; it may be another here.
  sed -e "s|/etc/haproxy/certs/|$work/certs/|" -e '/^  \(user\|group\) haproxy$/d' \
    "$root/examples/haproxy/tls.cfg" >tls.cfg
  haproxy -c -f tls.cfg >checked 2>&1 || fail "tls.cfg: $(cat checked)"
  [ ! -s checked ] || expect_match 'tls.cfg' '*is valid*' "$(cat checked)"
fi

# ---- metrics ----

# shellcheck disable=SC2119
sim_start
sim_create apps
sim_create locks
prov_start p1 --driver none
bal_start b1
"$balancer" --couch "$sim" --id b2 --listen 127.0.0.1:1 --admin 127.0.0.1:0 \
  --engine haproxy --haproxy-socket "$work/none.sock" --port-file b2.ports \
  2>b2.log &
others+=($!)
user=()
[ "$(id -u)" -ne 0 ] || user=(--as-root)
"$CFT_PLATFORM/drone" --dir drone --token-file drone-token --port-file drone.port \
  "${user[@]}" 2>drone.log &
others+=($!)
mkdir mailbox
"$CFT_PLATFORM/deploybot" --couch "$sim" --server "${api[p1]}" --token-file token \
  --state bot.state --mailbox mailbox --every 1h --listen 127.0.0.1:0 \
  --port-file bot.port 2>bot.log &
others+=($!)
for file in b2.ports drone.port bot.port; do wait_until test -s "$file"; done
for url in "${api[p1]}" "http://${bal_admin[b1]}" "http://$(tail -n 1 b2.ports)" \
  "http://$(sed -n 's/^ctl //p' drone.port)" "http://$(cat bot.port)"; do
  curl -sS --noproxy '*' --fail --max-time 30 "$url/metrics" >>metrics ||
    fail "$url has no metrics"
done
sed -nE 's/^# TYPE ([a-z0-9_]+) .*/\1/p' metrics | sort -u >shown
[ "$(wc -l <shown)" -gt 60 ] || fail "only $(wc -l <shown) metrics are shown"

# A histogram is named by its parts as well.
is_shown() {
  grep -qx -- "$1" shown ||
    { [[ $1 =~ ^(.*)_(bucket|sum|count)$ ]] && grep -qx "${BASH_REMATCH[1]}" shown; }
}
# Not the files of that name in the table of sources.
names='\b(balancer|provisioner|drone|deploybot)_[a-z0-9]+(_[a-z0-9]+)*\b(?![.*])'
for file in "${pages[@]}" "$root/docs/balancer.md" "$root/docs/platform.md" "$rules"; do
  grep -oP "$names" "$file" | sort -u >named
  while read -r name; do
    is_shown "$name" || fail "$(basename "$file") names $name, which no program shows"
  done <named
  [ "$(basename "$file")" != operations.md ] || [ "$(wc -l <named)" -gt 20 ] ||
    fail "operations.md names $(wc -l <named) metrics"
done
while read -r label; do
  grep -qF "{$label}" metrics || fail "no program shows {$label}"
done < <(grep -ohE '\{(code|why)="[^"]*"\}' "${pages[@]}" "$rules" | tr -d '{}' | sort -u)
# Each alert is told what to do about.
while read -r alert; do
  grep -qF "$alert" "${pages[0]}" || fail "operations.md does not say what to do about $alert"
done < <(sed -n 's/^ *- alert: //p' "$rules")
if command -v promtool >/dev/null; then
  promtool check rules "$rules" >checked 2>&1 || fail "$(cat checked)"
fi

# ---- what the pages say to type ----

blocks() { # language
  awk -v begin="^\`\`\`$1\$" '$0 ~ begin { on = 1; next } /^```/ { on = 0 } on' "${pages[@]}"
}
blocks sh >commands.sh
bash -n commands.sh || fail 'the commands are none of a shell'
[ "$(wc -l <commands.sh)" -gt 60 ] || fail 'the commands cannot be found'
# Lines that end in a backslash go on; then each program's own options.
sed -e ':a' -e '/\\$/{N;s/\\\n//;ba}' -e "s/'[^']*'//g" commands.sh |
  grep -oE '\b(balancer|provisioner|drone|deploybot|apps|changefeed) [^|;&#]*' >calls
[ "$(wc -l <calls)" -gt 8 ] || fail 'calls of programs cannot be found'
while read -r name words; do
  # apps has options of its commands.
  case $name in
    apps) help=$("$CFT_PLATFORM/apps" --help && for c in create start stop status list \
      logs drones maintenance; do "$CFT_PLATFORM/apps" "$c" --help; done) ;;
    changefeed) help=$("${CFT_CHANGEFEED:?}" --help && "$CFT_CHANGEFEED" diff --help) ;;
    *) help=$("$CFT_PLATFORM/$name" --help) ;;
  esac
  for word in $words; do
    [[ $word == --* ]] || continue
    grep -qE -- "^ *${word%%=*}([^a-z-]|\$)" <<<"$help" || fail "$name has no $word"
  done
done <calls

# "name = value" in a file of options is one of that program.
awk '/^cat >.*\/etc\/platform\/.*\.conf/ { file = $0; sub(/.*platform\//, "", file)
       sub(/(-[^ ]*)?\.conf.*/, "", file); next }
     /^END$/ { file = "" } file != "" { print file, $1 }' commands.sh >written
[ "$(wc -l <written)" -gt 10 ] || fail 'files of options cannot be found'
while read -r name option; do
  "$CFT_PLATFORM/$name" --help | grep -qE -- "^  --$option(=| |\$)" ||
    fail "$name.conf names $option, which is none of its options"
done <written

while read -r file; do
  [ -e "$root/$file" ] || fail "the pages name $file, which is not there"
done < <(grep -ohE '\b(examples|docs|tests)/[A-Za-z0-9_./@-]+[a-z]' "${pages[@]}" | sort -u)

blocks nft >rules.nft
[ "$(wc -l <rules.nft)" -gt 10 ] || fail 'the rules of the firewall cannot be found'
if command -v nft >/dev/null && unshare -n true 2>/dev/null; then
  unshare -n nft -c -f rules.nft >checked 2>&1 || fail "the firewall's rules: $(cat checked)"
fi
finish
