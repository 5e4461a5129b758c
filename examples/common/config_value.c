/* The text of an option's value, and what it may be. Pure. */
#include "common/config_value.h"

#include <stdio.h>
#include <string.h>

typedef struct unit {
  const char *name;
  int64_t ms;
} unit;

static const unit units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

/* Digits at the beginning; how many, 0 when there are none or too many. */
static size_t digits(const char *text, int64_t *number) {
  int64_t n = 0;
  size_t len = 0;

  for (; text[len] >= '0' && text[len] <= '9'; len++) {
    if (n > (INT64_MAX - 9) / 10)
      return 0;
    n = n * 10 + (text[len] - '0');
  }
  *number = n;
  return len;
}

static bool read_number(const char *text, int64_t *number) {
  bool minus = text[0] == '-';
  size_t len = digits(text + minus, number);

  if (len == 0 || text[minus + len] != '\0')
    return false;
  *number = minus ? -*number : *number;
  return true;
}

/* A zero needs no unit; everything else would be guessed wrong. */
static bool read_ms(const char *text, int64_t *ms) {
  size_t len = digits(text, ms);

  if (len == 0)
    return false;
  if (text[len] == '\0')
    return *ms == 0;
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
    if (strcmp(text + len, units[i].name) == 0) {
      if (*ms > INT64_MAX / units[i].ms)
        return false;
      *ms *= units[i].ms;
      return true;
    }
  return false;
}

static bool read_flag(const char *text, int64_t *flag) {
  static const char *const words[2][4] = {{"no", "false", "off", "0"},
                                          {"yes", "true", "on", "1"}};

  for (int is = 0; is < 2; is++)
    for (int i = 0; i < 4; i++)
      if (strcmp(text, words[is][i]) == 0) {
        *flag = is;
        return true;
      }
  return false;
}

static void show_ms(int64_t ms, char out[32]) {
  const unit *u = &units[0];

  for (size_t i = 0; ms != 0 && i < sizeof units / sizeof units[0]; i++)
    if (ms % units[i].ms == 0)
      u = &units[i];
  (void)snprintf(out, 32, "%lld%s", (long long)(ms / u->ms), u->name);
}

static void show(const config_option *o, int64_t n, char out[32]) {
  if (o->kind == CONFIG_MS)
    show_ms(n, out);
  else
    (void)snprintf(out, 32, "%lld", (long long)n);
}

bool config_value_read(const config_option *o, const char *text,
                       int64_t *number, char *why, size_t size) {
  bool bounded = o->least != 0 || o->most != 0, good = true;
  const char *what = "yes or no";
  char least[32], most[32];

  *number = 0;
  if (o->kind == CONFIG_NUMBER) {
    good = read_number(text, number);
    what = "a number";
  } else if (o->kind == CONFIG_MS) {
    good = read_ms(text, number);
    what = "a time with its unit (250ms, 5s, 2m, 1h)";
  } else if (o->kind == CONFIG_FLAG) {
    good = read_flag(text, number);
    bounded = false;
  } else {
    return true;
  }
  if (good &&
      (bounded ? *number >= o->least && *number <= o->most : *number >= 0))
    return true;
  if (bounded) {
    show(o, o->least, least);
    show(o, o->most, most);
    (void)snprintf(why, size, "takes %s from %s to %s, not \"%.60s\"", what,
                   least, most, text);
  } else {
    (void)snprintf(why, size, "takes %s, not \"%.60s\"", what, text);
  }
  return false;
}
