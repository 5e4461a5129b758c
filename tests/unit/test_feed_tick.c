/*
 * The tick in a world without sockets: which rows prove what, when we write it
 * ourselves, and what becomes of writes that are refused, lost or overtaken.
 */
#include "support/failing.h"
#include "support/unit.h"
#include "unit/feed_in_world.h"

#define TICK(seq, rev) ROW(seq, "tick", rev) "\n"
#define WRITTEN(rev) "{\"ok\":true,\"id\":\"tick\",\"rev\":\"" rev "\"}"
#define NO_DOC "{\"error\":\"not_found\",\"reason\":\"missing\"}"
#define DOC(rev)                                                               \
  "{\"_id\":\"tick\",\"_rev\":\"" rev                                          \
  "\",\"type\":\"changefeed-tick\",\"at\":1700000000000}"

static const char *const watched[] = {"tick", "tick", NULL};
static const char *const written[] = {
    "tick", "tick", "tick_write_ms", "8000", "connection_max_age_ms",
    "0",    NULL};
enum { PERIOD = 8000, LATEST = PERIOD + PERIOD / 8 };

static int64_t fresh(void) {
  changefeed_stats s = CHANGEFEED_STATS_INIT;

  ck_assert_int_eq(changefeed_get_stats(w.feed, &s), CHANGEFEED_OK);
  return s.fresh_ms;
}

/* Live, and its response has begun. */
static void stream(const char *const *options) {
  open_live(options);
  cft_world_head(&w, 200, NULL);
}

static void row(const char *text) { ck_assert(cft_world_body(&w, text)); }

/* Time with heartbeats, so that nobody takes the peer for dead; up to the next
   question beside the stream. True: there is one. */
static bool pass(int64_t ms) {
  for (int64_t until = w.now_ms + ms; w.now_ms < until;) {
    int64_t left = until - w.now_ms;

    if (w.side.active)
      return true;
    cft_world_pass(&w, left < 100 ? left : 100);
    row("\n");
  }
  return w.side.active;
}

/* To the next question, which comes between these times from now. */
static void expect_ask(cfi_ask ask, int64_t earliest, int64_t latest) {
  int64_t begun = w.now_ms;

  ck_assert(pass(latest + 200));
  ck_assert_int_eq(w.side.ask, ask);
  ck_assert_int_ge(w.now_ms - begun, earliest);
  ck_assert_int_le(w.now_ms - begun, latest + 100);
}

/* ---- what a row proves ---- */

