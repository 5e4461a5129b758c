#!/usr/bin/env bash
# The documents say nothing of the code that the code does not say: options,
# public names, files, functions and links in them exist, and what exists is
# in them where they claim to be complete.
# shellcheck disable=SC2016 # back quotes are markdown
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

documents=(README.md CHANGELOG.md SECURITY.md CONTRIBUTING.md docs/*.md)
command=${CFT_CHANGEFEED:?is not set}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# ---- options ----------------------------------------------------------------

docs/options.sh "$command" >"$work/options.md" || fail "docs/options.sh fails"
diff -u docs/options.md "$work/options.md" ||
  fail "docs/options.md is old; make it anew by docs/options.sh"
docs/options.sh --man "$command" >"$work/options.5" ||
  fail "docs/options.sh --man fails"
diff -u docs/man/changefeed-options.5 "$work/options.5" ||
  fail "changefeed-options.5 is old; make it anew by docs/options.sh --man"

"$command" --help | sed -nE 's/^  --([a-z0-9_-]+).*/\1/p' | tr - _ |
  sort -u >"$work/options"
for sub in mirror diff; do
  "$command" "$sub" --help | sed -nE 's/^  --([a-z0-9_-]+).*/\1/p' | tr - _
done >>"$work/options"
[ "$(wc -l <"$work/options")" -gt 50 ] || fail "--help lists too little"

# `name=value` in a text, and --name after the command. "feed" is CouchDB's.
{
  grep -ohE '`[a-z][a-z0-9_]*=[^`]*`' README.md CHANGELOG.md \
    docs/{manual,design}.md |
    sed -E 's/^`([a-z0-9_]*)=.*/\1/' | grep -vx feed
  grep -ohE '^changefeed .*' "${documents[@]}" | grep -oE -- ' --[a-z0-9_-]+' |
    sed 's/^ --//' | tr - _
  grep -ohE '"[a-z_]+", "[^"]*"\)' README.md docs/manual.md |
    sed -E 's/^"([a-z_]+)".*/\1/'
} | sort -u >"$work/named"
[ "$(wc -l <"$work/named")" -gt 20 ] || fail "the documents name too few options"
while read -r option; do
  grep -qx "$option" "$work/options" || fail "no option is called $option"
done <"$work/named"

# ---- public names -----------------------------------------------------------

headers=(include/changefeed/changefeed.h include/changefeed/mirror.h
  include/changefeed/export.h include/changefeed/version.h.in)
names() { grep -ohE '\b(changefeed|CHANGEFEED)_[A-Za-z0-9_]+\b' "$@" | sort -u; }

names "${headers[@]}" >"$work/public"
while read -r name; do
  grep -qx "$name" "$work/public" || case $name in
    CHANGEFEED_PASSWORD) ;; # of the command's environment
    *) [ -n "$(git ls-files -- "*$name*" 2>/dev/null)" ] ||
      grep -qrE "(set|option)\((\"\\$\{)?$name\b" CMakeLists.txt cmake ||
      fail "no public name is $name" ;;
  esac
done < <(names "${documents[@]}")

# The manual writes results short.
while read -r name; do
  grep -qx "CHANGEFEED_$name" "$work/public" || fail "no result is called $name"
done < <(grep -ohE '\bERR_[A-Z]+\b' docs/*.md | sort -u)

# Functions, types, and macros that are no guard, are in the changelog.
{
  grep -ohE '\bchangefeed_[a-z0-9_]+ *\(' "${headers[@]:0:2}" | tr -d ' ('
  grep -ohE '^(typedef )?(struct|enum) changefeed_[a-z_]+' "${headers[@]:0:2}" |
    grep -oE 'changefeed_[a-z_]+'
  grep -ohE '^ *# *define CHANGEFEED_[A-Z_]+' "${headers[@]}" |
    grep -oE 'CHANGEFEED_[A-Z_]+' | grep -vE '_H$'
} | sort -u >"$work/symbols"
[ "$(wc -l <"$work/symbols")" -gt 50 ] || fail "the header declares too little"
while read -r name; do
  grep -qE "\b$name\b" CHANGELOG.md || fail "CHANGELOG.md does not name $name"
done <"$work/symbols"

# ---- the design: files and functions ----------------------------------------

for file in lib/*.[ch]; do
  stem=${file#lib/}
  stem=${stem%.[ch]}
  grep -qE "\`$stem(\.[ch])?\`" docs/design.md ||
    fail "docs/design.md does not name lib/$stem"
done

is_file() { [ -e "lib/$1" ] || [ -e "lib/$1.c" ] || [ -e "lib/$1.h" ] || [ -e "$1" ]; }
while read -r file; do
  is_file "$file" || fail "docs/design.md names $file, which is not there"
done < <({
  # The layers' second column, and everything that looks like a file.
  awk -F'|' '/^## /{ on = /Layers/ } on && NF == 5 { print $3 }' docs/design.md |
    grep -oE '`[^`]+`'
  grep -oE '`[a-z_/]+\.[a-z]+`' docs/design.md
} | tr -d '`' | sort -u)

while read -r name; do
  grep -qE "\b$name\b" lib/*.[ch] || fail "docs/design.md names $name, which is not there"
done < <(grep -oE '\bcfi_[a-z_]+\b' docs/design.md | sort -u)

# "`file.c`: `function`, `function`" in the last table.
while IFS= read -r line; do
  file=
  for word in $(grep -oE '`[^`]+`' <<<"$line" | tr -d '`'); do
    case $word in
      *.c) file=lib/$word ;;
      *[!a-z_]*) file= ;;
      *)
        [ -z "$file" ] || grep -qE "\b$word\(" "$file" ||
          fail "docs/design.md looks for $word in $file, where it is not"
        ;;
    esac
  done
done < <(sed -n '/^## Where to look/,$p' docs/design.md | grep '^| .*?' | cut -d'|' -f3)

# ---- links ------------------------------------------------------------------

anchors() {
  sed -nE 's/^#+ //p' "$1" | tr '[:upper:]' '[:lower:]' |
    sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

links=0
for document in "${documents[@]}"; do
  while read -r link; do
    links=$((links + 1))
    target=${link%%#*}
    case $link in
      http://* | https://*) continue ;;
      '#'*) target=$document ;;
      *) target=$(dirname "$document")/$target ;;
    esac
    [ -e "$target" ] || fail "$document links to $link, which is not there"
    [[ $link != *'#'* ]] || anchors "$target" | grep -qx -- "${link#*#}" ||
      fail "$document links to $link: no such heading"
  done < <(grep -oE '\]\([^)]+\)' "$document" | sed -E 's/^\]\((.*)\)$/\1/')
done
[ "$links" -gt 20 ] || fail "only $links links were found"

[ "$failures" -eq 0 ] && echo "the documents: all well"
exit $((failures > 0))
