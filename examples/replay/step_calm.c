/* Steps 0, 2 and 9: nothing goes wrong. First it is seen how long a start takes
 * somebody who is alone; apps are moved, and one deploy fails, while nobody is
 * to notice; and in the end everything is looked at. */
#include "replay/replay.h"

#include <stdio.h>
#include <string.h>

enum { FAILED_MS = 25000, WAIT_S = 3 };

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

/* What has become of the operation, in `state`, when it is over. */
static bool op_ends(replay *r, const json_t *answer, char state[24]) {
  const char *op = json_string_value(json_object_get(answer, "op"));
  int64_t end = now_ms() + FAILED_MS;
  char path[160];
  (void)snprintf(state, 24, "%s", "unknown");
  if (!op)
    return false;
  (void)snprintf(path, sizeof path, "/ops/%.100s?wait=%d", op, WAIT_S);
  while (now_ms() < end) {
    json_t *later = NULL;
    if (api_call(r, 0, "GET", path, NULL, &later) == 200) {
      const char *is = json_string_value(json_object_get(later, "state"));
      (void)snprintf(state, 24, "%s", is ? is : "unknown");
    }
    json_decref(later);
    if (strcmp(state, "failed") == 0 || strcmp(state, "live") == 0)
      return true;
    sleep_ms(50);
  }
  return false;
}

/* Changed, and started anew: what its operation comes to. */
static void deploy(replay *r, unsigned app, const char *command,
                   char state[24]) {
  char path[64], name[32], nonce[64];
  json_t *answer = NULL;
  (void)snprintf(name, sizeof name, "app-%u", app);
  (void)snprintf(path, sizeof path, "/apps/%s", name);
  nonce_of(&r->v->k, app, nonce);
  int made = api_call(r, 0, "POST", path,
                      nonce_app(&r->v->k, name, nonce, command), NULL);
  (void)snprintf(path, sizeof path, "/apps/app-%u/start", app);
  int started = 429; /* it may have been moved just before */
  for (int64_t end = now_ms() + FAILED_MS; started == 429 && now_ms() < end;) {
    json_decref(answer);
    started = api_call(r, 0, "POST", path, json_object(), &answer);
    if (started == 429)
      sleep_ms(500);
  }
  if (made / 100 != 2 || started / 100 != 2 || !op_ends(r, answer, state))
    law_broken(r, L10_NOTHING_LOST, "app-%u is not deployed: %d, %d, %s", app,
               made, started, state);
  json_decref(answer);
}

static void failed_deploy(replay *r) {
  unsigned app = MOVED;
  char state[24] = "";
  strict_begin(r, L14_OLD_ANSWERS, (int)app);
  mark(r, "app-%u is deployed with a command that fails", app);
  int64_t began = replay_now(r);
  deploy(r, app, "exec false", state);
  if (strcmp(state, "live") == 0)
    law_broken(r, L14_OLD_ANSWERS, "app-%u is live with a command that fails",
               app);
  sleep_ms(500);
  strict_end(r);
  report_say(r->report,
             "app-%u was deployed with a command that fails: %s after %.1f s.",
             app, state, (double)(replay_now(r) - began) / 1000);
  deploy(r, app, NULL, state);
}

void step_moves(replay *r, int64_t ms) {
  int64_t end = replay_now(r) + ms;
  bool well = all_settled(r) && all_in_step(r);
  if (well)
    strict_begin(r, L13_MOVED, -1);
  int64_t began = replay_now(r);
  move_apps(r->v);
  until(r, end);
  strict_end(r);
  report_say(r->report, "%u apps were moved in %.1f s.", (unsigned)r->v->moves,
             (double)(replay_now(r) - began) / 1000);
  failed_deploy(r);
}

/* ---- in the end ---- */

void step_rest(replay *r, int64_t ms) {
  bool well = all_settled(r);
  if (well && all_in_step(r))
    digests_judge(r->v, "in the end");
  if (well)
    visit_all(r->v);
  judge(&r->v->k);
  until(r, replay_now(r) + ms);
  flat_judge(r);
}
