/* What goes to a client: collected while the loop is at it, tried at once, and
   what the socket does not take waits in one piece behind the one that flies.
 */
#include "common/http_send.h"
#include "common/http_server_state.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

size_t conn_waiting(const http_conn *c) {
  size_t flying = c->writing ? uv_stream_get_write_queue_size(&c->h.stream) : 0;

  return c->out.len + flying;
}

/* A slow client takes from the kernel's buffer for long before there is room in
   it for more of ours. */
size_t conn_unsent(const http_conn *c) {
  size_t unsent = uv_stream_get_write_queue_size(&c->h.stream);
  uv_os_fd_t fd;
  int held = 0;

  if (uv_fileno((const uv_handle_t *)&c->h.stream, &fd) == 0 &&
      ioctl(fd, SIOCOUTQ, &held) == 0 && held > 0)
    unsent += (size_t)held;
  return unsent;
}

static void on_written(uv_write_t *req, int status) {
  http_conn *c = req->data;

  c->writing = false;
  if (c->flying.cap > SERVER_HIGH)
    text_free(&c->flying);
  else
    text_clear(&c->flying);
  if (c->state == CONN_CLOSED)
    return;
  if (status < 0)
    c->broken = true;
  conn_mark(c);
}

/* What was collected, from `at` on, is given to libuv. */
static void fly(http_conn *c, size_t at) {
  text empty = c->flying;
  uv_buf_t buf;

  c->flying = c->out;
  c->out = empty;
  buf = uv_buf_init(c->flying.data + at, (unsigned)(c->flying.len - at));
  c->write.data = c;
  if (uv_write(&c->write, &c->h.stream, &buf, 1, on_written) != 0) {
    c->broken = true;
    return;
  }
  c->writing = true;
  c->moved_ms = (int64_t)uv_now(c->server->loop);
  c->moved_left = conn_unsent(c);
}

void conn_flush(http_conn *c) {
  uv_buf_t buf;
  int n;

  if (c->writing || c->out.len == 0 || c->broken)
    return;
  buf = uv_buf_init(c->out.data, (unsigned)c->out.len);
  n = http_send(&c->h.stream, &buf, 1);
  if (n < 0 && n != UV_EAGAIN) {
    c->broken = true;
    return;
  }
  if (n == (int)c->out.len) {
    if (c->out.cap > SERVER_HIGH)
      text_free(&c->out);
    else
      text_clear(&c->out);
    return;
  }
  fly(c, n > 0 ? (size_t)n : 0);
}

/* Large pieces are tried where they are, behind what was collected. */
static size_t try_direct(http_conn *c, const uv_buf_t *bufs, unsigned count) {
  uv_buf_t all[4];
  unsigned n = 0;
  size_t taken;
  int rc;

  if (c->out.len != 0)
    all[n++] = uv_buf_init(c->out.data, (unsigned)c->out.len);
  for (unsigned i = 0; i < count; i++)
    all[n++] = bufs[i];
  rc = http_send(&c->h.stream, all, n);
  if (rc < 0) {
    c->broken = rc != UV_EAGAIN;
    return 0;
  }
  taken = (size_t)rc;
  if (taken < c->out.len) {
    fly(c, taken);
    return 0;
  }
  taken -= c->out.len;
  text_clear(&c->out);
  return taken;
}

/* At most three. */
void conn_put(http_conn *c, const uv_buf_t *bufs, unsigned count) {
  size_t total = 0, skip = 0;

  for (unsigned i = 0; i < count; i++)
    total += bufs[i].len;
  if (total >= SERVER_DIRECT && !c->writing && !c->broken)
    skip = try_direct(c, bufs, count);
  for (unsigned i = 0; i < count; i++) {
    size_t gone = skip < bufs[i].len ? skip : bufs[i].len;

    text_add(&c->out, bufs[i].base + gone, bufs[i].len - gone);
    skip -= gone;
  }
  if (c->out.failed)
    c->broken = true;
  conn_mark(c);
}

void conn_drained(http_conn *c) {
  http_exchange *x = &c->x;

  if (!x->full || !x->open || conn_waiting(c) > SERVER_HIGH / 2)
    return;
  x->full = false;
  if (x->on_drain != NULL)
    x->on_drain(x, x->drain_ctx);
  if (c->state != CONN_CLOSED)
    conn_flush(c);
}
