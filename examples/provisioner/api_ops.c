/* Operations: what has become of NAME.GEN, read off the documents; and those
   who wait for it to become something else. */
#include "provisioner/api_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MS = 250, CONFIRM_MS = 5000 };

static const char *const names[] = {"unknown",  "queued",    "starting",
                                    "stopping", "live",      "stopped",
                                    "failed",   "superseded"};

const char *op_state_name(enum op_state state) { return names[state]; }

bool op_is_over(enum op_state state) { return state >= OP_LIVE; }

/* ---- the queue, as all provisioners together have it ---- */

static bool take_queued(void *ctx, const route_doc *route) {
  api *a = ctx;
  waiting_app *grown;

  if (route->state != ROUTE_QUEUED)
    return true;
  if (a->queue_count == a->queue_cap) {
    size_t cap = a->queue_cap != 0 ? a->queue_cap * 2 : 64;

    grown = realloc(a->queue, cap * sizeof *grown);
    if (grown == NULL)
      return false;
    a->queue = grown;
    a->queue_cap = cap;
  }
  a->queue[a->queue_count].at_ms = route->at_ms;
  memcpy(a->queue[a->queue_count].app, route->app, NAME_MOST + 1);
  a->queue_count++;
  return true;
}

static int by_time(const void *left, const void *right) {
  const waiting_app *a = left, *b = right;

  if (a->at_ms != b->at_ms)
    return a->at_ms < b->at_ms ? -1 : 1;
  return strcmp(a->app, b->app);
}

/* Asked often, counted seldom: each time costs a look at all routes. */
static void count_queue(api *a) {
  int64_t now = mono_ms();

  if (!a->queue_old || now - a->queue_ms < QUEUE_MS)
    return;
  a->queue_old = false;
  a->queue_ms = now;
  a->queue_count = 0;
  view_each_route(a->config.view, take_queued, a);
  if (a->queue_count > 1)
    qsort(a->queue, a->queue_count, sizeof *a->queue, by_time);
}

size_t ops_queued(api *a) {
  count_queue(a);
  return a->queue_count;
}

static size_t position_of(api *a, const op *o) {
  size_t mine =
      a->config.kernel != NULL ? kernel_position(a->config.kernel, o->app) : 0;

  if (mine != 0)
    return mine;
  count_queue(a);
  for (size_t i = 0; i < a->queue_count; i++)
    if (strcmp(a->queue[i].app, o->app) == 0)
      return i + 1;
  return 0;
}

/* ---- what it has become ---- */

static enum op_state by_route(const route_doc *route) {
  switch (route->state) {
  case ROUTE_QUEUED:
    return OP_QUEUED;
  case ROUTE_LIVE:
    return route->to_count > 0 ? OP_LIVE : OP_STARTING;
  case ROUTE_CRASHED:
  case ROUTE_FAILED:
    return OP_FAILED;
  case ROUTE_STARTING:
  case ROUTE_STOPPED:
    break;
  }
  return OP_STARTING;
}

static enum op_state of_app(api *a, const app_doc *app, bool routed, op *o) {
  if (o->gen < app->gen || (routed && o->route.gen > o->gen))
    return OP_SUPERSEDED;
  if (!app->started)
    return !routed || o->route.state == ROUTE_STOPPED ? OP_STOPPED
                                                      : OP_STOPPING;
  o->routed = routed && o->route.gen == o->gen;
  if (o->routed)
    return by_route(&o->route);
  return a->config.kernel != NULL &&
                 kernel_position(a->config.kernel, o->app) > 0
             ? OP_QUEUED
             : OP_STARTING;
}

static enum op_state of_gone(api *a, bool routed, const op *o) {
  int64_t last = view_gen(a->config.view, o->app);

  if (!view_app_is_gone(a->config.view, o->app) || o->gen > last)
    return OP_UNKNOWN;
  if (o->gen < last)
    return OP_SUPERSEDED;
  return routed ? OP_STOPPING : OP_STOPPED;
}

bool op_look(api *a, const char *app, int64_t gen, op *o) {
  app_doc doc;
  bool known, routed;
  const flight *f;

  memset(o, 0, offsetof(op, route));
  (void)snprintf(o->app, sizeof o->app, "%s", app);
  o->gen = gen;
  routed = view_route(a->config.view, app, &o->route);
  known = view_app(a->config.view, app, &doc);
  if (known && gen <= doc.gen)
    o->state = of_app(a, &doc, routed, o);
  else if ((f = flight_of(a, app, gen)) != NULL)
    o->state = f->start ? OP_STARTING : OP_STOPPING; /* not seen yet */
  else if (!known)
    o->state = of_gone(a, routed, o);
  if (known)
    app_doc_free(&doc);
  if (o->state == OP_QUEUED)
    o->position = position_of(a, o);
  return o->state != OP_UNKNOWN;
}

/* ---- as JSON ---- */

bool op_url(api *a, const op *o, char *out, size_t size) {
  char port[16] = "";
  int len;

  if (o->route.host_count == 0)
    return false;
  if (a->config.url_port != 0)
    (void)snprintf(port, sizeof port, ":%d", a->config.url_port);
  len = snprintf(out, size, "%s://%s%s/", a->config.url_scheme,
                 o->route.hosts[0], port);
  return len > 0 && (size_t)len < size;
}

