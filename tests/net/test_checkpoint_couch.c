/*
 * checkpoint=couch over sockets: a follower that ends or is killed goes on
 * where it was, two of them do not overwrite each other; sessions and
 * endpoints. ctest: TIMEOUT 300
 * ctest: COST 37 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "random.h"
#include "support/couch.h"
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"

enum { LONG_MS = 30000 };

static cft_mini *mini;
static cft_peer *peer;
static cft_follow f;

static void setup(void) {
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  f = (cft_follow){.feed = NULL};
}

static void teardown(void) {
  cft_follow_clear(&f);
  cft_mini_free(mini);
}

static size_t notices(const cft_follow *who, int kind) {
  size_t count = 0;

  for (size_t i = 0; i < who->notice_count; i++)
    count += who->notices[i].kind == kind;
  return count;
}

/* ---- restarts ---- */

/* Rows of one run that ends by itself. */
static uint64_t rows_of_a_run(const char *url) {
  uint64_t taken;

  cft_follow_open(&f, NULL, url, "mode", "once", "checkpoint", "couch", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_ENDED);
  ck_assert_int_eq(changefeed_checkpoint(f.feed), CHANGEFEED_OK);
  ck_assert_uint_eq(f.reset_count, 0);
  taken = f.taken;
  cft_follow_clear(&f);
  return taken;
}

START_TEST(test_checkpoint_couch_goes_on_where_it_was) {
  cft_mini_fill(mini, "a", 30);
  ck_assert_uint_eq(rows_of_a_run(cft_mini_url(mini)), 30);
  ck_assert_uint_eq(rows_of_a_run(cft_mini_url(mini)), 0);
  cft_mini_put(mini, "new", "1-n", false);
  ck_assert_uint_eq(rows_of_a_run(cft_mini_url(mini)), 1);
  ck_assert_uint_eq(rows_of_a_run(cft_mini_url(mini)), 0);
}
END_TEST

/* The same on a database that others wrote. */
START_TEST(test_checkpoint_couch_goes_on_in_a_real_database) {
  cft_couch *couch = cft_couch_start(NULL);
  const char *url = cft_couch_database(couch, "position");
  char doc[1024];

  for (int i = 0; i < 3; i++) {
    (void)snprintf(doc, sizeof doc, "%s/doc%d", url, i);
    ck_assert_int_eq(cft_http("PUT", doc, "{}", NULL), 201);
  }
  ck_assert_uint_eq(rows_of_a_run(url), 3);
  ck_assert_uint_eq(rows_of_a_run(url), 0);
  (void)snprintf(doc, sizeof doc, "%s/more", url);
  ck_assert_int_eq(cft_http("PUT", doc, "{}", NULL), 201);
  ck_assert_uint_eq(rows_of_a_run(url), 1);
  cft_couch_stop(couch);
}
END_TEST

START_TEST(test_checkpoint_couch_stop_saves_when_told_to) {
  cft_mini_fill(mini, "a", 10);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "checkpoint", "couch",
                  "checkpoint_interval_ms", "3600000", "flush_on_stop", "1",
                  NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, LONG_MS));
  ck_assert_int_eq(changefeed_stop(f.feed), CHANGEFEED_OK);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(cft_follow_stats(&f).saves, 1);
  cft_follow_clear(&f);
  ck_assert_uint_eq(rows_of_a_run(cft_mini_url(mini)), 0);
}
END_TEST

static bool both_were_told(void *user) {
  (void)user;
  return notices(&f, CHANGEFEED_NOTICE_STORE) == 2 &&
         cft_follow_stats(&f).save_errors != 0;
}

