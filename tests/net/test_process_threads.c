/* Several threads at once: two loops with feeds, each in its own thread, while
   others pause, resume, acknowledge, wake and stop as fast as they can.
   Afterwards every row was delivered, in order and once, and each position is
   behind the last. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "support/follow.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

enum {
  LONG_MS = 60000,
  LOOPS = 2,
  FEEDS = 4, /* of each loop; the last takes batches */
  STORMERS = 3,
  ROWS = 1500,
  OPEN_MAX = 50 /* rows without an acknowledgement */
};

/* A feed as the threads share it. */
typedef struct shared {
  changefeed *feed; /* set before the threads begin */
  atomic_ullong delivered;
} shared;

typedef struct side {
  pthread_t thread;
  changefeed_loop *loop;
  cft_follow follows[FEEDS];
  shared feeds[FEEDS];
  atomic_uint still; /* feeds that have not everything acknowledged */
  bool in_time;
} side;

static cft_mini *mini;
static side sides[LOOPS];
static atomic_bool storming;
static atomic_ullong calls, refused;

/* ---- the loops ---- */

static int count_row(cft_follow *f, const changefeed_change *change) {
  shared *s = f->user;

  atomic_store(&s->delivered, change->ordinal);
  return CHANGEFEED_CONTINUE;
}

static int count_rows(cft_follow *f, const changefeed_change *const *changes,
                      size_t count) {
  shared *s = f->user;

  atomic_store(&s->delivered, changes[count - 1]->ordinal);
  return CHANGEFEED_CONTINUE;
}

static bool all_done(void *user) {
  side *s = user;
  unsigned still = 0;

  for (int i = 0; i < FEEDS; i++)
    still += cft_follow_stats(&s->follows[i]).acked < ROWS;
  atomic_store(&s->still, still);
  return still == 0;
}

static void *run_loop(void *user) {
  side *s = user;

  s->in_time = cft_loop_until(s->loop, all_done, s, LONG_MS);
  return NULL;
}

/* ---- the storm ---- */

/* Acknowledges something that was delivered: all of it, or one row of it. */
static int acknowledge(shared *s, cfi_random *random) {
  int64_t last = (int64_t)atomic_load(&s->delivered);
  uint64_t ordinal;

  if (last == 0)
    return CHANGEFEED_OK;
  ordinal =
      (uint64_t)(last - cfi_random_upto(
                            random, last < OPEN_MAX ? last - 1 : OPEN_MAX - 1));
  return cfi_random_upto(random, 1) == 0 ? changefeed_ack(s->feed, ordinal)
                                         : changefeed_ack_one(s->feed, ordinal);
}

static int call_something(side *s, cfi_random *random) {
  shared *f = &s->feeds[cfi_random_upto(random, FEEDS - 1)];

  switch (cfi_random_upto(random, 9)) {
  case 0:
    return changefeed_pause(f->feed);
  case 1:
  case 2:
    return changefeed_resume(f->feed);
  case 3:
    return changefeed_loop_wakeup(s->loop);
  case 4:
    return changefeed_loop_stop(s->loop); /* ends a run_once */
  case 5:
    return changefeed_get_state(f->feed) >= 0 ? CHANGEFEED_OK
                                              : CHANGEFEED_ERR_STATE;
  default:
    return acknowledge(f, random);
  }
}

static void *storm(void *user) {
  cfi_random random;

  cfi_random_init(&random, *(const uint64_t *)user);
  while (atomic_load(&storming)) {
    side *s = &sides[cfi_random_upto(&random, LOOPS - 1)];

    (void)atomic_fetch_add(&calls, 1);
    if (call_something(s, &random) != CHANGEFEED_OK)
      (void)atomic_fetch_add(&refused, 1);
  }
  return NULL;
}

/* What the storm has left undone. */
static void settle(void) {
  for (int i = 0; i < LOOPS; i++)
    for (int k = 0; k < FEEDS; k++) {
      shared *s = &sides[i].feeds[k];

      (void)changefeed_resume(s->feed);
      if (atomic_load(&s->delivered) != 0)
        (void)changefeed_ack(s->feed, atomic_load(&s->delivered));
    }
}

static bool is_settled(void *user) {
  unsigned still = 0;

  (void)user;
  settle();
  for (int i = 0; i < LOOPS; i++)
    still += atomic_load(&sides[i].still);
  return still == 0;
}

/* Half of what there is has come through the storm, on each feed. */
static bool most_delivered(void *user) {
  (void)user;
  for (int i = 0; i < LOOPS; i++)
    for (int k = 0; k < FEEDS; k++)
      if (atomic_load(&sides[i].feeds[k].delivered) < ROWS / 2)
        return false;
  return true;
}

