/*
 * Revisions packed. The first byte tells the two forms apart: a generation is
 * never 0 in the short one, and 0 stands before the length of any other text.
 */
#include "mirror_tree_rev.h"

#include <string.h>

#include "str.h"

enum { DIGITS = 32 };

size_t cfi_tree_number_put(unsigned char *out, uint64_t number) {
  size_t len = 0;

  for (; number >= 0x80; number >>= 7)
    out[len++] = (unsigned char)(number | 0x80);
  out[len++] = (unsigned char)number;
  return len;
}

/* More than 15 for what is no lower-case hexadecimal digit. By a table: whether
   a digit is a letter is anybody's guess, the processor's too. */
static unsigned nibble(char c) {
  static const unsigned char one_more[256] = {
      ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
      ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
      ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

  return one_more[(unsigned char)c] - 1U;
}

/* The generation and the hyphen behind it; 0 when the short form would not give
   back the same text. Answers the bytes read. */
static size_t read_generation(changefeed_str rev, uint64_t *out) {
  size_t len = rev.len - DIGITS - 1;
  int64_t number;

  /* Eighteen digits always fit; more than that is no generation. */
  if (len > 18 || rev.data[0] < '1' || rev.data[0] > '9' ||
      rev.data[len] != '-' || !cfi_str_to_int(rev.data, len, &number))
    return 0;
  *out = (uint64_t)number;
  return len + 1;
}

static bool pack_short(changefeed_str rev, cfi_tree_packed *out) {
  unsigned wrong = 0;
  const char *digits;
  unsigned char *to;
  uint64_t generation;
  size_t at;

  if (rev.len < DIGITS + 2)
    return false;
  at = read_generation(rev, &generation);
  if (at == 0)
    return false;
  out->head_len = cfi_tree_number_put(out->head, generation);
  to = out->head + out->head_len;
  digits = rev.data + at;
  for (unsigned i = 0; i < DIGITS / 2; i++) {
    unsigned high = nibble(digits[2 * i]), low = nibble(digits[2 * i + 1]);

    wrong |= high | low;
    to[i] = (unsigned char)(high << 4 | (low & 15));
  }
  if (wrong > 15)
    return false;
  out->head_len += DIGITS / 2;
  out->tail = (changefeed_str){NULL, 0};
  out->len = out->head_len;
  return true;
}

void cfi_tree_rev_pack(changefeed_str rev, cfi_tree_packed *out) {
  if (pack_short(rev, out))
    return;
  out->head[0] = 0;
  out->head_len = 1 + cfi_tree_number_put(out->head + 1, rev.len);
  out->tail = rev;
  if (rev.data == NULL)
    out->tail.data = "";
  out->len = out->head_len + rev.len + 1;
}

void cfi_tree_rev_write(const cfi_tree_packed *packed, unsigned char *out) {
  memcpy(out, packed->head, packed->head_len);
  if (packed->tail.data == NULL)
    return;
  memcpy(out + packed->head_len, packed->tail.data, packed->tail.len);
  out[packed->len - 1] = '\0';
}

size_t cfi_tree_rev_size(const unsigned char *p) {
  const unsigned char *from = p;
  uint64_t number = cfi_tree_number_get(&p);

  if (number != 0)
    return (size_t)(p - from) + DIGITS / 2;
  number = cfi_tree_number_get(&p);
  return (size_t)(p - from) + (size_t)number + 1;
}

bool cfi_tree_rev_same(const unsigned char *p, const cfi_tree_packed *packed) {
  /* The sizes first: they say that as many bytes are there to be compared. */
  return cfi_tree_rev_size(p) == packed->len &&
         memcmp(p, packed->head, packed->head_len) == 0 &&
         (packed->tail.data == NULL ||
          memcmp(p + packed->head_len, packed->tail.data, packed->tail.len) ==
              0);
}

changefeed_str cfi_tree_rev_text(const unsigned char *p,
                                 char room[CFI_TREE_REV_ROOM]) {
  static const char digits[] = "0123456789abcdef";
  uint64_t number = cfi_tree_number_get(&p);
  char *to;

  if (number == 0) {
    size_t len = (size_t)cfi_tree_number_get(&p);

    return (changefeed_str){(const char *)p, len};
  }
  to = room + cfi_str_from_int(room, (long long)number);
  *to++ = '-';
  for (unsigned i = 0; i < DIGITS / 2; i++) {
    *to++ = digits[p[i] >> 4];
    *to++ = digits[p[i] & 15];
  }
  *to = '\0';
  return (changefeed_str){room, (size_t)(to - room)};
}
