/* Visitors of each kind, through the real proxy to real apps: each has an
   answer, it is his app's byte by byte, and who leaves in the middle does no
   harm. What is foreign, or a page, is told as such; and what was cut because a
   target was ended.
   ctest: LABEL threads
   ctest: TIMEOUT 240
   ctest: COST 8 */
#include "platform/support/front.h"
#include "platform/support/traffic_world.h"

#include <arpa/inet.h>

enum { APPS = 3 };

/* Two fronts behind each other, as a balancer and a drone's guard are, with a
   host for each app, and one that nobody has. */
typedef struct world {
  nonce_app apps[APPS];
  front_route routes[APPS];
  front *inner, *f;
  char target[32];
  results all;
} world;

static const char *const hosts[] = {"a.example", "b.example", "c.example",
                                    "nobody.example"};

static void open_front(world *w) {
  front_config config = {.listen = NULL};

  (void)snprintf(config.target, sizeof config.target, "127.0.0.1:%u",
                 (unsigned)front_port(w->inner));
  w->f = front_start(&config);
  (void)snprintf(w->target, sizeof w->target, "127.0.0.1:%u",
                 (unsigned)front_port(w->f));
}

static void world_open(world *w) {
  front_config inner = {.routes = w->routes, .route_count = APPS};
  static const char *const names[APPS] = {"a", "b", "c"};
  static const char *const nonces[APPS] = {"first", "second", "third"};

  for (size_t i = 0; i < APPS; i++) {
    nonce_app_start(&w->apps[i], names[i], nonces[i]);
    w->routes[i] = (front_route){hosts[i], w->apps[i].target};
  }
  w->inner = front_start(&inner);
  open_front(w);
}

static void world_close(world *w) {
  front_stop(w->f);
  front_stop(w->inner);
  for (size_t i = 0; i < APPS; i++)
    nonce_app_stop(&w->apps[i]);
  results_free(&w->all);
}

static traffic_config config_of(const char *const *targets) {
  traffic_config c = {.targets = targets,
                      .target_count = 1,
                      .hosts = hosts,
                      .host_count = APPS,
                      .rate = 400,
                      .seed = 7,
                      .zipf = 0.5,
                      .slow_ms = 200,
                      .big_lines = 2000,
                      .flights_most = 1000,
                      .source = "127.9.0.250",
                      .sources = 20};

  return c;
}

/* ---- each kind ---- */

static bool is_abort(enum traffic_kind kind) {
  return kind == TRAFFIC_ABORT_HEAD || kind == TRAFFIC_ABORT_BODY ||
         kind == TRAFFIC_ABORT_ANSWER;
}

static void check_times(const traffic_result *r) {
  ck_assert_int_ge(r->begun_us, r->intended_us);
  ck_assert_int_ge(r->end_us, r->begun_us);
  if (r->outcome == TRAFFIC_ANSWERED)
    ck_assert_int_ne(r->asked_us, 0);
  if (r->asked_us != 0) {
    ck_assert_int_ge(r->asked_us, r->begun_us);
    ck_assert_int_ge(r->end_us, r->asked_us);
  }
  if (r->first_byte_us != 0) {
    ck_assert_int_ge(r->first_byte_us, r->begun_us);
    ck_assert_int_ge(r->end_us, r->first_byte_us);
  }
}

static void check_source(const traffic_result *r) {
  struct in_addr at;

  ck_assert_int_eq(inet_pton(AF_INET, r->source, &at), 1);
  ck_assert_uint_ge(ntohl(at.s_addr), 0x7f0900fa); /* 127.9.0.250 */
  ck_assert_uint_lt(ntohl(at.s_addr), 0x7f0900fa + 20);
}

