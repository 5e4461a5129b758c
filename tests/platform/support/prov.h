/* A provisioner without its API, as threads of the test: a view on a loop, a
   tick, and the kernel; and documents as its API would write them. */
#ifndef SUPPORT_PROV_H
#define SUPPORT_PROV_H

#include "agent.h"
#include "common/docs.h"
#include "provisioner/kernel.h"
#include "support/couchsim.h"

typedef struct prov prov;

/* Databases are made first. Fast: reap_ms 2 s, start_ms 3 s, bind_ms 1 s,
   unless config says something. Fails the test when it cannot. */
prov *prov_start(const char *couch, const char *self,
                 const kernel_config *config);
void prov_stop(prov *p);
kernel *prov_kernel(prov *p);
metrics *prov_metrics(prov *p);

/* ---- the database ---- */

typedef struct store {
  docs *apps, *locks;
} store;

void store_open(store *s, const char *couch);
void store_close(store *s);
/* A drone of the pool, as it is entered by the scaler. */
void store_add(store *s, const drone_sim *d);
/* Another wish: gen is the next. */
void store_want(store *s, const char *app, const char *state, int64_t gen);
void store_destroy(store *s, const char *app);
bool store_get_route(store *s, const char *app, route_doc *out);
bool store_get_drone(store *s, const char *addr, drone_doc *out);
/* Until the route of app has that state at that gen; fails the test else. */
void store_await(store *s, const char *app, int64_t gen, enum route_state state,
                 route_doc *out);
/* Until the drone has that state. */
void store_await_drone(store *s, const char *addr, enum drone_state state,
                       drone_doc *out);

#endif
