/*
 * The one error object of a feed or of options: a code, numbers from libcurl,
 * HTTP and the system, and a sentence kept in a fixed buffer, so that even
 * running out of memory can be told. Callers must not hand credentials to it.
 */
#ifndef CFI_ERROR_H
#define CFI_ERROR_H

#include "changefeed/changefeed.h"

enum { CFI_ERROR_TEXT = 1024 };

typedef struct cfi_error {
  changefeed_error pub; /* message points to text */
  char text[CFI_ERROR_TEXT];
} cfi_error;

/* No error: code 0, an empty sentence. */
void cfi_error_clear(cfi_error *e);
/* Sets code and sentence, clears the numbers. Longer sentences are cut at a
   character's edge; control characters become spaces. Answers code. */
int cfi_error_set(cfi_error *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void cfi_error_copy(cfi_error *to, const cfi_error *from);

#endif
