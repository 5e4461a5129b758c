/*
 * Objects by blocks of 64 bytes, for the paths that can look at so many at
 * once. A file that includes this defines BLOCK_TARGET, the attribute of its
 * functions, and before that struct block's makers:
 *
 *   struct block look(const char *p)       what the 64 bytes at p are
 *   uint64_t below_xor(uint64_t bits)      bit i: parity of bits 0 to i
 *
 * Whatever is odd in a block goes the portable path, which thereby decides what
 * all paths answer.
 */
#ifndef CFI_SCAN_BLOCKS_H
#define CFI_SCAN_BLOCKS_H

#include <stdint.h>
#include <string.h>

#include "scan_paths.h"

enum { BLOCK = 64 };

/* A bit for each byte, the first one lowest. */
struct block {
  uint64_t quote, backslash, control, open, close;
};

BLOCK_TARGET static inline struct block look(const char *p);
BLOCK_TARGET static inline uint64_t below_xor(uint64_t bits);

/* Which of the backslashes escape the byte behind them: each second one of a
   run, counted from its begin. Adding at the begins of runs carries through
   them; where it comes out tells whether a run is odd. */
BLOCK_TARGET static inline uint64_t escaping(uint64_t backslash, bool escaped) {
  const uint64_t odd = UINT64_C(0xaaaaaaaaaaaaaaaa);
  uint64_t begins = backslash & ~(uint64_t)escaped;
  uint64_t codes = (((begins << 1) | odd) - begins) ^ odd;

  return codes & backslash;
}

/* What came of the brackets of one block. */
typedef enum nesting { NEST_ON, NEST_END, NEST_ODD } nesting;

/* One bracket after the other: needed only where the object may end, or a value
   directly within it begins. */
BLOCK_TARGET static inline nesting each_bracket(cfi_scan *s, size_t max_depth,
                                                uint64_t open, uint64_t close,
                                                size_t at, unsigned *end) {
  for (uint64_t rest = open | close; rest != 0; rest &= rest - 1) {
    unsigned bit = (unsigned)__builtin_ctzll(rest);

    if ((close >> bit & 1) == 0) {
      if (s->depth == max_depth)
        return NEST_ODD;
      if (s->depth++ <= 1)
        s->inner = at + bit;
    } else if (--s->depth == 0) {
      *end = bit;
      return NEST_END;
    }
  }
  return NEST_ON;
}

BLOCK_TARGET static inline nesting brackets(cfi_scan *s, size_t max_depth,
                                            uint64_t open, uint64_t close,
                                            size_t at, unsigned *end) {
  size_t opened, closed;

  if ((open | close) == 0)
    return NEST_ON;
  opened = (size_t)__builtin_popcountll(open);
  closed = (size_t)__builtin_popcountll(close);
  if (s->depth <= closed + 1 || max_depth - s->depth < opened)
    return each_bracket(s, max_depth, open, close, at, end);
  s->depth += opened;
  s->depth -= closed;
  return NEST_ON;
}

/* One block of n bytes, of which p has 64. */
BLOCK_TARGET static inline nesting one_block(cfi_scan *s, size_t max_depth,
                                             bool one_line, const char *p,
                                             size_t n, size_t at,
                                             unsigned *end) {
  struct block b = look(p);
  uint64_t escape = 0, escaped = s->escaped, string, odd;
  cfi_scan next = *s;
  nesting result;

  if ((b.backslash | escaped) != 0) {
    escape = escaping(b.backslash, s->escaped);
    escaped |= escape << 1;
  }
  string = below_xor(b.quote & ~escaped) ^ (s->in_string ? ~UINT64_C(0) : 0);
  result =
      brackets(&next, max_depth, b.open & ~string, b.close & ~string, at, end);
  odd = (b.backslash & ~string) | (one_line ? b.control : b.control & string);
  if (result == NEST_END)
    odd &= (UINT64_C(1) << *end) - 1;
  if (odd != 0 || result == NEST_ODD)
    return NEST_ODD;
  next.in_string = string >> 63 != 0;
  next.escaped = (escape >> (n - 1) & 1) != 0;
  *s = next;
  return result;
}

BLOCK_TARGET static cfi_scan_result by_blocks(cfi_scan *state, size_t max_depth,
                                              bool one_line, const char *data,
                                              size_t len, size_t *pos) {
  size_t at = *pos;
  cfi_scan s = *state;
  cfi_scan_result result = CFI_SCAN_MORE;

  while (at < len && result == CFI_SCAN_MORE) {
    size_t n = len - at < BLOCK ? len - at : BLOCK;
    const char *p = data + at;
    char last[BLOCK];
    unsigned end = 0;

    if (n < BLOCK) {
      /* Spaces mean nothing, wherever they are. */
      memset(last, ' ', sizeof last);
      memcpy(last, p, n);
      p = last;
    }
    switch (one_block(&s, max_depth, one_line, p, n, at, &end)) {
    case NEST_ON:
      at += n;
      break;
    case NEST_END:
      at += end + 1;
      s.in_string = s.escaped = false;
      result = CFI_SCAN_END;
      break;
    case NEST_ODD:
      result =
          cfi_scan_portable.object(&s, max_depth, one_line, data, at + n, &at);
      break;
    }
  }
  *state = s;
  *pos = at;
  return result;
}

#endif