START_TEST(test_feed_tick_is_fresh_since_its_row) {
  stream(watched);
  ck_assert_int_eq(fresh(), -1);
  row(ROW("6-a", "tock", "1-r") "\n");
  ck_assert_int_eq(fresh(), -1);
  row(TICK("7-a", "1-r"));
  ck_assert_int_eq(fresh(), 0);
  ck_assert(!pass(5000));
  ck_assert_int_eq(fresh(), 5000);
  row(ROW("8-a", "other", "1-r") "\n");
  ck_assert_int_eq(fresh(), 5000);
  row(TICK("9-a", "2-r"));
  ck_assert_int_eq(fresh(), 0);
  /* It stays a row like others, and nothing is asked for its sake. */
  ck_assert_uint_eq(w.rows, 4);
  ck_assert_uint_eq(w.side_requests, 1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_without_a_tick_is_never_fresh) {
  stream(none);
  row(TICK("6-a", "1-r"));
  ck_assert_int_eq(fresh(), -1);
  cft_world_close(&w);
}
END_TEST

/* Its writer may be dead since. */
START_TEST(test_feed_tick_of_the_past_proves_nothing) {
  cft_world_open(&w, watched);
  cft_world_greet(&w);
  cft_world_answer(
      &w, 200,
      LIST(ROW("4-a", "tick", "9-r"), "\"last_seq\":\"5-a\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  ck_assert_int_eq(fresh(), -1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_of_before_proves_nothing) {
  stream(watched);
  row(TICK("6-a", "4-r"));
  row(TICK("7-a", "5-r"));
  ck_assert(!pass(3000));
  row(TICK("6-a", "4-r")); /* a repeat */
  ck_assert_int_eq(fresh(), 3000);
  row(TICK("5-a", "3-r")); /* older */
  ck_assert_int_eq(fresh(), 3000);
  row(TICK("7-a", "5-r"));
  ck_assert_int_eq(fresh(), 3000);
  row(TICK("8-a", "6-r"));
  ck_assert_int_eq(fresh(), 0);
  /* A document that was purged and made anew is believed after a while. */
  ck_assert(!pass(1000));
  row(TICK("9-a", "1-x"));
  row(TICK("10-a", "2-x"));
  row(TICK("11-a", "3-x"));
  ck_assert_int_eq(fresh(), 1000);
  row(TICK("12-a", "4-x"));
  ck_assert_int_eq(fresh(), 0);
  cft_world_close(&w);
}
END_TEST

/* What lay here while the application did not want it was no news when it took
   it. */
START_TEST(test_feed_tick_counts_from_when_it_came) {
  stream(watched);
  atomic_store(&w.feed->paused, true);
  row(ROW("6-a", "x", "1-r") "\n");
  cft_world_pass(&w, 1000);
  row(TICK("7-a", "1-r"));
  cft_world_pass(&w, 4000);
  ck_assert_int_eq(fresh(), -1);
  atomic_store(&w.feed->paused, false);
  cft_world_settle(&w);
  ck_assert_uint_eq(w.rows, 2);
  /* At the latest then: which of the bytes that wait came when is not kept. */
  ck_assert_int_eq(fresh(), 5000);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_of_another_history_is_forgotten) {
  stream(watched);
  row(TICK("6-a", "1-r"));
  ck_assert_int_eq(fresh(), 0);
  w.database = "{\"db_name\":\"db\",\"instance_start_time\":\"78\"}";
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"1-b\",\"pending\":0"));
  ck_assert_uint_eq(w.resets, 1);
  ck_assert_int_eq(fresh(), -1);
  cft_world_close(&w);
}
END_TEST

/* Heartbeats go on and rows do not. */
START_TEST(test_feed_tick_that_does_not_come_is_told_by_its_age) {
  stream(watched);
  row(TICK("6-a", "1-r"));
  ck_assert(!pass(600000));
  ck_assert_int_eq(fresh(), 600000);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_LIVE);
  cft_world_close(&w);
}
END_TEST

/* ---- writing it ---- */

static void expect_put(const char *rev) {
  char wanted[256];

  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_TICK_PUT);
  ck_assert(w.side.put);
  ck_assert_str_eq(w.side.url, "http://127.0.0.1:5984/db/tick");
  (void)snprintf(wanted, sizeof wanted,
                 "{\"_id\":\"tick\"%s%s%s,\"type\":\"changefeed-tick\",\"at\":"
                 "1700000000000}",
                 rev != NULL ? ",\"_rev\":\"" : "", rev != NULL ? rev : "",
                 rev != NULL ? "\"" : "");
  ck_assert_str_eq(w.side.body, wanted);
}

/* The first write: nothing is there. */
static void write_first(void) {
  stream(written);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_TICK);
  ck_assert(!w.side.put);
  cft_world_side_answer(&w, 404, NO_DOC);
  expect_put(NULL);
  cft_world_side_answer(&w, 201, WRITTEN("1-x"));
  ck_assert(!w.side.active);
}

START_TEST(test_feed_tick_is_written_and_counts_from_then) {
  changefeed_stats s = CHANGEFEED_STATS_INIT;

  write_first();
  ck_assert(!pass(200));
  row(TICK("6-a", "1-x"));
  ck_assert_int_eq(fresh(), 200);
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  expect_put("1-x");
  cft_world_pass(&w, 300);
  cft_world_side_answer(&w, 201, WRITTEN("2-x"));
  cft_world_pass(&w, 20);
  row(TICK("7-a", "2-x"));
  ck_assert_int_eq(fresh(), w.now_ms - w.feed->side.started_ms);
  ck_assert_int_ge(fresh(), 320);
  (void)changefeed_get_stats(w.feed, &s);
  ck_assert_uint_eq(s.reconnects, 0);
  cft_world_close(&w);
}
END_TEST

