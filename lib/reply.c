/*
 * The table of status and reason, and the date in Retry-After.
 */
#include "reply.h"

#include <string.h>

#include "str.h"

enum { RETRY_AFTER_MAX_S = 3600 };

static bool contains(changefeed_str text, const char *part) {
  return text.data != NULL && cfi_str_find(text.data, text.len, part) != NULL;
}

/* A 404 is about the database only in these words: CouchDB from 2.0 on, 1.x
   and PouchDB, Sync Gateway. "missing", "deleted", "Design document was
   updated or deleted." and "missing json key: ..." are about a filter, which
   may be written, or be replicated here, any moment. */
static bool names_the_database(changefeed_str reason) {
  return cfi_str_equal(reason, "Database does not exist.") ||
         cfi_str_equal(reason, "no_db_file") ||
         contains(reason, "no such database");
}

/* The last is Sync Gateway's. */
static bool refuses_since(changefeed_str reason) {
  return contains(reason, "Malformed sequence") ||
         contains(reason, "'since'") || contains(reason, "Invalid sequence");
}

/* Only a body in CouchDB's shape is the database's own word; without one a 400
   comes from something in between, and may be gone the next time. */
static cfi_reply_class bad_request(changefeed_str error,
                                   changefeed_str reason) {
  if (refuses_since(reason))
    return CFI_REPLY_BAD_SINCE;
  if (error.data == NULL || reason.data == NULL)
    return CFI_REPLY_RETRY;
  return CFI_REPLY_FATAL;
}

cfi_reply_class cfi_reply_classify(int status, changefeed_str error,
                                   changefeed_str reason) {
  switch (status) {
  case 200:
    return CFI_REPLY_OK;
  case 400:
    return bad_request(error, reason);
  case 401:
  case 403:
    return CFI_REPLY_AUTH;
  case 404:
    return names_the_database(reason) ? CFI_REPLY_NO_DB : CFI_REPLY_RETRY;
  default:
    return CFI_REPLY_RETRY;
  }
}

int cfi_reply_code(int status) {
  if (status == 401 || status == 403)
    return CHANGEFEED_ERR_AUTH;
  return status == 404 ? CHANGEFEED_ERR_NOTFOUND : CHANGEFEED_ERR_HTTP;
}

/* ---- dates: RFC 9110, 5.6.7 ---- */

typedef struct date {
  int64_t year, month, day, hour, minute, second;
} date;

/* Reads on in a header; ok stays false after the first disappointment. */
typedef struct reader {
  const char *at;
  bool ok;
} reader;

static void expect(reader *r, const char *text) {
  size_t len = strlen(text);

  r->ok = r->ok && cfi_str_starts_nocase(r->at, text);
  if (r->ok)
    r->at += len;
}

static int64_t digits(reader *r, size_t count) {
  int64_t value = 0;

  for (size_t i = 0; i < count && r->ok; i++) {
    r->ok = r->at[0] >= '0' && r->at[0] <= '9';
    if (r->ok)
      value = value * 10 + (*r->at++ - '0');
  }
  return value;
}

/* The place of the first of names that stands here, and steps behind it. */
static int64_t one_of(reader *r, const char *const *names, size_t count) {
  for (size_t i = 0; i < count && r->ok; i++)
    if (cfi_str_starts_nocase(r->at, names[i])) {
      r->at += strlen(names[i]);
      return (int64_t)i;
    }
  r->ok = false;
  return 0;
}

static int64_t month(reader *r) {
  static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return one_of(r, names, sizeof names / sizeof names[0]) + 1;
}

static void clock_time(reader *r, date *d) {
  d->hour = digits(r, 2);
  expect(r, ":");
  d->minute = digits(r, 2);
  expect(r, ":");
  d->second = digits(r, 2);
}

