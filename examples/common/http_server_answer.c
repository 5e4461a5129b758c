/* The answer of an exchange: its head, its body in one of three framings, and
   its end. */
#include "common/http_server_state.h"

#include <stdio.h>
#include <string.h>

/* ---- the head ---- */

static bool is_method(const http_exchange *x, const char *method) {
  return x->head != NULL && http_str_same(x->head->method, method);
}

static int minor_of(const http_exchange *x) {
  return x->head != NULL ? x->head->minor : 1;
}

/* Whether the connection can live on behind this answer. A client that waits
   for a 100 may or may not send its body after another answer. */
static bool may_keep(const http_exchange *x) {
  if (!x->conn->keep || x->conn->server->draining || x->refused ||
      x->head == NULL)
    return false;
  if (x->body.done)
    return true;
  if (x->head->expects && !x->continued)
    return false;
  return x->asked != ASKED_NOT || x->body.framing != HTTP_LENGTH ||
         x->body.left <= SERVER_DISCARD;
}

static void put_fields(text *out, http_server *s, const http_field *fields,
                       size_t count) {
  bool dated = false;

  for (size_t i = 0; i < count; i++) {
    if (http_head_is_hop(NULL, &fields[i]))
      continue;
    if (http_str_is(fields[i].name, "date"))
      dated = true;
    (void)http_put_copy(out, &fields[i]);
  }
  if (!dated)
    (void)http_put_field_text(out, "Date", server_date(s));
}

static void put_status(text *out, int status) {
  const char *reason = http_reason(status);

  (void)http_put_status(out, status, (http_str){reason, strlen(reason)});
}

static void begin(http_exchange *x, int status, const http_field *fields,
                  size_t count, enum http_framing framing, uint64_t length) {
  http_conn *c = x->conn;
  text *out = &c->out;
  bool without = status < 200 || status == 204;

  if (framing == HTTP_CHUNKED && minor_of(x) == 0)
    framing = HTTP_CLOSE;
  x->bodiless = without || status == 304 || is_method(x, "HEAD");
  if (framing == HTTP_NONE && !without && (!x->bodiless || length != 0))
    framing = HTTP_LENGTH; /* of an answer to HEAD: what GET would get */
  c->keep = may_keep(x) && (framing != HTTP_CLOSE || x->bodiless);
  x->answer = ANSWER_BEGUN;
  x->status = status;
  x->framing = x->bodiless ? HTTP_NONE : framing;
  x->left = framing == HTTP_LENGTH ? length : 0;
  put_status(out, status);
  put_fields(out, c->server, fields, count);
  if (!without)
    http_put_framing(out, framing, length);
  if (!c->keep)
    (void)http_put_field_text(out, "Connection", "close");
  else if (minor_of(x) == 0)
    (void)http_put_field_text(out, "Connection", "keep-alive");
  http_put_end(out);
  conn_mark(c);
}

static bool may_begin(const http_exchange *x) {
  return x->open && x->answer == ANSWER_NONE && x->conn->state == CONN_BUSY;
}

void http_exchange_begin(http_exchange *x, int status, const http_field *fields,
                         size_t count, enum http_framing framing,
                         uint64_t length) {
  if (may_begin(x))
    begin(x, status, fields, count, framing, length);
}

void http_exchange_inform(http_exchange *x, int status) {
  if (!may_begin(x) || minor_of(x) == 0 || status < 100 || status > 199 ||
      status == 101)
    return;
  if (status == 100 && x->continued)
    return;
  if (status == 100)
    x->continued = true;
  put_status(&x->conn->out, status);
  http_put_end(&x->conn->out);
  conn_mark(x->conn);
}

/* ---- the body ---- */

static void put(http_exchange *x, const void *data, size_t len) {
  char size[24];
  uv_buf_t bufs[3];
  char *base;

  memcpy(&base, &data, sizeof base); /* it is only read */
  x->sent += len;
  if (x->framing != HTTP_CHUNKED) {
    bufs[0] = uv_buf_init(base, (unsigned)len);
    conn_put(x->conn, bufs, 1);
    return;
  }
  bufs[0] =
      uv_buf_init(size, (unsigned)snprintf(size, sizeof size, "%zx\r\n", len));
  bufs[1] = uv_buf_init(base, (unsigned)len);
  {
    char crlf[] = {'\r', '\n'};

    bufs[2] = uv_buf_init(crlf, 2);
    conn_put(x->conn, bufs, 3);
  }
}

