/*
 * An answer that is no feed: status, Retry-After and body together, as a feed
 * takes them. What class an answer has follows from the table alone, a body
 * that is not whole never ends a feed, and a delay lies in its bounds and is
 * that of the date which libcurl reads.
 *
 * Input: a line with the status, one with the wall clock in ms, one with the
 * header's value, then the body.
 */
#define _DEFAULT_SOURCE /* gmtime_r */
#include "fuzz/fuzz.h"

#include <curl/curl.h>
#include <string.h>
#include <time.h>

#include "fuzz/plain_jansson.h"
#include "info.h"
#include "reply.h"
#include "str.h"

enum { HOUR_MS = 3600000, DATE_TEXT = 128 };
/* Of the year 9000: the C library's dates and ours have four digits of it. */
static const int64_t LATEST_MS = INT64_C(221845392000000);

typedef struct answer {
  int status;
  int64_t wall_ms;
  char *retry_after;
  const char *body;
  size_t body_len;
} answer;

/* ---- classes ---- */

static bool among(cfi_reply_class class, cfi_reply_class a, cfi_reply_class b,
                  cfi_reply_class c) {
  return class == a || class == b || class == c;
}

static void check_in_table(int status, cfi_reply_class class) {
  switch (status) {
  case 200:
    CFT_FUZZ_CHECK(class == CFI_REPLY_OK);
    break;
  case 400:
    CFT_FUZZ_CHECK(
        among(class, CFI_REPLY_RETRY, CFI_REPLY_BAD_SINCE, CFI_REPLY_FATAL));
    break;
  case 401:
  case 403:
    CFT_FUZZ_CHECK(class == CFI_REPLY_AUTH);
    break;
  case 404:
    CFT_FUZZ_CHECK(
        among(class, CFI_REPLY_RETRY, CFI_REPLY_NO_DB, CFI_REPLY_NO_DB));
    break;
  default:
    CFT_FUZZ_CHECK(class == CFI_REPLY_RETRY);
    break;
  }
}

static bool ends_a_feed(cfi_reply_class class) {
  return class == CFI_REPLY_FATAL || class == CFI_REPLY_NO_DB ||
         class == CFI_REPLY_BAD_SINCE;
}

/* The class of a body, as a feed finds it. */
static cfi_reply_class class_of(const cfi_alloc *heap, int status,
                                const char *body, size_t len) {
  cfi_info info;
  cfi_reply_class class;
  int rc;

  memset(&info, 0, sizeof info);
  rc = cfi_info_parse(heap, body, len, &info);
  CFT_FUZZ_CHECK(rc == CFI_INFO_OK || rc == CFI_INFO_BAD);
  class = cfi_reply_classify(status, info.error, info.reason);
  check_in_table(status, class);
  if (rc == CFI_INFO_OK)
    cfi_info_free(heap, &info);
  else
    CFT_FUZZ_CHECK(!ends_a_feed(class));
  return class;
}

/* What only a 400 or 404 that CouchDB's words came with may be. */
static void check_words(cfi_reply_class class, const answer *a) {
  json_t *body = jansson_read(a->body, a->body_len);
  const json_t *error = json_object_get(body, "error");
  const json_t *reason = json_object_get(body, "reason");

  if (body != NULL) {
    if (class == CFI_REPLY_FATAL)
      CFT_FUZZ_CHECK(json_is_string(error) && json_is_string(reason));
    if (class == CFI_REPLY_NO_DB || class == CFI_REPLY_BAD_SINCE)
      CFT_FUZZ_CHECK(json_is_string(reason));
    if (a->status == 400 && json_is_string(error) && json_is_string(reason))
      CFT_FUZZ_CHECK(class != CFI_REPLY_RETRY);
  }
  json_decref(body);
}

static void check_class(const cfi_alloc *heap, const answer *a) {
  cfi_reply_class class = class_of(heap, a->status, a->body, a->body_len);
  char *padded = malloc(a->body_len + 4);
  size_t cut = a->body_len < 300 ? a->body_len : 300;

  CFT_FUZZ_CHECK(padded != NULL);
  memcpy(padded, "\r\n", 2);
  if (a->body_len != 0)
    memcpy(padded + 2, a->body, a->body_len);
  memcpy(padded + 2 + a->body_len, "\t\n", 2);
  CFT_FUZZ_CHECK(class_of(heap, a->status, padded, a->body_len + 4) == class);
  free(padded);
  check_words(class, a);
  /* As a connection that dies would leave it. */
  while (cut != 0)
    (void)class_of(heap, a->status, a->body, --cut);
  for (int status = 100; status < 600; status += 7)
    (void)class_of(heap, status, a->body, a->body_len);
  CFT_FUZZ_CHECK(cfi_reply_code(a->status) < 0);
}

/* ---- Retry-After ---- */

static int64_t delay_until(int64_t at_s, int64_t wall_ms) {
  int64_t delay = at_s * 1000 - wall_ms;

  return delay < 0 ? 0 : delay < HOUR_MS ? delay : HOUR_MS;
}

