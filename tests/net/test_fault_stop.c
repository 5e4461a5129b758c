/* Stop, in whatever the feed is doing, from wherever it is called: within the
   limit the last callback has run and no socket is left. Known failures 28, 29,
   31, 36, 47, 53.
   ctest: LABEL threads */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "loop.h"
#include "support/follow.h"
#include "support/names.h"
#include "support/peer_mini.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 20000, TRIES = 3, ROWS = 20 };

static cft_mini *mini;
static cft_peer *peer;
static changefeed_loop *loop;
static cft_follow follow;
static uint16_t hanging_port;
static int hanging_fds[2];

/* ---- what the feed is doing ---- */

static int64_t retry_late(cft_follow *f, const changefeed_error *error,
                          unsigned attempt, int64_t proposed_ms) {
  (void)f;
  (void)error;
  (void)attempt;
  return proposed_ms + 60000;
}

static bool is_connecting(void *user) {
  (void)user;
  return loop->socket_count == 1 &&
         changefeed_get_state(follow.feed) == CHANGEFEED_STATE_CONNECTING;
}

static void delay_heads(void) {
  cft_mini_fault(mini, &(cft_fault){.on = CFT_NORMAL, .delay_ms = 60000});
}

static bool waits_for_head(void *user) {
  (void)user;
  return cft_peer_count(peer, CFT_NORMAL) == 1;
}

static void cut_in_a_row(void) {
  cft_mini_fault(mini, &(cft_fault){.on = CFT_NORMAL,
                                    .cut = CFT_CUT_BODY,
                                    .cut_at = 500,
                                    .then = CFT_SILENCE});
}

static bool is_in_a_row(void *user) {
  (void)user;
  return follow.taken != 0 && follow.feed->queue.len != 0 &&
         cfi_frame_inside(&follow.feed->frame);
}

static bool is_live(void *user) {
  (void)user;
  return cft_mini_waiting(mini) == 1 &&
         changefeed_get_state(follow.feed) == CHANGEFEED_STATE_LIVE;
}

static int later(cft_follow *f, const changefeed_change *change) {
  (void)f;
  (void)change;
  return CHANGEFEED_LATER;
}

static bool is_paused(void *user) {
  (void)user;
  return changefeed_get_state(follow.feed) == CHANGEFEED_STATE_PAUSED;
}

static void many_rows(void) { cft_mini_fill(mini, "d", 20000); }

static bool is_blocked(void *user) {
  (void)user;
  return is_paused(NULL) && follow.feed->blocked;
}

static void refuse(void) { cft_peer_stop(peer); }

static void unavailable(void) {
  cft_mini_fault(mini, &(cft_fault){.on = CFT_ANY,
                                    .status = 503,
                                    .headers = "Retry-After: 60\r\n"});
}

static bool is_waiting(void *user) {
  (void)user;
  return changefeed_get_state(follow.feed) == CHANGEFEED_STATE_WAITING;
}

static void end_at_once(void) {
  cft_mini_fault(mini, &(cft_fault){.on = CFT_LIVE, .empty = true});
}

/* No fault, but the rate limit forbids the next request. */
static bool is_held_back(void *user) {
  (void)user;
  return follow.feed->phase == CFI_PHASE_WAIT && !is_waiting(NULL) &&
         follow.feed->begin_ms > cft_now_ms() + 500;
}

/* The past ends with a batch that is not full; one of the present waits. */
static bool gathers_a_batch(void *user) {
  if (is_live(user) && cft_mini_update_seq(mini) == ROWS)
    cft_mini_put(mini, "one", "1-a", false);
  return cft_mini_update_seq(mini) > ROWS && follow.feed->held_count != 0;
}

typedef struct scene {
  const char *name;
  void (*arrange)(void);
  bool (*reached)(void *user);
  const char *option, *value;
  cft_follow hooks;
} scene;

