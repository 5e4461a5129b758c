/*
 * An allocator for tests of what happens without memory: counts the calls and
 * what is not given back yet, and refuses from a chosen call on, or one call
 * only. Blocks move at each resize, so that a stale pointer is found.
 */
#ifndef CFT_UNIT_COUNTING_ALLOC_H
#define CFT_UNIT_COUNTING_ALLOC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

typedef struct counting {
  cfi_alloc alloc;
  size_t calls;   /* of resize */
  size_t live;    /* blocks not given back */
  size_t bytes;   /* in them */
  size_t fail_at; /* the call that finds no memory, from 1 on; 0: none */
  bool fail_on;   /* and all after it */
} counting;

typedef union counting_head {
  size_t size;
  max_align_t align;
} counting_head;

static inline void counting_release(void *ctx, void *block) {
  counting *c = ctx;
  counting_head *head = (counting_head *)block - 1;

  c->live--;
  c->bytes -= head->size;
  memset(head + 1, 0xa5, head->size);
  free(head);
}

static inline void *counting_resize(void *ctx, void *block, size_t size) {
  counting *c = ctx;
  counting_head *head;

  c->calls++;
  if (c->fail_at != 0 &&
      (c->calls == c->fail_at || (c->fail_on && c->calls > c->fail_at)))
    return NULL;
  if (size > SIZE_MAX / 2) /* as malloc does */
    return NULL;
  head = malloc(sizeof *head + size);
  if (head == NULL)
    abort();
  head->size = size;
  memset(head + 1, 0x5a, size);
  c->live++;
  c->bytes += size;
  if (block != NULL) {
    size_t had = ((counting_head *)block - 1)->size;

    memcpy(head + 1, block, had < size ? had : size);
    counting_release(ctx, block);
  }
  return head + 1;
}

static inline void counting_init(counting *c) {
  memset(c, 0, sizeof *c);
  c->alloc.resize = counting_resize;
  c->alloc.release = counting_release;
  c->alloc.ctx = c;
}

#endif
