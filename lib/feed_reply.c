/*
 * What answers mean: heads, the ends of responses, small replies, and the
 * deadlines of a request. Decides what is asked next.
 */
#include <string.h>

#include "feed.h"
#include "info.h"
#include "reply.h"
#include "str.h"

enum {
  LINGER_MS = 250,        /* for the last chunk after a feed's last word */
  COOKIE_AGE_MS = 600000, /* CouchDB's, when Set-Cookie does not say */
  HEALTHY_MS = 60000      /* of stream, and a fault is the first again */
};

static bool is_feed(const changefeed *f) { return f->ask >= CFI_ASK_CATCHUP; }

/* ---- notes ---- */

void cfi_feed_note_connected(changefeed *f) {
  f->connected_ms = cfi_feed_now(f);
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
    f->retry_after_ms = cfi_reply_retry_after(head->retry_after,
                                              cfi_clock_wall(&f->clock));
  copy_text(f->location, sizeof f->location, head->location);
  if (head->status >= 200 && head->status < 300)
    keep_cookie(f, head);
  if (head->status == 200 && is_feed(f)) {
    f->stream_ms = now;
    cfi_frame_start(&f->frame,
                    f->ask == CFI_ASK_CATCHUP ||
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

bool cfi_feed_receive(changefeed *f, const void *data, size_t len,
                      bool *fail) {
  *fail = false;
  f->byte_ms = f->last_byte_ms = cfi_feed_now(f);
  if (!is_feed(f) || f->status != 200) {
    *fail = f->no_memory = !receive_reply(f, data, len);
    return !*fail;
  }
  if (f->tail) /* after the last word only white space may come */
    return true;
  if (f->lent || (f->queue.len != 0 && len > f->queue_limit - f->queue.len)) {
    f->blocked = true;
    return false;
  }
  if (cfi_buf_append(&f->queue, data, len, SIZE_MAX - 2) != CFI_BUF_OK) {
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

bool cfi_feed_on_head(changefeed *f) {
  if (f->head_seen || !f->has_head)
    return false;
  f->head_seen = true;
  if (!is_feed(f) || f->status != 200)
    return false;
  f->renewed = false;
  f->db_seen = true;
  f->missing_since_ms = CFI_NEVER;
  if (f->ask == CFI_ASK_CATCHUP && f->base_state != CHANGEFEED_STATE_LIVE)
    cfi_feed_set_state(f, CHANGEFEED_STATE_CATCHUP);
  return true;
}

/* ---- faults made of answers ---- */

static const char *asked(const changefeed *f) {
  static const char *const names[] = {"the log-in at", "the server of",
                                      "the database", "the changes of",
                                      "the live changes of"};
  return names[f->ask];
}

static void fault_transport(changefeed *f) {
  (void)cfi_error_set(&f->error, f->done_code, "asking for %s %s: %s",
                      asked(f), f->url.shown,
                      f->done_text[0] != '\0' ? f->done_text
                                              : "the connection failed");
  f->error.pub.curl_code = f->done_curl;
  f->error.pub.sys_errno = f->done_errno;
  f->error.pub.http_status = f->status;
  if (f->done_fatal)
    cfi_feed_fatal(f);
  else
    cfi_feed_fault(f);
}

static void fault_protocol(changefeed *f, const char *what) {
  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_PROTOCOL,
                      "asking for %s %s: %s", asked(f), f->url.shown, what);
  f->error.pub.http_status = f->status;
  cfi_feed_fault(f);
}

static void describe_status(changefeed *f, const cfi_info *info) {
  if (info->error.data != NULL || info->reason.data != NULL)
    (void)cfi_error_set(&f->error, cfi_reply_code(f->status),
                        "asking for %s %s: HTTP %d, %s: %s", asked(f),
                        f->url.shown, f->status,
                        info->error.data != NULL ? info->error.data : "error",
                        info->reason.data != NULL ? info->reason.data : "");
  else if (f->status >= 300 && f->status < 400)
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_HTTP,
                        "asking for %s %s: HTTP %d to %s; follow_redirects "
                        "is %s",
                        asked(f), f->url.shown, f->status,
                        f->location[0] != '\0' ? f->location : "nowhere",
                        f->set.follow_redirects != 0 ? "on" : "off");
  else
    (void)cfi_error_set(&f->error, cfi_reply_code(f->status),
                        "asking for %s %s: HTTP %d without a reason CouchDB "
                        "would give",
                        asked(f), f->url.shown, f->status);
  f->error.pub.http_status = f->status;
  f->error.pub.retry_after_ms = f->retry_after_ms;
}

/* Renewing helps where there is something to renew. */
static void on_refused(changefeed *f) {
  bool can_renew = f->set.session != 0 || f->callbacks.on_request != NULL;

  if (!can_renew || f->renewed || f->ask == CFI_ASK_LOGIN) {
    cfi_feed_fatal(f);
    return;
  }
  f->renewed = true;
  cfi_free_secret(f->alloc, f->cookie);
  f->cookie = NULL;
  cfi_feed_log(f, CHANGEFEED_LOG_INFO, "%s; renewing the credentials",
               f->error.text);
  if (cfi_feed_gone(f))
    return;
  cfi_feed_drop_request(f);
  cfi_feed_clear_rows(f);
  cfi_feed_plan(f);
}

static void on_missing(changefeed *f) {
  int64_t now = cfi_feed_now(f);

  if (!f->db_seen) {
    if (f->set.wait_for_database != 0)
      cfi_feed_fault(f);
    else
      cfi_feed_fatal(f);
    return;
  }
  f->went_missing = true;
  if (f->missing_since_ms == CFI_NEVER)
    f->missing_since_ms = now;
  if (now - f->missing_since_ms >= f->set.missing_tolerance_ms &&
      f->set.wait_for_database == 0)
    cfi_feed_fatal(f);
  else
    cfi_feed_fault(f);
}

static void on_bad_since(changefeed *f) {
  if (!f->resume_own)
    cfi_feed_fatal(f);
  else if (cfi_feed_reset(f, "the server refused the position"))
    cfi_feed_plan(f);
}

static void on_status(changefeed *f) {
  cfi_info info = {0};
  int rc = cfi_info_parse(f->alloc, cfi_buf_data(&f->queue), f->queue.len,
                          &info);
  cfi_reply_class class =
      cfi_reply_classify(f->status, info.error, info.reason);

  if (rc == CFI_INFO_NOMEM) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    cfi_feed_fault(f);
    return;
  }
  describe_status(f, &info);
  cfi_info_free(f->alloc, &info);
  switch (class) {
  case CFI_REPLY_AUTH:
    on_refused(f);
    break;
  case CFI_REPLY_NO_DB:
    on_missing(f);
    break;
  case CFI_REPLY_BAD_SINCE:
    on_bad_since(f);
    break;
  case CFI_REPLY_FATAL:
    cfi_feed_fatal(f);
    break;
  case CFI_REPLY_OK:
  case CFI_REPLY_RETRY:
    cfi_feed_fault(f);
    break;
  }
}

/* ---- small replies ---- */

static char *keep(changefeed *f, changefeed_str s, bool *ok) {
  char *copy = NULL;

  if (s.data != NULL) {
    copy = cfi_strndup(f->alloc, s.data, s.len);
    *ok = *ok && copy != NULL;
  }
  return copy;
}

/* A server that hides its front page can still be followed. */
static bool hides_front_page(const changefeed *f) {
  return f->ask == CFI_ASK_SERVER &&
         (f->status == 403 || f->status == 404 || f->status == 405);
}

static void on_login(changefeed *f) {
  if (f->cookie == NULL)
    fault_protocol(f, "the answer holds no AuthSession cookie");
  else
    cfi_feed_plan(f);
}

/* "3.5.0" is 3; 0 when it is no version. */
static int64_t major_of(changefeed_str version) {
  const char *dot = version.data != NULL ? strchr(version.data, '.') : NULL;
  int64_t major = 0;

  if (dot != NULL &&
      !cfi_str_to_int(version.data, (size_t)(dot - version.data), &major))
    major = 0;
  return major;
}

static bool on_identity(changefeed *f, const cfi_info *info) {
  bool ok = true;

  if (f->ask == CFI_ASK_SERVER) {
    cfi_free(f->alloc, f->found.server_uuid);
    f->found.server_uuid = keep(f, info->uuid, &ok);
    f->server_major = major_of(info->version);
    f->server_known = true;
  } else {
    cfi_free(f->alloc, f->found.instance_start_time);
    cfi_free(f->alloc, f->found_seq);
    f->found.instance_start_time = keep(f, info->instance_start_time, &ok);
    f->found_seq = info->update_seq_is_number
                       ? keep(f, info->update_seq, &ok)
                       : NULL;
    f->checked = f->db_seen = true;
  }
  return ok;
}

static void on_small_reply(changefeed *f) {
  cfi_info info = {0};
  bool ok;
  int rc;

  if (f->ask == CFI_ASK_LOGIN) {
    on_login(f);
    return;
  }
  rc = hides_front_page(f)
           ? CFI_INFO_OK
           : cfi_info_parse(f->alloc, cfi_buf_data(&f->queue), f->queue.len,
                            &info);
  if (rc == CFI_INFO_BAD) {
    fault_protocol(f, "HTTP 200 with something that is not a JSON object");
    return;
  }
  if (rc == CFI_INFO_OK && f->ask == CFI_ASK_DATABASE &&
      info.db_name.data == NULL && info.update_seq.data == NULL &&
      info.instance_start_time.data == NULL) {
    cfi_info_free(f->alloc, &info);
    fault_protocol(f, "HTTP 200 with an object that describes no database");
    return;
  }
  ok = rc == CFI_INFO_OK && on_identity(f, &info);
  cfi_info_free(f->alloc, &info);
  if (!ok) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    cfi_feed_fault(f);
  } else if (cfi_feed_same_history(f)) {
    cfi_feed_plan(f);
  }
}

/* ---- the end of a feed's response ---- */

static bool moved(const changefeed *f) {
  changefeed_str now = {cfi_buf_data(&f->resume), f->resume.len};
  changefeed_str then = {cfi_buf_data(&f->asked_since), f->asked_since.len};

  return !cfi_str_same(now, then);
}

void cfi_feed_account(changefeed *f) {
  if (f->ask == CFI_ASK_LIVE && f->request_bytes != 0)
    f->silent_lives = 0;
  if (!is_feed(f) || f->request_rows == 0 || !moved(f))
    f->stats.unproductive++;
  else
    cfi_bucket_refund(&f->bucket, cfi_feed_now(f));
}

/* The envelope or last line has been read, its rows are delivered. */
void cfi_feed_on_tail(changefeed *f, int64_t pending) {
  bool more = pending > 0 && (moved(f) || f->request_rows != 0);

  f->tail = true;
  f->tail_ms = cfi_feed_now(f);
  f->stats.ends++;
  f->stats.pending = pending;
  if (f->ask == CFI_ASK_LIVE) {
    /* Did the end itself say that nothing is left? Then no question is due. */
    bool brought = f->request_rows != 0;
    if (f->transport != CFI_TRANSPORT_LONGPOLL || !brought)
      f->checked = false;
    if (pending != 0 && !(f->transport == CFI_TRANSPORT_LONGPOLL && !more))
      f->caught_up = false;
    return;
  }
  if (more && f->set.descending == 0)
    return;
  f->caught_up = true;
  cfi_feed_set_state(f, CHANGEFEED_STATE_LIVE);
  if (!cfi_feed_gone(f) && f->set.mode == CFI_MODE_ONCE)
    cfi_feed_finish(f, CHANGEFEED_STATE_ENDED);
}

static void response_over(changefeed *f) {
  cfi_feed_account(f);
  cfi_feed_drop_request(f);
  cfi_feed_clear_rows(f);
  cfi_feed_plan(f);
}

static void on_feed_done(changefeed *f) {
  bool clean = f->done_code == CHANGEFEED_OK;

  if (f->tail) {
    response_over(f);
  } else if (!clean) {
    fault_transport(f);
  } else if (f->ask == CFI_ASK_LIVE &&
             f->transport == CFI_TRANSPORT_EVENTSOURCE &&
             !cfi_frame_inside(&f->frame) && f->request_bytes != 0) {
    /* It has no last word: what was missed is asked for as if it had failed,
       without the wait. */
    f->stats.ends++;
    f->checked = f->caught_up = false;
    response_over(f);
  } else {
    fault_protocol(f, f->request_bytes == 0
                          ? "HTTP 200 with an empty body"
                          : "the response ended in the middle");
  }
}

bool cfi_feed_on_done(changefeed *f) {
  if (f->no_memory) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM,
                        "no memory for the answer of %s", f->url.shown);
    cfi_feed_fault(f);
  } else if (is_feed(f) && f->status == 200) {
    on_feed_done(f);
  } else if (f->done_code != CHANGEFEED_OK) {
    fault_transport(f);
  } else if (f->status != 200 && !hides_front_page(f)) {
    on_status(f);
  } else {
    cfi_feed_account(f);
    on_small_reply(f);
    if (f->phase == CFI_PHASE_WAIT)
      cfi_buf_clear(&f->queue, CFI_REPLY_MAX);
  }
  return true;
}

