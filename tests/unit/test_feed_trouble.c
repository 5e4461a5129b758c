/*
 * The feed's state machine in trouble: back-off and the rate of requests,
 * deadlines, broken bodies, credentials, other histories.
 */
#include "support/unit.h"
#include "unit/feed_in_world.h"

START_TEST(test_feed_backs_off_with_jitter_below_its_ceiling) {
  /* known failure 41: never above the cap */
  int64_t last = 0;

  cft_world_open(&w, none);
  for (int i = 0; i < 50; i++) {
    cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
    ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
    ck_assert_int_le(w.last_delay_ms, 60000);
    last += w.last_delay_ms;
    cft_world_to_deadline(&w);
  }
  ck_assert_int_gt(last, 50 * 5000); /* it did grow */
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_backs_off_from_a_server_that_answers) {
  int64_t sum = 0;

  cft_world_open(&w, none);
  for (int i = 0; i < 30; i++) {
    cft_world_answer(&w, 503, "<html>busy</html>");
    sum += w.last_delay_ms;
    cft_world_to_deadline(&w);
  }
  ck_assert_int_gt(sum, 30 * 5000); /* no connect and no head resets it */
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_minute_of_health_starts_the_count_again) {
  open_live(none);
  for (int i = 0; i < 5; i++) {
    cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
    cft_world_to_deadline(&w);
  }
  ck_assert_uint_eq(w.last_attempt, 0); /* of the state CONNECTING */
  ck_assert_uint_eq(w.feed->backoff.failures, 5);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  cft_world_head(&w, 200, NULL);
  for (int i = 0; i < 6; i++) {
    cft_world_pass(&w, 10000);
    ck_assert(cft_world_body(&w, "\n"));
  }
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_uint_eq(w.last_attempt, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_makes_few_requests_whatever_the_server_does) {
  /* known failures 43, 45, 75 */
  static const char *const answers[] = {"{}", "<html>", "", "[]",
                                        "{\"results\":[]}"};
  static const char *const quick[] = {"retry_min_ms", "10", "retry_max_ms",
                                      "10", NULL};

  for (size_t k = 0; k < sizeof answers / sizeof answers[0]; k++) {
    cft_world_open(&w, quick);
    for (int64_t end = w.now_ms + 10000; w.now_ms < end;) {
      if (w.active)
        cft_world_answer(&w, 200, answers[k]);
      else
        cft_world_to_deadline(&w);
    }
    ck_assert_uint_le(w.requests + w.side_requests, 15);
    ck_assert_uint_ge(w.requests + w.side_requests, 10); /* it keeps trying */
    cft_world_close(&w);
  }
}
END_TEST

START_TEST(test_feed_instantly_ending_feed_is_asked_once_a_second) {
  /* known failures 17, 43, 54: maintenance mode ends each feed at once */
  open_live(none);
  for (int64_t end = w.now_ms + 10000; w.now_ms < end;) {
    if (!w.active)
      cft_world_to_deadline(&w);
    else if (cft_world_ask(&w) == CFI_ASK_LIVE)
      cft_world_answer(&w, 200, "{\"last_seq\":\"5-a\",\"pending\":0}\n");
    else
      cft_world_greet(&w);
  }
  ck_assert_uint_le(w.requests + w.side_requests, 15);
  ck_assert_str_eq(w.states, "catchup live"); /* health, not a fault */
  ck_assert_uint_eq(w.feed->stats.reconnects, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_idle_longpolls_cost_no_delay) {
  /* known failure 69 */
  static const char *const longpoll[] = {"transport", "longpoll", NULL};
  size_t before;

  open_live(longpoll);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "timeout=10000"));
  before = w.requests + w.side_requests;
  for (int i = 0; i < 100; i++) {
    cft_world_head(&w, 200, NULL);
    cft_world_pass(&w, 10000);
    ck_assert(
        cft_world_body(&w, LIST("", "\"last_seq\":\"5-a\",\"pending\":0")));
    cft_world_done(&w, CHANGEFEED_OK);
    cft_world_greet(&w);
  }
  /* each with its GET /db */
  ck_assert_uint_eq(w.requests + w.side_requests - before, 200);
  ck_assert_str_eq(w.states, "catchup live");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_productive_longpolls_are_not_throttled) {
  static const char *const longpoll[] = {"transport", "longpoll", NULL};
  int64_t start;

  open_live(longpoll);
  start = w.now_ms;
  for (int i = 0; i < 500; i++) {
    char body[256];

    (void)snprintf(body, sizeof body,
                   "{\"results\":[{\"seq\":\"%d-b\",\"id\":\"i%d\","
                   "\"changes\":[{\"rev\":\"1-a\"}]}],\"last_seq\":\"%d-b\","
                   "\"pending\":0}",
                   i + 10, i, i + 10);
    cft_world_answer(&w, 200, body);
    ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  }
  ck_assert_int_eq(w.now_ms, start);
  ck_assert_uint_eq(w.rows, 500);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_repeated_page_without_progress_is_slowed) {
  /* known failure 76: the same since, the same rows, again and again */
  cft_world_open(&w, none);
  cft_world_greet(&w);
  for (int64_t end = w.now_ms + 10000; w.now_ms < end;) {
    if (!w.active)
      cft_world_to_deadline(&w);
    else if (cft_world_ask(&w) == CFI_ASK_CATCHUP)
      cft_world_answer(
          &w, 200,
          LIST(ROW("1-a", "x", "1-r"), "\"last_seq\":\"1-a\",\"pending\":4"));
    else
      cft_world_greet(&w);
  }
  ck_assert_uint_le(w.requests, 17);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_notices_silence) {
  /* known failures 3, 66, 67, 90 */
  open_live(none);
  cft_world_head(&w, 200, NULL);
  cft_world_pass(&w, 14999);
  ck_assert_uint_eq(w.cancels, 0);
  cft_world_pass(&w, 1);
  ck_assert_uint_eq(w.cancels, 1);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_IDLE);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_lives_by_heartbeats) {
  /* known failures 59, 68 */
  uint64_t before;

  open_live(none);
  cft_world_head(&w, 200, NULL);
  before = w.feed->stats.heartbeats;
  for (int i = 0; i < 300; i++) {
    cft_world_pass(&w, 10000);
    ck_assert(cft_world_body(&w, i % 2 != 0 ? "\n" : "\r\n"));
  }
  ck_assert_uint_eq(w.cancels, 0);
  ck_assert_uint_eq(w.feed->stats.heartbeats - before, 300);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_waits_for_late_heads_until_their_deadline) {
  /* known failure 82 */
  open_live(none);
  cfi_feed_note_connected(w.feed, &w.feed->main);
  cft_world_pass(&w, 64999);
  ck_assert_uint_eq(w.cancels, 0);
  cft_world_pass(&w, 1);
  ck_assert_uint_eq(w.cancels, 1);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_IDLE);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_our_own_pause_is_not_the_peers_silence) {
  /* known failures 22, 23 */
  static const char *const small[] = {"max_queue_bytes", "4096", NULL};
  bool taken = true;

  open_live(small);
  cft_world_head(&w, 200, NULL);
  atomic_store(&w.feed->paused, true);
  for (int i = 0; taken && i < 1000; i++)
    taken = cft_world_body(&w, ROW("6-a", "x", "1-r") "\n");
  ck_assert(!taken); /* the queue is full: reading stops */
  ck_assert_uint_le(w.feed->queue.len, 4096);
  cft_world_pass(&w, 100 * 10000);
  ck_assert_uint_eq(w.cancels, 0);
  ck_assert_uint_eq(w.rows, 0);
  atomic_store(&w.feed->paused, false);
  cft_world_settle(&w);
  ck_assert_uint_gt(w.rows, 0);
  ck_assert_uint_eq(w.unblocks, 1);
  ck_assert_str_eq(w.states, "catchup live paused live");
  cft_world_pass(&w, 14000); /* and the silence is counted from here */
  ck_assert_uint_eq(w.cancels, 0);
  cft_world_pass(&w, 1000);
  ck_assert_uint_eq(w.cancels, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_half_a_row_is_dropped_with_its_connection) {
  /* known failures 1, 27 */
  open_live(none);
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(&w, ROW("6-a", "x", "1-r") "\n{\"seq\":\"7-"));
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_uint_eq(w.rows, 1);
  cft_world_to_deadline(&w);
  cft_world_greet(&w);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=6-a&"));
  cft_world_answer(
      &w, 200,
      LIST(ROW("7-a", "y", "1-r"), "\"last_seq\":\"7-a\",\"pending\":0"));
  ck_assert_uint_eq(w.rows, 2);
  ck_assert_str_eq(w.row[1].id, "y");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_rows_before_a_fault_are_delivered) {
  /* known failures 26, 27 */
  static const char *const broken[] = {
      "{\"error\":\"timeout\",\"reason\":\"x\"}\n", "garbage\n", "{\"a\":1}\n",
      "{\"seq\":1,\"id\":5,\"changes\":[]}\n"};

  for (size_t k = 0; k < sizeof broken / sizeof broken[0]; k++) {
    char body[256];

    open_live(none);
    cft_world_head(&w, 200, NULL);
    (void)snprintf(body, sizeof body, "%s\n%s", ROW("6-a", "x", "1-r"),
                   broken[k]);
    (void)cft_world_body(&w, body);
    ck_assert_uint_eq(w.rows, 1);
    ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
    ck_assert_str_eq(position(), "6-a");
    cft_world_close(&w);
  }
}
END_TEST

