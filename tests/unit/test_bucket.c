/* The token bucket: never more than a burst and a rate, whatever is asked and
   whatever the clock does. Known failures 43 and 45: servers that answer, or
   refuse, at once were asked hundreds and a million times a second. */
#include "bucket.h"

#include "random.h"
#include "support/unit.h"

START_TEST(test_bucket_allows_a_burst_and_then_a_rate) {
  cfi_bucket b;
  int taken = 0;

  cfi_bucket_init(&b, 5, 1000, 0);
  for (int64_t now = 0; now < 10000; now++) /* asked each millisecond */
    while (cfi_bucket_take(&b, now))
      taken++;
  ck_assert_int_eq(taken, 5 + 9);
}
END_TEST

START_TEST(test_bucket_says_how_long_to_wait) {
  cfi_bucket b;

  cfi_bucket_init(&b, 1, 1000, 50);
  ck_assert_int_eq(cfi_bucket_wait(&b, 50), 0);
  ck_assert(cfi_bucket_take(&b, 50));
  ck_assert_int_eq(cfi_bucket_wait(&b, 50), 1000);
  ck_assert_int_eq(cfi_bucket_wait(&b, 51), 999);
  ck_assert_int_eq(cfi_bucket_wait(&b, 1049), 1);
  ck_assert(!cfi_bucket_take(&b, 1049));
  ck_assert_int_eq(cfi_bucket_wait(&b, 1050), 0);
  ck_assert(cfi_bucket_take(&b, 1050));
  ck_assert(!cfi_bucket_take(&b, 1050));
}
END_TEST

START_TEST(test_bucket_refund_makes_productive_requests_free) {
  cfi_bucket b;

  cfi_bucket_init(&b, 5, 1000, 0);
  for (int i = 0; i < 1000; i++) {
    ck_assert(cfi_bucket_take(&b, 0));
    cfi_bucket_refund(&b, 0);
  }
  for (int i = 0; i < 1000; i++)
    cfi_bucket_refund(&b, 0);
  for (int i = 0; i < 5; i++)
    ck_assert(cfi_bucket_take(&b, 0));
  ck_assert(!cfi_bucket_take(&b, 0));
  /* The refund of a token that time has given back already is lost. */
  cfi_bucket_refund(&b, 100000);
  for (int i = 0; i < 5; i++)
    ck_assert(cfi_bucket_take(&b, 100000));
  ck_assert(!cfi_bucket_take(&b, 100000));
}
END_TEST

START_TEST(test_bucket_never_fills_above_its_capacity) {
  cfi_bucket b;

  cfi_bucket_init(&b, 5, 1000, 0);
  ck_assert_int_eq(cfi_bucket_wait(&b, 1000000), 0);
  for (int i = 0; i < 5; i++)
    ck_assert(cfi_bucket_take(&b, 1000000));
  ck_assert(!cfi_bucket_take(&b, 1000000));
}
END_TEST

/* Against the definition: in no stretch of time more than capacity + what the
   stretch gives. The clock goes on by steps of all sizes. */
START_TEST(test_bucket_keeps_its_rate_in_each_stretch_of_time) {
  enum { TAKES = 400, CAPACITY = 4, INTERVAL = 37 };
  int64_t at[TAKES], now = -12345;
  cfi_random random;
  cfi_bucket b;
  int count = 0, too_many = 0;

  cfi_random_init(&random, (uint64_t)_i + 1);
  cfi_bucket_init(&b, CAPACITY, INTERVAL, now);
  while (count < TAKES) {
    if (cfi_random_upto(&random, 9) == 0)
      now += cfi_random_upto(&random, 10 * INTERVAL);
    else
      now += cfi_random_upto(&random, 3);
    if (cfi_bucket_take(&b, now))
      at[count++] = now;
    else
      ck_assert_int_gt(cfi_bucket_wait(&b, now), 0);
  }
  for (int i = 0; i < TAKES; i++)
    for (int j = i; j < TAKES; j++)
      too_many += j - i + 1 > CAPACITY + (at[j] - at[i]) / INTERVAL;
  ck_assert_int_eq(too_many, 0);
}
END_TEST

START_TEST(test_bucket_survives_a_clock_that_goes_back) {
  cfi_bucket b;

  cfi_bucket_init(&b, 2, 1000, 1000000);
  ck_assert(cfi_bucket_take(&b, 1000000));
  ck_assert(cfi_bucket_take(&b, 1000000));
  ck_assert(!cfi_bucket_take(&b, 5000));
  /* No stall until the clock is where it was: a second is enough. */
  ck_assert_int_eq(cfi_bucket_wait(&b, 5000), 1000);
  ck_assert(cfi_bucket_take(&b, 6000));
  ck_assert(!cfi_bucket_take(&b, 6000));
}
END_TEST

START_TEST(test_bucket_takes_any_numbers) {
  static const int64_t odd[] = {INT64_MIN, INT64_MIN + 1, -1,       0,
                                1,         INT64_MAX - 1, INT64_MAX};
  enum { N = sizeof odd / sizeof odd[0] };

  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j < N; j++)
      for (size_t k = 0; k < N; k++)
        for (size_t l = 0; l < N; l++) {
          cfi_bucket b;

          cfi_bucket_init(&b, odd[i], odd[j], odd[k]);
          ck_assert(cfi_bucket_take(&b, odd[k])); /* it begins full */
          (void)cfi_bucket_take(&b, odd[l]);
          cfi_bucket_refund(&b, odd[k]);
          ck_assert_int_ge(b.level, 0);
          ck_assert_int_ge(cfi_bucket_wait(&b, odd[l]), 0);
        }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("bucket");
  TCase *tc = tcase_create("bucket");

  tcase_add_test(tc, test_bucket_allows_a_burst_and_then_a_rate);
  tcase_add_test(tc, test_bucket_says_how_long_to_wait);
  tcase_add_test(tc, test_bucket_refund_makes_productive_requests_free);
  tcase_add_test(tc, test_bucket_never_fills_above_its_capacity);
  tcase_add_loop_test(tc, test_bucket_keeps_its_rate_in_each_stretch_of_time, 0,
                      20);
  tcase_add_test(tc, test_bucket_survives_a_clock_that_goes_back);
  tcase_add_test(tc, test_bucket_takes_any_numbers);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
