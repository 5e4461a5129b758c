/* What an answer means, by status and reason. Known failures 18 and 49 (a 503
   was the end), 50 (Retry-After ignored), 63 (a malformed since was asked for
   ever), 84 (a 408 was the end). */
#include "reply.h"

#include <dirent.h>
#include <string.h>

#include "str.h"
#include "support/unit.h"

static changefeed_str str(const char *text) {
  changefeed_str s = {text, text != NULL ? strlen(text) : 0};
  return s;
}

static cfi_reply_class classify(int status, const char *error,
                                const char *reason) {
  return cfi_reply_classify(status, str(error), str(reason));
}

START_TEST(test_reply_without_a_body_is_judged_by_its_status) {
  for (int status = 100; status <= 599; status++) {
    cfi_reply_class expected = CFI_REPLY_RETRY;

    if (status == 200)
      expected = CFI_REPLY_OK;
    if (status == 401 || status == 403)
      expected = CFI_REPLY_AUTH;
    ck_assert_msg(classify(status, NULL, NULL) == expected, "%d", status);
  }
}
END_TEST

/* The same words mean something in one status only. */
START_TEST(test_reply_with_a_body_is_judged_by_both) {
  for (int status = 100; status <= 599; status++) {
    static const char *const reasons[] = {
        "Malformed sequence supplied in 'since' parameter.",
        "Database does not exist.", "no_db_file", "missing", ""};

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
      cfi_reply_class expected = CFI_REPLY_RETRY;

      if (status == 200)
        expected = CFI_REPLY_OK;
      else if (status == 400)
        expected = i == 0 ? CFI_REPLY_BAD_SINCE : CFI_REPLY_FATAL;
      else if (status == 401 || status == 403)
        expected = CFI_REPLY_AUTH;
      else if (status == 404 && (i == 1 || i == 2))
        expected = CFI_REPLY_NO_DB;
      ck_assert_msg(classify(status, "some_error", reasons[i]) == expected,
                    "%d %s", status, reasons[i]);
    }
  }
}
END_TEST

START_TEST(test_reply_404_is_about_the_database_in_these_words_only) {
  static const char *const of_database[] = {
      "Database does not exist.", "no_db_file", "no such database \"db\""};
  static const char *const of_others[] = {
      "missing",
      "deleted",
      "Design document was updated or deleted.",
      "missing json key: nope",
      "Database",
      "",
      "no_db",
      "Page not found"};

  for (size_t i = 0; i < sizeof of_database / sizeof of_database[0]; i++)
    ck_assert_msg(classify(404, "not_found", of_database[i]) == CFI_REPLY_NO_DB,
                  "%s", of_database[i]);
  for (size_t i = 0; i < sizeof of_others / sizeof of_others[0]; i++)
    ck_assert_msg(classify(404, "not_found", of_others[i]) == CFI_REPLY_RETRY,
                  "%s", of_others[i]);
}
END_TEST

START_TEST(test_reply_400_is_fatal_only_in_the_databases_own_words) {
  ck_assert_int_eq(classify(400, "bad_request", "unknown builtin filter name"),
                   CFI_REPLY_FATAL);
  ck_assert_int_eq(classify(400, "query_parse_error", "invalid integer"),
                   CFI_REPLY_FATAL);
  ck_assert_int_eq(classify(400, "bad_request", NULL), CFI_REPLY_RETRY);
  ck_assert_int_eq(classify(400, NULL, "something"), CFI_REPLY_RETRY);
  ck_assert_int_eq(classify(400, "Bad Request", "Invalid sequence"),
                   CFI_REPLY_BAD_SINCE);
  ck_assert_int_eq(classify(400, "bad_request", "invalid 'since' value"),
                   CFI_REPLY_BAD_SINCE);
}
END_TEST

START_TEST(test_reply_code_tells_credentials_and_absence_from_the_rest) {
  for (int status = 100; status <= 599; status++)
    ck_assert_int_eq(cfi_reply_code(status),
                     status == 401 || status == 403 ? CHANGEFEED_ERR_AUTH
                     : status == 404                ? CHANGEFEED_ERR_NOTFOUND
                                                    : CHANGEFEED_ERR_HTTP);
}
END_TEST

