/*
 * The options of a feed: the table, names, numbers, switches and words.
 */
#include <string.h>

#include "options.h"
#include "options_info.h"
#include "support/unit.h"
#include "unit/options_under_test.h"

/* ---- the table ---- */

START_TEST(test_options_table_rows_are_complete) {
  const changefeed_option_info *info = NULL;
  size_t n = 0;

  ck_assert_int_eq(changefeed_option_at(0, NULL), CHANGEFEED_ERR_INVALID);
  for (; changefeed_option_at(n, &info) == CHANGEFEED_OK; n++) {
    ck_assert_uint_ne(strlen(info->name), 0);
    ck_assert_uint_ne(strlen(info->summary), 0);
    ck_assert_ptr_null(strchr(info->summary, '\n'));
    ck_assert_ptr_nonnull(info->defaults);
    ck_assert_ptr_nonnull(info->values);
    ck_assert_ptr_nonnull(info->unit);
    if (info->kind == CHANGEFEED_OPTION_INT) {
      ck_assert_int_le(info->min, info->max);
      ck_assert_uint_ne(strlen(info->unit), 0);
    }
    for (size_t i = 0; i < n; i++)
      ck_assert_str_ne(cfi_option_table[i].info.name, info->name);
  }
  ck_assert_uint_eq(n, cfi_option_count);
  ck_assert_int_eq(changefeed_option_at(n, &info), CHANGEFEED_END);
  ck_assert_int_eq(changefeed_option_at(SIZE_MAX, &info), CHANGEFEED_END);
}
END_TEST

/* What a row says is its default is accepted by its own setter, and is what a
   new object has. */
START_TEST(test_options_every_default_is_valid_and_in_place) {
  changefeed_options *other;
  const changefeed_option_info *info = NULL;

  ck_assert_int_eq(changefeed_options_new(&other), CHANGEFEED_OK);
  for (size_t n = 0; changefeed_option_at(n, &info) == CHANGEFEED_OK; n++) {
    if (info->defaults[0] != '\0')
      assert_ok(info->name, info->defaults);
    else
      assert_ok(info->name, NULL);
  }
  ck_assert_str_eq(o->set.since, other->set.since);
  ck_assert_str_eq(o->set.checkpoint, other->set.checkpoint);
  for (size_t n = 0; n < cfi_option_count; n++) {
    const cfi_option *row = &cfi_option_table[n];
    if (row->info.kind == CHANGEFEED_OPTION_INT ||
        row->info.kind == CHANGEFEED_OPTION_SWITCH ||
        row->info.kind == CHANGEFEED_OPTION_ENUM)
      ck_assert_int_eq(*cfi_option_int(row, &o->set),
                       *cfi_option_int(row, &other->set));
  }
  changefeed_options_free(other);
}
END_TEST

START_TEST(test_options_defaults_are_those_of_the_manual) {
  ck_assert_ptr_null(o->set.url);
  ck_assert_str_eq(o->set.since, "0");
  ck_assert_str_eq(o->set.checkpoint, "none");
  ck_assert_int_eq(o->set.retry_min_ms, 250);
  ck_assert_int_eq(o->set.retry_max_ms, 60000);
  ck_assert_int_eq(o->set.retry_limit, 0);
  ck_assert_int_eq(o->set.max_row_bytes, 64 * 1024 * 1024);
  ck_assert_int_eq(o->set.tls_verify, 1);
  ck_assert_int_eq(o->set.auto_ack, 1);
  ck_assert_int_eq(o->set.compression, 0);
  ck_assert_int_eq(o->set.mode, CFI_MODE_LIVE);
  ck_assert_int_eq(o->set.transport, CFI_TRANSPORT_AUTO);
  ck_assert_int_eq(o->set.http_version, CFI_HTTP_1_1);
  ck_assert_int_eq(o->set.on_reset, CFI_ON_RESET_RESTART);
  ck_assert_uint_eq(o->set.header.count, 0);
  ck_assert(!o->since_given);
  assert_error("");
}
END_TEST

/* ---- names ---- */

START_TEST(test_options_dash_and_underscore_are_the_same) {
  assert_ok("heartbeat-ms", "200");
  ck_assert_int_eq(o->set.heartbeat_ms, 200);
  assert_ok("connection-max_age-ms", "5000");
  ck_assert_int_eq(o->set.connection_max_age_ms, 5000);
  ck_assert_int_eq(changefeed_options_set_int(o, "retry-min-ms", 300),
                   CHANGEFEED_OK);
  ck_assert_int_eq(o->set.retry_min_ms, 300);
}
END_TEST

