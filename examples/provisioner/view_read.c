/* Readers of the view, from any thread: each takes a version of the mirror,
   copies what it wants, and gives it back. */
#include "provisioner/view_state.h"

#include <stdio.h>
#include <string.h>

typedef struct reading {
  const changefeed_view *view;
  const view_value *value; /* NULL: none that can be read */
  bool there;              /* the document is */
} reading;

static reading look_up(view *v, int database, const char *prefix,
                       const char *name, enum view_kind kind) {
  reading r = {changefeed_mirror_view(v->databases[database].mirror), NULL,
               false};
  changefeed_entry entry;
  char id[ADDR_MOST + 32];
  int len = snprintf(id, sizeof id, "%s%s", prefix, name);

  if (len < 0 || (size_t)len >= sizeof id ||
      changefeed_view_get(r.view, id, (size_t)len, &entry) != CHANGEFEED_OK)
    return r;
  r.there = true;
  r.value = entry.value;
  if (r.value != NULL && r.value->kind != kind)
    r.value = NULL;
  return r;
}

static bool finish(const reading *r) {
  bool found = r->value != NULL;

  changefeed_view_release(r->view);
  return found;
}

/* A copy: jansson's counters of references cannot be changed by two threads
   without a race. */
static bool copy(const app_doc *from, app_doc *to) {
  *to = *from;
  to->doc = json_deep_copy(from->doc);
  return to->doc != NULL;
}

bool view_app(view *v, const char *name, app_doc *out) {
  reading r = look_up(v, VIEW_APPS, "app:", name, VALUE_APP);

  if (r.value != NULL && !copy(&r.value->as.app, out))
    r.value = NULL;
  return finish(&r);
}

bool view_app_is_gone(view *v, const char *app) {
  reading r = look_up(v, VIEW_APPS, "app:", app, VALUE_APP);

  (void)finish(&r);
  return !r.there && view_is_synced(v);
}

bool view_route(view *v, const char *app, route_doc *out) {
  reading r = look_up(v, VIEW_APPS, "route:", app, VALUE_ROUTE);

  if (r.value != NULL)
    *out = r.value->as.route;
  return finish(&r);
}

bool view_drone(view *v, const char *addr, drone_doc *out) {
  reading r = look_up(v, VIEW_LOCKS, "drone:", addr, VALUE_DRONE);

  if (r.value != NULL)
    *out = r.value->as.drone;
  return finish(&r);
}

void view_maintenance(view *v, char mode[8], char msg[256]) {
  reading r = look_up(v, VIEW_APPS, "sys:maintenance", "", VALUE_MAINTENANCE);
  const maintenance_doc *m;

  (void)snprintf(mode, 8, "off");
  msg[0] = '\0';
  if (r.value != NULL) {
    m = &r.value->as.maintenance;
    if (m->until_ms == 0 || m->until_ms > view_wall_ms()) {
      memcpy(mode, m->mode, sizeof m->mode);
      memcpy(msg, m->msg, sizeof m->msg);
    }
  }
  (void)finish(&r);
}

int64_t view_maintenance_until(view *v) {
  reading r = look_up(v, VIEW_APPS, "sys:maintenance", "", VALUE_MAINTENANCE);
  int64_t until = r.value != NULL ? r.value->as.maintenance.until_ms : 0;

  (void)finish(&r);
  return until;
}

/* ---- many ---- */

typedef struct walk {
  enum view_kind kind;
  bool (*each)(struct walk *w, const view_value *value);
  union {
    bool (*app)(void *ctx, app_doc *app);
    bool (*route)(void *ctx, const route_doc *route);
    bool (*drone)(void *ctx, const drone_doc *drone);
    balancer_doc *balancers;
  } to;
  void *ctx;
  size_t count, most;
  int64_t since_ms; /* balancers that came before that are gone */
} walk;

static int step(void *ctx, const changefeed_entry *entry) {
  walk *w = ctx;
  const view_value *value = entry->value;

  if (value == NULL || value->kind != w->kind)
    return 0;
  return w->each(w, value) ? 0 : 1;
}

/* The byte behind ':' is ';': every id with the prefix lies between. */
static void walk_all(view *v, int database, const char *from, const char *to,
                     walk *w) {
  const changefeed_view *all =
      changefeed_mirror_view(v->databases[database].mirror);

  (void)changefeed_view_each(all, from, to, step, w);
  changefeed_view_release(all);
}

static bool each_app(walk *w, const view_value *value) {
  app_doc app = value->as.app;

  return w->to.app(w->ctx, &app);
}

static bool each_route(walk *w, const view_value *value) {
  return w->to.route(w->ctx, &value->as.route);
}

static bool each_drone(walk *w, const view_value *value) {
  return w->to.drone(w->ctx, &value->as.drone);
}

static bool each_balancer(walk *w, const view_value *value) {
  if (w->count < w->most && value->as.balancer.came_ms >= w->since_ms)
    w->to.balancers[w->count++] = value->as.balancer.doc;
  return w->count < w->most;
}

void view_each_app(view *v, bool (*each)(void *ctx, app_doc *app), void *ctx) {
  walk w = {VALUE_APP, each_app, {NULL}, ctx, 0, 0, 0};

  w.to.app = each;
  walk_all(v, VIEW_APPS, "app:", "app;", &w);
}

void view_each_route(view *v, bool (*each)(void *ctx, const route_doc *route),
                     void *ctx) {
  walk w = {VALUE_ROUTE, each_route, {NULL}, ctx, 0, 0, 0};

  w.to.route = each;
  walk_all(v, VIEW_APPS, "route:", "route;", &w);
}

void view_each_drone(view *v, bool (*each)(void *ctx, const drone_doc *drone),
                     void *ctx) {
  walk w = {VALUE_DRONE, each_drone, {NULL}, ctx, 0, 0, 0};

  w.to.drone = each;
  walk_all(v, VIEW_LOCKS, "drone:", "drone;", &w);
}

size_t view_balancers(view *v, balancer_doc *out, size_t most) {
  walk w = {VALUE_BALANCER, each_balancer, {NULL}, NULL, 0, most, 0};

  w.to.balancers = out;
  w.since_ms = view_ticked_ms(v) - v->config.gone_ms;
  if (most > 0)
    walk_all(v, VIEW_APPS, "balancer:", "balancer;", &w);
  return w.count;
}
