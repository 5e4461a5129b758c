/* Time for tests: see timing.h. Keeps no state. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "timing.h"

#include <time.h>

int64_t cft_now_us(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t cft_now_ms(void) { return cft_now_us() / 1000; }

bool cft_until(bool (*cond)(void *user), void *user, int64_t timeout_ms) {
  const struct timespec pause = {0, 1000000};
  int64_t end = cft_now_ms() + timeout_ms;
  while (!cond(user)) {
    if (cft_now_ms() >= end)
      return cond(user);
    nanosleep(&pause, NULL);
  }
  return true;
}