/* The row is there before the answer is. */
START_TEST(test_feed_tick_of_ours_may_come_before_its_answer) {
  write_first();
  row(TICK("6-a", "1-x"));
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  cft_world_pass(&w, 400);
  row(TICK("7-a", "2-x"));
  ck_assert_int_ge(fresh(), 400);
  ck_assert_int_eq(fresh(), w.now_ms - w.feed->side.started_ms);
  cft_world_side_answer(&w, 201, WRITTEN("2-x"));
  ck_assert_int_eq(fresh(), w.now_ms - w.feed->side.started_ms);
  /* Another's counts from its arrival, again. */
  row(TICK("8-a", "3-y"));
  ck_assert_int_eq(fresh(), 0);
  cft_world_close(&w);
}
END_TEST

/* The row does not come: it is written again in its time, and no sooner. */
START_TEST(test_feed_tick_is_written_once_in_its_time) {
  write_first();
  for (int i = 0; i < 10; i++) {
    char answer[64];

    expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
    (void)snprintf(answer, sizeof answer, "{\"ok\":true,\"rev\":\"%d-x\"}",
                   i + 2);
    cft_world_side_answer(&w, 202, answer);
  }
  ck_assert_int_eq(fresh(), -1);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_is_not_written_while_somebody_else_does) {
  size_t asked;

  stream(written);
  cft_world_side_answer(&w, 200, DOC("7-y"));
  expect_put("7-y");
  cft_world_side_answer(&w, 201, WRITTEN("8-x"));
  asked = w.side_requests;
  for (int i = 0; i < 20; i++) {
    char text[128];

    ck_assert(!pass(PERIOD - 1000));
    (void)snprintf(text, sizeof text,
                   "{\"seq\":\"%d-a\",\"id\":\"tick\",\"changes\":[{\"rev\":"
                   "\"%d-y\"}]}\n",
                   i + 6, i + 9);
    row(text);
    ck_assert_int_eq(fresh(), 0);
  }
  ck_assert_uint_eq(w.side_requests, asked);
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  expect_put("28-y");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_row_of_the_past_is_known_when_it_is_live) {
  cft_world_open(&w, written);
  cft_world_greet(&w);
  cft_world_answer(
      &w, 200,
      LIST(ROW("4-a", "tick", "9-r"), "\"last_seq\":\"5-a\",\"pending\":0"));
  cft_world_head(&w, 200, NULL);
  expect_ask(CFI_ASK_TICK, PERIOD, LATEST);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_that_was_deleted_is_written_anew) {
  write_first();
  row("{\"seq\":\"6-a\",\"id\":\"tick\",\"changes\":[{\"rev\":\"2-y\"}],"
      "\"deleted\":true}\n");
  ck_assert_int_eq(fresh(), 0);
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  expect_put(NULL);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_of_any_name_is_asked_for) {
  static const char *const odd[] = {"tick", "a/b \"%\xc3\xa9", "tick_write_ms",
                                    "1000", NULL};

  stream(odd);
  cft_world_side_answer(&w, 404, NO_DOC);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_TICK_PUT);
  ck_assert_str_eq(w.side.url, "http://127.0.0.1:5984/db/a%2Fb%20%22%25%C3%A9");
  ck_assert_ptr_nonnull(
      strstr(w.side.body, "{\"_id\":\"a/b \\\"%\xc3\xa9\",\"type\":"));
  cft_world_close(&w);
}
END_TEST

/* ---- others write, too ---- */

