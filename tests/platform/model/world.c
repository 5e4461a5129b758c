/* The database with its compare-and-swap, the agents of the drones, and what
 * must hold of both. */
#include "model.h"

#include <string.h>

/* ---- revs that somebody remembers ---- */

static uint8_t moved(uint8_t rev, const uint8_t map[4]) { return map[rev & 3]; }

static void move_drone_revs(state *s, uint8_t d, const uint8_t map[4]) {
  for (unsigned w = 0; w < WORKERS; w++)
    if (s->workers[w].drone == d)
      s->workers[w].rev = moved(s->workers[w].rev, map);
  for (unsigned l = 0; l < LATES; l++)
    if (s->lates[l].kind == L_DRONE && s->lates[l].on == d)
      s->lates[l].rev = moved(s->lates[l].rev, map);
}

static void move_route_revs(state *s, uint8_t app, const uint8_t map[4]) {
  for (unsigned w = 0; w < WORKERS; w++)
    if (s->workers[w].app == app)
      s->workers[w].route_rev = moved(s->workers[w].route_rev, map);
  for (unsigned l = 0; l < LATES; l++)
    if (s->lates[l].kind == L_ROUTE && s->lates[l].on == app)
      s->lates[l].rev = moved(s->lates[l].rev, map);
}

static const uint8_t map_written[4] = {REV_STALE, REV_STALE, REV_STALE,
                                       REV_LEAF};
static const uint8_t map_written_racy[4] = {REV_STALE, REV_PREV, REV_STALE,
                                            REV_LEAF};
static const uint8_t map_lost_race[4] = {REV_STALE, REV_CUR, REV_STALE,
                                         REV_LEAF};
static const uint8_t map_won_race[4] = {REV_STALE, REV_LEAF, REV_STALE,
                                        REV_STALE};
static const uint8_t map_leaf_grew[4] = {REV_STALE, REV_CUR, REV_PREV,
                                         REV_STALE};
static const uint8_t map_leaf_won[4] = {REV_STALE, REV_LEAF, REV_STALE,
                                        REV_STALE};

/* What a write of that rev can become. The plain case is first; the others are
   those of a database with several copies, two of which were asked at once. */
enum fate {
  F_WRITTEN,
  F_CONFLICT,
  F_LOST_RACE,
  F_WON_RACE,
  F_LEAF,
  F_LEAF_WON
};

static unsigned fates(bool races, uint8_t rev, bool has_leaf,
                      enum fate out[PUTS]) {
  unsigned n = 0;
  if (rev == REV_CUR) {
    out[n++] = F_WRITTEN;
  } else if (rev == REV_LEAF) {
    out[n++] = F_LEAF;
    out[n++] = F_LEAF_WON;
  } else {
    out[n++] = F_CONFLICT;
    if (rev == REV_PREV && races && !has_leaf) {
      out[n++] = F_LOST_RACE;
      out[n++] = F_WON_RACE;
    }
  }
  return n;
}

static const uint8_t *fate_map(bool races, enum fate fate) {
  switch (fate) {
  case F_WRITTEN:
    return races ? map_written_racy : map_written;
  case F_LOST_RACE:
    return map_lost_race;
  case F_WON_RACE:
    return map_won_race;
  case F_LEAF:
    return map_leaf_grew;
  case F_LEAF_WON:
    return map_leaf_won;
  default:
    return NULL;
  }
}

static void fate_answer(put_result *r, enum fate fate) {
  r->answer = fate == F_CONFLICT                          ? CONFLICT
              : fate == F_LOST_RACE || fate == F_WON_RACE ? ACCEPTED
                                                          : OK;
  r->rev = fate == F_LOST_RACE || fate == F_LEAF ? REV_LEAF : REV_CUR;
  r->fault = fate == F_LOST_RACE || fate == F_WON_RACE;
}

unsigned world_put_drone(const state *s, const config *c, uint8_t d,
                         drone_val value, uint8_t rev, put_result *out) {
  const drone_doc *now = &s->docs[d];
  if (rev == REV_PREV && memcmp(&now->cur, &value, sizeof value) == 0) {
    /* The same body on the same rev has the same rev: no conflict. */
    out[0] = (put_result){.next = *s, .answer = OK, .rev = REV_CUR};
    return 1;
  }
  if (c->same_body && rev != REV_CUR && now->cur.state == value.state &&
      value.state == D_CLAIMED && now->cur.epoch == value.epoch) {
    /* And without a random id everybody writes the same body. */
    out[0] = (put_result){.next = *s, .answer = OK, .rev = REV_CUR};
    return 1;
  }
  enum fate list[PUTS];
  unsigned n = fates(c->drone_races, rev, now->has_leaf, list);
  for (unsigned i = 0; i < n; i++) {
    put_result *r = &out[i];
    r->next = *s;
    fate_answer(r, list[i]);
    drone_doc *doc = &r->next.docs[d];
    const uint8_t *map = fate_map(c->drone_races, list[i]);
    if (map)
      move_drone_revs(&r->next, d, map);
    if (list[i] == F_WRITTEN || list[i] == F_WON_RACE || list[i] == F_LEAF_WON)
      doc->cur = value;
    doc->has_leaf =
        now->has_leaf || list[i] == F_LOST_RACE || list[i] == F_WON_RACE;
  }
  return n;
}