/* ---- what CouchDB 3.5 really answered ---- */

typedef struct recorded {
  int status;
  char error[64], reason[2048];
  bool has_error, has_reason;
} recorded;

/* Copies the JSON string behind name, escapes as they are. */
static bool member(const char *text, const char *name, char *out, size_t size) {
  const char *at = strstr(text, name);
  size_t len = 0;

  if (at == NULL)
    return false;
  for (at += strlen(name); *at != '"' && *at != '\0' && len + 2 < size; at++) {
    if (*at == '\\')
      out[len++] = *at++;
    out[len++] = *at;
  }
  out[len] = '\0';
  return true;
}

/* False when the recording holds no answer, or one of 200 or of 1xx. */
static bool read_recording(const char *path, recorded *r) {
  static char text[64 * 1024];
  const char *body;
  size_t len;
  FILE *file = fopen(path, "rb");

  ck_assert_msg(file != NULL, "%s cannot be opened", path);
  len = fread(text, 1, sizeof text - 1, file);
  (void)fclose(file);
  text[len] = '\0';
  if (len < 12 || memcmp(text, "HTTP/1.", 7) != 0)
    return false;
  r->status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
  if (r->status < 200 || r->status == 200)
    return false;
  body = strstr(text, "\r\n\r\n");
  ck_assert_ptr_nonnull(body);
  r->has_error = member(body, "\"error\":\"", r->error, sizeof r->error);
  r->has_reason = member(body, "\"reason\":\"", r->reason, sizeof r->reason);
  return true;
}

/* What each recording is, by the beginning of its name, the first that fits;
   all others are RETRY. */
static cfi_reply_class expected_of(const char *name) {
  static const struct {
    const char *begin;
    cfi_reply_class class;
  } table[] = {
      {"err_400_bad_since", CFI_REPLY_BAD_SINCE},
      {"err_bad_since_int", CFI_REPLY_BAD_SINCE},
      {"db_updates_bad_since", CFI_REPLY_BAD_SINCE},
      {"since_array_json", CFI_REPLY_BAD_SINCE},
      {"since_garbled_seq", CFI_REPLY_BAD_SINCE},
      {"since_truncated_seq", CFI_REPLY_BAD_SINCE},
      {"err_400_illegal_db_name", CFI_REPLY_NO_DB}, /* it is a 404 */
      {"err_404_no_db", CFI_REPLY_NO_DB},
      {"err_400_", CFI_REPLY_FATAL},
      {"err_seq_interval", CFI_REPLY_FATAL},
      {"err_401_malformed_basic", CFI_REPLY_RETRY}, /* it is a 500 */
      {"err_401_", CFI_REPLY_AUTH},
      {"err_403_", CFI_REPLY_AUTH},
      {"db_updates_no_auth", CFI_REPLY_AUTH},
      {"session_post_bad", CFI_REPLY_AUTH},
  };

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (strncmp(name, table[i].begin, strlen(table[i].begin)) == 0)
      return table[i].class;
  return CFI_REPLY_RETRY;
}

START_TEST(test_reply_judges_every_recorded_refusal) {
  const char *data = getenv("CFT_DATA_DIR");
  struct dirent *entry;
  char path[4096];
  int seen = 0;
  DIR *dir;

  ck_assert_msg(data != NULL, "CFT_DATA_DIR is not set");
  (void)snprintf(path, sizeof path, "%s/wire", data);
  dir = opendir(path);
  ck_assert_msg(dir != NULL, "%s cannot be opened", path);
  while ((entry = readdir(dir)) != NULL) {
    const char *dot = strrchr(entry->d_name, '.');
    recorded r;

    if (dot == NULL || strcmp(dot, ".response") != 0)
      continue;
    (void)snprintf(path, sizeof path, "%s/wire/%s", data, entry->d_name);
    if (!read_recording(path, &r))
      continue;
    seen++;
    ck_assert_msg(
        classify(r.status, r.has_error ? r.error : NULL,
                 r.has_reason ? r.reason : NULL) == expected_of(entry->d_name),
        "%s: %d %s", entry->d_name, r.status, r.has_reason ? r.reason : "");
  }
  (void)closedir(dir);
  ck_assert_int_ge(seen, 80);
}
END_TEST

