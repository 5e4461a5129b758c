/* What an application may do in a mirror's callbacks: stop it, close it, give
   up; and what ends a mirror without being asked.
   ctest: COST 43 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <unistd.h>

#include "net/mirror_in_couchsim.h"
#include "unit/scratch_dir.h"

enum { SOME_MS = 150 };

static void recreate(void) {
  cft_couchsim_tell(sim, "recreate", "{\"db\":\"db\"}");
}

/* Does one thing inside the n-th callback of a kind. */
typedef struct deed {
  enum cft_told kind;
  unsigned n, seen;
  bool close;
  int verdict;
} deed;

static int act(cft_mirrored *m, enum cft_told kind,
               const changefeed_entry *entry) {
  deed *d = m->user;

  (void)entry;
  if (d == NULL || kind != d->kind || ++d->seen != d->n)
    return CHANGEFEED_CONTINUE;
  if (d->close)
    cft_mirrored_close(m);
  else if (d->verdict == CHANGEFEED_CONTINUE)
    ck_assert_int_eq(changefeed_mirror_stop(m->mirror), CHANGEFEED_OK);
  return d->verdict;
}

static bool is_done(void *user) {
  const deed *d = user;

  return d->seen >= d->n;
}

/* What makes a mirror call everything it can. */
static void run_through(deed *d, int keep) {
  f.config.keep = keep;
  f.config.stale_ms = 400;
  f.on_told = act;
  f.user = d;
  fill(0, 50);
  cft_mirrored_open(&f, NULL, url, "heartbeat_ms", "100", "page_rows", "7",
                    NULL);
  if (d->kind >= CFT_TOLD_STALE || d->kind == CFT_TOLD_GONE)
    expect_synced();
  if (d->kind == CFT_TOLD_GONE) {
    drop("d0001");
    drop("d0002");
    drop("d0003");
  }
  if (d->kind == CFT_TOLD_STALE || d->kind == CFT_TOLD_FRESH)
    cft_couchsim_rule(sim, "{\"do\":{\"then\":\"silence\"}}");
  if (d->kind == CFT_TOLD_STALE || d->kind == CFT_TOLD_FRESH)
    cft_couchsim_tell(sim, "close", "{\"feeds\":true}");
  if (d->kind == CFT_TOLD_FRESH) {
    ck_assert(cft_mirrored_until(&f, CFT_TOLD_STALE, 1, PATIENCE_MS));
    cft_couchsim_no_rules(sim);
    cft_couchsim_tell(sim, "close", "{}");
  }
  if (d->kind == CFT_TOLD_DIFFERENCE || d->kind == CFT_TOLD_AUDIT)
    ck_assert_int_eq(changefeed_mirror_audit(f.mirror), CHANGEFEED_OK);
  if (d->kind == CFT_TOLD_OVER)
    ck_assert_int_eq(changefeed_mirror_stop(f.mirror), CHANGEFEED_OK);
  ck_assert(cft_loop_until(f.loop, is_done, d, PATIENCE_MS));
}

static const deed closing[] = {
    {CFT_TOLD_PUT, 1, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_PUT, 10, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_PUT, 10, 0, true, CHANGEFEED_STOP},
    {CFT_TOLD_PUT, 10, 0, true, -1},
    {CFT_TOLD_PUT, 50, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_GONE, 2, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_SYNCED, 1, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_STALE, 1, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_FRESH, 1, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_AUDIT, 1, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_OVER, 1, 0, true, CHANGEFEED_CONTINUE},
};
enum { CLOSING = sizeof closing / sizeof *closing };

START_TEST(test_mirror_can_be_closed_in_every_callback) {
  deed d = closing[_i];
  uint64_t told[CFT_TOLD_KINDS];

  run_through(&d, _i % 2 == 0 ? CHANGEFEED_KEEP_VALUES : CHANGEFEED_KEEP_REVS);
  ck_assert_ptr_null(f.mirror);
  memcpy(told, f.count, sizeof told);
  cft_couchsim_no_rules(sim);
  write_doc("d0004", 9);
  cft_loop_for(f.loop, SOME_MS);
  ck_assert_mem_eq(told, f.count, sizeof told);
  ck_assert_uint_eq(cft_couchsim_feeds(sim), 0);
}
END_TEST

START_TEST(test_mirror_can_be_stopped_in_every_callback) {
  deed d = closing[_i];

  d.close = false;
  if (d.kind == CFT_TOLD_OVER)
    return; /* it is over */
  run_through(&d, CHANGEFEED_KEEP_VALUES);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
  ck_assert_int_eq(f.over_code, d.verdict < 0 ? CHANGEFEED_ERR_CALLBACK : 0);
  ck_assert_int_eq(changefeed_mirror_last_error(f.mirror)->code, f.over_code);
  if (d.kind == CFT_TOLD_PUT && d.verdict != CHANGEFEED_CONTINUE)
    ck_assert_uint_eq(f.count[CFT_TOLD_PUT], d.n);
  cft_loop_for(f.loop, SOME_MS);
  ck_assert_uint_eq(f.late, 0);
  ck_assert_uint_eq(f.count[CFT_TOLD_OVER], 1);
  ck_assert_int_eq(changefeed_mirror_audit(f.mirror), CHANGEFEED_ERR_STATE);
}
END_TEST