static int64_t days_in_month(int64_t year, int64_t number) {
  static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

  return number == 2 && leap ? 29 : days[number - 1];
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, counted in years
   that begin in March, so that the leap day is the last of its year. */
static int64_t days_from_epoch(int64_t year, int64_t number, int64_t day) {
  int64_t y = number <= 2 ? year - 1 : year;
  int64_t m = number <= 2 ? number + 9 : number - 3;

  return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 -
         719468;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", after the comma. */
static void imf_date(reader *r, date *d) {
  d->day = digits(r, 2);
  expect(r, " ");
  d->month = month(r);
  expect(r, " ");
  d->year = digits(r, 4);
  expect(r, " ");
  clock_time(r, d);
  expect(r, " GMT");
}

/* "Sunday, 06-Nov-94 08:49:37 GMT", after the comma. A year that seems more
   than 50 years ahead is one of the past. */
static void rfc850_date(reader *r, date *d, int64_t this_year) {
  d->day = digits(r, 2);
  expect(r, "-");
  d->month = month(r);
  expect(r, "-");
  d->year = digits(r, 2) + this_year / 100 * 100;
  if (d->year > this_year + 50)
    d->year -= 100;
  else if (d->year <= this_year - 50)
    d->year += 100;
  expect(r, " ");
  clock_time(r, d);
  expect(r, " GMT");
}

/* "Sun Nov  6 08:49:37 1994", after the first space. */
static void asctime_date(reader *r, date *d) {
  d->month = month(r);
  expect(r, " ");
  if (r->ok && r->at[0] == ' ') {
    r->at++;
    d->day = digits(r, 1);
  } else {
    d->day = digits(r, 2);
  }
  expect(r, " ");
  clock_time(r, d);
  expect(r, " ");
  d->year = digits(r, 4);
}

/* Seconds since 1970; false when it is no date. */
static bool parse_date(const char *text, int64_t now_s, int64_t *out) {
  static const char *const long_names[] = {
      "Sunday, ",   "Monday, ", "Tuesday, ", "Wednesday, ",
      "Thursday, ", "Friday, ", "Saturday, "};
  static const char *const short_names[] = {"Sun", "Mon", "Tue", "Wed",
                                            "Thu", "Fri", "Sat"};
  reader r = {text, true};
  reader rfc850 = r;
  date d = {0, 0, 0, 0, 0, 0};

  (void)one_of(&rfc850, long_names, 7);
  if (rfc850.ok) {
    r = rfc850;
    /* A year has 365.2425 days; a day more or less does not matter here. */
    rfc850_date(&r, &d, 1970 + now_s / 31556952);
  } else {
    (void)one_of(&r, short_names, 7);
    if (r.ok && r.at[0] == ',') {
      expect(&r, ", ");
      imf_date(&r, &d);
    } else {
      expect(&r, " ");
      asctime_date(&r, &d);
    }
  }
  /* 60 is a leap second. */
  if (!r.ok || r.at[0] != '\0' || d.day < 1 ||
      d.day > days_in_month(d.year, d.month) || d.hour > 23 || d.minute > 59 ||
      d.second > 60)
    return false;
  *out = days_from_epoch(d.year, d.month, d.day) * 86400 + d.hour * 3600 +
         d.minute * 60 + d.second;
  return true;
}

/* More digits than a number holds are still a long time. */
static bool parse_seconds(const char *text, int64_t *out) {
  int64_t value = 0;

  if (text[0] == '\0')
    return false;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9')
      return false;
    if (value <= RETRY_AFTER_MAX_S)
      value = value * 10 + (*text - '0');
  }
  *out = value;
  return true;
}

int64_t cfi_reply_retry_after(const char *value, int64_t wall_ms) {
  enum { LONGEST = 64 };
  char text[LONGEST];
  size_t len;
  int64_t seconds, at, delay, now_s = wall_ms / 1000;

  if (value == NULL)
    return -1;
  while (cfi_str_is_space(*value))
    value++;
  len = strlen(value);
  while (len != 0 && cfi_str_is_space(value[len - 1]))
    len--;
  if (len >= LONGEST)
    return -1;
  memcpy(text, value, len);
  text[len] = '\0';
  if (parse_seconds(text, &seconds)) {
    if (seconds > RETRY_AFTER_MAX_S)
      seconds = RETRY_AFTER_MAX_S;
    return seconds * 1000;
  }
  if (!parse_date(text, now_s, &at))
    return -1;
  /* In seconds first: the clock may show anything, and ms of it overflow. */
  if (at > now_s + RETRY_AFTER_MAX_S)
    return RETRY_AFTER_MAX_S * 1000;
  if (at < now_s)
    return 0;
  delay = (at - now_s) * 1000 - wall_ms % 1000;
  if (delay < 0)
    return 0;
  return delay < RETRY_AFTER_MAX_S * 1000 ? delay : RETRY_AFTER_MAX_S * 1000;
}
