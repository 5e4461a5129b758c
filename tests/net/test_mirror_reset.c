/* A database that is deleted and made again while it is mirrored: readers see
   what was, and then what is, in one step; and what is gone is told once.
   ctest: COST 43 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/mirror_in_couchsim.h"

static const int starts[] = {CHANGEFEED_START_LIST, CHANGEFEED_START_CHANGES};
static const int keeps[] = {CHANGEFEED_KEEP_REVS, CHANGEFEED_KEEP_DOCS,
                            CHANGEFEED_KEEP_VALUES};

static void recreate(void) {
  cft_couchsim_tell(sim, "recreate", "{\"db\":\"db\"}");
}

static uint64_t count_now(void) {
  const changefeed_view *v = changefeed_mirror_view(f.mirror);
  uint64_t count = changefeed_view_count(v);

  changefeed_view_release(v);
  return count;
}

/* ---- while it is in step ---- */

typedef struct watch {
  uint64_t before, after;
  unsigned looks, wrong;
} watch;

/* Inside callbacks, too, a reader sees all of one history. */
static int look(cft_mirrored *m, enum cft_told kind,
                const changefeed_entry *entry) {
  watch *w = m->user;
  uint64_t count;

  (void)kind;
  (void)entry;
  if (w == NULL || m->mirror == NULL)
    return CHANGEFEED_CONTINUE;
  count = count_now();
  w->looks++;
  w->wrong += count != w->before && count != w->after;
  return CHANGEFEED_CONTINUE;
}

static bool is_synced_again(void *user) {
  const watch *w = user;
  uint64_t count = count_now();

  ck_assert_msg(count == w->before || count == w->after,
                "a reader sees %llu documents", (unsigned long long)count);
  return f.count[CFT_TOLD_SYNCED] == 2;
}

START_TEST(test_mirror_shows_another_history_in_one_step) {
  const changefeed_view *old;
  changefeed_entry e;
  watch w = {100, 41, 0, 0};
  char why[300];

  f.config.keep = keeps[_i];
  f.config.start = starts[_i % 2];
  f.on_told = look;
  fill(0, 100);
  open_mirror();
  expect_synced();
  old = changefeed_mirror_view(f.mirror);
  f.user = &w;
  recreate();
  fill(80, 120); /* some as before, in the same revision */
  write_doc("d0090", 5);
  write_doc("e", 1);
  ck_assert(cft_loop_until(f.loop, is_synced_again, &w, PATIENCE_MS));
  ck_assert_uint_gt(w.looks, 0);
  ck_assert_uint_eq(w.wrong, 0);
  expect_same();
  ck_assert_uint_eq(count_now(), 41);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 80);
  /* 20 new, one in another revision, and e. */
  ck_assert_uint_eq(f.count[CFT_TOLD_PUT], 100 + 22);
  ck_assert_uint_eq(cft_mirrored_stats(&f).resets, 1);
  ck_assert_uint_eq(cft_mirrored_stats(&f).syncs, 2);
  ck_assert_uint_eq(changefeed_view_count(old), 100);
  ck_assert_int_eq(changefeed_view_get(old, "d0000", 5, &e), CHANGEFEED_OK);
  if (e.value != NULL)
    ck_assert_uint_eq(((cft_made *)e.value)->freed, 0);
  ck_assert(!cft_view_is(old, sim, 0, "db", NULL, NULL, why, sizeof why));
  changefeed_view_release(old);
  write_doc("f", 1);
  expect_same();
}
END_TEST

START_TEST(test_mirror_of_a_database_made_empty_is_empty) {
  f.config.start = starts[_i];
  fill(0, 30);
  open_mirror();
  expect_synced();
  recreate();
  expect_synced();
  ck_assert_uint_eq(count_now(), 0);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 30);
  fill(10, 20);
  expect_same();
}
END_TEST

/* What on_put made of this very revision stays with it. */
START_TEST(test_mirror_keeps_values_of_documents_that_are_the_same) {
  changefeed_entry e;
  cft_made *before;

  f.config.keep = CHANGEFEED_KEEP_VALUES;
  fill(0, 10);
  open_mirror();
  expect_synced();
  ck_assert_int_eq(changefeed_mirror_get(f.mirror, "d0005", 5, &e), 0);
  before = e.value;
  recreate();
  fill(5, 10);
  expect_synced();
  expect_same();
  ck_assert_int_eq(changefeed_mirror_get(f.mirror, "d0005", 5, &e), 0);
  ck_assert(e.value == before);
  ck_assert_uint_eq(before->freed, 0);
}
END_TEST

START_TEST(test_mirror_lives_through_many_histories) {
  fill(0, 20);
  open_mirror();
  expect_synced();
  for (unsigned i = 0; i < 5; i++) {
    recreate();
    fill(i, i + 10 + i);
    cft_loop_for(f.loop, i % 2 == 0 ? 30 : 0);
  }
  expect_same();
  ck_assert_uint_ge(cft_mirrored_stats(&f).resets, 1);
}
END_TEST

