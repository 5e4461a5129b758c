/*
 * Rows from the queue to the application: framed, taken apart, held, and
 * delivered when a callback may run. A held row keeps its bytes in the queue
 * until the application has taken it.
 */
#include <string.h>

#include "feed.h"

enum { QUEUE_KEEP = 64 * 1024, AHEAD_ROWS = 64, AHEAD_BYTES = 64 * 1024 };

/* ---- room for held rows ---- */

/* How many rows are taken apart before the first of them is delivered. */
static size_t batch_size(const changefeed *f) {
  uint64_t most = f->callbacks.on_batch != NULL ? (uint64_t)f->set.batch_max
                  : f->pull                     ? 1
                                                : AHEAD_ROWS;

  return (size_t)(most < f->limit_left ? most : f->limit_left);
}

/* What is taken apart takes memory beside the queue. */
static bool is_far_ahead(const changefeed *f) {
  return f->callbacks.on_batch == NULL && f->held_count != 0 &&
         f->frame.pos - f->held[0].offset >= AHEAD_BYTES;
}

static bool grow_held(changefeed *f) {
  size_t cap = f->held_cap != 0 ? f->held_cap * 2 : 1;
  void *p;

  if (f->held_count < f->held_cap)
    return true;
  if ((p = cfi_resize(f->alloc, f->held, cap, sizeof *f->held)) == NULL)
    return false;
  f->held = p;
  p = cfi_resize(f->alloc, f->changes, cap, sizeof *f->changes);
  if (p == NULL)
    return false;
  f->changes = p;
  if (f->callbacks.on_batch != NULL) {
    p = cfi_resize(f->alloc, f->change_list, cap, sizeof *f->change_list);
    if (p == NULL)
      return false;
    f->change_list = p;
  }
  if ((p = cfi_resize(f->alloc, f->behind, cap, 1)) == NULL)
    return false;
  f->behind = p;
  f->held_cap = cap;
  return true;
}

static void free_held(changefeed *f) {
  cfi_free(f->alloc, f->held);
  cfi_free(f->alloc, f->changes);
  cfi_free(f->alloc, f->change_list);
  cfi_free(f->alloc, f->behind);
  f->held = NULL;
  f->changes = NULL;
  f->change_list = NULL;
  f->behind = NULL;
  f->held_cap = 0;
}

/* ---- from bytes to held rows ---- */

bool cfi_feed_body_over(const changefeed *f) {
  return f->body_fault || f->ending || f->tail;
}

static const char *what_is_read(const changefeed *f) {
  return f->lists ? "documents" : "changes";
}

void cfi_feed_body_fault(changefeed *f, int code, const char *what,
                         const char *detail) {
  (void)cfi_error_set(&f->error, code, "reading the %s of %s: %s%s",
                      what_is_read(f), cfi_feed_where(f)->shown, what, detail);
  f->error.pub.http_status = f->main.status;
  f->body_fault = true;
}

static void body_error(changefeed *f, const cfi_row *row) {
  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_HTTP,
                      "reading the %s of %s: the server broke off: %s: %s",
                      what_is_read(f), cfi_feed_where(f)->shown,
                      row->error.data != NULL ? row->error.data : "error",
                      row->reason.data != NULL ? row->reason.data : "");
  f->error.pub.http_status = f->main.status;
  f->body_fault = true;
}

static bool end_of_feed(changefeed *f, const cfi_row *row, bool list) {
  if (list && !row->has_results)
    cfi_feed_body_fault(f, CHANGEFEED_ERR_PROTOCOL,
                        f->lists
                            ? "a JSON object without \"rows\" is not a list"
                            : "a JSON object without \"results\" is not a feed",
                        "");
  else if (row->last_seq.data == NULL && list && !f->lists)
    cfi_feed_body_fault(f, CHANGEFEED_ERR_PROTOCOL,
                        "the list has no \"last_seq\"", "");
  if (f->body_fault)
    return false;
  f->ending = true;
  f->ending_pending = row->pending;
  f->ending_seq = row->last_seq;
  return true;
}

/* What the frame has found out is not told a parser that shall read all. */
static cfi_row_kind parse_row(changefeed *f, const char *text,
                              const cfi_frame_item *item, cfi_row *row) {
  cfi_row_source source = f->lists ? CFI_ROW_OF_ALL_DOCS
                          : f->url.target == CFI_URL_DB_UPDATES
                              ? CFI_ROW_OF_DB_UPDATES
                              : CFI_ROW_OF_DATABASE;

  if (f->set.validate_docs != 0)
    return cfi_row_parse(f->rows, source, text, item->len, row);
  return cfi_row_parse_framed(f->rows, source, text, item->len, item->inner,
                              item->places, row);
}

