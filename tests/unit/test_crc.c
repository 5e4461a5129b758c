/* CRC-32C: known sums, and the same sum by every path and in any pieces. */
#include "crc.h"

#include "random.h"
#include "support/unit.h"

START_TEST(test_crc_is_the_standard_one) {
  static const unsigned char zeros[32];
  unsigned char ones[32], up[32];

  for (unsigned i = 0; i < 32; i++) {
    ones[i] = 0xff;
    up[i] = (unsigned char)i;
  }
  ck_assert_uint_eq(cfi_crc_of(0, "123456789", 9), 0xe3069283U);
  ck_assert_uint_eq(cfi_crc_of(0, "", 0), 0);
  /* of RFC 3720, appendix B.4 */
  ck_assert_uint_eq(cfi_crc_of(0, zeros, 32), 0x8a9136aaU);
  ck_assert_uint_eq(cfi_crc_of(0, ones, 32), 0x62a8ab43U);
  ck_assert_uint_eq(cfi_crc_of(0, up, 32), 0x46dd794eU);
}
END_TEST

static uint32_t bit_by_bit(uint32_t crc, const unsigned char *p, size_t len) {
  crc = ~crc;
  for (size_t i = 0; i < len; i++) {
    crc ^= p[i];
    for (int bit = 0; bit < 8; bit++)
      crc = (crc >> 1) ^ (0x82f63b78U & (0U - (crc & 1U)));
  }
  return ~crc;
}

START_TEST(test_crc_is_the_same_by_every_path_and_in_any_pieces) {
  unsigned char data[300];
  cfi_random random;

  cfi_random_init(&random, 7);
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (unsigned char)cfi_random_upto(&random, 255);
  for (size_t at = 0; at < 9; at++)
    for (size_t len = 0; len + at <= sizeof data; len++) {
      uint32_t right = bit_by_bit(0, data + at, len);
      size_t cut = (size_t)cfi_random_upto(&random, (int64_t)len);

      ck_assert_uint_eq(cfi_crc_of(0, data + at, len), right);
      ck_assert_uint_eq(cfi_crc_portable(0, data + at, len), right);
      ck_assert_uint_eq(cfi_crc_of(cfi_crc_portable(0, data + at, cut),
                                   data + at + cut, len - cut),
                        right);
    }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("crc");
  TCase *tc = tcase_create("crc");

  tcase_add_test(tc, test_crc_is_the_standard_one);
  tcase_add_test(tc, test_crc_is_the_same_by_every_path_and_in_any_pieces);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
