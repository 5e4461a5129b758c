/* An application that is slow: pauses are exact to the row, last as long as
   they like, cost no connection and no more memory than allowed. And rows that
   are long, or too long. Known failures 4, 5, 22, 23, 24, 52, 73. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/follow.h"
#include "support/mem.h"
#include "support/meter.h"
#include "support/peer_mini.h"
#include "support/proc.h"
#include "support/unit.h"

#include <stddef.h>
#include <time.h>
#include <unistd.h>

enum {
  LONG_MS = 60000,
  BEAT_MS = 200,
  MANY = 5500,
  DOC = 10000, /* bytes: 55 MB in all */
  MIB = 1024 * 1024,
};

static cft_mini *mini;
static cft_peer *peer;
static changefeed_loop *loop;
static cft_follow f;

/* ---- memory of the library ---- */

static void setup(void) {
  changefeed_allocator allocator = CHANGEFEED_ALLOCATOR_INIT;
  allocator.resize = cft_meter_resize;
  allocator.release = cft_meter_release;
  cft_meter_held = cft_meter_most = 0;
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  f = (cft_follow){.feed = NULL};
  ck_assert_int_eq(changefeed_loop_new(&loop, &allocator), CHANGEFEED_OK);
}

static void teardown(void) {
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_mini_free(mini);
  ck_assert_uint_eq(cft_meter_held, 0);
}

static bool instrumented(void) {
  const char *value = getenv("CFT_INSTRUMENTED");
  return value && strcmp(value, "1") == 0;
}

/* ---- long pauses under load ---- */

static char *filler(size_t len) {
  char *members = cft_calloc(len + 8, 1);
  memcpy(members, "\"t\":\"", 5);
  memset(members + 5, 'x', len);
  members[5 + len] = '"';
  return members;
}

static void put_many(void) {
  char *members = filler(DOC);
  for (unsigned i = 0; i < MANY; i++) {
    char id[16];
    snprintf(id, sizeof id, "d%05u", i);
    cft_mini_put_doc(mini, id, "1-a", false, members);
  }
  free(members);
}

static int not_yet(cft_follow *follow, const changefeed_change *change) {
  (void)change;
  return follow->user ? CHANGEFEED_CONTINUE : CHANGEFEED_LATER;
}

static const struct {
  const char *name, *transport;
  unsigned kind; /* brings the rows */
} loads[] = {{"normal", "auto", CFT_NORMAL},
             {"continuous", "continuous", CFT_CONTINUOUS},
             {"longpoll", "longpoll", CFT_LONGPOLL},
             {"eventsource", "eventsource", CFT_EVENTSOURCE}};

START_TEST(test_pause_under_load_costs_neither_connection_nor_memory) {
  enum { QUEUE = 256 * 1024, SLACK = 300 * 1024 };
  size_t rss;
  put_many();
  if (loads[_i].kind != CFT_NORMAL) {
    cft_mini_config config = cft_mini_get_config(mini);
    config.pending = CFT_PENDING_NULL;
    cft_mini_set_config(mini, &config);
    cft_mini_fault(mini,
                   &(cft_fault){.on = CFT_NORMAL, .times = 1, .empty = true});
  }
  rss = cft_rss_bytes(getpid());
  f.on_row = not_yet;
  f.quiet = true;
  cft_follow_open(&f, loop, cft_mini_url(mini), "include_docs", "1",
                  "transport", loads[_i].transport, "heartbeat_ms", "200",
                  "max_queue_bytes", "262144", NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_PAUSED, LONG_MS));
  size_t asked = cft_peer_count(peer, CFT_ANY);
  cft_loop_for(loop, 10 * BEAT_MS);
  ck_assert_uint_eq(f.taken, 0);
  ck_assert_uint_eq(f.offered, 1);
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_PAUSED);
  ck_assert_uint_le(cft_follow_stats(&f).queued_bytes, QUEUE);
  ck_assert_uint_gt(cft_follow_stats(&f).queued_bytes, QUEUE / 4);
  ck_assert_uint_le(cft_meter_most, QUEUE + SLACK);
  if (!instrumented())
    ck_assert_uint_lt(cft_rss_bytes(getpid()), rss + 12 * MIB);
  f.user = &f;
  ck_assert_int_eq(changefeed_resume(f.feed), CHANGEFEED_OK);
  ck_assert_msg(cft_follow_until_rows(&f, MANY, LONG_MS), "%d rows",
                (int)f.taken);
  ck_assert_uint_eq(f.taken, MANY);
  ck_assert_uint_eq(cft_peer_count(peer, loads[_i].kind), 1);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
  ck_assert_uint_le(cft_meter_most, QUEUE + SLACK);
  ck_assert_uint_ge(cft_peer_count(peer, CFT_ANY), asked);
}
END_TEST

