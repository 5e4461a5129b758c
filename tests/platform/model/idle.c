/* What a worker that has nothing to do may begin: it compares what is wanted
 * with the documents and the agents' word. All that is possible is tried, in
 * any order; two workers may begin the same. */
#include "model.h"

typedef struct choice {
  const expansion *x;
  const state *s;
  uint8_t w;
} choice;

static void begin(const choice *c, const char *text, worker to, state *next) {
  worker_trim(&to);
  next->workers[c->w] = to;
  step_label l = {.text = text,
                  .outcome = "",
                  .who = c->w,
                  .app = to.app,
                  .drone = to.drone};
  c->x->emit(c->x->ctx, next, &l);
}

/* With what a drone's document says. */
static worker of_drone(const state *s, uint8_t d, enum pc pc) {
  const drone_val *doc = &s->docs[d].cur;
  const claim_fact *of = &s->claims[doc->claim];
  return (worker){.pc = (uint8_t)pc,
                  .app = of->app,
                  .gen = of->gen,
                  .drone = d,
                  .claim = doc->claim,
                  .epoch = doc->epoch,
                  .vm = doc->vm,
                  .rev = REV_CUR};
}

static void begin_at(const choice *c, const char *text, uint8_t d, enum pc pc) {
  state next = *c->s;
  begin(c, text, of_drone(c->s, d, pc), &next);
}

static bool serves(const state *s, uint8_t a) {
  const route_val *r = &s->routes[a].cur;
  const drone_val *d = &s->docs[r->drone].cur;
  return r->state == R_LIVE && r->gen == s->gen[a] && d->state == D_BOUND &&
         d->claim == r->claim;
}

static void claim_free(const choice *c, uint8_t a, uint8_t d, uint8_t more) {
  state next = *c->s;
  uint8_t id = state_new_claim(&next, a, next.gen[a]);
  if (!id)
    return;
  worker to = of_drone(&next, d, CLAIM);
  to.app = a;
  to.gen = next.gen[a];
  to.claim = id;
  to.epoch = (uint8_t)(to.epoch + more);
  begin(c, "picks a free drone", to, &next);
}

/* The bug of 2013: somebody else's drone, as if it were a success. */
static void hand_out_used(const choice *c, uint8_t a) {
  for (uint8_t d = 0; d < c->x->config->drones; d++) {
    state next = *c->s;
    uint8_t id = state_new_claim(&next, a, next.gen[a]);
    if (!id)
      return;
    worker to = {.pc = PUBLISH_ROUTE,
                 .app = a,
                 .gen = next.gen[a],
                 .drone = d,
                 .claim = id};
    begin(c, "finds no free drone, hands out a used one", to, &next);
  }
}

static void start_app(const choice *c, uint8_t a) {
  const state *s = c->s;
  bool under_way = false, any_free = false;
  for (uint8_t d = 0; d < c->x->config->drones; d++) {
    const drone_val *doc = &s->docs[d].cur;
    const claim_fact *of = &s->claims[doc->claim];
    any_free = any_free || doc->state == D_FREE;
    if (!doc->claim || of->app != a || of->gen != s->gen[a])
      continue;
    if (doc->state == D_CLAIMED) {
      under_way = true;
      begin_at(c, "resumes a claim", d, BIND);
    } else if (doc->state == D_BOUND) {
      under_way = true;
      if (s->agents[d].held == doc->claim)
        begin_at(c, "resumes at a bound drone", d, PUBLISH_ROUTE);
    }
  }
  if (under_way)
    return;
  for (uint8_t d = 0; d < c->x->config->drones; d++)
    if (s->docs[d].cur.state == D_FREE)
      claim_free(c, a, d, 1);
  if (!any_free && c->x->config->empty_pool)
    hand_out_used(c, a);
}

/* Whether a bound claim serves nobody, and will not. */
static bool superfluous(const state *s, uint8_t d) {
  const drone_val *doc = &s->docs[d].cur;
  const claim_fact *of = &s->claims[doc->claim];
  const route_val *r = &s->routes[of->app].cur;
  if (!s->started[of->app])
    return r->state != R_LIVE && r->gen == s->gen[of->app];
  if (r->state == R_LIVE && r->claim == doc->claim)
    return false;
  return of->gen < s->gen[of->app] || serves(s, of->app);
}

static void look_at_drone(const choice *c, uint8_t d) {
  const state *s = c->s;
  const drone_val *doc = &s->docs[d].cur;
  const agent *a = &s->agents[d];
  if (doc->state == D_CLAIMED) {
    begin_at(c, "finds an old claim", d, FENCE);
    return;
  }
  if (doc->state == D_DRAINING) {
    begin_at(c, "resumes the draining", d, UNROUTE_READ);
    return;
  }
  if (!doc->vm && doc->state == D_FREE) {
    state next = *s;
    worker to = of_drone(s, d, FENCE);
    to.vm = 1;
    begin(c, "sees that a free drone lost its file", to, &next);
  } else if (a->held && a->held != doc->claim) {
    state next = *s;
    worker to = of_drone(s, d, REPAIR);
    to.claim = a->held;
    to.app = s->claims[a->held].app;
    to.gen = s->claims[a->held].gen;
    to.epoch = to.epoch > a->epoch ? to.epoch : a->epoch;
    to.vm = 1;
    begin(c, "sees that a drone holds another claim", to, &next);
  } else if (doc->state == D_BOUND && (!doc->vm || !a->held)) {
    begin_at(c, "sees that a drone lost its claim", d, DRAIN);
  } else if (doc->state == D_BOUND && superfluous(s, d)) {
    begin_at(c, "finds a drone that serves nobody", d, DRAIN);
  }
}

void worker_idle(const expansion *x, const state *s, uint8_t w) {
  choice c = {.x = x, .s = s, .w = w};
  for (uint8_t a = 0; a < x->config->apps; a++) {
    const route_val *r = &s->routes[a].cur;
    if (!s->gen[a])
      continue;
    if (s->started[a] && !serves(s, a)) {
      start_app(&c, a);
    } else if (!s->started[a] && (r->gen < s->gen[a] || r->state == R_LIVE)) {
      state next = *s;
      begin(&c, "sees that the app is to stop",
            (worker){
                .pc = STOP, .app = a, .gen = s->gen[a], .route_rev = REV_CUR},
            &next);
    }
  }
  for (uint8_t d = 0; d < x->config->drones; d++)
    look_at_drone(&c, d);
}
