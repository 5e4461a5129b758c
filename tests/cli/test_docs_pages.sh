#!/usr/bin/env bash
# The man pages of section 3 and the headers are one truth: each public name has
# a page, each prototype, member and enumerator is in it as it is declared, and
# whoever may call a function is told so. No page names what there is not, or
# refers to a page there is not.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

pages=(docs/man/*.3)
headers=(include/changefeed/*.h include/changefeed/*.h.in)
command=${CFT_CHANGEFEED:?is not set}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# ---- what the headers declare -----------------------------------------------

# FUNCTION|MARK|PROTOTYPE; ENUMERATOR|NUMBER|ENUM; MEMBER|-|STRUCT; and so on, a
# kind in front. The mark of a function is the last in the comment before it, or
# in one behind it.
awk '
  function squeeze(t) {
    gsub(/[ \t\n]+/, " ", t)
    gsub(/ ?\* ?/, "*", t)
    gsub(/ ?\( ?/, "(", t)
    gsub(/ ?\) ?/, ")", t)
    gsub(/ ?, ?/, ",", t)
    gsub(/^ | $/, "", t)
    return t
  }
  function no_comments(t,  i, j, out) {
    out = ""
    while ((i = index(t, "/*")) > 0) {
      out = out substr(t, 1, i - 1) " "
      t = substr(t, i + 2)
      j = index(t, "*/")
      t = substr(t, j + 2)
    }
    return out t
  }
  function mark_of(t,  found) {
    found = ""
    while (match(t, /\[(any|loop|outside|signal)\]/)) {
      found = substr(t, RSTART + 1, RLENGTH - 2)
      t = substr(t, RSTART + RLENGTH)
    }
    return found
  }
  function members(text, of,  n, m, i, j, parts, names) {
    n = split(no_comments(text), parts, ";")
    for (i = 1; i < n; i++) {
      if (match(parts[i], /\(\*[a-z_]+\)/)) {
        print "member|" substr(parts[i], RSTART + 2, RLENGTH - 3) "|" of
        continue
      }
      gsub(/\[[^]]*\]/, "", parts[i])
      m = split(parts[i], names, ",")
      for (j = 1; j <= m; j++)
        if (match(names[j], /[a-z0-9_]+ *$/))
          print "member|" substr(names[j], RSTART, RLENGTH) "|" of
    }
  }

  FNR == 1 { note = ""; in_note = 0; declared = "" }
  declared == "" && /^\/\*/ { note = ""; in_note = 1 }
  in_note { note = note " " $0; if (/\*\//) in_note = 0; next }
  declared == "" && /^CHANGEFEED_EXTERN/ { declared = "function" }
  declared == "" && /^enum .*\{/ { declared = "enum" }
  declared == "" && /^typedef struct .*\{/ { declared = "struct" }
  declared == "" && /^typedef struct [a-z_]+ [a-z_]+;/ {
    sub(/;/, "", $4)
    print "type|" $4 "|"
  }
  /^ *# *define CHANGEFEED_[A-Z_]+/ && !/_H$/ {
    match($0, /CHANGEFEED_[A-Z_]+/)
    print "macro|" substr($0, RSTART, RLENGTH) "|"
  }
  declared != "" { text = text " " $0 }
  declared == "function" && /;/ {
    prototype = squeeze(no_comments(text))
    sub(/^CHANGEFEED_EXTERN /, "", prototype)
    match(prototype, /changefeed_[a-z0-9_]+\(/)
    name = substr(prototype, RSTART, RLENGTH - 1)
    mark = mark_of(text)
    if (mark == "") mark = mark_of(note)
    print "function|" name "|" mark "|" prototype
    while (match(note, /[A-Z]+/)) {
      print "word|" substr(note, RSTART, RLENGTH) "|" name
      note = substr(note, RSTART + RLENGTH)
    }
    note = text = declared = ""
  }
  declared == "enum" && /\};|^enum \{.*\};/ {
    body = no_comments(text)
    name = "none"
    if (match(body, /enum changefeed_[a-z_]+/)) {
      name = substr(body, RSTART + 5, RLENGTH - 5)
      print "type|" name "|"
    }
    while (match(body, /CHANGEFEED_[A-Z_]+ = -?[0-9]+/)) {
      split(substr(body, RSTART, RLENGTH), value, " = ")
      print "enumerator|" value[1] "|" name "|" value[2]
      body = substr(body, RSTART + RLENGTH)
    }
    text = declared = ""
  }
  declared == "struct" && /^\} / {
    sub(/;/, "", $2)
    print "type|" $2 "|"
    sub(/^[^{]*\{/, "", text)
    sub(/\}[^}]*$/, "", text)
    members(text, $2)
    text = declared = ""
  }' "${headers[@]}" >"$work/declared" || exit 1

for kind in function:70 type:30 enumerator:55 member:150 macro:10; do
  count=$(grep -c "^${kind%:*}|" "$work/declared")
  [ "$count" -ge "${kind#*:}" ] ||
    fail "only $count names of the kind ${kind%:*} were found in the headers"
done
grep '^function|[a-z0-9_]*||' "$work/declared" |
  while IFS='|' read -r _ name _; do echo "$name"; done >"$work/unmarked"
while read -r name; do
  fail "no comment says where $name may be called"
done <"$work/unmarked"

# ---- what the pages say -----------------------------------------------------

# The names of the pages: NAME|PAGE.
for page in "${pages[@]}"; do
  sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([A-Za-z0-9_-]*\).*/\1/p' "$page" |
    sed "s,\$,|$page,"
done >"$work/names"
cut -d'|' -f1 "$work/names" | sort | uniq -d | while read -r name; do
  echo "$name"
done >"$work/twice"
[ ! -s "$work/twice" ] || fail "two pages have the name $(cat "$work/twice")"

declare -A page_named
while IFS='|' read -r name page; do
  page_named[$name]=$page
done <"$work/names"
page_of() { printf '%s\n' "${page_named[$1]-}"; }

# The SYNOPSIS as prototypes, squeezed like those of the headers.
prototypes() {
  awk '
    function fields(t,  n, list, i, out) { # words, quoted ones as one
      out = ""
      while (t != "") {
        sub(/^ +/, "", t)
        if (t ~ /^"/) {
          t = substr(t, 2)
          i = index(t, "\"")
        } else if ((i = index(t, " ")) == 0) {
          i = length(t) + 1
        }
        out = out (out == "" ? "" : ",") substr(t, 1, i - 1)
        t = substr(t, i + 1)
      }
      return out
    }
    function put(t) {
      gsub(/ ?\* ?/, "*", t)
      gsub(/ ?\( ?/, "(", t)
      gsub(/ ?\) ?/, ")", t)
      gsub(/ ?, ?/, ",", t)
      print t ";"
    }
    /^\.Sh/ { on = $2 == "SYNOPSIS" }
    !on { next }
    /^\.Ft/ { type = fields(substr($0, 5)) }
    /^\.Fn/ {
      name = $2
      sub(/^\.Fn [^ ]+ ?/, "")
      put(type " " name "(" fields($0) ")")
    }
    /^\.Fo/ { name = $2; arguments = "" }
    /^\.Fa/ {
      sub(/^\.Fa /, "")
      arguments = arguments (arguments == "" ? "" : ",") fields($0)
    }
    /^\.Fc/ { put(type " " name "(" arguments ")") }' "$1"
}
for page in "${pages[@]}"; do prototypes "$page"; done | sort >"$work/in_pages"
grep '^function|' "$work/declared" | cut -d'|' -f4 | sort >"$work/in_headers"
diff -u "$work/in_headers" "$work/in_pages" ||
  fail "the prototypes of the headers (-) and of the pages (+) differ"

# "Where it may be called": the sentence, of all functions of the page or of
# those that stand in front of it.
where_of() {
  awk -v name="$2" '
    /^\.S[hs]/ { on = /^\.Ss Where (it|they) may be called/ ; next }
    !on { next }
    /^\.Bl/ { list = 1; next }
    /^\.It/ { mine = ($0 " ") ~ ("Fn " name " "); next }
    /^In / && (!list || mine) { print }' "$1"
}
sentence() {
  case $1 in
    any) echo 'In any thread, also inside callbacks.' ;;
    loop) echo 'In the thread that drives the loop, also inside callbacks.' ;;
    outside) echo 'In the thread that drives the loop, but not inside a callback.' ;;
    signal) echo 'In any thread, also inside callbacks and in signal handlers.' ;;
  esac
}
# Later functions may share the mark of one before them in the header.
while IFS='|' read -r _ name mark _; do
  page=$(page_of "$name")
  [ -n "$page" ] || { fail "no page has the name $name" && continue; }
  [ "$(where_of "$page" "$name")" = "$(sentence "$mark")" ] ||
    fail "$page: where $name may be called is not [$mark]"
