/* What a healthy server does and a follower must not take for a fault: ends
   with last_seq, heartbeats of any kind, no word of `pending`; and silence,
   which is a fault and is noticed in time. Known failures 2, 3, 16, 17, 20, 21,
   27, 30, 44, 54, 58, 59, 67, 68, 69, 71, 77, 79, 90.
   ctest: COST 50 */
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

enum { LONG_MS = 30000 };

static cft_mini *mini;
static cft_peer *peer;
static cft_follow f;
static unsigned rows_put;

static void setup(void) {
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  f = (cft_follow){.feed = NULL};
  rows_put = 3;
  cft_mini_fill(mini, "d", 3);
}

static void teardown(void) {
  cft_follow_clear(&f);
  cft_mini_free(mini);
}

static void put_row(void) {
  char id[16];
  snprintf(id, sizeof id, "new%u", rows_put++);
  cft_mini_put(mini, id, "1-n", false);
}

static bool all_seen(void *user) {
  (void)user;
  return f.taken >= rows_put && cft_mini_waiting(mini) == 1;
}

/* Runs until the feed has all rows and waits for more. */
static void settle(void) {
  ck_assert_msg(cft_loop_until(f.loop, all_seen, NULL, LONG_MS),
                "%d of %u rows, %s: %s", (int)f.taken, rows_put,
                changefeed_state_name(changefeed_get_state(f.feed)),
                changefeed_last_error(f.feed)->message);
}

static void expect_no_fault(void) {
  ck_assert_msg(cft_follow_times(&f, CHANGEFEED_STATE_WAITING) == 0, "%s",
                changefeed_last_error(f.feed)->message);
  ck_assert_int_eq(changefeed_last_error(f.feed)->code, 0);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_LIVE), 1);
  ck_assert_uint_eq(f.taken, rows_put);
  ck_assert_uint_eq(cft_follow_doubles(&f), 0);
}

static const struct {
  const char *name;
  unsigned kind;
} transports[] = {{"continuous", CFT_CONTINUOUS},
                  {"longpoll", CFT_LONGPOLL},
                  {"eventsource", CFT_EVENTSOURCE}};

/* ---- ends in health ---- */

/* Maintenance mode, a shard that moves, `changes_duration`: the feed ends with
   last_seq and nothing is wrong. */
START_TEST(test_live_end_is_followed_by_one_request) {
  enum { ENDS = 3 };
  bool longpoll = transports[_i].kind == CFT_LONGPOLL;
  cft_follow_open(&f, NULL, cft_mini_url(mini), "transport",
                  transports[_i].name, NULL);
  settle();
  for (size_t i = 0; i < ENDS; i++) {
    cft_mini_end_feeds(mini);
    settle();
    put_row(); /* ends a longpoll as well */
    settle();
  }
  ck_assert_uint_eq(cft_peer_count(peer, transports[_i].kind),
                    longpoll ? 1 + 2 * ENDS : 1 + ENDS);
  /* before the first response, and beside each after it; the last may not have
     been asked about yet */
  ck_assert_uint_le(cft_peer_count(peer, CFT_DB),
                    cft_peer_count(peer, CFT_FEED));
  ck_assert_uint_ge(cft_peer_count(peer, CFT_DB) + 1,
                    cft_peer_count(peer, CFT_FEED));
  /* an eventsource does not say where it ended, nor that nothing is left */
  ck_assert_uint_eq(cft_peer_count(peer, CFT_NORMAL),
                    transports[_i].kind == CFT_EVENTSOURCE ? 1 + ENDS : 1);
  ck_assert_uint_le(cft_peer_open_max(peer), 4);
  ck_assert_uint_eq(cft_follow_stats(&f).ends,
                    cft_peer_count(peer, CFT_FEED) - 1);
  expect_no_fault();
}
END_TEST

/* Each time the end comes without a row, `since` stays what it was. */
START_TEST(test_live_idle_ends_keep_the_position) {
  char position[256], since[256];
  cft_follow_open(&f, NULL, cft_mini_url(mini), "transport", "longpoll",
                  "heartbeat_ms", "300", NULL);
  settle();
  cft_follow_position(&f, position, sizeof position);
  ck_assert(cft_follow_until_requests(&f, 10, LONG_MS));
  ck_assert_uint_ge(cft_peer_count(peer, CFT_LONGPOLL), 3);
  for (size_t i = 0; i < cft_peer_count(peer, CFT_LONGPOLL); i++) {
    ck_assert(cft_request_param(cft_peer_request(peer, CFT_LONGPOLL, i),
                                "since", since, sizeof since));
    ck_assert_str_eq(since, position);
  }
  put_row();
  settle();
  expect_no_fault();
}
END_TEST

