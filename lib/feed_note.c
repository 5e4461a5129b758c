/*
 * What the transport tells while a request runs: recorded here, possibly below
 * a frame of libcurl, and judged later in the step.
 */
#include <string.h>

#include "feed_tick.h"
#include "reply.h"

enum { COOKIE_AGE_MS = 600000 /* CouchDB's, when Set-Cookie does not say */ };

bool cfi_lane_asks_rows(const cfi_lane *l) { return l->ask >= CFI_ASK_CATCHUP; }

void cfi_feed_note_connected(changefeed *f, cfi_lane *l) {
  l->connected_ms = cfi_feed_now(f);
}

bool cfi_feed_note_again(changefeed *f) {
  if (!cfi_bucket_take(&f->bucket, cfi_feed_now(f)))
    return false;
  f->stats.requests++;
  return true;
}

const char *cfi_lane_asked(const changefeed *f, const cfi_lane *l) {
  static const char *const names[] = {
      [CFI_ASK_LOGIN] = "asking for the log-in at",
      [CFI_ASK_SERVER] = "asking for the server of",
      [CFI_ASK_LOAD] = "asking for the position kept in",
      [CFI_ASK_DATABASE] = "asking for the database",
      [CFI_ASK_SESSION] = "asking for the session at",
      [CFI_ASK_MARKER] = "asking for the marker in",
      [CFI_ASK_MARKER_PUT] = "writing the marker into",
      [CFI_ASK_SAVE] = "saving the position in",
      [CFI_ASK_HOME] = "asking for the preferred endpoint",
      [CFI_ASK_TICK] = "asking for the tick in",
      [CFI_ASK_TICK_PUT] = "writing the tick into",
      [CFI_ASK_CATCHUP] = "asking for the changes of",
      [CFI_ASK_LIVE] = "asking for the live changes of"};

  return f->lists && cfi_lane_asks_rows(l) ? "asking for the documents of"
                                           : names[l->ask];
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
static void keep_cookie(changefeed *f, cfi_lane *l, const cfi_head *head) {
  int64_t age = head->cookie_age_ms > 0 ? head->cookie_age_ms : COOKIE_AGE_MS;
  char *copy;

  if (f->set.session == 0 || head->cookie == NULL)
    return;
  copy = cfi_strdup(f->alloc, head->cookie);
  if (copy == NULL) {
    l->no_memory = true;
    return;
  }
  cfi_free_secret(f->alloc, f->cookie);
  f->cookie = copy;
  f->cookie_until_ms = cfi_clock_after(cfi_feed_now(f), age / 2);
}

/* What a save is told holds for saves; the preferred endpoint is asked seldom
   anyway. */
static void note_retry_after(changefeed *f, const cfi_lane *l,
                             const char *value) {
  int64_t ms = cfi_reply_retry_after(value, cfi_clock_wall(&f->clock));
  bool save =
      l->ask == CFI_ASK_SAVE || (l == &f->side && l->ask == CFI_ASK_LOAD);

  if (ms < 0 || l->ask == CFI_ASK_HOME)
    return;
  if (cfi_tick_asks(l->ask))
    cfi_tick_put_off(f, ms);
  else if (save)
    f->save_at_ms = cfi_clock_after(cfi_feed_now(f), ms);
  else if (ms > f->retry_after_ms)
    f->retry_after_ms = ms;
}

void cfi_feed_note_head(changefeed *f, cfi_lane *l, const cfi_head *head) {
  int64_t now = cfi_feed_now(f);

  l->has_head = true;
  l->status = head->status;
  l->head_ms = now;
  if (head->retry_after != NULL)
    note_retry_after(f, l, head->retry_after);
  copy_text(l->text, sizeof l->text, head->location);
  if (head->status >= 200 && head->status < 300 && l->ask != CFI_ASK_HOME)
    keep_cookie(f, l, head);
  if (l == &f->side)
    return;
  f->byte_ms = now;
  if (head->status == 200 && cfi_lane_asks_rows(l)) {
    f->stream_ms = now;
    cfi_frame_start(&f->frame, l->ask == CFI_ASK_CATCHUP ||
                                       f->transport == CFI_TRANSPORT_LONGPOLL
                                   ? CFI_FRAME_LIST
                               : f->transport == CFI_TRANSPORT_EVENTSOURCE
                                   ? CFI_FRAME_EVENTS
                                   : CFI_FRAME_LINES);
  }
}

/* Of what is no feed. */
static bool receive_reply(cfi_lane *l, const void *data, size_t len) {
  size_t most = l->ask == CFI_ASK_LOAD ? CFI_DOC_MAX : CFI_REPLY_MAX;
  size_t room = most - l->reply.len;

  /* What an error page says beyond this is of no use to anybody. */
  return cfi_buf_append(&l->reply, data, len < room ? len : room, most) ==
         CFI_BUF_OK;
}

/* A heartbeat of a feed at rest: counted on the spot, since nothing else would
   follow. Whatever else is the case is left to the step. */
static bool receive_beat(changefeed *f, const cfi_lane *l, const char *data,
                         size_t len) {
  cfi_frame_item item;

  if (len != 1 || *data != '\n' || l != &f->main || f->queue.block != NULL ||
      f->frame.pos != 0 || f->frame.mode != CFI_FRAME_LINES || f->ending ||
      f->body_fault || f->tail || f->held_count != 0 ||
      !cfi_feed_may_deliver(f) || cfi_frame_inside(&f->frame))
    return false;
  if (cfi_frame_next(&f->frame, data, len, &item) != CFI_FRAME_MORE ||
      cfi_frame_unneeded(&f->frame) != len)
    return false;
  cfi_frame_dropped(&f->frame, len);
  f->stats.heartbeats += f->frame.beats - f->beats_seen;
  f->beats_seen = f->frame.beats;
  return true;
}

/* libcurl reads on for as long as there is something to read. So after about as
   much as it reads at once it is held up, until the step has had its turn: what
   is received is handled while it is in the processor's cache, and of what
   libcurl has read and cannot hand over, which it copies aside, there is
   little. Not where libcurl is not good at being held up. */
static bool has_had_its_turn(const changefeed *f, size_t len) {
  size_t most = (size_t)f->set.max_queue_bytes / 32 * 15;

  return f->turn_bytes != 0 && f->turn_bytes + len > most &&
         f->set.http_version == CFI_HTTP_1_1 && f->set.compression == 0;
}

bool cfi_feed_receive(changefeed *f, cfi_lane *l, const void *data, size_t len,
                      bool *fail) {
  size_t limit;

  *fail = false;
  if (l == &f->main)
    f->byte_ms = f->last_byte_ms = cfi_feed_now(f);
  /* No row that is complete came before this. */
  if (f->tick_len != 0 && l == &f->main && f->held_count == 0 &&
      f->frame.pos == f->queue.len)
    f->arrived_ms = f->byte_ms;
  if (!cfi_lane_asks_rows(l) || l->status != 200) {
    if (receive_reply(l, data, len))
      return true;
    *fail = l->no_memory = true; /* what the head lacked is not forgotten */
    return false;
  }
  if (f->tail) /* after the last word only white space may come */
    return true;
  if (receive_beat(f, l, data, len)) {
    f->request_bytes += len;
    f->stats.bytes += len;
    return true;
  }
  /* A first piece is taken whatever its length, so there may be more in the
     queue than its limit. */
  if (f->lent || (f->queue.len != 0 && (f->queue.len >= f->queue_limit ||
                                        len > f->queue_limit - f->queue.len))) {
    f->blocked = true;
    return false;
  }
  if (has_had_its_turn(f, len)) {
    f->held_up = true;
    return false;
  }
  /* The limit also bounds what the queue's growth takes beyond its bytes. */
  limit = len > f->queue_limit ? len : f->queue_limit;
  if (cfi_buf_append(&f->queue, data, len, limit) != CFI_BUF_OK) {
    *fail = l->no_memory = true;
    return false;
  }
  f->turn_bytes += len;
  f->request_bytes += len;
  f->stats.bytes += len;
  return true;
}

bool cfi_feed_has_received(const changefeed *f, const cfi_lane *l) {
  return !cfi_lane_asks_rows(l) || l->status != 200 || f->queue.len != 0;
}

void cfi_feed_note_done(changefeed *f, cfi_lane *l,
                        const cfi_outcome *outcome) {
  (void)f;
  l->done = true;
  l->done_code = outcome->code;
  l->done_fatal = outcome->fatal;
  l->done_curl = outcome->curl_code;
  l->done_errno = outcome->sys_errno;
  if (outcome->code != CHANGEFEED_OK)
    copy_text(l->text, sizeof l->text, outcome->text);
}