/* ---- deadlines ---- */

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
  if (!is_feed(f) || f->status != 200)
    return f->head_ms + header; /* short bodies: no trickle either */
  return f->byte_ms + f->idle_ms;
}

static int64_t age_ends(const changefeed *f) {
  if (f->ask != CFI_ASK_LIVE || f->set.connection_max_age_ms == 0 ||
      f->renew || !f->has_head)
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

  if (f->phase == CFI_PHASE_OVER)
    return at;
  if (f->phase == CFI_PHASE_WAIT && !f->lent)
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
  int64_t since = f->has_head ? (is_feed(f) ? f->byte_ms : f->head_ms)
                  : f->connected_ms != CFI_NEVER ? f->connected_ms
                                                 : f->started_ms;

  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_IDLE,
                      "asking for %s %s: %s for %lld ms", asked(f),
                      f->url.shown, what,
                      (long long)(cfi_feed_now(f) - since));
  f->error.pub.http_status = f->status;
  cfi_feed_note_silence(f);
  cfi_feed_fault(f);
}

/* Half a row belongs to the old connection: it ends between rows. */
static bool renew_connection(changefeed *f) {
  if (!f->renew || f->held_count != 0 || cfi_frame_inside(&f->frame) ||
      f->queue.len != 0)
    return false;
  cfi_feed_log(f, CHANGEFEED_LOG_DEBUG, "renewing the connection to %s",
               f->url.shown);
  if (cfi_feed_gone(f))
    return true;
  f->checked = f->caught_up = false;
  response_over(f);
  return true;
}

bool cfi_feed_on_time(changefeed *f) {
  int64_t now = cfi_feed_now(f);

  if (f->phase == CFI_PHASE_WAIT)
    return now >= f->begin_ms && cfi_feed_begin(f);
  if (f->tail && !f->done && now >= f->tail_ms + LINGER_MS) {
    response_over(f);
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
  return f->stream_ms != CFI_NEVER &&
         cfi_feed_now(f) - f->stream_ms >= HEALTHY_MS;
}