START_TEST(test_checkpoint_couch_goes_on_where_it_may_not_write) {
  cft_mini_fill(mini, "a", 10);
  (void)cft_mini_fault(
      mini, &(cft_fault){.on = CFT_LOCAL, .match = "PUT ", .status = 403});
  cft_follow_open(&f, NULL, cft_mini_url(mini), "checkpoint", "couch",
                  "checkpoint_every", "1", "checkpoint_interval_ms", "0", NULL);
  ck_assert(cft_follow_until_rows(&f, 10, LONG_MS));
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, LONG_MS));
  cft_mini_put(mini, "b", "1-b", false);
  ck_assert(cft_follow_until_rows(&f, 11, LONG_MS));
  /* of the marker, and of the position */
  ck_assert(cft_loop_until(f.loop, both_were_told, NULL, LONG_MS));
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
  cft_follow_clear(&f);
  cft_mini_heal(mini);
  ck_assert_uint_eq(rows_of_a_run(cft_mini_url(mini)), 11);
}
END_TEST

/* ---- two followers ---- */

static cft_follow twin;

static bool one_was_told(void *user) {
  (void)user;
  return notices(&f, CHANGEFEED_NOTICE_STORE) +
             notices(&twin, CHANGEFEED_NOTICE_STORE) !=
         0;
}

static bool both_have_all(void *user) {
  return f.taken >= *(uint64_t *)user && twin.taken >= *(uint64_t *)user;
}

START_TEST(test_checkpoint_couch_two_followers_of_one_key_are_told) {
  changefeed_loop *loop = cft_loop();
  int64_t until_ms = cft_now_ms() + LONG_MS;
  uint64_t rows = 0;

  twin = (cft_follow){.feed = NULL};
  cft_follow_open(&f, loop, cft_mini_url(mini), "checkpoint", "couch",
                  "checkpoint_interval_ms", "0", NULL);
  cft_follow_open(&twin, loop, cft_mini_url(mini), "checkpoint", "couch",
                  "checkpoint_interval_ms", "0", NULL);
  while (!one_was_told(NULL)) {
    ck_assert_int_lt(cft_now_ms(), until_ms);
    cft_mini_put(mini, "x", "1-x", false);
    rows++;
    ck_assert(cft_loop_until(loop, both_have_all, &rows, LONG_MS));
    cft_loop_for(loop, 20); /* a save takes its time */
  }
  ck_assert_ptr_nonnull(
      strstr((notices(&f, CHANGEFEED_NOTICE_STORE) != 0 ? &f : &twin)
                 ->notices[0]
                 .reason,
             "another follower"));
  /* both go on */
  cft_mini_put(mini, "y", "1-y", false);
  rows++;
  ck_assert(cft_loop_until(loop, both_have_all, &rows, LONG_MS));
  cft_follow_clear(&twin);
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
}
END_TEST

/* ---- sessions ---- */

static pthread_mutex_t session_mu = PTHREAD_MUTEX_INITIALIZER;
static int expire_left;

/* Just before rows are asked for: the server serves them as to nobody. */
static void expire(void *user, const cft_request *req) {
  bool now;

  (void)pthread_mutex_lock(&session_mu);
  now = (req->kind & CFT_FEED) != 0 && expire_left > 0;
  expire_left -= now;
  (void)pthread_mutex_unlock(&session_mu);
  if (now)
    cft_mini_expire_sessions(user);
}

static void open_in_session(int expired) {
  cft_mini_config config = cft_mini_get_config(mini);

  expire_left = expired;
  (void)snprintf(config.user, sizeof config.user, "u");
  (void)snprintf(config.password, sizeof config.password, "p");
  config.expired_is_anonymous = true;
  cft_mini_set_config(mini, &config);
  cft_mini_on_request(mini, expire, mini);
  cft_mini_fill(mini, "a", 10);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "session", "1", "username", "u",
                  "password", "p", NULL);
}

START_TEST(test_checkpoint_couch_anonymous_service_is_noticed) {
  open_in_session(1);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, LONG_MS));
  ck_assert_uint_eq(f.taken, 10);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_SESSION), 2);
}
END_TEST

START_TEST(test_checkpoint_couch_anonymous_service_that_stays_is_an_error) {
  open_in_session(1000);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 0);
  ck_assert_int_eq(cft_follow_last(&f, CHANGEFEED_STATE_FAILED)->code,
                   CHANGEFEED_ERR_AUTH);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_SESSION), 2);
}
END_TEST

