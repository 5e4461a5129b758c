/*
 * A body cut into rows, read whole, byte by byte, in random pieces, and, when
 * it is short, in two at every place: the same comes out, rows lie in the body
 * one behind the other, what frame_reader.h checks of any reading holds, and
 * as far as jansson can read the body it finds the same rows.
 *
 * Input: mode and name of the list, limits, seed of the pieces, then the body.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "fuzz/plain_jansson.h"
#include "str.h"
#include "unit/frame_reader.h"

/* The readers copy what is held for each piece. */
enum { BODY_MAX = 8192, CUT_EVERYWHERE = 48 };

typedef struct setting {
  cfi_alloc alloc;
  cfi_frame_mode mode;
  const char *list;
  size_t max_row, max_depth;
  const char *body;
  size_t len;
} setting;

static uint64_t next_random(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407U;
  return *state >> 33;
}

/* ---- reading ---- */

/* How a body arrives: a first piece, then others of one size, 0: random ones.
 */
typedef struct pieces {
  size_t first, others;
  uint64_t seed;
} pieces;

/* What one reading found, by place in the body. */
typedef struct found {
  const setting *s;
  frame_reader reader;
  size_t fed, end; /* bytes given, end of the last row */
  json_t *rows;    /* where each row begins and ends, or NULL: not noted */
  json_t *envelope;
  bool stray; /* a row was */
} found;

static void on_row(void *user, const char *text, const cfi_frame_item *item) {
  found *f = user;
  size_t at = f->fed - f->reader.len + item->offset;

  CFT_FUZZ_CHECK(at >= f->end && item->len <= f->s->len - at);
  CFT_FUZZ_CHECK(memcmp(f->s->body + at, text, item->len) == 0);
  f->end = at + item->len;
  f->stray = f->stray || item->stray;
  if (f->rows != NULL)
    CFT_FUZZ_CHECK(
        json_array_append_new(f->rows, json_pack("[I,I]", (json_int_t)at,
                                                 (json_int_t)f->end)) == 0);
}

static void on_tail(void *user, changefeed_str envelope) {
  found *f = user;

  if (f->rows != NULL)
    f->envelope = jansson_read(envelope.data, envelope.len);
}

/* The log of the reading, to be freed. */
static char *read_in(found *f, const setting *s, pieces how) {
  const cfi_scan_path *path = cfi_scan_path_at((size_t)(how.seed / 3 % 3));
  cfi_frame frame;
  size_t size = how.first;

  cfi_frame_init(&frame, &s->alloc, s->max_row, s->max_depth);
  frame.path = path != NULL ? path : cfi_scan_best();
  frame.list = s->list;
  frame_reader_start(&f->reader, &frame, s->mode);
  f->s = s;
  f->reader.user = f;
  f->reader.on_row = on_row;
  f->reader.on_tail = on_tail;
  f->reader.max_held = how.seed % 3 == 0 ? 0 : how.seed % 1000;
  while (f->fed < s->len) {
    const char *piece = s->body + f->fed;

    if (size == 0)
      size = 1 + (size_t)(next_random(&how.seed) %
                          (1U << next_random(&how.seed) % 9));
    size = s->len - f->fed < size ? s->len - f->fed : size;
    f->fed += size;
    frame_feed(&f->reader, piece, size);
    size = how.others;
  }
  frame_finish(&f->reader);
  free(f->reader.held);
  f->reader.held = NULL;
  cfi_frame_free(&frame);
  return f->reader.log;
}

static void check_pieces(const setting *s, const char *whole, pieces how) {
  found f;
  char *log;

  memset(&f, 0, sizeof f);
  log = read_in(&f, s, how);
  if (strcmp(whole, log) != 0)
    (void)fprintf(stderr, "whole:\n%s\nin pieces (%zu, %zu):\n%s\n", whole,
                  how.first, how.others, log);
  CFT_FUZZ_CHECK(strcmp(whole, log) == 0);
  free(log);
}

/* ---- what jansson finds ---- */

/* A limit was met: what would have come behind it is not known. */
static bool is_limit(cfi_frame_kind fault) {
  return fault == CFI_FRAME_TOO_LONG || fault == CFI_FRAME_TOO_DEEP;
}

/* Row number i of the frame must be this value. */
static void check_row(const found *f, size_t i, const json_t *wanted,
                      cfi_frame_kind fault) {
  const json_t *row = json_array_get(f->rows, i);
  json_int_t from = json_integer_value(json_array_get(row, 0));
  json_int_t to = json_integer_value(json_array_get(row, 1));
  json_t *got;

  if (row == NULL) {
    CFT_FUZZ_CHECK(is_limit(fault));
    return;
  }
  got = jansson_read(f->s->body + from, (size_t)(to - from));
  CFT_FUZZ_CHECK(json_equal(got, wanted));
  json_decref(got);
}

/* When each part of a list can be read, so can the whole: what stands between
   the parts is right. */
