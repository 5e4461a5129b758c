/*
 * Two thousand idle feeds on one loop: they connect a few at a time, share what
 * is short, take little memory, and a write to all and the stop of one do what
 * they do with a single feed. Counted where the server sees it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/beats.h"
#include "support/follow.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"

enum {
  FEEDS = 2000,
  AT_ONCE = 40, /* of these, 10 are kept for requests beside others */
  PATIENCE_MS = 60000,
  MOST_KB = 60 /* of each feed, connection included; in a plain build 30 */
};

typedef struct many {
  cft_beats server;
  changefeed_loop *loop;
  cft_follow *feeds;
  char base[64];
  uint64_t rows; /* each feed is to have */
  unsigned long open, streams;
} many;

static void set_up(many *m, int64_t answer_ms) {
  *m = (many){0};
  ck_assert(cft_beats_start(&m->server, 1000, answer_ms));
  (void)snprintf(m->base, sizeof m->base, "http://127.0.0.1:%d",
                 m->server.port);
  m->loop = cft_loop();
  m->feeds = calloc(FEEDS, sizeof *m->feeds);
  ck_assert_ptr_nonnull(m->feeds);
}

static void tear_down(many *m, int feeds) {
  for (int i = 0; i < feeds; i++)
    cft_follow_clear(&m->feeds[i]);
  free(m->feeds);
  changefeed_loop_free(m->loop);
  cft_beats_stop(&m->server);
}

static void open_feed(many *m, int i, const char *transport) {
  char url[100];

  (void)snprintf(url, sizeof url, "%s/db%d", m->base, i);
  cft_follow_open(&m->feeds[i], m->loop, url, "heartbeat_ms", "1000",
                  "transport", transport, NULL);
}

static bool all_live(void *user) {
  many *m = user;

  return atomic_load(&m->server.seen->streams) == FEEDS;
}

static bool all_beat(void *user) {
  many *m = user;

  for (int i = 0; i < FEEDS; i++)
    if (cft_follow_stats(&m->feeds[i]).heartbeats == 0)
      return false;
  return true;
}

static bool all_have_rows(void *user) {
  many *m = user;

  for (int i = 0; i < FEEDS; i++)
    if (m->feeds[i].taken < m->rows)
      return false;
  return true;
}

static bool only_open(void *user) {
  many *m = user;

  return atomic_load(&m->server.seen->open) == m->open;
}

static bool only_streams(void *user) {
  many *m = user;

  return atomic_load(&m->server.seen->streams) == m->streams;
}

START_TEST(test_many_feeds_connect_a_few_at_a_time) {
  many m;
  size_t before, each;

  ck_assert(cft_want_fds(FEEDS + 300));
  set_up(&m, 5);
  ck_assert_int_eq(changefeed_loop_set_max_connecting(m.loop, AT_ONCE),
                   CHANGEFEED_OK);
  before = cft_rss_bytes(getpid());
  for (int i = 0; i < FEEDS; i++)
    open_feed(&m, i, "auto");
  ck_assert_msg(cft_loop_until(m.loop, all_live, &m, PATIENCE_MS),
                "not all live");
  ck_assert_msg(cft_loop_until(m.loop, all_beat, &m, PATIENCE_MS),
                "no heartbeat for one");
  each = (cft_rss_bytes(getpid()) - before) / FEEDS;
  ck_assert_uint_le(atomic_load(&m.server.seen->asking_most), AT_ONCE);
  ck_assert_uint_ge(atomic_load(&m.server.seen->asking_most), AT_ONCE / 2);
  /* What is short shares connections. */
  ck_assert_uint_le(atomic_load(&m.server.seen->accepted), FEEDS + AT_ONCE);
  if (getenv("CFT_INSTRUMENTED") == NULL ||
      getenv("CFT_INSTRUMENTED")[0] != '1')
    ck_assert_uint_le(each, MOST_KB * 1024);
  /* And when nobody asks any more, a feed has its stream and nothing else. */
  m.open = FEEDS;
  ck_assert_msg(cft_loop_until(m.loop, only_open, &m, PATIENCE_MS),
                "connections besides the streams: %lu",
                atomic_load(&m.server.seen->open) - FEEDS);

  for (m.rows = 1; m.rows <= 2; m.rows++) {
    cft_beats_write(&m.server);
    ck_assert_msg(cft_loop_until(m.loop, all_have_rows, &m, PATIENCE_MS),
                  "a write did not arrive everywhere");
  }
  ck_assert_uint_le(atomic_load(&m.server.seen->asking_most), AT_ONCE);

  /* Each of half of them ends its own connection. */
  for (int i = 0; i < FEEDS; i += 2)
    ck_assert_int_eq(changefeed_stop(m.feeds[i].feed), CHANGEFEED_OK);
  m.streams = FEEDS / 2;
  ck_assert(cft_loop_until(m.loop, only_streams, &m, PATIENCE_MS));
  for (int i = 0; i < FEEDS; i++)
    ck_assert_int_eq(cft_follow_is_over(&m.feeds[i]), i % 2 == 0);
  m.open = FEEDS / 2;
  ck_assert(cft_loop_until(m.loop, only_open, &m, PATIENCE_MS));
  for (int i = 0; i < FEEDS; i++)
    ck_assert_uint_eq(cft_follow_stats(&m.feeds[i]).reconnects, 0);
  tear_down(&m, FEEDS);
}
END_TEST

