/*
 * checkpoint=couch: the position is loaded from a document of the database
 * before the first row, and what may be found there.
 */
#include "feed_in_couch.h"
#include "support/failing.h"
#include "support/unit.h"

static const char *const couch[] = {"checkpoint", "couch", NULL};

static void assert_failed(int code, const char *text) {
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_FAILED);
  ck_assert_int_eq(w.last_code, code);
  ck_assert_msg(strstr(w.feed->error.text, text) != NULL, "%s",
                w.feed->error.text);
}

static void assert_since(const char *seq) {
  char text[80];

  (void)snprintf(text, sizeof text, "since=%s&", seq);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  ck_assert_msg(strstr(cft_world_url(&w), text) != NULL, "%s",
                cft_world_url(&w));
}

START_TEST(test_feed_local_is_loaded_before_the_first_row) {
  open_to_load(couch);
  ck_assert_uint_eq(w.requests, 3);
  ck_assert_int_eq(w.request[0].ask, CFI_ASK_SERVER);
  ck_assert_int_eq(w.request[1].ask, CFI_ASK_DATABASE);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "/db/_local/changefeed-"));
  ck_assert_str_eq(w.request[2].body, "");
  cft_world_answer(&w, 404, MISSING);
  assert_since("0");
  ck_assert_uint_eq(w.resets, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_position_is_used) {
  static const stored runs[] = {{.session = "a", .seq = "3-a"},
                                {.session = "b", .seq = "4-b"}};

  open_to_load(couch);
  cft_world_answer(&w, 200, document("0-7", runs, 2, 0));
  assert_since("4-b");
  ck_assert_str_eq(position(), "4-b");
  ck_assert_uint_eq(w.resets, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_key_names_the_document) {
  static const char *const a[] = {"checkpoint", "couch", "checkpoint_key", "a",
                                  NULL};
  static const char *const filtered[] = {"checkpoint", "couch", "filter",
                                         "app/mine", NULL};
  const char *const *ways[] = {couch, a, filtered};
  char urls[3][CFT_WORLD_TEXT];

  for (int i = 0; i < 3; i++) {
    open_to_load(ways[i]);
    (void)snprintf(urls[i], sizeof urls[i], "%s", cft_world_url(&w));
    cft_world_close(&w);
  }
  ck_assert_str_ne(urls[0], urls[1]);
  ck_assert_str_ne(urls[0], urls[2]);
  ck_assert_str_ne(urls[1], urls[2]);
}
END_TEST

START_TEST(test_feed_local_needs_a_database) {
  static const char *const updates[] = {
      "url", "http://127.0.0.1:5984/_db_updates", "checkpoint", "couch", NULL};

  ck_assert_int_eq(cft_world_try(&w, NULL, updates), CHANGEFEED_ERR_OPTION);
  ck_assert_ptr_nonnull(strstr(w.error.text, "_db_updates"));
}
END_TEST

/* ---- what is not to be used ---- */

START_TEST(test_feed_local_of_another_feed_is_an_error) {
  static const stored run = {
      .session = "a", .feed = "db&filter=app%2Fmine", .seq = "3-a"};

  open_to_load(couch);
  cft_world_answer(&w, 200, document("0-1", &run, 1, 0));
  assert_failed(CHANGEFEED_ERR_STORE, "belongs to another feed");
  ck_assert_uint_eq(w.side_requests, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_document_of_others_is_an_error) {
  open_to_load(couch);
  cft_world_answer(&w, 200, "{\"_id\":\"_local/x\",\"_rev\":\"0-1\"}");
  assert_failed(CHANGEFEED_ERR_STORE, "_local/changefeed-");
  ck_assert_ptr_nonnull(
      strstr(w.feed->error.text, "not a checkpoint document"));
  cft_world_close(&w);
  open_to_load(couch);
  cft_world_answer(&w, 200,
                   "{\"_rev\":\"0-1\",\"type\":\"changefeed-checkpoint\","
                   "\"format\":2}");
  assert_failed(CHANGEFEED_ERR_STORE, "newer version");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_older_run_serves_when_the_newest_is_damaged) {
  static const stored runs[] = {{.session = "a", .seq = "3-a"},
                                {.session = "b", .seq = "4-b"}};

  open_to_load(couch);
  cft_world_answer(&w, 200, document("0-7", runs, 2, 1));
  assert_since("3-a");
  ck_assert_ptr_nonnull(strstr(said, "An older one is used"));
  ck_assert_uint_eq(w.resets, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_all_damaged_is_a_reset) {
  static const stored runs[] = {{.session = "a", .seq = "3-a"},
                                {.session = "b", .seq = "4-b"}};
  static const char *const stops[] = {"checkpoint", "couch", "on_reset", "stop",
                                      NULL};

  open_to_load(couch);
  cft_world_answer(&w, 200, document("0-7", runs, 2, 2));
  ck_assert_uint_eq(w.resets, 1);
  ck_assert_str_eq(w.reset_reason, "checkpoint damaged");
  cft_world_greet(&w);
  assert_since("0");
  cft_world_close(&w);
  open_to_load(stops);
  cft_world_answer(&w, 200, document("0-7", runs, 2, 2));
  assert_failed(CHANGEFEED_ERR_RESET, "checkpoint damaged");
  cft_world_close(&w);
}
END_TEST

/* Server and database were asked for before it was known whose the position
   is. */
START_TEST(test_feed_local_of_another_history_is_a_reset) {
  static const stored server = {.session = "a", .seq = "3-a", .uuid = "u0"};
  static const stored database = {
      .session = "a", .seq = "3-a", .start_time = "76"};

  open_to_load(couch);
  cft_world_answer(&w, 200, document("0-7", &server, 1, 0));
  ck_assert_uint_eq(w.resets, 1);
  ck_assert_str_eq(w.reset_reason, "another server answers");
  assert_since("0");
  cft_world_close(&w);
  open_to_load(couch);
  cft_world_answer(&w, 200, document("0-7", &database, 1, 0));
  ck_assert_uint_eq(w.resets, 1);
  ck_assert_str_eq(w.reset_reason, "the database was created anew");
  assert_since("0");
  cft_world_close(&w);
}
END_TEST

/* ---- when it cannot be loaded ---- */

START_TEST(test_feed_local_is_asked_for_until_it_can_be_loaded) {
  static const stored run = {.session = "a", .seq = "3-a"};

  open_to_load(couch);
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LOAD);
  cft_world_answer(&w, 503, "{\"error\":\"x\",\"reason\":\"y\"}");
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LOAD);
  cft_world_answer(&w, 200, document("0-7", &run, 1, 0));
  assert_since("3-a");
  cft_world_close(&w);
}
END_TEST

/* A missing database is not a missing document. */
START_TEST(test_feed_local_waits_for_a_database_that_is_gone) {
  open_to_load(couch);
  cft_world_answer(&w, 404, NO_DATABASE);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_NOTFOUND);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LOAD);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_that_may_not_be_read_is_an_error) {
  open_to_load(couch);
  cft_world_answer(&w, 403,
                   "{\"error\":\"forbidden\",\"reason\":\"not for you\"}");
  assert_failed(CHANGEFEED_ERR_AUTH, "not for you");
  ck_assert_ptr_nonnull(strstr(w.feed->error.text, "position"));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_local_with_a_long_selector_is_read) {
  enum { LONG = 100 * 1024 };
  char *text = malloc(LONG + 16384);
  static const stored run = {.session = "a", .seq = "3-a"};
  const char *plain;
  char *end;

  ck_assert_ptr_nonnull(text);
  open_to_load(couch);
  plain = document("0-7", &run, 1, 0);
  end = text +
        snprintf(text, 16384, "%.*s,\"x\":\"", (int)strlen(plain) - 1, plain);
  memset(end, 'x', LONG);
  memcpy(end + LONG, "\"}", 3);
  cft_world_answer(&w, 200, text);
  assert_since("3-a");
  free(text);
  cft_world_close(&w);
}
END_TEST

