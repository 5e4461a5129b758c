/* The view against a simulated database: what is written is seen, by any
   thread, once it is told; broken documents hide nothing; fresh is what was
   proven by a tick of our own; members come and go. */
#include "provisioner/tick.h"
#include "provisioner/view_state.h"
#include "support/couchsim.h"
#include "support/unit.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { PATIENCE_MS = 20000 };

typedef struct world {
  cft_couchsim *sim;
  uv_loop_t loop;
  uv_timer_t timer;
  view *view;
  char last[256]; /* id told last */
  int told, synced, over;
  int64_t gone_ms;
  int64_t told_gen; /* of the app "a", as read when it was told */
} world;

static void on_change(void *ctx, const char *id) {
  world *w = ctx;

  app_doc app;

  w->told++;
  if (strcmp(id, "app:a") == 0 && view_app(w->view, "a", &app)) {
    w->told_gen = app.gen;
    app_doc_free(&app);
  }
  (void)snprintf(w->last, sizeof w->last, "%s", id);
}

static void on_synced(void *ctx) { ((world *)ctx)->synced++; }

static void on_over(void *ctx, const char *why) {
  (void)why;
  ((world *)ctx)->over++;
}

static void on_timer(uv_timer_t *timer) { (void)timer; }

static void create(world *w) {
  w->sim = cft_couchsim_start(NULL);
  cft_couchsim_must(w->sim, 201, "PUT", "/apps", "%s", "");
  cft_couchsim_must(w->sim, 201, "PUT", "/locks?n=1", "%s", "");
}

static void follow(world *w, int64_t fresh_ms) {
  view_config config = {.couch = cft_couchsim_url(w->sim, 0),
                        .apps = "apps",
                        .locks = "locks",
                        .self = "me",
                        .boot = "boot-1",
                        .fresh_ms = fresh_ms,
                        .gone_ms = w->gone_ms,
                        .on_change = on_change,
                        .on_synced = on_synced,
                        .on_over = on_over,
                        .ctx = w};
  char error[512];

  ck_assert_int_eq(uv_loop_init(&w->loop), 0);
  (void)uv_timer_init(&w->loop, &w->timer);
  (void)uv_timer_start(&w->timer, on_timer, 10, 10);
  w->view = view_open(&w->loop, &config, error, sizeof error);
  ck_assert_msg(w->view != NULL, "%s", error);
}

static void leave(world *w) {
  view_close(w->view);
  uv_close((uv_handle_t *)&w->timer, NULL);
  (void)uv_run(&w->loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&w->loop), 0);
  cft_couchsim_stop(w->sim);
}

#define AWAIT(w, condition)                                                    \
  do {                                                                         \
    int64_t limit_ms = view_up_ms() + PATIENCE_MS;                             \
    while (!(condition)) {                                                     \
      ck_assert_msg(view_up_ms() < limit_ms, "never: %s", #condition);         \
      (void)uv_run(&(w)->loop, UV_RUN_ONCE);                                   \
    }                                                                          \
  } while (0)

static char *rev_of(world *w, const char *path, char rev[96]) {
  json_t *doc = NULL;

  ck_assert_int_eq(cft_couchsim_do(w->sim, 0, "GET", path, NULL, &doc), 200);
  (void)snprintf(rev, 96, "%s",
                 json_string_value(json_object_get(doc, "_rev")));
  json_decref(doc);
  return rev;
}

static bool has_app(world *w, const char *name) {
  app_doc app;

  if (!view_app(w->view, name, &app))
    return false;
  app_doc_free(&app);
  return true;
}

static int64_t app_gen(world *w, const char *name) {
  app_doc app;
  int64_t gen = -1;

  if (view_app(w->view, name, &app)) {
    gen = app.gen;
    app_doc_free(&app);
  }
  return gen;
}

#define APP(gen)                                                               \
  "{\"command\":\"x\",\"hosts\":[\"a.de\"],\"want\":{\"state\":\"started\","   \
  "\"gen\":" #gen "}}"

START_TEST(test_view_shows_what_is_written_when_it_is_told) {
  world w = {0};
  drone_doc drone;
  route_doc route;

  create(&w);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/app:a", "%s", APP(3));
  follow(&w, 0);
  ck_assert(!view_is_synced(w.view));
  ck_assert(!view_app_is_gone(w.view, "b")); /* nothing is known yet */
  AWAIT(&w, w.synced > 0);
  ck_assert(view_is_synced(w.view));
  ck_assert_int_eq(app_gen(&w, "a"), 3);
  ck_assert_int_eq(w.told, 0); /* what was there is told by on_synced */
  ck_assert(view_app_is_gone(w.view, "b"));
  cft_couchsim_must(
      w.sim, 201, "PUT", "/locks/drone:127.0.0.1:80", "%s",
      "{\"addr\":\"127.0.0.1:80\",\"ctl\":\"127.0.0.1:81\",\"state\":\"free\","
      "\"epoch\":4,\"vm\":\"0123456789abcdef0123456789abcdef\"}");
  AWAIT(&w, w.told == 1);
  ck_assert_str_eq(w.last, "drone:127.0.0.1:80");
  ck_assert(view_drone(w.view, "127.0.0.1:80", &drone));
  ck_assert_int_eq(drone.epoch, 4);
  ck_assert_int_ne(drone.rev[0], 0);
  cft_couchsim_must(
      w.sim, 201, "PUT", "/apps/route:a", "%s",
      "{\"app\":\"a\",\"hosts\":[],\"gen\":9,\"state\":\"queued\","
      "\"to\":[],\"prev\":[],\"at\":5}");
  AWAIT(&w, w.told == 2);
  ck_assert(view_route(w.view, "a", &route));
  ck_assert_int_eq(route.gen, 9);
  ck_assert_int_eq(view_gen(w.view, "a"), 9);
  leave(&w);
}
END_TEST

START_TEST(test_view_a_destroyed_app_leaves_its_gen) {
  world w = {0};
  char rev[96];

  create(&w);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/app:a", "%s", APP(6));
  follow(&w, 0);
  AWAIT(&w, w.synced > 0);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/app:a",
                    "{\"_rev\":\"%s\",\"_deleted\":true,\"gen\":7}",
                    rev_of(&w, "/apps/app:a", rev));
  AWAIT(&w, w.told == 1);
  ck_assert(!has_app(&w, "a"));
  ck_assert(view_app_is_gone(w.view, "a"));
  ck_assert_int_eq(view_gen(w.view, "a"), 7);
  leave(&w);
}
END_TEST

