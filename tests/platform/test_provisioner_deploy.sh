#!/usr/bin/env bash
# An app is defined anew and started at once: the start means the new definition,
# also when the changes feed has not brought it to the provisioner yet, and what
# runs is what was running before.
# ctest: TIMEOUT 120
# shellcheck disable=SC2119,SC2154
set -u
# shellcheck source=tests/platform/support/provisioner.sh
. "$(dirname "${BASH_SOURCE[0]}")/support/provisioner.sh"
# shellcheck source=tests/platform/support/drones.sh
. "$root/tests/platform/support/drones.sh"

cp "$CFT_PLATFORM/platform_nonce" nonce && chmod 0755 nonce || exit 77

control() { # method, what, [body]
  curl -sS --noproxy '*' -o /dev/null -X "$1" "${sim_control}$2" \
    --data-binary "${3:-}" || fail "$1 $2"
}

site() { # what it says
  printf '{"command":"exec %s/nonce","env":{"NONCE_APP":"shop","NONCE":"%s"}}' \
    "$work" "$1"
}

answer() { # of the place that is live
  ask a GET /apps/shop
  local addr claim
  addr=$(sed -n 's/.*"to":\[{[^]]*"addr":"\([^"]*\)".*/\1/p' body)
  claim=$(sed -n 's/.*"to":\[{[^]]*"claim":"\([0-9a-f]*\)".*/\1/p' body)
  curl -s --noproxy '*' -H "X-Drone-Claim: shop/$claim" "http://$addr/"
}

sim_start
"$provisioner" --init --couch "$sim" 2>init.log || fail 'init'
drones_dir
prov_start a "${with_drones[@]}" --drones-least 3 --drones-most 6
ask a POST /apps/shop "$(site first)"
expect 'created' 201 "$code"
ask a POST /apps/shop/start
await 'live' '*"state":"live"*' a GET /ops/shop.1
expect 'the first one answers' 'app=shop nonce=first' "$(answer)"

# From now on the feed brings nothing.
control POST rules '{"kind":"changes","do":{"stall_rows":0,"stall_beats":true}}'
control POST close '{"feeds":true}'
ask a POST /apps/shop "$(site second)"
expect 'changed' 200 "$code"
expect_match 'it runs by another definition' '*"restart":true*' "$body"
ask a POST /apps/shop/start
expect 'a start of the new one is an operation' 202 "$code"
expect_match 'of its own' '*"op":"shop.2"*' "$body"
# Once more is the same one.
ask a POST /apps/shop/start
expect 'a second start' 202 "$code"
expect_match 'joins it' '*"op":"shop.2"*' "$body"

control DELETE rules
control POST close '{"feeds":true}'
await 'the new one is live' '*"state":"live"*' a GET /ops/shop.2
expect 'and answers' 'app=shop nonce=second' "$(answer)"
# The same definition again changes nothing.
ask a POST /apps/shop "$(site second)"
expect_match 'nothing to be restarted' '*"restart":false*' "$body"
ask a POST /apps/shop/start
expect 'what is live stays' 200 "$code"
expect_match 'as it is' '*"op":"shop.2"*' "$body"
prov_end a
expect 'a has ended' 0 "$status"
finish
