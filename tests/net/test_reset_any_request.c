/*
 * A database that is deleted and made again just before any one request of a
 * follower: it is noticed before a row of it passes.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdlib.h>

#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

enum { LONG_MS = 30000 };

/* One database that is made anew before its k-th request, and its follower. */
typedef struct race {
  cft_mini *mini;
  cft_follow follow;
  pthread_mutex_t mu;
  size_t requests, strike_at;
  bool struck;
  bool saw_old, bad; /* rows of both histories without a reset between */
} race;

static void make_anew(void *user, const cft_request *req) {
  race *r = user;
  bool now;

  (void)req;
  (void)pthread_mutex_lock(&r->mu);
  now = ++r->requests == r->strike_at;
  (void)pthread_mutex_unlock(&r->mu);
  if (!now)
    return;
  cft_mini_delete_db(r->mini);
  cft_mini_create_db(r->mini);
  cft_mini_fill(r->mini, "new", 5);
  (void)pthread_mutex_lock(&r->mu);
  r->struck = true;
  (void)pthread_mutex_unlock(&r->mu);
}

static int on_row(cft_follow *follow, const changefeed_change *change) {
  race *r = follow->user;

  if (strncmp(change->id.data, "old", 3) == 0)
    r->saw_old = true;
  else
    r->bad = r->bad || r->saw_old;
  return CHANGEFEED_CONTINUE;
}

static int on_reset(cft_follow *follow, const char *reason) {
  (void)reason;
  ((race *)follow->user)->saw_old = false;
  return CHANGEFEED_CONTINUE;
}

/* All of the new database is there; until it is struck, more requests come. */
static bool is_through(race *r) {
  bool struck, all = true;

  (void)pthread_mutex_lock(&r->mu);
  struck = r->struck;
  (void)pthread_mutex_unlock(&r->mu);
  if (!struck) {
    if (cft_mini_waiting(r->mini) == 1)
      cft_mini_end_feeds(r->mini);
    return false;
  }
  for (int i = 0; i < 5 && all; i++) {
    char id[32];
    bool deleted;

    (void)snprintf(id, sizeof id, "new%06d", i);
    all = cft_revs_get(r->follow.revs, id, &deleted) != NULL;
  }
  return all;
}

enum { PLACES = 16, RACES = 2 * PLACES };

static bool all_through(void *user) {
  race *r = user;
  size_t through = 0;

  for (size_t i = 0; i < RACES; i++)
    through += is_through(&r[i]);
  return through == RACES;
}

/* "0" is what CouchDB 2.0 to 3.2 say, and then only the marker tells. */
static const char *start_time_of(size_t i) {
  return i < PLACES ? "\"0\"" : "\"1700000000\"";
}

START_TEST(test_reset_database_made_anew_at_any_request_is_noticed) {
  static race races[RACES];
  changefeed_loop *loop = cft_loop();

  memset(races, 0, sizeof races);
  for (size_t i = 0; i < RACES; i++) {
    race *r = &races[i];
    cft_mini_config config;

    r->mini = cft_mini_start(NULL);
    config = cft_mini_get_config(r->mini);
    (void)snprintf(config.start_time, sizeof config.start_time, "%s",
                   start_time_of(i));
    config.locals_overwrite = true;
    cft_mini_set_config(r->mini, &config);
    ck_assert_int_eq(pthread_mutex_init(&r->mu, NULL), 0);
    r->strike_at = i % PLACES + 1;
    cft_mini_fill(r->mini, "old", 5);
    cft_mini_on_request(r->mini, make_anew, r);
    r->follow = (cft_follow){
        .feed = NULL, .on_row = on_row, .on_reset = on_reset, .user = r};
    cft_follow_open(&r->follow, loop, cft_mini_url(r->mini), "marker", "1",
                    "missing_tolerance_ms", "60000", NULL);
  }
  if (!cft_loop_until(loop, all_through, races, 2 * LONG_MS))
    for (size_t i = 0; i < RACES; i++)
      ck_assert_msg(is_through(&races[i]),
                    "struck at request %zu: the new rows did not come (%s)",
                    races[i].strike_at, start_time_of(i));
  for (size_t i = 0; i < RACES; i++) {
    race *r = &races[i];

    ck_assert_msg(!r->bad, "struck at request %zu: no reset between (%s)",
                  r->strike_at, start_time_of(i));
    ck_assert_uint_le(r->follow.reset_count, 1);
    cft_follow_clear(&r->follow);
    cft_mini_free(r->mini);
    (void)pthread_mutex_destroy(&r->mu);
  }
  changefeed_loop_free(loop);
}
END_TEST

static Suite *reset_any_request_suite(void) {
  Suite *s = suite_create("reset_any_request");
  TCase *t = tcase_create("reset_any_request");

  tcase_set_timeout(t, 100);
  tcase_add_test(t, test_reset_database_made_anew_at_any_request_is_noticed);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(reset_any_request_suite()); }
