#!/usr/bin/env bash
# Measures our proxy, HAProxy and nginx in front of the same server, on the same
# machine, one after another, round after round, and prints tables in Markdown.
# All have the same routes, set the claim and what proxies add; ours and HAProxy
# look for the claim's echo, nginx cannot. Needs haproxy, nginx, wrk and curl.
# Builds as a packager would (Release) in build/bench.
#
#   tests/bench/proxy.sh [--quick] [--threads N] [--rounds N] [--seconds N]
#                        [--routes N] [--clients "1 64 256"] [--bodies "small large"]
#                        [--delay MS] [--only "NAME ..."] [--before PROGRAM]
#
#   --quick           less of everything
#   --threads N       workers of each proxy (1)
#   --delay MS        a client waits so long before each request: no proxy is at
#                     its limit, so that latencies can be compared (0)
#   --only "NAME ..." of direct, balancer, front, haproxy, nginx, before
#   --before PROGRAM  a platform_bench_proxy of another build, to compare with
#
#   direct    no proxy: what the server and wrk make of the machine
#   balancer  the program, with its table
#   front     the engine of it alone (bench_proxy --front)
#
# Besides: how long the balancer takes from its start to the first right answer.
set -eu
export LC_ALL=C

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

threads=1 rounds=5 seconds=2 routes=100000 clients="1 64 256"
bodies="small large" only="" before="" delay=0
while [ "$#" -gt 0 ]; do
  case $1 in
    --quick) rounds=1 seconds=1 routes=2000 clients="1 16" ;;
    --threads) threads=${2:?--threads needs a number} && shift ;;
    --rounds) rounds=${2:?--rounds needs a number} && shift ;;
    --seconds) seconds=${2:?--seconds needs a number} && shift ;;
    --routes) routes=${2:?--routes needs a number} && shift ;;
    --clients) clients=${2:?--clients needs numbers} && shift ;;
    --bodies) bodies=${2:?--bodies needs words} && shift ;;
    --delay) delay=${2:?--delay needs milliseconds} && shift ;;
    --only) only=${2:?--only needs names} && shift ;;
    --before) before=${2:?--before needs a program} && shift ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
for program in haproxy nginx wrk curl; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || {
    echo "proxy.sh: there is no $program (Debian: haproxy nginx-light wrk curl)" >&2
    exit 77
  }
done
PATH=$PATH:/usr/sbin

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${CFT_BENCH_DIR:-build/bench}
mkdir -p "$build"
build=$(cd "$build" && pwd)
names=(direct balancer front ${before:+before} haproxy nginx)
# shellcheck disable=SC2206 # words
[ -z "$only" ] || names=($only)
targets=(bench_proxy_origin platform_bench_proxy)
case " ${names[*]} " in *" balancer "*) targets+=(balancer) ;; esac
{
  cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DCHANGEFEED_BUILD_TESTS=ON &&
    cmake --build "$build" --target "${targets[@]}"
} >"$build/proxy.log" 2>&1 || {
  cat "$build/proxy.log" >&2
  echo "proxy.sh: the build failed" >&2
  exit 1
}

work=$(mktemp -d)
pids=()
tidy() {
  local pid
  for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap tidy EXIT
die() {
  echo "proxy.sh: $*" >&2
  exit 1
}

# Ours end with their standard input: one that nobody writes to.
mkfifo "$work/never"
sleep infinity >"$work/never" &
pids+=("$!")

drones=16

# until_true WHAT COMMAND...: at most 60 s.
until_true() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || die "waited for $what"
    sleep 0.05
  done
}

any_port() { echo $((20000 + RANDOM % 12000)); }

# ---- routes ------------------------------------------------------------------

# write_routes COUNT: lines of HOST IP APP CLAIM
write_routes() {
  awk -v n="$1" -v d="$drones" 'BEGIN {
    for (i = 0; i < n; i++)
      printf "a%d.bench 127.1.0.%d a%d %032x\n", i, 1 + i % d, i, i
  }'
}

# ---- who takes part ----------------------------------------------------------
# Each start_NAME begins with the routes in $work/routes, and sets pid and
# address; a failed start may be tried again with another port.

start_direct() { pid=$origin_pid address=127.0.0.1:$port; }

start_bench_front() {
  rm -f "$work/$2.address"
  "$1" --front "$port" <"$work/never" >"$work/$2.address" &
  pid=$!
  until_true "the address of $2" test -s "$work/$2.address"
  address=$(cat "$work/$2.address")
}
start_front() { start_bench_front "$build/tests/platform/platform_bench_proxy" front; }
start_before() { start_bench_front "$before" before; }

