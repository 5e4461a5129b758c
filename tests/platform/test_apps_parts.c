/* The parts of the command `apps` that ask nobody: what is new of a log, times,
   variables, what a state or a refusal means, and what a line of words means.
 */
#include "apps/call.h"
#include "apps/command.h"
#include "apps/console.h"
#include "apps/environment.h"
#include "apps/operation.h"
#include "apps/rows.h"
#include "apps/tail.h"
#include "apps/times.h"

#include "support/unit.h"

#include <stdlib.h>
#include <string.h>

/* ---- logs ---- */

static size_t known(const char *seen, const char *now, bool *lost) {
  size_t n;

  ck_assert(apps_tail_known(seen, strlen(seen), now, strlen(now), &n, lost));
  return n;
}

START_TEST(test_apps_tail_finds_what_was_seen) {
  bool lost;

  ck_assert_uint_eq(known("one\ntwo\n", "one\ntwo\nthree\n", &lost), 8);
  ck_assert(!lost);
  ck_assert_uint_eq(known("one\ntwo\n", "two\nthree\n", &lost), 4);
  ck_assert(!lost);
  ck_assert_uint_eq(known("one\n", "one\n", &lost), 4);
  ck_assert_uint_eq(known("ab", "b", &lost), 1);
  ck_assert_uint_eq(known("", "x", &lost), 0);
  ck_assert(!lost); /* nothing could be lost */
  ck_assert_uint_eq(known("x", "", &lost), 0);
  ck_assert(!lost);
  ck_assert_uint_eq(known("one\n", "six", &lost), 0);
  ck_assert(lost);
}
END_TEST

/* Against the obvious way, on texts of two letters, where much is alike. */
START_TEST(test_apps_tail_is_the_longest_end_that_is_a_beginning) {
  char seen[12], now[12];
  bool lost;

  for (unsigned bits = 0; bits < 1 << 16; bits += 7) {
    size_t a = bits & 7, b = (bits >> 3) & 7, expected = 0;

    for (size_t i = 0; i < a; i++)
      seen[i] = (bits >> (i + 3)) & 1 ? 'x' : 'y';
    for (size_t i = 0; i < b; i++)
      now[i] = (bits >> (i + 9)) & 1 ? 'x' : 'y';
    seen[a] = now[b] = '\0';
    for (size_t n = 1; n <= a && n <= b; n++)
      if (memcmp(seen + a - n, now, n) == 0)
        expected = n;
    ck_assert_uint_eq(known(seen, now, &lost), expected);
  }
}
END_TEST

START_TEST(test_apps_tail_of_one_letter_is_quick) {
  size_t len = 1 << 20, n;
  char *seen = malloc(len), *now = malloc(len);
  bool lost;

  ck_assert(seen != NULL && now != NULL);
  memset(seen, 'x', len);
  memset(now, 'x', len);
  now[len - 1] = 'y';
  ck_assert(apps_tail_known(seen, len, now, len, &n, &lost));
  ck_assert_uint_eq(n, len - 1);
  free(seen);
  free(now);
}
END_TEST

/* ---- times ---- */

START_TEST(test_apps_times_are_read) {
  static const struct {
    const char *text;
    int64_t ms;
  } good[] = {{"0s", 5000},
              {"30s", 35000},
              {"2m", 125000},
              {"3h", 10805000},
              {"1d", 86405000},
              {"1970-01-01T00:00Z", 0},
              {"2023-11-14T22:13:20Z", 1700000000000},
              {"2024-02-29 12:00Z", 1709208000000}};
  static const char *const bad[] = {"",
                                    "5",
                                    "s",
                                    "-5s",
                                    "5sx",
                                    "1000000000s",
                                    "2024-02-30T00:00Z",
                                    "2023-02-29T00:00Z",
                                    "2024-13-01T00:00Z",
                                    "2024-01-01T24:00Z",
                                    "2024-01-01T00:60Z",
                                    "2024-01-01T00:00",
                                    "2024-01-01",
                                    "2024-1-1T00:00Z",
                                    "2024-01-01T00:00Zx",
                                    "1969-12-31T00:00Z"};
  int64_t ms;

  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    ck_assert_msg(apps_time_read(good[i].text, 5000, &ms), "%s", good[i].text);
    ck_assert_int_eq(ms, good[i].ms);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(!apps_time_read(bad[i], 5000, &ms), "%s", bad[i]);
}
END_TEST

START_TEST(test_apps_times_are_shown) {
  char out[32];

  ck_assert_str_eq(apps_time_show(1700000000999, out, sizeof out),
                   "2023-11-14T22:13:20Z");
  ck_assert_str_eq(apps_time_show(0, out, sizeof out), "-");
  ck_assert_str_eq(apps_time_show(INT64_MAX, out, sizeof out), "-");
  ck_assert_str_eq(apps_time_show(INT64_MIN, out, sizeof out), "-");
  ck_assert_str_eq(apps_age_show(-1, out, sizeof out), "0 s");
  ck_assert_str_eq(apps_age_show(119999, out, sizeof out), "119 s");
  ck_assert_str_eq(apps_age_show(120000, out, sizeof out), "2 min");
  ck_assert_str_eq(apps_age_show(7200000, out, sizeof out), "2 h");
  ck_assert_str_eq(apps_age_show(172800000, out, sizeof out), "2 d");
}
END_TEST

