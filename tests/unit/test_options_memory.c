/*
 * Options and memory: copies, secrets that are wiped, and allocations that
 * fail.
 */
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "str.h"
#include "support/failing.h"
#include "support/unit.h"

#define SECRET "s3cr3t-value"

static changefeed_options *o;

static void setup(void) {
  ck_assert_int_eq(changefeed_options_new(&o), CHANGEFEED_OK);
}

static void teardown(void) { changefeed_options_free(o); }

static int set(const char *name, const char *value) {
  return changefeed_options_set(o, name, value);
}

static void assert_ok(const char *name, const char *value) {
  ck_assert_msg(set(name, value) == CHANGEFEED_OK, "%s=%s: %s", name,
                value != NULL ? value : "(NULL)", changefeed_options_error(o));
}

/* ---- copies, secrets, memory ---- */

START_TEST(test_options_copy_is_whole_and_its_own) {
  cfi_settings copy;

  assert_ok("url", "http://h/d");
  assert_ok("limit", "7");
  assert_ok("mode", "once");
  ck_assert_int_eq(changefeed_options_add(o, "query", "a=b"), 0);
  ck_assert_int_eq(changefeed_options_add(o, "query", "c=d"), 0);
  ck_assert_int_eq(cfi_settings_copy(&o->alloc, &o->set, &copy), 0);
  assert_ok("url", "http://other/d");
  assert_ok("query", NULL);
  ck_assert_str_eq(copy.url, "http://h/d");
  ck_assert_str_eq(copy.since, "0");
  ck_assert_int_eq(copy.limit, 7);
  ck_assert_int_eq(copy.mode, CFI_MODE_ONCE);
  ck_assert_uint_eq(copy.query.count, 2);
  ck_assert_str_eq(copy.query.items[1], "c=d");
  ck_assert_ptr_null(copy.filter);
  cfi_settings_free(&o->alloc, &copy);
  ck_assert_ptr_null(copy.url);
}
END_TEST

static void fill_with_secrets(changefeed_options *options) {
  static const char *const texts_with[] = {"url", "password", "bearer_token",
                                           "proxy", "client_key_password"};

  for (size_t i = 0; i < sizeof texts_with / sizeof *texts_with; i++)
    (void)changefeed_options_set(options, texts_with[i], SECRET);
  (void)changefeed_options_add(options, "header", "X-A: " SECRET);
  (void)changefeed_options_add(options, "header", "X-B: " SECRET);
}

START_TEST(test_options_secrets_are_wiped_when_replaced_and_freed) {
  cft_failing h;
  changefeed_options *options;
  cfi_settings copy;

  cft_failing_init(&h, 0);
  h.secret = SECRET;
  ck_assert_int_eq(cfi_options_new_with(&h.alloc, &options), CHANGEFEED_OK);
  fill_with_secrets(options);
  fill_with_secrets(options);
  ck_assert_int_eq(changefeed_options_set(options, "password", NULL), 0);
  ck_assert_int_eq(changefeed_options_set(options, "header", NULL), 0);
  fill_with_secrets(options);
  ck_assert_int_eq(cfi_settings_copy(&h.alloc, &options->set, &copy), 0);
  ck_assert_ptr_nonnull(strstr(copy.url, SECRET));
  changefeed_options_free(options);
  cfi_settings_free(&h.alloc, &copy);
  ck_assert_uint_eq(h.live, 0);
  ck_assert_uint_eq(h.exposed, 0);
}
END_TEST

/* A sample of everything that allocates; NOMEM, or the code it should be. */
static int use_everything(const cfi_alloc *alloc) {
  changefeed_options *options = NULL;
  cfi_settings copy;
  int rc = cfi_options_new_with(alloc, &options);

  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(options, "url", SECRET);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(options, "url", SECRET SECRET);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(options, "since", NULL);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(options, "header", "X-A: " SECRET);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_add(options, "header", "X-B: " SECRET);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(options, "header", "X-C: " SECRET);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(options, "doc_ids", "[\"a\",\"b\"]");
  if (rc == CHANGEFEED_OK) {
    rc = cfi_settings_copy(alloc, &options->set, &copy);
    if (rc == CHANGEFEED_OK)
      cfi_settings_free(alloc, &copy);
  }
  changefeed_options_free(options);
  return rc;
}