static const struct {
  const char *name, *sentence;
} unknown[] = {
    {"hearbeat_ms",
     "there is no option \"hearbeat_ms\"; did you mean heartbeat_ms?"},
    {"hearbeat-ms",
     "there is no option \"hearbeat-ms\"; did you mean heartbeat_ms?"},
    {"heartbeat", "there is no option \"heartbeat\"; did you mean "
                  "heartbeat_ms?"},
    {"Include_Docs",
     "there is no option \"Include_Docs\"; did you mean include_docs?"},
    {"modus", "there is no option \"modus\"; did you mean mode?"},
    {"pasword", "there is no option \"pasword\"; did you mean password?"},
    {"xyzzy", "there is no option \"xyzzy\""},
    {"", "there is no option \"\""},
    {"url ", "there is no option \"url \"; did you mean url?"},
    {"an_option_with_a_name_longer_than_any_name_that_there_is",
     "there is no option "
     "\"an_option_with_a_name_longer_than_any_name_that_there_is\""},
};

START_TEST(test_options_unknown_name_is_told_with_the_nearest) {
  assert_refused(unknown[_i].name, "1", CHANGEFEED_ERR_OPTION,
                 unknown[_i].sentence);
  ck_assert_int_eq(changefeed_options_set_int(o, unknown[_i].name, 1),
                   CHANGEFEED_ERR_OPTION);
  assert_error(unknown[_i].sentence);
  ck_assert_int_eq(changefeed_options_add(o, unknown[_i].name, "1"),
                   CHANGEFEED_ERR_OPTION);
  assert_error(unknown[_i].sentence);
}
END_TEST

START_TEST(test_options_null_arguments_are_invalid) {
  ck_assert_int_eq(changefeed_options_new(NULL), CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_options_set(NULL, "url", "x"),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_options_set_int(NULL, "limit", 1),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_options_add(NULL, "header", "A: b"),
                   CHANGEFEED_ERR_INVALID);
  assert_refused(NULL, "x", CHANGEFEED_ERR_INVALID,
                 "changefeed_options_set: name is NULL");
  ck_assert_int_eq(changefeed_options_set_int(o, NULL, 1),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_options_add(o, NULL, "x"),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_options_add(o, "header", NULL),
                   CHANGEFEED_ERR_INVALID);
  assert_error("changefeed_options_add: value is NULL");
  ck_assert_str_eq(changefeed_options_error(NULL), "");
  changefeed_options_free(NULL);
}
END_TEST

START_TEST(test_options_sentence_stays_until_the_next_failure) {
  (void)set("xyzzy", "1");
  assert_ok("mode", "once");
  assert_error("there is no option \"xyzzy\"");
}
END_TEST

/* ---- numbers ---- */

static const struct {
  const char *name, *value;
  int code;
  const char *sentence;
} numbers[] = {
    {"heartbeat_ms", "5", CHANGEFEED_ERR_RANGE,
     "heartbeat_ms: 5 is not in 100..60000 ms"},
    {"heartbeat_ms", "60001", CHANGEFEED_ERR_RANGE,
     "heartbeat_ms: 60001 is not in 100..60000 ms"},
    {"heartbeat_ms", "0", CHANGEFEED_ERR_RANGE,
     "heartbeat_ms: 0 is not in 100..60000 ms"},
    {"idle_timeout_ms", "5", CHANGEFEED_ERR_RANGE,
     "idle_timeout_ms: 5 is not 0 or 100..86400000 ms"},
    {"limit", "-1", CHANGEFEED_ERR_RANGE,
     "limit: -1 is not 0 or 1..9223372036854775807 rows"},
    {"heartbeat_ms", "-9223372036854775808", CHANGEFEED_ERR_RANGE,
     "heartbeat_ms: -9223372036854775808 is not in 100..60000 ms"},
    {"heartbeat_ms", "99999999999999999999", CHANGEFEED_ERR_RANGE,
     "heartbeat_ms: \"99999999999999999999\" is not in 100..60000 ms"},
    {"limit", "9223372036854775808", CHANGEFEED_ERR_RANGE,
     "limit: \"9223372036854775808\" is not 0 or 1..9223372036854775807 rows"},
    {"heartbeat_ms", "5s", CHANGEFEED_ERR_OPTION,
     "heartbeat_ms: \"5s\" is not a number in decimal without a unit; it "
     "counts ms"},
    {"max_row_bytes", "1M", CHANGEFEED_ERR_OPTION,
     "max_row_bytes: \"1M\" is not a number in decimal without a unit; it "
     "counts bytes"},
    {"limit", "", CHANGEFEED_ERR_OPTION,
     "limit: \"\" is not a number in decimal without a unit; it counts rows"},
    {"limit", "-", CHANGEFEED_ERR_OPTION,
     "limit: \"-\" is not a number in decimal without a unit; it counts rows"},
    {"limit", " 1", CHANGEFEED_ERR_OPTION,
     "limit: \" 1\" is not a number in decimal without a unit; it counts "
     "rows"},
    {"limit", "+1", CHANGEFEED_ERR_OPTION,
     "limit: \"+1\" is not a number in decimal without a unit; it counts "
     "rows"},
    {"limit", "0x10", CHANGEFEED_ERR_OPTION,
     "limit: \"0x10\" is not a number in decimal without a unit; it counts "
     "rows"},
    {"limit", "1e3", CHANGEFEED_ERR_OPTION,
     "limit: \"1e3\" is not a number in decimal without a unit; it counts "
     "rows"},
};