/* Nothing but heartbeats comes meanwhile. */
START_TEST(test_pause_when_all_is_quiet_costs_no_connection) {
  cft_follow_open(&f, loop, cft_mini_url(mini), "heartbeat_ms", "200", NULL);
  cft_mini_fill(mini, "d", 3);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
  ck_assert(cft_follow_until_requests(&f, 5, LONG_MS));
  ck_assert_int_eq(changefeed_pause(f.feed), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_pause(f.feed), CHANGEFEED_OK);
  cft_loop_for(loop, 10 * BEAT_MS);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 5);
  cft_mini_put(mini, "e", "1-a", false);
  cft_loop_for(loop, BEAT_MS);
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_int_eq(changefeed_resume(f.feed), CHANGEFEED_OK);
  ck_assert(cft_follow_until_rows(&f, 4, LONG_MS));
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 5);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}
END_TEST

/* Silence and ends are noticed in a pause too; what was not delivered is asked
   for again, and delivered once. */
START_TEST(test_pause_outlives_the_connection) {
  f.on_row = not_yet;
  cft_mini_fill(mini, "d", 50);
  cft_mini_fault(mini, &(cft_fault){.on = CFT_NORMAL,
                                    .times = 1,
                                    .cut = CFT_CUT_BODY,
                                    .cut_at = 600,
                                    .then = CFT_BLACKHOLE});
  cft_follow_open(&f, loop, cft_mini_url(mini), "heartbeat_ms", "200", NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_PAUSED, LONG_MS));
  cft_loop_for(loop, 5 * BEAT_MS);
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_PAUSED);
  ck_assert_uint_eq(f.taken, 0);
  ck_assert_uint_eq(cft_follow_stats(&f).faults_idle, 1);
  f.user = &f;
  ck_assert_int_eq(changefeed_resume(f.feed), CHANGEFEED_OK);
  ck_assert(cft_follow_until_rows(&f, 50, LONG_MS));
  cft_loop_for(loop, BEAT_MS);
  ck_assert_uint_eq(f.taken, 50);
  /* offered and refused is not delivered */
  ck_assert_uint_eq(cft_follow_stats(&f).repeats, 0);
  ck_assert_uint_eq(f.rows[0].flags & CHANGEFEED_REPEAT, 0);
}
END_TEST

/* ---- exact to the row ---- */

static int pause_at_third(cft_follow *follow, const changefeed_change *change) {
  if (change->ordinal % 3 == 0)
    (void)changefeed_pause(follow->feed);
  return CHANGEFEED_CONTINUE;
}

static int pause_at_batch(cft_follow *follow,
                          const changefeed_change *const *changes,
                          size_t count) {
  (void)changes;
  (void)count;
  (void)changefeed_pause(follow->feed);
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_pause_inside_a_callback_is_exact_to_the_row) {
  bool batch = _i != 0;
  f.batch = batch;
  f.on_row = pause_at_third;
  f.on_rows = pause_at_batch;
  cft_mini_fill(mini, "d", 12);
  cft_follow_open(&f, loop, cft_mini_url(mini), "batch_max", "3", NULL);
  for (uint64_t n = 3; n <= 12; n += 3) {
    ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_PAUSED, LONG_MS));
    ck_assert_uint_eq(f.taken, n);
    cft_loop_for(loop, 20);
    ck_assert_uint_eq(f.taken, n);
    ck_assert_int_eq(changefeed_resume(f.feed), CHANGEFEED_OK);
    cft_loop_for(loop, 1);
  }
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, LONG_MS));
  ck_assert_uint_eq(f.taken, 12);
}
END_TEST

/* Each row once with LATER, and once more to be taken. */
typedef struct twice {
  uint64_t ordinal;
  char id[16];
} twice;

static int second_time(cft_follow *follow, const changefeed_change *change) {
  twice *t = follow->user;
  if (t->ordinal == change->ordinal && strcmp(t->id, change->id.data) == 0)
    return CHANGEFEED_CONTINUE;
  if (change->ordinal != t->ordinal + 1)
    return -1;
  t->ordinal = change->ordinal;
  snprintf(t->id, sizeof t->id, "%s", change->id.data);
  return CHANGEFEED_LATER;
}

static void resume_at_pause(cft_follow *follow, const changefeed_event *event) {
  if (event->state == CHANGEFEED_STATE_PAUSED)
    (void)changefeed_resume(follow->feed);
}

START_TEST(test_pause_by_later_brings_the_same_row_again) {
  twice t = {0, ""};
  f.user = &t;
  f.on_row = second_time;
  f.on_state = resume_at_pause;
  cft_mini_fill(mini, "d", 20);
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_ENDED);
  ck_assert_uint_eq(f.taken, 20);
  ck_assert_uint_eq(f.offered, 40);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_PAUSED), 20);
  ck_assert_uint_eq(cft_follow_doubles(&f), 0);
}
END_TEST

/* A worker may have room again before the callback has said LATER. */
static int later_too_late(cft_follow *follow, const changefeed_change *change) {
  (void)change;
  if (follow->offered != 1)
    return CHANGEFEED_CONTINUE;
  (void)changefeed_resume(follow->feed);
  return CHANGEFEED_LATER;
}

