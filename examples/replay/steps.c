/* The ten steps, and what they have in common: users who are there or not, the
 * last wishes of everybody, waiting. */
#include "replay/replay.h"

#include <stdarg.h>
#include <stdio.h>

const replay_step all_steps[STEPS] = {
    {"calm", 8000, 2500, step_calm, false},
    {"feeds disturbed", 12000, 5000, step_feeds, true},
    {"apps moved, a deploy that fails", 6000, 2000, step_moves, false},
    {"scripts that start apps for ever", 15000, 5000, step_spam, false},
    {"the database strained", 10000, 4000, step_strain, true},
    {"no drone is left", 4000, 1500, step_dry, false},
    {"provisioners killed and stopped", 20000, 5000, step_kills, false},
    {"the database split", 8000, 3000, step_split, true},
    {"maintenance, then the database away", 8000, 3000, step_away, false},
    {"calm, and all is looked at", 5000, 2000, step_rest, false},
    {"the bot", 10000, 6000, step_bot, false}};

/* ---- users ---- */

void users_begin(replay *r) {
  run *k = &r->v->k;
  k->users_end = false;
  for (unsigned i = 0; i < r->p->users; i++) {
    r->user_args[i] = (user_arg){k, i};
    (void)pthread_create(&r->users[i], NULL, users_main, &r->user_args[i]);
  }
  r->users_running = r->p->users;
}

void users_end(replay *r) {
  r->v->k.users_end = true;
  for (unsigned i = 0; i < r->users_running; i++)
    (void)pthread_join(r->users[i], NULL);
  r->users_running = 0;
}

/* ---- until all is well ---- */

bool all_settled(replay *r) {
  int64_t began = now_ms();
  for (unsigned app = 0; app + 1 < r->p->apps; app++)
    if (!post_wish(&r->v->k, app, "start"))
      law_broken(r, L10_NOTHING_LOST, "nobody takes the wish for app-%u", app);
  bool well = r->p->dry || settled(r->v);
  report_say(r->report,
             well ? "All was as wanted after %.1f s."
                  : "All was not as wanted after %.1f s.",
             (double)(now_ms() - began) / 1000);
  return well;
}

bool all_in_step(replay *r) {
  enum { IN_STEP_MS = 30000, NAIVE_MS = 8000 };
  return balancers_in_step(r->v, r->p->balancers ? NAIVE_MS : IN_STEP_MS);
}

void until(const replay *r, int64_t end_ms) {
  while (replay_now(r) < end_ms)
    sleep_ms(10);
}

/* ---- words ---- */

int api_call(replay *r, unsigned at, const char *method, const char *path,
             json_t *body, json_t **answer) {
  rest *to = rest_to(r->v->k.provs[at % VISIT_PROVS].url, token_text());
  json_t *said = NULL;
  int status = ask(to, method, path, body, 8000, &said);
  bool coalesced = json_is_true(json_object_get(said, "coalesced"));
  timeline_add_api(r->t, replay_now(r), timeline_api_of(status, coalesced));
  rest_free(to);
  if (answer)
    *answer = json_incref(said);
  json_decref(said);
  return status;
}

bool api_is_well(replay *r, unsigned i) {
  enum { WELL_MS = 30000, PAUSE_MS = 50 };
  int64_t end = now_ms() + WELL_MS;
  while (now_ms() < end) {
    if (api_call(r, i, "GET", "/apps/app-0", NULL, NULL) == 200)
      return true;
    sleep_ms(PAUSE_MS);
  }
  law_broken(r, L10_NOTHING_LOST, "the API of provisioner %u does not answer",
             i);
  return false;
}

int fault_begin(replay *r, const char *name) {
  return timeline_begin_band(r->t, replay_now(r), TIMELINE_FAULT, 0, name);
}

void fault_end(replay *r, int band) {
  timeline_end_band(r->t, band, replay_now(r));
}

void mark(replay *r, const char *format, ...) {
  char word[TIMELINE_NAME];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(word, sizeof word, format, args);
  va_end(args);
  timeline_mark(r->t, replay_now(r), word);
  story_event(r->s, replay_now(r), STORY_SAID, "%s.", word);
}