/* What an undisturbed visit comes to. */
static void check_visit(const world *w, const traffic_result *r) {
  enum traffic_verdict verdict =
      traffic_judge(r, w->apps[r->host].page, NULL, 0);

  check_times(r);
  check_source(r);
  if (is_abort(r->kind)) {
    ck_assert_msg(r->outcome == TRAFFIC_ABORTED, "%s", said_of(r));
    ck_assert_msg(verdict == TRAFFIC_NOTHING || verdict == TRAFFIC_OWN, "%s",
                  said_of(r));
    return;
  }
  ck_assert_msg(r->outcome == TRAFFIC_ANSWERED, "%s", said_of(r));
  ck_assert_msg(verdict == TRAFFIC_OWN, "%s", said_of(r));
  ck_assert_int_eq(r->status, r->kind == TRAFFIC_WEBSOCKET ? 101 : 200);
  ck_assert_str_eq(r->page, w->apps[r->host].page);
  if (r->kind == TRAFFIC_HEAD)
    ck_assert_uint_eq(r->length, 0);
  else
    ck_assert_uint_gt(r->length, strlen(r->page));
  if (r->kind == TRAFFIC_BIG)
    ck_assert_uint_gt(r->length, 2000 * strlen(r->page));
}

START_TEST(test_visits_of_each_kind_are_answered_by_their_app) {
  enum { VISITS = 40 };
  enum traffic_kind kind = (enum traffic_kind)_i;
  world w;
  const char *targets[1];
  traffic_config c;
  traffic_counts counts;
  uint64_t bytes = 0;
  traffic *t;

  world_open(&w);
  targets[0] = w.target;
  c = config_of(targets);
  c.mix[kind] = 1;
  c.total_most = VISITS;
  t = traffic_begin(c, &w.all);
  await_over(t, VISITS);
  counts = traffic_finish(t, &w.all);
  ck_assert_uint_eq(w.all.count, VISITS);
  ck_assert_uint_eq(counts.unasked, 0);
  for (size_t i = 0; i < VISITS; i++) {
    const traffic_result *r = &w.all.all[i]->r;

    ck_assert_int_eq(r->kind, kind);
    check_visit(&w, r);
    bytes += r->length;
  }
  /* Who leaves within the answer has seen some of it. */
  ck_assert((bytes != 0) ==
            (kind != TRAFFIC_HEAD && kind != TRAFFIC_ABORT_HEAD &&
             kind != TRAFFIC_ABORT_BODY));
  world_close(&w);
}
END_TEST

/* ---- all of them ---- */

START_TEST(test_all_kinds_together_share_connections_and_harm_nobody) {
  const uint64_t visits = cft_is_slow() ? 500 : 1000;
  world w;
  const char *targets[1];
  size_t kinds[TRAFFIC_KINDS] = {0};
  traffic_config c;
  traffic_counts counts;
  traffic *t;

  world_open(&w);
  targets[0] = w.target;
  c = config_of(targets);
  c.total_most = visits;
  c.rate = cft_is_slow() ? 300 : 900;
  c.forged = "a/00000000000000000000000000000000";
  t = traffic_begin(c, &w.all);
  await_over(t, visits);
  counts = traffic_finish(t, &w.all);
  ck_assert_uint_eq(w.all.count, visits);
  for (size_t i = 0; i < visits; i++) {
    check_visit(&w, &w.all.all[i]->r);
    kinds[w.all.all[i]->r.kind]++;
  }
  for (size_t i = 0; i < TRAFFIC_KINDS; i++)
    ck_assert_msg(kinds[i] != 0, "no visit %s", traffic_kind_name(i));
  ck_assert_uint_gt(kinds[TRAFFIC_PLAIN], visits / 2);
  ck_assert_uint_eq(counts.unasked, 0);
  ck_assert_uint_eq(
      counts.told[TRAFFIC_ANSWERED] + counts.told[TRAFFIC_ABORTED], visits);
  ck_assert_uint_lt(counts.connects, visits * 3 / 4);
  ck_assert_uint_gt(counts.connects, visits / 10);
  ck_assert_uint_le(counts.kept, 64);
  world_close(&w);
}
END_TEST

/* ---- what is not right ---- */

