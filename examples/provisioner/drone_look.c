/* One look at one drone: its document against what its agent says. New ones
   become free, what is being taken away is taken away, claims that nobody
   brought to an end are ended, and what does not answer is given up. */
#include "provisioner/kernel_state.h"

#include "common/log.h"
#include <stdio.h>
#include <string.h>

enum {
  AGAIN_MS = 500,
  WORSE_MS = 3000,
  FORGOTTEN_MS = 600000,
  DRAIN_MS = 5000
};

static void look_at_app(kernel *k, const char *app) {
  if (app[0] != '\0')
    kernel_look(k, app);
}

/* It does not answer: destroyed by whoever can, and never free again. */
static int64_t give_up(worker *w, drone_doc *d) {
  char app[NAME_MOST + 1], claim[9];

  if (!scaler_destroy(w->k->scaler, d))
    return WORSE_MS;
  memcpy(app, d->claim.app, sizeof app);
  log_event(LOG_WARN, "drone.dead", LS("drone", d->addr), LS("app", app),
            LS("claim", kernel_short(d->claim.id, claim)),
            LN("epoch", d->epoch), LS("why", agent_why(w->agent)));
  if (d->state == DRONE_BOUND) {
    d->state = DRONE_DRAINING;
    if (store_drone(w, d, NULL) != STORED)
      return AGAIN_MS;
  }
  if (app[0] != '\0' && publish_without(w, d) != STORED)
    return AGAIN_MS;
  d->state = DRONE_DEAD;
  memset(&d->claim, 0, sizeof d->claim);
  if (store_drone(w, d, NULL) != STORED)
    return AGAIN_MS;
  look_at_app(w->k, app);
  return w->k->drone_every_ms;
}

static int64_t no_answer(worker *w, drone_doc *d, job_memory *memory) {
  int64_t now = mono_ms();

  if (memory->bad_ms == 0) {
    const char *addr = d->addr, *app = d->claim.app;
    const char *state = drone_state_name(d->state);

    memory->bad_ms = now;
    log_event(LOG_WARN, "drone.no_answer", LS("drone", addr), LS("app", app),
              LS("state", state), LS("why", agent_why(w->agent)));
  }
  if (d->state == DRONE_BOOTING) /* the scaler's to give up */
    return now - memory->bad_ms < WORSE_MS ? AGAIN_MS : WORSE_MS;
  if (now - memory->bad_ms < w->k->dead_ms || !view_is_fresh(w->k->view))
    return now - memory->bad_ms < WORSE_MS ? AGAIN_MS : WORSE_MS;
  return give_up(w, d);
}

static int64_t after_repair(worker *w, drone_doc *d, job_memory *memory,
                            enum claimed c) {
  if (c == CLAIM_LATER)
    return no_answer(w, d, memory);
  memory->bad_ms = 0;
  look_at_app(w->k, d->claim.app);
  return c == CLAIM_OK ? w->k->drone_every_ms : WORSE_MS;
}

/* Free, booting or bound: what it says is what its document should say. */
static int64_t compare(worker *w, drone_doc *d, job_memory *memory) {
  agent_state state;

  if (agent_ask(w->agent, d->ctl, &state) != AGENT_OK)
    return no_answer(w, d, memory);
  memory->bad_ms = 0;
  if (d->state != DRONE_BOOTING && strcmp(state.vm, d->vm) == 0 &&
      strcmp(state.claim.id, d->claim.id) == 0 &&
      (d->state == DRONE_BOUND || d->epoch >= state.fence))
    return w->k->drone_every_ms;
  return after_repair(w, d, memory, repair_drone(w, d));
}

/* Nobody went on with it: whoever claimed it may be dead, or slow. */
static int64_t reap(worker *w, drone_doc *d, job_memory *memory) {
  int64_t age = mono_ms() - pool_since_ms(w->k->pool, d->addr);
  enum claimed c;

  if (age < w->k->config.reap_ms)
    return w->k->config.reap_ms - age + 1;
  if (!view_is_fresh(w->k->view))
    return WORSE_MS;
  c = repair_drone(w, d);
  if (c == CLAIM_OK)
    metric_add(w->k->m.reaped, 1);
  return after_repair(w, d, memory, c);
}

