/* The part of the provisioner that touches drones: the claim protocol, what
   ends it, the pool. Threads whose code reads as a sequence; each has its own
   connections. The rest of the program hands over names of apps, and asks. */
#ifndef PROVISIONER_KERNEL_H
#define PROVISIONER_KERNEL_H

#include "common/metrics.h"
#include "provisioner/view.h"

typedef struct kernel kernel;

typedef struct kernel_config {
  const char *self; /* id of this provisioner, in claims as "by" */
  const char *couch, *apps, *locks; /* as in view_config */
  const char *drone_token;          /* of the agents */
  size_t workers;                   /* threads; 0: 8 */
  int64_t start_ms;                 /* for an app to answer; 0: 60 s */
  int64_t bind_ms;                  /* to repeat a bind; 0: 30 s */
  int64_t reap_ms;                  /* a claim that was not bound; 0: 60 s */
  const char *driver;               /* "local", "exec" or "none" */
  const char
      *driver_path; /* exec: the operator's script; local: the drone program */
  const char *driver_dir;        /* local: where drones keep what they have */
  const char *driver_token_file; /* local: of the drones */
  const char *driver_user;       /* local, for root: who drones become */
  size_t drones_least, drones_most; /* of all; most 0: 64 */
  view *view;
  metrics *metrics;
#ifdef PLATFORM_HOOKS
  const char *naive;     /* comma separated */
  const char *failpoint; /* "STEP" or "STEP:N": SIGKILL there, the Nth time */
#endif
} kernel_config;

/* NULL with a sentence. */
kernel *kernel_start(const kernel_config *config, char *error,
                     size_t error_size);
/* No new step is begun: what is on its way is brought to where another can go
   on, at most ms; the threads have ended when it returns. */
void kernel_stop(kernel *k, int64_t ms);
/* Something about that app has changed, or time has passed: some worker
   compares what is wanted with what is, and acts, one at a time per app. Any
   thread; no I/O. Fair: first come, first served. */
void kernel_look(kernel *k, const char *app);
/* A drone's document has changed. */
void kernel_look_drone(kernel *k, const char *addr);
/* Place in the queue for a drone, from 1; 0: not in it. Any thread. */
size_t kernel_position(kernel *k, const char *app);
size_t kernel_free_drones(kernel *k);
/* Asks the balancers whether they hold what is live of that app, waiting at
   most wait_ms for them: "3/3", and in lacking "b3 stale 12 s, ..". Blocks: not
   on the loop's thread. */
void kernel_confirm(kernel *k, const char *app, int64_t wait_ms, char acks[16],
                    char *lacking, size_t size);
#ifdef PLATFORM_HOOKS
/* false: the naive way in which each call is an operation of its own, whatever
   runs already, and however often somebody calls. */
bool kernel_coalesces(const kernel *k);
#endif
/* Load of the database as the workers see it: p95 of a PUT, and errors in
   percent, over the last half minute. */
void kernel_database_load(kernel *k, int64_t *p95_ms, int *errors_percent);

#endif