/* ---- Retry-After ---- */

/* 1994-11-06 08:49:37 UTC, the date of the RFC's examples. */
#define THEN_MS 784111777000

START_TEST(test_reply_retry_after_in_seconds_is_clamped_to_an_hour) {
  ck_assert_int_eq(cfi_reply_retry_after("0", THEN_MS), 0);
  ck_assert_int_eq(cfi_reply_retry_after("5", THEN_MS), 5000);
  ck_assert_int_eq(cfi_reply_retry_after(" \t120 ", THEN_MS), 120000);
  ck_assert_int_eq(cfi_reply_retry_after("007", THEN_MS), 7000);
  ck_assert_int_eq(cfi_reply_retry_after("3600", THEN_MS), 3600000);
  ck_assert_int_eq(cfi_reply_retry_after("3601", THEN_MS), 3600000);
  ck_assert_int_eq(cfi_reply_retry_after("99999999999999999999999", THEN_MS),
                   3600000);
}
END_TEST

START_TEST(test_reply_retry_after_reads_all_three_forms_of_dates) {
  static const char *const forms[] = {
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994", "sun, 06 nov 1994 08:49:37 gmt"};

  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    ck_assert_int_eq(cfi_reply_retry_after(forms[i], THEN_MS - 90000), 90000);
    ck_assert_int_eq(cfi_reply_retry_after(forms[i], THEN_MS - 1), 1);
    ck_assert_int_eq(cfi_reply_retry_after(forms[i], THEN_MS), 0);
    ck_assert_int_eq(cfi_reply_retry_after(forms[i], THEN_MS + 1), 0);
    ck_assert_int_eq(cfi_reply_retry_after(forms[i], THEN_MS + 999999), 0);
    ck_assert_int_eq(cfi_reply_retry_after(forms[i], THEN_MS - 3600000),
                     3600000);
    ck_assert_int_eq(cfi_reply_retry_after(forms[i], THEN_MS - 3600001),
                     3600000);
    ck_assert_int_eq(cfi_reply_retry_after(forms[i], 0), 3600000);
  }
}
END_TEST

