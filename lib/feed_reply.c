/*
 * What answers mean: heads, the ends of responses, small replies. Decides what
 * is asked next.
 */
#include <string.h>

#include "feed.h"
#include "info.h"
#include "reply.h"
#include "str.h"

bool cfi_feed_on_head(changefeed *f) {
  if (f->head_seen || !f->has_head)
    return false;
  f->head_seen = true;
  if (!cfi_feed_asks_rows(f) || f->status != 200)
    return false;
  f->renewed = false;
  f->db_seen = true;
  f->missing_since_ms = CFI_NEVER;
  if (f->ask == CFI_ASK_CATCHUP && f->base_state != CHANGEFEED_STATE_LIVE)
    cfi_feed_set_state(f, CHANGEFEED_STATE_CATCHUP);
  return true;
}

/* ---- faults made of answers ---- */

static void fault_transport(changefeed *f) {
  (void)cfi_error_set(&f->error, f->done_code, "asking for %s %s: %s",
                      cfi_feed_asked(f), cfi_feed_where(f)->shown,
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
                      "asking for %s %s: %s", cfi_feed_asked(f),
                      cfi_feed_where(f)->shown, what);
  f->error.pub.http_status = f->status;
  cfi_feed_fault(f);
}

static void describe_status(changefeed *f, const cfi_info *info) {
  if (info->error.data != NULL || info->reason.data != NULL)
    (void)cfi_error_set(&f->error, cfi_reply_code(f->status),
                        "asking for %s %s: HTTP %d, %s: %s", cfi_feed_asked(f),
                        cfi_feed_where(f)->shown, f->status,
                        info->error.data != NULL ? info->error.data : "error",
                        info->reason.data != NULL ? info->reason.data : "");
  else if (f->status >= 300 && f->status < 400)
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_HTTP,
                        "asking for %s %s: HTTP %d to %s; follow_redirects "
                        "is %s",
                        cfi_feed_asked(f), cfi_feed_where(f)->shown, f->status,
                        f->location[0] != '\0' ? f->location : "nowhere",
                        f->set.follow_redirects != 0 ? "on" : "off");
  else
    (void)cfi_error_set(&f->error, cfi_reply_code(f->status),
                        "asking for %s %s: HTTP %d without a reason CouchDB "
                        "would give",
                        cfi_feed_asked(f), cfi_feed_where(f)->shown, f->status);
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
  if (!cfi_feed_gone(f))
    cfi_feed_response_over(f);
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
  int rc =
      cfi_info_parse(f->alloc, cfi_buf_data(&f->queue), f->queue.len, &info);
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

/* Also a cookie of before, which is to be renewed, is none. */
static void on_login(changefeed *f) {
  if (f->cookie == NULL || cfi_feed_now(f) >= f->cookie_until_ms)
    fault_protocol(f, "the answer holds no AuthSession cookie");
  else
    cfi_feed_response_over(f);
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
    f->found_seq =
        info->update_seq_is_number ? keep(f, info->update_seq, &ok) : NULL;
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
  rc = hides_front_page(f) ? CFI_INFO_OK
                           : cfi_info_parse(f->alloc, cfi_buf_data(&f->queue),
                                            f->queue.len, &info);
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
    cfi_feed_response_over(f);
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
  /* Repeats alone are no progress: a server may go round in circles. */
  if (!cfi_feed_asks_rows(f) || f->request_news == 0 || !moved(f))
    f->stats.unproductive++;
  else
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

static void on_feed_done(changefeed *f) {
  bool clean = f->done_code == CHANGEFEED_OK;

  if (f->tail) {
    cfi_feed_response_over(f);
  } else if (!clean) {
    fault_transport(f);
  } else if (f->ask == CFI_ASK_LIVE &&
             f->transport == CFI_TRANSPORT_EVENTSOURCE &&
             !cfi_frame_inside(&f->frame) && f->request_bytes != 0) {
    /* It has no last word: what was missed is asked for as if it had failed,
       without the wait. */
    f->stats.ends++;
    f->checked = f->caught_up = false;
    cfi_feed_response_over(f);
  } else {
    fault_protocol(f, f->request_bytes == 0
                          ? "HTTP 200 with an empty body"
                          : "the response ended in the middle");
  }
}

bool cfi_feed_on_done(changefeed *f) {
  if (f->no_memory) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM,
                        "no memory for the answer of %s",
                        cfi_feed_where(f)->shown);
    cfi_feed_fault(f);
  } else if (cfi_feed_asks_rows(f) && f->status == 200) {
    on_feed_done(f);
  } else if (f->done_code != CHANGEFEED_OK) {
    fault_transport(f);
  } else if (f->status != 200 && !hides_front_page(f)) {
    on_status(f);
  } else {
    on_small_reply(f);
  }
  return true;
}
