/* Where a server listens, and how its connections come in. accept() is called
   here and not by libuv, which has no way to let them wait while there are no
   descriptors. */
#include "common/http_server_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024, ACCEPTED_AT_ONCE = 32, PAUSE_MS = 100 };

typedef union any_address {
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct sockaddr_un un;
} any_address;

/* ---- the address ---- */

static bool parse_port(const char *s, int *port) {
  char *end;
  long n;

  if (s[0] < '0' || s[0] > '9')
    return false;
  n = strtol(s, &end, 10);
  *port = (int)n;
  return *end == '\0' && n <= 65535;
}

/* The length of it, or 0. */
static socklen_t parse(const char *address, any_address *a) {
  const char *colon = strrchr(address, ':');
  char host[64];
  size_t len;
  int port;

  memset(a, 0, sizeof *a);
  if (strncmp(address, "unix:", 5) == 0) {
    len = strlen(address + 5);
    if (len == 0 || len >= sizeof a->un.sun_path)
      return 0;
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path, address + 5, len + 1);
    return (socklen_t)sizeof a->un;
  }
  if (colon == NULL || !parse_port(colon + 1, &port))
    return 0;
  len = (size_t)(colon - address);
  if (len >= 2 && address[0] == '[' && colon[-1] == ']') {
    (void)snprintf(host, sizeof host, "%.*s", (int)(len - 2), address + 1);
    return uv_ip6_addr(host, port, &a->in6) == 0 ? (socklen_t)sizeof a->in6 : 0;
  }
  (void)snprintf(host, sizeof host, "%.*s", (int)len, address);
  return uv_ip4_addr(host, port, &a->in) == 0 ? (socklen_t)sizeof a->in : 0;
}

static void write_address(http_server *s, const any_address *a) {
  char host[INET6_ADDRSTRLEN] = "";

  if (a->any.sa_family == AF_INET6) {
    (void)inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof host);
    (void)snprintf(s->address, sizeof s->address, "[%s]:%u", host,
                   (unsigned)ntohs(a->in6.sin6_port));
  } else if (a->any.sa_family == AF_INET) {
    (void)inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof host);
    (void)snprintf(s->address, sizeof s->address, "%s:%u", host,
                   (unsigned)ntohs(a->in.sin_port));
  } else {
    (void)snprintf(s->path, sizeof s->path, "%.*s", (int)sizeof s->path - 1,
                   a->un.sun_path);
    (void)snprintf(s->address, sizeof s->address, "unix:%s", s->path);
  }
}

/* A socket in the file system that nobody listens to any more is removed. */
static bool is_left_over(const any_address *a, socklen_t len) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool over;

  if (fd < 0)
    return false;
  over = connect(fd, &a->any, len) != 0 && errno == ECONNREFUSED;
  (void)close(fd);
  return over;
}

static bool bind_it(int fd, const any_address *a, socklen_t len) {
  if (bind(fd, &a->any, len) == 0)
    return true;
  if (errno != EADDRINUSE || a->any.sa_family != AF_UNIX)
    return false;
  if (!is_left_over(a, len)) {
    errno = EADDRINUSE;
    return false;
  }
  return unlink(a->un.sun_path) == 0 && bind(fd, &a->any, len) == 0;
}

