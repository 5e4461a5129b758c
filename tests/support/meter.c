/*
 * The size of a block stands in front of it.
 */
#include "meter.h"

#include <stdlib.h>

typedef union block {
  size_t size;
  max_align_t align;
} block;

size_t cft_meter_held, cft_meter_most;

void *cft_meter_resize(void *ctx, void *old, size_t size) {
  block *b = old ? (block *)old - 1 : NULL;
  size_t before = b ? b->size : 0;
  (void)ctx;
  b = realloc(b, sizeof *b + size);
  if (!b)
    return NULL;
  b->size = size;
  cft_meter_held += size - before;
  if (cft_meter_held > cft_meter_most)
    cft_meter_most = cft_meter_held;
  return b + 1;
}

void cft_meter_release(void *ctx, void *old) {
  (void)ctx;
  if (!old)
    return;
  block *b = (block *)old - 1;
  cft_meter_held -= b->size;
  free(b);
}