static void check_whole(const found *f, const json_t *body) {
  bool readable = f->envelope != NULL && !f->stray &&
                  memchr(f->s->body, '\0', f->s->len) == NULL &&
                  memchr(f->s->body, '\xef', f->s->len) == NULL;

  for (size_t i = 0; readable && i < json_array_size(f->rows); i++) {
    const json_t *row = json_array_get(f->rows, i);
    json_int_t from = json_integer_value(json_array_get(row, 0));
    json_int_t to = json_integer_value(json_array_get(row, 1));
    json_t *value = jansson_read(f->s->body + from, (size_t)(to - from));

    readable = value != NULL;
    json_decref(value);
  }
  CFT_FUZZ_CHECK(!readable || body != NULL);
}

/* The frame compares names as they are written, not what escapes make of
   them. */
static void compare_list(const found *f, cfi_frame_kind fault) {
  json_t *body = jansson_read(f->s->body, f->s->len);
  json_t *results = json_object_get(body, f->s->list);
  size_t i;

  if (fault == CFI_FRAME_MORE)
    check_whole(f, body);
  if (!json_is_object(body) ||
      cfi_str_find(f->s->body, f->s->len, "\\u") != NULL) {
    json_decref(body);
    return;
  }
  for (i = 0; i < json_array_size(results); i++) {
    if (!json_is_object(json_array_get(results, i)))
      break;
    check_row(f, i, json_array_get(results, i), fault);
  }
  CFT_FUZZ_CHECK(json_array_size(f->rows) <= i);
  if (i < json_array_size(results)) {
    CFT_FUZZ_CHECK(fault != CFI_FRAME_MORE);
  } else if (!is_limit(fault)) {
    CFT_FUZZ_CHECK(fault == CFI_FRAME_MORE && f->reader.tail);
    if (json_is_array(results))
      json_array_clear(results);
    CFT_FUZZ_CHECK(json_equal(f->envelope, body));
  }
  json_decref(body);
}

/* Objects with white space between them, up to something else. */
static void compare_lines(const found *f, cfi_frame_kind fault) {
  const char *at = f->s->body, *end = at + f->s->len;

  if (memchr(at, '\0', f->s->len) != NULL)
    return;
  for (size_t i = 0;; i++) {
    json_error_t error;
    json_t *value;

    while (at < end && cfi_str_is_space(*at))
      at++;
    if (at == end || *at != '{')
      break;
    value = json_loadb(at, (size_t)(end - at),
                       JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES |
                           JSON_ALLOW_NUL,
                       &error);
    if (value == NULL)
      break;
    check_row(f, i, value, fault);
    json_decref(value);
    at += error.position;
  }
}

/* Lines that say "data:" and an object, up to one that says something else and
   is not passed over. */
static void compare_events(const found *f, cfi_frame_kind fault) {
  const char *at = f->s->body, *end = at + f->s->len;
  size_t count = 0;

  while (at < end && *at != '{' && *at != '<' && *at != '\xef') {
    const char *line = at;
    json_t *value;
    bool object;

    while (at < end && *at != '\n' && *at != '\r')
      at++;
    if (at - line >= 5 && memcmp(line, "data:", 5) == 0) {
      value = jansson_read(line + 5, (size_t)(at - line) - 5);
      object = json_is_object(value);
      if (object)
        check_row(f, count++, value, fault);
      json_decref(value);
      if (!object)
        break;
    }
    if (at < end)
      at++;
  }
}

static void compare(const found *f, cfi_frame_kind fault) {
  switch (f->s->mode) {
  case CFI_FRAME_LIST:
    compare_list(f, fault);
    break;
  case CFI_FRAME_LINES:
    compare_lines(f, fault);
    break;
  case CFI_FRAME_EVENTS:
    compare_events(f, fault);
    break;
  }
}

/* ---- input ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const size_t rows[] = {2, 60, 400, BODY_MAX * 2};
  static const size_t depths[] = {1, 3, 8, 1000};
  setting s;
  found f;
  char *whole;

  if (size < 3 || size - 3 > BODY_MAX)
    return 0;
  CFT_FUZZ_CHECK(cfi_alloc_init(&s.alloc, NULL));
  s.mode = (cfi_frame_mode)(data[0] % 3);
  s.list = data[0] / 3 % 2 != 0 ? "rows" : "results";
  s.max_row = rows[data[1] % 4];
  s.max_depth = depths[data[1] / 4 % 4];
  s.body = (const char *)data + 3;
  s.len = size - 3;
  memset(&f, 0, sizeof f);
  f.rows = json_array();
  CFT_FUZZ_CHECK(f.rows != NULL);
  whole = read_in(&f, &s, (pieces){SIZE_MAX, SIZE_MAX, 0});
  compare(&f, f.reader.fault);
  json_decref(f.rows);
  json_decref(f.envelope);

  check_pieces(&s, whole, (pieces){1, 1, data[2]});
  for (uint64_t i = 1; i < 4; i++)
    check_pieces(&s, whole, (pieces){0, 0, data[2] + i * 256});
  for (size_t cut = 1; s.len <= CUT_EVERYWHERE && cut < s.len; cut++)
    check_pieces(&s, whole, (pieces){cut, SIZE_MAX, data[2]});
  free(whole);
  return 0;
}
