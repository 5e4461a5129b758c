/* A string that grows; see text.h. */
#include "common/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool text_reserve(text *t, size_t more) {
  size_t wanted, cap = t->cap != 0 ? t->cap : 64;
  char *data;

  if (t->failed)
    return false;
  if (more >= SIZE_MAX / 2 - t->len) {
    t->failed = true;
    return false;
  }
  wanted = t->len + more + 1;
  if (wanted <= t->cap)
    return true;
  while (cap < wanted)
    cap *= 2;
  data = realloc(t->data, cap);
  if (data == NULL) {
    t->failed = true;
    return false;
  }
  t->data = data;
  t->cap = cap;
  return true;
}

/* Most of what is written is short, and there is room for it. */
void text_vprintf(text *t, const char *format, va_list args) {
  va_list again;
  size_t room;
  int len;

  if (!text_reserve(t, 0))
    return;
  va_copy(again, args);
  room = t->cap - t->len;
  len = vsnprintf(t->data + t->len, room, format, args);
  if (len < 0)
    t->failed = true;
  else if ((size_t)len >= room && text_reserve(t, (size_t)len))
    (void)vsnprintf(t->data + t->len, (size_t)len + 1, format, again);
  va_end(again);
  if (t->failed)
    t->data[t->len] = '\0';
  else
    t->len += (size_t)len;
}

void text_printf(text *t, const char *format, ...) {
  va_list args;

  va_start(args, format);
  text_vprintf(t, format, args);
  va_end(args);
}

void text_cut(text *t, size_t len) {
  if (len >= t->len)
    return;
  t->len = len;
  t->data[len] = '\0';
}

void text_clear(text *t) {
  t->len = 0;
  t->failed = false;
  if (t->data != NULL)
    t->data[0] = '\0';
}

void text_free(text *t) {
  free(t->data);
  *t = (text)TEXT_INIT;
}

const char *text_get(const text *t) {
  return t->data != NULL && !t->failed ? t->data : "";
}