/* ---- endpoints ---- */

static cft_mini *second;

static size_t followed_endpoints(void) {
  return notices(&f, CHANGEFEED_NOTICE_ENDPOINT);
}

static bool went(void *user) { return followed_endpoints() >= *(size_t *)user; }

static void put_on_both(const char *id) {
  cft_mini_put(mini, id, "1-x", false);
  cft_mini_put(second, id, "1-x", false);
}

static void start_cluster(void) {
  second = cft_mini_start(NULL);
  cft_mini_fill(mini, "a", 5);
  cft_mini_fill(second, "a", 5);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "endpoint",
                  cft_peer_url(cft_mini_peer(second)), "endpoint_order",
                  "listed", "endpoint_return_ms", "100", NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, LONG_MS));
  ck_assert_uint_eq(f.taken, 5);
}

START_TEST(test_checkpoint_couch_feed_goes_home_to_its_endpoint) {
  cft_revs *want;
  size_t count;

  start_cluster();
  cft_peer_stop(peer);
  put_on_both("b");
  ck_assert(cft_follow_until_rows(&f, 6, LONG_MS));
  ck_assert_uint_eq(followed_endpoints(), 1);
  cft_peer_restart(peer);
  put_on_both("c");
  count = 2;
  ck_assert(cft_loop_until(f.loop, went, &count, LONG_MS));
  put_on_both("d");
  want = cft_mini_revs(mini);
  ck_assert(cft_follow_until_revs(&f, want, LONG_MS));
  cft_revs_free(want);
  ck_assert_uint_eq(f.reset_count, 0);
  ck_assert_str_eq(f.rows[f.row_count - 1].id, "d");
  ck_assert_uint_eq(cft_follow_doubles(&f), 0);
  cft_follow_clear(&f);
  cft_mini_free(second);
}
END_TEST

static uint64_t taken_at_reset;

static int note_reset(cft_follow *follow, const char *reason) {
  (void)reason;
  taken_at_reset = follow->taken;
  return CHANGEFEED_CONTINUE;
}

static bool was_reset(void *user) {
  (void)user;
  return f.reset_count != 0;
}

START_TEST(test_checkpoint_couch_endpoint_of_another_server_is_a_reset) {
  cft_mini_config config;

  f.on_reset = note_reset;
  start_cluster();
  config = cft_mini_get_config(second);
  (void)snprintf(config.uuid, sizeof config.uuid, "another");
  cft_mini_set_config(second, &config);
  cft_peer_stop(peer);
  ck_assert(cft_loop_until(f.loop, was_reset, NULL, LONG_MS));
  ck_assert_uint_eq(taken_at_reset, 5);
  ck_assert_str_eq(f.resets[0], "another server answers");
  ck_assert(cft_follow_until_rows(&f, 10, LONG_MS));
  cft_follow_clear(&f);
  cft_mini_free(second);
}
END_TEST

/* ---- kills ---- */

static cft_revs *printed; /* id -> the rev printed last */

/* Rows whose line is whole: "seq\tid\trev\tdeleted\n". */
static size_t take_output(cft_proc *proc) {
  size_t len, lines = 0;
  const char *text = cft_proc_text(proc, CFT_STDOUT, &len);
  const char *end;

  for (; (end = memchr(text, '\n', len)) != NULL; lines++) {
    char line[512], *id, *rev, *rest;

    ck_assert_uint_lt((size_t)(end - text), sizeof line);
    memcpy(line, text, (size_t)(end - text));
    line[end - text] = '\0';
    id = strchr(line, '\t') + 1;
    rev = strchr(id, '\t') + 1;
    rest = strchr(rev, '\t');
    rev[-1] = *rest = '\0';
    cft_revs_put(printed, id, rev, strcmp(rest + 1, "1") == 0);
    len -= (size_t)(end + 1 - text);
    text = end + 1;
  }
  return lines;
}