static bool set_up(http_server *s, const any_address *a, socklen_t len) {
  int on = 1;

  if (a->any.sa_family != AF_UNIX) {
    if (setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
      return false;
    if (s->config.reuse_port &&
        setsockopt(s->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
      return false;
  }
  if (a->any.sa_family == AF_INET6 &&
      setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
    return false;
  return bind_it(s->fd, a, len) && listen(s->fd, BACKLOG) == 0;
}

/* ---- who comes ---- */

static void peer_of(const any_address *a, char *peer, size_t size) {
  static const unsigned char mapped[12] = {0, 0, 0, 0, 0,    0,
                                           0, 0, 0, 0, 0xff, 0xff};

  (void)snprintf(peer, size, "unix");
  if (a->any.sa_family == AF_INET)
    (void)inet_ntop(AF_INET, &a->in.sin_addr, peer, (socklen_t)size);
  else if (a->any.sa_family == AF_INET6 &&
           memcmp(&a->in6.sin6_addr, mapped, sizeof mapped) == 0)
    (void)inet_ntop(AF_INET, (const char *)&a->in6.sin6_addr + sizeof mapped,
                    peer, (socklen_t)size);
  else if (a->any.sa_family == AF_INET6)
    (void)inet_ntop(AF_INET6, &a->in6.sin6_addr, peer, (socklen_t)size);
}

/* Too many: one that waits for its next request makes place, else the new one
   is told so. */
static void take(http_server *s, int fd, const any_address *a) {
  char peer[INET6_ADDRSTRLEN];
  bool tcp = a->any.sa_family != AF_UNIX, refused = false;
  http_conn *c;

  if (s->count >= s->config.max_connections && !conn_evict(s)) {
    refused = true;
    if (s->count >= s->config.max_connections + SERVER_EXTRA) {
      (void)close(fd);
      return;
    }
  }
  peer_of(a, peer, sizeof peer);
  c = conn_new(s, fd, tcp, peer);
  if (c == NULL)
    (void)close(fd);
  else if (refused)
    conn_refuse(c, 503, "There are too many connections.");
}

static void on_pending(uv_poll_t *poll, int status, int events);

static void listen_again(uv_timer_t *timer) {
  http_server *s = timer->data;

  if (s->listening)
    (void)uv_poll_start(&s->poll, UV_READABLE, on_pending);
}

/* Level triggered: without the pause the loop would spin. */
static void pause_listening(http_server *s) {
  (void)uv_poll_stop(&s->poll);
  (void)uv_timer_start(&s->pause, listen_again, PAUSE_MS, 0);
}

static int accept_one(http_server *s, any_address *a) {
  socklen_t len = (socklen_t)sizeof *a;

  memset(a, 0, sizeof *a);
  return accept4(s->fd, &a->any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void on_pending(uv_poll_t *poll, int status, int events) {
  http_server *s = poll->data;

  (void)events;
  if (status < 0) {
    pause_listening(s);
    return;
  }
  for (int i = 0; i < ACCEPTED_AT_ONCE && s->listening; i++) {
    any_address a;
    int fd = accept_one(s, &a);

    if (fd >= 0) {
      take(s, fd, &a);
    } else if (errno == EAGAIN) {
      return;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
               errno == ENOMEM) {
      (void)conn_evict(s); /* whose descriptor is free soon */
      pause_listening(s);
      return;
    } /* else: it has gone already */
  }
}

/* Nobody is refused here: that would call the caller back. */
void server_accept_waiting(http_server *s) {
  while (s->listening && s->count < s->config.max_connections) {
    any_address a;
    int fd = accept_one(s, &a);

    if (fd >= 0)
      take(s, fd, &a);
    else if (errno != ECONNABORTED && errno != EINTR)
      return;
  }
}

/* ---- begin and end ---- */

bool server_listen(http_server *s, char *error, size_t error_size) {
  any_address a;
  socklen_t len = parse(s->config.address, &a), bound = (socklen_t)sizeof a;

  if (len == 0) {
    (void)snprintf(error, error_size,
                   "\"%s\" is not an address to listen on: it is IP:PORT, "
                   "[IP]:PORT or unix:/path",
                   s->config.address);
    return false;
  }
  s->fd =
      socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->fd < 0 || !set_up(s, &a, len) ||
      getsockname(s->fd, &a.any, &bound) != 0) {
    (void)snprintf(error, error_size, "cannot listen on %s: %s",
                   s->config.address, strerror(errno));
    if (s->fd >= 0)
      (void)close(s->fd);
    return false;
  }
  write_address(s, &a);
  if (uv_poll_init(s->loop, &s->poll, s->fd) != 0) {
    (void)snprintf(error, error_size, "cannot watch the socket of %s",
                   s->config.address);
    (void)close(s->fd);
    return false;
  }
  s->poll.data = s;
  s->handles++;
  s->listening = true;
  (void)uv_poll_start(&s->poll, UV_READABLE, on_pending);
  return true;
}

static void on_unlistened(uv_handle_t *handle) {
  server_handle_closed(handle->data);
}

void server_unlisten(http_server *s) {
  if (!s->listening)
    return;
  s->listening = false;
  (void)uv_poll_stop(&s->poll);
  uv_close((uv_handle_t *)&s->poll, on_unlistened);
  (void)close(s->fd);
  s->fd = -1;
  if (s->path[0] != '\0')
    (void)unlink(s->path);
}
