/*
 * Memory that is counted, and that runs out where a test says so: at one call,
 * at some in a row, or for good. A test of a function runs it again and again
 * with fail_at 1, 2, 3 ... until nothing was refused. Blocks move at each
 * resize and are overwritten when they are freed, so that a stale pointer is
 * found; a text that must never be left behind in freed memory is looked for.
 */
#ifndef CFT_SUPPORT_FAILING_H
#define CFT_SUPPORT_FAILING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

enum { CFT_FOR_GOOD = INT32_MAX };

typedef struct cft_failing {
  cfi_alloc alloc; /* hand this out */
  size_t calls;    /* of resize, so far */
  size_t refused;  /* of these */
  size_t live;     /* blocks not yet given back */
  size_t bytes;    /* in them */

  size_t fail_at; /* this call answers NULL, counted from 1; 0: none does */
  size_t fails;   /* so many calls in a row; 1, or up to CFT_FOR_GOOD */
  size_t bursts;  /* so many times, `gap` calls that succeed between them */
  size_t gap;

  const char *secret; /* NULL: nothing is looked for */
  size_t exposed;     /* blocks that held it when they were freed */
} cft_failing;

typedef union cft_failing_head {
  size_t size;
  max_align_t align;
} cft_failing_head;

static inline bool cft_failing_refuses(cft_failing *f) {
  f->calls++;
  if (f->fail_at == 0 || f->calls < f->fail_at)
    return false;
  if (f->calls - f->fail_at >= f->fails) {
    if (f->bursts > 1) {
      f->bursts--;
      f->fail_at = f->calls + f->gap;
    } else {
      f->fail_at = 0;
    }
    return false;
  }
  f->refused++;
  return true;
}

static inline bool cft_failing_holds(const char *data, size_t size,
                                     const char *text) {
  size_t len = strlen(text);

  for (; size >= len; data++, size--)
    if (memcmp(data, text, len) == 0)
      return true;
  return false;
}

static inline void cft_failing_release(void *ctx, void *block) {
  cft_failing *f = (cft_failing *)ctx;
  cft_failing_head *head;

  if (block == NULL)
    return;
  head = (cft_failing_head *)block - 1;
  f->live--;
  f->bytes -= head->size;
  if (f->secret != NULL &&
      cft_failing_holds((const char *)block, head->size, f->secret))
    f->exposed++;
  memset(block, 0xa5, head->size);
  free(head);
}

static inline void *cft_failing_resize(void *ctx, void *block, size_t size) {
  cft_failing *f = (cft_failing *)ctx;
  cft_failing_head *head;

  if (cft_failing_refuses(f))
    return NULL;
  if (size > SIZE_MAX / 2) /* as malloc does */
    return NULL;
  head = (cft_failing_head *)malloc(sizeof *head + size);
  if (head == NULL)
    abort();
  head->size = size;
  memset(head + 1, 0x5a, size);
  f->live++;
  f->bytes += size;
  if (block != NULL) {
    size_t had = ((cft_failing_head *)block - 1)->size;

    memcpy(head + 1, block, had < size ? had : size);
    cft_failing_release(ctx, block);
  }
  return head + 1;
}

static inline void cft_failing_init(cft_failing *f, size_t fail_at) {
  memset(f, 0, sizeof *f);
  f->fail_at = fail_at;
  f->fails = f->bursts = 1;
  f->alloc.resize = cft_failing_resize;
  f->alloc.release = cft_failing_release;
  f->alloc.ctx = f;
}

#endif
