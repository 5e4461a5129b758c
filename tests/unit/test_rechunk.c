/*
 * Every recorded answer with status 200 that is a feed, read in pieces of many
 * sizes: the rows are the same as an independent reader finds in the whole
 * body. Known failures 37, 55, 56, 57.
 */
#include <check.h>

#include "frame.h"
#include "frame_reader.h"
#include "row.h"
#include "support/unit.h"
#include "support/wire.h"

enum { MAX_ROW = 1 << 20, MAX_DEPTH = 100, SEEDS = 12, MIN_RECORDINGS = 100 };

static cfi_alloc alloc;
static cfi_row_parser *parser;

/* What one reading of a body is compared with. */
typedef struct wanted {
  const cft_wire *wire;
  const cft_rows *rows;
  cfi_row_source source;
  size_t seen;
  bool ended, error;
  const char *how; /* the pieces, for messages */
} wanted;

#define must(w, condition, ...)                                                \
  ck_assert_msg(condition, "%s, %s: row %zu: %s", (w)->wire->name, (w)->how,   \
                (w)->seen, "" __VA_ARGS__)

static bool same(changefeed_str got, const char *want) {
  if (want == NULL || got.data == NULL)
    return want == got.data;
  return got.len == strlen(want) && memcmp(got.data, want, got.len + 1) == 0;
}

static void compare_end(wanted *w, const cfi_row *row) {
  must(w, !w->ended, "there is a second end");
  w->ended = true;
  must(w, same(row->last_seq, w->rows->last_seq), "another last_seq");
  must(w, row->pending == (w->rows->has_pending ? w->rows->pending : -1),
       "another pending");
}

static void compare_change(wanted *w, const cfi_row *row, const char *text,
                           size_t len) {
  const cft_row *want = &w->rows->row[w->seen];

  must(w, w->seen < w->rows->count, "there should be none");
  must(w, !w->ended, "it comes after the end");
  must(w, same(row->id, want->id), "another id");
  must(w, same(row->seq, want->seq), "another seq");
  must(w, len == strlen(want->text) && memcmp(text, want->text, len) == 0,
       "another text");
  if (w->source == CFI_ROW_OF_DATABASE) {
    must(w, row->rev_count == want->revs, "another number of revisions");
    must(w, same(row->revs[0], want->rev), "another revision");
    must(w, row->deleted == want->deleted, "another \"deleted\"");
  } else {
    must(w, row->deleted == (strcmp(want->rev, "deleted") == 0),
         "another \"deleted\"");
  }
  must(w,
       row->doc_len == 0 || (text[row->doc_offset] == '{' &&
                             text[row->doc_offset + row->doc_len - 1] == '}'),
       "the doc is no object");
  w->seen++;
}

static void compare_row(void *user, const char *text,
                        const cfi_frame_item *item) {
  wanted *w = user;
  cfi_row row;

  must(w, !item->stray, "it is stray");
  cfi_row_reset(parser);
  switch (cfi_row_parse(parser, w->source, text, item->len, &row)) {
  case CFI_ROW_CHANGE:
    compare_change(w, &row, text, item->len);
    break;
  case CFI_ROW_END:
    compare_end(w, &row);
    break;
  case CFI_ROW_ERROR:
    must(w, same(row.error, w->rows->error), "another error");
    w->error = true;
    break;
  default:
    must(w, false, "it is none");
  }
}

static void compare_envelope(void *user, changefeed_str text) {
  wanted *w = user;
  cfi_row row;

  cfi_row_reset(parser);
  must(w,
       cfi_row_parse(parser, w->source, text.data, text.len, &row) ==
           CFI_ROW_END,
       "the envelope is none");
  must(w, row.has_results, "the envelope has no results");
  compare_end(w, &row);
}

/* Sizes of pieces: all the same, or random below a random bound. */
typedef struct pieces {
  size_t size;
  uint64_t seed; /* size 0 */
} pieces;

static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15U);

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

static size_t next_size(pieces *p) {
  if (p->size != 0)
    return p->size;
  return 1 +
         (size_t)(next_random(&p->seed) % (1U << (next_random(&p->seed) % 11)));
}

static void replay(wanted *w, cfi_frame_mode mode, pieces p, size_t max_held) {
  cfi_frame frame;
  frame_reader r;
  const char *body = w->wire->body;
  size_t len = w->wire->body_len;

  w->seen = 0;
  w->ended = w->error = false;
  cfi_frame_init(&frame, &alloc, MAX_ROW, MAX_DEPTH);
  frame_reader_start(&r, &frame, mode);
  r.on_row = compare_row;
  r.on_tail = compare_envelope;
  r.user = w;
  r.max_held = max_held;
  for (size_t at = 0; at < len;) {
    size_t size = next_size(&p);

    size = len - at < size ? len - at : size;
    frame_feed(&r, body + at, size);
    at += size;
  }
  must(w, !r.over, "the body is taken for none");
  must(w, w->seen == w->rows->count, "rows are missing");
  must(w, w->ended == (w->rows->last_seq != NULL), "an end, or none");
  must(w, w->error == (w->rows->error != NULL), "an error, or none");
  /* The reference counts the empty lines after rows and ends of events too. */
  must(w, frame.beats <= w->rows->heartbeats, "too many heartbeats");
  if (mode == CFI_FRAME_LINES)
    must(w, frame.beats == w->rows->heartbeats, "other heartbeats");
  must(w,
       cfi_frame_inside(&frame) ==
           (w->rows->torn != 0 || (mode == CFI_FRAME_LIST && !w->ended)),
       "it ends in a row, or not");
  frame_reader_clear(&r);
  cfi_frame_free(&frame);
}

