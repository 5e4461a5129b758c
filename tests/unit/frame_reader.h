/*
 * Reads a body with a frame the way a feed does: pieces are added to what is
 * held, items are taken until there are none, what is not needed is dropped.
 * What came out is written down as text, so that two readings of one body can
 * be compared; what must hold of any reading is checked on the way.
 */
#ifndef CFT_UNIT_FRAME_READER_H
#define CFT_UNIT_FRAME_READER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

/* Not assert: it must hold in release builds too. */
#define FRAME_CHECK(condition)                                                 \
  do {                                                                         \
    if (!(condition)) {                                                        \
      (void)fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,   \
                    #condition);                                               \
      abort();                                                                 \
    }                                                                          \
  } while (0)

typedef struct frame_reader {
  cfi_frame *frame;
  char *held; /* a block of just its size: reading on is seen */
  size_t len;
  size_t max_held;      /* drop only when so much is held; 0: at once */
  bool tail;            /* seen; the cursor went on to the body's end */
  bool over;            /* a fault was seen */
  cfi_frame_kind fault; /* which; MORE: none */
  /* called for each row, if any */
  void (*on_row)(void *user, const char *text, const cfi_frame_item *item);
  void (*on_tail)(void *user, changefeed_str envelope);
  void *user;
  char *log;
  size_t log_len, log_cap;
} frame_reader;

static inline void frame_log(frame_reader *r, const char *what,
                             const char *text, size_t len) {
  size_t what_len = strlen(what);
  size_t need = r->log_len + what_len + len + 2;

  if (need > r->log_cap) {
    r->log_cap = need * 2;
    r->log = realloc(r->log, r->log_cap);
    FRAME_CHECK(r->log != NULL);
  }
  memcpy(r->log + r->log_len, what, what_len);
  if (len != 0)
    memcpy(r->log + r->log_len + what_len, text, len);
  r->log_len = need - 1;
  r->log[r->log_len - 1] = '\n';
  r->log[r->log_len] = '\0';
}

static inline void frame_reader_start(frame_reader *r, cfi_frame *frame,
                                      cfi_frame_mode mode) {
  memset(r, 0, sizeof *r);
  r->frame = frame;
  cfi_frame_start(frame, mode);
}

static inline void frame_reader_clear(frame_reader *r) {
  free(r->held);
  free(r->log);
}

/* Moves what is held into a block of another size; the old one is scribbled
   over first, so that nobody can go on with it. */
static inline void frame_rehold(frame_reader *r, size_t drop, const char *more,
                                size_t more_len) {
  size_t kept = r->len - drop;
  char *block = malloc(kept + more_len != 0 ? kept + more_len : 1);

  FRAME_CHECK(block != NULL);
  if (kept != 0)
    memcpy(block, r->held + drop, kept);
  if (more_len != 0)
    memcpy(block + kept, more, more_len);
  if (r->held != NULL)
    memset(r->held, 0xa5, r->len);
  free(r->held);
  r->held = block;
  r->len = kept + more_len;
}

/* What an item tells of its row beyond where it is. */
static inline void frame_check_row(const cfi_frame *f, const char *text,
                                   const cfi_frame_item *item) {
  cfi_scan scan = {0};
  size_t end = 0;

  FRAME_CHECK(cfi_scan_path_at(0)->object(&scan, f->max_depth, false, text,
                                          item->len, &end) == CFI_SCAN_END);
  FRAME_CHECK(end == item->len && scan.inner == item->inner);
  if (item->places != NULL) {
    cfi_row_places places;

    FRAME_CHECK(cfi_row_find_whole(cfi_scan_path_at(0), item->places->source,
                                   f->max_depth, text, item->len, item->inner,
                                   &places));
    FRAME_CHECK(places.end == item->len && item->places->end == item->len);
    FRAME_CHECK(places.doc == item->places->doc &&
                places.id.at == item->places->id.at &&
                places.rev_count == item->places->rev_count);
  }
}

