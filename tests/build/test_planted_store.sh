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

# The object stands before the archive: its functions are taken from it.
link_and_run() { # NAME
  "${CC:-cc}" "${flags[@]}" "$scratch/power_disk.o" "$scratch/test.o" \
    "$scratch/store_file.o" "$CFT_STATIC" -o "$scratch/run" "${libraries[@]}" \
    -lpthread || return 2
  "$scratch/run" >"$scratch/$1.out" 2>&1
}

compile "$root/tests/support/power_disk.c" "$scratch/power_disk.o" &&
  compile "$root/tests/unit/test_store_file_power.c" "$scratch/test.o" &&
  compile "$root/lib/store_file.c" "$scratch/store_file.o" || exit 1
link_and_run none || {
  echo "the checkpoint file as it is fails:"
  cat "$scratch/none.out"
  exit 1
}

failed=0
plant() { # NAME PERL-SUBSTITUTION
  local name=$1 change=$2 status
  cp "$root/lib/store_file.c" "$scratch/$name.c"
  perl -0pi -e "$change" "$scratch/$name.c"
  if cmp -s "$root/lib/store_file.c" "$scratch/$name.c"; then
    echo "$name: its place in lib/store_file.c is not there any more"
    failed=1
    return
  fi
  compile "$scratch/$name.c" "$scratch/store_file.o" || {
    echo "$name: does not compile"
    failed=1
    return
  }
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
  's/  if \(number == 0\)\n    number = sync_fd\(fd\);\n//'
plant directory-not-synced 's/number = sync_fd\(s->dir_fd\);/number = 0;/'
plant written-in-place \
  's/O_EXCL/O_TRUNC/; s/write_new\(s, s->tmp, ".tmp"/write_new(s, s->name, ""/; s/renameat\(s->dir_fd, s->tmp, s->dir_fd, s->name\) != 0/false/'
# shellcheck disable=SC2016 # $1 is perl's
plant removed-before-renamed \
  's/(  if \(rc == CHANGEFEED_OK &&\n      renameat\()/  (void)unlinkat(s->dir_fd, s->name, 0);\n$1/'
plant good-older-copy-removed \
  's/if \(s->newer_is_good\)\n    rc = keep_previous/rc = keep_previous/'
plant newer-copy-moved-away \
  's/linkat\(s->dir_fd, s->name, s->dir_fd, s->prev, 0\)/renameat(s->dir_fd, s->name, s->dir_fd, s->prev)/'
plant rest-of-a-write-forgotten 's/len -= \(size_t\)n;/len = 0;/'
plant older-copy-not-read \
  's/if \(rc == CHANGEFEED_END \|\| cfi_checkpoint_is_damage\(&newer\)\)/if (rc == CHANGEFEED_END)/'
exit $failed
