#!/usr/bin/env bash
# Does the simulation see bugs? Plants known ones, one at a time, in a copy of
# the library, and runs seeds until each is told.
#
#   tests/couchsim/planted.sh [--mirror] [SEEDS] [NAME...]
#
# --mirror: the bugs of mirrors, not those of feeds.
# A bug that SEEDS seeds (default 8000) do not show is a failure, and so is one
# whose place is not found in exactly one file of the source. NAME: these alone.
# CFT_INCLUDE names a directory with the generated version.h, by default that
# of build/dev.
#
# One of the ten bugs that the simulation of a whole feed cannot show, for it
# keeps the position in memory, is planted elsewhere: a file that is not synced
# or not renamed is found by the power cuts of tests/unit/test_store_file_power.c.
# shellcheck disable=SC2016 # $1 is Perl's
set -u
what=()
if [ "${1-}" = --mirror ]; then
  what=(--mirror)
  shift
fi
seeds=${1:-8000}
[ $# -eq 0 ] || shift
only=" $* "
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
export -f compile
export scratch root include

link_and_run() { # OUTPUT [SEED]
  "${CC:-cc}" "$scratch"/*.o -o "$scratch/run" "${libraries[@]}" -lpthread ||
    return
  [ -z "${2-}" ] ||
    "$scratch/run" ${what[@]+"${what[@]}"} --seed "$2" >"$1" 2>&1 || return
  "$scratch/run" ${what[@]+"${what[@]}"} --count "$seeds" >"$1" 2>&1
}

cp -r lib "$scratch/lib" || exit 1
printf '%s\n' lib/*.c tests/couchsim/*.c |
  xargs -P "$(nproc)" -I{} bash -c \
    'compile "$0" "$scratch/$(basename "$0" .c).o"' {} || exit 1
# Other tests run many seeds of it; here only that the build is good.
all=$seeds seeds=1000
link_and_run "$scratch/out" || {
  echo "the library as it is fails:"
  grep -m1 '^seed' "$scratch/out"
  exit 1
}
seeds=$all

failed=0
say_failed() {
  echo "$1"
  failed=1
}

# Changes the one file in which the place is; its name in $changed.
change() { # PERL-SUBSTITUTION
  local file copy count=0
  for file in lib/*.c; do
    copy=$scratch/lib/$(basename "$file")
    perl -0pe "$1" "$file" >"$scratch/changed.c"
    cmp -s "$file" "$scratch/changed.c" && continue
    cp "$scratch/changed.c" "$copy"
    changed=$file
    count=$((count + 1))
  done
  [ "$count" -eq 1 ]
}

# SEED: one that has shown the bug; looked at first, to save time.
plant() { # NAME PERL-SUBSTITUTION [SEED]
  local name=$1 object changed=
  [ "$only" = "  " ] || [[ $only == *" $name "* ]] || return 0
  if ! change "$2"; then
    say_failed "$name: its place is not in the source any more, or twice"
    cp lib/*.c "$scratch/lib/"
    return
  fi
  object=$scratch/$(basename "$changed" .c).o
  if ! compile "$scratch/lib/$(basename "$changed")" "$object"; then
    say_failed "$name: does not compile"
  elif link_and_run "$scratch/out" "${3-}"; then
    say_failed "$name: NOT SEEN in $seeds seeds"
  else
    echo "$name: $(grep -m1 '^seed' "$scratch/out" || echo 'it crashes')"
  fi
  cp "$changed" "$scratch/lib/"
  compile "$changed" "$object" || exit 1
}

if [ ${#what[@]} -ne 0 ]; then
  . tests/couchsim/planted_mirror.sh
  exit $failed
fi

# The ten of old, and what they are made of.
plant position-before-ack \
  's/(  ok = push\(w, ordinal, seq\);\n)(?!.*  ok = push\(w, ordinal, seq\);\n  pthread)/$1  (void)set_position(w, seq);\n/s'
plant partial-row-kept \
  's/cfi_buf_clear\(&f->queue, QUEUE_KEEP\);\n  if \(f->rows != NULL\)\n    cfi_row_reset\(f->rows\);\n  cfi_frame_start\(&f->frame, f->frame.mode\);/return;/'
plant backoff-reset-on-connect \
  's/(f->db_seen = true;\n  if \(f->main.ask)/cfi_feed_recovered(f);\n  $1/'
plant watchdog-off \
  's/return f->byte_ms \+ f->idle_ms;/return CFI_NEVER;/'
plant seq-compared \
  's/(case CFI_ROW_CHANGE:\n)/$1    if (held->row.seq.data != NULL \&\& f->resume.len != 0 \&\&\n        memcmp(held->row.seq.data, cfi_buf_data(\&f->resume), held->row.seq.len < f->resume.len ? held->row.seq.len : f->resume.len) < 0)\n      break;\n/'
plant reset-skipped \
  's/has_begun\(f\) \? difference\(f, ask\) : NULL/has_begun(f) ? NULL : difference(f, ask)/'
plant last-seq-is-deletion \
  's/(f->stats.pending = pending;\n  if \(f->main.ask == CFI_ASK_LIVE\) \{\n)/$1    (void)cfi_error_set(\&f->error, CHANGEFEED_ERR_NOTFOUND, "deleted");\n    cfi_feed_fatal(f);\n    return;\n/'
plant ack-out-of-order-is-done \
  's/mark\(w, entry\);\n      retire\(w\);/for (size_t i = 0; i < w->count; i++) {\n        cfi_window_entry *e = entry_at(w, i);\n        if (!e->acked)\n          mark(w, e);\n        if (e == entry)\n          break;\n      }\n      retire(w);/'
plant bucket-off \
  's/return b->level >= level \? 0 : level - b->level;/return 0;/'
plant delay-beyond-maximum \
  's/return value < b->max_ms \? value : b->max_ms;/return value * 4;/'
plant live-by-assumption \
  's/: more \&\& f->set.descending == 0\)/: false)/'
plant stop-waits \
  's/\(mail & CFI_MAIL_STOP\) == 0 \|\|/(mail \& CFI_MAIL_STOP) == 0 || f->main.ask == CFI_ASK_LIVE ||/'
plant later-is-taken \
  's/(\*verdict == CHANGEFEED_CONTINUE \|\| \*verdict == CHANGEFEED_STOP)/$1 || *verdict == CHANGEFEED_LATER/'
plant last-seq-before-rows \
  's/if \(f->held_count == 0 && ((?:cfi_feed_)?may_deliver\(f\)) && after_rows\(f\)\)/if ($1 \&\& after_rows(f))/'
plant queue-without-limit \
  's/f->blocked = true;\n    return false;/;/'
plant deadline-without-credit \
  's/ \|\| (?:cfi_feed_)?credit\(f\) == 0\)\n    return CFI_NEVER;/)\n    return CFI_NEVER;/'
plant progress-passes-rows \
  's/ok = seq_store\(w->alloc, &entry_at\(w, w->count - 1\)->seq, seq\);/ok = set_position(w, seq);/'
# Requests beside others: who is it, and does it know us?
plant rows-before-confirmed \
  's/f->tail = f->body_fault = f->renew = f->verified = false;/f->tail = f->body_fault = f->renew = false;\n  f->verified = true;/'
plant identity-not-compared \
  's/if \(comparable &&\n      !same_text/if (false \&\&\n      !same_text/'
plant identity-kept-over-a-reset \
  's/  forget_database\(f\);\n/  cfi_free(f->alloc, f->identity.marker);\n  f->identity.marker = NULL;\n/'
plant marker-not-compared \
  's/strcmp\(f->identity.marker, info.marker.data\) != 0/false/'
plant session-check-skipped \
  's/(static bool session_is_due\(const changefeed \*f\) \{\n)/$1  return false;\n/'
plant uuid-ignored-after-fail-over \
  's/(f->endpoint = \(f->endpoint \+ 1\) % \(f->endpoint_count \+ 1\);\n)  f->server_known = false;\n/$1/'
plant never-home-again \
  's/f->go_home = f->renew = true;/;/'
plant now-not-pinned \
  's/(\n +)\(!cfi_window_progress\(&f->window, seq\) \|\|\n +!cfi_feed_set_resume\(f, seq, true\)\)/$1(f->resume.len != 3 || memcmp(cfi_buf_data(\&f->resume), "now", 3) != 0) \&\&$1(!cfi_window_progress(\&f->window, seq) ||$1 !cfi_feed_set_resume(f, seq, true))/'
plant damage-is-silent \
  's/f->pending_reset = "checkpoint damaged";\n    rc = CHANGEFEED_OK;\n  \}\n  cfi_checkpoint_free/rc = CHANGEFEED_OK;\n  }\n  cfi_checkpoint_free/'
# Positions in the database.
plant save-over-another-follower \
  's/(static bool is_ours\(const cfi_local[^)]*\) \{\n)/$1  return true;\n/'
plant failed-save-is-one \
  's/rc == CFI_INFO_OK && \(l->status == 201 \|\| l->status == 202\)/rc == CFI_INFO_OK/'
plant any-404-is-no-position \
  's/rc == CFI_INFO_OK && cfi_str_equal\(info.error, "not_found"\) &&/rc == CFI_INFO_OK \&\&/'
plant saves-are-free \
  's/  else\n    f->stats.unproductive\+\+;\n/  else\n    cfi_bucket_refund(\&f->bucket, cfi_feed_now(f));\n/'
exit $failed