static inline void frame_note(frame_reader *r, cfi_frame_kind kind,
                              const cfi_frame_item *item) {
  const char *why = item->why != NULL ? item->why : "(no why)";

  switch (kind) {
  case CFI_FRAME_ROW:
    FRAME_CHECK(item->offset < r->len && item->len >= 2);
    FRAME_CHECK(item->len <= r->len - item->offset);
    FRAME_CHECK(item->offset + item->len == r->frame->pos);
    FRAME_CHECK(item->len <= r->frame->max_row);
    FRAME_CHECK(r->held[item->offset] == '{');
    frame_check_row(r->frame, r->held + item->offset, item);
    frame_log(r, item->stray ? "stray " : "row ", r->held + item->offset,
              item->len);
    if (r->on_row != NULL)
      r->on_row(r->user, r->held + item->offset, item);
    break;
  case CFI_FRAME_TAIL: {
    changefeed_str text = cfi_frame_envelope(r->frame);

    FRAME_CHECK(text.data != NULL && text.data[text.len] == '\0');
    FRAME_CHECK(!r->tail);
    r->tail = true;
    frame_log(r, "tail ", text.data, text.len);
    if (r->on_tail != NULL)
      r->on_tail(r->user, text);
    break;
  }
  case CFI_FRAME_BAD:
    FRAME_CHECK(item->why != NULL);
    frame_log(r, "bad: ", why, strlen(why));
    break;
  case CFI_FRAME_TOO_LONG:
    frame_log(r, "too long", "", 0);
    break;
  case CFI_FRAME_TOO_DEEP:
    frame_log(r, "too deep", "", 0);
    break;
  case CFI_FRAME_NOMEM:
    frame_log(r, "no memory", "", 0);
    break;
  case CFI_FRAME_MORE:
    break;
  }
}

static inline void frame_feed(frame_reader *r, const char *piece, size_t len) {
  cfi_frame *f = r->frame;
  cfi_frame_kind kind;

  frame_rehold(r, 0, piece, len);
  do {
    cfi_frame_item item;
    size_t before = f->pos;

    kind = cfi_frame_next(f, r->held, r->len, &item);
    FRAME_CHECK(f->pos >= before && f->pos <= r->len);
    FRAME_CHECK(cfi_frame_unneeded(f) <= f->pos);
    if (r->over)
      continue;
    r->over = kind == CFI_FRAME_BAD || kind == CFI_FRAME_TOO_LONG ||
              kind == CFI_FRAME_TOO_DEEP || kind == CFI_FRAME_NOMEM;
    if (r->over)
      r->fault = kind;
    frame_note(r, kind, &item);
  } while (kind == CFI_FRAME_ROW || kind == CFI_FRAME_TAIL);
  /* A fault stays one. */
  FRAME_CHECK(!r->over || kind != CFI_FRAME_MORE);
  /* All was looked at. */
  FRAME_CHECK(kind != CFI_FRAME_MORE || f->pos == r->len);
  if (r->len >= r->max_held) {
    size_t drop = cfi_frame_unneeded(f);

    cfi_frame_dropped(f, drop);
    frame_rehold(r, drop, NULL, 0);
  }
}

/* After the last piece. */
static inline void frame_finish(frame_reader *r) {
  char text[64];
  int len =
      snprintf(text, sizeof text, "%llu%s", (unsigned long long)r->frame->beats,
               cfi_frame_inside(r->frame) ? " inside" : "");

  frame_log(r, "beats ", text, (size_t)len);
}

/* A whole body in pieces of one size. */
static inline void frame_read(frame_reader *r, const char *body, size_t len,
                              size_t piece) {
  for (size_t at = 0; at < len; at += piece)
    frame_feed(r, body + at, len - at < piece ? len - at : piece);
  frame_finish(r);
}

#endif
