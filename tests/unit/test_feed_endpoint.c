/*
 * Which endpoint is followed: spread by chance, left after a fault of it, and
 * taken again when it is found well.
 */
#include "feed_in_couch.h"
#include "support/unit.h"

#define SERVER(uuid)                                                           \
  "{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\",\"uuid\":" uuid "}"
#define TWO                                                                    \
  "endpoint", "http://127.0.0.1:5985", "endpoint", "http://127.0.0.1:5986"
#define LISTED                                                                 \
  TWO, "endpoint_order", "listed", "endpoint_return_ms", "60000",              \
      "connection_max_age_ms", "0"

static const char *const listed[] = {LISTED, NULL};

static bool goes_to(const char *port) {
  return strstr(cft_world_url(&w), port) != NULL;
}

static void answer_all(void) {
  cft_world_greet(&w);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  cft_world_head(&w, 200, NULL);
}

/* Live at the first one. */
static void open_at_home(void) {
  open_told(listed);
  answer_all();
  ck_assert(goes_to(":5984/"));
  ck_assert_uint_eq(endpoint_notices, 0);
}

/* Its connection breaks, and the feed is live at the next. */
static void fail_over(void) {
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  answer_all();
}

static void at_home_again(void) {
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  ck_assert(goes_to(":5984/"));
}

/* Quiet until home is asked for; how long that took. */
static int64_t until_asked_for_home(void) {
  int64_t at = w.now_ms;

  while (!w.side.active) {
    ck_assert_int_lt(w.now_ms - at, 3600000);
    stay_quiet(1000);
  }
  ck_assert_int_eq(w.side.ask, CFI_ASK_HOME);
  ck_assert_str_eq(w.side.url, "http://127.0.0.1:5984/");
  return w.now_ms - at;
}

