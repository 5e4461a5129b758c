/* A worker of the data plane: its loop, its server on the address that all
   share, its connections to drones. Everything of it is touched by its own
   thread only, from worker_start on; orders come by flags and a wake-up. */
#include "balancer/plane_state.h"

#include "common/ids.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* ---- orders ---- */

static void on_server_drained(void *ctx) {
  plane_worker *w = ctx;

  atomic_store(&w->drained, true);
  (void)uv_async_send(&w->plane->told);
}

static void drain(plane_worker *w) {
  if (w->draining)
    return;
  w->draining = true;
  http_server_drain(w->server, w->plane->config.drain_ms, on_server_drained, w);
}

/* The loop ends behind it. The server goes first: its exchanges let go of the
   connections that the pool waits for. */
static void close_all(plane_worker *w) {
  if (w->server != NULL)
    http_server_close(w->server, NULL, NULL);
  if (w->pool != NULL)
    http_pool_close(w->pool, NULL, NULL);
  w->server = NULL;
  w->pool = NULL;
  if (w->handles) {
    uv_close((uv_handle_t *)&w->wake, NULL);
    uv_close((uv_handle_t *)&w->prepare, NULL);
  }
  w->handles = false;
}

static void on_wake(uv_async_t *wake) {
  plane_worker *w = wake->data;

  if (atomic_load(&w->close_wanted))
    close_all(w);
  else if (atomic_load(&w->drain_wanted))
    drain(w);
}

/* ---- numbers ---- */

/* Told once in a round, by what is new. */
static void tell_numbers(plane_worker *w, uint64_t connections,
                         http_pool_counts pooled) {
  const plane_counts *c = &w->plane->counts;
  uint64_t before = atomic_load_explicit(&w->connections, memory_order_relaxed);

  if (connections != before) {
    atomic_store_explicit(&w->connections, connections, memory_order_relaxed);
    metric_add(c->connections, (int64_t)connections - (int64_t)before);
  }
  if (pooled.connects != w->pooled.connects)
    metric_add(c->connects, (int64_t)(pooled.connects - w->pooled.connects));
  if (pooled.reused != w->pooled.reused)
    metric_add(c->reused, (int64_t)(pooled.reused - w->pooled.reused));
  w->pooled = pooled;
}

static void on_prepare(uv_prepare_t *prepare) {
  plane_worker *w = prepare->data;

  tell_numbers(w, http_server_connections(w->server),
               http_pool_get_counts(w->pool));
}

/* ---- the beginning ---- */

static bool failed(char *error, size_t size, const char *what) {
  (void)snprintf(error, size, "%s", what);
  return false;
}

static size_t share_of(size_t all, unsigned count) {
  return (all + count - 1) / count;
}

static bool open_server(plane_worker *w, const char *address, char *error,
                        size_t size) {
  const engine_config *c = &w->plane->config;
  http_server_config config = {.address = address,
                               .max_head = c->max_head,
                               .max_connections =
                                   share_of(c->max_connections, c->threads),
                               .max_body = c->max_body,
                               .head_ms = c->head_ms,
                               .idle_ms = c->idle_ms,
                               .reuse_port = c->threads > 1,
                               .on_request = visit_on_request,
                               .on_refused = visit_on_refused,
                               .on_done = visit_on_done,
                               .user = w};

  w->server = http_server_open(&w->loop, &config, error, size);
  return w->server != NULL;
}

static bool open_handles(plane_worker *w, char *error, size_t size) {
  if (uv_loop_init(&w->loop) != 0)
    return failed(error, size, "no loop of events for a worker");
  w->has_loop = true;
  if (uv_async_init(&w->loop, &w->wake, on_wake) != 0)
    return failed(error, size, "no descriptor to wake a worker by");
  (void)uv_prepare_init(&w->loop, &w->prepare);
  w->wake.data = w->prepare.data = w;
  w->handles = true;
  return true;
}

bool worker_open(plane_worker *w, plane *p, unsigned number,
                 const char *address, char *error, size_t size) {
  /* Of one drone as many as a busy app needs at once; a guard that has too many
     closes idle ones itself. */
  static const http_pool_config pool = {.max_idle = 64, .max_idle_all = 4096};
  char random[CLAIM_LEN + 1];

  w->plane = p;
  w->number = number;
  if (!open_handles(w, error, size))
    return false;
  if (!id_random(random))
    return failed(error, size, "the system has no random bytes");
  memcpy(w->prefix, random, sizeof w->prefix - 1);
  if (!busy_open(&w->apps) || !busy_open(&w->claims))
    return failed(error, size, "no memory for a worker");
  w->pool = http_pool_new(&w->loop, &pool);
  if (w->pool == NULL)
    return failed(error, size, "no memory for connections to drones");
  return open_server(w, address, error, size);
}

static void run(void *arg) {
  plane_worker *w = arg;

  (void)uv_prepare_start(&w->prepare, on_prepare);
  (void)uv_run(&w->loop, UV_RUN_DEFAULT);
}

/* Signals are the main thread's. */
bool worker_start(plane_worker *w, char *error, size_t size) {
  sigset_t all, before;
  int rc;

  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_BLOCK, &all, &before);
  rc = uv_thread_create(&w->thread, run, w);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rc != 0)
    return failed(error, size, "no thread for a worker");
  w->started = true;
  return true;
}

/* ---- from the main thread ---- */

void worker_drain(plane_worker *w) {
  atomic_store(&w->drain_wanted, true);
  (void)uv_async_send(&w->wake);
}

void worker_end(plane_worker *w) {
  if (w->started) {
    atomic_store(&w->close_wanted, true);
    (void)uv_async_send(&w->wake);
    (void)uv_thread_join(&w->thread);
  } else if (w->has_loop) {
    close_all(w);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
  }
  if (w->has_loop)
    (void)uv_loop_close(&w->loop);
  tell_numbers(w, 0, w->pooled);
  busy_close(&w->apps);
  busy_close(&w->claims);
  visit_free_spares(w);
}