START_TEST(test_feed_retry_after_is_a_lower_bound) {
  /* known failure 50 */
  cft_world_open(&w, none);
  cft_world_head(&w, 503, "7");
  cft_world_done(&w, CHANGEFEED_OK);
  ck_assert_int_ge(w.last_delay_ms, 7000);
  cft_world_pass(&w, 6999);
  ck_assert(!w.active);
  cft_world_to_deadline(&w);
  ck_assert(w.active);
  cft_world_close(&w);
}
END_TEST

/* Rows without a seq move no position: if an answer is always cut off before
   the first that has one, the same rows come for ever. */
START_TEST(test_feed_gets_on_though_each_answer_is_cut_off_early) {
  bool got_on = false;

  cft_world_open(&w, none);
  for (int i = 0; i < 8 && !got_on; i++) {
    const char *seq;

    cft_world_greet(&w);
    /* as a server that is asked for a seq in n rows and cut off at the third */
    seq =
        strstr(cft_world_url(&w), "seq_interval") != NULL ? "null" : "\"3-c\"";
    cft_world_head(&w, 200, NULL);
    ck_assert(cft_world_body(&w, "{\"results\":[\n{\"seq\":"));
    ck_assert(cft_world_body(&w, seq));
    ck_assert(cft_world_body(
        &w, ",\"id\":\"x\",\"changes\":[{\"rev\":\"1-r\"}]},\n"));
    cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
    got_on = strcmp(position(), "3-c") == 0;
  }
  ck_assert(got_on);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"3-c\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK); /* and then it trusts again */
  cft_world_greet(&w);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "seq_interval=1000"));
  cft_world_close(&w);
}
END_TEST

