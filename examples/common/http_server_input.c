/* What a client sends: heads, which become exchanges, and their bodies. */
#include "common/http_server_state.h"

#include <string.h>

/* ---- what is refused ---- */

static void plain_page(http_exchange *x, int status, const char *why) {
  static const char name[] = "Content-Type", type[] = "text/plain";
  const http_field field = {{name, sizeof name - 1}, {type, sizeof type - 1}};
  text page = TEXT_INIT;

  text_printf(&page, "%d %s\n%s\n", status, http_reason(status), why);
  http_exchange_answer(x, status, &field, 1, text_get(&page), page.len);
  text_free(&page);
}

/* The exchange is nobody's now. What was understood of the head stays. */
void conn_refuse(http_conn *c, int status, const char *why) {
  http_exchange *x = &c->x;
  http_server_config *config = &c->server->config;
  void *ctx = x->ctx;

  exchange_begin(x, x->head);
  x->ctx = ctx;
  x->refused = true;
  c->keep = false;
  x->body.done = true;
  conn_enter(c, CONN_BUSY);
  if (config->on_refused != NULL)
    config->on_refused(x, status, why, config->user);
  if (x->open && x->answer == ANSWER_NONE)
    plain_page(x, status, why);
  conn_mark(c);
}

/* ---- heads ---- */

/* follows: bytes came behind the head. */
static void begin_request(http_conn *c, http_head *head, bool follows) {
  http_exchange *x = &c->x;
  http_server_config *config = &c->server->config;

  exchange_begin(x, head);
  c->keep = head->keep_alive;
  x->continued = follows;
  conn_enter(c, CONN_BUSY);
  if (head->framing == HTTP_LENGTH && head->length > config->max_body) {
    conn_refuse(c, 413, "The body is too large.");
    return;
  }
  config->on_request(x, config->user);
}

/* As much as belongs to a head; what is behind it stays where it is. */
static size_t take_head(http_conn *c, const char *data, size_t len) {
  size_t most = c->server->config.max_head, before = c->head.len, used = 0;
  size_t all = len;
  http_head *head = server_head_take(c->server);
  const char *why = "";
  int status;

  if (head == NULL) {
    c->broken = true;
    return len;
  }
  if (len > most - before)
    len = most - before;
  text_add(&c->head, data, len);
  if (c->head.failed) {
    server_head_give(c->server, head);
    c->broken = true;
    return len;
  }
  if (before == 0)
    conn_enter(c, CONN_HEAD); /* not idle any more */
  status = http_head_request(head, c->head.data, c->head.len, most, &c->scanned,
                             &used, &why);
  if (status == HTTP_HEAD_DONE) {
    text_cut(&c->head, used);
    begin_request(c, head, used - before < all);
    return used - before;
  }
  server_head_give(c->server, head);
  if (status != HTTP_HEAD_MORE)
    conn_refuse(c, status, why);
  return len;
}

/* The next request, if there may be one. */
static void next_request(http_conn *c) {
  bool keep = c->keep && !c->server->draining;

  exchange_clear(&c->x);
  if (c->head.cap > SERVER_KEEP / 4)
    text_free(&c->head);
  else
    text_clear(&c->head);
  c->scanned = 0;
  if (keep)
    conn_enter(c, CONN_HEAD);
  else
    conn_enter(c, CONN_LINGER);
}

/* ---- bodies ---- */

/* The body cannot go on. */
static void stop_body(http_conn *c, int status, const char *why) {
  if (c->x.answer == ANSWER_NONE) {
    exchange_takeover(&c->x);
    if (c->state != CONN_CLOSED)
      conn_refuse(c, status, why);
    return;
  }
  exchange_taken(&c->x);
  conn_reset(c);
}

/* Answered, and its body was not asked for, or not all of it. */
static bool discard(http_conn *c, const char *data, size_t len, size_t *used) {
  http_exchange *x = &c->x;
  const char *why;
  http_str piece;

  if (!c->keep) /* then nobody needs to know where it ends */
    x->body.done = true;
  if (!x->body.done &&
      !http_body_next(&x->body, data, len, used, &piece, &why)) {
    c->keep = false;
    x->body.done = true;
  }
  x->body_bytes += *used;
  if (x->body_bytes > SERVER_DISCARD && !x->body.done) {
    c->keep = false;
    x->body.done = true;
  }
  if (!x->body.done)
    return *used != 0;
  next_request(c);
  return true;
}

