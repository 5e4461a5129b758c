/* One look at one app: what is wanted, what its route says and which drones
   have a claim of it, brought closer together by one step or several. There is
   no memory of what was done before that matters: whoever looks next goes on
   from the documents. */
#include "provisioner/app_state.h"

#include "common/log.h"
#include <stdio.h>
#include <string.h>

/* Bound before claimed, then by claim, so that two provisioners choose alike.
   What the route points to while it does not say live is being replaced. */
static bool is_better(const drone_doc *a, const drone_doc *b) {
  if (b == NULL || a->state != b->state)
    return b == NULL || a->state == DRONE_BOUND;
  return strcmp(a->claim.id, b->claim.id) < 0;
}

drone_doc *look_candidate(look *l, bool in_route) {
  drone_doc *best = NULL;
  size_t i;

  for (i = 0; i < l->drone_count; i++) {
    drone_doc *d = &l->drones[i];

    if (d->claim.gen != l->app.gen || look_points_to(l, d) != in_route ||
        (d->state != DRONE_BOUND && d->state != DRONE_CLAIMED) ||
        pool_abandoned(l->w->k->pool, d->addr, d->claim.id))
      continue;
    if (is_better(d, best))
      best = d;
  }
  return best;
}

/* A claim that the route does not point to: gone on with, or ended. */
static bool look_any_open(const look *l) {
  size_t i;

  for (i = 0; i < l->drone_count; i++)
    if (!look_points_to(l, &l->drones[i]))
      return true;
  return false;
}

bool look_points_to(const look *l, const drone_doc *d) {
  size_t i;

  for (i = 0; i < l->route.to_count; i++)
    if (strcmp(l->route.to[i].drone, d->addr) == 0 &&
        strcmp(l->route.to[i].claim, d->claim.id) == 0)
      return true;
  return false;
}

/* The route becomes one of the wanted gen before anything is claimed for it,
   or taken away. False: it could not be written now. */
static bool route_becomes(look *l, enum route_state state, const char *code,
                          const char *msg) {
  if (l->has_route && l->route.gen == l->app.gen && l->route.state == state &&
      strcmp(l->route.code, code) == 0)
    return true;
  if (!l->has_route)
    (void)snprintf(l->route.app, sizeof l->route.app, "%s", l->app.name);
  if (publish_state(l->w, &l->route, &l->app, state, code, msg) != STORED)
    return false;
  l->has_route = true;
  return true;
}

static bool is_starting(const look *l) {
  return l->has_route && l->route.gen == l->app.gen &&
         (l->route.state == ROUTE_QUEUED || l->route.state == ROUTE_STARTING);
}

/* ---- a drone of its own ---- */

static int64_t failed(look *l, const char *why) {
  metric_add(l->w->k->m.failed, 1);
  l->memory->whole_ms = 0;
  if (!route_becomes(l, ROUTE_FAILED, "app", why))
    return SOON_MS;
  look_retire(l);
  return SOON_MS;
}

static int64_t published(look *l) {
  if (l->memory->whole_ms != 0)
    metric_time(l->w->k->m.whole, mono_ms() - l->memory->whole_ms);
  l->memory->whole_ms = 0;
  l->memory->checked_ms = mono_ms();
  l->memory->bad_ms = 0;
  return AT_ONCE_MS; /* to retire what it replaces */
}

/* From wherever it is, up to the route. */
static int64_t advance(look *l, drone_doc *d) {
  worker *w = l->w;
  char why[256] = "";
  enum claimed c = CLAIM_OK;

  /* Who has a drone is not told any more that he waits for one. */
  if ((!is_starting(l) || l->route.state == ROUTE_QUEUED) &&
      !route_becomes(l, ROUTE_STARTING, "", ""))
    return SOON_MS;
  if (d->state == DRONE_CLAIMED)
    c = claim_bind(w, l->memory, d);
  if (c == CLAIM_OK) {
    c = claim_start(w, l->memory, &l->app, d, why, sizeof why);
    if (c == CLAIM_GIVE_UP) {
      (void)claim_settle(w, l->memory, d);
      return failed(l, why);
    }
  }
  if (c == CLAIM_OK)
    c = claim_settle(w, l->memory, d);
  if (c != CLAIM_OK)
    return c == CLAIM_LATER ? STEP_MS : AT_ONCE_MS;
  return publish_live(w, d) == PUBLISHED ? published(l) : SOON_MS;
}

#ifdef PLATFORM_HOOKS
/* The mistake of a pool that is empty: the drone that was given away last is
   given away once more. */
