/* Signals while feeds are followed: a storm of them costs no row and is no
   error, the calls that handlers may make do what they say, and a peer that
   closes while we write raises none.
   ctest: LABEL threads */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/relay.h"
#include "support/timing.h"
#include "support/tunnel.h"
#include "support/unit.h"
#include "unit/scratch_dir.h"

enum { LONG_MS = 30000, ROWS = 2000, LATER = 100 };

static cft_mini *mini;
static changefeed_loop *loop;
static cft_follow f;
static scratch_dir dir;
static char option[1100];

/* ---- the storm ---- */

static atomic_uint signals;
static void (*handler_call)(void);

static void on_alarm(int number) {
  (void)number;
  (void)atomic_fetch_add(&signals, 1);
  if (handler_call != NULL)
    handler_call();
}

static void mask(int how, int number) {
  sigset_t set;

  (void)sigemptyset(&set);
  (void)sigaddset(&set, number);
  ck_assert_int_eq(pthread_sigmask(how, &set, NULL), 0);
}

/* No SA_RESTART: each system call that waits ends with EINTR. */
static void begin_storm(void (*call)(void)) {
  struct sigaction action = {.sa_handler = on_alarm};
  const char *instrumented = getenv("CFT_INSTRUMENTED");
  suseconds_t us = instrumented && strcmp(instrumented, "1") == 0 ? 1500 : 700;
  const struct itimerval tick = {{0, us}, {0, us}};

  handler_call = call;
  ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
  ck_assert_int_eq(setitimer(ITIMER_REAL, &tick, NULL), 0);
}

static bool has_stormed(void *user) {
  (void)user;
  return atomic_load(&signals) > 5;
}

static void end_storm(void) {
  const struct itimerval none = {{0, 0}, {0, 0}};

  ck_assert_int_eq(setitimer(ITIMER_REAL, &none, NULL), 0);
  ck_assert(has_stormed(NULL));
  handler_call = NULL;
}

/* The signals are for the thread of the loop, not for the peer's. */
static void setup(void) {
  mask(SIG_BLOCK, SIGALRM);
  atomic_store(&signals, 0);
  mini = cft_mini_start(NULL);
  cft_mini_fill(mini, "d", ROWS);
  scratch_begin(&dir);
  (void)snprintf(option, sizeof option, "file:%s",
                 scratch_path(&dir, "position"));
  loop = cft_loop();
  f = (cft_follow){.feed = NULL};
}

static void teardown(void) {
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_mini_free(mini);
  scratch_end(&dir);
}

/* ---- driven in every way ---- */

static size_t next; /* row to write */

static bool has_all(void) { return f.taken >= ROWS + LATER; }

/* Rows of the past in one piece, those of the present one by one. */
static void write_one(void) {
  char id[32];

  if (f.taken < ROWS || next >= LATER)
    return;
  (void)snprintf(id, sizeof id, "later%zu", next++);
  cft_mini_put(mini, id, "1-l", false);
}

static int by_run_once(void) { return changefeed_loop_run_once(loop, 5); }

static int by_fd(void) {
  struct pollfd p = {.fd = changefeed_loop_fd(loop), .events = POLLIN};

  if (p.fd < 0) /* this driver has none */
    return by_run_once();
  (void)poll(&p, 1, 5); /* EINTR is as good as any reason to look */
  return changefeed_loop_dispatch(loop);
}

static int by_next(void) {
  const changefeed_change *change;
  int rc = changefeed_next(f.feed, 5, &change);

  if (rc == CHANGEFEED_OK) {
    cft_revs_put(f.revs, change->id.data, change->revs[0].data, false);
    f.taken++;
  }
  return rc;
}

static void stop_loop(void) { (void)changefeed_loop_stop(loop); }

static int by_run(void) { return changefeed_loop_run(loop); }

static const struct {
  const char *name, *transport;
  int (*drive)(void);
  bool pull;
  void (*in_handler)(void);
} ways[] = {
    {"run_once", "continuous", by_run_once, false, NULL},
    {"run_once", "longpoll", by_run_once, false, NULL},
    {"descriptor", "continuous", by_fd, false, NULL},
    {"descriptor", "eventsource", by_fd, false, NULL},
    {"next", "continuous", by_next, true, NULL},
    {"run, stopped by each signal", "continuous", by_run, false, stop_loop},
    {"run_once, likewise", "continuous", by_run_once, false, stop_loop},
    {"descriptor, likewise", "continuous", by_fd, false, stop_loop},
    {"next, likewise", "continuous", by_next, true, stop_loop},
};
enum { WAYS = sizeof ways / sizeof *ways };

