/*
 * A feed over hours and days of a clock that the test moves: nights without a
 * row, cookies that expire, connections that die unseen, a hundred restarts;
 * and its end, whichever timers are running. Known failures 28, 30, 33.
 */
#define _DEFAULT_SOURCE
#include "scratch_dir.h"
#include "support/unit.h"
#include "unit/feed_in_world.h"

enum {
  SECOND = 1000,
  HOUR = 3600 * SECOND,
  DAY = 24 * HOUR,
  BEAT = 10 * SECOND,
  COOKIE = 600 * SECOND,   /* its life, where the server does not say */
  NAT = 350 * SECOND,      /* after that a connection is dead, unseen */
  WATCHDOG = 15 * SECOND,  /* one and a half beats */
  RETRY_MOST = 60 * SECOND /* the default ceiling */
};

#define NOTHING_NEW LIST("", "\"last_seq\":\"5-a\",\"pending\":0")

/* Answers what is asked until a live response has begun. */
static void serve_until_live(void) {
  for (;;) {
    cft_world_greet(&w);
    if (cft_world_ask(&w) == CFI_ASK_LIVE)
      break;
    cft_world_answer(&w, 200, NOTHING_NEW);
  }
  cft_world_head(&w, 200, NULL);
}

/* ---- a day without a row ---- */

/* Heartbeats, and after nat_ms (0: never) nothing any more, until the feed has
   given the connection up or the time is over; whether it stands. */
static bool idle_on(int64_t nat_ms, int64_t until_ms) {
  size_t request = w.requests;
  int64_t from_ms = w.now_ms;

  while (w.active && w.requests == request && w.now_ms < until_ms) {
    cft_world_pass(&w, BEAT);
    if (w.active && w.requests == request &&
        (nat_ms == 0 || w.now_ms - from_ms < nat_ms))
      ck_assert(cft_world_body(&w, "\n"));
  }
  return w.active && w.requests == request;
}

/* No request but the log-in may go out with a cookie of yesterday. */
static unsigned count_logins(void) {
  int64_t login_ms = INT64_MIN;
  unsigned logins = 0;

  for (size_t i = 0; i < w.requests; i++)
    if (w.request[i].ask == CFI_ASK_LOGIN) {
      login_ms = w.request[i].at_ms;
      logins++;
    } else {
      ck_assert_str_eq(w.request[i].cookie, "AuthSession=abc");
      ck_assert_int_le(w.request[i].at_ms - login_ms, COOKIE);
    }
  return logins;
}

static const struct {
  const char *transport;
  int64_t nat_ms;
} nights[] = {{"continuous", 0}, {"continuous", NAT}, {"eventsource", NAT}};
enum { NIGHTS = sizeof nights / sizeof nights[0] };

/* Known failure 33. The row of the next morning arrives, and soon: at once, or
   when the silence was noticed and the next attempt made. */
START_TEST(test_feed_idle_for_a_day_is_there_in_the_morning) {
  const char *const session[] = {
      "session", "1",         "username",           "u", "password",
      "pw",      "transport", nights[_i].transport, NULL};
  int64_t morning_ms;
  unsigned logins;
  bool stands = false;

  cft_world_open(&w, session);
  for (morning_ms = w.now_ms + DAY; w.now_ms < morning_ms;) {
    serve_until_live();
    stands = idle_on(nights[_i].nat_ms, morning_ms);
  }
  logins = count_logins();
  ck_assert_uint_ge(logins, DAY / HOUR); /* as often as it was renewed */
  ck_assert_uint_le(logins, DAY / (COOKIE / 2) + 1);
  ck_assert_uint_le(w.requests, 5 * (DAY / NAT));
  ck_assert_uint_eq(w.resets, 0);
  ck_assert(!cfi_feed_over(w.feed));
  while (stands && nights[_i].nat_ms != 0 && w.now_ms < morning_ms + DAY) {
    size_t request = w.requests; /* the connection is dead */

    cft_world_pass(&w, SECOND);
    stands = w.active && w.requests == request;
  }
  if (!stands)
    serve_until_live();
  ck_assert_int_le(w.now_ms - morning_ms, WATCHDOG + RETRY_MOST + SECOND);
  ck_assert(
      cft_world_body(&w, strcmp(nights[_i].transport, "eventsource") == 0
                             ? "data: " ROW("6-a", "x", "1-r") "\nid: 6-a\n\n"
                             : ROW("6-a", "x", "1-r") "\n"));
  ck_assert_uint_eq(w.rows, 1);
  cft_world_close(&w);
}
END_TEST

