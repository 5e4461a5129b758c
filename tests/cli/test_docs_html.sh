#!/usr/bin/env bash
# docs/html.sh makes HTML of every document and man page; the index leads to each
# of them, and no link is dead.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

for tool in mandoc cmark-gfm; do
  command -v "$tool" >/dev/null 2>&1 || {
    echo "skipped: there is no $tool"
    exit 77
  }
done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$root" || exit 1
docs/html.sh "$work/html" || fail "docs/html.sh ends with $?"
cd "$work/html" || exit 1

# ---- all is there -----------------------------------------------------------

leads_to() { # page
  grep -qF "href=\"$1\"" index.html || fail "the index does not lead to $1"
  [ -s "$1" ] || fail "$1 is empty"
}
count=0
for document in "$root"/*.md "$root"/docs/*.md; do
  document=${document#"$root/"}
  leads_to "${document%.md}.html"
  count=$((count + 1))
done
for page in "$root"/docs/man/*.[1357]; do
  leads_to "man/${page##*/}.html"
  count=$((count + 1))
done
[ "$count" -gt 40 ] || fail "only $count documents and pages were found"
grep -q '<table>' docs/options.html || fail "tables are no tables"
grep -q '<code class="Fn"' man/changefeed_open.3.html ||
  fail "man pages have lost their marks"

# ---- dead links -------------------------------------------------------------

# FILE TARGET of each link into the tree, and FILE #NAME of each anchor, in one
# go: there are thousands.
dead_links() {
  find . -name '*.html' -exec awk '
    function plain(path,  n, i, parts, out, depth, keep) {
      n = split(path, parts, "/")
      depth = 0
      for (i = 1; i <= n; i++) {
        if (parts[i] == "." || parts[i] == "") continue
        if (parts[i] == "..") { if (depth > 0) depth--; continue }
        keep[++depth] = parts[i]
      }
      out = "."
      for (i = 1; i <= depth; i++) out = out "/" keep[i]
      return out
    }
    FNR == 1 { file = FILENAME; directory = file; sub(/\/[^\/]*$/, "", directory) }
    {
      rest = $0
      while (match(rest, / (href|src|id|name)="[^"]*"/)) {
        word = substr(rest, RSTART + 1, RLENGTH - 2)
        rest = substr(rest, RSTART + RLENGTH)
        value = word
        sub(/^[a-z]*="/, "", value)
        if (word ~ /^(id|name)=/) { anchor[file "#" value] = 1; continue }
        if (value ~ /^(https?|mailto):/) continue
        target = anchored = value
        sub(/#.*/, "", target)
        target = target == "" ? file : plain(directory "/" target)
        links++
        if (anchored ~ /#/) {
          sub(/^[^#]*#/, "", anchored)
          wanted[target "#" anchored] = file
        }
        files[target] = file
      }
    }
    END {
      print links + 0 >"/dev/stderr"
      for (target in wanted)
        if (!(target in anchor)) print wanted[target] ": no such place: " target
      for (target in files) {
        there = (getline line <target) >= 0
        close(target)
        if (!there) print files[target] ": no such file: " target
      }
    }' {} +
}
dead_links >"$work/dead" 2>"$work/links"
while read -r line; do
  fail "$line"
done <"$work/dead"
[ "$(cat "$work/links")" -gt 1000 ] ||
  fail "only $(cat "$work/links") links were found"

# The check itself, shown at two links that are dead.
printf '<p><a href="nowhere.html">x</a> <a href="docs/manual.html#nowhere">y</a></p>\n' \
  >planted.html
dead_links 2>/dev/null | grep -c nowhere >"$work/found"
[ "$(cat "$work/found")" -eq 2 ] ||
  fail "of two planted dead links $(cat "$work/found") were found"

[ "$failures" -eq 0 ] &&
  echo "$count documents and pages, $(cat "$work/links") links, none dead"
exit $((failures > 0))