/* ---- variables ---- */

START_TEST(test_apps_variables_have_names) {
  static const char *const bad[] = {"",      "A",     "=x",        "1=x",
                                    "A B=x", "A-B=x", "\xc3\xb6=x"};
  json_t *env = json_object();
  char error[256];

  ck_assert(apps_env_add(env, "A=1", 3, "here", error, sizeof error));
  ck_assert(apps_env_add(env, "A=b=c d", 7, "here", error, sizeof error));
  ck_assert(apps_env_add(env, "_x9=", 4, "here", error, sizeof error));
  ck_assert_str_eq(json_string_value(json_object_get(env, "A")), "b=c d");
  ck_assert_str_eq(json_string_value(json_object_get(env, "_x9")), "");
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    ck_assert(!apps_env_add(env, bad[i], strlen(bad[i]), "here", error,
                            sizeof error));
    ck_assert_int_eq(strncmp(error, "here: there must be", 19), 0);
  }
  ck_assert(!apps_env_add(env, "S=s3cret\xff", 9, "here", error, sizeof error));
  ck_assert_str_eq(error, "here: the value of S is not UTF-8.");
  json_decref(env);
}
END_TEST

/* ---- what things mean ---- */

START_TEST(test_apps_states_end_or_go_on) {
  ck_assert_int_eq(apps_op_status(GOAL_LIVE, "live", "ok"), EXIT_LIVE);
  ck_assert_int_eq(apps_op_status(GOAL_LIVE, "failed", "app"), EXIT_APP_FAILED);
  ck_assert_int_eq(apps_op_status(GOAL_LIVE, "failed", "capacity"),
                   EXIT_NO_CAPACITY);
  ck_assert_int_eq(apps_op_status(GOAL_LIVE, "failed", NULL), EXIT_OTHER);
  ck_assert_int_eq(apps_op_status(GOAL_LIVE, "stopped", NULL), EXIT_OTHER);
  ck_assert_int_eq(apps_op_status(GOAL_LIVE, "crashed", NULL), EXIT_APP_FAILED);
  ck_assert_int_eq(apps_op_status(GOAL_LIVE, "superseded", NULL), EXIT_OTHER);
  ck_assert_int_eq(apps_op_status(GOAL_LIVE, "queued", "capacity"), -1);
  ck_assert_int_eq(apps_op_status(GOAL_LIVE, "", NULL), -1);
  ck_assert_int_eq(apps_op_status(GOAL_LIVE, "some new state", NULL), -1);
  ck_assert_int_eq(apps_op_status(GOAL_STOPPED, "stopped", NULL), EXIT_LIVE);
  ck_assert_int_eq(apps_op_status(GOAL_STOPPED, "live", NULL), -1);
  ck_assert_int_eq(apps_op_status(GOAL_GONE, "stopped", NULL), EXIT_LIVE);
  ck_assert_int_eq(apps_op_status(GOAL_GONE, "superseded", NULL), EXIT_OTHER);
}
END_TEST

START_TEST(test_apps_refusals_have_exit_statuses) {
  ck_assert_int_eq(apps_exit_of(429, NULL), EXIT_RATE);
  ck_assert_int_eq(apps_exit_of(429, "capacity"), EXIT_RATE);
  ck_assert_int_eq(apps_exit_of(503, "capacity"), EXIT_NO_CAPACITY);
  ck_assert_int_eq(apps_exit_of(503, "maintenance"), EXIT_MAINTENANCE);
  ck_assert_int_eq(apps_exit_of(503, "database"), EXIT_OTHER);
  ck_assert_int_eq(apps_exit_of(503, NULL), EXIT_OTHER);
  ck_assert_int_eq(apps_exit_of(404, "unknown"), EXIT_OTHER);
}
END_TEST

START_TEST(test_apps_ask_again_when_it_helps) {
  apps_run run = {.random = 7};
  rest_reply reply = {.status = 0};
  int64_t ms, most = 500;

  for (int tries = 1; tries < 6; tries++, most *= 2) {
    ms = apps_again_ms(&run, &reply, tries);
    ck_assert_int_ge(ms, most);
    ck_assert_int_le(ms, most + most / 2);
  }
  ck_assert_int_eq(apps_again_ms(&run, &reply, 6), -1);
  reply.status = 429;
  ck_assert_int_le(apps_again_ms(&run, &reply, 60), 15000);
  reply.retry_after_ms = 7000;
  ms = apps_again_ms(&run, &reply, 60);
  ck_assert_int_ge(ms, 7000);
  ck_assert_int_le(ms, 10500);
  run.no_wait = true;
  ck_assert_int_eq(apps_again_ms(&run, &reply, 1), -1);
  run.no_wait = false;
  reply.status = 404;
  ck_assert_int_eq(apps_again_ms(&run, &reply, 1), -1);
}
END_TEST

