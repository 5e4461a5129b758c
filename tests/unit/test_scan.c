/*
 * The end of an object as the scanner finds it, against a machine that looks at
 * one byte after the other: all bytes, all places, all pieces.
 */
#include "scan.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "support/unit.h"

enum { MAX_DEPTH = 5 };

/* The reference: *pos and the result after the bytes up to len. */
static cfi_scan_result plainly(cfi_scan *s, bool one_line, const char *data,
                               size_t len, size_t *pos) {
  while (*pos < len) {
    unsigned char c = (unsigned char)data[(*pos)++];

    if (s->in_string && c < 0x20)
      return CFI_SCAN_CONTROL;
    if (s->escaped) {
      s->escaped = false;
    } else if (s->in_string) {
      s->escaped = c == '\\';
      s->in_string = c != '"';
    } else if (c == '"') {
      s->in_string = true;
    } else if (c == '{' || c == '[') {
      if (++s->depth > MAX_DEPTH)
        return CFI_SCAN_TOO_DEEP;
    } else if (c == '}' || c == ']') {
      if (--s->depth == 0)
        return CFI_SCAN_END;
    } else if (one_line && (c == '\n' || c == '\r')) {
      return CFI_SCAN_BREAK;
    }
  }
  return CFI_SCAN_MORE;
}

/* Both read the bytes, the scanner in two pieces. */
static void compare(const char *data, size_t len, size_t cut, bool one_line) {
  cfi_scan want_scan = {0}, scan = {0};
  size_t want_pos = 0, pos = 0;
  cfi_scan_result want, got;

  want = plainly(&want_scan, one_line, data, len, &want_pos);
  got = cfi_scan_object(&scan, MAX_DEPTH, one_line, data, cut, &pos);
  if (got == CFI_SCAN_MORE) {
    ck_assert_uint_eq(pos, cut);
    got = cfi_scan_object(&scan, MAX_DEPTH, one_line, data, len, &pos);
  }
  ck_assert_msg(got == want && pos == want_pos,
                "cut at %zu of %zu: result %d at %zu, wanted %d at %zu", cut,
                len, (int)got, pos, (int)want, want_pos);
  if (got == CFI_SCAN_END)
    ck_assert(scan.depth == 0 && !scan.in_string && !scan.escaped);
}

START_TEST(test_scan_sees_every_byte_at_every_place_of_a_string) {
  enum { LEN = 40 };

  for (int c = 0; c < 256; c++)
    for (size_t at = 2; at < LEN - 2; at++) {
      char text[LEN];

      memset(text, 'a', LEN);
      memcpy(text, "{\"", 2);
      memcpy(text + LEN - 2, "\"}", 2);
      text[at] = (char)c;
      for (size_t cut = 1; cut < LEN; cut += 3)
        compare(text, LEN, cut, false);
    }
}
END_TEST

START_TEST(test_scan_sees_every_byte_outside_of_strings) {
  for (int c = 0; c < 256; c++)
    for (int one_line = 0; one_line < 2; one_line++) {
      char text[] = "{\"a\":x,\"b\":[1]}";

      text[5] = (char)c;
      for (size_t cut = 1; cut < sizeof text - 1; cut++)
        compare(text, sizeof text - 1, cut, one_line != 0);
    }
}
END_TEST

static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15U);

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

START_TEST(test_scan_agrees_on_random_bytes) {
  static const char bytes[] = "\"\"\\\\{}[]aaaaaaaaaaaaaaaaaa\x80\xff\n\t:,";
  uint64_t seed = 7;

  for (int round = 0; round < 200000; round++) {
    size_t len = 1 + (size_t)(next_random(&seed) % 80);
    size_t kinds = 2 + (size_t)(next_random(&seed) % (sizeof bytes - 3));
    /* Exactly as long, so that reading on is seen. */
    char *text = malloc(len);

    ck_assert_ptr_nonnull(text);
    text[0] = '{';
    for (size_t i = 1; i < len; i++)
      text[i] = bytes[next_random(&seed) % kinds];
    compare(text, len, (size_t)(next_random(&seed) % len),
            next_random(&seed) % 4 == 0);
    free(text);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("scan");
  TCase *scan = tcase_create("scan");

  tcase_add_test(scan, test_scan_sees_every_byte_at_every_place_of_a_string);
  tcase_add_test(scan, test_scan_sees_every_byte_outside_of_strings);
  tcase_add_test(scan, test_scan_agrees_on_random_bytes);
  suite_add_tcase(suite, scan);
  return cft_run(suite);
}
