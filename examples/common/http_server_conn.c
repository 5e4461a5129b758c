/* A connection: what comes is fed to whom it is for, what goes out is flushed,
   and its end. */
#include "common/http_server_state.h"

#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

static void set_idle(http_conn *c, bool idle) {
  http_server *s = c->server;

  if (c->is_idle == idle)
    return;
  c->is_idle = idle;
  if (idle) {
    c->idle_next = NULL;
    c->idle_prev = s->idle_last;
    if (s->idle_last != NULL)
      s->idle_last->idle_next = c;
    else
      s->idle_first = c;
    s->idle_last = c;
    return;
  }
  if (c->idle_prev != NULL)
    c->idle_prev->idle_next = c->idle_next;
  else
    s->idle_first = c->idle_next;
  if (c->idle_next != NULL)
    c->idle_next->idle_prev = c->idle_prev;
  else
    s->idle_last = c->idle_prev;
}

static void unlink_conn(http_conn *c) {
  http_server *s = c->server;

  set_idle(c, false);
  if (c->prev != NULL)
    c->prev->next = c->next;
  else
    s->conns = c->next;
  if (c->next != NULL)
    c->next->prev = c->prev;
  s->count--;
}

static void unmark(http_conn *c) {
  http_server *s = c->server;
  http_conn **at = &s->marked_first, *before = NULL;

  if (!c->marked)
    return;
  for (; *at != c; at = &(*at)->marked_next)
    before = *at;
  *at = c->marked_next;
  if (s->marked_last == c)
    s->marked_last = before;
  c->marked = false;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle) {
  http_conn *c = handle->data;
  http_server *s = c->server;

  if (--c->handles == 0) {
    exchange_clear(&c->x);
    text_free(&c->head);
    text_free(&c->rest);
    text_free(&c->out);
    text_free(&c->flying);
    free(c);
  }
  server_handle_closed(s);
}

static void leave(http_conn *c) {
  unmark(c);
  unlink_conn(c);
  c->state = CONN_CLOSED;
  c->x.open = false;
  uv_close((uv_handle_t *)&c->timer, on_closed);
  server_conn_gone(c->server);
}

void conn_close(http_conn *c) {
  if (c->state == CONN_CLOSED)
    return;
  leave(c);
  uv_close((uv_handle_t *)&c->h.stream, on_closed);
}

/* So that the client cannot take what it has for all there is. */
void conn_reset(http_conn *c) {
  if (c->state == CONN_CLOSED)
    return;
  leave(c);
  if (!c->tcp || uv_tcp_close_reset(&c->h.tcp, on_closed) != 0)
    uv_close((uv_handle_t *)&c->h.stream, on_closed);
}

bool conn_evict(http_server *s) {
  http_conn *c = s->idle_first;

  while (c != NULL && (conn_waiting(c) != 0 || c->rest.len != c->rest_at))
    c = c->idle_next;
  if (c != NULL)
    conn_close(c);
  return c != NULL;
}

void conn_gone(http_conn *c) {
  if (c->state == CONN_CLOSED)
    return;
  exchange_taken(&c->x);
  conn_close(c);
}

static void on_shutdown(uv_shutdown_t *req, int status) {
  http_conn *c = req->data;

  if (status < 0 && c->state == CONN_LINGER)
    conn_close(c);
}

static void shut(http_conn *c) {
  if (c->shut)
    return;
  c->shut = true;
  c->shutdown.data = c;
  if (uv_shutdown(&c->shutdown, &c->h.stream, on_shutdown) != 0)
    c->broken = true;
}

void conn_linger(http_conn *c) {
  if (c->state == CONN_CLOSED || c->state == CONN_LINGER)
    return;
  conn_enter(c, CONN_LINGER);
  conn_mark(c);
}

/* ---- what comes ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  http_conn *c = handle->data;
  size_t room = SERVER_SCRATCH, held = c->rest.len - c->rest_at;

  (void)suggested;
  if (held != 0)
    room = held < SERVER_HIGH ? SERVER_HIGH - held : 1;
  *buf = uv_buf_init(c->server->scratch, (unsigned)room);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  http_conn *c = stream->data;

  if (c->state == CONN_CLOSED || n == 0)
    return;
  c->read_ms = (int64_t)uv_now(c->server->loop);
  if (n == UV_EOF) {
    c->eof = true;
    c->reading = false;
  } else if (n < 0) {
    c->broken = true;
  }
  conn_work(c, buf->base, n > 0 ? (size_t)n : 0);
}

static void watch(http_conn *c) {
  bool wanted = !c->eof && (c->state == CONN_LINGER ||
                            c->rest.len - c->rest_at < SERVER_HIGH);

  if (wanted == c->reading || c->eof)
    return;
  c->reading = wanted;
  if (!wanted)
    (void)uv_read_stop(&c->h.stream);
  else if (uv_read_start(&c->h.stream, on_alloc, on_read) != 0)
    c->broken = true;
}

/* ---- work ---- */

