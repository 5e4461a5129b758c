/* The byte queue: what goes in comes out, in order, within its limit. */
#include "buf.h"

#include <stdint.h>
#include <string.h>

#include "random.h"
#include "support/failing.h"
#include "support/unit.h"

START_TEST(test_buf_gives_back_what_was_appended_whatever_the_pieces) {
  enum { TOTAL = 200000, LIMIT = 5000 };
  cft_failing f;
  cfi_random random;
  cfi_buf b;
  size_t in = 0, out = 0, wrong = 0;

  cft_failing_init(&f, 0);
  cfi_random_init(&random, (uint64_t)_i + 1);
  cfi_buf_init(&b, &f.alloc);
  while (out < TOTAL) {
    unsigned char piece[600];
    size_t n = (size_t)cfi_random_upto(&random, sizeof piece);
    int rc;

    for (size_t i = 0; i < n; i++)
      piece[i] = (unsigned char)((in + i) * 7 % 251);
    rc = cfi_buf_append(&b, piece, n, LIMIT);
    if (n > LIMIT - (in - out))
      ck_assert_int_eq(rc, CFI_BUF_FULL);
    else {
      ck_assert_int_eq(rc, CFI_BUF_OK);
      in += n;
    }
    ck_assert_uint_eq(b.len, in - out);
    ck_assert_uint_le(b.cap, LIMIT);

    n = (size_t)cfi_random_upto(&random, (int64_t)b.len);
    for (size_t i = 0; i < n; i++)
      wrong += (unsigned char)cfi_buf_data(&b)[i] != (out + i) * 7 % 251;
    ck_assert_uint_eq(wrong, 0);
    cfi_buf_consume(&b, n);
    out += n;
  }
  cfi_buf_free(&b);
  ck_assert_uint_eq(f.live, 0);
}
END_TEST

START_TEST(test_buf_always_has_a_spare_byte_behind_the_last) {
  cft_failing f;
  cfi_buf b;

  cft_failing_init(&f, 0);
  cfi_buf_init(&b, &f.alloc);
  for (size_t i = 0; i < 1000; i++) {
    ck_assert_int_eq(cfi_buf_append(&b, "x", 1, 1000), CFI_BUF_OK);
    cfi_buf_data(&b)[b.len] = '\0'; /* AddressSanitizer looks on */
  }
  ck_assert_int_eq(cfi_buf_append(&b, "x", 1, 1000), CFI_BUF_FULL);
  ck_assert_uint_eq(strlen(cfi_buf_data(&b)), 1000);
  cfi_buf_free(&b);
}
END_TEST

START_TEST(test_buf_is_unchanged_when_nothing_could_be_added) {
  cft_failing f;
  cfi_buf b;

  cft_failing_init(&f, 0);
  cfi_buf_init(&b, &f.alloc);
  ck_assert_int_eq(cfi_buf_append(&b, "abc", 3, SIZE_MAX - 2), CFI_BUF_OK);
  cfi_buf_consume(&b, 1);
  f.fail_at = f.calls + 1;
  f.fails = CFT_FOR_GOOD;
  ck_assert_int_eq(cfi_buf_append(&b, (char[4096]){0}, 4096, SIZE_MAX - 2),
                   CFI_BUF_NOMEM);
  ck_assert_int_eq(cfi_buf_append(&b, "x", SIZE_MAX, SIZE_MAX), CFI_BUF_NOMEM);
  ck_assert_uint_eq(b.len, 2);
  ck_assert_mem_eq(cfi_buf_data(&b), "bc", 2);
  ck_assert_int_eq(cfi_buf_append(&b, "d", 1, SIZE_MAX - 2), CFI_BUF_OK);
  ck_assert_mem_eq(cfi_buf_data(&b), "bcd", 3);
  cfi_buf_free(&b);
}
END_TEST

START_TEST(test_buf_appends_in_time_linear_in_the_bytes) {
  enum { PIECES = 100000 };
  cft_failing f;
  cfi_buf b;

  cft_failing_init(&f, 0);
  cfi_buf_init(&b, &f.alloc);
  for (int i = 0; i < PIECES; i++)
    ck_assert_int_eq(cfi_buf_append(&b, "0123456789", 10, SIZE_MAX - 2),
                     CFI_BUF_OK);
  ck_assert_uint_lt(f.calls, 40); /* it doubles */
  cfi_buf_free(&b);
}
END_TEST

