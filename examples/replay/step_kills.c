/* Step 6: a provisioner is killed behind each of three steps of a claim, and
 * one is stopped for so long that the other takes its apps over, and goes on
 * with what it meant to do then. */
#include "replay/replay.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VICTIM = 1, DIES_MS = 15000, TERM_MS = 15000 };

void end_prov(replay *r, unsigned i, int sig) {
  prov *p = &r->v->k.provs[i];
  int status = 0;
  p->failpoint[0] = '\0';
  proc_kill(&p->proc, sig);
  if (!proc_wait(&p->proc, TERM_MS, &status)) {
    law_broken(r, L10_NOTHING_LOST, "provisioner %u does not end", i);
    proc_kill(&p->proc, SIGKILL);
    (void)proc_wait(&p->proc, TERM_MS, &status);
  }
}

void start_prov(replay *r, unsigned i, const char *failpoint) {
  if (!prov_start(&r->v->k, i, failpoint))
    law_broken(r, L10_NOTHING_LOST, "provisioner %u does not start again", i);
}

/* Apps are moved until it has died of it. */
static bool dies(replay *r, const char *point) {
  prov *p = &r->v->k.provs[VICTIM];
  int64_t end = now_ms() + DIES_MS;
  int status = 0;
  char path[64];
  while (!proc_ended(&p->proc, &status) && now_ms() < end) {
    (void)snprintf(path, sizeof path, "/apps/app-%u/start",
                   dice_below(&r->v->dice, r->p->apps - 1));
    (void)api_call(r, 0, "POST", path,
                   json_pack("{s:b}", "force", (int)!r->p->dry), NULL);
    sleep_ms(100);
  }
  if (p->proc.pid != 0) {
    report_say(r->report, "It did not come to the step %s.", point);
    return false;
  }
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
    law_broken(r, L10_NOTHING_LOST, "provisioner %u ended with status %x",
               VICTIM, (unsigned)status);
  return true;
}

static void kill_behind(replay *r, const char *step) {
  char point[32];
  (void)snprintf(point, sizeof point, "%s:1", step);
  end_prov(r, VICTIM, SIGTERM);
  start_prov(r, VICTIM, point);
  if (dies(r, step)) {
    r->v->prov_kills++;
    mark(r, "a provisioner is killed behind its step %s", step);
    report_say(r->report, "A provisioner was killed behind its step %s.", step);
  } else {
    end_prov(r, VICTIM, SIGKILL);
  }
  start_prov(r, VICTIM, NULL);
}

/* Without hooks: at any moment. */
static bool has_failpoints(const replay *r) {
  char path[PATH_LEN + 32];
  (void)snprintf(path, sizeof path, "%s/provisioner_hooked", r->o->programs);
  return access(path, X_OK) == 0;
}

static void stop_one(replay *r, int64_t ms) {
  prov *p = &r->v->k.provs[0];
  int band = fault_begin(r, "a provisioner is stopped");
  mark(r, "a provisioner is stopped for %d s", (int)(ms / 1000));
  r->v->k.prov_stops++;
  proc_kill(&p->proc, SIGSTOP);
  until(r, replay_now(r) + ms);
  proc_kill(&p->proc, SIGCONT);
  fault_end(r, band);
}

void step_kills(replay *r, int64_t ms) {
  static const char *const points[] = {"claim", "bind", "publish"};
  bool hooked = has_failpoints(r);
  users_begin(r);
  for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
    if (hooked) {
      kill_behind(r, points[i]);
    } else {
      hit_provisioner(r->v, VICTIM);
      report_say(r->report, "A provisioner was killed, no step was chosen: "
                            "there is no provisioner_hooked.");
    }
  }
  stop_one(r, ms);
  users_end(r);
  (void)all_settled(r);
}
