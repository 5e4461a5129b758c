/*
 * checkpoint=couch: what a save needs when the session has run out, and the
 * last save before the end of a feed.
 */
#include "feed_in_couch.h"
#include "support/unit.h"

#define LINE(seq) ROW(seq, "x", "1-r") "\n"

static void must_take(const char *text) { ck_assert(cft_world_body(&w, text)); }

/* ---- sessions ---- */

static const char *const session[] = {
    "checkpoint", "couch", "checkpoint_every", "1", "session", "1",
    "username",   "u",     "password",         "p", NULL};

/* The rate limit may hold it back until after the next response has begun. */
static void until_side(void) {
  while (!w.side.active)
    if (w.active && !w.feed->main.has_head)
      cft_world_head(&w, 200, NULL);
    else
      cft_world_to_deadline(&w);
}

/* A quiet response outlives the cookie it began with. */
START_TEST(test_feed_local_logs_in_again_before_it_saves) {
  open_live_at_five(session);
  stay_quiet(360000);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  must_take(LINE("6-a"));
  ck_assert(!w.side.active);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LOGIN);
  cft_world_answer(&w, 200, "{\"ok\":true}");
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"6-a\",\"pending\":0"));
  until_side();
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD); /* it was long */
  cft_world_side_answer(&w, 404, MISSING);
  until_side();
  assert_saving("6-a");
  cft_world_side_answer(&w, 201, SAVED("0-1"));
  ck_assert_uint_eq(saves(), 1);
  ck_assert_uint_eq(save_errors(), 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_renews_a_session_once_before_it_is_refused) {
  open_live_at_five(session);
  must_take(LINE("6-a"));
  assert_saving("6-a");
  cft_world_side_answer(&w, 401, "{}");
  ck_assert_uint_eq(store_notices, 0);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LOGIN);
  cft_world_answer(&w, 200, "{\"ok\":true}");
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"6-a\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  cft_world_head(&w, 200, NULL);
  assert_saving("6-a");
  cft_world_side_answer(&w, 401, "{}");
  ck_assert_uint_eq(store_notices, 1);
  ck_assert_uint_eq(save_errors(), 2);
  cft_world_pass(&w, 1000);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  cft_world_close(&w);
}
END_TEST

/* ---- the end ---- */

/* Nothing is saved before the end, unless a test says so. */
#define LAZY "checkpoint", "couch", "checkpoint_interval_ms", "3600000"

static const char *const lazy[] = {LAZY, NULL};
static const char *const limited[] = {LAZY, "limit", "1", NULL};
static const char *const flushes[] = {LAZY, "flush_on_stop", "1", NULL};

static void stop(void) {
  atomic_fetch_or(&w.feed->mail, (unsigned)CFI_MAIL_STOP);
  cft_world_settle(&w);
}

static void assert_ended(void) {
  ck_assert(cfi_feed_over(w.feed));
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_ENDED);
  ck_assert(!w.side.active);
  ck_assert(!w.active);
}

static void assert_waiting_for_save(const char *seq) {
  assert_saving(seq);
  ck_assert(!cfi_feed_over(w.feed));
  ck_assert(!w.active);
}

