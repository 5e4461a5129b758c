/* fork() while feeds are followed: the child leaves the parent's connections,
   files and locks alone, may go on with a loop of its own, and is told so when
   it touches what is not its own. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "support/follow.h"
#include "support/mem.h"
#include "support/names.h"
#include "support/peer_mini.h"
#include "support/proc.h"
#include "support/relay.h"
#include "support/timing.h"
#include "support/tunnel.h"
#include "support/unit.h"
#include "unit/scratch_dir.h"

enum { LONG_MS = 20000, ROWS = 20, CHILD_S = 30 };

static cft_mini *mini;
static cft_relay *relay;
static cft_tunnel *tunnel;
static cft_follow f;
static changefeed_loop *loop;
static scratch_dir dir;
static char url[128];

/* ---- children ---- */

/* What went wrong in a child, as its exit status. */
enum { CHILD_RIGHT = 0 };

/* Runs what in a child; how it ended. A child that hangs is ended by a signal,
   which is told apart. */
static void expect_child(int (*what)(void), const char *story) {
  int status = -1;
  pid_t pid = fork();

  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(CHILD_S);
    _exit(what());
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_msg(!WIFSIGNALED(status), "%s: the child %s", story,
                WTERMSIG(status) == SIGALRM ? "hung" : "was killed");
  ck_assert_msg(WEXITSTATUS(status) == CHILD_RIGHT,
                "%s: the child failed at step %d", story, WEXITSTATUS(status));
}

static int abandon(void) {
  changefeed_loop_abandon(loop);
  return CHILD_RIGHT;
}

static int do_nothing(void) { return CHILD_RIGHT; }

/* ---- fixture ---- */

static void setup(void) {
  mini = cft_mini_start(NULL);
  cft_mini_fill(mini, "d", ROWS);
  loop = cft_loop();
  f = (cft_follow){.feed = NULL};
  relay = NULL;
  tunnel = NULL;
  scratch_begin(&dir);
  (void)snprintf(url, sizeof url, "%s", cft_mini_url(mini));
}

static void teardown(void) {
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_relay_stop(relay);
  cft_tunnel_stop(tunnel);
  cft_mini_free(mini);
  scratch_end(&dir);
}

static void put_relay(bool tls) {
  uint16_t port = cft_peer_port(cft_mini_peer(mini));

  if (tls) {
    tunnel = cft_tunnel_start(port);
    port = cft_tunnel_port(tunnel);
  }
  relay = cft_relay_start(port);
  (void)snprintf(url, sizeof url, "http%s://127.0.0.1:%u/db", tls ? "s" : "",
                 cft_relay_port(relay));
}

static bool is_quiet(void *user) {
  (void)user;
  return cft_mini_waiting(mini) == 1 &&
         changefeed_get_state(f.feed) == CHANGEFEED_STATE_LIVE;
}

/* Who is there, which database, the past, the present, and which database that
   was of: everything that was to be sent has been sent. */
static void go_live(void) {
  ck_assert(cft_loop_until(loop, is_quiet, NULL, LONG_MS));
  ck_assert(cft_follow_until_requests(&f, 5, LONG_MS));
  cft_loop_for(loop, 200);
}

/* ---- the tests ---- */

static const char *const transports[] = {"continuous", "longpoll",
                                         "eventsource"};

/* The relay counts bytes of TLS too: a close-notify would show. */
static void check_silence(bool tls, const char *transport) {
  size_t sent, accepted, ended, requests;

  put_relay(tls);
  cft_follow_open(&f, loop, url, "heartbeat_ms", "60000", "tls_verify", "0",
                  "transport", transport, NULL);
  go_live();
  sent = cft_relay_sent(relay);
  accepted = cft_relay_accepted(relay);
  ended = cft_relay_ended(relay);
  requests = cft_peer_count(cft_mini_peer(mini), CFT_ANY);
  ck_assert_uint_gt(sent, 0);
  for (int i = 0; i < 5; i++)
    expect_child(abandon, transport);
  cft_loop_for(loop, 100); /* it would be here by now */
  ck_assert_uint_eq(cft_relay_sent(relay), sent);
  ck_assert_uint_eq(cft_relay_ended(relay), ended);
  ck_assert_uint_eq(cft_peer_count(cft_mini_peer(mini), CFT_ANY), requests);
  cft_mini_put(mini, "later", "1-l", false);
  ck_assert(cft_follow_until_rows(&f, ROWS + 1, LONG_MS));
  ck_assert_uint_eq(cft_relay_accepted(relay), accepted);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}

