/* Faults on this side: no descriptor for a socket, no memory while bytes wait,
   and a callback that takes its time while hundreds of other feeds have theirs
   in the kernel. Known failure 68. */
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"

#include <stddef.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LONG_MS = 60000, FEEDS = 600 };

static cft_mini *mini;
static changefeed_loop *loop;

/* ---- memory that fails when it is told to ---- */

typedef union block {
  size_t size;
  max_align_t align;
} block;

/* The first request for so much more memory is refused; 0: none is. */
static size_t refuse_from, refused;

static void *resize(void *ctx, void *old, size_t size) {
  block *b = old ? (block *)old - 1 : NULL;
  (void)ctx;
  if (refuse_from != 0 && refused == 0 && size >= refuse_from) {
    refused++;
    return NULL;
  }
  b = realloc(b, sizeof *b + size);
  if (!b)
    return NULL;
  b->size = size;
  return b + 1;
}

static void release(void *ctx, void *old) {
  (void)ctx;
  free(old ? (block *)old - 1 : NULL);
}

static void setup(void) {
  changefeed_allocator allocator = CHANGEFEED_ALLOCATOR_INIT;
  allocator.resize = resize;
  allocator.release = release;
  refused = refuse_from = 0;
  mini = cft_mini_start(NULL);
  ck_assert_int_eq(changefeed_loop_new(&loop, &allocator), CHANGEFEED_OK);
}

static void teardown(void) {
  changefeed_loop_free(loop);
  cft_mini_free(mini);
}

/* ---- a slow callback among many feeds ---- */

typedef struct crowd {
  cft_follow all[FEEDS];
  uint64_t rows;
} crowd;

static bool all_have(void *user) {
  const crowd *c = user;
  for (size_t i = 0; i < FEEDS; i++)
    if (c->all[i].taken < c->rows)
      return false;
  return true;
}

static bool all_wait(void *user) {
  return all_have(user) && cft_mini_waiting(mini) == FEEDS;
}

static int sleep_once(cft_follow *f, const changefeed_change *change) {
  const struct timespec pause = {1, 500000000};
  if (f->user && strcmp(change->id.data, "now") == 0)
    nanosleep(&pause, NULL);
  return CHANGEFEED_CONTINUE;
}

/* What the others received meanwhile is read before anybody calls it silence,
   however many they are. */
START_TEST(test_local_slow_callback_is_nobodys_silence) {
  static crowd c;
  ck_assert(cft_want_fds(8 * FEEDS));
  c.rows = 1;
  cft_mini_put(mini, "first", "1-a", false);
  for (size_t i = 0; i < FEEDS; i++) {
    c.all[i].on_row = sleep_once;
    cft_follow_open(&c.all[i], loop, cft_mini_url(mini), "heartbeat_ms", "300",
                    "idle_timeout_ms", "1200", NULL);
  }
  c.all[FEEDS / 2].user = &c;
  ck_assert(cft_loop_until(loop, all_wait, &c, LONG_MS));
  for (size_t i = 0; i < FEEDS; i++) /* the machine may have been slow */
    c.all[i].loop = cft_follow_stats(&c.all[i]).faults_idle ? NULL : loop;
  c.rows = 2;
  cft_mini_put(mini, "now", "1-a", false);
  ck_assert(cft_loop_until(loop, all_have, &c, LONG_MS));
  cft_loop_for(loop, 100);
  for (size_t i = 0; i < FEEDS; i++) {
    if (c.all[i].loop)
      ck_assert_msg(cft_follow_stats(&c.all[i]).faults_idle == 0,
                    "feed %zu of %d: %s", i, FEEDS,
                    changefeed_last_error(c.all[i].feed)->message);
    cft_follow_clear(&c.all[i]);
  }
}
END_TEST

/* ---- memory ---- */

static bool is_live(void *user) {
  (void)user;
  return cft_mini_waiting(mini) == 1;
}

/* While the application holds a row of a feed that it reads itself, libcurl
   keeps what comes. When that meets no memory it is lost: the response is over,
   and what it brought is asked for again. */
START_TEST(test_local_no_memory_for_bytes_that_waited) {
  enum { ROWS = 5000 };
  cft_follow f = {.pull = true};
  const changefeed_change *change;
  cft_follow_open(&f, loop, cft_mini_url(mini), NULL);
  ck_assert(cft_loop_until(loop, is_live, NULL, LONG_MS));
  cft_mini_fill(mini, "a", 1);
  ck_assert_int_eq(changefeed_next(f.feed, LONG_MS, &change), CHANGEFEED_OK);
  cft_mini_fill(mini, "b", ROWS);
  cft_loop_for(loop, 100);
  refuse_from = 4096;
  (void)changefeed_next(f.feed, 0, &change);
  for (size_t i = change == NULL ? 0 : 1; i < ROWS; i++) {
    char want[16];
    int rc = changefeed_next(f.feed, LONG_MS, &change);
    ck_assert_msg(rc == CHANGEFEED_OK, "row %zu: %s", i,
                  changefeed_strerror(rc));
    snprintf(want, sizeof want, "b%06zu", i);
    ck_assert_str_eq(change->id.data, want);
  }
  ck_assert_uint_eq(refused, 1);
  ck_assert_uint_eq(cft_follow_stats(&f).faults_local, 1);
  ck_assert_uint_eq(cft_follow_stats(&f).faults_protocol, 0);
  cft_follow_clear(&f);
}
END_TEST

/* ---- descriptors ---- */

static bool has_waited(void *user) {
  return cft_follow_times(user, CHANGEFEED_STATE_WAITING) != 0;
}

START_TEST(test_local_no_descriptor_is_tried_again) {
  cft_follow f = {.feed = NULL};
  struct rlimit before, none;
  cft_mini_fill(mini, "d", 3);
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = 3;
  cft_follow_open(&f, loop, cft_mini_url(mini), NULL);
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
  bool waited = cft_loop_until(loop, has_waited, &f, LONG_MS);
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
  ck_assert(waited);
  ck_assert_int_eq(cft_follow_last(&f, CHANGEFEED_STATE_WAITING)->code,
                   CHANGEFEED_ERR_NETWORK);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  cft_follow_clear(&f);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fault_local");
  TCase *t = tcase_create("local");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_local_slow_callback_is_nobodys_silence);
  tcase_add_test(t, test_local_no_memory_for_bytes_that_waited);
  tcase_add_test(t, test_local_no_descriptor_is_tried_again);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
