/*
 * What answers mean that are no feeds or refuse one: heads, faults of the
 * transport, statuses. Decides what is asked next.
 */
#include "feed.h"
#include "info.h"
#include "reply.h"

bool cfi_feed_on_head(changefeed *f) {
  if (f->head_seen || !f->main.has_head)
    return false;
  f->head_seen = true;
  if (!cfi_lane_asks_rows(&f->main) || f->main.status != 200)
    return false;
  f->db_seen = true;
  if (f->main.ask == CFI_ASK_CATCHUP && f->base_state != CHANGEFEED_STATE_LIVE)
    cfi_feed_set_state(f, CHANGEFEED_STATE_CATCHUP);
  return true;
}

/* ---- faults made of answers ---- */

void cfi_feed_describe_transport(changefeed *f, const cfi_lane *l) {
  (void)cfi_error_set(&f->error, l->done_code, "%s %s: %s",
                      cfi_lane_asked(f, l), cfi_feed_where_of(f, l)->shown,
                      l->text[0] != '\0' ? l->text
                      : l->done_code == CHANGEFEED_ERR_IDLE
                          ? "no answer came"
                          : "the connection failed");
  f->error.pub.curl_code = l->done_curl;
  f->error.pub.sys_errno = l->done_errno;
  f->error.pub.http_status = l->status;
}

void cfi_feed_fault_transport(changefeed *f, const cfi_lane *l) {
  cfi_feed_describe_transport(f, l);
  if (l->done_fatal)
    cfi_feed_fatal(f);
  else
    cfi_feed_fault(f);
}

void cfi_feed_fault_protocol(changefeed *f, const cfi_lane *l,
                             const char *what) {
  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_PROTOCOL, "%s %s: %s",
                      cfi_lane_asked(f, l), cfi_feed_where_of(f, l)->shown,
                      what);
  f->error.pub.http_status = l->status;
  cfi_feed_fault(f);
}

void cfi_feed_describe(changefeed *f, const cfi_lane *l, changefeed_str error,
                       changefeed_str reason) {
  const char *asked = cfi_lane_asked(f, l);
  const char *where = cfi_feed_where_of(f, l)->shown;
  int code = cfi_reply_code(l->status);

  if (error.data != NULL || reason.data != NULL)
    (void)cfi_error_set(&f->error, code, "%s %s: HTTP %d, %s: %s", asked, where,
                        l->status, error.data != NULL ? error.data : "error",
                        reason.data != NULL ? reason.data : "");
  else if (l->status >= 300 && l->status < 400)
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_HTTP,
                        "%s %s: HTTP %d to %s; follow_redirects is %s", asked,
                        where, l->status,
                        l->text[0] != '\0' ? l->text : "nowhere",
                        f->set.follow_redirects != 0 ? "on" : "off");
  else
    (void)cfi_error_set(&f->error, code,
                        "%s %s: HTTP %d without a reason CouchDB would give",
                        asked, where, l->status);
  f->error.pub.http_status = l->status;
  f->error.pub.retry_after_ms = f->retry_after_ms;
}

bool cfi_feed_can_renew(const changefeed *f) {
  return (f->set.session != 0 || f->callbacks.on_request != NULL) &&
         !f->renewed;
}

void cfi_feed_renew(changefeed *f) {
  f->renewed = true;
  cfi_free_secret(f->alloc, f->cookie);
  f->cookie = NULL;
  cfi_feed_log(f, CHANGEFEED_LOG_INFO, "%s; renewing the credentials",
               f->error.text);
  if (!cfi_feed_gone(f))
    cfi_feed_response_over(f);
}

/* Renewing helps where there is something to renew. */
static void on_refused(changefeed *f, const cfi_lane *l) {
  if (l->ask == CFI_ASK_LOGIN || !cfi_feed_can_renew(f))
    cfi_feed_fatal(f);
  else
    cfi_feed_renew(f);
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

static void on_status(changefeed *f, cfi_lane *l) {
  cfi_info info = {0};
  int rc =
      cfi_info_parse(f->alloc, cfi_buf_data(&l->reply), l->reply.len, &info);
  cfi_reply_class class =
      cfi_reply_classify(l->status, info.error, info.reason);

  if (rc == CFI_INFO_NOMEM) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    cfi_feed_fault(f);
    return;
  }
  cfi_feed_describe(f, l, info.error, info.reason);
  cfi_info_free(f->alloc, &info);
  switch (class) {
  case CFI_REPLY_AUTH:
    on_refused(f, l);
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

void cfi_feed_on_answer(changefeed *f, cfi_lane *l) {
  if (l->no_memory) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM,
                        "no memory for the answer of %s",
                        cfi_feed_where_of(f, l)->shown);
    cfi_feed_fault(f);
  } else if (l->done_code != CHANGEFEED_OK) {
    cfi_feed_fault_transport(f, l);
  } else if (l->ask == CFI_ASK_LOAD && cfi_local_on_loaded(f, l)) {
    return;
  } else if (l->status == 200 || cfi_feed_is_excused(f, l)) {
    cfi_feed_on_info(f, l);
  } else {
    on_status(f, l);
  }
}

bool cfi_feed_on_done(changefeed *f) {
  if (cfi_lane_asks_rows(&f->main) && f->main.status == 200 &&
      !f->main.no_memory)
    cfi_feed_on_feed_done(f);
  else
    cfi_feed_on_answer(f, &f->main);
  return true;
}