START_TEST(test_view_a_broken_document_hides_nothing) {
  world w = {0};
  char rev[96];

  create(&w);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/app:a", "%s", APP(2));
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/app:never", "%s",
                    "{\"command\":[]}");
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/route:a", "%s", "{\"to\":7}");
  cft_couchsim_must(w.sim, 201, "PUT", "/locks/drone:nonsense", "%s", "{}");
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/somebody-elses", "%s", "{}");
  follow(&w, 0);
  AWAIT(&w, w.synced > 0);
  ck_assert(!has_app(&w, "never"));
  ck_assert(!view_app_is_gone(w.view, "never")); /* it is there */
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/app:a",
                    "{\"_rev\":\"%s\",\"command\":\"x\",\"want\":5}",
                    rev_of(&w, "/apps/app:a", rev));
  AWAIT(&w, w.told == 1);
  ck_assert_int_eq(app_gen(&w, "a"), 2); /* as it was before */
  ck_assert(!view_app_is_gone(w.view, "a"));
  cft_couchsim_must(
      w.sim, 201, "PUT", "/apps/app:a",
      "{\"_rev\":\"%s\",\"command\":\"x\",\"want\":{\"state\":\"stopped\","
      "\"gen\":8}}",
      rev_of(&w, "/apps/app:a", rev));
  AWAIT(&w, w.told == 2);
  ck_assert_int_eq(app_gen(&w, "a"), 8);
  leave(&w);
}
END_TEST

START_TEST(test_view_is_fresh_by_own_ticks_in_both_databases) {
  world w = {0};
  tick_config config;
  char error[256];
  tick *t;

  create(&w);
  /* After some rows one feed falls silent, while its heartbeats go on. */
  cft_couchsim_rule(w.sim, "%s",
                    "{\"kind\":\"changes\",\"db\":\"locks\",\"times\":-1,"
                    "\"do\":{\"stall_rows\":10,\"stall_beats\":true}}");
  follow(&w, 1500);
  AWAIT(&w, w.synced > 0);
  ck_assert(!view_is_fresh(w.view));
  ck_assert(view_tick_age_ms(w.view) == INT64_MAX);
  config = (tick_config){cft_couchsim_url(w.sim, 0),
                         "apps",
                         "locks",
                         "me",
                         "boot-1",
                         "127.0.0.1:1",
                         200};
  t = tick_start(&config, error, sizeof error);
  ck_assert_msg(t != NULL, "%s", error);
  AWAIT(&w, view_is_fresh(w.view));
  AWAIT(&w, !view_is_fresh(w.view));
  ck_assert_int_ge(view_tick_age_ms(w.view), 1500);
  ck_assert(view_is_synced(w.view)); /* it does not know better */
  ck_assert_int_lt(
      view_up_ms() - atomic_load(&w.view->databases[VIEW_APPS].proof_ms), 1500);
  cft_couchsim_no_rules(w.sim);
  cft_couchsim_tell(w.sim, "close", "%s", "{\"feeds\":true}");
  AWAIT(&w, view_is_fresh(w.view));
  tick_stop(t);
  cft_couchsim_must(w.sim, 404, "GET", "/apps/sys:tick:me", "%s", "");
  cft_couchsim_must(w.sim, 404, "GET", "/locks/sys:tick:me", "%s", "");
  AWAIT(&w, !view_is_fresh(w.view));
  leave(&w);
}
END_TEST

