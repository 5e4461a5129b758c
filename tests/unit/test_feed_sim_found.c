/*
 * What the simulation (tests/couchsim) has found, each as the shortest story
 * that shows it.
 */
#define _DEFAULT_SOURCE
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "scratch_dir.h"
#include "support/fake_world.h"
#include "support/unit.h"

#define ROW(seq, id, rev)                                                      \
  "{\"seq\":" seq ",\"id\":\"" id "\",\"changes\":[{\"rev\":\"" rev "\"}]}"
#define LIST(rows, tail) "{\"results\":[\n" rows "\n],\n" tail "}\n"
#define DATABASE(start)                                                        \
  "{\"db_name\":\"db\",\"instance_start_time\":\"" start                       \
  "\",\"update_seq\":\"1-x\"}"
#define SERVER(version)                                                        \
  "{\"couchdb\":\"Welcome\",\"version\":\"" version "\",\"uuid\":\"u1\"}"

static cft_world w;
static scratch_dir dir;

static const char *const no_options[] = {NULL};

/* Live, with a row behind it; the next request asks for what comes. */
static void open_from_database(void) {
  cft_world_greet(&w);
  cft_world_answer(
      &w, 200,
      LIST(ROW("\"5-a\"", "x", "1-r"), "\"last_seq\":\"5-a\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
}

static void open_with_a_row(const char *const *options) {
  cft_world_open(&w, options);
  open_from_database();
}

START_TEST(test_feed_does_not_spin_while_there_is_no_position_after_a_reset) {
  char where[sizeof dir.text + 8];
  const char *const options[] = {"checkpoint", where, "checkpoint_interval_ms",
                                 "0", NULL};

  scratch_begin(&dir);
  (void)snprintf(where, sizeof where, "file:%s", scratch_path(&dir, "place"));
  open_with_a_row(options);
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  w.database = DATABASE("78");
  cft_world_head(&w, 200, NULL);
  ck_assert_uint_eq(w.resets, 1);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  cft_world_head(&w, 200, NULL);
  /* nothing of the new history is known yet, so nothing is to be saved */
  ck_assert_int_gt(cfi_feed_deadline(w.feed), w.now_ms);
  ck_assert(cft_world_body(&w, LIST("", "\"last_seq\":\"0-n\",\"pending\":0")));
  ck_assert_uint_eq(w.feed->stats.saves, 2);
  cft_world_close(&w);
  scratch_end(&dir);
}
END_TEST

START_TEST(
    test_feed_with_more_in_the_queue_than_its_limit_is_not_out_of_memory) {
  static const char *const small[] = {"max_queue_bytes", "4096", NULL};
  static char rows[16384];
  size_t len = (size_t)snprintf(rows, sizeof rows, "{\"results\":[\n");
  bool fail;

  while (len < 8000)
    len += (size_t)snprintf(rows + len, sizeof rows - len, "%s,\n",
                            ROW("\"1-a\"", "x", "1-r"));
  cft_world_open(&w, small);
  cft_world_greet(&w);
  cft_world_head(&w, 200, NULL);
  /* both before the feed has its turn, as libcurl hands them over */
  ck_assert(cfi_feed_receive(w.feed, &w.feed->main, rows, len, &fail));
  ck_assert(!cfi_feed_receive(w.feed, &w.feed->main, "\n", 1, &fail));
  ck_assert(!fail);
  cft_world_settle(&w);
  ck_assert_uint_eq(w.unblocks, 1);
  ck_assert(w.active);
  ck_assert_uint_gt(w.rows, 100);
  cft_world_close(&w);
}
END_TEST

static int on_batch(changefeed *feed, const changefeed_change *const *changes,
                    size_t count, void *user) {
  (void)feed;
  (void)changes;
  ((cft_world *)user)->rows += count;
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_feed_does_not_spin_while_a_batch_waits_for_acknowledgements) {
  static const char *const batches[] = {
      "auto_ack",       "0",  "max_unacked", "2", "batch_max", "2",
      "batch_delay_ms", "10", NULL};

  cft_world_open(&w, batches);
  w.feed->callbacks.on_change = NULL;
  w.feed->callbacks.on_batch = on_batch;
  cft_world_greet(&w);
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(
      &w, "{\"results\":[\n" ROW("\"1-a\"", "x", "1-r") "," ROW(
              "\"2-a\"", "y", "1-r") "," ROW("\"3-a\"", "z", "1-r")));
  ck_assert_uint_eq(w.rows, 2);
  /* the third has waited long enough, but for two acknowledgements; passing
     time fails when the feed wants to be called at once, for ever */
  cft_world_pass(&w, 1000);
  ck_assert_uint_eq(w.rows, 2);
  ck_assert(cfi_window_ack(&w.feed->window, 1));
  cft_world_settle(&w);
  ck_assert_uint_eq(w.rows, 3);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_with_a_filter_is_live_though_seqs_differ_each_time) {
  /* "pending" counts what the filter holds back, and the same position is
     written in another way by each response */
  static const char *const filter[] = {"filter", "app/mine", NULL};

  cft_world_open(&w, filter);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"9-a\",\"pending\":7"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  ck_assert_str_eq(w.states, "catchup");
  /* fewer: the server may not have got to the end of it yet */
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"9-b\",\"pending\":2"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  ck_assert_str_eq(w.states, "catchup");
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"9-c\",\"pending\":2"));
  ck_assert_str_eq(w.states, "catchup live");
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=9-c&"));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_knows_its_database_behind_a_front_page_that_is_hidden) {
  char where[sizeof dir.text + 8];
  const char *const options[] = {"checkpoint", where, NULL};

  scratch_begin(&dir);
  (void)snprintf(where, sizeof where, "file:%s", scratch_path(&dir, "place"));
  open_with_a_row(options);
  cft_world_close(&w);
  cft_world_open(&w, options);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_SERVER);
  cft_world_answer(&w, 404, "<html>a proxy</html>");
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  /* which version it is cannot be told, that it is another database can */
  w.database = DATABASE("78");
  cft_world_head(&w, 200, NULL);
  ck_assert_uint_eq(w.resets, 1);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=0&"));
  cft_world_close(&w);
  scratch_end(&dir);
}
END_TEST

