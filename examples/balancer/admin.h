/* The admin face, on a port of its own, on loopback unless told otherwise:

   GET /                 the status page
   GET /healthz          200 "ok", or 503 with a reason on each line; lines
                         "warning: ..." come with both
   GET /metrics          Prometheus
   GET /status           what the page shows, JSON
   GET /routes?from=APP&to=APP&limit=N&search=WORD
                         routes with from <= app < to, in order of apps, JSON;
                         1000 unless told otherwise, 10000 at most. search: only
                         those with WORD in app, host or address; one request
                         looks through 20000 routes, so there may be more
   GET /route/HOST?claim=C&wait=SECONDS   200: that host is served by that
                         claim, the route is in force; without claim: by what;
                         else 404 (or after the wait, of 60 s at most) with
                         what is held. 503: 1000 wait already
   GET /digest?from=APP&to=APP            digest and count of the range
   GET /diff?peer=URL    what differs from that balancer; 502: it cannot be
                         asked; 404: it is not known. Only peers that are in the
                         database or were named by --peer, by their URL, their
                         ADDRESS:PORT or their id
   POST /audit           compares with the database now: 202; 409: one runs, or
                         there is nothing to compare yet

   It changes nothing but by /audit, and tells no secret.

   /healthz says 503 when visitors are not served as they should be: there is no
   table, or the engine is in trouble. A database that is away, a table that is
   old or differs from another balancer's are warnings: routes are served all
   the same, and who takes such a balancer out takes out all of them at once.

   A request must name us by an address, as localhost, by this balancer's id or
   the machine's name: 421 otherwise. So no page of somebody else's, whose name
   was made to lead here, can read what is told.

   What other programs read of it ("" is no bound; there may come more members):
     /digest  {"id","boot","version","digest","routes","source":
              "nothing|snapshot|database","synced","fresh_ms","stale"}; digest
              and routes are of the range asked for
     /routes  {"routes":[{"rev","app","gen","state","code","msg","closed",
              "hosts":[],"to":[{"addr","claim"}]}],"next":APP or null}; closed:
              the app is in maintenance, msg is its notice
     /route   {"host","app","gen","state","code","msg","closed","hosts","to":
              [{"addr","claim"}],"served","applied","why"}; app is null where
              nothing is held. Maintenance does not count: a closed route is
              there, and will serve
     /status  {"id","version","boot","up_ms","ready","troubles":[],
              "warnings":[],"source","synced","fresh_ms","stale","digest",
              "routes","hosts","feed":{},"engine":{} or null,"maintenance":{
              "full","msg"},"drifted","peers":[],"errors":{"E01":N},"rates":{
              "requests_per_s","errors_per_s"},"history":{"step_ms",
              "requests":[],"errors":[]}}
     /diff    {"peer","same","differences":[{"app","mine","theirs"}],"more"};
              revisions, null where it is not there
     errors   {"error": a sentence} */
#ifndef BALANCER_ADMIN_H
#define BALANCER_ADMIN_H

#include "balancer/engine.h"
#include "balancer/follow.h"
#include "balancer/peers.h"

typedef struct admin admin;

typedef struct admin_config {
  const char *listen; /* ADDR:PORT, as http_server takes it */
  const char *self, *version, *boot;
  table *table;
  metrics *metrics;
} admin_config;

/* Listens at once; answers 503 until admin_attach was called. The strings of
   config live as long as it. NULL with a sentence. */
admin *admin_open(uv_loop_t *loop, const admin_config *config, char *error,
                  size_t size);
/* e NULL: a shadow, which has no visitors; p NULL: there are no others. They
   live until this is called again with f NULL: then 503 is answered again, also
   to those who wait. */
void admin_attach(admin *a, follow *f, engine *e, peers *p);
const char *admin_address(const admin *a);
/* Something has changed in the table or the engine: who waits is answered. */
void admin_changed(admin *a);
/* Who waits is cut off; done when nothing is left, a comparison included. */
void admin_close(admin *a, void (*done)(void *ctx), void *ctx);

#endif
