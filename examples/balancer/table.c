/* What is in force, who reads it, and what waits to be freed; see table_int.h.

   A reader's epoch is the table's at the moment it last said that it holds
   nothing. What was taken away before an epoch began cannot be held by readers
   that have come that far. All of it is sequentially consistent: a reader that
   comes online either is seen by the writer, or sees what the writer did. */
#include "balancer/table_int.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { RECLAIM_EVERY = 32, LEAST_ROOM = 64, ROOM_KEPT = 4096 };

static const table_notice nothing;

static bool random_key(sip_key *key) {
  return getrandom(key, sizeof *key, 0) == (ssize_t)sizeof *key;
}

table *table_new(void) {
  table *t = aligned_alloc(CACHE_LINE, sizeof *t);

  if (t == NULL)
    return NULL;
  *t = (table){.epoch = 1, .notice = &nothing};
  t->current = routes_new(t, 0);
  if (t->current == NULL || !random_key(&t->key)) {
    routes_free(t->current);
    free(t);
    return NULL;
  }
  atomic_store(&t->index, t->current->index);
  return t;
}

/* ---- what waits ---- */

static void free_first(table *t) {
  retired *r = &t->waiting[t->first];

  t->first = (t->first + 1) % t->room;
  t->count--;
  r->free_it(r->p);
}

/* Up to which all readers have come. */
static uint64_t oldest_epoch(table *t) {
  uint64_t oldest = UINT64_MAX;

  for (size_t i = 0; i < TABLE_READERS; i++) {
    uint64_t epoch = atomic_load(&t->readers[i].epoch);

    if (epoch != 0 && epoch < oldest)
      oldest = epoch;
  }
  return oldest;
}

void table_reclaim(table *t) {
  uint64_t oldest;

  if (t->count == 0)
    return;
  oldest = oldest_epoch(t);
  while (t->count != 0 && t->waiting[t->first].epoch <= oldest)
    free_first(t);
  /* After another set of all. */
  if (t->count == 0 && t->room > ROOM_KEPT) {
    free(t->waiting);
    t->waiting = NULL;
    t->first = t->room = 0;
  }
}

size_t table_waiting(const table *t) { return t->count; }

static bool make_room(table *t) {
  size_t room = t->room != 0 ? 2 * t->room : LEAST_ROOM, behind;
  retired *waiting;

  if (t->count < t->room)
    return true;
  waiting = malloc(room * sizeof *waiting);
  if (waiting == NULL)
    return false;
  behind = t->room - t->first; /* of a full ring, from the first to its end */
  if (t->room != 0) {
    memcpy(waiting, t->waiting + t->first, behind * sizeof *waiting);
    memcpy(waiting + behind, t->waiting, t->first * sizeof *waiting);
  }
  free(t->waiting);
  t->waiting = waiting;
  t->first = 0;
  t->room = room;
  return true;
}

/* Until nobody can see what was taken away up to now. */
static void wait_for_readers(table *t, uint64_t epoch) {
  while (oldest_epoch(t) < epoch)
    (void)sched_yield();
  table_reclaim(t);
}

void table_retire(table *t, void *p, void (*free_it)(void *p)) {
  uint64_t epoch;

  if (p == NULL)
    return;
  epoch = atomic_fetch_add(&t->epoch, 1) + 1;
  if (t->count % RECLAIM_EVERY == RECLAIM_EVERY - 1)
    table_reclaim(t);
  if (!make_room(t)) {
    wait_for_readers(t, epoch);
    free_it(p);
    return;
  }
  t->waiting[(t->first + t->count++) % t->room] = (retired){p, free_it, epoch};
}

void table_free(table *t) {
  const table_notice *notice;

  if (t == NULL)
    return;
  while (t->count != 0)
    free_first(t);
  notice = atomic_load(&t->notice);
  if (notice != &nothing)
    free((void *)(uintptr_t)notice);
  routes_free(t->current);
  free(t->waiting);
  free(t);
}

/* ---- what is in force ---- */

static void free_routes(void *s) { routes_free(s); }

void table_publish(table *t, routes *s) {
  routes *old = t->current;

  if (old == s)
    return;
  t->current = s;
  atomic_store(&t->index, s->index);
  table_retire(t, old, free_routes);
}

routes *table_current(table *t) { return t->current; }

bool table_set_notice(table *t, const table_notice *notice) {
  table_notice *copy = malloc(sizeof *copy);
  const table_notice *old;

  if (copy == NULL)
    return false;
  *copy = *notice;
  old = atomic_exchange(&t->notice, copy);
  if (old != &nothing)
    table_retire(t, (void *)(uintptr_t)old, free);
  return true;
}

void table_set_ready(table *t, bool ready) { atomic_store(&t->ready, ready); }

/* ---- readers ---- */

void table_online(table *t, unsigned number) {
  atomic_store(&t->readers[number].epoch, atomic_load(&t->epoch));
}

void table_quiet(table *t, unsigned number) {
  atomic_store_explicit(&t->readers[number].epoch, atomic_load(&t->epoch),
                        memory_order_release);
}

void table_offline(table *t, unsigned number) {
  atomic_store_explicit(&t->readers[number].epoch, 0, memory_order_release);
}

bool table_is_ready(const table *t) { return atomic_load(&t->ready); }

const table_notice *table_get_notice(const table *t) {
  return atomic_load(&t->notice);
}
