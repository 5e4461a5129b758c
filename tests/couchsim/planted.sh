#!/usr/bin/env bash
# Does the simulation see bugs? Plants known ones, one at a time, in a copy of
# the library, and runs seeds until each is told.
#
#   tests/couchsim/planted.sh [SEEDS] [NAME]
#
# A bug that SEEDS seeds (default 5000) do not show is a failure, and so is one
# whose place in the source is not found any more. NAME: this one alone.
# CFT_INCLUDE names a directory with the generated version.h, by default that
# of build/dev.
set -u
seeds=${1:-5000} only=${2:-}
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
root=$PWD include=${CFT_INCLUDE:-build/dev/include}
[ -f "$include/changefeed/version.h" ] || {
  echo "planted.sh: no version.h in $include; configure the preset dev" >&2
  exit 1
}
include=$(cd "$include" && pwd)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
read -ra libraries < <(pkg-config --libs libcurl yajl) || exit 1

compile() { # FILE OBJECT
  "${CC:-cc}" -std=c11 -O1 -w -I"$scratch/lib" -I"$root/tests" \
    -I"$root/include" -I"$include" -c "$1" -o "$2"
}

link_and_run() { # OUTPUT
  "${CC:-cc}" "$scratch"/*.o -o "$scratch/run" "${libraries[@]}" -lpthread &&
    "$scratch/run" --count "$seeds" >"$1" 2>&1
}

cp -r lib "$scratch/lib" || exit 1
for file in lib/*.c tests/couchsim/*.c; do
  compile "$file" "$scratch/$(basename "$file" .c).o" || exit 1
done
link_and_run "$scratch/out" || {
  echo "the library as it is fails:"
  head -1 "$scratch/out"
  exit 1
}

failed=0
plant() { # NAME FILE PERL-SUBSTITUTION
  local name=$1 file=$2 change=$3 object
  [ -z "$only" ] || [ "$only" = "$name" ] || return 0
  object=$scratch/$(basename "$file" .c).o
  cp "lib/$file" "$scratch/lib/$file"
  perl -0pi -e "$change" "$scratch/lib/$file"
  if cmp -s "lib/$file" "$scratch/lib/$file"; then
    echo "$name: its place in lib/$file is not there any more"
    failed=1
    return
  fi
  if ! compile "$scratch/lib/$file" "$object"; then
    echo "$name: does not compile"
    failed=1
  elif link_and_run "$scratch/out"; then
    echo "$name: NOT SEEN in $seeds seeds"
    failed=1
  else
    echo "$name: $(grep -m1 '^seed' "$scratch/out" || echo 'it crashes')"
  fi
  cp "lib/$file" "$scratch/lib/$file"
  compile "$scratch/lib/$file" "$object" || exit 1
}

plant position-before-ack window.c \
  's/(ok = push\(w, ordinal, seq\);\n)/$1  (void)set_position(w, seq);\n/'
plant partial-row-kept feed_rows.c \
  's/cfi_buf_clear\(&f->queue, QUEUE_KEEP\);\n  if \(f->rows != NULL\)\n    cfi_row_reset\(f->rows\);\n  cfi_frame_start\(&f->frame, f->frame.mode\);/return;/'
plant backoff-reset-on-connect feed_reply.c \
  's/(f->db_seen = true;\n  f->missing)/cfi_feed_recovered(f);\n  $1/'
plant watchdog-off feed_time.c \
  's/return f->byte_ms \+ f->idle_ms;/return CFI_NEVER;/'
plant seq-compared feed_rows.c \
  's/(case CFI_ROW_CHANGE:\n)/$1    if (row.seq.data != NULL \&\& f->resume.len != 0 \&\&\n        memcmp(row.seq.data, cfi_buf_data(\&f->resume), row.seq.len < f->resume.len ? row.seq.len : f->resume.len) < 0)\n      break;\n/'
plant reset-skipped feed_identity.c \
  's/begun \? difference\(f\) : NULL/begun ? NULL : difference(f)/'
plant last-seq-is-deletion feed_reply.c \
  's/(if \(f->ask == CFI_ASK_LIVE\) \{\n)/$1    (void)cfi_error_set(\&f->error, CHANGEFEED_ERR_NOTFOUND, "deleted");\n    cfi_feed_fatal(f);\n    return;\n/'
plant ack-out-of-order-is-done window.c \
  's/mark\(w, entry\);\n      retire\(w\);/for (size_t i = 0; i < w->count; i++) {\n        cfi_window_entry *e = entry_at(w, i);\n        if (!e->acked)\n          mark(w, e);\n        if (e == entry)\n          break;\n      }\n      retire(w);/'
plant bucket-off bucket.c \
  's/return b->level >= b->interval_ms \? 0 : b->interval_ms - b->level;/return 0;/'
plant delay-beyond-maximum backoff.c \
  's/return value < b->max_ms \? value : b->max_ms;/return value * 4;/'
plant live-by-assumption feed_reply.c \
  's/if \(more && f->set.descending == 0\)\n    return;//'
plant stop-waits feed.c \
  's/\(mail & CFI_MAIL_STOP\) != 0 &&/(mail \& CFI_MAIL_STOP) != 0 \&\& f->ask != CFI_ASK_LIVE \&\&/'
plant later-is-taken feed_rows.c \
  's/(verdict == CHANGEFEED_CONTINUE \|\| verdict == CHANGEFEED_STOP)/$1 || verdict == CHANGEFEED_LATER/'
plant last-seq-before-rows feed_rows.c \
  's/if \(f->held_count == 0 && may_deliver\(f\) && after_rows\(f\)\)/if (may_deliver(f) \&\& after_rows(f))/'
plant queue-without-limit feed_note.c \
  's/f->blocked = true;\n    return false;/;/'
plant deadline-without-credit feed_rows.c \
  's/ \|\| credit\(f\) == 0\)\n    return CFI_NEVER;/)\n    return CFI_NEVER;/'
plant progress-passes-rows window.c \
  's/ok = seq_store\(w->alloc, &entry_at\(w, w->count - 1\)->seq, seq\);/ok = set_position(w, seq);/'
exit $failed