/* ---- pending ---- */

static const enum cft_pending pendings[] = {
    CFT_PENDING_EXACT, CFT_PENDING_ABSENT, CFT_PENDING_NULL,
    CFT_PENDING_NEGATIVE};
static const struct {
  enum cft_seqs seqs;
  const char *version, *uuid, *start_time;
} dialects[] = {
    {CFT_SEQ_OPAQUE, "3.5.0", "fc36", "\"1795389351\""},
    {CFT_SEQ_OPAQUE, "2.3.1", "fc36", "\"0\""},
    {CFT_SEQ_NUMBER, "1.6.1", "fc36", "\"1795389351\""},
    {CFT_SEQ_ARRAY, "bigcouch", "", "0"},
    {CFT_SEQ_NUMBER, "", "", ""},
};
enum { PENDINGS = 4, DIALECTS = sizeof dialects / sizeof *dialects };

static void speak(size_t dialect, size_t pending) {
  cft_mini_config config = cft_mini_get_config(mini);
  config.pending = pendings[pending];
  config.seqs = dialects[dialect].seqs;
  snprintf(config.version, sizeof config.version, "%s",
           dialects[dialect].version);
  snprintf(config.uuid, sizeof config.uuid, "%s", dialects[dialect].uuid);
  snprintf(config.start_time, sizeof config.start_time, "%s",
           dialects[dialect].start_time);
  cft_mini_set_config(mini, &config);
}

START_TEST(test_live_once_ends_whatever_pending_says) {
  speak((size_t)_i / PENDINGS, (size_t)_i % PENDINGS);
  /* the document that bears the last seq was another one before */
  cft_mini_put(mini, "d000001", "2-x", true);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "mode", "once", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_ENDED);
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 3);
  expect_no_fault();
}
END_TEST

START_TEST(test_live_comes_whatever_pending_says) {
  speak((size_t)_i / PENDINGS, (size_t)_i % PENDINGS);
  cft_follow_open(&f, NULL, cft_mini_url(mini), NULL);
  settle();
  put_row();
  settle();
  if (_i < PENDINGS || _i % PENDINGS == 1) { /* it takes its time */
    cft_mini_end_feeds(mini);
    settle();
  }
  put_row();
  settle();
  expect_no_fault();
}
END_TEST

/* A filter that lets nothing through: the server always has some left. */
START_TEST(test_live_once_ends_when_pending_never_ends) {
  char seq[128], body[256];
  cft_mini_seq(mini, 3, seq, sizeof seq);
  snprintf(body, sizeof body,
           "{\"results\":[\n\n],\n\"last_seq\":%s,\"pending\":7}\n", seq);
  cft_mini_fault(mini,
                 &(cft_fault){.on = CFT_NORMAL, .status = 200, .body = body});
  cft_follow_open(&f, NULL, cft_mini_url(mini), "mode", "once", "filter", "a/b",
                  NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_ENDED);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_NORMAL), 2);
}
END_TEST

/* ---- heartbeats ---- */

static bool many_beats(void *user) {
  (void)user;
  return cft_follow_stats(&f).heartbeats >= 20;
}

/* Alive by heartbeats for many times what a request or a head may take. */
START_TEST(test_live_heartbeats_keep_the_connection) {
  static const struct {
    size_t transport;
    bool crlf;
  } cases[] = {{0, false}, {0, true}, {2, false}};
  cft_mini_config config = cft_mini_get_config(mini);
  config.crlf = cases[_i].crlf;
  cft_mini_set_config(mini, &config);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "transport",
                  transports[cases[_i].transport].name, "heartbeat_ms", "100",
                  "idle_timeout_ms", "3000", "header_timeout_ms", "200",
                  "connect_timeout_ms", "200", NULL);
  settle();
  ck_assert(cft_loop_until(f.loop, many_beats, NULL, LONG_MS));
  put_row();
  settle();
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 5);
  expect_no_fault();
}
END_TEST

/* ---- silence, and connections that break ---- */

static bool has_waited(void *user) {
  const size_t *times = user;
  return cft_follow_times(&f, CHANGEFEED_STATE_WAITING) >= *times;
}

