/* Addresses of the scripted peer: binding, holding a port while nobody listens
   on it, ports that refuse and ports that hang. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mem.h"
#include "peer_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

static void die(const char *what, const char *where) {
  fprintf(stderr, "test support: cannot %s %s: %s\n", what, where,
          strerror(errno));
  abort();
}

/* REUSEPORT lets the listener and the holder share the port; a bound socket
   that does not listen gets no connections, and the system gives its port to
   no one else. */
static int bound(const struct sockaddr *addr, socklen_t len) {
  int one = 1, fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  if (addr->sa_family != AF_UNIX &&
      (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
       setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)) {
    close(fd);
    return -1;
  }
  if (bind(fd, addr, len) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

static void set_inet(cft_peer *peer, bool six) {
  if (six) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&peer->addr.storage;
    in6->sin6_family = AF_INET6;
    in6->sin6_addr = in6addr_loopback;
    peer->addr_len = sizeof *in6;
  } else {
    struct sockaddr_in *in = (struct sockaddr_in *)&peer->addr.storage;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->addr_len = sizeof *in;
  }
}

static uint16_t port_of(const struct sockaddr_storage *addr) {
  if (addr->ss_family == AF_INET6)
    return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
  return ntohs(((const struct sockaddr_in *)addr)->sin_port);
}

static void bind_inet(cft_peer *peer, bool six) {
  set_inet(peer, six);
  socklen_t len = peer->addr_len;
  peer->hold_fd = bound(&peer->addr.any, len);
  if (peer->hold_fd < 0 ||
      getsockname(peer->hold_fd, &peer->addr.any, &len) != 0)
    die("bind a port of", six ? "::1" : "127.0.0.1");
  peer->port = port_of(&peer->addr.storage);
  snprintf(peer->url, sizeof peer->url, "http://%s:%u",
           six ? "[::1]" : "127.0.0.1", peer->port);
}

static void set_unix(cft_peer *peer, const char *path) {
  if (strlen(path) >= sizeof peer->addr.un.sun_path) {
    errno = ENAMETOOLONG;
    die("bind", path);
  }
  peer->addr.un.sun_family = AF_UNIX;
  snprintf(peer->addr.un.sun_path, sizeof peer->addr.un.sun_path, "%s", path);
  peer->addr_len = sizeof peer->addr.un;
  snprintf(peer->url, sizeof peer->url, "http://localhost");
}

void cft_peer_bind(cft_peer *peer, const char *where) {
  peer->hold_fd = -1;
  if (!where || strcmp(where, "127.0.0.1") == 0) {
    bind_inet(peer, false);
  } else if (strcmp(where, "::1") == 0) {
    bind_inet(peer, true);
  } else if (strncmp(where, "unix:", 5) == 0) {
    set_unix(peer, where + 5);
  } else {
    errno = EINVAL;
    die("listen on", where);
  }
}

int cft_peer_listener(cft_peer *peer) {
  if (peer->addr.any.sa_family == AF_UNIX)
    unlink(peer->addr.un.sun_path);
  int fd = bound(&peer->addr.any, peer->addr_len);
  if (fd < 0 || listen(fd, 1024) != 0)
    die("listen for", peer->url);
  return fd;
}

int cft_port_refusing(uint16_t *port) {
  struct sockaddr_in in = {.sin_family = AF_INET,
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof in;
  int fd = bound((struct sockaddr *)&in, len);
  if (fd >= 0 && getsockname(fd, (struct sockaddr *)&in, &len) != 0) {
    close(fd);
    return -1;
  }
  *port = ntohs(in.sin_port);
  return fd;
}

/* A backlog of 0 holds one connection; the kernel drops the SYN of all that
   follow for as long as nobody accepts. */
bool cft_port_hanging(uint16_t *port, int fds[2]) {
  struct sockaddr_in in = {.sin_family = AF_INET,
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  fds[0] = cft_port_refusing(port);
  fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  in.sin_port = htons(*port);
  if (fds[0] >= 0 && fds[1] >= 0 && listen(fds[0], 0) == 0 &&
      connect(fds[1], (struct sockaddr *)&in, sizeof in) == 0) {
    struct pollfd p = {fds[0], POLLIN, 0};
    if (poll(&p, 1, 5000) == 1) /* it is in the queue now */
      return true;
  }
  for (int i = 0; i < 2; i++)
    if (fds[i] >= 0)
      close(fds[i]);
  return false;
}
