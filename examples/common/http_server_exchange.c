/* An exchange: what was asked, and its body. The answer is in
   http_server_answer.c. */
#include "common/http_server_state.h"

#include <string.h>

/* ---- its life ---- */

void exchange_clear(http_exchange *x) {
  http_conn *c = x->conn;

  if (x->head != NULL)
    server_head_give(c->server, x->head);
  text_free(&x->whole);
  memset(x, 0, sizeof *x);
  x->conn = c;
}

void exchange_begin(http_exchange *x, http_head *head) {
  http_conn *c = x->conn;
  int64_t began_ms = x->began_ms;

  text_free(&x->whole);
  memset(x, 0, sizeof *x);
  x->conn = c;
  x->head = head;
  x->open = true;
  x->began_ms = began_ms != 0 ? began_ms : (int64_t)uv_now(c->server->loop);
  if (head != NULL)
    http_body_start(&x->body, head);
}

void exchange_done(http_exchange *x) {
  http_server_config *config = &x->conn->server->config;

  if (!x->open)
    return;
  x->open = false;
  if (config->on_done != NULL)
    config->on_done(x, config->user);
}

void exchange_takeover(http_exchange *x) {
  void (*on_gone)(http_exchange *, void *) = x->on_gone;

  x->on_gone = NULL;
  if (x->open && on_gone != NULL)
    on_gone(x, x->gone_ctx);
}

void exchange_taken(http_exchange *x) {
  exchange_takeover(x);
  exchange_done(x);
}

/* ---- what was asked ---- */

uv_loop_t *http_exchange_loop(const http_exchange *x) {
  return x->conn->server->loop;
}

const http_head *http_exchange_head(const http_exchange *x) { return x->head; }

const char *http_exchange_peer(const http_exchange *x) { return x->conn->peer; }

int64_t http_exchange_began_ms(const http_exchange *x) { return x->began_ms; }

int http_exchange_status(const http_exchange *x) { return x->status; }

uint64_t http_exchange_sent(const http_exchange *x) { return x->sent; }

bool http_exchange_has_ended(const http_exchange *x) { return x->conn->eof; }

bool http_exchange_is_untouched(const http_exchange *x) {
  return x->open && x->answer == ANSWER_NONE && x->asked == ASKED_NOT;
}

void http_exchange_set(http_exchange *x, void *ctx) { x->ctx = ctx; }

void *http_exchange_get(const http_exchange *x) { return x->ctx; }

void http_exchange_on_gone(http_exchange *x,
                           void (*on_gone)(http_exchange *x, void *ctx),
                           void *ctx) {
  x->on_gone = on_gone;
  x->gone_ctx = ctx;
}

/* ---- its body ---- */

static bool may_ask(const http_exchange *x) {
  return x->open && x->asked == ASKED_NOT && x->conn->state == CONN_BUSY;
}

/* Who expects it is told to go on, once somebody wants the body. */
static void ask(http_exchange *x, enum asked how) {
  x->asked = how;
  x->conn->read_ms = (int64_t)uv_now(x->conn->server->loop);
  if (x->head != NULL && x->head->expects && !x->continued &&
      x->answer == ANSWER_NONE &&
      (how == ASKED_PIECES || x->body.left <= x->whole_most))
    http_exchange_inform(x, 100);
  conn_mark(x->conn);
}

void http_exchange_read(http_exchange *x, const http_sink *sink, void *ctx) {
  if (!may_ask(x))
    return;
  x->sink = *sink;
  x->sink_ctx = ctx;
  ask(x, ASKED_PIECES);
}

void http_exchange_read_all(http_exchange *x, size_t max,
                            void (*done)(http_exchange *x, const char *data,
                                         size_t len, void *ctx),
                            void *ctx) {
  if (!may_ask(x))
    return;
  x->on_whole = done;
  x->sink_ctx = ctx;
  x->whole_most = max;
  ask(x, ASKED_WHOLE);
}

void http_exchange_pause(http_exchange *x) { x->paused = true; }

void http_exchange_resume(http_exchange *x) {
  if (!x->paused)
    return;
  x->paused = false;
  x->conn->read_ms = (int64_t)uv_now(x->conn->server->loop);
  conn_mark(x->conn);
}
