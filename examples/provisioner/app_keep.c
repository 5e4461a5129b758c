/* What an app has: whether it is well, and what it does not need any more. */
#include "provisioner/app_state.h"

#include "common/log.h"
#include <stdio.h>
#include <string.h>

/* ---- health ---- */

static enum health no_answer(look *l) {
  int64_t now = mono_ms();

  if (l->memory->bad_ms == 0)
    l->memory->bad_ms = now;
  if (now - l->memory->bad_ms < l->w->k->dead_ms ||
      !view_is_fresh(l->w->k->view))
    return HEALTH_UNSURE;
  l->memory->bad_ms = 0;
  return HEALTH_AWAY;
}

static enum health lost_if_fresh(look *l, const char *addr) {
  char key[KEY_MOST + 1];

  (void)snprintf(key, sizeof key, "d:%s", addr);
  jobs_look(l->w->k->jobs, key);
  return view_is_fresh(l->w->k->view) ? HEALTH_LOST : HEALTH_UNSURE;
}

/* What its agent says when visitors are not answered as they should be. */
static enum health ask_agent(look *l, const drone_doc *d, const char *claim) {
  agent_state state;

  if (agent_ask(l->w->agent, d->ctl, &state) != AGENT_OK)
    return no_answer(l);
  if (strcmp(state.claim.id, claim) != 0)
    return lost_if_fresh(l, d->addr);
  l->memory->bad_ms = 0;
  return strcmp(state.app, "crashloop") == 0 ? HEALTH_CRASHED : HEALTH_WELL;
}

/* The document of what the route points to, as the database has it when what is
   known here does not fit. */
static bool fits(const drone_doc *d, const char *claim) {
  return strcmp(d->claim.id, claim) == 0 &&
         (d->state == DRONE_BOUND || d->state == DRONE_CLAIMED);
}

enum health look_health(look *l) {
  const route_to *to = &l->route.to[0];
  drone_doc d;

  if (!pool_get(l->w->k->pool, to->drone, &d) || !fits(&d, to->claim)) {
    enum stored stored = store_read_drone(l->w, to->drone, &d, false);

    if (stored == STORED_LATER)
      return HEALTH_UNSURE;
    if (stored != STORED || !fits(&d, to->claim))
      return lost_if_fresh(l, to->drone);
  }
  l->memory->checked_ms = mono_ms();
  switch (agent_guard(l->w->agent, to->addr, l->app.name, to->claim)) {
  case GUARD_OK:
    l->memory->bad_ms = 0;
    return HEALTH_WELL;
  default:
    return ask_agent(l, &d, to->claim);
  }
}

/* ---- retiring ---- */

/* The balancers are given some time to point elsewhere before what they point
   to goes away. */
static bool is_needed_yet(look *l, const drone_doc *d) {
  size_t i, have, all;
  bool was = false;

  for (i = 0; i < l->route.prev_count; i++)
    was = was || strcmp(l->route.prev[i].claim, d->claim.id) == 0;
  if (!was || l->app_gone || l->route.state != ROUTE_LIVE)
    return false;
  if (wall_ms() - l->route.at_ms > SWITCH_MS)
    return false;
  confirm_ask(l->w->k, l->app.name, 500, &have, &all, NULL);
  return have < all;
}

/* A claim that no route can get any more is ended: the document says so first,
   so that whoever comes by goes on with it. */
static void retire(look *l, drone_doc *d) {
  char key[KEY_MOST + 1], claim[9];

  if (d->state == DRONE_BOUND) {
    d->state = DRONE_DRAINING;
    if (store_drone(l->w, d, NULL) != STORED) {
      drone_doc now;

      (void)store_read_drone(l->w, d->addr, &now, false);
      return;
    }
    log_event(LOG_INFO, "retire", LS("app", d->claim.app), LS("drone", d->addr),
              LS("claim", kernel_short(d->claim.id, claim)),
              LN("epoch", d->epoch), LN("gen", d->claim.gen));
  } else if (d->state == DRONE_CLAIMED) {
    (void)repair_drone(l->w, d);
    return;
  }
  (void)snprintf(key, sizeof key, "d:%s", d->addr);
  jobs_look(l->w->k->jobs, key);
}

int64_t look_retire(look *l) {
  int64_t again = l->w->k->app_every_ms;
  size_t i;

  for (i = 0; i < l->drone_count; i++) {
    drone_doc *d = &l->drones[i];
    drone_doc now;

    if (!pool_get(l->w->k->pool, d->addr, &now) ||
        strcmp(now.claim.id, d->claim.id) != 0)
      continue;
    *d = now;
    if (look_points_to(l, d) || d->state == DRONE_DEAD)
      continue;
    if (!l->app_gone && publish_possible(&l->route, d->claim.gen, d->claim.id))
      continue;
    again = STEP_MS;
    if (!view_is_fresh(l->w->k->view) || is_needed_yet(l, d))
      continue;
    retire(l, d);
  }
  return again;
}
