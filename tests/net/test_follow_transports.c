/*
 * Each transport against a real database with concurrent writers: no id misses
 * its last rev, also through a restart of the database.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/couch.h"
#include "support/follow.h"
#include "support/timing.h"
#include "support/unit.h"
#include "support/writers.h"

enum { DOCUMENTS = 10000, WRITERS = 4, PATIENCE_MS = 120000 };

static const char *const transports[] = {"auto", "continuous", "longpoll",
                                         "eventsource"};

static bool writers_done(void *user) { return cft_writers_done(user); }

static void expect_revs(cft_follow *f, const cft_revs *want) {
  char why[256];

  (void)cft_follow_until_revs(f, want, PATIENCE_MS);
  ck_assert_msg(cft_revs_equal(want, f->revs, why, sizeof why), "%s", why);
}

/* All four of them at once on one loop, so that the writing is done once. */
START_TEST(test_follow_transports_miss_nothing_of_concurrent_writers) {
  cft_couch *couch = cft_couch_start(NULL);
  const char *url = cft_couch_database(couch, "transports");
  changefeed_loop *loop = cft_loop();
  cft_follow feeds[4] = {{.feed = NULL}};
  cft_writers *writers;
  cft_revs *want;

  for (int i = 0; i < 4; i++)
    cft_follow_open(&feeds[i], loop, url, "transport", transports[i],
                    "heartbeat_ms", "1000", NULL);
  for (int i = 0; i < 4; i++)
    ck_assert(cft_follow_until_state(&feeds[i], CHANGEFEED_STATE_LIVE, 20000));
  writers = cft_writers_start(url, WRITERS, DOCUMENTS);
  ck_assert(cft_loop_until(loop, writers_done, writers, PATIENCE_MS));
  want = cft_writers_join(writers);
  ck_assert_uint_eq(cft_revs_count(want), DOCUMENTS);
  for (int i = 0; i < 4; i++) {
    expect_revs(&feeds[i], want);
    ck_assert_uint_eq(cft_follow_stats(&feeds[i]).reconnects, 0);
    cft_follow_clear(&feeds[i]);
  }
  cft_revs_free(want);
  changefeed_loop_free(loop);
  cft_couch_stop(couch);
}
END_TEST

START_TEST(test_follow_once_reads_all_there_is) {
  cft_couch *couch = cft_couch_start(NULL);
  const char *url = cft_couch_database(couch, "once");
  cft_revs *want = cft_writers_join(cft_writers_start(url, 2, 2000));
  cft_follow f = {.feed = NULL}, paged = {.feed = NULL};
  char why[256];

  cft_follow_open(&f, NULL, url, "mode", "once", NULL);
  ck_assert(cft_follow_until_over(&f, PATIENCE_MS));
  ck_assert_msg(cft_revs_equal(want, f.revs, why, sizeof why), "%s", why);
  cft_follow_clear(&f);
  cft_follow_open(&paged, NULL, url, "mode", "once", "limit", "100", NULL);
  ck_assert(cft_follow_until_over(&paged, PATIENCE_MS));
  ck_assert_uint_eq(paged.taken, 100);
  cft_follow_clear(&paged);
  cft_revs_free(want);
  cft_couch_stop(couch);
}
END_TEST

START_TEST(test_follow_filters_and_documents_arrive) {
  cft_couch *couch = cft_couch_start(NULL);
  const char *url = cft_couch_database(couch, "filters");
  cft_follow ids = {.feed = NULL}, selected = {.feed = NULL},
             docs = {.feed = NULL};
  char doc[600];

  for (int i = 0; i < 20; i++) {
    (void)snprintf(doc, sizeof doc, "%s/d%d", url, i);
    ck_assert_int_eq(
        cft_http("PUT", doc, i % 2 != 0 ? "{\"odd\":true}" : "{}", NULL), 201);
  }
  cft_follow_open(&ids, NULL, url, "mode", "once", "doc_ids", "[\"d3\",\"d4\"]",
                  NULL);
  ck_assert(cft_follow_until_over(&ids, PATIENCE_MS));
  ck_assert_uint_eq(ids.taken, 2);
  cft_follow_open(&selected, NULL, url, "mode", "once", "selector",
                  "{\"odd\":true}", NULL);
  ck_assert(cft_follow_until_over(&selected, PATIENCE_MS));
  ck_assert_uint_eq(selected.taken, 10);
  cft_follow_open(&docs, NULL, url, "mode", "once", "include_docs", "1", NULL);
  ck_assert(cft_follow_until_over(&docs, PATIENCE_MS));
  ck_assert_uint_eq(docs.taken, 20);
  ck_assert_uint_ne(docs.rows[0].flags & CHANGEFEED_DOC, 0);
  cft_follow_clear(&ids);
  cft_follow_clear(&selected);
  cft_follow_clear(&docs);
  cft_couch_stop(couch);
}
END_TEST

