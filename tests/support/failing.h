/*
 * An allocator that counts, and fails where a test wants it to: at one call,
 * or from one call on. A test of a function runs it again and again with
 * fail_at 1, 2, 3 ... until it no longer fails.
 */
#ifndef CFT_SUPPORT_FAILING_H
#define CFT_SUPPORT_FAILING_H

#include <stdlib.h>

#include "alloc.h"

typedef struct cft_failing {
  unsigned long calls;   /* of resize, so far */
  unsigned long fail_at; /* this call answers NULL; 0: none does */
  bool for_good;         /* and all after it */
  long live;             /* blocks not yet released */
  cfi_alloc alloc;       /* hand this out */
} cft_failing;

static inline void *cft_failing_resize(void *ctx, void *block, size_t size) {
  cft_failing *f = (cft_failing *)ctx;
  void *moved;

  f->calls++;
  if (f->fail_at != 0 &&
      (f->calls == f->fail_at || (f->for_good && f->calls > f->fail_at)))
    return NULL;
  moved = realloc(block, size);
  if (block == NULL && moved != NULL)
    f->live++;
  return moved;
}

static inline void cft_failing_release(void *ctx, void *block) {
  cft_failing *f = (cft_failing *)ctx;

  if (block != NULL)
    f->live--;
  free(block);
}

static inline void cft_failing_init(cft_failing *f, unsigned long fail_at) {
  f->calls = 0;
  f->fail_at = fail_at;
  f->for_good = false;
  f->live = 0;
  f->alloc.resize = cft_failing_resize;
  f->alloc.release = cft_failing_release;
  f->alloc.ctx = f;
}

#endif
