#!/usr/bin/env bash
# tests/known-failures.md against the tests: each number is in the table once,
# each test named there exists and is run, and a comment of the test, or the
# first comment of its file, names the number.
set -u
cd "${CFT_SOURCE_DIR:?}/tests" || exit 1

table='known-failures.md'
rows=93
failures=0

fail() {
  echo "$*"
  failures=$((failures + 1))
}

# Prints "test NAME NUMBER" for the numbers in comments that speak of known
# failures, NAME "*" for the file's first comment; and "has NAME" for each test.
# What stands between the end of one test and the end of the next is the next
# one's.
read_file() {
  awk '
    function finish(  n, i, parts) {
      if (tolower(text) ~ /known failure/) {
        n = split(text, parts, /[^0-9]+/)
        for (i = 1; i <= n; i++)
          if (parts[i] != "") {
            if (!seen_code) print "test * " parts[i]
            else numbers[++count] = parts[i]
          }
      }
      text = ""
    }
    {
      rest = $0
      while (rest != "") {
        if (comment) {
          at = index(rest, "*/")
          if (at == 0) { text = text " " rest; rest = ""; break }
          text = text " " substr(rest, 1, at - 1)
          rest = substr(rest, at + 2)
          comment = 0
          finish()
        } else {
          at = index(rest, "/*")
          code = at == 0 ? rest : substr(rest, 1, at - 1)
          if (code ~ /[^ \t]/) seen_code = 1
          if (at == 0) { rest = ""; break }
          rest = substr(rest, at + 2)
          comment = 1
        }
      }
      if (text != "") text = text " "
    }
    /^START_TEST\(/ || (starts && /^ *test_/) {
      name = $0
      sub(/^START_TEST\(/, "", name)
      gsub(/[ \t(){]/, "", name)
      starts = name == ""
      if (name != "") { print "has " name; current = name }
    }
    /^END_TEST/ {
      for (i = 1; i <= count; i++) print "test " current " " numbers[i]
      count = 0
    }
  ' "$1"
}

declare -A known=() count=()

# What the tests of a file say, kept in known.
load_file() {
  local word name number
  [ -z "${known[$1]+x}" ] || return 0
  known[$1]=1
  while read -r word name number; do
    if [ "$word" = has ]; then
      known[$1:$name]=1
    else
      known[$1:$name:$number]=1
    fi
  done < <(read_file "$1")
}

check_test() {
  local number=$1 file=$2 name=$3
  if [ ! -f "$file" ]; then
    fail "$table: $number: there is no tests/$file"
    return
  fi
  load_file "$file"
  if [ -z "${known[$file:$name]+x}" ]; then
    fail "$table: $number: tests/$file has no test $name"
  elif [ -z "${known[$file:$name:$number]+x}${known[$file:*:$number]+x}" ]; then
    fail "tests/$file: $name: no comment names known failure $number"
  elif [ "$(grep -cE "(^|[^a-z0-9_])$name([^a-z0-9_]|$)" "$file")" -lt 2 ]; then
    fail "tests/$file: $name is not run"
  fi
}

while IFS='|' read -r _ number _ tests _; do
  number=${number// /}
  case $number in '' | *[!0-9]*) continue ;; esac
  count[$number]=$((${count[$number]:-0} + 1))
  named=0
  while IFS= read -r part; do
    file=${part#*\`} file=${file%%\`*}
    # shellcheck disable=SC2016 # the backquotes are those of the table
    while IFS= read -r name; do
      check_test "$number" "$file" "$name"
      named=$((named + 1))
    done < <(grep -oE '`test_[a-z0-9_]+`' <<<"$part" | tr -d '`')
  done < <(tr ';' '\n' <<<"$tests")
  [ "$named" -ne 0 ] || fail "$table: $number: no test is named"
done <"$table"

for ((number = 1; number <= rows; number++)); do
  [ "${count[$number]:-0}" -eq 1 ] ||
    fail "$table: $number is there ${count[$number]:-0} times, not once"
done
[ "${#count[@]}" -eq "$rows" ] ||
  fail "$table: ${#count[@]} numbers, not 1 to $rows"

if [ "$failures" -ne 0 ]; then
  echo "$failures failures"
  exit 1
fi
