/* Trying again: how often, how soon, where, and when not at all. Known failures
   32, 41, 45, 46, 50. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

#include <unistd.h>

enum { LONG_MS = 30000 };

static cft_mini *mini, *spare;
static cft_peer *peer;
static changefeed_loop *loop;
static cft_follow f;

/* Two nodes of one cluster: the same rows under the same seqs. */
static void setup(void) {
  mini = cft_mini_start(NULL);
  spare = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  loop = cft_loop();
  cft_mini_fill(mini, "d", 3);
  cft_mini_fill(spare, "d", 3);
  f = (cft_follow){.feed = NULL};
}

static void teardown(void) {
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_mini_free(mini);
  cft_mini_free(spare);
}

/* A delay may be 0: the state itself is easily missed. */
static bool has_waited(void *user) {
  return cft_follow_times(user, CHANGEFEED_STATE_WAITING) != 0;
}

static const cft_seen_state *fault(void) {
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  return cft_follow_last(&f, CHANGEFEED_STATE_WAITING);
}

static const cft_seen_state *failure(void) {
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  const cft_seen_state *s = cft_follow_last(&f, CHANGEFEED_STATE_FAILED);
  ck_assert_ptr_nonnull(s);
  ck_assert_int_eq(s->retryable, 0);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_FAILED), 1);
  ck_assert_uint_eq(f.calls_late, 0);
  return s;
}

/* ---- how often ---- */

static const char *const limits[] = {"1", "2", "5"};

START_TEST(test_retry_limit_is_the_number_of_attempts) {
  size_t n = (size_t)(limits[_i][0] - '0');
  cft_mini_fault(mini, CFT_FAULT_STATUS(CFT_ROOT, 503));
  cft_follow_open(&f, loop, cft_mini_url(mini), "retry_limit", limits[_i],
                  NULL);
  const cft_seen_state *s = failure();
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_HTTP);
  ck_assert_int_eq(s->http_status, 503);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), n);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_WAITING), n - 1);
  for (size_t i = 0, attempt = 0; i < f.state_count; i++)
    if (f.states[i].state == CHANGEFEED_STATE_WAITING)
      ck_assert_uint_eq(f.states[i].attempt, ++attempt);
}
END_TEST

static bool is_live(void *user) { return cft_mini_waiting(user) == 1; }

static bool waited_four_times(void *user) {
  return cft_follow_times(user, CHANGEFEED_STATE_WAITING) == 4;
}

START_TEST(test_retry_limit_starts_again_after_rows_that_moved_on) {
  cft_fault broken = {.on = CFT_DB, .times = 2, .status = 503};
  cft_mini_fault(mini, &broken);
  cft_follow_open(&f, loop, cft_mini_url(mini), "retry_limit", "3", NULL);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
  ck_assert(cft_loop_until(loop, is_live, mini, LONG_MS));
  cft_mini_fault(mini, &broken);
  cft_mini_end_feeds(mini);
  ck_assert(cft_loop_until(loop, waited_four_times, &f, LONG_MS));
  cft_mini_put(mini, "more", "1-a", false);
  ck_assert(cft_follow_until_rows(&f, 4, LONG_MS));
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_FAILED), 0);
}
END_TEST

/* ---- how soon ---- */

static struct {
  int64_t answer, proposed, retry_after;
  unsigned attempt;
  size_t calls;
} asked;

static int64_t choose(cft_follow *follow, const changefeed_error *error,
                      unsigned attempt, int64_t proposed_ms) {
  (void)follow;
  asked.proposed = proposed_ms;
  asked.retry_after = error->retry_after_ms;
  asked.attempt = attempt;
  asked.calls++;
  return asked.answer;
}

static void open_asking(int64_t answer, const char *headers, size_t times,
                        const char *most) {
  asked.answer = answer;
  asked.calls = 0;
  cft_mini_fault(mini, &(cft_fault){.on = CFT_ROOT,
                                    .times = times,
                                    .status = 503,
                                    .headers = headers});
  f.on_retry = choose;
  cft_follow_open(&f, loop, cft_mini_url(mini), "retry_max_ms", most,
                  "retry_min_ms", most, NULL);
}

static int64_t gap_ms(size_t i) {
  return cft_peer_request(peer, CFT_ROOT, i)->at_ms -
         cft_peer_request(peer, CFT_ROOT, i - 1)->at_ms;
}

START_TEST(test_retry_delay_may_be_lengthened) {
  open_asking(700, NULL, 1, "100");
  const cft_seen_state *s = fault();
  ck_assert_int_eq(s->delay_ms, 700);
  ck_assert_int_le(asked.proposed, 100);
  ck_assert_uint_eq(asked.attempt, 1);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
  ck_assert_int_ge(gap_ms(1), 690);
}
END_TEST

START_TEST(test_retry_delay_may_be_shortened) {
  int64_t from = cft_now_ms();
  open_asking(0, NULL, 2, "3600000");
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
  ck_assert_uint_eq(asked.calls, 2);
  ck_assert_int_lt(cft_now_ms() - from, LONG_MS);
}
END_TEST

