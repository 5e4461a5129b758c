/* The way there: a connection, the request on it, its body as it comes; and one
   more try when a connection that was kept turns out to be closed. */
#include "common/http_proxy_state.h"

#include <stdio.h>
#include <string.h>

static void start(http_pass *p, bool fresh);

/* ---- the body ---- */

static uv_buf_t buf_of(const void *data, size_t len) {
  uv_buf_t buf;

  memcpy(&buf.base, &data, sizeof data); /* it is only read */
  buf.len = len;
  return buf;
}

/* The head goes with the first bytes of the body: one packet for both. */
static size_t write_pieces(http_pass *p, uv_buf_t *bufs, unsigned count) {
  if (p->head_sent)
    return http_link_write(p->link, bufs + 1, count - 1);
  p->head_sent = true;
  bufs[0] = buf_of(p->head.data, p->head.len);
  return http_link_write(p->link, bufs, count);
}

static void on_body(http_exchange *x, const char *data, size_t len, void *ctx) {
  http_pass *p = ctx;
  uv_buf_t bufs[HTTP_LINK_BUFS];
  char size[24];
  size_t waiting;

  if (p->tunnel || len == 0)
    return;
  p->body_begun = true;
  if (p->chunked) {
    int digits = snprintf(size, sizeof size, "%zx\r\n", len);

    bufs[1] = buf_of(size, (size_t)digits);
    bufs[2] = buf_of(data, len);
    bufs[3] = buf_of("\r\n", 2);
    waiting = write_pieces(p, bufs, 4);
  } else {
    bufs[1] = buf_of(data, len);
    waiting = write_pieces(p, bufs, 2);
  }
  if (waiting > HTTP_LINK_HIGH && !p->client_paused) {
    p->client_paused = true;
    http_exchange_pause(x);
  }
}

static void on_body_end(http_exchange *x, void *ctx) {
  http_pass *p = ctx;
  uv_buf_t bufs[HTTP_LINK_BUFS];

  (void)x;
  p->body_begun = true;
  p->body_done = true;
  if (p->chunked) {
    bufs[1] = buf_of("0\r\n\r\n", 5);
    (void)write_pieces(p, bufs, 2);
  }
  pass_waits(p);
}

void pass_read_body(http_pass *p) {
  static const http_sink sink = {on_body, on_body_end};

  if (p->reading)
    return;
  p->reading = true;
  http_exchange_read(p->x, &sink, p);
}

void pass_waits(http_pass *p) {
  const http_proxy_rules *rules = &p->rules;

  if (p->tunnel)
    http_link_limits(p->link, 0, rules->tunnel_ms);
  else if (p->answered)
    http_link_limits(p->link, 0, rules->idle_ms);
  else if (!p->link->open)
    http_link_limits(p->link, rules->connect_ms, 0);
  else if (p->expecting)
    http_link_limits(p->link, PASS_CONTINUE_MS, 0);
  else if (p->has_body && !p->body_done)
    http_link_limits(p->link, 0, rules->idle_ms);
  else
    http_link_limits(p->link, rules->head_ms, 0);
}

/* ---- the link ---- */

static void send_request(http_pass *p) {
  uv_buf_t bufs[HTTP_LINK_BUFS];

  pass_enter(p);
  if (p->has_body && !p->expecting)
    pass_read_body(p);
  if (p->x != NULL && !p->head_sent)
    (void)write_pieces(p, bufs, 1);
  if (p->x != NULL)
    pass_waits(p);
  (void)pass_leave(p);
}

static enum http_proxy_result result_of(int error) {
  switch (error) {
  case UV_ECONNREFUSED:
  case UV_ENOENT:
  case UV_ENOTSOCK:
  case UV_EACCES:
  case UV_EPROTOTYPE:
    return HTTP_PROXY_REFUSED;
  default:
    return HTTP_PROXY_UNREACHABLE;
  }
}

