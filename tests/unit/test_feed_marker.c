/*
 * What is asked beside a response before its rows pass: the marker in the
 * database, and whether the server still knows us.
 */
#include "feed_in_couch.h"
#include "support/unit.h"

#define FIRST LIST(ROW("5-a", "x", "1-r"), "\"last_seq\":\"5-a\",\"pending\":0")
#define DATABASE(start)                                                        \
  "{\"db_name\":\"db\",\"instance_start_time\":\"" start                       \
  "\",\"update_seq\":\"9-x\"}"
#define MARKER(text)                                                           \
  "{\"_id\":\"_local/m\",\"_rev\":\"0-1\",\"marker\":" text "}"

static const char *const marker[] = {"marker", "1", NULL};

/* Up to the first rows, which have come and wait. */
static void open_to_rows(const char *const *options, const char *database) {
  open_told(options);
  w.database = database;
  cft_world_greet(&w);
  w.hold_checks = true;
  cft_world_answer(&w, 200, FIRST);
  ck_assert_uint_eq(w.rows, 0);
}

/* Answers a question beside the main request. */
static void beside(cfi_ask ask, int status, const char *body) {
  cfi_ask asked = cft_world_side_ask(&w);

  ck_assert_msg(asked == ask, "%d instead of %d", (int)asked, (int)ask);
  ck_assert(w.side.put == (ask == CFI_ASK_MARKER_PUT));
  if (ask == CFI_ASK_MARKER || ask == CFI_ASK_MARKER_PUT)
    ck_assert_ptr_nonnull(strstr(w.side.url, "/db/_local/changefeed-marker"));
  cft_world_side_answer(&w, status, body);
}

/* The next response's head, and what it takes before the marker. */
static void next_response(const char *database) {
  while (!w.active)
    cft_world_to_deadline(&w);
  cft_world_head(&w, 200, NULL);
  beside(CFI_ASK_DATABASE, 200, database);
}

/* Known, live, and the next response is to be confirmed. */
static void open_with_marker(const char *const *options, const char *database) {
  bool again = strstr(database, "\"0\"") != NULL;

  open_to_rows(options, database);
  beside(CFI_ASK_MARKER, 200, MARKER("\"mine\""));
  if (again) {
    ck_assert_uint_eq(w.rows, 0);
    ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
    cft_world_answer(&w, 200, FIRST);
    beside(CFI_ASK_MARKER, 200, MARKER("\"mine\""));
  }
  ck_assert_uint_eq(w.rows, 1);
}

START_TEST(test_feed_marker_found_is_shared) {
  open_with_marker(marker, DATABASE("77"));
  ck_assert_str_eq(w.feed->identity.marker, "mine");
  ck_assert_uint_eq(w.resets, 0);
  cft_world_close(&w);
}
END_TEST

/* Without a start time the response may have begun in a database before the
   one that the marker was seen in. */
START_TEST(test_feed_marker_is_seen_before_a_response_begins) {
  open_with_marker(marker, DATABASE("0"));
  next_response(DATABASE("0"));
  ck_assert(cft_world_body(&w, ROW("6-a", "y", "1-r") "\n"));
  ck_assert_uint_eq(w.rows, 1);
  beside(CFI_ASK_MARKER, 200, MARKER("\"mine\""));
  ck_assert_uint_eq(w.rows, 2);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_marker_that_is_not_there_is_written) {
  char text[CFI_HASH_TEXT];

  open_to_rows(marker, DATABASE("77"));
  beside(CFI_ASK_MARKER, 404, MISSING);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_MARKER_PUT);
  ck_assert_int_eq(sscanf(w.side.body,
                          "{\"_id\":\"_local/changefeed-marker\","
                          "\"marker\":\"%32[0-9a-f]\"}",
                          text),
                   1);
  ck_assert_uint_eq(strlen(text), 32);
  ck_assert_uint_eq(w.rows, 0);
  beside(CFI_ASK_MARKER_PUT, 201, SAVED("0-1"));
  ck_assert_uint_eq(w.rows, 1);
  ck_assert_str_eq(w.feed->identity.marker, text);
  cft_world_close(&w);
}
END_TEST

