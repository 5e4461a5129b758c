/*
 * Options that contradict each other, and the structs an application hands
 * over.
 */
#include <string.h>

#include "options.h"
#include "support/unit.h"
#include "unit/options_under_test.h"

/* ---- together ---- */

/* Settings, NULL at the end, and what cfi_options_check says ("" = nothing). */
static const struct {
  int code;
  const char *sentence;
  const char *set[11];
} together[] = {
    {CHANGEFEED_ERR_OPTION,
     "url: it must be set, for instance to http://127.0.0.1:5984/db",
     {"mode", "once"}},
    {0, "", {"url", "http://h/d"}},
    {CHANGEFEED_ERR_OPTION,
     "password: there is no user name; set username",
     {"url", "http://h/d", "password", SECRET}},
    {0, "", {"url", "http://u@h/d", "password", SECRET}},
    {0, "", {"url", "http://h/d", "username", "u", "password", SECRET}},
    {0, "", {"url", "http://h/d", "username", "u"}},
    {CHANGEFEED_ERR_OPTION,
     "bearer_token and username exclude each other",
     {"url", "http://h/d", "username", "u", "bearer_token", SECRET}},
    {CHANGEFEED_ERR_OPTION,
     "bearer_token and session exclude each other",
     {"url", "http://h/d", "session", "1", "bearer_token", SECRET}},
    {0, "", {"url", "http://u:p@h/d", "session", "1"}},
    {CHANGEFEED_ERR_OPTION,
     "username: a name with ':' cannot be sent without session",
     {"url", "http://h/d", "username", "u:v"}},
    {0, "", {"url", "http://h/d", "username", "u:v", "session", "1"}},
    {CHANGEFEED_ERR_OPTION,
     "client_key: there is no client_cert",
     {"url", "https://h/d", "client_key", "k"}},
    {CHANGEFEED_ERR_OPTION,
     "client_key_password: there is no client_cert",
     {"url", "https://h/d", "client_key_password", SECRET}},
    {0, "", {"url", "https://h/d", "client_key", "k", "client_cert", "c"}},
    {CHANGEFEED_ERR_OPTION,
     "unix_socket and endpoint exclude each other",
     {"url", "http://h/d", "unix_socket", "/s", "endpoint", "http://i"}},
    {CHANGEFEED_ERR_OPTION,
     "unix_socket and proxy exclude each other",
     {"url", "http://h/d", "unix_socket", "/s", "proxy", "http://p"}},
    {0, "", {"url", "http://h/d", "unix_socket", "/s", "proxy", "-"}},
    {CHANGEFEED_ERR_OPTION,
     "doc_ids and selector exclude each other",
     {"url", "http://h/d", "doc_ids", "[]", "selector", "{}"}},
    {CHANGEFEED_ERR_OPTION,
     "selector and view exclude each other",
     {"url", "http://h/d", "view", "a/b", "selector", "{}"}},
    {CHANGEFEED_ERR_OPTION,
     "doc_ids and filter exclude each other",
     {"url", "http://h/d", "doc_ids", "[]", "filter", "a/b"}},
    {CHANGEFEED_ERR_OPTION,
     "view and filter exclude each other",
     {"url", "http://h/d", "view", "a/b", "filter", "_selector"}},
    {0, "", {"url", "http://h/d", "view", "a/b", "filter", "_view"}},
    {CHANGEFEED_ERR_OPTION,
     "filter: _doc_ids needs the option doc_ids",
     {"url", "http://h/d", "filter", "_doc_ids"}},
    {0, "", {"url", "http://h/d", "filter", "_design"}},
    {CHANGEFEED_ERR_OPTION,
     "conflicts: include_docs must be on too",
     {"url", "http://h/d", "conflicts", "1"}},
    {CHANGEFEED_ERR_OPTION,
     "attachments: include_docs must be on too",
     {"url", "http://h/d", "attachments", "1"}},
    {CHANGEFEED_ERR_OPTION,
     "att_encoding_info: include_docs must be on too",
     {"url", "http://h/d", "att_encoding_info", "1"}},
    {0,
     "",
     {"url", "http://h/d", "conflicts", "1", "attachments", "1", "include_docs",
      "1"}},
    {CHANGEFEED_ERR_OPTION,
     "startkey: source must be all_docs",
     {"url", "http://h/d", "startkey", "a"}},
    {CHANGEFEED_ERR_OPTION,
     "endkey: source must be all_docs",
     {"url", "http://h/d", "endkey", "a"}},
    {CHANGEFEED_ERR_OPTION,
     "inclusive_end: source must be all_docs",
     {"url", "http://h/d", "inclusive_end", "0"}},
    {0,
     "",
     {"url", "http://h/d", "source", "all_docs", "startkey", "a", "endkey", "b",
      "inclusive_end", "0"}},
    {CHANGEFEED_ERR_OPTION,
     "descending: mode must be once",
     {"url", "http://h/d", "descending", "1"}},
    {0, "", {"url", "http://h/d", "descending", "1", "mode", "once"}},
    {CHANGEFEED_ERR_OPTION,
     "descending: no position can be kept; set checkpoint to none",
     {"url", "http://h/d", "descending", "1", "mode", "once", "checkpoint",
      "couch"}},
    {CHANGEFEED_ERR_RANGE,
     "retry_min_ms: 500 ms is more than retry_max_ms, which is 100 ms",
     {"url", "http://h/d", "retry_min_ms", "500", "retry_max_ms", "100"}},
    {0,
     "",
     {"url", "http://h/d", "retry_min_ms", "100", "retry_max_ms", "100"}},
};

