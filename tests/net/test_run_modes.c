/*
 * The ways to drive a loop (run, run_once, one descriptor and dispatch, pull)
 * and what callbacks may do in them.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/follow.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

static cft_mini *mini;
static char url[256];

static void set_up(void) {
  mini = cft_mini_start(NULL);
  (void)snprintf(url, sizeof url, "%s", cft_mini_url(mini));
  cft_mini_put(mini, "a", "1-a", false);
  cft_mini_put(mini, "b", "1-b", false);
  cft_mini_put(mini, "c", "1-c", false);
}

static void tear_down(void) { cft_mini_free(mini); }

START_TEST(test_run_ends_when_no_feed_is_left) {
  changefeed_loop *loop = cft_loop();
  cft_follow f = {.feed = NULL};

  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK); /* none yet */
  cft_follow_open(&f, loop, url, "mode", "once", NULL);
  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK);
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_ENDED);
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
}
END_TEST

static int stop_loop(cft_follow *f, const changefeed_change *change) {
  (void)change;
  ck_assert_int_eq(changefeed_loop_stop(f->loop), CHANGEFEED_OK);
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_run_returns_when_stopped_and_goes_on_later) {
  changefeed_loop *loop = cft_loop();
  cft_follow f = {.on_row = stop_loop};

  cft_follow_open(&f, loop, url, "mode", "once", NULL);
  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK);
  ck_assert_int_ne(changefeed_get_state(f.feed), CHANGEFEED_STATE_ENDED);
  f.on_row = NULL;
  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK);
  ck_assert_uint_eq(f.taken, 3);
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
}
END_TEST

START_TEST(test_run_once_waits_no_longer_than_told) {
  changefeed_loop *loop = cft_loop();
  int64_t start = cft_now_ms();

  ck_assert_int_eq(changefeed_loop_run_once(loop, 50), CHANGEFEED_TIMEOUT);
  ck_assert_int_ge(cft_now_ms() - start, 49);
  ck_assert_int_eq(changefeed_loop_wakeup(loop), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_loop_run_once(loop, 60000), CHANGEFEED_OK);
  ck_assert_int_lt(cft_now_ms() - start, 30000);
  changefeed_loop_free(loop);
}
END_TEST

/* The descriptor alone tells a foreign loop when to come: timers, sockets and
   calls from other threads. */
static void drive_by_fd(changefeed_loop *loop, cft_follow *f, uint64_t rows,
                        int state) {
  int64_t end = cft_now_ms() + 20000;
  int fd = changefeed_loop_fd(loop);

  if (fd == CHANGEFEED_ERR_UNSUPPORTED)
    return;
  ck_assert_int_ge(fd, 0);
  while (f->taken < rows || changefeed_get_state(f->feed) != state) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = poll(&p, 1, (int)(end - cft_now_ms()));

    ck_assert_msg(n > 0, "the descriptor was not readable in time");
    ck_assert_int_eq(changefeed_loop_dispatch(loop), CHANGEFEED_OK);
  }
}

START_TEST(test_dispatch_when_the_descriptor_is_readable_is_enough) {
  changefeed_loop *loop = cft_loop();
  cft_follow f = {.feed = NULL};

  cft_follow_open(&f, loop, url, "heartbeat_ms", "200", NULL);
  drive_by_fd(loop, &f, 3, CHANGEFEED_STATE_LIVE);
  cft_mini_put(mini, "d", "1-d", false);
  drive_by_fd(loop, &f, 4, CHANGEFEED_STATE_LIVE);
  ck_assert_int_eq(changefeed_pause(f.feed), CHANGEFEED_OK);
  drive_by_fd(loop, &f, 4, CHANGEFEED_STATE_PAUSED);
  cft_mini_put(mini, "e", "1-e", false);
  ck_assert_int_eq(changefeed_resume(f.feed), CHANGEFEED_OK);
  drive_by_fd(loop, &f, 5, CHANGEFEED_STATE_LIVE);
  ck_assert_int_eq(changefeed_stop(f.feed), CHANGEFEED_OK);
  drive_by_fd(loop, &f, 5, CHANGEFEED_STATE_ENDED);
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
}
END_TEST

/* A descriptor that is readable though nothing is to be done would make the
   foreign loop spin. */
START_TEST(test_descriptor_is_quiet_when_nothing_is_due) {
  changefeed_loop *loop = cft_loop();
  cft_follow f = {.feed = NULL};
  int rounds = 0;

  cft_follow_open(&f, loop, url, NULL);
  drive_by_fd(loop, &f, 3, CHANGEFEED_STATE_LIVE);
  for (int64_t end = cft_now_ms() + 500; cft_now_ms() < end; rounds++) {
    struct pollfd p = {.fd = changefeed_loop_fd(loop), .events = POLLIN};

    if (p.fd < 0)
      break;
    if (rounds > 0)
      (void)poll(&p, 1, 500);
    ck_assert_int_eq(changefeed_loop_dispatch(loop), CHANGEFEED_OK);
  }
  ck_assert_int_lt(rounds, 100);
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
}
END_TEST