START_TEST(test_buf_gives_memory_back_when_cleared) {
  cft_failing f;
  cfi_buf b;

  cft_failing_init(&f, 0);
  cfi_buf_init(&b, &f.alloc);
  ck_assert_int_eq(cfi_buf_append(&b, "abc", 3, 4096), CFI_BUF_OK);
  cfi_buf_clear(&b, 4096);
  ck_assert_uint_eq(f.live, 1);
  ck_assert_uint_eq(b.len, 0);
  cfi_buf_clear(&b, 16);
  ck_assert_uint_eq(f.live, 0);
  ck_assert_int_eq(cfi_buf_append(&b, "d", 1, 4096), CFI_BUF_OK);
  ck_assert_mem_eq(cfi_buf_data(&b), "d", 1);
  cfi_buf_free(&b);
}
END_TEST

START_TEST(test_buf_without_anything_has_no_bytes) {
  cft_failing f;
  cfi_buf b;

  cft_failing_init(&f, 0);
  cfi_buf_init(&b, &f.alloc);
  ck_assert_ptr_null(cfi_buf_data(&b));
  ck_assert_int_eq(cfi_buf_append(&b, NULL, 0, 0), CFI_BUF_OK);
  ck_assert_uint_eq(f.live, 0);
  cfi_buf_free(&b);
}
END_TEST

START_TEST(test_buf_builds_text) {
  cft_failing f;
  cfi_buf b;
  char *text;

  cft_failing_init(&f, 0);
  cfi_buf_init(&b, &f.alloc);
  ck_assert_str_eq(cfi_buf_text(&b), "");
  cfi_buf_puts(&b, "a=");
  cfi_buf_putint(&b, INT64_MIN);
  cfi_buf_putc(&b, '&');
  cfi_buf_put(&b, "b...", 1);
  ck_assert_str_eq(cfi_buf_text(&b), "a=-9223372036854775808&b");
  cfi_buf_consume(&b, 2);
  text = cfi_buf_take(&b);
  ck_assert_str_eq(text, "-9223372036854775808&b");
  ck_assert_uint_eq(b.len, 0);
  cfi_free(&f.alloc, text);
  ck_assert_uint_eq(f.live, 0);
}
END_TEST

/* A hole in a built text must never pass for the text. */
START_TEST(test_buf_that_failed_once_as_a_builder_yields_no_text) {
  char longer[600];

  memset(longer, 'x', sizeof longer);
  for (size_t n = 1; n <= 2; n++) {
    cft_failing f;
    cfi_buf b;

    cft_failing_init(&f, n);
    cfi_buf_init(&b, &f.alloc);
    cfi_buf_puts(&b, "first ");
    cfi_buf_put(&b, longer, sizeof longer);
    cfi_buf_puts(&b, " last");
    ck_assert_int_eq(cfi_buf_append(&b, "more", 4, 4096), CFI_BUF_NOMEM);
    ck_assert_ptr_null(cfi_buf_text(&b));
    ck_assert_ptr_null(cfi_buf_take(&b));
    ck_assert_uint_eq(f.live, 0);
    cfi_buf_puts(&b, "anew");
    ck_assert_str_eq(cfi_buf_text(&b), "anew");
    cfi_buf_free(&b);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("buf");
  TCase *tc = tcase_create("buf");

  tcase_add_loop_test(
      tc, test_buf_gives_back_what_was_appended_whatever_the_pieces, 0, 10);
  tcase_add_test(tc, test_buf_always_has_a_spare_byte_behind_the_last);
  tcase_add_test(tc, test_buf_is_unchanged_when_nothing_could_be_added);
  tcase_add_test(tc, test_buf_appends_in_time_linear_in_the_bytes);
  tcase_add_test(tc, test_buf_gives_memory_back_when_cleared);
  tcase_add_test(tc, test_buf_without_anything_has_no_bytes);
  tcase_add_test(tc, test_buf_builds_text);
  tcase_add_test(tc, test_buf_that_failed_once_as_a_builder_yields_no_text);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
