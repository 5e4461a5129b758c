# shellcheck shell=bash disable=SC2154
# HAProxys, each started with the configuration that its balancer prints, for
# tests by bash; balancer.sh sources it.
#
#   hap_start NAME [OPTION...]  the HAProxy of the balancer NAME with these
#                               options: where visitors come in hap[NAME], its
#                               process in hap_pid[NAME], its runtime socket is
#                               NAME.sock; at the same address when it was there
#                               before
#   hap_end NAME [SIGNAL]       ends it

declare -A hap hap_pid

# Nobody was promised it: who uses it tries again with another.
port_free() {
  python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

hap_start() { # name, options
  local name=$1 tries=0 at=${hap[$1]-}
  shift
  while :; do
    hap[$name]=${at:-127.0.0.1:$(port_free)}
    "$balancer" --print-haproxy-config --id "$name" --listen "${hap[$name]}" \
      --engine haproxy --haproxy-socket "$work/$name.sock" "$@" \
      >"$name.haproxy" || exit 1
    haproxy -db -f "$name.haproxy" >>"$name.haproxy.log" 2>&1 &
    hap_pid[$name]=$!
    wait_until hap_is_up_or_over "$name" || exit 1
    ! kill -0 "${hap_pid[$name]}" 2>/dev/null || return 0
    if [ -n "$at" ] || [ "$((tries += 1))" -ge 5 ]; then
      fail "HAProxy of $name does not start: $(tail -n 3 "$name.haproxy.log")"
      exit 1
    fi
  done
}

# It answers on its runtime socket when it listens everywhere.
hap_is_up_or_over() { # name
  ! kill -0 "${hap_pid[$1]}" 2>/dev/null ||
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(1)
s.connect(sys.argv[1])
s.sendall(b"show info\n")
sys.exit(not s.recv(16))' "$work/$1.sock" 2>/dev/null
}

hap_end() { # name, [signal]
  kill "-${2:-TERM}" "${hap_pid[$1]}"
  wait "${hap_pid[$1]}" 2>/dev/null
  unset "hap_pid[$1]"
}
