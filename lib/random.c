/*
 * SplitMix64, seeded by getrandom.
 */
#define _GNU_SOURCE
#include "random.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

void cfi_random_init(cfi_random *r, uint64_t seed) {
  r->state = seed;
  if (seed != 0)
    return;
  if (getrandom(&r->state, sizeof r->state, GRND_NONBLOCK) !=
      (ssize_t)sizeof r->state) {
    /* Early in boot: the time, the process and the object's address differ
       enough between followers for jitter. */
    struct timespec ts = {0, 0};
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    r->state = (uint64_t)ts.tv_nsec ^ ((uint64_t)ts.tv_sec << 30) ^
               ((uint64_t)getpid() << 48) ^ (uint64_t)(uintptr_t)r;
  }
}

uint64_t cfi_random_next(cfi_random *r) {
  uint64_t z = (r->state += 0x9e3779b97f4a7c15U);

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

int64_t cfi_random_upto(cfi_random *r, int64_t bound) {
  uint64_t range = (uint64_t)bound + 1;
  uint64_t reject = (UINT64_MAX - range + 1) % range;
  uint64_t value;

  /* Values of the last, incomplete stretch would favour small results. */
  do
    value = cfi_random_next(r);
  while (value > UINT64_MAX - reject);
  return (int64_t)(value % range);
}