START_TEST(test_another_apps_page_is_foreign_however_it_is_asked_for) {
  enum { VISITS = 300 };
  world w;
  const char *targets[1];
  traffic_config c;
  size_t foreign = 0;
  traffic *t;

  world_open(&w);
  w.routes[1].target = w.apps[0].target; /* b is sent to a's app */
  targets[0] = w.target;
  c = config_of(targets);
  c.host_count = 2;
  c.total_most = VISITS;
  t = traffic_begin(c, &w.all);
  await_over(t, VISITS);
  (void)traffic_finish(t, &w.all);
  for (size_t i = 0; i < VISITS; i++) {
    const traffic_result *r = &w.all.all[i]->r;
    char said[256];
    enum traffic_verdict verdict =
        traffic_judge(r, w.apps[r->host].page, said, sizeof said);

    if (r->host == 0 || verdict == TRAFFIC_NOTHING) {
      ck_assert_msg(verdict == TRAFFIC_OWN || is_abort(r->kind), "%s",
                    said_of(r));
      continue;
    }
    ck_assert_msg(verdict == TRAFFIC_FOREIGN, "%s", said_of(r));
    ck_assert_ptr_nonnull(strstr(said, "another app"));
    foreign++;
  }
  ck_assert_uint_gt(foreign, VISITS / 10);
  world_close(&w);
}
END_TEST

START_TEST(test_a_page_of_the_balancer_is_one) {
  enum { VISITS = 60 };
  world w;
  const char *targets[1];
  traffic_config c;
  traffic *t;

  world_open(&w);
  targets[0] = w.target;
  c = config_of(targets);
  c.hosts = &hosts[APPS];
  c.host_count = 1;
  c.total_most = VISITS;
  t = traffic_begin(c, &w.all);
  await_over(t, VISITS);
  (void)traffic_finish(t, &w.all);
  for (size_t i = 0; i < VISITS; i++) {
    const traffic_result *r = &w.all.all[i]->r;

    if (is_abort(r->kind) && r->status == 0)
      continue;
    ck_assert_msg(r->outcome == TRAFFIC_ANSWERED, "%s", said_of(r));
    ck_assert_int_eq(r->status, 404);
    ck_assert_str_eq(r->error, "E01");
    ck_assert_int_eq(traffic_judge(r, "app=x nonce=y", NULL, 0), TRAFFIC_PAGE);
  }
  world_close(&w);
}
END_TEST

/* ---- the app itself ---- */

START_TEST(test_the_app_lets_go_of_who_says_nothing_when_it_is_full) {
  enum { SILENT = 256 };
  nonce_app a;
  cft_client silent[SILENT], one;
  uint16_t port;
  char *body;

  nonce_app_start(&a, "a", "n");
  port = (uint16_t)strtoul(strchr(a.target, ':') + 1, NULL, 10);
  for (size_t i = 0; i < SILENT; i++)
    ck_assert(cft_client_connect(&silent[i], port));
  ck_assert(cft_client_connect(&one, port));
  body = front_ask(&one, "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ck_assert_ptr_nonnull(body);
  ck_assert_str_eq(body, "app=a nonce=n\n");
  free(body);
  ck_assert_int_le(cft_fd_count(cft_proc_pid(a.proc)), SILENT + 10);
  cft_client_close(&one);
  for (size_t i = 0; i < SILENT; i++)
    cft_client_close(&silent[i]);
  nonce_app_stop(&a);
}
END_TEST

START_TEST(test_the_app_refuses_what_it_does_not_understand) {
  static const char *const requests[] = {
      "GET / HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx"};
  nonce_app a;
  uint16_t port;

  nonce_app_start(&a, "a", "n");
  port = (uint16_t)strtoul(strchr(a.target, ':') + 1, NULL, 10);
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    cft_client c;

    ck_assert(cft_client_connect(&c, port));
    free(front_ask(&c, "GET", requests[i]));
    ck_assert_msg(front_status(c.data) == 400, "%s: %s", requests[i], c.data);
    ck_assert(front_has(c.data, "X-Nonce: app=a nonce=n"));
    ck_assert(front_has(c.data, "Connection: close"));
    cft_client_close(&c);
  }
  nonce_app_stop(&a);
}
END_TEST

/* ---- targets ---- */

static size_t visits_of(results *all, int target, unsigned generation) {
  size_t count = 0;

  (void)pthread_mutex_lock(&all->lock);
  for (size_t i = 0; i < all->count; i++)
    count += all->all[i]->r.target == target &&
             all->all[i]->r.generation == generation &&
             all->all[i]->r.outcome == TRAFFIC_ANSWERED;
  (void)pthread_mutex_unlock(&all->lock);
  return count;
}

typedef struct visited {
  results *all;
  int target;
  unsigned generation;
  size_t least;
} visited;

