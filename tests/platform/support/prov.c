/* See prov.h. */
#include "prov.h"

#include "provisioner/init.h"
#include "provisioner/tick.h"
#include "support/timing.h"
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 30000 };

struct prov {
  uv_loop_t loop;
  uv_async_t end;
  pthread_t thread;
  view *view;
  pthread_mutex_t lock; /* of kernel, for the loop's thread */
  kernel *kernel;
  tick *tick;
  metrics *metrics;
};

static void on_change(void *ctx, const char *id) {
  prov *p = ctx;

  (void)pthread_mutex_lock(&p->lock);
  if (p->kernel == NULL)
    ; /* not yet, or not any more */
  else if (strncmp(id, "drone:", 6) == 0)
    kernel_look_drone(p->kernel, id + 6);
  else if (strncmp(id, "app:", 4) == 0)
    kernel_look(p->kernel, id + 4);
  else if (strncmp(id, "route:", 6) == 0)
    kernel_look(p->kernel, id + 6);
  (void)pthread_mutex_unlock(&p->lock);
}

static void on_end(uv_async_t *async) {
  prov *p = async->data;

  view_close(p->view);
  uv_close((uv_handle_t *)async, NULL);
}

static void *run(void *ctx) {
  prov *p = ctx;

  (void)uv_run(&p->loop, UV_RUN_DEFAULT);
  return NULL;
}

prov *prov_start(const char *couch, const char *self,
                 const kernel_config *given) {
  prov *p = calloc(1, sizeof *p);
  char error[512] = "";
  kernel_config config;
  view_config seen = {.couch = couch,
                      .apps = "apps",
                      .locks = "locks",
                      .self = self,
                      .boot = self,
                      .on_change = on_change,
                      .ctx = p};
  tick_config ticks = {couch, "apps", "locks", self, self, "127.0.0.1:1", 500};

  ck_assert_ptr_nonnull(p);
  memset(&config, 0, sizeof config);
  if (given != NULL)
    config = *given;
  ck_assert_msg(init_databases(couch, "apps", "locks", error, sizeof error),
                "%s", error);
  (void)pthread_mutex_init(&p->lock, NULL);
  ck_assert_int_eq(uv_loop_init(&p->loop), 0);
  ck_assert_int_eq(uv_async_init(&p->loop, &p->end, on_end), 0);
  p->end.data = p;
  p->metrics = metrics_new();
  p->view = view_open(&p->loop, &seen, error, sizeof error);
  ck_assert_msg(p->view != NULL, "%s", error);
  p->tick = tick_start(&ticks, error, sizeof error);
  ck_assert_msg(p->tick != NULL, "%s", error);
  config.self = self;
  config.couch = couch;
  config.apps = "apps";
  config.locks = "locks";
  config.drone_token = agent_token;
  config.view = p->view;
  config.metrics = p->metrics;
  if (config.driver == NULL)
    config.driver = "none";
  if (config.reap_ms == 0)
    config.reap_ms = 2000;
  if (config.start_ms == 0)
    config.start_ms = 3000;
  if (config.bind_ms == 0)
    config.bind_ms = 1000;
  p->kernel = kernel_start(&config, error, sizeof error);
  ck_assert_msg(p->kernel != NULL, "%s", error);
  ck_assert_int_eq(pthread_create(&p->thread, NULL, run, p), 0);
  return p;
}

void prov_stop(prov *p) {
  kernel *k = p->kernel;

  (void)pthread_mutex_lock(&p->lock);
  p->kernel = NULL;
  (void)pthread_mutex_unlock(&p->lock);
  kernel_stop(k, 5000);
  (void)uv_async_send(&p->end);
  (void)pthread_join(p->thread, NULL);
  tick_stop(p->tick);
  (void)pthread_mutex_destroy(&p->lock);
  (void)uv_loop_close(&p->loop);
  metrics_free(p->metrics);
  free(p);
}

kernel *prov_kernel(prov *p) { return p->kernel; }
metrics *prov_metrics(prov *p) { return p->metrics; }

/* ---- the database ---- */

void store_open(store *s, const char *couch) {
  rest_config config;
  char error[256] = "";

  memset(&config, 0, sizeof config);
  config.url = couch;
  s->apps = docs_new(&config, "apps", error, sizeof error);
  s->locks = docs_new(&config, "locks", error, sizeof error);
  ck_assert_msg(s->apps != NULL && s->locks != NULL, "%s", error);
}

