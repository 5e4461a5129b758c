/*
 * A binary heap that knows where each number stands.
 */
#include "loop_heap.h"

#include "clock.h"

enum { FIRST_CAP = 8 };

bool cfi_heap_reserve(cfi_heap *h, const cfi_alloc *alloc, size_t count) {
  size_t cap = h->cap != 0 ? h->cap : FIRST_CAP;
  void *p;

  while (cap < count && cap <= SIZE_MAX / 2)
    cap *= 2;
  if (h->cap >= count)
    return true;
  p = cfi_resize(alloc, h->entries, cap, sizeof *h->entries);
  if (p == NULL)
    return false;
  h->entries = p;
  p = cfi_resize(alloc, h->places, cap, sizeof *h->places);
  if (p == NULL)
    return false;
  h->places = p;
  for (size_t i = h->cap; i < cap; i++)
    h->places[i] = SIZE_MAX;
  h->cap = cap;
  return true;
}

void cfi_heap_free(cfi_heap *h, const cfi_alloc *alloc) {
  cfi_free(alloc, h->entries);
  cfi_free(alloc, h->places);
  *h = (cfi_heap){0};
}

static void place(cfi_heap *h, size_t at, cfi_heap_entry e) {
  h->entries[at] = e;
  h->places[e.who] = at;
}

static size_t sift_up(cfi_heap *h, size_t at, cfi_heap_entry e) {
  while (at != 0 && h->entries[(at - 1) / 2].at_ms > e.at_ms) {
    place(h, at, h->entries[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  place(h, at, e);
  return at;
}

static void sift_down(cfi_heap *h, size_t at, cfi_heap_entry e) {
  for (;;) {
    size_t child = at * 2 + 1;

    if (child >= h->count)
      break;
    if (child + 1 < h->count &&
        h->entries[child + 1].at_ms < h->entries[child].at_ms)
      child++;
    if (h->entries[child].at_ms >= e.at_ms)
      break;
    place(h, at, h->entries[child]);
    at = child;
  }
  place(h, at, e);
}

void cfi_heap_set(cfi_heap *h, size_t who, int64_t at_ms) {
  cfi_heap_entry e = {at_ms, who};
  size_t at = h->places[who] != SIZE_MAX ? h->places[who] : h->count++;

  sift_down(h, sift_up(h, at, e), e);
}

void cfi_heap_remove(cfi_heap *h, size_t who) {
  size_t at = h->places[who];
  cfi_heap_entry last;

  if (at == SIZE_MAX)
    return;
  h->places[who] = SIZE_MAX;
  last = h->entries[--h->count];
  if (last.who != who)
    sift_down(h, sift_up(h, at, last), last);
}

int64_t cfi_heap_at(const cfi_heap *h, size_t who) {
  return h->places[who] != SIZE_MAX ? h->entries[h->places[who]].at_ms
                                    : CFI_NEVER;
}

int64_t cfi_heap_first_ms(const cfi_heap *h) {
  return h->count != 0 ? h->entries[0].at_ms : CFI_NEVER;
}

void cfi_heap_renumber(cfi_heap *h, size_t from, size_t to) {
  size_t at = h->places[from];

  if (from == to)
    return;
  h->places[to] = at;
  h->places[from] = SIZE_MAX;
  if (at != SIZE_MAX)
    h->entries[at].who = to;
}
