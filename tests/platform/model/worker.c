/* A provisioner's worker, one request after the other: the claim protocol. A
 * request can be answered, be lost, be done with its answer lost, or be done
 * later than its sender believes. */
#include "model.h"

#include <string.h>

/* What a step is made of: the state before, who, and what a reader is told. */
typedef struct step {
  const expansion *x;
  const state *before;
  uint8_t w;
  const char *text;
} step;

typedef void (*after_fn)(state *next, const config *c, worker *w,
                         enum answer answer, uint8_t rev);

void worker_rest(state *s, uint8_t w) { s->workers[w] = (worker){0}; }

/* Forgets what no later step looks at. */
void worker_trim(worker *w) {
  if (w->pc == PUBLISH_ROUTE || w->pc == PUBLISH_DRONE || w->pc == PUBLISH)
    w->rev = w->epoch = w->vm = 0;
  if (w->pc == UNROUTE_READ || w->pc == UNROUTE || w->pc == UNBIND)
    w->vm = 0;
  if (w->pc != PUBLISH && w->pc != PUBLISH_DRONE && w->pc != UNROUTE &&
      w->pc != STOP)
    w->route_rev = 0;
}

static void rest(worker *w) { *w = (worker){0}; }

static void emit(const step *t, state *next, const char *outcome, bool fault) {
  const worker *w = &t->before->workers[t->w];
  step_label l = {.text = t->text,
                  .outcome = outcome,
                  .who = t->w,
                  .app = w->app,
                  .drone = w->drone,
                  .fault = fault};
  t->x->emit(t->x->ctx, next, &l);
}

static const char *said(enum answer answer) {
  static const char *const names[] = {
      [OK] = "done",
      [ACCEPTED] = "told 202",
      [CONFLICT] = "409",
      [UNKNOWN] = "no answer",
      [SAID_CLAIMED] = "409, it holds another claim",
      [SAID_FENCED] = "409, it promised not to",
      [SAID_VM] = "409, it lost its file since"};
  return names[answer];
}

/* ---- the ways of one request ---- */

static void put_ways(const step *t, const put_result *results, unsigned n,
                     const late *l, after_fn after) {
  const config *c = t->x->config;
  for (unsigned i = 0; i < n; i++) {
    state next = results[i].next;
    after(&next, c, &next.workers[t->w], results[i].answer, results[i].rev);
    emit(t, &next, said(results[i].answer), results[i].fault);
    if (results[i].answer == CONFLICT)
      continue; /* lost or not, that changes nothing */
    next = results[i].next;
    after(&next, c, &next.workers[t->w], UNKNOWN, REV_STALE);
    emit(t, &next, "done, but the answer is lost", true);
  }
  state next = *t->before;
  after(&next, c, &next.workers[t->w], UNKNOWN, REV_STALE);
  emit(t, &next, "the request is lost", true);
  next = *t->before;
  if (l->rev != REV_STALE && fault_keep(&next, c, l)) {
    after(&next, c, &next.workers[t->w], UNKNOWN, REV_STALE);
    emit(t, &next, "no answer, it will be done later", true);
  }
}

static void put_drone(const step *t, drone_val value, after_fn after) {
  const worker *w = &t->before->workers[t->w];
  put_result results[PUTS];
  unsigned n = world_put_drone(t->before, t->x->config, w->drone, value, w->rev,
                               results);
  late l = {.kind = L_DRONE,
            .on = w->drone,
            .rev = w->rev,
            .state = value.state,
            .claim = value.claim,
            .epoch = value.epoch,
            .vm = value.vm};
  put_ways(t, results, n, &l, after);
}

static void put_route(const step *t, route_val value, after_fn after) {
  const worker *w = &t->before->workers[t->w];
  put_result results[PUTS];
  unsigned n = world_put_route(t->before, t->x->config, w->app, value,
                               w->route_rev, results);
  late l = {.kind = L_ROUTE,
            .on = w->app,
            .rev = w->route_rev,
            .state = value.state,
            .claim = value.claim,
            .gen = value.gen,
            .vm = value.drone};
  put_ways(t, results, n, &l, after);
}

static enum answer ask_agent(state *s, const config *c, const late *l) {
  if (l->kind == L_BIND)
    return world_bind(s, c, l->on, l->claim, l->epoch, l->vm);
  if (l->kind == L_UNBIND)
    return world_unbind(s, l->on, l->claim, l->epoch);
  return world_fence(s, l->on, l->epoch, l->vm);
}

