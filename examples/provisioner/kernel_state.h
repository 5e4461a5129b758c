/* What the parts of the kernel share: its configuration, what its threads have
   in common, and what each thread has for itself. Internal to kernel*.c and to
   what a worker runs. */
#ifndef PROVISIONER_KERNEL_STATE_H
#define PROVISIONER_KERNEL_STATE_H

#include "common/docs.h"
#include "common/text.h"
#include "provisioner/agent.h"
#include "provisioner/clock.h"
#include "provisioner/jobs.h"
#include "provisioner/kernel.h"
#include "provisioner/load.h"
#include "provisioner/pool.h"
#include <pthread.h>
#include <stdatomic.h>

typedef struct scaler scaler;

enum {
  WORKERS_MOST = 64,
  SWITCH_MS = 15000 /* balancers are waited for before the old one goes */
};

/* Durations and counts; any may be NULL, which counts nothing. */
typedef struct kernel_metrics {
  metric *claim, *bind, *start, *settle, *publish, *retire, *whole;
  metric *conflicts, *accepted, *unknown, *repairs, *reaped, *lost, *failed,
      *strangers;
  metric *boots, *boot_time, *boot_failures;
  metric *free, *drones, *waiting, *jobs;
} kernel_metrics;

typedef struct worker {
  kernel *k;
  docs *apps, *locks;
  agent *agent;
  pthread_t thread;
  bool running;
} worker;

struct kernel {
  kernel_config config;
  char *strings[10]; /* copies of what config points to */
  size_t string_count;
  /* All three from reap_ms, so that one number makes everything faster. */
  int64_t app_every_ms;   /* health of what is live; 10 s */
  int64_t drone_every_ms; /* a drone, whoever has it; 30 s */
  int64_t dead_ms;        /* no answer for so long: it is given up; 30 s */
  view *view;
  jobs *jobs;
  pool *pool;
  load *load;
  scaler *scaler;
  kernel_metrics m;
  worker workers[WORKERS_MOST];
  size_t worker_count;
  pthread_t keeper; /* looks at everything from time to time */
  bool keeping;
  atomic_bool seen_all; /* every drone there is was put into the pool once */
#ifdef PLATFORM_HOOKS
  unsigned naive;
  char failpoint[16];
  int failpoint_left;
  pthread_mutex_t hooks;
#endif
};

/* ---- hooks: nothing at all without PLATFORM_HOOKS ---- */

enum {
  NAIVE_CLAIM2XX = 1,
  NAIVE_SAMEBODY = 2,
  NAIVE_LASTWRITE = 4,
  NAIVE_READBACK = 8,
  NAIVE_EMPTYPOOL = 16,
  NAIVE_TIMEOUTOK = 32,
  NAIVE_NOFENCE = 64,
  NAIVE_NOCOALESCE = 128 /* the API's: see kernel_coalesces */
};

#ifdef PLATFORM_HOOKS
bool hooks_open(kernel *k, char *error, size_t error_size);
void hooks_point(kernel *k, const char *step);
#define FAILPOINT(k, step) hooks_point((k), (step))
#define NAIVE(k, which) (((k)->naive & (unsigned)(which)) != 0)
#else
#define FAILPOINT(k, step) ((void)(k))
#define NAIVE(k, which) ((void)(k), false)
#endif

/* ---- store.c: documents read from and written to the database ---- */

enum stored {
  STORED,         /* as it was handed over, by this call or a lost one of it */
  STORED_CLASH,   /* another has written meanwhile */
  STORED_MISSING, /* there is none */
  STORED_BROKEN,  /* it cannot be read, or is refused: told in the log */
  STORED_LATER    /* the database does not say; nothing is known */
};

/* A write is repeated, the very same one, until the database says yes or no,
   for at most 20 s and until the kernel stops. The rev of the document becomes
   the new one. accepted, if given: whether it was said with 202 only, so that
   it may lie beside another's. */
enum stored store_drone(worker *w, drone_doc *d, bool *accepted);
enum stored store_route(worker *w, route_doc *r);
enum stored store_no_route(worker *w, const route_doc *r, int64_t gen);
/* Revisions that lost against the one that is read are deleted with heal. */
enum stored store_read_drone(worker *w, const char *addr, drone_doc *out,
                             bool heal);
