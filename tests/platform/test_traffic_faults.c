/* What visitors make of servers that are slow, stop, break off, talk nonsense
   or too much; when latency counts from; and that all of it is bounded.
   ctest: LABEL threads
   ctest: COST 6 */
#include "platform/support/traffic_world.h"

#include "support/peer.h"

#include <stdatomic.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static const char *const hosts[] = {"a.example"};

/* A server that a handler plays, and visitors to it. */
typedef struct world {
  cft_peer *peer;
  char target[32];
  const char *targets[1];
  results all;
  /* between the test and the server's threads */
  atomic_bool stopped;
  atomic_int step;
  const char *script;
} world;

static traffic_config world_open(world *w, cft_handler handler) {
  w->peer = cft_peer_start(NULL, handler, w);
  (void)snprintf(w->target, sizeof w->target, "127.0.0.1:%u",
                 (unsigned)cft_peer_port(w->peer));
  w->targets[0] = w->target;
  atomic_store(&w->stopped, false);
  return (traffic_config){.targets = w->targets,
                          .target_count = 1,
                          .hosts = hosts,
                          .host_count = 1,
                          .rate = 200,
                          .seed = 1,
                          .mix = {[TRAFFIC_PLAIN] = 1},
                          .flights_most = 500};
}

static void world_close(world *w) {
  cft_peer_free(w->peer);
  results_free(&w->all);
}

/* ---- when latency counts from ---- */

/* Answers, but for a while not at all. */
static void on_stops(cft_conn *conn, void *user) {
  world *w = user;
  const cft_request *request;

  cft_conn_wakeable(conn);
  while (cft_conn_read_request(conn, &request)) {
    while (atomic_load(&w->stopped))
      if (cft_conn_wait(conn, -1) == CFT_WAIT_GONE)
        return;
    if (!cft_conn_send(conn, OK, strlen(OK)))
      return;
  }
}

typedef struct spell {
  int64_t begin_us, end_us;
} spell;

static bool is_past(void *user) {
  const spell *s = user;

  return traffic_now_us() >= s->end_us;
}

/* Visits intended from then to then; how many of them took till the end. */
static size_t intended_in(const results *all, spell s, size_t *waited) {
  size_t count = 0;

  *waited = 0;
  for (size_t i = 0; i < all->count; i++) {
    const traffic_result *r = &all->all[i]->r;

    if (r->intended_us < s.begin_us || r->intended_us >= s.end_us)
      continue;
    count++;
    *waited += r->end_us >= s.end_us;
  }
  return count;
}

START_TEST(test_latency_counts_from_when_a_visit_was_due) {
  enum { SECOND = 1000000, RATE = 100 };
  world w;
  traffic_config c = world_open(&w, on_stops);
  spell before, stop;
  size_t waited, count, usual;
  traffic *t;

  c.rate = RATE;
  c.flights_most = 5000;
  t = traffic_begin(c, &w.all);
  await_told(&w.all, 1);
  before.begin_us = traffic_now_us();
  before.end_us = before.begin_us + SECOND;
  ck_assert(cft_until(is_past, &before, PATIENCE_MS));
  atomic_store(&w.stopped, true);
  stop.begin_us = traffic_now_us();
  stop.end_us = stop.begin_us + SECOND;
  ck_assert(cft_until(is_past, &stop, PATIENCE_MS));
  stop.end_us = traffic_now_us(); /* at least that long nothing was answered */
  atomic_store(&w.stopped, false);
  cft_peer_wake(w.peer);
  traffic_pause(t, true);
  await_over(t, 1);
  (void)traffic_finish(t, &w.all);
  usual = intended_in(&w.all, before, &waited);
  ck_assert_uint_gt(usual, RATE / 2);
  count = intended_in(&w.all, stop, &waited);
  /* As many were due as ever, and each waited to the end. */
  ck_assert_msg(count > RATE / 2, "%d", (int)count);
  ck_assert_msg(waited == count, "%d of %d", (int)waited, (int)count);
  ck_assert_uint_eq(results_of(&w.all, TRAFFIC_ANSWERED), w.all.count);
  world_close(&w);
}
END_TEST

/* The generator itself is held up, as by a machine that has no time for it; and
   is told something meanwhile. */
