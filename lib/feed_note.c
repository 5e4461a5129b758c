/*
 * What the transport tells while a request runs: recorded here, possibly below
 * a frame of libcurl, and judged later in the step.
 */
#include <string.h>

#include "feed.h"
#include "reply.h"

enum { COOKIE_AGE_MS = 600000 /* CouchDB's, when Set-Cookie does not say */ };

bool cfi_feed_asks_rows(const changefeed *f) {
  return f->ask >= CFI_ASK_CATCHUP;
}

void cfi_feed_note_connected(changefeed *f) {
  f->connected_ms = cfi_feed_now(f);
}

bool cfi_feed_note_again(changefeed *f) {
  if (!cfi_bucket_take(&f->bucket, cfi_feed_now(f)))
    return false;
  f->stats.requests++;
  return true;
}

const char *cfi_feed_asked(const changefeed *f) {
  static const char *const names[] = {"the log-in at", "the server of",
                                      "the database", "the changes of",
                                      "the live changes of"};
  return names[f->ask];
}

static void copy_text(char *to, size_t size, const char *from) {
  size_t len = from != NULL ? strlen(from) : 0;

  if (len >= size)
    len = size - 1;
  if (len != 0)
    memcpy(to, from, len);
  to[len] = '\0';
}

/* The server may renew the cookie in any answer; half its life is used. */
static void keep_cookie(changefeed *f, const cfi_head *head) {
  int64_t age = head->cookie_age_ms > 0 ? head->cookie_age_ms : COOKIE_AGE_MS;
  char *copy;

  if (f->set.session == 0 || head->cookie == NULL)
    return;
  copy = cfi_strdup(f->alloc, head->cookie);
  if (copy == NULL) {
    f->no_memory = true;
    return;
  }
  cfi_free_secret(f->alloc, f->cookie);
  f->cookie = copy;
  f->cookie_until_ms = cfi_clock_after(cfi_feed_now(f), age / 2);
}

void cfi_feed_note_head(changefeed *f, const cfi_head *head) {
  int64_t now = cfi_feed_now(f);

  f->has_head = true;
  f->status = head->status;
  f->head_ms = f->byte_ms = now;
  if (head->retry_after != NULL)
    f->retry_after_ms =
        cfi_reply_retry_after(head->retry_after, cfi_clock_wall(&f->clock));
  copy_text(f->location, sizeof f->location, head->location);
  if (head->status >= 200 && head->status < 300)
    keep_cookie(f, head);
  if (head->status == 200 && cfi_feed_asks_rows(f)) {
    f->stream_ms = now;
    cfi_frame_start(&f->frame, f->ask == CFI_ASK_CATCHUP ||
                                       f->transport == CFI_TRANSPORT_LONGPOLL
                                   ? CFI_FRAME_LIST
                               : f->transport == CFI_TRANSPORT_EVENTSOURCE
                                   ? CFI_FRAME_EVENTS
                                   : CFI_FRAME_LINES);
  }
}

static bool receive_reply(changefeed *f, const void *data, size_t len) {
  size_t room = CFI_REPLY_MAX - f->queue.len;

  /* What an error page says beyond this is of no use to anybody. */
  return cfi_buf_append(&f->queue, data, len < room ? len : room,
                        CFI_REPLY_MAX) == CFI_BUF_OK;
}

bool cfi_feed_receive(changefeed *f, const void *data, size_t len, bool *fail) {
  size_t limit;

  *fail = false;
  f->byte_ms = f->last_byte_ms = cfi_feed_now(f);
  if (!cfi_feed_asks_rows(f) || f->status != 200) {
    *fail = f->no_memory = !receive_reply(f, data, len);
    return !*fail;
  }
  if (f->tail) /* after the last word only white space may come */
    return true;
  /* A first piece is taken whatever its length, so there may be more in the
     queue than its limit. */
  if (f->lent || (f->queue.len != 0 && (f->queue.len >= f->queue_limit ||
                                        len > f->queue_limit - f->queue.len))) {
    f->blocked = true;
    return false;
  }
  /* The limit also bounds what the queue's growth takes beyond its bytes. */
  limit = len > f->queue_limit ? len : f->queue_limit;
  if (cfi_buf_append(&f->queue, data, len, limit) != CFI_BUF_OK) {
    *fail = f->no_memory = true;
    return false;
  }
  f->request_bytes += len;
  f->stats.bytes += len;
  return true;
}

void cfi_feed_note_done(changefeed *f, const cfi_outcome *outcome) {
  f->done = true;
  f->done_code = outcome->code;
  f->done_fatal = outcome->fatal;
  f->done_curl = outcome->curl_code;
  f->done_errno = outcome->sys_errno;
  copy_text(f->done_text, sizeof f->done_text, outcome->text);
}
