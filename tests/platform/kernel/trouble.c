/* What goes wrong, and when: faults of the database by rules, provisioners
 * killed at each step and stopped, drones killed, stopped, and robbed of their
 * files. All of it from one seed. */
#include "kernel.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const char *const failpoints[5] = {"claim", "bind", "start", "settle",
                                          "publish"};

/* Those that ended: at a failpoint, or because we killed them. */
static void raise_the_dead(run *r, dice *d, bool more) {
  int status = 0;
  for (unsigned i = 0; i < r->o->provs; i++) {
    prov *p = &r->provs[i];
    if (p->proc.pid && !proc_ended(&p->proc, &status))
      continue;
    if (status != 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
      broke(r, I10_NOTHING_LOST, "provisioner %u ended with status %x", i,
            (unsigned)status);
    status = 0;
    for (unsigned f = 0; f < 5; f++)
      if (strncmp(p->failpoint, failpoints[f], strlen(failpoints[f])) == 0)
        r->failpoint_deaths[f]++;
    char point[32];
    /* The more there is to do, the sooner a step comes round. */
    unsigned most = r->o->apps < 20 ? 4 : r->o->apps / 5;
    (void)snprintf(point, sizeof point, "%s:%u", failpoints[dice_below(d, 5)],
                   1 + dice_below(d, most));
    bool armed = more && r->o->kills;
    if (!prov_start(r, i, armed ? point : NULL))
      broke(r, I10_NOTHING_LOST, "provisioner %u does not start again", i);
  }
}

static void stop_for(proc *p, int64_t ms) {
  proc_kill(p, SIGSTOP);
  sleep_ms(ms);
  proc_kill(p, SIGCONT);
}

/* One is stopped for so long that the others take its apps over, and goes on
   with what it meant to do then. */
static void stop_long(run *r, dice *d, int64_t since_ms) {
  if (!r->o->kills || r->o->stop_ms == 0)
    return;
  if (!r->stopped_long && since_ms > r->o->trouble_ms / 4) {
    prov *p = &r->provs[dice_below(d, r->o->provs)];
    r->stopped_long = true;
    r->prov_stops++;
    p->wake_ms = now_ms() + r->o->stop_ms;
    proc_kill(&p->proc, SIGSTOP);
  }
  for (unsigned i = 0; i < r->o->provs; i++)
    if (r->provs[i].wake_ms && now_ms() >= r->provs[i].wake_ms) {
      r->provs[i].wake_ms = 0;
      proc_kill(&r->provs[i].proc, SIGCONT);
    }
}

static void hit_provisioner(run *r, dice *d) {
  prov *p = &r->provs[dice_below(d, r->o->provs)];
  if (p->wake_ms)
    return;
  if (dice_below(d, 3) == 0) {
    r->prov_stops++;
    stop_for(&p->proc, 500 + dice_below(d, 2500));
    return;
  }
  int status = 0;
  r->prov_kills++;
  p->failpoint[0] = '\0';
  proc_kill(&p->proc, SIGKILL);
  (void)proc_wait(&p->proc, 5000, &status);
}

static void hit_drone(run *r, dice *d) {
  unsigned i = dice_below(d, r->o->drones);
  switch (dice_below(d, 4)) {
  case 0:
    r->drone_stops++;
    r->drones[i].stopped = true;
    stop_for(&r->drones[i].proc, 300 + dice_below(d, 2000));
    r->drones[i].stopped = false;
    return;
  case 1:
    r->files_lost++;
    drone_stop(r, i, SIGKILL, true);
    break;
  case 2:
    r->drone_kills++;
    drone_stop(r, i, SIGKILL, false);
    break;
  default:
    r->drone_kills++;
    drone_stop(r, i, SIGTERM, false);
    break;
  }
  sleep_ms(dice_below(d, 800));
  if (!drone_start(r, i))
    broke(r, I10_NOTHING_LOST, "drone %u does not start again", i);
}

void trouble(run *r) {
  dice d = {.state = r->seed * 7919 + 1};
  int64_t began = now_ms(), end = began + r->o->trouble_ms, armed = 0;
  if (r->o->race > 0)
    tell_couch(r, "POST", "/settings",
               json_pack("{s:f,s:i}", "race", r->o->race, "race_ms", 1000));
  if (r->o->faults)
    couch_faults(r, true);
  while (now_ms() < end && !r->trouble_end) {
    stop_long(r, &d, now_ms() - began);
    if (r->o->kills && now_ms() - armed > 3000) {
      armed = now_ms();
      hit_provisioner(r, &d);
    }
    raise_the_dead(r, &d, true);
    if (r->o->kills)
      hit_drone(r, &d);
    sleep_ms(100 + dice_below(&d, 400));
  }
  for (unsigned i = 0; i < r->o->provs; i++)
    proc_kill(&r->provs[i].proc, SIGCONT);
  couch_faults(r, false);
  if (r->o->race > 0)
    tell_couch(r, "POST", "/settings", json_pack("{s:f}", "race", 0.0));
  /* A failpoint that was not met would strike while all is to be calm. */
  for (unsigned i = 0; i < r->o->provs; i++)
    if (r->provs[i].failpoint[0]) {
      int status = 0;
      r->provs[i].failpoint[0] = '\0';
      proc_kill(&r->provs[i].proc, SIGKILL);
      (void)proc_wait(&r->provs[i].proc, 5000, &status);
    }
  raise_the_dead(r, &d, false);
}