/* A feed that waits for its turn has no request, can be stopped and closed, and
   those behind it get theirs. */
START_TEST(test_many_feeds_wait_for_their_turn_and_may_leave) {
  enum { FEW = 9 };
  many m;

  set_up(&m, 50);
  ck_assert_int_eq(changefeed_loop_set_max_connecting(m.loop, 1),
                   CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_loop_set_max_connecting(m.loop, 0),
                   CHANGEFEED_ERR_INVALID);
  for (int i = 0; i < FEW; i++)
    open_feed(&m, i, i % 2 == 0 ? "continuous" : "auto");
  ck_assert(cft_follow_until_requests(&m.feeds[0], 1, PATIENCE_MS));
  for (int i = 1; i < FEW; i++)
    ck_assert_uint_eq(cft_follow_stats(&m.feeds[i]).requests, 0);
  ck_assert_int_eq(changefeed_stop(m.feeds[1].feed), CHANGEFEED_OK);
  ck_assert(cft_follow_until_over(&m.feeds[1], PATIENCE_MS));
  ck_assert_uint_eq(cft_follow_stats(&m.feeds[1]).requests, 0);
  cft_follow_close(&m.feeds[2]);
  cft_follow_close(&m.feeds[0]); /* which holds the turn */
  m.streams = FEW - 3;
  ck_assert(cft_loop_until(m.loop, only_streams, &m, PATIENCE_MS));
  ck_assert_uint_le(atomic_load(&m.server.seen->asking_most), 2);
  tear_down(&m, FEW);
}
END_TEST

/* One server does not answer: a feed of another is live all the same. */
START_TEST(test_many_feeds_of_a_dead_server_hold_up_no_other) {
  enum { DEAD = 3 };
  many silent, well;
  char url[100];
  cft_follow other = {0};

  set_up(&silent, 3600000);
  set_up(&well, 0);
  ck_assert_int_eq(changefeed_loop_set_max_connecting(silent.loop, 2),
                   CHANGEFEED_OK);
  for (int i = 0; i < DEAD; i++)
    open_feed(&silent, i, "auto");
  (void)snprintf(url, sizeof url, "%s/db", well.base);
  cft_follow_open(&other, silent.loop, url, NULL);
  ck_assert(cft_follow_until_state(&other, CHANGEFEED_STATE_LIVE, PATIENCE_MS));
  cft_follow_clear(&other);
  tear_down(&silent, DEAD);
  tear_down(&well, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("many_feeds");
  TCase *tc = tcase_create("loop");

  tcase_add_test(tc, test_many_feeds_connect_a_few_at_a_time);
  tcase_add_test(tc, test_many_feeds_wait_for_their_turn_and_may_leave);
  tcase_add_test(tc, test_many_feeds_of_a_dead_server_hold_up_no_other);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
