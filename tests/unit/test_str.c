/* Text helpers: the same answers in every locale. */
#include "str.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "support/unit.h"

static changefeed_str str(const char *text) {
  changefeed_str s = {text, text != NULL ? strlen(text) : 0};
  return s;
}

static bool to_int(const char *text, int64_t *out) {
  return cfi_str_to_int(text, strlen(text), out);
}

START_TEST(test_str_numbers_survive_the_way_to_text_and_back) {
  static const int64_t values[] = {
      0, 1, -1, 9, 10, -10, 1234567890123, INT64_MAX, INT64_MIN};
  char text[CFI_INT_TEXT];

  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    int64_t back = 42;
    size_t len = cfi_str_from_int(text, values[i]);

    ck_assert_uint_eq(len, strlen(text));
    ck_assert(cfi_str_to_int(text, len, &back));
    ck_assert_int_eq(back, values[i]);
  }
  ck_assert_uint_eq(cfi_str_from_int(text, INT64_MIN), 20);
  ck_assert_str_eq(text, "-9223372036854775808");
}
END_TEST

START_TEST(test_str_refuses_what_is_no_whole_number) {
  static const char *const bad[] = {"",
                                    "-",
                                    "+1",
                                    " 1",
                                    "1 ",
                                    "1.0",
                                    "1e3",
                                    "0x1",
                                    "--1",
                                    "1-",
                                    "9223372036854775808",
                                    "-9223372036854775809",
                                    "99999999999999999999",
                                    "\xd9\xa1"};
  int64_t out = 7;

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(!to_int(bad[i], &out), "accepted: %s", bad[i]);
  ck_assert_int_eq(out, 7);
  ck_assert(!cfi_str_to_int("1\0", 2, &out));
  ck_assert(to_int("007", &out));
  ck_assert_int_eq(out, 7);
  ck_assert(to_int("-0", &out));
  ck_assert_int_eq(out, 0);
}
END_TEST

/* In Turkish 'I' and 'i' are not one letter; here they are, always. */
START_TEST(test_str_case_is_ascii_whatever_the_locale) {
  static const char *const locales[] = {"C", "tr_TR.UTF-8", "C.UTF-8"};

  for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++) {
    (void)setlocale(LC_ALL, locales[i]); /* not all are installed */
    for (int c = -128; c < 256; c++)
      ck_assert_int_eq(cfi_str_lower(c), c >= 'A' && c <= 'Z' ? c + 32 : c);
    ck_assert(cfi_str_equal_nocase("TITLE", "title"));
    ck_assert(!cfi_str_equal_nocase("title", "titl"));
    ck_assert(!cfi_str_equal_nocase("titl", "title"));
    ck_assert(!cfi_str_equal_nocase("\xc3\x84", "\xc3\xa4"));
    ck_assert(cfi_str_starts_nocase("HTTP://x", "http://"));
    ck_assert(!cfi_str_starts_nocase("htt", "http"));
    ck_assert(cfi_str_starts_nocase("x", ""));
  }
}
END_TEST

START_TEST(test_str_space_is_that_of_json) {
  for (int c = 0; c < 256; c++)
    ck_assert_int_eq(cfi_str_is_space((char)c),
                     c == ' ' || c == '\t' || c == '\n' || c == '\r');
}
END_TEST

START_TEST(test_str_compares_counted_strings_with_their_nulls) {
  changefeed_str nul = {"a\0b", 3}, other = {"a\0c", 3}, absent = {NULL, 0};

  ck_assert(cfi_str_equal(str("abc"), "abc"));
  ck_assert(!cfi_str_equal(str("abc"), "ab"));
  ck_assert(!cfi_str_equal(str("ab"), "abc"));
  ck_assert(!cfi_str_equal(nul, "a"));
  ck_assert(!cfi_str_equal(absent, ""));
  ck_assert(cfi_str_same(nul, nul));
  ck_assert(!cfi_str_same(nul, other));
  ck_assert(cfi_str_same(absent, absent));
  ck_assert(!cfi_str_same(absent, str("")));
  ck_assert(cfi_str_same(str(""), str("")));
}
END_TEST

START_TEST(test_str_finds_the_first_place_within_the_length) {
  const char *text = "abcabd";

  ck_assert_ptr_eq(cfi_str_find(text, 6, "abd"), text + 3);
  ck_assert_ptr_eq(cfi_str_find(text, 6, "ab"), text);
  ck_assert_ptr_null(cfi_str_find(text, 5, "abd"));
  ck_assert_ptr_null(cfi_str_find(text, 2, "abc"));
  ck_assert_ptr_eq(cfi_str_find(text, 6, ""), text);
}
END_TEST

/* What UTF-8 says, written out the long way. */
static bool encodes(const unsigned char *p, size_t len) {
  uint32_t code;

  switch (len) {
  case 1:
    return p[0] < 0x80;
  case 2:
    code = (uint32_t)((p[0] & 0x1f) << 6 | (p[1] & 0x3f));
    return (p[0] & 0xe0) == 0xc0 && (p[1] & 0xc0) == 0x80 && code >= 0x80;
  default:
    code = (uint32_t)((p[0] & 0x0f) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f));
    return (p[0] & 0xf0) == 0xe0 && (p[1] & 0xc0) == 0x80 &&
           (p[2] & 0xc0) == 0x80 && code >= 0x800 &&
           (code < 0xd800 || code > 0xdfff);
  }
}