static void tell_end(http_exchange *x) {
  x->told = true;
  if (x->asked == ASKED_PIECES) {
    x->sink.on_end(x, x->sink_ctx);
    return;
  }
  /* The data lives while he has it, whatever he does with x. */
  {
    text whole = x->whole;

    x->whole = (text)TEXT_INIT;
    x->on_whole(x, text_get(&whole), whole.len, x->sink_ctx);
    text_free(&whole);
  }
}

static void tell_data(http_conn *c, http_str piece) {
  http_exchange *x = &c->x;

  x->body_bytes += piece.len;
  if (x->body_bytes > c->server->config.max_body ||
      (x->asked == ASKED_WHOLE && x->body_bytes > x->whole_most)) {
    stop_body(c, 413, "The body is too large.");
  } else if (x->asked == ASKED_PIECES) {
    x->sink.on_data(x, piece.data, piece.len, x->sink_ctx);
  } else {
    text_add(&x->whole, piece.data, piece.len);
    if (x->whole.failed)
      stop_body(c, 413, "There is no memory for the body.");
  }
}

/* false: nothing more can be done with the bytes now. */
static bool take_body(http_conn *c, const char *data, size_t len,
                      size_t *used) {
  http_exchange *x = &c->x;
  const char *why = "";
  http_str piece;

  *used = 0;
  if (x->answer == ANSWER_ENDED)
    return discard(c, data, len, used);
  if (!x->open || x->asked == ASKED_NOT || x->paused || x->told)
    return false;
  if (x->body.done) {
    tell_end(x);
    return true;
  }
  if (x->asked == ASKED_WHOLE && x->body.framing == HTTP_LENGTH &&
      x->body_bytes == 0 && x->body.left > x->whole_most) {
    stop_body(c, 413, "The body is too large.");
    return true;
  }
  if (!http_body_next(&x->body, data, len, used, &piece, &why)) {
    stop_body(c, 400, why);
    return true;
  }
  if (*used != 0)
    x->continued = true;
  if (piece.len != 0)
    tell_data(c, piece);
  return *used != 0 || x->body.done;
}

/* ---- all of it ---- */

/* Who sends requests and does not read the answers gets no more of them. */
static bool is_behind(http_conn *c) {
  if (conn_waiting(c) > SERVER_HIGH)
    conn_flush(c);
  return conn_waiting(c) > SERVER_HIGH;
}

size_t conn_feed(http_conn *c, const char *data, size_t len) {
  size_t at = 0, used;

  while (!c->broken) {
    switch (c->state) {
    case CONN_HEAD:
      if (at == len || is_behind(c))
        return at;
      at += take_head(c, data + at, len - at);
      break;
    case CONN_BUSY:
      if (!take_body(c, len != 0 ? data + at : "", len - at, &used))
        return at + used;
      at += used;
      break;
    case CONN_TUNNEL:
      if (c->x.paused || at == len)
        return at;
      c->x.sink.on_data(&c->x, data + at, len - at, c->x.sink_ctx);
      return len;
    default:
      return len;
    }
  }
  return len;
}

static void tunnel_ended(http_conn *c) {
  http_exchange *x = &c->x;

  if (x->paused || x->told)
    return;
  x->told = true;
  x->sink.on_end(x, x->sink_ctx);
  if (c->state != CONN_TUNNEL || !x->ended)
    return;
  exchange_done(x);
  conn_enter(c, CONN_LINGER);
}

void conn_ended(http_conn *c) {
  http_exchange *x = &c->x;

  switch (c->state) {
  case CONN_HEAD:
    conn_enter(c, CONN_LINGER);
    break;
  case CONN_BUSY:
    if (x->body.done || x->paused ||
        (x->asked == ASKED_NOT && x->answer != ANSWER_ENDED))
      break;
    if (x->answer == ANSWER_ENDED)
      next_request(c);
    else
      conn_gone(c);
    break;
  case CONN_TUNNEL:
    tunnel_ended(c);
    break;
  default:
    break;
  }
}
