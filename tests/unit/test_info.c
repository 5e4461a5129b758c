/*
 * What is read from answers that are not feeds: recorded ones, older ones, and
 * ones that are something else.
 */
#include "info.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/failing.h"
#include "support/unit.h"

static int parse(const char *text, cfi_info *info) {
  cfi_alloc alloc;
  size_t len = strlen(text);
  char *exact = malloc(len != 0 ? len : 1);
  int rc;

  ck_assert_ptr_nonnull(exact);
  memcpy(exact, text, len);
  ck_assert(cfi_alloc_init(&alloc, NULL));
  memset(info, 0, sizeof *info);
  rc = cfi_info_parse(&alloc, exact, len, info);
  memset(exact, 0xa5, len);
  free(exact);
  return rc;
}

static void done(cfi_info *info) {
  cfi_alloc alloc;

  ck_assert(cfi_alloc_init(&alloc, NULL));
  cfi_info_free(&alloc, info);
  ck_assert_ptr_null(info->block);
}

#define expect_text(s, wanted)                                                 \
  do {                                                                         \
    ck_assert_ptr_nonnull((s).data);                                           \
    ck_assert_str_eq((s).data, wanted);                                        \
    ck_assert_uint_eq((s).len, strlen(wanted));                                \
  } while (0)

#define expect_absent(s) ck_assert_ptr_null((s).data)

START_TEST(test_info_of_a_server) {
  cfi_info info;

  ck_assert_int_eq(
      parse("{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\",\"git_sha\":"
            "\"11f0d3643\",\"uuid\":\"fc367da6d8f3e990a1f758660af6bd96\","
            "\"features\":[\"quickjs\",\"access-ready\"],"
            "\"vendor\":{\"name\":\"The Apache Software Foundation\"}}\n",
            &info),
      CFI_INFO_OK);
  ck_assert(info.welcome);
  expect_text(info.uuid, "fc367da6d8f3e990a1f758660af6bd96");
  expect_text(info.version, "3.5.0");
  ck_assert(!info.has_user);
  expect_absent(info.db_name);
  expect_absent(info.error);
  done(&info);
  ck_assert_int_eq(
      parse("{\"express-pouchdb\":\"Welcome!\",\"uuid\":\"x\"}", &info),
      CFI_INFO_OK);
  ck_assert(info.welcome);
  done(&info);
  ck_assert_int_eq(parse("{\"vendor\":{\"couchdb\":1,\"uuid\":2}}", &info),
                   CFI_INFO_OK);
  ck_assert(!info.welcome);
  done(&info);
}
END_TEST

START_TEST(test_info_of_a_database) {
  static const struct {
    const char *seq, *seq_wanted, *time, *time_wanted;
    bool number;
  } bodies[] = {
      {"\"9-g1AA\\u0041\"", "9-g1AAA", "\"1732317351\"", "1732317351", false},
      {"12", "12", "1732317351000000", "1732317351000000", true},
      {"[5, \"x\"]", "[5, \"x\"]", "\"0\"", "0", false},
      {"null", NULL, "null", NULL, false},
      {"{\"a\":1}", NULL, "[1]", NULL, false},
      {"true", NULL, "{}", NULL, false}};

  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    char text[512];
    cfi_info info;

    (void)snprintf(text, sizeof text,
                   "{\"instance_start_time\":%s,\"db_name\":\"a/b\","
                   "\"purge_seq\":\"0\",\"update_seq\":%s,"
                   "\"sizes\":{\"file\":1,\"update_seq\":7},\"props\":{}}",
                   bodies[i].time, bodies[i].seq);
    ck_assert_int_eq(parse(text, &info), CFI_INFO_OK);
    expect_text(info.db_name, "a/b");
    ck_assert(!info.welcome);
    if (bodies[i].seq_wanted != NULL)
      expect_text(info.update_seq, bodies[i].seq_wanted);
    else
      expect_absent(info.update_seq);
    ck_assert_int_eq(info.update_seq_is_number, bodies[i].number);
    if (bodies[i].time_wanted != NULL)
      expect_text(info.instance_start_time, bodies[i].time_wanted);
    else
      expect_absent(info.instance_start_time);
    done(&info);
  }
}
END_TEST