/* The target of a request: "GET target HTTP/1.1". */
static const char *target_of(const cft_wire *w) {
  const char *space = strchr(w->request, ' ');

  return space != NULL ? space + 1 : "";
}

static bool in_target(const cft_wire *w, const char *text) {
  const char *target = target_of(w);
  const char *end = strpbrk(target, " \r\n");
  const char *found = strstr(target, text);

  return found != NULL && end != NULL && found < end;
}

static bool is_feed(const cft_wire *w) {
  return w->status == 200 && strncmp(w->request, "HEAD", 4) != 0 &&
         (in_target(w, "/_changes") || in_target(w, "/_db_updates"));
}

static cfi_frame_mode mode_of(const cft_wire *w) {
  if (in_target(w, "feed=continuous") || in_target(w, "feed=live"))
    return CFI_FRAME_LINES;
  return in_target(w, "feed=eventsource") ? CFI_FRAME_EVENTS : CFI_FRAME_LIST;
}

static void replay_at_all_sizes(const cft_wire *wire) {
  static const size_t sizes[] = {1, 2, 3, 5, 7, 16, 1448, 16384, SIZE_MAX};
  cft_rows rows;
  wanted w = {.wire = wire, .rows = &rows};
  char how[64];

  cft_rows_read(wire->body, wire->body_len, &rows);
  w.source = in_target(wire, "/_db_updates") ? CFI_ROW_OF_DB_UPDATES
                                             : CFI_ROW_OF_DATABASE;
  w.how = how;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    (void)snprintf(how, sizeof how, "pieces of %zu", sizes[i]);
    replay(&w, mode_of(wire), (pieces){sizes[i], 0}, 0);
  }
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    (void)snprintf(how, sizeof how, "random pieces, seed %d", (int)seed);
    replay(&w, mode_of(wire), (pieces){0, seed}, seed % 2 == 0 ? 0 : 2000);
  }
  cft_rows_clear(&rows);
}

START_TEST(test_rechunk_recordings_read_the_same_in_any_pieces) {
  size_t count, feeds = 0, modes[3] = {0};
  char **names = cft_wire_list("", &count);

  ck_assert(cfi_alloc_init(&alloc, NULL));
  parser = cfi_row_parser_new(&alloc, MAX_DEPTH);
  ck_assert_ptr_nonnull(parser);
  for (size_t i = 0; i < count; i++) {
    cft_wire wire;

    ck_assert_msg(cft_wire_load(names[i], &wire), "%s cannot be read",
                  names[i]);
    if (is_feed(&wire)) {
      feeds++;
      modes[mode_of(&wire)]++;
      replay_at_all_sizes(&wire);
    }
    cft_wire_clear(&wire);
  }
  ck_assert_uint_ge(feeds, MIN_RECORDINGS);
  ck_assert(modes[0] > 20 && modes[1] > 20 && modes[2] > 5);
  cfi_row_parser_free(parser);
  cft_wire_list_free(names);
}
END_TEST

/* ---- torn at every byte ---- */

typedef struct one_row {
  const char *id;
  size_t rows;
} one_row;

static void check_id(void *user, const char *text, const cfi_frame_item *item) {
  one_row *one = user;
  cfi_row row;

  cfi_row_reset(parser);
  ck_assert_int_eq(
      cfi_row_parse(parser, CFI_ROW_OF_DATABASE, text, item->len, &row),
      CFI_ROW_CHANGE);
  ck_assert_str_eq(row.id.data, one->id);
  one->rows++;
}

START_TEST(test_rechunk_escapes_and_characters_torn_at_every_byte) {
  static const struct {
    const char *json, *text;
  } ids[] = {{"\\u043d\\u00e9", "\xd0\xbd\xc3\xa9"},
             {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
             {"\\\"\\\\\\/\\n", "\"\\/\n"},
             {"snow\xe2\x98\x83man", "snow\xe2\x98\x83man"},
             {"\xf0\x9f\x98\x80\xc3\xa9", "\xf0\x9f\x98\x80\xc3\xa9"}};

  ck_assert(cfi_alloc_init(&alloc, NULL));
  parser = cfi_row_parser_new(&alloc, MAX_DEPTH);
  ck_assert_ptr_nonnull(parser);
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    char body[128];
    size_t len = (size_t)snprintf(
        body, sizeof body, "{\"id\":\"%s\",\"changes\":[{\"rev\":\"1\"}]}\n",
        ids[i].json);

    for (size_t a = 0; a <= len; a++)
      for (size_t b = a; b <= len; b++) {
        one_row one = {ids[i].text, 0};
        cfi_frame frame;
        frame_reader r;

        cfi_frame_init(&frame, &alloc, MAX_ROW, MAX_DEPTH);
        frame_reader_start(&r, &frame, CFI_FRAME_LINES);
        r.on_row = check_id;
        r.user = &one;
        frame_feed(&r, body, a);
        frame_feed(&r, body + a, b - a);
        frame_feed(&r, body + b, len - b);
        ck_assert_uint_eq(one.rows, 1);
        frame_reader_clear(&r);
        cfi_frame_free(&frame);
      }
  }
  cfi_row_parser_free(parser);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("rechunk");
  TCase *recordings = tcase_create("recordings");
  TCase *torn = tcase_create("torn");

  tcase_add_test(recordings,
                 test_rechunk_recordings_read_the_same_in_any_pieces);
  suite_add_tcase(suite, recordings);
  tcase_add_test(torn, test_rechunk_escapes_and_characters_torn_at_every_byte);
  suite_add_tcase(suite, torn);
  return cft_run(suite);
}
