/* Users: each starts apps of everybody's at any of the provisioners, now and
 * then anew or stops one, and believes what it is told: an answer "live" is
 * looked at once at the drone. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep_life(run *r, unsigned app, const char *op, const char *addr,
                      const char *claim) {
  bool known = false;
  (void)pthread_mutex_lock(&r->lock);
  for (size_t i = 0; i < r->life_count && !known; i++)
    known = r->lives[i].app == app && strcmp(r->lives[i].claim, claim) == 0 &&
            strcmp(r->lives[i].addr, addr) == 0;
  if (!known && r->life_count < LIVES_MOST) {
    life *l = &r->lives[r->life_count++];
    l->app = app;
    (void)snprintf(l->op, sizeof l->op, "%s", op);
    (void)snprintf(l->addr, sizeof l->addr, "%s", addr);
    (void)snprintf(l->claim, sizeof l->claim, "%s", claim);
  }
  (void)pthread_mutex_unlock(&r->lock);
}

/* "live" was said. It was true if the drone holds that claim, or was seen to
   have held it before: it may be let go between the answer and the look. */
static void told_live(run *r, unsigned app, const char *op, const char *addr,
                      const char *claim) {
  int d = drone_find(r, addr);
  r->told_live++;
  keep_life(r, app, op, addr, claim);
  if (d < 0) {
    broke(r, I3_TRUE, "%s live at %s, which is no drone", op, addr);
    return;
  }
  int held = drone_holds(r, (unsigned)d, claim);
  if (held == 1)
    return;
  if (held == 0 && !drone_has_had(r, (unsigned)d, claim) &&
      !drone_told_bind(&r->drones[d], claim))
    broke(r, I3_TRUE, "%s was told live at %s with %s, which it never held", op,
          addr, claim);
  r->late_truth++;
}

void user_hears(run *r, unsigned app, const json_t *answer) {
  const char *op = json_string_value(json_object_get(answer, "op"));
  const char *addr = json_string_value(json_object_get(answer, "drone"));
  const char *claim = json_string_value(json_object_get(answer, "claim"));
  const char *state = json_string_value(json_object_get(answer, "state"));
  const json_t *to = json_array_get(json_object_get(answer, "to"), 0);
  if (!addr && state && strcmp(state, "live") == 0) {
    addr = json_string_value(json_object_get(to, "addr"));
    claim = json_string_value(json_object_get(to, "claim"));
  }
  if (op && addr && claim)
    told_live(r, app, op, addr, claim);
}

static void follow_op(run *r, rest *to, unsigned app, const json_t *answer) {
  const char *op = json_string_value(json_object_get(answer, "op"));
  char path[200];
  json_t *later = NULL;
  if (!op)
    return;
  (void)snprintf(path, sizeof path, "/ops/%.120s?wait=3", op);
  if (ask(to, "GET", path, NULL, 5000, &later) == 200)
    user_hears(r, app, later);
  json_decref(later);
}

static void one_call(run *r, rest *to, dice *d) {
  unsigned app =
      r->o->reserved + dice_below(d, r->o->apps - r->o->reserved - r->o->idle);
  double what = dice_chance(d);
  char path[64];
  json_t *answer = NULL, *body = json_object();
  bool stop = what < 0.05;
  if (what > 0.85 && !r->o->dry)
    (void)json_object_set_new(body, "force", json_true());
  (void)snprintf(path, sizeof path, "/apps/app-%u/%s", app,
                 stop ? "stop" : "start");
  int status = ask(to, "POST", path, stop ? json_object() : json_incref(body),
                   8000, &answer);
  json_decref(body);
  r->calls++;
  if (status == 200 && !stop)
    user_hears(r, app, answer);
  else if (status == 202)
    r->accepted++;
  else if (status / 100 == 4 || status == 503)
    r->refused++;
  else if (status != 200)
    r->failed_calls++;
  if (status == 202 && !stop && dice_chance(d) < 0.5)
    follow_op(r, to, app, answer);
  json_decref(answer);
}

void *users_main(void *arg) {
  user_arg *me = arg;
  run *r = me->r;
  dice d = {.state = r->seed * 1000003 + me->index};
  rest *to[PROVS] = {NULL};
  for (unsigned i = 0; i < r->o->provs; i++)
    to[i] = rest_to(r->provs[i].url, token_text());
  /* All begin at once, then the more there are the slower each is. */
  unsigned pause = r->o->users < 12 ? 60 : r->o->users * 5;
  if (r->o->pause)
    pause = r->o->pause;
  while (!r->users_end && r->calls < r->o->starts) {
    one_call(r, to[dice_below(&d, r->o->provs)], &d);
    sleep_ms(dice_below(&d, pause));
  }
  for (unsigned i = 0; i < r->o->provs; i++)
    rest_free(to[i]);
  return NULL;
}
