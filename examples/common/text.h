/* A string that grows. Once memory has run out it is failed and takes nothing
   more, so that only its end has to be checked. Always ends in a zero byte. */
#ifndef PLATFORM_TEXT_H
#define PLATFORM_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct text {
  char *data; /* NULL while nothing was added */
  size_t len, cap;
  bool failed;
} text;

#define TEXT_INIT                                                              \
  { NULL, 0, 0, false }

void text_add(text *t, const void *data, size_t len);
void text_str(text *t, const char *s);
void text_printf(text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_vprintf(text *t, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
void text_cut(text *t, size_t len);  /* drops what is beyond */
void text_clear(text *t);            /* empty, not failed; memory is kept */
void text_free(text *t);             /* may be used again */
const char *text_get(const text *t); /* never NULL; "" when empty or failed */

#endif
