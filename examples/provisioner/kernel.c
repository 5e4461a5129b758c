/* The threads of the kernel and what they are given to do; see kernel.h. Keys
   of jobs: "a:NAME" an app, "d:ADDR" a drone. */
#include "provisioner/kernel_state.h"

#include "common/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  WORKERS = 8,
  KEEP_MS = 5000,
  FIRST_MS = 200,
  DATABASE_MS = 10000,
  TURNS = 32
};

const char *kernel_short(const char *claim, char out[9]) {
  (void)snprintf(out, 9, "%s", claim);
  return out;
}

/* ---- what the rest of the program says ---- */

static void look(kernel *k, char kind, const char *name) {
  char key[KEY_MOST + 1];

  (void)snprintf(key, sizeof key, "%c:%s", kind, name);
  jobs_look(k->jobs, key);
}

void kernel_look(kernel *k, const char *app) { look(k, 'a', app); }

void kernel_wake(kernel *k) {
  char apps[TURNS][NAME_MOST + 1];
  size_t count = pool_turns(k->pool, apps, TURNS), i;

  for (i = 0; i < count; i++)
    kernel_look(k, apps[i]);
}

void kernel_saw(kernel *k, const drone_doc *d, bool own) {
  drone_doc was;
  bool known = pool_get(k->pool, d->addr, &was);

  if (!pool_see(k->pool, d, own, mono_ms()))
    return;
  if (d->state == DRONE_FREE)
    kernel_wake(k);
  if (own)
    return;
  /* What another wrote: its app's owner and the drone's look again. */
  look(k, 'd', d->addr);
  if (d->claim.app[0] != '\0')
    kernel_look(k, d->claim.app);
  if (known && was.claim.app[0] != '\0' &&
      strcmp(was.claim.app, d->claim.app) != 0)
    kernel_look(k, was.claim.app);
}

void kernel_look_drone(kernel *k, const char *addr) {
  drone_doc d;

  if (view_drone(k->view, addr, &d)) {
    kernel_saw(k, &d, false);
  } else if (view_is_synced(k->view)) {
    bool known = pool_get(k->pool, addr, &d);

    pool_missing(k->pool, addr, mono_ms());
    if (known && d.claim.app[0] != '\0')
      kernel_look(k, d.claim.app);
  }
}

size_t kernel_position(kernel *k, const char *app) {
  return pool_position(k->pool, app);
}

size_t kernel_free_drones(kernel *k) {
  pool_counts counts;

  pool_count(k->pool, &counts);
  return counts.of[DRONE_FREE];
}

void kernel_database_load(kernel *k, int64_t *p95_ms, int *errors_percent) {
  load_read(k->load, mono_ms(), p95_ms, errors_percent);
}

/* ---- threads ---- */

static void *work(void *ctx) {
  worker *w = ctx;
  job *one;

  while ((one = jobs_take(w->k->jobs)) != NULL) {
    const char *name = one->key + 2;
    int64_t again;

    if (one->key[0] == 'a')
      again = app_look(w, name, &one->memory);
    else
      again = drone_look(w, name, &one->memory);
    jobs_done(w->k->jobs, one, again);
  }
  return NULL;
}

static void later(kernel *k, char kind, const char *name) {
  char key[KEY_MOST + 1];

  (void)snprintf(key, sizeof key, "%c:%s", kind, name);
  jobs_later(k->jobs, key,
             (int64_t)(id_hash(key, strlen(key)) % (KEEP_MS - FIRST_MS)));
}

static bool keep_drone(void *ctx, const drone_doc *d) {
  kernel_saw(ctx, d, false);
  later(ctx, 'd', d->addr);
  return true;
}

static bool keep_app(void *ctx, app_doc *app) {
  later(ctx, 'a', app->name);
  return true;
}

static bool keep_route(void *ctx, const route_doc *route) {
  later(ctx, 'a', route->app);
  return true;
}

/* A drone that the feed does not have, and an app of which only a drone is
   left. */
static void keep_known(void *ctx, const drone_doc *d) {
  kernel *k = ctx;
  drone_doc seen;

  if (!view_drone(k->view, d->addr, &seen))
    pool_missing(k->pool, d->addr, mono_ms());
  else if (d->claim.app[0] != '\0')
    later(k, 'a', d->claim.app);
}