/* ---- while it reads ---- */

static int recreate_once(cft_mirrored *m, enum cft_told kind,
                         const changefeed_entry *entry) {
  unsigned *puts = m->user;

  (void)entry;
  if (kind == CFT_TOLD_PUT && ++*puts == 25) {
    recreate();
    fill(90, 140);
  }
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_mirror_recreated_while_it_reads_holds_the_new_one) {
  static const char *const pages[] = {"1", "10", "30", "1000"};
  unsigned puts = 0;

  f.config.start = starts[_i == 2];
  f.config.keep = keeps[_i % 3];
  f.on_told = recreate_once;
  f.user = &puts;
  fill(0, 100);
  cft_mirrored_open(&f, NULL, url, "page_rows", pages[_i], NULL);
  expect_synced();
  expect_same();
  ck_assert_uint_eq(cft_mirrored_documents(&f), 50);
}
END_TEST

static bool is_reading_anew(void *user) {
  (void)user;
  return cft_mirrored_stats(&f).resets == 1 &&
         changefeed_get_state(changefeed_mirror_get_feed(f.mirror)) ==
             CHANGEFEED_STATE_CATCHUP;
}

/* Of a history that was never whole nothing is shown, nor told. */
START_TEST(test_mirror_made_anew_again_shows_the_last_history) {
  fill(0, 20);
  open_mirror();
  expect_synced();
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"feed\":\"normal\","
                         "\"do\":{\"slice\":2000,\"slice_ms\":100}}");
  recreate();
  fill(100, 200);
  ck_assert(cft_loop_until(f.loop, is_reading_anew, NULL, PATIENCE_MS));
  cft_loop_for(f.loop, 300);
  ck_assert_uint_eq(f.count[CFT_TOLD_SYNCED], 1);
  recreate();
  fill(15, 25);
  cft_couchsim_no_rules(sim);
  cft_couchsim_tell(sim, "close", "{}");
  expect_same();
  ck_assert_uint_eq(cft_mirrored_documents(&f), 10);
  ck_assert_uint_eq(cft_mirrored_stats(&f).resets, 2);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 15);
  ck_assert_uint_eq(f.count[CFT_TOLD_PUT], 25);
}
END_TEST

/* Missing for a moment only; the same database, or another one. */
START_TEST(test_mirror_of_a_database_that_is_deleted_waits_for_it) {
  fill(0, 30);
  open_mirror();
  expect_synced();
  cft_couchsim_must(sim, 200, "DELETE", "/db", NULL);
  cft_loop_for(f.loop, 300);
  ck_assert_uint_eq(count_now(), 30);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 0);
  /* Databases are told apart by the second of their making. */
  cft_couchsim_tell(sim, "advance", "{\"ms\":1000}");
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
  fill(0, 7);
  expect_same();
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 23);
}
END_TEST

START_TEST(test_mirror_whose_database_is_restored_holds_the_older_one) {
  fill(0, 30);
  open_mirror();
  expect_synced();
  cft_couchsim_tell(sim, "snapshot", "{\"name\":\"s\",\"db\":\"db\"}");
  expect_same();
  drop("d0003");
  drop("d0004");
  write_doc("d0004", 4);
  expect_same();
  recreate();
  fill(0, 5);
  expect_synced();
  expect_same();
}
END_TEST

/* ---- on_reset ---- */

static int refuse(changefeed *feed, const char *reason, void *user) {
  (void)feed;
  (void)user;
  ck_assert_ptr_nonnull(reason);
  return CHANGEFEED_STOP;
}

START_TEST(test_mirror_is_over_when_on_reset_says_stop) {
  changefeed_callbacks c = CHANGEFEED_CALLBACKS_INIT;

  c.on_reset = refuse;
  f.feed_callbacks = &c;
  fill(0, 30);
  open_mirror();
  expect_synced();
  recreate();
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
  ck_assert_int_eq(f.over_code, CHANGEFEED_ERR_RESET);
  ck_assert_uint_eq(count_now(), 30);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 0);
}
END_TEST

int main(void) {
  Suite *s = suite_create("mirror reset");
  TCase *t = tcase_create("all");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_mirror_shows_another_history_in_one_step, 0, 3);
  tcase_add_loop_test(t, test_mirror_of_a_database_made_empty_is_empty, 0, 2);
  tcase_add_test(t, test_mirror_keeps_values_of_documents_that_are_the_same);
  tcase_add_test(t, test_mirror_lives_through_many_histories);
  tcase_add_loop_test(t, test_mirror_recreated_while_it_reads_holds_the_new_one,
                      0, 4);
  tcase_add_test(t, test_mirror_made_anew_again_shows_the_last_history);
  tcase_add_test(t, test_mirror_of_a_database_that_is_deleted_waits_for_it);
  tcase_add_test(t, test_mirror_whose_database_is_restored_holds_the_older_one);
  tcase_add_test(t, test_mirror_is_over_when_on_reset_says_stop);
  suite_add_tcase(s, t);
  return cft_run(s);
}