START_TEST(test_options_bad_number_is_told_with_range_and_unit) {
  assert_ok(numbers[_i].name, "5000");
  assert_refused(numbers[_i].name, numbers[_i].value, numbers[_i].code,
                 numbers[_i].sentence);
  ck_assert_int_eq(*cfi_option_int(cfi_option_find(numbers[_i].name), &o->set),
                   5000);
}
END_TEST

/* The ends of each range, and one beyond each, for every number there is. */
START_TEST(test_options_every_range_holds_at_its_ends) {
  for (size_t n = 0; n < cfi_option_count; n++) {
    const cfi_option *row = &cfi_option_table[n];
    const changefeed_option_info *i = &row->info;

    if (i->kind != CHANGEFEED_OPTION_INT)
      continue;
    ck_assert_int_eq(changefeed_options_set_int(o, i->name, i->min), 0);
    ck_assert_int_eq(changefeed_options_set_int(o, i->name, i->max), 0);
    ck_assert_int_eq(*cfi_option_int(row, &o->set), i->max);
    if (i->max < INT64_MAX)
      ck_assert_int_eq(changefeed_options_set_int(o, i->name, i->max + 1),
                       CHANGEFEED_ERR_RANGE);
    if (i->min > 1)
      ck_assert_int_eq(changefeed_options_set_int(o, i->name, i->min - 1),
                       CHANGEFEED_ERR_RANGE);
    ck_assert_int_eq(changefeed_options_set_int(o, i->name, -1),
                     CHANGEFEED_ERR_RANGE);
    ck_assert_int_eq(changefeed_options_set_int(o, i->name, 0),
                     i->zero != 0 || i->min == 0 ? CHANGEFEED_OK
                                                 : CHANGEFEED_ERR_RANGE);
    assert_ok(i->name, NULL);
    ck_assert_int_eq(*cfi_option_int(row, &o->set), row->initial);
  }
}
END_TEST

/* ---- switches and words ---- */

static const struct {
  const char *word;
  int64_t value;
} switches[] = {{"0", 0},  {"1", 1},   {"false", 0}, {"true", 1},
                {"no", 0}, {"yes", 1}, {"off", 0},   {"on", 1}};

START_TEST(test_options_every_switch_goes_both_ways) {
  /* known failure 7 */
  for (size_t n = 0; n < cfi_option_count; n++) {
    const cfi_option *row = &cfi_option_table[n];

    if (row->info.kind != CHANGEFEED_OPTION_SWITCH)
      continue;
    for (int64_t before = 0; before <= 1; before++) {
      ck_assert_int_eq(changefeed_options_set_int(o, row->info.name, before),
                       CHANGEFEED_OK);
      assert_ok(row->info.name, switches[_i].word);
      ck_assert_int_eq(*cfi_option_int(row, &o->set), switches[_i].value);
    }
    assert_ok(row->info.name, NULL);
    ck_assert_int_eq(*cfi_option_int(row, &o->set), row->initial);
  }
}
END_TEST

START_TEST(test_options_switch_takes_no_other_word) {
  assert_refused("session", "maybe", CHANGEFEED_ERR_OPTION,
                 "session: \"maybe\" is not one of 0, 1, true, false, yes, no, "
                 "on, off");
  ck_assert_int_eq(set("session", ""), CHANGEFEED_ERR_OPTION);
  ck_assert_int_eq(set("session", "TRUE"), CHANGEFEED_ERR_OPTION);
  ck_assert_int_eq(set("session", "0|1"), CHANGEFEED_ERR_OPTION);
  ck_assert_int_eq(set("session", "2"), CHANGEFEED_ERR_OPTION);
  ck_assert_int_eq(changefeed_options_set_int(o, "session", 2),
                   CHANGEFEED_ERR_RANGE);
  assert_error("session: 2 is not in 0..1");
}
END_TEST

START_TEST(test_options_words_are_listed_when_none_fits) {
  assert_ok("transport", "eventsource");
  ck_assert_int_eq(o->set.transport, CFI_TRANSPORT_EVENTSOURCE);
  assert_refused("transport", "sse", CHANGEFEED_ERR_OPTION,
                 "transport: \"sse\" is not one of "
                 "auto|continuous|longpoll|eventsource");
  ck_assert_int_eq(o->set.transport, CFI_TRANSPORT_EVENTSOURCE);
  ck_assert_int_eq(set("mode", ""), CHANGEFEED_ERR_OPTION);
  ck_assert_int_eq(set("mode", "live|once"), CHANGEFEED_ERR_OPTION);
  ck_assert_int_eq(set("mode", "liv"), CHANGEFEED_ERR_OPTION);
  assert_ok("transport", NULL);
  ck_assert_int_eq(o->set.transport, CFI_TRANSPORT_AUTO);
}
END_TEST

