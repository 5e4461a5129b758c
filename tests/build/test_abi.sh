#!/usr/bin/env bash
# Programs built against older headers go on working: the shared library and the
# headers of today against abi/libchangefeed.abi, what was promised, and
# abi/numbers.txt. Additions pass. Known breaks are planted to see that each is
# found. When a change is meant: abi/renew.sh BUILD-DIRECTORY.
set -u
: "${CFT_SOURCE_DIR:?}" "${CFT_BINARY_DIR:?}"
export LC_ALL=C

if [ "${CFT_INSTRUMENTED:-0}" = 1 ] || [ "$(uname -m)" != x86_64 ] ||
  [ -z "${CFT_SHARED:-}" ]; then
  echo "what was promised is that of a plain shared library for x86-64"
  exit 77
fi
command -v abidiff >/dev/null 2>&1 || {
  echo "no abidiff (Debian: abigail-tools)"
  exit 77
}
work=$(mktemp -d "$CFT_BINARY_DIR/abi.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
abi=$CFT_SOURCE_DIR/tests/build/abi
# shellcheck source=tests/build/abi/stub.sh
. "$abi/stub.sh"
failed=0

fail() {
  echo "$*"
  failed=1
}

# compatible NEW [OLD]: fails when something was changed or removed; what, is in
# $work/report. Opaque types are not looked into.
compatible() {
  local new=$1 old=${2:-$abi/libchangefeed.abi} status

  abidiff --leaf-changes-only --no-added-syms "$old" "$new" \
    >"$work/report" 2>&1
  status=$?
  [ "$status" -ne 0 ] || return 0
  # 1 and 2 are errors, 4 and 8 say that something differs.
  [ $((status & 3)) -eq 0 ] &&
    perl "$abi/judge.pl" "$abi/grows.txt" <"$work/report" >"$work/breaks"
}

# ---- today's ----------------------------------------------------------------

# A library without debugging information would differ in nothing but names.
if readelf -S "$CFT_SHARED" | grep -q '\.debug_info'; then
  compatible "$CFT_SHARED" || {
    fail "the library breaks what was promised:"
    cat "$work/report"
  }
  tried="the library and the headers"
else
  tried="the headers"
fi
abi_stub "$CFT_SOURCE_DIR/include" "$work/today.so" || exit 1
compatible "$work/today.so" || {
  fail "the headers break what was promised:"
  cat "$work/report"
}

# Each number is what it was, and a new name is in the table.
sort "$abi/numbers.txt" >"$work/promised"
"$abi/numbers.sh" values "$CFT_BINARY_DIR" <"$abi/numbers.txt" |
  sort >"$work/now" || exit 1
diff "$work/promised" "$work/now" || fail "numbers have changed"
"$abi/numbers.sh" names | sort >"$work/names" || exit 1
sed 's/ .*//' "$work/promised" | comm -13 - "$work/names" >"$work/new"
[ ! -s "$work/new" ] ||
  fail "not in abi/numbers.txt (abi/renew.sh adds them): $(cat "$work/new")"

# ---- planted ----------------------------------------------------------------

mkdir -p "$work/headers/changefeed" || exit 1
cp "$CFT_SOURCE_DIR/include/changefeed/"*.h "$work/headers/changefeed/"

# plant WANTED NAME PERL-SUBSTITUTION: whether the headers with that change keep
# what was promised (pass), or not (break).
plant() {
  local wanted=$1 name=$2 header changed=0
  for header in changefeed mirror; do
    perl -0pe "$3" "$CFT_SOURCE_DIR/include/changefeed/$header.h" \
      >"$work/headers/changefeed/$header.h"
    cmp -s "$CFT_SOURCE_DIR/include/changefeed/$header.h" \
      "$work/headers/changefeed/$header.h" || changed=1
  done
  [ "$changed" = 1 ] || {
    fail "$name: its place is not there any more"
    return
  }
  abi_stub "$work/headers" "$work/planted.so" || {
    fail "$name: does not compile"
    return
  }
  if compatible "$work/planted.so"; then
    [ "$wanted" = pass ] || fail "$name: NOT SEEN"
  elif [ "$wanted" = pass ]; then
    fail "$name: should pass:"
    cat "$work/report"
  elif ! grep -q 'summary:' "$work/report" || [ ! -s "$work/breaks" ]; then
    fail "$name: failed for another reason:"
    cat "$work/report"
  fi
}

# shellcheck disable=SC2016 # $1 is perl's
{
  plant pass function-added \
    's/(CHANGEFEED_EXTERN unsigned changefeed_version_num)/CHANGEFEED_EXTERN int changefeed_new_thing(void);\n$1/'
  plant break function-removed \
    's/CHANGEFEED_EXTERN const char \*changefeed_version_string\(void\);//'
  plant break function-renamed 's/changefeed_strerror\(/changefeed_error_text(/'
  plant break parameter-of-another-type \
    's/(changefeed_strerror\()int /$1long /'
  plant break parameter-added \
    's/(changefeed_strerror\(int result)/$1, int how/'
  plant break result-of-another-type \
    's/(CHANGEFEED_EXTERN )unsigned (changefeed_version_num)/$1uint64_t $2/'
  plant pass struct-with-size-grows \
    's/(\n\} changefeed_stats;)/\n  uint64_t more;$1/'
  plant pass table-of-functions-grows \
    's/(\n\} changefeed_callbacks;)/\n  void (*more)(void);$1/'
  plant break struct-by-value-grows \
    's/(\n\} changefeed_str;)/\n  size_t more;$1/'
  plant break member-in-the-middle \
    's/(typedef struct changefeed_stats \{\n  size_t size;)/$1\n  uint64_t more;/'
  plant break member-removed 's/(typedef struct changefeed_change \{\n)[^\n]*\n/$1/'
  plant break member-of-another-type \
    's/(typedef struct changefeed_event \{\n  )int /$1int64_t /'
  plant break member-removed-and-another-added \
    's/(typedef struct changefeed_change \{\n)[^\n]*\n/$1/; s/(\n\} changefeed_change;)/\n  void *m1;\n  void *m2;$1/'
}

# Not in the headers alone, also in the library: a promise that it does not keep.
if [ "$tried" != "the headers" ]; then
  # shellcheck disable=SC2016 # $1 is perl's
  plant break member-of-another-type \
    's/(typedef struct changefeed_event \{\n  )int /$1int64_t /'
  abidw --no-show-locs --out-file "$work/planted.abi" "$work/planted.so" || exit 1
  compatible "$CFT_SHARED" "$work/planted.abi" &&
    fail "a library that does not have what was promised: NOT SEEN"
fi

# A number that moves is seen by the table.
sed 's/^CHANGEFEED_END .*/CHANGEFEED_END 3/' "$work/promised" >"$work/moved"
cmp -s "$work/moved" "$work/promised" && fail "CHANGEFEED_END is not in numbers.txt"
diff -q "$work/moved" "$work/now" >/dev/null && fail "a moved number is not seen"

[ "$failed" -eq 0 ] || exit 1
echo "$tried keep what was promised: $(wc -l <"$work/promised") numbers," \
  "$(grep -c '<elf-symbol ' "$abi/libchangefeed.abi") functions"
