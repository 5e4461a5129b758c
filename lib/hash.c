/*
 * SipHash-2-4, as its authors describe it.
 */
#include "hash.h"

typedef struct state {
  uint64_t v0, v1, v2, v3;
} state;

static uint64_t rotate(uint64_t x, unsigned by) {
  return (x << by) | (x >> (64 - by));
}

static uint64_t read_word(const unsigned char *p, size_t len) {
  uint64_t word = 0;

  for (size_t i = 0; i < len; i++)
    word |= (uint64_t)p[i] << (8 * i);
  return word;
}

static void rounds(state *s, unsigned count) {
  while (count-- != 0) {
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
}

static void take(state *s, uint64_t word) {
  s->v3 ^= word;
  rounds(s, 2);
  s->v0 ^= word;
}

static uint64_t finish(state *s, uint64_t mark, bool second) {
  if (second)
    s->v1 ^= mark;
  else
    s->v2 ^= mark;
  rounds(s, 4);
  return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

cfi_hash cfi_hash_of(const unsigned char key[16], const void *data,
                     size_t len) {
  const unsigned char *p = data;
  uint64_t k0 = read_word(key, 8), k1 = read_word(key + 8, 8);
  state s = {k0 ^ 0x736f6d6570736575U, k1 ^ 0x646f72616e646f6dU ^ 0xee,
             k0 ^ 0x6c7967656e657261U, k1 ^ 0x7465646279746573U};
  size_t whole = len - len % 8;
  cfi_hash hash;

  for (size_t i = 0; i < whole; i += 8)
    take(&s, read_word(p + i, 8));
  take(&s, (len != whole ? read_word(p + whole, len - whole) : 0) |
               (uint64_t)(len & 0xff) << 56);
  hash.low = finish(&s, 0xee, false);
  hash.high = finish(&s, 0xdd, true);
  return hash;
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