START_TEST(test_next_gives_rows_in_order_and_then_the_end) {
  const changefeed_change *c;
  cft_follow f = {.pull = true};

  cft_follow_open(&f, NULL, url, "mode", "once", NULL);
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(changefeed_next(f.feed, 20000, &c), CHANGEFEED_OK);
    ck_assert_uint_eq(c->ordinal, (uint64_t)i + 1);
    ck_assert_int_eq(c->id.data[0], 'a' + i);
    ck_assert_int_eq(c->id.data[c->id.len], '\0');
    ck_assert_int_eq(c->row.data[c->row.len], '\0');
  }
  ck_assert_int_eq(changefeed_next(f.feed, 20000, &c), CHANGEFEED_END);
  ck_assert_ptr_null(c);
  ck_assert_int_eq(changefeed_next(f.feed, 0, &c), CHANGEFEED_END);
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_next_times_out_and_keeps_what_it_lent) {
  const changefeed_change *c, *none;
  cft_follow f = {.pull = true};

  cft_follow_open(&f, NULL, url, NULL);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(changefeed_next(f.feed, 20000, &c), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_next(f.feed, 50, &none), CHANGEFEED_TIMEOUT);
  ck_assert_ptr_null(none);
  cft_mini_put(mini, "d", "1-d", false);
  ck_assert_int_eq(changefeed_next(f.feed, 20000, &c), CHANGEFEED_OK);
  ck_assert_str_eq(c->id.data, "d");
  /* stopped while the row is in our hands: it stays readable */
  ck_assert_int_eq(changefeed_stop(f.feed), CHANGEFEED_OK);
  (void)changefeed_loop_run_once(f.loop, 100);
  ck_assert_str_eq(c->id.data, "d");
  ck_assert_ptr_nonnull(strstr(c->row.data, "1-d"));
  ck_assert_int_eq(changefeed_next(f.feed, 20000, &c), CHANGEFEED_END);
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_next_tells_the_error_each_time) {
  /* known failure 48 */
  const changefeed_change *c;
  cft_follow f = {.pull = true};
  char missing[300];

  (void)snprintf(missing, sizeof missing, "%s-nosuch", url);
  cft_follow_open(&f, NULL, missing, NULL);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(changefeed_next(f.feed, 20000, &c),
                     CHANGEFEED_ERR_NOTFOUND);
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_next_is_not_for_feeds_with_callbacks) {
  const changefeed_change *c;
  cft_follow f = {.feed = NULL};

  cft_follow_open(&f, NULL, url, NULL);
  ck_assert_int_eq(changefeed_next(f.feed, 0, &c), CHANGEFEED_ERR_STATE);
  cft_follow_clear(&f);
}
END_TEST

static int try_reentry(cft_follow *f, const changefeed_change *change) {
  (void)change;
  ck_assert_int_eq(changefeed_loop_run(f->loop), CHANGEFEED_ERR_REENTRANT);
  ck_assert_int_eq(changefeed_loop_run_once(f->loop, 0),
                   CHANGEFEED_ERR_REENTRANT);
  ck_assert_int_eq(changefeed_loop_dispatch(f->loop), CHANGEFEED_ERR_REENTRANT);
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_driving_inside_a_callback_is_refused) {
  cft_follow f = {.on_row = try_reentry};

  cft_follow_open(&f, NULL, url, "mode", "once", NULL);
  ck_assert(cft_follow_until_over(&f, 20000));
  ck_assert_uint_eq(f.taken, 3);
  cft_follow_clear(&f);
}
END_TEST

static unsigned closed_calls;

static int close_self(changefeed *feed, const changefeed_change *change,
                      void *user) {
  (void)change;
  (void)user;
  closed_calls++;
  changefeed_close(feed);
  return CHANGEFEED_CONTINUE;
}

static changefeed *
open_plain(changefeed_loop *loop,
           int (*on_change)(changefeed *, const changefeed_change *, void *),
           void *user) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_options *options;
  changefeed *feed;

  callbacks.on_change = on_change;
  callbacks.user = user;
  ck_assert_int_eq(changefeed_options_new(&options), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_options_set(options, "url", url), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_options_set(options, "proxy", "-"),
                   CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_options_set_callbacks(options, &callbacks),
                   CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_open(&feed, loop, options), CHANGEFEED_OK);
  changefeed_options_free(options);
  return feed;
}

START_TEST(test_close_inside_the_own_callback) {
  changefeed_loop *loop = cft_loop();
  changefeed *own;

  closed_calls = 0;
  (void)open_plain(loop, close_self, NULL);
  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK);
  ck_assert_uint_eq(closed_calls, 1);
  changefeed_loop_free(loop);
  own = open_plain(NULL, close_self, NULL); /* with its own loop */
  ck_assert_int_eq(changefeed_loop_run(changefeed_get_loop(own)),
                   CHANGEFEED_OK);
  ck_assert_uint_eq(closed_calls, 2);
}
END_TEST

