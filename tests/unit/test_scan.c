/*
 * The end of an object as each path of the scanner finds it, against a machine
 * that looks at one byte after the other: all bytes, all places, all pieces.
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
      if (s->depth <= 2)
        s->inner = *pos - 1;
    } else if (c == '}' || c == ']') {
      if (--s->depth == 0)
        return CFI_SCAN_END;
    } else if (one_line && (c == '\n' || c == '\r')) {
      return CFI_SCAN_BREAK;
    }
  }
  return CFI_SCAN_MORE;
}

/* The path, and the reference, read the bytes; the path in pieces of one size,
   whose last byte is the last of its block, so that reading on is seen. */
static void compare_path(const cfi_scan_path *path, const char *data,
                         size_t len, size_t piece, bool one_line) {
  cfi_scan want_scan = {0}, scan = {0};
  size_t want_pos = 0, pos = 0, given = 0;
  cfi_scan_result want, got = CFI_SCAN_MORE;
  char *held = NULL;

  want = plainly(&want_scan, one_line, data, len, &want_pos);
  while (got == CFI_SCAN_MORE && given < len) {
    size_t more = len - given < piece ? len - given : piece;

    held = realloc(held, given + more);
    ck_assert_ptr_nonnull(held);
    memcpy(held + given, data + given, more);
    given += more;
    got = path->object(&scan, MAX_DEPTH, one_line, held, given, &pos);
    ck_assert(pos == given || got != CFI_SCAN_MORE);
    /* No byte is asked for twice. */
    memset(held, '"', pos);
  }
  free(held);
  ck_assert_msg(got == want && pos == want_pos,
                "%s, pieces of %zu of %zu: result %d at %zu, wanted %d at %zu",
                path->name, piece, len, (int)got, pos, (int)want, want_pos);
  if (got != CFI_SCAN_MORE && got != CFI_SCAN_END)
    return;
  ck_assert_uint_eq(scan.inner, want_scan.inner);
  ck_assert_uint_eq(scan.depth, want_scan.depth);
  ck_assert_int_eq(scan.in_string, want_scan.in_string);
  ck_assert_int_eq(scan.escaped, want_scan.escaped);
}

static void compare(const char *data, size_t len, size_t piece, bool one_line) {
  const cfi_scan_path *path;

  for (size_t i = 0; (path = cfi_scan_path_at(i)) != NULL; i++)
    compare_path(path, data, len, piece, one_line);
}

START_TEST(test_scan_has_a_portable_path_and_the_best_is_the_last) {
  const cfi_scan_path *last = NULL, *path;
  size_t count = 0;

  for (; (path = cfi_scan_path_at(count)) != NULL; count++)
    last = path;
  ck_assert_uint_ge(count, 1);
  ck_assert_str_eq(cfi_scan_path_at(0)->name, "portable");
  ck_assert_ptr_eq(cfi_scan_best(), last);
#if defined(__x86_64__) || defined(__aarch64__)
  ck_assert_uint_ge(count, 2);
#endif
}
END_TEST

START_TEST(test_scan_sees_every_byte_at_every_place_of_a_string) {
  enum { LEN = 80 };

  for (int c = 0; c < 256; c++)
    for (size_t at = 2; at < LEN - 2; at++) {
      bool special = c < 0x20 || strchr("\"\\{}[]", c) != NULL;
      char text[LEN];

      if (!special && (at + (size_t)c) % 8 != 0)
        continue;
      memset(text, 'a', LEN);
      memcpy(text, "{\"", 2);
      memcpy(text + LEN - 2, "\"}", 2);
      text[at] = (char)c;
      for (size_t piece = 37; piece <= LEN; piece += LEN - 37)
        compare(text, LEN, piece, false);
    }
}
END_TEST

/* After some blocks of a string the paths look for its end alone. */
START_TEST(test_scan_sees_every_special_byte_deep_in_a_long_string) {
  enum { LEN = 64 * 9 + 5 };
  static const char specials[] = "\"\\\n\x1f{]a\xff";

  for (const char *c = specials; *c != '\0'; c++)
    for (size_t at = 64 * 3; at < LEN - 2; at++) {
      char text[LEN];

      memset(text, 'a', LEN);
      memcpy(text, "{\"", 2);
      memcpy(text + LEN - 2, "\"}", 2);
      text[at] = *c;
      for (size_t piece = LEN - 1 - at % 64; piece <= LEN; piece += at % 64 + 1)
        compare(text, LEN, piece, false);
    }
}
END_TEST

START_TEST(test_scan_sees_every_byte_outside_of_strings) {
  for (int c = 0; c < 256; c++)
    for (int one_line = 0; one_line < 2; one_line++) {
      char text[] = "{\"a\":x,\"b\":[1]}";

      text[5] = (char)c;
      for (size_t piece = 1; piece < sizeof text; piece++)
        compare(text, sizeof text - 1, piece, one_line != 0);
    }
}
END_TEST

