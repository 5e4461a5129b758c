/* One connection to a server behind. Bytes are written at once where the kernel
   takes them, and copied where it does not; time limits cost nothing per byte:
   the timer is left running and looks again when it fires. */
#include "common/http_pool_state.h"
#include "common/http_send.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { KEPT_BUFFER = 4 * 1024 }; /* an idle link's memory for writing */

static int64_t now_of(const http_link *l) {
  return (int64_t)uv_now(l->io.handle.loop);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle) {
  http_link *l = handle->data;
  http_bucket *b = l->bucket;

  if (--l->handles != 0)
    return;
  text_free(&l->out);
  text_free(&l->flying);
  free(l);
  http_bucket_drop(b);
}

void http_link_close(http_link *l) {
  if (l->closing)
    return;
  l->closing = true;
  l->user = NULL;
  uv_close(&l->io.handle, on_closed);
  uv_close((uv_handle_t *)&l->timer, on_closed);
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static int64_t due_of(const http_link *l) {
  int64_t due = l->limit_ms, idle = l->moved_ms + l->idle_ms;

  if (l->idle_ms != 0 && (due == 0 || idle < due))
    due = idle;
  return due;
}

static void arm(http_link *l) {
  int64_t due = due_of(l), left = due - now_of(l);

  if (due == 0 || (l->due_ms != 0 && l->due_ms <= due))
    return;
  l->due_ms = due;
  uv_timer_start(&l->timer, on_timer, left > 0 ? (uint64_t)left : 0, 0);
}

static void on_timer(uv_timer_t *timer) {
  http_link *l = timer->data;
  int64_t due = due_of(l);

  l->due_ms = 0;
  if (l->failed != 0 && l->user != NULL) {
    l->user->on_broken(l, l->failed, l->ctx);
  } else if (l->failed != 0) {
    http_link_close(l);
  } else if (due != 0 && due > now_of(l)) {
    arm(l);
  } else if (due != 0) {
    l->limit_ms = 0;
    l->idle_ms = 0;
    if (l->leaving)
      http_link_close(l);
    else
      l->user->on_late(l, l->ctx);
  }
}

void http_link_limits(http_link *l, int64_t limit_ms, int64_t idle_ms) {
  l->limit_ms = limit_ms != 0 ? now_of(l) + limit_ms : 0;
  l->idle_ms = idle_ms;
  l->moved_ms = now_of(l);
  arm(l);
}

void http_link_touch(http_link *l) { l->moved_ms = now_of(l); }

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  http_link *l = handle->data;

  (void)suggested;
  *buf = uv_buf_init(l->bucket->pool->data, sizeof l->bucket->pool->data);
}

/* libuv tells a reset that comes with the last bytes as an end; a body that is
   as long as its connection would look whole. */
