/*
 * Options that are texts, JSON or lists: what is taken, what is refused, and
 * that no sentence shows a secret.
 */
#include <string.h>

#include "options.h"
#include "options_info.h"
#include "support/unit.h"
#include "unit/options_under_test.h"

/* ---- texts ---- */

static const struct {
  const char *name, *value, *sentence;
} texts[] = {
    {"since", "", "since: \"\" is no position; it is 0, now, or a seq"},
    {"checkpoint", "", "checkpoint: \"\" is not none, couch or file:PATH"},
    {"checkpoint",
     "file:", "checkpoint: \"file:\" is not none, couch or file:PATH"},
    {"checkpoint", "/tmp/x",
     "checkpoint: \"/tmp/x\" is not none, couch or file:PATH"},
    {"filter", "app",
     "filter: \"app\" is not design/name, nor a filter of the server such as "
     "_design"},
    {"filter", "app/",
     "filter: \"app/\" is not design/name, nor a filter of the server such as "
     "_design"},
    {"view", "/by", "view: \"/by\" is not design/name"},
    {"username", "a\nb", "username: \"a b\" holds a control character"},
    {"filter", "a/\x7f", "filter: \"a/ \" holds a control character"},
    {"password", "a\x01" SECRET,
     "password: the value holds a control character"},
    {"url", "http://a:" SECRET "@h/\n",
     "url: the value holds a control character"},
    {"bearer_token", SECRET " x",
     "bearer_token: the value holds characters that no token has"},
    {"bearer_token", SECRET "\xc3\xa4",
     "bearer_token: the value holds characters that no token has"},
    {"endpoint", "", "endpoint: \"\" is empty"},
    {"filter",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa4z",
     "filter: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "...\" is not design/name, nor a filter of the server such as _design"},
    {"doc_ids", "", "doc_ids: \"\": it is not valid JSON"},
    {"doc_ids", "[\"a\"", "doc_ids: \"[\"a\"\": it is not valid JSON"},
    {"doc_ids", "[\"a\",]", "doc_ids: \"[\"a\",]\": it is not valid JSON"},
    {"doc_ids", "[\"a\"] []", "doc_ids: \"[\"a\"] []\": it is not valid JSON"},
    {"doc_ids", "[\"\\ud800\"]",
     "doc_ids: \"[\"\\ud800\"]\": a string in it is not valid Unicode"},
    {"doc_ids", "{\"a\":1}",
     "doc_ids: \"{\"a\":1}\" is not a JSON array of strings"},
    {"doc_ids", "\"a\"", "doc_ids: \"\"a\"\" is not a JSON array of strings"},
    {"doc_ids", "[\"a\",1]",
     "doc_ids: \"[\"a\",1]\" is not a JSON array of strings"},
    {"doc_ids", "[[\"a\"]]",
     "doc_ids: \"[[\"a\"]]\" is not a JSON array of strings"},
    {"doc_ids", "[{\"a\":\"b\"}]",
     "doc_ids: \"[{\"a\":\"b\"}]\" is not a JSON array of strings"},
    {"selector", "[]", "selector: \"[]\" is not a JSON object"},
    {"selector", "1", "selector: \"1\" is not a JSON object"},
    {"selector", "{", "selector: \"{\": it is not valid JSON"},
};

START_TEST(test_options_bad_text_is_told_without_secrets) {
  assert_refused(texts[_i].name, texts[_i].value, CHANGEFEED_ERR_OPTION,
                 texts[_i].sentence);
}
END_TEST