START_TEST(test_feed_endpoint_followers_spread) {
  static const char *const spread[] = {TWO, NULL};
  size_t count[3] = {0};

  open_told(spread);
  for (uint64_t seed = 1; seed <= 200; seed++) {
    cfi_random_init(&w.feed->random, seed);
    cfi_endpoint_choose_home(w.feed);
    ck_assert_uint_eq(w.feed->endpoint, w.feed->home);
    count[w.feed->home]++;
  }
  for (size_t i = 0; i < 3; i++)
    ck_assert_msg(count[i] >= 40 && count[i] <= 95, "%zu: %zu", i, count[i]);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_endpoint_listed_first_is_preferred) {
  open_at_home();
  ck_assert_uint_eq(w.feed->home, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_endpoint_is_left_after_a_fault_of_it) {
  open_at_home();
  fail_over();
  ck_assert(goes_to(":5985/"));
  ck_assert_uint_eq(endpoint_notices, 1);
  ck_assert_str_eq(notice_from, "http://127.0.0.1:5984/db");
  ck_assert_str_eq(notice_to, "http://127.0.0.1:5985/db");
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=5-a&"));
  fail_over();
  ck_assert(goes_to(":5986/"));
  fail_over(); /* in a circle */
  ck_assert(goes_to(":5984/"));
  ck_assert_uint_eq(w.resets, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_endpoint_is_not_left_after_what_all_would_answer) {
  open_at_home();
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  (void)cft_world_ask(&w);
  ck_assert(goes_to(":5985/"));
  cft_world_answer(&w, 429, "{\"error\":\"x\",\"reason\":\"too many\"}");
  (void)cft_world_ask(&w);
  ck_assert(goes_to(":5985/"));
  cft_world_answer(&w, 503, "{\"error\":\"x\",\"reason\":\"maintenance\"}");
  (void)cft_world_ask(&w);
  ck_assert(goes_to(":5986/"));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_endpoint_home_is_taken_again_when_it_is_well) {
  int64_t took;

  open_at_home();
  fail_over();
  took = until_asked_for_home();
  ck_assert_int_ge(took, 50000); /* counted from the fault */
  ck_assert_int_le(took, 61000);
  cft_world_side_answer(&w, 200, SERVER("\"u1\""));
  at_home_again();
  ck_assert_uint_eq(endpoint_notices, 2);
  ck_assert_str_eq(notice_to, "http://127.0.0.1:5984/db");
  ck_assert_ptr_nonnull(strstr(notice_reason, "well again"));
  ck_assert_uint_eq(w.feed->stats.reconnects, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_endpoint_is_left_at_the_end_of_a_row) {
  static const char row[] = ROW("6-a", "x", "1-r") "\n";
  char half[8];

  open_at_home();
  fail_over();
  (void)until_asked_for_home();
  (void)snprintf(half, sizeof half, "%.7s", row);
  ck_assert(cft_world_body(&w, half));
  cft_world_side_answer(&w, 200, SERVER("\"u1\""));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  ck_assert(goes_to(":5985/"));
  ck_assert(cft_world_body(&w, row + 7));
  ck_assert_uint_eq(w.rows, 1);
  at_home_again();
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=6-a&"));
  cft_world_close(&w);
}
END_TEST

/* Less and less often. */
START_TEST(test_feed_endpoint_home_that_is_not_well_is_asked_for_again) {
  static const struct {
    int status;
    const char *body;
  } answers[] = {{0, NULL},
                 {503, "{}"},
                 {200, "<html>"},
                 {200, "{}"},
                 {200, SERVER("\"another\"")},
                 {404, SERVER("\"u1\"")}};
  int64_t before = 0;

  open_at_home();
  fail_over();
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
    int64_t took = until_asked_for_home();

    ck_assert_msg(took >= before, "%lld after %lld", (long long)took,
                  (long long)before);
    ck_assert_int_le(took, 16 * 60000 + 2000);
    before = took - 2000;
    if (answers[i].status == 0)
      cft_world_side_fails(&w, CHANGEFEED_ERR_NETWORK);
    else
      cft_world_side_answer(&w, answers[i].status, answers[i].body);
    ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
    ck_assert(goes_to(":5985/"));
  }
  ck_assert_int_ge(before, 16 * 60000 - 4000);
  ck_assert_uint_eq(endpoint_notices, 1);
  ck_assert_uint_eq(w.resets, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_endpoint_home_that_does_not_answer_is_not_awaited) {
  open_at_home();
  fail_over();
  (void)until_asked_for_home();
  stay_quiet(20000);
  ck_assert_uint_eq(w.side_cancels, 1);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_LIVE);
  ck_assert(goes_to(":5985/"));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_endpoint_home_is_not_asked_for_while_there_is_trouble) {
  size_t before;

  open_at_home();
  fail_over();
  before = w.side_requests;
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  cft_world_pass(&w, 3600000);
  ck_assert_uint_eq(w.side_requests, before);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_endpoint_with_another_history_is_a_reset) {
  open_at_home();
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_SERVER);
  ck_assert(goes_to(":5985/"));
  cft_world_answer(&w, 200, SERVER("\"another\""));
  ck_assert_uint_eq(w.resets, 1);
  ck_assert_str_eq(w.reset_reason, "another server answers");
  cft_world_greet(&w);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=0&"));
  cft_world_close(&w);
}
END_TEST

/* Saving the last position does not wait for it. */
START_TEST(test_feed_endpoint_question_gives_way_to_the_last_save) {
  static const char *const options[] = {
      LISTED,    "checkpoint",    "couch", "checkpoint_interval_ms",
      "3600000", "flush_on_stop", "1",     NULL};

  open_told(options);
  answer_all();
  fail_over();
  ck_assert(cft_world_body(&w, ROW("6-a", "x", "1-r") "\n"));
  (void)until_asked_for_home();
  atomic_fetch_or(&w.feed->mail, (unsigned)CFI_MAIL_STOP);
  cft_world_settle(&w);
  ck_assert_uint_eq(w.side_cancels, 1);
  ck_assert_int_eq(w.side.ask, CFI_ASK_LOAD);
  cft_world_close(&w);
}
END_TEST

static Suite *feed_endpoint_suite(void) {
  Suite *s = suite_create("feed_endpoint");
  TCase *t = tcase_create("feed_endpoint");

  tcase_add_test(t, test_feed_endpoint_followers_spread);
  tcase_add_test(t, test_feed_endpoint_listed_first_is_preferred);
  tcase_add_test(t, test_feed_endpoint_is_left_after_a_fault_of_it);
  tcase_add_test(t, test_feed_endpoint_is_not_left_after_what_all_would_answer);
  tcase_add_test(t, test_feed_endpoint_home_is_taken_again_when_it_is_well);
  tcase_add_test(t, test_feed_endpoint_is_left_at_the_end_of_a_row);
  tcase_add_test(t,
                 test_feed_endpoint_home_that_is_not_well_is_asked_for_again);
  tcase_add_test(t,
                 test_feed_endpoint_home_that_does_not_answer_is_not_awaited);
  tcase_add_test(
      t, test_feed_endpoint_home_is_not_asked_for_while_there_is_trouble);
  tcase_add_test(t, test_feed_endpoint_with_another_history_is_a_reset);
  tcase_add_test(t, test_feed_endpoint_question_gives_way_to_the_last_save);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(feed_endpoint_suite()); }
