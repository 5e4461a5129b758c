/*
 * The feed's state machine with a clock of its own and no sockets: what it asks
 * for, when, and what it tells.
 */
#include "support/unit.h"
#include "unit/feed_in_world.h"

START_TEST(test_feed_asks_who_is_there_then_the_past_then_the_present) {
  cft_world_open(&w, none);
  ck_assert_str_eq(cft_world_url(&w), "http://127.0.0.1:5984/");
  cft_world_answer(&w, 200, "{\"couchdb\":\"Welcome\",\"uuid\":\"u1\"}");
  ck_assert_str_eq(cft_world_url(&w), "http://127.0.0.1:5984/db");
  cft_world_answer(&w, 200, "{\"db_name\":\"db\"}");
  ck_assert_str_eq(cft_world_url(&w),
                   "http://127.0.0.1:5984/db/_changes?feed=normal&since=0"
                   "&heartbeat=10000&seq_interval=1000");
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
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  ck_assert_str_eq(w.states, "catchup live");
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
      {{"url", "http://h/_db_updates", "marker", "1", NULL},
       CHANGEFEED_ERR_OPTION,
       "marker"},
      {{"url", "http://h/_db_updates", "checkpoint", "couch", NULL},
       CHANGEFEED_ERR_OPTION,
       "no database"},
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
  tcase_add_test(t, test_feed_later_brings_the_same_row_again);
  tcase_add_test(t, test_feed_position_waits_for_acknowledgements);
  tcase_add_test(t, test_feed_stops_delivering_when_credit_is_used_up);
  tcase_add_test(t, test_feed_filtered_feed_asks_for_an_end);
  tcase_add_test(t, test_feed_posts_ids_and_selectors);
  tcase_add_test(t, test_feed_renews_an_old_connection_between_rows);
  tcase_add_test(t, test_feed_repeats_are_marked_and_told);
  tcase_add_test(t, test_feed_refuses_what_it_cannot_do);
  tcase_add_test(t, test_feed_stops_in_every_state);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(feed_suite()); }
