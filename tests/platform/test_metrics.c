/* Metrics: what is counted, and the text that Prometheus reads. */
#include "common/metrics.h"

#include "support/unit.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

static double asked(void *ctx) { return *(const double *)ctx; }

START_TEST(test_metrics_text_of_all_kinds) {
  metrics *m = metrics_new();
  metric *ok, *bad, *gauge;
  double half = 0.5;
  text out = TEXT_INIT;

  ok = metrics_counter(m, "calls_total", "code=\"200\"", "Calls, by\ncode\\.");
  gauge = metrics_gauge(m, "free", NULL, "Free drones.");
  bad = metrics_counter(m, "calls_total", "code=\"500\"", "Not shown.");
  ck_assert_ptr_nonnull(
      metrics_asked(m, "age_seconds", NULL, "Age.", asked, &half));
  metric_add(ok, 2);
  metric_add(ok, 1);
  metric_add(bad, 1);
  metric_set(gauge, 9);
  metric_add(gauge, -12);
  ck_assert_int_eq(metric_value(ok), 3);
  ck_assert_int_eq(metric_value(gauge), -3);
  metrics_write(m, &out);
  ck_assert_str_eq(text_get(&out), "# HELP calls_total Calls, by\\ncode\\\\.\n"
                                   "# TYPE calls_total counter\n"
                                   "calls_total{code=\"200\"} 3\n"
                                   "calls_total{code=\"500\"} 1\n"
                                   "# HELP free Free drones.\n"
                                   "# TYPE free gauge\n"
                                   "free -3\n"
                                   "# HELP age_seconds Age.\n"
                                   "# TYPE age_seconds gauge\n"
                                   "age_seconds 0.5\n");
  text_free(&out);
  metrics_free(m);
}
END_TEST

START_TEST(test_metrics_numbers_that_are_none) {
  double values[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, 1e18};
  const char *names[] = {"a", "b", "c", "d"};
  metrics *m = metrics_new();
  text out = TEXT_INIT;

  for (int i = 0; i < 4; i++)
    ck_assert_ptr_nonnull(
        metrics_asked(m, names[i], NULL, "", asked, &values[i]));
  metrics_write(m, &out);
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\na NaN\n"));
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nb +Inf\n"));
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nc -Inf\n"));
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nd 1e+18\n"));
  text_free(&out);
  metrics_free(m);
}
END_TEST

START_TEST(test_metrics_times_fall_into_buckets) {
  metrics *m = metrics_new();
  metric *times = metrics_times(m, "put_seconds", "db=\"apps\"", "Puts.");
  text out = TEXT_INIT;
  const char *s;

  metric_time(times, -5); /* a clock that was set back */
  metric_time(times, 1);
  metric_time(times, 2);
  metric_time(times, 3);
  metric_time(times, 60000);
  metric_time(times, 60001);
  metrics_write(m, &out);
  s = text_get(&out);
  ck_assert_ptr_nonnull(strstr(s, "# TYPE put_seconds histogram\n"));
  ck_assert_ptr_nonnull(
      strstr(s, "put_seconds_bucket{db=\"apps\",le=\"0.001\"} 2\n"));
  ck_assert_ptr_nonnull(
      strstr(s, "put_seconds_bucket{db=\"apps\",le=\"0.002\"} 3\n"));
  ck_assert_ptr_nonnull(
      strstr(s, "put_seconds_bucket{db=\"apps\",le=\"0.005\"} 4\n"));
  ck_assert_ptr_nonnull(
      strstr(s, "put_seconds_bucket{db=\"apps\",le=\"20\"} 4\n"));
  ck_assert_ptr_nonnull(
      strstr(s, "put_seconds_bucket{db=\"apps\",le=\"60\"} 5\n"));
  ck_assert_ptr_nonnull(strstr(s,
                               "put_seconds_bucket{db=\"apps\",le=\"+Inf\"} 6\n"
                               "put_seconds_sum{db=\"apps\"} 120.007\n"
                               "put_seconds_count{db=\"apps\"} 6\n"));
  text_free(&out);
  metrics_free(m);
}
END_TEST

START_TEST(test_metrics_one_name_and_labels_are_one_metric) {
  metrics *m = metrics_new();
  metric *one = metrics_counter(m, "a", "x=\"1\"", "A.");

  ck_assert_ptr_nonnull(one);
  ck_assert_ptr_eq(metrics_counter(m, "a", "x=\"1\"", "A."), one);
  ck_assert_ptr_ne(metrics_counter(m, "a", "x=\"2\"", "A."), one);
  ck_assert_ptr_null(metrics_gauge(m, "a", NULL, "A."));
  ck_assert_ptr_null(metrics_counter(m, "", NULL, "A."));
  ck_assert_ptr_null(metrics_counter(m, "1a", NULL, "A."));
  ck_assert_ptr_null(metrics_counter(m, "a-b", NULL, "A."));
  metrics_free(m);
}
END_TEST

START_TEST(test_metrics_none_may_be_counted) {
  metric_add(NULL, 1);
  metric_set(NULL, 1);
  metric_time(NULL, 1);
  ck_assert_int_eq(metric_value(NULL), 0);
  ck_assert_ptr_null(metrics_counter(NULL, "a", NULL, "A."));
  metrics_free(NULL);
}
END_TEST

static void *count(void *arg) {
  metric *const *of = arg;

  for (int i = 0; i < 20000; i++) {
    metric_add(of[0], 1);
    metric_time(of[1], i % 100);
  }
  return NULL;
}

START_TEST(test_metrics_threads_lose_nothing) {
  metrics *m = metrics_new();
  metric *of[2] = {metrics_counter(m, "n", NULL, "N."),
                   metrics_times(m, "t", NULL, "T.")};
  pthread_t threads[4];
  text out = TEXT_INIT;

  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, count, of), 0);
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  ck_assert_int_eq(metric_value(of[0]), 80000);
  metrics_write(m, &out);
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nt_count 80000\n"));
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nt_sum 3960.000\n"));
  text_free(&out);
  metrics_free(m);
}
END_TEST

int main(void) {
  Suite *s = suite_create("metrics");
  TCase *t = tcase_create("metrics");

  tcase_add_test(t, test_metrics_text_of_all_kinds);
  tcase_add_test(t, test_metrics_numbers_that_are_none);
  tcase_add_test(t, test_metrics_times_fall_into_buckets);
  tcase_add_test(t, test_metrics_one_name_and_labels_are_one_metric);
  tcase_add_test(t, test_metrics_none_may_be_counted);
  tcase_add_test(t, test_metrics_threads_lose_nothing);
  suite_add_tcase(s, t);
  return cft_run(s);
}