START_TEST(test_options_tell_what_is_set) {
  const struct {
    const char *name, *value, *other;
  } cases[] = {
      {"filter", "d/f", NULL},           {"since", "5", "0"},
      {"include_docs", "1", "0"},        {"style", "all_docs", "main_only"},
      {"heartbeat-ms", "5000", "10000"}, {"doc_ids", "[\"a\"]", NULL},
      {"header", "A: b", NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ck_assert_int_eq(changefeed_options_is_set(o, cases[i].name), 0);
    ck_assert_int_eq(changefeed_options_set(o, cases[i].name, cases[i].value),
                     0);
    ck_assert_int_eq(changefeed_options_is_set(o, cases[i].name), 1);
    ck_assert_int_eq(changefeed_options_set(o, cases[i].name, cases[i].other),
                     0);
    ck_assert_int_eq(changefeed_options_is_set(o, cases[i].name), 0);
  }
  ck_assert_int_eq(changefeed_options_is_set(o, "nonsense"),
                   CHANGEFEED_ERR_OPTION);
  ck_assert_int_eq(changefeed_options_is_set(o, NULL), CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_options_is_set(NULL, "filter"),
                   CHANGEFEED_ERR_INVALID);
}
END_TEST

START_TEST(test_options_a_copy_is_a_copy) {
  changefeed_options *copy;
  ck_assert_int_eq(changefeed_options_set(o, "filter", "d/f"), 0);
  ck_assert_int_eq(changefeed_options_add(o, "header", "A: b"), 0);
  ck_assert_int_eq(changefeed_options_add(o, "header", "C: d"), 0);
  ck_assert_int_eq(changefeed_options_copy(&copy, o), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_options_set(o, "view", "d/v"), 0);
  ck_assert_int_eq(changefeed_options_is_set(copy, "filter"), 1);
  ck_assert_int_eq(changefeed_options_is_set(copy, "header"), 1);
  ck_assert_int_eq(changefeed_options_is_set(copy, "view"), 0);
  ck_assert_int_eq(changefeed_options_copy(NULL, copy), CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_options_copy(&copy, NULL),
                   CHANGEFEED_ERR_INVALID);
  changefeed_options_free(copy);
}
END_TEST

START_TEST(test_options_set_int_is_for_numbers_and_switches) {
  ck_assert_int_eq(changefeed_options_set_int(o, "mode", 1),
                   CHANGEFEED_ERR_OPTION);
  assert_error("mode: this option is not a number; changefeed_options_set "
               "takes it as text");
  ck_assert_int_eq(changefeed_options_set_int(o, "url", 1),
                   CHANGEFEED_ERR_OPTION);
  ck_assert_int_eq(changefeed_options_set_int(o, "header", 1),
                   CHANGEFEED_ERR_OPTION);
  ck_assert_int_eq(changefeed_options_set_int(o, "doc_ids", 1),
                   CHANGEFEED_ERR_OPTION);
}
END_TEST

#define LOOP(tests, test, table)                                               \
  tcase_add_loop_test(tests, test, 0, (int)(sizeof table / sizeof *table))

int main(void) {
  Suite *suite = suite_create("options");
  TCase *t = tcase_create("options");

  tcase_add_checked_fixture(t, setup, teardown);
  LOOP(t, test_options_unknown_name_is_told_with_the_nearest, unknown);
  LOOP(t, test_options_bad_number_is_told_with_range_and_unit, numbers);
  LOOP(t, test_options_every_switch_goes_both_ways, switches);
  tcase_add_test(t, test_options_table_rows_are_complete);
  tcase_add_test(t, test_options_every_default_is_valid_and_in_place);
  tcase_add_test(t, test_options_defaults_are_those_of_the_manual);
  tcase_add_test(t, test_options_dash_and_underscore_are_the_same);
  tcase_add_test(t, test_options_null_arguments_are_invalid);
  tcase_add_test(t, test_options_sentence_stays_until_the_next_failure);
  tcase_add_test(t, test_options_every_range_holds_at_its_ends);
  tcase_add_test(t, test_options_switch_takes_no_other_word);
  tcase_add_test(t, test_options_words_are_listed_when_none_fits);
  tcase_add_test(t, test_options_tell_what_is_set);
  tcase_add_test(t, test_options_a_copy_is_a_copy);
  tcase_add_test(t, test_options_set_int_is_for_numbers_and_switches);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