/* CouchDB from 2 on takes both of two PUTs. */
START_TEST(test_feed_marker_that_another_follower_overwrote_is_shared) {
  open_to_rows(marker, DATABASE("0"));
  beside(CFI_ASK_MARKER, 404, MISSING);
  beside(CFI_ASK_MARKER_PUT, 201, SAVED("0-1"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  cft_world_answer(&w, 200, FIRST);
  beside(CFI_ASK_MARKER, 200, MARKER("\"theirs\""));
  ck_assert_uint_eq(w.rows, 0);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  cft_world_answer(&w, 200, FIRST);
  beside(CFI_ASK_MARKER, 200, MARKER("\"theirs\""));
  ck_assert_uint_eq(w.rows, 1);
  ck_assert_uint_eq(w.resets, 0);
  ck_assert_str_eq(w.feed->identity.marker, "theirs");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_marker_of_a_faster_follower_is_shared) {
  open_to_rows(marker, DATABASE("77"));
  beside(CFI_ASK_MARKER, 404, MISSING);
  beside(CFI_ASK_MARKER_PUT, 409, CONFLICT);
  beside(CFI_ASK_MARKER, 200, MARKER("\"theirs\""));
  ck_assert_uint_eq(w.rows, 1);
  ck_assert_str_eq(w.feed->identity.marker, "theirs");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_marker_conflicts_without_end_are_a_fault) {
  open_to_rows(marker, DATABASE("77"));
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_CATCHUP);
    beside(CFI_ASK_MARKER, 404, MISSING);
    beside(CFI_ASK_MARKER_PUT, 409, CONFLICT);
  }
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  ck_assert_uint_eq(w.rows, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_marker_that_is_gone_or_another_is_a_reset) {
  static const struct {
    int status;
    const char *body, *reason;
  } found[] = {{404, MISSING, "the marker is gone from the database"},
               {200, MARKER("\"other\""), "the database holds another marker"},
               {200, MARKER("7"), "the database holds another marker"}};

  for (size_t i = 0; i < 3; i++) {
    open_with_marker(marker, DATABASE("0"));
    next_response(DATABASE("0"));
    ck_assert(cft_world_body(&w, ROW("6-z", "other", "1-r") "\n"));
    beside(CFI_ASK_MARKER, found[i].status, found[i].body);
    ck_assert_uint_eq(w.resets, 1);
    ck_assert_str_eq(w.reset_reason, found[i].reason);
    ck_assert_uint_eq(w.rows, 1);
    ck_assert_ptr_null(w.feed->identity.marker);
    cft_world_greet(&w);
    ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
    ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=0&"));
    cft_world_close(&w);
  }
}
END_TEST

START_TEST(test_feed_marker_that_may_not_be_written_is_done_without) {
  static const int statuses[] = {401, 403, 405};

  for (size_t i = 0; i < 3; i++) {
    open_to_rows(marker, DATABASE("0"));
    beside(CFI_ASK_MARKER, 404, MISSING);
    beside(CFI_ASK_MARKER_PUT, statuses[i],
           "{\"error\":\"forbidden\",\"reason\":\"You may only read.\"}");
    ck_assert_uint_eq(store_notices, 1);
    ck_assert_ptr_nonnull(strstr(notice_reason, "writing the marker"));
    ck_assert_uint_eq(w.rows, 1);
    next_response(DATABASE("0"));
    ck_assert(w.feed->verified);
    ck_assert_uint_eq(store_notices, 1);
    cft_world_close(&w);
  }
}
END_TEST

START_TEST(test_feed_marker_document_of_somebody_else_is_done_without) {
  open_to_rows(marker, DATABASE("77"));
  beside(CFI_ASK_MARKER, 200,
         "{\"_id\":\"_local/m\",\"_rev\":\"0-1\",\"mine\":1}");
  ck_assert_uint_eq(store_notices, 1);
  ck_assert_ptr_nonnull(strstr(notice_reason, "holds no marker"));
  ck_assert_uint_eq(w.rows, 1);
  cft_world_close(&w);
}
END_TEST

/* Of the network, of the server, of something between, of the database. */
START_TEST(test_feed_marker_faults_are_tried_again) {
  static const struct {
    cfi_ask ask;
    int status;
    const char *body;
  } faults[] = {{CFI_ASK_MARKER, 0, NULL},
                {CFI_ASK_MARKER, 503, "{}"},
                {CFI_ASK_MARKER, 200, "<html>log in</html>"},
                {CFI_ASK_MARKER, 404, NO_DATABASE},
                {CFI_ASK_MARKER_PUT, 0, NULL},
                {CFI_ASK_MARKER, 200, "{\"ok\":true}"},
                {CFI_ASK_MARKER_PUT, 200, "{\"ok\":true}"},
                {CFI_ASK_MARKER_PUT, 400, "<html>what?</html>"},
                {CFI_ASK_MARKER_PUT, 500, "{}"},
                {CFI_ASK_MARKER_PUT, 404, NO_DATABASE}};

  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    open_to_rows(marker, DATABASE("77"));
    if (faults[i].ask == CFI_ASK_MARKER_PUT)
      beside(CFI_ASK_MARKER, 404, MISSING);
    ck_assert_int_eq(cft_world_side_ask(&w), faults[i].ask);
    if (faults[i].status == 0)
      cft_world_side_fails(&w, CHANGEFEED_ERR_NETWORK);
    else
      cft_world_side_answer(&w, faults[i].status, faults[i].body);
    ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
    ck_assert_uint_eq(w.rows, 0);
    ck_assert_uint_eq(store_notices, 0);
    ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
    cft_world_answer(&w, 200, FIRST);
    beside(CFI_ASK_MARKER, 200, MARKER("\"mine\""));
    ck_assert_uint_eq(w.rows, 1);
    cft_world_close(&w);
  }
}
END_TEST

