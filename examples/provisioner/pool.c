/* Drones in an array sorted by address, so that every provisioner counts them
   alike, with a list of waiting apps beside it; see pool.h. Some thousands of
   drones, some tens of looks a second: passing over all of them is cheap. */
#include "provisioner/pool.h"

#include "provisioner/clock.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWN_MS = 30000 };

typedef struct entry {
  drone_doc doc;
  char abandoned[CLAIM_LEN + 1];
  int64_t since_ms, own_ms; /* own_ms: written here then; 0: from the feed */
  int64_t shunned_ms;       /* until then it is not handed out */
  bool taken;
} entry;

typedef struct waiting {
  struct waiting *next;
  char app[NAME_MOST + 1];
} waiting;

struct pool {
  pthread_mutex_t lock;
  entry **entries;
  size_t count, cap;
  waiting *first;
#ifdef PLATFORM_HOOKS
  char last[ADDR_MOST + 1];
#endif
};

pool *pool_new(void) {
  pool *p = calloc(1, sizeof *p);

  if (p != NULL)
    (void)pthread_mutex_init(&p->lock, NULL);
  return p;
}

void pool_free(pool *p) {
  size_t i;

  if (p == NULL)
    return;
  for (i = 0; i < p->count; i++)
    free(p->entries[i]);
  free(p->entries);
  while (p->first != NULL) {
    waiting *one = p->first;

    p->first = one->next;
    free(one);
  }
  (void)pthread_mutex_destroy(&p->lock);
  free(p);
}