/* A server that has come back may have forgotten whom it knew, and serve
   everybody as nobody. */
START_TEST(test_feed_session_is_proven_again_after_a_fault) {
  static const char *const session[] = {"session",  "1", "username", "u",
                                        "password", "p", NULL};

  cft_world_open(&w, session);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  cft_world_head(&w, 200, NULL);
  ck_assert(w.feed->verified);
  w.hold_checks = true;
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  cft_world_head(&w, 200, NULL);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_DATABASE);
  cft_world_side_answer(&w, 200,
                        "{\"db_name\":\"db\",\"instance_start_time\":\"77\"}");
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_SESSION);
  ck_assert(!w.feed->verified);
  cft_world_side_answer(&w, 200, "{\"ok\":true,\"userCtx\":{\"name\":null}}");
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LOGIN);
  ck_assert_uint_eq(w.rows, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_fails_at_the_nth_attempt_in_a_row) {
  static const char *const three[] = {"retry_limit", "3", NULL};

  cft_world_open(&w, three);
  for (int i = 0; i < 2; i++) {
    cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
    cft_world_to_deadline(&w);
  }
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_FAILED);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_NETWORK);
  ck_assert_uint_eq(w.requests, 3);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_recreated_database_is_a_reset_before_its_rows) {
  /* known failures 15, 86, 92 */
  open_live(none);
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  cft_world_to_deadline(&w);
  w.database = "{\"db_name\":\"db\",\"instance_start_time\":\"78\"}";
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"1-n\",\"pending\":0"));
  ck_assert_uint_eq(w.resets, 1);
  ck_assert_str_eq(w.reset_reason, "the database was created anew");
  ck_assert_uint_eq(w.rows, 0);
  cft_world_greet(&w);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=0&"));
  ck_assert_str_eq(position(), "(none)");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_other_server_is_a_reset) {
  open_live(none);
  w.feed->server_known = false; /* as after a change of the endpoint */
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  cft_world_to_deadline(&w);
  cft_world_answer(&w, 200, "{\"version\":\"3.5.0\",\"uuid\":\"u2\"}");
  ck_assert_uint_eq(w.resets, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_start_time_zero_or_of_1x_is_no_identity) {
  /* known failure 79 */
  cft_world_open(&w, none);
  cft_world_answer(&w, 200, "{\"version\":\"1.6.1\",\"uuid\":\"u1\"}");
  w.database = "{\"db_name\":\"db\",\"instance_start_time\":\"1\"}";
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":5"));
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  cft_world_to_deadline(&w);
  cft_world_answer(&w, 200, "{\"version\":\"1.6.1\",\"uuid\":\"u1\"}");
  w.database = "{\"db_name\":\"db\",\"instance_start_time\":\"2\","
               "\"update_seq\":5}";
  cft_world_greet(&w);
  cft_world_head(&w, 200, NULL);
  ck_assert_uint_eq(w.resets, 0);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=5&"));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_number_ahead_of_the_database_is_a_reset) {
  cft_world_open(&w, none);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":100,\"pending\":0"));
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  cft_world_to_deadline(&w);
  w.database = "{\"db_name\":\"db\",\"update_seq\":2}";
  cft_world_head(&w, 200, NULL);
  ck_assert_uint_eq(w.resets, 1);
  ck_assert_str_eq(w.reset_reason, "the position is ahead of the database");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_refused_position_of_our_own_is_a_reset) {
  /* known failure 63; the caller's own since is fatal */
  static const char *const bad[] = {"since", "abc", NULL};
  static const char *const answer =
      "{\"error\":\"bad_request\",\"reason\":\"Malformed sequence supplied in "
      "'since' parameter.\"}";

  open_live(none);
  cft_world_answer(&w, 400, answer);
  ck_assert_uint_eq(w.resets, 1);
  cft_world_greet(&w);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=0&"));
  cft_world_close(&w);

  cft_world_open(&w, bad);
  cft_world_greet(&w);
  cft_world_answer(&w, 400, answer);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_FAILED);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_HTTP);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_missing_database_is_fatal_unless_seen_or_waited_for) {
  static const char *const wait[] = {"wait_for_database", "1", NULL};
  static const char *const gone =
      "{\"error\":\"not_found\",\"reason\":\"Database does not exist.\"}";

  cft_world_open(&w, none);
  cft_world_answer(&w, 200, "{\"version\":\"3.5.0\"}");
  cft_world_answer(&w, 404, gone);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_NOTFOUND);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_FAILED);
  cft_world_close(&w);

  cft_world_open(&w, wait);
  cft_world_answer(&w, 200, "{\"version\":\"3.5.0\"}");
  cft_world_answer(&w, 404, gone);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  cft_world_close(&w);

  open_live(none);
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  for (int64_t start = w.now_ms; w.last_state != CHANGEFEED_STATE_FAILED;) {
    ck_assert_int_lt(w.now_ms - start, 200000);
    if (w.active)
      cft_world_answer(&w, 404, gone);
    else
      cft_world_to_deadline(&w);
    if (w.now_ms - start < 60000)
      ck_assert_int_ne(w.last_state, CHANGEFEED_STATE_FAILED);
  }
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_NOTFOUND);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_falls_back_when_heartbeats_do_not_come_through) {
  open_live(none);
  for (int i = 0; i < 2; i++) {
    cft_world_head(&w, 200, NULL);
    cft_world_pass(&w, 15000);
    cft_world_to_deadline(&w);
    cft_world_greet(&w);
    cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  }
  if (!w.active)
    cft_world_to_deadline(&w);
  ck_assert_uint_eq(w.fallbacks, 1);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "feed=longpoll"));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_logs_in_and_renews_the_cookie) {
  /* known failures 33, 78 */
  static const char *const session[] = {"session",  "1",   "username", "u",
                                        "password", "p&w", NULL};

  cft_world_open(&w, session);
  ck_assert_str_eq(cft_world_url(&w), "http://127.0.0.1:5984/_session");
  ck_assert_str_eq(w.request[0].body, "name=u&password=p%26w");
  cft_world_greet(&w);
  ck_assert_str_eq(w.request[w.requests - 1].cookie, "AuthSession=abc");
  cft_world_answer(&w, 401, "{\"error\":\"unauthorized\",\"reason\":\"x\"}");
  if (!w.active)
    cft_world_to_deadline(&w);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LOGIN); /* once */
  cft_world_greet(&w);
  cft_world_answer(&w, 401, "{\"error\":\"unauthorized\",\"reason\":\"x\"}");
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_FAILED);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_AUTH);
  cft_world_close(&w);
}
END_TEST

