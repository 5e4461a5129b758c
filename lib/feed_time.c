/*
 * The deadlines of a request and of the wait before the next one.
 */
#include "feed.h"

enum {
  LINGER_MS = 250,   /* for the last chunk after a feed's last word */
  HEALTHY_MS = 60000 /* of stream, and a fault is the first again */
};

void cfi_feed_response_over(changefeed *f) {
  cfi_feed_drop_request(f);
  cfi_feed_clear_rows(f);
  cfi_feed_plan(f);
}

int64_t cfi_lane_due_ms(const changefeed *f, const cfi_lane *l) {
  int64_t header = f->set.header_timeout_ms;

  if (l->has_head)
    return l->head_ms + header; /* short bodies: no trickle either */
  return l->connected_ms != CFI_NEVER
             ? l->connected_ms + header
             : l->started_ms + f->set.connect_timeout_ms + header;
}

/* Until when the peer has to show itself; CFI_NEVER while the silence is
   ours. */
static int64_t silence_ends(const changefeed *f) {
  const cfi_lane *l = &f->main;

  if (l->done || f->blocked || f->held_up || f->lent)
    return CFI_NEVER;
  if (l->has_head && cfi_lane_asks_rows(l) && l->status == 200)
    return f->byte_ms + f->idle_ms;
  return cfi_lane_due_ms(f, l);
}

static int64_t age_ends(const changefeed *f) {
  if (f->main.ask != CFI_ASK_LIVE || f->set.connection_max_age_ms == 0 ||
      f->renew || !f->main.has_head)
    return CFI_NEVER;
  return f->main.head_ms + f->set.connection_max_age_ms;
}

static int64_t active_deadline(const changefeed *f) {
  int64_t at = CFI_NEVER;

  if (f->tail && !f->main.done)
    at = f->tail_ms + LINGER_MS;
  if (age_ends(f) < at)
    at = age_ends(f);
  if (cfi_feed_batch_due_ms(f) < at)
    at = cfi_feed_batch_due_ms(f);
  return at;
}

int64_t cfi_feed_silence_ends(const changefeed *f) {
  return f->phase == CFI_PHASE_ACTIVE ? silence_ends(f) : CFI_NEVER;
}

int64_t cfi_feed_other_deadline(const changefeed *f) {
  int64_t at = f->local == NULL ? cfi_feed_save_due_ms(f) : CFI_NEVER;
  int64_t other = CFI_NEVER, side;

  /* While a row is lent nothing but a save is done. */
  if (f->phase == CFI_PHASE_OVER || f->lent)
    return at;
  if (f->phase == CFI_PHASE_WAIT)
    other = f->main_waits && f->begin_ms <= cfi_feed_now(f) ? CFI_NEVER
                                                            : f->begin_ms;
  else if (f->phase == CFI_PHASE_ACTIVE)
    other = active_deadline(f);
  else
    other = f->flush_until_ms;
  side = cfi_side_due_ms(f);
  if (side < other)
    other = side;
  if (f->timer_ms < other)
    other = f->timer_ms;
  return other < at ? other : at;
}

int64_t cfi_feed_deadline(const changefeed *f) {
  int64_t silence = cfi_feed_silence_ends(f);
  int64_t other = cfi_feed_other_deadline(f);

  return silence < other ? silence : other;
}

void cfi_feed_fault_silence(changefeed *f, const cfi_lane *l) {
  bool rows = l->has_head && cfi_lane_asks_rows(l);
  const char *what = l->connected_ms == CFI_NEVER && !l->has_head
                         ? "no connection"
                     : !l->has_head ? "no response began"
                                    : "not a byte came";
  int64_t since = rows                           ? f->byte_ms
                  : l->has_head                  ? l->head_ms
                  : l->connected_ms != CFI_NEVER ? l->connected_ms
                                                 : l->started_ms;

  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_IDLE, "%s %s: %s for %lld ms",
                      cfi_lane_asked(f, l), cfi_feed_where_of(f, l)->shown,
                      what, (long long)(cfi_feed_now(f) - since));
  f->error.pub.http_status = l->status;
  if (l == &f->main)
    cfi_feed_note_silence(f);
  cfi_feed_fault(f);
}

/* Half a row belongs to the old connection: it ends between rows. */
static bool renew_connection(changefeed *f) {
  if (!f->renew || f->held_count != 0 || f->queue.len != 0)
    return false;
  cfi_feed_log(f, CHANGEFEED_LOG_DEBUG, "renewing the connection to %s",
               cfi_feed_where(f)->shown);
  if (cfi_feed_gone(f))
    return true;
  f->caught_up = false;
  cfi_feed_response_over(f);
  return true;
}

bool cfi_feed_on_time(changefeed *f) {
  int64_t now = cfi_feed_now(f);

  if (f->phase == CFI_PHASE_WAIT)
    return now >= f->begin_ms && cfi_feed_begin(f);
  if (f->phase == CFI_PHASE_FLUSH)
    return cfi_feed_end_flush(f, now >= f->flush_until_ms);
  if (f->tail && !f->main.done && now >= f->tail_ms + LINGER_MS) {
    cfi_feed_response_over(f);
    return true;
  }
  if (now >= silence_ends(f)) {
    cfi_feed_fault_silence(f, &f->main);
    return true;
  }
  if (now >= age_ends(f))
    f->renew = true;
  return renew_connection(f);
}

bool cfi_feed_was_healthy(const changefeed *f) {
  /* The silence that ended it was no health. */
  return f->stream_ms != CFI_NEVER && f->byte_ms - f->stream_ms >= HEALTHY_MS;
}
