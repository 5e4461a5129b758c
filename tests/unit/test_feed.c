/*
 * The feed's state machine with a clock of its own and no sockets: what it asks
 * for, when, and what it tells.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/fake_world.h"
#include "support/unit.h"

#define ROW(seq, id, rev)                                                      \
  "{\"seq\":\"" seq "\",\"id\":\"" id "\",\"changes\":[{\"rev\":\"" rev "\"}]" \
  "}"
#define LIST(rows, tail) "{\"results\":[\n" rows "\n],\n" tail "}\n"

static cft_world w;

static const char *const none[] = {NULL};

static void open_live(const char *const *options) {
  cft_world_open(&w, options);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
}

static const char *position(void) {
  static char text[64];
  char *copy = NULL;
  size_t len;

  if (!cfi_window_position(&w.feed->window, &copy, &len))
    return "(none)";
  (void)snprintf(text, sizeof text, "%s", copy);
  cfi_free(&w.alloc, copy);
  return text;
}

START_TEST(test_feed_asks_who_is_there_then_the_past_then_the_present) {
  cft_world_open(&w, none);
  ck_assert_str_eq(cft_world_url(&w), "http://127.0.0.1:5984/");
  cft_world_answer(&w, 200, "{\"couchdb\":\"Welcome\",\"uuid\":\"u1\"}");
  ck_assert_str_eq(cft_world_url(&w), "http://127.0.0.1:5984/db");
  cft_world_answer(&w, 200, "{\"db_name\":\"db\"}");
  ck_assert_str_eq(cft_world_url(&w),
                   "http://127.0.0.1:5984/db/_changes?feed=normal&since=0"
                   "&heartbeat=10000");
  cft_world_answer(
      &w, 200,
      LIST(ROW("1-a", "x", "1-r"), "\"last_seq\":\"2-b+/=\",\"pending\":0"));
  ck_assert_str_eq(cft_world_url(&w),
                   "http://127.0.0.1:5984/db/_changes?feed=continuous"
                   "&since=2-b%2B%2F%3D&heartbeat=10000");
  ck_assert_str_eq(w.states, "catchup live");
  ck_assert_uint_eq(w.rows, 1);
  ck_assert_str_eq(position(), "2-b+/=");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_is_live_only_after_the_servers_word) {
  cft_world_open(&w, none);
  cft_world_greet(&w);
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(&w, "{\"results\":[\n" ROW("1-a", "x", "1-r")));
  ck_assert_uint_eq(w.rows, 1); /* at its closing brace */
  ck_assert(cft_world_body(&w, "\n],\n\"last_seq\":\"1-a\",\"pending\":3}\n"));
  cft_world_done(&w, CHANGEFEED_OK);
  ck_assert_str_eq(w.states, "catchup");
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=1-a&"));
  /* nothing came and nothing moved: that is the end, whatever pending says */
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"1-a\",\"pending\":3"));
  ck_assert_str_eq(w.states, "catchup live");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_once_ends_without_pending) {
  /* known failure 44: a 1.x server knows no "pending" */
  static const char *const once[] = {"mode", "once", NULL};

  cft_world_open(&w, once);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":7"));
  ck_assert_str_eq(w.states, "catchup live ended");
  ck_assert(!w.active);
  ck_assert_int_eq(cfi_feed_deadline(w.feed), CFI_NEVER);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_limit_ends_without_another_request) {
  static const char *const two[] = {"limit", "2", NULL};

  cft_world_open(&w, two);
  cft_world_greet(&w);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "&limit=2"));
  cft_world_answer(&w, 200,
                   LIST(ROW("1-a", "x", "1-r") "," ROW("2-a", "y", "1-r"),
                        "\"last_seq\":\"2-a\",\"pending\":9"));
  ck_assert_uint_eq(w.rows, 2);
  ck_assert_str_eq(w.states, "catchup ended");
  ck_assert(!w.active);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_since_now_is_pinned_by_the_first_answer) {
  static const char *const from_now[] = {"since", "now", NULL};

  cft_world_open(&w, from_now);
  cft_world_greet(&w);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=now&"));
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"8-z\",\"pending\":0"));
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK); /* the live one fails at once */
  cft_world_to_deadline(&w);
  cft_world_greet(&w);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=8-z&"));
  cft_world_close(&w);
}
END_TEST

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
    ck_assert_uint_le(w.requests, 15);
    ck_assert_uint_ge(w.requests, 10); /* and it keeps trying */
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
  ck_assert_uint_le(w.requests, 15);
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
  before = w.requests;
  for (int i = 0; i < 100; i++) {
    cft_world_head(&w, 200, NULL);
    cft_world_pass(&w, 10000);
    ck_assert(
        cft_world_body(&w, LIST("", "\"last_seq\":\"5-a\",\"pending\":0")));
    cft_world_done(&w, CHANGEFEED_OK);
    cft_world_greet(&w);
  }
  ck_assert_uint_eq(w.requests - before, 200); /* each with its GET /db */
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
  cfi_feed_note_connected(w.feed);
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

