/*
 * What happens after a fault: count it, give up or wait, change the endpoint
 * or the transport, try again.
 */
#include "feed.h"

#include <limits.h>
#include <string.h>

enum { SILENT_LIVES_MAX = 2 };

void cfi_feed_drop_request(changefeed *f) {
  if (f->phase != CFI_PHASE_ACTIVE)
    return;
  cfi_side_drop_checks(f);
  cfi_feed_settle(f);
  cfi_feed_account(f);
  f->phase = CFI_PHASE_WAIT;
  f->begin_ms = CFI_NEVER;
  if (!f->main.done)
    f->world.cancel(f->world.ctx, false);
  f->main.done = true;
  f->blocked = f->held_up = false;
}

static void count_fault(changefeed *f) {
  changefeed_stats *s = &f->stats;

  switch (f->error.pub.code) {
  case CHANGEFEED_ERR_NETWORK:
    s->faults_network++;
    break;
  case CHANGEFEED_ERR_TLS:
    s->faults_tls++;
    break;
  case CHANGEFEED_ERR_IDLE:
    s->faults_idle++;
    break;
  case CHANGEFEED_ERR_AUTH:
    s->faults_auth++;
    break;
  case CHANGEFEED_ERR_HTTP:
  case CHANGEFEED_ERR_NOTFOUND:
    s->faults_http++;
    break;
  case CHANGEFEED_ERR_PROTOCOL:
    s->faults_protocol++;
    break;
  default:
    s->faults_local++;
    break;
  }
}

void cfi_feed_fatal(changefeed *f) {
  count_fault(f);
  f->error.pub.retryable = 0;
  cfi_feed_finish(f, CHANGEFEED_STATE_FAILED);
}

/* A proxy that holds bytes back looks like this: the catch-up works, and the
   live response stays silent although heartbeats were asked for. */
void cfi_feed_note_silence(changefeed *f) {
  if (f->main.ask == CFI_ASK_LIVE && f->transport != CFI_TRANSPORT_LONGPOLL &&
      f->request_bytes == 0)
    f->silent_lives++;
}

static void fall_back(changefeed *f) {
  changefeed_notice notice = {0};

  if (f->set.transport != CFI_TRANSPORT_AUTO ||
      f->transport == CFI_TRANSPORT_LONGPOLL ||
      f->silent_lives < SILENT_LIVES_MAX)
    return;
  f->transport = CFI_TRANSPORT_LONGPOLL;
  f->stats.fallbacks++;
  notice.kind = CHANGEFEED_NOTICE_FALLBACK;
  notice.from = "continuous";
  notice.to = "longpoll";
  notice.reason = "heartbeats do not come through: something between holds "
                  "the response back";
  cfi_feed_notice(f, &notice);
}

/* Not before the server, the rate limit and the back-off allow it; the
   application may lengthen, and shorten only the back-off. False: over. */
static bool choose_delay(changefeed *f, int64_t *delay) {
  int64_t floor_ms = cfi_bucket_wait(&f->bucket, cfi_feed_now(f));

  if (f->retry_after_ms > floor_ms)
    floor_ms = f->retry_after_ms;
  *delay = cfi_backoff_next(&f->backoff, &f->random);
  if (*delay < floor_ms)
    *delay = floor_ms;
  if (f->set.retry_limit != 0 &&
      (int64_t)f->backoff.failures >= f->set.retry_limit) {
    f->error.pub.retryable = 0;
    cfi_feed_finish(f, CHANGEFEED_STATE_FAILED);
    return false;
  }
  f->error.pub.retryable = 1;
  if (f->callbacks.on_retry == NULL)
    return true;
  f->depth++;
  *delay = f->callbacks.on_retry(f, &f->error.pub, f->backoff.failures, *delay,
                                 f->callbacks.user);
  f->depth--;
  if (cfi_feed_gone(f))
    return false;
  if (*delay < 0) {
    f->error.pub.retryable = 0;
    cfi_feed_finish(f, CHANGEFEED_STATE_FAILED);
    return false;
  }
  if (*delay < floor_ms)
    *delay = floor_ms;
  return true;
}

void cfi_feed_fault(changefeed *f) {
  int64_t delay;

  f->error.pub.retry_after_ms = f->retry_after_ms;
  count_fault(f);
  if (f->phase == CFI_PHASE_ACTIVE && cfi_feed_was_healthy(f)) {
    cfi_backoff_reset(&f->backoff);
    cfi_endpoint_proven(f);
  }
  cfi_feed_drop_request(f);
  cfi_feed_clear_rows(f);
  f->phase = CFI_PHASE_WAIT;
  f->begin_ms = CFI_NEVER;
  f->caught_up = false;
  if (f->main.ask == CFI_ASK_CATCHUP && f->request_rows != 0 &&
      f->cut_short < UINT_MAX)
    f->cut_short++;
  f->session_proven_ms = CFI_NEVER; /* it may be another server's answer now */
  f->stats.reconnects++;
  cfi_endpoint_change(f);
  cfi_feed_forget_server(f);
  fall_back(f);
  if (cfi_feed_gone(f) || !choose_delay(f, &delay))
    return;
  f->event_delay_ms = delay;
  f->begin_ms = cfi_clock_after(cfi_feed_now(f), delay);
  cfi_feed_set_state(f, CHANGEFEED_STATE_WAITING);
}

void cfi_feed_recovered(changefeed *f) {
  if (f->backoff.failures != 0)
    cfi_backoff_reset(&f->backoff);
}