START_TEST(test_str_utf8_of_up_to_three_bytes_is_exact) {
  unsigned char p[3];

  for (unsigned a = 0; a < 256; a++) {
    p[0] = (unsigned char)a;
    ck_assert_int_eq(cfi_str_is_utf8((char *)p, 1), encodes(p, 1));
    for (unsigned b = 0; b < 256; b++) {
      p[1] = (unsigned char)b;
      if (cfi_str_is_utf8((char *)p, 2) !=
          (encodes(p, 2) || (encodes(p, 1) && encodes(p + 1, 1))))
        ck_abort_msg("%02x %02x", a, b);
      for (unsigned c = 0; a >= 0xe0 && c < 256; c++) {
        p[2] = (unsigned char)c;
        if (cfi_str_is_utf8((char *)p, 3) != encodes(p, 3))
          ck_abort_msg("%02x %02x %02x", a, b, c);
      }
    }
  }
}
END_TEST

START_TEST(test_str_utf8_of_four_bytes_ends_at_10ffff) {
  ck_assert(cfi_str_is_utf8("\xf0\x90\x80\x80", 4));
  ck_assert(cfi_str_is_utf8("\xf4\x8f\xbf\xbf", 4));
  ck_assert(!cfi_str_is_utf8("\xf0\x8f\xbf\xbf", 4));
  ck_assert(!cfi_str_is_utf8("\xf4\x90\x80\x80", 4));
  ck_assert(!cfi_str_is_utf8("\xf5\x80\x80\x80", 4));
  ck_assert(!cfi_str_is_utf8("\xf0\x9f\x98", 3));
  ck_assert(!cfi_str_is_utf8("\xf0\x9f\x98\x28", 4));
  ck_assert(cfi_str_is_utf8("a\xf0\x9f\x98\x80z", 6));
  ck_assert(cfi_str_is_utf8("", 0));
}
END_TEST

START_TEST(test_str_distance_counts_edits) {
  ck_assert_uint_eq(cfi_str_distance("heartbeat_ms", "heartbeat_ms"), 0);
  ck_assert_uint_eq(cfi_str_distance("heartbeat", "hartbeat"), 1);
  ck_assert_uint_eq(cfi_str_distance("hartbeat", "heartbeat"), 1);
  ck_assert_uint_eq(cfi_str_distance("since", "sinse"), 1);
  ck_assert_uint_eq(cfi_str_distance("ab", "ba"), 2);
  ck_assert_uint_eq(cfi_str_distance("", "abc"), 3);
  ck_assert_uint_eq(cfi_str_distance("kitten", "sitting"), 3);
  ck_assert_uint_gt(
      cfi_str_distance("a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 40);
}
END_TEST

START_TEST(test_str_hash_depends_on_seed_length_and_each_byte) {
  char text[65] = {0};
  uint64_t plain = cfi_str_hash(1, text, 64);

  ck_assert_uint_eq(plain, cfi_str_hash(1, text, 64));
  ck_assert_uint_ne(plain, cfi_str_hash(2, text, 64));
  ck_assert_uint_ne(plain, cfi_str_hash(1, text, 63));
  ck_assert_uint_ne(cfi_str_hash(1, NULL, 0), cfi_str_hash(2, NULL, 0));
  for (size_t len = 0; len <= 64; len++) {
    uint64_t zeros = cfi_str_hash(1, text, len);

    for (size_t i = 0; i < len; i++)
      for (unsigned bit = 0; bit < 8; bit++) {
        text[i] = (char)(1U << bit);
        ck_assert_uint_ne(zeros, cfi_str_hash(1, text, len));
        text[i] = 0;
      }
    for (size_t shorter = 0; shorter < len; shorter++)
      ck_assert_uint_ne(zeros, cfi_str_hash(1, text, shorter));
  }
}
END_TEST

/* What a table sees of it: of short texts that differ little, the low bits. */
START_TEST(test_str_hash_spreads) {
  enum { TEXTS = 65536, BUCKETS = 1024 };
  static unsigned filled[BUCKETS];

  for (unsigned i = 0; i < TEXTS; i++) {
    char text[64];
    int len = snprintf(text, sizeof text, "doc-%08u-of-many", i);

    filled[cfi_str_hash(7, text, (size_t)len) % BUCKETS]++;
  }
  /* 64 each, give or take five times the square root of that. */
  for (unsigned i = 0; i < BUCKETS; i++)
    ck_assert(filled[i] >= 24 && filled[i] <= 104);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("str");
  TCase *tc = tcase_create("str");

  tcase_add_test(tc, test_str_numbers_survive_the_way_to_text_and_back);
  tcase_add_test(tc, test_str_refuses_what_is_no_whole_number);
  tcase_add_test(tc, test_str_case_is_ascii_whatever_the_locale);
  tcase_add_test(tc, test_str_space_is_that_of_json);
  tcase_add_test(tc, test_str_compares_counted_strings_with_their_nulls);
  tcase_add_test(tc, test_str_finds_the_first_place_within_the_length);
  tcase_add_test(tc, test_str_utf8_of_up_to_three_bytes_is_exact);
  tcase_add_test(tc, test_str_utf8_of_four_bytes_ends_at_10ffff);
  tcase_add_test(tc, test_str_distance_counts_edits);
  tcase_add_test(tc, test_str_hash_depends_on_seed_length_and_each_byte);
  tcase_add_test(tc, test_str_hash_spreads);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
