/* What befalls everybody, at any moment: wishes change, provisioners are
 * killed, drones lose their files, requests arrive long after their senders
 * gave up. */
#include "model.h"

bool fault_keep(state *s, const config *c, const late *l) {
  for (unsigned i = 0; i < c->lates; i++)
    if (!s->lates[i].kind) {
      s->lates[i] = *l;
      return true;
    }
  return false;
}

static void emit(const expansion *x, const state *next, const char *text,
                 uint8_t who, uint8_t app, uint8_t drone) {
  step_label l = {.text = text,
                  .outcome = "",
                  .who = who,
                  .app = app,
                  .drone = drone,
                  .fault = true};
  x->emit(x->ctx, next, &l);
}

static void wish(const expansion *x, const state *s, uint8_t a) {
  if (s->gen[a] >= x->config->gens)
    return;
  state next = *s;
  next.gen[a]++;
  next.started[a] = 1;
  emit(x, &next,
       s->started[a] ? "the user starts the app anew"
                     : "the user starts the app",
       NOBODY, a, NOBODY);
  if (!s->started[a])
    return;
  next.started[a] = 0;
  emit(x, &next, "the user stops the app", NOBODY, a, NOBODY);
}

static void arrive(const expansion *x, const state *s, unsigned i) {
  const config *c = x->config;
  late l = s->lates[i];
  state before = *s;
  before.lates[i] = (late){0};
  put_result results[PUTS];
  unsigned n = 0;
  if (l.kind == L_DRONE) {
    drone_val value = {
        .state = l.state, .claim = l.claim, .epoch = l.epoch, .vm = l.vm};
    n = world_put_drone(&before, c, l.on, value, l.rev, results);
  } else if (l.kind == L_ROUTE) {
    route_val value = {
        .state = l.state, .gen = l.gen, .drone = l.vm, .claim = l.claim};
    n = world_put_route(&before, c, l.on, value, l.rev, results);
  }
  for (unsigned r = 0; r < n; r++)
    if (results[r].answer != CONFLICT)
      emit(x, &results[r].next,
           l.kind == L_ROUTE ? "a late write of a route is done"
                             : "a late write of a drone's document is done",
           NOBODY, l.kind == L_ROUTE ? l.on : NOBODY,
           l.kind == L_ROUTE ? NOBODY : l.on);
  if (l.kind == L_BIND) {
    world_bind(&before, c, l.on, l.claim, l.epoch, l.vm);
    emit(x, &before, "a late bind arrives", NOBODY, NOBODY, l.on);
  } else if (l.kind == L_UNBIND) {
    world_unbind(&before, l.on, l.claim, l.epoch);
    emit(x, &before, "a late unbind arrives", NOBODY, NOBODY, l.on);
  } else if (l.kind == L_FENCE) {
    world_fence(&before, l.on, l.epoch, l.vm);
    emit(x, &before, "a late fence arrives", NOBODY, NOBODY, l.on);
  }
}

void fault_steps(const expansion *x, const state *s) {
  const config *c = x->config;
  for (uint8_t a = 0; a < c->apps; a++)
    wish(x, s, a);
  for (unsigned i = 0; i < c->lates; i++)
    if (s->lates[i].kind)
      arrive(x, s, i);
  for (uint8_t w = 0; s->kills && w < WORKERS; w++)
    if (s->workers[w].pc != IDLE) {
      state next = *s;
      worker_rest(&next, w);
      next.kills = (uint8_t)(next.kills - (c->kills < 3));
      emit(x, &next, "is killed, and comes back", w, s->workers[w].app,
           s->workers[w].drone);
    }
  for (uint8_t d = 0; s->losses && d < c->drones; d++) {
    state next = *s;
    world_lose_file(&next, d);
    next.losses = (uint8_t)(next.losses - (c->losses < 3));
    emit(x, &next, "the drone is killed and its claim file lost", NOBODY,
         NOBODY, d);
  }
}