unsigned world_put_route(const state *s, const config *c, uint8_t app,
                         route_val value, uint8_t rev, put_result *out) {
  const route_doc *now = &s->routes[app];
  if (rev == REV_PREV && memcmp(&now->cur, &value, sizeof value) == 0) {
    out[0] = (put_result){.next = *s, .answer = OK, .rev = REV_CUR};
    return 1;
  }
  enum fate list[PUTS];
  unsigned n = fates(c->route_races, rev, now->has_leaf, list);
  for (unsigned i = 0; i < n; i++) {
    put_result *r = &out[i];
    r->next = *s;
    fate_answer(r, list[i]);
    route_doc *doc = &r->next.routes[app];
    const uint8_t *map = fate_map(c->route_races, list[i]);
    if (map)
      move_route_revs(&r->next, app, map);
    if (list[i] == F_WRITTEN || list[i] == F_WON_RACE || list[i] == F_LEAF_WON)
      doc->cur = value;
    doc->has_leaf =
        now->has_leaf || list[i] == F_LOST_RACE || list[i] == F_WON_RACE;
  }
  return n;
}

/* ---- agents ---- */

enum answer world_bind(state *s, const config *c, uint8_t d, uint8_t id,
                       uint8_t epoch, uint8_t vm) {
  agent *a = &s->agents[d];
  if (!vm)
    return SAID_VM;
  if (a->held == id)
    return OK;
  if (a->held && !c->any_bind)
    return SAID_CLAIMED;
  if (epoch <= a->fence)
    return SAID_FENCED;
  if (a->held)
    s->bad |= 1U << LAW_ONE_CLAIM;
  *a = (agent){.held = id, .epoch = epoch, .fence = a->fence};
  s->claims[id].bound = 1;
  return OK;
}

enum answer world_unbind(state *s, uint8_t d, uint8_t id, uint8_t epoch) {
  agent *a = &s->agents[d];
  if (a->held && a->held != id)
    return SAID_CLAIMED;
  a->held = 0;
  a->epoch = 0;
  if (a->fence < epoch)
    a->fence = epoch;
  return OK;
}

enum answer world_fence(state *s, uint8_t d, uint8_t epoch, uint8_t vm) {
  agent *a = &s->agents[d];
  if (!vm)
    return SAID_VM;
  if (a->held)
    return SAID_CLAIMED;
  if (a->fence < epoch)
    a->fence = epoch;
  return OK;
}

/* Killed with its file gone: everything it ran is killed, and it begins another
   life that knows nothing. */
void world_lose_file(state *s, uint8_t d) {
  agent *a = &s->agents[d];
  if (a->held)
    s->claims[a->held].lost = 1;
  *a = (agent){0};
  s->docs[d].cur.vm = 0;
  for (unsigned w = 0; w < WORKERS; w++)
    if (s->workers[w].drone == d)
      s->workers[w].vm = 0;
  for (unsigned l = 0; l < LATES; l++)
    if (s->lates[l].kind != L_ROUTE && s->lates[l].on == d)
      s->lates[l].vm = 0;
}

/* ---- what must hold ---- */

unsigned world_broken(const state *s, const config *c) {
  unsigned broken = s->bad;
  for (unsigned a = 0; a < c->apps; a++) {
    const route_val *r = &s->routes[a].cur;
    if (r->state != R_LIVE)
      continue;
    const claim_fact *of = &s->claims[r->claim];
    if (!of->bound)
      broken |= 1U << LAW_SAID_BOUND;
    else if (!of->lost && s->agents[r->drone].held != r->claim)
      broken |= 1U << LAW_HELD;
    for (unsigned b = 0; b < a; b++)
      if (s->routes[b].cur.state == R_LIVE &&
          s->routes[b].cur.drone == r->drone)
        broken |= 1U << LAW_ADDRESS;
  }
  return broken;
}

static bool is_live(const state *s, unsigned a) {
  const route_val *r = &s->routes[a].cur;
  const drone_val *d = &s->docs[r->drone].cur;
  return r->state == R_LIVE && d->state == D_BOUND && d->claim == r->claim &&
         d->vm && s->agents[r->drone].held == r->claim;
}

static bool is_tidy(const state *s, unsigned d, unsigned *used) {
  const drone_val *doc = &s->docs[d].cur;
  uint8_t held = s->agents[d].held;
  if (doc->state == D_FREE)
    return doc->vm && !held;
  if (doc->state != D_BOUND || doc->claim != held)
    return false;
  unsigned a = s->claims[held].app;
  ++*used;
  return is_live(s, a) && s->routes[a].cur.claim == held;
}

/* Every wish is met, and every drone is free or runs what a route says; a wish
   for a drone may be open only while all drones serve others. */
bool world_satisfied(const state *s, const config *c) {
  unsigned used = 0;
  for (unsigned d = 0; d < c->drones; d++)
    if (!is_tidy(s, d, &used))
      return false;
  for (unsigned a = 0; a < c->apps; a++) {
    const route_val *r = &s->routes[a].cur;
    if (!s->gen[a])
      continue;
    if (!s->started[a]) {
      if (r->state == R_LIVE || r->gen != s->gen[a])
        return false;
    } else if ((!is_live(s, a) || r->gen != s->gen[a]) && used < c->drones) {
      return false;
    }
  }
  return true;
}
