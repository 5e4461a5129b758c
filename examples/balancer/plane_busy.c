/* Counts of what is under way; see plane_busy.h. */
#include "balancer/plane_busy.h"

#include "common/ids.h"
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 64, SPARES = 256 };

bool busy_open(busy *b) {
  *b = (busy){.slot_count = SLOTS};
  b->slots = calloc(SLOTS, sizeof(busy_entry *));
  return b->slots != NULL;
}

void busy_close(busy *b) {
  busy_entry *e;

  for (size_t i = 0; b->slots != NULL && i < b->slot_count; i++)
    while ((e = b->slots[i]) != NULL) {
      b->slots[i] = e->next;
      free(e);
    }
  while ((e = b->spare) != NULL) {
    b->spare = e->next;
    free(e);
  }
  free(b->slots);
  *b = (busy){0};
}

/* Where the entry is linked, or would be. */
static busy_entry **place_of(const busy *b, uint64_t hash, const char *key) {
  busy_entry **at = &b->slots[hash & (b->slot_count - 1)];

  while (*at != NULL && ((*at)->hash != hash || strcmp((*at)->key, key) != 0))
    at = &(*at)->next;
  return at;
}

static void grow(busy *b) {
  size_t count = b->slot_count * 2;
  busy_entry **slots = calloc(count, sizeof(busy_entry *)), *e, *next;

  if (slots == NULL)
    return; /* longer chains are still right */
  for (size_t i = 0; i < b->slot_count; i++)
    for (e = b->slots[i]; e != NULL; e = next) {
      next = e->next;
      e->next = slots[e->hash & (count - 1)];
      slots[e->hash & (count - 1)] = e;
    }
  free(b->slots);
  b->slots = slots;
  b->slot_count = count;
}

static busy_entry *entry_new(busy *b) {
  busy_entry *e = b->spare;

  if (e == NULL)
    return malloc(sizeof *e);
  b->spare = e->next;
  b->spares--;
  return e;
}

busy_entry *busy_add(busy *b, const char *key) {
  size_t len = strlen(key);
  uint64_t hash = id_hash(key, len);
  busy_entry **at, *e;

  if (len > ROUTE_CLAIM_MOST)
    return NULL;
  if (b->entries >= b->slot_count)
    grow(b);
  at = place_of(b, hash, key);
  if (*at != NULL) {
    (*at)->count++;
    return *at;
  }
  e = entry_new(b);
  if (e == NULL)
    return NULL;
  e->next = NULL;
  e->hash = hash;
  e->count = 1;
  memcpy(e->key, key, len + 1);
  *at = e;
  b->entries++;
  return e;
}

void busy_drop(busy *b, busy_entry *e) {
  busy_entry **at;

  if (--e->count != 0)
    return;
  for (at = &b->slots[e->hash & (b->slot_count - 1)]; *at != e;)
    at = &(*at)->next;
  *at = e->next;
  b->entries--;
  if (b->spares >= SPARES) {
    free(e);
    return;
  }
  e->next = b->spare;
  b->spare = e;
  b->spares++;
}

size_t busy_count(const busy *b, const char *key) {
  const busy_entry *e = *place_of(b, id_hash(key, strlen(key)), key);

  return e != NULL ? e->count : 0;
}
