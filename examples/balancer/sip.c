/* SipHash-1-3; see sip.h. Numbers are read low byte first on every machine. */
#include "balancer/sip.h"

#include <endian.h>
#include <string.h>

static uint64_t rotated(uint64_t x, unsigned by) {
  return x << by | x >> (64 - by);
}

static void rounds(uint64_t v[4], unsigned count) {
  while (count-- != 0) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] = rotated(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] = rotated(v[2], 32);
  }
}

void sip_start(sip *s, const sip_key *key) {
  s->v[0] = key->a ^ UINT64_C(0x736f6d6570736575);
  s->v[1] = key->b ^ UINT64_C(0x646f72616e646f6d);
  s->v[2] = key->a ^ UINT64_C(0x6c7967656e657261);
  s->v[3] = key->b ^ UINT64_C(0x7465646279746573);
  s->bytes = 0;
}

static void take_word(uint64_t v[4], uint64_t word) {
  v[3] ^= word;
  rounds(v, 1);
  v[0] ^= word;
}

void sip_add(sip *s, const void *data, size_t len) {
  const unsigned char *at = data;
  uint64_t v[4], word; /* a copy: it stays in registers */

  memcpy(v, s->v, sizeof v);
  s->bytes += len;
  for (; len != 0; at += 8, len -= 8) {
    memcpy(&word, at, 8);
    take_word(v, le64toh(word));
  }
  memcpy(s->v, v, sizeof v);
}

uint64_t sip_end(sip *s, const void *data, size_t len) {
  const unsigned char *at = data;
  size_t whole = len & ~(size_t)7;
  uint64_t last;

  sip_add(s, at, whole);
  s->bytes += len - whole;
  last = s->bytes << 56;
  for (size_t i = whole; i < len; i++)
    last |= (uint64_t)at[i] << (8 * (i - whole));
  take_word(s->v, last);
  s->v[2] ^= 0xff;
  rounds(s->v, 3);
  return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}

uint64_t sip_of(const sip_key *key, const void *data, size_t len) {
  sip s;

  sip_start(&s, key);
  return sip_end(&s, data, len);
}