static void write_date(char out[DATE_TEXT], int form, const struct tm *parts) {
  char day[32], time[32];

  CFT_FUZZ_CHECK(strftime(time, sizeof time, "%H:%M:%S", parts) != 0);
  switch (form) {
  case 0:
    CFT_FUZZ_CHECK(strftime(day, sizeof day, "%a, %d %b %Y", parts) != 0);
    (void)snprintf(out, DATE_TEXT, "%s %s GMT", day, time);
    break;
  case 1:
    CFT_FUZZ_CHECK(strftime(day, sizeof day, "%A, %d-%b", parts) != 0);
    (void)snprintf(out, DATE_TEXT, "%s-%02d %s GMT", day, parts->tm_year % 100,
                   time);
    break;
  default:
    CFT_FUZZ_CHECK(strftime(day, sizeof day, "%a %b %e", parts) != 0);
    (void)snprintf(out, DATE_TEXT, "%s %s %d", day, time,
                   parts->tm_year + 1900);
    break;
  }
}

/* The same instant in each way to write it. */
static void check_written(int64_t at_s, int64_t wall_ms) {
  time_t at = (time_t)at_s;
  struct tm parts;

  CFT_FUZZ_CHECK(gmtime_r(&at, &parts) != NULL);
  for (int form = 0; form < 3; form++) {
    char text[DATE_TEXT];

    write_date(text, form, &parts);
    CFT_FUZZ_CHECK(cfi_reply_retry_after(text, wall_ms) ==
                   delay_until(at_s, wall_ms));
  }
}

/* libcurl knows no year before 1583, and takes a year below 100, also one of
   two digits, for one near 1970, not near the clock. */
static void check_against_curl(const char *value, int64_t wall_ms,
                               int64_t delay) {
  time_t at;

  if (strchr(value, '-') != NULL || strchr(value, ':') == NULL ||
      strstr(value, " 00") != NULL)
    return;
  at = curl_getdate(value, NULL);
  if (at != (time_t)-1)
    CFT_FUZZ_CHECK(delay == delay_until((int64_t)at, wall_ms));
}

static void check_retry_after(const answer *a) {
  int64_t delay = cfi_reply_retry_after(a->retry_after, a->wall_ms);
  bool sane = a->wall_ms >= 0 && a->wall_ms < LATEST_MS;

  CFT_FUZZ_CHECK(delay >= -1 && delay <= HOUR_MS);
  if (strspn(a->retry_after, "0123456789") == strlen(a->retry_after) &&
      a->retry_after[0] != '\0' && strlen(a->retry_after) < 64)
    CFT_FUZZ_CHECK(delay >= 0 && delay % 1000 == 0);
  if (!sane)
    return;
  if (delay >= 0)
    check_against_curl(a->retry_after, a->wall_ms, delay);
  for (uint64_t i = 0; i < 4; i++) {
    uint64_t h = cfi_str_hash(i, a->retry_after, strlen(a->retry_after));
    int64_t near_ms = (int64_t)(h % (4 * HOUR_MS)) - 2 * HOUR_MS;
    int64_t any_s = (int64_t)((h >> 16) % (uint64_t)(LATEST_MS / 1000));
    int64_t at_s = a->wall_ms / 1000 + near_ms / 1000;

    if (at_s >= 0)
      check_written(at_s, a->wall_ms);
    if (any_s * 1000 >= near_ms)
      check_written(any_s, any_s * 1000 - near_ms);
  }
}

/* ---- input ---- */

/* The text of the next line; what is left begins behind it. */
static char *next_line(const char **at, size_t *left) {
  const char *end = *left != 0 ? memchr(*at, '\n', *left) : NULL;
  size_t len = end != NULL ? (size_t)(end - *at) : *left;
  char *line = malloc(len + 1);

  CFT_FUZZ_CHECK(line != NULL);
  if (len != 0)
    memcpy(line, *at, len);
  line[len] = '\0';
  len += end != NULL ? 1 : 0;
  *at += len;
  *left -= len;
  return line;
}

static int64_t number_line(const char **at, size_t *left, int64_t otherwise) {
  char *line = next_line(at, left);
  int64_t value = otherwise;

  if (!cfi_str_to_int(line, strlen(line), &value))
    value = otherwise;
  free(line);
  return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *at = size != 0 ? (const char *)data : "";
  cfi_alloc heap;
  answer a;

  if (size > 4000)
    return 0;
  CFT_FUZZ_CHECK(cfi_alloc_init(&heap, NULL));
  a.status = (int)(number_line(&at, &size, 503) % 1000);
  a.wall_ms = number_line(&at, &size, 1763860000123);
  a.retry_after = next_line(&at, &size);
  a.body = at;
  a.body_len = size;
  check_class(&heap, &a);
  check_retry_after(&a);
  free(a.retry_after);
  return 0;
}
