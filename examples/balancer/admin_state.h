/* What the files of admin.c share; internal to admin*.c. */
#ifndef BALANCER_ADMIN_STATE_H
#define BALANCER_ADMIN_STATE_H

#include "balancer/admin.h"
#include "balancer/admin_query.h"
#include "balancer/pages.h"
#include "common/http_server.h"
#include <sys/queue.h>

enum {
  ADMIN_CONNECTIONS = 2000,
  ADMIN_WAITING = 1000, /* of /route */
  ADMIN_DIFFS = 2,      /* at a time */
  ADMIN_SAMPLES = 301,  /* of a second each: five minutes */
  ADMIN_HIGH = 64 * 1024
};

typedef struct wait wait;
LIST_HEAD(waits, wait);

/* What was counted by then. */
typedef struct admin_sample {
  int64_t at_ms; /* uv_now() */
  uint64_t requests, errors;
} admin_sample;

struct admin {
  admin_config config; /* its strings are the caller's */
  uv_loop_t *loop;
  http_server *server;
  follow *follow;
  engine *engine;
  peers *peers;
  bool attached, was_attached, closing;
  char machine[256];
  int64_t began_ms;
  struct waits waits;
  size_t waiting, diffs;
  uv_async_t changed; /* who waits is looked at, once for many changes */
  uv_timer_t due;     /* of the wait that ends first */
  uv_timer_t second;
  admin_sample samples[ADMIN_SAMPLES]; /* a ring */
  size_t sample_count, sample_next;
  metric *errors[PAGES];
  metric *requests, *refused;
  int handles;
  void (*closed)(void *ctx);
  void *closed_ctx;
};

/* A request that is to be answered. */
typedef struct admin_call {
  admin *a;
  http_exchange *x;
  http_str rest; /* of the path, behind "/route/" */
  admin_query query;
} admin_call;

/* admin_answer.c. Each answers the exchange, and it is over. */
void admin_answer(http_exchange *x, int status, const char *type,
                  const text *body);
void admin_answer_json(http_exchange *x, int status, const text *body);
/* {"error": a sentence}; with 503 also when to come again. */
void admin_answer_error(http_exchange *x, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* admin_json.c: members of an object, each with a comma behind it. */
void json_open(text *out, const char *name, char bracket); /* name or NULL */
/* Takes the last comma away, and closes. */
void json_shut(text *out, char bracket);
void json_text(text *out, const char *name, const char *value); /* NULL: null */
void json_count(text *out, const char *name, uint64_t value);
void json_number(text *out, const char *name, int64_t value);
void json_flag(text *out, const char *name, bool value);
/* app, gen, state, code, msg, closed, hosts, to. */
void json_route(text *out, const route *r);

/* admin_health.c: sentences, each with a line end. */
typedef struct admin_health {
  text troubles; /* visitors are not served as they should be */
  text warnings; /* they are, and somebody should look */
} admin_health;
void admin_judge(admin *a, admin_health *out);
void admin_health_free(admin_health *h);

/* Handlers. */
void admin_page(admin_call *c);
void admin_healthz(admin_call *c);
void admin_metrics(admin_call *c);
void admin_status(admin_call *c);
void admin_routes(admin_call *c);
void admin_route(admin_call *c);
void admin_digest(admin_call *c);
void admin_diff(admin_call *c);
void admin_audit(admin_call *c);

/* admin.c: frees it, if nothing is left to be waited for. */
void admin_closing(admin *a);

/* admin_route.c */
void admin_look_at_waits(admin *a);
/* Tells all who wait that this is not the one to ask any more. */
void admin_end_waits(admin *a);

/* admin_sample.c */
void admin_sample_now(admin *a);
/* Per second, over the last ten seconds. */
void admin_rates(const admin *a, double *requests, double *errors);
/* "history": how many in each second, the oldest first. */
void admin_history(const admin *a, text *out);

#endif
