#!/usr/bin/env bash
# Prints docs/options.md: the table of all options, as the library states it
# through `changefeed --help`. A test fails when the file is not what this makes.
#
#   docs/options.sh [COMMAND] >docs/options.md     COMMAND: default changefeed
set -euo pipefail

"${1:-changefeed}" --help | awk '
  function flush(  value, range, default_) {
    if (name == "") return
    sub(/^ /, "", text)
    range = ""
    default_ = ""
    if (match(text, / \[[^]]*default: [^]]*\]$/)) {
      range = substr(text, RSTART + 2, RLENGTH - 3)
      text = substr(text, 1, RSTART - 1)
      default_ = range
      sub(/^.*default: /, "", default_)
      sub(/;? *default: .*$/, "", range)
    }
    value = kind
    if (kind == "[=0|1]") value = "0 or 1"
    else if (kind == "=NUMBER") value = range
    else if (kind == "=TEXT") value = repeatable() ? "text, repeatable" : "text"
    else if (kind == "=JSON") value = "JSON"
    else {
      sub(/^=/, "", value)
      gsub(/\|/, "`, `", value)
      value = "`" value "`"
    }
    sub(/\.\./, " to ", value)
    gsub(/\|/, "\\|", text)
    printf "| `%s` | %s | %s | %s |\n", name, value,
      default_ == "" ? "" : "`" default_ "`", text
    name = ""
    count++
  }
  function repeatable() { return sub(/; repeatable$/, "", text) }

  /^Options of the library/ { inside = 1; next }
  /^Environment:/ { flush(); inside = 0 }
  !inside { next }
  /^  --/ {
    flush()
    name = $1
    sub(/^--/, "", name)
    kind = name
    sub(/^[a-z0-9_]*/, "", kind)
    name = substr(name, 1, length(name) - length(kind))
    text = ""
    next
  }
  /^        / && name != "" { sub(/^ +/, ""); text = text " " $0 }

  BEGIN {
    print "# Options"
    print ""
    print "Made by `docs/options.sh` from what the library says of itself; the"
    print "[manual](manual.md) explains them. In C: `changefeed_options_set(o,"
    print "\"NAME\", \"VALUE\")`. For the command: `--NAME=VALUE`, with `-` or `_`."
    print ""
    print "| option | value | default | meaning |"
    print "|---|---|---|---|"
  }
  END {
    flush()
    if (count < 50) {
      print "docs/options.sh: only " count + 0 " options found" >"/dev/stderr"
      exit 1
    }
  }'
