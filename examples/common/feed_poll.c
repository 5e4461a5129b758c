/* See feed_poll.h. */
#include "common/feed_poll.h"

#include <stdlib.h>

struct feed_poll {
  uv_poll_t handle; /* its data: the feed_poll, to be freed with it */
  changefeed_loop *feeds;
  void (*after)(void *ctx, int rc);
  void *ctx;
};

static void on_ready(uv_poll_t *handle, int status, int events) {
  feed_poll *p = handle->data;
  int rc = changefeed_loop_dispatch(p->feeds);

  (void)status; /* an error of the descriptor's is one of dispatch, too */
  (void)events;
  if (rc < 0)
    (void)uv_poll_stop(&p->handle);
  p->after(p->ctx, rc);
}

bool feed_poll_resume(feed_poll *p) {
  return uv_poll_start(&p->handle, UV_READABLE, on_ready) == 0;
}

static void on_closed(uv_handle_t *handle) { free(handle->data); }

feed_poll *feed_poll_open(uv_loop_t *loop, changefeed_loop *feeds,
                          void (*after)(void *ctx, int rc), void *ctx) {
  int fd = changefeed_loop_fd(feeds);
  feed_poll *p = fd >= 0 ? calloc(1, sizeof *p) : NULL;

  if (p == NULL)
    return NULL;
  if (uv_poll_init(loop, &p->handle, fd) != 0) {
    free(p);
    return NULL;
  }
  p->handle.data = p;
  p->feeds = feeds;
  p->after = after;
  p->ctx = ctx;
  if (feed_poll_resume(p))
    return p;
  feed_poll_close(p);
  return NULL;
}

void feed_poll_close(feed_poll *p) {
  if (p == NULL)
    return;
  (void)uv_poll_stop(&p->handle);
  uv_close((uv_handle_t *)&p->handle, on_closed);
}