done < <(grep '^function|' "$work/declared")

# The errors that a function's comment names, in short, are among the return
# values of its page. TLS is a word of its own.
errors=0
while IFS='|' read -r _ error name; do
  [ "$error" != TLS ] || continue
  grep -q "^enumerator|CHANGEFEED_ERR_$error|" "$work/declared" || continue
  errors=$((errors + 1))
  page=$(page_of "$name")
  [ -z "$page" ] ||
    sed -n '/^\.Sh RETURN VALUES/,/^\.Sh [^R]/p' "$page" |
    grep -qw "CHANGEFEED_ERR_$error" ||
    fail "$page: $name answers CHANGEFEED_ERR_$error, says the header"
done < <(grep '^word|' "$work/declared" | sort -u)
[ "$errors" -ge 60 ] || fail "only $errors errors were found in the headers"

while IFS='|' read -r _ name _; do
  [ -n "$(page_of "$name")" ] || fail "no page has the name $name"
done < <(grep '^type|' "$work/declared")

while IFS='|' read -r _ name of number; do
  page=$(page_of "$of")
  if [ -z "$page" ]; then # of an enum without a name
    grep -qw "$name" "${pages[@]}" || fail "no page names $name"
    continue
  fi
  number=${number/#-/'\-'}
  grep -qxF -- ".It Dv $name Pq $number" "$page" ||
    fail "$page does not list $name with its number"
done < <(grep '^enumerator|' "$work/declared")

while IFS='|' read -r _ name of; do
  page=$(page_of "$of")
  [ -n "$page" ] || continue # told above
  grep -qE "^\.It Vt .*(Va |Fn \(\*)(.* )?[(*]*$name(\)|\[| |$)" "$page" ||
    fail "$page does not list $name of $of"
done < <(grep '^member|' "$work/declared")

while IFS='|' read -r _ name _; do
  grep -qw "$name" "${pages[@]}" || fail "no page names $name"
done < <(grep '^macro|' "$work/declared")

# ---- what there is not ------------------------------------------------------

cut -d'|' -f2 "$work/declared" | sort -u >"$work/public"
{
  grep -hv '^\.Dt' docs/man/*.[357] | grep -oE '\bCHANGEFEED_[A-Z_]+\b'
  grep -ohE '^\.(Fn|Fo|Vt) changefeed[a-z0-9_]*' docs/man/*.[357] | cut -d' ' -f2
} | sort -u >"$work/used"
while read -r name; do
  grep -qx "$name" "$work/public" || case $name in
    CHANGEFEED_STATIC) ;; # defined by who compiles
    *) fail "the pages name $name, which no header declares" ;;
  esac
done <"$work/used"

# A reference to a page of ours finds it, or one that has the name.
while read -r name section; do
  case $name in
    changefeed* | libchangefeed*) ;;
    *) continue ;;
  esac
  [ -f "docs/man/$name.$section" ] ||
    { [ "$section" = 3 ] && [ -n "$(page_of "$name")" ]; } ||
    fail "the pages refer to $name($section), which is not there"
done < <(sed -nE 's/^\.Xr ([^ ]+) ([0-9]).*/\1 \2/p' docs/man/*.[1357] | sort -u)

# Nobody is forgotten by the overview.
for page in "${pages[@]}"; do
  name=${page##*/}
  [ "$name" = libchangefeed.3 ] ||
    grep -qE "^\.Xr ${name%.3} 3( |$)" docs/man/libchangefeed.3 ||
    fail "libchangefeed.3 does not refer to $name"
  grep -qE '^\.Xr libchangefeed 3' "$page" || [ "$name" = libchangefeed.3 ] ||
    fail "$name does not refer to libchangefeed(3)"
done

# What is marked as an option, or as one of its values, is one.
# shellcheck disable=SC2016 # back quotes are markdown
docs/options.sh "$command" | sed -n 's/^| `/`/p' | cut -d'|' -f1,2 |
  grep -oE '`[a-z0-9_]+`' | tr -d '`' | sort -u >"$work/options"
[ "$(wc -l <"$work/options")" -gt 60 ] || fail "docs/options.sh says too little"
sed -nE 's/^\.(It )?Cm (.*)/\2/p' docs/man/*.[37] | tr ' ' '\n' |
  grep -E '^[a-z]+(_[a-z]+)*$' | sort -u | comm -23 - "$work/options" |
  grep -vxE 'true|false|yes|no|on|off|none|couch|now' >"$work/no_options"
[ ! -s "$work/no_options" ] ||
  fail "no option is called $(paste -sd " " "$work/no_options")"

[ "$failures" -eq 0 ] && echo "${#pages[@]} pages agree with the headers"
exit $((failures > 0))