/* Nothing depends on being told of every change: all there is, is looked at
   from time to time. */
static void *keep(void *ctx) {
  kernel *k = ctx;

  do {
    if (!view_is_synced(k->view))
      continue;
    view_each_drone(k->view, keep_drone, k);
    k->seen_all = true;
    view_each_app(k->view, keep_app, k);
    view_each_route(k->view, keep_route, k);
    pool_each(k->pool, keep_known, k);
    kernel_wake(k);
  } while (jobs_pause(k->jobs, view_is_synced(k->view) ? KEEP_MS : FIRST_MS));
  return NULL;
}

/* ---- start and stop ---- */

static const char *own(kernel *k, const char *s, const char *otherwise) {
  const char *value = s != NULL ? s : otherwise;

  if (value == NULL)
    return NULL;
  k->strings[k->string_count] = strdup(value);
  return k->strings[k->string_count++];
}

static bool take_config(kernel *k, const kernel_config *config) {
  kernel_config *c = &k->config;
  size_t i;

  *c = *config;
  c->self = own(k, config->self, "provisioner");
  c->couch = own(k, config->couch, "http://127.0.0.1:5984");
  c->apps = own(k, config->apps, "apps");
  c->locks = own(k, config->locks, "locks");
  c->drone_token = own(k, config->drone_token, NULL);
  c->driver = own(k, config->driver, "none");
  c->driver_path = own(k, config->driver_path, NULL);
  c->driver_dir = own(k, config->driver_dir, NULL);
  c->driver_token_file = own(k, config->driver_token_file, NULL);
  c->driver_user = own(k, config->driver_user, NULL);
  if (c->workers == 0)
    c->workers = WORKERS;
  if (c->workers > WORKERS_MOST)
    c->workers = WORKERS_MOST;
  if (c->start_ms <= 0)
    c->start_ms = 60000;
  if (c->bind_ms <= 0)
    c->bind_ms = 30000;
  if (c->reap_ms <= 0)
    c->reap_ms = 60000;
  k->app_every_ms = c->reap_ms / 6 < 10000 ? c->reap_ms / 6 : 10000;
  k->drone_every_ms = c->reap_ms / 2 < 30000 ? c->reap_ms / 2 : 30000;
  k->dead_ms = c->reap_ms / 2;
  if (c->drones_most == 0)
    c->drones_most = 64;
  for (i = 0; i < k->string_count; i++)
    if (k->strings[i] == NULL)
      return false;
  return true;
}

