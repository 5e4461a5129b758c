/*
 * checkpoint=couch: the position is saved beside the feed, one save at a time,
 * and the feed goes on whatever comes of it.
 */
#include "feed_in_couch.h"
#include "support/unit.h"

#define LINE(seq) ROW(seq, "x", "1-r") "\n"

/* One save for each row; more only when a test lets time pass. */
static const char *const each_row[] = {"checkpoint", "couch",
                                       "checkpoint_every", "1", NULL};

static void must_take(const char *text) { ck_assert(cft_world_body(&w, text)); }

/* ---- when ---- */

START_TEST(test_feed_local_saves_by_count) {
  static const char *const options[] = {
      "checkpoint", "couch", "checkpoint_every", "3", "checkpoint_interval_ms",
      "3600000",    NULL};

  open_live_at_five(options);
  must_take(LINE("6-a") LINE("7-a"));
  stay_quiet(30000);
  ck_assert(!w.side.active);
  must_take(LINE("8-a"));
  assert_saving("8-a");
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  ck_assert_uint_eq(saves(), 1);
  ck_assert(!w.side.active);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_saves_by_time) {
  static const char *const options[] = {"checkpoint", "couch",
                                        "checkpoint_interval_ms", "2000", NULL};
  int64_t at;

  open_live_at_five(options);
  at = w.now_ms;
  must_take(LINE("6-a"));
  ck_assert(!w.side.active);
  assert_saving("6-a");
  ck_assert_int_eq(w.now_ms - at, 2000);
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  cft_world_pass(&w, 20000);
  ck_assert(!w.side.active); /* nothing new */
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_saves_when_told_to) {
  static const char *const options[] = {
      "checkpoint", "couch", "checkpoint_interval_ms", "3600000", NULL};

  open_live_at_five(options);
  must_take(LINE("6-a"));
  ck_assert(!w.side.active);
  cfi_local_save_now(w.feed);
  cft_world_settle(&w);
  assert_saving("6-a");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_saves_what_is_acknowledged) {
  static const char *const options[] = {
      "checkpoint", "couch", "checkpoint_every", "1", "auto_ack", "0", NULL};

  open_live_at_five(options);
  must_take(LINE("6-a") LINE("7-a") LINE("8-a"));
  stay_quiet(20000);
  ck_assert_uint_eq(w.rows, 3);
  ck_assert(!w.side.active);
  ck_assert(cfi_window_ack_one(&w.feed->window, 2));
  stay_quiet(20000);
  ck_assert(!w.side.active); /* the row before it is not */
  ck_assert(cfi_window_ack_one(&w.feed->window, 1));
  cft_world_settle(&w);
  assert_saving("7-a");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_saves_are_one_at_a_time_and_know_the_revision) {
  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  assert_saving("6-a");
  ck_assert_ptr_nonnull(strstr(w.side.body, "\"_rev\":\"0-4\""));
  ck_assert_ptr_nonnull(strstr(w.side.body, "before"));
  must_take(LINE("7-a"));
  cft_world_pass(&w, 3000);
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  assert_saving("7-a");
  ck_assert_ptr_nonnull(strstr(w.side.body, "\"_rev\":\"0-5\""));
  cft_world_side_answer(&w, 201, SAVED("0-6"));
  ck_assert_uint_eq(saves(), 2);
  ck_assert_uint_eq(save_errors(), 0);
  cft_world_close(&w);
}
END_TEST