START_TEST(test_options_any_allocation_may_fail) {
  cft_failing h;
  size_t total;

  cft_failing_init(&h, 0);
  ck_assert_int_eq(use_everything(&h.alloc), CHANGEFEED_OK);
  total = h.calls;
  ck_assert_uint_gt(total, 10);
  for (size_t n = 1; n <= total; n++) {
    cft_failing_init(&h, n);
    h.secret = SECRET;
    ck_assert_msg(use_everything(&h.alloc) == CHANGEFEED_ERR_NOMEM,
                  "allocation %zu of %zu", n, total);
    ck_assert_uint_eq(h.live, 0);
    ck_assert_uint_eq(h.exposed, 0);
  }
}
END_TEST

/* Every setting that memory is needed for, as one text. */
static void describe(const changefeed_options *options, char *out,
                     size_t size) {
  const cfi_settings *s = &options->set;

  (void)snprintf(out, size, "%s %s %s %zu %s %d", s->url, s->since, s->selector,
                 s->header.count,
                 s->header.count != 0 ? s->header.items[0] : "-",
                 (int)options->since_given);
}

static const struct {
  int (*call)(changefeed_options *, const char *, const char *);
  const char *name, *value, *after;
} changes[] = {
    {changefeed_options_set, "url", "new", "new old {} 1 Old: 1 1"},
    {changefeed_options_set, "since", NULL, "old 0 {} 1 Old: 1 0"},
    {changefeed_options_set, "selector", "{\"a\":1}",
     "old old {\"a\":1} 1 Old: 1 1"},
    {changefeed_options_set, "header", "New: 1", "old old {} 1 New: 1 1"},
    {changefeed_options_add, "header", "New: 1", "old old {} 2 Old: 1 1"},
};

START_TEST(test_options_failed_allocation_changes_nothing) {
  static const char before[] = "old old {} 1 Old: 1 1";
  int rc = CHANGEFEED_ERR_NOMEM;
  cft_failing h;
  changefeed_options *options;
  char text[128];

  cft_failing_init(&h, 0);
  ck_assert_int_eq(cfi_options_new_with(&h.alloc, &options), CHANGEFEED_OK);
  (void)changefeed_options_set(options, "url", "old");
  (void)changefeed_options_set(options, "since", "old");
  (void)changefeed_options_set(options, "selector", "{}");
  (void)changefeed_options_set(options, "header", "Old: 1");
  for (size_t n = 1; rc != CHANGEFEED_OK; n++) {
    describe(options, text, sizeof text);
    ck_assert_str_eq(text, before);
    h.calls = 0;
    h.fail_at = n;
    rc = changes[_i].call(options, changes[_i].name, changes[_i].value);
    if (rc == CHANGEFEED_OK) {
      ck_assert_uint_gt(n, 1);
    } else {
      ck_assert_int_eq(rc, CHANGEFEED_ERR_NOMEM);
      ck_assert_ptr_nonnull(
          strstr(changefeed_options_error(options), "no memory"));
    }
  }
  describe(options, text, sizeof text);
  ck_assert_str_eq(text, changes[_i].after);
  changefeed_options_free(options);
  ck_assert_uint_eq(h.live, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("options_memory");
  TCase *t = tcase_create("options_memory");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_options_copy_is_whole_and_its_own);
  tcase_add_test(t, test_options_secrets_are_wiped_when_replaced_and_freed);
  tcase_add_test(t, test_options_any_allocation_may_fail);
  tcase_add_loop_test(t, test_options_failed_allocation_changes_nothing, 0,
                      (int)(sizeof changes / sizeof *changes));
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
