/*
 * Filling the error object.
 */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void cfi_error_clear(cfi_error *e) {
  memset(&e->pub, 0, sizeof e->pub);
  e->pub.retry_after_ms = -1;
  e->text[0] = '\0';
  e->pub.message = e->text;
}

/* What a server wrote may be in the sentence: it must stay one line, and a
   character that was cut in two must not remain. */
static void tidy(char *text, size_t size) {
  size_t len = strlen(text);

  if (len + 1 == size) {
    while (len != 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
      len--;
    if (len != 0 && (unsigned char)text[len - 1] >= 0xc0)
      len--;
    text[len] = '\0';
  }
  for (char *p = text; *p != '\0'; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7f)
      *p = ' ';
}

int cfi_error_set(cfi_error *e, int code, const char *format, ...) {
  va_list args;

  cfi_error_clear(e);
  e->pub.code = code;
  va_start(args, format);
  if (vsnprintf(e->text, sizeof e->text, format, args) < 0)
    (void)memcpy(e->text, "?", 2);
  va_end(args);
  tidy(e->text, sizeof e->text);
  return code;
}

void cfi_error_copy(cfi_error *to, const cfi_error *from) {
  *to = *from;
  to->pub.message = to->text;
}
