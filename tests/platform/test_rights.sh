#!/usr/bin/env bash
# The rights of examples/couchdb, on a database that somebody else wrote: all
# programs work with them, an app becomes live, and nobody writes what is not his.
# ctest: LABEL couch
# ctest: TIMEOUT 170
# ctest: COST 10
# shellcheck disable=SC2016,SC2154,SC2317
set -u
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"
# shellcheck source=tests/support/db.sh
. "$root/tests/support/db.sh"
rights=$root/examples/couchdb
for program in drone balancer deploybot apps; do
  [ -x "$CFT_PLATFORM/$program" ] || { echo "no $program" && exit 77; }
done

rights_end() {
  local status=$? file
  [ -z "${balancer_pid-}" ] || kill -KILL "$balancer_pid" 2>/dev/null
  for file in drones/*/pid; do
    [ ! -f "$file" ] || kill -KILL "$(cut -d' ' -f1 "$file")" 2>/dev/null
  done
  db_stop
  (exit "$status")
  clean_up
}
trap rights_end EXIT

db_start --memory --admin admin:secret || exit 1
address=${DB_URL#http://}

request() { # user, method, path, [JSON]: its status, the body in file answer
  local args=(-sS --noproxy '*' --max-time 60 -o answer -w '%{http_code}' -X "$2")
  [ -z "$1" ] || args+=(-u "$1:of-$1")
  [ "$1" != admin ] || args+=(-u admin:secret)
  [ $# -lt 4 ] || args+=(-H 'Content-Type: application/json' --data-binary "$4")
  curl "${args[@]}" "http://$address$3"
}

revision() { sed -n 's/.*"_rev":"\([^"]*\)".*/\1/p' answer; }

must() { # what is asked as admin
  expect_match "$1 $2" '20[01]' "$(request admin "$@")"
}

# ---- as docs/operations.md has it ----

umask 077
for user in provisioner balancer operator reader; do
  must PUT "/_users/org.couchdb.user:$user" "{\"name\":\"$user\",\"type\":\"user\",
    \"password\":\"of-$user\",\"roles\":[\"platform-$user\"]}"
  echo "of-$user" >"$user.password"
done
must PUT /_users/org.couchdb.user:stranger '{"name":"stranger","type":"user",
  "password":"of-stranger","roles":["somebody"]}'
echo secret >admin.password
"$provisioner" --init --couch "$DB_URL" --couch-user admin \
  --couch-password-file admin.password 2>init.log || fail "no databases: $(cat init.log)"
for db in apps locks; do
  must PUT "/$db/_security" "@$rights/$db-security.json"
  must PUT "/$db/_design/rights" "@$rights/$db-rights.json"
done

# ---- all programs, each as itself ----

user=()
[ "$(id -u)" -ne 0 ] || user=(--drone-user root)
sim=$DB_URL
prov_start p1 --couch-user provisioner --couch-password-file provisioner.password \
  --driver local --driver-dir drones "${user[@]}"
"$CFT_PLATFORM/balancer" --couch "$DB_URL" --couch-user balancer \
  --couch-password-file balancer.password --id b1 --listen 127.0.0.1:0 \
  --admin 127.0.0.1:0 --port-file ports 2>balancer.log &
balancer_pid=$!
wait_until test -s ports
visitors=$(head -n 1 ports)
export APPS_SERVER=${api[p1]} APPS_TOKEN_FILE=$work/token
"$CFT_PLATFORM/apps" create hello --command \
  'exec python3 -m http.server --bind 127.0.0.1 $PORT' >told 2>&1 || fail "$(cat told)"
timeout 120 "$CFT_PLATFORM/apps" start hello >told 2>&1 ||
  fail "hello is not live: $(cat told)"
expect_match 'the balancer is heard' '*balancers 1/1*' "$(cat told)"
expect 'a visitor' 200 "$(curl -s --noproxy '*' -o answer -w '%{http_code}' \
  -H 'Host: hello.localhost' "http://$visitors/")"
expect 'no write was refused' '' "$(grep -hiE 'forbidden|unauthorized|answered with 40[13]' ./*.log)"

# ---- who writes what ----

tries=0
writes() { # status, user, database, id
  tries=$((tries + 1))
  expect "$2 writes $4 in $3" "$1" "$(request "$2" PUT "/$3/$4" '{"n":1}')"
}
for id in app:x route:x sys:tick:x; do
  writes 201 provisioner apps "$id"
  for other in balancer operator reader; do writes 403 "$other" apps "$id"; done
done
writes 201 balancer apps balancer:x
writes 403 provisioner apps balancer:y
writes 403 operator apps balancer:y
writes 201 operator apps sys:freeze
writes 403 provisioner apps sys:freeze2
writes 403 balancer apps sys:maintenance2
for id in drone:127.0.0.9:1 host:x sys:tick:x; do
  writes 201 provisioner locks "$id"
  # A database that they do not see into is not theirs at all.
  writes 403 balancer locks "$id"
  writes 403 reader locks "$id"
done
writes 403 provisioner locks anything
writes 403 provisioner apps anything
for user in provisioner balancer operator reader; do
  writes 403 "$user" apps _design%2Fmine
done
expect 'tried' 33 "$tries"
expect 'a stranger reads nothing' 403 "$(request stranger GET /apps/app:hello)"
expect 'nor does nobody' 401 "$(request '' GET /apps/app:hello)"
expect 'a reader reads apps' 200 "$(request reader GET /apps/app:hello)"
expect 'a reader reads locks' 200 "$(request reader GET /locks/_all_docs)"
expect 'a balancer reads no locks' 403 "$(request balancer GET /locks/_all_docs)"
request reader GET /apps/route:x >/dev/null
rev=$(revision)
expect 'nobody else deletes' 403 "$(request balancer DELETE "/apps/route:x?rev=$rev")"
expect 'its writer does' 200 "$(request provisioner DELETE "/apps/route:x?rev=$rev")"

# A freeze that an operator has written, and a reader who asks for it.
gate() {
  "$CFT_PLATFORM/deploybot" gate --couch "$DB_URL" --couch-user reader \
    --couch-password-file reader.password --state "$work/none" 2>gate.log
  echo $?
}
request reader GET /apps/sys:freeze >/dev/null
rev=$(revision)
expect 'a freeze' 201 "$(request operator PUT /apps/sys:freeze "{\"_rev\":\"$rev\",\"from\":1}")"
expect 'the gate is shut' 3 "$(gate)"

kill -TERM "$balancer_pid"
wait "$balancer_pid"
expect 'the balancer ended' 0 "$?"
balancer_pid=
expect 'and took its document along' 404 "$(request reader GET /apps/balancer:b1)"
finish
