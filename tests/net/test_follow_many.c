/*
 * A thousand feeds on one loop in one thread, and fairness between a busy feed
 * and quiet ones.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/couch.h"
#include "support/follow.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"

enum { FEEDS = 1000, DATABASES = 20, PATIENCE_MS = 180000 };

typedef struct many {
  cft_follow *feeds;
  uint64_t rows; /* each feed is to have had at least these */
  int state;     /* or, when rows is 0, to be in this state */
} many;

static bool all_there(void *user) {
  many *m = user;

  for (int i = 0; i < FEEDS; i++)
    if (m->rows != 0 ? m->feeds[i].taken < m->rows
                     : changefeed_get_state(m->feeds[i].feed) != m->state)
      return false;
  return true;
}

/* Each database has fifty followers; a write to each database must arrive at
   each of its followers. */
START_TEST(test_follow_many_feeds_on_one_loop) {
  cft_couch *couch = cft_couch_start(NULL);
  changefeed_loop *loop = cft_loop();
  cft_follow *feeds = calloc(FEEDS, sizeof *feeds);
  many m = {feeds, 0, CHANGEFEED_STATE_LIVE};
  const char *urls[DATABASES];
  char doc[600];
  uint64_t reconnects = 0;

  ck_assert(cft_want_fds(4000));
  for (int i = 0; i < DATABASES; i++) {
    urls[i] = cft_couch_database(couch, "many");
    (void)snprintf(doc, sizeof doc, "%s/before", urls[i]);
    ck_assert_int_eq(cft_http("PUT", doc, "{}", NULL), 201);
  }
  for (int i = 0; i < FEEDS; i++)
    cft_follow_open(&feeds[i], loop, urls[i % DATABASES], "heartbeat_ms",
                    "30000", NULL);
  ck_assert_msg(cft_loop_until(loop, all_there, &m, PATIENCE_MS),
                "not all caught up");
  for (int i = 0; i < DATABASES; i++) {
    (void)snprintf(doc, sizeof doc, "%s/after", urls[i]);
    ck_assert_int_eq(cft_http("PUT", doc, "{}", NULL), 201);
  }
  m.rows = 2;
  ck_assert_msg(cft_loop_until(loop, all_there, &m, PATIENCE_MS),
                "a write did not arrive everywhere");
  for (int i = 0; i < FEEDS; i++) {
    ck_assert_str_eq(feeds[i].rows[1].id, "after");
    reconnects += cft_follow_stats(&feeds[i]).reconnects;
    cft_follow_clear(&feeds[i]);
  }
  ck_assert_uint_eq(reconnects, 0);
  free(feeds);
  changefeed_loop_free(loop);
  cft_couch_stop(couch);
}
END_TEST

/* A feed with much to read does not keep another from its row: the rows of the
   busy one that go by meanwhile are few. */
static uint64_t busy_taken_when_quiet_spoke;
static cft_follow busy, quiet;

static int note_busy(cft_follow *f, const changefeed_change *change) {
  (void)f;
  (void)change;
  busy_taken_when_quiet_spoke = busy.taken;
  return CHANGEFEED_CONTINUE;
}

static bool both_done(void *user) {
  (void)user;
  return cft_follow_is_over(&busy) && cft_follow_is_over(&quiet);
}

START_TEST(test_follow_busy_feed_does_not_starve_a_quiet_one) {
  cft_couch *couch = cft_couch_start(NULL);
  const char *full = cft_couch_database(couch, "full");
  const char *small = cft_couch_database(couch, "small");
  changefeed_loop *loop = cft_loop();
  char url[600], *body = malloc(20000 * 24 + 64);
  size_t len = 0;

  len += (size_t)sprintf(body + len, "{\"docs\":[{}");
  for (int i = 1; i < 20000; i++)
    len += (size_t)sprintf(body + len, ",{}");
  (void)sprintf(body + len, "]}");
  (void)snprintf(url, sizeof url, "%s/_bulk_docs", full);
  ck_assert_int_eq(cft_http("POST", url, body, NULL), 201);
  (void)snprintf(url, sizeof url, "%s/x", small);
  ck_assert_int_eq(cft_http("PUT", url, "{}", NULL), 201);
  quiet.on_row = note_busy;
  cft_follow_open(&busy, loop, full, "mode", "once", NULL);
  cft_follow_open(&quiet, loop, small, "mode", "once", NULL);
  ck_assert(cft_loop_until(loop, both_done, NULL, PATIENCE_MS));
  ck_assert_uint_eq(busy.taken, 20000);
  ck_assert_uint_eq(quiet.taken, 1);
  ck_assert_uint_lt(busy_taken_when_quiet_spoke, 10000);
  cft_follow_clear(&busy);
  cft_follow_clear(&quiet);
  free(body);
  changefeed_loop_free(loop);
  cft_couch_stop(couch);
}
END_TEST

static Suite *many_suite(void) {
  Suite *s = suite_create("follow_many");
  TCase *t = tcase_create("many");

  tcase_set_timeout(t, 280);
  tcase_add_test(t, test_follow_many_feeds_on_one_loop);
  tcase_add_test(t, test_follow_busy_feed_does_not_starve_a_quiet_one);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(many_suite()); }