START_TEST(test_options_good_texts_are_kept_as_given) {
  static const char *const good[][2] = {
      {"since", "now"},
      {"since", "[3,\"g1AAAA\"]"},
      {"checkpoint", "couch"},
      {"checkpoint", "file:relative path"},
      {"filter", "_design"},
      {"filter", "app/by/type"},
      {"view", "app/all"},
      {"doc_ids", " [ ] "},
      {"doc_ids", "[\"a]\\\"\", \"\xc3\xa4\", \"\\u00e4\"]\n"},
      {"selector", "{\"a\":{\"$gt\":[1,null,true]}}"},
      {"username", "J\xc3\xb6rg"},
      {"proxy", "-"},
      {"unix_socket", "/run/couch.sock"},
  };

  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_ok(good[i][0], good[i][1]);
    ck_assert_str_eq(*cfi_option_text(cfi_option_find(good[i][0]), &o->set),
                     good[i][1]);
  }
}
END_TEST

START_TEST(test_options_null_and_empty_take_a_text_back) {
  assert_ok("filter", "a/b");
  assert_ok("filter", "");
  ck_assert_ptr_null(o->set.filter);
  assert_ok("since", "7-abc");
  ck_assert(o->since_given);
  assert_ok("since", NULL);
  ck_assert(!o->since_given);
  ck_assert_str_eq(o->set.since, "0");
  assert_ok("since", "0");
  ck_assert(o->since_given);
}
END_TEST

START_TEST(test_options_socket_path_has_the_system_limit) {
  char path[109];

  memset(path, 'p', sizeof path);
  path[0] = '/';
  path[107] = '\0';
  assert_ok("unix_socket", path);
  path[107] = 'p';
  path[108] = '\0';
  ck_assert_int_eq(set("unix_socket", path), CHANGEFEED_ERR_OPTION);
  ck_assert_uint_eq(strlen(o->set.unix_socket), 107);
}
END_TEST

/* ---- lists ---- */

START_TEST(test_options_add_appends_and_set_replaces) {
  ck_assert_int_eq(changefeed_options_add(o, "header", "A: 1"), 0);
  ck_assert_int_eq(changefeed_options_add(o, "header", "B: 2"), 0);
  ck_assert_uint_eq(o->set.header.count, 2);
  ck_assert_str_eq(o->set.header.items[0], "A: 1");
  ck_assert_str_eq(o->set.header.items[1], "B: 2");
  assert_ok("header", "C: 3");
  ck_assert_uint_eq(o->set.header.count, 1);
  ck_assert_str_eq(o->set.header.items[0], "C: 3");
  assert_ok("header", NULL);
  ck_assert_uint_eq(o->set.header.count, 0);
}
END_TEST

START_TEST(test_options_add_is_for_lists) {
  ck_assert_int_eq(changefeed_options_add(o, "url", "http://h/d"),
                   CHANGEFEED_ERR_OPTION);
  assert_error(
      "url: this option has one value, which changefeed_options_set sets");
}
END_TEST

START_TEST(test_options_list_has_64_values_at_most) {
  for (int i = 0; i < CFI_LIST_MAX; i++)
    ck_assert_int_eq(changefeed_options_add(o, "query", "a=b"), 0);
  ck_assert_int_eq(changefeed_options_add(o, "query", "a=b"),
                   CHANGEFEED_ERR_LIMIT);
  assert_error("query: there are 64 values already, the most there can be");
  ck_assert_uint_eq(o->set.query.count, CFI_LIST_MAX);
}
END_TEST

static const struct {
  const char *value, *sentence;
} headers[] = {
    {"X-A", "header: the value is not of the form \"Name: value\""},
    {SECRET, "header: the value is not of the form \"Name: value\""},
    {": v", "header: the value is not of the form \"Name: value\""},
    {"X A: v", "header: the value is not of the form \"Name: value\""},
    {"X-\xc3\xa4: v", "header: the value is not of the form \"Name: value\""},
    {"X-A;", "header: the value is not of the form \"Name: value\""},
    {"X-A:", "header: X-A has no value"},
    {"X-A:  ", "header: X-A has no value"},
    {"X-A: " SECRET "\r\nB: c", "header: the value holds a control character"},
    {"X-A: a\tb", "header: the value holds a control character"},
    {"authorization: " SECRET,
     "header: Authorization is not for this option; use username and "
     "password, bearer_token, or changefeed_set_authorization"},
    {"Cookie: a=b", "header: Cookie is not for this option; use session"},
    {"CONTENT-LENGTH: 5",
     "header: Content-Length is not for this option; the library sets it"},
    {"Transfer-Encoding: chunked",
     "header: Transfer-Encoding is not for this option; the library sets it"},
    {"Accept-Encoding: br",
     "header: Accept-Encoding is not for this option; use compression"},
    {"User-Agent: x",
     "header: User-Agent is not for this option; use user_agent"},
};

