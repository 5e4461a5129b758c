/*
 * As much of the check library as the unit tests use, in one header: for
 * machines for which no libcheck is at hand (test_portable.sh). Tests run in
 * one process, one after the other; the first failure ends it.
 */
#ifndef CFT_PORTABLE_CHECK_H
#define CFT_PORTABLE_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct TTest {
  const char *name;
  void (*run)(int);
} TTest;

typedef struct TCase {
  struct TCase *next;
  struct {
    const TTest *test;
    int from, to;
  } tests[128];
  void (*setup[8])(void), (*teardown[8])(void);
  void (*setup_once[8])(void), (*teardown_once[8])(void);
  int test_count, fixture_count, once_count;
} TCase;

typedef struct Suite {
  const char *name;
  TCase *cases;
} Suite;

typedef struct SRunner {
  Suite *suite;
  int ran;
} SRunner;

enum { CK_ENV, CK_NORMAL };

static inline void *cft_check_new(size_t size) {
  void *p = calloc(1, size);

  if (p == NULL)
    abort();
  return p;
}

static inline Suite *suite_create(const char *name) {
  Suite *s = cft_check_new(sizeof *s);

  s->name = name;
  return s;
}

static inline TCase *tcase_create(const char *name) {
  (void)name;
  return cft_check_new(sizeof(TCase));
}

static inline void suite_add_tcase(Suite *s, TCase *tc) {
  TCase **end = &s->cases;

  while (*end != NULL)
    end = &(*end)->next;
  *end = tc;
}

static inline void tcase_add_loop_test(TCase *tc, const TTest *test, int from,
                                       int to) {
  if (tc->test_count == 128)
    abort();
  tc->tests[tc->test_count].test = test;
  tc->tests[tc->test_count].from = from;
  tc->tests[tc->test_count++].to = to;
}

#define tcase_add_test(tc, test) tcase_add_loop_test(tc, test, 0, 1)
#define tcase_set_timeout(tc, seconds) ((void)(tc), (void)(seconds))

static inline void tcase_add_checked_fixture(TCase *tc, void (*setup)(void),
                                             void (*teardown)(void)) {
  if (tc->fixture_count == 8)
    abort();
  tc->setup[tc->fixture_count] = setup;
  tc->teardown[tc->fixture_count++] = teardown;
}

static inline void tcase_add_unchecked_fixture(TCase *tc, void (*setup)(void),
                                               void (*teardown)(void)) {
  if (tc->once_count == 8)
    abort();
  tc->setup_once[tc->once_count] = setup;
  tc->teardown_once[tc->once_count++] = teardown;
}

static inline SRunner *srunner_create(Suite *s) {
  SRunner *sr = cft_check_new(sizeof *sr);

  sr->suite = s;
  return sr;
}

static inline void cft_check_call(void (*const *functions)(void), int count) {
  for (int i = 0; i < count; i++)
    if (functions[i] != NULL)
      functions[i]();
}

static inline void srunner_run_all(SRunner *sr, int mode) {
  (void)mode;
  for (TCase *tc = sr->suite->cases; tc != NULL; tc = tc->next) {
    cft_check_call(tc->setup_once, tc->once_count);
    for (int t = 0; t < tc->test_count; t++)
      for (int i = tc->tests[t].from; i < tc->tests[t].to; i++) {
        cft_check_call(tc->setup, tc->fixture_count);
        tc->tests[t].test->run(i);
        cft_check_call(tc->teardown, tc->fixture_count);
        sr->ran++;
      }
    cft_check_call(tc->teardown_once, tc->once_count);
  }
  printf("%s: %d tests passed\n", sr->suite->name, sr->ran);
}

static inline int srunner_ntests_run(SRunner *sr) { return sr->ran; }

/* The first failure ends the process. */
static inline int srunner_ntests_failed(SRunner *sr) {
  (void)sr;
  return 0;
}

