/* The tick over sockets: written by us and seen, fresh while all is well, older
   and older when rows stay away though heartbeats come, refused, shared.
   ctest: COST 37 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/couchsim.h"
#include "support/follow.h"
#include "support/timing.h"
#include "support/unit.h"

#include <string.h>

enum { PATIENCE_MS = 30000, PERIOD_MS = 1000 };

static cft_couchsim *sim;
static cft_follow f, twin;
static char url[256];

static void setup(void) {
  static const char *const args[] = {"--admin", "admin:secret", NULL};

  sim = cft_couchsim_start(args);
  (void)snprintf(url, sizeof url, "%s/db", cft_couchsim_url(sim, 0));
  f = twin = (cft_follow){.feed = NULL};
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
}

static void teardown(void) {
  cft_follow_clear(&f);
  cft_follow_clear(&twin);
  cft_couchsim_stop(sim);
}

static int64_t fresh(const cft_follow *follow) {
  return cft_follow_stats(follow).fresh_ms;
}

/* Somebody else's tick. */
static void write_tick(void) {
  json_t *v = NULL;
  const char *rev;
  int status = cft_couchsim_do(sim, 0, "GET", "/db/tick", NULL, &v);

  rev = json_string_value(json_object_get(v, "_rev"));
  cft_couchsim_must(sim, 201, "PUT", "/db/tick",
                    "{%s%s%s\"type\":\"changefeed-tick\"}",
                    status == 200 ? "\"_rev\":\"" : "",
                    status == 200 ? rev : "", status == 200 ? "\"," : "");
  json_decref(v);
}

/* The document as it is, and how often it was written. */
static long generation(const char *path) {
  json_t *v = NULL;
  long n;

  ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", path, NULL, &v), 200);
  ck_assert_str_eq(json_string_value(json_object_get(v, "type")),
                   "changefeed-tick");
  ck_assert_int_gt(json_integer_value(json_object_get(v, "at")),
                   INT64_C(1500000000000));
  ck_assert_uint_eq(json_object_size(v), 4);
  n = strtol(json_string_value(json_object_get(v, "_rev")), NULL, 10);
  json_decref(v);
  return n;
}

/* ---- ours ---- */

static const char *const ways[][2] = {
    {"transport", "continuous"},
    {"transport", "longpoll"},
    {"transport", "eventsource"},
    {"selector", "{\"type\":\"changefeed-tick\"}"},
    {"doc_ids", "[\"other\",\"tick\"]"}};

enum { WAYS = sizeof ways / sizeof ways[0] };
static cft_follow by_way[WAYS];

static bool all_have_three(void *user) {
  (void)user;
  for (size_t i = 0; i < WAYS; i++)
    if (by_way[i].taken < 3)
      return false;
  return true;
}

/* A database for each way to follow, all at once. */
START_TEST(test_tick_of_ours_is_seen_by_each_transport_and_filter) {
  changefeed_loop *loop = cft_loop();
  int64_t began = cft_now_ms();

  for (size_t i = 0; i < WAYS; i++) {
    char db[32], where[320];

    (void)snprintf(db, sizeof db, "/way%zu", i);
    (void)snprintf(where, sizeof where, "%s%s", cft_couchsim_url(sim, 0), db);
    cft_couchsim_must(sim, 201, "PUT", db, NULL);
    by_way[i] = (cft_follow){.feed = NULL};
    cft_follow_open(&by_way[i], loop, where, "tick", "tick", "tick_write_ms",
                    "1000", "heartbeat_ms", "5000", ways[i][0], ways[i][1],
                    NULL);
  }
  ck_assert(cft_loop_until(loop, all_have_three, NULL, PATIENCE_MS));
  /* The first at once, the next ones a period later each. */
  ck_assert_int_ge(cft_now_ms() - began, 2 * PERIOD_MS);
  for (size_t i = 0; i < WAYS; i++) {
    cft_follow *way = &by_way[i];
    char path[64];

    (void)snprintf(path, sizeof path, "/way%zu/tick", i);
    ck_assert_str_eq(way->rows[0].id, "tick");
    ck_assert_int_ge(fresh(way), 0);
    /* It was sent after the row before it had come. */
    ck_assert_int_le(fresh(way),
                     cft_now_ms() - way->rows[way->row_count - 2].at_ms);
    ck_assert_int_ge(generation(path), 3);
    ck_assert_uint_eq(cft_follow_stats(way).reconnects, 0);
    ck_assert_uint_eq(way->notice_count, 0);
    cft_follow_clear(way);
  }
  changefeed_loop_free(loop);
}
END_TEST

