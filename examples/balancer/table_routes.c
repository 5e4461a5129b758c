/* Sets of routes, as their writer sees them; see table_int.h. */
#include "balancer/table_int.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST_SLOTS = 16, HOSTS_IN_ALL = 1 << 26 };

/* As full as a search allows: one slot of eight was never used. */
static size_t most_used(size_t size) { return size - (size + 7) / 8; }

/* With room for a third more than is expected, before it has to grow. */
static table_index *new_index(size_t expect) {
  size_t size = expect + expect / 3 + LEAST_SLOTS;
  table_index *x;

  if (expect > HOSTS_IN_ALL)
    return NULL;
  x = calloc(1, sizeof *x + size * sizeof x->slots[0]);
  if (x != NULL)
    x->size = size;
  return x;
}

routes *routes_new(table *t, size_t expect) {
  routes *s = calloc(1, sizeof *s);

  if (s == NULL)
    return NULL;
  s->owner = t;
  s->index = new_index(expect);
  if (s->index == NULL) {
    free(s);
    return NULL;
  }
  return s;
}

void routes_free(routes *s) {
  if (s == NULL)
    return;
  free(s->index);
  free(s->shadows);
  free(s);
}

const route *routes_find(const routes *s, const char *host, size_t len) {
  return index_match(s->index, &s->owner->key, host, len);
}

size_t routes_host_count(const routes *s) { return s->held; }

size_t routes_shadow_count(const routes *s) { return s->shadow_count; }

size_t routes_bytes(const routes *s) {
  return sizeof *s + sizeof *s->index + s->index->size * sizeof(slot) +
         s->shadow_room * sizeof *s->shadows;
}

/* Labels behind the "*"; 0: it is no pattern. */
static unsigned pattern_labels(const char *host, size_t len) {
  unsigned dots = 0;

  if (len == 0 || host[0] != '*')
    return 0;
  for (size_t i = 0; i < len; i++)
    dots += host[i] == '.';
  return dots;
}

/* Before its slot is set: who finds a pattern has to look for it. */
static void note_pattern(table_index *x, const char *host, size_t len) {
  unsigned labels = pattern_labels(host, len);

  if (labels > atomic_load(&x->labels))
    atomic_store(&x->labels, labels);
}

/* ---- room ---- */

/* Of another array, which nobody reads yet. */
static void move_slot(routes *s, table_index *to, uint64_t value) {
  size_t len, i;
  const char *host = route_host(slot_route(value), slot_host(value), &len);

  note_pattern(to, host, len);
  i = slot_start(to, sip_of(&s->owner->key, host, len));
  while (atomic_load_explicit(&to->slots[i], memory_order_relaxed) !=
         SLOT_NEVER)
    i = i + 1 < to->size ? i + 1 : 0;
  atomic_store_explicit(&to->slots[i], value, memory_order_relaxed);
}

static bool rebuild(routes *s, size_t expect) {
  table_index *old = s->index, *x = new_index(expect);

  if (x == NULL)
    return false;
  for (size_t i = 0; i < old->size; i++) {
    uint64_t value = atomic_load_explicit(&old->slots[i], memory_order_relaxed);

    if (value != SLOT_NEVER && value != SLOT_GONE)
      move_slot(s, x, value);
  }
  s->used = s->held;
  s->index = x;
  if (s->owner->current == s) {
    atomic_store(&s->owner->index, x);
    table_retire(s->owner, old, free);
  } else {
    free(old);
  }
  return true;
}

/* For so many more hosts. */
static bool reserve(routes *s, size_t more) {
  size_t room = s->shadow_room != 0 ? s->shadow_room : HOSTS_MOST;
  shadow *shadows;

  if (s->used + more > most_used(s->index->size) && !rebuild(s, s->held + more))
    return false;
  while (room < s->shadow_count + more)
    room *= 2;
  if (room == s->shadow_room)
    return true;
  shadows = realloc(s->shadows, room * sizeof *shadows);
  if (shadows == NULL)
    return false;
  s->shadows = shadows;
  s->shadow_room = room;
  return true;
}

/* ---- one host of a route ---- */

typedef struct listed {
  const route *route;
  size_t host; /* which of its hosts */
  const char *text;
  size_t len;
  uint64_t hash;
} listed;

/* false: the route has listed the same one before. */
static bool get_listed(const routes *s, const route *r, size_t host,
                       listed *out) {
  out->route = r;
  out->host = host;
  out->text = route_host(r, host, &out->len);
  for (size_t i = 0; i < host; i++) {
    size_t len;
    const char *other = route_host(r, i, &len);

    if (len == out->len && memcmp(other, out->text, len) == 0)
      return false;
  }
  out->hash = sip_of(&s->owner->key, out->text, out->len);
  return true;
}

static uint64_t slot_of(const route *r, size_t host, uint64_t hash) {
  return (uint64_t)(uintptr_t)r | (uint64_t)host << SLOT_ADDRESS_BITS |
         (hash & 0xfff) << SLOT_TAG_SHIFT;
}

