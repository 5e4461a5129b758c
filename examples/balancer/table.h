/* The table: which route a host has. One thread writes; readers look up without
   a lock and without waiting, and are never waited for either: what is replaced
   is freed when every reader has been idle, or has come round, since.

   routes   a set of routes, found by host
   table    which set is in force now, its readers, and what is to be freed

   Hosts are matched as visitors write them: case folded, one dot at the end and
   a port passed over. "*.example.org" matches one or more labels before
   .example.org, where no host of its own, and no longer pattern, does.

   Where two routes list one host, the one whose app's name is lower has it, in
   whatever order they came: the table is a function of the routes in it. */
#ifndef BALANCER_TABLE_H
#define BALANCER_TABLE_H

#include "balancer/route.h"

typedef struct table table;
typedef struct routes routes;

enum { TABLE_READERS = 64 };

/* ---- the writer's ---- */

table *table_new(void);    /* NULL for want of memory */
void table_free(table *t); /* no reader is left; frees what waits */
/* p is freed by free_it when no reader can see it any more. Always taken: when
   there is no memory to remember it, the writer waits for the readers, so it is
   not one of them. free_it calls nothing of the table. NULL is fine. */
void table_retire(table *t, void *p, void (*free_it)(void *p));
/* Frees what can be; to be called now and then, also when nothing changes. */
void table_reclaim(table *t);
size_t table_waiting(const table *t); /* pieces that wait; for tests */

/* A set that nobody reads yet; expect: routes there will be, 0: unknown. It
   does not own its routes; each is in it once, and each app. NULL for want of
   memory. */
routes *routes_new(table *t, size_t expect);
/* Puts r in, in place of instead (NULL: none; need not have the same hosts).
   Readers find the one or the other. false for want of memory: nothing has
   changed. instead is not freed: the caller retires it. */
bool routes_put(routes *s, const route *r, const route *instead);
/* Takes it out. Cannot fail. */
void routes_drop(routes *s, const route *r);
/* Without a reader's rights; for the writer. */
const route *routes_find(const routes *s, const char *host, size_t len);
size_t routes_host_count(const routes *s); /* that are found */
/* Calls each for every host that is found, in no order, with the route that has
   it, and which of its hosts it is. For the writer. */
void routes_each(const routes *s,
                 void (*each)(void *ctx, const route *r, size_t host),
                 void *ctx);
/* How often a host is listed by a route that does not have it. */
size_t routes_shadow_count(const routes *s);
size_t routes_bytes(const routes *s); /* of the index */
/* Frees the index at once; only of a set that was never published. */
void routes_free(routes *s);
/* Puts s in force, the table's own from now on; the set before is retired, its
   routes are the caller's to retire, after this. */
void table_publish(table *t, routes *s);
routes *table_current(table *t); /* an empty one before the first */

/* What all visitors are told now; words are copied. */
typedef struct table_notice {
  bool full; /* maintenance of all: E31 */
  char msg[256];
} table_notice;
bool table_set_notice(table *t, const table_notice *notice);
/* Until it was synced once, or read a snapshot: E09 in place of E01. */
void table_set_ready(table *t, bool ready);

/* ---- readers: each with a number below TABLE_READERS of its own ---- */

/* Between online and offline what was found stays; a reader goes offline before
   it blocks, and says quiet once in a round at least. */
void table_online(table *t, unsigned reader);
void table_quiet(table *t, unsigned reader);
void table_offline(table *t, unsigned reader);

/* host as in a Host field, with port and dot or without. NULL: none. */
const route *table_find(const table *t, const char *host, size_t len);
bool table_is_ready(const table *t);
/* Valid as a route is. */
const table_notice *table_get_notice(const table *t);

#endif