/* Not twice: the second link is not one that was kept. */
void pass_no_answer(http_pass *p, const char *why) {
  if (!p->link->kept || p->held.len != 0 || p->informs != 0 || p->body_begun ||
      !(p->repeatable || p->has_body)) {
    pass_fail(p, HTTP_PROXY_BROKEN, why);
    return;
  }
  http_link_close(p->link);
  p->link = NULL;
  start(p, true);
}

static void on_open(http_link *l, void *ctx) {
  (void)l;
  send_request(ctx);
}

static void on_data(http_link *l, const char *data, size_t len, void *ctx) {
  http_pass *p = ctx;

  (void)l;
  if (p->tunnel)
    pass_tunnel_data(p, data, len);
  else
    pass_answer_data(p, data, len);
}

static void on_end(http_link *l, void *ctx) {
  http_pass *p = ctx;

  (void)l;
  if (p->tunnel)
    pass_tunnel_end(p);
  else
    pass_answer_end(p);
}

static void on_broken(http_link *l, int error, void *ctx) {
  http_pass *p = ctx;

  if (p->answered || p->tunnel)
    pass_cut(p);
  else if (!l->open)
    pass_fail(p, result_of(error), uv_strerror(error));
  else
    pass_no_answer(p, uv_strerror(error));
}

static void on_drain(http_link *l, void *ctx) {
  http_pass *p = ctx;

  (void)l;
  if (!p->client_paused)
    return;
  p->client_paused = false;
  http_exchange_resume(p->x);
}

/* What waits for the client does not go through the link; it counts as moved
   when there is less than the last time. */
static bool client_takes(http_pass *p) {
  size_t waiting = http_exchange_write(p->x, "", 0);
  bool less = waiting < p->client_waits;

  p->client_waits = waiting;
  return less;
}

static void on_idle(http_pass *p) {
  bool moves;

  pass_enter(p);
  moves = !p->link->reading && !p->link->ended && client_takes(p);
  if (p->x != NULL && moves)
    pass_waits(p);
  else if (p->x != NULL)
    pass_cut(p);
  (void)pass_leave(p);
}

static void on_late(http_link *l, void *ctx) {
  http_pass *p = ctx;

  if (p->answered || p->tunnel) {
    on_idle(p);
  } else if (!l->open) {
    pass_fail(p, HTTP_PROXY_UNREACHABLE, "no connection in time");
  } else if (p->expecting) {
    p->expecting = false;
    send_request(p);
  } else if (p->has_body && !p->body_done && !p->client_paused) {
    pass_waits(p); /* for the client, whose time the server keeps */
  } else {
    pass_fail(p, HTTP_PROXY_LATE, "no answer in time");
  }
}

const http_link_user pass_link_user = {on_open,   on_data,  on_end,
                                       on_broken, on_drain, on_late};

/* ---- beginning ---- */

static void start(http_pass *p, bool fresh) {
  int error = 0;

  p->head_sent = false;
  p->link = http_link_get(p->bucket, fresh, &pass_link_user, p, &error);
  if (p->link == NULL)
    pass_fail(p, result_of(error), uv_strerror(error));
  else if (p->link->open)
    send_request(p);
  else
    pass_waits(p);
}

static void on_gone(http_exchange *x, void *ctx) {
  (void)x;
  pass_gone(ctx);
}

void http_proxy(http_exchange *x, http_pool *pool,
                const http_proxy_target *target,
                const http_proxy_rules *rules) {
  http_pass *p = pass_new(pool, x, rules);
  const char *why = "a field to be set is not fit for a head";

  if (p == NULL) {
    if (rules->on_done != NULL)
      rules->on_done(x, HTTP_PROXY_BROKEN, rules->user);
    rules->on_failed(x, HTTP_PROXY_BROKEN, "out of memory", rules->user);
    return;
  }
  if (!pass_write_head(p, http_exchange_head(x), target, rules)) {
    pass_fail(p, HTTP_PROXY_BROKEN, why);
    return;
  }
  p->bucket = http_bucket_hold(pool, target, &why);
  if (p->bucket == NULL) {
    pass_fail(p, HTTP_PROXY_UNREACHABLE, why);
    return;
  }
  http_exchange_on_gone(x, on_gone, p);
  start(p, false);
}
