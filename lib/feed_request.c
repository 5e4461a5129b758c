/*
 * What a feed asks next, and the request itself: its URL, parameters, body and
 * credentials.
 */
#include <string.h>

#include "feed.h"

const cfi_url *cfi_feed_where(const changefeed *f) {
  return f->endpoint == 0 ? &f->url : &f->endpoints[f->endpoint - 1];
}

/* ---- which request ---- */

static bool needs_login(const changefeed *f) {
  return f->set.session != 0 &&
         (f->cookie == NULL || cfi_feed_now(f) >= f->cookie_until_ms);
}

/* Login, who is there, is it the database we know, the past, the present. */
static cfi_ask next_ask(const changefeed *f) {
  if (needs_login(f))
    return CFI_ASK_LOGIN;
  if (!f->server_known)
    return CFI_ASK_SERVER;
  if (!f->checked && f->url.target == CFI_URL_DATABASE)
    return CFI_ASK_DATABASE;
  return f->caught_up ? CFI_ASK_LIVE : CFI_ASK_CATCHUP;
}

/* ---- the URL ---- */

static void put_param(cfi_buf *b, const char *name, const char *value) {
  cfi_buf_putc(b, '&');
  cfi_buf_puts(b, name);
  cfi_buf_putc(b, '=');
  cfi_url_put_encoded(b, value, strlen(value));
}

static void put_int(cfi_buf *b, const char *name, int64_t value) {
  cfi_buf_putc(b, '&');
  cfi_buf_puts(b, name);
  cfi_buf_putc(b, '=');
  cfi_buf_putint(b, value);
}

static void put_switch(cfi_buf *b, const char *name, int64_t value) {
  if (value != 0)
    put_param(b, name, "true");
}

/* What chooses the rows, and so belongs to the identity of a position. */
static void put_choice(const cfi_settings *s, cfi_buf *b) {
  if (s->doc_ids != NULL)
    put_param(b, "filter", "_doc_ids");
  else if (s->selector != NULL)
    put_param(b, "filter", "_selector");
  else if (s->view != NULL)
    put_param(b, "filter", "_view");
  else if (s->filter != NULL)
    put_param(b, "filter", s->filter);
  if (s->view != NULL)
    put_param(b, "view", s->view);
  if (s->style == CFI_STYLE_ALL_DOCS)
    put_param(b, "style", "all_docs");
  for (size_t i = 0; i < s->query.count; i++) {
    const char *text = s->query.items[i];
    const char *equals = strchr(text, '=');
    size_t name = equals != NULL ? (size_t)(equals - text) : strlen(text);

    cfi_buf_putc(b, '&');
    cfi_url_put_encoded(b, text, name);
    cfi_buf_putc(b, '=');
    if (equals != NULL)
      cfi_url_put_encoded(b, equals + 1, strlen(equals + 1));
  }
}

static void put_shape(const cfi_settings *s, cfi_buf *b) {
  put_switch(b, "include_docs", s->include_docs);
  put_switch(b, "conflicts", s->conflicts);
  put_switch(b, "attachments", s->attachments);
  put_switch(b, "att_encoding_info", s->att_encoding_info);
  put_switch(b, "descending", s->descending);
  if (s->seq_interval != 0)
    put_int(b, "seq_interval", s->seq_interval);
}

static const char *feed_name(const changefeed *f) {
  if (f->ask == CFI_ASK_CATCHUP)
    return "normal";
  if (f->transport == CFI_TRANSPORT_LONGPOLL)
    return "longpoll";
  if (f->transport == CFI_TRANSPORT_EVENTSOURCE)
    return "eventsource";
  return "continuous";
}

/* The silence a peer may keep, and what it is asked for so that it does not.
   A filtered feed tells its progress only when a response ends, and a proxy
   that holds bytes back lets go of them only then: both are asked to end when
   idle. The others show by heartbeats that they live. */