void store_close(store *s) {
  docs_free(s->apps);
  docs_free(s->locks);
}

/* Repeated until the database says so. */
static void put(docs *db, const char *id, json_t *doc) {
  docs_answer a;
  int i;

  for (i = 0; i < 100; i++) {
    json_t *old = NULL;
    enum docs_result result = docs_get(db, id, &old, &a);

    if (result == DOCS_OK)
      (void)json_object_set(doc, "_rev", json_object_get(old, "_rev"));
    json_decref(old);
    result = docs_put(db, id, doc, &a);
    if (result == DOCS_OK || result == DOCS_ACCEPTED)
      break;
  }
  json_decref(doc);
  ck_assert_msg(i < 100, "%s: %s", id, a.error);
}

void store_add(store *s, const drone_sim *d) {
  drone_doc doc;
  char id[96];

  memset(&doc, 0, sizeof doc);
  (void)snprintf(doc.addr, sizeof doc.addr, "%s", drone_sim_addr(d));
  (void)snprintf(doc.ctl, sizeof doc.ctl, "%s", drone_sim_ctl(d));
  doc.state = DRONE_BOOTING;
  (void)snprintf(id, sizeof id, "drone:%s", doc.addr);
  put(s->locks, id, drone_doc_write(&doc));
}

void store_want(store *s, const char *app, const char *state, int64_t gen) {
  char id[96], host[96], op[96];

  (void)snprintf(id, sizeof id, "app:%s", app);
  (void)snprintf(host, sizeof host, "%s.example", app);
  (void)snprintf(op, sizeof op, "%s.%lld", app, (long long)gen);
  put(s->apps, id,
      json_pack("{s:s, s:[s], s:s, s:{}, s:{s:s, s:I, s:s, s:i}}", "_id", id,
                "hosts", host, "command", "./run", "env", "want", "state",
                state, "gen", (json_int_t)gen, "op", op, "at", 1));
}

void store_destroy(store *s, const char *app) {
  char id[96];

  (void)snprintf(id, sizeof id, "app:%s", app);
  put(s->apps, id,
      json_pack("{s:s, s:b, s:i}", "_id", id, "_deleted", 1, "gen", 100));
}

bool store_get_route(store *s, const char *app, route_doc *out) {
  char id[96], why[256];
  docs_answer a;
  json_t *doc = NULL;
  bool ok;

  (void)snprintf(id, sizeof id, "route:%s", app);
  ok = docs_get(s->apps, id, &doc, &a) == DOCS_OK &&
       route_doc_read(doc, out, why, sizeof why);
  json_decref(doc);
  return ok;
}

bool store_get_drone(store *s, const char *addr, drone_doc *out) {
  char id[96], why[256];
  docs_answer a;
  json_t *doc = NULL;
  bool ok;

  (void)snprintf(id, sizeof id, "drone:%s", addr);
  ok = docs_get(s->locks, id, &doc, &a) == DOCS_OK &&
       drone_doc_read(doc, out, why, sizeof why);
  json_decref(doc);
  return ok;
}

static void nap(void) {
  struct timespec t = {0, 20000000};

  (void)nanosleep(&t, NULL);
}

void store_await(store *s, const char *app, int64_t gen, enum route_state state,
                 route_doc *out) {
  int64_t end = cft_now_ms() + WAIT_MS;

  for (;;) {
    bool there = store_get_route(s, app, out);

    if (there && out->gen == gen && out->state == state)
      return;
    ck_assert_msg(cft_now_ms() < end, "%s is not %s at %lld but %s at %lld: %s",
                  app, route_state_name(state), (long long)gen,
                  there ? route_state_name(out->state) : "without a route",
                  there ? (long long)out->gen : 0LL, there ? out->msg : "");
    nap();
  }
}

void store_await_drone(store *s, const char *addr, enum drone_state state,
                       drone_doc *out) {
  int64_t end = cft_now_ms() + WAIT_MS;

  for (;;) {
    bool there = store_get_drone(s, addr, out);

    if (there && out->state == state)
      return;
    ck_assert_msg(cft_now_ms() < end, "%s is not %s but %s", addr,
                  drone_state_name(state),
                  there ? drone_state_name(out->state) : "missing");
    nap();
  }
}