static void results_slowly(void *ctx, const traffic_result *r) {
  spell held = {.end_us = traffic_now_us() + 300000};
  world *w = ctx;

  results_add(&w->all, r);
  if (r->number != 20)
    return;
  atomic_store(&w->step, 1);
  ck_assert(cft_until(is_past, &held, PATIENCE_MS));
}

static bool is_held(void *user) {
  world *w = user;

  return atomic_load(&w->step) != 0;
}

START_TEST(test_a_visit_that_is_begun_late_was_due_in_time) {
  enum { VISITS = 150 };
  world w = {.step = 0};
  traffic_config c = world_open(&w, on_stops);
  int64_t first = INT64_MAX, last = 0, latest = 0;
  char error[256] = "";
  traffic *t;

  results_init(&w.all);
  c.total_most = VISITS;
  c.on_result = results_slowly;
  c.ctx = &w;
  t = traffic_open(&c, error, sizeof error);
  ck_assert_msg(t != NULL, "%s", error);
  ck_assert(cft_until(is_held, &w, PATIENCE_MS));
  ck_assert(traffic_set_rate(t, c.rate));
  await_over(t, VISITS);
  (void)traffic_finish(t, &w.all);
  for (size_t i = 0; i < VISITS; i++) {
    const traffic_result *r = &w.all.all[i]->r;
    int64_t late = r->begun_us - r->intended_us;

    first = r->intended_us < first ? r->intended_us : first;
    last = r->intended_us > last ? r->intended_us : last;
    latest = late > latest ? late : latest;
  }
  /* 200 a second: in 300 ms some 60 became due, the first of them at once; and
     all 150 were due within less than a second, whatever held it up. */
  ck_assert_int_gt(latest, 150000);
  ck_assert_int_gt(last - first, 400000);
  ck_assert_int_lt(last - first, 1200000);
  world_close(&w);
}
END_TEST

/* ---- limits ---- */

static void on_silence(cft_conn *conn, void *user) {
  (void)user;
  cft_conn_stall(conn);
}

START_TEST(test_what_cannot_be_begun_is_told_and_what_hangs_is_late) {
  enum { VISITS = 120, FLIGHTS = 4 };
  world w;
  traffic_config c = world_open(&w, on_silence);
  traffic_counts counts;
  traffic *t;

  c.flights_most = FLIGHTS;
  c.visit_ms = 200;
  c.total_most = VISITS;
  t = traffic_begin(c, &w.all);
  await_over(t, VISITS);
  counts = traffic_finish(t, &w.all);
  ck_assert_uint_eq(w.all.count, VISITS);
  ck_assert_uint_eq(counts.flights_peak, FLIGHTS);
  ck_assert_uint_ge(counts.told[TRAFFIC_LATE], FLIGHTS);
  ck_assert_uint_gt(counts.told[TRAFFIC_NOT_BEGUN], 0);
  ck_assert_uint_eq(counts.told[TRAFFIC_LATE] + counts.told[TRAFFIC_NOT_BEGUN],
                    VISITS);
  for (size_t i = 0; i < w.all.count; i++) {
    const traffic_result *r = &w.all.all[i]->r;

    if (r->outcome == TRAFFIC_LATE)
      ck_assert_int_ge(r->end_us - r->begun_us, 200000);
    else
      ck_assert_str_eq(r->why, "Too many visits are under way.");
  }
  world_close(&w);
}
END_TEST

START_TEST(test_pairs_are_told_as_two_also_when_they_cannot_be_begun) {
  enum { VISITS = 31 };
  world w;
  traffic_config c = world_open(&w, on_silence);
  traffic_counts counts;
  traffic *t;

  c.mix[TRAFFIC_PLAIN] = 0;
  c.mix[TRAFFIC_PIPELINED] = 1;
  c.flights_most = 5;
  c.visit_ms = 100;
  c.total_most = VISITS;
  t = traffic_begin(c, &w.all);
  await_over(t, VISITS);
  counts = traffic_finish(t, &w.all);
  ck_assert_uint_eq(w.all.count, VISITS);
  ck_assert_uint_eq(counts.told[TRAFFIC_LATE] + counts.told[TRAFFIC_NOT_BEGUN],
                    VISITS);
  ck_assert_uint_gt(counts.told[TRAFFIC_LATE], 0);
  world_close(&w);
}
END_TEST

