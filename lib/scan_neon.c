/*
 * The path of scan for ARM processors of 64 bits, each of which has NEON.
 */
#include "scan_paths.h"

#ifdef CFI_SCAN_NEON

#include <arm_neon.h>

#define BLOCK_TARGET
enum { TEXT = 64 };
#include "scan_blocks.h"

BLOCK_INLINE uint8x16_t load(const char *p) {
  return vld1q_u8((const uint8_t *)p);
}

/* NEON has no instruction that takes a bit of each byte: keep another bit of
   each of eight neighbours, and add them up in pairs. */
BLOCK_INLINE uint64_t bits(uint8x16_t a, uint8x16_t b, uint8x16_t c,
                           uint8x16_t d) {
  static const uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128,
                                     1, 2, 4, 8, 16, 32, 64, 128};
  uint8x16_t place = vld1q_u8(places);
  uint8x16_t low = vpaddq_u8(vandq_u8(a, place), vandq_u8(b, place));
  uint8x16_t high = vpaddq_u8(vandq_u8(c, place), vandq_u8(d, place));

  low = vpaddq_u8(low, high);
  low = vpaddq_u8(low, low);
  return vgetq_lane_u64(vreinterpretq_u64_u8(low), 0);
}

BLOCK_INLINE uint64_t equal(const uint8x16_t v[4], uint8_t byte) {
  uint8x16_t c = vdupq_n_u8(byte);

  return bits(vceqq_u8(v[0], c), vceqq_u8(v[1], c), vceqq_u8(v[2], c),
              vceqq_u8(v[3], c));
}

BLOCK_INLINE struct block look(const char *p) {
  const uint8x16_t space = vdupq_n_u8(0x20);
  uint8x16_t v[4];
  struct block b;

  for (int i = 0; i < 4; i++)
    v[i] = load(p + 16 * i);
  b.quote = equal(v, '"');
  b.backslash = equal(v, '\\');
  b.control = bits(vcltq_u8(v[0], space), vcltq_u8(v[1], space),
                   vcltq_u8(v[2], space), vcltq_u8(v[3], space));
  /* This bit makes { of [ and } of ], and neither of anything else. */
  for (int i = 0; i < 4; i++)
    v[i] = vorrq_u8(v[i], space);
  b.open = equal(v, '{');
  b.close = equal(v, '}');
  return b;
}

BLOCK_INLINE uint8x16_t stops(uint8x16_t v) {
  return vorrq_u8(
      vorrq_u8(vceqq_u8(v, vdupq_n_u8('"')), vceqq_u8(v, vdupq_n_u8('\\'))),
      vcltq_u8(v, vdupq_n_u8(0x20)));
}

BLOCK_INLINE bool is_plain(const char *p) {
  uint8x16_t low = vorrq_u8(stops(load(p)), stops(load(p + 16)));
  uint8x16_t high = vorrq_u8(stops(load(p + 32)), stops(load(p + 48)));

  return vmaxvq_u8(vorrq_u8(low, high)) == 0;
}

BLOCK_INLINE struct text look_at_text(const char *p) {
  const uint8x16_t high = vdupq_n_u8(0x80);
  uint8x16_t v[4];

  for (int i = 0; i < 4; i++)
    v[i] = load(p + 16 * i);
  return (struct text){bits(stops(v[0]), stops(v[1]), stops(v[2]), stops(v[3])),
                       bits(vcgeq_u8(v[0], high), vcgeq_u8(v[1], high),
                            vcgeq_u8(v[2], high), vcgeq_u8(v[3], high))};
}

BLOCK_INLINE uint64_t below_xor(uint64_t value) {
  for (unsigned by = 1; by < 64; by *= 2)
    value ^= value << by;
  return value;
}

BLOCK_INLINE size_t count(uint64_t value) {
  return (size_t)__builtin_popcountll(value);
}

const cfi_scan_path cfi_scan_neon = {"neon", by_blocks, plain};

#else
typedef int cfi_scan_neon_is_empty;
#endif