static bool take_last(look *l, drone_doc *d) {
  if (!NAIVE(l->w->k, NAIVE_EMPTYPOOL) || !pool_last(l->w->k->pool, d) ||
      d->claim.id[0] == '\0')
    return false;
  (void)snprintf(d->claim.app, sizeof d->claim.app, "%s", l->app.name);
  d->claim.gen = l->app.gen;
  return route_becomes(l, ROUTE_STARTING, "", "") &&
         publish_live(l->w, d) == PUBLISHED;
}
#endif

/* The drone that has an older gen of the app, and serves it. */
static drone_doc *own_drone(look *l) {
  size_t i;

  for (i = 0; i < l->drone_count; i++)
    if (l->drones[i].state == DRONE_BOUND &&
        l->drones[i].claim.gen < l->app.gen && look_points_to(l, &l->drones[i]))
      return &l->drones[i];
  return NULL;
}

/* No other drone became free for long enough: the app's own is taken from its
   older gen for the new one. It does not answer meanwhile, but otherwise would
   hold for ever what it waits for. The drone is claimed again as it becomes
   free, so that nobody else gets it. */
static int64_t reuse(look *l, drone_doc *d) {
  worker *w = l->w;
  agent_state state;
  enum claimed c;

  l->route.to_count = 0;
  if (publish_state(w, &l->route, &l->app, ROUTE_QUEUED, "capacity",
                    "All drones are taken; its own is made free for it.") !=
      STORED)
    return SOON_MS;
  d->state = DRONE_DRAINING;
  if (store_drone(w, d, NULL) != STORED || publish_without(w, d) != STORED ||
      agent_unbind(w->agent, d, &state) != AGENT_OK ||
      (state.app[0] != '\0' && strcmp(state.app, "none") != 0))
    return STEP_MS; /* whoever looks at the drone goes on with it */
  memcpy(d->vm, state.vm, sizeof d->vm);
  if (state.fence > d->epoch)
    d->epoch = state.fence;
  c = claim_take(w, l->memory, &l->app, d);
  if (c != CLAIM_OK)
    return SOON_MS;
  pool_leave(w->k->pool, l->app.name);
  return advance(l, d);
}

/* None is free. What is still pointed to may have come back meanwhile. */
static int64_t queue(look *l) {
  kernel *k = l->w->k;
  drone_doc *d = look_candidate(l, true);

  if (d != NULL && d->state == DRONE_BOUND && is_starting(l) &&
      agent_guard(l->w->agent, d->addr, l->app.name, d->claim.id) == GUARD_OK &&
      publish_live(l->w, d) == PUBLISHED) {
    pool_leave(k->pool, l->app.name);
    return published(l);
  }
  scaler_ask(k->scaler);
  l->memory->checked_ms = mono_ms();
  d = own_drone(l);
  if (d != NULL && is_starting(l) &&
      mono_ms() - l->memory->whole_ms >
          (scaler_may_grow(k->scaler) ? GROW_MS : k->app_every_ms))
    return reuse(l, d);
  if (!route_becomes(l, ROUTE_QUEUED, "capacity",
                     "All drones are taken; it starts when one is free."))
    return SOON_MS;
  return QUEUE_MS;
}

static int64_t claim_one(look *l) {
  kernel *k = l->w->k;
  char seed[NAME_MOST * 2 + 4];
  drone_doc d;
  enum claimed c = CLAIM_LOST;
  bool began;

  (void)snprintf(seed, sizeof seed, "%s/%s", k->config.self, l->app.name);
  if (pool_take(k->pool, l->app.name, id_hash(seed, strlen(seed)), &d) != 0) {
#ifdef PLATFORM_HOOKS
    if (take_last(l, &d)) {
      pool_leave(k->pool, l->app.name);
      return published(l);
    }
#endif
    return queue(l);
  }
  began = is_starting(l) || route_becomes(l, ROUTE_STARTING, "", "");
  if (began)
    c = claim_take(l->w, l->memory, &l->app, &d);
  pool_return(k->pool, d.addr, c == CLAIM_LATER ? SHUN_MS : 0);
  kernel_wake(k);
  if (c != CLAIM_OK)
    return began && c == CLAIM_LOST ? AT_ONCE_MS : SOON_MS;
  return advance(l, &d);
}

static int64_t start(look *l) {
  drone_doc *d = look_candidate(l, false);

  if (l->memory->whole_ms == 0) {
    l->memory->whole_ms = mono_ms();
    scaler_accepted(l->w->k->scaler);
  }
  if (d == NULL)
    return claim_one(l);
  pool_leave(l->w->k->pool, l->app.name);
  return advance(l, d);
}

