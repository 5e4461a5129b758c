#!/usr/bin/env bash
# The numbers that the public headers give to names.
#
#   numbers.sh names                   the names of all enumerators
#   numbers.sh values BUILD-DIRECTORY  each name of the input, and its number
set -u
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd) || exit 1

case ${1-} in
  names)
    perl -0ne 's/\/\*.*?\*\///gs;
      while (/\benum\b[^{;()]*\{(.*?)\}/gs) {
        my $list = $1;
        print "$1\n" while $list =~ /\b(CHANGEFEED_[A-Z0-9_]+)\s*(?:[=,]|\z|\s*$)/gm;
      }' "$root"/include/changefeed/*.h
    ;;
  values)
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    {
      printf '#include <changefeed/changefeed.h>\n'
      printf '#include <changefeed/mirror.h>\n#include <stdio.h>\n'
      printf 'int main(void) {\n'
      while read -r name _; do
        printf '  printf("%s %%lld\\n", (long long)%s);\n' "$name" "$name"
      done
      printf '  return 0;\n}\n'
    } >"$work/numbers.c"
    "${CC:-cc}" -I"$root/include" -I"$2/include" "$work/numbers.c" \
      -o "$work/numbers" && "$work/numbers"
    ;;
  *)
    echo "usage: numbers.sh names | values BUILD-DIRECTORY" >&2
    exit 2
    ;;
esac