static bool is_visited(void *user) {
  visited *v = user;

  return visits_of(v->all, v->target, v->generation) >= v->least;
}

START_TEST(test_what_is_cut_by_a_target_that_is_ended_is_told_apart) {
  world w;
  front_config second = {.listen = NULL};
  front *other;
  char address[32];
  const char *targets[2] = {w.target, address};
  visited before = {&w.all, 0, 0, 60}, after = {&w.all, 0, 2, 60},
          meanwhile = {&w.all, 1, 0, 200};
  traffic_config c;
  size_t cut = 0;
  traffic *t;

  world_open(&w);
  (void)snprintf(second.target, sizeof second.target, "127.0.0.1:%u",
                 (unsigned)front_port(w.inner));
  other = front_start(&second);
  (void)snprintf(address, sizeof address, "127.0.0.1:%u",
                 (unsigned)front_port(other));
  c = config_of(targets);
  c.target_count = 2;
  c.rate = 800;
  c.slow_ms = 1000; /* so that many are under way */
  c.mix[TRAFFIC_PLAIN] = c.mix[TRAFFIC_SLOW] = 1;
  t = traffic_begin(c, &w.all);
  ck_assert(cft_until(is_visited, &before, PATIENCE_MS));
  ck_assert(!traffic_target(t, 2, true, 0, NULL));
  ck_assert(!traffic_target(t, 0, true, 0, "localhost:80"));
  ck_assert(traffic_target(t, 0, false, 1, NULL));
  front_stop(w.f);
  ck_assert(cft_until(is_visited, &meanwhile, PATIENCE_MS));
  open_front(&w);
  ck_assert(traffic_target(t, 0, true, 2, w.target));
  ck_assert(cft_until(is_visited, &after, PATIENCE_MS));
  (void)traffic_finish(t, &w.all);
  for (size_t i = 0; i < w.all.count; i++) {
    const traffic_result *r = &w.all.all[i]->r;

    ck_assert_msg(r->target == 1 || r->generation != 1, "it was down");
    if (r->outcome == TRAFFIC_ANSWERED || r->outcome == TRAFFIC_ABORTED ||
        r->outcome == TRAFFIC_STOPPED)
      continue;
    ck_assert_int_eq(r->target, 0);
    ck_assert_msg(r->generation != r->ended_in, "%s", said_of(r));
    cut++;
  }
  ck_assert_uint_gt(cut, 0);
  front_stop(other);
  world_close(&w);
}
END_TEST

START_TEST(test_without_a_target_nothing_is_begun) {
  static const char *const targets[1] = {"127.0.0.1:9"};
  results all;
  traffic_config c = config_of(targets);
  traffic *t;

  c.paused = true;
  c.total_most = 20;
  t = traffic_begin(c, &all);
  ck_assert(traffic_target(t, 0, false, 3, NULL));
  traffic_pause(t, false);
  await_over(t, 20);
  (void)traffic_finish(t, &all);
  ck_assert_uint_eq(results_of(&all, TRAFFIC_NOT_BEGUN), 20);
  for (size_t i = 0; i < all.count; i++) {
    ck_assert_int_eq(all.all[i]->r.target, -1);
    ck_assert_int_eq(all.all[i]->r.begun_us, 0);
    ck_assert_str_eq(all.all[i]->r.why, "No target is up.");
  }
  results_free(&all);
}
END_TEST

int main(void) {
  Suite *s = suite_create("traffic");
  TCase *c = tcase_create("visits");

  tcase_add_loop_test(c, test_visits_of_each_kind_are_answered_by_their_app, 0,
                      TRAFFIC_KINDS);
  tcase_add_test(c, test_all_kinds_together_share_connections_and_harm_nobody);
  tcase_add_test(c, test_another_apps_page_is_foreign_however_it_is_asked_for);
  tcase_add_test(c, test_a_page_of_the_balancer_is_one);
  tcase_add_test(c, test_the_app_lets_go_of_who_says_nothing_when_it_is_full);
  tcase_add_test(c, test_the_app_refuses_what_it_does_not_understand);
  tcase_add_test(c, test_what_is_cut_by_a_target_that_is_ended_is_told_apart);
  tcase_add_test(c, test_without_a_target_nothing_is_begun);
  suite_add_tcase(s, c);
  return cft_run(s);
}