/* Between the two requests another may have written it: not to be taken from
   them. */
START_TEST(test_feed_marker_is_looked_for_again_before_it_is_written) {
  open_to_rows(marker, DATABASE("77"));
  beside(CFI_ASK_MARKER, 404, MISSING);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_MARKER_PUT);
  cft_world_side_fails(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  cft_world_head(&w, 200, NULL);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_MARKER);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_marker_of_couch_is_looked_at_where_nothing_else_tells) {
  static const char *const couch[] = {"checkpoint", "couch", NULL};

  open_with_marker(couch, DATABASE("77"));
  next_response(DATABASE("77"));
  ck_assert(w.feed->verified);
  cft_world_close(&w);
  open_with_marker(couch, DATABASE("0"));
  next_response(DATABASE("0"));
  beside(CFI_ASK_MARKER, 200, MARKER("\"mine\""));
  ck_assert(w.feed->verified);
  cft_world_close(&w);
  open_with_marker(marker, DATABASE("77"));
  next_response(DATABASE("77"));
  beside(CFI_ASK_MARKER, 200, MARKER("\"mine\""));
  ck_assert(w.feed->verified);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_marker_needs_a_database) {
  static const char *const updates[] = {
      "url", "http://127.0.0.1:5984/_db_updates", "marker", "1", NULL};

  ck_assert_int_eq(cft_world_try(&w, NULL, updates), CHANGEFEED_ERR_OPTION);
  ck_assert_ptr_nonnull(strstr(w.error.text, "marker"));
}
END_TEST

/* ---- sessions ---- */

#define USER "{\"ok\":true,\"userCtx\":{\"name\":\"u\",\"roles\":[]}}"
#define NOBODY "{\"ok\":true,\"userCtx\":{\"name\":null,\"roles\":[]}}"