START_TEST(test_feed_local_end_waits_for_the_last_save) {
  open_live_at_five(limited);
  must_take(LINE("6-a"));
  assert_waiting_for_save("6-a");
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  assert_ended();
  ck_assert_uint_eq(saves(), 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_end_with_nothing_to_save_is_at_once) {
  static const char *const once[] = {LAZY, "mode", "once", NULL};
  static const stored run = {.session = "before", .seq = "5-a"};

  open_to_load(once);
  cft_world_answer(&w, 200, document("0-4", &run, 1, 0));
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  assert_ended();
  ck_assert_uint_eq(saves(), 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_end_tries_as_long_as_it_may) {
  open_live_at_five(limited);
  must_take(LINE("6-a"));
  assert_waiting_for_save("6-a");
  cft_world_side_answer(&w, 503, "{}");
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
  cft_world_side_answer(&w, 404, MISSING);
  assert_waiting_for_save("6-a");
  cft_world_pass(&w, 5000);
  assert_ended();
  ck_assert_uint_eq(w.side_cancels, 1);
  ck_assert_uint_eq(saves(), 0);
  ck_assert_ptr_nonnull(strstr(said, "could not be saved in 5000 ms"));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_end_waits_for_nothing_where_it_may_not_write) {
  static const stored other = {.session = "theirs", .seq = "50-z"};

  open_live_at_five(limited);
  must_take(LINE("6-a"));
  assert_waiting_for_save("6-a");
  cft_world_side_answer(&w, 403, "{\"error\":\"no\",\"reason\":\"no\"}");
  assert_ended();
  ck_assert_uint_eq(store_notices, 1);
  cft_world_close(&w);
  open_live_at_five(limited);
  must_take(LINE("6-a"));
  assert_waiting_for_save("6-a");
  cft_world_side_answer(&w, 409, CONFLICT);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
  cft_world_side_answer(&w, 200, document("0-9", &other, 1, 0));
  assert_ended();
  ck_assert_uint_eq(store_notices, 1);
  cft_world_close(&w);
}
END_TEST

/* Those who are still at work with the last rows. */
START_TEST(test_feed_local_end_waits_for_acknowledgements) {
  static const char *const manual[] = {LAZY,       "limit", "2",
                                       "auto_ack", "0",     NULL};

  open_live_at_five(manual);
  must_take(LINE("6-a") LINE("7-a"));
  ck_assert(!cfi_feed_over(w.feed));
  cft_world_pass(&w, 1000);
  ck_assert(cfi_window_ack(&w.feed->window, 2));
  cft_world_settle(&w);
  assert_waiting_for_save("7-a");
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  assert_ended();
  cft_world_close(&w);
  open_live_at_five(manual);
  must_take(LINE("6-a") LINE("7-a"));
  ck_assert(cfi_window_ack(&w.feed->window, 1));
  cft_world_settle(&w);
  assert_waiting_for_save("6-a");
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  ck_assert(!cfi_feed_over(w.feed));
  cft_world_pass(&w, 5000); /* not for ever */
  assert_ended();
  ck_assert_ptr_nonnull(strstr(said, "not acknowledged"));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_stop_waits_only_when_told_to) {
  static const char *const no_time[] = {
      LAZY, "flush_on_stop", "1", "flush_timeout_ms", "0", NULL};

  open_live_at_five(lazy);
  must_take(LINE("6-a"));
  stop();
  assert_ended();
  cft_world_close(&w);
  open_live_at_five(no_time);
  must_take(LINE("6-a"));
  stop();
  assert_ended();
  cft_world_close(&w);
  open_live_at_five(flushes);
  must_take(LINE("6-a"));
  stop();
  assert_waiting_for_save("6-a");
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  assert_ended();
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_second_stop_waits_no_longer) {
  open_live_at_five(flushes);
  must_take(LINE("6-a"));
  stop();
  assert_waiting_for_save("6-a");
  stop();
  assert_ended();
  ck_assert_uint_eq(w.side_cancels, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_stop_waits_for_acknowledgements_when_told_to) {
  static const char *const manual[] = {
      LAZY, "flush_on_stop", "1", "auto_ack", "0", NULL};

  open_live_at_five(manual);
  must_take(LINE("6-a"));
  stop();
  ck_assert(!cfi_feed_over(w.feed));
  ck_assert(cfi_window_ack(&w.feed->window, 1));
  cft_world_settle(&w);
  assert_waiting_for_save("6-a");
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  assert_ended();
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_close_waits_for_nothing) {
  open_live_at_five(flushes);
  must_take(LINE("6-a"));
  stop();
  assert_waiting_for_save("6-a");
  cft_world_close(&w);
  ck_assert_uint_eq(w.side_cancels, 1);
}
END_TEST

/* A save that is under way is the last one when nothing came after it. */
START_TEST(test_feed_local_stop_takes_the_save_under_way) {
  static const char *const options[] = {
      "checkpoint", "couch", "checkpoint_every", "1", "flush_on_stop",
      "1",          NULL};

  open_live_at_five(options);
  must_take(LINE("6-a"));
  assert_saving("6-a");
  stop();
  assert_waiting_for_save("6-a");
  ck_assert_uint_eq(w.side_cancels, 0);
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  assert_ended();
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_stop_waits_again_once_it_may_write) {
  static const char *const options[] = {
      "checkpoint", "couch", "checkpoint_every", "1", "flush_on_stop",
      "1",          NULL};

  open_live_at_five(options);
  must_take(LINE("6-a"));
  cft_world_side_answer(&w, 403, "{}");
  assert_saving("6-a");
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  must_take(LINE("7-a"));
  stop();
  assert_waiting_for_save("7-a");
  cft_world_side_answer(&w, 201, SAVED("0-6"));
  assert_ended();
  cft_world_close(&w);
}
END_TEST

static int verdict, asked;

static int on_request(changefeed *feed, void *user) {
  (void)feed;
  (void)user;
  asked++;
  return verdict;
}

START_TEST(test_feed_local_last_save_asks_the_application_as_any_request) {
  open_live_at_five(flushes);
  must_take(LINE("6-a"));
  w.feed->callbacks.on_request = on_request;
  asked = verdict = 0;
  stop();
  ck_assert_int_eq(asked, 1);
  assert_waiting_for_save("6-a");
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  assert_ended();
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_last_save_may_be_forbidden_by_the_application) {
  open_live_at_five(flushes);
  must_take(LINE("6-a"));
  w.feed->callbacks.on_request = on_request;
  asked = 0;
  verdict = -1;
  stop();
  ck_assert_int_eq(asked, 1);
  assert_ended();
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_last_save_logs_in_when_it_must) {
  static const char *const options[] = {
      LAZY, "flush_on_stop", "1", "session", "1", "username",
      "u",  "password",      "p", NULL};
  cfi_head head = {.status = 200, .cookie_age_ms = -1};
  cfi_outcome outcome = {.code = CHANGEFEED_OK};

  head.cookie = "AuthSession=new";
  open_live_at_five(options);
  must_take(LINE("6-a"));
  stay_quiet(360000);
  stop();
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOGIN);
  ck_assert_str_eq(w.side.body, "name=u&password=p");
  w.side.active = false;
  cfi_feed_note_head(w.feed, &w.feed->side, &head);
  cfi_feed_note_done(w.feed, &w.feed->side, &outcome);
  cft_world_settle(&w);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
  cft_world_side_answer(&w, 404, MISSING);
  assert_waiting_for_save("6-a");
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  assert_ended();
  cft_world_close(&w);

  open_live_at_five(options);
  must_take(LINE("6-a"));
  stay_quiet(360000);
  stop();
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOGIN);
  cft_world_side_answer(&w, 401, "{}");
  assert_ended();
  ck_assert_uint_eq(save_errors(), 1);
  cft_world_close(&w);
}
END_TEST

static Suite *feed_local_end_suite(void) {
  Suite *s = suite_create("feed_local_end");
  TCase *t = tcase_create("feed_local_end");

  tcase_add_test(t, test_feed_local_logs_in_again_before_it_saves);
  tcase_add_test(t, test_feed_local_renews_a_session_once_before_it_is_refused);
  tcase_add_test(t, test_feed_local_end_waits_for_the_last_save);
  tcase_add_test(t, test_feed_local_end_with_nothing_to_save_is_at_once);
  tcase_add_test(t, test_feed_local_end_tries_as_long_as_it_may);
  tcase_add_test(t,
                 test_feed_local_end_waits_for_nothing_where_it_may_not_write);
  tcase_add_test(t, test_feed_local_end_waits_for_acknowledgements);
  tcase_add_test(t, test_feed_local_stop_waits_only_when_told_to);
  tcase_add_test(t, test_feed_local_second_stop_waits_no_longer);
  tcase_add_test(t,
                 test_feed_local_stop_waits_for_acknowledgements_when_told_to);
  tcase_add_test(t, test_feed_local_close_waits_for_nothing);
  tcase_add_test(t, test_feed_local_stop_takes_the_save_under_way);
  tcase_add_test(t, test_feed_local_stop_waits_again_once_it_may_write);
  tcase_add_test(t,
                 test_feed_local_last_save_asks_the_application_as_any_request);
  tcase_add_test(t,
                 test_feed_local_last_save_may_be_forbidden_by_the_application);
  tcase_add_test(t, test_feed_local_last_save_logs_in_when_it_must);

  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(feed_local_end_suite()); }
