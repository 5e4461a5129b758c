/* Step 8: maintenance of the API, in which nothing is written and no visitor
 * notices; and then the database is away, while two balancers are restarted. */
#include "replay/replay.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { UNDER_WAY_MS = 1500, TRIES = 10 };

bool maintenance_set(replay *r, const char *mode) {
  int status = 0;
  for (unsigned i = 0; i < TRIES && status / 100 != 2; i++) {
    status = api_call(r, i, "PUT", "/maintenance",
                      json_pack("{s:s,s:s}", "mode", mode, "msg",
                                "we look after the database"),
                      NULL);
    if (status / 100 != 2)
      sleep_ms(200);
  }
  if (status / 100 != 2)
    law_broken(r, L15_MAINTENANCE, "maintenance %s is not taken: %d", mode,
               status);
  return status / 100 == 2;
}

/* ---- who writes ---- */

static bool last_seq(rest *couch, const char *db, char out[512]) {
  json_t *all = NULL;
  char path[96];
  (void)snprintf(path, sizeof path, "/%s", db);
  int status = ask(couch, "GET", path, NULL, 5000, &all);
  const json_t *seq = json_object_get(all, "update_seq");
  if (json_is_string(seq))
    (void)snprintf(out, 512, "%s", json_string_value(seq));
  else
    (void)snprintf(out, 512, "%lld", (long long)json_integer_value(seq));
  json_decref(all);
  return status == 200;
}

/* Programs say that they are alive; that is no change of anything. */
static bool is_sign_of_life(const char *id) {
  return strncmp(id, "sys:", 4) == 0 || strncmp(id, "balancer:", 9) == 0;
}

static void judge_changes(replay *r, rest *couch, const char *db,
                          const char *since) {
  char path[800], escaped[600];
  json_t *all = NULL, *row;
  size_t i;
  if (!rest_escape(since, escaped, sizeof escaped))
    return;
  (void)snprintf(path, sizeof path, "/%s/_changes?since=%s", db, escaped);
  if (ask(couch, "GET", path, NULL, 5000, &all) == 200)
    law_checked(r, L15_MAINTENANCE);
  json_array_foreach(json_object_get(all, "results"), i, row) {
    const char *id = json_string_value(json_object_get(row, "id"));
    if (id && !is_sign_of_life(id))
      law_broken(r, L15_MAINTENANCE, "%s was written in maintenance", id);
  }
  json_decref(all);
}

/* Who wants to start something is told so. */
static void judge_refusal(replay *r) {
  json_t *answer = NULL;
  int status =
      api_call(r, dice_below(&r->v->dice, VISIT_PROVS), "POST",
               "/apps/app-0/start", json_pack("{s:b}", "force", 1), &answer);
  const char *code = json_string_value(json_object_get(answer, "code"));
  law_checked(r, L15_MAINTENANCE);
  if (status != 503 || !code || strcmp(code, "maintenance") != 0)
    law_broken(r, L15_MAINTENANCE, "a start in maintenance was told %d %s",
               status, code ? code : "");
  json_decref(answer);
}

static void maintenance(replay *r, int64_t ms) {
  const run *k = &r->v->k;
  rest *couch = couch_looker(k);
  char apps[512], locks[512];
  int band = fault_begin(r, "maintenance of the API");
  strict_begin(r, L15_MAINTENANCE, -1);
  if (maintenance_set(r, "api")) {
    until(r, replay_now(r) + UNDER_WAY_MS);
    bool known =
        last_seq(couch, k->apps, apps) && last_seq(couch, k->locks, locks);
    for (int64_t end = replay_now(r) + ms; replay_now(r) < end; sleep_ms(300))
      judge_refusal(r);
    if (known) {
      judge_changes(r, couch, k->apps, apps);
      judge_changes(r, couch, k->locks, locks);
    }
  }
  strict_end(r);
  (void)maintenance_set(r, "off");
  fault_end(r, band);
  rest_free(couch);
}

/* ---- away ---- */

static void away(replay *r, int64_t ms) {
  static const char *const manners[] = {"refuses", "fails", "hangs"};
  enum manner manner = (enum manner)dice_below(&r->v->dice, MANNERS);
  unsigned first = dice_below(&r->v->dice, BALANCERS);
  int64_t end = replay_now(r) + ms;
  int band = fault_begin(r, "the database is away");
  strict_begin(r, L8_AWAY, -1);
  mark(r, "the database %s", manners[manner]);
  database_leaves(r->v, manner);
  until(r, replay_now(r) + ms / 4);
  mark(r, "b%u is killed", first + 1);
  balancer_again(r->v, first, SIGKILL);
  mark(r, "b%u is restarted", (first + 1) % BALANCERS + 1);
  balancer_again(r->v, (first + 1) % BALANCERS, SIGTERM);
  until(r, end);
  database_returns(r->v, manner);
  mark(r, "the database is back");
  (void)all_in_step(r);
  strict_end(r);
  fault_end(r, band);
  digests_judge(r->v, "after the database was away");
}

/* A database that was there goes on: balancers are restarted all the same. */
static void restart_two(replay *r) {
  strict_begin(r, L8_AWAY, -1);
  balancer_again(r->v, 0, SIGKILL);
  balancer_again(r->v, 1, SIGTERM);
  (void)all_in_step(r);
  strict_end(r);
  report_say(r->report, "The database was not away: it is one that was there.");
}

void step_away(replay *r, int64_t ms) {
  (void)all_settled(r);
  (void)all_in_step(r);
  maintenance(r, ms / 2);
  (void)all_settled(r);
  if (r->o->against)
    restart_two(r);
  else
    away(r, ms);
}
