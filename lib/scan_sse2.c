/*
 * The path of scan for each x86 processor of 64 bits.
 */
#include "scan_paths.h"

#ifdef CFI_SCAN_X86

#include <emmintrin.h>

#define BLOCK_TARGET
enum { TEXT = 16 };
#include "scan_blocks.h"

BLOCK_INLINE __m128i load(const char *p) {
  return _mm_loadu_si128((const __m128i *)(const void *)p);
}

BLOCK_INLINE __m128i all(int c) { return _mm_set1_epi8((char)c); }

BLOCK_INLINE uint64_t bits(__m128i v) { return (unsigned)_mm_movemask_epi8(v); }

BLOCK_INLINE __m128i controls(__m128i v) {
  return _mm_cmpeq_epi8(_mm_min_epu8(v, all(0x1f)), v);
}

BLOCK_INLINE __m128i or4(__m128i a, __m128i b, __m128i c, __m128i d) {
  return _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d));
}

BLOCK_INLINE uint64_t bits4(__m128i a, __m128i b, __m128i c, __m128i d) {
  return bits(a) | bits(b) << 16 | bits(c) << 32 | bits(d) << 48;
}

BLOCK_INLINE uint64_t equal(const __m128i v[4], int c) {
  return bits4(_mm_cmpeq_epi8(v[0], all(c)), _mm_cmpeq_epi8(v[1], all(c)),
               _mm_cmpeq_epi8(v[2], all(c)), _mm_cmpeq_epi8(v[3], all(c)));
}

/* Bits out of vectors are what costs here: so first whether there are any. */
BLOCK_INLINE void look_at_specials(const __m128i v[4], struct block *b) {
  __m128i special[4];

  for (int i = 0; i < 4; i++)
    special[i] = _mm_or_si128(_mm_cmpeq_epi8(v[i], all('\\')), controls(v[i]));
  if (bits(or4(special[0], special[1], special[2], special[3])) == 0)
    return;
  b->backslash = equal(v, '\\');
  b->control =
      bits4(controls(v[0]), controls(v[1]), controls(v[2]), controls(v[3]));
}

BLOCK_INLINE void look_at_brackets(const __m128i v[4], struct block *b) {
  __m128i braces[4], found[4];

  for (int i = 0; i < 4; i++) {
    /* This bit makes { of [ and } of ], and neither of anything else. */
    braces[i] = _mm_or_si128(v[i], all(0x20));
    found[i] = _mm_or_si128(_mm_cmpeq_epi8(braces[i], all('{')),
                            _mm_cmpeq_epi8(braces[i], all('}')));
  }
  if (bits(or4(found[0], found[1], found[2], found[3])) == 0)
    return;
  b->open = equal(braces, '{');
  b->close = equal(braces, '}');
}

BLOCK_INLINE struct block look(const char *p) {
  __m128i v[4];
  struct block b;

  for (int i = 0; i < 4; i++)
    v[i] = load(p + 16 * i);
  b = (struct block){equal(v, '"'), 0, 0, 0, 0};
  look_at_specials(v, &b);
  look_at_brackets(v, &b);
  return b;
}

/* This bit makes a space of a quote, and a control character of another one. */
BLOCK_INLINE __m128i stops(__m128i v) {
  __m128i turned = _mm_xor_si128(v, all(2));

  return _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(turned, all(0x20)), turned),
                      _mm_cmpeq_epi8(v, all('\\')));
}

BLOCK_INLINE bool is_plain(const char *p) {
  return bits(or4(stops(load(p)), stops(load(p + 16)), stops(load(p + 32)),
                  stops(load(p + 48)))) == 0;
}

BLOCK_INLINE struct text look_at_text(const char *p) {
  __m128i v = load(p);

  return (struct text){bits(stops(v)), bits(v)};
}

BLOCK_INLINE uint64_t below_xor(uint64_t value) {
  for (unsigned by = 1; by < 64; by *= 2)
    value ^= value << by;
  return value;
}

/* The instruction for it is younger than SSE2. */
BLOCK_INLINE size_t count(uint64_t value) {
  const uint64_t ones = UINT64_C(0x0101010101010101);

  value -= value >> 1 & ones * 0x55;
  value = (value & ones * 0x33) + (value >> 2 & ones * 0x33);
  value = (value + (value >> 4)) & ones * 0x0f;
  return (size_t)(value * ones >> 56);
}

const cfi_scan_path cfi_scan_sse2 = {"sse2", by_blocks, plain};

#else
typedef int cfi_scan_sse2_is_empty;
#endif