static const scene scenes[] = {
    {"connecting", NULL, is_connecting, "heartbeat_ms", "10000", {0}},
    {"resolving",
     cft_names_hang,
     cft_names_resolving,
     "heartbeat_ms",
     "10000",
     {0}},
    {"waiting for a head", delay_heads, waits_for_head, NULL, NULL, {0}},
    {"catching up, within a row", cut_in_a_row, is_in_a_row, NULL, NULL, {0}},
    {"live by continuous", NULL, is_live, NULL, NULL, {0}},
    {"live by longpoll", NULL, is_live, "transport", "longpoll", {0}},
    {"live by eventsource", NULL, is_live, "transport", "eventsource", {0}},
    {"paused", NULL, is_paused, NULL, NULL, {.on_row = later}},
    {"paused and blocked",
     many_rows,
     is_blocked,
     "max_queue_bytes",
     "4096",
     {.on_row = later}},
    {"refused, in back-off",
     refuse,
     is_waiting,
     NULL,
     NULL,
     {.on_retry = retry_late}},
    {"waiting by Retry-After", unavailable, is_waiting, NULL, NULL, {0}},
    {"held back by the rate limit", end_at_once, is_held_back, NULL, NULL, {0}},
    {"gathering a batch",
     NULL,
     gathers_a_batch,
     "batch_delay_ms",
     "60000",
     {.batch = true}},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

/* ---- who stops it ---- */

static pthread_t main_thread;
static int64_t stopped_ms;

static void stop_now(void) {
  stopped_ms = cft_now_ms();
  (void)changefeed_stop(follow.feed);
}

static void on_signal(int number) {
  (void)number;
  stop_now();
}

/* By then the loop waits in its system call, as a rule; it must not matter. */
static void give_time(void) {
  const struct timespec pause = {0, 20000000};
  nanosleep(&pause, NULL);
}

static void *stop_thread(void *arg) {
  (void)arg;
  give_time();
  stop_now();
  return NULL;
}

static void *signal_thread(void *arg) {
  (void)arg;
  give_time();
  pthread_kill(main_thread, SIGUSR1);
  return NULL;
}

static void run_with(void *(*helper)(void *)) {
  pthread_t thread;
  main_thread = pthread_self();
  ck_assert_int_eq(pthread_create(&thread, NULL, helper, NULL), 0);
  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void by_loop_thread(void) {
  stop_now();
  ck_assert_int_eq(changefeed_loop_run(loop), CHANGEFEED_OK);
}

static void by_other_thread(void) { run_with(stop_thread); }

static void by_signal(void) {
  struct sigaction action = {.sa_handler = on_signal}, before;
  ck_assert_int_eq(sigaction(SIGUSR1, &action, &before), 0);
  run_with(signal_thread);
  ck_assert_int_eq(sigaction(SIGUSR1, &before, NULL), 0);
}

/* ---- the test ---- */

static void open_scene(const scene *s) {
  char url[128];
  snprintf(url, sizeof url, "%s", cft_mini_url(mini));
  if (s->reached == is_connecting)
    snprintf(url, sizeof url, "http://127.0.0.1:%u/db", hanging_port);
  if (s->reached == cft_names_resolving)
    snprintf(url, sizeof url, "http://nowhere.example/db");
  if (s->arrange)
    s->arrange();
  follow = s->hooks;
  cft_follow_open(&follow, loop, url, "include_docs", "1", s->option, s->value,
                  NULL);
  ck_assert_msg(cft_loop_until(loop, s->reached, NULL, LONG_MS),
                "%s was not reached: %s", s->name,
                changefeed_last_error(follow.feed)->message);
  ck_assert_msg(s->reached(NULL), "%s", s->name);
}

static void check_stopped(const scene *s) {
  unsigned calls = follow.calls;
  ck_assert_msg(cft_follow_last(&follow, CHANGEFEED_STATE_ENDED) != NULL &&
                    cft_follow_times(&follow, CHANGEFEED_STATE_FAILED) == 0,
                "%s: not told", s->name);
  ck_assert_msg(cft_peer_wait_open(peer, 0, LONG_MS),
                "%s: the peer sees no end of the connection", s->name);
  (void)changefeed_resume(follow.feed);
  cft_mini_put(mini, "after", "1-a", false);
  cft_loop_for(loop, 20);
  ck_assert_msg(follow.calls == calls && follow.calls_late == 0,
                "%s: a callback after the end", s->name);
}

/* libcurl's own thread for names ends when it is let go. */
static bool no_descriptors(void *user) {
  const int *fds = user;
  return cft_fd_count(getpid()) == *fds;
}

/* One run; how long it took. */
static int64_t stop_once(const scene *s, void (*by)(void)) {
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  cft_mini_fill(mini, "d", ROWS);
  loop = cft_loop();
  cft_peer_stop(peer);
  int fds = cft_fd_count(getpid());
  cft_peer_restart(peer);
  open_scene(s);
  by();
  int64_t took = cft_now_ms() - stopped_ms;
  check_stopped(s);
  cft_names_let_go();
  cft_peer_stop(peer); /* its threads are gone, and so are its descriptors */
  ck_assert_msg(cft_until(no_descriptors, &fds, LONG_MS),
                "%s: %d descriptors are left", s->name,
                cft_fd_count(getpid()) - fds);
  cft_follow_clear(&follow);
  changefeed_loop_free(loop);
  cft_mini_free(mini);
  return took;
}

/* The machine may have other things to do once; not each time. */
static void stop_in_time(const scene *s, void (*by)(void)) {
  const char *instrumented = getenv("CFT_INSTRUMENTED");
  int64_t limit = instrumented && strcmp(instrumented, "1") == 0 ? 300 : 100;
  int64_t took = INT64_MAX;
  for (int i = 0; i < TRIES && took > limit; i++)
    took = stop_once(s, by);
  ck_assert_msg(took <= limit, "%s: stopped after %d ms", s->name, (int)took);
}

static void setup(void) {
  ck_assert(cft_port_hanging(&hanging_port, hanging_fds));
}

static void teardown(void) {
  close(hanging_fds[0]);
  close(hanging_fds[1]);
}

START_TEST(test_stop_by_the_thread_of_the_loop) {
  stop_in_time(&scenes[_i], by_loop_thread);
}
END_TEST

START_TEST(test_stop_by_another_thread) {
  stop_in_time(&scenes[_i], by_other_thread);
}
END_TEST

START_TEST(test_stop_by_a_signal_handler) {
  stop_in_time(&scenes[_i], by_signal);
}
END_TEST

/* libcurl closes a socket that never connected without telling; a file that got
   its number is none of the loop's business in a child. */
static bool is_pipe(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

START_TEST(test_stop_leaves_no_memory_of_a_descriptor) {
  char url[128];
  int ends[2], status = -1;
  loop = cft_loop();
  snprintf(url, sizeof url, "http://127.0.0.1:%u/db", hanging_port);
  cft_follow_open(&follow, loop, url, NULL);
  ck_assert(cft_loop_until(loop, is_connecting, NULL, LONG_MS));
  by_loop_thread();
  ck_assert_int_eq(pipe(ends), 0);
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    changefeed_loop_abandon(loop);
    _exit(is_pipe(ends[0]) && is_pipe(ends[1]) ? 0 : 1);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_msg(status == 0, "the child lost a descriptor of its own");
  close(ends[0]);
  close(ends[1]);
  cft_follow_clear(&follow);
  changefeed_loop_free(loop);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fault_stop");
  TCase *stop = tcase_create("stop");
  tcase_add_checked_fixture(stop, setup, teardown);
  tcase_add_loop_test(stop, test_stop_by_the_thread_of_the_loop, 0, SCENES);
  tcase_add_loop_test(stop, test_stop_by_another_thread, 0, SCENES);
  tcase_add_loop_test(stop, test_stop_by_a_signal_handler, 0, SCENES);
  tcase_add_test(stop, test_stop_leaves_no_memory_of_a_descriptor);
  suite_add_tcase(suite, stop);
  return cft_run(suite);
}