START_TEST(test_view_ticks_of_another_life_prove_nothing) {
  world w = {0};
  tick_config config;
  char error[256];
  int64_t until;
  tick *t;

  create(&w);
  follow(&w, 0);
  AWAIT(&w, w.synced > 0);
  config = (tick_config){cft_couchsim_url(w.sim, 0),
                         "apps",
                         "locks",
                         "me",
                         "boot-2",
                         "127.0.0.1:1",
                         100};
  t = tick_start(&config, error, sizeof error);
  ck_assert_msg(t != NULL, "%s", error);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/app:mark", "%s", APP(1));
  until = view_up_ms() + 500;
  AWAIT(&w, view_up_ms() > until && has_app(&w, "mark"));
  ck_assert(!view_is_fresh(w.view));
  tick_stop(t);
  leave(&w);
}
END_TEST

static size_t members(world *w) {
  char names[MEMBERS_MOST][NAME_MOST + 1];

  return view_members(w->view, names);
}

START_TEST(test_view_members_come_and_go) {
  world w = {0};
  tick_config mine, other;
  char error[256], names[MEMBERS_MOST][NAME_MOST + 1];
  tick *t, *u;
  int64_t went;
  int own = 0;

  create(&w);
  /* Of one that ended without a word, long ago. */
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/sys:tick:dead", "%s",
                    "{\"at\":1000,\"boot\":\"x\",\"n\":1,\"up\":1}");
  follow(&w, 3000);
  AWAIT(&w, w.synced > 0);
  mine = other = (tick_config){cft_couchsim_url(w.sim, 0),
                               "apps",
                               "locks",
                               "me",
                               "boot-1",
                               "127.0.0.1:1",
                               100};
  other.self = "other";
  other.boot = "boot-o";
  t = tick_start(&mine, error, sizeof error);
  AWAIT(&w, view_is_fresh(w.view));
  ck_assert_uint_eq(members(&w), 1);
  ck_assert(view_is_mine(w.view, "any"));
  u = tick_start(&other, error, sizeof error);
  AWAIT(&w, members(&w) == 2);
  ck_assert_uint_eq(view_members(w.view, names), 2);
  ck_assert_str_eq(names[0], "me");
  ck_assert_str_eq(names[1], "other");
  for (int i = 0; i < 200; i++) {
    char app[16];

    (void)snprintf(app, sizeof app, "a%d", i);
    own += view_is_mine(w.view, app);
  }
  ck_assert_int_gt(own, 60);
  ck_assert_int_lt(own, 140);
  tick_stop(u); /* its document goes, and it with that */
  went = view_up_ms();
  AWAIT(&w, members(&w) == 1);
  ck_assert_int_lt(view_up_ms() - went, 2000); /* told, not grown old */
  /* One that ends without a word goes when it is too old. */
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/sys:tick:third",
                    "{\"at\":%lld,\"boot\":\"z\",\"n\":1,\"up\":1}",
                    (long long)view_wall_ms());
  AWAIT(&w, members(&w) == 2);
  AWAIT(&w, members(&w) == 1);
  tick_stop(t);
  leave(&w);
}
END_TEST

START_TEST(test_view_maintenance_ends_by_itself) {
  world w = {0};
  char mode[8], msg[256], rev[96];
  int64_t until = view_wall_ms() + 700;

  create(&w);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/sys:maintenance",
                    "{\"mode\":\"api\",\"msg\":\"m\",\"until\":%lld}",
                    (long long)until);
  follow(&w, 0);
  AWAIT(&w, w.synced > 0);
  view_maintenance(w.view, mode, msg);
  ck_assert_str_eq(mode, "api");
  ck_assert_str_eq(msg, "m");
  AWAIT(&w, (view_maintenance(w.view, mode, msg), strcmp(mode, "off") == 0));
  ck_assert_int_ge(view_wall_ms(), until);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/sys:maintenance",
                    "{\"_rev\":\"%s\",\"mode\":\"full\",\"until\":null}",
                    rev_of(&w, "/apps/sys:maintenance", rev));
  AWAIT(&w, (view_maintenance(w.view, mode, msg), strcmp(mode, "full") == 0));
  leave(&w);
}
END_TEST

