/* Clocks: deadlines that do not overflow, a system clock that goes on. */
#include "clock.h"

#include "support/unit.h"

START_TEST(test_clock_deadlines_stop_at_never) {
  ck_assert_int_eq(cfi_clock_after(5, 10), 15);
  ck_assert_int_eq(cfi_clock_after(5, 0), 5);
  ck_assert_int_eq(cfi_clock_after(5, CFI_NEVER), CFI_NEVER);
  ck_assert_int_eq(cfi_clock_after(CFI_NEVER, 1), CFI_NEVER);
  ck_assert_int_eq(cfi_clock_after(CFI_NEVER - 5, 5), CFI_NEVER);
  ck_assert_int_eq(cfi_clock_after(CFI_NEVER - 5, 4), CFI_NEVER - 1);
  ck_assert_int_eq(cfi_clock_after(-100, CFI_NEVER), CFI_NEVER);
}
END_TEST

/* Never early, a 64th and a second late at most, and not for each another. */
START_TEST(test_clock_about_a_time) {
  int64_t waits[] = {1, 63, 64, 100, 1500, 15000, 90000, 3600000};
  int64_t last = 0;
  int times = 0;

  for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
    for (int64_t now = 123456; now < 123500; now++) {
      int64_t about = cfi_clock_about(now, now + waits[i]);

      ck_assert_int_ge(about, now + waits[i]);
      ck_assert_int_le(about - now - waits[i], waits[i] / 64);
      ck_assert_int_lt(about - now - waits[i], 1024);
    }
  for (int64_t at = 1000000; at < 1010000; at++) {
    times += cfi_clock_about(at - 10000, at) != last;
    last = cfi_clock_about(at - 10000, at);
  }
  ck_assert_int_le(times, 10000 / 128 + 1);
  ck_assert_int_eq(cfi_clock_about(100, 100), 100);
  ck_assert_int_eq(cfi_clock_about(100, 50), 50);
  ck_assert_int_eq(cfi_clock_about(0, CFI_NEVER), CFI_NEVER);
  ck_assert_int_eq(cfi_clock_about(0, CFI_NEVER - 1), CFI_NEVER - 1);
}
END_TEST

START_TEST(test_clock_of_the_system_never_goes_back) {
  int64_t last = cfi_clock_now(&cfi_clock_system);

  for (int i = 0; i < 10000; i++) {
    int64_t now = cfi_clock_now(&cfi_clock_system);

    ck_assert_int_ge(now, last);
    last = now;
  }
  /* 2020-01-01: the wall clock counts from 1970, in milliseconds. */
  ck_assert_int_gt(cfi_clock_wall(&cfi_clock_system), 1577836800000);
}
END_TEST

static int64_t seven(void *ctx) { return *(int64_t *)ctx; }

START_TEST(test_clock_can_be_replaced) {
  int64_t time = 7;
  cfi_clock clock = {seven, seven, &time};

  ck_assert_int_eq(cfi_clock_now(&clock), 7);
  time = 8;
  ck_assert_int_eq(cfi_clock_wall(&clock), 8);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("clock");
  TCase *tc = tcase_create("clock");

  tcase_add_test(tc, test_clock_deadlines_stop_at_never);
  tcase_add_test(tc, test_clock_about_a_time);
  tcase_add_test(tc, test_clock_of_the_system_never_goes_back);
  tcase_add_test(tc, test_clock_can_be_replaced);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
