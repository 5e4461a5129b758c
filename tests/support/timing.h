/* Time for tests: a monotonic clock in milliseconds and waiting for a
   condition. Waiting never decides whether a test is right: it only bounds how
   long a wrong one takes. */
#ifndef CFT_TIMING_H
#define CFT_TIMING_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t cft_now_ms(void);

/* The same clock in microseconds, for measurements. */
int64_t cft_now_us(void);

/* Calls cond(user) about each millisecond until it says true or timeout_ms is
   over; cond is always called at least once, and once more at the end.
   Returns what cond said last. */
bool cft_until(bool (*cond)(void *user), void *user, int64_t timeout_ms);

#endif
