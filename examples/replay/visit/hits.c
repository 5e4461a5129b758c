/* Programs killed and started again, with what they need there or away, and the
 * database gone as a whole. All on the main thread: the programs die with the
 * thread that started them. */
#include "visit.h"

#include <signal.h>
#include <stdio.h>

void hit_provisioner(visit *v, unsigned i) {
  int status = 0;
  v->prov_kills++;
  proc_kill(&v->k.provs[i].proc, SIGKILL);
  (void)proc_wait(&v->k.provs[i].proc, 5000, &status);
  sleep_ms(dice_below(&v->dice, 500));
  if (!prov_start(&v->k, i, NULL))
    wrong(v, V10_LIVE, "provisioner %u does not start again", i);
}

void hit_drone(visit *v, unsigned i) {
  v->drone_kills++;
  drone_stop(&v->k, i, dice_below(&v->dice, 2) ? SIGKILL : SIGTERM, false);
  sleep_ms(dice_below(&v->dice, 400));
  if (!drone_start(&v->k, i))
    wrong(v, V10_LIVE, "drone %u does not start again", i);
}

void balancer_again(visit *v, unsigned i, int sig) {
  v->balancer_kills++;
  balancer_stop(v, i, sig);
  if (!balancer_start(v, i))
    wrong(v, V10_LIVE, "balancer %s does not start again", v->balancers[i].id);
}

void hit_balancer(visit *v, unsigned i) {
  void (*const ways[])(visit *, unsigned, bool) = {NULL, node_up, node_split};
  unsigned node = v->balancers[i].node, way = dice_below(&v->dice, 3);
  bool is_up = ways[way] == node_up;
  if (ways[way]) {
    v->nodes_away++;
    ways[way](v, node, !is_up);
    sleep_ms(dice_below(&v->dice, 500));
  }
  balancer_again(v, i, SIGKILL);
  if (!ways[way])
    return;
  sleep_ms(500 + dice_below(&v->dice, 1000));
  ways[way](v, node, is_up);
}

void database_leaves(visit *v, enum manner manner) {
  static const char *const rules[MANNERS] = {NULL, "{\"do\":{\"status\":500}}",
                                             "{\"do\":{\"then\":\"silence\"}}"};
  v->nodes_away += VISIT_NODES;
  if (rules[manner]) {
    for (unsigned i = 0; i < BALANCERS; i++)
      balancer_ill(&v->balancers[i]);
    tell_couch(&v->k, "POST", "/rules", json_loads(rules[manner], 0, NULL));
    tell_couch(&v->k, "POST", "/close", json_object());
  }
  for (unsigned node = 0; !rules[manner] && node < VISIT_NODES; node++)
    node_up(v, node, false);
}

void database_returns(visit *v, enum manner manner) {
  if (manner != REFUSES) {
    couch_faults(&v->k, false);
    tell_couch(&v->k, "POST", "/close", json_object());
  }
  for (unsigned node = 0; node < VISIT_NODES; node++)
    node_up(v, node, true);
}
