/*
 * What the tests of options share: one object, set by text, and the sentence
 * that must follow.
 */
#ifndef CFT_UNIT_OPTIONS_UNDER_TEST_H
#define CFT_UNIT_OPTIONS_UNDER_TEST_H

#include <check.h>

#include "options.h"

#define SECRET "s3cr3t-value"

static changefeed_options *o;

static inline void setup(void) {
  ck_assert_int_eq(changefeed_options_new(&o), CHANGEFEED_OK);
}

static inline void teardown(void) { changefeed_options_free(o); }

static inline void assert_error(const char *sentence) {
  ck_assert_str_eq(changefeed_options_error(o), sentence);
}

static inline int set(const char *name, const char *value) {
  return changefeed_options_set(o, name, value);
}

static inline void assert_ok(const char *name, const char *value) {
  ck_assert_msg(set(name, value) == CHANGEFEED_OK, "%s=%s: %s", name,
                value != NULL ? value : "(NULL)", changefeed_options_error(o));
}

static inline void assert_refused(const char *name, const char *value, int code,
                                  const char *sentence) {
  ck_assert_int_eq(set(name, value), code);
  assert_error(sentence);
}

#endif
