/*
 * The ends of feeds' responses: what the last word means, and whether the
 * request was worth it.
 */
#include "feed.h"
#include "str.h"

static bool moved(const changefeed *f) {
  changefeed_str now = {cfi_buf_data(&f->resume), f->resume.len};
  changefeed_str then = {cfi_buf_data(&f->asked_since), f->asked_since.len};

  return !cfi_str_same(now, then);
}

void cfi_feed_account(changefeed *f) {
  unsigned asked = 1 + f->check_tokens;

  if (f->main.ask == CFI_ASK_LIVE && f->request_bytes != 0)
    f->silent_lives = 0;
  f->check_tokens = 0;
  /* Repeats alone are no progress: a server may go round in circles. */
  if (!cfi_lane_asks_rows(&f->main) || f->request_news == 0 || !moved(f))
    f->stats.unproductive += asked;
  else
    for (; asked != 0; asked--)
      cfi_bucket_refund(&f->bucket, cfi_feed_now(f));
}

/* A filter's "pending" may count for ever what it holds back, and a server
   writes one position in several ways: without rows only a smaller number than
   before says that asking again leads on. */
static bool leads_on(const changefeed *f, int64_t pending) {
  int64_t before = f->stats.pending;

  return pending > 0 && (f->request_rows != 0 ||
                         (moved(f) && (before < 0 || pending < before)));
}

/* The envelope or last line has been read, its rows are delivered. */
void cfi_feed_on_tail(changefeed *f, int64_t pending) {
  bool more = leads_on(f, pending);

  f->tail = true;
  f->tail_ms = cfi_feed_now(f);
  f->stats.ends++;
  f->stats.pending = pending;
  if (f->main.ask == CFI_ASK_LIVE) {
    if (pending != 0 && !(f->transport == CFI_TRANSPORT_LONGPOLL && !more))
      f->caught_up = false;
    return;
  }
  f->cut_short = 0;
  if (f->lists ? !cfi_list_is_over(f) : more && f->set.descending == 0)
    return;
  if (f->lists) {
    cfi_feed_finish(f, CHANGEFEED_STATE_ENDED);
    return;
  }
  f->caught_up = true;
  cfi_feed_set_state(f, CHANGEFEED_STATE_LIVE);
  if (!cfi_feed_gone(f) && f->set.mode == CFI_MODE_ONCE)
    cfi_feed_finish(f, CHANGEFEED_STATE_ENDED);
}

void cfi_feed_on_feed_done(changefeed *f) {
  const cfi_lane *l = &f->main;

  if (f->tail) {
    cfi_feed_response_over(f);
  } else if (l->done_code != CHANGEFEED_OK) {
    cfi_feed_fault_transport(f, l);
  } else if (l->ask == CFI_ASK_LIVE &&
             f->transport == CFI_TRANSPORT_EVENTSOURCE &&
             !cfi_frame_inside(&f->frame) && f->request_bytes != 0) {
    /* It has no last word: what was missed is asked for as if it had failed,
       without the wait. */
    f->stats.ends++;
    f->caught_up = false;
    cfi_feed_response_over(f);
  } else {
    cfi_feed_fault_protocol(f, l,
                            f->request_bytes == 0
                                ? "HTTP 200 with an empty body"
                                : "the response ended in the middle");
  }
}
