/* What concerns all apps: drones, maintenance, health and numbers; and host
   names that nobody has any more. */
#include "provisioner/api_state.h"

#include <stddef.h>
#include <string.h>

enum { SWEEP_MS = 60000, SWEEP_SOON_MS = 5000 };

/* ---- drones ---- */

typedef struct listing {
  json_t *list;
  size_t states[DRONE_DEAD + 1];
  bool failed;
} listing;

static bool add_drone(void *ctx, const drone_doc *drone) {
  listing *l = ctx;
  json_t *one = drone_doc_write(drone);

  l->states[drone->state]++;
  if (one != NULL) {
    (void)json_object_del(one, "_id");
    (void)json_object_del(one, "_rev");
  }
  l->failed |= one == NULL || json_array_append_new(l->list, one) != 0;
  return !l->failed;
}

void drones_get(call *c) {
  listing l = {json_array(), {0}, false};
  json_t *states = json_object();

  if (l.list != NULL)
    view_each_drone(c->api->config.view, add_drone, &l);
  for (int i = 0; i <= DRONE_DEAD; i++)
    l.failed |=
        json_object_set_new(states, drone_state_name((enum drone_state)i),
                            json_integer((json_int_t)l.states[i])) != 0;
  if (l.failed) {
    json_decref(l.list);
    l.list = NULL;
  }
  answer(c, 200,
         json_pack("{s:o, s:o, s:I}", "drones", l.list, "states", states,
                   "queued", (json_int_t)ops_queued(c->api)),
         0);
}

/* ---- maintenance ---- */

void maintenance_get(call *c) {
  char mode[8], msg[256];
  int64_t until;

  view_maintenance(c->api->config.view, mode, msg);
  until = strcmp(mode, "off") != 0 ? view_maintenance_until(c->api->config.view)
                                   : 0;
  answer(c, 200,
         json_pack("{s:s, s:s, s:o}", "mode", mode, "msg", msg, "until",
                   until > 0 ? json_integer(until) : json_null()),
         0);
}

static void write_it(call *c, desk_hands *hands) {
  c->result = write_maintenance(hands, c->document, &c->answer);
}

static void written(call *c) {
  if (c->result != WRITE_DONE) {
    answer_write(c, c->result, c->answer.error);
    return;
  }
  log_event(
      LOG_WARN, "api.maintenance",
      LS("mode", json_string_value(json_object_get(c->document, "mode"))));
  answer(c, 200, json_incref(c->document), 0);
}

void maintenance_put(call *c) {
  char why[256];

  c->document = wish_maintenance(c->body, why, sizeof why);
  if (c->document == NULL) {
    answer_error(c, 400, "request", 0, "%s", why);
    return;
  }
  (void)call_task(c, c->api->writers, write_it, written);
}

/* ---- health and numbers ---- */

void healthz_get(call *c) {
  api *a = c->api;
  view *v = a->config.view;
  char names[MEMBERS_MOST][NAME_MOST + 1];
  int64_t age = view_tick_age_ms(v), p95_ms = 0;
  bool synced = view_is_synced(v);
  int errors = 0;

  if (a->config.kernel != NULL)
    kernel_database_load(a->config.kernel, &p95_ms, &errors);
  answer(c, synced && !a->draining ? 200 : 503,
         json_pack("{s:s, s:b, s:b, s:b, s:o, s:{s:I, s:i}, s:I}", "id",
                   a->config.self, "synced", synced, "fresh", view_is_fresh(v),
                   "draining", a->draining, "tick_age_ms",
                   age == INT64_MAX ? json_null() : json_integer(age),
                   "database", "p95_ms", (json_int_t)p95_ms, "errors_percent",
                   errors, "provisioners", (json_int_t)view_members(v, names)),
         0);
}

void metrics_get(call *c) {
  text out = TEXT_INIT;

  /* Some numbers are asked of the kernel, which is about to go. */
  if (c->api->draining) {
    answer_error(c, 503, "draining", 1000, "this provisioner is about to end");
    return;
  }
  metrics_write(c->api->config.metrics, &out);
  answer_text(c, 200, "text/plain; version=0.0.4", &out);
  text_free(&out);
}

/* ---- names of hosts ---- */

static bool lists(char hosts[][HOST_MOST + 1], size_t count, const char *host) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(hosts[i], host) == 0)
      return true;
  return false;
}

/* On a desk's thread. A document that cannot be read holds what it may hold. */
static bool is_held(void *ctx, const char *host, const char *app) {
  api *a = ctx;
  view *v = a->config.view;
  route_doc route;
  app_doc doc;
  bool held;

  if (!view_is_fresh(v))
    return true;
  if (view_route(v, app, &route) && lists(route.hosts, route.host_count, host))
    return true;
  if (!view_app(v, app, &doc))
    return !view_app_is_gone(v, app);
  held = lists(doc.hosts, doc.host_count, host);
  app_doc_free(&doc);
  return held;
}

static void sweep_work(desk_task *task, desk_hands *hands) {
  api *a = (api *)(void *)((char *)task - offsetof(api, sweep));

  (void)hosts_sweep(hands, is_held, a);
}

static void sweep_done(desk_task *task) {
  api *a = (api *)(void *)((char *)task - offsetof(api, sweep));

  a->sweeping = false;
}

/* One provisioner does it, with a view that is in step. */
void sweep_due(api *a) {
  int64_t now = mono_ms();

  if (a->sweeping || a->draining || !view_is_fresh(a->config.view) ||
      now - a->sweep_ms < (a->swept_wanted ? SWEEP_SOON_MS : SWEEP_MS))
    return;
  a->sweep_ms = now;
  a->swept_wanted = false;
  if (!view_is_mine(a->config.view, "host-names"))
    return;
  a->sweep.work = sweep_work;
  a->sweep.done = sweep_done;
  a->sweeping = desk_do(a->writers, &a->sweep);
}
