/* What table*.c share. The index is an array of slots, searched from where the
   hash says to the next that was never used:

     0     never used since the array was made: a search ends here
     1     its entry is gone: a search goes on
     else  the route's address in 48 bits, 4 bits with the number of its host,
           and 12 bits of the hash, so that a search looks at few routes that
           are not meant

   An entry never moves within an array. So what a reader passes over is not
   there, and what it finds was there while it searched. The writer takes gone
   slots again, and makes another array when too few were never used. */
#ifndef BALANCER_TABLE_INT_H
#define BALANCER_TABLE_INT_H

#include "balancer/sip.h"
#include "balancer/table.h"

#include <stdalign.h>
#include <stdatomic.h>

typedef _Atomic uint64_t slot;

enum {
  SLOT_NEVER = 0,
  SLOT_GONE = 1,
  SLOT_ADDRESS_BITS = 48,
  SLOT_TAG_SHIFT = 52,
  CACHE_LINE = 64
};

typedef struct table_index {
  size_t size;             /* slots */
  _Atomic unsigned labels; /* most that a pattern here has, "*" aside */
  slot slots[];
} table_index;

/* A route that lists a host which another one has. */
typedef struct shadow {
  const route *route;
  uint64_t hash;
  size_t host;
} shadow;

struct routes {
  table *owner;
  table_index *index;
  size_t held; /* slots with an entry */
  size_t used; /* and those that are gone */
  shadow *shadows;
  size_t shadow_count, shadow_room;
};

typedef struct retired {
  void *p;
  void (*free_it)(void *p);
  uint64_t epoch; /* readers that came round since have not seen it */
} retired;

typedef struct reader {
  alignas(CACHE_LINE) _Atomic uint64_t epoch; /* 0: offline */
} reader;

struct table {
  reader readers[TABLE_READERS];
  alignas(CACHE_LINE) _Atomic(table_index *) index; /* the current set's */
  _Atomic(const table_notice *) notice;
  _Atomic bool ready;
  sip_key key;
  /* the writer's */
  alignas(CACHE_LINE) _Atomic uint64_t epoch;
  routes *current;
  retired *waiting; /* a ring, in order of epochs */
  size_t first, count, room;
};

/* A host as it is compared: folded, without port and last dot. */
typedef struct host_key {
  char text[HOST_MOST];
  size_t len;
} host_key;

/* false: no route can have such a host. */
bool host_key_set(host_key *k, const char *host, size_t len);

static inline const route *slot_route(uint64_t value) {
  uintptr_t address =
      (uintptr_t)(value & ((UINT64_C(1) << SLOT_ADDRESS_BITS) - 1));

  return (const route *)address;
}

static inline size_t slot_host(uint64_t value) {
  return value >> SLOT_ADDRESS_BITS & 15;
}

/* The slot where a search for that hash begins. */
static inline size_t slot_start(const table_index *x, uint64_t hash) {
  return (size_t)((hash >> 32) * x->size >> 32);
}

/* The slot's value, and where it is in *at; SLOT_NEVER: no route has the host,
   and *at is where its search has ended. */
uint64_t index_find(const table_index *x, uint64_t hash, const char *host,
                    size_t len, size_t *at);
/* The route a visitor's host has. */
const route *index_match(const table_index *x, const sip_key *key,
                         const char *host, size_t len);

#endif
