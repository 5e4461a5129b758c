/*
 * What a feed asks next, and the request itself: its body, its credentials, and
 * the calls that start it.
 */
#include <string.h>

#include "feed_tick.h"

enum { LOGIN_TOKENS = 3, SESSION_TOKENS = 2 };

static const cfi_url *endpoint_url(const changefeed *f, size_t endpoint) {
  return endpoint == 0 ? &f->url : &f->endpoints[endpoint - 1];
}

const cfi_url *cfi_feed_where(const changefeed *f) {
  return endpoint_url(f, f->endpoint);
}

const cfi_url *cfi_feed_where_of(const changefeed *f, const cfi_lane *l) {
  return endpoint_url(f, l->ask == CFI_ASK_HOME ? f->home : f->endpoint);
}

/* ---- which request ---- */

bool cfi_feed_needs_login(const changefeed *f) {
  return f->set.session != 0 &&
         (f->cookie == NULL || cfi_feed_now(f) >= f->cookie_until_ms);
}

/* Login, who is there, the stored position, the past, the present. A database
   of which nothing is known is asked for before its changes, too: only then
   the question beside them tells whether it is still the same. */
static cfi_ask next_ask(const changefeed *f) {
  if (cfi_feed_needs_login(f))
    return CFI_ASK_LOGIN;
  if (!f->server_known)
    return CFI_ASK_SERVER;
  if (f->url.target == CFI_URL_DATABASE && !f->db_known &&
      f->identity.instance_start_time == NULL)
    return CFI_ASK_DATABASE;
  if (cfi_local_wants_load(f))
    return CFI_ASK_LOAD;
  return f->caught_up ? CFI_ASK_LIVE : CFI_ASK_CATCHUP;
}

/* ---- the body ---- */

static char *login_body(const changefeed *f) {
  cfi_buf b;

  cfi_buf_init(&b, f->alloc);
  cfi_buf_puts(&b, "name=");
  cfi_url_put_encoded(&b, f->username, strlen(f->username));
  cfi_buf_puts(&b, "&password=");
  if (f->password != NULL)
    cfi_url_put_encoded(&b, f->password, strlen(f->password));
  return cfi_buf_take(&b);
}

static char *member_body(const changefeed *f, const char *name,
                         const char *json) {
  cfi_buf b;

  cfi_buf_init(&b, f->alloc);
  cfi_buf_puts(&b, "{\"");
  cfi_buf_puts(&b, name);
  cfi_buf_puts(&b, "\":");
  cfi_buf_puts(&b, json);
  cfi_buf_putc(&b, '}');
  return cfi_buf_take(&b);
}

static bool has_body(const changefeed *f, const cfi_lane *l) {
  return l->ask == CFI_ASK_LOGIN || l->ask == CFI_ASK_SAVE ||
         l->ask == CFI_ASK_MARKER_PUT || l->ask == CFI_ASK_TICK_PUT ||
         (cfi_lane_asks_rows(l) &&
          (f->set.doc_ids != NULL || f->set.selector != NULL));
}

static char *make_body(changefeed *f, const cfi_lane *l) {
  switch (l->ask) {
  case CFI_ASK_LOGIN:
    return login_body(f);
  case CFI_ASK_SAVE:
    return cfi_local_body(f);
  case CFI_ASK_MARKER_PUT:
    return cfi_marker_body(f);
  case CFI_ASK_TICK_PUT:
    return cfi_tick_body(f);
  default:
    if (f->set.doc_ids == NULL)
      return member_body(f, "selector", f->set.selector);
    return member_body(f, f->lists ? "keys" : "doc_ids", f->set.doc_ids);
  }
}

/* ---- making it ---- */

static void clear_lane(changefeed *f, cfi_lane *l) {
  l->started_ms = cfi_feed_now(f);
  l->connected_ms = l->head_ms = CFI_NEVER;
  l->has_head = l->no_memory = false;
  l->status = 0;
  l->done = l->done_fatal = false;
  l->done_code = l->done_curl = l->done_errno = 0;
  l->text[0] = '\0';
  cfi_buf_clear(&l->reply, 0);
}

/* The main request and what is counted of its response. */
static void clear_response(changefeed *f) {
  f->byte_ms = cfi_feed_now(f);
  f->stream_ms = CFI_NEVER;
  f->blocked = f->held_up = f->head_seen = false;
  f->turn_bytes = 0;
  f->retry_after_ms = -1;
  f->request_rows = f->request_news = 0;
  f->request_bytes = 0;
  f->tail = f->body_fault = f->renew = f->verified = false;
  f->check_tokens = 0;
  f->marker_absent = false; /* by now another may have written one */
  /* Nothing has been read yet, so that these rows are the first of whichever
     history they are of. What follows them is held to what was said before
     them. A list has its end with them, perhaps, and may belong to a feed of
     changes that reads another one. */
  f->checks = f->lists || cfi_feed_has_begun(f) ? 0 : CFI_CHECKED_IDENTITY;
  f->queue_limit = (size_t)f->set.max_queue_bytes;
}

