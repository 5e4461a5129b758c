/*
 * The main loop of every unit test executable: runs one suite and tells by
 * the exit status whether all of it passed. Check's environment decides the
 * rest: CK_FORK, CK_VERBOSITY, CK_RUN_CASE, CK_DEFAULT_TIMEOUT.
 */
#ifndef CFT_SUPPORT_UNIT_H
#define CFT_SUPPORT_UNIT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether a sanitizer makes all of it many times slower: fewer rounds of the
   same will do there. */
static inline int cft_is_slow(void) {
  const char *instrumented = getenv("CFT_INSTRUMENTED");

  return instrumented != NULL && strcmp(instrumented, "1") == 0;
}

/* 0 when at least one test ran and none failed; takes the suite over. A run
   that was narrowed on purpose (CK_RUN_CASE and the like) may be empty. */
static inline int cft_run(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  int narrowed =
      getenv("CK_RUN_CASE") != NULL || getenv("CK_RUN_SUITE") != NULL ||
      getenv("CK_INCLUDE_TAGS") != NULL || getenv("CK_EXCLUDE_TAGS") != NULL;
  int ran, failed;

  /* CK_ENV reads CK_VERBOSITY and means CK_NORMAL without it. */
  srunner_run_all(runner, CK_ENV);
  ran = srunner_ntests_run(runner);
  failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  if (ran == 0 && !narrowed) {
    (void)fprintf(stderr, "no test ran\n");
    return EXIT_FAILURE;
  }
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
