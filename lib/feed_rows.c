/*
 * Rows from the queue to the application: framed, taken apart, held, and
 * delivered when a callback may run. A held row keeps its bytes in the queue
 * until the application has taken it.
 */
#include <string.h>

#include "feed.h"

enum { QUEUE_KEEP = 64 * 1024 };

/* ---- room for held rows ---- */

static size_t batch_size(const changefeed *f) {
  uint64_t most =
      f->callbacks.on_batch != NULL ? (uint64_t)f->set.batch_max : 1;

  return (size_t)(most < f->limit_left ? most : f->limit_left);
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
  p = cfi_resize(f->alloc, f->change_list, cap, sizeof *f->change_list);
  if (p == NULL)
    return false;
  f->change_list = p;
  if ((p = cfi_resize(f->alloc, f->behind, cap, 1)) == NULL)
    return false;
  f->behind = p;
  f->held_cap = cap;
  return true;
}

/* ---- from bytes to held rows ---- */

static void body_fault(changefeed *f, int code, const char *what,
                       const char *detail) {
  (void)cfi_error_set(&f->error, code, "reading the changes of %s: %s%s",
                      cfi_feed_where(f)->shown, what, detail);
  f->error.pub.http_status = f->main.status;
  f->body_fault = true;
}

static void body_error(changefeed *f, const cfi_row *row) {
  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_HTTP,
                      "reading the changes of %s: the server broke off: %s: "
                      "%s",
                      cfi_feed_where(f)->shown,
                      row->error.data != NULL ? row->error.data : "error",
                      row->reason.data != NULL ? row->reason.data : "");
  f->error.pub.http_status = f->main.status;
  f->body_fault = true;
}

static bool end_of_feed(changefeed *f, const cfi_row *row, bool list) {
  if (list && !row->has_results)
    body_fault(f, CHANGEFEED_ERR_PROTOCOL,
               "a JSON object without \"results\" is not a feed", "");
  else if (row->last_seq.data == NULL && list)
    body_fault(f, CHANGEFEED_ERR_PROTOCOL, "the list has no \"last_seq\"", "");
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
  cfi_row_source source = f->url.target == CFI_URL_DB_UPDATES
                              ? CFI_ROW_OF_DB_UPDATES
                              : CFI_ROW_OF_DATABASE;

  if (f->set.validate_docs != 0)
    return cfi_row_parse(f->rows, source, text, item->len, row);
  return cfi_row_parse_framed(f->rows, source, text, item->len, item->inner,
                              item->places, row);
}

/* Holds a change, or notes the end or the fault the row is. It is read into the
   place where it will be held: a row is too large to be copied for each. */
static void take_row(changefeed *f, const char *text,
                     const cfi_frame_item *item, bool list) {
  cfi_held *held;

  if (!grow_held(f)) {
    body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
    return;
  }
  held = &f->held[f->held_count];
  switch (parse_row(f, text, item, &held->row)) {
  case CFI_ROW_CHANGE:
    if (item->stray || list) {
      body_fault(f, CHANGEFEED_ERR_PROTOCOL, "a row stands where none belongs",
                 "");
    } else {
      f->held_count++;
      held->offset = item->offset;
      held->len = item->len;
      if (f->held_count == 1)
        f->held_ms = cfi_feed_now(f);
      cfi_feed_judge(f, held);
    }
    break;
  case CFI_ROW_END:
    if (item->stray)
      body_fault(f, CHANGEFEED_ERR_PROTOCOL, "an end stands where none belongs",
                 "");
    else
      (void)end_of_feed(f, &held->row, list);
    break;
  case CFI_ROW_ERROR:
    body_error(f, &held->row);
    break;
  case CFI_ROW_BAD:
    body_fault(f, CHANGEFEED_ERR_PROTOCOL,
               "a row cannot be read: ", held->row.why);
    break;
  case CFI_ROW_NOMEM:
    body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
    break;
  }
}

static void take_tail(changefeed *f) {
  changefeed_str text = cfi_frame_envelope(&f->frame);
  cfi_frame_item item = {.len = text.len};

  if (text.data == NULL)
    body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
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
    body_fault(f, CHANGEFEED_ERR_PROTOCOL, "this is not a feed: ", item.why);
    break;
  case CFI_FRAME_TOO_LONG:
    body_fault(f, CHANGEFEED_ERR_LIMIT, "a row is longer than max_row_bytes",
               "");
    break;
  case CFI_FRAME_TOO_DEEP:
    body_fault(f, CHANGEFEED_ERR_LIMIT,
               "a row is nested deeper than "
               "max_depth",
               "");
    break;
  case CFI_FRAME_NOMEM:
    body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
    break;
  }
  return true;
}

