#!/usr/bin/env bash
# What the libraries show and use: exported is changefeed_* alone; the archive
# adds cfi_* and nothing else; neither prints, parses by locale or holds
# variables that change, but for what is made once (see below).
set -u
: "${CFT_SOURCE_DIR:?}" "${CFT_STATIC:?}"
export LC_ALL=C
work=$(mktemp -d "${CFT_BINARY_DIR:?}/symbols.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

# A file, because what is at the end of a pipe cannot set a variable.
fail() {
  echo "$*" | tee -a "$work/failures"
}

# No name may be left over.
none_of() {
  local what=$1 names
  names=$(sort -u)
  if [ -n "$names" ]; then
    # shellcheck disable=SC2086 # the names in one line
    fail "$what:" $names
  fi
}

# Sanitizers, coverage and fuzzers add names of their own.
no_tools() {
  if [ "${CFT_INSTRUMENTED:-0}" = 1 ]; then
    grep -vE '^(__odr_asan|__asan|__tsan|__ubsan|__san|__gcov|__llvm|__start_|__stop_|__sancov|__profc)' ||
      true
  else
    cat
  fi
}

listing() {
  if ! nm "$@" >"$work/nm"; then
    echo "nm $* failed"
    exit 1
  fi
}

if [ -n "${CFT_SHARED:-}" ]; then
  # CHANGEFEED_0 is the version node of the version script.
  listing -D --defined-only "$CFT_SHARED"
  awk '{ sub(/@.*/, "", $3); print $3 }' "$work/nm" >"$work/exported"
  grep -q '^changefeed_' "$work/exported" ||
    fail "the shared library exports no changefeed_ function"
  grep -vE '^(changefeed_[a-z0-9_]+|CHANGEFEED_0)$' "$work/exported" | no_tools |
    none_of "the shared library exports"

  # Each function of the header is there: a declaration without a definition
  # would be found by its first user only.
  awk '/^CHANGEFEED_EXTERN/ { on = 1 }
    on { text = text " " $0 }
    on && /;/ { print text; text = ""; on = 0 }' \
    "$CFT_SOURCE_DIR"/include/changefeed/*.h |
    grep -oE '(^|[ *])changefeed_[a-z0-9_]+ *\(' | tr -d ' *(' | sort -u \
    >"$work/declared"
  [ -s "$work/declared" ] ||
    fail "no declaration was found in the header"
  sort -u "$work/exported" | comm -13 - "$work/declared" |
    none_of "declared in the header, but not exported"
  grep '^changefeed_' "$work/exported" | sort -u |
    comm -23 - "$work/declared" |
    none_of "exported, but not declared in the header"
fi

listing -g --defined-only "$CFT_STATIC"
awk 'NF == 3 { print $3 }' "$work/nm" >"$work/globals"
grep -q '^changefeed_' "$work/globals" ||
  fail "the static library defines no changefeed_ function"
grep -vE '^(changefeed|cfi)_[a-z0-9_]+$' "$work/globals" | no_tools |
  none_of "the static library defines"

# Sanitizers replace and add calls, so these two look at plain builds only.
if [ "${CFT_INSTRUMENTED:-0}" != 1 ]; then
  sed 's/#.*//' "$CFT_SOURCE_DIR/tests/build/forbidden_symbols.txt" |
    tr -s ' \t' '\n' | grep . | sort -u >"$work/forbidden"
  listing -u "$CFT_STATIC"
  awk 'NF == 2 && $1 == "U" { print $2 }' "$work/nm" | sort -u >"$work/used"
  comm -12 "$work/forbidden" "$work/used" |
    none_of "the library uses, though forbidden_symbols.txt forbids it"

  # Sections .data and .bss hold what can change; .data.rel.ro cannot. What is
  # set once under pthread_once is named here, file by file.
  allowed='^(loop\.c:curl_once|version\.c:(once|text))$'
  if ! objdump -t "$CFT_STATIC" >"$work/objdump"; then
    echo "objdump -t $CFT_STATIC failed"
    exit 1
  fi
  awk '/file format/ { sub(/(\.c)?\.o: .*/, ".c"); file = $0 }
       /[ \t]\.(data|bss|tdata|tbss)(\.[A-Za-z0-9_.]*)?[ \t]/ &&
       !/\.data\.rel\.ro/ && $NF !~ /^\./ { print file ":" $NF }' \
    "$work/objdump" >"$work/variables"
  grep -q '^loop\.c:curl_once$' "$work/variables" ||
    fail "objdump shows no variable at all; it should show loop.c:curl_once"
  grep -vE "$allowed" "$work/variables" |
    none_of "variables that change (see test_symbols.sh)"
fi

[ ! -e "$work/failures" ] || exit 1
echo "$(wc -l <"$work/globals") global names, all of them ours"