static int64_t make_free(worker *w, drone_doc *d, const agent_state *state) {
  char app[NAME_MOST + 1];
  bool done = state->app[0] == '\0' || strcmp(state->app, "none") == 0;
  char claim[9];

  if (!done && d->state == DRONE_WIPING)
    return AGAIN_MS;
  memcpy(app, d->claim.app, sizeof app);
  log_event(LOG_INFO, done ? "free" : "wiping", LS("drone", d->addr),
            LS("app", app), LS("claim", kernel_short(d->claim.id, claim)),
            LN("epoch", d->epoch));
  d->state = done ? DRONE_FREE : DRONE_WIPING;
  if (done) {
    d->epoch = (d->epoch > state->fence ? d->epoch : state->fence) + 1;
    memcpy(d->vm, state->vm, sizeof d->vm);
    memset(&d->claim, 0, sizeof d->claim);
  }
  if (store_drone(w, d, NULL) != STORED) {
    (void)store_read_drone(w, d->addr, d, false);
    return AGAIN_MS;
  }
  if (done)
    look_at_app(w->k, app);
  return done ? w->k->drone_every_ms : AGAIN_MS;
}

static int64_t take_away(worker *w, drone_doc *d, job_memory *memory) {
  int64_t began = mono_ms();
  balancer_doc balancer;
  agent_state state;

  if (d->claim.id[0] == '\0')
    return after_repair(w, d, memory, repair_drone(w, d));
  if (d->state == DRONE_DRAINING &&
      view_balancers(w->k->view, &balancer, 1) != 0 &&
      began - pool_since_ms(w->k->pool, d->addr) < DRAIN_MS)
    return AGAIN_MS; /* requests that are on their way come to their end */
  if (publish_without(w, d) != STORED)
    return AGAIN_MS;
  switch (agent_unbind(w->agent, d, &state)) {
  case AGENT_OK:
    memory->bad_ms = 0;
    metric_time(w->k->m.retire, mono_ms() - began);
    return make_free(w, d, &state);
  case AGENT_UNKNOWN:
    return no_answer(w, d, memory);
  default:
    log_event(LOG_WARN, "unbind.refused", LS("drone", d->addr),
              LS("app", d->claim.app), LS("why", agent_why(w->agent)));
    return after_repair(w, d, memory, repair_drone(w, d));
  }
}

/* One that was given up and for whose machine nobody could do anything may come
   back: free only as every drone becomes free. */
static int64_t dead(worker *w, drone_doc *d) {
  kernel *k = w->k;
  agent_state state;
  docs_answer a;
  char id[ADDR_MOST + 16];

  if (!view_is_fresh(k->view))
    return w->k->drone_every_ms;
  if (strcmp(k->config.driver, "none") == 0) {
    if (agent_ask(w->agent, d->ctl, &state) == AGENT_OK)
      (void)repair_drone(w, d);
    return w->k->drone_every_ms;
  }
  if (wall_ms() - d->at_ms < FORGOTTEN_MS || !scaler_destroy(k->scaler, d))
    return w->k->drone_every_ms;
  (void)snprintf(id, sizeof id, "drone:%s", d->addr);
  if (docs_delete(w->locks, id, d->rev, &a) != DOCS_OK)
    return w->k->drone_every_ms;
  pool_gone(k->pool, d->addr);
  return FORGET;
}

int64_t drone_look(worker *w, const char *addr, job_memory *memory) {
  kernel *k = w->k;
  drone_doc d;
  app_doc app;

  if (!view_is_synced(k->view))
    return AGAIN_MS;
  if (!pool_get(k->pool, addr, &d))
    return FORGET;
  if (!view_is_mine(k->view, d.claim.id[0] != '\0' ? d.claim.app : addr))
    return w->k->drone_every_ms;
  switch (d.state) {
  case DRONE_CLAIMED:
    return reap(w, &d, memory);
  case DRONE_DRAINING:
  case DRONE_WIPING:
    return take_away(w, &d, memory);
  case DRONE_DEAD:
    return dead(w, &d);
  case DRONE_BOUND:
    if (!view_app(k->view, d.claim.app, &app))
      kernel_look(k, d.claim.app);
    else
      app_doc_free(&app);
    return compare(w, &d, memory);
  default:
    return compare(w, &d, memory);
  }
}