START_TEST(test_options_that_contradict_each_other_are_told) {
  cfi_error error;

  for (size_t i = 0; together[_i].set[i] != NULL; i += 2)
    assert_ok(together[_i].set[i], together[_i].set[i + 1]);
  cfi_error_clear(&error);
  ck_assert_int_eq(cfi_options_check(o, &error), together[_i].code);
  ck_assert_str_eq(error.text, together[_i].sentence);
}
END_TEST

static int store_load(void *ctx, const char *key,
                      int (*put)(void *sink, const char *data, size_t len),
                      void *sink) {
  (void)ctx, (void)key, (void)put, (void)sink;
  return 0;
}

static int store_save(void *ctx, const char *key, const char *data,
                      size_t len) {
  (void)ctx, (void)key, (void)data, (void)len;
  return 0;
}

START_TEST(test_options_store_and_checkpoint_exclude_each_other) {
  changefeed_store store = CHANGEFEED_STORE_INIT;
  cfi_error error;

  assert_ok("url", "http://h/d");
  store.load = store_load;
  ck_assert_int_eq(changefeed_options_set_store(o, &store),
                   CHANGEFEED_ERR_INVALID);
  store.save = store_save;
  store.size--;
  ck_assert_int_eq(changefeed_options_set_store(o, &store),
                   CHANGEFEED_ERR_INVALID);
  store.size++;
  ck_assert_int_eq(changefeed_options_set_store(o, NULL),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_options_set_store(NULL, &store),
                   CHANGEFEED_ERR_INVALID);
  ck_assert(o->store.save == NULL);
  ck_assert_int_eq(changefeed_options_set_store(o, &store), CHANGEFEED_OK);
  ck_assert_int_eq(cfi_options_check(o, &error), CHANGEFEED_OK);
  assert_ok("checkpoint", "file:x");
  ck_assert_int_eq(cfi_options_check(o, &error), CHANGEFEED_ERR_OPTION);
  ck_assert_str_eq(
      error.text,
      "checkpoint: it must be none beside a store of the application");
}
END_TEST

static int take_change(changefeed *feed, const changefeed_change *change,
                       void *user) {
  (void)feed, (void)change, (void)user;
  return CHANGEFEED_CONTINUE;
}

static int take_batch(changefeed *feed, const changefeed_change *const *changes,
                      size_t count, void *user) {
  (void)feed, (void)changes, (void)count, (void)user;
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_options_callbacks_are_copied_when_they_make_sense) {
  changefeed_callbacks calls = CHANGEFEED_CALLBACKS_INIT;

  calls.on_change = take_change;
  ck_assert_int_eq(changefeed_options_set_callbacks(o, &calls), CHANGEFEED_OK);
  ck_assert(o->callbacks.on_change == take_change);
  calls.on_batch = take_batch;
  ck_assert_int_eq(changefeed_options_set_callbacks(o, &calls),
                   CHANGEFEED_ERR_INVALID);
  assert_error("changefeed_options_set_callbacks: on_change and on_batch "
               "exclude each other");
  calls.on_change = NULL;
  calls.size = 8;
  ck_assert_int_eq(changefeed_options_set_callbacks(o, &calls),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_options_set_callbacks(o, NULL),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_options_set_callbacks(NULL, &calls),
                   CHANGEFEED_ERR_INVALID);
  ck_assert(o->callbacks.on_change == take_change);
  ck_assert(o->callbacks.on_batch == NULL);
}
END_TEST

#define LOOP(tests, test, table)                                               \
  tcase_add_loop_test(tests, test, 0, (int)(sizeof table / sizeof *table))

int main(void) {
  Suite *suite = suite_create("options_check");
  TCase *t = tcase_create("options_check");

  tcase_add_checked_fixture(t, setup, teardown);
  LOOP(t, test_options_that_contradict_each_other_are_told, together);
  tcase_add_test(t, test_options_store_and_checkpoint_exclude_each_other);
  tcase_add_test(t, test_options_callbacks_are_copied_when_they_make_sense);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