/* The writes go on while the database is killed and comes back, 5 times. */
START_TEST(test_follow_survives_restarts_of_the_database) {
  /* known failures 13, 85 */
  cft_couch *couch = cft_couch_start_durable(NULL);
  const char *url = cft_couch_database(couch, "restarts");
  cft_follow f = {.feed = NULL};
  cft_revs *want = cft_revs_new();

  cft_follow_open(&f, NULL, url, "heartbeat_ms", "1000", NULL);
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < 20; i++) {
      char doc[600], id[32], *answer = NULL, rev[64] = "";

      (void)snprintf(id, sizeof id, "r%d-%d", round, i);
      (void)snprintf(doc, sizeof doc, "%s/%s", url, id);
      ck_assert_int_eq(cft_http("PUT", doc, "{}", &answer), 201);
      ck_assert_int_eq(
          sscanf(answer, "{\"ok\":true,\"id\":\"%*[^\"]\",\"rev\":\"%63[^\"]",
                 rev),
          1);
      free(answer);
      cft_revs_put(want, id, rev, false);
    }
    cft_couch_kill9(couch);
    cft_loop_for(f.loop, 200);
    cft_couch_restart(couch);
  }
  expect_revs(&f, want);
  ck_assert_uint_ge(cft_follow_stats(&f).reconnects, 5);
  ck_assert_uint_eq(cft_follow_stats(&f).resets, 0);
  cft_follow_clear(&f);
  cft_revs_free(want);
  cft_couch_stop(couch);
}
END_TEST

/* The live response has begun: it shows that it lives. */
static bool has_heartbeat(void *user) {
  return cft_follow_stats(user).heartbeats >= 3;
}

START_TEST(test_follow_recreated_database_is_a_reset) {
  /* known failure 15 */
  cft_couch *couch = cft_couch_start(NULL);
  const char *url = cft_couch_database(couch, "recreated");
  cft_revs *old = cft_writers_join(cft_writers_start(url, 1, 50));
  changefeed_loop *loop = cft_loop();
  cft_follow f = {.feed = NULL};
  char doc[600];

  cft_follow_open(&f, loop, url, "heartbeat_ms", "300", NULL);
  ck_assert(cft_loop_until(loop, has_heartbeat, &f, 20000));
  ck_assert_int_eq(cft_http("DELETE", url, NULL, NULL), 200);
  ck_assert_int_eq(cft_http("PUT", url, NULL, NULL), 201);
  (void)snprintf(doc, sizeof doc, "%s/new", url);
  ck_assert_int_eq(cft_http("PUT", doc, "{}", NULL), 201);
  ck_assert(cft_follow_until_rows(&f, 51, PATIENCE_MS));
  ck_assert_uint_eq(cft_follow_stats(&f).resets, 1);
  ck_assert_str_eq(f.rows[f.row_count - 1].id, "new");
  cft_follow_clear(&f);
  cft_revs_free(old);
  changefeed_loop_free(loop);
  cft_couch_stop(couch);
}
END_TEST

START_TEST(test_follow_db_updates_tells_databases) {
  cft_couch *couch = cft_couch_start(NULL);
  char url[600];
  cft_follow f = {.feed = NULL};
  const char *made;

  (void)snprintf(url, sizeof url, "%s/_db_updates", cft_couch_url(couch));
  cft_follow_open(&f, NULL, url, "since", "now", "heartbeat_ms", "1000", NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, 20000));
  made = cft_couch_database(couch, "told");
  ck_assert(cft_follow_until_rows(&f, 1, PATIENCE_MS));
  ck_assert_ptr_nonnull(strstr(made, f.rows[0].id));
  cft_follow_clear(&f);
  cft_couch_stop(couch);
}
END_TEST

static Suite *transports_suite(void) {
  Suite *s = suite_create("follow_transports");
  TCase *t = tcase_create("transports");

  tcase_set_timeout(t, 240);
  tcase_add_test(t, test_follow_transports_miss_nothing_of_concurrent_writers);
  tcase_add_test(t, test_follow_once_reads_all_there_is);
  tcase_add_test(t, test_follow_filters_and_documents_arrive);
  tcase_add_test(t, test_follow_survives_restarts_of_the_database);
  tcase_add_test(t, test_follow_recreated_database_is_a_reset);
  tcase_add_test(t, test_follow_db_updates_tells_databases);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(transports_suite()); }