static void name_metrics(kernel *k, metrics *m) {
  static const char steps[] = "Duration of the steps of a start";
  kernel_metrics *to = &k->m;

#define STEP(name)                                                             \
  to->name = metrics_times(m, "provisioner_step_seconds",                      \
                           "step=\"" #name "\"", steps)
  STEP(claim);
  STEP(bind);
  STEP(start);
  STEP(settle);
  STEP(publish);
  STEP(retire);
  STEP(whole);
#undef STEP
#define COUNT(name, help)                                                      \
  to->name = metrics_counter(m, "provisioner_" #name "_total", NULL, help)
  COUNT(conflicts, "Writes that another was faster with");
  COUNT(accepted, "Writes that were told 202 only");
  COUNT(unknown, "Writes without an answer");
  COUNT(repairs, "Documents of drones brought to what the drone says");
  COUNT(reaped, "Claims that nobody brought to an end");
  COUNT(lost, "Routes whose drone did not have the app any more");
  COUNT(strangers, "Looks at what an app has that the database never had");
  COUNT(failed, "Apps that did not answer in their time");
  COUNT(boots, "Drones made");
  COUNT(boot_failures, "Drones that could not be made");
#undef COUNT
#define GAUGE(name, as, help)                                                  \
  to->name = metrics_gauge(m, "provisioner_" as, NULL, help)
  GAUGE(free, "free_drones", "Drones that nobody has");
  GAUGE(drones, "drones", "Drones that are not dead");
  GAUGE(waiting, "waiting_apps", "Apps that wait for a drone");
  GAUGE(jobs, "jobs", "Looks that could be taken now");
#undef GAUGE
  to->boot_time = metrics_times(m, "provisioner_boot_seconds", NULL,
                                "Until a new drone answered");
}

/* Set from time to time, not asked for: the numbers are shown longer than the
   kernel lives. */
void kernel_gauges(kernel *k) {
  pool_counts counts;

  pool_count(k->pool, &counts);
  metric_set(k->m.free, (int64_t)counts.of[DRONE_FREE]);
  metric_set(k->m.drones, (int64_t)(counts.all - counts.of[DRONE_DEAD]));
  metric_set(k->m.waiting, (int64_t)counts.waiting);
  metric_set(k->m.jobs, (int64_t)jobs_waiting(k->jobs));
}

static bool open_worker(kernel *k, worker *w, char *error, size_t size) {
  rest_config config;

  memset(&config, 0, sizeof config);
  config.url = k->config.couch;
  config.total_ms = DATABASE_MS;
  w->k = k;
  w->apps = docs_new(&config, k->config.apps, error, size);
  if (w->apps == NULL)
    return false;
  w->locks = docs_new(&config, k->config.locks, error, size);
  if (w->locks == NULL)
    return false;
  w->agent = agent_new(k->config.drone_token);
  if (w->agent == NULL) {
    (void)snprintf(error, size, "Out of memory");
    return false;
  }
  w->running = pthread_create(&w->thread, NULL, work, w) == 0;
  if (!w->running)
    (void)snprintf(error, size, "No thread could be made for a worker");
  return w->running;
}

static bool open_parts(kernel *k, char *error, size_t size) {
  k->jobs = jobs_new();
  k->pool = pool_new();
  k->load = load_new();
  if (k->jobs != NULL && k->pool != NULL && k->load != NULL)
    return true;
  (void)snprintf(error, size, "Out of memory");
  return false;
}

static bool open_threads(kernel *k, char *error, size_t size) {
  k->scaler = scaler_start(k, error, size);
  if (k->scaler == NULL)
    return false;
  while (k->worker_count < k->config.workers) {
    worker *w = &k->workers[k->worker_count++];

    if (!open_worker(k, w, error, size))
      return false;
  }
  k->keeping = pthread_create(&k->keeper, NULL, keep, k) == 0;
  if (!k->keeping)
    (void)snprintf(error, size, "No thread could be made");
  return k->keeping;
}

kernel *kernel_start(const kernel_config *config, char *error,
                     size_t error_size) {
  kernel *k = calloc(1, sizeof *k);

  if (k == NULL || !take_config(k, config)) {
    (void)snprintf(error, error_size, "Out of memory");
    kernel_stop(k, 0);
    return NULL;
  }
  k->view = config->view;
#ifdef PLATFORM_HOOKS
  if (!hooks_open(k, error, error_size)) {
    kernel_stop(k, 0);
    return NULL;
  }
#endif
  if (config->metrics != NULL)
    name_metrics(k, config->metrics);
  if (!open_parts(k, error, error_size) ||
      !open_threads(k, error, error_size)) {
    kernel_stop(k, 0);
    return NULL;
  }
  return k;
}

void kernel_stop(kernel *k, int64_t ms) {
  size_t i;

  (void)ms; /* no step waits longer than its own call does */
  if (k == NULL)
    return;
  if (k->jobs != NULL)
    jobs_stop(k->jobs);
  if (k->keeping)
    (void)pthread_join(k->keeper, NULL);
  for (i = 0; i < k->worker_count; i++)
    if (k->workers[i].running)
      (void)pthread_join(k->workers[i].thread, NULL);
  scaler_stop(k->scaler);
  for (i = 0; i < k->worker_count; i++) {
    docs_free(k->workers[i].apps);
    docs_free(k->workers[i].locks);
    agent_free(k->workers[i].agent);
  }
  jobs_free(k->jobs);
  pool_free(k->pool);
  load_free(k->load);
  for (i = 0; i < k->string_count; i++) {
    if (k->strings[i] != NULL)
      explicit_bzero(k->strings[i], strlen(k->strings[i]));
    free(k->strings[i]);
  }
  free(k);
}