/* ---- memory ---- */

static cft_failing memory;

/* A healthy server with a position and one row behind it, until that is saved.
   False: the feed could not be opened. */
static bool follow(size_t n) {
  static const char *const options[] = {"checkpoint", "couch", "limit", "1",
                                        NULL};
  static const stored run = {.session = "before", .seq = "5-a"};
  static char text[16384];
  int rc = cft_world_try(&w, &memory.alloc, options);

  if (rc != CHANGEFEED_OK) {
    ck_assert_int_eq(rc, CHANGEFEED_ERR_NOMEM);
    return false;
  }
  cft_world_settle(&w);
  (void)snprintf(text, sizeof text, "%s", document("0-4", &run, 1, 0));
  for (int turn = 0; !cfi_feed_over(w.feed); turn++) {
    ck_assert_msg(turn < 200, "stuck at call %zu (%s)", n, w.states);
    if (w.side.active) {
      cft_world_side_answer(&w, w.side.put ? 201 : 200,
                            w.side.put ? SAVED("0-5") : text);
    } else if (!w.active) {
      cft_world_to_deadline(&w);
    } else {
      switch (cft_world_ask(&w)) {
      case CFI_ASK_LOAD:
        cft_world_answer(&w, 200, text);
        break;
      case CFI_ASK_CATCHUP:
        cft_world_answer(
            &w, 200,
            LIST(ROW("6-b", "x", "1-r"), "\"last_seq\":\"6-b\",\"pending\":0"));
        break;
      default:
        cft_world_answer(&w, 200,
                         "{\"couchdb\":\"Welcome\",\"uuid\":\"u1\","
                         "\"version\":\"3.5.0\",\"db_name\":\"db\","
                         "\"instance_start_time\":\"77\"}");
      }
    }
  }
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_ENDED);
  ck_assert_uint_eq(w.rows, 1);
  cft_world_close(&w);
  return true;
}

