/*
 * Deadlines of many, by number: the earliest is at hand, each can be moved or
 * taken out. It touches nothing but its own two dense arrays, so that ordering
 * ten thousand does not read the memory of each.
 */
#ifndef CFI_LOOP_HEAP_H
#define CFI_LOOP_HEAP_H

#include "alloc.h"

typedef struct cfi_heap_entry {
  int64_t at_ms;
  size_t who;
} cfi_heap_entry;

typedef struct cfi_heap {
  cfi_heap_entry *entries; /* the earliest first */
  size_t *places;          /* of each number; SIZE_MAX: not in here */
  size_t count, cap;       /* numbers are below cap */
} cfi_heap;

/* Room for numbers below count: what follows cannot fail. False: no memory,
   nothing has changed. */
bool cfi_heap_reserve(cfi_heap *h, const cfi_alloc *alloc, size_t count);
void cfi_heap_free(cfi_heap *h, const cfi_alloc *alloc);

/* Puts it in, or moves it. */
void cfi_heap_set(cfi_heap *h, size_t who, int64_t at_ms);
void cfi_heap_remove(cfi_heap *h, size_t who);
/* Its time; CFI_NEVER when it is not in here. */
int64_t cfi_heap_at(const cfi_heap *h, size_t who);
/* The earliest time; CFI_NEVER when there is none. */
int64_t cfi_heap_first_ms(const cfi_heap *h);
/* From now on it has another number, which nobody has in here. */
void cfi_heap_renumber(cfi_heap *h, size_t from, size_t to);

#endif
