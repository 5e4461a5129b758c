/*
 * The portable path: two loops that hand over to each other, one within
 * strings, which most bytes of a feed are in and which goes eight bytes at a
 * time, and one outside. And the choice among all paths.
 */
#include "scan_paths.h"

#include <stdint.h>
#include <string.h>

/* Bytes that end the fast way through a string: its quote, a backslash, and
   control characters, which are not allowed there. */
static bool is_special(unsigned char c) {
  return c == '"' || c == '\\' || c < 0x20;
}

/* The same asked of eight bytes at once: the lowest bit set in the answer is
   that of the first special byte in memory order, if the machine is little-
   endian; 0 when there is none. */
static uint64_t special_bits(uint64_t word) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  const uint64_t highs = ones << 7;
  uint64_t quote = word ^ (ones * '"');
  uint64_t backslash = word ^ (ones * '\\');

  return (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
          ((word - ones * 0x20) & ~word)) &
         highs;
}

/* The first special byte from p on, or end. */
static const char *skip_plain(const char *p, const char *end) {
  uint64_t word;

  while ((size_t)(end - p) >= sizeof word) {
    uint64_t bits;

    memcpy(&word, p, sizeof word);
    bits = special_bits(word);
    if (bits != 0) {
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
      return p + __builtin_ctzll(bits) / 8;
#else
      break;
#endif
    }
    p += sizeof word;
  }
  while (p < end && !is_special((unsigned char)*p))
    p++;
  return p;
}

/* Up to the end of the string, of the bytes, or a fault. */
static cfi_scan_result within_string(cfi_scan *s, const char **at,
                                     const char *end) {
  const char *p = *at;
  cfi_scan_result result = CFI_SCAN_MORE;

  while (p < end && s->in_string && result == CFI_SCAN_MORE) {
    if (!s->escaped)
      p = skip_plain(p, end);
    if (p == end)
      break;
    if ((unsigned char)*p < 0x20)
      result = CFI_SCAN_CONTROL;
    else if (s->escaped)
      s->escaped = false;
    else if (*p == '"')
      s->in_string = false;
    else
      s->escaped = true;
    p++;
  }
  *at = p;
  return result;
}

/* Up to the next string, the end of the object, of the bytes, or a fault. */
static cfi_scan_result outside_strings(cfi_scan *s, size_t max_depth,
                                       bool one_line, const char *data,
                                       const char **at, const char *end) {
  const char *p = *at;
  cfi_scan_result result = CFI_SCAN_MORE;

  while (p < end && !s->in_string && result == CFI_SCAN_MORE) {
    switch (*p++) {
    case '"':
      s->in_string = true;
      break;
    case '{':
    case '[':
      if (s->depth == max_depth)
        result = CFI_SCAN_TOO_DEEP;
      else if (s->depth++ <= 1)
        s->inner = (size_t)(p - 1 - data);
      break;
    case '}':
    case ']':
      if (--s->depth == 0)
        result = CFI_SCAN_END;
      break;
    case '\n':
    case '\r':
      if (one_line)
        result = CFI_SCAN_BREAK;
      break;
    default:
      break;
    }
  }
  *at = p;
  return result;
}

static cfi_scan_result object(cfi_scan *s, size_t max_depth, bool one_line,
                              const char *data, size_t len, size_t *pos) {
  const char *p = data + *pos, *end = data + len;
  cfi_scan_result result = CFI_SCAN_MORE;

  while (p < end && result == CFI_SCAN_MORE)
    result = s->in_string
                 ? within_string(s, &p, end)
                 : outside_strings(s, max_depth, one_line, data, &p, end);
  *pos = (size_t)(p - data);
  return result;
}

static cfi_scan_text plain(const char *p, const char *end) {
  const char *stop = skip_plain(p, end);
  const uint64_t highs = UINT64_C(0x8080808080808080);
  uint64_t seen = 0, word;

  for (; (size_t)(stop - p) >= sizeof word; p += sizeof word) {
    memcpy(&word, p, sizeof word);
    seen |= word;
  }
  for (; p < stop; p++)
    seen |= (unsigned char)*p;
  return (cfi_scan_text){stop, (seen & highs) == 0};
}

const cfi_scan_path cfi_scan_portable = {"portable", object, plain};

/* ---- the choice ---- */

const cfi_scan_path *cfi_scan_path_at(size_t index) {
  const cfi_scan_path *paths[4] = {&cfi_scan_portable, NULL, NULL, NULL};

#ifdef CFI_SCAN_X86
  paths[1] = &cfi_scan_sse2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
      __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("pclmul"))
    paths[2] = &cfi_scan_avx2;
#endif
#ifdef CFI_SCAN_NEON
  paths[1] = &cfi_scan_neon;
#endif
  return index < 4 ? paths[index] : NULL;
}

const cfi_scan_path *cfi_scan_best(void) {
  const cfi_scan_path *best = &cfi_scan_portable, *path;

  for (size_t i = 0; (path = cfi_scan_path_at(i)) != NULL; i++)
    best = path;
  return best;
}
