/*
 * Calls from other threads while the loop runs: acknowledgements out of order,
 * pause and resume, stop; and the position they lead to.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/follow.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

enum { ROWS = 2000, WORKERS = 4, QUEUE = 4096 };

/* Work handed to workers: ordinals, taken in any order. */
typedef struct work {
  pthread_mutex_t lock;
  uint64_t ordinal[QUEUE];
  size_t count;
  bool over;
  changefeed *feed;
  atomic_uint refused;
} work;

static work todo;
static cft_mini *mini;

static bool take(uint64_t *ordinal, unsigned *seed) {
  bool got = false;

  (void)pthread_mutex_lock(&todo.lock);
  if (todo.count != 0) {
    size_t i = (size_t)rand_r(seed) % todo.count;

    *ordinal = todo.ordinal[i];
    todo.ordinal[i] = todo.ordinal[--todo.count];
    got = true;
  }
  (void)pthread_mutex_unlock(&todo.lock);
  return got;
}

static bool is_over(void) {
  bool over;

  (void)pthread_mutex_lock(&todo.lock);
  over = todo.over && todo.count == 0;
  (void)pthread_mutex_unlock(&todo.lock);
  return over;
}

static void *worker(void *user) {
  unsigned seed = *(unsigned *)user;
  uint64_t ordinal;

  while (!is_over())
    if (take(&ordinal, &seed) &&
        changefeed_ack_one(todo.feed, ordinal) != CHANGEFEED_OK)
      (void)atomic_fetch_add(&todo.refused, 1);
  return NULL;
}

static int hand_out(cft_follow *f, const changefeed_change *change) {
  (void)f;
  (void)pthread_mutex_lock(&todo.lock);
  ck_assert_uint_lt(todo.count, QUEUE);
  todo.ordinal[todo.count++] = change->ordinal;
  (void)pthread_mutex_unlock(&todo.lock);
  return CHANGEFEED_CONTINUE;
}

static bool all_acked(void *user) {
  changefeed_stats s = cft_follow_stats(user);

  return s.acked == ROWS && s.unacked == 0;
}

START_TEST(test_acks_out_of_order_from_threads) {
  pthread_t threads[WORKERS];
  unsigned seeds[WORKERS];
  cft_follow f = {.on_row = hand_out};
  changefeed_loop *loop = cft_loop();
  char position[512], last[512];

  mini = cft_mini_start(NULL);
  cft_mini_fill(mini, "d", ROWS);
  (void)pthread_mutex_init(&todo.lock, NULL);
  cft_follow_open(&f, loop, cft_mini_url(mini), "auto_ack", "0", "max_unacked",
                  "100", NULL);
  todo.feed = f.feed;
  for (unsigned i = 0; i < WORKERS; i++) {
    seeds[i] = i + 1;
    ck_assert_int_eq(pthread_create(&threads[i], NULL, worker, &seeds[i]), 0);
  }
  ck_assert(cft_loop_until(loop, all_acked, &f, 60000));
  (void)pthread_mutex_lock(&todo.lock);
  todo.over = true;
  (void)pthread_mutex_unlock(&todo.lock);
  for (int i = 0; i < WORKERS; i++)
    (void)pthread_join(threads[i], NULL);
  ck_assert_uint_eq(atomic_load(&todo.refused), 0);
  ck_assert_uint_eq(f.taken, ROWS);
  cft_follow_position(&f, position, sizeof position);
  cft_mini_seq(mini, ROWS, last, sizeof last);
  ck_assert_ptr_nonnull(strstr(last, position));
  ck_assert_int_eq(changefeed_ack(f.feed, ROWS + 1), CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_ack_one(f.feed, 1), CHANGEFEED_OK); /* again */
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_mini_free(mini);
}
END_TEST

static atomic_bool toggling;

static void *toggle(void *user) {
  while (atomic_load(&toggling)) {
    (void)changefeed_pause(user);
    (void)changefeed_get_state(user);
    (void)changefeed_resume(user);
  }
  (void)changefeed_resume(user);
  return NULL;
}

START_TEST(test_pause_and_resume_from_a_thread_lose_nothing) {
  changefeed_loop *loop = cft_loop();
  cft_follow f = {.feed = NULL};
  pthread_t thread;
  cft_revs *want;
  char why[256];

  mini = cft_mini_start(NULL);
  cft_mini_fill(mini, "d", ROWS);
  want = cft_mini_revs(mini);
  cft_follow_open(&f, loop, cft_mini_url(mini), "max_queue_bytes", "4096",
                  NULL);
  atomic_store(&toggling, true);
  ck_assert_int_eq(pthread_create(&thread, NULL, toggle, f.feed), 0);
  cft_loop_for(loop, 300);
  atomic_store(&toggling, false);
  ck_assert(cft_follow_until_rows(&f, ROWS, 60000));
  (void)pthread_join(thread, NULL);
  ck_assert_msg(cft_revs_equal(want, f.revs, why, sizeof why), "%s", why);
  ck_assert_uint_eq(f.taken, ROWS);
  cft_revs_free(want);
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_mini_free(mini);
}
END_TEST

static void *stop_soon(void *user) {
  (void)changefeed_stop(user);
  return NULL;
}

START_TEST(test_stop_from_a_thread_ends_run) {
  changefeed_loop *loop = cft_loop();
  cft_follow f = {.feed = NULL};
  pthread_t thread;

  mini = cft_mini_start(NULL);
  cft_follow_open(&f, loop, cft_mini_url(mini), NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, 20000));
  ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, f.feed), 0);
  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK);
  (void)pthread_join(thread, NULL);
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_ENDED);
  ck_assert_uint_eq(f.calls_late, 0);
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_mini_free(mini);
}
END_TEST

static void *run_own_loop(void *user) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_options *options;
  const changefeed_change *c;
  changefeed *feed;
  intptr_t rows = 0;

  if (changefeed_options_new(&options) != CHANGEFEED_OK)
    return NULL;
  if (changefeed_options_set(options, "url", user) == CHANGEFEED_OK &&
      changefeed_options_set(options, "mode", "once") == CHANGEFEED_OK &&
      changefeed_options_set_callbacks(options, &callbacks) == CHANGEFEED_OK &&
      changefeed_open(&feed, NULL, options) == CHANGEFEED_OK) {
    while (changefeed_next(feed, 60000, &c) == CHANGEFEED_OK)
      rows++;
    changefeed_close(feed);
  }
  changefeed_options_free(options);
  return (void *)rows;
}

/* Loops share nothing: each thread may have its own. */
START_TEST(test_loops_in_several_threads) {
  pthread_t threads[WORKERS];
  char url[256];

  mini = cft_mini_start(NULL);
  cft_mini_fill(mini, "d", ROWS);
  (void)snprintf(url, sizeof url, "%s", cft_mini_url(mini));
  for (int i = 0; i < WORKERS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, run_own_loop, url), 0);
  for (int i = 0; i < WORKERS; i++) {
    void *rows;

    ck_assert_int_eq(pthread_join(threads[i], &rows), 0);
    ck_assert_int_eq((intptr_t)rows, ROWS);
  }
  cft_mini_free(mini);
}
END_TEST

static Suite *acks_suite(void) {
  Suite *s = suite_create("acks_threads");
  TCase *t = tcase_create("acks_threads");

  tcase_set_timeout(t, 120);
  tcase_add_test(t, test_acks_out_of_order_from_threads);
  tcase_add_test(t, test_pause_and_resume_from_a_thread_lose_nothing);
  tcase_add_test(t, test_stop_from_a_thread_ends_run);
  tcase_add_test(t, test_loops_in_several_threads);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(acks_suite()); }
