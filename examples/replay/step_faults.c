/* Steps 1, 4 and 7: what lies between programs goes wrong. Feeds that lie to
 * two balancers, a database that is strained, and one that is split. */
#include "replay/replay.h"

#include <stdio.h>

enum { SPELLS_IN_A_STEP = 6 };

/* One is told nothing but heartbeats, the other everything in turns. */
void step_feeds(replay *r, int64_t ms) {
  unsigned silent = dice_below(&r->v->dice, BALANCERS);
  unsigned other = (silent + 1 + dice_below(&r->v->dice, 2)) % BALANCERS;
  int64_t end = replay_now(r) + ms, each = ms / SPELLS_IN_A_STEP;
  static const char *const names[] = {"muddle", "rewind", "slices",
                                      "cut",    "repeat", "backward"};
  int band = fault_begin(r, "feeds of two balancers lie");
  mark(r, "b%u hears heartbeats only, b%u hears lies", silent + 1, other + 1);
  users_begin(r);
  disturb_stall(r->v, silent, true);
  for (unsigned i = 0; i < SPELLS_IN_A_STEP && replay_now(r) < end; i++) {
    r->vo.spell = r->p->spell >= 0 ? r->p->spell : spell_of(names[i]);
    disturb(r->v, other, each);
    until(r, replay_now(r) + each);
    disturb_end(r->v, other);
  }
  until(r, end);
  for (unsigned i = 0; i < BALANCERS; i++)
    disturb_end(r->v, i);
  users_end(r);
  fault_end(r, band);
}

/* ---- strained ---- */

static const char strain[] =
    "[{\"node\":%u,\"kind\":\"doc_put\",\"chance\":0.15,"
    "\"do\":{\"delay_ms\":2000}},"
    "{\"node\":%u,\"kind\":\"doc_put\",\"chance\":0.3,"
    "\"do\":{\"head_ms\":400}},"
    "{\"node\":%u,\"kind\":\"doc_put\",\"chance\":0.05,"
    "\"do\":{\"status\":503}},"
    "{\"node\":%u,\"kind\":\"doc_get\",\"chance\":0.05,"
    "\"do\":{\"status\":500}},"
    "{\"node\":%u,\"kind\":\"doc_put\",\"chance\":0.03,"
    "\"do\":{\"apply_ms\":1500,\"status\":500}},"
    "{\"node\":%u,\"kind\":\"doc_put\",\"chance\":0.02,"
    "\"do\":{\"apply_ms\":6000,\"then\":\"silence\"}}]";

/* At the provisioners' nodes. */
static void strain_begin(replay *r) {
  run *k = &r->v->k;
  tell_couch(k, "POST", "/settings",
             json_pack("{s:f,s:i}", "race", k->o->race, "race_ms", 1000));
  for (unsigned node = 0; node < VISIT_PROVS; node++) {
    char rules[1200];
    (void)snprintf(rules, sizeof rules, strain, node, node, node, node, node,
                   node);
    tell_couch(k, "POST", "/rules", json_loads(rules, 0, NULL));
  }
  couch_faults(k, true);
}

void step_strain(replay *r, int64_t ms) {
  run *k = &r->v->k;
  int band = fault_begin(r, "the database is slow, and fails");
  strain_begin(r);
  users_begin(r);
  until(r, replay_now(r) + ms);
  users_end(r);
  couch_faults(k, false);
  tell_couch(k, "POST", "/settings", json_pack("{s:f}", "race", 0.0));
  fault_end(r, band);
  (void)all_settled(r);
}

/* ---- split ---- */

/* Each half has a provisioner and balancers; each goes on with what it has. */
void step_split(replay *r, int64_t ms) {
  run *k = &r->v->k;
  int band = fault_begin(r, "the database is in two halves");
  for (unsigned i = 0; i < BALANCERS; i++)
    balancer_ill(&r->v->balancers[i]);
  mark(r, "the database is split");
  r->v->in_parts = true;
  tell_couch(k, "POST", "/split",
             json_loads("{\"groups\":[[0,2,3],[1,4,5]]}", 0, NULL));
  users_begin(r);
  until(r, replay_now(r) + ms);
  users_end(r);
  tell_couch(k, "POST", "/heal", json_object());
  mark(r, "the database is whole again");
  for (unsigned i = 0; i < BALANCERS; i++)
    balancer_well(&r->v->balancers[i], 5000);
  fault_end(r, band);
  (void)all_settled(r);
  (void)all_in_step(r);
  r->v->in_parts = false;
}