START_TEST(test_retry_delay_is_never_below_retry_after) {
  /* known failure 50 */
  open_asking(0, "Retry-After: 1\r\n", 1, "100");
  const cft_seen_state *s = fault();
  ck_assert_int_eq(s->delay_ms, 1000);
  ck_assert_int_eq(s->retry_after_ms, 1000);
  ck_assert_int_eq(asked.retry_after, 1000);
  ck_assert_int_ge(asked.proposed, 1000);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
  ck_assert_int_ge(gap_ms(1), 990);
}
END_TEST

static bool eighth(void *user) { return cft_peer_count(user, CFT_ROOT) >= 8; }

/* Five in a burst, one a second from then on, whatever the application says. */
START_TEST(test_retry_delay_is_never_below_the_rate_limit) {
  /* known failure 45 */
  open_asking(0, NULL, 0, "100");
  ck_assert(cft_loop_until(loop, eighth, peer, LONG_MS));
  ck_assert_int_ge(cft_peer_request(peer, CFT_ROOT, 7)->at_ms -
                       cft_peer_request(peer, CFT_ROOT, 0)->at_ms,
                   2900);
}
END_TEST

START_TEST(test_retry_delay_negative_ends_the_feed) {
  open_asking(-1, NULL, 0, "100");
  const cft_seen_state *s = failure();
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_HTTP);
  ck_assert_int_eq(s->http_status, 503);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 1);
}
END_TEST

static int refuse(cft_follow *follow) {
  (void)follow;
  return -3;
}

START_TEST(test_retry_request_refused_by_the_application_is_none) {
  f.on_request = refuse;
  cft_follow_open(&f, loop, cft_mini_url(mini), NULL);
  ck_assert_int_eq(failure()->code, CHANGEFEED_ERR_CALLBACK);
  ck_assert_uint_eq(cft_peer_accepted(peer), 0);
}
END_TEST

/* ---- where ---- */

START_TEST(test_retry_goes_to_the_endpoint_that_lives) {
  /* known failure 32 */
  cft_follow_open(&f, loop, cft_mini_url(mini), "endpoint_order", "listed",
                  "endpoint", cft_peer_url(cft_mini_peer(spare)), NULL);
  ck_assert(cft_loop_until(loop, is_live, mini, LONG_MS));
  ck_assert_uint_eq(cft_peer_accepted(cft_mini_peer(spare)), 0);
  for (int round = 0; round < 2; round++) {
    cft_mini *dies = round ? spare : mini, *lives = round ? mini : spare;
    char id[32];
    cft_peer_stop(cft_mini_peer(dies));
    snprintf(id, sizeof id, "during%d", round);
    cft_mini_put(dies, id, "1-a", false); /* the cluster replicates */
    cft_mini_put(lives, id, "1-a", false);
    cft_peer_restart(cft_mini_peer(lives));
    ck_assert(cft_follow_until_rows(&f, 4 + (uint64_t)round, LONG_MS));
    ck_assert(cft_loop_until(loop, is_live, lives, LONG_MS));
  }
  ck_assert_uint_eq(f.taken, 5);
  ck_assert_uint_eq(cft_follow_stats(&f).resets, 0);
}
END_TEST

START_TEST(test_retry_starts_at_an_endpoint_when_the_url_is_dead) {
  /* known failure 32 */
  uint16_t port;
  int fd = cft_port_refusing(&port);
  char url[64];
  ck_assert_int_ge(fd, 0);
  snprintf(url, sizeof url, "http://127.0.0.1:%u/db", port);
  cft_follow_open(&f, loop, url, "mode", "once", "endpoint_order", "listed",
                  "endpoint", "http://nowhere.invalid", "endpoint",
                  cft_peer_url(cft_mini_peer(spare)), "connect_timeout_ms",
                  "3000", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_WAITING), 2);
  close(fd);
}
END_TEST

/* An answer about the request is not mended by another node. */
START_TEST(test_retry_stays_at_an_endpoint_that_answers) {
  cft_mini_fault(mini, &(cft_fault){.on = CFT_DB, .times = 2, .status = 429});
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once",
                  "endpoint_order", "listed", "endpoint",
                  cft_peer_url(cft_mini_peer(spare)), NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_uint_eq(cft_peer_accepted(cft_mini_peer(spare)), 0);
}
END_TEST

/* ---- faults of the way ---- */

START_TEST(test_retry_follows_a_name_that_is_unknown) {
  /* known failure 46 */
  cft_follow_open(&f, loop, "http://nowhere.invalid/db", "connect_timeout_ms",
                  "3000", NULL);
  const cft_seen_state *s = fault();
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(s->retryable, 1);
  ck_assert_int_ne(s->curl_code, 0);
  ck_assert_msg(strstr(s->message, "http://nowhere.invalid/db"), "%s",
                s->message);
}
END_TEST

