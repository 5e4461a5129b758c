/* The error object: one line, whole characters, no numbers left over. */
#include "error.h"

#include <string.h>

#include "str.h"
#include "support/unit.h"

START_TEST(test_error_cleared_says_nothing) {
  cfi_error e;

  memset(&e, 0x5a, sizeof e);
  cfi_error_clear(&e);
  ck_assert_int_eq(e.pub.code, 0);
  ck_assert_int_eq(e.pub.http_status, 0);
  ck_assert_int_eq(e.pub.curl_code, 0);
  ck_assert_int_eq(e.pub.sys_errno, 0);
  ck_assert_int_eq(e.pub.retryable, 0);
  ck_assert_int_eq(e.pub.retry_after_ms, -1);
  ck_assert_str_eq(e.pub.message, "");
}
END_TEST

START_TEST(test_error_set_answers_its_code_and_clears_the_numbers) {
  cfi_error e;

  cfi_error_clear(&e);
  e.pub.http_status = 503;
  e.pub.retry_after_ms = 5;
  ck_assert_int_eq(
      cfi_error_set(&e, CHANGEFEED_ERR_HTTP, "%s said %d", "http://h/db", 503),
      CHANGEFEED_ERR_HTTP);
  ck_assert_int_eq(e.pub.code, CHANGEFEED_ERR_HTTP);
  ck_assert_int_eq(e.pub.http_status, 0);
  ck_assert_int_eq(e.pub.retry_after_ms, -1);
  ck_assert_str_eq(e.pub.message, "http://h/db said 503");
}
END_TEST

START_TEST(test_error_is_one_line_whatever_a_server_wrote) {
  cfi_error e;

  (void)cfi_error_set(&e, -1,
                      "a\r\nb\tc\x1b[2Jd\x7f"
                      "e \xc3\xa9");
  ck_assert_str_eq(e.pub.message, "a  b c [2Jd e \xc3\xa9");
}
END_TEST

/* Two- to four-byte characters across the end of the buffer, at each offset. */
START_TEST(test_error_is_cut_between_characters) {
  static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac",
                                           "\xf0\x9f\x98\x80"};

  for (size_t k = 0; k < 3; k++)
    for (size_t lead = 0; lead < 4; lead++) {
      char text[CFI_ERROR_TEXT * 2] = "";
      cfi_error e;

      memset(text, 'x', lead);
      while (strlen(text) < CFI_ERROR_TEXT + 8)
        strcat(text, characters[k]);
      (void)cfi_error_set(&e, -1, "%s", text);
      ck_assert(cfi_str_is_utf8(e.text, strlen(e.text)));
      ck_assert_uint_ge(strlen(e.text), CFI_ERROR_TEXT - 1 - 8);
      ck_assert_int_eq(strncmp(e.text, text, strlen(e.text)), 0);
    }
}
END_TEST

START_TEST(test_error_copy_holds_its_own_sentence) {
  cfi_error from, to;

  (void)cfi_error_set(&from, -7, "first");
  from.pub.http_status = 404;
  cfi_error_copy(&to, &from);
  (void)cfi_error_set(&from, -8, "second");
  ck_assert_int_eq(to.pub.code, -7);
  ck_assert_int_eq(to.pub.http_status, 404);
  ck_assert_str_eq(to.pub.message, "first");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("error");
  TCase *tc = tcase_create("error");

  tcase_add_test(tc, test_error_cleared_says_nothing);
  tcase_add_test(tc, test_error_set_answers_its_code_and_clears_the_numbers);
  tcase_add_test(tc, test_error_is_one_line_whatever_a_server_wrote);
  tcase_add_test(tc, test_error_is_cut_between_characters);
  tcase_add_test(tc, test_error_copy_holds_its_own_sentence);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