static void tell_agent(const step *t, enum late_kind kind, after_fn after) {
  const config *c = t->x->config;
  const worker *w = &t->before->workers[t->w];
  late l = {.kind = (uint8_t)kind,
            .on = w->drone,
            .claim = w->claim,
            .epoch = w->epoch,
            .vm = w->vm};
  state next = *t->before;
  enum answer answer = ask_agent(&next, c, &l);
  state done = next;
  after(&next, c, &next.workers[t->w], answer, REV_STALE);
  emit(t, &next, said(answer), false);
  next = done;
  after(&next, c, &next.workers[t->w], UNKNOWN, REV_STALE);
  emit(t, &next, "done, but the answer is lost", true);
  next = done;
  if (fault_keep(&next, c, &l)) {
    after(&next, c, &next.workers[t->w], answer, REV_STALE);
    emit(t, &next, "done, and it will arrive once more", true);
  }
  next = *t->before;
  after(&next, c, &next.workers[t->w], UNKNOWN, REV_STALE);
  emit(t, &next, "the request is lost", true);
  next = *t->before;
  if (fault_keep(&next, c, &l)) {
    after(&next, c, &next.workers[t->w], UNKNOWN, REV_STALE);
    emit(t, &next, "no answer, it will arrive later", true);
  }
}

/* ---- what is made of the answers ---- */

static void go(worker *w, enum pc pc, uint8_t rev) {
  w->pc = (uint8_t)pc;
  w->rev = rev;
  worker_trim(w);
}

/* A document that names the claim and drains is another's to bring to its end.
 */
static bool doc_is_mine(const state *s, const config *c, const worker *w) {
  const drone_val *doc = &s->docs[w->drone].cur;
  if (c->same_body)
    return doc->state == D_CLAIMED;
  return doc->claim == w->claim &&
         (doc->state == D_CLAIMED || doc->state == D_BOUND);
}

static void after_claim(state *s, const config *c, worker *w,
                        enum answer answer, uint8_t rev) {
  bool mine = doc_is_mine(s, c, w);
  if (answer == OK || (answer == ACCEPTED && !c->read_back)) {
    go(w, BIND, rev);
  } else if (answer == UNKNOWN && !c->read_back) {
    if (c->timeout_ok)
      go(w, BIND, REV_STALE);
  } else if (c->last_write && answer == CONFLICT) {
    w->rev = REV_CUR;
    w->epoch = s->docs[w->drone].cur.epoch;
  } else if (mine) {
    go(w, BIND, REV_CUR);
  } else {
    rest(w);
  }
}

/* The document is to say what the agent holds. */
static void to_repair(const state *s, worker *w) {
  const agent *a = &s->agents[w->drone];
  w->pc = REPAIR;
  w->claim = a->held;
  w->app = s->claims[a->held].app;
  w->gen = s->claims[a->held].gen;
  w->epoch = w->epoch > a->epoch ? w->epoch : a->epoch;
  w->vm = 1;
  w->route_rev = REV_STALE;
}

static void after_bind(state *s, const config *c, worker *w, enum answer answer,
                       uint8_t rev) {
  (void)rev;
  if (c->ignore_bind)
    go(w, SETTLE, w->rev);
  else if (answer == OK)
    go(w, SETTLE, w->rev);
  else if (answer == SAID_CLAIMED)
    to_repair(s, w);
  else if (answer != UNKNOWN)
    rest(w);
}

static void after_settle(state *s, const config *c, worker *w,
                         enum answer answer, uint8_t rev) {
  const drone_val *doc = &s->docs[w->drone].cur;
  bool mine = doc->claim == w->claim;
  if (answer == OK || answer == ACCEPTED)
    go(w, PUBLISH_ROUTE, rev);
  else if (c->ignore_bind && (answer == CONFLICT || c->timeout_ok))
    go(w, PUBLISH_ROUTE, REV_STALE); /* nothing in these ways looks back */
  else if (answer == UNKNOWN)
    return;
  else if (mine && doc->state == D_CLAIMED)
    w->rev = REV_CUR;
  else if (mine && doc->state == D_BOUND)
    go(w, PUBLISH_ROUTE, REV_CUR);
  else
    rest(w);
}

static void after_publish(state *s, const config *c, worker *w,
                          enum answer answer, uint8_t rev) {
  (void)s, (void)rev;
  if (answer == OK || (answer == UNKNOWN && c->timeout_ok))
    rest(w);
  else if (answer != UNKNOWN)
    go(w, PUBLISH_ROUTE, REV_STALE);
}

static void after_last(state *s, const config *c, worker *w, enum answer answer,
                       uint8_t rev) {
  (void)s, (void)c, (void)rev;
  if (answer != UNKNOWN)
    rest(w);
}

static void after_drain(state *s, const config *c, worker *w,
                        enum answer answer, uint8_t rev) {
  (void)s, (void)c;
  if (answer == OK || answer == ACCEPTED)
    go(w, UNROUTE_READ, rev);
  else if (answer != UNKNOWN)
    rest(w);
}

static void after_unroute(state *s, const config *c, worker *w,
                          enum answer answer, uint8_t rev) {
  (void)s, (void)c, (void)rev;
  if (answer != UNKNOWN) {
    w->pc = answer == OK ? UNBIND : UNROUTE_READ;
    w->route_rev = REV_STALE;
  }
}

static void after_unbind(state *s, const config *c, worker *w,
                         enum answer answer, uint8_t rev) {
  (void)rev;
  if (answer == OK || (answer == UNKNOWN && c->free_unknown)) {
    w->pc = FREE;
    w->vm = 1; /* its answer says which life it lives */
  } else if (answer == SAID_CLAIMED) {
    to_repair(s, w);
  }
}