START_TEST(test_it_ends_within_its_time_and_tells_what_was_under_way) {
  world w;
  traffic_config c = world_open(&w, on_silence);
  traffic_counts counts;
  int64_t begun_ms;
  traffic *t;

  c.close_ms = 200;
  t = traffic_begin(c, &w.all);
  ck_assert(cft_peer_wait_accepted(w.peer, 20, PATIENCE_MS));
  begun_ms = cft_now_ms();
  counts = traffic_finish(t, &w.all);
  ck_assert_int_lt(cft_now_ms() - begun_ms, PATIENCE_MS);
  ck_assert_uint_ge(counts.flights, 20);
  ck_assert_uint_eq(results_of(&w.all, TRAFFIC_STOPPED), w.all.count);
  world_close(&w);
}
END_TEST

static void on_answers(cft_conn *conn, void *user) {
  const cft_request *request;

  (void)user;
  while (cft_conn_read_request(conn, &request))
    if (!cft_conn_send(conn, OK, strlen(OK)))
      return;
}

START_TEST(test_idle_connections_are_used_again_and_few_are_kept) {
  enum { VISITS = 300 };
  world w;
  traffic_config c = world_open(&w, on_answers);
  traffic_counts counts;
  traffic *t;

  c.rate = 2000;
  c.kept_most = 3;
  c.total_most = VISITS;
  t = traffic_begin(c, &w.all);
  await_over(t, VISITS);
  counts = traffic_finish(t, &w.all);
  ck_assert_uint_eq(counts.told[TRAFFIC_ANSWERED], VISITS);
  ck_assert_uint_le(counts.kept, 3);
  ck_assert_uint_gt(counts.kept, 0);
  ck_assert_uint_lt(counts.connects, VISITS);
  ck_assert_uint_eq(counts.connects, cft_peer_accepted(w.peer));
  world_close(&w);
}
END_TEST

START_TEST(test_nothing_is_due_while_it_is_paused_and_nothing_is_made_up_for) {
  world w;
  traffic_config c = world_open(&w, on_answers);
  spell quiet;
  uint64_t due;
  traffic *t;

  c.paused = true;
  c.rate = 1000;
  t = traffic_begin(c, &w.all);
  quiet.end_us = traffic_now_us() + 200000;
  ck_assert(cft_until(is_past, &quiet, PATIENCE_MS));
  ck_assert_uint_eq(traffic_get_counts(t).due, 0);
  ck_assert(!traffic_set_rate(t, 0));
  ck_assert(!traffic_set_rate(t, 1e9));
  ck_assert(traffic_set_rate(t, 0.001)); /* in half an hour or so */
  traffic_pause(t, false);
  quiet.end_us = traffic_now_us() + 200000;
  ck_assert(cft_until(is_past, &quiet, PATIENCE_MS));
  due = traffic_get_counts(t).due;
  ck_assert_uint_le(due, 1);
  ck_assert(traffic_set_rate(t, 500));
  await_over(t, due + 20);
  (void)traffic_finish(t, &w.all);
  for (size_t i = 0; i < w.all.count; i++)
    ck_assert(w.all.all[i]->r.number <= due ||
              w.all.all[i]->r.intended_us >= quiet.end_us);
  world_close(&w);
}
END_TEST

/* ---- servers that are wrong ---- */

static void on_script(cft_conn *conn, void *user) {
  world *w = user;
  const cft_request *request;

  if (cft_conn_read_request(conn, &request))
    (void)cft_conn_send(conn, w->script, strlen(w->script));
}

typedef struct fault {
  const char *answer; /* behind which the connection is closed */
  enum traffic_outcome outcome;
  const char *why; /* part of it */
  int status;
  enum traffic_verdict verdict;
} fault;

