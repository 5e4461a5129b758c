/*
 * What follows from a row: flags, counters, the positions it moves, and the
 * runs of repeats.
 */
#include <string.h>

#include "feed_tick.h"
#include "str.h"

/* When it is delivered, and not when it is read: what came before it is noted
   by then, and its texts have come to rest. */
unsigned cfi_feed_judge(changefeed *f, cfi_held *held) {
  const cfi_row *row = &held->row;

  held->flags = (row->deleted ? (unsigned)CHANGEFEED_DELETED : 0U) |
                (row->doc_len != 0 ? (unsigned)CHANGEFEED_DOC : 0U) |
                (row->has_error ? (unsigned)CHANGEFEED_ROW_ERROR : 0U);
  if (cfi_repeat_known(&f->repeat, row->id, row->revs, row->rev_count,
                       &held->mark))
    held->flags |= (unsigned)CHANGEFEED_REPEAT;
  return held->flags;
}

void cfi_feed_end_repeats(changefeed *f) {
  changefeed_notice notice = {0};

  if (f->repeat_run == 0)
    return;
  notice.kind = CHANGEFEED_NOTICE_REWIND;
  notice.rows = f->repeat_run;
  f->repeat_run = 0;
  f->stats.rewinds++;
  cfi_feed_notice(f, &notice);
}

/* The next request starts behind this row; a row that went on ends a series
   of failures. */
static void move_on(changefeed *f, changefeed_str seq) {
  changefeed_str before = {cfi_buf_data(&f->resume), f->resume.len};

  if (seq.data == NULL || f->set.descending != 0)
    return;
  if (f->backoff.failures != 0 && !cfi_str_same(before, seq))
    cfi_feed_recovered(f);
  if (!cfi_feed_set_resume(f, seq, true)) {
    /* The old place is still right, only further back. */
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM,
                        "no memory for a position of %s", f->url.shown);
    f->body_fault = true;
  }
}

static void acknowledge(changefeed *f, uint64_t rows, changefeed_str seq) {
  if (f->set.descending != 0)
    seq.data = NULL;
  if (!cfi_window_pass(&f->window, f->ordinal, rows, seq)) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM,
                        "no memory for a position of %s", f->url.shown);
    f->body_fault = true;
  }
}

/* To copy the place behind each row would cost as much as the row. */
void cfi_feed_settle(changefeed *f) {
  uint64_t rows = f->due_rows;
  changefeed_str seq = f->due_seq;

  if (rows == 0)
    return;
  f->due_rows = 0;
  f->due_seq.data = NULL;
  move_on(f, seq);
  if (f->set.auto_ack != 0)
    acknowledge(f, rows, seq);
}

/* Where a position is kept it is to be exact to so many rows. */
static bool save_may_be_due(const changefeed *f) {
  uint64_t every = f->set.checkpoint_interval_ms == 0
                       ? 1
                       : (uint64_t)f->set.checkpoint_every;

  return cfi_feed_keeps_position(f) && f->ordinal - f->looked_at >= every;
}

void cfi_feed_take(changefeed *f, const cfi_held *held) {
  f->ordinal++;
  f->request_rows++;
  f->stats.changes++;
  f->last_row_ms = cfi_feed_now(f);
  if ((held->flags & CHANGEFEED_DELETED) != 0)
    f->stats.deleted++;
  if (f->limit_left != UINT64_MAX)
    f->limit_left--;
  /* Not before it is the application's: what it has refused is news still. */
  cfi_repeat_note(&f->repeat, &held->mark);
  f->due_rows++;
  if (held->row.seq.data != NULL)
    f->due_seq = held->row.seq;
  if ((held->flags & CHANGEFEED_REPEAT) != 0) {
    f->stats.repeats++;
    f->repeat_run++;
  } else {
    f->request_news++;
    cfi_feed_end_repeats(f);
  }
  if (f->tick_len != 0 && held->row.id.len == f->tick_len)
    cfi_tick_taken(f, held);
  if (!f->closing && save_may_be_due(f))
    cfi_feed_save_if_due(f);
}

void cfi_feed_taken(changefeed *f, size_t count) {
  cfi_feed_settle(f);
  f->held_count -= count;
  if (f->held_count != 0)
    memmove(f->held, f->held + count, f->held_count * sizeof *f->held);
  else if (!f->ending)
    cfi_row_reset(f->rows);
  if (f->closing)
    return;
  cfi_feed_save_if_due(f);
  if (f->limit_left == 0)
    cfi_feed_finish(f, CHANGEFEED_STATE_ENDED);
}
