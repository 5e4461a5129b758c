/* What the parts of the command `apps` share: one run of it, and how it can
   end. A run asks the provisioner's API for one thing, waits until that is so
   or its time is over, and never asks twice for what it was told to wait for.
 */
#ifndef APPS_APPS_H
#define APPS_APPS_H

#include "common/config.h"
#include "common/rest.h"
#include "common/text.h"

/* The exit status; scripts rely on it. */
enum {
  EXIT_LIVE = 0, /* or whatever was asked for is done */
  EXIT_OTHER = 1,
  EXIT_USAGE = 2,
  EXIT_PENDING = 3,
  EXIT_NO_CAPACITY = 4,
  EXIT_APP_FAILED = 5,
  EXIT_MAINTENANCE = 6,
  EXIT_RATE = 7
};

typedef struct apps_run {
  const char *command;
  const char *operand; /* of an app, or of `maintenance`; NULL: none */
  const config *config;
  rest *rest;
  bool json, quiet, no_wait;
  int64_t deadline_ms; /* apps_now_ms() beyond which nobody waits */
  bool terminal;       /* standard output is one */
  bool shown;          /* a line on the terminal is to be replaced */
  uint64_t random;     /* of jitter */
} apps_run;

/* ---- commands; each answers with the exit status ---- */

int apps_create(apps_run *run);
int apps_start(apps_run *run);
int apps_stop(apps_run *run);
int apps_restart(apps_run *run);
int apps_destroy(apps_run *run);
int apps_status(apps_run *run);
int apps_list(apps_run *run);
int apps_logs(apps_run *run);
int apps_drones(apps_run *run);
int apps_maintenance(apps_run *run);

/* ---- time ---- */

int64_t apps_now_ms(void); /* never set back */
/* False, and at once, when that would be beyond the deadline. */
bool apps_pause(const apps_run *run, int64_t ms);
/* From ms to half as much more, so that many that wait do not come together. */
int64_t apps_jitter(apps_run *run, int64_t ms);

#endif
