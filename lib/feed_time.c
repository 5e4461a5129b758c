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

/* Until when the peer has to show itself; CFI_NEVER while the silence is
   ours. */
static int64_t silence_ends(const changefeed *f) {
  int64_t header = f->set.header_timeout_ms;

  if (f->done || f->blocked || f->lent)
    return CFI_NEVER;
  if (!f->has_head)
    return f->connected_ms != CFI_NEVER
               ? f->connected_ms + header
               : f->started_ms + f->set.connect_timeout_ms + header;
  if (!cfi_feed_asks_rows(f) || f->status != 200)
    return f->head_ms + header; /* short bodies: no trickle either */
  return f->byte_ms + f->idle_ms;
}

static int64_t age_ends(const changefeed *f) {
  if (f->ask != CFI_ASK_LIVE || f->set.connection_max_age_ms == 0 || f->renew ||
      !f->has_head)
    return CFI_NEVER;
  return f->head_ms + f->set.connection_max_age_ms;
}

static int64_t active_deadline(const changefeed *f) {
  int64_t at = silence_ends(f);

  if (f->tail && f->tail_ms + LINGER_MS < at && !f->done)
    at = f->tail_ms + LINGER_MS;
  if (age_ends(f) < at)
    at = age_ends(f);
  if (cfi_feed_batch_due_ms(f) < at)
    at = cfi_feed_batch_due_ms(f);
  return at;
}

int64_t cfi_feed_deadline(const changefeed *f) {
  int64_t at = cfi_feed_save_due_ms(f);
  int64_t other = CFI_NEVER;

  /* While a row is lent nothing but a save is done. */
  if (f->phase == CFI_PHASE_OVER || f->lent)
    return at;
  if (f->phase == CFI_PHASE_WAIT)
    other = f->begin_ms;
  else if (f->phase == CFI_PHASE_ACTIVE)
    other = active_deadline(f);
  return other < at ? other : at;
}

static void fault_silence(changefeed *f) {
  const char *what = f->connected_ms == CFI_NEVER && !f->has_head
                         ? "no connection"
                     : !f->has_head ? "no response began"
                                    : "not a byte came";
  int64_t since = f->has_head
                      ? (cfi_feed_asks_rows(f) ? f->byte_ms : f->head_ms)
                  : f->connected_ms != CFI_NEVER ? f->connected_ms
                                                 : f->started_ms;

  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_IDLE,
                      "asking for %s %s: %s for %lld ms", cfi_feed_asked(f),
                      cfi_feed_where(f)->shown, what,
                      (long long)(cfi_feed_now(f) - since));
  f->error.pub.http_status = f->status;
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
  f->checked = f->caught_up = false;
  cfi_feed_response_over(f);
  return true;
}

bool cfi_feed_on_time(changefeed *f) {
  int64_t now = cfi_feed_now(f);

  if (f->phase == CFI_PHASE_WAIT)
    return now >= f->begin_ms && cfi_feed_begin(f);
  if (f->tail && !f->done && now >= f->tail_ms + LINGER_MS) {
    cfi_feed_response_over(f);
    return true;
  }
  if (now >= silence_ends(f)) {
    fault_silence(f);
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