static int close_other(changefeed *feed, const changefeed_change *change,
                       void *user) {
  changefeed **other = user;

  (void)change;
  changefeed_close(*other);
  *other = NULL;
  changefeed_close(feed);
  return CHANGEFEED_CONTINUE;
}

static int ignore(changefeed *feed, const changefeed_change *change,
                  void *user) {
  (void)feed;
  (void)change;
  (void)user;
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_close_of_another_feed_inside_a_callback) {
  changefeed_loop *loop = cft_loop();
  changefeed *other = open_plain(loop, ignore, NULL);

  (void)open_plain(loop, close_other, &other);
  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK);
  ck_assert_ptr_null(other);
  changefeed_loop_free(loop);
}
END_TEST

static int open_more(changefeed *feed, const changefeed_change *change,
                     void *user) {
  int *left = user;

  (void)change;
  if ((*left)-- > 0)
    (void)open_plain(changefeed_get_loop(feed), open_more, user);
  changefeed_close(feed);
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_open_inside_a_callback) {
  changefeed_loop *loop = cft_loop();
  int left = 5;

  (void)open_plain(loop, open_more, &left);
  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK);
  ck_assert_int_eq(left, -1);
  changefeed_loop_free(loop);
}
END_TEST

START_TEST(test_batches_hold_at_most_batch_max) {
  cft_follow f = {.batch = true};

  for (int i = 0; i < 95; i++) {
    char id[16];

    (void)snprintf(id, sizeof id, "x%02d", i);
    cft_mini_put(mini, id, "1-x", false);
  }
  cft_follow_open(&f, NULL, url, "mode", "once", "batch_max", "10", NULL);
  ck_assert(cft_follow_until_over(&f, 20000));
  ck_assert_uint_eq(f.taken, 98);
  ck_assert_uint_le(f.calls, 98 / 10 + 1 + 4); /* and the states */
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_batches_wait_for_more_no_longer_than_their_delay) {
  cft_follow f = {.batch = true};
  int64_t start;

  cft_follow_open(&f, NULL, url, "batch_max", "1000", "batch_delay_ms", "300",
                  NULL);
  ck_assert(cft_follow_until_rows(&f, 3, 20000));
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, 20000));
  cft_mini_put(mini, "d", "1-d", false);
  start = cft_now_ms();
  ck_assert(cft_follow_until_rows(&f, 4, 20000));
  ck_assert_int_ge(cft_now_ms() - start, 290);
  cft_follow_clear(&f);
}
END_TEST

/* A child of fork may do nothing but abandon; the parent's feed lives on. */
START_TEST(test_child_of_fork_leaves_the_parents_connection_alone) {
  cft_follow f = {.feed = NULL};
  const changefeed_change *c;
  int status;
  pid_t pid;

  cft_follow_open(&f, NULL, url, "heartbeat_ms", "500", NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, 20000));
  cft_loop_for(f.loop, 50);
  pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    bool refused =
        changefeed_loop_run(f.loop) == CHANGEFEED_ERR_FORKED &&
        changefeed_loop_run_once(f.loop, 0) == CHANGEFEED_ERR_FORKED &&
        changefeed_loop_fd(f.loop) == CHANGEFEED_ERR_FORKED &&
        changefeed_next(f.feed, 0, &c) == CHANGEFEED_ERR_FORKED;

    changefeed_loop_abandon(f.loop);
    _exit(refused ? 0 : 1);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  cft_mini_put(mini, "d", "1-d", false);
  ck_assert(cft_follow_until_rows(&f, 4, 20000));
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
  cft_follow_clear(&f);
}
END_TEST

static Suite *run_modes_suite(void) {
  Suite *s = suite_create("run_modes");
  TCase *t = tcase_create("run_modes");

  tcase_set_timeout(t, 60);
  tcase_add_checked_fixture(t, set_up, tear_down);
  tcase_add_test(t, test_run_ends_when_no_feed_is_left);
  tcase_add_test(t, test_run_returns_when_stopped_and_goes_on_later);
  tcase_add_test(t, test_run_once_waits_no_longer_than_told);
  tcase_add_test(t, test_dispatch_when_the_descriptor_is_readable_is_enough);
  tcase_add_test(t, test_descriptor_is_quiet_when_nothing_is_due);
  tcase_add_test(t, test_next_gives_rows_in_order_and_then_the_end);
  tcase_add_test(t, test_next_times_out_and_keeps_what_it_lent);
  tcase_add_test(t, test_next_tells_the_error_each_time);
  tcase_add_test(t, test_next_is_not_for_feeds_with_callbacks);
  tcase_add_test(t, test_driving_inside_a_callback_is_refused);
  tcase_add_test(t, test_close_inside_the_own_callback);
  tcase_add_test(t, test_close_of_another_feed_inside_a_callback);
  tcase_add_test(t, test_open_inside_a_callback);
  tcase_add_test(t, test_batches_hold_at_most_batch_max);
  tcase_add_test(t, test_batches_wait_for_more_no_longer_than_their_delay);
  tcase_add_test(t, test_child_of_fork_leaves_the_parents_connection_alone);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(run_modes_suite()); }