/* ---- watchdogs of connections that are gone ---- */

/* Known failure 30: each connection dies a moment before its watchdog would
   have struck, and the next one has all its time. */
START_TEST(test_feed_restarted_a_hundred_times_has_no_old_watchdog) {
  cft_world_open(&w, none);
  for (int i = 0; i < 100; i++) {
    serve_until_live();
    cft_world_pass(&w, WATCHDOG - 1);
    ck_assert_uint_eq(w.cancels, 0);
    if (i % 2 == 0)
      cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
    else
      cft_world_answer(&w, 200, "{\"last_seq\":\"5-a\",\"pending\":0}\n");
  }
  ck_assert_uint_eq(w.feed->stats.faults_idle, 0);
  serve_until_live();
  cft_world_pass(&w, WATCHDOG);
  ck_assert_uint_eq(w.cancels, 1);
  ck_assert_uint_eq(w.feed->stats.faults_idle, 1);
  cft_world_close(&w);
}
END_TEST

/* ---- the end ---- */

static void be_asked(void) { (void)cft_world_url(&w); }

static void begin_catchup(void) {
  cft_world_greet(&w);
  cft_world_head(&w, 200, NULL);
}

static void be_in_a_row(void) {
  begin_catchup();
  ck_assert(cft_world_body(&w, "{\"results\":[\n" ROW("1-a", "x", "1-r")));
  ck_assert(cft_world_body(&w, ",\n{\"seq\":\"2-b\",\"i"));
}

static void be_unsaved(void) {
  serve_until_live();
  ck_assert(cft_world_body(&w, ROW("6-a", "x", "1-r") "\n"));
}

static void be_paused(void) {
  serve_until_live();
  w.verdict = CHANGEFEED_LATER;
  ck_assert(cft_world_body(&w, ROW("6-a", "x", "1-r") "\n"));
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_PAUSED);
}

static void be_in_backoff(void) {
  serve_until_live();
  for (int i = 0; i < 4; i++) {
    if (!w.active)
      cft_world_to_deadline(&w);
    cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  }
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
}

static void be_told_to_wait(void) {
  cft_world_head(&w, 503, "120");
  cft_world_done(&w, CHANGEFEED_OK);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
}

/* Of whatever asks who and what is there. */
#define EVERYTHING                                                             \
  "{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\",\"uuid\":\"u1\","            \
  "\"db_name\":\"db\",\"instance_start_time\":\"77\"}"

static void be_held_back(void) {
  serve_until_live();
  while (w.active)
    switch (cft_world_ask(&w)) {
    case CFI_ASK_LIVE:
      cft_world_answer(&w, 200, "{\"last_seq\":\"5-a\",\"pending\":0}\n");
      break;
    case CFI_ASK_CATCHUP:
      cft_world_answer(&w, 200, NOTHING_NEW);
      break;
    default:
      cft_world_answer(&w, 200, EVERYTHING);
    }
  ck_assert_int_ne(w.last_state, CHANGEFEED_STATE_WAITING);
}

static int take_batch(changefeed *feed, const changefeed_change *const *changes,
                      size_t count, void *user) {
  (void)feed;
  (void)changes;
  ((cft_world *)user)->rows += count;
  return CHANGEFEED_CONTINUE;
}