static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15U);

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

/* Bytes, of which some are more frequent: each kind of text has runs of its
   own, which a block may begin or end in. */
static void fill(char *text, size_t len, uint64_t *seed) {
  static const char bytes[] = "\"\"\\\\{}[]aaaaaaaaaaaaaaaaaa\x80\xff\n\t:,";
  size_t kinds = 2 + (size_t)(next_random(seed) % (sizeof bytes - 3));
  size_t calm = (size_t)(next_random(seed) % 5);

  text[0] = '{';
  for (size_t i = 1; i < len; i++)
    text[i] =
        next_random(seed) % 5 < calm ? 'x' : bytes[next_random(seed) % kinds];
}

START_TEST(test_scan_agrees_on_random_bytes) {
  uint64_t seed = 7;

  for (int round = 0; round < 8000; round++) {
    size_t len = 1 + (size_t)(next_random(&seed) % 300);
    size_t piece = 1 + (size_t)(next_random(&seed) % len);
    char *text = malloc(len);

    ck_assert_ptr_nonnull(text);
    fill(text, len, &seed);
    compare(text, len, round % 3 == 0 ? len : piece,
            next_random(&seed) % 4 == 0);
    free(text);
  }
}
END_TEST

START_TEST(test_scan_agrees_on_objects_that_end) {
  static const char *const parts[] = {
      "{",
      "}",
      "[",
      "]",
      "\"a\"",
      "\"\\\"}{\"",
      "\"\\\\\"",
      ":",
      ",",
      "1",
      "\"\\\\\\\"\"",
      "\"[[[[[[[[[[\"",
      "\"a string of some length, so that a block has nothing else in it\""};
  enum { PARTS = sizeof parts / sizeof parts[0] };
  uint64_t seed = 11;

  for (int round = 0; round < 4000; round++) {
    char text[2048] = "{";
    size_t len = 1, depth = 1;

    while (depth != 0 && len < sizeof text - 80) {
      const char *part = parts[next_random(&seed) % PARTS];
      bool opens = *part == '{' || *part == '[';
      bool closes = *part == '}' || *part == ']';

      if ((opens && depth == MAX_DEPTH) ||
          (closes && depth == 1 && next_random(&seed) % 8 != 0))
        continue;
      depth = depth + opens - closes;
      memcpy(text + len, part, strlen(part));
      len += strlen(part);
    }
    memcpy(text + len, "\n\\{\"", 4);
    compare(text, len + 4, 1 + (size_t)(next_random(&seed) % (len + 4)),
            round % 2 != 0);
  }
}
END_TEST

START_TEST(test_scan_agrees_on_runs_of_backslashes) {
  for (size_t before = 0; before < 70; before++)
    for (size_t run = 0; run < 140; run += run < 5 ? 1 : 17) {
      char text[512] = "{\"";
      size_t len = 2;

      memset(text + len, 'a', before);
      memset(text + len + before, '\\', run);
      len += before + run;
      memcpy(text + len, "\"}\"}", 4);
      compare(text, len + 4, 64, false);
      compare(text, len + 4, len + 4, false);
    }
}
END_TEST

START_TEST(test_scan_finds_the_end_of_plain_text) {
  const cfi_scan_path *path;
  enum { LEN = 90 };

  for (size_t i = 0; (path = cfi_scan_path_at(i)) != NULL; i++)
    for (int c = 0; c < 256; c++)
      for (size_t at = 0; at < LEN; at++) {
        char text[LEN];
        bool stops = c < 0x20 || c == '"' || c == '\\';
        cfi_scan_text found;

        memset(text, 'a', LEN);
        text[at] = (char)c;
        /* Behind a stop nothing counts. */
        if (stops && at + 1 < LEN)
          text[at + 1] = '\xff';
        found = path->plain(text, text + LEN);
        ck_assert_ptr_eq(found.end, stops ? text + at : text + LEN);
        ck_assert_int_eq(found.ascii, c < 0x80);
      }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("scan");
  TCase *scan = tcase_create("scan");

  tcase_add_test(scan, test_scan_has_a_portable_path_and_the_best_is_the_last);
  tcase_add_test(scan, test_scan_sees_every_byte_at_every_place_of_a_string);
  tcase_add_test(scan, test_scan_sees_every_special_byte_deep_in_a_long_string);
  tcase_add_test(scan, test_scan_sees_every_byte_outside_of_strings);
  tcase_add_test(scan, test_scan_agrees_on_random_bytes);
  tcase_add_test(scan, test_scan_agrees_on_objects_that_end);
  tcase_add_test(scan, test_scan_agrees_on_runs_of_backslashes);
  tcase_add_test(scan, test_scan_finds_the_end_of_plain_text);
  suite_add_tcase(suite, scan);
  return cft_run(suite);
}