/* The rate limit is for requests that lead nowhere. */
START_TEST(test_feed_local_saves_that_succeed_do_not_wait_for_tokens) {
  uint64_t unproductive;
  int64_t at;

  open_live_at_five(each_row);
  unproductive = w.feed->stats.unproductive;
  at = w.now_ms;
  for (int i = 6; i < 40; i++) {
    char row[128], seq[16], saved[64];

    (void)snprintf(seq, sizeof seq, "%d-a", i);
    (void)snprintf(row, sizeof row,
                   "{\"seq\":\"%s\",\"id\":\"x\",\"changes\":[{\"rev\":\"1-r\"}"
                   "]}\n",
                   seq);
    (void)snprintf(saved, sizeof saved, SAVED("0-%d"), i);
    must_take(row);
    assert_saving(seq);
    cft_world_side_answer(&w, 201, saved);
  }
  ck_assert_int_eq(w.now_ms, at);
  ck_assert_uint_eq(w.feed->stats.unproductive, unproductive);
  ck_assert_uint_eq(saves(), 34);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_delivery_waits_while_it_is_far_behind) {
  static const char *const options[] = {"checkpoint", "couch",
                                        "checkpoint_every", "2", NULL};

  open_live_at_five(options);
  must_take(LINE("6-a") LINE("7-a"));
  assert_saving("7-a");
  must_take(LINE("8-a") LINE("9-a") LINE("10-a") LINE("11-a"));
  cft_world_pass(&w, 2000);
  ck_assert_uint_eq(w.rows, 4); /* two saved, two more */
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  assert_saving("9-a");
  ck_assert_uint_eq(w.rows, 6);
  cft_world_side_answer(&w, 503, "{}");
  must_take(LINE("12-a")); /* no save is under way that could be awaited */
  ck_assert_uint_eq(w.rows, 7);
  cft_world_close(&w);
}
END_TEST

/* ---- conflicts ---- */

/* The server has taken the save, and the answer was lost. */
START_TEST(test_feed_local_goes_on_after_a_save_without_an_answer) {
  const char *held;
  char text[2048];

  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  assert_saving("6-a");
  held = as_put("0-5");
  (void)snprintf(text, sizeof text, "%s", held);
  cft_world_side_fails(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_uint_eq(save_errors(), 1);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_LIVE);
  must_take(LINE("7-a"));
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
  cft_world_side_answer(&w, 200, text);
  assert_saving("7-a");
  ck_assert_ptr_nonnull(strstr(w.side.body, "\"_rev\":\"0-5\""));
  cft_world_side_answer(&w, 201, SAVED("0-6"));
  ck_assert_uint_eq(saves(), 1);
  ck_assert_uint_eq(store_notices, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_goes_on_after_a_conflict_with_the_run_before) {
  static const stored runs[] = {{.session = "before", .seq = "5-b"}};

  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  assert_saving("6-a");
  cft_world_side_answer(&w, 409, CONFLICT);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
  cft_world_side_answer(&w, 200, document("0-9", runs, 1, 0));
  assert_saving("6-a");
  ck_assert_ptr_nonnull(strstr(w.side.body, "\"_rev\":\"0-9\""));
  ck_assert_uint_eq(save_errors(), 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_does_not_quarrel_for_ever) {
  static const stored runs[] = {{.session = "before", .seq = "5-b"}};
  size_t before;

  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  for (int i = 0; i < 3; i++) {
    assert_saving("6-a");
    cft_world_side_answer(&w, 409, CONFLICT);
    if (i < 2) {
      ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
      cft_world_side_answer(&w, 200, document("0-9", runs, 1, 0));
    }
  }
  ck_assert_uint_eq(save_errors(), 1);
  before = w.side_requests;
  cft_world_pass(&w, 100);
  ck_assert_uint_eq(w.side_requests, before);
  cft_world_close(&w);
}
END_TEST

static const stored other = {.session = "theirs", .seq = "50-z"};

static void assert_other_is_named(void) {
  ck_assert_ptr_nonnull(strstr(said, "another follower (session theirs)"));
  ck_assert_ptr_nonnull(strstr(said, "checkpoint_key"));
  ck_assert_uint_eq(store_notices, 1);
  ck_assert_ptr_nonnull(strstr(notice_reason, "theirs"));
  ck_assert_uint_ge(save_errors(), 1);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_LIVE);
}

START_TEST(test_feed_local_overwrites_no_other_follower) {
  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  assert_saving("6-a");
  cft_world_side_answer(&w, 409, CONFLICT);
  for (int i = 0; i < 5; i++) {
    ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
    cft_world_side_answer(&w, 200, document("0-9", &other, 1, 0));
    must_take(LINE("7-a"));
    ck_assert_uint_eq(w.rows, 2 + (size_t)i);
  }
  assert_other_is_named();
  ck_assert_uint_eq(save_errors(), 5);
  /* the other has gone, and somebody has removed what it left */
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
  cft_world_side_answer(&w, 404, MISSING);
  assert_saving("7-a");
  ck_assert_ptr_null(strstr(w.side.body, "_rev"));
  cft_world_side_answer(&w, 201, SAVED("0-1"));
  ck_assert_uint_eq(saves(), 1);
  cft_world_close(&w);
}
END_TEST

/* CouchDB from 2 on takes each PUT of a `_local` document. */
START_TEST(test_feed_local_looks_now_and_then_who_else_saves) {
  uint64_t unproductive;
  char text[2048];

  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  assert_saving("6-a");
  (void)snprintf(text, sizeof text, "%s", as_put("0-5"));
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  unproductive = w.feed->stats.unproductive;
  stay_quiet(80000);
  must_take(LINE("7-a"));
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
  cft_world_side_answer(&w, 200, text);
  assert_saving("7-a");
  cft_world_side_answer(&w, 201, SAVED("0-6"));
  ck_assert_uint_eq(w.feed->stats.unproductive, unproductive);
  must_take(LINE("8-a"));
  assert_saving("8-a"); /* for a while */
  cft_world_side_answer(&w, 201, SAVED("0-7"));
  stay_quiet(80000);
  must_take(LINE("9-a"));
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
  cft_world_side_answer(&w, 200, document("0-9", &other, 1, 0));
  ck_assert(!w.side.active);
  assert_other_is_named();
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_document_removed_meanwhile_is_written_anew) {
  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  assert_saving("6-a");
  cft_world_side_answer(&w, 409, CONFLICT);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
  cft_world_side_answer(&w, 404, MISSING);
  assert_saving("6-a");
  ck_assert_ptr_null(strstr(w.side.body, "_rev"));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_document_replaced_by_something_is_left_alone) {
  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  cft_world_side_answer(&w, 409, CONFLICT);
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
    cft_world_side_answer(&w, 200, "{\"_rev\":\"0-9\",\"mine\":true}");
  }
  ck_assert_uint_eq(save_errors(), 3);
  ck_assert_ptr_nonnull(strstr(said, "not a checkpoint document"));
  cft_world_close(&w);
}
END_TEST

