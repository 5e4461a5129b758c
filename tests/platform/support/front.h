/* A proxy to be tested: a server and a pool on a loop in a thread of its own,
   which pass each request on to one address. Clients and servers around it are
   those of tests/support: peer_client.h and peer.h.

   A client's X-Key field chooses the pool's key. What was not passed on is
   answered 502, 504 for what was too late, with X-Result: the result's name,
   X-Balancer-Error, and the sentence as the body. */
#ifndef FRONT_H
#define FRONT_H

#include "common/http_proxy.h"

#include "support/peer.h"
#include "support/peer_client.h"

typedef struct front front;

typedef struct front_route {
  const char *host, *target;
} front_route;

typedef struct front_config {
  const char *listen;        /* NULL: "127.0.0.1:0" */
  char target[128];          /* address behind; "": only routes, else 404 */
  const front_route *routes; /* of hosts; they stay the caller's */
  size_t route_count;
  http_proxy_rules rules; /* but for on_failed, on_done and user */
  http_pool_config pool;
  int64_t idle_ms; /* of the server's connections; 0: its own */
  bool late;       /* failures are answered 50 ms later; one at a time */
} front_config;

front *front_start(const front_config *config);
uint16_t front_port(const front *f);
/* Closes server and pool, and fails the test unless everything is gone: no
   exchange, no handle of the loop. */
void front_stop(front *f);

/* Calls fn on the loop's thread, and waits for it. */
void front_call(front *f, void (*fn)(front *f, void *ctx), void *ctx);
http_pool *front_pool(front *f); /* on the loop's thread */

size_t front_count(front *f, enum http_proxy_result result);
/* Until so many exchanges have ended so. */
bool front_wait(front *f, enum http_proxy_result result, size_t count);
const char *front_result_name(enum http_proxy_result result);

/* ---- around it ---- */

/* A server behind of these steps; config->target becomes its address. */
cft_peer *front_behind(front_config *config, const cft_step *steps,
                       size_t count);
cft_peer *front_behind_handler(front_config *config, cft_handler handler,
                               void *user);
/* A client that is connected; it ends the test when it cannot be. */
void front_client(const front *f, cft_client *c);
/* Sends the request and waits for the end of the answer, by what follows from
   its head; returns its body, decoded, to be freed; NULL when the connection
   ended before, or what came is no answer. method decides whether there is a
   body. */
char *front_ask(cft_client *c, const char *method, const char *request);
/* The same for what has come, or comes, from there on. */
char *front_rest(cft_client *c, size_t from, const char *method);
/* Whether the head in data has the field, as "Name: value". */
bool front_has(const char *data, const char *field);
int front_status(const char *data); /* 0: none */

#endif
