#!/usr/bin/env bash
# The man pages are well formed.
set -u
shopt -s nullglob
pages=("${CFT_SOURCE_DIR:?}"/docs/man/*.[1357])
if [ "${#pages[@]}" -eq 0 ] || ! command -v mandoc >/dev/null 2>&1; then
  echo "no man page or no mandoc"
  exit 77
fi
mandoc -T lint -W warning "${pages[@]}" || exit 1
echo "${#pages[@]} man pages without a warning"
