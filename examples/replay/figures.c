/* Numbers and words for people; see figures.h. */
#include "replay/figures.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

enum { ELLIPSIS = 3 };

void figures_count(text *out, uint64_t n) {
  char digits[24];
  size_t len = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, n);

  for (size_t i = 0; i < len; i++) {
    if (i != 0 && (len - i) % 3 == 0)
      text_str(out, ",");
    text_add(out, digits + i, 1);
  }
}

void figures_time(text *out, int64_t us) {
  if (us < 10 * 1000)
    text_printf(out, "%.1f ms", (double)us / 1000);
  else if (us < 1000 * 1000)
    text_printf(out, "%.0f ms", (double)us / 1000);
  else if (us < 100 * 1000 * 1000)
    text_printf(out, "%.1f s", (double)us / 1e6);
  else
    text_printf(out, "%.0f s", (double)us / 1e6);
}

/* Whether a character of UTF-8 begins here. */
static bool begins(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

size_t figures_width(const char *s) {
  size_t width = 0;

  for (; *s != '\0'; s++)
    width += begins(*s);
  return width;
}

/* Bytes of the first `most` characters. */
static size_t bytes_of(const char *s, size_t most) {
  size_t i = 0;

  for (; s[i] != '\0'; i++)
    if (begins(s[i]) && most-- == 0)
      break;
  return i;
}

void figures_cut(text *out, const char *s, size_t most) {
  if (figures_width(s) <= most) {
    text_str(out, s);
    return;
  }
  text_add(out, s, bytes_of(s, most - ELLIPSIS));
  text_str(out, "...");
}

void figures_pad(text *out, const char *s, size_t most) {
  figures_cut(out, s, most);
  for (size_t width = figures_width(s); width < most; width++)
    text_str(out, " ");
}

/* Bytes of s that go into a line with room for so many characters: to the last
   space that leaves something before it, or all, or just what fits. */
static size_t line_of(const char *s, size_t room) {
  size_t most = bytes_of(s, room), len = most;

  if (s[most] == '\0' || s[most] == ' ')
    return most;
  while (len != 0 && s[len - 1] != ' ')
    len--;
  return len != 0 ? len : most;
}

void figures_wrap(text *out, const char *s, size_t at, size_t indent,
                  size_t width) {
  for (;;) {
    size_t len = line_of(s, width > at ? width - at : 1);
    size_t end = len;

    while (end != 0 && s[end - 1] == ' ')
      end--;
    text_add(out, s, end);
    text_str(out, "\n");
    s += len;
    while (*s == ' ')
      s++;
    if (*s == '\0')
      return;
    for (at = 0; at < indent; at++)
      text_str(out, " ");
  }
}
