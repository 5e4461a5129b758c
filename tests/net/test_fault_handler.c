/* An application that fails, hesitates or gives up, and what it is told of the
   server's faults: no row is lost by a handler that did not take it, the
   position never passes such a row, and nothing spins meanwhile. Known failures
   6, 10, 12, 24, 25, 36, 40, 64, 65. */
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

#include <time.h>

enum { LONG_MS = 30000, ROWS = 20 };

static cft_mini *mini;
static cft_peer *peer;
static changefeed_loop *loop;
static cft_follow f;

/* ---- a store of the application's own ---- */

static struct {
  char *data;
  size_t len, saves;
  uint64_t allowed; /* the highest position it may be handed */
  size_t early;     /* saves that were beyond it */
} kept;

static int load(void *ctx, const char *key,
                int (*put)(void *sink, const char *data, size_t len),
                void *sink) {
  (void)ctx;
  (void)key;
  return kept.data ? put(sink, kept.data, kept.len) : 0;
}

/* The position of the record; 0 while there is none. */
static uint64_t kept_position(void) {
  const char *line = kept.data ? strstr(kept.data, "\nseq=") : NULL;
  return line ? strtoull(line + 5, NULL, 10) : 0;
}

static int save(void *ctx, const char *key, const char *data, size_t len) {
  (void)ctx;
  (void)key;
  free(kept.data);
  kept.data = cft_memdup(data, len);
  kept.len = len;
  kept.saves++;
  kept.early += kept_position() > kept.allowed;
  return 0;
}

static const changefeed_store store = {
    .size = sizeof store, .load = load, .save = save};

/* Seqs are 1, 2, 3 ..., as the ordinals of a first run. */
static void setup(void) {
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  loop = cft_loop();
  cft_mini_config config = cft_mini_get_config(mini);
  config.seqs = CFT_SEQ_NUMBER;
  cft_mini_set_config(mini, &config);
  cft_mini_fill(mini, "d", ROWS);
  f = (cft_follow){.feed = NULL};
  memset(&kept, 0, sizeof kept);
  kept.allowed = UINT64_MAX;
}

static void teardown(void) {
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_mini_free(mini);
  free(kept.data);
}

/* ---- handlers that fail ---- */

enum { BAD = 10 /* the row that a handler cannot stand */ };

static bool is_bad(const changefeed_change *change) {
  return strcmp(change->id.data, "d000009") == 0;
}

static int fail_at_bad(cft_follow *follow, const changefeed_change *change) {
  (void)follow;
  return is_bad(change) ? -5 : CHANGEFEED_CONTINUE;
}

static int fail_at_batch(cft_follow *follow,
                         const changefeed_change *const *changes,
                         size_t count) {
  (void)follow;
  for (size_t i = 0; i < count; i++)
    if (is_bad(changes[i]))
      return -5;
  return CHANGEFEED_CONTINUE;
}

/* Takes all; what a worker cannot do is never acknowledged. */
static int ack_all_but_bad(cft_follow *follow,
                           const changefeed_change *change) {
  if (!is_bad(change))
    (void)changefeed_ack_one(follow->feed, change->ordinal);
  return CHANGEFEED_CONTINUE;
}

static const struct {
  const char *name;
  cft_follow hooks;
  const char *auto_ack;
  uint64_t taken;
} handlers[] = {
    {"on_change", {.on_row = fail_at_bad}, "1", BAD - 1},
    {"on_batch", {.batch = true, .on_rows = fail_at_batch}, "1", 8},
    {"a worker", {.on_row = ack_all_but_bad}, "0", ROWS},
};
enum { HANDLERS = sizeof handlers / sizeof *handlers };

static void open_with_store(const char *auto_ack) {
  f.store = &store;
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once", "auto_ack",
                  auto_ack, "batch_max", "4", "checkpoint_every", "1",
                  "checkpoint_interval_ms", "0", NULL);
}

/* Known failures 6, 10, 24, 25 and 64: the error is told, the position stays
   before the row, and the next run begins with it. */
