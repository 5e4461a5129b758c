/* The claim protocol, steps 2 to 5: a free drone's document becomes claimed,
   the drone is bound, the app is started, the document becomes bound. Each step
   may be done again, by this provisioner or another. Which claim a drone has is
   decided by the drone alone: an answer of the database, whichever, only says
   whom to ask. */
#include "provisioner/kernel_state.h"

#include "common/log.h"
#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 2500, POLL_MS = 40, POLL_MOST_MS = 250, TRIES = 6 };

static void tell(int level, const char *event, const drone_doc *d,
                 const char *why) {
  char claim[9];

  log_event(level, event, LS("app", d->claim.app), LS("drone", d->addr),
            LS("claim", kernel_short(d->claim.id, claim)),
            LN("epoch", d->epoch), LN("gen", d->claim.gen),
            {why[0] != '\0' ? "why" : NULL, why, 0});
}

/* A step is waited for within a look at its beginning only, when it takes a few
   moments as a rule; later on others have their turn between one try and the
   next. */
static bool may_wait(worker *w, int64_t step_ms, int64_t pause) {
  return mono_ms() - step_ms <= PATIENCE_MS && jobs_pause(w->k->jobs, pause);
}

static void about(job_memory *memory, const char *claim) {
  if (strcmp(memory->claim, claim) == 0)
    return;
  (void)snprintf(memory->claim, sizeof memory->claim, "%s", claim);
  memory->bind_ms = 0;
  memory->start_ms = 0;
  memory->heal = false;
}

/* ---- 2 claim ---- */

#ifdef PLATFORM_HOOKS
/* Two that write this write the same bytes, and are told the same revision. */
static enum stored store_same_body(worker *w, drone_doc *d) {
  drone_doc same = *d;
  enum stored stored;
  json_t *doc;

  (void)snprintf(same.claim.id, sizeof same.claim.id, "%032d", (int)d->epoch);
  (void)snprintf(same.claim.app, sizeof same.claim.app, "taken");
  same.claim.by[0] = '\0';
  same.claim.gen = same.claim.at_ms = same.at_ms = 0;
  doc = drone_doc_write(&same);
  stored = store_raw_drone(w, d->addr, doc, d->rev);
  json_decref(doc);
  return stored;
}
#endif

static enum stored write_claim(worker *w, drone_doc *d, bool *accepted) {
#ifdef PLATFORM_HOOKS
  if (NAIVE(w->k, NAIVE_SAMEBODY)) {
    *accepted = false;
    return store_same_body(w, d);
  }
#endif
  return store_drone(w, d, accepted);
}

enum claimed claim_take(worker *w, job_memory *memory, const app_doc *app,
                        drone_doc *d) {
  int64_t began = mono_ms();
  bool accepted = false;

  d->state = DRONE_CLAIMED;
  d->epoch++;
  memset(&d->claim, 0, sizeof d->claim);
  if (!id_random(d->claim.id)) {
    log_event(LOG_ERROR, "claim.random", LS("app", app->name));
    return CLAIM_LATER;
  }
  (void)snprintf(d->claim.app, sizeof d->claim.app, "%s", app->name);
  (void)snprintf(d->claim.by, sizeof d->claim.by, "%s", w->k->config.self);
  d->claim.gen = app->gen;
  d->claim.at_ms = wall_ms();
  switch (write_claim(w, d, &accepted)) {
  case STORED:
    about(memory, d->claim.id);
    memory->heal = accepted;
    metric_time(w->k->m.claim, mono_ms() - began);
    tell(LOG_INFO, accepted ? "claim.accepted" : "claim.written", d, "");
    FAILPOINT(w->k, "claim");
    return CLAIM_OK;
  case STORED_LATER:
    /* When it was stored after all, the feed tells, and it is gone on with. */
    tell(LOG_WARN, "claim.unknown", d, "the database did not say");
    return CLAIM_LATER;
  default:
    tell(LOG_INFO, "claim.lost", d, "another was first");
    (void)store_read_drone(w, d->addr, d, false);
    return CLAIM_LOST;
  }
}

/* ---- 3 bind ---- */

static enum claimed bind_refused(worker *w, const drone_doc *d) {
#ifdef PLATFORM_HOOKS
  if (w->k->naive != 0)
    return CLAIM_OK;
#endif
  tell(LOG_INFO, "bind.refused", d, agent_why(w->agent));
  return repair_drone(w, d) == CLAIM_LATER ? CLAIM_LATER : CLAIM_LOST;
}

enum claimed claim_bind(worker *w, job_memory *memory, drone_doc *d) {
  int64_t began = mono_ms(), pause = POLL_MS;
  agent_state state;

  about(memory, d->claim.id);
  if (memory->bind_ms == 0)
    memory->bind_ms = began;
  for (;;) {
    switch (agent_bind(w->agent, d, &state)) {
    case AGENT_OK:
      if (strcmp(state.claim.id, d->claim.id) != 0)
        return bind_refused(w, d);
      metric_time(w->k->m.bind, mono_ms() - began);
      tell(LOG_INFO, "bind", d, "");
      FAILPOINT(w->k, "bind");
      return CLAIM_OK;
    case AGENT_UNKNOWN:
      break;
    default:
      return bind_refused(w, d);
    }
    if (NAIVE(w->k, NAIVE_TIMEOUTOK))
      return CLAIM_OK;
    if (mono_ms() - memory->bind_ms > w->k->config.bind_ms) {
      tell(LOG_WARN, "bind.given_up", d, agent_why(w->agent));
      pool_abandon(w->k->pool, d->addr, d->claim.id);
      return CLAIM_GIVE_UP;
    }
    if (!may_wait(w, memory->bind_ms, pause))
      return CLAIM_LATER;
    pause = pause * 2 < POLL_MOST_MS ? pause * 2 : POLL_MOST_MS;
  }
}