/* Where it is, or would be. */
static size_t place_of(const pool *p, const char *addr, bool *found) {
  size_t low = 0, high = p->count;

  *found = false;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = strcmp(p->entries[middle]->doc.addr, addr);

    if (order == 0) {
      *found = true;
      return middle;
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static entry *find(const pool *p, const char *addr) {
  bool found;
  size_t at = place_of(p, addr, &found);

  return found ? p->entries[at] : NULL;
}

static entry *add(pool *p, const char *addr) {
  bool found;
  size_t at = place_of(p, addr, &found);
  entry *e;

  if (p->count == p->cap) {
    size_t cap = p->cap != 0 ? p->cap * 2 : 64;
    entry **entries = realloc(p->entries, cap * sizeof *entries);

    if (entries == NULL)
      return NULL;
    p->entries = entries;
    p->cap = cap;
  }
  e = calloc(1, sizeof *e);
  if (e == NULL)
    return NULL;
  memmove(p->entries + at + 1, p->entries + at,
          (p->count - at) * sizeof *p->entries);
  p->entries[at] = e;
  p->count++;
  return e;
}

/* The number a rev begins with. */
static int64_t rev_number(const char *rev) {
  int64_t n = 0;

  while (*rev >= '0' && *rev <= '9' && n < INT64_MAX / 20)
    n = n * 10 + (*rev++ - '0');
  return n;
}

static bool is_older(const drone_doc *d, const entry *e, bool own,
                     int64_t now_ms) {
  if (own || e->own_ms == 0 || now_ms - e->own_ms > OWN_MS)
    return false;
  return rev_number(d->rev) < rev_number(e->doc.rev);
}

bool pool_see(pool *p, const drone_doc *d, bool own, int64_t now_ms) {
  entry *e;
  bool isnew = false;

  (void)pthread_mutex_lock(&p->lock);
  e = find(p, d->addr);
  if (e == NULL) {
    e = add(p, d->addr);
    if (e != NULL)
      e->since_ms = now_ms;
    isnew = e != NULL;
  } else if (is_older(d, e, own, now_ms)) {
    e = NULL;
  } else {
    isnew = strcmp(e->doc.rev, d->rev) != 0;
    if (e->doc.state != d->state || strcmp(e->doc.claim.id, d->claim.id) != 0)
      e->since_ms = now_ms;
    if (strcmp(e->abandoned, d->claim.id) != 0)
      e->abandoned[0] = '\0';
  }
  if (e != NULL) {
    e->doc = *d;
    e->own_ms = own ? now_ms : 0;
  }
  (void)pthread_mutex_unlock(&p->lock);
  return isnew;
}

static void drop(pool *p, const char *addr, bool own, int64_t now_ms) {
  bool found;
  size_t at;

  (void)pthread_mutex_lock(&p->lock);
  at = place_of(p, addr, &found);
  if (found && (own || p->entries[at]->own_ms == 0 ||
                now_ms - p->entries[at]->own_ms > OWN_MS)) {
    free(p->entries[at]);
    p->count--;
    memmove(p->entries + at, p->entries + at + 1,
            (p->count - at) * sizeof *p->entries);
  }
  (void)pthread_mutex_unlock(&p->lock);
}

void pool_gone(pool *p, const char *addr) { drop(p, addr, true, 0); }

void pool_missing(pool *p, const char *addr, int64_t now_ms) {
  drop(p, addr, false, now_ms);
}

bool pool_get(pool *p, const char *addr, drone_doc *out) {
  entry *e;

  (void)pthread_mutex_lock(&p->lock);
  e = find(p, addr);
  if (e != NULL)
    *out = e->doc;
  (void)pthread_mutex_unlock(&p->lock);
  return e != NULL;
}

size_t pool_of_app(pool *p, const char *app, drone_doc *out, size_t most) {
  size_t i, count = 0;

  (void)pthread_mutex_lock(&p->lock);
  for (i = 0; i < p->count && count < most; i++)
    if (p->entries[i]->doc.claim.id[0] != '\0' &&
        strcmp(p->entries[i]->doc.claim.app, app) == 0)
      out[count++] = p->entries[i]->doc;
  (void)pthread_mutex_unlock(&p->lock);
  return count;
}

static bool is_free(const entry *e) {
  return e->doc.state == DRONE_FREE && !e->taken &&
         (e->shunned_ms == 0 || e->shunned_ms <= mono_ms());
}

static size_t free_now(const pool *p) {
  size_t i, count = 0;

  for (i = 0; i < p->count; i++)
    count += is_free(p->entries[i]) ? 1 : 0;
  return count;
}

/* Its place from 1; it waits from now on. 0: no memory, it is as if it did not
   wait and has to come again. */
static size_t wait_for(pool *p, const char *app) {
  waiting **slot = &p->first;
  size_t place = 1;

  while (*slot != NULL && strcmp((*slot)->app, app) != 0) {
    slot = &(*slot)->next;
    place++;
  }
  if (*slot == NULL) {
    *slot = calloc(1, sizeof **slot);
    if (*slot == NULL)
      return place;
    (void)snprintf((*slot)->app, sizeof(*slot)->app, "%s", app);
  }
  return place;
}

static void leave(pool *p, const char *app) {
  waiting **slot = &p->first, *gone;

  while (*slot != NULL && strcmp((*slot)->app, app) != 0)
    slot = &(*slot)->next;
  gone = *slot;
  if (gone != NULL) {
    *slot = gone->next;
    free(gone);
  }
}

size_t pool_take(pool *p, const char *app, uint64_t seed, drone_doc *out) {
  size_t place, i;

  (void)pthread_mutex_lock(&p->lock);
  place = wait_for(p, app);
  if (place <= free_now(p)) {
    for (i = 0; place != 0 && i < p->count; i++) {
      entry *e = p->entries[(seed + i) % p->count];

      if (!is_free(e))
        continue;
      e->taken = true;
      *out = e->doc;
#ifdef PLATFORM_HOOKS
      (void)snprintf(p->last, sizeof p->last, "%s", e->doc.addr);
#endif
      leave(p, app);
      place = 0;
    }
  }
  (void)pthread_mutex_unlock(&p->lock);
  return place;
}

void pool_return(pool *p, const char *addr, int64_t shun_ms) {
  entry *e;

  (void)pthread_mutex_lock(&p->lock);
  e = find(p, addr);
  if (e != NULL) {
    e->taken = false;
    e->shunned_ms = shun_ms != 0 ? mono_ms() + shun_ms : 0;
  }
  (void)pthread_mutex_unlock(&p->lock);
}

void pool_leave(pool *p, const char *app) {
  (void)pthread_mutex_lock(&p->lock);
  leave(p, app);
  (void)pthread_mutex_unlock(&p->lock);
}

size_t pool_position(pool *p, const char *app) {
  const waiting *one;
  size_t place = 1;

  (void)pthread_mutex_lock(&p->lock);
  for (one = p->first; one != NULL && strcmp(one->app, app) != 0;
       one = one->next)
    place++;
  (void)pthread_mutex_unlock(&p->lock);
  return one != NULL ? place : 0;
}

bool pool_waits(pool *p, const char *app) {
  const waiting *one;
  size_t place = 1;
  bool waits;

  (void)pthread_mutex_lock(&p->lock);
  for (one = p->first; one != NULL && strcmp(one->app, app) != 0;
       one = one->next)
    place++;
  waits = one != NULL && place > free_now(p);
  (void)pthread_mutex_unlock(&p->lock);
  return waits;
}

size_t pool_turns(pool *p, char apps[][NAME_MOST + 1], size_t most) {
  const waiting *one;
  size_t count = 0, left;

  (void)pthread_mutex_lock(&p->lock);
  left = free_now(p);
  for (one = p->first; one != NULL && count < most && left > 0;
       one = one->next, left--)
    memcpy(apps[count++], one->app, sizeof one->app);
  (void)pthread_mutex_unlock(&p->lock);
  return count;
}

void pool_count(pool *p, pool_counts *out) {
  const waiting *one;
  size_t i;

  memset(out, 0, sizeof *out);
  (void)pthread_mutex_lock(&p->lock);
  for (i = 0; i < p->count; i++)
    out->of[p->entries[i]->doc.state]++;
  out->all = p->count;
  for (one = p->first; one != NULL; one = one->next)
    out->waiting++;
  (void)pthread_mutex_unlock(&p->lock);
}

void pool_each(pool *p, void (*each)(void *ctx, const drone_doc *d),
               void *ctx) {
  drone_doc *copy;
  size_t count, i;

  (void)pthread_mutex_lock(&p->lock);
  count = p->count;
  copy = count != 0 ? malloc(count * sizeof *copy) : NULL;
  for (i = 0; copy != NULL && i < count; i++)
    copy[i] = p->entries[i]->doc;
  (void)pthread_mutex_unlock(&p->lock);
  for (i = 0; copy != NULL && i < count; i++)
    each(ctx, &copy[i]);
  free(copy);
}

void pool_abandon(pool *p, const char *addr, const char *claim) {
  entry *e;

  (void)pthread_mutex_lock(&p->lock);
  e = find(p, addr);
  if (e != NULL && strcmp(e->doc.claim.id, claim) == 0)
    memcpy(e->abandoned, e->doc.claim.id, sizeof e->abandoned);
  (void)pthread_mutex_unlock(&p->lock);
}

bool pool_abandoned(pool *p, const char *addr, const char *claim) {
  entry *e;
  bool is;

  (void)pthread_mutex_lock(&p->lock);
  e = find(p, addr);
  is = e != NULL && claim[0] != '\0' && strcmp(e->abandoned, claim) == 0;
  (void)pthread_mutex_unlock(&p->lock);
  return is;
}

int64_t pool_since_ms(pool *p, const char *addr) {
  entry *e;
  int64_t since;

  (void)pthread_mutex_lock(&p->lock);
  e = find(p, addr);
  since = e != NULL ? e->since_ms : 0;
  (void)pthread_mutex_unlock(&p->lock);
  return since;
}

#ifdef PLATFORM_HOOKS
bool pool_last(pool *p, drone_doc *out) {
  bool there;

  (void)pthread_mutex_lock(&p->lock);
  there = p->last[0] != '\0' && find(p, p->last) != NULL;
  if (there)
    *out = find(p, p->last)->doc;
  (void)pthread_mutex_unlock(&p->lock);
  return there;
}
#endif