start_haproxy() {
  local at
  at=$(any_port)
  awk -v p="$port" '{ printf "%s %s|%s|%s/%s\n", $1, $2, p, $3, $4 }' \
    "$work/routes" >"$work/haproxy.map"
  cat >"$work/haproxy.cfg" <<CONFIG
global
  nbthread $threads
  maxconn 4000
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 60s
  http-reuse always
frontend visitors
  bind 127.0.0.1:$at
  option http-restrict-req-hdr-names reject
  http-request set-var(txn.host) req.hdr(host),field(1,:),lower
  http-request set-var(txn.to) var(txn.host),map($work/haproxy.map)
  http-request return status 404 content-type text/plain string E01 unless { var(txn.to) -m found }
  http-request set-dst var(txn.to),field(1,|)
  http-request set-dst-port var(txn.to),field(2,|)
  http-request set-var(txn.claim) var(txn.to),field(3,|)
  http-request del-header x-drone- -m beg
  http-request set-header X-Drone-Claim %[var(txn.claim)]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request add-header Via 1.1\ bench
  unique-id-format %{+X}o%ci%cp%Ts%rt%pid
  unique-id-header X-Request-Id
  option forwardfor
  default_backend drones
backend drones
  http-response set-var(txn.echo) res.hdr(x-drone-claim)
  http-response return status 503 content-type text/plain string E06 unless { var(txn.echo),strcmp(txn.claim) eq 0 }
  http-response del-header x-drone- -m beg
  server drone 0.0.0.0:0 pool-low-conn 2000
CONFIG
  haproxy -db -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 &
  pid=$! address=127.0.0.1:$at
}

start_nginx() {
  local at
  at=$(any_port)
  {
    cat <<CONFIG
daemon off;
worker_processes $threads;
pid $work/nginx.pid;
error_log $work/nginx.log;
events { worker_connections 8000; }
http {
  access_log off;
  client_body_temp_path $work/n1; proxy_temp_path $work/n2; fastcgi_temp_path $work/n3;
  uwsgi_temp_path $work/n4; scgi_temp_path $work/n5;
  keepalive_requests 1000000000;
  map_hash_max_size 262144; map_hash_bucket_size 128;
CONFIG
    # Only named groups of servers keep connections.
    for ((i = 1; i <= drones; i++)); do
      echo "upstream d$i { server 127.1.0.$i:$port; keepalive 512; keepalive_requests 1000000000; }"
    done
    echo "map \$host \$claim {"
    awk '{ printf "%s %s/%s;\n", $1, $3, $4 }' "$work/routes"
    echo "}"
    echo "map \$host \$to { default \"\";"
    awk '{ split($2, ip, "."); printf "%s d%s;\n", $1, ip[4] }' "$work/routes"
    cat <<CONFIG
}
  server {
    listen 127.0.0.1:$at$([ "$threads" -eq 1 ] || echo " reuseport");
    location / {
      if (\$to = "") { return 404; }
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host \$http_host;
      proxy_set_header X-Drone-Claim \$claim;
      proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto http;
      proxy_set_header X-Forwarded-Host \$http_host;
      proxy_set_header X-Request-Id \$request_id;
      proxy_set_header Via "1.1 bench";
      proxy_hide_header X-Drone-Claim;
      proxy_pass http://\$to;
    }
  }
}
CONFIG
  } >"$work/nginx.conf"
  nginx -p "$work" -c "$work/nginx.conf" -e "$work/nginx.log" &
  pid=$! address=127.0.0.1:$at
}

# The database with the routes, and the balancer that has read them.
start_couch() {
  [ -z "${couch-}" ] || return 0
  node tests/couch-serve/couch-serve.js --port 0 >"$work/couch.log" 2>&1 &
  couch_pid=$!
  pids+=("$couch_pid")
  until_true "the database" grep -qs http:// "$work/couch.log"
  couch=$(grep -oE 'http://[0-9.:]+' "$work/couch.log" | head -n 1)
}

