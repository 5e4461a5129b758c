/* A drone's document brought to what the drone says. The one way in which a
   drone becomes free again that was claimed and not unbound: after it has
   promised not to accept what is on its way. */
#include "provisioner/kernel_state.h"

#include "common/log.h"
#include <stdio.h>
#include <string.h>

enum { TRIES = 8 };

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* It holds a claim: that is its document's, unless that claim is being ended.
 */
static bool as_held(const agent_state *state, drone_doc *d) {
  if (strcmp(d->claim.id, state->claim.id) == 0 &&
      strcmp(d->vm, state->vm) == 0 &&
      (d->state == DRONE_BOUND || d->state == DRONE_DRAINING ||
       d->state == DRONE_WIPING))
    return false;
  d->state = DRONE_BOUND;
  d->epoch = larger(d->epoch, state->claim_epoch);
  memcpy(d->vm, state->vm, sizeof d->vm);
  d->claim = state->claim;
  d->claim.at_ms = wall_ms();
  return true;
}

/* It holds none: free, once it has promised. LOST: nothing is to be done. */
static enum claimed as_free(worker *w, const agent_state *state, drone_doc *d) {
  /* 0 is no epoch: the first claim of a drone has one that is larger. */
  int64_t epoch = larger(larger(d->epoch, state->fence), 1);
  agent_state now;

  if (d->state == DRONE_FREE && strcmp(d->vm, state->vm) == 0 &&
      d->epoch >= state->fence)
    return CLAIM_LOST;
  switch (agent_fence(w->agent, d->ctl, epoch, state->vm, &now)) {
  case AGENT_OK:
    break;
  case AGENT_CLAIMED:
  case AGENT_VM:
    return CLAIM_GIVE_UP; /* it has changed: ask again */
  default:
    log_event(LOG_WARN, "fence.refused", LS("drone", d->addr),
              LN("epoch", epoch), LS("why", agent_why(w->agent)));
    return CLAIM_LATER;
  }
  d->state = DRONE_FREE;
  d->epoch = epoch + 1;
  memcpy(d->vm, state->vm, sizeof d->vm);
  memset(&d->claim, 0, sizeof d->claim);
  return CLAIM_OK;
}

static void told(const drone_doc *before, const drone_doc *now) {
  const char *addr = now->addr, *app = now->claim.app;
  const char *was = drone_state_name(before->state);
  const char *state = drone_state_name(now->state);
  char old[9], claim[9];

  log_event(
      LOG_WARN, "repair", LS("drone", addr), LS("was", was), LS("state", state),
      LS("app", app), LS("old", kernel_short(before->claim.id, old)),
      LS("claim", kernel_short(now->claim.id, claim)), LN("epoch", now->epoch));
}

/* A claim that was written after what the caller has judged is its writer's to
   bring to an end, or the reaper's. */
static bool is_newer_claim(const drone_doc *now, const drone_doc *judged) {
  return now->state == DRONE_CLAIMED &&
         strcmp(now->claim.id, judged->claim.id) != 0;
}

/* The claim of the document is not the drone's, or not any more: first nobody
   may publish it. OK: done; GIVE_UP: the document was written, look again. */
static enum claimed end_void(worker *w, drone_doc *d) {
  if (d->claim.id[0] == '\0' || d->state == DRONE_CLAIMED)
    return CLAIM_OK; /* what is not bound is not published */
  if (d->state == DRONE_BOUND) {
    enum stored stored;

    d->state = DRONE_DRAINING;
    stored = store_drone(w, d, NULL);
    return stored == STORED || stored == STORED_CLASH ? CLAIM_GIVE_UP
                                                      : CLAIM_LATER;
  }
  return publish_without(w, d) == STORED ? CLAIM_OK : CLAIM_LATER;
}

#ifdef PLATFORM_HOOKS
/* The mistake: what was claimed is free again, whatever is on its way. */
static enum claimed free_unasked(worker *w, drone_doc *d) {
  d->state = DRONE_FREE;
  d->epoch++;
  memset(&d->claim, 0, sizeof d->claim);
  return store_drone(w, d, NULL) == STORED ? CLAIM_OK : CLAIM_LATER;
}
#endif

enum claimed repair_drone(worker *w, const drone_doc *judged) {
  agent_state state;
  drone_doc d, before;
  int i;

  for (i = 0; i < TRIES; i++) {
    enum stored stored = store_read_drone(w, judged->addr, &d, true);

    if (stored != STORED)
      return stored == STORED_LATER ? CLAIM_LATER : CLAIM_LOST;
    if (is_newer_claim(&d, judged))
      return CLAIM_OK;
#ifdef PLATFORM_HOOKS
    if (NAIVE(w->k, NAIVE_NOFENCE) && d.state == DRONE_CLAIMED)
      return free_unasked(w, &d);
#endif
    if (agent_ask(w->agent, d.ctl, &state) != AGENT_OK)
      return CLAIM_LATER;
    before = d;
    if (strcmp(state.claim.id, d.claim.id) != 0 ||
        strcmp(state.vm, d.vm) != 0) {
      enum claimed ended = end_void(w, &d);

      if (ended == CLAIM_LATER)
        return CLAIM_LATER;
      if (ended == CLAIM_GIVE_UP)
        continue;
    }
    if (state.claim.id[0] != '\0') {
      if (!as_held(&state, &d))
        return CLAIM_OK;
    } else {
      enum claimed free = as_free(w, &state, &d);

      if (free == CLAIM_LOST)
        return CLAIM_OK;
      if (free == CLAIM_GIVE_UP)
        continue;
      if (free == CLAIM_LATER)
        return CLAIM_LATER;
    }
    stored = store_drone(w, &d, NULL);
    if (stored == STORED) {
      metric_add(w->k->m.repairs, 1);
      told(&before, &d);
      return CLAIM_OK;
    }
    if (stored != STORED_CLASH)
      return CLAIM_LATER;
  }
  return CLAIM_LATER;
}