static cft_proc *start_command(const char *once) {
  const char *const argv[] = {getenv("CFT_CHANGEFEED"),
                              "--format=tsv",
                              "--on_reset=stop",
                              "--proxy=-",
                              "--checkpoint=couch",
                              "--checkpoint_every=7",
                              "--checkpoint_interval_ms=20",
                              cft_mini_url(mini),
                              once,
                              NULL};

  ck_assert_ptr_nonnull(argv[0]);
  return cft_proc_start(argv, NULL);
}

/* Rows come while the command runs; it is killed when it has printed some. */
static void kill_once(cfi_random *random, unsigned *number) {
  cft_proc *proc = start_command(NULL);
  /* The rate limit holds the first save back for a second or so. */
  int64_t until = cft_now_ms() + (cfi_random_upto(random, 1) == 0
                                      ? 20 + cfi_random_upto(random, 200)
                                      : 1000 + cfi_random_upto(random, 300));
  int status;

  ck_assert_ptr_nonnull(proc);
  while (cft_now_ms() < until) {
    char id[32], rev[32];

    (void)snprintf(id, sizeof id, "doc%d", (int)cfi_random_upto(random, 200));
    (void)snprintf(rev, sizeof rev, "%u-x", ++*number);
    cft_mini_put(mini, id, rev, cfi_random_upto(random, 9) == 0);
    (void)cft_proc_line(proc, CFT_STDOUT, 2);
  }
  ck_assert(cft_proc_signal(proc, SIGKILL));
  ck_assert(cft_proc_wait(proc, LONG_MS, &status));
  ck_assert_int_eq(status, 128 + SIGKILL);
  (void)take_output(proc);
  cft_proc_free(proc);
}

START_TEST(test_checkpoint_couch_command_survives_kills) {
  cft_revs *want;
  cfi_random random;
  unsigned number = 0;
  cft_proc *proc;
  size_t lines;
  char why[512];
  int status;

  cfi_random_init(&random, 20240);
  printed = cft_revs_new();
  cft_mini_fill(mini, "before", 500);
  for (int i = 0; i < 30; i++)
    kill_once(&random, &number);
  proc = start_command("--once");
  ck_assert(cft_proc_wait(proc, LONG_MS, &status));
  ck_assert_int_eq(status, 0);
  lines = take_output(proc);
  ck_assert_uint_lt(lines, 500); /* it went on somewhere */
  cft_proc_free(proc);
  want = cft_mini_revs(mini);
  ck_assert_msg(cft_revs_equal(want, printed, why, sizeof why), "%s", why);
  cft_revs_free(want);
  proc = start_command("--once");
  ck_assert(cft_proc_wait(proc, LONG_MS, &status));
  ck_assert_int_eq(status, 0);
  ck_assert_uint_eq(take_output(proc), 0);
  cft_proc_free(proc);
  cft_revs_free(printed);
}
END_TEST

static Suite *checkpoint_couch_suite(void) {
  Suite *s = suite_create("checkpoint_couch");
  TCase *t = tcase_create("checkpoint_couch");

  tcase_set_timeout(t, 100);
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_checkpoint_couch_goes_on_where_it_was);
  tcase_add_test(t, test_checkpoint_couch_goes_on_in_a_real_database);
  tcase_add_test(t, test_checkpoint_couch_stop_saves_when_told_to);
  tcase_add_test(t, test_checkpoint_couch_goes_on_where_it_may_not_write);
  tcase_add_test(t, test_checkpoint_couch_two_followers_of_one_key_are_told);
  tcase_add_test(t, test_checkpoint_couch_anonymous_service_is_noticed);
  tcase_add_test(
      t, test_checkpoint_couch_anonymous_service_that_stays_is_an_error);
  tcase_add_test(t, test_checkpoint_couch_feed_goes_home_to_its_endpoint);
  tcase_add_test(t,
                 test_checkpoint_couch_endpoint_of_another_server_is_a_reset);
  tcase_add_test(t, test_checkpoint_couch_command_survives_kills);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(checkpoint_couch_suite()); }
