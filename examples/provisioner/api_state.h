/* What the parts of the API share; internal to api*.c.

   A call is one request, from its head to its answer: it is with its client
   (x), in one list of those who wait, or with a desk, and goes when it is with
   none of them. */
#ifndef PROVISIONER_API_STATE_H
#define PROVISIONER_API_STATE_H

#include "common/http_server.h"
#include "common/log.h"
#include "provisioner/api.h"
#include "provisioner/clock.h"
#include "provisioner/writes.h"
#include <sys/queue.h>

enum {
  BODY_MOST = 256 * 1024,
  CALL_BUCKETS = 256,
  FLIGHT_MS = 30000, /* a write that the view never shows is forgotten */
  LOG_BYTES = 65536,
  WAIT_MOST_S = 30,
  CODES = 6
};

enum op_state {
  OP_UNKNOWN,
  OP_QUEUED,
  OP_STARTING,
  OP_STOPPING,
  OP_LIVE,
  OP_STOPPED,
  OP_FAILED,
  OP_SUPERSEDED
};

/* An operation as it is seen now. */
typedef struct op {
  char app[NAME_MOST + 1];
  int64_t gen;
  enum op_state state;
  size_t position; /* in the queue, from 1; 0: not told */
  bool routed;     /* route is that of this operation */
  route_doc route;
} op;

typedef struct call call;
typedef struct confirm confirm;
LIST_HEAD(calls, call);

struct call {
  api *api;
  http_exchange *x; /* NULL: the client has gone, or was answered */
  bool tasked;      /* a desk has it */
  bool listed;
  LIST_ENTRY(call) link;
  void (*handler)(call *c);
  char app[NAME_MOST + 1];
  int64_t gen;
  bool start, coalesced, writes;
  text body_text;
  json_t *body; /* or NULL */
  wish_start_body wished;
  json_t *document;  /* to be written */
  int64_t number;    /* of the query: wait, bytes */
  int64_t until_ms;  /* of waiting */
  enum op_state was; /* when it began to wait */
  size_t was_position;
  desk_task task;
  void (*work)(call *c, desk_hands *hands);
  void (*done)(call *c);
  void (*confirmed)(call *c, const char *acks, const char *lacking);
  wish_change change;
  enum write_result result;
  write_answer answer;
  bool created;
  text log;
};

/* A write of what is wanted, or of what an app is, that is on its way or not
   seen in the view yet. */
typedef struct flight {
  LIST_ENTRY(flight) link;
  char app[NAME_MOST + 1];
  bool start;
  char definition[DEFINITION_LEN + 1]; /* "": of what is wanted */
  int64_t gen;                         /* 0: not written yet */
  int64_t since_ms;
  struct calls waiting;
} flight;
LIST_HEAD(flights, flight);
LIST_HEAD(confirms, confirm);

typedef struct api_metrics {
  metric *codes[CODES]; /* of requests: 0 the others, 1xx .. 5xx */
  metric *operations, *coalesced, *ensured, *rate_refused, *full_refused,
      *maintenance_refused, *times;
} api_metrics;

typedef struct waiting_app {
  int64_t at_ms;
  char app[NAME_MOST + 1];
} waiting_app;

struct api {
  api_config config;
  uv_loop_t *loop;
  http_server *server;
  uv_timer_t timer;
  admission *admission;
  desk *writers, *askers; /* the latter wait for balancers and drones */
  bool draining, resting, swept_wanted;
  size_t rested;
  int64_t second_ms, sweep_ms;
  bool sweeping;
  desk_task sweep;
  struct flights flights[CALL_BUCKETS];
  struct calls ops[CALL_BUCKETS]; /* who waits for a change, by app */
  struct confirms confirms[CALL_BUCKETS];
  waiting_app *queue; /* by when they came */
  size_t queue_count, queue_cap;
  bool queue_old;
  int64_t queue_ms;
  uint64_t members;
  api_metrics m;
  void (*then)(void *ctx);
  void *ctx;
};

/* ---- api.c ---- */

void call_free(call *c); /* unless somebody has it still */
/* work on a desk, then done on the loop. false: refused, and answered so. */
bool call_task(call *c, desk *d, void (*work)(call *c, desk_hands *hands),
               void (*done)(call *c));
void call_list(call *c, struct calls *list);
void call_unlist(call *c);
size_t api_bucket(const char *app);

/* ---- api_route.c ---- */

void api_request(http_exchange *x, void *user);
void api_refused(http_exchange *x, int status, const char *why, void *user);

/* ---- api_answer.c: each is the last use of c ---- */

void answer(call *c, int status, json_t *body, int64_t retry_ms);
void answer_error(call *c, int status, const char *code, int64_t retry_ms,
                  const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void answer_text(call *c, int status, const char *type, const text *body);
/* A write that was not done. */
void answer_write(call *c, enum write_result result, const char *error);
/* What has become of the call's gen: 200 live or stopped, else 202. */
void answer_op(call *c);
/* The same as an operation: always 200, or 404. */
void answer_get_op(call *c, const op *o, const char *acks, const char *lacking);
void answer_live(call *c, const op *o, const char *acks, const char *lacking);

/* ---- api_ops.c ---- */

bool op_look(api *a, const char *app, int64_t gen,
             op *out); /* false: unknown */
bool op_is_over(enum op_state state);
const char *op_state_name(enum op_state state);
json_t *op_json(api *a, const op *o, const char *acks, const char *lacking);
bool op_url(api *a, const op *o, char *out, size_t size);
void ops_get(call *c);
void ops_changed(api *a, const char *app);
void ops_due(api *a, bool all);
size_t ops_queued(api *a);

/* ---- api_start.c ---- */

void start_post(call *c); /* and stop */
const flight *flight_of(api *a, const char *app, int64_t gen);
/* The app was just defined so: who starts it now means this, whatever the view
   shows yet. */
void flight_define(api *a, const char *app, const json_t *document);
void flights_changed(api *a, const char *app);
void flights_due(api *a);
size_t flights_count(api *a);
void flights_free(api *a);

/* ---- api_acks.c ---- */

/* Asks the balancers, once for all who ask at the same time, and calls then
   with what they say. */
void acks_ask(call *c, const op *o, int64_t wait_ms,
              void (*then)(call *c, const char *acks, const char *lacking));
void acks_due(api *a, bool all);

/* ---- api_apps.c, api_admin.c ---- */

void apps_list(call *c);
void apps_get(call *c);
void apps_post(call *c);
void apps_notice(call *c);
void apps_delete(call *c);
void apps_log(call *c);
void drones_get(call *c);
void maintenance_get(call *c);
void maintenance_put(call *c);
void healthz_get(call *c);
void metrics_get(call *c);
void sweep_due(api *a);

#endif
