#!/usr/bin/env bash
# A real balancer that drives a real HAProxy, from the document to the visitor;
# the configuration it prints, by whatever options; and both that end and come
# back.
# ctest: TIMEOUT 170
# shellcheck disable=SC2034,SC2119,SC2154,SC2317
set -u
command -v haproxy >/dev/null || exit 77
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"
# shellcheck source=tests/platform/support/balancer.sh
. "$root/tests/platform/support/balancer.sh"

real_end() {
  local status=$?
  bals_kill
  (exit "$status")
  clean_up
}
trap real_end EXIT

# ---- the configuration ----

prints() { # what, options
  local what=$1
  shift
  "$balancer" --print-haproxy-config "$@" >printed.cfg 2>printed.err ||
    fail "$what: $(cat printed.err)"
  haproxy -c -f printed.cfg >checked 2>&1 || fail "$what: $(cat checked)"
}
prints 'nothing said' --listen 127.0.0.1:1
prints 'six' --listen '[::1]:8080'
prints 'all of it' --listen 127.0.0.1:1 --id b7 --threads 3 --max-app 7 \
  --max-connections 100 --max-head 65536 --max-body 5 --head-time 100ms \
  --idle-time 1h --connect-time 10ms --answer-time 100ms --tunnel-time 1s \
  --drain-time 5s --https --access-log
prints 'a small head' --listen 127.0.0.1:1 --max-head 1024
prints 'an odd path' --listen 127.0.0.1:1 \
  --engine haproxy --haproxy-socket "$work/a \$HOME 'b' \"c\" \\d #e"
expect 'the path is there as it is' 1 \
  "$(grep -c "^  stats socket '.*/a \$HOME '.*b.* \"c\" .*#e' mode 600" printed.cfg)"

# ---- drones ----

claim=0123456789abcdef0123456789abcde

cat >drone.py <<'END'
import http.server, sys

class Guard(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        body = self.headers['X-Drone-Claim'].encode()
        self.send_response(200)
        self.send_header('X-Drone-Claim', sys.argv[1])
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:  # HAProxy was killed
            pass

server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Guard)
with open(sys.argv[2], 'w') as file:
    print(server.server_address[1], file=file)
server.serve_forever()
END

drone() { # name, claim: its port in $port
  python3 drone.py "$2" "$1.new" &
  wait_until test -s "$1.new" || exit 1
  port=$(cat "$1.new")
}

route() { # app, gen, port, claim's last digit
  sim_put apps "route:$1" "{\"app\":\"$1\",\"gen\":$2,\"state\":\"live\",
    \"code\":\"ok\",\"msg\":\"\",\"at\":0,\"hosts\":[\"$1.example\"],\"prev\":[],
    \"to\":[{\"drone\":\"127.0.0.1:$3\",\"addr\":\"127.0.0.1:$3\",
    \"claim\":\"$claim$4\"}]}"
}

holds() { # app, claim's last digit: the balancer says that it is in force
  curl -s --noproxy '*' --max-time 70 -o held.body -w '%{http_code}' \
    "http://${bal_admin[b1]}/route/$1.example?claim=$claim$2&wait=${3-60}"
}

# ---- from the document to the visitor ----

sim_start
sim_create apps
drone one "shop/${claim}1"
one=$port
drone two "shop/${claim}2"
two=$port
route shop 1 "$one" 1
sim_put apps sys:tick:p '{"boot":"b","n":1,"at":1,"up":1,"addr":"x"}'
options=(--threads 1 --max-connections 200 --access-log)
hap_start b1 "${options[@]}"
listen=${hap[b1]} bal[b1]=$listen
visit b1 shop.example
expect 'without a balancer' '503 E09' "$code $page"

bal_engine=haproxy
bal_start b1
expect 'where visitors come' "$listen" "${bal[b1]}"
expect 'it is in force' 200 "$(holds shop 1)"
visit b1 shop.example
expect 'the app' "200  shop/${claim}1" "$code $page $body"
visit b1 none.example
expect 'no app' '404 E01' "$code $page"

# A new drone, without an error between.
route shop 2 "$two" 2
expect 'the new one' 200 "$(holds shop 2)"
visit b1 shop.example
expect 'the app' "200  shop/${claim}2" "$code $page $body"

# A route to a drone that another app has by now.
route blog 1 "$two" 3
expect 'a wrong one' 200 "$(holds blog 3)"
visit b1 blog.example
expect 'nothing of another' '503 E06' "$code $page"

# HAProxy dies: nobody is told that the route is in force until it is.
hap_end b1 KILL
gone() { [ "$(holds shop 2 0)" = 404 ]; }
wait_until gone
hap_start b1 "${options[@]}"
expect 'in force again' 200 "$(holds shop 2)"
visit b1 shop.example
expect 'the app again' "200  shop/${claim}2" "$code $page $body"

# The balancer ends, the database is away, and it comes back: visitors see
# nothing of that.
bal_end b1
expect 'how it ended' 0 "$status"
visit b1 shop.example
expect 'HAProxy goes on' "200  shop/${claim}2" "$code $page $body"
kill -KILL "$SIM_PID"
SIM_PID=
bal_start b1
expect 'by its snapshot' 200 "$(holds shop 2)"
visit b1 shop.example
expect 'the app all the time' "200  shop/${claim}2" "$code $page $body"
expect 'and in the log, without a claim' '1 0' \
  "$(grep -c 'host="blog.example" path="/" status=503' b1.haproxy.log) \
$(grep -c "$claim" b1.haproxy.log)"
bal_end b1
expect 'how it ended' 0 "$status"
finish