START_TEST(test_feed_later_brings_the_same_row_again) {
  open_live(none);
  cft_world_head(&w, 200, NULL);
  w.verdict = CHANGEFEED_LATER;
  ck_assert(cft_world_body(
      &w, ROW("6-a", "x", "1-r") "\n" ROW("7-a", "y", "1-r") "\n"));
  ck_assert_uint_eq(w.rows, 1);
  ck_assert_str_eq(position(), "5-a");
  w.verdict = CHANGEFEED_CONTINUE;
  atomic_store(&w.feed->paused, false);
  cft_world_settle(&w);
  ck_assert_uint_eq(w.rows, 3);
  ck_assert_uint_eq(w.row[0].ordinal, 1);
  ck_assert_uint_eq(w.row[1].ordinal, 1);
  ck_assert_str_eq(w.row[1].id, "x");
  ck_assert_uint_eq(w.row[2].ordinal, 2);
  ck_assert_str_eq(position(), "7-a");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_position_waits_for_acknowledgements) {
  /* known failures 6, 8, 10, 24, 40, 64, 70 */
  static const char *const manual[] = {"auto_ack", "0", NULL};

  open_live(manual);
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(
      &w, ROW("9-a", "x", "1-r") "\n" ROW("10-b", "y", "1-r") "\n"));
  ck_assert(cft_world_body(&w, "{\"last_seq\":\"11-c\",\"pending\":0}\n"));
  ck_assert_uint_eq(w.rows, 2);
  ck_assert_str_eq(position(), "5-a");
  ck_assert(cfi_window_ack_one(&w.feed->window, 2));
  ck_assert_str_eq(position(), "5-a");
  ck_assert(cfi_window_ack_one(&w.feed->window, 1));
  ck_assert_str_eq(position(), "11-c");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_stops_delivering_when_credit_is_used_up) {
  static const char *const manual[] = {"auto_ack", "0", "max_unacked", "2",
                                       NULL};

  open_live(manual);
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(
      &w, ROW("6-a", "x", "1-r") "\n" ROW("7-a", "y", "1-r") "\n" ROW(
              "8-a", "z", "1-r") "\n"));
  ck_assert_uint_eq(w.rows, 2);
  ck_assert(cfi_window_ack(&w.feed->window, 1));
  cft_world_settle(&w);
  ck_assert_uint_eq(w.rows, 3);
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
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_DATABASE);
  cft_world_answer(&w, 200,
                   "{\"db_name\":\"db\",\"instance_start_time\":\"78\"}");
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
  cft_world_answer(&w, 200,
                   "{\"db_name\":\"db\",\"instance_start_time\":\"1\"}");
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":5"));
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  cft_world_to_deadline(&w);
  cft_world_answer(&w, 200, "{\"version\":\"1.6.1\",\"uuid\":\"u1\"}");
  cft_world_answer(&w, 200,
                   "{\"db_name\":\"db\",\"instance_start_time\":\"2\","
                   "\"update_seq\":5}");
  ck_assert_uint_eq(w.resets, 0);
  cft_world_greet(&w);
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
  cft_world_answer(&w, 200, "{\"db_name\":\"db\",\"update_seq\":2}");
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

