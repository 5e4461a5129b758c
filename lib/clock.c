/*
 * The system's clocks.
 */
#define _GNU_SOURCE
#include "clock.h"

#include <stddef.h>
#include <time.h>

static int64_t read_clock(clockid_t id) {
  struct timespec ts = {0, 0};

  (void)clock_gettime(id, &ts); /* cannot fail for these two clocks */
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t system_now(void *ctx) {
  (void)ctx;
  return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_wall(void *ctx) {
  (void)ctx;
  return read_clock(CLOCK_REALTIME);
}

const cfi_clock cfi_clock_system = {system_now, system_wall, NULL};

int64_t cfi_clock_now(const cfi_clock *clock) {
  return clock->now_ms(clock->ctx);
}

int64_t cfi_clock_wall(const cfi_clock *clock) {
  return clock->wall_ms(clock->ctx);
}

int64_t cfi_clock_after(int64_t at, int64_t delay_ms) {
  if (delay_ms == CFI_NEVER || (delay_ms > 0 && at > CFI_NEVER - delay_ms))
    return CFI_NEVER;
  return at + delay_ms;
}

int64_t cfi_clock_about(int64_t now, int64_t at) {
  int64_t grain = 1024;

  if (at <= now || at > CFI_NEVER - grain)
    return at;
  while (grain > 1 && grain > (at - now) / 64)
    grain /= 2;
  return (at + grain - 1) & ~(grain - 1);
}