START_TEST(test_tick_is_written_in_a_session) {
  char plain[256];

  (void)snprintf(plain, sizeof plain, "%s/db", cft_couchsim_plain_url(sim, 0));
  cft_follow_open(&f, NULL, plain, "tick", "tick", "tick_write_ms", "1000",
                  "session", "1", "username", "admin", "password", "secret",
                  "heartbeat_ms", "200", NULL);
  ck_assert(cft_follow_until_rows(&f, 1, PATIENCE_MS));
  cft_couchsim_tell(sim, "expire", "{}");
  ck_assert(cft_follow_until_rows(&f, 2, PATIENCE_MS));
  ck_assert_int_ge(generation("/db/tick"), 2);
  ck_assert_uint_eq(f.notice_count, 0);
}
END_TEST

/* ---- somebody else's ---- */

START_TEST(test_tick_of_another_is_seen) {
  cft_follow_open(&f, NULL, url, "tick", "tick", "heartbeat_ms", "200", NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, PATIENCE_MS));
  ck_assert_int_eq(fresh(&f), -1);
  for (uint64_t i = 1; i < 4; i++) {
    write_tick();
    ck_assert(cft_follow_until_rows(&f, i, PATIENCE_MS));
    ck_assert_int_ge(fresh(&f), 0);
    ck_assert_int_le(fresh(&f), cft_now_ms() - f.opened_ms);
    cft_loop_for(f.loop, 300);
    ck_assert_int_ge(fresh(&f), 300);
  }
  ck_assert_uint_eq(cft_couchsim_count(sim, "doc_put"), 3);
}
END_TEST

/* A node that holds rows back, and beats. */
START_TEST(test_tick_that_stays_away_is_told_by_its_age) {
  uint64_t beats;

  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"feed\":\"continuous\","
                         "\"do\":{\"stall_rows\":2,\"stall_beats\":true}}");
  cft_follow_open(&f, NULL, url, "tick", "tick", "transport", "continuous",
                  "heartbeat_ms", "200", NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, PATIENCE_MS));
  for (uint64_t i = 1; i < 3; i++) {
    write_tick();
    ck_assert(cft_follow_until_rows(&f, i, PATIENCE_MS));
  }
  beats = cft_follow_stats(&f).heartbeats;
  for (int i = 0; i < 5; i++) {
    write_tick();
    cft_loop_for(f.loop, 300);
  }
  ck_assert_uint_eq(f.taken, 2);
  ck_assert_int_ge(fresh(&f), 1500);
  ck_assert_uint_ge(cft_follow_stats(&f).heartbeats, beats + 3);
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_LIVE);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
  cft_couchsim_no_rules(sim);
  cft_couchsim_tell(sim, "close", "{\"feeds\":true}");
  /* What it had missed is of the past; the next is news. */
  ck_assert(cft_follow_until_rows(&f, 3, PATIENCE_MS));
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, PATIENCE_MS));
  ck_assert_int_ge(fresh(&f), 1500);
  write_tick();
  ck_assert(cft_follow_until_rows(&f, 4, PATIENCE_MS));
  ck_assert_int_lt(fresh(&f), 1500);
}
END_TEST

/* Ours is written again and again meanwhile, and no sooner than it should. */
START_TEST(test_tick_of_ours_that_stays_away_is_not_written_more) {
  int64_t began;

  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"feed\":\"continuous\","
                         "\"do\":{\"stall_rows\":1,\"stall_beats\":true}}");
  cft_follow_open(&f, NULL, url, "tick", "tick", "transport", "continuous",
                  "heartbeat_ms", "200", "tick_write_ms", "1000", NULL);
  ck_assert(cft_follow_until_rows(&f, 1, PATIENCE_MS));
  began = cft_now_ms();
  cft_loop_for(f.loop, 3 * PERIOD_MS + PERIOD_MS / 2);
  ck_assert_int_ge(generation("/db/tick"), 3);
  ck_assert_int_le(generation("/db/tick"),
                   1 + (cft_now_ms() - began) / PERIOD_MS);
  ck_assert_int_ge(fresh(&f), 3 * PERIOD_MS + PERIOD_MS / 2);
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_LIVE);
}
END_TEST

/* ---- refused ---- */

static bool was_told(void *user) {
  (void)user;
  return f.notice_count != 0;
}