static inline void srunner_free(SRunner *sr) {
  TCase *next;

  for (TCase *tc = sr->suite->cases; tc != NULL; tc = next) {
    next = tc->next;
    free(tc);
  }
  free(sr->suite);
  free(sr);
}

#define START_TEST(name)                                                       \
  static void name##_fn(int _i);                                               \
  static const TTest name##_ttest = {#name, name##_fn};                        \
  static const TTest *const name = &name##_ttest;                              \
  static void name##_fn(int _i) {                                              \
    (void)_i;
#define END_TEST }

#define ck_abort_msg(...)                                                      \
  (printf("%s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), puts(""),       \
   fflush(stdout), exit(1))
#define ck_assert_msg(holds, ...)                                              \
  ((holds) ? (void)0 : (void)ck_abort_msg(__VA_ARGS__))
#define ck_assert(holds) ck_assert_msg(holds, "%s", #holds)

#define CFT_CHECK_INT(a, op, b)                                                \
  do {                                                                         \
    intmax_t cft_a = (a), cft_b = (b);                                         \
    ck_assert_msg(cft_a op cft_b, "%s %s %s: %jd, %jd", #a, #op, #b, cft_a,    \
                  cft_b);                                                      \
  } while (0)
#define CFT_CHECK_UINT(a, op, b)                                               \
  do {                                                                         \
    uintmax_t cft_a = (a), cft_b = (b);                                        \
    ck_assert_msg(cft_a op cft_b, "%s %s %s: %ju, %ju", #a, #op, #b, cft_a,    \
                  cft_b);                                                      \
  } while (0)
#define ck_assert_int_eq(a, b) CFT_CHECK_INT(a, ==, b)
#define ck_assert_int_ne(a, b) CFT_CHECK_INT(a, !=, b)
#define ck_assert_int_lt(a, b) CFT_CHECK_INT(a, <, b)
#define ck_assert_int_le(a, b) CFT_CHECK_INT(a, <=, b)
#define ck_assert_int_gt(a, b) CFT_CHECK_INT(a, >, b)
#define ck_assert_int_ge(a, b) CFT_CHECK_INT(a, >=, b)
#define ck_assert_uint_eq(a, b) CFT_CHECK_UINT(a, ==, b)
#define ck_assert_uint_ne(a, b) CFT_CHECK_UINT(a, !=, b)
#define ck_assert_uint_lt(a, b) CFT_CHECK_UINT(a, <, b)
#define ck_assert_uint_le(a, b) CFT_CHECK_UINT(a, <=, b)
#define ck_assert_uint_gt(a, b) CFT_CHECK_UINT(a, >, b)
#define ck_assert_uint_ge(a, b) CFT_CHECK_UINT(a, >=, b)

#define ck_assert_ptr_eq(a, b)                                                 \
  ck_assert_msg((const void *)(a) == (const void *)(b), "%s == %s", #a, #b)
#define ck_assert_ptr_ne(a, b)                                                 \
  ck_assert_msg((const void *)(a) != (const void *)(b), "%s != %s", #a, #b)
#define ck_assert_ptr_null(a) ck_assert_ptr_eq(a, NULL)
#define ck_assert_ptr_nonnull(a) ck_assert_ptr_ne(a, NULL)
#define ck_assert_mem_eq(a, b, size)                                           \
  ck_assert_msg(memcmp(a, b, size) == 0, "%s and %s differ", #a, #b)

/* Both may be the result of a call that changes something. */
static inline int cft_check_same(const char *file, int line, const char *a,
                                 const char *b, int wanted) {
  if (a != NULL && b != NULL && (strcmp(a, b) == 0) == wanted)
    return 0;
  printf("%s:%d: \"%s\" and \"%s\"\n", file, line, a != NULL ? a : "(null)",
         b != NULL ? b : "(null)");
  exit(1);
}
#define ck_assert_str_eq(a, b)                                                 \
  ((void)cft_check_same(__FILE__, __LINE__, a, b, 1))
#define ck_assert_str_ne(a, b)                                                 \
  ((void)cft_check_same(__FILE__, __LINE__, a, b, 0))

#endif