START_TEST(test_info_of_a_session) {
  static const struct {
    const char *text;
    bool user;
  } bodies[] = {
      {"{\"ok\":true,\"name\":\"admin\",\"roles\":[\"_admin\"]}\n", true},
      {"{\"ok\":true,\"userCtx\":{\"name\":\"bob\",\"roles\":[]},"
       "\"info\":{\"authenticated\":\"cookie\"}}",
       true},
      {"{\"ok\":true,\"userCtx\":{\"name\":null,\"roles\":[]},"
       "\"info\":{\"name\":\"x\"}}",
       false},
      {"{\"ok\":true,\"name\":null,\"roles\":[]}", false},
      {"{\"userCtx\":{\"roles\":[{\"name\":\"x\"}]}}", false},
      {"{\"userCtx\":[{\"name\":\"x\"}]}", false},
      {"{\"userCtx\":\"name\"}", false},
      {"{\"userCtx\":{\"uuid\":\"x\",\"update_seq\":1,\"error\":\"y\"}}",
       false}};

  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    cfi_info info;

    ck_assert_int_eq(parse(bodies[i].text, &info), CFI_INFO_OK);
    ck_assert_msg(info.has_user == bodies[i].user, "%s", bodies[i].text);
    expect_absent(info.uuid);
    expect_absent(info.error);
    expect_absent(info.update_seq);
    ck_assert(!info.welcome);
    done(&info);
  }
}
END_TEST

START_TEST(test_info_of_an_error_and_of_a_revision) {
  cfi_info info;

  ck_assert_int_eq(
      parse("{\"error\":\"not_found\",\"reason\":\"\\u201cx\\u201d\"}", &info),
      CFI_INFO_OK);
  expect_text(info.error, "not_found");
  expect_text(info.reason, "\xe2\x80\x9cx\xe2\x80\x9d");
  done(&info);
  ck_assert_int_eq(parse("{\"error\":5,\"reason\":null}", &info), CFI_INFO_OK);
  expect_absent(info.error);
  expect_absent(info.reason);
  done(&info);
  ck_assert_int_eq(
      parse("{\"ok\":true,\"id\":\"_local/x\",\"rev\":\"0-1\"}", &info),
      CFI_INFO_OK);
  expect_text(info.rev, "0-1");
  done(&info);
  ck_assert_int_eq(parse("{\"_id\":\"_local/x\",\"_rev\":\"0-2\"}", &info),
                   CFI_INFO_OK);
  expect_text(info.rev, "0-2");
  done(&info);
}
END_TEST

START_TEST(test_info_last_of_repeated_members_counts) {
  cfi_info info;

  ck_assert_int_eq(parse("{\"update_seq\":\"a\",\"update_seq\":5,"
                         "\"uuid\":\"x\",\"uuid\":\"yy\"}",
                         &info),
                   CFI_INFO_OK);
  expect_text(info.update_seq, "5");
  ck_assert(info.update_seq_is_number);
  expect_text(info.uuid, "yy");
  done(&info);
  ck_assert_int_eq(parse("{}", &info), CFI_INFO_OK);
  done(&info);
}
END_TEST

START_TEST(test_info_of_something_else_is_bad) {
  static const char *const texts[] = {"",
                                      "[]",
                                      "5",
                                      "null",
                                      "<html></html>",
                                      "{",
                                      "{} {}",
                                      "\"error\"",
                                      "[{\"a\":1}]",
                                      "{\"error\":\"\\ud800\"}",
                                      "not found"};

  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    cfi_info info;

    ck_assert_int_eq(parse(texts[i], &info), CFI_INFO_BAD);
    /* It was not touched. */
    ck_assert_ptr_null(info.block);
    expect_absent(info.error);
  }
}
END_TEST

START_TEST(test_info_survives_every_failed_allocation) {
  char text[8192];
  size_t len = 0, failures = 0;

  len += (size_t)sprintf(text, "{\"uuid\":\"x\",\"reason\":\"");
  for (int i = 0; i < 3000; i++)
    len += (size_t)sprintf(text + len, "\\n");
  len += (size_t)sprintf(text + len, "\"}");
  for (size_t n = 1;; n++) {
    cft_failing c;
    cfi_info info;
    int rc;

    cft_failing_init(&c, n);
    rc = cfi_info_parse(&c.alloc, text, len, &info);
    ck_assert(rc == CFI_INFO_NOMEM || rc == CFI_INFO_OK);
    failures += rc == CFI_INFO_NOMEM;
    if (rc == CFI_INFO_OK) {
      ck_assert_uint_eq(info.reason.len, 3000);
      cfi_info_free(&c.alloc, &info);
    }
    ck_assert_uint_eq(c.live, 0);
    if (rc == CFI_INFO_OK)
      break;
  }
  ck_assert_uint_ge(failures, 2);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("info");
  TCase *info = tcase_create("info");

  tcase_add_test(info, test_info_of_a_server);
  tcase_add_test(info, test_info_of_a_database);
  tcase_add_test(info, test_info_of_a_session);
  tcase_add_test(info, test_info_of_an_error_and_of_a_revision);
  tcase_add_test(info, test_info_last_of_repeated_members_counts);
  tcase_add_test(info, test_info_of_something_else_is_bad);
  tcase_add_test(info, test_info_survives_every_failed_allocation);
  suite_add_tcase(suite, info);
  return cft_run(suite);
}
