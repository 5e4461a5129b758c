/* Readers in other threads while the mirror changes, starts anew and audits:
   each version they take is one that was, whole, and stays as it is. And fork:
   the child leaves the mirror of its parent alone. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/mirror_in_couchsim.h"
#include "unit/scratch_dir.h"

enum { READERS = 3, PAIRS = 40, ROUNDS = 30 };

/* Documents come in pairs, a and b, in one batch of rows or none; the mirror's
   versions are whole batches, but a pair may be cut by two of them, so what is
   looked at is the version itself: count, walk and digest agree. */
typedef struct reader {
  pthread_t thread;
  atomic_bool *stop;
  uint64_t looks, wrong, values;
} reader;

typedef struct sum {
  changefeed_digest digest;
  uint64_t count;
  uint64_t freed;
  char last[64];
  bool ordered;
} sum;

static int add(void *ctx, const changefeed_entry *e) {
  sum *s = ctx;

  s->ordered = s->ordered && strcmp(s->last, e->id.data) < 0;
  (void)snprintf(s->last, sizeof s->last, "%s", e->id.data);
  (void)changefeed_digest_add(&s->digest, e->id.data, e->id.len, e->rev.data,
                              e->rev.len);
  s->count++;
  if (e->value != NULL)
    s->freed += ((const cft_made *)e->value)->freed;
  return 0;
}

static bool is_right(const changefeed_view *v) {
  sum s = {.ordered = true};
  changefeed_digest digest;
  uint64_t count = 0;

  (void)changefeed_view_each(v, NULL, NULL, add, &s);
  (void)changefeed_view_digest(v, NULL, NULL, &digest, &count);
  return s.ordered && s.count == count && changefeed_view_count(v) == count &&
         s.freed == 0 &&
         memcmp(digest.bytes, s.digest.bytes, sizeof digest.bytes) == 0;
}

static void *read_on(void *ctx) {
  reader *r = ctx;
  const changefeed_view *kept = changefeed_mirror_view(f.mirror);

  while (!atomic_load(r->stop)) {
    const changefeed_view *v = changefeed_mirror_view(f.mirror);

    r->wrong += !is_right(v);
    r->wrong += changefeed_mirror_is_synced(f.mirror) < 0;
    changefeed_view_release(v);
    if (++r->looks % 16 == 0) {
      r->wrong += !is_right(kept);
      changefeed_view_release(kept);
      kept = changefeed_mirror_view(f.mirror);
    }
  }
  changefeed_view_release(kept);
  return NULL;
}

static void start(reader *readers, atomic_bool *stop) {
  for (int i = 0; i < READERS; i++) {
    readers[i] = (reader){.stop = stop};
    ck_assert_int_eq(
        pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
  }
}

static void finish(reader *readers, atomic_bool *stop) {
  atomic_store(stop, true);
  for (int i = 0; i < READERS; i++) {
    ck_assert_int_eq(pthread_join(readers[i].thread, NULL), 0);
    ck_assert_uint_eq(readers[i].wrong, 0);
    ck_assert_uint_gt(readers[i].looks, 0);
  }
}

START_TEST(test_mirror_is_read_by_threads_while_all_changes) {
  static const int keeps[] = {CHANGEFEED_KEEP_REVS, CHANGEFEED_KEEP_DOCS,
                              CHANGEFEED_KEEP_VALUES};
  reader readers[READERS];
  atomic_bool stop = false;

  f.config.keep = keeps[_i];
  fill(0, 100);
  cft_mirrored_open(&f, NULL, url, "page_rows", "9", NULL);
  start(readers, &stop);
  expect_synced();
  for (int i = 0; i < ROUNDS; i++) {
    char id[16];

    (void)snprintf(id, sizeof id, "d%04d", (i * 7) % PAIRS);
    write_doc(id, i);
    if (i % 3 == 0)
      drop(id);
    if (i == ROUNDS / 2) {
      cft_couchsim_tell(sim, "recreate", "{\"db\":\"db\"}");
      fill(50, 120);
    }
    cft_loop_for(f.loop, 5);
  }
  expect_same();
  ck_assert_int_eq(changefeed_mirror_audit(f.mirror), CHANGEFEED_OK);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_AUDIT, 1, PATIENCE_MS));
  finish(readers, &stop);
  ck_assert_uint_eq(cft_mirrored_stats(&f).resets, 1);
}
END_TEST

static void *stop_it(void *ctx) {
  ck_assert_int_eq(changefeed_mirror_stop(ctx), CHANGEFEED_OK);
  return NULL;
}

START_TEST(test_mirror_is_stopped_by_another_thread) {
  pthread_t thread;

  fill(0, 50);
  open_mirror();
  expect_synced();
  ck_assert_int_eq(pthread_create(&thread, NULL, stop_it, f.mirror), 0);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  ck_assert_int_eq(f.over_code, CHANGEFEED_OK);
}
END_TEST

/* ---- fork ---- */

/* What went wrong, as an exit status. */
static int live_as_a_child(void) {
  changefeed_mirror_config c = CHANGEFEED_MIRROR_CONFIG_INIT;
  const changefeed_view *v = changefeed_mirror_view(f.mirror);
  changefeed_mirror *other = NULL;
  changefeed_options *o = NULL;

  if (changefeed_view_count(v) != 50)
    return 1;
  changefeed_view_release(v);
  if (changefeed_options_new(&o) != CHANGEFEED_OK ||
      changefeed_options_set(o, "url", url) != CHANGEFEED_OK)
    return 2;
  if (changefeed_mirror_open(&other, f.loop, o, &c) != CHANGEFEED_ERR_FORKED)
    return 3;
  changefeed_options_free(o);
  changefeed_loop_abandon(f.loop);
  return 0;
}

START_TEST(test_mirror_of_a_parent_is_left_alone_by_its_child) {
  scratch_dir dir;
  char path[1100];
  int status;
  pid_t child;

  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s", scratch_path(&dir, "snapshot"));
  f.config.snapshot = path;
  fill(0, 50);
  open_mirror();
  expect_synced();
  child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    (void)alarm(30);
    _exit(live_as_a_child());
  }
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child: %d",
                status);
  ck_assert(!scratch_exists(&dir, "snapshot"));
  write_doc("new", 1);
  expect_same();
  ck_assert_uint_eq(f.count[CFT_TOLD_OVER], 0);
  ck_assert_int_eq(changefeed_mirror_save(f.mirror, NULL), CHANGEFEED_OK);
  cft_mirrored_clear(&f);
  scratch_end(&dir);
}
END_TEST

int main(void) {
  Suite *s = suite_create("mirror threads");
  TCase *t = tcase_create("all");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_mirror_is_read_by_threads_while_all_changes, 0,
                      3);
  tcase_add_test(t, test_mirror_is_stopped_by_another_thread);
  tcase_add_test(t, test_mirror_of_a_parent_is_left_alone_by_its_child);
  suite_add_tcase(s, t);
  return cft_run(s);
}