/* ---- the tests ---- */

static void open_side(side *s) {
  static const char *const transports[FEEDS] = {"continuous", "longpoll",
                                                "eventsource", "continuous"};

  s->loop = cft_loop();
  atomic_init(&s->still, FEEDS);
  for (int i = 0; i < FEEDS; i++) {
    s->follows[i] = (cft_follow){.on_row = count_row,
                                 .on_rows = count_rows,
                                 .batch = i == FEEDS - 1,
                                 .user = &s->feeds[i]};
    atomic_init(&s->feeds[i].delivered, 0);
    cft_follow_open(&s->follows[i], s->loop, cft_mini_url(mini), "transport",
                    transports[i], "auto_ack", "0", "max_unacked", "50",
                    "max_queue_bytes", "4096", NULL);
    s->feeds[i].feed = s->follows[i].feed;
  }
}

static void check_feed(cft_follow *f, const cft_revs *want) {
  char position[512], last[512], why[256];
  changefeed_stats stats = cft_follow_stats(f);

  ck_assert_msg(cft_revs_equal(want, f->revs, why, sizeof why), "%s", why);
  ck_assert_uint_eq(f->taken, ROWS);
  for (size_t i = 0; i < f->row_count; i++)
    ck_assert_uint_eq(f->rows[i].ordinal, i + 1);
  ck_assert_uint_eq(stats.unacked, 0);
  ck_assert_uint_eq(stats.reconnects, 0);
  cft_follow_position(f, position, sizeof position);
  cft_mini_seq(mini, ROWS, last, sizeof last);
  ck_assert_ptr_nonnull(strstr(last, position));
  ck_assert_uint_eq(f->calls_late, 0);
}

static void begin_storm(pthread_t threads[STORMERS]) {
  static uint64_t seeds[STORMERS];

  atomic_store(&storming, true);
  for (uint64_t i = 0; i < STORMERS; i++) {
    seeds[i] = i + 1;
    ck_assert_int_eq(pthread_create(&threads[i], NULL, storm, &seeds[i]), 0);
  }
}