START_TEST(test_signals_cost_no_row) {
  int64_t end = cft_now_ms() + LONG_MS;
  char why[256];
  cft_revs *want;
  changefeed_stats s;

  next = 0;
  f.pull = ways[_i].pull;
  cft_follow_open(&f, loop, cft_mini_url(mini), "transport", ways[_i].transport,
                  "include_docs", "1", "checkpoint", option, "checkpoint_every",
                  "25", NULL);
  begin_storm(ways[_i].in_handler);
  mask(SIG_UNBLOCK, SIGALRM);
  while (!has_all() && cft_now_ms() < end) {
    ck_assert_int_ge(ways[_i].drive(), 0);
    write_one();
  }
  end_storm();
  want = cft_mini_revs(mini);
  s = cft_follow_stats(&f);
  ck_assert_msg(cft_revs_equal(want, f.revs, why, sizeof why), "%s: %s",
                ways[_i].name, why);
  ck_assert_uint_eq(f.taken, ROWS + LATER); /* each once */
  ck_assert_msg(s.reconnects == 0 && s.save_errors == 0, "%s: %s",
                ways[_i].name, changefeed_last_error(f.feed)->message);
  ck_assert_uint_gt(s.saves, 10);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_WAITING), 0);
  cft_revs_free(want);
}
END_TEST

/* ---- calls in a handler ---- */

static void wake_loop(void) { (void)changefeed_loop_wakeup(loop); }

START_TEST(test_wakeup_in_a_handler_ends_run_once) {
  int64_t start = cft_now_ms();

  cft_follow_open(&f, loop, cft_mini_url(mini), "heartbeat_ms", "60000", NULL);
  ck_assert(cft_follow_until_rows(&f, ROWS, LONG_MS));
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, LONG_MS));
  cft_loop_for(loop, 50);
  begin_storm(wake_loop);
  mask(SIG_UNBLOCK, SIGALRM);
  for (int i = 0; i < 100; i++)
    ck_assert_int_ge(changefeed_loop_run_once(loop, LONG_MS), 0);
  end_storm();
  ck_assert_int_lt(cft_now_ms() - start, LONG_MS / 2);
}
END_TEST

static void stop_feed(void) { (void)changefeed_stop(f.feed); }

START_TEST(test_stop_in_a_handler_again_and_again_is_one_end) {
  cft_follow_open(&f, loop, cft_mini_url(mini), NULL);
  ck_assert(cft_follow_until_rows(&f, 10, LONG_MS));
  begin_storm(stop_feed);
  mask(SIG_UNBLOCK, SIGALRM);
  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK);
  /* further ones meet a feed that has ended */
  ck_assert(cft_loop_until(loop, has_stormed, NULL, LONG_MS));
  end_storm();
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_ENDED), 1);
  ck_assert_uint_eq(f.calls_late, 0);
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_ENDED);
}
END_TEST

/* ---- a peer that closes while we write ---- */

static atomic_uint pipes;

static void on_pipe(int number) {
  (void)number;
  (void)atomic_fetch_add(&pipes, 1);
}

enum { SELECTOR_SIZE = 4 * 1024 * 1024 };

/* {"x":"xxxx..."}: a request that takes many writes. */
static char *long_selector(void) {
  char *text = cft_calloc(SELECTOR_SIZE + 16, 1);

  memcpy(text, "{\"x\":\"", 6);
  memset(text + 6, 'x', SELECTOR_SIZE);
  memcpy(text + 6 + SELECTOR_SIZE, "\"}", 3);
  return text;
}

static bool was_reset_often(void *user) { return cft_relay_resets(user) >= 3; }

static bool has_waited_often(void *user) {
  (void)user;
  return cft_follow_times(&f, CHANGEFEED_STATE_WAITING) >= 3;
}

/* Its default action would end the process; a handler counts it. */
START_TEST(test_peer_that_closes_while_we_write_raises_no_signal) {
  struct sigaction action = {.sa_handler = on_pipe}, now;
  uint16_t port = cft_peer_port(cft_mini_peer(mini));
  cft_tunnel *tunnel = _i == 1 ? cft_tunnel_start(port) : NULL;
  cft_relay *relay =
      cft_relay_start(tunnel != NULL ? cft_tunnel_port(tunnel) : port);
  char url[64], *selector = long_selector();

  ck_assert_int_eq(sigaction(SIGPIPE, &action, NULL), 0);
  atomic_store(&pipes, 0);
  (void)snprintf(url, sizeof url, "http%s://127.0.0.1:%u/db",
                 tunnel != NULL ? "s" : "", cft_relay_port(relay));
  cft_relay_reset_after(relay, 300000);
  cft_follow_open(&f, loop, url, "selector", selector, "tls_verify", "0",
                  "retry_max_ms", "10", NULL);
  ck_assert(cft_loop_until(loop, was_reset_often, relay, LONG_MS));
  ck_assert(cft_loop_until(loop, has_waited_often, NULL, LONG_MS));
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_FAILED), 0);
  ck_assert_uint_eq(atomic_load(&pipes), 0);
  ck_assert_int_eq(sigaction(SIGPIPE, NULL, &now), 0);
  ck_assert(now.sa_handler == on_pipe);
  cft_follow_close(&f);
  cft_relay_stop(relay);
  cft_tunnel_stop(tunnel);
  free(selector);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("process_signals");
  TCase *t = tcase_create("process_signals");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_signals_cost_no_row, 0, WAYS);
  tcase_add_test(t, test_wakeup_in_a_handler_ends_run_once);
  tcase_add_test(t, test_stop_in_a_handler_again_and_again_is_one_end);
  tcase_add_loop_test(t, test_peer_that_closes_while_we_write_raises_no_signal,
                      0, 2);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
