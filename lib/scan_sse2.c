/*
 * The path of scan for each x86 processor of 64 bits.
 */
#include "scan_paths.h"

#ifdef CFI_SCAN_X86

#include <emmintrin.h>

#define BLOCK_TARGET
#include "scan_blocks.h"

static inline __m128i load(const char *p) {
  return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline __m128i all(int c) { return _mm_set1_epi8((char)c); }

static inline uint64_t bits(__m128i v) {
  return (unsigned)_mm_movemask_epi8(v);
}

static inline __m128i controls(__m128i v) {
  return _mm_cmpeq_epi8(_mm_min_epu8(v, all(0x1f)), v);
}

static inline struct block look(const char *p) {
  struct block b = {0, 0, 0, 0, 0};

  for (unsigned at = 0; at < BLOCK; at += 16) {
    __m128i v = load(p + at);
    /* This bit makes { of [ and } of ], and neither of anything else. */
    __m128i braces = _mm_or_si128(v, all(0x20));

    b.quote |= bits(_mm_cmpeq_epi8(v, all('"'))) << at;
    b.backslash |= bits(_mm_cmpeq_epi8(v, all('\\'))) << at;
    b.control |= bits(controls(v)) << at;
    b.open |= bits(_mm_cmpeq_epi8(braces, all('{'))) << at;
    b.close |= bits(_mm_cmpeq_epi8(braces, all('}'))) << at;
  }
  return b;
}

static inline uint64_t below_xor(uint64_t value) {
  for (unsigned by = 1; by < 64; by *= 2)
    value ^= value << by;
  return value;
}

static const char *plain(const char *p, const char *end, bool *ascii) {
  for (; end - p >= 16; p += 16) {
    __m128i v = load(p);
    __m128i stops = _mm_or_si128(
        _mm_or_si128(_mm_cmpeq_epi8(v, all('"')), _mm_cmpeq_epi8(v, all('\\'))),
        controls(v));
    unsigned stop = (unsigned)_mm_movemask_epi8(stops);
    unsigned high = (unsigned)_mm_movemask_epi8(v);

    if (stop != 0) {
      /* Of the bytes before the first stop. */
      *ascii = *ascii && (high & (stop ^ (stop - 1))) == 0;
      return p + __builtin_ctz(stop);
    }
    *ascii = *ascii && high == 0;
  }
  return cfi_scan_portable.plain(p, end, ascii);
}

const cfi_scan_path cfi_scan_sse2 = {"sse2", by_blocks, plain};

#else
typedef int cfi_scan_sse2_is_empty;
#endif
