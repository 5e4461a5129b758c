/* Times as people write and read them; see times.h. */
#include "apps/times.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The last second of the year 9999. */
static const int64_t last_ms = INT64_C(253402300799) * 1000;

static bool read_span(const char *text, int64_t *ms) {
  static const struct {
    char unit;
    int64_t ms;
  } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
  int64_t n = 0;
  size_t len = strspn(text, "0123456789");

  if (len == 0 || len > 9 || text[len] == '\0' || text[len + 1] != '\0')
    return false;
  for (size_t i = 0; i < len; i++)
    n = n * 10 + (text[i] - '0');
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
    if (units[i].unit == text[len]) {
      *ms = n * units[i].ms;
      return true;
    }
  return false;
}

/* Exactly so many digits. */
static bool read_digits(const char **at, int count, int least, int most,
                        int *out) {
  *out = 0;
  for (; count > 0; count--, (*at)++) {
    if (**at < '0' || **at > '9')
      return false;
    *out = *out * 10 + (**at - '0');
  }
  return *out >= least && *out <= most;
}

static bool read_char(const char **at, char c) {
  if (**at != c)
    return false;
  (*at)++;
  return true;
}

static bool read_stamp(const char *text, int64_t *at_ms) {
  struct tm tm = {0}, given;
  time_t t;

  if (!read_digits(&text, 4, 1970, 9999, &tm.tm_year) ||
      !read_char(&text, '-') || !read_digits(&text, 2, 1, 12, &tm.tm_mon) ||
      !read_char(&text, '-') || !read_digits(&text, 2, 1, 31, &tm.tm_mday) ||
      !(read_char(&text, 'T') || read_char(&text, ' ')) ||
      !read_digits(&text, 2, 0, 23, &tm.tm_hour) || !read_char(&text, ':') ||
      !read_digits(&text, 2, 0, 59, &tm.tm_min) ||
      (read_char(&text, ':') && !read_digits(&text, 2, 0, 59, &tm.tm_sec)) ||
      !read_char(&text, 'Z') || *text != '\0')
    return false;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  given = tm;
  t = timegm(&tm);
  *at_ms = (int64_t)t * 1000;
  return tm.tm_mday == given.tm_mday; /* no 31st of June */
}

bool apps_time_read(const char *text, int64_t now_ms, int64_t *at_ms) {
  int64_t span;

  if (!read_span(text, &span))
    return read_stamp(text, at_ms);
  *at_ms = now_ms + span;
  return true;
}

const char *apps_time_show(int64_t at_ms, char *out, size_t size) {
  time_t t = (time_t)(at_ms / 1000);
  struct tm tm;

  if (at_ms <= 0 || at_ms > last_ms || gmtime_r(&t, &tm) == NULL ||
      strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
    (void)snprintf(out, size, "-");
  return out;
}

const char *apps_age_show(int64_t ms, char *out, size_t size) {
  int64_t s = ms > 0 ? ms / 1000 : 0;

  if (s < 120)
    (void)snprintf(out, size, "%lld s", (long long)s);
  else if (s < 120 * 60)
    (void)snprintf(out, size, "%lld min", (long long)(s / 60));
  else if (s < 48 * 3600)
    (void)snprintf(out, size, "%lld h", (long long)(s / 3600));
  else
    (void)snprintf(out, size, "%lld d", (long long)(s / 86400));
  return out;
}