start_balancer() {
  local db
  start_couch
  db=apps$(wc -l <"$work/routes")
  if curl -sf -X PUT "$couch/$db" >/dev/null; then
    awk -v p="$port" '{
      if (NR % 5000 == 1) { if (f) print "]}" > f; f = "'"$work"'/docs." ++n; printf "{\"docs\":[" > f }
      printf "%s{\"_id\":\"route:%s\",\"app\":\"%s\",\"hosts\":[\"%s\"],\"gen\":1,\"at\":1,\"state\":\"live\",\"code\":\"\",\"msg\":\"\",\"to\":[{\"drone\":\"%s:1\",\"addr\":\"%s:%s\",\"claim\":\"%s\"}],\"prev\":[]}",
        (NR % 5000 == 1 ? "" : ","), $3, $3, $1, $2, $2, p, $4 > f
    } END { print "]}" > f }' "$work/routes"
    for file in "$work"/docs.*; do
      curl -sf -H 'Content-Type: application/json' --data-binary "@$file" \
        "$couch/$db/_bulk_docs" >/dev/null || die "the database takes no routes"
    done
    rm "$work"/docs.*
  fi
  rm -f "$work/balancer.ports"
  "$build/platform/balancer" --id bench --couch "$couch" --apps "$db" \
    --listen 127.0.0.1:0 --admin 127.0.0.1:0 --threads "$threads" \
    --snapshot "$work/$db.snapshot" --port-file "$work/balancer.ports" \
    >"$work/balancer.log" 2>&1 &
  pid=$!
  until_true "the balancer's ports" test -s "$work/balancer.ports"
  address=$(head -n 1 "$work/balancer.ports")
}

# ---- what is looked at -------------------------------------------------------

# The processes of NAME: nginx has workers.
family() {
  echo "$1"
  pgrep -P "$1" || true
}

ticks() {
  local p sum=0 line fields
  for p in $(family "$1"); do
    line=$(cat "/proc/$p/stat") || continue
    read -ra fields <<<"${line##*) }"
    sum=$((sum + fields[11] + fields[12]))
  done
  echo "$sum"
}

memory_kb() {
  local p
  for p in $(family "$1"); do cat "/proc/$p/smaps_rollup"; done |
    awk '/^Pss:/ { sum += $2 } END { print sum + 0 }'
}

connects() { curl -s "http://127.0.0.1:$port/stats" | awk '{ print $1 }'; }

answers() { # ADDRESS HOST: status and bytes
  curl -s -o /dev/null -w '%{http_code} %{size_download}' -H "Host: $2" "http://$1/small"
}
serves() { [ "$(answers "$1" "a$((routes_now - 1)).bench")" = "200 100" ]; }
is_over() { ! kill -0 "$1" 2>/dev/null; }

# begin NAME: until it serves the last of its routes
begin() {
  local try
  for try in 1 2 3 4 5; do
    "start_$1"
    until_true "$1 (try $try)" eval "serves '$address' || is_over '$pid'"
    if ! is_over "$pid"; then
      [ "$1" = direct ] || pids+=("$pid")
      return 0
    fi
  done
  die "$1 does not start: $(cat "$work/$1.log" 2>/dev/null)"
}

finish() { # PID
  kill "$1"
  wait "$1" 2>/dev/null || true
}

[ "$delay" -eq 0 ] || echo "function delay() return $delay end" >"$work/ask.lua"
cat >>"$work/ask.lua" <<'LUA'
local ready, at = {}, 0
function init(args)
  for i = 1, 16 do
    ready[i] = wrk.format("GET", args[1], {
      Host = "a" .. (i * 61) .. ".bench", ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64)",
      Accept = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
      ["Accept-Language"] = "en", Cookie = "session=0123456789abcdef0123456789abcdef" })
  end
end
function request()
  at = at % 16 + 1
  return ready[at]
end
function done(s, latency)
  local e = s.errors
  io.write(string.format("RESULT %d %d %d %d %d %d\n", s.requests, s.duration,
    e.connect + e.read + e.write + e.status + e.timeout, s.bytes,
    latency:percentile(50), latency:percentile(99)))
end
LUA

# load NAME CLIENTS BODY SECONDS: a line of what came out
load() {
  local name=$1 p=${pid_of[$1]} before_ticks after_ticks had got line
  before_ticks=$(ticks "$p") had=$(connects)
  line=$(wrk -t 1 -c "$2" -d "$4" -s "$work/ask.lua" "http://${address_of[$name]}/$3" -- "/$3" |
    sed -n 's/^RESULT //p')
  after_ticks=$(ticks "$p") got=$(connects)
  [ -n "$line" ] || die "wrk has no result for $name"
  echo "$2 $3 $name $line $((after_ticks - before_ticks)) $((got - had - 1))"
}

# ---- measuring ---------------------------------------------------------------

mkfifo "$work/origin.port"
"$build/tests/bench/bench_proxy_origin" 0 <"$work/never" >"$work/origin.port" &
origin_pid=$!
pids+=("$origin_pid")
read -r port <"$work/origin.port"

declare -A pid_of address_of empty_kb full_kb worked_kb
routes_now=1000 # the sixteen that are asked for are among them
write_routes "$routes_now" >"$work/routes"
for name in "${names[@]}"; do
  [ "$name" != direct ] || continue
  begin "$name"
  empty_kb[$name]=$(memory_kb "$pid")
  finish "$pid"
