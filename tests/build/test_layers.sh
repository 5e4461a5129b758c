#!/usr/bin/env bash
# The layers of lib/ (layers.txt): includes go downwards, libcurl and yajl are
# known where the table says so, and nothing in the library writes to the
# terminal or ends the process.
set -u
cd "${CFT_SOURCE_DIR:?}/lib" || exit 1

table=$CFT_SOURCE_DIR/tests/build/layers.txt
layers=(base pure feed transport face)
patterns=() ranks=() flags=() failures=0

fail() {
  echo "$*"
  failures=$((failures + 1))
}

rank_of_layer() {
  local i
  for i in "${!layers[@]}"; do
    if [ "${layers[i]}" = "$1" ]; then
      echo "$i"
      return
    fi
  done
  return 1
}

# Sets entry to the table's line for a file name without its ending.
find_entry() {
  for entry in "${!patterns[@]}"; do
    # shellcheck disable=SC2053 # the table's names are patterns
    [[ $1 == ${patterns[entry]} ]] && return 0
  done
  return 1
}

while read -r pattern layer rest; do
  case $pattern in '' | '#'*) continue ;; esac
  if ! rank=$(rank_of_layer "$layer"); then
    fail "layers.txt: $pattern: no layer is called \"$layer\""
    continue
  fi
  for flag in $rest; do
    case $flag in
      curl | yajl) ;;
      *) fail "layers.txt: $pattern: \"$flag\" is not known" ;;
    esac
  done
  patterns+=("$pattern") ranks+=("$rank") flags+=(" $rest ")
done <"$table"

# The text without comments, strings and characters; include lines stay.
code_of() {
  awk '
    !comment && /^[ \t]*#[ \t]*include/ { print; next }
    {
      out = ""
      n = length($0)
      for (i = 1; i <= n; i++) {
        c = substr($0, i, 1)
        two = substr($0, i, 2)
        if (comment) {
          if (two == "*/") { comment = 0; i++ }
        } else if (quote != "") {
          if (c == "\\") i++
          else if (c == quote) { quote = ""; out = out c }
        } else if (two == "/*") {
          comment = 1; i++; out = out " "
        } else if (two == "//") {
          break
        } else {
          if (c == "\"" || c == "\047") quote = c
          out = out c
        }
      }
      print out
    }' "$1"
}

words='printf|vprintf|fprintf|vfprintf|dprintf|puts|fputs|putchar|putc|fputc'
words+='|perror|psignal|exit|_exit|_Exit|quick_exit|abort|assert|alloca|atexit'

shopt -s nullglob
files=(*.c *.h *.inc *.def)
[ "${#files[@]}" -gt 0 ] || fail "lib/ holds no file"

for file in "${files[@]}"; do
  if ! find_entry "${file%.*}"; then
    fail "lib/$file: in no layer; add it to tests/build/layers.txt"
    continue
  fi
  rank=${ranks[entry]} flag=${flags[entry]}

  while read -r number include; do
    case $include in
      '"changefeed/'*) ;;
      '"'*)
        name=${include#\"} name=${name%%\"*}
        if [ ! -f "$name" ]; then
          fail "lib/$file:$number: includes \"$name\", which is not in lib/"
        elif find_entry "${name%.*}" && [ "${ranks[entry]}" -gt "$rank" ]; then
          fail "lib/$file:$number: ${layers[rank]} includes \"$name\" of" \
            "${layers[ranks[entry]]}, which is above it"
        fi
        ;;
      '<curl/'*)
        [[ $flag == *" curl "* ]] ||
          fail "lib/$file:$number: includes $include; only the files marked" \
            "curl in layers.txt do"
        ;;
      '<yajl/'* | '<yajl_'*)
        [[ $flag == *" yajl "* ]] ||
          fail "lib/$file:$number: includes $include; only the files marked" \
            "yajl in layers.txt do"
        ;;
      '<assert.h>')
        fail "lib/$file:$number: includes $include; the library never aborts"
        ;;
    esac
  done < <(code_of "$file" | awk '
    /^[ \t]*#[ \t]*include/ {
      sub(/^[ \t]*#[ \t]*include[ \t]*/, ""); print NR, $0
    }')

  while IFS=: read -r number text; do
    fail "lib/$file:$number: the library neither prints nor ends the" \
      "process:$text"
  done < <(code_of "$file" | grep -nE \
    "(^|[^A-Za-z0-9_])(($words)[[:space:]]*\(|stdout|stderr)")
done

if [ "$failures" -ne 0 ]; then
  echo "$failures failures"
  exit 1
fi
echo "${#files[@]} files are in their layers"