/* ---- refusals and faults ---- */

START_TEST(test_feed_local_tells_once_that_it_may_not_write) {
  static const int statuses[] = {401, 403, 405};

  for (size_t i = 0; i < 3; i++) {
    open_live_at_five(each_row);
    must_take(LINE("6-a"));
    for (unsigned turn = 1; turn <= 4; turn++) {
      int64_t at = w.now_ms;

      assert_saving("6-a");
      ck_assert(turn == 1 || w.now_ms > at);
      cft_world_side_answer(&w, statuses[i],
                            "{\"error\":\"no\",\"reason\":\"read only\"}");
      ck_assert_uint_eq(store_notices, 1);
      ck_assert_uint_eq(save_errors(), turn);
    }
    ck_assert_ptr_nonnull(strstr(notice_reason, "read only"));
    ck_assert_ptr_nonnull(strstr(notice_reason, "saving the position"));
    ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_LIVE);
    must_take(LINE("7-a"));
    ck_assert_uint_eq(w.rows, 2);
    assert_saving("7-a"); /* rights may be given at any time */
    cft_world_side_answer(&w, 201, SAVED("0-5"));
    ck_assert_uint_eq(saves(), 1);
    must_take(LINE("8-a"));
    assert_saving("8-a");
    cft_world_side_answer(&w, statuses[i], "{}");
    ck_assert_uint_eq(store_notices, 2); /* it is news again */
    cft_world_close(&w);
  }
}
END_TEST

static void until_side(cfi_ask ask) {
  while (!w.side.active)
    stay_quiet(1000);
  ck_assert_int_eq(w.side.ask, ask);
}

