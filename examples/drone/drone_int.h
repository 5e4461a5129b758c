/*
 * The drone as a whole: what its agent (drone_agent.c), its guard
 * (drone_guard.c) and its beginning and end (drone_run.c) share.
 */
#ifndef DRONE_INT_H
#define DRONE_INT_H

#include "common/http_proxy.h"
#include "common/metrics.h"
#include "drone/drone_app.h"
#include "drone/drone_claim.h"

enum { DRONE_WAITERS = 16, DRONE_ECHO = NAME_MOST + 1 + CLAIM_LEN + 1 };

typedef struct drone drone;

/* Who waits for the end of an unbind. */
typedef struct drone_waiter {
  drone *drone;
  http_exchange *x; /* NULL: free */
} drone_waiter;

struct drone {
  uv_loop_t *loop;
  char boot[CLAIM_LEN + 1];       /* of this life of the program */
  char addr[DRONE_ADDR_MOST + 1]; /* public one of the guard */
  char *token;
  drone_store *store;
  drone_claim *claim;
  drone_children *children;
  drone_app *app;
  http_server *ctl, *guard;
  http_pool *pool;
  char echo[DRONE_ECHO]; /* APP/CLAIM while it is held and not let go, or "" */
  unsigned serial;       /* another one for each claim */
  bool releasing;        /* an unbind is under way */
  bool draining;         /* ... and its visitors are still let finish */
  size_t passing;        /* exchanges with the app */
  int64_t drain_ms;
  uv_timer_t drain;
  int64_t release_epoch;
  drone_waiter waiters[DRONE_WAITERS];
  bool ending;
#ifdef PLATFORM_HOOKS
  bool naive; /* the guard lets everybody in */
#endif
  void (*released)(drone *d); /* when an unbind is over, or NULL */
  metrics *metrics;
  struct {
    metric *binds, *refused, *unbinds, *misdirected, *passed, *failed, *own;
  } count;
};

/* Sets echo by what is held. */
void drone_set_echo(drone *d);

/* The agent's requests; user is the drone. */
void drone_agent_request(http_exchange *x, void *user);
/* Begins the end of the claim that is held; x waits for it. */
void drone_release(drone *d, http_exchange *x, int64_t epoch);
void drone_answer_state(drone *d, http_exchange *x, int status,
                        const char *error, const char *why);
void drone_answer_disk(drone *d, http_exchange *x, int failed,
                       const char *what);

/* An exchange with the app is over. */
void drone_passed(drone *d);

/* The guard's. */
void drone_guard_request(http_exchange *x, void *user);
void drone_guard_refused(http_exchange *x, int status, const char *why,
                         void *user);

#endif