static Suite *feed_trouble_suite(void) {
  Suite *s = suite_create("feed_trouble");
  TCase *t = tcase_create("feed_trouble");

  tcase_add_test(t, test_feed_backs_off_with_jitter_below_its_ceiling);
  tcase_add_test(t, test_feed_backs_off_from_a_server_that_answers);
  tcase_add_test(t, test_feed_minute_of_health_starts_the_count_again);
  tcase_add_test(t, test_feed_makes_few_requests_whatever_the_server_does);
  tcase_add_test(t, test_feed_instantly_ending_feed_is_asked_once_a_second);
  tcase_add_test(t, test_feed_idle_longpolls_cost_no_delay);
  tcase_add_test(t, test_feed_productive_longpolls_are_not_throttled);
  tcase_add_test(t, test_feed_repeated_page_without_progress_is_slowed);
  tcase_add_test(t, test_feed_notices_silence);
  tcase_add_test(t, test_feed_lives_by_heartbeats);
  tcase_add_test(t, test_feed_waits_for_late_heads_until_their_deadline);
  tcase_add_test(t, test_feed_our_own_pause_is_not_the_peers_silence);
  tcase_add_test(t, test_feed_half_a_row_is_dropped_with_its_connection);
  tcase_add_test(t, test_feed_rows_before_a_fault_are_delivered);
  tcase_add_test(t, test_feed_retry_after_is_a_lower_bound);
  tcase_add_test(t, test_feed_gets_on_though_each_answer_is_cut_off_early);
  tcase_add_test(t, test_feed_session_is_proven_again_after_a_fault);
  tcase_add_test(t, test_feed_fails_at_the_nth_attempt_in_a_row);
  tcase_add_test(t, test_feed_recreated_database_is_a_reset_before_its_rows);
  tcase_add_test(t, test_feed_other_server_is_a_reset);
  tcase_add_test(t, test_feed_start_time_zero_or_of_1x_is_no_identity);
  tcase_add_test(t, test_feed_number_ahead_of_the_database_is_a_reset);
  tcase_add_test(t, test_feed_refused_position_of_our_own_is_a_reset);
  tcase_add_test(t,
                 test_feed_missing_database_is_fatal_unless_seen_or_waited_for);
  tcase_add_test(t, test_feed_falls_back_when_heartbeats_do_not_come_through);
  tcase_add_test(t, test_feed_logs_in_and_renews_the_cookie);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(feed_trouble_suite()); }
