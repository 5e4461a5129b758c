/* The log; see log.h. A line is made on the stack and written by one call: it
   needs no memory, and lines of threads and processes do not mix. What does not
   fit is left out and said so; what a full pipe does not take is counted. */
#include "common/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  LINE_MOST = 4000,  /* below PIPE_BUF: what a pipe takes in one piece */
  VALUE_MOST = 1024, /* bytes of one value as it was given */
  KEPT_BACK = 48     /* for what is said behind the fields */
};

static _Atomic(const char *) log_program;
static atomic_int log_least = LOG_WARN;
static atomic_uint_fast64_t log_lost;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

typedef struct line {
  char data[LINE_MOST];
  size_t len, most;
  bool full;
} line;

static void put(line *l, const char *s, size_t len) {
  if (l->full || len > l->most - l->len) {
    l->full = true;
    return;
  }
  memcpy(l->data + l->len, s, len);
  l->len += len;
}

static void put_str(line *l, const char *s) { put(l, s, strlen(s)); }

static bool is_more(unsigned char c) { return (c & 0xc0) == 0x80; }

/* How many bytes at s are one character that a terminal may be given; 0: this
   byte is to be escaped. */
static size_t character(const unsigned char *s, size_t len) {
  if (s[0] < 0x80)
    return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
  if (s[0] == 0xc2 && len >= 2 && s[1] < 0xa0)
    return 0; /* a control character of two bytes */
  if (s[0] >= 0xc2 && s[0] < 0xe0)
    return len >= 2 && is_more(s[1]) ? 2 : 0;
  if (s[0] >= 0xe0 && s[0] < 0xf0)
    return len >= 3 && is_more(s[1]) && is_more(s[2]) &&
                   (s[0] != 0xe0 || s[1] >= 0xa0) &&
                   (s[0] != 0xed || s[1] < 0xa0)
               ? 3
               : 0;
  if (s[0] >= 0xf0 && s[0] < 0xf5)
    return len >= 4 && is_more(s[1]) && is_more(s[2]) && is_more(s[3]) &&
                   (s[0] != 0xf0 || s[1] >= 0x90) &&
                   (s[0] != 0xf4 || s[1] < 0x90)
               ? 4
               : 0;
  return 0;
}

static void put_escaped(line *l, unsigned char c) {
  char hex[8];

  if (c == '\n') {
    put(l, "\\n", 2);
  } else if (c == '\r') {
    put(l, "\\r", 2);
  } else if (c == '\t') {
    put(l, "\\t", 2);
  } else {
    (void)snprintf(hex, sizeof hex, "\\x%02x", (unsigned)c);
    put_str(l, hex);
  }
}

static bool is_plain(const char *s, size_t len) {
  if (len == 0)
    return false;
  for (size_t i = 0; i < len; i++)
    if (s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' || s[i] == '=' ||
        s[i] == '\\')
      return false;
  return true;
}

static void put_value(line *l, const char *s) {
  size_t len = strnlen(s, VALUE_MOST + 1), n;
  bool cut = len > VALUE_MOST;

  if (cut)
    len = VALUE_MOST;
  if (!cut && is_plain(s, len)) {
    put(l, s, len);
    return;
  }
  put(l, "\"", 1);
  for (size_t i = 0; i < len; i += n) {
    if (s[i] == '"' || s[i] == '\\')
      put(l, "\\", 1);
    n = character((const unsigned char *)s + i, len - i);
    if (n != 0)
      put(l, s + i, n);
    else
      put_escaped(l, (unsigned char)s[i]);
    n = n != 0 ? n : 1;
  }
  put_str(l, cut ? "...\"" : "\"");
}

static void put_field(line *l, const log_field *f) {
  char number[24];
  size_t before = l->len;

  put(l, " ", 1);
  put_str(l, f->key);
  put(l, "=", 1);
  if (f->text != NULL) {
    put_value(l, f->text);
  } else {
    (void)snprintf(number, sizeof number, "%lld", (long long)f->number);
    put_str(l, number);
  }
  if (l->full) /* no half of a field */
    l->len = before;
}

static void put_begin(line *l, int level, const char *event) {
  const char *program = atomic_load(&log_program);
  struct timespec now;
  struct tm tm;
  char stamp[40];

  if (clock_gettime(CLOCK_REALTIME, &now) == 0 &&
      gmtime_r(&now.tv_sec, &tm) != NULL &&
      strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm) != 0) {
    char millis[8];

    (void)snprintf(millis, sizeof millis, ".%03uZ",
                   (unsigned)(now.tv_nsec / 1000000) % 1000);
    put_str(l, "ts=");
    put_str(l, stamp);
    put_str(l, millis);
    put(l, " ", 1);
  }
  put_str(l, "level=");
  put_str(l, level_names[level]);
  if (program != NULL)
    put_field(l, &(log_field)LS("program", program));
  put_field(l, &(log_field)LS("event", event));
}

static bool write_line(const char *data, size_t len) {
  ssize_t n;

  while (len != 0) {
    n = write(STDERR_FILENO, data, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    data += n;
    len -= (size_t)n;
  }
  return true;
}

void log_open(const char *program, int least) {
  atomic_store(&log_program, program);
  atomic_store(&log_least, least);
}

int log_level_of(const char *name) {
  for (int i = LOG_DEBUG; i <= LOG_ERROR; i++)
    if (strcmp(name, level_names[i]) == 0)
      return i;
  return -1;
}

void log_fields(int level, const char *event, const log_field *fields) {
  int saved = errno;
  uint_fast64_t lost;
  line l;

  if (level < atomic_load(&log_least) || level < LOG_DEBUG || level > LOG_ERROR)
    return;
  l.len = 0;
  l.most = LINE_MOST - KEPT_BACK;
  l.full = false;
  put_begin(&l, level, event);
  for (; fields->key != NULL; fields++)
    put_field(&l, fields);
  l.most = LINE_MOST;
  if (l.full) {
    l.full = false;
    put_field(&l, &(log_field)LN("cut", 1));
  }
  lost = atomic_exchange(&log_lost, 0);
  if (lost != 0)
    put_field(&l, &(log_field)LN("lost", lost));
  put(&l, "\n", 1);
  if (!write_line(l.data, l.len))
    (void)atomic_fetch_add(&log_lost, lost + 1);
  errno = saved;
}