START_TEST(test_pause_by_later_minds_a_resume_that_came_first) {
  f.on_row = later_too_late;
  cft_mini_fill(mini, "d", 3);
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_uint_eq(f.offered, 4);
}
END_TEST

/* ---- long rows ---- */

static int keep_length(cft_follow *follow, const changefeed_change *change) {
  size_t *len = follow->user;
  if (change->doc.len > *len)
    *len = change->doc.len;
  return CHANGEFEED_CONTINUE;
}

/* The server's work, which is linear, counts as well; other programs' does not.
 */
static int64_t cpu_ms(void) {
  struct timespec ts;
  ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts), 0);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The time it takes to follow a row of that size. */
static int64_t follow_long_row(size_t mib) {
  char *members = filler(mib * MIB), most[32];
  size_t len = 0;
  snprintf(most, sizeof most, "%zu", mib * MIB + 4096);
  cft_mini_put(mini, "before", "1-a", false);
  cft_mini_put_doc(mini, "long", "1-a", false, members);
  cft_mini_put(mini, "behind", "1-a", false);
  free(members);
  f.quiet = true;
  f.user = &len;
  f.on_row = keep_length;
  cft_follow_open(&f, loop, cft_mini_url(mini), "include_docs", "1", "mode",
                  "once", "max_row_bytes", most, NULL);
  ck_assert(cft_follow_until_rows(&f, 1, LONG_MS));
  int64_t begin = cpu_ms();
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  int64_t took = cpu_ms() - begin;
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_uint_ge(len, mib * MIB);
  ck_assert_msg(cft_meter_most <= mib * MIB + MIB + MIB / 4,
                "%zu KiB held for a row of %zu MiB", cft_meter_most / 1024,
                mib);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
  return took;
}

START_TEST(test_long_row_arrives_whole_and_in_linear_time) {
  int64_t small = follow_long_row(16);
  teardown();
  setup();
  int64_t large = follow_long_row(64);
  /* Linear is 4 times, quadratic 16 times as long. */
  ck_assert_msg(large <= 8 * small + 100, "16 MiB in %d ms, 64 MiB in %d ms",
                (int)small, (int)large);
}
END_TEST

static bool has_failed_thrice(void *user) {
  (void)user;
  return cft_follow_times(&f, CHANGEFEED_STATE_WAITING) >= 3;
}

/* It cannot be delivered; skipping it would lose it. */
START_TEST(test_long_row_beyond_the_limit_is_never_skipped) {
  char *members = filler(5000);
  char position[128], seq[128];
  cft_mini_fill(mini, "d", 3);
  cft_mini_put_doc(mini, "long", "1-a", false, members);
  cft_mini_put(mini, "behind", "1-a", false);
  free(members);
  cft_follow_open(&f, loop, cft_mini_url(mini), "include_docs", "1",
                  "max_row_bytes", "4096", "seq_interval", "1", NULL);
  ck_assert(cft_loop_until(loop, has_failed_thrice, NULL, LONG_MS));
  for (size_t i = 0; i < f.state_count; i++)
    if (f.states[i].state == CHANGEFEED_STATE_WAITING) {
      ck_assert_int_eq(f.states[i].code, CHANGEFEED_ERR_LIMIT);
      ck_assert_int_eq(f.states[i].retryable, 1);
      ck_assert_ptr_nonnull(strstr(f.states[i].message, "max_row_bytes"));
    }
  ck_assert_uint_eq(f.taken, 3);
  cft_follow_position(&f, position, sizeof position);
  cft_mini_seq(mini, 3, seq, sizeof seq);
  ck_assert_uint_eq(strlen(position), strlen(seq) - 2);
  ck_assert_int_eq(strncmp(position, seq + 1, strlen(position)), 0);
  cft_mini_put(mini, "long", "2-a", false); /* is short now */
  ck_assert(cft_follow_until_rows(&f, 5, LONG_MS));
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, LONG_MS));
  ck_assert_str_eq(cft_revs_get(f.revs, "long", NULL), "2-a");
  ck_assert_ptr_nonnull(cft_revs_get(f.revs, "behind", NULL));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fault_pause");
  TCase *t = tcase_create("pause");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t,
                      test_pause_under_load_costs_neither_connection_nor_memory,
                      0, sizeof loads / sizeof *loads);
  tcase_add_test(t, test_pause_when_all_is_quiet_costs_no_connection);
  tcase_add_test(t, test_pause_outlives_the_connection);
  tcase_add_loop_test(t, test_pause_inside_a_callback_is_exact_to_the_row, 0,
                      2);
  tcase_add_test(t, test_pause_by_later_brings_the_same_row_again);
  tcase_add_test(t, test_pause_by_later_minds_a_resume_that_came_first);
  tcase_add_test(t, test_long_row_arrives_whole_and_in_linear_time);
  tcase_add_test(t, test_long_row_beyond_the_limit_is_never_skipped);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
