/* Random numbers: the same run for the same seed, evenly within a bound. */
#include "random.h"

#include "support/unit.h"

/* The values its author published for this seed. */
START_TEST(test_random_is_splitmix64) {
  static const uint64_t expected[] = {
      6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
      4593380528125082431U, 16408922859458223821U};
  cfi_random r;

  cfi_random_init(&r, 1234567);
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
    ck_assert_uint_eq(cfi_random_next(&r), expected[i]);
}
END_TEST

START_TEST(test_random_from_the_system_differs_each_time) {
  cfi_random a, b;

  cfi_random_init(&a, 0);
  cfi_random_init(&b, 0);
  ck_assert_uint_ne(cfi_random_next(&a), cfi_random_next(&b));
}
END_TEST

START_TEST(test_random_upto_stays_within_its_bound) {
  static const int64_t bounds[] = {
      0, 1, 2, 6, 250, 60000, (int64_t)1 << 62, INT64_MAX - 1, INT64_MAX};
  cfi_random r;

  cfi_random_init(&r, 1);
  for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
    for (int n = 0; n < 10000; n++) {
      int64_t value = cfi_random_upto(&r, bounds[i]);

      ck_assert_int_ge(value, 0);
      ck_assert_int_le(value, bounds[i]);
    }
}
END_TEST

/* 70000 throws of a die with 7 faces: 10000 each, standard deviation 93. */
START_TEST(test_random_upto_favours_none) {
  int count[7] = {0};
  cfi_random r;

  cfi_random_init(&r, 99);
  for (int n = 0; n < 70000; n++)
    count[cfi_random_upto(&r, 6)]++;
  for (int i = 0; i < 7; i++) {
    ck_assert_int_gt(count[i], 9500);
    ck_assert_int_lt(count[i], 10500);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("random");
  TCase *tc = tcase_create("random");

  tcase_add_test(tc, test_random_is_splitmix64);
  tcase_add_test(tc, test_random_from_the_system_differs_each_time);
  tcase_add_test(tc, test_random_upto_stays_within_its_bound);
  tcase_add_test(tc, test_random_upto_favours_none);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
