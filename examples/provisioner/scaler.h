/* How many drones there should be: numbers only. */
#ifndef PROVISIONER_SCALER_H
#define PROVISIONER_SCALER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct scaler_now {
  double rate;     /* starts that were accepted, per second */
  int64_t boot_ms; /* p95 of a boot */
  size_t free, booting, waiting;
  size_t all; /* that are not dead, booting ones included */
  size_t least, most;
} scaler_now;

/* Free drones below which more are made: what is asked for while one boots, and
   three deviations. At least 3. */
size_t scaler_low(double rate, int64_t boot_ms);
/* How many to make now. */
size_t scaler_missing(const scaler_now *now);
/* How many free ones are too many, if that lasts. */
size_t scaler_surplus(const scaler_now *now);
/* After so many boots in a row that failed: 10 s, doubled, at most 5 min. */
int64_t scaler_backoff_ms(int failures);

#endif
