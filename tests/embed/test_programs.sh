#!/usr/bin/env bash
# Each example says by which one line it is built, and is built by it against
# the installed library; those that no other test runs are run here.
set -u
# shellcheck source=tests/embed/embed.sh
. "$(dirname "${BASH_SOURCE[0]}")/embed.sh"

# shellcheck disable=SC2119
embed_begin
built=0
for source in "$root"/examples/*.c "$root"/examples/*.cpp; do
  name=${source##*/}
  example "$name" && built=$((built + 1))
  grep -qF "$name" "$root/examples/CMakeLists.txt" ||
    fail "examples/CMakeLists.txt does not know $name"
  grep -qF "examples/$name" "$root/README.md" || fail "README.md lacks $name"
done
[ "$built" -ge 10 ] || fail "only $built examples were built"

# ---- every change, from C and from C++ --------------------------------------

fill 1000
for name in minimal minimal_cpp; do
  begin "$name" "$db"
  wait_until has_rows "$name.out" 1000
  cmp "$name.out" wanted || fail "$name: not the rows that were written"
  sim_put "${db##*/}" "live-$name"
  wait_until grep -qx "live-$name changed" "$name.out"
  sim_remove "${db##*/}" "live-$name"
  wait_until grep -qx "live-$name deleted" "$name.out"
  end TERM
  sim_ask DELETE "$db" >/dev/null
  fill 1000
  "./$name" 2>err
  expect "$name: exit status without a URL" 2 $?
  "./$name" "$sim/missing" 2>err >out
  expect "$name: exit status without a database" 1 $?
  grep -q missing err || fail "$name: the missing database is not named"
done

# ---- pull.c: the documents as they are now ----------------------------------

fill 3000
sim_remove "${db##*/}" doc-7
sim_put "${db##*/}" doc-9 '{"n":"nine \u0000 and \n more"}'
"./pull" "$db" >pull.out 2>err
expect "pull: exit status" 0 $?
expect "pull: documents" 2999 "$(count pull.out)"
seq 3000 | grep -vx -e 7 -e 9 | sed 's/$/}/' >numbers
sed -n '/"_id":"doc-9"/!s/.*"n"://p' pull.out | cmp - numbers ||
  fail "pull: not the documents that were written"
tail -n 1 pull.out | grep -qF '"n":"nine \u0000 and \n more"' ||
  fail "pull: the last document is $(tail -n 1 pull.out)"
sim_tell rules '{"kind":"changes","do":{"stall_rows":100}}'
begin pull "$db"
wait_until grep -q 'pull: catchup' pull.err
end INT
expect "pull: exit status by SIGINT" 0 "$status"
./pull "$db" >/dev/full 2>err
expect "pull: exit status when nothing can be written" 1 $?

[ "$failures" -ne 0 ] || echo "programs: all well: $built"
finish
