/* The engine "haproxy", on the loop's thread: it tells the model what the table
   says, and those who wait when HAProxy has it. HAProxy is started by a service
   of its own, with the configuration of haproxy_write_config, and goes on with
   what it has when the balancer ends. See haproxy_state.h. */
#include "balancer/haproxy_state.h"

#include "common/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct haproxy_engine {
  engine base; /* first */
  uv_async_t news;
  haproxy_sync sync;
  engine_config config;
  char *listen, *path;
  bool has_table;       /* the model was made of one that was ready */
  bool short_of_memory; /* the model is not what the table says */
  size_t refused;       /* hosts that HAProxy cannot be told */
  char refused_why[HAPROXY_SAY];
  char trouble[HAPROXY_SAY];
  void (*drained)(void *ctx);
  void *drained_ctx;
} haproxy_engine;

static haproxy_engine *of(engine *e) { return (haproxy_engine *)(void *)e; }

static const char *get_address(const engine *e) {
  return ((const haproxy_engine *)(const void *)e)->listen;
}

/* ---- from the table to the model ---- */

typedef struct filling {
  haproxy_engine *engine;
  haproxy_model *model;
  text value;
  bool ok;
} filling;

static void refuse(haproxy_engine *h, const char *host, size_t len,
                   const char *why) {
  h->refused++;
  (void)snprintf(h->refused_why, sizeof h->refused_why,
                 "%.*s is not served: %s", len < 80 ? (int)len : 80, host, why);
  log_event(LOG_ERROR, "haproxy.refused", LS("why", h->refused_why));
}

static void put_host(filling *f, const route *r, const char *host, size_t len) {
  char key[HAPROXY_KEY_MOST + 1];
  const char *why;

  if (!haproxy_key(host, len, key, &why)) {
    refuse(f->engine, host, len, why);
    return;
  }
  text_clear(&f->value);
  if (r != NULL && !haproxy_value(r, &f->value)) {
    if (f->value.failed) {
      f->ok = false;
      return;
    }
    refuse(f->engine, host, len, "its target is no address and claim");
    r = NULL;
  }
  if (!haproxy_model_set(f->model, key, r != NULL ? text_get(&f->value) : NULL))
    f->ok = false;
}

static void put_each(void *ctx, const route *r, size_t i) {
  size_t len;
  const char *host = route_host(r, i, &len);

  put_host(ctx, r, host, len);
}

/* Holds the lock. From the first table on HAProxy is told. */
static void note_table(haproxy_engine *h) {
  if (table_is_ready(h->config.table))
    h->has_table = h->sync.ready = true;
}

/* All of it anew. The old model stays when there is no memory for another. */
static void fill(haproxy_engine *h) {
  filling f = {h, haproxy_model_new(), TEXT_INIT, true};

  h->refused = 0;
  if (f.model != NULL) {
    routes_each(table_current(h->config.table), put_each, &f);
    f.ok = haproxy_model_set(f.model, HAPROXY_ALL,
                             haproxy_notice(h->config.table)) &&
           f.ok;
  }
  h->short_of_memory = f.model == NULL || !f.ok;
  text_free(&f.value);
  if (h->short_of_memory) {
    haproxy_model_free(f.model);
    return;
  }
  (void)pthread_mutex_lock(&h->sync.lock);
  haproxy_model_become(h->sync.model, f.model);
  note_table(h);
  (void)pthread_mutex_unlock(&h->sync.lock);
}

/* A host a route lists may be another route's, or be found by a pattern. */
static const route *route_of_host(const haproxy_engine *h, const char *host,
                                  size_t len) {
  const route *r = routes_find(table_current(h->config.table), host, len);
  size_t other_len;

  for (size_t i = 0; r != NULL && i < route_host_count(r); i++) {
    const char *other = route_host(r, i, &other_len);

    if (other_len == len && memcmp(other, host, len) == 0)
      return r;
  }
  return NULL;
}

static void put_route(filling *f, const route *r) {
  size_t len;

  for (size_t i = 0; r != NULL && i < route_host_count(r); i++) {
    const char *host = route_host(r, i, &len);

    put_host(f, route_of_host(f->engine, host, len), host, len);
  }
}

static void put_notice(filling *f) {
  if (!haproxy_model_set(f->model, HAPROXY_ALL,
                         haproxy_notice(f->engine->config.table)))
    f->ok = false;
}

static void change(haproxy_engine *h, const route *was, const route *is) {
  filling f = {h, h->sync.model, TEXT_INIT, true};

  if (h->short_of_memory) {
    fill(h);
  } else {
    (void)pthread_mutex_lock(&h->sync.lock);
    put_route(&f, was);
    put_route(&f, is);
    put_notice(&f);
    note_table(h);
    (void)pthread_mutex_unlock(&h->sync.lock);
    h->short_of_memory = !f.ok;
  }
  text_free(&f.value);
  haproxy_sync_wake(&h->sync);
}

static void changed(engine *e, const route *was, const route *is) {
  change(of(e), was, is);
}

static void noticed(engine *e) { change(of(e), NULL, NULL); }

static void replaced(engine *e) {
  haproxy_engine *h = of(e);

  fill(h);
  haproxy_sync_wake(&h->sync);
}

/* ---- what is in force ---- */

static bool has_host(const haproxy_engine *h, const route *r, const char *host,
                     size_t len, text *value) {
  const route *owner = route_of_host(h, host, len);
  char key[HAPROXY_KEY_MOST + 1];
  const char *why;

  text_clear(value);
  /* Another route has it, by the table: of r there is nothing to be had. */
  if (owner != NULL && owner != r)
    return true;
  return owner == r && haproxy_key(host, len, key, &why) &&
         haproxy_value(r, value) &&
         haproxy_model_has(h->sync.model, key, text_get(value),
                           h->sync.state.acked);
}

