/* How many exchanges are under way for each key: an app, a claim. Of one
   thread, exact; a key is forgotten with its last exchange. */
#ifndef BALANCER_PLANE_BUSY_H
#define BALANCER_PLANE_BUSY_H

#include "balancer/route.h"

typedef struct busy_entry {
  struct busy_entry *next;
  uint64_t hash;
  size_t count;
  char key[ROUTE_CLAIM_MOST + 1];
} busy_entry;

typedef struct busy {
  busy_entry **slots;
  size_t slot_count, entries;
  busy_entry *spare; /* entries to be used again */
  size_t spares;
} busy;

bool busy_open(busy *b); /* false for want of memory */
void busy_close(busy *b);
/* One more of that key (at most ROUTE_CLAIM_MOST bytes), to be given to
   busy_drop; NULL for want of memory. */
busy_entry *busy_add(busy *b, const char *key);
void busy_drop(busy *b, busy_entry *e);
size_t busy_count(const busy *b, const char *key);

#endif