START_TEST(test_feed_local_survives_each_failed_allocation) {
  size_t calls;

  cft_failing_init(&memory, 0);
  ck_assert(follow(0));
  ck_assert_uint_eq(memory.live, 0);
  calls = memory.calls;
  for (size_t n = 1; n <= calls; n++) {
    cft_failing_init(&memory, n);
    (void)follow(n);
    ck_assert_msg(memory.live == 0, "%zu blocks leaked at call %zu",
                  memory.live, n);
  }
}
END_TEST

static Suite *feed_local_suite(void) {
  Suite *s = suite_create("feed_local");
  TCase *t = tcase_create("feed_local");

  tcase_set_timeout(t, 60);
  tcase_add_test(t, test_feed_local_is_loaded_before_the_first_row);
  tcase_add_test(t, test_feed_local_position_is_used);
  tcase_add_test(t, test_feed_local_key_names_the_document);
  tcase_add_test(t, test_feed_local_needs_a_database);
  tcase_add_test(t, test_feed_local_of_another_feed_is_an_error);
  tcase_add_test(t, test_feed_local_document_of_others_is_an_error);
  tcase_add_test(t,
                 test_feed_local_older_run_serves_when_the_newest_is_damaged);
  tcase_add_test(t, test_feed_local_all_damaged_is_a_reset);
  tcase_add_test(t, test_feed_local_of_another_history_is_a_reset);
  tcase_add_test(t, test_feed_local_is_asked_for_until_it_can_be_loaded);
  tcase_add_test(t, test_feed_local_waits_for_a_database_that_is_gone);
  tcase_add_test(t, test_feed_local_that_may_not_be_read_is_an_error);
  tcase_add_test(t, test_feed_local_with_a_long_selector_is_read);
  tcase_add_test(t, test_feed_local_survives_each_failed_allocation);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(feed_local_suite()); }
