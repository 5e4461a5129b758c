/* Chance with a seed: when the next visit is due, and which host it asks for.
   Pure; the same seed gives the same. */
#ifndef PLATFORM_TRAFFIC_CHOICE_H
#define PLATFORM_TRAFFIC_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct traffic_dice {
  uint64_t state; /* any number is a seed */
} traffic_dice;

uint64_t traffic_roll(traffic_dice *d);
/* 0 to n - 1; n is 1 at least. */
uint32_t traffic_below(traffic_dice *d, uint32_t n);
/* Between two arrivals of a Poisson process of so many a second. */
int64_t traffic_gap_us(traffic_dice *d, double rate);
/* An index, by weight; 0 when they are all 0. */
unsigned traffic_weighted(traffic_dice *d, const unsigned *weights,
                          unsigned count);

/* Ranks 1 to count, the k-th with weight 1/k^exponent; the seed says who has
   which rank. */
typedef struct traffic_zipf {
  double *upto;   /* the sum of the weights of rank 0 to this one */
  uint32_t *host; /* of a rank */
  size_t count;
} traffic_zipf;

/* false: out of memory. count is 1 at least. */
bool traffic_zipf_init(traffic_zipf *z, size_t count, double exponent,
                       uint64_t seed);
size_t traffic_zipf_pick(const traffic_zipf *z, traffic_dice *d);
void traffic_zipf_free(traffic_zipf *z);

#endif
