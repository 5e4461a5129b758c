/* The API as a whole: opened, told of changes, drained and closed; and the life
   of a call. */
#include "provisioner/api_state.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  WRITERS = 6,
  ASKERS = 6,
  TASKS_MOST = 1000,
  TIMER_MS = 200,
  SECOND_MS = 1000,
  CONNECTIONS = 4000
};

/* ---- calls ---- */

void call_unlist(call *c) {
  if (!c->listed)
    return;
  c->listed = false;
  LIST_REMOVE(c, link);
}

void call_list(call *c, struct calls *list) {
  if (c->x == NULL) { /* nobody waits for it */
    call_free(c);
    return;
  }
  c->listed = true;
  LIST_INSERT_HEAD(list, c, link);
}

void call_free(call *c) {
  if (c->x != NULL || c->tasked || c->listed)
    return;
  json_decref(c->body);
  json_decref(c->document);
  text_free(&c->body_text);
  text_free(&c->log);
  free(c);
}

static void task_work(desk_task *task, desk_hands *hands) {
  call *c = (call *)(void *)((char *)task - offsetof(call, task));

  c->work(c, hands);
}

static void task_done(desk_task *task) {
  call *c = (call *)(void *)((char *)task - offsetof(call, task));

  c->tasked = false;
  c->done(c);
}

bool call_task(call *c, desk *d, void (*work)(call *c, desk_hands *hands),
               void (*done)(call *c)) {
  c->task.work = task_work;
  c->task.done = task_done;
  c->work = work;
  c->done = done;
  c->tasked = true;
  if (desk_do(d, &c->task))
    return true;
  c->tasked = false;
  answer_error(c, 503, "database", 2000,
               "too many calls wait for the database already");
  return false;
}

size_t api_bucket(const char *app) {
  return id_hash(app, strlen(app)) % CALL_BUCKETS;
}

/* ---- changes ---- */

static void look_at(api *a, const char *id) {
  kernel *k = a->config.kernel;
  const char *app;

  if (strncmp(id, "drone:", 6) == 0) {
    if (k != NULL)
      kernel_look_drone(k, id + 6);
    return;
  }
  if (strncmp(id, "app:", 4) == 0)
    app = id + 4;
  else if (strncmp(id, "route:", 6) == 0)
    app = id + 6;
  else
    return;
  if (!id_is_app(app, strlen(app)))
    return;
  if (app == id + 6)
    a->queue_old = true;
  if (k != NULL)
    kernel_look(k, app);
  flights_changed(a, app);
  ops_changed(a, app);
}

void api_changed(api *a, const char *id) { look_at(a, id); }

static bool look_at_app(void *ctx, app_doc *app) {
  api *a = ctx;

  if (a->config.kernel != NULL)
    kernel_look(a->config.kernel, app->name);
  return true;
}

static bool look_at_route(void *ctx, const route_doc *route) {
  api *a = ctx;

  if (a->config.kernel != NULL)
    kernel_look(a->config.kernel, route->app);
  return true;
}

static bool look_at_drone(void *ctx, const drone_doc *drone) {
  api *a = ctx;

  if (a->config.kernel != NULL)
    kernel_look_drone(a->config.kernel, drone->addr);
  return true;
}

void api_synced(api *a) {
  a->queue_old = true;
  view_each_app(a->config.view, look_at_app, a);
  view_each_route(a->config.view, look_at_route, a);
  view_each_drone(a->config.view, look_at_drone, a);
  ops_due(a, true);
}

/* Who looks after which app has changed with them. */
static void look_at_members(api *a) {
  char names[MEMBERS_MOST][NAME_MOST + 1];
  size_t count = view_members(a->config.view, names);
  uint64_t sum = count;

  for (size_t i = 0; i < count; i++)
    sum = sum * 31 + id_hash(names[i], strlen(names[i]));
  if (sum == a->members)
    return;
  a->members = sum;
  log_event(LOG_INFO, "members", LN("count", count));
  if (view_is_synced(a->config.view))
    api_synced(a);
}

static void each_second(api *a) {
  int64_t p95_ms = 0;
  int errors = 0;

  flights_due(a);
  acks_due(a, false);
  look_at_members(a);
  if (a->config.kernel == NULL)
    return;
  kernel_database_load(a->config.kernel, &p95_ms, &errors);
  admission_load(a->admission, p95_ms, errors, mono_ms());
  sweep_due(a);
}

static void on_timer(uv_timer_t *timer) {
  api *a = timer->data;
  int64_t now = mono_ms();

  ops_due(a, false);
  if (now - a->second_ms < SECOND_MS)
    return;
  a->second_ms = now;
  each_second(a);
}

/* ---- opening ---- */

static double ask_rate(void *ctx) {
  const api *a = ctx;

  return admission_rate(a->admission);
}

static double ask_tick_age(void *ctx) {
  const api *a = ctx;
  int64_t ms = view_tick_age_ms(a->config.view);

  return ms == INT64_MAX ? -1 : (double)ms / 1000;
}

static double ask_fresh(void *ctx) {
  const api *a = ctx;

  return view_is_fresh(a->config.view) ? 1 : 0;
}

static double ask_queue(void *ctx) { return (double)ops_queued(ctx); }