static bool is_new(changefeed *f, const cfi_row *row) {
  switch (f->lists ? cfi_list_judge(f, row->id) : CFI_LIST_NEW) {
  case CFI_LIST_NEW:
    return true;
  case CFI_LIST_SEEN:
    return false;
  case CFI_LIST_DISORDER:
    cfi_feed_body_fault(f, CHANGEFEED_ERR_PROTOCOL,
                        "the list is not in the order of its ids, or not in "
                        "the range that was asked for, at ",
                        row->id.data);
    return false;
  case CFI_LIST_NOMEM:
    break;
  }
  cfi_feed_body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
  return false;
}

static void hold(changefeed *f, cfi_held *held, const cfi_frame_item *item) {
  if (f->lists)
    held->row.seq = held->row.id;
  f->held_count++;
  held->offset = item->offset;
  held->len = item->len;
  if (f->held_count == 1)
    f->held_ms = cfi_feed_now(f);
}

/* Holds a change, or notes the end or the fault the row is. It is read into the
   place where it will be held: a row is too large to be copied for each. */
static void take_row(changefeed *f, const char *text,
                     const cfi_frame_item *item, bool list) {
  cfi_held *held;

  if (!grow_held(f)) {
    cfi_feed_body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
    return;
  }
  held = &f->held[f->held_count];
  switch (parse_row(f, text, item, &held->row)) {
  case CFI_ROW_CHANGE:
    if (item->stray || list)
      cfi_feed_body_fault(f, CHANGEFEED_ERR_PROTOCOL,
                          "a row stands where none belongs", "");
    else if (is_new(f, &held->row))
      hold(f, held, item);
    break;
  case CFI_ROW_END:
    if (item->stray)
      cfi_feed_body_fault(f, CHANGEFEED_ERR_PROTOCOL,
                          "an end stands where none belongs", "");
    else
      (void)end_of_feed(f, &held->row, list);
    break;
  case CFI_ROW_ERROR:
    body_error(f, &held->row);
    break;
  case CFI_ROW_BAD:
    cfi_feed_body_fault(f, CHANGEFEED_ERR_PROTOCOL,
                        "a row cannot be read: ", held->row.why);
    break;
  case CFI_ROW_NOMEM:
    cfi_feed_body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
    break;
  }
}

static void take_tail(changefeed *f) {
  changefeed_str text = cfi_frame_envelope(&f->frame);
  cfi_frame_item item = {.len = text.len};

  if (text.data == NULL)
    cfi_feed_body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
  else
    take_row(f, text.data, &item, true);
}

/* One more item of the body; false when nothing more is complete. */
static bool frame_one(changefeed *f) {
  const char *data = cfi_buf_data(&f->queue);
  cfi_frame_item item = {0};

  switch (cfi_frame_next(&f->frame, data, f->queue.len, &item)) {
  case CFI_FRAME_MORE:
    return false;
  case CFI_FRAME_ROW:
    take_row(f, data + item.offset, &item, false);
    break;
  case CFI_FRAME_TAIL:
    take_tail(f);
    break;
  case CFI_FRAME_BAD:
    cfi_feed_body_fault(f, CHANGEFEED_ERR_PROTOCOL,
                        "this is not a feed: ", item.why);
    break;
  case CFI_FRAME_TOO_LONG:
    cfi_feed_body_fault(f, CHANGEFEED_ERR_LIMIT,
                        "a row is longer than max_row_bytes", "");
    break;
  case CFI_FRAME_TOO_DEEP:
    cfi_feed_body_fault(f, CHANGEFEED_ERR_LIMIT,
                        "a row is nested deeper than "
                        "max_depth",
                        "");
    break;
  case CFI_FRAME_NOMEM:
    cfi_feed_body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
    break;
  }
  return true;
}

static void fill(changefeed *f) {
  size_t most = batch_size(f);

  while (f->held_count < most && !is_far_ahead(f) && !cfi_feed_body_over(f) &&
         frame_one(f)) {
  }
}

/* ---- the queue ---- */

/* What was refused may come, if it still fits. */
static void read_on(changefeed *f) {
  f->blocked = f->held_up = false;
  f->byte_ms = cfi_feed_now(f); /* the silence was ours */
  f->world.unblock(f->world.ctx);
}

void cfi_feed_end_turn(changefeed *f) {
  if (f->held_up && !f->blocked)
    read_on(f);
  f->turn_bytes = 0; /* what libcurl had read already is not counted */
}