static void choose_liveness(changefeed *f, int64_t *heartbeat,
                            int64_t *timeout) {
  const cfi_settings *s = &f->set;
  int64_t period = s->heartbeat_ms;

  *heartbeat = *timeout = -1;
  f->asked_timeout = f->ask == CFI_ASK_LIVE &&
                     (f->filtered || f->transport == CFI_TRANSPORT_LONGPOLL);
  if (f->asked_timeout) {
    if (s->progress_interval_ms < period)
      period = s->progress_interval_ms;
    if (s->idle_timeout_ms != 0 && s->idle_timeout_ms * 2 / 3 < period)
      period = s->idle_timeout_ms * 2 / 3;
    *timeout = period;
  } else {
    *heartbeat = period;
  }
  f->idle_ms = s->idle_timeout_ms != 0 ? s->idle_timeout_ms : period * 3 / 2;
}

static void put_feed_url(changefeed *f, cfi_buf *b) {
  const cfi_settings *s = &f->set;
  int64_t heartbeat, timeout;

  if (f->url.target == CFI_URL_DATABASE) {
    cfi_buf_putc(b, '/');
    cfi_buf_puts(b, f->url.db);
    cfi_buf_puts(b, "/_changes?feed=");
  } else {
    cfi_buf_puts(b, "/_db_updates?feed=");
  }
  cfi_buf_puts(b, feed_name(f));
  cfi_buf_puts(b, "&since=");
  cfi_url_put_encoded(b, cfi_buf_data(&f->resume), f->resume.len);
  choose_liveness(f, &heartbeat, &timeout);
  if (heartbeat >= 0)
    put_int(b, "heartbeat", heartbeat);
  if (timeout >= 0)
    put_int(b, "timeout", timeout);
  put_choice(s, b);
  put_shape(s, b);
  if (f->limit_left != UINT64_MAX)
    put_int(b, "limit", (int64_t)f->limit_left);
}

static char *make_url(changefeed *f) {
  cfi_buf b;

  cfi_buf_init(&b, f->alloc);
  cfi_buf_puts(&b, cfi_feed_where(f)->base);
  switch (f->ask) {
  case CFI_ASK_LOGIN:
    cfi_buf_puts(&b, "/_session");
    break;
  case CFI_ASK_SERVER:
    cfi_buf_putc(&b, '/');
    break;
  case CFI_ASK_DATABASE:
    cfi_buf_putc(&b, '/');
    cfi_buf_puts(&b, f->url.db);
    break;
  case CFI_ASK_CATCHUP:
  case CFI_ASK_LIVE:
    put_feed_url(f, &b);
    break;
  }
  return cfi_buf_take(&b);
}

/* The name of what is followed: a position of one choice of rows must not serve
   another. */
char *cfi_feed_make_key(const changefeed *f, const char *of) {
  cfi_buf b;

  cfi_buf_init(&b, f->alloc);
  cfi_buf_puts(&b, of);
  put_choice(&f->set, &b);
  if (f->set.doc_ids != NULL)
    put_param(&b, "doc_ids", f->set.doc_ids);
  if (f->set.selector != NULL)
    put_param(&b, "selector", f->set.selector);
  return cfi_buf_take(&b);
}

/* ---- the body ---- */

static bool make_body(const changefeed *f, char **body, const char **type) {
  const cfi_settings *s = &f->set;
  cfi_buf b;

  *body = NULL;
  *type = "application/json";
  cfi_buf_init(&b, f->alloc);
  if (f->ask == CFI_ASK_LOGIN) {
    *type = "application/x-www-form-urlencoded";
    cfi_buf_puts(&b, "name=");
    cfi_url_put_encoded(&b, f->username, strlen(f->username));
    cfi_buf_puts(&b, "&password=");
    if (f->password != NULL)
      cfi_url_put_encoded(&b, f->password, strlen(f->password));
  } else if (f->ask >= CFI_ASK_CATCHUP && s->doc_ids != NULL) {
    cfi_buf_puts(&b, "{\"doc_ids\":");
    cfi_buf_puts(&b, s->doc_ids);
    cfi_buf_putc(&b, '}');
  } else if (f->ask >= CFI_ASK_CATCHUP && s->selector != NULL) {
    cfi_buf_puts(&b, "{\"selector\":");
    cfi_buf_puts(&b, s->selector);
    cfi_buf_putc(&b, '}');
  } else {
    return true;
  }
  *body = cfi_buf_take(&b);
  return *body != NULL;
}