/* Half-open, as behind a firewall that forgot: 1.5 heartbeats. */
START_TEST(test_live_silence_is_noticed_in_time) {
  enum { BEAT_MS = 600, SLOW_MS = 900 /* a busy machine */ };
  size_t once = 1;
  cft_follow_open(&f, NULL, cft_mini_url(mini), "transport",
                  transports[_i].name, "heartbeat_ms", "600", NULL);
  settle();
  cft_mini_freeze(mini, true);
  int64_t frozen_ms = cft_now_ms();
  ck_assert(cft_loop_until(f.loop, has_waited, &once, LONG_MS));
  int64_t took = cft_now_ms() - frozen_ms;
  ck_assert_msg(took <= BEAT_MS * 3 / 2 + SLOW_MS, "after %d ms", (int)took);
  ck_assert_msg(took >= BEAT_MS / 2 - 10, "after %d ms already", (int)took);
  ck_assert_int_eq(cft_follow_last(&f, CHANGEFEED_STATE_WAITING)->code,
                   CHANGEFEED_ERR_IDLE);
  cft_mini_freeze(mini, false);
  put_row();
  settle();
  ck_assert_uint_eq(f.taken, rows_put);
}
END_TEST

/* A reset or an end in the middle is no matter for the watchdog, and the one
   of the connection before does not strike. */
START_TEST(test_live_break_is_noticed_at_once) {
  enum { BREAKS = 3, SLOW_MS = 900 };
  cft_follow_open(&f, NULL, cft_mini_url(mini), "transport",
                  transports[_i].name, "heartbeat_ms", "10000", "retry_max_ms",
                  "50", NULL);
  settle();
  for (size_t i = 1; i <= BREAKS; i++) {
    size_t asked = cft_peer_count(peer, CFT_ANY);
    int64_t broken_ms = cft_now_ms();
    cft_peer_drop(peer, i % 2 ? CFT_RST : CFT_CLOSE);
    ck_assert(cft_loop_until(f.loop, has_waited, &i, LONG_MS));
    ck_assert_int_le(cft_now_ms() - broken_ms, SLOW_MS);
    put_row();
    settle();
    int64_t again_ms = cft_peer_request(peer, CFT_ANY, asked)->at_ms;
    ck_assert_msg(again_ms - broken_ms <= 1000 + SLOW_MS, "after %d ms",
                  (int)(again_ms - broken_ms));
  }
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_WAITING), BREAKS);
  ck_assert_uint_eq(cft_follow_stats(&f).faults_idle, 0);
  ck_assert_uint_eq(f.taken, rows_put);
}
END_TEST

/* Bytes that nobody asked for behind an answer spoil its connection, not the
   next answer. */
START_TEST(test_live_stray_bytes_behind_an_answer_do_no_harm) {
  char raw[1024], seq[128];
  cft_mini_seq(mini, 3, seq, sizeof seq);
  int n = snprintf(raw, sizeof raw,
                   "{\"results\":[],\"last_seq\":%s,\"pending\":0}\n", seq);
  char response[2048];
  snprintf(response, sizeof response,
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           "%x\r\n%s\r\n0\r\n\r\n1\r\n\n\r\n0\r\n\r\n",
           (unsigned)n, raw);
  cft_mini_fault(mini,
                 &(cft_fault){.on = CFT_NORMAL, .times = 1, .raw = response});
  rows_put = 0;
  cft_follow_open(&f, NULL, cft_mini_url(mini), NULL);
  settle();
  put_row();
  settle();
  expect_no_fault();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fault_live");
  TCase *t = tcase_create("live");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_live_end_is_followed_by_one_request, 0, 3);
  tcase_add_test(t, test_live_idle_ends_keep_the_position);
  tcase_add_loop_test(t, test_live_once_ends_whatever_pending_says, 0,
                      PENDINGS * DIALECTS);
  tcase_add_loop_test(t, test_live_comes_whatever_pending_says, 0,
                      PENDINGS * DIALECTS);
  tcase_add_test(t, test_live_once_ends_when_pending_never_ends);
  tcase_add_loop_test(t, test_live_heartbeats_keep_the_connection, 0, 3);
  tcase_add_loop_test(t, test_live_silence_is_noticed_in_time, 0, 3);
  tcase_add_loop_test(t, test_live_break_is_noticed_at_once, 0, 3);
  tcase_add_test(t, test_live_stray_bytes_behind_an_answer_do_no_harm);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