static size_t balancers(world *w) {
  balancer_doc all[4];

  return view_balancers(w->view, all, 4);
}

/* By our own clock, and only while something comes. */
START_TEST(test_view_a_balancer_that_does_not_write_is_gone) {
  static const char body[] =
      "{\"addr\":\"127.0.0.1:1\",\"admin\":\"127.0.0.1:2\"}";
  world w = {0};
  tick_config config;
  char error[256], rev[96];
  int64_t until;
  tick *t;

  create(&w);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/balancer:b1", "%s", body);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/balancer:b2", "%s", body);
  w.gone_ms = 1500;
  follow(&w, 0);
  AWAIT(&w, w.synced > 0);
  until = view_up_ms() + 2500;
  AWAIT(&w, view_up_ms() > until);
  ck_assert_uint_eq(balancers(&w), 2); /* no tick has come either */
  config = (tick_config){cft_couchsim_url(w.sim, 0),
                         "apps",
                         "locks",
                         "me",
                         "boot-1",
                         "127.0.0.1:1",
                         100};
  t = tick_start(&config, error, sizeof error);
  ck_assert_msg(t != NULL, "%s", error);
  AWAIT(&w, balancers(&w) == 0);
  cft_couchsim_must(
      w.sim, 201, "PUT", "/apps/balancer:b2",
      "{\"_rev\":\"%s\",\"addr\":\"127.0.0.1:1\",\"admin\":\"127.0.0.1:2\"}",
      rev_of(&w, "/apps/balancer:b2", rev));
  AWAIT(&w, balancers(&w) == 1);
  tick_stop(t);
  leave(&w);
}
END_TEST

START_TEST(test_view_a_database_that_is_missing_is_told) {
  world w = {0};

  w.sim = cft_couchsim_start(NULL);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps", "%s", "");
  follow(&w, 0);
  AWAIT(&w, w.over == 1);
  ck_assert_int_eq(w.synced, 0);
  leave(&w);
}
END_TEST

/* ---- many threads ---- */

typedef struct reader {
  world *w;
  atomic_bool *stop;
  int64_t gen;
  bool back;
} reader;

static bool count_app(void *ctx, app_doc *app) {
  *(size_t *)ctx += json_object_size(app->doc) > 0;
  return true;
}

static void *read_on(void *arg) {
  reader *r = arg;

  while (!atomic_load(r->stop)) {
    int64_t gen = app_gen(r->w, "a");
    size_t count = 0;

    r->back |= gen < r->gen;
    r->gen = gen;
    view_each_app(r->w->view, count_app, &count);
    r->back |= count == 0;
  }
  return NULL;
}

START_TEST(test_view_readers_of_any_thread_see_it_go_forward) {
  enum { READERS = 3, WRITES = 150 };
  world w = {0};
  atomic_bool stop = false;
  pthread_t threads[READERS];
  reader readers[READERS];
  char rev[96];

  create(&w);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/app:a", "%s", APP(0));
  follow(&w, 0);
  AWAIT(&w, w.synced > 0);
  for (int i = 0; i < READERS; i++) {
    readers[i] = (reader){&w, &stop, -1, false};
    ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, &readers[i]),
                     0);
  }
  for (int i = 1; i <= WRITES; i++) {
    cft_couchsim_must(w.sim, 201, "PUT", "/apps/app:a",
                      "{\"_rev\":\"%s\",\"command\":\"x\",\"want\":{\"state\":"
                      "\"started\",\"gen\":%d}}",
                      rev_of(&w, "/apps/app:a", rev), i);
    AWAIT(&w, w.told == i);
    ck_assert_int_eq(w.told_gen, i); /* told means: it can be read */
  }
  atomic_store(&stop, true);
  for (int i = 0; i < READERS; i++) {
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert(!readers[i].back);
  }
  leave(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("view");
  TCase *c = tcase_create("view");

  tcase_add_test(c, test_view_shows_what_is_written_when_it_is_told);
  tcase_add_test(c, test_view_a_destroyed_app_leaves_its_gen);
  tcase_add_test(c, test_view_a_broken_document_hides_nothing);
  tcase_add_test(c, test_view_is_fresh_by_own_ticks_in_both_databases);
  tcase_add_test(c, test_view_ticks_of_another_life_prove_nothing);
  tcase_add_test(c, test_view_members_come_and_go);
  tcase_add_test(c, test_view_maintenance_ends_by_itself);
  tcase_add_test(c, test_view_a_balancer_that_does_not_write_is_gone);
  tcase_add_test(c, test_view_a_database_that_is_missing_is_told);
  tcase_add_test(c, test_view_readers_of_any_thread_see_it_go_forward);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
