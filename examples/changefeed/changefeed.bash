# bash completion for changefeed; flags and their words come from its --help.
# shellcheck shell=bash

_changefeed() {
  local command=$1 current=$2 flag=$3 help words
  COMPREPLY=()
  help=$("$command" --help 2>/dev/null) || return 0

  # "--name=value" comes as three words: '=' is in COMP_WORDBREAKS.
  if [ "$current" = = ]; then
    current=
  elif [ "$flag" = = ] && [ "$COMP_CWORD" -ge 2 ]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  elif [[ $current == -* ]]; then
    words=$(sed -nE 's/^  (--[a-z0-9_-]+)([=[].*)?$/\1/p' <<<"$help")
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return 0
  fi

  [[ $flag == --* ]] || return 0
  flag=${flag#--}
  words=$(sed -nE "s/^  --${flag//[-_]/[-_]}\\[?=([^]]*)\\]?\$/\\1/p" <<<"$help")
  if [[ $words == *'|'* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "${words//|/ }" -- "$current")
  elif [[ $flag =~ (file|cert|key|socket)$ ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -o filenames -F _changefeed changefeed
