/* Step 5: more apps are started than there are drones, and then drones come.
 * Who has none is told so, with his place; and when there are enough, everybody
 * has one. */
#include "replay/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIVE_MS = 40000, EVERY_MS = 150, MOST = DRONES_MOST };

typedef struct one_more {
  char op[96], state[16];
  unsigned place;
} one_more;

static void begin_one(replay *r, unsigned i, one_more *m) {
  char name[32], path[64];
  json_t *answer = NULL;
  int status = 0;
  (void)snprintf(name, sizeof name, "more-%u", i);
  (void)snprintf(path, sizeof path, "/apps/%s", name);
  (void)api_call(r, i, "POST", path, nonce_app(&r->v->k, name, name, NULL),
                 NULL);
  (void)snprintf(path, sizeof path, "/apps/%s/start", name);
  for (int64_t end = now_ms() + LIVE_MS; status / 100 != 2 && now_ms() < end;) {
    json_decref(answer);
    answer = NULL;
    status = api_call(r, i, "POST", path, json_object(), &answer);
    if (status / 100 != 2)
      sleep_ms(EVERY_MS);
  }
  const char *op = json_string_value(json_object_get(answer, "op"));
  if (status / 100 == 2 && op)
    (void)snprintf(m->op, sizeof m->op, "%s", op);
  else
    law_broken(r, L10_NOTHING_LOST, "%s is not to be started: %d", name,
               status);
  json_decref(answer);
}

static void look_at_one(replay *r, unsigned i, one_more *m) {
  char path[128];
  json_t *answer = NULL;
  (void)snprintf(path, sizeof path, "/ops/%.90s", m->op);
  if (m->op[0] && strcmp(m->state, "live") != 0 &&
      api_call(r, i, "GET", path, NULL, &answer) == 200) {
    const char *state = json_string_value(json_object_get(answer, "state"));
    (void)snprintf(m->state, sizeof m->state, "%s", state ? state : "");
    m->place =
        (unsigned)json_integer_value(json_object_get(answer, "position"));
    user_hears(&r->v->k, r->p->apps + i, answer);
  }
  json_decref(answer);
}

typedef struct sum {
  unsigned live, queued, placed;
} sum;

static sum look_at_all(replay *r, one_more *all) {
  sum s = {0, 0, 0};
  for (unsigned i = 0; i < r->extra; i++) {
    look_at_one(r, i, &all[i]);
    s.live += strcmp(all[i].state, "live") == 0;
    s.queued += strcmp(all[i].state, "queued") == 0;
    s.placed += strcmp(all[i].state, "queued") == 0 && all[i].place > 0;
  }
  return s;
}

/* Until so many are live, and as many wait as are left over, each with a place:
   who has just come, or is looked at, has none for a moment. */
static sum wait_for(replay *r, one_more *all, unsigned live) {
  int64_t end = now_ms() + LIVE_MS;
  sum s = look_at_all(r, all);
  while (
      (s.live < live || s.live + s.queued < r->extra || s.placed < s.queued) &&
      now_ms() < end) {
    sleep_ms(EVERY_MS);
    s = look_at_all(r, all);
  }
  return s;
}

static void judge_dry(replay *r, const sum *s, unsigned drones) {
  law_checked(r, L12_POOL);
  if (s->live > drones)
    law_broken(r, L12_POOL, "%u were told live, and %u drones were free",
               s->live, drones);
  if (s->live < drones || s->live + s->queued < r->extra)
    law_broken(r, L10_NOTHING_LOST,
               "%u drones were free: %u live, %u of %u wait", drones, s->live,
               s->queued, r->extra);
  if (s->placed < s->queued)
    law_broken(r, L10_NOTHING_LOST, "%u of %u who wait are not told a place",
               s->queued - s->placed, s->queued);
  report_say(r->report,
             "%u apps more were started than run, on %u free drones: %u are "
             "live, %u wait and know their place.",
             r->extra, drones, s->live, s->placed);
}

static void drones_come(replay *r, one_more *all) {
  if (!drones_enter(&r->v->k, r->p->drones, r->p->spare)) {
    law_broken(r, L10_NOTHING_LOST, "the new drones are not taken");
    return;
  }
  mark(r, "%u drones come", r->p->spare);
  sum s = wait_for(r, all, r->extra);
  law_checked(r, L10_NOTHING_LOST);
  if (s.live < r->extra)
    law_broken(r, L10_NOTHING_LOST, "with new drones %u of %u are live", s.live,
               r->extra);
}

static void end_all(replay *r) {
  for (unsigned i = 0; i < r->extra; i++) {
    char path[64];
    int status = 0;
    (void)snprintf(path, sizeof path, "/apps/more-%u", i);
    for (int64_t end = now_ms() + LIVE_MS;
         status / 100 != 2 && status != 404 && now_ms() < end;) {
      status = api_call(r, i, "DELETE", path, NULL, NULL);
      if (status / 100 != 2 && status != 404)
        sleep_ms(EVERY_MS);
    }
  }
}

/* As many as the pulse has seen twice, when none is on its way to be free. */
static unsigned count_free(const replay *r) {
  enum { PULSE_MS = 700, MOST_MS = 30000 };
  int64_t end = now_ms() + MOST_MS;
  unsigned before;
  do {
    before = r->free_drones;
    sleep_ms(PULSE_MS);
  } while ((before != r->free_drones || r->moving_drones != 0) &&
           now_ms() < end);
  return r->free_drones;
}

void step_dry(replay *r, int64_t ms) {
  static one_more all[MOST];
  (void)all_settled(r);
  unsigned drones = count_free(r);
  int band = fault_begin(r, "no drone is left");
  memset(all, 0, sizeof all);
  r->extra = drones + r->p->spare < MOST ? drones + r->p->spare : MOST;
  mark(r, "%u apps more than run are started", r->extra);
  for (unsigned i = 0; i < r->extra; i++)
    begin_one(r, i, &all[i]);
  sum s = wait_for(r, all, drones);
  until(r, replay_now(r) + ms);
  judge_dry(r, &s, drones);
  drones_come(r, all);
  fault_end(r, band);
  end_all(r);
}