enum stored store_read_route(worker *w, const char *app, route_doc *out);
enum stored store_read_app(worker *w, const char *app, app_doc *out);
/* STORED: the database has its tombstone. STORED_CLASH: it is there (again).
   STORED_MISSING: the database has never had it, or is not the one that had. */
enum stored store_find_tombstone(worker *w, const char *app);

#ifdef PLATFORM_HOOKS
/* Any document in a drone's place; rev becomes the new one. */
enum stored store_raw_drone(worker *w, const char *addr, const json_t *doc,
                            char rev[REV_MOST + 1]);
#endif

/* ---- claim.c, repair.c, publish.c, app.c, reaper.c ---- */

enum claimed {
  CLAIM_OK,     /* bound, says the drone */
  CLAIM_LOST,   /* somebody else's, or void: pick another drone */
  CLAIM_LATER,  /* nothing is known (yet): the same again in a moment */
  CLAIM_GIVE_UP /* the drone does not answer: left to the reaper */
};

/* A free drone becomes claimed by this app; *d is then the document. */
enum claimed claim_take(worker *w, job_memory *memory, const app_doc *app,
                        drone_doc *d);
enum claimed claim_bind(worker *w, job_memory *memory, drone_doc *d);
/* 4: the command is handed over; whether the app answers is asked for at most
   a few seconds. OK: it does. LATER: not yet. GIVE_UP: not in the time it had.
 */
enum claimed claim_start(worker *w, job_memory *memory, const app_doc *app,
                         const drone_doc *d, char *why, size_t size);
enum claimed claim_settle(worker *w, job_memory *memory, drone_doc *d);

/* The document becomes what the drone says: bound to the claim it holds; or
   free, after it promised not to accept what it was claimed for. d is what the
   caller has judged: a claim that came after it is left alone. OK, LATER, or
   LOST: there is no document. */
enum claimed repair_drone(worker *w, const drone_doc *d);

/* What publishing came to. */
enum published {
  PUBLISHED,
  PUBLISH_MOVED, /* gen moved on, or another claim was first: retire this */
  PUBLISH_LATER
};
enum published publish_live(worker *w, const drone_doc *d);
/* Whether a claim of that gen could become live by this route. */
bool publish_possible(const route_doc *route, int64_t gen, const char *claim);
/* Hosts and notice of the route are the app's. */
bool publish_has_face(const route_doc *route, const app_doc *app);
/* The route of its app does not have this claim, and cannot get it any more by
   a write that has begun. To be called once the document says draining, and
   before anything is done at the drone. STORED or STORED_LATER. */
enum stored publish_without(worker *w, const drone_doc *d);
/* State, code and msg with the target it has, and the app's gen and hosts. */
enum stored publish_state(worker *w, route_doc *route, const app_doc *app,
                          enum route_state state, const char *code,
                          const char *msg);

/* Compares what is wanted of an app with what is; when to look again, or
   FORGET. */
int64_t app_look(worker *w, const char *app, job_memory *memory);
/* A look at one drone, in the same way. */
int64_t drone_look(worker *w, const char *addr, job_memory *memory);

/* ---- confirm.c ---- */

/* How many of the balancers hold what is live of that app. lacking, if given:
   which do not, and why. */
void confirm_ask(kernel *k, const char *app, int64_t wait_ms, size_t *have,
                 size_t *all, text *lacking);

/* ---- kernel.c ---- */

void kernel_saw(kernel *k, const drone_doc *d, bool own);
void kernel_gauges(kernel *k);
void kernel_wake(kernel *k); /* the apps whose turn for a drone it is */
const char *kernel_short(const char *claim, char out[9]); /* for the log */

/* ---- scaler_run.c ---- */

scaler *scaler_start(kernel *k, char *error, size_t error_size);
void scaler_stop(scaler *s);
void scaler_ask(scaler *s);      /* somebody waits for a drone */
void scaler_accepted(scaler *s); /* a start was accepted */
bool scaler_may_grow(scaler *s); /* there may be more drones than there are */
/* The machine behind a drone that does not answer; true: it is no more, or
   there is nobody who could. Blocks. */
bool scaler_destroy(scaler *s, const drone_doc *d);

#endif