START_TEST(test_child_says_nothing_to_the_peer) {
  check_silence(false, transports[_i]);
}
END_TEST

START_TEST(test_child_says_nothing_to_the_peer_by_tls) {
  check_silence(true, transports[_i]);
}
END_TEST

static int use_what_is_not_its_own(void) {
  const changefeed_change *change;
  changefeed_options *options;
  changefeed *feed = NULL;

  if (changefeed_loop_run(loop) != CHANGEFEED_ERR_FORKED)
    return 1;
  if (changefeed_loop_run_once(loop, 0) != CHANGEFEED_ERR_FORKED)
    return 2;
  if (changefeed_loop_fd(loop) != CHANGEFEED_ERR_FORKED)
    return 3;
  if (changefeed_loop_dispatch(loop) != CHANGEFEED_ERR_FORKED)
    return 4;
  if (changefeed_next(f.feed, 0, &change) != CHANGEFEED_ERR_FORKED)
    return 5;
  if (changefeed_options_new(&options) != CHANGEFEED_OK ||
      changefeed_options_set(options, "url", url) != CHANGEFEED_OK)
    return 6;
  if (changefeed_open(&feed, loop, options) != CHANGEFEED_ERR_FORKED ||
      feed != NULL || strlen(changefeed_options_error(options)) == 0)
    return 7;
  changefeed_options_free(options);
  changefeed_loop_abandon(loop);
  return CHILD_RIGHT;
}

START_TEST(test_child_is_told_what_is_not_its_own) {
  f.pull = _i == 0;
  cft_follow_open(&f, loop, url, NULL);
  cft_loop_for(loop, 100);
  expect_child(use_what_is_not_its_own, "calls");
}
END_TEST

static uint64_t rows_of_own_feed(void) {
  const changefeed_change *change;
  changefeed_options *options;
  changefeed *feed;
  uint64_t rows = 0;

  if (changefeed_options_new(&options) != CHANGEFEED_OK ||
      changefeed_options_set(options, "url", url) != CHANGEFEED_OK ||
      changefeed_options_set(options, "proxy", "-") != CHANGEFEED_OK ||
      changefeed_options_set(options, "mode", "once") != CHANGEFEED_OK ||
      changefeed_open(&feed, NULL, options) != CHANGEFEED_OK)
    return UINT64_MAX;
  changefeed_options_free(options);
  while (changefeed_next(feed, LONG_MS, &change) == CHANGEFEED_OK)
    rows++;
  changefeed_close(feed);
  return rows;
}

static int follow_itself(void) {
  changefeed_loop_abandon(loop);
  return rows_of_own_feed() == ROWS ? CHILD_RIGHT : 1;
}

/* Without a word about the parent's loop: it is the parent's business. */
static int follow_itself_at_once(void) {
  return rows_of_own_feed() == ROWS ? CHILD_RIGHT : 1;
}

START_TEST(test_child_follows_by_a_loop_of_its_own) {
  cft_follow_open(&f, loop, url, NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, LONG_MS));
  expect_child(follow_itself, "after abandon");
  expect_child(follow_itself_at_once, "without abandon");
  cft_mini_put(mini, "later", "1-l", false);
  ck_assert(cft_follow_until_rows(&f, ROWS + 1, LONG_MS));
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}
END_TEST

static uint16_t hanging_port;

static bool is_connecting(void *user) {
  (void)user;
  return loop->socket_count == 1;
}

static bool is_waiting(void *user) {
  (void)user;
  return changefeed_get_state(f.feed) == CHANGEFEED_STATE_WAITING;
}

START_TEST(test_child_abandons_whatever_the_feed_is_doing) {
  int fds[2];

  ck_assert(cft_port_hanging(&hanging_port, fds));
  expect_child(abandon, "an empty loop");
  cft_follow_open(&f, loop, url, "batch_max", "10", NULL);
  expect_child(abandon, "nothing asked yet");
  go_live();
  cft_follow_clear(&f);
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/db", hanging_port);
  cft_follow_open(&f, loop, url, NULL);
  ck_assert(cft_loop_until(loop, is_connecting, NULL, LONG_MS));
  expect_child(abandon, "connecting");
  cft_follow_clear(&f);
  cft_mini_fault(mini, &(cft_fault){.on = CFT_ANY,
                                    .status = 503,
                                    .headers = "Retry-After: 60\r\n"});
  cft_follow_open(&f, loop, cft_mini_url(mini), NULL);
  ck_assert(cft_loop_until(loop, is_waiting, NULL, LONG_MS));
  expect_child(abandon, "waiting");
  (void)close(fds[0]);
  (void)close(fds[1]);
}
END_TEST

