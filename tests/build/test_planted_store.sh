#!/usr/bin/env bash
# Does the test of power cuts see bugs? Plants known ones, one at a time, in a
# copy of the checkpoint file's source, and runs tests/unit/test_store_file_power
# with it: each must fail. A bug whose place in the source is not found any more
# is a failure too.
#
#   ctest: TIMEOUT 240
set -u

# What is seen does not depend on a sanitizer.
[ "${CFT_INSTRUMENTED:-0}" = 0 ] || exit 77
root=$CFT_SOURCE_DIR
scratch=$(mktemp -d) || exit 1
# A test that fails leaves its files behind. Programs may not run from here.
files=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) || exit 1
trap 'rm -rf "$scratch" "$files"' EXIT
export TMPDIR=$files
read -ra flags <<<"${CFT_CFLAGS:-}"
read -ra libraries < <(pkg-config --cflags --libs check libcurl yajl) || exit 1

compile() { # FILE OBJECT
  "${CC:-cc}" "${flags[@]}" -std=c11 -O1 -w -DCHANGEFEED_STATIC \
    -I"$root/lib" -I"$root/tests" -I"$root/include" \
    -I"$CFT_BINARY_DIR/include" -c "$1" -o "$2"
}

# The files in which bugs are planted. Their objects stand before the archive:
# their functions are taken from them.
sources=(store_file file_write)

link_and_run() { # NAME
  "${CC:-cc}" "${flags[@]}" "$scratch/power_disk.o" "$scratch/test.o" \
    "${sources[@]/#/$scratch/object.}" "$CFT_STATIC" -o "$scratch/run" \
    "${libraries[@]}" -lpthread || return 2
  "$scratch/run" >"$scratch/$1.out" 2>&1
}

# All sources with one change, which is in one of them at least.
compile_changed() { # NAME PERL-SUBSTITUTION
  local source changed=0
  for source in "${sources[@]}"; do
    perl -0p -e "$2" "$root/lib/$source.c" >"$scratch/$1.$source.c"
    cmp -s "$root/lib/$source.c" "$scratch/$1.$source.c" || changed=1
    if ! compile "$scratch/$1.$source.c" "$scratch/object.$source"; then
      echo "$1: does not compile"
      return 1
    fi
  done
  if [ "$changed" = 0 ] && [ -n "$2" ]; then
    echo "$1: its place is not there any more"
    return 1
  fi
}

compile "$root/tests/support/power_disk.c" "$scratch/power_disk.o" &&
  compile "$root/tests/unit/test_store_file_power.c" "$scratch/test.o" &&
  compile_changed none '' || exit 1
link_and_run none || {
  echo "the checkpoint file as it is fails:"
  cat "$scratch/none.out"
  exit 1
}

failed=0
plant() { # NAME PERL-SUBSTITUTION
  local name=$1 change=$2 status
  if ! compile_changed "$name" "$change"; then
    failed=1
    return
  fi
  link_and_run "$name"
  status=$?
  if [ "$status" -eq 1 ] && grep -q '^[^:]*:[0-9]*:F:' "$scratch/$name.out"
  then
    echo "$name: seen: $(sed -n 's/^[^:]*:[0-9]*:F:[^:]*:[^:]*:[0-9]*: //p' \
      "$scratch/$name.out" | head -1)"
  else
    echo "$name: NOT SEEN ($status)"
    failed=1
  fi
}

plant new-copy-not-synced \
  's/  if \(number == 0\)\n    number = cfi_file_sync\(fd\);\n//'
plant directory-not-synced \
  's/number = cfi_file_sync\(f->dir_fd\);/number = 0;/'
plant written-in-place \
  's/O_EXCL/O_TRUNC/; s/write_new\(s, CFI_FILE_ASIDE/write_new(s, CFI_FILE_ITSELF/; s/renameat\(f->dir_fd, f->names\[CFI_FILE_ASIDE\], f->dir_fd,\s*f->names\[CFI_FILE_ITSELF\]\) == 0/true/'
# shellcheck disable=SC2016 # $1 is perl's
plant removed-before-renamed \
  's/(  \*replaced = renameat\()/  cfi_file_remove(f, CFI_FILE_ITSELF);\n$1/'
plant good-older-copy-removed \
  's/if \(s->newer_is_good\)\n    rc = keep_previous/rc = keep_previous/'
plant newer-copy-moved-away \
  's/linkat\(dir, s->file.names\[CFI_FILE_ITSELF\], dir, prev, 0\)/renameat(dir, s->file.names[CFI_FILE_ITSELF], dir, prev)/'
plant rest-of-a-write-forgotten 's/len -= \(size_t\)n;/len = 0;/'
plant older-copy-not-read \
  's/if \(rc == CHANGEFEED_END \|\| cfi_checkpoint_is_damage\(&newer\)\)/if (rc == CHANGEFEED_END)/'
exit $failed
