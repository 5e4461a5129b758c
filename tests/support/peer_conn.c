/* What a handler can do to its connection: see peer.h. Sending goes through the
   shape, so that any response can be sliced or cut at any byte. Nothing blocks
   beyond the end of the connection or the stop of the peer. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mem.h"
#include "peer_int.h"
#include "timing.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* How long RST waits for the other kernel to have taken what was sent. */
static const int64_t RST_WAIT_MS = 2000;

static bool gone(const cft_conn *conn) {
  return conn->fd < 0 || conn->was_cut || atomic_load(&conn->dropped);
}

size_t cft_conn_number(const cft_conn *conn) { return conn->number; }

cft_peer *cft_conn_peer(const cft_conn *conn) { return conn->peer; }

bool cft_conn_was_cut(const cft_conn *conn) { return conn->was_cut; }

/* ---- ending ---- */

/* Unread data would turn the FIN of close() into RST: it is read first. */
static void drain(int fd) {
  char waste[4096];
  for (int i = 0; i < 4096; i++)
    if (recv(fd, waste, sizeof waste, MSG_DONTWAIT) <= 0)
      return;
}

void cft_conn_close_locked(cft_conn *conn) {
  if (conn->fd < 0)
    return;
  if (conn->drop_by != CFT_RST) {
    shutdown(conn->fd, SHUT_WR);
    drain(conn->fd);
  }
  close(conn->fd);
  conn->fd = -1;
  conn->peer->open--;
  pthread_cond_broadcast(&conn->peer->changed);
}

void cft_conn_free(cft_conn *conn) {
  if (conn->wake_fd >= 0)
    close(conn->wake_fd);
  cft_request_free(conn->unlogged);
  free(conn->in);
  free(conn);
}

void cft_conn_close(cft_conn *conn) {
  pthread_mutex_lock(&conn->peer->mu);
  cft_conn_close_locked(conn);
  pthread_mutex_unlock(&conn->peer->mu);
}

/* The bytes sent must have arrived, or RST would take them back. */
static void wait_taken(const cft_conn *conn) {
  int64_t end = cft_now_ms() + RST_WAIT_MS;
  int left = 0;
  struct pollfd p = {conn->fd, POLLRDHUP, 0};
  while (ioctl(conn->fd, SIOCOUTQ, &left) == 0 && left > 0 &&
         cft_now_ms() < end && poll(&p, 1, 1) == 0) {
  }
}

void cft_conn_rst(cft_conn *conn) {
  const struct linger now = {1, 0};
  if (conn->fd < 0)
    return;
  wait_taken(conn);
  setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  pthread_mutex_lock(&conn->peer->mu);
  conn->drop_by = CFT_RST;
  cft_conn_close_locked(conn);
  pthread_mutex_unlock(&conn->peer->mu);
}

void cft_conn_end(cft_conn *conn) {
  if (conn->fd >= 0)
    shutdown(conn->fd, SHUT_WR);
}

void cft_conn_stall(cft_conn *conn) {
  char waste[4096];
  while (conn->fd >= 0) {
    ssize_t n = recv(conn->fd, waste, sizeof waste, 0);
    if (n == 0 || (n < 0 && errno != EINTR))
      return;
  }
}

void cft_conn_blackhole(cft_conn *conn) {
  struct pollfd p = {conn->fd, POLLRDHUP, 0};
  while (conn->fd >= 0 && poll(&p, 1, -1) < 0) {
  }
}

bool cft_conn_then(cft_conn *conn, enum cft_then then) {
  switch (then) {
  case CFT_KEEP:
    return !gone(conn);
  case CFT_CLOSE:
    cft_conn_close(conn);
    break;
  case CFT_RST:
    cft_conn_rst(conn);
    break;
  case CFT_SILENCE:
    cft_conn_stall(conn);
    break;
  case CFT_BLACKHOLE:
    cft_conn_blackhole(conn);
    break;
  case CFT_HALF_CLOSE:
    cft_conn_end(conn);
    cft_conn_stall(conn);
    break;
  }
  return false;
}

