/* The embedded data plane as an engine: workers on one address, of which each
   connection has one from its begin to its end. What the table says is in force
   with the next request, so there is nothing to be told of changes. */
#include "balancer/plane_state.h"
#include "common/http_pool_state.h" /* http_address_parse */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static plane *plane_of(engine *e) { return (plane *)e; }

/* ---- the end ---- */

static void plane_free(plane *p) {
  free(p->workers);
  free(p->self);
  free(p->listen);
  free(p);
}

static void on_told_closed(uv_handle_t *handle) { plane_free(handle->data); }

static void end_workers(plane *p) {
  for (unsigned i = 0; i < p->count; i++)
    worker_end(&p->workers[i]);
  p->count = 0;
}

static void plane_close(engine *e) {
  plane *p = plane_of(e);

  end_workers(p);
  uv_close((uv_handle_t *)&p->told, on_told_closed);
}

static void on_told(uv_async_t *told) {
  plane *p = told->data;
  void (*done)(void *ctx) = p->on_drained;

  for (unsigned i = 0; i < p->count; i++)
    if (!atomic_load(&p->workers[i].drained))
      return;
  p->on_drained = NULL;
  if (done != NULL)
    done(p->drained_ctx);
}

static void plane_drain(engine *e, void (*done)(void *ctx), void *ctx) {
  plane *p = plane_of(e);

  p->on_drained = done;
  p->drained_ctx = ctx;
  for (unsigned i = 0; i < p->count; i++)
    worker_drain(&p->workers[i]);
}

/* ---- what is asked of it ---- */

static const char *plane_address(const engine *e) {
  const plane *p = (const plane *)e;

  return p->address;
}

static void plane_changed(engine *e, const route *was, const route *is) {
  (void)e;
  (void)was;
  (void)is;
}

static void plane_nothing(engine *e) { (void)e; }

static bool plane_is_applied(engine *e, const route *r) {
  (void)e;
  (void)r;
  return true;
}

static void plane_get_status(engine *e, engine_status *out) {
  plane *p = plane_of(e);

  *out = (engine_status){.name = "embedded", .trouble = ""};
  for (unsigned i = 0; i < p->count; i++) {
    out->connections += atomic_load(&p->workers[i].connections);
    out->requests += atomic_load(&p->workers[i].requests);
  }
}

/* ---- the beginning ---- */

static void or_else(int64_t *value, int64_t standard) {
  if (*value == 0)
    *value = standard;
}

static void set_defaults(engine_config *c) {
  if (c->threads == 0)
    c->threads = uv_available_parallelism();
  if (c->threads > TABLE_READERS - 1)
    c->threads = TABLE_READERS - 1;
  if (c->max_connections == 0)
    c->max_connections = 20000;
  if (c->max_app == 0)
    c->max_app = 1000;
  if (c->max_body == 0)
    c->max_body = UINT64_C(1) << 30;
  or_else(&c->head_ms, 10 * 1000);
  or_else(&c->idle_ms, 60 * 1000);
  or_else(&c->connect_ms, 2 * 1000);
  or_else(&c->answer_ms, 30 * 1000);
  or_else(&c->tunnel_ms, 60 * 60 * 1000);
}

/* SO_REUSEPORT would let a second balancer take half of the first one's
   visitors unseen. Whoever binds without it is told that somebody listens. */
static bool is_free(const char *address, char *error, size_t size) {
  http_address a;
  int on = 1, fd;
  bool taken;
  socklen_t len;

  if (!http_address_parse(&a, address) || a.to.any.sa_family == AF_UNIX)
    return true; /* http_server_open says what is wrong */
  len = a.to.any.sa_family == AF_INET6 ? sizeof a.to.in6 : sizeof a.to.in;
  fd = socket(a.to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return true;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  taken = bind(fd, &a.to.any, len) != 0 && errno == EADDRINUSE;
  (void)close(fd);
  if (taken)
    (void)snprintf(error, size, "cannot listen on %s: %s", address,
                   strerror(EADDRINUSE));
  return !taken;
}

static bool open_workers(plane *p, char *error, size_t size) {
  const char *address = p->listen;

  p->workers = calloc(p->config.threads, sizeof *p->workers);
  if (p->workers == NULL) {
    (void)snprintf(error, size, "no memory for %u workers", p->config.threads);
    return false;
  }
  if (!is_free(address, error, size))
    return false;
  /* The first takes the port, where any will do; the others follow it. */
  for (unsigned i = 0; i < p->config.threads; i++) {
    p->count++;
    if (!worker_open(&p->workers[i], p, i, address, error, size))
      return false;
    if (i == 0)
      (void)snprintf(p->address, sizeof p->address, "%s",
                     http_server_address(p->workers[0].server));
    address = p->address;
  }
  return true;
}

static bool start_workers(plane *p, char *error, size_t size) {
  for (unsigned i = 0; i < p->count; i++)
    if (!worker_start(&p->workers[i], error, size))
      return false;
  return true;
}

static bool open_told(plane *p, uv_loop_t *loop, char *error, size_t size) {
  p->told.data = p;
  if (uv_async_init(loop, &p->told, on_told) == 0)
    return true;
  (void)snprintf(error, size, "no descriptor for the engine");
  return false;
}

#ifdef PLATFORM_HOOKS
/* Among ways that are others'. */
static bool names_noguard(const char *naive) {
  static const char way[] = "noguard";
  const char *at = naive != NULL ? strstr(naive, way) : NULL;

  return at != NULL && (at == naive || at[-1] == ',') &&
         (at[sizeof way - 1] == '\0' || at[sizeof way - 1] == ',');
}
#endif

static plane *plane_new(const engine_config *config) {
  static const engine_ops ops = {
      plane_address,    plane_changed,    plane_nothing, plane_nothing,
      plane_is_applied, plane_get_status, plane_drain,   plane_close};
  plane *p = calloc(1, sizeof *p);

  if (p == NULL)
    return NULL;
  p->engine.ops = &ops;
  p->config = *config;
  p->self = strdup(config->self);
  p->listen = strdup(config->listen);
  p->config.self = p->self;
  p->config.listen = p->listen;
#ifdef PLATFORM_HOOKS
  p->trusting = names_noguard(config->naive);
#endif
  set_defaults(&p->config);
  p->app_limit =
      (p->config.max_app + p->config.threads - 1) / p->config.threads;
  if (p->self != NULL && p->listen != NULL)
    return p;
  plane_free(p);
  return NULL;
}

engine *plane_open(uv_loop_t *loop, const engine_config *config, char *error,
                   size_t size) {
  plane *p = plane_new(config);

  if (p == NULL) {
    (void)snprintf(error, size, "no memory for the engine");
    return NULL;
  }
  plane_make_counts(p);
  if (open_workers(p, error, size) && open_told(p, loop, error, size)) {
    if (start_workers(p, error, size))
      return &p->engine;
    plane_close(&p->engine);
    return NULL;
  }
  end_workers(p);
  plane_free(p);
  return NULL;
}