static bool body_over(const changefeed *f) {
  return f->body_fault || f->ending || f->tail;
}

static void fill(changefeed *f) {
  size_t most = batch_size(f);

  while (f->held_count < most && !body_over(f) && frame_one(f)) {
  }
}

/* ---- delivery ---- */

static bool may_deliver(const changefeed *f) {
  return f->verified && !f->closing && !f->lent &&
         f->phase == CFI_PHASE_ACTIVE && !cfi_local_is_behind(f) &&
         !atomic_load_explicit(&f->paused, memory_order_relaxed) &&
         (atomic_load_explicit(&f->mail, memory_order_relaxed) &
          CFI_MAIL_STOP) == 0 &&
         (f->halt == NULL ||
          !atomic_load_explicit(f->halt, memory_order_relaxed));
}

/* Rows not acknowledged are credit taken. */
static size_t credit(const changefeed *f) {
  uint64_t unacked;

  if (f->set.auto_ack != 0)
    return SIZE_MAX;
  unacked = cfi_window_look(&f->window).unacked;
  return unacked >= (uint64_t)f->set.max_unacked
             ? 0
             : (size_t)((uint64_t)f->set.max_unacked - unacked);
}

int64_t cfi_feed_batch_due_ms(const changefeed *f) {
  if (f->held_count == 0 || f->callbacks.on_batch == NULL ||
      f->set.batch_delay_ms == 0 || !may_deliver(f) || credit(f) == 0)
    return CFI_NEVER; /* or an acknowledgement will come, with a step */
  return f->held_ms + f->set.batch_delay_ms;
}

static bool batch_is_ripe(const changefeed *f, size_t most) {
  return f->held_count >= most || f->set.batch_delay_ms == 0 || body_over(f) ||
         f->main.done || f->blocked ||
         cfi_feed_now(f) >= f->held_ms + f->set.batch_delay_ms;
}

/* Makes what the application sees of the first held rows. The byte behind each
   row is a separator, or the queue's spare one: it lends its place to a '\0'
   while the callback runs. */
static void expose(changefeed *f, size_t count) {
  char *data = cfi_buf_data(&f->queue);

  for (size_t i = 0; i < count; i++) {
    const cfi_held *h = &f->held[i];
    changefeed_change *c = &f->changes[i];

    c->ordinal = f->ordinal + 1 + i;
    c->seq = h->row.seq;
    c->id = h->row.id;
    c->revs = h->row.revs;
    c->rev_count = h->row.rev_count;
    c->row.data = data + h->offset;
    c->row.len = h->len;
    c->doc.data =
        h->row.doc_len != 0 ? data + h->offset + h->row.doc_offset : NULL;
    c->doc.len = h->row.doc_len;
    c->flags = h->flags;
    f->change_list[i] = c;
    f->behind[i] = data[h->offset + h->len];
    data[h->offset + h->len] = '\0';
  }
}

static void unexpose(changefeed *f, size_t count) {
  char *data = cfi_buf_data(&f->queue);

  for (size_t i = 0; i < count; i++)
    data[f->held[i].offset + f->held[i].len] = f->behind[i];
}

/* Acknowledgements may come while the callback runs, so the window knows the
   rows before. */
static bool push_window(changefeed *f, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!cfi_window_push(&f->window, f->ordinal + 1 + i, f->held[i].row.seq)) {
      while (i-- != 0)
        cfi_window_pop(&f->window, f->ordinal + 1 + i);
      body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
      return false;
    }
  return true;
}

static void pop_window(changefeed *f, size_t count) {
  while (count-- != 0)
    cfi_window_pop(&f->window, f->ordinal + 1 + count);
}

static int call(changefeed *f, size_t count) {
  int verdict;

  f->depth++;
  if (f->callbacks.on_batch != NULL)
    verdict =
        f->callbacks.on_batch(f, f->change_list, count, f->callbacks.user);
  else
    verdict = f->callbacks.on_change(f, f->changes, f->callbacks.user);
  f->depth--;
  return verdict;
}

static void give_up(changefeed *f, int verdict) {
  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_CALLBACK,
                      "the application gave up (%d) at a row of %s", verdict,
                      cfi_feed_where(f)->shown);
  cfi_feed_fatal(f);
}

/* Another thread may have called changefeed_resume before the callback could
   answer. */
static void pause_for_later(changefeed *f) {
  atomic_store(&f->paused, true);
  if ((atomic_load(&f->mail) & CFI_MAIL_RESUME) != 0)
    atomic_store(&f->paused, false);
}

