/*
 * Held rows to the application: when a callback may run, what it sees, and what
 * follows from its verdict.
 */
#include <limits.h>

#include "feed.h"

bool cfi_feed_may_deliver(const changefeed *f) {
  return f->verified && !f->closing && !f->lent &&
         f->phase == CFI_PHASE_ACTIVE &&
         (f->local == NULL || !cfi_local_is_behind(f)) &&
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
      f->set.batch_delay_ms == 0 || !cfi_feed_may_deliver(f) || credit(f) == 0)
    return CFI_NEVER; /* or an acknowledgement will come, with a step */
  return f->held_ms + f->set.batch_delay_ms;
}

bool cfi_feed_batch_is_ripe(const changefeed *f, size_t most) {
  return f->held_count >= most || f->set.batch_delay_ms == 0 ||
         cfi_feed_body_over(f) || f->main.done || f->blocked ||
         cfi_feed_now(f) >= f->held_ms + f->set.batch_delay_ms;
}

/* ---- what the application sees ---- */

/* The byte behind a row is a separator, or the queue's spare one: it lends its
   place to a '\0' while the callback runs. */
static void expose(changefeed *f, size_t first, size_t count) {
  char *data = cfi_buf_data(&f->queue);
  uint64_t ordinal = f->ordinal;

  for (size_t i = first; i < first + count; i++) {
    cfi_held *h = &f->held[i];
    changefeed_change *c = &f->changes[i];
    char *text = data + h->offset;

    c->ordinal = ++ordinal;
    c->seq = h->row.seq;
    c->id = h->row.id;
    c->revs = h->row.revs;
    c->rev_count = h->row.rev_count;
    c->row.data = text;
    c->row.len = h->len;
    c->doc.data = h->row.doc_len != 0 ? text + h->row.doc_offset : NULL;
    c->doc.len = h->row.doc_len;
    c->flags = cfi_feed_judge(f, h);
    if (f->change_list != NULL)
      f->change_list[i] = c;
    f->behind[i] = text[h->len];
    text[h->len] = '\0';
  }
  atomic_store_explicit(&f->shown, ordinal, memory_order_relaxed);
}

static void unexpose(changefeed *f, size_t first, size_t count) {
  char *data = cfi_buf_data(&f->queue);

  for (size_t i = first; i < first + count; i++)
    data[f->held[i].offset + f->held[i].len] = f->behind[i];
}

/* Acknowledgements may come while the callback runs, so the window knows the
   rows before. */
static bool push_window(changefeed *f, size_t first, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!cfi_window_push(&f->window, f->ordinal + 1 + i,
                         f->held[first + i].row.seq)) {
      while (i-- != 0)
        cfi_window_pop(&f->window, f->ordinal + 1 + i);
      cfi_feed_body_fault(f, CHANGEFEED_ERR_NOMEM, "no memory for a row", "");
      return false;
    }
  return true;
}

static void pop_window(changefeed *f, size_t count) {
  while (count-- != 0)
    cfi_window_pop(&f->window, f->ordinal + 1 + count);
}

/* ---- delivering ---- */

static int call(changefeed *f, size_t first, size_t count) {
  int verdict;

  f->depth++;
  if (f->callbacks.on_batch != NULL)
    verdict = f->callbacks.on_batch(f, f->change_list + first, count,
                                    f->callbacks.user);
  else
    verdict = f->callbacks.on_change(f, f->changes + first, f->callbacks.user);
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

/* What offer answers beside verdicts. */
enum { NO_ROOM = INT_MAX };

/* One call of the application; false: these rows are not taken. */
static bool offer(changefeed *f, size_t first, size_t count, int *verdict) {
  bool manual = f->set.auto_ack == 0;

  /* Looked at first: an atomic change costs as much as half of the row. */
  if ((atomic_load_explicit(&f->mail, memory_order_relaxed) &
       CFI_MAIL_RESUME) != 0)
    (void)atomic_fetch_and(&f->mail, ~(unsigned)CFI_MAIL_RESUME);
  if (manual && !push_window(f, first, count)) {
    *verdict = NO_ROOM;
    return false;
  }
  expose(f, first, count);
  *verdict = call(f, first, count);
  unexpose(f, first, count);
  if (*verdict == CHANGEFEED_CONTINUE || *verdict == CHANGEFEED_STOP)
    return true;
  if (manual)
    pop_window(f, count);
  return false;
}

static void act_on(changefeed *f, int verdict) {
  switch (verdict) {
  case CHANGEFEED_CONTINUE:
    break;
  case CHANGEFEED_STOP:
    cfi_feed_finish(f, CHANGEFEED_STATE_ENDED);
    break;
  case CHANGEFEED_LATER:
    pause_for_later(f);
    break;
  case NO_ROOM:
    cfi_feed_fault(f); /* these rows are asked for again */
    break;
  default:
    give_up(f, verdict);
    break;
  }
}

/* Rows one by one, as long as nothing comes in between. */
static size_t offer_singly(changefeed *f, size_t count, int *verdict) {
  size_t taken = 0;

  do {
    if (!offer(f, taken, 1, verdict))
      break;
    cfi_feed_take(f, &f->held[taken++]);
  } while (taken < count && *verdict == CHANGEFEED_CONTINUE &&
           cfi_feed_may_deliver(f));
  return taken;
}

static size_t offer_batch(changefeed *f, size_t count, int *verdict) {
  if (!offer(f, 0, count, verdict))
    return 0;
  for (size_t i = 0; i < count; i++)
    cfi_feed_take(f, &f->held[i]);
  return count;
}

size_t cfi_feed_deliver(changefeed *f, size_t count) {
  size_t room = credit(f); /* once: another thread may acknowledge meanwhile */
  int verdict = CHANGEFEED_CONTINUE;
  size_t taken;

  if (count > room)
    count = room;
  if (count == 0)
    return 0;
  taken = f->callbacks.on_batch != NULL ? offer_batch(f, count, &verdict)
                                        : offer_singly(f, count, &verdict);
  cfi_feed_taken(f, taken);
  if (!f->closing && f->phase == CFI_PHASE_ACTIVE)
    act_on(f, verdict);
  return count;
}

/* ---- pull ---- */

/* The row lent last is the application's for good. */
static void give_back(changefeed *f) {
  unexpose(f, 0, 1);
  f->lent = false;
  f->byte_ms = cfi_feed_now(f); /* the silence was ours */
  cfi_feed_take(f, &f->held[0]);
  cfi_feed_taken(f, 1);
  if (f->phase == CFI_PHASE_OVER)
    cfi_feed_clear_rows(f);
  else
    cfi_feed_drop_front(f);
}

const changefeed_change *cfi_feed_lend(changefeed *f) {
  if (f->lent)
    give_back(f);
  if (f->held_count == 0 || !cfi_feed_may_deliver(f) || credit(f) == 0)
    return NULL;
  if (f->set.auto_ack == 0 && !push_window(f, 0, 1)) {
    cfi_feed_fault(f);
    return NULL;
  }
  expose(f, 0, 1);
  f->lent = true;
  return f->changes;
}
