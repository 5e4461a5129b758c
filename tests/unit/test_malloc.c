/* What has no allocator of its own takes malloc's memory: options objects,
   copies of changes, a loop made without an allocator. Each of its calls fails
   once: NOMEM, nothing is changed, and a second call works.
   ctest: WRAP malloc
   ctest: WRAP realloc */
#define _GNU_SOURCE
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "options_info.h"
#include "scratch_dir.h"
#include "support/failing.h"
#include "support/unit.h"

/* ---- malloc ---- */

/* Counts calls of the library, and only while one of its functions runs. */
static cft_failing calls;
static bool armed;

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *block, size_t size);

void *__wrap_malloc(size_t size) {
  return armed && cft_failing_refuses(&calls) ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *block, size_t size) {
  return armed && cft_failing_refuses(&calls) ? NULL
                                              : __real_realloc(block, size);
}

/* Makes a call whose n-th allocation fails. */
#define FAIL_AT(n, call)                                                       \
  do {                                                                         \
    cft_failing_init(&calls, (n));                                             \
    armed = true;                                                              \
    rc = (call);                                                               \
    armed = false;                                                             \
  } while (0)

/* True when the call failed as it should: it is to be made again. */
static bool failed_well(int rc, const char *what) {
  if (rc == CHANGEFEED_OK) {
    ck_assert_msg(calls.refused == 0, "%s: OK without memory (call %zu)", what,
                  calls.calls);
    return false;
  }
  ck_assert_msg(rc == CHANGEFEED_ERR_NOMEM && calls.refused != 0, "%s: %s",
                what, changefeed_strerror(rc));
  return true;
}

/* ---- options ---- */

static int mark;

START_TEST(test_malloc_new_options) {
  changefeed_options *const untouched = (changefeed_options *)(void *)&mark;
  changefeed_options *o;
  size_t n = 0;
  int rc;

  do {
    o = untouched;
    FAIL_AT(++n, changefeed_options_new(&o));
    ck_assert(rc == CHANGEFEED_OK || o == untouched);
  } while (failed_well(rc, "changefeed_options_new"));
  changefeed_options_free(o);
  ck_assert_uint_gt(n, 2);
}
END_TEST

/* A value that the option takes, other than the one it has. */
static const char *value_for(changefeed_options *o, const char *name,
                             bool second) {
  static const char *const values[] = {
      "[\"a\"]",    "{\"a\":1}", "http://h:1", "X-A: b",  "a=b",
      "d/v",        "none",      "text",       "live",    "once",
      "50000",      "1",         "restart",    "stop",    "spread",
      "listed",     "main_only", "all_docs",   "changes", "1.1",
      "2",          "auto",      "longpoll",   "[\"b\"]", "{\"a\":2}",
      "http://h:2", "X-A: c",    "a=c",        "d/w",     "file:x",
      "texts",      "60000",     "100",        "0"};
  const char *found = NULL;

  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    if (changefeed_options_set(o, name, values[i]) == CHANGEFEED_OK) {
      if (found != NULL || !second)
        return values[i];
      found = values[i];
    }
  ck_abort_msg("no value for %s", name);
}

/* What an option is set to, as text. */
static void show(changefeed_options *o, const cfi_option *row, char *text,
                 size_t size) {
  if (row->info.kind == CHANGEFEED_OPTION_LIST) {
    const cfi_list *list = cfi_option_list(row, &o->set);
    int at = snprintf(text, size, "%zu", list->count);

    for (size_t i = 0; i < list->count; i++)
      at += snprintf(text + at, size - (size_t)at, " %s", list->items[i]);
  } else if (row->info.kind == CHANGEFEED_OPTION_STRING ||
             row->info.kind == CHANGEFEED_OPTION_JSON) {
    const char *value = *cfi_option_text(row, &o->set);

    (void)snprintf(text, size, "%s", value != NULL ? value : "(none)");
  } else {
    (void)snprintf(text, size, "%lld",
                   (long long)*cfi_option_int(row, &o->set));
  }
}

static void set_with_failures(changefeed_options *o, const cfi_option *row,
                              const char *value,
                              int (*call)(changefeed_options *, const char *,
                                          const char *)) {
  char before[256], after[256];
  size_t n = 0;
  int rc;

  show(o, row, before, sizeof before);
  do {
    FAIL_AT(++n, call(o, row->info.name, value));
    show(o, row, after, sizeof after);
    if (rc != CHANGEFEED_OK) {
      ck_assert_str_eq(after, before);
      ck_assert_ptr_nonnull(
          strstr(changefeed_options_error(o), row->info.name));
    }
  } while (failed_well(rc, row->info.name));
  if (value != NULL)
    ck_assert_str_ne(after, before);
}

