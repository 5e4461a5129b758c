/* Step 10: deploybot watches the platform as if it were for staging. A balancer
 * is killed: two canaries later there is one mail, and no second one; when it
 * is back, there is one more. */
#include "replay/replay.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { CANARY_MS = 90000, ARGS = 32 };

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
static int canary(replay *r, const char *mailbox) {
  run *k = &r->v->k;
  char program[PATH_LEN + 16], state[PATH_LEN];
  proc p = {.pid = 0};
  int status = 0;
  (void)snprintf(program, sizeof program, "%s/deploybot", r->o->programs);
  (void)snprintf(state, sizeof state, "%.400s/bot.state", k->dir);
  (void)snprintf(p.log, sizeof p.log, "%.400s/bot.log", k->dir);
  const char *argv[ARGS] = {
      program,        "once",   "--couch",   k->couch[LOOKER_NODE],
      "--apps",       k->apps,  "--server",  k->provs[0].url,
      "--token-file", k->token, "--id",      "replay",
      "--state",      state,    "--mailbox", mailbox,
      "--settle",     "3s",     "--polite"};
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

static void expect(replay *r, const char *when, const char *mailbox, int wanted,
                   unsigned wanted_mails) {
  int64_t began = now_ms();
  int status = canary(r, mailbox);
  unsigned count = mails(mailbox);
  law_checked(r, L17_BOT);
  if (status != wanted)
    law_broken(r, L17_BOT, "%s: the canary ended with %d, not %d", when, status,
               wanted);
  if (count != wanted_mails)
    law_broken(r, L17_BOT, "%s: %u mails, not %u", when, count, wanted_mails);
  report_say(r->report, "%s: status %d after %.1f s, %u mails.", when, status,
             (double)(now_ms() - began) / 1000, count);
}

void step_bot(replay *r, int64_t ms) {
  char mailbox[PATH_LEN];
  unsigned victim = dice_below(&r->v->dice, BALANCERS);
  (void)ms; /* it takes what five canaries take */
  (void)snprintf(mailbox, sizeof mailbox, "%.400s/mail", r->v->k.dir);
  (void)mkdir(mailbox, 0700);
  expect(r, "All is well", mailbox, 0, 0);
  mark(r, "b%u is killed", victim + 1);
  int band = fault_begin(r, "a balancer is away");
  balancer_stop(r->v, victim, SIGKILL);
  expect(r, "A balancer is away", mailbox, 1, 0);
  expect(r, "It still is", mailbox, 1, 1);
  if (!r->p->is_small)
    expect(r, "And it is not mended", mailbox, 1, 1);
  if (!balancer_start(r->v, victim))
    law_broken(r, L10_NOTHING_LOST, "b%u does not start again", victim + 1);
  fault_end(r, band);
  (void)all_in_step(r);
  expect(r, "It is back", mailbox, 0, 2);
}
