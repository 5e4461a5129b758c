/* See scaler.h. */
#include "provisioner/scaler.h"

enum { LOW_LEAST = 3, BACKOFF_MS = 10000, BACKOFF_MOST_MS = 300000 };

/* The least whole number whose square is not below x; no libm for one root. */
static size_t root_up(double x) {
  size_t low = 0, high = 1000000;

  while (low < high) {
    size_t middle = low + (high - low) / 2;

    if ((double)middle * (double)middle < x)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

size_t scaler_low(double rate, int64_t boot_ms) {
  double n = rate * (double)boot_ms / 1000.0, whole;
  size_t low;

  if (!(n > 0))
    n = 0;
  if (n > 1e6)
    n = 1e6;
  /* ceil(n + 3 sqrt(n)), where 3 sqrt(n) = sqrt(9 n): the root is taken of a
     number a hundred times as large in each direction, for its fractions. */
  whole = n + (double)root_up(9.0 * n * 10000.0) / 100.0;
  low = (size_t)whole;
  if ((double)low < whole)
    low++;
  return low > LOW_LEAST ? low : LOW_LEAST;
}

size_t scaler_missing(const scaler_now *now) {
  size_t low = scaler_low(now->rate, now->boot_ms);
  size_t have = now->free + now->booting, missing = 0;

  if (have < low + now->waiting)
    missing = 2 * low + now->waiting - have;
  if (now->all + missing < now->least)
    missing = now->least - now->all;
  if (now->all >= now->most)
    return 0;
  return missing < now->most - now->all ? missing : now->most - now->all;
}

size_t scaler_surplus(const scaler_now *now) {
  size_t low = scaler_low(now->rate, now->boot_ms), more;

  if (now->waiting != 0 || now->free <= 3 * low || now->all <= now->least)
    return 0;
  more = now->free - 2 * low;
  return more < now->all - now->least ? more : now->all - now->least;
}

int64_t scaler_backoff_ms(int failures) {
  int64_t ms = BACKOFF_MS;

  if (failures <= 0)
    return 0;
  while (--failures > 0 && ms < BACKOFF_MOST_MS)
    ms *= 2;
  return ms < BACKOFF_MOST_MS ? ms : BACKOFF_MOST_MS;
}