START_TEST(test_feed_tick_conflict_is_as_good) {
  write_first();
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  cft_world_side_answer(
      &w, 409, "{\"error\":\"conflict\",\"reason\":\"Document update\"}");
  ck_assert_int_eq(w.notice, 0);
  ck_assert(!pass(PERIOD - 1000));
  row(TICK("6-a", "2-y"));
  ck_assert_int_eq(fresh(), 0);
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  expect_put("2-y");
  cft_world_side_answer(&w, 409, "{\"error\":\"conflict\",\"reason\":\"D\"}");
  /* Its row does not come: what was written is asked for. */
  expect_ask(CFI_ASK_TICK, PERIOD, LATEST);
  cft_world_side_answer(&w, 200, DOC("3-y"));
  expect_put("3-y");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_does_not_overwrite_what_is_none) {
  static const char *const docs[] = {
      "{\"_id\":\"tick\",\"_rev\":\"1-a\"}",
      "{\"_id\":\"tick\",\"_rev\":\"1-a\",\"type\":\"order\"}",
      "{\"_id\":\"tick\",\"_rev\":\"1-a\",\"type\":{\"type\":"
      "\"changefeed-tick\"}}",
      "{\"_id\":\"tick\",\"_rev\":\"1-a\",\"x\":{\"type\":"
      "\"changefeed-tick\"}}"};

  for (size_t i = 0; i < sizeof docs / sizeof docs[0]; i++) {
    stream(written);
    cft_world_side_answer(&w, 200, docs[i]);
    ck_assert_int_eq(w.notice, CHANGEFEED_NOTICE_TICK);
    ck_assert_str_eq(w.notice_reason,
                     "the tick tick of http://127.0.0.1:5984/db is not "
                     "written: the document is another's, its type is not "
                     "changefeed-tick");
    ck_assert(!pass(3500000));
    expect_ask(CFI_ASK_TICK, 0, 200000);
    cft_world_close(&w);
  }
}
END_TEST

/* ---- refusals and faults ---- */

START_TEST(test_feed_tick_that_may_not_be_written_is_told_once_an_hour_apart) {
  static const int statuses[] = {401, 403, 405};

  for (size_t i = 0; i < 3; i++) {
    write_first();
    expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
    cft_world_side_answer(
        &w, statuses[i],
        "{\"error\":\"forbidden\",\"reason\":\"You may not.\"}");
    ck_assert_int_eq(w.notice, CHANGEFEED_NOTICE_TICK);
    ck_assert_uint_eq(w.fallbacks, 1);
    ck_assert_ptr_nonnull(strstr(w.notice_reason, "writing the tick into"));
    ck_assert_ptr_nonnull(strstr(w.notice_reason, "You may not."));
    row(TICK("6-a", "2-y")); /* which changes nothing for us */
    ck_assert_int_eq(fresh(), 0);
    ck_assert(!pass(3500000));
    expect_ask(CFI_ASK_TICK_PUT, 0, 200000);
    cft_world_side_answer(&w, statuses[i],
                          "{\"error\":\"forbidden\",\"reason\":\"No.\"}");
    ck_assert_uint_eq(w.fallbacks, 1);
    ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_LIVE);
    cft_world_close(&w);
  }
}
END_TEST

START_TEST(test_feed_tick_write_that_fails_is_tried_again_soon) {
  write_first();
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  cft_world_side_fails(&w, CHANGEFEED_ERR_NETWORK);
  /* It may have been written. */
  expect_ask(CFI_ASK_TICK, 100, 1100);
  cft_world_side_answer(&w, 503, "{\"error\":\"x\",\"reason\":\"y\"}");
  expect_ask(CFI_ASK_TICK, 100, 2100);
  cft_world_side_answer(&w, 200, "<html>");
  expect_ask(CFI_ASK_TICK, 100, 4100);
  cft_world_side_answer(&w, 200, DOC("2-x"));
  expect_put("2-x");
  cft_world_side_answer(&w, 200, WRITTEN("3-x")); /* no CouchDB says that */
  expect_ask(CFI_ASK_TICK, 100, 8100);
  cft_world_side_answer(&w, 200, DOC("2-x"));
  cft_world_side_answer(&w, 201, WRITTEN("3-x"));
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  ck_assert_int_eq(w.notice, 0);
  ck_assert_str_eq(w.states, "catchup live");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_write_without_an_answer_is_given_up) {
  int64_t until;

  write_first();
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  until = w.feed->side.started_ms + 15000;
  while (w.now_ms < until - 1) {
    cft_world_pass(&w, until - w.now_ms > 100 ? 100 : until - w.now_ms - 1);
    row("\n");
  }
  ck_assert_uint_eq(w.side_cancels, 0);
  cft_world_pass(&w, 1);
  ck_assert_uint_eq(w.side_cancels, 1);
  expect_ask(CFI_ASK_TICK, 0, 1100);
  cft_world_close(&w);
}
END_TEST