/* ---- what is wanted ---- */

/* The route points to a drone that does not have its app any more. */
static int64_t lost(look *l, bool is_void) {
  metric_add(l->w->k->m.lost, 1);
  log_event(LOG_WARN, "app.lost", LS("app", l->app.name),
            LS("drone", l->route.to[0].drone), LN("gen", l->route.gen));
  if (is_void || l->route.state == ROUTE_FAILED)
    l->route.to_count = 0;
  if (l->route.state == ROUTE_FAILED)
    return store_route(l->w, &l->route) == STORED ? AT_ONCE_MS : SOON_MS;
  if (publish_state(l->w, &l->route, &l->app, ROUTE_STARTING, "",
                    "Its drone was lost; it moves to another.") != STORED)
    return SOON_MS;
  return AT_ONCE_MS;
}

/* Hosts or a notice were changed while it runs. */
static bool keep_face(look *l) {
  char code[sizeof l->route.code], msg[sizeof l->route.msg];

  if (l->route.gen != l->app.gen || publish_has_face(&l->route, &l->app) ||
      (l->route.state != ROUTE_LIVE && l->route.state != ROUTE_CRASHED))
    return true;
  memcpy(code, l->route.code, sizeof code);
  memcpy(msg, l->route.msg, sizeof msg);
  return publish_state(l->w, &l->route, &l->app, l->route.state, code, msg) ==
         STORED;
}

static int64_t keep_healthy(look *l) {
  bool crashed = l->route.state == ROUTE_CRASHED;

  if (l->route.to_count == 0)
    return look_retire(l);
  switch (look_health(l)) {
  case HEALTH_LOST:
    return lost(l, true);
  case HEALTH_AWAY:
    return lost(l, false);
  case HEALTH_UNSURE:
    (void)look_retire(l);
    return STEP_MS * 2;
  case HEALTH_CRASHED:
    if (l->route.state == ROUTE_LIVE &&
        !route_becomes(l, ROUTE_CRASHED, "crash",
                       "The app ends again and again."))
      return SOON_MS;
    break;
  case HEALTH_WELL:
    if (crashed && l->route.gen == l->app.gen &&
        !route_becomes(l, ROUTE_LIVE, "ok", ""))
      return SOON_MS;
    break;
  }
  return keep_face(l) ? look_retire(l) : SOON_MS;
}

static int64_t look_started(look *l) {
  if (!l->has_route || l->route.gen < l->app.gen || is_starting(l)) {
    int64_t again = start(l);

    if (l->has_route)
      (void)look_retire(l);
    return again;
  }
  pool_leave(l->w->k->pool, l->app.name);
  if (l->route.state == ROUTE_STOPPED) /* written for another wish: as lost */
    return route_becomes(l, ROUTE_STARTING, "", "") ? AT_ONCE_MS : SOON_MS;
  return keep_healthy(l);
}

static int64_t look_stopped(look *l) {
  pool_leave(l->w->k->pool, l->app.name);
  l->memory->whole_ms = 0;
  if (l->has_route && l->route.to_count != 0) {
    memcpy(l->route.prev, l->route.to, sizeof l->route.prev);
    l->route.prev_count = l->route.to_count;
    l->route.to_count = 0;
    l->route.gen = -1; /* to be written in any case */
  }
  if (l->has_route && !publish_has_face(&l->route, &l->app))
    l->route.gen = -1;
  if (!route_becomes(l, ROUTE_STOPPED, "", ""))
    return SOON_MS;
  return look_retire(l);
}

/* No document, and no tombstone either: nobody has destroyed it, the database
   has lost it, or is another one. Whoever empties a database, or puts back an
   old one, has not said that apps are to end. What there is of it stays. */
static int64_t look_stranger(look *l, const char *app) {
  metric_add(l->w->k->m.strangers, 1);
  if (!l->memory->stranger)
    log_event(LOG_ERROR, "app.stranger", LS("app", app),
              LN("drones", (int64_t)l->drone_count), LN("route", l->has_route),
              LS("why", "The database has neither its document nor its "
                        "tombstone; nothing of it is taken away."));
  l->memory->stranger = true;
  return l->w->k->app_every_ms;
}