done
routes_now=$routes
write_routes "$routes_now" >"$work/routes"
for name in "${names[@]}"; do
  begin "$name"
  pid_of[$name]=$pid address_of[$name]=$address
  full_kb[$name]=$(memory_kb "$pid")
  [ "$name" = direct ] || [ "$name" = front ] || [ "$name" = before ] ||
    [[ "$(answers "$address" no.bench)" = 404* ]] || die "$name knows a host that is none"
done

: >"$work/results"
for body in $bodies; do
  for count in $clients; do
    for name in "${names[@]}"; do # it opens its connections
      load "$name" "$count" "$body" 1 >/dev/null
    done
    for ((round = 0; round < rounds; round++)); do
      for name in "${names[@]}"; do
        load "$name" "$count" "$body" "$seconds" >>"$work/results"
      done
    done
  done
done
for name in "${names[@]}"; do worked_kb[$name]=$(memory_kb "${pid_of[$name]}"); done

# ---- tables ------------------------------------------------------------------

echo "## Proxies"
echo
echo "$threads worker(s) each, $routes routes, medians of $rounds interleaved rounds of $seconds s, keep-alive"
[ "$delay" -eq 0 ] || echo "with a pause of $delay ms before each request"
echo "from wrk over 16 hosts; $(uname -m), $(nproc) processors shared by all. CPU: of the proxy's processes."
echo "Added: p50 over that of no proxy. Connects: to the server, in a round. x: of HAProxy's."
echo
awk -v hz="$(getconf CLK_TCK)" -v base="haproxy" '
  function median(key,    n, i, j, t, v) {
    n = split(all[key], v, " ")
    for (i = 2; i <= n; i++)
      for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
  }
  function add(k, what, value) { all[k " " what] = all[k " " what] " " value }
  function over(a, b) { return b > 0 ? sprintf("%.2f", a / b) : "" }
  {
    cell = $1 " " $2; k = cell " " $3
    if (!(cell in names)) order[++cells] = cell
    if (!(k in seen)) { names[cell] = names[cell] " " $3; seen[k] = 1 }
    add(k, "rps", $4 / $5 * 1e6); errors[k] += $6
    add(k, "p50", $8); add(k, "p99", $9)
    add(k, "cpu", $4 ? $10 / hz * 1e6 / $4 : 0); add(k, "new", $11)
  }
  END {
    print "| clients | body | proxy | requests/s | x | CPU us/request | x | p50 us | added | p99 us | x | connects | errors |"
    print "|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for (c = 1; c <= cells; c++) {
      cell = order[c]; split(cell, part, " "); n = split(names[cell], name, " ")
      b = cell " " base; d = cell " direct"
      for (i = 1; i <= n; i++) {
        k = cell " " name[i]
        printf "| %s | %s | %s | %.0f | %s | %.1f | %s | %d | %s | %d | %s | %d | %d |\n", part[1], part[2],
          name[i], median(k " rps"), b in seen ? over(median(k " rps"), median(b " rps")) : "",
          median(k " cpu"), b in seen ? over(median(k " cpu"), median(b " cpu")) : "",
          median(k " p50"), d in seen ? median(k " p50") - median(d " p50") : "",
          median(k " p99"), b in seen ? over(median(k " p99"), median(b " p99")) : "",
          median(k " new"), errors[k]
        bad += errors[k]
      }
    }
    exit bad != 0
  }' "$work/results" || status=1
echo
echo "| proxy | MB with 1000 routes | MB with $routes | bytes a route | MB after the load |"
echo "|---|---:|---:|---:|---:|"
for name in "${names[@]}"; do
  [ "$name" != direct ] || continue
  awk -v n="$name" -v e="${empty_kb[$name]}" -v f="${full_kb[$name]}" -v w="${worked_kb[$name]}" \
    -v r="$routes" 'BEGIN { printf "| %s | %.1f | %.1f | %.0f | %.1f |\n", n, e / 1024, f / 1024,
      (r > 1000 ? (f - e) * 1024 / (r - 1000) : 0), w / 1024 }'
done
case " ${names[*]} " in *" balancer "*)
  finish "${pid_of[balancer]}"
  finish "$couch_pid"
  echo
  echo "The balancer from its start, with a snapshot of $routes routes and no database, to the first right answer, ms:"
  node tests/bench/cold.js "$build/platform/balancer" "$couch" "apps$routes" \
    "$work/apps$routes.snapshot" a61.bench
  ;;
esac
[ -z "${status-}" ] || die "not every request was answered well"
