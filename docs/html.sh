#!/usr/bin/env bash
# Makes HTML of all documents and man pages, with links between them.
#
#   docs/html.sh DIRECTORY
#
# DIRECTORY is made when it is not there; what is in it already is overwritten
# where it has the same name, and left otherwise. index.html leads to the rest.
# Needs mandoc and cmark-gfm (Debian packages of these names).
set -euo pipefail

[ "$#" -eq 1 ] || {
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
  exit 2
}
for tool in mandoc cmark-gfm; do
  command -v "$tool" >/dev/null || {
    echo "docs/html.sh: $tool is not installed" >&2
    exit 1
  }
done
mkdir -p "$1/man"
out=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

documents=(README.md docs/manual.md docs/options.md docs/design.md CHANGELOG.md
  SECURITY.md CONTRIBUTING.md)
for document in docs/*.md tests/known-failures.md; do
  case " ${documents[*]} " in
    *" $document "*) ;;
    *) documents+=("$document") ;;
  esac
done

page() { # title, path of the style sheet; the body comes on standard input
  printf '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
  printf '<title>%s</title>\n<link rel="stylesheet" href="%s">\n' "$1" "$2"
  printf '</head>\n<body>\n'
  cat
  printf '</body>\n</html>\n'
}

escaped() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'; }

# ---- documents --------------------------------------------------------------

# Headings get the names by which documents refer to them, and links to
# documents go to their HTML.
with_anchors() {
  awk '
    /^<h[1-6]>/ {
      name = $0
      gsub(/<[^>]*>/, "", name)
      gsub(/&[a-z]+;/, "", name)
      name = tolower(name)
      gsub(/[^a-z0-9 _-]/, "", name)
      gsub(/ /, "-", name)
      if (seen[name]++) name = name "-" (seen[name] - 1)
      sub(/^<h[1-6]/, "& id=\"" name "\"")
    }
    {
      line = ""
      while (match($0, /href="[^":]*\.md["#]/)) {
        line = line substr($0, 1, RSTART + RLENGTH - 5) ".html" \
          substr($0, RSTART + RLENGTH - 1, 1)
        $0 = substr($0, RSTART + RLENGTH)
      }
      print line $0
    }'
}

# Files of the project that a document shows or refers to, as they are.
take_along() { # document, its HTML
  local directory target
  directory=$(dirname "$1")
  while read -r target; do
    [ -f "$directory/$target" ] || continue
    target=$(realpath --relative-to=. "$directory/$target")
    mkdir -p "$out/$(dirname "$target")"
    cp "$target" "$out/$target"
  done < <(grep -oE '(href|src)="[^":#]+' "$2" | sed 's/^[a-z]*="//' | sort -u)
}

for document in "${documents[@]}"; do
  html=$out/${document%.md}.html
  mkdir -p "$(dirname "$html")"
  up=
  case $document in */*) up=../ ;; esac
  title=$(sed -n 's/^# //p;/^# /q' "$document" | escaped)
  {
    printf '<p><a href="%sindex.html">index</a></p>\n' "$up"
    cmark-gfm --unsafe -e table "$document" | with_anchors
  } | page "$title" "${up}style.css" >"$html"
  take_along "$document" "$html"
done

# ---- man pages --------------------------------------------------------------

names() { sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([^ ]*\).*/\1/p' "$1"; }

# mandoc refers to a page of ours when it finds a file of the page's name, and to
# Debian's otherwise.
ours=$(mktemp -d)
trap 'rm -rf "$ours"' EXIT
pages=(docs/man/*.[1357])
for page in "${pages[@]}"; do
  name=${page##*/}
  : >"$ours/$name"
  [ "${name##*.}" = 3 ] || continue
  for other in $(names "$page"); do
    [ "$other.3" != "$name" ] || continue
    : >"$ours/$other.3"
    printf '<meta http-equiv="refresh" content="0; url=%s.html">\n<p><a href="%s.html">%s</a></p>\n' \
      "$name" "$name" "$name" |
      page "$other(3)" ../style.css >"$out/man/$other.3.html"
  done
done
debian='https://manpages.debian.org/bookworm/%N.%S.en.html'
for page in "${pages[@]}"; do
  name=${page##*/}
  source=$PWD/$page
  (cd "$ours" &&
    mandoc -T html -O "fragment,man=%N.%S.html;$debian" "$source") |
    { printf '<p><a href="../index.html">index</a></p>\n' && cat; } |
    page "${name%.*}(${name##*.})" ../style.css >"$out/man/$name.html"
done

# ---- the index --------------------------------------------------------------

{
  printf '<h1>libchangefeed</h1>\n<ul>\n'
  for document in "${documents[@]}"; do
    printf '<li><a href="%s.html">%s</a></li>\n' "${document%.md}" \
      "$(sed -n 's/^# //p;/^# /q' "$document" | escaped)"
  done
  printf '</ul>\n<h2>Man pages</h2>\n<ul>\n'
  for name in libchangefeed.3 changefeed.7 changefeed-options.5; do
    printf 'docs/man/%s\n' "$name"
  done | cat - <(printf '%s\n' "${pages[@]}") | awk '!seen[$0]++' |
    while read -r page; do
      name=${page##*/}
      printf '<li><a href="man/%s.html">%s(%s)</a>: %s</li>\n' "$name" \
        "${name%.*}" "${name##*.}" "$(sed -n 's/^\.Nd //p' "$page" | escaped)"
    done
  printf '</ul>\n'
} | page libchangefeed style.css >"$out/index.html"

cat >"$out/style.css" <<'CSS'
body { max-width: 50em; margin: 2em auto; padding: 0 1em;
  font: 16px/1.5 sans-serif; color: #222; background: #fff; }
code, pre, .Bd, code.Nm, code.Fn { font-family: monospace; font-size: 0.95em; }
pre { overflow-x: auto; padding: 0.5em 1em; background: #f4f4f4; }
table { border-collapse: collapse; }
td, th { padding: 0.2em 0.6em; border: 1px solid #ccc; text-align: left;
  vertical-align: top; }
table.head, table.foot { width: 100%; }
table.head td, table.foot td, table.Nm td { border: none; }
td.head-vol { text-align: center; }
td.head-rtitle, td.foot-os { text-align: right; }
dd { margin-left: 2em; }
.Bl-tag > dd { margin-bottom: 0.5em; }
.Nd, .Bl-compact { display: inline; }
a.permalink { color: inherit; text-decoration: none; }
CSS