size_t http_exchange_write(http_exchange *x, const void *data, size_t len) {
  const char *bytes = data;
  size_t waiting;

  if (!x->open || x->answer != ANSWER_BEGUN || x->ended)
    return 0;
  if (x->framing == HTTP_LENGTH && len > x->left) {
    http_exchange_abort(x); /* more than was promised */
    return 0;
  }
  if (x->framing == HTTP_LENGTH)
    x->left -= len;
  while (!x->bodiless && len != 0) { /* uv_buf_init takes an unsigned */
    size_t n = len < (1u << 30) ? len : 1u << 30;

    put(x, bytes, n);
    bytes += n;
    len -= n;
  }
  waiting = conn_waiting(x->conn);
  if (waiting > SERVER_HIGH)
    x->full = true;
  return waiting;
}

void http_exchange_on_drain(http_exchange *x,
                            void (*on_drain)(http_exchange *x, void *ctx),
                            void *ctx) {
  x->on_drain = on_drain;
  x->drain_ctx = ctx;
}

/* ---- the end ---- */

static void end(http_exchange *x) {
  http_conn *c = x->conn;

  if (x->framing == HTTP_CHUNKED)
    text_add(&c->out, "0\r\n\r\n", 5);
  if (x->framing == HTTP_CLOSE)
    c->keep = false;
  x->answer = ANSWER_ENDED;
  exchange_done(x);
  conn_mark(c);
}

static void end_tunnel(http_exchange *x) {
  x->ended = true;
  if (x->told) {
    exchange_done(x);
    conn_linger(x->conn);
  }
  conn_mark(x->conn);
}

void http_exchange_end(http_exchange *x) {
  if (!x->open || x->answer != ANSWER_BEGUN || x->ended)
    return;
  if (x->conn->state == CONN_TUNNEL)
    end_tunnel(x);
  else if (x->framing == HTTP_LENGTH && x->left != 0)
    http_exchange_abort(x); /* less than was promised */
  else
    end(x);
}

void http_exchange_answer(http_exchange *x, int status,
                          const http_field *fields, size_t count,
                          const void *body, size_t len) {
  if (!may_begin(x))
    return;
  begin(x, status, fields, count, len != 0 ? HTTP_LENGTH : HTTP_NONE, len);
  if (!x->bodiless && len != 0)
    (void)http_exchange_write(x, body, len);
  if (x->open)
    http_exchange_end(x);
}

void http_exchange_abort(http_exchange *x) {
  http_conn *c = x->conn;
  bool reset = x->answer == ANSWER_BEGUN && x->framing == HTTP_CLOSE;

  if (!x->open)
    return;
  c->keep = false;
  x->answer = ANSWER_ENDED;
  x->body.done = true;
  exchange_done(x);
  if (reset && c->state == CONN_BUSY)
    conn_reset(c);
  else
    conn_linger(c);
}

/* ---- a tunnel ---- */

void http_exchange_upgrade(http_exchange *x, const http_field *fields,
                           size_t count, const http_sink *sink, void *ctx) {
  http_conn *c = x->conn;
  text *out = &c->out;

  if (!may_begin(x))
    return;
  if (x->head == NULL || x->head->upgrade.len == 0) {
    http_exchange_abort(x); /* nobody asked for it */
    return;
  }
  put_status(out, 101);
  put_fields(out, c->server, fields, count);
  (void)http_put_field_text(out, "Connection", "Upgrade");
  (void)http_put_field(out, "Upgrade", x->head->upgrade);
  http_put_end(out);
  x->answer = ANSWER_BEGUN;
  x->status = 101;
  x->framing = HTTP_CLOSE;
  x->sink = *sink;
  x->sink_ctx = ctx;
  x->paused = false;
  x->told = false;
  c->keep = false;
  conn_enter(c, CONN_TUNNEL);
  conn_mark(c);
}
