/*
 * Text that grows, and its escapes.
 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST = 256, KEEP = 1 << 20 };

void text_clear(textbuf *t) {
  t->len = 0;
  t->failed = false;
}

void text_free(textbuf *t) {
  free(t->data);
  memset(t, 0, sizeof *t);
}

void text_trim(textbuf *t) {
  if (t->cap > KEEP)
    text_free(t);
  text_clear(t);
}

bool text_ok(const textbuf *t) { return !t->failed; }

bool text_reserve(textbuf *t, size_t more) {
  size_t cap = t->cap != 0 ? t->cap : FIRST;
  char *data;

  if (t->failed || more > SIZE_MAX / 2 - t->len) {
    t->failed = true;
    return false;
  }
  while (cap - t->len < more)
    cap *= 2;
  if (cap == t->cap)
    return true;
  data = realloc(t->data, cap);
  if (data == NULL) {
    t->failed = true;
    return false;
  }
  t->data = data;
  t->cap = cap;
  return true;
}

void text_put(textbuf *t, const char *data, size_t len) {
  if (len == 0 || !text_reserve(t, len))
    return;
  memcpy(t->data + t->len, data, len);
  t->len += len;
}

void text_puts(textbuf *t, const char *string) {
  text_put(t, string, strlen(string));
}

void text_putc(textbuf *t, char c) { text_put(t, &c, 1); }

void text_printf(textbuf *t, const char *format, ...) {
  va_list args;
  int len;

  va_start(args, format);
  len = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (len < 0 || !text_reserve(t, (size_t)len + 1)) {
    t->failed = true;
    return;
  }
  va_start(args, format);
  (void)vsnprintf(t->data + t->len, (size_t)len + 1, format, args);
  va_end(args);
  t->len += (size_t)len;
}

/* ---- escapes ---- */

/* Bytes of the UTF-8 character that p begins; 0 when it begins none. */
static size_t utf8_len(const unsigned char *p, size_t left) {
  size_t n = p[0] < 0x80                   ? 1
             : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
             : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
             : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                           : 0;

  if (n == 0 || n > left)
    return 0;
  for (size_t i = 1; i < n; i++)
    if ((p[i] & 0xc0) != 0x80)
      return 0;
  /* overlong forms, surrogates, past the last code point */
  if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
      (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
    return 0;
  return n;
}

void text_put_json(textbuf *t, const char *data, size_t len) {
  const unsigned char *p = (const unsigned char *)data;

  text_putc(t, '"');
  for (size_t i = 0, n; i < len; i += n) {
    n = utf8_len(p + i, len - i);
    if (n == 0) {
      text_puts(t, "\\ufffd");
      n = 1;
    } else if (p[i] == '"' || p[i] == '\\') {
      text_putc(t, '\\');
      text_putc(t, data[i]);
    } else if (p[i] < 0x20 || p[i] == 0x7f) {
      text_printf(t, "\\u%04x", p[i]);
    } else {
      text_put(t, data + i, n);
    }
  }
  text_putc(t, '"');
}

/* The letter of a short escape, or 0. */
static char short_escape(unsigned char c) {
  switch (c) {
  case '\t':
    return 't';
  case '\n':
    return 'n';
  case '\r':
    return 'r';
  case '\\':
    return '\\';
  default:
    return 0;
  }
}

void text_put_escaped(textbuf *t, changefeed_str s) {
  const unsigned char *p = (const unsigned char *)s.data;

  for (size_t i = 0; i < s.len; i++) {
    char letter = short_escape(p[i]);

    if (letter != 0) {
      text_putc(t, '\\');
      text_putc(t, letter);
    } else if (p[i] == 0xc2 && i + 1 < s.len && p[i + 1] < 0xa0) {
      text_printf(t, "\\x%02x\\x%02x", p[i], p[i + 1]);
      i++;
    } else if (p[i] < 0x20 || p[i] == 0x7f) {
      text_printf(t, "\\x%02x", p[i]);
    } else {
      text_putc(t, s.data[i]);
    }
  }
}

static bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

void text_put_compact(textbuf *t, const char *json, size_t len) {
  bool inside = false; /* a string */

  if (!text_reserve(t, len))
    return;
  for (size_t i = 0; i < len; i++) {
    if (!inside && is_space(json[i]))
      continue;
    t->data[t->len++] = json[i];
    if (json[i] == '"')
      inside = !inside;
    else if (json[i] == '\\' && i + 1 < len)
      t->data[t->len++] = json[++i];
  }
}

bool has_line_break(const char *data, size_t len) {
  return memchr(data, '\n', len) != NULL || memchr(data, '\r', len) != NULL;
}

/* ---- time ---- */

void text_put_now(textbuf *t) {
  struct timespec now = {0, 0};
  struct tm tm;
  char out[40];

  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (gmtime_r(&now.tv_sec, &tm) == NULL ||
      strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
    t->failed = true;
    return;
  }
  text_printf(t, "%s.%03dZ", out, (int)(now.tv_nsec / 1000000));
}

int64_t clock_ms(void) {
  struct timespec now = {0, 0};

  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void wipe(void *block, size_t size) {
  volatile unsigned char *p = block;

  while (size-- != 0)
    *p++ = 0;
}
