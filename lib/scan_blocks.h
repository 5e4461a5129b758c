/*
 * Objects by blocks of 64 bytes, for the paths that can look at so many at
 * once. A file that includes this defines BLOCK_TARGET, the attribute of its
 * functions, and behind it what depends on the processor:
 *
 *   struct block look(const char *p)       what the 64 bytes at p are
 *   bool is_plain(const char *p)           are they nothing a string may end
 *                                          or go wrong with
 *   struct text look_at_text(const char *p) and of the TEXT bytes
 *   uint64_t below_xor(uint64_t bits)      bit i: parity of bits 0 to i
 *   size_t count(uint64_t bits)            how many are set
 *
 * Whatever is odd in a block goes the portable path, which thereby decides what
 * all paths answer.
 */
#ifndef CFI_SCAN_BLOCKS_H
#define CFI_SCAN_BLOCKS_H

#include <stdint.h>
#include <string.h>

#include "scan_paths.h"

/* LONG_STRING: so many blocks of a string in a row promise more of them. */
enum { BLOCK = 64, LONG_STRING = 4 };

/* All of a path is one loop that keeps its state in registers. */
#define BLOCK_INLINE BLOCK_TARGET static inline __attribute__((always_inline))

/* A bit for each byte, the first one lowest. */
struct block {
  uint64_t quote, backslash, control, open, close;
};

/* What plain asks of TEXT bytes. */
struct text {
  uint64_t stop, not_ascii;
};

BLOCK_INLINE struct block look(const char *p);
BLOCK_INLINE bool is_plain(const char *p);
BLOCK_INLINE struct text look_at_text(const char *p);
BLOCK_INLINE uint64_t below_xor(uint64_t bits);
BLOCK_INLINE size_t count(uint64_t bits);

/* cfi_scan as the loop keeps it. */
struct walk {
  size_t depth, inner;
  uint64_t string;  /* all ones within a string, otherwise 0 */
  uint64_t escaped; /* 1 or 0 */
};

/* PLAIN: as ON, and the block was nothing but a piece of a string. */
typedef enum step { STEP_ON, STEP_PLAIN, STEP_END, STEP_ODD } step;

/* Which of the backslashes escape the byte behind them: each second one of a
   run, counted from its begin. Adding at the begins of runs carries through
   them; where it comes out tells whether a run is odd. */
BLOCK_INLINE uint64_t escaping(uint64_t backslash, uint64_t escaped) {
  const uint64_t odd = UINT64_C(0xaaaaaaaaaaaaaaaa);
  uint64_t begins = backslash & ~escaped;
  uint64_t codes = (((begins << 1) | odd) - begins) ^ odd;

  return codes & backslash;
}

/* One bracket after the other: needed only where the object may end, or a value
   directly within it begins. */
BLOCK_INLINE step each_bracket(struct walk *w, size_t max_depth, uint64_t open,
                               uint64_t close, size_t at, unsigned *end) {
  for (uint64_t rest = open | close; rest != 0; rest &= rest - 1) {
    unsigned bit = (unsigned)__builtin_ctzll(rest);

    if ((close >> bit & 1) == 0) {
      if (w->depth == max_depth)
        return STEP_ODD;
      if (w->depth++ <= 1)
        w->inner = at + bit;
    } else if (--w->depth == 0) {
      *end = bit;
      return STEP_END;
    }
  }
  return STEP_ON;
}

BLOCK_INLINE step brackets(struct walk *w, size_t max_depth, uint64_t open,
                           uint64_t close, size_t at, unsigned *end) {
  size_t opened, closed;

  if ((open | close) == 0)
    return STEP_ON;
  opened = count(open);
  closed = count(close);
  if (w->depth <= closed + 1 || max_depth - w->depth < opened)
    return each_bracket(w, max_depth, open, close, at, end);
  w->depth = w->depth + opened - closed;
  return STEP_ON;
}

/* The block at p, of which n bytes count and the others are spaces; at is its
   place in the object. ODD: w is of no use any more. */
