#!/usr/bin/env bash
# Every piece of C in the documents and man pages compiles, without a warning.
#
# A piece is a block fenced by ```c in Markdown, or .Bd -literal in a man page of
# section 3 or 7. One with an #include is a file. Another is the body of a
# function, for which docs_prelude.h declares what it may take as given; with a
# line <!-- c: file --> (Markdown) or .\" c: file (man) before it, it is a file
# behind that header.
# shellcheck disable=SC2016 # back quotes are markdown
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$root" || exit 1
includes=(-I include -I "${CFT_BINARY_DIR:?is not set}/include" -I tests/cli)
warnings=(-std=c99 -Wall -Wextra -Wpedantic -Wstrict-prototypes -Wundef
  -Wcast-qual -Wwrite-strings -Werror)

# Writes each piece of a document to $work/pieces/NAME.LINE, in front of it a
# line that says what it is.
pieces() { # document
  case $1 in
    *.md)
      awk -v to="$work/pieces/$(tr / _ <<<"$1")" '
        /^<!-- c: file -->$/ { kind = "file"; next }
        /^```c$/ { out = to "." FNR; print kind == "" ? "body" : kind >out; next }
        /^```/ { if (out != "") close(out); out = kind = ""; next }
        out != "" { print >out }
        out == "" && /[^ ]/ { kind = "" }' "$1"
      ;;
    *)
      awk -v to="$work/pieces/$(tr / _ <<<"$1")" '
        /^\.\\" c: file$/ { kind = "file"; next }
        /^\.Bd -literal/ { out = to "." FNR; print kind == "" ? "body" : kind >out; next }
        /^\.Ed/ { if (out != "") close(out); out = kind = ""; next }
        out != "" {
          sub(/^\\&/, "")
          gsub(/\\e/, "\\")
          gsub(/\\\(dq/, "\"")
          print >out
        }
        out == "" { kind = "" }' "$1"
      ;;
  esac
}

# Makes FILE.c of a piece; #line tells errors where they are in the document.
make_c() { # piece, document, line
  if grep -q '^# *include' "$1"; then
    printf '#line %s "%s"\n' "$(($3 + 1))" "$2"
    tail -n +2 "$1"
  else
    printf '#include "docs_prelude.h"\n'
    if [ "$(head -n 1 "$1")" = body ]; then
      printf 'void piece(void);\nvoid piece(void) {\n'
    fi
    printf '#line %s "%s"\n' "$(($3 + 1))" "$2"
    tail -n +2 "$1"
    [ "$(head -n 1 "$1")" != body ] || printf '}\n'
  fi
}

compiles() { # piece, document, line
  make_c "$1" "$2" "$3" >"$work/piece.c"
  "${CC:-cc}" "${warnings[@]}" "${includes[@]}" -fsyntax-only "$work/piece.c" \
    2>"$work/errors"
}

documents=0 count=0
for document in *.md docs/*.md docs/man/*.[37]; do
  rm -rf "$work/pieces"
  mkdir "$work/pieces" || exit 1
  pieces "$document"
  documents=$((documents + 1))
  for piece in "$work"/pieces/*; do
    [ -f "$piece" ] || continue
    count=$((count + 1))
    compiles "$piece" "$document" "${piece##*.}" || {
      cat "$work/errors"
      fail "$document: the C in line ${piece##*.} does not compile"
    }
  done
done
[ "$count" -ge 20 ] || fail "only $count pieces of C in $documents documents"

# The program of the overview is the example.
rm -rf "$work/pieces"
mkdir "$work/pieces" || exit 1
pieces docs/man/libchangefeed.3
cat "$work"/pieces/* | tail -n +2 | diff <(tail -n +2 examples/minimal.c) - ||
  fail "the program of libchangefeed.3 is not examples/minimal.c"

# The check itself: a wrong type, and a name that is not there.
mkdir -p "$work/planted" && cd "$work/planted" || exit 1
mkdir -p "$work/pieces"
rm -f "$work/pieces"/*
printf '```c\nchangefeed_stop(&feed);\n```\n\n```c\nchangefeed_halt(feed);\n```\n' \
  >planted.md
printf '.Bd -literal\nchangefeed_stop("x\\en");\n.Ed\n' >planted.3
pieces planted.md
pieces planted.3
cd "$root" || exit 1
planted=0
for piece in "$work"/pieces/*; do
  compiles "$piece" planted "${piece##*.}" || planted=$((planted + 1))
done
[ "$planted" -eq 3 ] || fail "of three planted mistakes $planted were found"

[ "$failures" -eq 0 ] && echo "$count pieces of C in $documents documents compile"
exit $((failures > 0))