START_TEST(test_feed_filtered_feed_asks_for_an_end) {
  static const char *const filtered[] = {"filter", "d/f", "heartbeat_ms",
                                         "2000", NULL};

  open_live(filtered);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "timeout=2000&filter=d%2Ff"));
  ck_assert_ptr_null(strstr(cft_world_url(&w), "heartbeat"));
  cft_world_head(&w, 200, NULL);
  cft_world_pass(&w, 2000);
  ck_assert(cft_world_body(&w, "{\"last_seq\":\"9-q\",\"pending\":0}\n"));
  ck_assert_str_eq(position(), "9-q"); /* moved without a row */
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_posts_ids_and_selectors) {
  static const char *const ids[] = {"doc_ids", "[\"a\",\"b\"]", NULL};
  static const char *const selector[] = {"selector", "{\"x\":1}", NULL};

  cft_world_open(&w, ids);
  cft_world_greet(&w);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "&filter=_doc_ids"));
  ck_assert_str_eq(w.request[w.requests - 1].body,
                   "{\"doc_ids\":[\"a\",\"b\"]}");
  cft_world_close(&w);
  cft_world_open(&w, selector);
  cft_world_greet(&w);
  ck_assert_str_eq(w.request[w.requests - 1].body, "{\"selector\":{\"x\":1}}");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_renews_an_old_connection_between_rows) {
  static const char *const young[] = {"connection_max_age_ms", "1000",
                                      "heartbeat_ms", "300", NULL};

  open_live(young);
  cft_world_head(&w, 200, NULL);
  for (int i = 0; i < 3; i++) {
    cft_world_pass(&w, 290);
    ck_assert(cft_world_body(&w, "\n"));
  }
  ck_assert(cft_world_body(&w, "{\"seq\":\"6-a\",\"id\":\"x\","));
  cft_world_pass(&w, 290);
  ck_assert_uint_eq(w.cancels, 0); /* half a row belongs to it */
  ck_assert(cft_world_body(&w, "\"changes\":[{\"rev\":\"1-r\"}]}\n"));
  ck_assert_uint_eq(w.cancels, 1);
  ck_assert_uint_eq(w.rows, 1);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_DATABASE);
  ck_assert_str_eq(w.states, "catchup live");
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

START_TEST(test_feed_repeats_are_marked_and_told) {
  /* known failure 80 */
  open_live(none);
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(
      &w, ROW("6-a", "x", "2-r") "\n" ROW("7-a", "y", "1-r") "\n"));
  ck_assert(cft_world_body(
      &w, ROW("8-a", "x", "1-q") "\n" ROW("9-a", "y", "1-r") "\n" ROW(
              "10-a", "z", "1-r") "\n"));
  ck_assert_uint_eq(w.row[1].flags & CHANGEFEED_REPEAT, 0);
  ck_assert_uint_ne(w.row[2].flags & CHANGEFEED_REPEAT, 0); /* older */
  ck_assert_uint_ne(w.row[3].flags & CHANGEFEED_REPEAT, 0); /* the same */
  ck_assert_uint_eq(w.row[4].flags & CHANGEFEED_REPEAT, 0);
  ck_assert_uint_eq(w.rewind_rows, 2);
  ck_assert_uint_eq(w.feed->stats.rewinds, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_refuses_what_it_cannot_do) {
  static const struct {
    const char *options[5];
    int result;
    const char *says;
  } cases[] = {
      {{"marker", "1", NULL}, CHANGEFEED_ERR_UNSUPPORTED, "marker"},
      {{"checkpoint", "couch", NULL}, CHANGEFEED_ERR_UNSUPPORTED, "couch"},
      {{"session", "1", NULL}, CHANGEFEED_ERR_OPTION, "user name"},
      {{"url", "http://h/_db_updates", "style", "all_docs", NULL},
       CHANGEFEED_ERR_OPTION,
       "_db_updates"},
      {{"url", "http://h/_db_updates", "transport", "eventsource", NULL},
       CHANGEFEED_ERR_OPTION,
       "_db_updates"},
      {{"url", "http://h/", NULL}, CHANGEFEED_ERR_OPTION, "database"},
      {{"endpoint", "http://u:p@h", NULL}, CHANGEFEED_ERR_OPTION, "endpoint"}};

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    ck_assert_int_eq(cft_world_try(&w, NULL, cases[i].options),
                     cases[i].result);
    ck_assert_msg(strstr(w.error.text, cases[i].says) != NULL, "%s",
                  w.error.text);
  }
}
END_TEST