/* Destroyed, and seen so by the database and the feed. */
static int64_t look_gone(look *l, const char *app) {
  int64_t gen = view_gen(l->w->k->view, app);

  pool_leave(l->w->k->pool, app);
  l->app_gone = true;
  if (l->has_route) {
    if (gen < l->route.gen)
      gen = l->route.gen;
    if (store_no_route(l->w, &l->route, gen) != STORED)
      return SOON_MS;
    log_event(LOG_INFO, "route.gone", LS("app", app), LN("gen", gen));
    l->has_route = false;
    l->route.to_count = 0;
  }
  if (l->drone_count == 0)
    return FORGET;
  return look_retire(l);
}

static int64_t look_missing(look *l, const char *app) {
  if (!l->has_route && l->drone_count == 0)
    return look_gone(l, app);
  switch (store_find_tombstone(l->w, app)) {
  case STORED:
    return look_gone(l, app);
  case STORED_MISSING:
    return look_stranger(l, app);
  case STORED_BROKEN:
    return l->w->k->app_every_ms;
  default:
    return SOON_MS;
  }
}

/* ---- the look ---- */

/* What is written is decided by what the database has, not by the view. */
static int64_t look_closely(look *l, const char *app) {
  worker *w = l->w;
  enum stored stored = store_read_route(w, app, &l->route);
  int64_t again;

  if (stored == STORED_LATER)
    return SOON_MS;
  if (stored == STORED_BROKEN)
    return l->w->k->app_every_ms;
  l->has_route = stored == STORED;
  if (!l->has_route)
    memset(&l->route, 0, sizeof l->route);
  stored = store_read_app(w, app, &l->app);
  if (stored == STORED_MISSING) {
    if (!view_app_is_gone(w->k->view, app) || !view_is_fresh(w->k->view))
      return STEP_MS;
    return look_missing(l, app);
  }
  if (stored != STORED)
    return stored == STORED_LATER ? SOON_MS : l->w->k->app_every_ms;
  l->memory->stranger = false;
  if (l->has_route && l->route.gen > l->app.gen)
    again = STEP_MS; /* what was read of the app is older than the route */
  else
    again = l->app.started ? look_started(l) : look_stopped(l);
  app_doc_free(&l->app);
  return again;
}

/* It waits for a drone, and it is not its turn. Now and then it is looked at
   closely all the same: what it had may have come back. */
static bool waits(look *l, const char *app) {
  if (l->route.state != ROUTE_QUEUED || look_any_open(l) ||
      !pool_waits(l->w->k->pool, app) ||
      mono_ms() - l->memory->checked_ms > l->w->k->app_every_ms)
    return false;
  scaler_ask(l->w->k->scaler);
  return true;
}

/* Nothing to be done, as far as the view goes, and health is not due. */
static bool is_quiet(look *l, const char *app) {
  kernel *k = l->w->k;
  app_doc seen;
  bool quiet = false;

  l->has_route = view_route(k->view, app, &l->route);
  if (!view_app(k->view, app, &seen))
    return !l->has_route && l->drone_count == 0;
  if (!seen.started)
    quiet = l->drone_count == 0 && l->has_route && l->route.gen == seen.gen &&
            l->route.state == ROUTE_STOPPED && l->route.to_count == 0 &&
            publish_has_face(&l->route, &seen);
  else
    quiet = l->has_route && l->route.gen == seen.gen && waits(l, app);
  if (seen.started && !quiet)
    quiet = l->has_route && l->route.gen == seen.gen &&
            (l->route.state == ROUTE_LIVE || l->route.state == ROUTE_CRASHED) &&
            l->drone_count == 1 && l->drones[0].state == DRONE_BOUND &&
            look_points_to(l, &l->drones[0]) &&
            publish_has_face(&l->route, &seen) && l->memory->bad_ms == 0 &&
            l->memory->checked_ms != 0 &&
            mono_ms() - l->memory->checked_ms < l->w->k->app_every_ms - SOON_MS;
  app_doc_free(&seen);
  return quiet;
}

int64_t app_look(worker *w, const char *app, job_memory *memory) {
  look l;
  app_doc seen;

  if (!view_is_synced(w->k->view))
    return STEP_MS;
  if (!view_is_mine(w->k->view, app)) {
    pool_leave(w->k->pool, app);
    return FORGET;
  }
  memset(&l, 0, sizeof l);
  l.w = w;
  l.memory = memory;
  l.drone_count = pool_of_app(w->k->pool, app, l.drones, LOOK_DRONES);
  if (is_quiet(&l, app)) {
    if (!view_app(w->k->view, app, &seen))
      return FORGET;
    app_doc_free(&seen);
    return l.route.state == ROUTE_QUEUED ? QUEUE_MS : w->k->app_every_ms;
  }
  return look_closely(&l, app);
}
