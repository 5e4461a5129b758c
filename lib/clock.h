/*
 * Time in milliseconds: a monotonic clock for every deadline, and the wall
 * clock for dates in Retry-After alone. Both can be replaced, which is how
 * tests and simulations run without waiting.
 */
#ifndef CFI_CLOCK_H
#define CFI_CLOCK_H

#include <stdint.h>

typedef struct cfi_clock {
  int64_t (*now_ms)(void *ctx);  /* monotonic, from an arbitrary start */
  int64_t (*wall_ms)(void *ctx); /* since 1970-01-01 UTC */
  void *ctx;
} cfi_clock;

#define CFI_NEVER INT64_MAX /* a deadline that is not set */

extern const cfi_clock cfi_clock_system;

int64_t cfi_clock_now(const cfi_clock *clock);
int64_t cfi_clock_wall(const cfi_clock *clock);
/* at + delay, at most CFI_NEVER. */
int64_t cfi_clock_after(int64_t at, int64_t delay_ms);
/* A time at or after at, later by less than a 64th of how far it is from now,
   and less than 1024 ms: one that many have who mean nearly the same. */
int64_t cfi_clock_about(int64_t now, int64_t at);

#endif