static double ask_p95(void *ctx) {
  const api *a = ctx;
  int64_t p95_ms = 0;
  int errors = 0;

  if (a->config.kernel != NULL)
    kernel_database_load(a->config.kernel, &p95_ms, &errors);
  return (double)p95_ms / 1000;
}

static void make_metrics(api *a) {
  static const char *const codes[CODES] = {"code=\"other\"", "code=\"1xx\"",
                                           "code=\"2xx\"",   "code=\"3xx\"",
                                           "code=\"4xx\"",   "code=\"5xx\""};
  metrics *m = a->config.metrics;

  for (size_t i = 0; i < CODES; i++)
    a->m.codes[i] = metrics_counter(m, "provisioner_requests_total", codes[i],
                                    "Requests of the API by status.");
  a->m.times = metrics_times(m, "provisioner_request_seconds", NULL,
                             "From a request's head to its answer.");
  a->m.operations = metrics_counter(m, "provisioner_operations_total", NULL,
                                    "Starts and stops that were written.");
  a->m.coalesced = metrics_counter(m, "provisioner_coalesced_total", NULL,
                                   "Calls that joined an operation under way.");
  a->m.ensured = metrics_counter(m, "provisioner_ensured_total", NULL,
                                 "Starts of what was live already.");
  a->m.rate_refused = metrics_counter(m, "provisioner_refused_total",
                                      "why=\"rate\"", "Calls refused.");
  a->m.full_refused = metrics_counter(m, "provisioner_refused_total",
                                      "why=\"capacity\"", "Calls refused.");
  a->m.maintenance_refused = metrics_counter(
      m, "provisioner_refused_total", "why=\"maintenance\"", "Calls refused.");
  (void)metrics_asked(m, "provisioner_admission_rate", NULL,
                      "Operations that are begun in a second at most.",
                      ask_rate, a);
  (void)metrics_asked(m, "provisioner_tick_age_seconds", NULL,
                      "Since what is seen was written; -1: nothing seen.",
                      ask_tick_age, a);
  (void)metrics_asked(m, "provisioner_view_fresh", NULL,
                      "1: the feeds are in step.", ask_fresh, a);
  (void)metrics_asked(m, "provisioner_apps_queued", NULL,
                      "Apps that wait for a drone, of all provisioners.",
                      ask_queue, a);
  (void)metrics_asked(m, "provisioner_database_write_p95_seconds", NULL,
                      "Of the last half minute.", ask_p95, a);
}

static bool open_desks(api *a, char *error, size_t size) {
  desk_config config = {a->config.couch, a->config.apps, a->config.locks,
                        WRITERS, TASKS_MOST};

  a->writers = desk_open(a->loop, &config, error, size);
  if (a->writers == NULL)
    return false;
  config.threads = ASKERS;
  a->askers = desk_open(a->loop, &config, error, size);
  return a->askers != NULL;
}

static bool open_server(api *a, char *error, size_t size) {
  http_server_config config = {.address = a->config.listen,
                               .max_connections = CONNECTIONS,
                               .on_request = api_request,
                               .on_refused = api_refused,
                               .user = a};

  a->server = http_server_open(a->loop, &config, error, size);
  return a->server != NULL;
}

api *api_open(uv_loop_t *loop, const api_config *config, char *error,
              size_t error_size) {
  api *a = calloc(1, sizeof *a);

  (void)snprintf(error, error_size, "there is no memory");
  if (a == NULL)
    return NULL;
  a->config = *config;
  a->loop = loop;
  a->queue_old = true;
  a->second_ms = a->sweep_ms = mono_ms();
  a->admission = admission_new(&config->admission);
  make_metrics(a);
  /* What was opened stays open: the program ends. */
  if (a->admission == NULL || !open_desks(a, error, error_size) ||
      !open_server(a, error, error_size))
    return NULL;
  (void)uv_timer_init(loop, &a->timer);
  a->timer.data = a;
  (void)uv_timer_start(&a->timer, on_timer, TIMER_MS, TIMER_MS);
  return a;
}

const char *api_address(const api *a) { return http_server_address(a->server); }

/* ---- ending ---- */

void api_drain(api *a) {
  a->draining = true;
  ops_due(a, true);
}

static void desk_rested(void *ctx) {
  api *a = ctx;

  if (++a->rested < 2)
    return;
  a->config.kernel = NULL;
  a->writers = a->askers = NULL;
  a->then(a->ctx);
}

void api_rest(api *a, void (*rested)(void *ctx), void *ctx) {
  a->resting = true;
  a->then = rested;
  a->ctx = ctx;
  desk_close(a->writers, desk_rested, a);
  desk_close(a->askers, desk_rested, a);
}

static void on_timer_closed(uv_handle_t *handle) {
  api *a = handle->data;

  acks_due(a, true);
  flights_free(a);
  admission_free(a->admission);
  free(a->queue);
  a->then(a->ctx);
  free(a);
}

static void on_server_closed(void *ctx) {
  api *a = ctx;

  uv_close((uv_handle_t *)&a->timer, on_timer_closed);
}

static void on_drained(void *ctx) {
  api *a = ctx;

  http_server_close(a->server, on_server_closed, a);
}

void api_close(api *a, int64_t ms, void (*closed)(void *ctx), void *ctx) {
  a->then = closed;
  a->ctx = ctx;
  (void)uv_timer_stop(&a->timer);
  ops_due(a, true);
  http_server_drain(a->server, ms, on_drained, a);
}