static bool is_applied(engine *e, const route *r) {
  haproxy_engine *h = of(e);
  text value = TEXT_INIT;
  bool all;
  size_t len;

  (void)pthread_mutex_lock(&h->sync.lock);
  all = h->sync.state.in_force && !h->short_of_memory &&
        haproxy_model_has(h->sync.model, HAPROXY_ALL,
                          haproxy_notice(h->config.table), h->sync.state.acked);
  for (size_t i = 0; all && i < route_host_count(r); i++) {
    const char *host = route_host(r, i, &len);

    all = has_host(h, r, host, len, &value);
  }
  (void)pthread_mutex_unlock(&h->sync.lock);
  text_free(&value);
  return all;
}

static void get_status(engine *e, engine_status *out) {
  haproxy_engine *h = of(e);

  memset(out, 0, sizeof *out);
  (void)pthread_mutex_lock(&h->sync.lock);
  out->connections = h->sync.state.connections;
  out->requests = h->sync.state.requests;
  out->waiting = haproxy_model_waiting(h->sync.model) + h->sync.state.sent;
  memcpy(h->trouble, h->sync.state.trouble, sizeof h->trouble);
  (void)pthread_mutex_unlock(&h->sync.lock);
  if (h->trouble[0] == '\0' && h->short_of_memory)
    (void)snprintf(h->trouble, sizeof h->trouble,
                   "there is no memory for what HAProxy is to be told");
  else if (h->trouble[0] == '\0' && h->refused != 0)
    memcpy(h->trouble, h->refused_why, sizeof h->trouble);
  out->name = "haproxy";
  out->trouble = h->trouble;
}

/* ---- its life ---- */

static void on_news(uv_async_t *async) {
  haproxy_engine *h = async->data;
  void (*drained)(void *ctx) = h->drained;

  h->drained = NULL;
  /* A snapshot comes into force after the engine was opened, and before the
     loop runs, without a word. */
  if (!h->has_table && table_is_ready(h->config.table))
    replaced(&h->base);
  if (h->config.on_applied != NULL)
    h->config.on_applied(h->config.ctx);
  if (drained != NULL)
    drained(h->drained_ctx);
}

static void from_thread(void *ctx) {
  haproxy_engine *h = ctx;

  (void)uv_async_send(&h->news);
}

/* Its visitors are HAProxy's, and stay. */
static void drain(engine *e, void (*done)(void *ctx), void *ctx) {
  haproxy_engine *h = of(e);

  h->drained = done;
  h->drained_ctx = ctx;
  (void)uv_async_send(&h->news);
}

static void free_engine(haproxy_engine *h) {
  free(h->listen);
  free(h->path);
  free(h);
}

static void on_closed(uv_handle_t *handle) { free_engine(handle->data); }

static void close_engine(engine *e) {
  haproxy_engine *h = of(e);

  haproxy_sync_stop(&h->sync);
  uv_close((uv_handle_t *)&h->news, on_closed);
}

static const engine_ops ops = {get_address, changed,    replaced, noticed,
                               is_applied,  get_status, drain,    close_engine};

static void make_metrics(haproxy_engine *h) {
  metrics *m = h->config.metrics;

  h->sync.linked = metrics_gauge(m, "balancer_haproxy_up", NULL,
                                 "1 while HAProxy's runtime socket answers.");
  h->sync.replaced =
      metrics_counter(m, "balancer_haproxy_replaces_total", NULL,
                      "Times HAProxy's map was replaced as a whole.");
  h->sync.changed = metrics_counter(m, "balancer_haproxy_changes_total", NULL,
                                    "Entries of HAProxy's map changed alone.");
  h->sync.repaired =
      metrics_counter(m, "balancer_haproxy_repairs_total", NULL,
                      "Times HAProxy's map was not as it had been left.");
}

static bool is_complete(const engine_config *c, char *error, size_t size) {
  const char *lacks = NULL;

  if (c->haproxy_socket == NULL || c->haproxy_socket[0] == '\0')
    lacks = "the path of HAProxy's runtime socket is missing";
  else if (c->listen == NULL)
    lacks = "the address HAProxy listens at is missing";
  else if (c->naive != NULL && strstr(c->naive, "noguard") != NULL)
    lacks = "HAProxy does not work in the naive way noguard";
  if (lacks != NULL)
    (void)snprintf(error, size, "%s", lacks);
  return lacks == NULL;
}

engine *haproxy_open(uv_loop_t *loop, const engine_config *config, char *error,
                     size_t size) {
  haproxy_engine *h;

  if (!is_complete(config, error, size))
    return NULL;
  h = calloc(1, sizeof *h);
  (void)snprintf(error, size, "there is no memory");
  if (h == NULL)
    return NULL;
  h->base.ops = &ops;
  h->config = *config;
  h->listen = strdup(config->listen);
  h->path = strdup(config->haproxy_socket);
  h->news.data = h;
  if (h->listen == NULL || h->path == NULL ||
      uv_async_init(loop, &h->news, on_news) != 0) {
    free_engine(h);
    return NULL;
  }
  make_metrics(h);
  h->sync.path = h->path;
  h->sync.verify_ms = config->verify_ms;
  h->sync.on_news = from_thread;
  h->sync.ctx = h;
  if (haproxy_sync_start(&h->sync, error, size)) {
    replaced(&h->base);
    from_thread(h); /* see on_news */
    return &h->base;
  }
  uv_close((uv_handle_t *)&h->news, on_closed);
  return NULL;
}
