/* How long a connection may take. The timer is not set again for each byte: it
   looks when it fires whether its time has come. */
#include "common/http_server_state.h"

static int64_t sooner(int64_t a, int64_t b) {
  return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Of what flies, less than the last time: it moves. */
static void look_at_writing(http_conn *c, int64_t now) {
  size_t left;

  if (!c->writing)
    return;
  left = conn_unsent(c);
  if (left == c->moved_left)
    return;
  c->moved_left = left;
  c->moved_ms = now;
}

static bool waits_for_body(const http_conn *c) {
  const http_exchange *x = &c->x;

  return c->state == CONN_BUSY && !x->body.done &&
         (x->answer == ANSWER_ENDED || (x->asked != ASKED_NOT && !x->paused));
}

static int64_t due(const http_conn *c) {
  const http_server_config *config = &c->server->config;
  int64_t writing =
      c->writing && c->state != CONN_TUNNEL ? c->moved_ms + config->idle_ms : 0;

  switch (c->state) {
  case CONN_HEAD:
    if (c->head.len != 0)
      return sooner(writing, c->since_ms + config->head_ms);
    return c->writing ? writing : c->since_ms + config->idle_ms;
  case CONN_BUSY:
    return sooner(writing,
                  waits_for_body(c) ? c->read_ms + config->idle_ms : 0);
  case CONN_LINGER:
    return c->writing ? writing : c->since_ms + SERVER_LINGER_MS;
  default:
    return 0;
  }
}

void conn_deadline(http_conn *c) {
  int64_t now = (int64_t)uv_now(c->server->loop), at = due(c);

  if (at == 0 || (c->due_ms != 0 && c->due_ms <= at))
    return;
  c->due_ms = at;
  (void)uv_timer_start(&c->timer, conn_timer,
                       at > now ? (uint64_t)(at - now) : 0, 0);
}

static void too_late(http_conn *c) {
  int64_t now = (int64_t)uv_now(c->server->loop);

  if (c->writing && now >= c->moved_ms + c->server->config.idle_ms) {
    conn_gone(c);
  } else if (c->state == CONN_HEAD && c->head.len != 0) {
    conn_refuse(c, 408, "The head did not come in time.");
  } else if (c->state == CONN_BUSY && c->x.answer == ANSWER_NONE) {
    exchange_takeover(&c->x);
    if (c->state != CONN_CLOSED)
      conn_refuse(c, 408, "The body did not come in time.");
  } else {
    conn_gone(c);
  }
}

void conn_timer(uv_timer_t *timer) {
  http_conn *c = timer->data;
  int64_t now = (int64_t)uv_now(c->server->loop), at;

  c->due_ms = 0;
  look_at_writing(c, now);
  at = due(c);
  if (at != 0 && now >= at)
    too_late(c);
  if (c->state != CONN_CLOSED)
    conn_deadline(c);
}