static void deliver(changefeed *f, size_t count) {
  bool manual = f->set.auto_ack == 0;
  int verdict;

  if (manual && !push_window(f, count)) {
    cfi_feed_fault(f); /* these rows, too, are asked for again */
    return;
  }
  /* Looked at first: an atomic change costs as much as half of the row. */
  if ((atomic_load_explicit(&f->mail, memory_order_relaxed) &
       CFI_MAIL_RESUME) != 0)
    (void)atomic_fetch_and(&f->mail, ~(unsigned)CFI_MAIL_RESUME);
  expose(f, count);
  verdict = call(f, count);
  unexpose(f, count);
  if (verdict == CHANGEFEED_CONTINUE || verdict == CHANGEFEED_STOP) {
    cfi_feed_taken(f, count, !manual);
    if (verdict == CHANGEFEED_STOP && !f->closing)
      cfi_feed_finish(f, CHANGEFEED_STATE_ENDED);
    return;
  }
  if (manual)
    pop_window(f, count);
  if (f->closing)
    return;
  if (verdict == CHANGEFEED_LATER)
    pause_for_later(f);
  else
    give_up(f, verdict);
}

/* ---- the queue ---- */

/* Gives room back to the connection. */
static void drop_front(changefeed *f) {
  size_t n = cfi_frame_unneeded(&f->frame);

  if (f->held_count != 0 && f->held[0].offset < n)
    n = f->held[0].offset;
  if (n != 0) {
    cfi_buf_consume(&f->queue, n);
    cfi_frame_dropped(&f->frame, n);
    for (size_t i = 0; i < f->held_count; i++)
      f->held[i].offset -= n;
  }
  if (f->queue.len == 0)
    cfi_buf_clear(&f->queue, QUEUE_KEEP);
  if (!f->blocked || f->queue.len > f->queue_limit / 2)
    return;
  f->blocked = false;
  f->byte_ms = cfi_feed_now(f); /* the silence was ours */
  f->world.unblock(f->world.ctx);
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
  f->blocked = false;
  f->byte_ms = cfi_feed_now(f);
  f->world.unblock(f->world.ctx);
}

void cfi_feed_clear_rows(changefeed *f) {
  if (f->lent)
    return; /* its bytes are in the application's hands */
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

/* ---- pull ---- */

/* The row lent last is the application's for good. */
static void give_back(changefeed *f) {
  unexpose(f, 1);
  f->lent = false;
  f->byte_ms = cfi_feed_now(f); /* the silence was ours */
  cfi_feed_taken(f, 1, f->set.auto_ack != 0);
  if (f->phase == CFI_PHASE_OVER)
    cfi_feed_clear_rows(f);
  else
    drop_front(f);
}

const changefeed_change *cfi_feed_lend(changefeed *f) {
  if (f->lent)
    give_back(f);
  if (f->held_count == 0 || !may_deliver(f) || credit(f) == 0)
    return NULL;
  if (f->set.auto_ack == 0 && !push_window(f, 1)) {
    cfi_feed_fault(f);
    return NULL;
  }
  expose(f, 1);
  f->lent = true;
  return f->changes;
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
  seq = f->ending_seq;
  cfi_feed_end_repeats(f);
  if (f->closing || cfi_feed_gone(f))
    return true;
  f->ending = false;
  if (seq.data != NULL && f->set.descending == 0 &&
      (!cfi_window_progress(&f->window, seq) ||
       !cfi_feed_set_resume(f, seq, true))) {
    body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a position", "");
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
}

bool cfi_feed_drain(changefeed *f, unsigned *budget) {
  bool delivered = false, beat;

  if (!f->verified)
    return false;
  while (*budget != 0 && may_deliver(f)) {
    size_t most = batch_size(f), count, room;

    cfi_feed_tell_state(f); /* no row comes while it is said to be paused */
    if (f->closing)
      return true;
    if (!may_deliver(f))
      break;
    fill(f);
    count = f->held_count;
    if (count == 0 || f->pull || !batch_is_ripe(f, most))
      break;
    room = credit(f); /* once: another thread may acknowledge meanwhile */
    if (count > room)
      count = room;
    if (count == 0)
      break;
    if (count > *budget)
      count = *budget;
    deliver(f, count);
    *budget -= (unsigned)count;
    delivered = true;
    if (f->closing || f->phase != CFI_PHASE_ACTIVE)
      return true;
  }
  beat = f->frame.beats != f->beats_seen;
  f->stats.heartbeats += f->frame.beats - f->beats_seen;
  f->beats_seen = f->frame.beats;
  if (f->held_count == 0 && may_deliver(f) && after_rows(f))
    return true;
  drop_front(f);
  widen(f);
  if (beat && !delivered)
    rest(f);
  return delivered;
}
