/*
 * Full-jitter back-off: before the n-th attempt in a row a random time between
 * 0 and min(max, min * 2^(n-1)).
 */
#ifndef CFI_BACKOFF_H
#define CFI_BACKOFF_H

#include "random.h"

typedef struct cfi_backoff {
  int64_t min_ms, max_ms;
  unsigned failures; /* in a row; stays at its maximum */
} cfi_backoff;

void cfi_backoff_init(cfi_backoff *b, int64_t min_ms, int64_t max_ms);
/* Counts one more failure and answers the delay before the next attempt. */
int64_t cfi_backoff_next(cfi_backoff *b, cfi_random *random);
/* Things went well: the next failure is the first again. */
void cfi_backoff_reset(cfi_backoff *b);

#endif