/* A server that refuses each of them is not asked more than back-off allows. */
START_TEST(test_feed_tick_writes_are_limited) {
  size_t before;

  stream(written);
  cft_world_side_fails(&w, CHANGEFEED_ERR_NETWORK);
  before = w.side_requests;
  for (int64_t begun = w.now_ms; w.now_ms - begun < 600000;) {
    if (pass(100))
      cft_world_side_answer(&w, 500, "{\"error\":\"x\",\"reason\":\"y\"}");
  }
  ck_assert_uint_ge(w.side_requests - before, 8);
  ck_assert_uint_le(w.side_requests - before, 60);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_of_a_session_that_ended_logs_in) {
  static const char *const session[] = {
      "tick",     "tick", "tick_write_ms", "8000", "session", "1",
      "username", "u",    "password",      "p",    NULL};
  size_t before;

  open_live(session);
  cft_world_head(&w, 200, NULL);
  cft_world_side_answer(&w, 401,
                        "{\"error\":\"unauthorized\",\"reason\":\"x\"}");
  before = w.requests;
  ck_assert_int_eq(w.notice, 0);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LOGIN);
  ck_assert_uint_eq(w.requests, before + 1);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  cft_world_head(&w, 200, NULL);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_TICK);
  /* And if that did not help, it is told. */
  cft_world_side_answer(&w, 401,
                        "{\"error\":\"unauthorized\",\"reason\":\"x\"}");
  ck_assert_int_eq(w.notice, CHANGEFEED_NOTICE_TICK);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_LIVE);
  cft_world_close(&w);
}
END_TEST

/* ---- its place among requests ---- */

START_TEST(test_feed_tick_is_written_only_while_live) {
  cft_world_open(&w, written);
  cft_world_greet(&w);
  cft_world_head(&w, 200, NULL);
  ck_assert(!pass(20000));
  row("{\"results\":[],\"last_seq\":\"5-a\",\"pending\":0}");
  cft_world_done(&w, CHANGEFEED_OK);
  cft_world_head(&w, 200, NULL);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_TICK);
  cft_world_side_answer(&w, 404, NO_DOC);
  cft_world_side_answer(&w, 201, WRITTEN("1-x"));
  atomic_store(&w.feed->paused, true);
  cft_world_settle(&w);
  ck_assert(!pass(60000));
  atomic_store(&w.feed->paused, false);
  expect_ask(CFI_ASK_TICK_PUT, 0, 100);
  cft_world_side_answer(&w, 201, WRITTEN("2-x"));
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  for (int i = 0; i < 20; i++) {
    cft_world_pass(&w, 1000);
    ck_assert(!w.side.active);
  }
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_gives_way_to_the_check_of_a_response) {
  write_first();
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  row("{\"last_seq\":\"6-a\",\"pending\":0}\n");
  cft_world_done(&w, CHANGEFEED_OK);
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  w.hold_checks = true;
  cft_world_head(&w, 200, NULL);
  row(TICK("7-a", "2-x"));
  ck_assert_uint_eq(w.side_cancels, 1);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_DATABASE);
  w.hold_checks = false;
  cft_world_settle(&w);
  /* Our row after all. */
  ck_assert_int_eq(fresh(), 0);
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  expect_put("2-x");
  cft_world_close(&w);
}
END_TEST

