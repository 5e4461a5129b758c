/* The admin face, on a port of its own, on loopback unless told otherwise:

   GET /                 the status page
   GET /healthz          200 "ok", or 503 with a reason on each line
   GET /metrics          Prometheus
   GET /status           what the page shows, JSON
   GET /routes?from=APP&to=APP&limit=N    routes in order of apps, JSON
   GET /route/HOST?claim=C&wait=SECONDS   200: that host is served by that
                         claim; without claim: by what; else 404 (or after the
                         wait) with what is held
   GET /digest?from=APP&to=APP            digest and count of the range
   GET /diff?peer=URL    what differs from that balancer; 502: it cannot be
                         asked. Only peers that are in the database or were
                         named by --peer
   POST /audit           compares with the database now

   It changes nothing but by /audit, and tells no secret.

   What other programs read of it:
     /digest  {"id","boot","version","digest","routes","source":
              "nothing|snapshot|database","synced","fresh_ms","stale"}; digest
              and routes are of the range asked for
     /routes  {"routes":[{"app","rev","gen","state","code","hosts":[],"to":
              [{"addr","claim"}]}],"next":APP or null}
     /route   {"host","app","gen","state","to":[{"addr","claim"}],"applied"};
              app is null where nothing is held */
#ifndef BALANCER_ADMIN_H
#define BALANCER_ADMIN_H

#include "balancer/engine.h"
#include "balancer/follow.h"
#include "balancer/peers.h"

typedef struct admin admin;

typedef struct admin_config {
  const char *listen; /* ADDR:PORT */
  const char *self, *version, *boot;
  table *table;
  metrics *metrics;
} admin_config;

/* Listens at once; answers 503 until admin_attach was called. */
admin *admin_open(uv_loop_t *loop, const admin_config *config, char *error,
                  size_t size);
/* e NULL: a shadow. */
void admin_attach(admin *a, follow *f, engine *e, peers *p);
const char *admin_address(const admin *a);
/* Something has changed in the table or the engine: who waits is answered. */
void admin_changed(admin *a);
void admin_close(admin *a, void (*done)(void *ctx), void *ctx);

#endif
