/*
 * Full-jitter back-off.
 */
#include "backoff.h"

#include <limits.h>

void cfi_backoff_init(cfi_backoff *b, int64_t min_ms, int64_t max_ms) {
  b->max_ms = max_ms > 0 ? max_ms : 0;
  b->min_ms = min_ms > 0 ? min_ms : 0;
  b->failures = 0;
}

/* min * 2^(failures - 1), at most max. */
static int64_t ceiling(const cfi_backoff *b) {
  int64_t value = b->min_ms;

  for (unsigned n = 1; n < b->failures && value < b->max_ms; n++) {
    if (value == 0 || value > b->max_ms / 2)
      return value == 0 ? 0 : b->max_ms;
    value *= 2;
  }
  return value < b->max_ms ? value : b->max_ms;
}

int64_t cfi_backoff_next(cfi_backoff *b, cfi_random *random) {
  if (b->failures < UINT_MAX)
    b->failures++;
  return cfi_random_upto(random, ceiling(b));
}

void cfi_backoff_reset(cfi_backoff *b) { b->failures = 0; }