static const fault faults[] = {
    {OK, TRAFFIC_ANSWERED, "", 200, TRAFFIC_FOREIGN},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", TRAFFIC_ANSWERED, "", 200,
     TRAFFIC_FOREIGN},
    {"HTTP/1.1 200 OK\r\nX-Drone-Claim: a/1\r\nContent-Length: 14\r\n\r\n"
     "app=a nonce=n\n",
     TRAFFIC_ANSWERED, "", 200, TRAFFIC_FOREIGN},
    {"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\napp=a nonce=n\n",
     TRAFFIC_ANSWERED, "", 200, TRAFFIC_OWN},
    {"", TRAFFIC_CUT_HEAD, "closed", 0, TRAFFIC_NOTHING},
    {"HTTP/1.1 200 OK\r\nContent-Le", TRAFFIC_CUT_HEAD, "closed", 0,
     TRAFFIC_NOTHING},
    {"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\napp=a", TRAFFIC_CUT_BODY,
     "closed", 200, TRAFFIC_OWN},
    {"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\napp=b", TRAFFIC_CUT_BODY,
     "closed", 200, TRAFFIC_FOREIGN},
    {"nonsense\r\n\r\n", TRAFFIC_BROKEN, "", 0, TRAFFIC_NOTHING},
    {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
     "Upgrade: websocket\r\n\r\n",
     TRAFFIC_BROKEN, "not asked for", 101, TRAFFIC_NOTHING},
    {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
     "0123456789012345678901234567890123456789",
     TRAFFIC_BROKEN, "more of the answer", 200, TRAFFIC_FOREIGN},
};

START_TEST(test_an_answer_that_is_wrong_is_told_as_what_it_is) {
  const fault *f = &faults[_i];
  world w = {.script = f->answer};
  traffic_config c = world_open(&w, on_script);
  traffic *t;

  c.total_most = 3;
  c.bytes_most = 32;
  c.mix[TRAFFIC_PLAIN] = 0;
  c.mix[TRAFFIC_LAST] = 1;
  t = traffic_begin(c, &w.all);
  await_over(t, 3);
  (void)traffic_finish(t, &w.all);
  for (size_t i = 0; i < w.all.count; i++) {
    const traffic_result *r = &w.all.all[i]->r;

    ck_assert_msg(r->outcome == f->outcome, "%s", said_of(r));
    ck_assert_msg(strstr(r->why, f->why) != NULL, "%s", said_of(r));
    ck_assert_int_eq(r->status, f->status);
    ck_assert_msg(traffic_judge(r, "app=a nonce=n", NULL, 0) == f->verdict,
                  "%s", said_of(r));
    ck_assert_int_eq(r->inside, strstr(f->answer, "X-Drone") != NULL);
  }
  world_close(&w);
}
END_TEST

START_TEST(test_who_takes_no_connection_is_told_as_that) {
  cft_peer *closed = cft_peer_reserve(NULL, on_answers, NULL);
  char target[32];
  const char *targets[1] = {target};
  traffic_config c = {.targets = targets,
                      .target_count = 1,
                      .hosts = hosts,
                      .host_count = 1,
                      .rate = 200,
                      .total_most = 30};
  results all;
  traffic *t;

  (void)snprintf(target, sizeof target, "127.0.0.1:%u",
                 (unsigned)cft_peer_port(closed));
  t = traffic_begin(c, &all);
  await_over(t, 30);
  (void)traffic_finish(t, &all);
  ck_assert_uint_eq(results_of(&all, TRAFFIC_NOT_CONNECTED), 30);
  for (size_t i = 0; i < all.count; i++) {
    ck_assert_str_eq(all.all[i]->r.why, "connection refused");
    ck_assert_int_eq(traffic_judge(&all.all[i]->r, "x", NULL, 0),
                     TRAFFIC_NOTHING);
  }
  results_free(&all);
  cft_peer_free(closed);
}
END_TEST

/* ---- how it is sent ---- */

typedef struct seen {
  size_t reads, len;
  bool whole, ended;
  char data[4096];
} seen;

/* Reads until the request is whole and, if that is waited for, its end. */
static bool read_all(cft_conn *conn, seen *s, bool to_end) {
  size_t got;

  while (!s->whole || (to_end && !s->ended)) {
    if (!cft_conn_read(conn, s->data + s->len, sizeof s->data - 1 - s->len,
                       &got))
      return false;
    s->ended = got == 0;
    if (s->ended && !s->whole)
      return false;
    s->reads += got != 0;
    s->len += got;
    s->data[s->len] = '\0';
    s->whole = strstr(s->data, "\r\n\r\n") != NULL;
  }
  return true;
}

