/* The claim protocol, step 6: routes. A route says live only for a claim whose
   drone has said so, and only while its gen is the wanted one. What makes it
   safe against another provisioner: before a claim is taken away, the route is
   one that this claim cannot be published in any more, so a write that began
   before then fails for its revision. */
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

static void take_hosts(route_doc *route, const app_doc *app) {
  memcpy(route->hosts, app->hosts, sizeof route->hosts);
  route->host_count = app->host_count;
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
         route->host_count == app->host_count &&
         memcmp(route->hosts, app->hosts, sizeof route->hosts) == 0;
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
    if (!publish_possible(&route, app.gen, d->claim.id)) {
      result = PUBLISH_MOVED;
    } else {
      route.gen = app.gen;
      route.state = ROUTE_LIVE;
      (void)snprintf(route.code, sizeof route.code, "ok");
      route.msg[0] = '\0';
      take_hosts(&route, &app);
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
    take_hosts(route, app);
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