/* Gives room back to the connection. */
void cfi_feed_drop_front(changefeed *f) {
  size_t n = cfi_frame_unneeded(&f->frame);

  if (f->held_count != 0 && f->held[0].offset < n)
    n = f->held[0].offset;
  if (n != 0) {
    cfi_buf_consume(&f->queue, n);
    cfi_frame_dropped(&f->frame, n);
    for (size_t i = 0; i < f->held_count; i++)
      f->held[i].offset -= n;
  }
  /* In its stride it keeps its size; only what a huge row took goes back. */
  if (f->queue.len == 0)
    cfi_buf_clear(&f->queue, (size_t)f->set.max_queue_bytes);
  if (f->blocked && f->queue.len <= f->queue_limit / 2)
    read_on(f);
}

/* A row longer than the queue: the queue grows with it, up to what a row may
   take. Not while anything in it waits to be looked at: that is a pause. */
static void widen(changefeed *f) {
  size_t most = (size_t)f->set.max_row_bytes + (size_t)f->set.max_queue_bytes;

  if (!f->blocked || f->held_count != 0 || f->lent ||
      f->frame.pos != f->queue.len || !cfi_frame_inside(&f->frame) ||
      f->queue_limit >= most)
    return;
  f->queue_limit = f->queue_limit > most / 2 ? most : f->queue_limit * 2;
  read_on(f);
}

void cfi_feed_clear_rows(changefeed *f) {
  if (f->lent)
    return; /* its bytes are in the application's hands */
  cfi_feed_settle(f);
  f->held_count = 0;
  f->body_fault = f->ending = false;
  cfi_buf_clear(&f->queue, QUEUE_KEEP);
  if (f->rows != NULL)
    cfi_row_reset(f->rows);
  cfi_frame_start(&f->frame, f->frame.mode);
}

bool cfi_feed_rows_waiting(const changefeed *f) {
  return f->held_count != 0 || f->ending || f->body_fault ||
         (f->queue.len > f->frame.pos && f->main.has_head &&
          f->main.status == 200 && cfi_lane_asks_rows(&f->main) && !f->tail);
}

/* ---- the round ---- */

static bool after_rows(changefeed *f) {
  changefeed_str seq;

  if (f->body_fault) {
    cfi_feed_fault(f);
    return true;
  }
  if (!f->ending)
    return false;
  cfi_feed_settle(f);
  seq = f->ending_seq;
  cfi_feed_end_repeats(f);
  if (f->closing || cfi_feed_gone(f))
    return true;
  f->ending = false;
  if (seq.data != NULL && f->set.descending == 0 &&
      (!cfi_window_progress(&f->window, seq) ||
       !cfi_feed_set_resume(f, seq, true))) {
    cfi_feed_body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a position",
                        "");
    return true;
  }
  cfi_row_reset(f->rows);
  cfi_feed_on_tail(f, f->ending_pending);
  return true;
}

/* A heartbeat and nothing else: what a burst of rows has left behind is given
   back, since there may be many feeds that only beat. */
static void rest(changefeed *f) {
  if (f->held_count != 0 || f->queue.len != 0)
    return;
  cfi_buf_clear(&f->queue, 0);
  cfi_row_rest(f->rows);
  free_held(f);
}

bool cfi_feed_drain(changefeed *f, unsigned *budget) {
  bool delivered = false, beat;

  if (!f->verified)
    return false;
  while (*budget != 0 && cfi_feed_may_deliver(f)) {
    size_t most = batch_size(f), count;

    cfi_feed_tell_state(f); /* no row comes while it is said to be paused */
    if (f->closing)
      return true;
    if (!cfi_feed_may_deliver(f))
      break;
    fill(f);
    if (f->pull || f->held_count == 0 || !cfi_feed_batch_is_ripe(f, most))
      break;
    count =
        cfi_feed_deliver(f, f->held_count < *budget ? f->held_count : *budget);
    if (f->closing)
      return true;
    if (count == 0)
      break;
    *budget -= (unsigned)count;
    delivered = true;
    if (f->phase != CFI_PHASE_ACTIVE)
      return true;
  }
  beat = f->frame.beats != f->beats_seen;
  f->stats.heartbeats += f->frame.beats - f->beats_seen;
  f->beats_seen = f->frame.beats;
  if (f->held_count == 0 && cfi_feed_may_deliver(f) && after_rows(f))
    return true;
  cfi_feed_drop_front(f);
  widen(f);
  if (beat && !delivered)
    rest(f);
  return delivered;
}