static void end_storm(const pthread_t threads[STORMERS]) {
  atomic_store(&storming, false);
  for (int i = 0; i < STORMERS; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

static void setup(void) {
  mini = cft_mini_start(NULL);
  atomic_store(&calls, 0);
  atomic_store(&refused, 0);
  for (int i = 0; i < LOOPS; i++)
    open_side(&sides[i]);
}

static void teardown(void) {
  for (int i = 0; i < LOOPS; i++) {
    for (int k = 0; k < FEEDS; k++)
      cft_follow_clear(&sides[i].follows[k]);
    changefeed_loop_free(sides[i].loop);
  }
  cft_mini_free(mini);
}

START_TEST(test_threads_storm_of_calls_loses_nothing) {
  pthread_t threads[STORMERS];
  cft_revs *want;

  for (int i = 0; i < LOOPS; i++)
    ck_assert_int_eq(
        pthread_create(&sides[i].thread, NULL, run_loop, &sides[i]), 0);
  begin_storm(threads);
  for (int i = 0; i < ROWS; i++) { /* rows come in the middle of it */
    char id[16];

    (void)snprintf(id, sizeof id, "d%04d", i);
    cft_mini_put(mini, id, "1-d", false);
  }
  ck_assert(cft_until(most_delivered, NULL, LONG_MS));
  end_storm(threads);
  ck_assert(cft_until(is_settled, NULL, LONG_MS));
  for (int i = 0; i < LOOPS; i++)
    ck_assert_int_eq(pthread_join(sides[i].thread, NULL), 0);
  want = cft_mini_revs(mini);
  for (int i = 0; i < LOOPS; i++) {
    ck_assert(sides[i].in_time);
    for (int k = 0; k < FEEDS; k++)
      check_feed(&sides[i].follows[k], want);
  }
  ck_assert_uint_gt(atomic_load(&calls), 1000);
  ck_assert_uint_eq(atomic_load(&refused), 0);
  cft_revs_free(want);
}
END_TEST

static void *run_to_the_end(void *user) {
  side *s = user;

  /* The storm's loop_stop ends a run before its feeds have ended. */
  while (changefeed_loop_run(s->loop) == CHANGEFEED_OK)
    if (cft_follow_is_over(&s->follows[0]) &&
        cft_follow_is_over(&s->follows[1]) &&
        cft_follow_is_over(&s->follows[2]) &&
        cft_follow_is_over(&s->follows[3])) {
      s->in_time = true;
      break;
    }
  return NULL;
}

static void *stop_all(void *user) {
  (void)user;
  for (int i = 0; i < LOOPS; i++)
    for (int k = 0; k < FEEDS; k++)
      if (changefeed_stop(sides[i].feeds[k].feed) != CHANGEFEED_OK)
        (void)atomic_fetch_add(&refused, 1);
  return NULL;
}

static bool rows_flow(void *user) {
  (void)user;
  for (int i = 0; i < LOOPS; i++)
    for (int k = 0; k < FEEDS; k++)
      if (atomic_load(&sides[i].feeds[k].delivered) == 0)
        return false;
  return true;
}

/* Several stops from several threads in the middle of all else: one end. */
START_TEST(test_threads_stop_in_a_storm_is_one_end) {
  pthread_t threads[STORMERS], stoppers[STORMERS];

  cft_mini_fill(mini, "d", ROWS);
  for (int i = 0; i < LOOPS; i++)
    ck_assert_int_eq(
        pthread_create(&sides[i].thread, NULL, run_to_the_end, &sides[i]), 0);
  begin_storm(threads);
  ck_assert(cft_until(rows_flow, NULL, LONG_MS));
  for (int i = 0; i < STORMERS; i++)
    ck_assert_int_eq(pthread_create(&stoppers[i], NULL, stop_all, NULL), 0);
  for (int i = 0; i < STORMERS; i++)
    ck_assert_int_eq(pthread_join(stoppers[i], NULL), 0);
  for (int i = 0; i < LOOPS; i++)
    ck_assert_int_eq(pthread_join(sides[i].thread, NULL), 0);
  end_storm(threads); /* it went on over feeds that had ended */
  for (int i = 0; i < LOOPS; i++) {
    ck_assert(sides[i].in_time);
    for (int k = 0; k < FEEDS; k++) {
      ck_assert_uint_eq(
          cft_follow_times(&sides[i].follows[k], CHANGEFEED_STATE_ENDED), 1);
      ck_assert_uint_eq(sides[i].follows[k].calls_late, 0);
    }
  }
  ck_assert_uint_eq(atomic_load(&refused), 0);
}
END_TEST

enum { MANY = 60000, BATCH = 10 };

static atomic_bool acking;

static void *acknowledge_all(void *user) {
  shared *s = user;
  volatile unsigned spin = 0;
  cfi_random random;

  cfi_random_init(&random, 0);
  while (atomic_load(&acking)) {
    uint64_t last = atomic_load(&s->delivered);

    if (last != 0 && changefeed_ack(s->feed, last) != CHANGEFEED_OK)
      (void)atomic_fetch_add(&refused, 1);
    for (int64_t n = cfi_random_upto(&random, 100000); n > 0; n--)
      spin++;
  }
  return NULL;
}

/* A row may be acknowledged by another thread inside its callback already; what
   comes there is rows that were held, each once. */
static int count_batch(cft_follow *f, const changefeed_change *const *changes,
                       size_t count) {
  shared *s = f->user;
  uint64_t before = atomic_load(&s->delivered);

  ck_assert_uint_le(count, BATCH);
  for (size_t i = 0; i < count; i++)
    ck_assert_uint_eq(changes[i]->ordinal, before + 1 + i);
  atomic_store(&s->delivered, before + count);
  return CHANGEFEED_CONTINUE;
}

static bool many_acked(void *user) {
  return cft_follow_stats(user).acked == MANY;
}

/* The credit grows while a batch is cut to it. */
START_TEST(test_threads_acknowledge_while_batches_are_made) {
  pthread_t threads[STORMERS];
  changefeed_loop *loop = cft_loop();
  shared s;
  cft_follow f = {.batch = true, .on_rows = count_batch, .user = &s};

  cft_mini_fill(mini, "m", MANY);
  atomic_init(&s.delivered, 0);
  cft_follow_open(&f, loop, cft_mini_url(mini), "auto_ack", "0", "max_unacked",
                  "12", "batch_max", "10", NULL);
  s.feed = f.feed;
  atomic_store(&acking, true);
  for (int i = 0; i < STORMERS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, acknowledge_all, &s), 0);
  ck_assert(cft_loop_until(loop, many_acked, &f, LONG_MS));
  atomic_store(&acking, false);
  for (int i = 0; i < STORMERS; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  ck_assert_uint_eq(f.taken, MANY);
  ck_assert_uint_eq(cft_revs_count(f.revs), MANY);
  ck_assert_uint_eq(atomic_load(&refused), 0);
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("process_threads");
  TCase *t = tcase_create("process_threads");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_threads_storm_of_calls_loses_nothing);
  tcase_add_test(t, test_threads_stop_in_a_storm_is_one_end);
  tcase_add_test(t, test_threads_acknowledge_while_batches_are_made);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
