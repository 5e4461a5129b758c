/* All drones as this provisioner knows them: from the feed, and from what its
   own workers wrote, whichever is newer; and the apps that wait for a free one.
   Any thread. */
#ifndef PROVISIONER_POOL_H
#define PROVISIONER_POOL_H

#include "common/documents.h"

typedef struct pool pool;

typedef struct pool_counts {
  size_t of[DRONE_DEAD + 1]; /* by state */
  size_t all, waiting;
} pool_counts;

pool *pool_new(void);
void pool_free(pool *p);
/* own: this process wrote it. True when something is new. What the feed says is
   passed over while it is older than what was written here, but not for ever:
   a database can be set back. */
bool pool_see(pool *p, const drone_doc *d, bool own, int64_t now_ms);
void pool_gone(pool *p, const char *addr);
/* The feed does not have it: gone, unless it was written here just now. */
void pool_missing(pool *p, const char *addr, int64_t now_ms);
bool pool_get(pool *p, const char *addr, drone_doc *out);
/* All whose claim is of that app; at most `most`. */
size_t pool_of_app(pool *p, const char *app, drone_doc *out, size_t most);
/* A free drone that no other worker tries just now, from a place in the list
   that differs by seed: 0. Or none, then the app waits: its place, from 1. An
   app whose turn it is not gets none even when one is free. */
size_t pool_take(pool *p, const char *app, uint64_t seed, drone_doc *out);
/* Tried; whatever came of it. Not handed out again for shun_ms: the database
   does not say what becomes of its document, as when the one node that keeps it
   is away, and others may be had. */
void pool_return(pool *p, const char *addr, int64_t shun_ms);
void pool_leave(pool *p, const char *app); /* it waits no more */
/* It waits, and it is not its turn. */
bool pool_waits(pool *p, const char *app);
size_t pool_position(pool *p, const char *app);
/* The apps whose turn it is while as many drones are free. */
size_t pool_turns(pool *p, char apps[][NAME_MOST + 1], size_t most);
void pool_count(pool *p, pool_counts *out);
/* Calls each with a copy, without the lock. */
void pool_each(pool *p, void (*each)(void *ctx, const drone_doc *d), void *ctx);
/* A claim whose drone did not answer in time: its app does not wait for it any
   more. Forgotten with the claim. */
void pool_abandon(pool *p, const char *addr, const char *claim);
bool pool_abandoned(pool *p, const char *addr, const char *claim);
/* Since when this process knows the drone's present state and claim. */
int64_t pool_since_ms(pool *p, const char *addr);
#ifdef PLATFORM_HOOKS
/* The one that was given away last, whoever has it. */
bool pool_last(pool *p, drone_doc *out);
#endif

#endif
