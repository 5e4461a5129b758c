/* The claim protocol, step 6: routes. A route says live only for a claim whose
   drone has said so, and only while its gen is the wanted one.

   What makes that hold against another provisioner that ends the claim at the
   same time: the writer of live reads the route, then the drone's document,
   which must be bound, and writes over the revision it read. Whoever ends a
   claim writes the document first (draining), then sees to it that the route
   does not have the claim, and is written once more when it could still get it.
   Either the one sees the document, or the other has changed the revision. */
#include "provisioner/kernel_state.h"

#include "common/log.h"
#include <stdio.h>
#include <string.h>

enum { TRIES = 8 };

bool publish_possible(const route_doc *route, int64_t gen, const char *claim) {
  if (route->gen != gen)
    return route->gen < gen;
  if (route->state == ROUTE_QUEUED || route->state == ROUTE_STARTING)
    return true;
  return route->to_count != 0 && strcmp(route->to[0].claim, claim) == 0;
}

/* What balancers are told of an app besides where it is. */
static void take_face(route_doc *route, const app_doc *app) {
  memcpy(route->hosts, app->hosts, sizeof route->hosts);
  route->host_count = app->host_count;
  route->closed = app->closed;
  memcpy(route->notice, app->notice, sizeof route->notice);
}

bool publish_has_face(const route_doc *route, const app_doc *app) {
  return route->host_count == app->host_count &&
         memcmp(route->hosts, app->hosts, sizeof route->hosts) == 0 &&
         route->closed == app->closed &&
         strcmp(route->notice, app->notice) == 0;
}

static void point_to(route_doc *route, const drone_doc *d) {
  if (route->to_count != 0 && strcmp(route->to[0].claim, d->claim.id) != 0) {
    memcpy(route->prev, route->to, sizeof route->prev);
    route->prev_count = route->to_count;
  }
  (void)snprintf(route->to[0].drone, sizeof route->to[0].drone, "%s", d->addr);
  (void)snprintf(route->to[0].addr, sizeof route->to[0].addr, "%s", d->addr);
  (void)snprintf(route->to[0].claim, sizeof route->to[0].claim, "%s",
                 d->claim.id);
  route->to_count = 1;
}

static bool is_there(const route_doc *route, const app_doc *app,
                     const drone_doc *d) {
  return route->state == ROUTE_LIVE && route->gen == app->gen &&
         strcmp(route->to[0].claim, d->claim.id) == 0 &&
         publish_has_face(route, app);
}

/* Whether the claim is still the drone's, by its document. */
static enum stored is_bound(worker *w, const drone_doc *d) {
  drone_doc now;
  enum stored stored;

#ifdef PLATFORM_HOOKS
  if (w->k->naive != 0)
    return STORED;
#endif
  stored = store_read_drone(w, d->addr, &now, false);
  if (stored != STORED)
    return stored;
  return now.state == DRONE_BOUND && strcmp(now.claim.id, d->claim.id) == 0
             ? STORED
             : STORED_MISSING;
}

/* One try. LATER: read again. */
static enum published try_live(worker *w, const drone_doc *d, bool *again) {
  app_doc app;
  route_doc route;
  enum stored stored;
  enum published result = PUBLISH_LATER;

  *again = false;
  stored = store_read_app(w, d->claim.app, &app);
  if (stored != STORED)
    return stored == STORED_LATER ? PUBLISH_LATER : PUBLISH_MOVED;
  if (!app.started || app.gen != d->claim.gen) {
    app_doc_free(&app);
    return PUBLISH_MOVED;
  }
  stored = store_read_route(w, d->claim.app, &route);
  if (stored == STORED && is_there(&route, &app, d)) {
    result = PUBLISHED;
  } else if (stored == STORED_MISSING || stored == STORED_BROKEN) {
    result = PUBLISH_MOVED;
  } else if (stored == STORED) {
    stored = is_bound(w, d);
    if (stored != STORED || !publish_possible(&route, app.gen, d->claim.id)) {
      result = stored == STORED_LATER ? PUBLISH_LATER : PUBLISH_MOVED;
    } else {
      route.gen = app.gen;
      route.state = ROUTE_LIVE;
      (void)snprintf(route.code, sizeof route.code, "ok");
      route.msg[0] = '\0';
      take_face(&route, &app);
      point_to(&route, d);
      stored = store_route(w, &route);
      *again = stored == STORED_CLASH;
      result = stored == STORED ? PUBLISHED : PUBLISH_LATER;
    }
  }
  app_doc_free(&app);
  return result;
}

enum published publish_live(worker *w, const drone_doc *d) {
  int64_t began = mono_ms();
  enum published result;
  char claim[9];
  bool again = true;
  int i;

  for (i = 0, result = PUBLISH_LATER; again && i < TRIES; i++)
    result = try_live(w, d, &again);
  log_event(result == PUBLISH_MOVED ? LOG_WARN : LOG_INFO,
            result == PUBLISHED       ? "publish"
            : result == PUBLISH_MOVED ? "publish.moved"
                                      : "publish.later",
            LS("app", d->claim.app), LS("drone", d->addr),
            LS("claim", kernel_short(d->claim.id, claim)),
            LN("epoch", d->epoch), LN("gen", d->claim.gen));
  if (result == PUBLISHED) {
    metric_time(w->k->m.publish, mono_ms() - began);
    FAILPOINT(w->k, "publish");
  }
  return result;
}

enum stored publish_state(worker *w, route_doc *route, const app_doc *app,
                          enum route_state state, const char *code,
                          const char *msg) {
  enum stored stored;

  if (app != NULL) {
    route->gen = app->gen;
    take_face(route, app);
  }
  route->state = state;
  (void)snprintf(route->code, sizeof route->code, "%s", code);
  (void)snprintf(route->msg, sizeof route->msg, "%s", msg);
  stored = store_route(w, route);
  log_event(LOG_INFO, "route", LS("app", route->app),
            LS("state", route_state_name(state)), LS("code", code),
            LN("gen", route->gen),
            LS("result", stored == STORED ? "written" : "not written"));
  return stored;
}

/* The targets without that claim; whether it was among them. */
static bool take_out(route_doc *route, const char *claim) {
  size_t i, kept = 0;

  for (i = 0; i < route->to_count; i++)
    if (strcmp(route->to[i].claim, claim) != 0)
      route->to[kept++] = route->to[i];
  if (kept == route->to_count)
    return false;
  route->to_count = kept;
  return true;
}

enum stored publish_without(worker *w, const drone_doc *d) {
  enum stored stored = STORED_CLASH;
  route_doc route;
  int i;

  for (i = 0; stored == STORED_CLASH && i < TRIES; i++) {
    stored = store_read_route(w, d->claim.app, &route);
    if (stored != STORED)
      return stored == STORED_LATER ? STORED_LATER : STORED;
    if (take_out(&route, d->claim.id)) {
      if (route.to_count == 0 &&
          (route.state == ROUTE_LIVE || route.state == ROUTE_CRASHED))
        stored = publish_state(w, &route, NULL, ROUTE_STARTING, "",
                               "Its drone was lost; it moves to another.");
      else
        stored = store_route(w, &route);
    } else if (publish_possible(&route, d->claim.gen, d->claim.id)) {
      stored = store_route(w, &route);
    }
  }
  return stored == STORED ? STORED : STORED_LATER;
}