static bool comes_first(const route *a, const route *b) {
  char x[NAME_MOST + 1], y[NAME_MOST + 1];

  route_app(a, x);
  route_app(b, y);
  return strcmp(x, y) < 0;
}

/* ---- who has to wait ---- */

static void add_shadow(routes *s, const route *r, size_t host, uint64_t hash) {
  s->shadows[s->shadow_count++] = (shadow){r, hash, host};
}

static void remove_shadow(routes *s, size_t i) {
  s->shadows[i] = s->shadows[--s->shadow_count];
}

/* The first by its app's name of those who wait for that host; shadow_count:
   nobody does. */
static size_t find_shadow(const routes *s, const listed *l) {
  size_t found = s->shadow_count;

  for (size_t i = 0; i < s->shadow_count; i++) {
    const shadow *one = &s->shadows[i];
    const char *host;
    size_t len;

    if (one->hash != l->hash)
      continue;
    host = route_host(one->route, one->host, &len);
    if (len == l->len && memcmp(host, l->text, len) == 0 &&
        (found == s->shadow_count ||
         comes_first(one->route, s->shadows[found].route)))
      found = i;
  }
  return found;
}

/* A slot whose entry has gone: who waits for it has it now, or nobody. */
static void give_on(routes *s, size_t at, const listed *l) {
  table_index *x = s->index;
  size_t heir = find_shadow(s, l), next = at + 1 < x->size ? at + 1 : 0;

  if (heir != s->shadow_count) {
    const shadow *one = &s->shadows[heir];

    atomic_store(&x->slots[at], slot_of(one->route, one->host, one->hash));
    remove_shadow(s, heir);
    return;
  }
  s->held--;
  atomic_store(&x->slots[at], SLOT_GONE);
  /* In front of a slot that was never used, none has to be passed over. */
  if (atomic_load(&x->slots[next]) != SLOT_NEVER)
    return;
  while (atomic_load(&x->slots[at]) == SLOT_GONE) {
    atomic_store(&x->slots[at], SLOT_NEVER);
    s->used--;
    at = at != 0 ? at - 1 : x->size - 1;
  }
}

/* ---- in and out ---- */

static void insert(routes *s, const listed *l) {
  table_index *x = s->index;
  size_t at = slot_start(x, l->hash);
  uint64_t value;

  note_pattern(x, l->text, l->len);
  while ((value = atomic_load(&x->slots[at])) != SLOT_NEVER &&
         value != SLOT_GONE)
    at = at + 1 < x->size ? at + 1 : 0;
  atomic_store(&x->slots[at], slot_of(l->route, l->host, l->hash));
  s->held++;
  s->used += value == SLOT_NEVER;
}

/* Whether it would have to wait, though it comes in place of who has the host:
   only where the two are not of one app. */
static bool waits_before(const routes *s, const listed *l) {
  size_t heir = find_shadow(s, l);

  return heir != s->shadow_count &&
         comes_first(s->shadows[heir].route, l->route);
}

static void put_host(routes *s, const listed *l, const route *instead) {
  size_t at;
  uint64_t value = index_find(s->index, l->hash, l->text, l->len, &at);
  const route *holder = slot_route(value);

  if (value == SLOT_NEVER) {
    insert(s, l);
  } else if (holder == instead && !waits_before(s, l)) {
    atomic_store(&s->index->slots[at], slot_of(l->route, l->host, l->hash));
  } else if (holder == instead || comes_first(holder, l->route)) {
    add_shadow(s, l->route, l->host, l->hash);
  } else if (holder != l->route) {
    add_shadow(s, holder, slot_host(value), l->hash);
    atomic_store(&s->index->slots[at], slot_of(l->route, l->host, l->hash));
  }
}

void routes_drop(routes *s, const route *r) {
  listed l;
  size_t at;

  for (size_t i = 0; i < route_host_count(r); i++) {
    uint64_t value;

    if (!get_listed(s, r, i, &l))
      continue;
    value = index_find(s->index, l.hash, l.text, l.len, &at);
    if (value != SLOT_NEVER && slot_route(value) == r) {
      give_on(s, at, &l);
      continue;
    }
    for (size_t j = s->shadow_count; j-- != 0;)
      if (s->shadows[j].route == r && s->shadows[j].host == i)
        remove_shadow(s, j);
  }
}

bool routes_put(routes *s, const route *r, const route *instead) {
  listed l;

  /* Not on a machine whose addresses have more bits: see table_int.h. */
  if ((uint64_t)(uintptr_t)r >> SLOT_ADDRESS_BITS != 0 ||
      !reserve(s, route_host_count(r)))
    return false;
  for (size_t i = 0; i < route_host_count(r); i++)
    if (get_listed(s, r, i, &l))
      put_host(s, &l, instead);
  if (instead != NULL && instead != r)
    routes_drop(s, instead);
  return true;
}