/* What became of it is asked for. */
START_TEST(test_feed_tick_that_gave_way_may_have_been_written) {
  write_first();
  expect_ask(CFI_ASK_TICK_PUT, PERIOD, LATEST);
  row("{\"last_seq\":\"6-a\",\"pending\":0}\n");
  cft_world_done(&w, CHANGEFEED_OK);
  cft_world_head(&w, 200, NULL);
  row("\n");
  ck_assert_uint_eq(w.side_cancels, 1);
  expect_ask(CFI_ASK_TICK, 0, 2000);
  cft_world_side_answer(&w, 200, DOC("2-x"));
  expect_put("2-x");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_tick_comes_behind_a_save) {
  static const char *const saves[] = {
      "tick",       "tick",  "tick_write_ms",    "8000",
      "checkpoint", "couch", "checkpoint_every", "1",
      NULL};

  open_live(saves);
  cft_world_head(&w, 200, NULL);
  while (cft_world_side_ask(&w) != CFI_ASK_TICK)
    cft_world_side_answer(&w, 201, "{\"ok\":true,\"rev\":\"0-1\"}");
  cft_world_side_answer(&w, 404, NO_DOC);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_TICK_PUT);
  row(ROW("6-a", "x", "1-r") "\n");
  cft_world_side_answer(&w, 201, WRITTEN("1-x"));
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_SAVE);
  cft_world_side_answer(&w, 201, "{\"ok\":true,\"rev\":\"0-2\"}");
  cft_world_close(&w);
}
END_TEST

/* ---- options ---- */

static const struct {
  const char *sentence;
  const char *set[7];
} refused[] = {
    {"tick_write_ms: there is no tick", {"tick_write_ms", "5000"}},
    {"tick has no meaning with source=all_docs",
     {"tick", "t", "source", "all_docs"}},
    {"tick has no meaning with _db_updates",
     {"tick", "t", "url", "http://127.0.0.1:5984/_db_updates"}},
    {"tick has no meaning with descending",
     {"tick", "t", "descending", "1", "mode", "once"}},
    {"tick has no meaning with filter=_design",
     {"tick", "t", "filter", "_design"}},
    {"tick: \"_local/t\" is not the id of an ordinary document",
     {"tick", "_local/t"}},
    {"tick: \"_design/t\" is not the id of an ordinary document",
     {"tick", "_design/t"}},
    {"tick: doc_ids does not hold \"t\"",
     {"tick", "t", "doc_ids", "[\"tt\",\"\"]"}},
};

START_TEST(test_feed_tick_refuses_what_lets_it_not_pass) {
  ck_assert_int_eq(cft_world_try(&w, NULL, refused[_i].set),
                   CHANGEFEED_ERR_OPTION);
  ck_assert_str_eq(w.error.text, refused[_i].sentence);
}
END_TEST

START_TEST(test_feed_tick_may_be_one_of_the_documents) {
  static const char *const ids[] = {"tick", "t\"", "doc_ids",
                                    "[\"a\",\"t\\u0022\"]", NULL};

  open_live(ids);
  cft_world_close(&w);
}
END_TEST

/* ---- memory ---- */

/* Two writes and their rows, while one call of the allocator fails; false:
   there were not so many. */