START_TEST(test_malloc_each_option) {
  for (size_t i = 0; i < cfi_option_count; i++) {
    const cfi_option *row = &cfi_option_table[i];
    const char *first, *second;
    changefeed_options *o;

    ck_assert_int_eq(changefeed_options_new(&o), CHANGEFEED_OK);
    second = value_for(o, row->info.name, true);
    first = value_for(o, row->info.name, false);
    ck_assert_str_ne(first, second);
    set_with_failures(o, row, second, changefeed_options_set);
    if (row->info.kind == CHANGEFEED_OPTION_LIST)
      set_with_failures(o, row, first, changefeed_options_add);
    set_with_failures(o, row, NULL, changefeed_options_set);
    changefeed_options_free(o);
  }
}
END_TEST

/* ---- copies ---- */

#define STR(text)                                                              \
  { (text), sizeof(text) - 1 }

START_TEST(test_malloc_copy_of_a_change) {
  static const changefeed_str revs[] = {STR("1-a"), STR("2-b")};
  static const changefeed_change change = {
      7, STR("5-seq"), STR("id"), revs, 2, STR("{}"), STR("{\"doc\":{}}"), 0};
  changefeed_change *const untouched = (changefeed_change *)(void *)&mark;
  changefeed_change *copy;
  size_t n = 0;
  int rc;

  do {
    copy = untouched;
    FAIL_AT(++n, changefeed_change_copy(&change, &copy));
    ck_assert(rc == CHANGEFEED_OK || copy == untouched);
  } while (failed_well(rc, "changefeed_change_copy"));
  ck_assert_uint_eq(n, 2);
  ck_assert_str_eq(copy->revs[1].data, "2-b");
  ck_assert_str_eq(copy->row.data, "{\"doc\":{}}");
  changefeed_change_free(copy);
}
END_TEST

/* ---- loops and feeds ---- */

START_TEST(test_malloc_new_loop) {
  changefeed_loop *const untouched = (changefeed_loop *)(void *)&mark;
  changefeed_loop *loop;
  size_t n = 0;
  int rc;

  do {
    loop = untouched;
    FAIL_AT(++n, changefeed_loop_new(&loop, NULL));
    ck_assert(rc == CHANGEFEED_OK || loop == untouched);
  } while (failed_well(rc, "changefeed_loop_new"));
  changefeed_loop_free(loop);
  ck_assert_uint_gt(n, 2);
}
END_TEST

START_TEST(test_malloc_open_with_a_loop_of_its_own) {
  changefeed *const untouched = (changefeed *)(void *)&mark;
  changefeed_options *o;
  scratch_dir dir;
  changefeed *feed;
  char store[1200];
  size_t n = 0;
  int rc;

  scratch_begin(&dir);
  (void)snprintf(store, sizeof store, "file:%s",
                 scratch_path(&dir, "position"));
  ck_assert_int_eq(changefeed_options_new(&o), CHANGEFEED_OK);
  ck_assert_int_eq(
      changefeed_options_set(o, "url", "http://jan:pw@127.0.0.1:1/db"), 0);
  ck_assert_int_eq(changefeed_options_set(o, "checkpoint", store), 0);
  ck_assert_int_eq(changefeed_options_set(o, "proxy", "http://127.0.0.1:1"), 0);
  ck_assert_int_eq(changefeed_options_add(o, "endpoint", "http://h:1"), 0);
  do {
    feed = untouched;
    FAIL_AT(++n, changefeed_open(&feed, NULL, o));
    ck_assert(rc == CHANGEFEED_OK || feed == untouched);
    ck_assert(rc == CHANGEFEED_OK || *changefeed_options_error(o) != '\0');
  } while (failed_well(rc, "changefeed_open"));
  changefeed_close(feed);
  changefeed_options_free(o);
  scratch_end(&dir);
  ck_assert_uint_gt(n, 20);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("malloc");
  TCase *t = tcase_create("malloc");

  tcase_add_test(t, test_malloc_new_options);
  tcase_add_test(t, test_malloc_each_option);
  tcase_add_test(t, test_malloc_copy_of_a_change);
  tcase_add_test(t, test_malloc_new_loop);
  tcase_add_test(t, test_malloc_open_with_a_loop_of_its_own);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
