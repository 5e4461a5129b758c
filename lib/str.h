/*
 * Small text helpers that do not depend on the locale: ASCII case, decimal
 * numbers, UTF-8, edit distance, hashes.
 */
#ifndef CFI_STR_H
#define CFI_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "changefeed/changefeed.h"

enum { CFI_INT_TEXT = 24 }; /* room for any 64-bit number and '\0' */

/* Writes a number in decimal with '\0'; answers its length. */
size_t cfi_str_from_int(char out[CFI_INT_TEXT], long long value);
/* The whole of text must be a decimal number ("-5", "12"); false when it is
   not or does not fit. */
bool cfi_str_to_int(const char *text, size_t len, int64_t *out);

int cfi_str_lower(int c); /* ASCII only */
/* JSON's four. */
static inline bool cfi_str_is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
bool cfi_str_equal(changefeed_str s, const char *text);
bool cfi_str_same(changefeed_str a, changefeed_str b);
/* ASCII case-insensitive comparison of whole texts. */
bool cfi_str_equal_nocase(const char *a, const char *b);
/* True when text begins with prefix, ASCII case ignored. */
bool cfi_str_starts_nocase(const char *text, const char *prefix);
/* The first place of needle in len bytes, or NULL. */
const char *cfi_str_find(const char *text, size_t len, const char *needle);

/* Strict UTF-8: no surrogates, no overlong forms, nothing past U+10FFFF. */
bool cfi_str_is_utf8(const char *text, size_t len);

/* Edits (insert, delete, replace, swap of neighbours counted as two) between
   two short names; large when either is longer than 40. */
unsigned cfi_str_distance(const char *a, const char *b);

/* 64-bit hash, seeded. Not for hostile input where collisions would matter, and
   not to be stored: it differs between byte orders. */
uint64_t cfi_str_hash(uint64_t seed, const void *data, size_t len);

#endif