static void describe_request(const changefeed *f, const cfi_lane *l,
                             cfi_request *request) {
  bool events =
      l->ask == CFI_ASK_LIVE && f->transport == CFI_TRANSPORT_EVENTSOURCE;
  bool side = l == &f->side;

  request->ask = l->ask;
  request->side = side;
  request->put = l->ask == CFI_ASK_SAVE || l->ask == CFI_ASK_MARKER_PUT ||
                 l->ask == CFI_ASK_TICK_PUT;
  request->content_type = l->ask == CFI_ASK_LOGIN
                              ? "application/x-www-form-urlencoded"
                              : "application/json";
  request->accept = events ? "text/event-stream" : "application/json";
  request->cookie = l->ask != CFI_ASK_LOGIN ? f->cookie : NULL;
  request->authorization = f->authorization;
  request->send_password = f->username != NULL && f->set.session == 0;
  request->streams = f->transport != CFI_TRANSPORT_LONGPOLL;
  /* A stream may run for hours: nothing beside it stays open meanwhile. */
  request->close_after = events || (side && f->main.ask == CFI_ASK_LIVE &&
                                    f->transport != CFI_TRANSPORT_LONGPOLL);
}

bool cfi_feed_start(changefeed *f, cfi_lane *l) {
  cfi_request request = {0};
  char *url = NULL, *body = NULL;
  int rc = CHANGEFEED_ERR_NOMEM;

  clear_lane(f, l);
  url = cfi_feed_make_url(f, l);
  if (url != NULL && has_body(f, l))
    body = make_body(f, l);
  if (url == NULL || (has_body(f, l) && body == NULL)) {
    (void)cfi_error_set(&f->error, rc, "no memory for a request to %s",
                        cfi_feed_where(f)->shown);
  } else {
    describe_request(f, l, &request);
    request.url = url;
    request.body = body;
    request.body_len = body != NULL ? strlen(body) : 0;
    f->stats.requests++;
    rc = f->world.start(f->world.ctx, &request, &f->error);
  }
  if (l->ask == CFI_ASK_LOGIN)
    cfi_free_secret(f->alloc, body);
  else
    cfi_free(f->alloc, body);
  cfi_free(f->alloc, url);
  return rc == CHANGEFEED_OK;
}

bool cfi_feed_has_turn(changefeed *f, int kind) {
  return f->admit == NULL || f->admit(f->host, kind);
}

/* After an answer the feed goes on with what it has begun. */
static int turn_of_main(const changefeed *f) {
  const cfi_lane *l = &f->main;
  bool answered = l->done && l->done_code == CHANGEFEED_OK && l->status == 200;

  return answered ? CFI_TURN_NEXT : CFI_TURN_FIRST;
}

bool cfi_feed_may_request(changefeed *f) {
  bool last_save = f->phase == CFI_PHASE_FLUSH;
  int rc;

  if (f->callbacks.on_request == NULL)
    return true;
  f->depth++;
  rc = f->callbacks.on_request(f, f->callbacks.user);
  f->depth--;
  if (f->closing || (!last_save && cfi_feed_gone(f)))
    return false;
  if (rc >= 0)
    return true;
  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_CALLBACK,
                      "on_request gave up (%d) before a request to %s", rc,
                      cfi_feed_where(f)->shown);
  cfi_feed_fatal(f);
  return false;
}

static bool remember_since(changefeed *f) {
  cfi_buf_clear(&f->asked_since, SIZE_MAX);
  if (cfi_buf_append(&f->asked_since, cfi_buf_data(&f->resume), f->resume.len,
                     SIZE_MAX - 2) == CFI_BUF_OK &&
      cfi_list_begin_page(f))
    return true;
  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
  return false;
}

/* A session may be short: after the log-in comes at once what it is for, and
   behind a request the question beside it. */
static int64_t tokens_needed(const changefeed *f) {
  if (f->set.session == 0)
    return 1;
  return next_ask(f) == CFI_ASK_LOGIN ? LOGIN_TOKENS : SESSION_TOKENS;
}

bool cfi_feed_begin(changefeed *f) {
  int64_t now = cfi_feed_now(f);
  int64_t wait = cfi_bucket_wait_for(&f->bucket, tokens_needed(f), now);

  if (wait > 0) {
    f->begin_ms = now + wait;
    return false;
  }
  f->main_waits = !cfi_feed_has_turn(f, turn_of_main(f));
  if (f->main_waits)
    return false;
  if (!cfi_feed_may_request(f))
    return true;
  if (f->base_state == CHANGEFEED_STATE_WAITING) {
    cfi_feed_set_state(f, CHANGEFEED_STATE_CONNECTING);
    if (cfi_feed_gone(f))
      return true;
  }
  if (f->go_home) {
    cfi_endpoint_go_home(f);
    if (cfi_feed_gone(f))
      return true;
  }
  f->main.ask = next_ask(f);
  (void)cfi_bucket_take(&f->bucket, now);
  clear_response(f);
  if (remember_since(f) && cfi_feed_start(f, &f->main))
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