static void after_fence(state *s, const config *c, worker *w,
                        enum answer answer, uint8_t rev) {
  (void)c, (void)rev;
  if (answer == OK)
    w->pc = FENCED;
  else if (answer == SAID_CLAIMED)
    to_repair(s, w);
  else if (answer == SAID_VM && w->claim)
    w->pc = DRAIN;
  else
    rest(w);
}

/* ---- steps that only read ---- */

static void read_route(const step *t) {
  const config *c = t->x->config;
  state next = *t->before;
  worker *w = &next.workers[t->w];
  const route_val *r = &next.routes[w->app].cur;
  const drone_val *other = &next.docs[r->drone].cur;
  bool wanted = next.started[w->app] && next.gen[w->app] == w->gen;
  bool served = r->state == R_LIVE && r->gen == w->gen &&
                (r->claim == w->claim ||
                 (other->state == D_BOUND && other->claim == r->claim));
  if (!wanted || served || r->gen > w->gen) {
    rest(w);
    emit(t, &next, "nothing to publish", false);
    return;
  }
  w->route_rev = REV_CUR;
  w->pc = c->no_draining || c->ignore_bind ? PUBLISH : PUBLISH_DRONE;
  emit(t, &next, "to be replaced", false);
}

static void read_drone(const step *t) {
  state next = *t->before;
  worker *w = &next.workers[t->w];
  const drone_val *doc = &next.docs[w->drone].cur;
  bool mine = doc->state == D_BOUND && doc->claim == w->claim;
  if (mine)
    w->pc = PUBLISH;
  else
    rest(w);
  emit(t, &next, mine ? "bound" : "not any more", false);
}

static void read_unroute(const step *t) {
  state next = *t->before;
  worker *w = &next.workers[t->w];
  const route_val *r = &next.routes[w->app].cur;
  bool named = r->state == R_LIVE && r->claim == w->claim;
  if (!t->x->config->no_unroute &&
      (named || r->gen <= next.claims[w->claim].gen)) {
    w->pc = UNROUTE;
    w->route_rev = REV_CUR;
    emit(t, &next, named ? "names the claim" : "may yet name the claim", false);
    return;
  }
  w->pc = UNBIND;
  emit(t, &next, "has moved on", false);
}

static void write_unroute(const step *t) {
  const worker *w = &t->before->workers[t->w];
  route_val value = t->before->routes[w->app].cur;
  if (w->route_rev != REV_CUR || value.claim == w->claim)
    value = (route_val){.state = R_OFF, .gen = value.gen};
  put_route(t, value, after_unroute);
}

void worker_steps(const expansion *x, const state *s, uint8_t i) {
  const worker *w = &s->workers[i];
  step t = {.x = x, .before = s, .w = i};
  drone_val drone = {.claim = w->claim, .epoch = w->epoch, .vm = w->vm};
  drone_val freed = {.epoch = (uint8_t)(w->epoch + 1), .vm = w->vm};
  switch (w->pc) {
  case IDLE:
    worker_idle(x, s, i);
    break;
  case CLAIM:
    t.text = "writes the drone's document: claimed";
    drone.state = D_CLAIMED;
    put_drone(&t, drone, after_claim);
    break;
  case BIND:
    t.text = "tells the drone: bind";
    tell_agent(&t, L_BIND, after_bind);
    break;
  case SETTLE:
    t.text = "writes the drone's document: bound";
    drone.state = D_BOUND;
    put_drone(&t, drone, after_settle);
    break;
  case PUBLISH_ROUTE:
    t.text = "reads the route and the wish";
    read_route(&t);
    break;
  case PUBLISH_DRONE:
    t.text = "reads the drone's document: bound for this claim?";
    read_drone(&t);
    break;
  case PUBLISH:
    t.text = "writes the route: live";
    put_route(&t,
              (route_val){.state = R_LIVE,
                          .gen = w->gen,
                          .drone = w->drone,
                          .claim = w->claim},
              after_publish);
    break;
  case STOP:
    t.text = "writes the route: stopped";
    put_route(&t, (route_val){.state = R_OFF, .gen = w->gen}, after_last);
    break;
  case DRAIN:
    t.text = "writes the drone's document: draining";
    drone.state = D_DRAINING;
    put_drone(&t, drone, after_drain);
    break;
  case UNROUTE_READ:
    t.text = "reads the route of a drone that drains";
    read_unroute(&t);
    break;
  case UNROUTE:
    t.text = "writes the route, so that late ones are void";
    write_unroute(&t);
    break;
  case UNBIND:
    t.text = "tells the drone: unbind";
    tell_agent(&t, L_UNBIND, after_unbind);
    break;
  case FREE:
  case FENCED:
    t.text = "writes the drone's document: free";
    put_drone(&t, freed, after_last);
    break;
  case FENCE:
    t.text = "tells the drone: fence";
    tell_agent(&t, L_FENCE, after_fence);
    break;
  case REPAIR:
    t.text = "writes the drone's document: what the drone holds";
    drone.state = D_BOUND;
    put_drone(&t, drone, after_last);
    break;
  default:
    break;
  }
}
