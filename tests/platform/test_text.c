/* A string that grows, and what it is when memory ends. */
#include "common/text.h"

#include "support/unit.h"

#include <stdint.h>
#include <string.h>

START_TEST(test_text_grows_and_always_ends) {
  text t = TEXT_INIT;

  ck_assert_str_eq(text_get(&t), "");
  text_str(&t, "");
  ck_assert_str_eq(text_get(&t), "");
  for (int i = 0; i < 10000; i++)
    text_printf(&t, "%d,", i);
  ck_assert(!t.failed);
  ck_assert_uint_eq(t.len, 48890);
  ck_assert_uint_eq(strlen(text_get(&t)), t.len);
  ck_assert_int_eq(strncmp(text_get(&t), "0,1,2,3,", 8), 0);
  ck_assert_str_eq(text_get(&t) + t.len - 10, "9998,9999,");
  text_free(&t);
  ck_assert_str_eq(text_get(&t), "");
  text_str(&t, "again");
  ck_assert_str_eq(text_get(&t), "again");
  text_free(&t);
}
END_TEST

START_TEST(test_text_takes_any_bytes) {
  text t = TEXT_INIT;

  text_add(&t, "a\0b", 3);
  text_add(&t, NULL, 0);
  ck_assert_uint_eq(t.len, 3);
  ck_assert_int_eq(memcmp(text_get(&t), "a\0b", 4), 0);
  text_free(&t);
}
END_TEST

START_TEST(test_text_is_cut_and_cleared) {
  text t = TEXT_INIT;

  text_cut(&t, 0);
  text_clear(&t);
  text_str(&t, "hello");
  text_cut(&t, 9);
  ck_assert_str_eq(text_get(&t), "hello");
  text_cut(&t, 2);
  ck_assert_str_eq(text_get(&t), "he");
  text_clear(&t);
  ck_assert_str_eq(text_get(&t), "");
  ck_assert_uint_eq(t.len, 0);
  text_free(&t);
}
END_TEST

START_TEST(test_text_once_failed_takes_nothing_until_it_is_cleared) {
  volatile size_t most = SIZE_MAX / 2; /* the compiler need not know */
  text t = TEXT_INIT;

  text_str(&t, "kept");
  text_add(&t, "", most); /* more than there can be */
  ck_assert(t.failed);
  ck_assert_str_eq(text_get(&t), "");
  text_str(&t, "x");
  text_printf(&t, "%d", 1);
  ck_assert_uint_eq(t.len, 4);
  text_clear(&t);
  text_str(&t, "new");
  ck_assert_str_eq(text_get(&t), "new");
  text_free(&t);
}
END_TEST

int main(void) {
  Suite *s = suite_create("text");
  TCase *t = tcase_create("text");

  tcase_add_test(t, test_text_grows_and_always_ends);
  tcase_add_test(t, test_text_takes_any_bytes);
  tcase_add_test(t, test_text_is_cut_and_cleared);
  tcase_add_test(t, test_text_once_failed_takes_nothing_until_it_is_cleared);
  suite_add_tcase(s, t);
  return cft_run(s);
}