/* The callbacks of the switch to another history. */
static const deed switching[] = {
    {CFT_TOLD_PUT, 55, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_PUT, 55, 0, true, -1},
    {CFT_TOLD_GONE, 5, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_SYNCED, 2, 0, true, CHANGEFEED_CONTINUE},
    {CFT_TOLD_PUT, 55, 0, false, -1},
    {CFT_TOLD_PUT, 55, 0, false, CHANGEFEED_STOP},
    {CFT_TOLD_GONE, 5, 0, false, CHANGEFEED_CONTINUE},
};

START_TEST(test_mirror_can_be_ended_while_it_changes_over) {
  deed d = switching[_i];

  f.config.keep = CHANGEFEED_KEEP_VALUES;
  f.on_told = act;
  f.user = &d;
  fill(0, 50);
  open_mirror();
  expect_synced();
  recreate();
  fill(40, 90);
  write_doc("d0045", 7);
  ck_assert(cft_loop_until(f.loop, is_done, &d, PATIENCE_MS));
  if (d.close) {
    ck_assert_ptr_null(f.mirror);
    return;
  }
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
  ck_assert_int_eq(f.over_code, d.verdict < 0 ? CHANGEFEED_ERR_CALLBACK : 0);
}
END_TEST

/* LATER would have to be asked again, and nobody says when. */
START_TEST(test_mirror_takes_later_for_a_mistake) {
  deed d = {CFT_TOLD_PUT, 10, 0, false, CHANGEFEED_LATER};

  run_through(&d, _i == 0 ? CHANGEFEED_KEEP_REVS : CHANGEFEED_KEEP_VALUES);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
  ck_assert_int_eq(f.over_code, CHANGEFEED_ERR_CALLBACK);
  ck_assert_uint_eq(f.count[CFT_TOLD_PUT], 10);
}
END_TEST

/* ---- the feed's callbacks ---- */

typedef struct counted {
  unsigned states, requests, logs;
  unsigned close_at_state, close_at_request;
} counted;

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  counted *c = user;

  (void)feed;
  (void)event;
  if (++c->states == c->close_at_state)
    cft_mirrored_close(&f);
}

static int on_request(changefeed *feed, void *user) {
  counted *c = user;

  (void)feed;
  if (++c->requests == c->close_at_request)
    cft_mirrored_close(&f);
  return CHANGEFEED_CONTINUE;
}

static void on_log(changefeed *feed, int level, const char *text, size_t len,
                   void *user) {
  counted *c = user;

  (void)feed;
  (void)level;
  ck_assert_uint_eq(strlen(text), len);
  c->logs++;
}

static bool is_closed_or_synced(void *user) {
  (void)user;
  return f.mirror == NULL || f.count[CFT_TOLD_SYNCED] != 0;
}

static void open_counted(changefeed_callbacks *callbacks, counted *c) {
  callbacks->on_state = on_state;
  callbacks->on_request = on_request;
  callbacks->on_log = on_log;
  callbacks->user = c;
  f.feed_callbacks = callbacks;
  fill(0, 50);
  cft_mirrored_open(&f, NULL, url, "page_rows", "10", NULL);
  ck_assert(cft_loop_until(f.loop, is_closed_or_synced, NULL, PATIENCE_MS));
}

START_TEST(test_mirror_hands_on_what_its_feed_tells) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  counted c = {0, 0, 0, 0, 0};

  open_counted(&callbacks, &c);
  expect_same();
  ck_assert_uint_ge(c.states, 2);
  ck_assert_uint_ge(c.requests, 9); /* those of the list, too */
  recreate();
  expect_synced();
  ck_assert_uint_ge(c.logs, 1);
}
END_TEST

START_TEST(test_mirror_can_be_closed_before_each_request) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  counted c = {0, 0, 0, 0, (unsigned)_i};

  open_counted(&callbacks, &c);
  cft_loop_for(f.loop, 20);
  ck_assert_ptr_null(f.mirror);
  ck_assert_uint_eq(c.requests, c.close_at_request);
}
END_TEST

START_TEST(test_mirror_can_be_closed_in_each_state) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  counted c = {0, 0, 0, (unsigned)_i, 0};

  open_counted(&callbacks, &c);
  cft_loop_for(f.loop, 20);
  ck_assert_ptr_null(f.mirror);
  ck_assert_uint_eq(c.states, c.close_at_state);
}
END_TEST

/* ---- what was not taken comes again ---- */