static const char *const session[] = {"session",  "1", "username", "u",
                                      "password", "p", NULL};

START_TEST(test_feed_session_is_asked_for_now_and_then) {
  open_to_rows(session, DATABASE("77"));
  beside(CFI_ASK_SESSION, 200, USER);
  ck_assert_uint_eq(w.rows, 1);
  next_response(DATABASE("77"));
  ck_assert(w.feed->verified);
  stay_quiet(40000);
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  while (!w.active)
    cft_world_to_deadline(&w);
  next_response(DATABASE("77"));
  ck_assert(!w.feed->verified);
  beside(CFI_ASK_SESSION, 200, USER);
  ck_assert(w.feed->verified);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_session_taken_for_an_anonymous_one_is_renewed_once) {
  open_to_rows(session, DATABASE("77"));
  beside(CFI_ASK_SESSION, 200, NOBODY);
  ck_assert_uint_eq(w.rows, 0);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LOGIN);
  cft_world_answer(&w, 200, "{\"ok\":true}");
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  cft_world_answer(&w, 200, FIRST);
  beside(CFI_ASK_SESSION, 200, NOBODY);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_FAILED);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_AUTH);
  ck_assert_ptr_nonnull(strstr(w.feed->error.text, "anonymous"));
  ck_assert_uint_eq(w.rows, 0);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_session_that_a_server_does_not_tell_is_taken_as_good) {
  static const int statuses[] = {404, 405};

  for (size_t i = 0; i < 2; i++) {
    open_to_rows(session, DATABASE("77"));
    beside(CFI_ASK_SESSION, statuses[i], "{}");
    ck_assert_uint_eq(w.rows, 1);
    cft_world_close(&w);
  }
}
END_TEST

START_TEST(test_feed_session_answer_that_is_none_is_a_fault) {
  static const char *const bodies[] = {"{}", "<html>", "[]"};

  for (size_t i = 0; i < 3; i++) {
    open_to_rows(session, DATABASE("77"));
    beside(CFI_ASK_SESSION, 200, bodies[i]);
    ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
    ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_PROTOCOL);
    ck_assert_uint_eq(w.rows, 0);
    cft_world_close(&w);
  }
}
END_TEST

static Suite *feed_marker_suite(void) {
  Suite *s = suite_create("feed_marker");
  TCase *t = tcase_create("feed_marker");

  tcase_add_test(t, test_feed_marker_found_is_shared);
  tcase_add_test(t, test_feed_marker_is_seen_before_a_response_begins);
  tcase_add_test(t, test_feed_marker_that_is_not_there_is_written);
  tcase_add_test(t, test_feed_marker_that_another_follower_overwrote_is_shared);
  tcase_add_test(t, test_feed_marker_of_a_faster_follower_is_shared);
  tcase_add_test(t, test_feed_marker_conflicts_without_end_are_a_fault);
  tcase_add_test(t, test_feed_marker_that_is_gone_or_another_is_a_reset);
  tcase_add_test(t, test_feed_marker_that_may_not_be_written_is_done_without);
  tcase_add_test(t, test_feed_marker_document_of_somebody_else_is_done_without);
  tcase_add_test(t, test_feed_marker_faults_are_tried_again);
  tcase_add_test(t, test_feed_marker_is_looked_for_again_before_it_is_written);
  tcase_add_test(
      t, test_feed_marker_of_couch_is_looked_at_where_nothing_else_tells);
  tcase_add_test(t, test_feed_marker_needs_a_database);
  tcase_add_test(t, test_feed_session_is_asked_for_now_and_then);
  tcase_add_test(t,
                 test_feed_session_taken_for_an_anonymous_one_is_renewed_once);
  tcase_add_test(
      t, test_feed_session_that_a_server_does_not_tell_is_taken_as_good);
  tcase_add_test(t, test_feed_session_answer_that_is_none_is_a_fault);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(feed_marker_suite()); }
