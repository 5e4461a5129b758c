/* The application's own timer: changefeed_set_timer and on_timer, whatever the
   feed is doing meanwhile. */
#include "support/timing.h"
#include "support/unit.h"

#include "changefeed/changefeed.h"

#include <stdio.h>

static changefeed_loop *loop;
static changefeed *feed;
static unsigned rings;
static int64_t again_ms;
static bool close_it;

static void on_timer(changefeed *f, void *user) {
  ck_assert_ptr_eq(f, feed);
  ck_assert_ptr_eq(user, &rings);
  rings++;
  if (again_ms >= 0)
    ck_assert_int_eq(changefeed_set_timer(f, again_ms), CHANGEFEED_OK);
  if (close_it) {
    changefeed_close(f);
    feed = NULL;
  }
}

static int on_change(changefeed *f, const changefeed_change *change,
                     void *user) {
  (void)f;
  (void)change;
  (void)user;
  return CHANGEFEED_CONTINUE;
}

/* Nobody listens there: the feed waits, and tries again, and waits. */
static void start_with(bool timer) {
  changefeed_callbacks c = CHANGEFEED_CALLBACKS_INIT;
  changefeed_options *o;

  rings = 0;
  again_ms = -1;
  close_it = false;
  c.on_change = on_change;
  c.on_timer = timer ? on_timer : NULL;
  c.user = &rings;
  ck_assert_int_eq(changefeed_options_new(&o), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_options_set(o, "url", "http://127.0.0.1:1/db"),
                   CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_options_set_int(o, "retry_min_ms", 60000),
                   CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_options_set_callbacks(o, &c), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_loop_new(&loop, NULL), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_open(&feed, loop, o), CHANGEFEED_OK);
  changefeed_options_free(o);
}

static void start(void) { start_with(true); }

static void stop(void) {
  changefeed_loop_free(loop);
  feed = NULL;
}

static void run_for(int64_t ms) {
  int64_t until = cft_now_ms() + ms;
  while (cft_now_ms() < until)
    (void)changefeed_loop_run_once(loop, (int)(until - cft_now_ms()));
}

static void run_until_rings(unsigned want) {
  int64_t until = cft_now_ms() + 10000;
  while (rings < want && cft_now_ms() < until)
    (void)changefeed_loop_run_once(loop, 1000);
  ck_assert_uint_eq(rings, want);
}

START_TEST(test_timer_rings_once_and_not_early) {
  int64_t begun = cft_now_ms();
  ck_assert_int_eq(changefeed_set_timer(feed, 150), CHANGEFEED_OK);
  run_until_rings(1);
  ck_assert_int_ge(cft_now_ms() - begun, 150);
  run_for(200);
  ck_assert_uint_eq(rings, 1);
}
END_TEST

static bool never(void *user) {
  (void)user;
  return false;
}

/* From the moment it is set, however long ago the loop ran. */
START_TEST(test_timer_set_long_after_a_round_is_not_early) {
  int64_t begun;

  run_for(20);
  (void)cft_until(never, NULL, 400);
  begun = cft_now_ms();
  ck_assert_int_eq(changefeed_set_timer(feed, 300), CHANGEFEED_OK);
  run_until_rings(1);
  ck_assert_int_ge(cft_now_ms() - begun, 300);
}
END_TEST

START_TEST(test_timer_set_again_in_its_callback) {
  again_ms = 10;
  ck_assert_int_eq(changefeed_set_timer(feed, 0), CHANGEFEED_OK);
  run_until_rings(5);
}
END_TEST

START_TEST(test_timer_later_and_earlier_and_never) {
  ck_assert_int_eq(changefeed_set_timer(feed, 50), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_set_timer(feed, 60000), CHANGEFEED_OK);
  run_for(200);
  ck_assert_uint_eq(rings, 0);
  ck_assert_int_eq(changefeed_set_timer(feed, 1), CHANGEFEED_OK);
  run_until_rings(1);
  ck_assert_int_eq(changefeed_set_timer(feed, 50), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_set_timer(feed, -1), CHANGEFEED_OK);
  run_for(200);
  ck_assert_uint_eq(rings, 1);
}
END_TEST

START_TEST(test_timer_may_close_its_feed) {
  close_it = true;
  ck_assert_int_eq(changefeed_set_timer(feed, 1), CHANGEFEED_OK);
  run_until_rings(1);
}
END_TEST

START_TEST(test_timer_is_silent_when_the_feed_is_over) {
  ck_assert_int_eq(changefeed_set_timer(feed, 100), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_stop(feed), CHANGEFEED_OK);
  run_for(300);
  ck_assert_uint_eq(rings, 0);
}
END_TEST

START_TEST(test_timer_mistakes) {
  ck_assert_int_eq(changefeed_set_timer(NULL, 1), CHANGEFEED_ERR_INVALID);
  stop();
  start_with(false);
  ck_assert_int_eq(changefeed_set_timer(feed, 1), CHANGEFEED_ERR_STATE);
}
END_TEST

int main(void) {
  Suite *s = suite_create("timer");
  TCase *t = tcase_create("all");
  tcase_add_checked_fixture(t, start, stop);
  tcase_add_test(t, test_timer_rings_once_and_not_early);
  tcase_add_test(t, test_timer_set_long_after_a_round_is_not_early);
  tcase_add_test(t, test_timer_set_again_in_its_callback);
  tcase_add_test(t, test_timer_later_and_earlier_and_never);
  tcase_add_test(t, test_timer_may_close_its_feed);
  tcase_add_test(t, test_timer_is_silent_when_the_feed_is_over);
  tcase_add_test(t, test_timer_mistakes);
  suite_add_tcase(s, t);
  return cft_run(s);
}