/* ---- making it ---- */

static void clear_request(changefeed *f) {
  f->started_ms = f->byte_ms = cfi_feed_now(f);
  f->connected_ms = f->head_ms = f->stream_ms = CFI_NEVER;
  f->has_head = f->blocked = f->no_memory = false;
  f->head_seen = false;
  f->status = 0;
  f->retry_after_ms = -1;
  f->done = f->done_fatal = false;
  f->done_code = f->done_curl = f->done_errno = 0;
  f->done_text[0] = f->location[0] = '\0';
  f->request_rows = f->request_news = 0;
  f->request_bytes = 0;
  f->tail = f->body_fault = f->renew = false;
  f->queue_limit = (size_t)f->set.max_queue_bytes;
}

static bool start(changefeed *f, cfi_request *request, cfi_error *error) {
  char *url = make_url(f), *body = NULL;
  bool ok = url != NULL && make_body(f, &body, &request->content_type);
  int rc = CHANGEFEED_ERR_NOMEM;

  if (!ok) {
    (void)cfi_error_set(error, rc, "no memory for a request to %s",
                        cfi_feed_where(f)->shown);
  } else {
    request->ask = f->ask;
    request->url = url;
    request->body = body;
    request->body_len = body != NULL ? strlen(body) : 0;
    rc = f->world.start(f->world.ctx, request, error);
  }
  if (f->ask == CFI_ASK_LOGIN)
    cfi_free_secret(f->alloc, body);
  else
    cfi_free(f->alloc, body);
  cfi_free(f->alloc, url);
  return rc == CHANGEFEED_OK;
}

static bool ask_application(changefeed *f) {
  int rc;

  if (f->callbacks.on_request == NULL)
    return true;
  f->depth++;
  rc = f->callbacks.on_request(f, f->callbacks.user);
  f->depth--;
  if (cfi_feed_gone(f))
    return false;
  if (rc >= 0)
    return true;
  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_CALLBACK,
                      "on_request gave up (%d) before a request to %s", rc,
                      cfi_feed_where(f)->shown);
  cfi_feed_fatal(f);
  return false;
}

bool cfi_feed_begin(changefeed *f) {
  cfi_request request = {0};
  int64_t now = cfi_feed_now(f);
  int64_t wait = cfi_bucket_wait(&f->bucket, now);

  if (wait > 0) {
    f->begin_ms = now + wait;
    return false;
  }
  if (!ask_application(f))
    return true;
  if (f->base_state == CHANGEFEED_STATE_WAITING) {
    cfi_feed_set_state(f, CHANGEFEED_STATE_CONNECTING);
    if (cfi_feed_gone(f))
      return true;
  }
  f->ask = next_ask(f);
  (void)cfi_bucket_take(&f->bucket, now);
  clear_request(f);
  cfi_buf_clear(&f->asked_since, SIZE_MAX);
  if (cfi_buf_append(&f->asked_since, cfi_buf_data(&f->resume), f->resume.len,
                     SIZE_MAX - 2) != CFI_BUF_OK) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    cfi_feed_fault(f);
    return true;
  }
  request.accept =
      f->ask == CFI_ASK_LIVE && f->transport == CFI_TRANSPORT_EVENTSOURCE
          ? "text/event-stream"
          : "application/json";
  request.cookie = f->ask != CFI_ASK_LOGIN ? f->cookie : NULL;
  request.authorization = f->authorization;
  request.send_password = f->username != NULL && f->set.session == 0;
  request.close_after =
      f->ask == CFI_ASK_LIVE && f->transport == CFI_TRANSPORT_EVENTSOURCE;
  f->stats.requests++;
  if (start(f, &request, &f->error))
    f->phase = CFI_PHASE_ACTIVE;
  else if (f->error.pub.code == CHANGEFEED_ERR_UNSUPPORTED)
    cfi_feed_fatal(f); /* another attempt finds the same build */
  else
    cfi_feed_fault(f);
  return true;
}

void cfi_feed_plan(changefeed *f) {
  f->phase = CFI_PHASE_WAIT;
  f->begin_ms = cfi_feed_now(f);
}
