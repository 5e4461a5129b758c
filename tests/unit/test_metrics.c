/* changefeed_stats_text: what a Prometheus server reads of feeds. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "changefeed/changefeed.h"
#include "support/unit.h"

static char text[16384];
static size_t len;

static int write_one(const changefeed_stats *stats, const char *name) {
  return changefeed_stats_text(&stats, &name, 1, text, sizeof text, &len);
}

static changefeed_stats some(void) {
  changefeed_stats stats = CHANGEFEED_STATS_INIT;

  stats.changes = UINT64_MAX;
  stats.faults_tls = 3;
  stats.pending = 12;
  stats.idle_ms = 1007;
  stats.row_age_ms = -1;
  stats.fresh_ms = INT64_MAX;
  return stats;
}

static bool has_line(const char *line) {
  size_t n = strlen(line);

  for (const char *p = text; (p = strstr(p, line)) != NULL; p++)
    if ((p == text || p[-1] == '\n') && p[n] == '\n')
      return true;
  return false;
}

static size_t count_of(const char *what) {
  size_t n = 0;

  for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
    n++;
  return n;
}

START_TEST(test_metrics_have_help_type_and_value) {
  changefeed_stats stats = some();

  ck_assert_int_eq(write_one(&stats, "orders"), CHANGEFEED_OK);
  ck_assert_uint_eq(len, strlen(text));
  ck_assert(has_line("# HELP changefeed_changes_total Rows delivered and "
                     "taken"));
  ck_assert(has_line("# TYPE changefeed_changes_total counter"));
  ck_assert(has_line("changefeed_changes_total{feed=\"orders\"} "
                     "18446744073709551615"));
  ck_assert(has_line("# TYPE changefeed_pending_rows gauge"));
  ck_assert(has_line("changefeed_pending_rows{feed=\"orders\"} 12"));
  ck_assert(has_line("changefeed_idle_seconds{feed=\"orders\"} 1.007"));
  ck_assert(has_line(
      "changefeed_fresh_seconds{feed=\"orders\"} 9223372036854775.807"));
  ck_assert(
      has_line("changefeed_faults_total{feed=\"orders\",cause=\"tls\"} 3"));
}
END_TEST

START_TEST(test_metrics_leave_out_what_is_not_known) {
  changefeed_stats stats = some();

  ck_assert_int_eq(write_one(&stats, "x"), CHANGEFEED_OK);
  ck_assert_uint_eq(count_of("changefeed_row_age_seconds{"), 0);
  stats.size = offsetof(changefeed_stats, pending);
  ck_assert_int_eq(write_one(&stats, "x"), CHANGEFEED_OK);
  ck_assert_uint_eq(count_of("changefeed_pending_rows{"), 0);
  ck_assert_uint_eq(count_of("changefeed_queued_bytes{"), 1);
}
END_TEST

/* A field that is added to the struct must come here, too. */
START_TEST(test_metrics_tell_each_field) {
  changefeed_stats stats = CHANGEFEED_STATS_INIT;
  /* What is behind the size; on some machines that is four bytes. */
  size_t fields =
      (sizeof stats - offsetof(changefeed_stats, changes)) / sizeof(uint64_t);
  uint64_t *values = &stats.changes;

  ck_assert_int_eq(write_one(&stats, "x"), CHANGEFEED_OK);
  ck_assert_uint_eq(count_of("{feed=\"x\""), fields);
  for (size_t i = 1; i <= fields; i++)
    values[i - 1] = 4000 + i;
  ck_assert_int_eq(write_one(&stats, "x"), CHANGEFEED_OK);
  for (size_t i = 1; i <= fields; i++) {
    char number[32], seconds[32];

    (void)snprintf(number, sizeof number, "} %zu\n", 4000 + i);
    (void)snprintf(seconds, sizeof seconds, "} 4.%03zu\n", i);
    ck_assert_uint_eq(count_of(number) + count_of(seconds), 1);
  }
}
END_TEST

START_TEST(test_metrics_of_many_feeds_stand_together) {
  changefeed_stats a = some(), b = some();
  const changefeed_stats *stats[] = {&a, &b};
  const char *names[] = {"a", "b"};

  ck_assert_int_eq(
      changefeed_stats_text(stats, names, 2, text, sizeof text, &len),
      CHANGEFEED_OK);
  ck_assert_ptr_nonnull(strstr(text,
                               "changefeed_pending_rows{feed=\"a\"} 12\n"
                               "changefeed_pending_rows{feed=\"b\"} 12\n"));
  ck_assert_uint_eq(count_of("# TYPE changefeed_faults_total "), 1);
  ck_assert_uint_eq(count_of("# TYPE "), count_of("# HELP "));
}
END_TEST

START_TEST(test_metrics_escape_the_name) {
  changefeed_stats stats = some();

  ck_assert_int_eq(write_one(&stats, "a\"b\\c\nd\xc3\xa9"), CHANGEFEED_OK);
  ck_assert(
      has_line("changefeed_pending_rows{feed=\"a\\\"b\\\\c\\nd\xc3\xa9\"} 12"));
}
END_TEST

START_TEST(test_metrics_fit_wholly_or_not_at_all) {
  changefeed_stats stats = some();
  const changefeed_stats *one = &stats;
  const char *name = "x";
  size_t whole;

  ck_assert_int_eq(changefeed_stats_text(&one, &name, 1, NULL, 0, &whole),
                   CHANGEFEED_ERR_LIMIT);
  for (size_t size = 1; size <= whole + 1; size++) {
    char *room = malloc(size); /* of this size, for the tools that look */

    ck_assert_ptr_nonnull(room);
    ck_assert_int_eq(changefeed_stats_text(&one, &name, 1, room, size, &len),
                     size > whole ? CHANGEFEED_OK : CHANGEFEED_ERR_LIMIT);
    ck_assert_uint_eq(len, whole);
    ck_assert_uint_eq(strlen(room), size > whole ? whole : 0);
    free(room);
  }
}
END_TEST

START_TEST(test_metrics_refuse_nonsense) {
  changefeed_stats stats = some();
  const changefeed_stats *one = &stats, *none = NULL;
  const char *name = "x", *no_name = NULL;

  ck_assert_int_eq(changefeed_stats_text(&one, &name, 1, text, 9, NULL),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_stats_text(NULL, &name, 1, text, 9, &len),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_stats_text(&none, &name, 1, text, 9, &len),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_stats_text(&one, &no_name, 1, text, 9, &len),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_stats_text(&one, &name, 1, NULL, 9, &len),
                   CHANGEFEED_ERR_INVALID);
  stats.size = 0;
  ck_assert_int_eq(changefeed_stats_text(&one, &name, 1, text, 9, &len),
                   CHANGEFEED_ERR_INVALID);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("metrics");
  TCase *tests = tcase_create("metrics");

  tcase_add_test(tests, test_metrics_have_help_type_and_value);
  tcase_add_test(tests, test_metrics_leave_out_what_is_not_known);
  tcase_add_test(tests, test_metrics_tell_each_field);
  tcase_add_test(tests, test_metrics_of_many_feeds_stand_together);
  tcase_add_test(tests, test_metrics_escape_the_name);
  tcase_add_test(tests, test_metrics_fit_wholly_or_not_at_all);
  tcase_add_test(tests, test_metrics_refuse_nonsense);
  suite_add_tcase(suite, tests);
  return cft_run(suite);
}
