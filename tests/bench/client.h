/*
 * What the clients of a benchmark tell of themselves: one line, "ROWS BYTES
 * SECONDS", the time from before the first request to the last row. 0 is what
 * a client does not know.
 */
#ifndef CFT_BENCH_CLIENT_H
#define CFT_BENCH_CLIENT_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

static inline int64_t bench_now_ns(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void bench_tell(uint64_t rows, uint64_t bytes, int64_t ns) {
  (void)printf("%llu %llu %.6f\n", (unsigned long long)rows,
               (unsigned long long)bytes, (double)ns / 1e9);
}

#endif
