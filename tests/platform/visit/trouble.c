/* What goes wrong, and when. All on the main thread: the programs die with the
 * thread that started them. */
#include "phases.h"

#include <signal.h>
#include <stdio.h>

enum { SPELL_MS = 1500, IN_STEP_MS = 30000, CATCH_UP_MS = 5000 };

/* Killed, in every other case with its balancer: then it is back first, and
   knows nothing until that is back, too. */
static void hit_haproxy(visit *v, unsigned i) {
  balancer *b = &v->balancers[i];
  bool both = dice_below(&v->dice, 2) == 0;
  v->haproxy_kills++;
  balancer_ill(b);
  haproxy_stop(v, i, SIGKILL);
  if (both) {
    v->balancer_kills++;
    balancer_stop(v, i, SIGKILL);
  }
  sleep_ms(dice_below(&v->dice, 500));
  if (!haproxy_start(v, i))
    wrong(v, V10_LIVE, "HAProxy of %s does not start again", b->id);
  if (both) {
    sleep_ms(dice_below(&v->dice, 500));
    if (!balancer_start(v, i))
      wrong(v, V10_LIVE, "balancer %s does not start again", b->id);
  }
  if (b->spell)
    balancer_ill(b);
  else
    balancer_well(b, CATCH_UP_MS);
}

/* One that is not left without its feed for all the time. */
static unsigned other_than(visit *v, unsigned stalled) {
  return (stalled + 1 + dice_below(&v->dice, BALANCERS - 1)) % BALANCERS;
}

static void something(visit *v, unsigned stalled) {
  unsigned i = other_than(v, stalled);
  unsigned what = dice_below(&v->dice, 10);
  if (what < 5 || !v->o->kills) {
    if (v->o->faults && v->balancers[i].spell == 0)
      disturb(v, i, SPELL_MS + dice_below(&v->dice, SPELL_MS));
  } else if (what < 6) {
    hit_provisioner(v, dice_below(&v->dice, VISIT_PROVS));
  } else if (what < 8) {
    hit_drone(v, dice_below(&v->dice, v->o->drones));
  } else if (v->o->haproxy && dice_below(&v->dice, 2)) {
    hit_haproxy(v, i);
  } else {
    disturb_end(v, i);
    hit_balancer(v, i);
  }
}

void trouble(visit *v) {
  unsigned stalled = dice_below(&v->dice, BALANCERS);
  int64_t end = now_ms() + v->o->trouble_ms;
  if (v->o->faults) {
    tell_couch(&v->k, "POST", "/settings",
               json_pack("{s:f,s:i}", "race", 0.1, "race_ms", 1000));
    couch_faults(&v->k, true);
    disturb_stall(v, stalled, dice_below(&v->dice, 2) == 0);
  }
  if (v->o->haproxy && v->o->kills) /* once at least */
    hit_haproxy(v, stalled);
  while (now_ms() < end) {
    something(v, stalled);
    disturb_look(v);
    sleep_ms(100 + dice_below(&v->dice, 400));
  }
  for (unsigned i = 0; i < BALANCERS; i++)
    disturb_end(v, i);
  if (v->o->faults) {
    couch_faults(&v->k, false);
    tell_couch(&v->k, "POST", "/settings", json_pack("{s:f}", "race", 0.0));
  }
}

/* ---- the database away ---- */

/* One balancer dies while there is no database, one is restarted in order; and
   when it is back, the third meets a node that lists nothing. */
void away(visit *v) {
  unsigned first = dice_below(&v->dice, BALANCERS);
  unsigned second = (first + 1) % BALANCERS, third = (first + 2) % BALANCERS;
  int64_t end = now_ms() + v->o->away_ms;
  enum manner manner = (enum manner)dice_below(&v->dice, MANNERS);
  database_leaves(v, manner);
  sleep_ms(v->o->away_ms / 4);
  if (v->o->kills) {
    balancer_again(v, first, SIGKILL);
    balancer_again(v, second, SIGTERM);
  }
  while (now_ms() < end)
    sleep_ms(10);
  database_returns(v, manner);
  if (v->o->faults) {
    disturb_empty(v, third);
    if (v->o->kills)
      balancer_again(v, third, SIGKILL);
    sleep_ms(v->o->away_ms / 4);
    disturb_end(v, third);
  }
  (void)balancers_in_step(v, IN_STEP_MS);
  digests_judge(v, "after the database was away");
}
