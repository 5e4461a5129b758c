/* Step 10: deploybot watches the platform as if it were for staging. A balancer
 * is killed: two canaries later there is one mail, and no second one; when it
 * is back, there is one more. Then the same with the provisioner it asks, and
 * in the end maintenance, in which nothing is tried and nobody gets mail. */
#include "replay/replay.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { CANARY_MS = 90000, ARGS = 32, ASKED = 0 /* the bot's provisioner */ };

enum { WELL = 0, FAILED = 1, SKIPPED = 3 }; /* how deploybot ends */

/* Each canary is of a name of its own: nobody may start an app as often as they
   come here. */
typedef struct watched {
  replay *r;
  char mailbox[PATH_LEN];
  unsigned canaries;
} watched;

static unsigned mails(const char *dir) {
  DIR *d = opendir(dir);
  struct dirent *e;
  unsigned n = 0;
  while (d && (e = readdir(d)))
    n += strstr(e->d_name, ".eml") != NULL;
  if (d)
    (void)closedir(d);
  return n;
}

/* Its exit status; -1: it did not end by itself. */
static int canary(watched *w) {
  const replay *r = w->r;
  run *k = &w->r->v->k;
  char program[PATH_LEN + 16], state[PATH_LEN], app[32];
  proc p = {.pid = 0};
  int status = 0;
  (void)snprintf(program, sizeof program, "%s/deploybot", r->o->programs);
  (void)snprintf(state, sizeof state, "%.400s/bot.state", k->dir);
  (void)snprintf(app, sizeof app, "canary-%u", w->canaries++);
  (void)snprintf(p.log, sizeof p.log, "%.400s/bot.log", k->dir);
  const char *argv[ARGS] = {
      program,        "once",   "--couch",   k->couch[LOOKER_NODE],
      "--apps",       k->apps,  "--server",  k->provs[ASKED].url,
      "--token-file", k->token, "--id",      "replay",
      "--state",      state,    "--mailbox", w->mailbox,
      "--app",        app,      "--settle",  "3s",
      "--polite"};
  size_t n = 0;
  while (argv[n])
    n++;
  (void)couch_login(k, argv, n);
  if (!proc_start(&p, argv))
    return -1;
  if (!proc_wait(&p, CANARY_MS, &status)) {
    proc_kill(&p, SIGKILL);
    (void)proc_wait(&p, CANARY_MS, &status);
    return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect(watched *w, const char *when, int wanted,
                   unsigned wanted_mails) {
  replay *r = w->r;
  int64_t began = now_ms();
  int status = canary(w);
  unsigned count = mails(w->mailbox);
  law_checked(r, L17_BOT);
  if (status != wanted)
    law_broken(r, L17_BOT, "%s: the canary ended with %d, not %d", when, status,
               wanted);
  if (count != wanted_mails)
    law_broken(r, L17_BOT, "%s: %u mails, not %u", when, count, wanted_mails);
  report_say(r->report, "%s: status %d after %.1f s, %u mails.", when, status,
             (double)(now_ms() - began) / 1000, count);
}

/* ---- three troubles ---- */

static void without_a_balancer(watched *w) {
  replay *r = w->r;
  unsigned victim = dice_below(&r->v->dice, BALANCERS);
  mark(r, "b%u is killed", victim + 1);
  int band = fault_begin(r, "a balancer is away");
  balancer_stop(r->v, victim, SIGKILL);
  expect(w, "A balancer is away", FAILED, 0);
  expect(w, "It still is", FAILED, 1);
  expect(w, "And it is not mended", FAILED, 1);
  if (!balancer_start(r->v, victim))
    law_broken(r, L10_NOTHING_LOST, "b%u does not start again", victim + 1);
  fault_end(r, band);
  (void)all_in_step(r);
  expect(w, "It is back", WELL, 2);
}

static void without_its_provisioner(watched *w) {
  replay *r = w->r;
  mark(r, "the provisioner that the bot asks is killed");
  int band = fault_begin(r, "a provisioner is away");
  end_prov(r, ASKED, SIGKILL);
  expect(w, "A provisioner is away", FAILED, 2);
  expect(w, "It still is", FAILED, 3);
  expect(w, "And it is not mended", FAILED, 3);
  start_prov(r, ASKED, NULL);
  fault_end(r, band);
  (void)api_is_well(r, ASKED);
  expect(w, "It is back", WELL, 4);
}

static void in_maintenance(watched *w) {
  replay *r = w->r;
  int band = fault_begin(r, "maintenance of the API");
  if (maintenance_set(r, "api"))
    expect(w, "People look after the API", SKIPPED, 4);
  (void)maintenance_set(r, "off");
  fault_end(r, band);
  expect(w, "All is well in the end", WELL, 4);
}

void step_bot(replay *r, int64_t ms) {
  watched w = {.r = r};
  (void)ms; /* it takes what its canaries take */
  (void)snprintf(w.mailbox, sizeof w.mailbox, "%.400s/mail", r->v->k.dir);
  (void)mkdir(w.mailbox, 0700);
  expect(&w, "All is well", WELL, 0);
  without_a_balancer(&w);
  without_its_provisioner(&w);
  in_maintenance(&w);
}
