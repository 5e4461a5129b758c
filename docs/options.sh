#!/usr/bin/env bash
# Prints docs/options.md, or with --man docs/man/changefeed-options.5: the table
# of all options, as the library states it through `changefeed --help`. A test
# fails when the files are not what this makes.
#
#   docs/options.sh [--man] [COMMAND] >FILE     COMMAND: default changefeed
set -euo pipefail

form='md'
if [ "${1-}" = --man ]; then
  form='man'
  shift
fi

"${1:-changefeed}" --help | awk -v form="$form" '
  # One option: its name, kind, range, default and text.
  function flush(  range, default_, repeats) {
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
    sub(/\.\./, " to ", range)
    repeats = sub(/; repeatable$/, "", text)
    if (form == "md") row(range, default_, repeats)
    else item(range, default_, repeats)
    name = ""
    count++
  }

  function row(range, default_, repeats,  value) {
    value = kind
    if (kind == "[=0|1]") value = "0 or 1"
    else if (kind == "=NUMBER") value = range
    else if (kind == "=TEXT") value = repeats ? "text, repeatable" : "text"
    else if (kind == "=JSON") value = "JSON"
    else {
      sub(/^=/, "", value)
      gsub(/\|/, "`, `", value)
      value = "`" value "`"
    }
    gsub(/\|/, "\\|", text)
    printf "| `%s` | %s | %s | %s |\n", name, value,
      default_ == "" ? "" : "`" default_ "`", text
  }

  function item(range, default_, repeats,  value, more) {
    value = kind
    if (kind == "[=0|1]") value = "Cm 0 Ns | Ns Cm 1"
    else if (kind == "=NUMBER") value = "Ar number"
    else if (kind == "=TEXT") value = "Ar text"
    else if (kind == "=JSON") value = "Ar JSON"
    else {
      sub(/^=/, "", value)
      gsub(/\|/, " Ns | Ns Cm ", value)
      value = "Cm " value
    }
    printf ".It Cm %s Ns = Ns %s\n", name, value
    fill(toupper(substr(text, 1, 1)) substr(text, 2) ".")
    if (repeats) print "May be given up to 64 times."
    more = range == "" ? "" : "Range: " range
    if (default_ != "") more = (more == "" ? "Default: " : more "; default: ") default_
    if (more != "") print more "."
  }

  # No line is longer than 78 characters, or a request to the formatter.
  function fill(all,  words, n, i, line) {
    gsub(/\\/, "\\e", all)
    n = split(all, words, " ")
    line = words[1]
    for (i = 2; i <= n; i++) {
      if (length(line) + 1 + length(words[i]) > 78) {
        print (line ~ /^[.\047]/ ? "\\&" : "") line
        line = words[i]
      } else line = line " " words[i]
    }
    print (line ~ /^[.\047]/ ? "\\&" : "") line
  }

  function head_md() {
    print "# Options"
    print ""
    print "Made by `docs/options.sh` from what the library says of itself; the"
    print "[manual](manual.md) explains them. In C: `changefeed_options_set(o,"
    print "\"NAME\", \"VALUE\")`. For the command: `--NAME=VALUE`, with `-` or `_`."
    print ""
    print "| option | value | default | meaning |"
    print "|---|---|---|---|"
  }

  function head_man() {
    print ".\\\" Made by docs/options.sh from what the library says of itself."
    print ".Dd June 1, 2024"
    print ".Dt CHANGEFEED-OPTIONS 5"
    print ".Os"
    print ".Sh NAME"
    print ".Nm changefeed-options"
    print ".Nd options of a change feed"
    print ".Sh DESCRIPTION"
    print "Each option has a name, by which"
    print ".Xr changefeed_options_set 3"
    print "sets it, and a flag of"
    print ".Xr changefeed 1"
    print "that is called the same."
    print "In names"
    print ".Sq \\-"
    print "and"
    print ".Sq _"
    print "are the same."
    print "Numbers are decimal, without a unit."
    print "A switch is"
    print ".Cm 1 , true , yes , on"
    print "or"
    print ".Cm 0 , false , no , off ."
    print "What the options are for is told in"
    print ".Xr changefeed 7 ."
    print ".Bl -tag -width Ds"
  }

  function tail_man() {
    print ".El"
    print ".Sh SEE ALSO"
    print ".Xr changefeed 1 ,"
    print ".Xr changefeed_open 3 ,"
    print ".Xr changefeed_option_at 3 ,"
    print ".Xr changefeed_options_set 3 ,"
    print ".Xr libchangefeed 3 ,"
    print ".Xr changefeed 7"
  }

  BEGIN { if (form == "md") head_md(); else head_man() }
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
  END {
    flush()
    if (form == "man") tail_man()
    if (count < 50) {
      print "docs/options.sh: only " count + 0 " options found" >"/dev/stderr"
      exit 1
    }
  }'