/* Whatever somebody wrote into a document: no field is missing. */
START_TEST(test_apps_rows_of_broken_documents_can_be_shown) {
  static const char *const texts[] = {
      "{}",
      "[]",
      "7",
      "{\"app\":7,\"state\":[],\"to\":7,\"hosts\":{},\"gen\":\"x\"}",
      "{\"to\":[7],\"hosts\":[7,null,\"a\"],\"route\":[],\"want\":7}",
      "{\"route\":{\"to\":[{\"addr\":7}],\"state\":null}}"};
  apps_row row;

  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    json_t *v = json_loads(texts[i], JSON_DECODE_ANY, NULL);
    text hosts = TEXT_INIT;

    apps_row_of_route(v, &row);
    ck_assert(row.app != NULL && row.state != NULL && row.msg != NULL &&
              row.code != NULL && row.drone != NULL && row.claim != NULL &&
              row.wanted != NULL);
    ck_assert_uint_gt(strlen(apps_row_hosts(&row, &hosts)), 0);
    apps_row_of_app(v, &row);
    ck_assert_str_eq(row.state, "stopped");
    ck_assert_int_eq(apps_row_exit(&row), EXIT_LIVE);
    text_free(&hosts);
    json_decref(v);
  }
}
END_TEST

START_TEST(test_apps_terminals_are_told_nothing) {
  text out = TEXT_INIT;

  apps_clean(&out, "a\x1b[2J\n\t\x7f\xc2\x9b\xc3\xb6\0b", 14, false);
  ck_assert_str_eq(text_get(&out), "a?[2J????\xc3\xb6?b");
  text_clear(&out);
  apps_clean(&out, "a\x1b\n\t", 4, true);
  ck_assert_str_eq(text_get(&out), "a?\n\t");
  text_free(&out);
}
END_TEST

/* ---- words ---- */

static bool line_of(apps_line *line, const char *const *words) {
  char *argv[16], error[256];
  int argc = 0;

  memcpy(argv, words, sizeof argv);
  while (argv[argc] != NULL)
    argc++;
  return apps_line_read(line, argc, argv, error, sizeof error);
}

#define LINE(line, ...) line_of((line), (const char *[16]){"apps", __VA_ARGS__})

START_TEST(test_apps_words_can_stand_anywhere) {
  apps_line line;

  ck_assert(LINE(&line, "--server=http://h", "start", "--force", "shop"));
  ck_assert_str_eq(line.command->name, "start");
  ck_assert_str_eq(line.operand, "shop");
  ck_assert_str_eq(config_string(line.config, "server"), "http://h");
  apps_line_free(&line);
  ck_assert(LINE(&line, "help", "start"));
  ck_assert(line.help);
  ck_assert_str_eq(line.command->name, "start");
  apps_line_free(&line);
  ck_assert(!LINE(&line, "stop", "shop", "--force"));
  ck_assert(!LINE(&line, "start", "shop", "more"));
  ck_assert(!LINE(&line, "help", "strt"));
}
END_TEST

/* One file for all commands: what means nothing to one is passed over. */
START_TEST(test_apps_environment_holds_options_of_all_commands) {
  apps_line line;

  ck_assert_int_eq(setenv("APPS_FORCE", "yes", 1), 0);
  ck_assert(LINE(&line, "stop", "shop"));
  apps_line_free(&line);
}
END_TEST

int main(void) {
  Suite *s = suite_create("apps_parts");
  TCase *t = tcase_create("apps_parts");

  tcase_add_test(t, test_apps_tail_finds_what_was_seen);
  tcase_add_test(t, test_apps_tail_is_the_longest_end_that_is_a_beginning);
  tcase_add_test(t, test_apps_tail_of_one_letter_is_quick);
  tcase_add_test(t, test_apps_times_are_read);
  tcase_add_test(t, test_apps_times_are_shown);
  tcase_add_test(t, test_apps_variables_have_names);
  tcase_add_test(t, test_apps_states_end_or_go_on);
  tcase_add_test(t, test_apps_refusals_have_exit_statuses);
  tcase_add_test(t, test_apps_ask_again_when_it_helps);
  tcase_add_test(t, test_apps_rows_of_broken_documents_can_be_shown);
  tcase_add_test(t, test_apps_terminals_are_told_nothing);
  tcase_add_test(t, test_apps_words_can_stand_anywhere);
  tcase_add_test(t, test_apps_environment_holds_options_of_all_commands);
  suite_add_tcase(s, t);
  return cft_run(s);
}
