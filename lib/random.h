/*
 * Random numbers for jitter and for spreading load: seeded from the system,
 * or by a test that wants the same run again. Not for secrets.
 */
#ifndef CFI_RANDOM_H
#define CFI_RANDOM_H

#include <stdint.h>

typedef struct cfi_random {
  uint64_t state;
} cfi_random;

/* seed 0: from the system, differing between objects and processes. */
void cfi_random_init(cfi_random *r, uint64_t seed);
uint64_t cfi_random_next(cfi_random *r);
/* Evenly in 0..bound, inclusive; bound >= 0. */
int64_t cfi_random_upto(cfi_random *r, int64_t bound);

#endif
