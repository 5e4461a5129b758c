/*
 * The path of scan for x86 processors with AVX2, BMI and carry-less
 * multiplication: that is, nearly all of them.
 */
#include "scan_paths.h"

#ifdef CFI_SCAN_X86

#include <immintrin.h>

#define BLOCK_TARGET __attribute__((target("avx2,bmi,popcnt,pclmul")))
enum { TEXT = 32 };
#include "scan_blocks.h"

BLOCK_INLINE __m256i load(const char *p) {
  return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

BLOCK_INLINE __m256i all(int c) { return _mm256_set1_epi8((char)c); }

BLOCK_INLINE uint64_t bits(__m256i low, __m256i high) {
  return (uint32_t)_mm256_movemask_epi8(low) |
         (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

BLOCK_INLINE uint64_t equal(__m256i low, __m256i high, int c) {
  return bits(_mm256_cmpeq_epi8(low, all(c)), _mm256_cmpeq_epi8(high, all(c)));
}

BLOCK_INLINE __m256i controls(__m256i v) {
  return _mm256_cmpeq_epi8(_mm256_min_epu8(v, all(0x1f)), v);
}

BLOCK_INLINE bool any(__m256i low, __m256i high) {
  return _mm256_movemask_epi8(_mm256_or_si256(low, high)) != 0;
}

/* Control characters are rare, so they are looked for together with the
   backslashes, and told from them only then. */
BLOCK_INLINE struct block look(const char *p) {
  __m256i low = load(p), high = load(p + 32);
  struct block b = {equal(low, high, '"'), 0, 0, 0, 0};

  if (any(_mm256_or_si256(_mm256_cmpeq_epi8(low, all('\\')), controls(low)),
          _mm256_or_si256(_mm256_cmpeq_epi8(high, all('\\')),
                          controls(high)))) {
    b.backslash = equal(low, high, '\\');
    b.control = bits(controls(low), controls(high));
  }
  /* This bit makes { of [ and } of ], and neither of anything else. */
  low = _mm256_or_si256(low, all(0x20));
  high = _mm256_or_si256(high, all(0x20));
  b.open = equal(low, high, '{');
  b.close = equal(low, high, '}');
  return b;
}

/* This bit makes a space of a quote, and a control character of another one. */
BLOCK_INLINE __m256i stops(__m256i v) {
  __m256i turned = _mm256_xor_si256(v, all(2));

  return _mm256_or_si256(
      _mm256_cmpeq_epi8(_mm256_min_epu8(turned, all(0x20)), turned),
      _mm256_cmpeq_epi8(v, all('\\')));
}

BLOCK_INLINE bool is_plain(const char *p) {
  return !any(stops(load(p)), stops(load(p + 32)));
}

BLOCK_INLINE struct text look_at_text(const char *p) {
  __m256i v = load(p);

  return (struct text){(unsigned)_mm256_movemask_epi8(stops(v)),
                       (unsigned)_mm256_movemask_epi8(v)};
}

BLOCK_INLINE uint64_t below_xor(uint64_t value) {
  __m128i v = _mm_set_epi64x(0, (long long)value);

  v = _mm_clmulepi64_si128(v, _mm_set1_epi8((char)0xff), 0);
  return (uint64_t)_mm_cvtsi128_si64(v);
}

BLOCK_INLINE size_t count(uint64_t value) {
  return (size_t)__builtin_popcountll(value);
}

const cfi_scan_path cfi_scan_avx2 = {"avx2", by_blocks, plain};

#else
typedef int cfi_scan_avx2_is_empty;
#endif