START_TEST(test_retry_follows_a_refused_connection) {
  /* known failures 13, 46 */
  cft_peer_stop(peer);
  cft_follow_open(&f, loop, cft_mini_url(mini), NULL);
  const cft_seen_state *s = fault();
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(s->retryable, 1);
  ck_assert(s->message[0]);
  cft_peer_restart(peer);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
}
END_TEST

START_TEST(test_retry_follows_a_reset_before_the_head) {
  /* known failure 46 */
  cft_fault reset = *CFT_FAULT_BEFORE(CFT_ROOT, CFT_RST);
  reset.times = 2;
  cft_mini_fault(mini, &reset);
  cft_follow_open(&f, loop, cft_mini_url(mini), NULL);
  ck_assert_int_eq(fault()->code, CHANGEFEED_ERR_NETWORK);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
}
END_TEST

START_TEST(test_retry_follows_a_connect_that_takes_too_long) {
  uint16_t port;
  int fds[2];
  char url[64];
  ck_assert(cft_port_hanging(&port, fds));
  snprintf(url, sizeof url, "http://127.0.0.1:%u/db", port);
  cft_follow_open(&f, loop, url, "connect_timeout_ms", "300", NULL);
  const cft_seen_state *s = fault();
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_ge(s->at_ms - f.opened_ms, 295);
  ck_assert_int_eq(s->retryable, 1);
  close(fds[0]);
  close(fds[1]);
}
END_TEST

/* ---- what no attempt can mend ---- */

static const struct {
  const char *name, *value;
  int code;
} wrong[] = {
    {"ca_file", "/nonexistent/ca.pem", CHANGEFEED_ERR_OPTION},
    {"client_cert", "/nonexistent/cert.pem", CHANGEFEED_ERR_OPTION},
    {"client_key", "/nonexistent/key.pem", CHANGEFEED_ERR_OPTION},
    {"url", "couch.example/db", CHANGEFEED_ERR_OPTION},
    {"url", "http://couch.example/", CHANGEFEED_ERR_OPTION},
    {"endpoint", "couch.example", CHANGEFEED_ERR_OPTION},
    {"endpoint", "http://u:p@couch.example", CHANGEFEED_ERR_OPTION},
    {"header", "no colon", CHANGEFEED_ERR_OPTION},
    {"header", "X: a\r\nEvil: b", CHANGEFEED_ERR_OPTION},
    {"query", "since=1", CHANGEFEED_ERR_OPTION},
    {"retry_min_ms", "9", CHANGEFEED_ERR_RANGE},
    {"retry_min_ms", "5000", CHANGEFEED_ERR_RANGE}, /* above retry_max_ms */
    {"retry_limit", "-1", CHANGEFEED_ERR_RANGE},
    {"retry_limt", "1", CHANGEFEED_ERR_OPTION},
    {"session", "1", CHANGEFEED_ERR_OPTION},
    {"password", "alone", CHANGEFEED_ERR_OPTION},
};

START_TEST(test_retry_wrong_option_is_refused_with_a_sentence) {
  char why[512];
  ck_assert_int_eq(cft_follow_try(&f, loop, why, sizeof why, cft_mini_url(mini),
                                  wrong[_i].name, wrong[_i].value, NULL),
                   wrong[_i].code);
  ck_assert_msg(strstr(why, wrong[_i].name), "%s", why);
  ck_assert_uint_gt(strlen(why), strlen(wrong[_i].name) + 15);
  ck_assert_uint_eq(cft_peer_accepted(peer), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("net_retry");
  TCase *t = tcase_create("retry");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_retry_limit_is_the_number_of_attempts, 0,
                      sizeof limits / sizeof *limits);
  tcase_add_test(t, test_retry_limit_starts_again_after_rows_that_moved_on);
  tcase_add_test(t, test_retry_delay_may_be_lengthened);
  tcase_add_test(t, test_retry_delay_may_be_shortened);
  tcase_add_test(t, test_retry_delay_is_never_below_retry_after);
  tcase_add_test(t, test_retry_delay_is_never_below_the_rate_limit);
  tcase_add_test(t, test_retry_delay_negative_ends_the_feed);
  tcase_add_test(t, test_retry_request_refused_by_the_application_is_none);
  tcase_add_test(t, test_retry_goes_to_the_endpoint_that_lives);
  tcase_add_test(t, test_retry_starts_at_an_endpoint_when_the_url_is_dead);
  tcase_add_test(t, test_retry_stays_at_an_endpoint_that_answers);
  tcase_add_test(t, test_retry_follows_a_name_that_is_unknown);
  tcase_add_test(t, test_retry_follows_a_refused_connection);
  tcase_add_test(t, test_retry_follows_a_reset_before_the_head);
  tcase_add_test(t, test_retry_follows_a_connect_that_takes_too_long);
  tcase_add_loop_test(t, test_retry_wrong_option_is_refused_with_a_sentence, 0,
                      sizeof wrong / sizeof *wrong);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