START_TEST(test_reply_retry_after_knows_the_calendar) {
  /* clang-format off */
  static const struct {
    const char *text;
    int64_t seconds; /* since 1970 */
  } dates[] = {
      {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
      {"Mon, 28 Feb 2000 23:59:59 GMT", 951782399},
      {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
      {"Wed, 01 Mar 2000 00:00:00 GMT", 951868800},
      {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
      {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200},
      {"Wed, 31 Dec 2025 23:59:59 GMT", 1767225599},
      {"Thu, 01 Jan 2026 00:00:00 GMT", 1767225600},
      {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
      {"Mon Feb 28 23:59:59 2000", 951782399},
      {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
      {"Monday, 01-Mar-00 00:00:00 GMT", 951868800},
  };
  /* clang-format on */
  for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
    int64_t wait =
        cfi_reply_retry_after(dates[i].text, (dates[i].seconds - 7) * 1000);

    ck_assert_msg(wait == 7000, "%s: %lld", dates[i].text, (long long)wait);
  }
  /* Two digits of a year are of the last 50 or the next 50 years. */
  ck_assert_int_eq(
      cfi_reply_retry_after("Tuesday, 01-Jan-69 00:00:00 GMT", 1767225600000),
      3600000);
  ck_assert_int_eq(
      cfi_reply_retry_after("Tuesday, 01-Jan-80 00:00:00 GMT", 1767225600000),
      0);
  /* 2105, seen from 2080 */
  ck_assert_int_eq(
      cfi_reply_retry_after("Thursday, 01-Jan-05 00:00:00 GMT", 3471292800000),
      3600000);
  /* 2101-01-01, seen seven seconds before, in another century */
  ck_assert_int_eq(
      cfi_reply_retry_after("Saturday, 01-Jan-01 00:00:00 GMT", 4133980793000),
      7000);
}
END_TEST

START_TEST(test_reply_retry_after_that_is_neither_is_none) {
  static const char *const bad[] = {"",
                                    " ",
                                    "-5",
                                    "+5",
                                    "5s",
                                    "1.5",
                                    "1e3",
                                    "0x10",
                                    "five",
                                    "1 2",
                                    "Sun, 06 Nov 1994 08:49:37",
                                    "Sun, 06 Nov 1994 08:49:37 CET",
                                    "Sun, 06 Nov 1994 08:49:37 GMT+1",
                                    "Sun, 6 Nov 1994 08:49:37 GMT",
                                    "Sun, 06 Nov 94 08:49:37 GMT",
                                    "Sun, 31 Nov 1994 08:49:37 GMT",
                                    "Sun, 00 Nov 1994 08:49:37 GMT",
                                    "Wed, 29 Feb 2023 00:00:00 GMT",
                                    "Thu, 29 Feb 1900 00:00:00 GMT",
                                    "Sun, 06 Nov 1994 24:00:00 GMT",
                                    "Sun, 06 Nov 1994 08:60:00 GMT",
                                    "Sun, 06 Nov 1994 08:49:61 GMT",
                                    "Sun, 06 Foo 1994 08:49:37 GMT",
                                    "Foo, 06 Nov 1994 08:49:37 GMT",
                                    "Sun 06 Nov 1994 08:49:37 GMT",
                                    "Sunday, 06-Nov-1994 08:49:37 GMT",
                                    "Sun Nov 6 08:49:37 1994",
                                    "Sun Nov  6 08:49:37 1994 GMT",
                                    "1994-11-06T08:49:37Z",
                                    "Sun,",
                                    "Sunday,",
                                    "Sun Nov",
                                    "Sunday, 06-"};

  ck_assert_int_eq(cfi_reply_retry_after(NULL, THEN_MS), -1);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(cfi_reply_retry_after(bad[i], THEN_MS) == -1, "\"%s\"",
                  bad[i]);
}
END_TEST

START_TEST(test_reply_retry_after_stands_any_clock) {
  static const int64_t clocks[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
  static const char *const dates[] = {
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sat, 01 Jan 0000 00:00:00 GMT",
      "Fri, 31 Dec 9999 23:59:59 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sunday, 06-Nov-00 08:49:37 GMT"};

  for (size_t i = 0; i < 5; i++)
    for (size_t k = 0; k < 5; k++) {
      int64_t wait = cfi_reply_retry_after(dates[k], clocks[i]);

      ck_assert_int_ge(wait, 0);
      ck_assert_int_le(wait, 3600000);
    }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("reply");
  TCase *tc = tcase_create("reply");

  tcase_add_test(tc, test_reply_without_a_body_is_judged_by_its_status);
  tcase_add_test(tc, test_reply_with_a_body_is_judged_by_both);
  tcase_add_test(tc, test_reply_404_is_about_the_database_in_these_words_only);
  tcase_add_test(tc, test_reply_400_is_fatal_only_in_the_databases_own_words);
  tcase_add_test(tc,
                 test_reply_code_tells_credentials_and_absence_from_the_rest);
  tcase_add_test(tc, test_reply_judges_every_recorded_refusal);
  tcase_add_test(tc, test_reply_retry_after_in_seconds_is_clamped_to_an_hour);
  tcase_add_test(tc, test_reply_retry_after_reads_all_three_forms_of_dates);
  tcase_add_test(tc, test_reply_retry_after_knows_the_calendar);
  tcase_add_test(tc, test_reply_retry_after_that_is_neither_is_none);
  tcase_add_test(tc, test_reply_retry_after_stands_any_clock);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
