/*
 * SipHash-2-4-128 against the vectors its authors publish: key 00..0f, message
 * 00, 01, 02 ... of each length.
 */
#include <check.h>

#include "hash.h"
#include "support/unit.h"

static void expect(size_t len, const char *digits) {
  unsigned char key[16], message[64];
  char text[CFI_HASH_TEXT];

  for (unsigned i = 0; i < 16; i++)
    key[i] = (unsigned char)i;
  for (unsigned i = 0; i < 64; i++)
    message[i] = (unsigned char)i;
  cfi_hash_text(cfi_hash_of(key, message, len), text);
  ck_assert_str_eq(text, digits);
}

START_TEST(test_hash_known_vectors) {
  expect(0, "a3817f04ba25a8e66df67214c7550293");
  expect(1, "da87c1d86b99af44347659119b22fc45");
  expect(2, "8177228da4a45dc7fca38bdef60affe4");
  expect(7, "a1f1ebbed8dbc153c0b84aa61ff08239");
  expect(8, "3b62a9ba6258f5610f83e264f31497b4");
  expect(15, "5493e99933b0a8117e08ec0f97cfc3d9");
}
END_TEST

START_TEST(test_hash_each_byte_counts) {
  static const unsigned char key[16] = {1};
  char text[40] = {0};
  cfi_hash all = cfi_hash_of(key, text, sizeof text);

  for (size_t i = 0; i < sizeof text; i++) {
    text[i] = 1;
    cfi_hash one = cfi_hash_of(key, text, sizeof text);
    ck_assert(one.low != all.low && one.high != all.high);
    text[i] = 0;
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("hash");
  TCase *tc = tcase_create("hash");

  tcase_add_test(tc, test_hash_known_vectors);
  tcase_add_test(tc, test_hash_each_byte_counts);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
