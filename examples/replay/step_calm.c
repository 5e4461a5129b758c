/* Steps 0, 2 and 9: nothing goes wrong. First it is seen how long a start takes
 * somebody who is alone; apps are moved, and one deploy fails, while nobody is
 * to notice; and in the end everything is looked at. */
#include "replay/replay.h"

#include <stdio.h>
#include <string.h>

enum { FAILED_MS = 45000, WAIT_S = 3, SOME_VISITS_MS = 500, STEP_SPAM = 3 };

void step_calm(replay *r, int64_t ms) {
  int64_t end = replay_now(r) + ms;
  (void)all_in_step(r);
  digests_judge(r->v, "at the begin");
  strict_begin(r, L13_MOVED, -1);
  quiet_starts(r, false, ms);
  until(r, end);
  strict_end(r);
}

/* ---- a deploy that fails ---- */

/* What the operation comes to, in `state`. */
static void op_ends(replay *r, const json_t *answer, char state[24]) {
  const char *op = json_string_value(json_object_get(answer, "op"));
  int64_t end = now_ms() + FAILED_MS;
  char path[160];
  (void)snprintf(state, 24, "%s", "unknown");
  (void)snprintf(path, sizeof path, "/ops/%.100s?wait=%d", op ? op : "",
                 WAIT_S);
  while (op && now_ms() < end) {
    json_t *later = NULL;
    if (api_call(r, 0, "GET", path, NULL, &later) == 200) {
      const char *is = json_string_value(json_object_get(later, "state"));
      (void)snprintf(state, 24, "%s", is ? is : "unknown");
    }
    json_decref(later);
    if (strcmp(state, "failed") == 0 || strcmp(state, "live") == 0)
      return;
    sleep_ms(50);
  }
}

/* Changed, and started anew: the answer to that. command NULL: the usual one.
   It may have been started just before, so that it has to wait. */
static json_t *deploy(replay *r, unsigned app, const char *command) {
  char path[64], name[32], nonce[64];
  json_t *answer = NULL;
  int64_t end = now_ms() + FAILED_MS;
  int made, started = 429;
  (void)snprintf(name, sizeof name, "app-%u", app);
  (void)snprintf(path, sizeof path, "/apps/%s", name);
  nonce_of(&r->v->k, app, nonce);
  made = api_call(r, 0, "POST", path, nonce_app(&r->v->k, name, nonce, command),
                  NULL);
  (void)snprintf(path, sizeof path, "/apps/%s/start", name);
  while (started == 429 && now_ms() < end) {
    json_decref(answer);
    answer = NULL;
    started = api_call(r, 0, "POST", path, json_object(), &answer);
    if (started == 429)
      sleep_ms(500);
  }
  if (made / 100 != 2 || started / 100 != 2)
    law_broken(r, L10_NOTHING_LOST, "%s is not deployed: %d, %d", name, made,
               started);
  return answer;
}

/* It takes as long as an app may need to answer. */
static void begin_failing(replay *r) {
  mark(r, "app-%u is deployed with a command that fails", MOVED);
  strict_begin(r, L14_OLD_ANSWERS, MOVED);
  r->failing_ms = replay_now(r);
  r->failing = deploy(r, MOVED, "exec false");
}

void end_failing(replay *r) {
  char state[24] = "";
  json_t *mended;
  if (!r->failing)
    return;
  op_ends(r, r->failing, state);
  report_say(r->report,
             "app-%u was deployed with a command that fails: %s after %.1f s.",
             MOVED, state, (double)(replay_now(r) - r->failing_ms) / 1000);
  if (strcmp(state, "failed") != 0)
    law_broken(r, L14_OLD_ANSWERS, "app-%u is %s with a command that fails",
               MOVED, state);
  sleep_ms(SOME_VISITS_MS);
  strict_end(r);
  mended = deploy(r, MOVED, NULL);
  op_ends(r, mended, state);
  json_decref(mended);
  json_decref(r->failing);
  r->failing = NULL;
}

void step_moves(replay *r, int64_t ms) {
  int64_t end = replay_now(r) + ms;
  bool well = all_settled(r) && all_in_step(r);
  if (well)
    strict_begin(r, L13_MOVED, -1);
  int64_t began = replay_now(r);
  move_apps(r->v);
  report_say(r->report, "%u apps were moved in %.1f s.", (unsigned)r->v->moves,
             (double)(replay_now(r) - began) / 1000);
  until(r, end);
  strict_end(r);
  begin_failing(r);
  if (!(r->p->steps & 1U << STEP_SPAM)) /* which else ends it */
    end_failing(r);
}

/* ---- in the end ---- */

void step_rest(replay *r, int64_t ms) {
  bool well = all_settled(r);
  if (well && all_in_step(r))
    digests_judge(r->v, "in the end");
  if (well && !r->p->dry)
    visit_all(r->v);
  judge(&r->v->k);
  until(r, replay_now(r) + ms);
  flat_judge(r);
}