START_TEST(test_handler_that_fails_gets_its_row_again) {
  bool worker = _i == 2;
  uint64_t safe = worker ? BAD - 1 : handlers[_i].taken;
  char first[16];
  f = handlers[_i].hooks;
  open_with_store(handlers[_i].auto_ack);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, handlers[_i].taken);
  if (!worker) {
    const cft_seen_state *s = cft_follow_last(&f, CHANGEFEED_STATE_FAILED);
    ck_assert_msg(s, "%s: not told", handlers[_i].name);
    ck_assert_int_eq(s->code, CHANGEFEED_ERR_CALLBACK);
    ck_assert_int_eq(s->retryable, 0);
    ck_assert_ptr_nonnull(strstr(s->message, "-5"));
  }
  cft_follow_clear(&f);
  ck_assert_uint_eq(kept_position(), safe);
  open_with_store("1");
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  snprintf(first, sizeof first, "d%06d", (int)safe);
  ck_assert_str_eq(f.rows[0].id, first);
  ck_assert_uint_eq(f.taken, ROWS - safe);
  cft_follow_clear(&f);
  ck_assert_uint_eq(kept_position(), ROWS);
}
END_TEST

/* ---- positions and acknowledgements ---- */

/* Rows are acknowledged three at a time and backwards. */
static int ack_backwards(cft_follow *follow, const changefeed_change *change) {
  uint64_t n = change->ordinal;
  for (uint64_t i = n; n % 3 == 0 && i > n - 3; i--) {
    kept.allowed = i == n - 2 ? n : kept.allowed;
    (void)changefeed_ack_one(follow->feed, i);
  }
  return CHANGEFEED_CONTINUE;
}

static bool is_kept(void *user) {
  (void)user;
  return kept_position() == ROWS + 1;
}

/* Known failures 40 and 64: whoever saves what he is handed has handled all of
   it. A last_seq may not overtake rows in flight either. */
START_TEST(test_handler_is_never_overtaken_by_the_position) {
  kept.allowed = 0;
  f.store = &store;
  f.on_row = ack_backwards;
  cft_follow_open(&f, loop, cft_mini_url(mini), "auto_ack", "0",
                  "checkpoint_every", "1", "checkpoint_interval_ms", "0",
                  "transport", "longpoll", "heartbeat_ms", "200", NULL);
  ck_assert(cft_follow_until_rows(&f, ROWS, LONG_MS));
  cft_loop_for(loop, 500); /* ends of longpolls */
  ck_assert_uint_eq(kept_position(), ROWS - ROWS % 3);
  cft_mini_put(mini, "last", "1-a", false); /* row 21 */
  ck_assert(cft_loop_until(loop, is_kept, NULL, LONG_MS));
  ck_assert_uint_eq(kept.early, 0);
  ck_assert_uint_ge(kept.saves, ROWS / 3);
}
END_TEST

/* ---- rows that nobody can handle ---- */

enum { POISON = 101, CREDIT = 100, MORE = 20 };

static int64_t cpu_ms(void) {
  struct timespec ts;
  ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts), 0);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Known failure 65: as many as the queue holds. The feed waits for the
   application; it does not ask again, and it does not turn round and round. */
START_TEST(test_handler_with_poison_rows_beyond_its_queue_is_waited_for) {
  cft_mini_fill(mini, "p", POISON + MORE - ROWS);
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once", "auto_ack", "0",
                  "max_unacked", "100", NULL);
  ck_assert(cft_follow_until_rows(&f, CREDIT, LONG_MS));
  size_t asked = cft_peer_count(peer, CFT_FEED);
  int64_t cpu = cpu_ms();
  cft_loop_for(loop, 1000);
  cpu = cpu_ms() - cpu;
  ck_assert_msg(cpu < 500, "%d ms of work to wait", (int)cpu);
  ck_assert_uint_eq(f.taken, CREDIT);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_FEED), asked);
  ck_assert_uint_eq(cft_follow_stats(&f).acked, 0);
  /* the application gives them up, and goes on with the rest */
  ck_assert_int_eq(changefeed_ack(f.feed, CREDIT), CHANGEFEED_OK);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, POISON + MORE);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}
