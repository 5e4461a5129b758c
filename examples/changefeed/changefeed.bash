# bash completion for changefeed and its sub-commands; flags and their words
# come from --help.
# shellcheck shell=bash

_changefeed() {
  local command=$1 current=$2 flag=$3 help words sub=()
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ] && [[ $current != -* ]]; then
    "$command" --version >/dev/null 2>&1 || return 0
    mapfile -t COMPREPLY < <(compgen -W "mirror diff" -- "$current")
    return 0
  fi
  case ${COMP_WORDS[1]-} in
    mirror | diff) sub=("${COMP_WORDS[1]}") ;;
  esac
  help=$("$command" "${sub[@]}" --help 2>/dev/null) || return 0

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

  if [[ $flag != --* ]]; then
    # A side of diff may be a snapshot.
    [ "${sub[*]}" != diff ] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
    return 0
  fi
  flag=${flag#--}
  words=$(sed -nE "s/^  --${flag//[-_]/[-_]}\\[?=([^]]*)\\]?\$/\\1/p" <<<"$help")
  if [[ $words == *'|'* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "${words//|/ }" -- "$current")
  elif [[ $flag =~ (file|cert|key|socket|snapshot)$ ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -o filenames -F _changefeed changefeed
