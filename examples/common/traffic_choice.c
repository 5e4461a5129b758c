/* Chance with a seed; see traffic_choice.h. */
#include "common/traffic_choice.h"

#include <math.h>
#include <stdlib.h>

/* splitmix64: every state is a good one. */
uint64_t traffic_roll(traffic_dice *d) {
  uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);

  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint32_t traffic_below(traffic_dice *d, uint32_t n) {
  return (uint32_t)((traffic_roll(d) >> 32) * n >> 32);
}

/* Above 0, at most 1; 53 bits. */
static double unit(traffic_dice *d) {
  return ((double)(traffic_roll(d) >> 11) + 1) / 9007199254740992.0;
}

int64_t traffic_gap_us(traffic_dice *d, double rate) {
  return (int64_t)(-log(unit(d)) / rate * 1e6);
}

unsigned traffic_weighted(traffic_dice *d, const unsigned *weights,
                          unsigned count) {
  uint64_t sum = 0, at;
  unsigned i = 0;

  for (unsigned k = 0; k < count; k++)
    sum += weights[k];
  if (sum == 0)
    return 0;
  for (at = traffic_roll(d) % sum; at >= weights[i]; i++)
    at -= weights[i];
  return i;
}

/* Each order as likely as any other. */
static void shuffle(uint32_t *order, size_t count, traffic_dice *d) {
  for (size_t i = 0; i < count; i++)
    order[i] = (uint32_t)i;
  for (size_t i = count; i > 1; i--) {
    size_t other = traffic_below(d, (uint32_t)i);
    uint32_t kept = order[i - 1];

    order[i - 1] = order[other];
    order[other] = kept;
  }
}

bool traffic_zipf_init(traffic_zipf *z, size_t count, double exponent,
                       uint64_t seed) {
  traffic_dice d = {seed};
  double sum = 0;

  z->count = count;
  z->upto = malloc(count * sizeof *z->upto);
  z->host = malloc(count * sizeof *z->host);
  if (z->upto == NULL || z->host == NULL) {
    traffic_zipf_free(z);
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    sum += pow((double)(i + 1), -exponent);
    z->upto[i] = sum;
  }
  shuffle(z->host, count, &d);
  return true;
}

size_t traffic_zipf_pick(const traffic_zipf *z, traffic_dice *d) {
  double at = unit(d) * z->upto[z->count - 1];
  size_t low = 0, high = z->count - 1;

  while (low < high) {
    size_t middle = low + (high - low) / 2;

    if (z->upto[middle] < at)
      low = middle + 1;
    else
      high = middle;
  }
  return z->host[low];
}

void traffic_zipf_free(traffic_zipf *z) {
  free(z->upto);
  free(z->host);
  *z = (traffic_zipf){NULL, NULL, 0};
}