END_TEST

/* Refuses each row twice, which is a pause each time. */
static int refuse_twice(cft_follow *follow, const changefeed_change *change) {
  size_t *times = follow->user;
  (void)change;
  if ((*times)++ < 2)
    return CHANGEFEED_LATER;
  *times = 0;
  return CHANGEFEED_CONTINUE;
}

static void resume_at_pause(cft_follow *follow, const changefeed_event *event) {
  if (event->state == CHANGEFEED_STATE_PAUSED)
    (void)changefeed_resume(follow->feed);
}

/* Known failure 65. */
START_TEST(test_handler_that_refuses_many_rows_in_a_row_costs_no_request) {
  size_t times = 0;
  cft_mini_fill(mini, "p", POISON - ROWS);
  f.user = &times;
  f.on_row = refuse_twice;
  f.on_state = resume_at_pause;
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, POISON);
  ck_assert_uint_eq(f.offered, 3 * POISON);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_FEED), 1);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}
END_TEST

/* ---- what is told ---- */

#define ERROR_BODY "{\"error\":\"timeout\",\"reason\":\"x\"}"

/* Each ends the response without a row. Before the end of a first line libcurl
   would ask again by itself, where the connection was an old one. */
static const cft_fault faults[] = {
    {.status = 503},
    {.status = 429},
    {.status = 200, .body = "<html>log in</html>"},
    {.status = 200, .body = "{}"},
    {.status = 200, .body = ERROR_BODY},
    {.cut = CFT_CUT_RESPONSE, .cut_at = 40, .then = CFT_RST},
    {.cut = CFT_CUT_RESPONSE, .cut_at = 40, .then = CFT_CLOSE},
    {.cut = CFT_CUT_BODY, .cut_at = 10, .then = CFT_RST},
};
enum { FAULTS = sizeof faults / sizeof *faults, TIMES = 3 };

typedef struct told {
  cft_follow follow;
  size_t fault, retries;
} told;

/* A feed whose requests for rows suffer the i-th fault, `times` of them. */
static void open_told(told *t, size_t i, size_t times, const char *mode) {
  char header[32];
  cft_fault fault = faults[i];
  snprintf(header, sizeof header, "X-Feed: %zu.", i);
  fault.on = CFT_NORMAL;
  fault.match = header;
  fault.times = times;
  t->fault = cft_mini_fault(mini, &fault);
  t->follow.user = t;
  cft_follow_open(&t->follow, loop, cft_mini_url(mini), "mode", mode, "header",
                  header, NULL);
}

static int64_t count_retry(cft_follow *follow, const changefeed_error *error,
                           unsigned attempt, int64_t proposed_ms) {
  told *t = follow->user;
  (void)attempt;
  t->retries += error->code != 0 && error->message[0] != '\0';
  return proposed_ms;
}

static bool all_over(void *user) {
  told *all = user;
  for (size_t i = 0; i < FAULTS; i++)
    if (!cft_follow_is_over(&all[i].follow))
      return false;
  return true;
}

/* Known failure 12: each fault is told once to each that is to know it, with
   what it was. */
