/*
 * A crowd of feeds through TLS: each stream has a connection of its own, what
 * is short shares a few, and rows come within the records of TLS, where nobody
 * sees a heartbeat alone. Needs stunnel4 and openssl.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/beats.h"
#include "support/follow.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/tunnel.h"
#include "support/unit.h"

enum {
  FEEDS = 200,
  AT_ONCE = 32,
  BEAT_MS = 500,
  SILENCE_MS = 3000, /* allowed where a heartbeat is asked for each 2000 */
  PATIENCE_MS = 60000
};

typedef struct crowd {
  cft_beats server;
  cft_tunnel *tunnel;
  changefeed_loop *loop;
  cft_follow feeds[FEEDS];
  uint64_t rows;      /* each feed is to have */
  uint64_t beats;     /* likewise */
  unsigned long open; /* connections the server is to have */
} crowd;

static crowd *set_up(void) {
  crowd *c = calloc(1, sizeof *c);

  ck_assert_ptr_nonnull(c);
  ck_assert(cft_want_fds(2 * FEEDS + 300));
  ck_assert(cft_beats_start(&c->server, BEAT_MS, 0));
  c->tunnel = cft_tunnel_start((uint16_t)c->server.port);
  c->loop = cft_loop();
  ck_assert_int_eq(changefeed_loop_set_max_connecting(c->loop, AT_ONCE),
                   CHANGEFEED_OK);
  return c;
}

static void tear_down(crowd *c) {
  for (int i = 0; i < FEEDS; i++)
    cft_follow_clear(&c->feeds[i]);
  changefeed_loop_free(c->loop);
  cft_tunnel_stop(c->tunnel);
  cft_beats_stop(&c->server);
  free(c);
}

static void open_all(crowd *c) {
  for (int i = 0; i < FEEDS; i++) {
    char url[100];

    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/db%d",
                   cft_tunnel_port(c->tunnel), i);
    cft_follow_open(&c->feeds[i], c->loop, url, "tls_verify", "0",
                    "heartbeat_ms", "2000", NULL);
  }
}

static bool all_live(void *user) {
  crowd *c = user;

  cft_tunnel_listen(c->tunnel);
  for (int i = 0; i < FEEDS; i++)
    if (cft_follow_times(&c->feeds[i], CHANGEFEED_STATE_LIVE) == 0)
      return false;
  return atomic_load(&c->server.seen->streams) == FEEDS;
}

static bool all_have_rows(void *user) {
  crowd *c = user;

  cft_tunnel_listen(c->tunnel);
  for (int i = 0; i < FEEDS; i++)
    if (c->feeds[i].taken < c->rows)
      return false;
  return true;
}

static bool all_have_beats(void *user) {
  crowd *c = user;

  cft_tunnel_listen(c->tunnel);
  for (int i = 0; i < FEEDS; i++)
    if (cft_follow_stats(&c->feeds[i]).heartbeats < c->beats)
      return false;
  return true;
}

static bool only_open(void *user) {
  crowd *c = user;

  cft_tunnel_listen(c->tunnel);
  return atomic_load(&c->server.seen->open) == c->open;
}

/* Those that were not stopped. */
static bool all_noticed(void *user) {
  crowd *c = user;

  cft_tunnel_listen(c->tunnel);
  for (int i = 0; i < FEEDS; i += 2)
    if (cft_follow_stats(&c->feeds[i]).faults_idle == 0)
      return false;
  return true;
}

START_TEST(test_many_tls_feeds_are_a_crowd_as_without) {
  crowd *c = set_up();

  open_all(c);
  ck_assert_msg(cft_loop_until(c->loop, all_live, c, PATIENCE_MS),
                "not all live");
  ck_assert_uint_le(atomic_load(&c->server.seen->asking_most), AT_ONCE);
  ck_assert_uint_le(atomic_load(&c->server.seen->accepted), FEEDS + AT_ONCE);
  c->open = FEEDS;
  ck_assert_msg(cft_loop_until(c->loop, only_open, c, PATIENCE_MS),
                "connections besides the streams: %lu",
                atomic_load(&c->server.seen->open) - FEEDS);

  /* Between rows heartbeats, for longer than a silence may last: they count,
     though no step of the feed follows. */
  c->beats = SILENCE_MS / BEAT_MS + 2;
  for (c->rows = 1; c->rows <= 2; c->rows++) {
    cft_beats_write(&c->server);
    ck_assert_msg(cft_loop_until(c->loop, all_have_rows, c, PATIENCE_MS),
                  "a write did not arrive everywhere");
    ck_assert_msg(cft_loop_until(c->loop, all_have_beats, c, PATIENCE_MS),
                  "heartbeats did not arrive everywhere");
  }
  for (int i = 0; i < FEEDS; i++) {
    changefeed_stats stats = cft_follow_stats(&c->feeds[i]);

    ck_assert_uint_eq(c->feeds[i].taken, 2);
    ck_assert_uint_eq(stats.reconnects, 0);
    ck_assert_uint_eq(stats.faults_idle, 0);
    if (i % 2 != 0)
      ck_assert_int_eq(changefeed_stop(c->feeds[i].feed), CHANGEFEED_OK);
  }
  c->open = FEEDS / 2;
  ck_assert(cft_loop_until(c->loop, only_open, c, PATIENCE_MS));

  /* And when the heartbeats stop, each that is left finds it out. */
  ck_assert_int_eq(kill(c->server.pid, SIGSTOP), 0);
  ck_assert(cft_loop_until(c->loop, all_noticed, c, PATIENCE_MS));
  tear_down(c);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("many_tls");
  TCase *tc = tcase_create("crowd");

  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_many_tls_feeds_are_a_crowd_as_without);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