/* libcurl's thread for names is not there in the child. */
START_TEST(test_child_abandons_while_a_name_is_looked_up) {
  cft_names_hang();
  cft_follow_open(&f, loop, "http://nowhere.example/db", NULL);
  ck_assert(cft_loop_until(loop, cft_names_resolving, NULL, LONG_MS));
  expect_child(abandon, "resolving");
  cft_names_let_go();
}
END_TEST

static char option[1100];

/* The lock is the parent's while it lives, whatever children do. */
static int use_the_same_file(void) {
  cft_follow own = {.feed = NULL};
  char why[512];

  changefeed_loop_abandon(loop);
  if (cft_follow_try(&own, NULL, why, sizeof why, cft_mini_url(mini),
                     "checkpoint", option, NULL) != CHANGEFEED_ERR_STORE)
    return 1;
  return strstr(why, "lock") != NULL || strstr(why, "use") != NULL ? CHILD_RIGHT
                                                                   : 2;
}

START_TEST(test_child_leaves_the_checkpoint_file_alone) {
  char before[4096], after[4096];
  size_t len;

  (void)snprintf(option, sizeof option, "file:%s",
                 scratch_path(&dir, "position"));
  cft_follow_open(&f, loop, url, "checkpoint", option, "checkpoint_every", "5",
                  "checkpoint_interval_ms", "86400000", NULL);
  go_live();
  cft_mini_put(mini, "later", "1-l", false); /* not saved for a day */
  ck_assert(cft_follow_until_rows(&f, ROWS + 1, LONG_MS));
  len = scratch_read(&dir, "position", before, sizeof before);
  ck_assert_uint_gt(len, 0);
  expect_child(abandon, "abandon");
  expect_child(use_the_same_file, "the same file");
  expect_child(use_the_same_file, "the same file, once more");
  ck_assert_uint_eq(scratch_read(&dir, "position", after, sizeof after), len);
  ck_assert_mem_eq(before, after, len);
  ck_assert_int_eq(changefeed_checkpoint(f.feed), CHANGEFEED_OK);
}
END_TEST

enum { FEEDS = 12, FORKS = 40 };

/* Children come and go while rows flow; nothing is lost or repeated, and no
   descriptor is left. */
START_TEST(test_parent_with_many_children_loses_nothing) {
  static cft_follow all[FEEDS];
  int fds = 0;

  for (size_t i = 0; i < FEEDS; i++)
    cft_follow_open(&all[i], loop, url, "transport", transports[i % 3], NULL);
  for (int i = 0; i < FORKS; i++) {
    char id[16];

    (void)snprintf(id, sizeof id, "new%d", i);
    cft_mini_put(mini, id, "1-n", false);
    cft_loop_for(loop, i % 5);
    expect_child(i % 2 == 0 ? abandon : do_nothing, "flow");
    if (i == 5)
      fds = cft_fd_count(getpid());
  }
  for (size_t i = 0; i < FEEDS; i++) {
    ck_assert(cft_follow_until_rows(&all[i], ROWS + FORKS, LONG_MS));
    ck_assert_uint_eq(cft_follow_stats(&all[i]).reconnects, 0);
    ck_assert_uint_eq(cft_follow_doubles(&all[i]), 0);
  }
  ck_assert_int_le(cft_fd_count(getpid()), fds + 2 * FEEDS);
  for (size_t i = 0; i < FEEDS; i++)
    cft_follow_clear(&all[i]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("process_fork");
  TCase *t = tcase_create("process_fork");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_child_says_nothing_to_the_peer, 0, 3);
  tcase_add_loop_test(t, test_child_says_nothing_to_the_peer_by_tls, 0, 3);
  tcase_add_loop_test(t, test_child_is_told_what_is_not_its_own, 0, 2);
  tcase_add_test(t, test_child_follows_by_a_loop_of_its_own);
  tcase_add_test(t, test_child_abandons_whatever_the_feed_is_doing);
  tcase_add_test(t, test_child_abandons_while_a_name_is_looked_up);
  tcase_add_test(t, test_child_leaves_the_checkpoint_file_alone);
  tcase_add_test(t, test_parent_with_many_children_loses_nothing);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