START_TEST(test_feed_stops_in_every_state) {
  /* known failures 28, 29, 31, 47 */
  for (int state = 0; state < 6; state++) {
    cft_world_open(&w, none);
    if (state >= 1)
      cft_world_greet(&w);
    if (state >= 2)
      cft_world_head(&w, 200, NULL);
    if (state == 3)
      ck_assert(cft_world_body(&w, "{\"results\":[{\"seq\":"));
    if (state == 4)
      cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
    if (state == 5)
      atomic_store(&w.feed->paused, true);
    (void)atomic_fetch_or(&w.feed->mail, (unsigned)CFI_MAIL_STOP);
    cft_world_settle(&w);
    ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_ENDED);
    ck_assert(!w.active);
    ck_assert_int_eq(cfi_feed_deadline(w.feed), CFI_NEVER);
    cft_world_close(&w);
  }
}
END_TEST

static Suite *feed_suite(void) {
  Suite *s = suite_create("feed");
  TCase *t = tcase_create("feed");

  tcase_add_test(t, test_feed_asks_who_is_there_then_the_past_then_the_present);
  tcase_add_test(t, test_feed_is_live_only_after_the_servers_word);
  tcase_add_test(t, test_feed_once_ends_without_pending);
  tcase_add_test(t, test_feed_limit_ends_without_another_request);
  tcase_add_test(t, test_feed_since_now_is_pinned_by_the_first_answer);
  tcase_add_test(t, test_feed_backs_off_with_jitter_below_its_ceiling);
  tcase_add_test(t, test_feed_makes_few_requests_whatever_the_server_does);
  tcase_add_test(t, test_feed_instantly_ending_feed_is_asked_once_a_second);
  tcase_add_test(t, test_feed_idle_longpolls_cost_no_delay);
  tcase_add_test(t, test_feed_productive_longpolls_are_not_throttled);
  tcase_add_test(t, test_feed_repeated_page_without_progress_is_slowed);
  tcase_add_test(t, test_feed_notices_silence);
  tcase_add_test(t, test_feed_lives_by_heartbeats);
  tcase_add_test(t, test_feed_waits_for_late_heads_until_their_deadline);
  tcase_add_test(t, test_feed_our_own_pause_is_not_the_peers_silence);
  tcase_add_test(t, test_feed_later_brings_the_same_row_again);
  tcase_add_test(t, test_feed_position_waits_for_acknowledgements);
  tcase_add_test(t, test_feed_stops_delivering_when_credit_is_used_up);
  tcase_add_test(t, test_feed_half_a_row_is_dropped_with_its_connection);
  tcase_add_test(t, test_feed_rows_before_a_fault_are_delivered);
  tcase_add_test(t, test_feed_retry_after_is_a_lower_bound);
  tcase_add_test(t, test_feed_fails_at_the_nth_attempt_in_a_row);
  tcase_add_test(t, test_feed_recreated_database_is_a_reset_before_its_rows);
  tcase_add_test(t, test_feed_other_server_is_a_reset);
  tcase_add_test(t, test_feed_start_time_zero_or_of_1x_is_no_identity);
  tcase_add_test(t, test_feed_number_ahead_of_the_database_is_a_reset);
  tcase_add_test(t, test_feed_refused_position_of_our_own_is_a_reset);
  tcase_add_test(t,
                 test_feed_missing_database_is_fatal_unless_seen_or_waited_for);
  tcase_add_test(t, test_feed_filtered_feed_asks_for_an_end);
  tcase_add_test(t, test_feed_posts_ids_and_selectors);
  tcase_add_test(t, test_feed_renews_an_old_connection_between_rows);
  tcase_add_test(t, test_feed_falls_back_when_heartbeats_do_not_come_through);
  tcase_add_test(t, test_feed_logs_in_and_renews_the_cookie);
  tcase_add_test(t, test_feed_repeats_are_marked_and_told);
  tcase_add_test(t, test_feed_refuses_what_it_cannot_do);
  tcase_add_test(t, test_feed_stops_in_every_state);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(feed_suite()); }