/* ---- reading and waiting ---- */

ssize_t cft_conn_recv(cft_conn *conn, void *data, size_t size) {
  for (;;) {
    if (gone(conn))
      return -1;
    ssize_t n = recv(conn->fd, data, size, 0);
    if (n >= 0 || errno != EINTR)
      return n;
  }
}

bool cft_conn_read(cft_conn *conn, void *data, size_t size, size_t *got) {
  *got = 0;
  if (conn->in_len) {
    *got = size < conn->in_len ? size : conn->in_len;
    memcpy(data, conn->in, *got);
    conn->in_len -= *got;
    memmove(conn->in, conn->in + *got, conn->in_len);
    return true;
  }
  ssize_t n = cft_conn_recv(conn, data, size);
  *got = n > 0 ? (size_t)n : 0;
  return n >= 0;
}

void cft_conn_wakeable(cft_conn *conn) {
  if (conn->wake_fd >= 0)
    return;
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) {
    perror("test support: eventfd");
    abort();
  }
  pthread_mutex_lock(&conn->peer->mu);
  conn->wake_fd = fd;
  pthread_mutex_unlock(&conn->peer->mu);
}

void cft_peer_wake(cft_peer *peer) {
  const uint64_t one = 1;
  pthread_mutex_lock(&peer->mu);
  for (cft_conn *conn = peer->active; conn; conn = conn->next)
    if (conn->wake_fd >= 0)
      (void)!write(conn->wake_fd, &one, sizeof one);
  pthread_mutex_unlock(&peer->mu);
}