static int end_of(http_link *l) {
  uv_os_fd_t fd;
  int error = 0;
  socklen_t size = sizeof error;

  if (uv_fileno(&l->io.handle, &fd) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
    return UV_ECONNRESET;
  return error != 0 ? uv_translate_sys_error(error) : UV_EOF;
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf) {
  http_link *l = stream->data;

  if (len == 0)
    return;
  if (len == UV_EOF)
    len = end_of(l);
  if (len < 0) {
    l->ended = true;
    l->reading = false;
  }
  l->moved_ms = now_of(l);
  if (l->leaving) {
    if (len < 0 && len != UV_EOF)
      http_link_close(l);
  } else if (l->user == NULL) {
    /* Idle, and closed by the server; or it speaks without being asked. */
    http_pool_unlist(l);
    http_link_close(l);
  } else if (len > 0) {
    l->user->on_data(l, buf->base, (size_t)len, l->ctx);
  } else if (len == UV_EOF) {
    l->user->on_end(l, l->ctx);
  } else {
    l->user->on_broken(l, (int)len, l->ctx);
  }
}

void http_link_pause(http_link *l) {
  if (!l->reading)
    return;
  (void)uv_read_stop(&l->io.stream); /* cannot fail */
  l->reading = false;
}

void http_link_resume(http_link *l) {
  if (l->reading || !l->open || l->ended)
    return;
  if (uv_read_start(&l->io.stream, on_alloc, on_read) == 0)
    l->reading = true;
}

/* ---- writing ---- */

static void flush(http_link *l);

/* What can still be read is read: the answer may be there already. */
static void become_deaf(http_link *l) {
  l->deaf = true;
  text_clear(&l->out);
}

static void fail(http_link *l, int error) {
  become_deaf(l);
  l->failed = error;
  l->due_ms = now_of(l);
  uv_timer_start(&l->timer, on_timer, 0, 0);
}

static void on_shut(uv_shutdown_t *request, int status) {
  http_link *l = request->data;

  (void)status; /* it is closed or read to its end, whatever that was */
  if (l->leaving)
    http_link_close(l);
}

static void shut(http_link *l) {
  if (l->shut || !l->open || l->writing || l->out.len != 0)
    return;
  l->shut = true;
  l->shutdown.data = l;
  if (uv_shutdown(&l->shutdown, &l->io.stream, on_shut) != 0 && l->leaving)
    http_link_close(l);
}

static void on_written(uv_write_t *request, int status) {
  http_link *l = request->data;

  l->writing = false;
  text_clear(&l->flying);
  if (l->closing)
    return;
  if (status < 0)
    become_deaf(l);
  else
    l->moved_ms = now_of(l);
  if (l->out.len != 0) {
    flush(l);
    return;
  }
  if (l->ends)
    shut(l);
  if (l->drains && l->user != NULL) {
    l->drains = false;
    l->user->on_drain(l, l->ctx);
  }
}

static void flush(http_link *l) {
  text all = l->flying;
  uv_buf_t buf;

  if (!l->open || l->writing || l->out.len == 0)
    return;
  l->flying = l->out;
  l->out = all;
  text_clear(&l->out);
  buf = uv_buf_init(l->flying.data, (unsigned)l->flying.len);
  l->write.data = l;
  if (uv_write(&l->write, &l->io.stream, &buf, 1, on_written) == 0) {
    l->writing = true;
  } else {
    text_clear(&l->flying);
    become_deaf(l);
  }
}

size_t http_link_waiting(const http_link *l) {
  return l->out.len + l->flying.len;
}

size_t http_link_write(http_link *l, const uv_buf_t *bufs, unsigned count) {
  size_t done = 0, waiting;
  unsigned i;

  if (l->deaf || l->ends)
    return 0;
  if (l->open && http_link_waiting(l) == 0) {
    int written = http_send(&l->io.stream, bufs, count);

    if (written < 0 && written != UV_EAGAIN) {
      become_deaf(l);
      return 0;
    }
    if (written > 0) {
      done = (size_t)written;
      l->moved_ms = now_of(l);
    }
  }
  for (i = 0; i < count; i++) {
    size_t skip = done < bufs[i].len ? done : bufs[i].len;

    done -= skip;
    if (bufs[i].len != skip)
      text_add(&l->out, bufs[i].base + skip, bufs[i].len - skip);
  }
  if (l->out.failed) {
    fail(l, UV_ENOMEM);
    return 0;
  }
  flush(l);
  waiting = http_link_waiting(l);
  if (waiting > HTTP_LINK_HIGH)
    l->drains = true;
  return waiting;
}

void http_link_end(http_link *l) {
  l->ends = true;
  shut(l);
}

void http_link_finish(http_link *l, int64_t ms) {
  if (!l->open || l->deaf || l->shut) {
    http_link_close(l);
    return;
  }
  l->user = NULL;
  l->leaving = true;
  http_link_resume(l); /* or its end is never seen */
  http_link_limits(l, ms, 0);
  http_link_end(l);
}

/* ---- the beginning ---- */

static void on_connected(uv_connect_t *request, int status) {
  http_link *l = request->data;

  if (l->closing)
    return;
  if (status < 0) {
    l->user->on_broken(l, status, l->ctx);
    return;
  }
  l->open = true;
  if (l->io.handle.type == UV_TCP)
    (void)uv_tcp_nodelay(&l->io.tcp, 1); /* slower, not wrong, without */
  http_link_resume(l);
  flush(l);
  l->user->on_open(l, l->ctx);
}

static int connect_link(http_link *l) {
  const http_address *a = &l->bucket->address;

  l->connect.data = l;
  if (a->to.any.sa_family != AF_UNIX)
    return uv_tcp_connect(&l->connect, &l->io.tcp, &a->to.any, on_connected);
  uv_pipe_connect(&l->connect, &l->io.pipe, a->to.un.sun_path, on_connected);
  return 0;
}

static http_link *link_new(http_bucket *b, int *error) {
  http_link *l = calloc(1, sizeof *l);
  uv_loop_t *loop = b->pool->loop;

  *error = UV_ENOMEM;
  if (l == NULL)
    return NULL;
  if (b->address.to.any.sa_family == AF_UNIX)
    *error = uv_pipe_init(loop, &l->io.pipe, 0);
  else
    *error = uv_tcp_init(loop, &l->io.tcp);
  if (*error != 0) {
    free(l);
    return NULL;
  }
  (void)uv_timer_init(loop, &l->timer); /* cannot fail */
  l->io.handle.data = l;
  l->timer.data = l;
  l->handles = 2;
  l->bucket = b;
  b->refs++;
  return l;
}

http_link *http_link_get(http_bucket *b, bool fresh, const http_link_user *user,
                         void *ctx, int *error) {
  http_link *l = fresh ? NULL : http_pool_take(b);

  if (l != NULL) {
    b->pool->counts.reused++;
  } else {
    l = link_new(b, error);
    if (l == NULL)
      return NULL;
    *error = connect_link(l);
    if (*error != 0) {
      http_link_close(l);
      return NULL;
    }
    b->pool->counts.connects++;
  }
  l->user = user;
  l->ctx = ctx;
  return l;
}

bool http_link_rest(http_link *l) {
  if (!l->open || l->deaf || l->ends || l->ended || l->failed != 0 ||
      http_link_waiting(l) != 0)
    return false;
  http_link_resume(l); /* its end, or a word out of turn, is to be noticed */
  l->user = NULL;
  l->ctx = NULL;
  l->drains = false;
  l->limit_ms = 0;
  l->idle_ms = 0;
  if (l->out.cap > KEPT_BUFFER)
    text_free(&l->out);
  if (l->flying.cap > KEPT_BUFFER)
    text_free(&l->flying);
  return l->reading;
}
