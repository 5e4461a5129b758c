/* The embedded data plane, as the files plane*.c share it: workers, each a
   thread with its own loop, server, pool and reader's number; and the visits
   they have in hand. Internal.

   plane.c         opened, drained and closed; on the main loop's thread
   plane_worker.c  a worker's life
   plane_visit.c   a request comes, is passed on or told why not, and ends
   plane_choose.c  what the table says of a host: a target, or a page
   plane_echo.c    whether an answer is of the claim that was asked for
   plane_busy.c    how many exchanges are under way
   plane_count.c   metrics, and the access log

   A worker looks into the table only within plane_choose, which copies what it
   needs: libuv calls back while it polls, so "between two polls" is no time at
   which a reader could be trusted to hold nothing. */
#ifndef BALANCER_PLANE_STATE_H
#define BALANCER_PLANE_STATE_H

#include "balancer/engine.h"
#include "balancer/pages.h"
#include "balancer/plane_busy.h"
#include "common/http_proxy.h"
#include <stdatomic.h>

#define PLANE_CLAIM "X-Drone-Claim"

enum {
  PLANE_ID_MOST = 64,     /* of X-Request-Id */
  PLANE_DETAIL_MOST = 256 /* of a page's sentence, with its end */
};

typedef struct plane plane;
typedef struct plane_worker plane_worker;

/* One request, from its head to the end of its answer. It is kept by the
   exchange (http_exchange_get). */
typedef struct visit {
  plane_worker *worker;
  struct visit *next; /* of those to be used again */
  char id[PLANE_ID_MOST + 1];
  char app[NAME_MOST + 1]; /* "": no route was found */
  route_target target;     /* asked, or being asked; addr "": none */
  char detail[PLANE_DETAIL_MOST];
  busy_entry *of_app, *of_claim; /* while it is passed on */
  /* what on_head found: the page that is owed, and its status, 0: its own */
  enum page owed;
  int owed_status;
  bool not_taken; /* by the guard's word the app has seen nothing of it */
  enum page page; /* that was sent; 0: the app answered */
  enum http_proxy_result result;
  bool passed; /* http_proxy has had it */
  bool again;  /* it had it twice */
} visit;

typedef struct plane_counts {
  metric *classes[6]; /* gone, 1xx .. 5xx */
  metric *errors[PAGE_INTERNAL + 1];
  metric *seconds, *connections, *connects, *reused, *again;
} plane_counts;

struct plane_worker {
  plane *plane;
  unsigned number; /* as a reader of the table */
  uv_loop_t loop;
  uv_thread_t thread;
  bool has_loop, started;
  uv_async_t wake;
  uv_prepare_t prepare;
  bool handles; /* are to be closed */
  http_server *server;
  http_pool *pool;
  busy apps, claims;
  visit *spare;
  size_t spares;
  char prefix[17]; /* of request ids */
  uint64_t serial;
  size_t turn;             /* which of several targets is looked at first */
  http_pool_counts pooled; /* as told to the metrics */
  atomic_bool drain_wanted, close_wanted, drained;
  bool draining;
  _Atomic uint64_t connections, requests;
};

struct plane {
  engine engine;
  engine_config config; /* without zeros; strings are owned */
  char *self, *listen;
  char address[128]; /* where it listens */
  size_t app_limit;  /* of one worker */
#ifdef PLATFORM_HOOKS
  bool trusting; /* the naive way "noguard" */
#endif
  plane_counts counts;
  plane_worker *workers;
  unsigned count; /* of workers that were begun */
  uv_async_t told;
  bool told_open;
  void (*on_drained)(void *ctx);
  void *drained_ctx;
};

/* plane_worker.c: opened by the main thread, then given to its own. */
bool worker_open(plane_worker *w, plane *p, unsigned number,
                 const char *address, char *error, size_t size);
bool worker_start(plane_worker *w, char *error, size_t size);
void worker_drain(plane_worker *w); /* p->told follows; main thread */
void worker_end(plane_worker *w);   /* returns when it is over; main thread */

/* plane_visit.c */
void visit_on_request(http_exchange *x, void *user);
void visit_on_refused(http_exchange *x, int status, const char *why,
                      void *user);
void visit_on_done(http_exchange *x, void *user);
void visit_free_spares(plane_worker *w);

/* plane_choose.c: a target other than that of an earlier try is put into
   v->target, with v->app: true. Else false and *page; 0: there is no other
   target. A page's sentence is in v->detail. */
bool plane_choose(visit *v, http_str host, enum page *page);

/* plane_echo.c: for rules.on_head */
enum http_proxy_result plane_look_at(visit *v, const http_head *head);

/* plane_count.c */
void plane_make_counts(plane *p);
void plane_count(const visit *v, const http_exchange *x);

#endif