START_TEST(test_options_header_that_would_break_a_request_is_refused) {
  ck_assert_int_eq(changefeed_options_add(o, "header", headers[_i].value),
                   CHANGEFEED_ERR_OPTION);
  assert_error(headers[_i].sentence);
  ck_assert_uint_eq(o->set.header.count, 0);
}
END_TEST

START_TEST(test_options_header_of_the_caller_is_taken) {
  ck_assert_int_eq(changefeed_options_add(o, "header", "Host: couch.local"), 0);
  ck_assert_int_eq(
      changefeed_options_add(o, "header", "X-Auth-CouchDB-Token:a"), 0);
  ck_assert_int_eq(changefeed_options_add(o, "header", "X-Author: J\xc3\xb6"),
                   0);
}
END_TEST

static const struct {
  const char *value, *sentence;
} params[] = {
    {"a", "query: \"a\" is not of the form name=value"},
    {"=a", "query: \"=a\" is not of the form name=value"},
    {"", "query: \"\" is not of the form name=value"},
    {"feed=normal",
     "query: the parameter feed is the library's; use mode and transport"},
    {"since=0", "query: the parameter since is the library's; use since"},
    {"heartbeat=1",
     "query: the parameter heartbeat is the library's; use heartbeat_ms"},
    {"timeout=1", "query: the parameter timeout is the library's; use "
                  "progress_interval_ms and heartbeat_ms"},
    {"include_docs=true",
     "query: the parameter include_docs is the library's; use include_docs"},
    {"Limit=1", "query: the parameter limit is the library's; use limit"},
    {"a=b\n", "query: \"a=b \" holds a control character"},
};

START_TEST(test_options_query_parameter_of_the_library_is_refused) {
  ck_assert_int_eq(changefeed_options_add(o, "query", params[_i].value),
                   CHANGEFEED_ERR_OPTION);
  assert_error(params[_i].sentence);
}
END_TEST

START_TEST(test_options_query_parameter_of_a_filter_is_taken) {
  ck_assert_int_eq(changefeed_options_add(o, "query", "type=a=b&c"), 0);
  ck_assert_int_eq(changefeed_options_add(o, "query", "empty="), 0);
  ck_assert_int_eq(changefeed_options_add(o, "query", "feeds=1"), 0);
}
END_TEST

#define LOOP(tests, test, table)                                               \
  tcase_add_loop_test(tests, test, 0, (int)(sizeof table / sizeof *table))

int main(void) {
  Suite *suite = suite_create("options_text");
  TCase *t = tcase_create("options_text");

  tcase_add_checked_fixture(t, setup, teardown);
  LOOP(t, test_options_bad_text_is_told_without_secrets, texts);
  LOOP(t, test_options_header_that_would_break_a_request_is_refused, headers);
  LOOP(t, test_options_query_parameter_of_the_library_is_refused, params);
  tcase_add_test(t, test_options_good_texts_are_kept_as_given);
  tcase_add_test(t, test_options_null_and_empty_take_a_text_back);
  tcase_add_test(t, test_options_socket_path_has_the_system_limit);
  tcase_add_test(t, test_options_add_appends_and_set_replaces);
  tcase_add_test(t, test_options_add_is_for_lists);
  tcase_add_test(t, test_options_list_has_64_values_at_most);
  tcase_add_test(t, test_options_header_of_the_caller_is_taken);
  tcase_add_test(t, test_options_query_parameter_of_a_filter_is_taken);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
