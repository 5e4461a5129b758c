/*
 * Small text helpers without a locale.
 */
#include "str.h"

#include <string.h>

size_t cfi_str_from_int(char out[CFI_INT_TEXT], long long value) {
  char digits[CFI_INT_TEXT];
  unsigned long long rest =
      value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value;
  size_t n = 0, len = 0;

  do {
    digits[n++] = (char)('0' + (int)(rest % 10));
    rest /= 10;
  } while (rest != 0);
  if (value < 0)
    out[len++] = '-';
  while (n != 0)
    out[len++] = digits[--n];
  out[len] = '\0';
  return len;
}

bool cfi_str_to_int(const char *text, size_t len, int64_t *out) {
  bool negative = len != 0 && text[0] == '-';
  uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
  uint64_t value = 0;
  size_t i = negative ? 1 : 0;

  if (i == len)
    return false;
  for (; i < len; i++) {
    uint64_t digit = (uint64_t)(unsigned char)text[i] - '0';
    if (digit > 9 || value > (limit - digit) / 10)
      return false;
    value = value * 10 + digit;
  }
  if (negative)
    *out = value == limit ? INT64_MIN : -(int64_t)value;
  else
    *out = (int64_t)value;
  return true;
}

int cfi_str_lower(int c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; }

bool cfi_str_equal(changefeed_str s, const char *text) {
  return s.data != NULL && s.len == strlen(text) &&
         memcmp(s.data, text, s.len) == 0;
}

bool cfi_str_same(changefeed_str a, changefeed_str b) {
  if (a.data == NULL || b.data == NULL)
    return a.data == b.data;
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool cfi_str_equal_nocase(const char *a, const char *b) {
  while (*a != '\0' && cfi_str_lower(*a) == cfi_str_lower(*b)) {
    a++;
    b++;
  }
  return *a == '\0' && *b == '\0';
}

bool cfi_str_starts_nocase(const char *text, const char *prefix) {
  while (*prefix != '\0' && cfi_str_lower(*text) == cfi_str_lower(*prefix)) {
    text++;
    prefix++;
  }
  return *prefix == '\0';
}

const char *cfi_str_find(const char *text, size_t len, const char *needle) {
  size_t n = strlen(needle);

  for (size_t i = 0; n <= len && i <= len - n; i++)
    if (memcmp(text + i, needle, n) == 0)
      return text + i;
  return NULL;
}

/* Length of the sequence a lead byte begins, and the range its second byte
   must lie in; 0 when it begins none. */
static size_t utf8_lead(unsigned char c, unsigned char *low,
                        unsigned char *high) {
  *low = 0x80;
  *high = 0xbf;
  if (c < 0x80)
    return 1;
  if (c >= 0xc2 && c <= 0xdf)
    return 2;
  if (c >= 0xe0 && c <= 0xef) {
    if (c == 0xe0)
      *low = 0xa0;
    if (c == 0xed)
      *high = 0x9f;
    return 3;
  }
  if (c >= 0xf0 && c <= 0xf4) {
    if (c == 0xf0)
      *low = 0x90;
    if (c == 0xf4)
      *high = 0x8f;
    return 4;
  }
  return 0;
}

bool cfi_str_is_utf8(const char *text, size_t len) {
  const unsigned char *p = (const unsigned char *)text;
  const uint64_t highs = UINT64_C(0x8080808080808080);
  uint64_t word;
  size_t i = 0;

  while (i < len) {
    unsigned char low, high;
    size_t n;

    /* Most of most texts is ASCII. */
    if (len - i >= sizeof word) {
      memcpy(&word, p + i, sizeof word);
      if ((word & highs) == 0) {
        i += sizeof word;
        continue;
      }
    }
    n = utf8_lead(p[i], &low, &high);

    if (n == 0 || n > len - i)
      return false;
    for (size_t k = 1; k < n; k++) {
      if (p[i + k] < low || p[i + k] > high)
        return false;
      low = 0x80;
      high = 0xbf;
    }
    i += n;
  }
  return true;
}

unsigned cfi_str_distance(const char *a, const char *b) {
  enum { MAX = 40 };
  unsigned row[MAX + 1];
  size_t la = strlen(a), lb = strlen(b);

  if (la > MAX || lb > MAX)
    return MAX * 2;
  for (size_t j = 0; j <= lb; j++)
    row[j] = (unsigned)j;
  for (size_t i = 1; i <= la; i++) {
    unsigned diagonal = row[0];

    row[0] = (unsigned)i;
    for (size_t j = 1; j <= lb; j++) {
      unsigned best = diagonal + (a[i - 1] != b[j - 1] ? 1U : 0U);

      diagonal = row[j];
      if (row[j] + 1 < best)
        best = row[j] + 1;
      if (row[j - 1] + 1 < best)
        best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  return row[lb];
}

/* The product of two words, its halves folded into one. */
static uint64_t fold(uint64_t a, uint64_t b) {
#ifdef __SIZEOF_INT128__
  __extension__ typedef unsigned __int128 wide;
  wide product = (wide)a * b;

  return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
  uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
  uint64_t cross = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
  uint64_t other = (a & UINT32_MAX) * (b >> 32) + (cross & UINT32_MAX);
  uint64_t high = (a >> 32) * (b >> 32) + (cross >> 32) + (other >> 32);

  return (other << 32 | (low & UINT32_MAX)) ^ high;
#endif
}

static uint64_t word_at(const unsigned char *p) {
  uint64_t word;

  memcpy(&word, p, sizeof word);
  return word;
}

/* Up to eight bytes; the length, which goes in elsewhere, tells zeros that are
   there from those that fill up. */
static uint64_t part_at(const unsigned char *p, size_t len) {
  uint64_t word = 0;

  while (len != 0)
    word = word << 8 | p[--len];
  return word;
}

/* As wyhash does it: sixteen bytes a step, one multiplication each. The last
   step takes the last sixteen, some of them again. */
uint64_t cfi_str_hash(uint64_t seed, const void *data, size_t len) {
  const uint64_t k0 = UINT64_C(0xa0761d6478bd642f);
  const uint64_t k1 = UINT64_C(0xe7037ed1a0b428db);
  const unsigned char *p = data;
  uint64_t h = seed ^ fold(seed ^ k0, k1), a, b;

  if (len > 16) {
    for (size_t at = 0; len - at > 16; at += 16)
      h = fold(word_at(p + at) ^ k1, word_at(p + at + 8) ^ h);
    a = word_at(p + len - 16);
    b = word_at(p + len - 8);
  } else if (len >= 8) {
    a = word_at(p);
    b = word_at(p + len - 8);
  } else {
    a = part_at(p, len);
    b = 0;
  }
  return fold(k1 ^ len, fold(a ^ k1, b ^ h));
}
