/* What serves visitors: the embedded data plane, or HAProxy. The table is the
   same; an engine is told of every change and says when it is in force. */
#ifndef BALANCER_ENGINE_H
#define BALANCER_ENGINE_H

#include "balancer/table.h"
#include "common/metrics.h"
#include <stdio.h>
#include <uv.h>

typedef struct engine engine;

typedef struct engine_config {
  const char *self;   /* this balancer's id */
  const char *listen; /* ADDR:PORT of visitors */
  unsigned threads;   /* 0: one for each core */
  table *table;
  metrics *metrics;
  bool access_log;        /* a line for each request, at level info */
  bool forwarded_https;   /* X-Forwarded-Proto is https: TLS ends before us */
  size_t max_connections; /* of visitors, in all; 0: 20000 */
  size_t max_app;         /* exchanges of one app, in all; 0: 1000: E14. Both
                             are shared out among the threads: a thread has its
                             part, rounded up */
  uint64_t max_body;      /* 0: 1 GiB */
  size_t max_head;        /* 0: 16 KiB */
  /* 0: 10 s, 60 s, 2 s, 30 s, and 1 h for an idle websocket */
  int64_t head_ms, idle_ms, connect_ms, answer_ms, tunnel_ms;
  int64_t drain_ms;           /* 0: nobody is waited for; for HAProxy 30 s */
  const char *naive;          /* only with PLATFORM_HOOKS: "noguard", or NULL */
  const char *haproxy_socket; /* HAProxy's runtime socket */
  int64_t verify_ms; /* how often HAProxy's maps are compared; 0: 60 s */
  /* From the loop's thread: what was not in force is now; for those who wait
     to be told that a route is. May be NULL. */
  void (*on_applied)(void *ctx);
  void *ctx;
} engine_config;

typedef struct engine_status {
  const char *name;     /* "embedded", "haproxy" */
  const char *trouble;  /* a sentence, or "" */
  uint64_t connections; /* open, of visitors */
  uint64_t requests;    /* answered, errors included */
  uint64_t waiting;     /* changes that are not in force yet */
} engine_status;

/* plane.c and haproxy.c: NULL with a sentence. */
engine *plane_open(uv_loop_t *loop, const engine_config *config, char *error,
                   size_t size);
engine *haproxy_open(uv_loop_t *loop, const engine_config *config, char *error,
                     size_t size);

/* Prints a whole configuration for HAProxy; -1 when it cannot be written. */
int haproxy_write_config(const engine_config *config, FILE *out);

/* engine.c: on the loop's thread. */
const char *engine_address(const engine *e); /* "127.0.0.1:43210" */
void engine_changed(engine *e, const route *was, const route *is);
void engine_replaced(engine *e);
void engine_noticed(engine *e); /* maintenance */
/* Whether what the table says of this route is what visitors get. */
bool engine_is_applied(engine *e, const route *r);
void engine_get_status(engine *e, engine_status *out);
/* Takes no new connection, lets exchanges end for drain_ms, then done. */
void engine_drain(engine *e, void (*done)(void *ctx), void *ctx);
void engine_close(engine *e); /* after drain's done, or at once */

/* What an engine is made of: the first member of its struct. */
typedef struct engine_ops {
  const char *(*address)(const engine *e);
  void (*changed)(engine *e, const route *was, const route *is);
  void (*replaced)(engine *e);
  void (*noticed)(engine *e);
  bool (*is_applied)(engine *e, const route *r);
  void (*get_status)(engine *e, engine_status *out);
  void (*drain)(engine *e, void (*done)(void *ctx), void *ctx);
  void (*close)(engine *e);
} engine_ops;
struct engine {
  const engine_ops *ops;
};

#endif