START_TEST(test_mirror_snapshot_of_a_stop_lacks_nothing) {
  deed d = {CFT_TOLD_PUT, 53, 0, false, _i == 0 ? CHANGEFEED_STOP : -1};
  scratch_dir dir;

  scratch_begin(&dir);
  f.config.snapshot = strdup(scratch_path(&dir, "s"));
  f.on_told = act;
  f.user = &d;
  fill(0, 50);
  open_mirror();
  expect_synced();
  fill(100, 140); /* comes as one batch, of which three are taken */
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
  cft_mirrored_close(&f);
  changefeed_loop_free(f.loop);
  f.own_loop = false;
  f.on_told = NULL;
  cft_revs_free(f.there);
  f.there = NULL;
  open_mirror();
  expect_synced();
  expect_same();
  ck_assert_uint_eq(cft_mirrored_documents(&f), 90);
  {
    char *path = (char *)(uintptr_t)f.config.snapshot;

    cft_mirrored_clear(&f);
    free(path);
  }
  scratch_end(&dir);
}
END_TEST

/* ---- ends that were not asked for ---- */

typedef struct fate {
  const char *rule;
  int code, status;
} fate;

static const fate fates[] = {
    {"{\"do\":{\"status\":401}}", CHANGEFEED_ERR_AUTH, 401},
    {"{\"do\":{\"status\":403}}", CHANGEFEED_ERR_AUTH, 403},
    {"{\"kind\":\"all_docs\",\"do\":{\"status\":401}}", CHANGEFEED_ERR_AUTH,
     401},
    {"{\"kind\":\"all_docs\",\"skip\":2,\"do\":{\"status\":403}}",
     CHANGEFEED_ERR_AUTH, 403},
};

START_TEST(test_mirror_that_is_not_let_in_is_over) {
  const fate *a = &fates[_i];

  fill(0, 50);
  cft_couchsim_rule(sim, "%s", a->rule);
  cft_mirrored_open(&f, NULL, url, "page_rows", "10", NULL);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
  ck_assert_int_eq(f.over_code, a->code);
  ck_assert_int_eq(changefeed_mirror_last_error(f.mirror)->http_status,
                   a->status);
  ck_assert_uint_ne(strlen(f.over), 0);
  ck_assert_uint_eq(f.count[CFT_TOLD_SYNCED], 0);
}
END_TEST

START_TEST(test_mirror_of_no_database_is_over) {
  char other[256];

  (void)snprintf(other, sizeof other, "%s/none", cft_couchsim_url(sim, 0));
  cft_mirrored_open(&f, NULL, other, NULL);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
  ck_assert_int_eq(f.over_code, CHANGEFEED_ERR_NOTFOUND);
}
END_TEST

START_TEST(test_mirror_of_a_database_that_stays_away_is_over) {
  fill(0, 10);
  cft_mirrored_open(&f, NULL, url, "missing_tolerance_ms", "0", NULL);
  expect_synced();
  cft_couchsim_must(sim, 200, "DELETE", "/db", NULL);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
  ck_assert_int_eq(f.over_code, CHANGEFEED_ERR_NOTFOUND);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 0);
}
END_TEST

START_TEST(test_mirror_waits_out_a_server_in_trouble) {
  static const char *const rules[] = {
      "{\"times\":4,\"do\":{\"status\":503}}",
      "{\"kind\":\"all_docs\",\"times\":3,\"do\":{\"status\":503}}",
      "{\"kind\":\"all_docs\",\"times\":2,\"do\":{\"then\":\"close\"}}",
      "{\"kind\":\"all_docs\",\"skip\":1,\"times\":2,\"do\":{\"cut_at\":300}}",
      ("{\"kind\":\"all_docs\",\"chance\":0.5,\"do\":{\"cut_at\":400,"
       "\"cut_reset\":true}}")};

  fill(0, 50);
  cft_couchsim_rule(sim, "%s", rules[_i]);
  cft_mirrored_open(&f, NULL, url, "page_rows", "10", NULL);
  expect_synced();
  expect_same();
}
END_TEST

int main(void) {
  Suite *s = suite_create("mirror calls");
  TCase *t = tcase_create("all");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_mirror_can_be_closed_in_every_callback, 0,
                      CLOSING);
  tcase_add_loop_test(t, test_mirror_can_be_stopped_in_every_callback, 0,
                      CLOSING);
  tcase_add_loop_test(t, test_mirror_can_be_ended_while_it_changes_over, 0,
                      sizeof switching / sizeof *switching);
  tcase_add_loop_test(t, test_mirror_takes_later_for_a_mistake, 0, 2);
  tcase_add_test(t, test_mirror_hands_on_what_its_feed_tells);
  tcase_add_loop_test(t, test_mirror_can_be_closed_before_each_request, 1, 12);
  tcase_add_loop_test(t, test_mirror_can_be_closed_in_each_state, 1, 3);
  tcase_add_test(t, test_mirror_of_a_database_that_stays_away_is_over);
  tcase_add_loop_test(t, test_mirror_snapshot_of_a_stop_lacks_nothing, 0, 2);
  tcase_add_loop_test(t, test_mirror_that_is_not_let_in_is_over, 0,
                      sizeof fates / sizeof *fates);
  tcase_add_test(t, test_mirror_of_no_database_is_over);
  tcase_add_loop_test(t, test_mirror_waits_out_a_server_in_trouble, 0, 5);
  suite_add_tcase(s, t);
  return cft_run(s);
}
