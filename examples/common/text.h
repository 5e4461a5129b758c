/* A string that grows. Once memory has run out it is failed and takes nothing
   more, so that only its end has to be checked. Always ends in a zero byte. */
#ifndef PLATFORM_TEXT_H
#define PLATFORM_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct text {
  char *data; /* NULL while nothing was added */
  size_t len, cap;
  bool failed;
} text;

#define TEXT_INIT                                                              \
  { NULL, 0, 0, false }

/* Makes room for so many bytes more, and the zero; false: it is failed. */
bool text_reserve(text *t, size_t more);

/* Here, because heads are written of dozens of short pieces. */
static inline void text_add(text *t, const void *data, size_t len) {
  if ((t->failed || len >= t->cap - t->len) && !text_reserve(t, len))
    return;
  if (len != 0)
    memcpy(t->data + t->len, data, len);
  t->len += len;
  t->data[t->len] = '\0';
}

static inline void text_str(text *t, const char *s) {
  text_add(t, s, strlen(s));
}

void text_printf(text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_vprintf(text *t, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
void text_cut(text *t, size_t len);  /* drops what is beyond */
void text_clear(text *t);            /* empty, not failed; memory is kept */
void text_free(text *t);             /* may be used again */
const char *text_get(const text *t); /* never NULL; "" when empty or failed */

#endif
