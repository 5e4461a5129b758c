/*
 * What each fuzz_NAME.c defines: libFuzzer's interface. Answers 0; anything
 * wrong is told by ending the process, with CFT_FUZZ_CHECK.
 */
#ifndef CFT_FUZZ_FUZZ_H
#define CFT_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert: it must hold in release builds too. */
#define CFT_FUZZ_CHECK(condition)                                              \
  do {                                                                         \
    if (!(condition)) {                                                        \
      (void)fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,   \
                    #condition);                                               \
      abort();                                                                 \
    }                                                                          \
  } while (0)

#endif