static void drop_taken(http_conn *c, size_t taken) {
  c->rest_at += taken;
  if (c->rest_at < c->rest.len)
    return;
  c->rest_at = 0;
  if (c->rest.cap > SERVER_KEEP)
    text_free(&c->rest);
  else
    text_clear(&c->rest);
}

static void hold(http_conn *c, const char *data, size_t len) {
  if (c->rest_at != 0 && len != 0) {
    memmove(c->rest.data, c->rest.data + c->rest_at, c->rest.len - c->rest_at);
    text_cut(&c->rest, c->rest.len - c->rest_at);
    c->rest_at = 0;
  }
  if (len != 0)
    text_add(&c->rest, data, len);
  if (c->rest.failed)
    c->broken = true;
}

static void feed(http_conn *c, const char *data, size_t len) {
  size_t taken;

  c->feeding = true;
  if (c->rest.len != 0) {
    hold(c, data, len);
    taken = conn_feed(c, c->rest.data + c->rest_at, c->rest.len - c->rest_at);
    if (c->state != CONN_CLOSED)
      drop_taken(c, taken);
  } else {
    taken = conn_feed(c, data, len);
    if (c->state != CONN_CLOSED && taken < len)
      hold(c, data + taken, len - taken);
  }
  c->feeding = false;
}

static void finish_linger(http_conn *c) {
  if (c->state != CONN_LINGER || conn_waiting(c) != 0)
    return;
  if (c->eof)
    conn_close(c);
  else
    shut(c);
}

/* All that follows from what was read, or from what the caller has done. */
void conn_work(http_conn *c, const char *data, size_t len) {
  if (c->state == CONN_CLOSED)
    return;
  feed(c, data, len);
  if (!c->broken && c->state != CONN_CLOSED)
    conn_flush(c);
  if (!c->broken && c->state != CONN_CLOSED)
    conn_drained(c);
  if (!c->broken && c->state != CONN_CLOSED && c->eof &&
      c->rest.len == c->rest_at)
    conn_ended(c);
  if (!c->broken && c->state == CONN_TUNNEL && c->x.ended &&
      conn_waiting(c) == 0)
    shut(c);
  if (!c->broken)
    finish_linger(c);
  if (!c->broken && c->state != CONN_CLOSED)
    watch(c);
  if (c->broken)
    conn_gone(c);
  else if (c->state != CONN_CLOSED)
    conn_deadline(c);
}

/* ---- the beginning ---- */

void conn_enter(http_conn *c, enum conn_state state) {
  c->state = state;
  c->since_ms = (int64_t)uv_now(c->server->loop);
  set_idle(c, state == CONN_HEAD && c->head.len == 0);
}

static int open_stream(http_conn *c, int fd) {
  http_server *s = c->server;
  int rc;

  if (!c->tcp) {
    (void)uv_pipe_init(s->loop, &c->h.pipe, 0);
    return uv_pipe_open(&c->h.pipe, fd);
  }
  (void)uv_tcp_init(s->loop, &c->h.tcp);
  rc = uv_tcp_open(&c->h.tcp, fd);
  if (rc == 0)
    (void)uv_tcp_nodelay(&c->h.tcp, 1);
  return rc;
}

http_conn *conn_new(http_server *s, int fd, bool tcp, const char *peer) {
  http_conn *c = calloc(1, sizeof *c);
  int rc;

  if (c == NULL)
    return NULL;
  c->server = s;
  c->tcp = tcp;
  c->x.conn = c;
  memcpy(c->peer, peer, strlen(peer) + 1);
  c->next = s->conns;
  if (s->conns != NULL)
    s->conns->prev = c;
  s->conns = c;
  s->count++;
  rc = open_stream(c, fd);
  (void)uv_timer_init(s->loop, &c->timer);
  c->timer.data = c->h.stream.data = c;
  c->handles = 2;
  s->handles += 2;
  conn_enter(c, CONN_HEAD);
  c->read_ms = c->since_ms;
  if (rc != 0) {
    conn_close(c);
    return NULL;
  }
  watch(c);
  conn_deadline(c);
  return c;
}
