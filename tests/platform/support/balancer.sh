# shellcheck shell=bash disable=SC2034,SC2154
# Balancers, for tests by bash; to be sourced behind provisioner.sh.
#
#   bal_start NAME [OPTION...]  a balancer, its snapshot in NAME.snapshot: where
#                               visitors come in bal[NAME], its admin face in
#                               bal_admin[NAME], its process in bal_pid[NAME]
#                               With bal_engine=haproxy visitors come to an
#                               HAProxy of its own (haproxy.sh), which stays
#                               when it ends
#   bal_end NAME [SIGNAL]       ends it, and its status in $status
#   visit NAME HOST             $code, $page (X-Balancer-Error, or ""), $body
#   await_visit WHAT PATTERN NAME HOST   until "code page body" is like it

balancer=$CFT_PLATFORM/balancer
if [ ! -x "$balancer" ]; then
  echo "no $balancer"
  exit 77
fi
declare -A bal bal_admin bal_pid
bal_engine=embedded
# shellcheck source=tests/platform/support/haproxy.sh
. "$root/tests/platform/support/haproxy.sh"

bal_start() { # name, options
  local name=$1 at=127.0.0.1:0 engine=()
  shift
  if [ "$bal_engine" = haproxy ]; then
    [ -n "${hap_pid[$name]-}" ] || hap_start "$name" "$@"
    at=${hap[$name]}
    engine=(--engine haproxy --haproxy-socket "$work/$name.sock")
  fi
  rm -f "$name.ports"
  "$balancer" --couch "$sim" --id "$name" --listen "$at" \
    --admin 127.0.0.1:0 --port-file "$name.ports" \
    --snapshot "$name.snapshot" "${engine[@]}" "$@" 2>>"$name.log" &
  bal_pid[$name]=$!
  wait_until test -s "$name.ports" || exit 1
  { read -r "bal[$name]" && read -r "bal_admin[$name]"; } <"$name.ports"
}

bal_end() { # name, [signal]
  kill "-${2:-TERM}" "${bal_pid[$1]}"
  wait "${bal_pid[$1]}" 2>/dev/null
  status=$?
  unset "bal_pid[$1]"
}

bals_kill() {
  local pid
  for pid in "${bal_pid[@]}" "${hap_pid[@]}"; do
    kill -KILL "$pid" 2>/dev/null
  done
}

visit() { # name, host
  code=$(curl -sS --noproxy '*' --max-time 60 -D visit.head -o visit.body \
    -w '%{http_code}' -H "Host: $2" "http://${bal[$1]}/" 2>visit.err) ||
    code="none ($(cat visit.err))"
  page=$(tr -d '\r' <visit.head | sed -n 's/^[Xx]-[Bb]alancer-[Ee]rror: //p')
  body=$(cat visit.body)
}

await_visit() { # what, pattern, name, host
  local until=$((SECONDS + 60))
  while :; do
    visit "$3" "$4"
    # shellcheck disable=SC2053
    [[ "$code $page $body" == $2 ]] && return
    if [ "$SECONDS" -ge "$until" ]; then
      fail "$1: at $3 never like \"$2\", but \"$code $page $body\""
      return
    fi
    sleep 0.02
  done
}
