/*
 * SipHash-2-4, as its authors describe it.
 */
#include "hash.h"

static uint64_t rotate(uint64_t x, unsigned by) {
  return (x << by) | (x >> (64 - by));
}

/* Written out so that compilers see one load in it. */
static uint64_t read_word(const unsigned char *p) {
  return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
         (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
         (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static void round_of(cfi_hash_state *s) {
  s->v0 += s->v1;
  s->v1 = rotate(s->v1, 13) ^ s->v0;
  s->v0 = rotate(s->v0, 32);
  s->v2 += s->v3;
  s->v3 = rotate(s->v3, 16) ^ s->v2;
  s->v0 += s->v3;
  s->v3 = rotate(s->v3, 21) ^ s->v0;
  s->v2 += s->v1;
  s->v1 = rotate(s->v1, 17) ^ s->v2;
  s->v2 = rotate(s->v2, 32);
}

static void take(cfi_hash_state *s, uint64_t word) {
  s->v3 ^= word;
  round_of(s);
  round_of(s);
  s->v0 ^= word;
}

static uint64_t finish(cfi_hash_state *s) {
  for (unsigned i = 0; i < 4; i++)
    round_of(s);
  return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

void cfi_hash_start(cfi_hash_state *s, const unsigned char key[16]) {
  uint64_t k0 = read_word(key), k1 = read_word(key + 8);

  s->v0 = k0 ^ 0x736f6d6570736575U;
  s->v1 = k1 ^ 0x646f72616e646f6dU ^ 0xee;
  s->v2 = k0 ^ 0x6c7967656e657261U;
  s->v3 = k1 ^ 0x7465646279746573U;
  s->len = 0;
}

void cfi_hash_add(cfi_hash_state *s, const void *data, size_t len) {
  const unsigned char *p = data;
  cfi_hash_state now = *s; /* in registers */

  for (size_t i = 0; i < len; i += 8)
    take(&now, read_word(p + i));
  now.len += len;
  *s = now;
}

cfi_hash cfi_hash_end(cfi_hash_state *s, const void *data, size_t len) {
  size_t whole = len - len % 8;
  const unsigned char *p = data;
  uint64_t last;
  cfi_hash hash;

  cfi_hash_add(s, data, whole);
  last = ((s->len + len - whole) & 0xff) << 56;
  for (size_t i = whole; i < len; i++)
    last |= (uint64_t)p[i] << (8 * (i - whole));
  take(s, last);
  s->v2 ^= 0xee;
  hash.low = finish(s);
  s->v1 ^= 0xdd;
  hash.high = finish(s);
  return hash;
}

cfi_hash cfi_hash_of(const unsigned char key[16], const void *data,
                     size_t len) {
  cfi_hash_state s;

  cfi_hash_start(&s, key);
  return cfi_hash_end(&s, data, len);
}

void cfi_hash_text(cfi_hash hash, char out[CFI_HASH_TEXT]) {
  static const char digits[] = "0123456789abcdef";

  for (unsigned i = 0; i < 16; i++) {
    uint64_t word = i < 8 ? hash.low : hash.high;
    unsigned byte = (unsigned)(word >> (8 * (i % 8))) & 0xff;

    out[2 * i] = digits[byte >> 4];
    out[2 * i + 1] = digits[byte & 15];
  }
  out[CFI_HASH_TEXT - 1] = '\0';
}