/* Answers how many reads it took, behind the end of what is sent. */
static void on_counts(cft_conn *conn, void *user) {
  world *w = user;
  seen s = {.reads = 0};
  char body[32];

  if (!read_all(conn, &s, atomic_load(&w->step) != 0))
    return;
  (void)snprintf(body, sizeof body, "%08zu", s.reads);
  (void)cft_conn_sendf(conn,
                       "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n"
                       "Connection: close\r\n\r\n%s",
                       body);
}

/* Of visits of that kind, the reads that all of them took. */
static size_t reads_of(enum traffic_kind kind, bool to_end) {
  enum { VISITS = 10 };
  world w;
  traffic_config c = world_open(&w, on_counts);
  size_t reads = 0;
  traffic *t;

  atomic_store(&w.step, to_end);
  c.mix[TRAFFIC_PLAIN] = 0;
  c.mix[kind] = 1;
  c.slow_ms = 1000;
  c.visit_ms = PATIENCE_MS;
  c.total_most = VISITS;
  t = traffic_begin(c, &w.all);
  await_over(t, VISITS);
  (void)traffic_finish(t, &w.all);
  for (size_t i = 0; i < VISITS; i++) {
    const traffic_result *r = &w.all.all[i]->r;

    ck_assert_msg(r->outcome == TRAFFIC_ANSWERED, "%s", said_of(r));
    reads += strtoul(r->body, NULL, 10);
  }
  world_close(&w);
  return reads;
}

START_TEST(test_slow_ones_come_in_pieces_and_half_closed_ones_end) {
  ck_assert_uint_eq(reads_of(TRAFFIC_LAST, false), 10);
  ck_assert_uint_eq(reads_of(TRAFFIC_HALF_CLOSE, true), 10);
  /* A server that comes late finds several pieces at once. */
  ck_assert_uint_gt(reads_of(TRAFFIC_SLOW, false), 10);
  ck_assert_uint_ge(reads_of(TRAFFIC_BYTES, false), 10);
}
END_TEST

/* Tells in step how many requests were ever whole. */
static void on_watches(cft_conn *conn, void *user) {
  world *w = user;
  seen s = {.reads = 0};

  if (read_all(conn, &s, false))
    atomic_fetch_add(&w->step, 1);
}

START_TEST(test_a_head_that_is_broken_off_is_never_whole) {
  world w = {.step = 0};
  traffic_config c = world_open(&w, on_watches);
  traffic *t;

  c.mix[TRAFFIC_PLAIN] = 0;
  c.mix[TRAFFIC_ABORT_HEAD] = 1;
  c.total_most = 30;
  t = traffic_begin(c, &w.all);
  await_over(t, 30);
  (void)traffic_finish(t, &w.all);
  ck_assert_uint_eq(results_of(&w.all, TRAFFIC_ABORTED), 30);
  ck_assert(cft_peer_wait_accepted(w.peer, 30, PATIENCE_MS));
  cft_peer_stop(w.peer);
  ck_assert_int_eq(atomic_load(&w.step), 0);
  world_close(&w);
}
END_TEST

/* ---- kept connections ---- */

/* One answer, then the end as soon as something else is asked for. */
static void on_once(cft_conn *conn, void *user) {
  const cft_request *request;

  (void)user;
  if (cft_conn_read_request(conn, &request) &&
      cft_conn_send(conn, OK, strlen(OK)))
    (void)cft_conn_read_request(conn, &request);
}

START_TEST(test_a_kept_connection_that_is_closed_costs_nobody_his_answer) {
  enum { VISITS = 100 };
  world w;
  traffic_config c = world_open(&w, on_once);
  traffic_counts counts;
  traffic *t;

  c.total_most = VISITS;
  t = traffic_begin(c, &w.all);
  await_over(t, VISITS);
  counts = traffic_finish(t, &w.all);
  ck_assert_uint_eq(counts.told[TRAFFIC_ANSWERED], VISITS);
  ck_assert_uint_gt(counts.again, VISITS / 5);
  world_close(&w);
}
END_TEST

/* An answer, and another one that nobody has asked for. */
static void on_twice(cft_conn *conn, void *user) {
  const cft_request *request;

  (void)user;
  if (cft_conn_read_request(conn, &request) &&
      cft_conn_send(conn, OK OK, strlen(OK OK)))
    cft_conn_stall(conn);
}

