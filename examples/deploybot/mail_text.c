/* Text for mails: folded, quoted, times in words; see mail.h. */
#include "deploybot/mail.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { QUOTE_COLUMNS = 66 };

static const char white[] = " \t\r\n";

static uint32_t point_of(const unsigned char *s, size_t n) {
  uint32_t point = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));

  for (size_t i = 1; i < n; i++)
    point = point << 6 | (s[i] & 0x3fu);
  return point;
}

size_t mail_character(const char *data, size_t len) {
  static const uint32_t least[] = {0, 0x20, 0xa0, 0x800, 0x10000};
  const unsigned char *s = (const unsigned char *)data;
  uint32_t point;
  size_t n = 1;

  if (len == 0 || (s[0] >= 0x80 && s[0] < 0xc0) || s[0] >= 0xf8)
    return 0;
  if (s[0] >= 0xc0)
    n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
  if (n > len)
    return 0;
  for (size_t i = 1; i < n; i++)
    if ((s[i] & 0xc0) != 0x80)
      return 0;
  point = point_of(s, n);
  /* Marks that turn the direction of what follows hide things. */
  if (point < least[n] || point == 0x7f || point > 0x10ffff ||
      (point >= 0xd800 && point < 0xe000) ||
      (point >= 0x2028 && point <= 0x202e) ||
      (point >= 0x2066 && point <= 0x2069))
    return 0;
  return n;
}

static size_t columns_of(const char *s, size_t len) {
  size_t columns = 0;

  for (size_t i = 0; i < len; i++)
    columns += ((unsigned char)s[i] & 0xc0) != 0x80;
  return columns;
}

/* As many bytes of a word as fit into so many columns, at least one. */
static size_t fitting(const char *s, size_t len, size_t columns) {
  size_t at = 0, n;

  for (; at < len && columns > 0; at += n, columns--) {
    n = mail_character(s + at, len - at);
    n = n != 0 ? n : 1;
  }
  return at;
}

void mail_fold(text *out, const char *first, const char *words) {
  size_t indent = columns_of(first, strlen(first)), column = indent;

  text_str(out, first);
  words += strspn(words, white);
  while (*words != '\0') {
    size_t len = strcspn(words, white), wide = columns_of(words, len);

    if (column > indent && column + 1 + wide > MAIL_COLUMNS) {
      text_printf(out, "\n%*s", (int)indent, "");
      column = indent;
    } else if (column > indent) {
      text_str(out, " ");
      column++;
    }
    if (wide > MAIL_COLUMNS - indent) {
      len = fitting(words, len, MAIL_COLUMNS - indent);
      wide = columns_of(words, len);
    }
    text_add(out, words, len);
    column += wide;
    words += len;
    words += strspn(words, white);
  }
  text_str(out, "\n");
}

void mail_quote(text *out, const char *data, size_t len) {
  size_t column = 0, n;

  text_str(out, "  | ");
  for (size_t i = 0; i < len; i += n) {
    n = mail_character(data + i, len - i);
    if (column >= QUOTE_COLUMNS || (data[i] == '\n' && i + 1 < len)) {
      text_str(out, "\n  | ");
      column = 0;
    }
    if (n != 0) {
      text_add(out, data + i, n);
      column++;
    } else if (data[i] == '\t') {
      text_str(out, " ");
      column++;
    } else if (data[i] != '\n' && data[i] != '\r') {
      text_printf(out, "\\x%02x", (unsigned)(unsigned char)data[i]);
      column += 4;
    }
    n = n != 0 ? n : 1;
  }
  text_str(out, "\n");
}

void mail_time(int64_t at_ms, char *out, size_t size) {
  time_t at = (time_t)(at_ms / 1000);
  struct tm tm;

  if (gmtime_r(&at, &tm) == NULL ||
      strftime(out, size, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
    (void)snprintf(out, size, "an unknown time");
}

static const char *plural(int64_t n) { return n == 1 ? "" : "s"; }

/* "2 hours", and what is left of them unless that is nothing. */
static void name_two(int64_t great, const char *greats, int64_t small,
                     const char *smalls, char *out, size_t size) {
  int len =
      snprintf(out, size, "%lld %s%s", (long long)great, greats, plural(great));

  if (small != 0 && len > 0 && (size_t)len < size)
    (void)snprintf(out + len, size - (size_t)len, " %lld %s%s",
                   (long long)small, smalls, plural(small));
}

void mail_duration(int64_t ms, char *out, size_t size) {
  int64_t minutes = ms / 60000, hours = minutes / 60, days = hours / 24;

  if (days > 0)
    name_two(days, "day", hours % 24, "hour", out, size);
  else if (hours > 0)
    name_two(hours, "hour", minutes % 60, "minute", out, size);
  else if (minutes > 0)
    name_two(minutes, "minute", 0, "", out, size);
  else
    name_two(ms / 1000, "second", 0, "", out, size);
}