START_TEST(test_feed_local_tries_again_after_faults_of_the_server) {
  static const int statuses[] = {500, 503, 429, 413, 200, 302};
  static const stored run = {.session = "before", .seq = "5-a"};

  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    until_side(CFI_ASK_SAVE);
    assert_saving("6-a");
    cft_world_side_answer(&w, statuses[i], "<html>");
    ck_assert_uint_eq(save_errors(), i + 1);
    if (statuses[i] >= 400 && statuses[i] < 500)
      continue;
    until_side(CFI_ASK_LOAD); /* it may have been saved */
    cft_world_side_answer(&w, 200, document("0-4", &run, 1, 0));
  }
  ck_assert_uint_eq(store_notices, 0);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_LIVE);
  ck_assert_uint_eq(w.feed->stats.reconnects, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_does_not_wait_for_ever_for_an_answer) {
  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  assert_saving("6-a");
  cft_world_pass(&w, 14000);
  ck_assert_uint_eq(w.side_cancels, 0);
  must_take("\n");
  cft_world_pass(&w, 2000);
  ck_assert_uint_eq(w.side_cancels, 1);
  ck_assert_uint_eq(save_errors(), 1);
  ck_assert_ptr_nonnull(strstr(said, "no answer came"));
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_LOAD);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_LIVE);
  cft_world_close(&w);
}
END_TEST

/* ---- resets ---- */

START_TEST(
    test_feed_local_keeps_the_position_of_the_new_history_after_a_reset) {
  open_live_at_five(each_row);
  must_take(LINE("6-a"));
  assert_saving("6-a");
  w.hold_checks = true;
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  cft_world_head(&w, 200, NULL);
  /* one thing at a time */
  cft_world_side_answer(&w, 201, SAVED("0-5"));
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_DATABASE);
  w.hold_checks = false;
  w.database = "{\"db_name\":\"db\",\"instance_start_time\":\"78\"}";
  cft_world_side_answer(&w, 200, w.database);
  ck_assert_uint_eq(w.resets, 1);
  cft_world_pass(&w, 10); /* what was saved of the old one is no news */
  ck_assert(!w.side.active);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=0&"));
  cft_world_answer(
      &w, 200,
      LIST(ROW("1-n", "n", "1-n"), "\"last_seq\":\"1-n\",\"pending\":0"));
  ck_assert_uint_eq(w.rows, 2);
  assert_saving("1-n");
  ck_assert_ptr_nonnull(strstr(w.side.body, "instance_start_time=78"));
  cft_world_close(&w);
}
END_TEST

static Suite *feed_local_save_suite(void) {
  Suite *s = suite_create("feed_local_save");
  TCase *t = tcase_create("feed_local_save");

  tcase_add_test(t, test_feed_local_saves_by_count);
  tcase_add_test(t, test_feed_local_saves_by_time);
  tcase_add_test(t, test_feed_local_saves_when_told_to);
  tcase_add_test(t, test_feed_local_saves_what_is_acknowledged);
  tcase_add_test(t,
                 test_feed_local_saves_are_one_at_a_time_and_know_the_revision);
  tcase_add_test(t, test_feed_local_saves_that_succeed_do_not_wait_for_tokens);
  tcase_add_test(t, test_feed_local_delivery_waits_while_it_is_far_behind);
  tcase_add_test(t, test_feed_local_goes_on_after_a_save_without_an_answer);
  tcase_add_test(t,
                 test_feed_local_goes_on_after_a_conflict_with_the_run_before);
  tcase_add_test(t, test_feed_local_does_not_quarrel_for_ever);
  tcase_add_test(t, test_feed_local_overwrites_no_other_follower);
  tcase_add_test(t, test_feed_local_looks_now_and_then_who_else_saves);
  tcase_add_test(t, test_feed_local_document_removed_meanwhile_is_written_anew);
  tcase_add_test(t,
                 test_feed_local_document_replaced_by_something_is_left_alone);
  tcase_add_test(t, test_feed_local_tells_once_that_it_may_not_write);
  tcase_add_test(t, test_feed_local_tries_again_after_faults_of_the_server);
  tcase_add_test(t, test_feed_local_does_not_wait_for_ever_for_an_answer);
  tcase_add_test(
      t, test_feed_local_keeps_the_position_of_the_new_history_after_a_reset);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(feed_local_save_suite()); }