START_TEST(test_bytes_that_nobody_asked_for_are_counted) {
  world w;
  traffic_config c = world_open(&w, on_twice);
  traffic_counts counts;
  traffic *t;

  c.total_most = 20;
  t = traffic_begin(c, &w.all);
  await_over(t, 20);
  counts = traffic_finish(t, &w.all);
  ck_assert_uint_eq(counts.told[TRAFFIC_ANSWERED], 20);
  ck_assert_uint_eq(counts.unasked, 20 * strlen(OK));
  ck_assert_uint_eq(counts.connects, 20);
  world_close(&w);
}
END_TEST

/* ---- what cannot be asked for ---- */

static void refuse(traffic_config c, const char *names) {
  char error[256] = "";

  ck_assert_ptr_null(traffic_open(&c, error, sizeof error));
  ck_assert_msg(strstr(error, names) != NULL, "\"%s\" does not say %s", error,
                names);
}

#define REFUSE(field, value, names)                                            \
  do {                                                                         \
    traffic_config bad_ = good;                                                \
    bad_.field = (value);                                                      \
    refuse(bad_, (names));                                                     \
  } while (0)

START_TEST(test_a_configuration_that_cannot_be_is_refused_by_name) {
  static const char *const named[] = {"localhost:80"}, *const odd[] = {"A b"};
  static const char *const targets[] = {"127.0.0.1:80"};
  results all;
  traffic_config good = {.targets = targets,
                         .target_count = 1,
                         .hosts = hosts,
                         .host_count = 1,
                         .rate = 1,
                         .on_result = results_add,
                         .ctx = &all};

  REFUSE(on_result, NULL, "results");
  REFUSE(target_count, 0, "targets");
  REFUSE(target_count, TRAFFIC_TARGETS + 1, "targets");
  REFUSE(targets, named, "localhost:80");
  REFUSE(host_count, 0, "hosts");
  REFUSE(hosts, odd, "A b");
  REFUSE(rate, 0, "rate");
  REFUSE(rate, 1e6, "rate");
  REFUSE(zipf, -1, "Zipf");
  REFUSE(zipf, 5, "Zipf");
  REFUSE(visit_ms, -1, "time");
  REFUSE(close_ms, 4000000, "time");
  REFUSE(source, "::1", "::1");
  REFUSE(sources, 5, "sources");
  REFUSE(forged, "a\r\nb", "forged");
  REFUSE(body_most, 1u << 30, "body");
  traffic_close(NULL);
}
END_TEST

int main(void) {
  Suite *s = suite_create("traffic_faults");
  TCase *c = tcase_create("faults");

  tcase_add_test(c, test_latency_counts_from_when_a_visit_was_due);
  tcase_add_test(c, test_a_visit_that_is_begun_late_was_due_in_time);
  tcase_add_test(c, test_what_cannot_be_begun_is_told_and_what_hangs_is_late);
  tcase_add_test(c, test_pairs_are_told_as_two_also_when_they_cannot_be_begun);
  tcase_add_test(c, test_it_ends_within_its_time_and_tells_what_was_under_way);
  tcase_add_test(c, test_idle_connections_are_used_again_and_few_are_kept);
  tcase_add_test(
      c, test_nothing_is_due_while_it_is_paused_and_nothing_is_made_up_for);
  tcase_add_loop_test(c, test_an_answer_that_is_wrong_is_told_as_what_it_is, 0,
                      (int)(sizeof faults / sizeof *faults));
  tcase_add_test(c, test_who_takes_no_connection_is_told_as_that);
  tcase_add_test(c, test_slow_ones_come_in_pieces_and_half_closed_ones_end);
  tcase_add_test(c, test_a_head_that_is_broken_off_is_never_whole);
  tcase_add_test(c,
                 test_a_kept_connection_that_is_closed_costs_nobody_his_answer);
  tcase_add_test(c, test_bytes_that_nobody_asked_for_are_counted);
  tcase_add_test(c, test_a_configuration_that_cannot_be_is_refused_by_name);
  suite_add_tcase(s, c);
  return cft_run(s);
}
