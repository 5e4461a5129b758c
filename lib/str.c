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

static uint64_t hash_round(uint64_t h, uint64_t word) {
  word *= 0xc2b2ae3d27d4eb4fU;
  h ^= (word << 31 | word >> 33) * 0x9e3779b185ebca87U;
  return (h << 27 | h >> 37) * 0x9e3779b185ebca87U + 0x85ebca77c2b2ae63U;
}

/* The rounds and the end of XXH64, eight bytes at a time in one lane: ids and
   revisions are short. The last word is filled up with zeros, which the length
   in the first value tells from real ones. */
uint64_t cfi_str_hash(uint64_t seed, const void *data, size_t len) {
  const unsigned char *p = data;
  uint64_t h = seed + 0x27d4eb2f165667c5U + len * 0xc2b2ae3d27d4eb4fU;
  uint64_t word;

  for (; len >= sizeof word; len -= sizeof word, p += sizeof word) {
    memcpy(&word, p, sizeof word); /* of this fixed size it is one load */
    h = hash_round(h, word);
  }
  word = 0;
  while (len != 0)
    word = word << 8 | p[--len];
  h = hash_round(h, word);
  h = (h ^ (h >> 33)) * 0xc2b2ae3d27d4eb4fU;
  h = (h ^ (h >> 29)) * 0x165667b19e3779f9U;
  return h ^ (h >> 32);
}