START_TEST(test_tick_that_may_not_be_written_is_told_and_left_alone) {
  cft_couchsim_rule(sim,
                    "{\"kind\":\"doc_put\",\"do\":{\"status\":403,"
                    "\"error\":\"forbidden\",\"reason\":\"Only readers.\"}}");
  cft_follow_open(&f, NULL, url, "tick", "tick", "tick_write_ms", "1000",
                  "heartbeat_ms", "200", NULL);
  ck_assert(cft_loop_until(f.loop, was_told, NULL, PATIENCE_MS));
  cft_loop_for(f.loop, 3 * PERIOD_MS);
  ck_assert_uint_eq(f.notice_count, 1);
  ck_assert_int_eq(f.notices[0].kind, CHANGEFEED_NOTICE_TICK);
  ck_assert_ptr_nonnull(strstr(f.notices[0].reason, "writing the tick into"));
  ck_assert_ptr_nonnull(strstr(f.notices[0].reason, "Only readers."));
  ck_assert_ptr_null(strstr(f.notices[0].reason, "secret"));
  ck_assert_uint_eq(cft_couchsim_count(sim, "doc_put"), 1);
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_LIVE);
  ck_assert_int_eq(fresh(&f), -1);
}
END_TEST

START_TEST(test_tick_does_not_overwrite_another_document) {
  json_t *v = NULL;

  cft_couchsim_must(sim, 201, "PUT", "/db/tick", "{\"type\":\"order\"}");
  cft_follow_open(&f, NULL, url, "tick", "tick", "tick_write_ms", "1000",
                  "heartbeat_ms", "200", NULL);
  ck_assert(cft_loop_until(f.loop, was_told, NULL, PATIENCE_MS));
  cft_loop_for(f.loop, 2 * PERIOD_MS);
  ck_assert_int_eq(f.notices[0].kind, CHANGEFEED_NOTICE_TICK);
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", "/db/tick", NULL, &v), 200);
  ck_assert_str_eq(json_string_value(json_object_get(v, "type")), "order");
  json_decref(v);
  ck_assert_uint_eq(cft_couchsim_count(sim, "doc_put"), 1);
}
END_TEST

/* ---- shared ---- */

static bool both_live(void *user) {
  (void)user;
  return changefeed_get_state(f.feed) == CHANGEFEED_STATE_LIVE &&
         changefeed_get_state(twin.feed) == CHANGEFEED_STATE_LIVE;
}

START_TEST(test_tick_of_two_followers_is_written_by_one_at_a_time) {
  changefeed_loop *loop = cft_loop();
  int64_t began = cft_now_ms();
  uint64_t seen;

  cft_follow_open(&f, loop, url, "tick", "tick", "tick_write_ms", "1000",
                  "heartbeat_ms", "200", NULL);
  cft_follow_open(&twin, loop, url, "tick", "tick", "tick_write_ms", "1000",
                  "heartbeat_ms", "200", NULL);
  ck_assert(cft_loop_until(loop, both_live, NULL, PATIENCE_MS));
  cft_loop_for(loop, 5 * PERIOD_MS);
  ck_assert_int_ge(generation("/db/tick"), 3);
  /* Each would have written as often alone. */
  ck_assert_int_le(generation("/db/tick"),
                   2 + (cft_now_ms() - began) / PERIOD_MS);
  ck_assert_uint_ge(f.taken, 3);
  ck_assert_uint_ge(twin.taken, 3);
  ck_assert_int_ge(fresh(&f), 0);
  ck_assert_int_ge(fresh(&twin), 0);
  ck_assert_uint_eq(f.notice_count + twin.notice_count, 0);
  /* When one is gone the other writes. */
  cft_follow_close(&f);
  seen = twin.taken;
  ck_assert(cft_follow_until_rows(&twin, seen + 2, PATIENCE_MS));
  cft_follow_clear(&twin);
  changefeed_loop_free(loop);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tick");
  TCase *t = tcase_create("tick");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, test_tick_of_ours_is_seen_by_each_transport_and_filter);
  tcase_add_test(t, test_tick_is_written_in_a_session);
  tcase_add_test(t, test_tick_of_another_is_seen);
  tcase_add_test(t, test_tick_that_stays_away_is_told_by_its_age);
  tcase_add_test(t, test_tick_of_ours_that_stays_away_is_not_written_more);
  tcase_add_test(t, test_tick_that_may_not_be_written_is_told_and_left_alone);
  tcase_add_test(t, test_tick_does_not_overwrite_another_document);
  tcase_add_test(t, test_tick_of_two_followers_is_written_by_one_at_a_time);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
