# shellcheck shell=bash
# What runs from outside have in common (../kernel/run.sh, ../visit/run.sh); to
# be sourced by them. They define `ways`, which prints a table of the ways of
# working known to be wrong: the way, what must be broken and what may be ("?"),
# options that provoke it.
#
#   runs_of PROGRAM [FLAG...] -- [ARGUMENT...]   what the script was asked for;
#                  FLAG: options of the program that take no value

export CFT_PLATFORM=${CFT_PLATFORM:-$root/build/dev/platform}
export CFT_COUCHSIM=${CFT_COUCHSIM:-$root/build/dev/tests/couchsim/couchsim}

# The comment at the top of the script.
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; }

is_among() { # WORD, WORDS...
  local one word=$1
  shift
  for one in "$@"; do
    [ "$one" != "$word" ] || return 0
  done
  return 1
}

runs_of() {
  local program=$CFT_PLATFORM/$1 flags=() file
  shift
  while [ "$1" != -- ]; do
    flags+=("$1")
    shift
  done
  shift
  naive=0 seeds=10 arguments=() wanted=()
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --naive) naive=1 ;;
      --seeds) seeds=${2:?--seeds takes a number} && shift ;;
      -*)
        arguments+=("$1")
        if ! is_among "$1" "${flags[@]}" && [ $# -ge 2 ]; then
          arguments+=("$2")
          shift
        fi
        ;;
      *) wanted+=("$1") ;;
    esac
    shift
  done
  for file in "$program" "$CFT_COUCHSIM"; do
    [ -x "$file" ] || {
      echo "run.sh: $file is not there; build the preset dev first" >&2
      exit 2
    }
  done
  if [ $naive = 0 ]; then
    [ ${#wanted[@]} = 0 ] || { usage >&2 && exit 2; }
    exec "$program" --seeds "$seeds" ${arguments[@]+"${arguments[@]}"}
  fi
  runs_naive "$program"
}

runs_naive() { # PROGRAM
  local one way expected how out status verdict broken held runs answer
  local all_well=0
  for one in ${wanted[@]+"${wanted[@]}"}; do
    ways | grep -q "^$one " || {
      echo "run.sh: there is no naive way \"$one\"" >&2
      exit 2
    }
  done
  out=$(mktemp) || exit 2
  # shellcheck disable=SC2064
  trap "rm -f '$out'" EXIT
  printf '%-10s %-18s %-16s %-24s %5s  %s\n' \
    way expected broken held runs 'as expected?'
  while read -r way expected how; do
    [ ${#wanted[@]} = 0 ] || is_among "$way" "${wanted[@]}" || continue
    # $how is words.
    # shellcheck disable=SC2086
    "$1" --naive "$way" --expect "$expected" --seeds "$seeds" $how \
      ${arguments[@]+"${arguments[@]}"} </dev/null >"$out" 2>&1
    status=$?
    # ok 2 runs of WAY: broken I2 I3; held I1 I4; expected ...
    verdict=$(grep ' runs of ' "$out" | tail -n 1)
    broken=${verdict#*: broken } held=${verdict#*; held }
    read -r _ runs _ <<<"$verdict"
    answer=yes
    [ $status = 0 ] || answer=NO all_well=1
    printf '%-10s %-18s %-16s %-24s %5s  %s\n' "$way" "$expected" \
      "${broken%%;*}" "${held%%;*}" "$runs" "$answer"
    [ $status = 0 ] || sed 's/^/    /' "$out"
  done < <(ways)
  exit $all_well
}