START_TEST(test_handler_is_told_each_fault_once) {
  static told all[FAULTS];
  for (size_t i = 0; i < FAULTS; i++) {
    all[i].follow.on_retry = count_retry;
    open_told(&all[i], i, TIMES, "once");
  }
  ck_assert(cft_loop_until(loop, all_over, all, LONG_MS));
  for (size_t i = 0; i < FAULTS; i++) {
    cft_follow *one = &all[i].follow;
    changefeed_stats s = cft_follow_stats(one);
    uint64_t counted = s.faults_network + s.faults_tls + s.faults_idle +
                       s.faults_auth + s.faults_http + s.faults_protocol +
                       s.faults_local;
    ck_assert_uint_eq(cft_mini_fault_hits(mini, all[i].fault), TIMES);
    ck_assert_msg(cft_follow_times(one, CHANGEFEED_STATE_WAITING) == TIMES,
                  "fault %zu: %zu told", i,
                  cft_follow_times(one, CHANGEFEED_STATE_WAITING));
    ck_assert_uint_eq(all[i].retries, TIMES);
    ck_assert_uint_eq(s.reconnects, TIMES);
    ck_assert_uint_eq(counted, TIMES);
    for (size_t k = 0; k < one->state_count; k++)
      ck_assert((one->states[k].state == CHANGEFEED_STATE_WAITING) ==
                (one->states[k].code != 0));
    ck_assert_uint_eq(one->taken, ROWS);
    cft_follow_clear(one);
  }
}
END_TEST

/* ---- a fault and the end at once ---- */

static void stop_at_fault(cft_follow *follow, const changefeed_event *event) {
  if (event->state == CHANGEFEED_STATE_WAITING)
    (void)changefeed_stop(follow->feed);
}

static int64_t stop_at_retry(cft_follow *follow, const changefeed_error *error,
                             unsigned attempt, int64_t proposed_ms) {
  (void)error;
  (void)attempt;
  (void)changefeed_stop(follow->feed);
  return proposed_ms;
}

static void close_at_fault(cft_follow *follow, const changefeed_event *event) {
  if (event->state == CHANGEFEED_STATE_WAITING)
    cft_follow_close(follow);
}

static bool all_gone(void *user) {
  told *all = user;
  for (size_t i = 0; i < FAULTS; i++)
    if (all[i].follow.feed && !cft_follow_is_over(&all[i].follow))
      return false;
  return true;
}

static const cft_follow stoppers[] = {
    {.on_state = stop_at_fault},
    {.on_retry = stop_at_retry},
    {.on_state = close_at_fault},
};
enum { STOPPERS = sizeof stoppers / sizeof *stoppers };

/* Known failure 36: a feed that is stopped at the news of its fault is not
   tried again, and its end is no failure. */
START_TEST(test_handler_that_stops_at_a_fault_sees_no_attempt_after_it) {
  static told all[FAULTS];
  unsigned calls = 0;
  for (size_t i = 0; i < FAULTS; i++) {
    all[i].follow = stoppers[_i];
    open_told(&all[i], i, 0, "live");
  }
  ck_assert(cft_loop_until(loop, all_gone, all, LONG_MS));
  for (size_t i = 0; i < FAULTS; i++)
    calls += all[i].follow.calls;
  ck_assert(cft_peer_wait_open(peer, 0, LONG_MS));
  cft_loop_for(loop, 300); /* three times the longest delay */
  for (size_t i = 0; i < FAULTS; i++) {
    cft_follow *one = &all[i].follow;
    ck_assert_uint_eq(cft_mini_fault_hits(mini, all[i].fault), 1);
    ck_assert_uint_eq(one->calls_late, 0);
    ck_assert_uint_eq(cft_follow_times(one, CHANGEFEED_STATE_FAILED), 0);
    ck_assert_uint_eq(cft_follow_times(one, CHANGEFEED_STATE_ENDED),
                      one->feed != NULL);
    calls -= one->calls;
    cft_follow_clear(one);
  }
  ck_assert_uint_eq(calls, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fault_handler");
  TCase *t = tcase_create("handler");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_handler_that_fails_gets_its_row_again, 0,
                      HANDLERS);
  tcase_add_test(t, test_handler_is_never_overtaken_by_the_position);
  tcase_add_test(t,
                 test_handler_with_poison_rows_beyond_its_queue_is_waited_for);
  tcase_add_test(t,
                 test_handler_that_refuses_many_rows_in_a_row_costs_no_request);
  tcase_add_test(t, test_handler_is_told_each_fault_once);
  tcase_add_loop_test(
      t, test_handler_that_stops_at_a_fault_sees_no_attempt_after_it, 0,
      STOPPERS);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