static int poll_ms(int64_t until_ms) {
  int64_t left = until_ms < 0 ? -1 : until_ms - cft_now_ms();
  if (until_ms < 0)
    return -1;
  return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

enum cft_wait cft_conn_wait(cft_conn *conn, int64_t until_ms) {
  struct pollfd p[2] = {{conn->fd, POLLRDHUP, 0}, {conn->wake_fd, POLLIN, 0}};
  uint64_t count;
  for (;;) {
    if (gone(conn))
      return CFT_WAIT_GONE;
    int n = poll(p, 2, poll_ms(until_ms));
    if (n > 0 && p[0].revents)
      return CFT_WAIT_GONE;
    if (n > 0 && read(conn->wake_fd, &count, sizeof count) > 0)
      return CFT_WAIT_WOKEN;
    if (until_ms >= 0 && cft_now_ms() >= until_ms)
      return CFT_WAIT_TIME;
  }
}

bool cft_conn_wait_ms(cft_conn *conn, int64_t ms) {
  int64_t until_ms = cft_now_ms() + ms;
  enum cft_wait got;
  do
    got = cft_conn_wait(conn, until_ms);
  while (got == CFT_WAIT_WOKEN);
  return got == CFT_WAIT_TIME;
}

/* ---- sending ---- */

static bool send_raw(cft_conn *conn, const char *data, size_t len) {
  struct pollfd p = {conn->fd, POLLOUT | POLLRDHUP, 0};
  while (len) {
    if (gone(conn))
      return false;
    ssize_t n = send(conn->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      data += n;
      len -= (size_t)n;
    } else if (errno == EAGAIN) {
      /* the reader does not read: wait for it, or for its end */
      if (poll(&p, 1, -1) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
        return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return !gone(conn);
}

static bool send_slices(cft_conn *conn, const char *data, size_t len,
                        size_t slice) {
  while (slice && len > slice) {
    if (!send_raw(conn, data, slice))
      return false;
    data += slice;
    len -= slice;
  }
  return send_raw(conn, data, len);
}

/* Sends what the shape lets through; ends the connection where it cuts. */
static bool send_shaped(cft_conn *conn, const char *data, size_t len,
                        size_t slice) {
  const cft_shape *shape = &conn->shape;
  bool cut = false;
  if (gone(conn))
    return false;
  if (shape->slice)
    slice = shape->slice;
  if (shape->cut && len >= shape->cut_at - conn->shape_sent) {
    len = shape->cut_at - conn->shape_sent;
    cut = true;
  }
  bool ok = send_slices(conn, data, len, slice);
  conn->shape_sent += len;
  if (!cut)
    return ok;
  if (!ok)
    return false;
  if (shape->on_cut)
    shape->on_cut(shape->user);
  cft_conn_then(conn, shape->then == CFT_KEEP ? CFT_CLOSE : shape->then);
  conn->was_cut = true;
  return false;
}

void cft_conn_shape(cft_conn *conn, const cft_shape *shape) {
  conn->shape = shape ? *shape : (cft_shape){.slice = 0};
  conn->shape_sent = 0;
}

bool cft_conn_send(cft_conn *conn, const void *data, size_t len) {
  return send_shaped(conn, data, len, 0);
}

bool cft_conn_send_sliced(cft_conn *conn, const void *data, size_t len,
                          size_t slice) {
  return send_shaped(conn, data, len, slice);
}

bool cft_conn_sendf(cft_conn *conn, const char *format, ...) {
  cft_text text = {NULL, 0, 0};
  va_list args;
  va_start(args, format);
  cft_text_vaddf(&text, format, args);
  va_end(args);
  bool ok = cft_conn_send(conn, text.data, text.len);
  cft_text_free(&text);
  return ok;
}

bool cft_conn_chunk(cft_conn *conn, const void *data, size_t len) {
  cft_text text = {NULL, 0, 0};
  if (len == 0)
    return !gone(conn);
  cft_text_addf(&text, "%zx\r\n", len);
  cft_text_add(&text, data, len);
  cft_text_add(&text, "\r\n", 2);
  bool ok = cft_conn_send(conn, text.data, text.len);
  cft_text_free(&text);
  return ok;
}

bool cft_conn_last_chunk(cft_conn *conn) {
  return cft_conn_send(conn, "0\r\n\r\n", 5);
}

/* ---- responses ---- */

static const char *reason_of(int status) {
  switch (status) {
  case 200:
    return "OK";
  case 201:
    return "Created";
  case 202:
    return "Accepted";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 403:
    return "Forbidden";
  case 404:
    return "Object Not Found";
  case 409:
    return "Conflict";
  case 429:
    return "Too Many Requests";
  case 500:
    return "Internal Server Error";
  case 503:
    return "Service Unavailable";
  default:
    return "Whatever";
  }
}

static bool names_type(const char *headers) {
  return headers && strcasestr(headers, "Content-Type:") != NULL;
}

void cft_head_text(cft_text *text, int status, const char *headers) {
  cft_text_addf(text, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
  cft_text_adds(text, "Cache-Control: must-revalidate\r\n");
  if (!names_type(headers))
    cft_text_adds(text, "Content-Type: application/json\r\n");
  if (headers)
    cft_text_adds(text, headers);
}

bool cft_conn_respond(cft_conn *conn, int status, const char *headers,
                      const char *body) {
  cft_text text = {NULL, 0, 0};
  bool none = status == 204 || status == 304;
  cft_head_text(&text, status, headers);
  if (!none)
    cft_text_addf(&text, "Content-Length: %zu\r\n", strlen(body));
  cft_text_adds(&text, "\r\n");
  if (!none)
    cft_text_adds(&text, body);
  bool ok = cft_conn_send(conn, text.data, text.len);
  cft_text_free(&text);
  return ok;
}

bool cft_conn_chunked_head(cft_conn *conn, int status, const char *headers) {
  cft_text text = {NULL, 0, 0};
  cft_head_text(&text, status, headers);
  cft_text_adds(&text, "Transfer-Encoding: chunked\r\n\r\n");
  bool ok = cft_conn_send(conn, text.data, text.len);
  cft_text_free(&text);
  return ok;
}