/* ---- 4 start ---- */

/* Whether the time the app had is over; then why says so. */
static bool too_late(worker *w, const job_memory *memory,
                     const agent_state *state, char *why, size_t size) {
  int64_t had = w->k->config.start_ms;

  if (mono_ms() - memory->start_ms <= had)
    return false;
  if (state->app[0] != '\0')
    (void)snprintf(why, size,
                   "The app did not answer within %lld s: it is %s, with %lld "
                   "restarts and the last exit status %lld.",
                   (long long)(had / 1000), state->app,
                   (long long)state->restarts, (long long)state->exit);
  else
    (void)snprintf(why, size, "The app did not answer within %lld s.",
                   (long long)(had / 1000));
  return true;
}

/* Asks through the guard, as visitors come, for a few seconds. */
static enum claimed await_answer(worker *w, job_memory *memory,
                                 const drone_doc *d, const agent_state *state,
                                 char *why, size_t size) {
  int64_t pause = POLL_MS;

  for (;;) {
    switch (agent_guard(w->agent, d->addr, d->claim.app, d->claim.id)) {
    case GUARD_OK:
      metric_time(w->k->m.start, mono_ms() - memory->start_ms);
      tell(LOG_INFO, "start", d, "");
      FAILPOINT(w->k, "start");
      return CLAIM_OK;
    case GUARD_OTHER:
      tell(LOG_WARN, "start.lost", d, agent_why(w->agent));
      return repair_drone(w, d) == CLAIM_LATER ? CLAIM_LATER : CLAIM_LOST;
    default:
      break;
    }
    if (too_late(w, memory, state, why, size)) {
      tell(LOG_WARN, "start.failed", d, why);
      return CLAIM_GIVE_UP;
    }
    if (!may_wait(w, memory->start_ms, pause))
      return CLAIM_LATER;
    pause = pause * 2 < POLL_MOST_MS ? pause * 2 : POLL_MOST_MS;
  }
}

enum claimed claim_start(worker *w, job_memory *memory, const app_doc *app,
                         const drone_doc *d, char *why, size_t size) {
  agent_state state;

  about(memory, d->claim.id);
  if (memory->start_ms == 0)
    memory->start_ms = mono_ms();
#ifdef PLATFORM_HOOKS
  if (w->k->naive != 0 && (agent_start(w->agent, d, app, &state) != AGENT_OK ||
                           strcmp(state.claim.id, d->claim.id) != 0))
    return CLAIM_OK;
#endif
  switch (agent_start(w->agent, d, app, &state)) {
  case AGENT_OK:
  case AGENT_COMMAND: /* that gen runs already; a new command is a new gen */
    return await_answer(w, memory, d, &state, why, size);
  case AGENT_UNKNOWN:
    if (!too_late(w, memory, &state, why, size))
      return CLAIM_LATER;
    tell(LOG_WARN, "start.failed", d, agent_why(w->agent));
    return CLAIM_GIVE_UP;
  case AGENT_REFUSED:
    (void)snprintf(why, size, "The drone refused the app: %.200s",
                   agent_why(w->agent));
    tell(LOG_WARN, "start.refused", d, why);
    return CLAIM_GIVE_UP;
  default:
    tell(LOG_WARN, "start.lost", d, agent_why(w->agent));
    return repair_drone(w, d) == CLAIM_LATER ? CLAIM_LATER : CLAIM_LOST;
  }
}

/* ---- 5 settle ---- */

/* Somebody wrote meanwhile: what the drone says stands. *d gets the rev that
   is to be replaced. */
static enum claimed settle_again(worker *w, drone_doc *d) {
  agent_state state;
  drone_doc now;

  switch (store_read_drone(w, d->addr, &now, true)) {
  case STORED:
    break;
  case STORED_LATER:
    return CLAIM_LATER;
  default:
    return CLAIM_LOST;
  }
  (void)snprintf(d->rev, sizeof d->rev, "%s", now.rev);
  if (strcmp(now.claim.id, d->claim.id) == 0 &&
      (now.state == DRONE_CLAIMED || now.state == DRONE_BOUND))
    return CLAIM_OK;
  if (strcmp(now.claim.id, d->claim.id) == 0)
    return CLAIM_LOST; /* it is being taken away again */
  if (agent_ask(w->agent, d->ctl, &state) != AGENT_OK)
    return CLAIM_LATER;
  if (strcmp(state.claim.id, d->claim.id) != 0)
    return CLAIM_LOST;
  if (now.epoch > d->epoch)
    d->epoch = now.epoch;
  return CLAIM_OK;
}

enum claimed claim_settle(worker *w, job_memory *memory, drone_doc *d) {
  int64_t began = mono_ms();
  bool accepted = false;
  drone_doc now;
  int i;

  if (d->state == DRONE_BOUND)
    return CLAIM_OK;
  for (i = 0; i < TRIES; i++) {
    enum claimed again;

    d->state = DRONE_BOUND;
    switch (store_drone(w, d, &accepted)) {
    case STORED:
      if (accepted || memory->heal)
        (void)store_read_drone(w, d->addr, &now, true);
      metric_time(w->k->m.settle, mono_ms() - began);
      tell(LOG_INFO, "settle", d, "");
      FAILPOINT(w->k, "settle");
      return CLAIM_OK;
    case STORED_CLASH:
#ifdef PLATFORM_HOOKS
      if (w->k->naive != 0)
        return CLAIM_OK;
#endif
      again = settle_again(w, d);
      if (again != CLAIM_OK)
        return again;
      break;
    case STORED_LATER:
      return CLAIM_LATER;
    default:
      return CLAIM_LOST;
    }
  }
  return CLAIM_LATER;
}