static void be_gathering(void) {
  w.feed->callbacks.on_change = NULL;
  w.feed->callbacks.on_batch = take_batch;
  serve_until_live();
  ck_assert(cft_world_body(&w, ROW("6-a", "x", "1-r") "\n"));
  ck_assert_uint_eq(w.rows, 0);
}

static const struct {
  const char *name;
  void (*reach)(void);
  const char *option, *value;
} states[] = {
    {"asked", be_asked, "session", "0"},
    {"asked to log in", be_asked, "session", "1"},
    {"catching up", begin_catchup, "session", "1"},
    {"in a row", be_in_a_row, "session", "0"},
    {"live", serve_until_live, "transport", "continuous"},
    {"live by longpoll", serve_until_live, "transport", "longpoll"},
    {"live with a filter", serve_until_live, "filter", "d/f"},
    {"not saved yet", be_unsaved, "session", "1"},
    {"paused", be_paused, "session", "0"},
    {"in back-off", be_in_backoff, "session", "0"},
    {"told to wait", be_told_to_wait, "session", "0"},
    {"held back", be_held_back, "session", "0"},
    {"gathering", be_gathering, "batch_delay_ms", "7000"},
};
enum { STATES = sizeof states / sizeof states[0], MOMENTS = 4 };

static unsigned times_told(const char *name) {
  unsigned n = 0;

  for (const char *at = w.states; (at = strstr(at, name)) != NULL; at++)
    n++;
  return n;
}

/* Moves the clock so that a timer (the nearest) is far away, nearly due, due,
   or overdue; the feed has not had its turn yet. */
static void choose_moment(int moment) {
  int64_t due_ms = cfi_feed_deadline(w.feed);

  ck_assert_int_ne(due_ms, CFI_NEVER);
  if (moment != 0)
    w.now_ms = due_ms + moment - 2;
}

/* Known failure 28: whatever was to happen later does not happen any more. */
START_TEST(test_feed_stopped_in_each_state_forgets_each_timer) {
  scratch_dir dir;
  char where[sizeof dir.text + 8];
  const char *const options[] = {"checkpoint",
                                 where,
                                 "connection_max_age_ms",
                                 "20000",
                                 "progress_interval_ms",
                                 "9000",
                                 "username",
                                 "u",
                                 "password",
                                 "pw",
                                 states[_i / MOMENTS].option,
                                 states[_i / MOMENTS].value,
                                 NULL};
  size_t requests, rows;

  scratch_begin(&dir);
  (void)snprintf(where, sizeof where, "file:%s", scratch_path(&dir, "place"));
  cft_world_open(&w, options);
  states[_i / MOMENTS].reach();
  choose_moment(_i % MOMENTS);
  (void)atomic_fetch_or(&w.feed->mail, (unsigned)CFI_MAIL_STOP);
  requests = w.requests;
  rows = w.rows;
  cft_world_settle(&w);
  ck_assert_msg(w.last_state == CHANGEFEED_STATE_ENDED, "%s: %s",
                states[_i / MOMENTS].name, w.states);
  ck_assert(!w.active);
  ck_assert_int_eq(cfi_feed_deadline(w.feed), CFI_NEVER);
  w.now_ms += DAY;
  cft_world_settle(&w);
  ck_assert_uint_eq(times_told("ended"), 1);
  ck_assert_uint_eq(times_told("failed"), 0);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_ENDED);
  ck_assert_uint_eq(w.requests, requests);
  ck_assert_uint_eq(w.rows, rows);
  cft_world_close(&w);
  scratch_end(&dir);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("feed_hours");
  TCase *tc = tcase_create("feed_hours");

  tcase_add_loop_test(tc, test_feed_idle_for_a_day_is_there_in_the_morning, 0,
                      NIGHTS);
  tcase_add_test(tc, test_feed_restarted_a_hundred_times_has_no_old_watchdog);
  tcase_add_loop_test(tc, test_feed_stopped_in_each_state_forgets_each_timer, 0,
                      STATES * MOMENTS);
  suite_add_tcase(s, tc);
  return s;
}

int main(void) { return cft_run(suite()); }