START_TEST(test_feed_knows_its_database_before_it_knows_the_server) {
  cft_world_open(&w, no_options);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_SERVER);
  cft_world_answer(&w, 200, "{\"ok\":true}"); /* a proxy's word */
  open_from_database();
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  if (cft_world_ask(&w) == CFI_ASK_SERVER)
    cft_world_answer(&w, 200, SERVER("3.5.0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  w.database = DATABASE("78");
  cft_world_head(&w, 200, NULL);
  ck_assert_uint_eq(w.resets, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_resets_behind_rows_without_a_position) {
  /* seq_interval: the rows so far had none, they are of that history still */
  cft_world_open(&w, no_options);
  cft_world_greet(&w);
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(&w, "{\"results\":[\n" ROW("null", "x", "1-r")));
  ck_assert_uint_eq(w.rows, 1);
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  w.database = DATABASE("78");
  cft_world_head(&w, 200, NULL);
  ck_assert_uint_eq(w.resets, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_does_not_spin_while_a_row_is_lent) {
  static const char *const aging[] = {"connection_max_age_ms", "1000", NULL};

  cft_world_open(&w, aging);
  w.feed->callbacks.on_change = NULL;
  w.feed->pull = true;
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(&w, ROW("\"6-a\"", "x", "1-r") "\n"));
  ck_assert_ptr_nonnull(cfi_feed_lend(w.feed));
  /* the connection is due to be renewed, but not from under the row; passing
     time fails when the feed wants to be called at once, for ever */
  cft_world_pass(&w, 2000);
  ck_assert(w.active);
  ck_assert_ptr_null(cfi_feed_lend(w.feed));
  cft_world_settle(&w);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  ck_assert_uint_eq(w.cancels, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_does_not_take_silence_for_a_minute_of_health) {
  static const char *const slow[] = {"heartbeat_ms", "60000", NULL};

  cft_world_open(&w, slow);
  for (unsigned n = 1; n <= 3; n++) {
    cft_world_greet(&w);
    cft_world_head(&w, 200, NULL);
    cft_world_pass(&w, 90000); /* without a byte */
    ck_assert_uint_eq(w.feed->backoff.failures, n);
  }
  /* a heartbeat each minute is health */
  cft_world_greet(&w);
  cft_world_head(&w, 200, NULL);
  cft_world_pass(&w, 60000);
  ck_assert(cft_world_body(&w, "\n"));
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_uint_eq(w.feed->backoff.failures, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_that_resets_for_one_sign_knows_the_others) {
  static const char *const refused =
      "{\"error\":\"bad_request\",\"reason\":\"Malformed sequence supplied in "
      "'since' parameter.\"}";

  open_with_a_row(no_options);
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  cft_world_ask(&w);
  w.database = DATABASE("78");
  cft_world_answer(&w, 400, refused);
  ck_assert_uint_eq(w.resets, 1);
  open_from_database();
  cft_world_head(&w, 200, NULL); /* and it is asked which database that is */
  ck_assert_uint_eq(w.resets, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_does_not_spin_while_another_endpoint_catches_up) {
  static const char *const two[] = {
      "endpoint", "http://127.0.0.1:5985", "endpoint_order",
      "listed",   "endpoint_return_ms",    "1000",
      NULL};

  open_with_a_row(two);
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  cft_world_greet(&w);
  ck_assert_uint_ne(w.feed->endpoint, w.feed->home);
  cft_world_head(&w, 200, NULL);
  atomic_store(&w.feed->paused, true);
  cft_world_pass(&w, 2000);
  /* before it is live it does not look whether the preferred one is well */
  ck_assert_int_gt(cfi_feed_deadline(w.feed), w.now_ms);
  cft_world_close(&w);
}
END_TEST

static const char *const in_couch[] = {"checkpoint", "couch",
                                       "checkpoint_interval_ms", "0", NULL};

static void open_to_load(void) {
  cft_world_open(&w, in_couch);
  while (cft_world_ask(&w) != CFI_ASK_LOAD)
    cft_world_answer(&w, 200,
                     cft_world_ask(&w) == CFI_ASK_SERVER ? SERVER("3.5.0")
                                                         : DATABASE("77"));
}

START_TEST(test_feed_takes_a_page_in_between_for_no_lost_position) {
  open_to_load();
  cft_world_answer(&w, 404, "{\"error\":\"x\",\"reason\":\"y\"}");
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  while (cft_world_ask(&w) != CFI_ASK_LOAD)
    cft_world_answer(&w, 200, SERVER("3.5.0"));
  cft_world_answer(&w, 200, "{\"ok\":true}");
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  while (cft_world_ask(&w) != CFI_ASK_LOAD)
    cft_world_answer(&w, 200, SERVER("3.5.0"));
  cft_world_answer(&w, 200, "<html>Please log in</html>");
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  ck_assert_uint_eq(w.rows, 0);
  cft_world_close(&w);
}
END_TEST

/* A response with a row, before which the marker is asked for. */
static void open_to_marker(void) {
  open_to_load();
  cft_world_answer(&w, 404, "{\"error\":\"not_found\",\"reason\":\"missing\"}");
  w.hold_checks = true;
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  cft_world_head(&w, 200, NULL);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_MARKER);
}

START_TEST(test_feed_takes_a_page_in_between_for_no_marker) {
  open_to_marker();
  cft_world_side_answer(&w, 200, "{\"ok\":true}");
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  ck_assert(!w.feed->marker_refused);
  cft_world_close(&w);

  open_to_marker();
  cft_world_side_answer(&w, 404,
                        "{\"error\":\"not_found\",\"reason\":\"missing\"}");
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_MARKER_PUT);
  cft_world_side_answer(&w, 200, "{\"ok\":true}");
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  ck_assert_ptr_null(w.feed->identity.marker);
  cft_world_close(&w);
}
END_TEST

static void save_with_a_row(void) {
  open_to_marker();
  cft_world_side_answer(&w, 200, "{\"_rev\":\"0-1\",\"marker\":\"m\"}");
  ck_assert(cft_world_body(&w, "{\"results\":[\n" ROW("\"5-a\"", "x", "1-r")));
  if (w.feed->verified)
    ck_assert_uint_eq(w.rows, 1);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_SAVE);
}

static void answer_side_with_retry_after(int status, const char *retry_after) {
  cfi_head head = {
      .status = status, .retry_after = retry_after, .cookie_age_ms = -1};
  cfi_outcome outcome = {.code = CHANGEFEED_OK};

  w.side.active = false;
  cfi_feed_note_head(w.feed, &w.feed->side, &head);
  cfi_feed_note_done(w.feed, &w.feed->side, &outcome);
  cft_world_settle(&w);
}

START_TEST(test_feed_waits_with_saves_alone_when_a_save_is_told_to_wait) {
  save_with_a_row();
  answer_side_with_retry_after(429, "100");
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  ck_assert_int_lt(w.last_delay_ms, 100000);
  ck_assert_int_ge(cfi_feed_save_due_ms(w.feed), w.now_ms + 100000);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_hears_from_a_save_that_the_database_is_gone) {
  save_with_a_row();
  ck_assert(!w.feed->went_missing);
  cft_world_side_answer(
      &w, 404,
      "{\"error\":\"not_found\",\"reason\":\"Database does not exist.\"}");
  ck_assert(w.feed->went_missing);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_that_failed_says_why_and_not_that_nothing_was_saved) {
  save_with_a_row();
  w.verdict = -7;
  ck_assert(cft_world_body(&w, ",\n" ROW("\"6-a\"", "y", "1-r")));
  ck_assert_int_eq(w.feed->phase, CFI_PHASE_FLUSH);
  cft_world_side_answer(&w, 500, "{\"error\":\"x\",\"reason\":\"y\"}");
  cft_world_pass(&w, 10000);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_FAILED);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_CALLBACK);
  cft_world_close(&w);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("feed_sim_found");
  TCase *tc = tcase_create("feed_sim_found");

  tcase_add_test(
      tc, test_feed_does_not_spin_while_there_is_no_position_after_a_reset);
  tcase_add_test(
      tc, test_feed_with_more_in_the_queue_than_its_limit_is_not_out_of_memory);
  tcase_add_test(
      tc, test_feed_does_not_spin_while_a_batch_waits_for_acknowledgements);
  tcase_add_test(tc,
                 test_feed_with_a_filter_is_live_though_seqs_differ_each_time);
  tcase_add_test(
      tc, test_feed_knows_its_database_behind_a_front_page_that_is_hidden);
  tcase_add_test(tc, test_feed_knows_its_database_before_it_knows_the_server);
  tcase_add_test(tc, test_feed_resets_behind_rows_without_a_position);
  tcase_add_test(tc, test_feed_does_not_spin_while_a_row_is_lent);
  tcase_add_test(tc, test_feed_does_not_take_silence_for_a_minute_of_health);
  tcase_add_test(tc, test_feed_that_resets_for_one_sign_knows_the_others);
  tcase_add_test(tc, test_feed_takes_a_page_in_between_for_no_lost_position);
  tcase_add_test(tc, test_feed_takes_a_page_in_between_for_no_marker);
  tcase_add_test(tc,
                 test_feed_waits_with_saves_alone_when_a_save_is_told_to_wait);
  tcase_add_test(tc, test_feed_hears_from_a_save_that_the_database_is_gone);
  tcase_add_test(tc,
                 test_feed_that_failed_says_why_and_not_that_nothing_was_saved);
  tcase_add_test(tc, test_feed_does_not_spin_while_another_endpoint_catches_up);
  suite_add_tcase(s, tc);
  return s;
}

int main(void) { return cft_run(suite()); }