static bool run_without(size_t fail_at) {
  static const char *const of_ids[] = {
      "tick", "tick", "tick_write_ms", "8000", "doc_ids", "[\"tick\"]", NULL};
  cft_failing c;
  unsigned writes = 0, turns = 0;

  cft_failing_init(&c, fail_at);
  if (cft_world_try(&w, &c.alloc, of_ids) != CHANGEFEED_OK) {
    ck_assert_int_eq(w.error.pub.code, CHANGEFEED_ERR_NOMEM);
    ck_assert_uint_eq(c.live, 0);
    return true;
  }
  cft_world_settle(&w);
  while (writes < 2) {
    ck_assert_msg(turns++ < 1000, "failing at %zu: %s, asked %d, %s", fail_at,
                  w.states, w.side.active ? (int)w.side.ask : -1,
                  w.feed->error.text);
    if (!w.active) {
      cft_world_greet(&w);
    } else if (w.request[w.requests - 1].ask < CFI_ASK_CATCHUP) {
      cft_world_greet(&w);
    } else if (cft_world_ask(&w) == CFI_ASK_CATCHUP) {
      cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
    } else if (!w.feed->main.has_head) {
      cft_world_head(&w, 200, NULL);
    } else if (w.side.active && w.side.ask == CFI_ASK_TICK) {
      cft_world_side_answer(&w, 200, DOC("3-x"));
    } else if (w.side.active) {
      ck_assert_ptr_nonnull(strstr(w.side.body, "\"_rev\":\"3-x\""));
      cft_world_side_answer(&w, 201, WRITTEN("3-x"));
      writes++;
    } else {
      cft_world_pass(&w, 100);
      cft_world_feed(&w, turns % 120 == 0 ? TICK("6-a", "3-x") : "\n");
    }
  }
  cft_world_close(&w);
  ck_assert_uint_eq(c.live, 0);
  return c.calls >= fail_at;
}

START_TEST(test_feed_tick_goes_on_without_memory) {
  size_t at = 1;

  while (run_without(at))
    at++;
  ck_assert_uint_gt(at, 20);
}
END_TEST

static void add_writing(Suite *suite) {
  TCase *t = tcase_create("writing");

  tcase_add_test(t, test_feed_tick_is_written_and_counts_from_then);
  tcase_add_test(t, test_feed_tick_of_ours_may_come_before_its_answer);
  tcase_add_test(t, test_feed_tick_is_written_once_in_its_time);
  tcase_add_test(t, test_feed_tick_is_not_written_while_somebody_else_does);
  tcase_add_test(t, test_feed_tick_row_of_the_past_is_known_when_it_is_live);
  tcase_add_test(t, test_feed_tick_that_was_deleted_is_written_anew);
  tcase_add_test(t, test_feed_tick_of_any_name_is_asked_for);
  tcase_add_test(t, test_feed_tick_conflict_is_as_good);
  tcase_add_test(t, test_feed_tick_does_not_overwrite_what_is_none);
  tcase_add_test(
      t, test_feed_tick_that_may_not_be_written_is_told_once_an_hour_apart);
  tcase_add_test(t, test_feed_tick_write_that_fails_is_tried_again_soon);
  tcase_add_test(t, test_feed_tick_write_without_an_answer_is_given_up);
  tcase_add_test(t, test_feed_tick_writes_are_limited);
  tcase_add_test(t, test_feed_tick_of_a_session_that_ended_logs_in);
  tcase_add_test(t, test_feed_tick_is_written_only_while_live);
  tcase_add_test(t, test_feed_tick_gives_way_to_the_check_of_a_response);
  tcase_add_test(t, test_feed_tick_that_gave_way_may_have_been_written);
  tcase_add_test(t, test_feed_tick_comes_behind_a_save);
  tcase_add_test(t, test_feed_tick_goes_on_without_memory);
  suite_add_tcase(suite, t);
}

int main(void) {
  Suite *suite = suite_create("feed_tick");
  TCase *t = tcase_create("tick");

  tcase_add_test(t, test_feed_tick_is_fresh_since_its_row);
  tcase_add_test(t, test_feed_without_a_tick_is_never_fresh);
  tcase_add_test(t, test_feed_tick_of_the_past_proves_nothing);
  tcase_add_test(t, test_feed_tick_of_before_proves_nothing);
  tcase_add_test(t, test_feed_tick_counts_from_when_it_came);
  tcase_add_test(t, test_feed_tick_of_another_history_is_forgotten);
  tcase_add_test(t, test_feed_tick_that_does_not_come_is_told_by_its_age);
  tcase_add_loop_test(t, test_feed_tick_refuses_what_lets_it_not_pass, 0,
                      (int)(sizeof refused / sizeof refused[0]));
  tcase_add_test(t, test_feed_tick_may_be_one_of_the_documents);
  suite_add_tcase(suite, t);
  add_writing(suite);
  return cft_run(suite);
}
