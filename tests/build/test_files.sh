#!/usr/bin/env bash
# Files of the library and of the examples stay small enough to read, and each
# begins by saying what it is for.
set -u
cd "${CFT_SOURCE_DIR:?}" || exit 1

limit=500
failures=0 count=0

while IFS= read -r file; do
  count=$((count + 1))
  lines=$(wc -l <"$file")
  if [ "$lines" -gt "$limit" ]; then
    echo "$file: $lines lines; at most $limit"
    failures=$((failures + 1))
  fi
  if [ "$(head -c 2 "$file")" != '/*' ]; then
    echo "$file: does not begin with a comment that says what it is for"
    failures=$((failures + 1))
  fi
done < <(find lib examples -name node_modules -prune -o \
  -type f -name '*.[ch]' -print 2>/dev/null | LC_ALL=C sort)

if [ "$count" -eq 0 ]; then
  echo "no file was found"
  exit 1
fi
if [ "$failures" -ne 0 ]; then
  echo "$failures failures"
  exit 1
fi
echo "$count files of at most $limit lines"