static json_t *hosts_json(const route_doc *route) {
  json_t *list = json_array();

  for (size_t i = 0; list != NULL && i < route->host_count; i++)
    if (json_array_append_new(list, json_string(route->hosts[i])) != 0) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *to_json(const route_doc *route) {
  json_t *list = json_array();

  for (size_t i = 0; list != NULL && i < route->to_count; i++) {
    const route_to *to = &route->to[i];

    if (json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "drone",
                                              to->drone, "addr", to->addr,
                                              "claim", to->claim)) != 0) {
      json_decref(list);
      return NULL;
    }
  }
  return list;
}

/* "b1 stale 12 s, b2 unreachable": one string each. */
static json_t *lacking_json(const char *lacking) {
  json_t *list = json_array();

  while (list != NULL && *lacking != '\0') {
    const char *end = strstr(lacking, ", ");
    size_t len = end != NULL ? (size_t)(end - lacking) : strlen(lacking);
    json_t *one = json_stringn(lacking, len);

    if (json_array_append_new(list, one != NULL ? one : json_string("?")) !=
        0) {
      json_decref(list);
      return NULL;
    }
    lacking += end != NULL ? len + 2 : len;
  }
  return list;
}

static bool put(json_t *in, const char *key, json_t *value) {
  return json_object_set_new(in, key, value) == 0;
}

static bool put_route(api *a, json_t *body, const op *o) {
  char url[HOST_MOST + 64];
  bool ok = true;

  if (o->route.code[0] != '\0')
    ok = put(body, "code", json_string(o->route.code));
  if (ok && o->route.msg[0] != '\0')
    ok = put(body, "msg", json_string(o->route.msg));
  if (ok && o->state == OP_LIVE && op_url(a, o, url, sizeof url))
    ok = put(body, "url", json_string(url));
  return ok && put(body, "hosts", hosts_json(&o->route)) &&
         put(body, "to", to_json(&o->route));
}

json_t *op_json(api *a, const op *o, const char *acks, const char *lacking) {
  char id[NAME_MOST + 32];
  json_t *body;
  bool ok;

  (void)snprintf(id, sizeof id, "%s.%" PRId64, o->app, o->gen);
  body = json_pack("{s:s, s:s, s:I, s:s}", "op", id, "app", o->app, "gen",
                   (json_int_t)o->gen, "state", op_state_name(o->state));
  ok = body != NULL;
  if (ok && o->position > 0)
    ok = put(body, "position", json_integer((json_int_t)o->position));
  if (ok && o->routed)
    ok = put_route(a, body, o);
  if (ok && acks != NULL)
    ok = put(body, "acks", json_string(acks)) &&
         put(body, "lacking", lacking_json(lacking));
  if (ok)
    return body;
  json_decref(body);
  return NULL;
}

/* ---- GET /ops/ID ---- */

static void told(call *c, const char *acks, const char *lacking) {
  op o;

  if (!op_look(c->api, c->app, c->gen, &o))
    answer_error(c, 404, "unknown", 0, "there is no operation %s.%" PRId64,
                 c->app, c->gen);
  else
    answer_get_op(c, &o, o.state == OP_LIVE ? acks : NULL, lacking);
}

static void tell(call *c, const op *o) {
  if (o->state != OP_LIVE) {
    told(c, NULL, "");
    return;
  }
  acks_ask(c, o, CONFIRM_MS, told);
}

void ops_get(call *c) {
  api *a = c->api;
  op o;

  (void)op_look(a, c->app, c->gen, &o);
  if (op_is_over(o.state) || c->number <= 0 || a->draining) {
    tell(c, &o);
    return;
  }
  c->was = o.state;
  c->was_position = o.position;
  c->until_ms =
      mono_ms() + (c->number < WAIT_MOST_S ? c->number : WAIT_MOST_S) * 1000;
  call_list(c, &a->ops[api_bucket(c->app)]);
}

static void look_again(call *c, bool anyway) {
  op o;

  (void)op_look(c->api, c->app, c->gen, &o);
  if (!anyway && o.state == c->was && o.position == c->was_position)
    return;
  call_unlist(c);
  tell(c, &o);
}

void ops_changed(api *a, const char *app) {
  call *c, *next;

  for (c = LIST_FIRST(&a->ops[api_bucket(app)]); c != NULL; c = next) {
    next = LIST_NEXT(c, link);
    if (strcmp(c->app, app) == 0)
      look_again(c, false);
  }
}

void ops_due(api *a, bool all) {
  int64_t now = mono_ms();
  call *c, *next;

  for (size_t i = 0; i < CALL_BUCKETS; i++)
    for (c = LIST_FIRST(&a->ops[i]); c != NULL; c = next) {
      next = LIST_NEXT(c, link);
      if (all || now >= c->until_ms)
        look_again(c, true);
      else if (c->was == OP_QUEUED)
        look_again(c, false); /* its place moves with the others' */
    }
}