BLOCK_INLINE step one_block(struct walk *w, size_t max_depth, bool one_line,
                            const char *p, size_t n, size_t at, unsigned *end) {
  struct block b = look(p);
  uint64_t escape = 0, escaped = w->escaped, string, odd;
  step result;

  if ((b.backslash | escaped) != 0) {
    escape = escaping(b.backslash, escaped);
    escaped |= escape << 1;
  }
  string = below_xor(b.quote & ~escaped) ^ w->string;
  result = brackets(w, max_depth, b.open & ~string, b.close & ~string, at, end);
  odd = (b.backslash & ~string) | (one_line ? b.control : b.control & string);
  if (odd != 0) {
    /* What is behind the end is not the object's. */
    if (result != STEP_END || (odd & ((UINT64_C(1) << *end) - 1)) != 0)
      return STEP_ODD;
  }
  w->string = 0 - (string >> 63);
  w->escaped = escape >> (n - 1) & 1;
  return (b.quote | b.backslash) == 0 && string != 0 ? STEP_PLAIN : result;
}

/* A block the portable way. */
BLOCK_TARGET static __attribute__((noinline)) cfi_scan_result
odd_block(cfi_scan *s, const struct walk *w, size_t max_depth, bool one_line,
          const char *data, size_t len, size_t *at) {
  s->depth = w->depth;
  s->inner = w->inner;
  s->in_string = w->string != 0;
  s->escaped = w->escaped != 0;
  return cfi_scan_portable.object(s, max_depth, one_line, data, len, at);
}

/* Within a string, as many blocks as are nothing but a piece of it: this goes
   as fast as memory does. Not inlined, or its registers would be missing where
   strings are short. */
BLOCK_TARGET static __attribute__((noinline)) size_t
skip_plain_blocks(const char *data, size_t len, size_t at) {
  while (len - at >= BLOCK && is_plain(data + at))
    at += BLOCK;
  return at;
}

BLOCK_TARGET static cfi_scan_result by_blocks(cfi_scan *s, size_t max_depth,
                                              bool one_line, const char *data,
                                              size_t len, size_t *pos) {
  struct walk w = {s->depth, s->inner, 0 - (uint64_t)s->in_string, s->escaped};
  size_t at = *pos;
  unsigned plain = 0;

  while (at < len) {
    size_t n = len - at < BLOCK ? len - at : BLOCK;
    const char *p = data + at;
    struct walk next = w;
    char last[BLOCK];
    unsigned end = 0;
    step result;

    if (n < BLOCK) {
      /* Spaces mean nothing, wherever they are. */
      memset(last, ' ', sizeof last);
      memcpy(last, p, n);
      p = last;
    }
    result = one_block(&next, max_depth, one_line, p, n, at, &end);
    if (result == STEP_END) {
      *pos = at + end + 1;
      *s = (cfi_scan){0, next.inner, false, false};
      return CFI_SCAN_END;
    }
    if (result == STEP_ODD) {
      cfi_scan_result found =
          odd_block(s, &w, max_depth, one_line, data, at + n, &at);

      if (found != CFI_SCAN_MORE) {
        *pos = at;
        return found;
      }
      next = (struct walk){s->depth, s->inner, 0 - (uint64_t)s->in_string,
                           s->escaped};
    } else {
      at += n;
    }
    plain = result == STEP_PLAIN ? plain + 1 : 0;
    if (__builtin_expect(plain == LONG_STRING, 0))
      at = skip_plain_blocks(data, len, at);
    w = next;
  }
  *s = (cfi_scan){w.depth, w.inner, w.string != 0, w.escaped != 0};
  *pos = at;
  return CFI_SCAN_MORE;
}

BLOCK_TARGET static cfi_scan_text plain(const char *p, const char *end) {
  uint64_t not_ascii = 0;
  cfi_scan_text rest;

  for (; end - p >= TEXT; p += TEXT) {
    struct text t = look_at_text(p);

    if (t.stop != 0) {
      /* Only what is before the first stop counts. */
      not_ascii |= t.not_ascii & (t.stop ^ (t.stop - 1));
      return (cfi_scan_text){p + __builtin_ctzll(t.stop), not_ascii == 0};
    }
    not_ascii |= t.not_ascii;
  }
  rest = cfi_scan_portable.plain(p, end);
  rest.ascii = rest.ascii && not_ascii == 0;
  return rest;
}

#endif
