/* One thread and one poll for all connections; each has two sockets. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mem.h"

enum { PAIRS_MAX = 256, PIECE = 65536, CLIENT = 0, SERVER = 1 };

typedef struct pair {
  int fd[2];
  size_t sent;
} pair;

struct cft_relay {
  int listener, quit[2]; /* quit: a pipe whose end is the order */
  uint16_t port, target;
  pthread_t thread;
  pair pairs[PAIRS_MAX];
  size_t count;
  atomic_size_t accepted, ended, sent, resets, reset_after;
};

static struct sockaddr_in loopback(uint16_t port) {
  return (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void die(const char *what) {
  (void)fprintf(stderr, "test support: relay: %s: %s\n", what, strerror(errno));
  abort();
}

static void accept_one(cft_relay *r) {
  struct sockaddr_in to = loopback(r->target);
  int client = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC), server;

  if (client < 0)
    return;
  server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server < 0 || r->count == PAIRS_MAX ||
      connect(server, (struct sockaddr *)&to, sizeof to) != 0) {
    (void)close(client);
    if (server >= 0)
      (void)close(server);
    return;
  }
  r->pairs[r->count++] = (pair){{client, server}, 0};
  (void)atomic_fetch_add(&r->accepted, 1);
}

static bool send_all(int fd, const char *data, size_t len) {
  while (len != 0) {
    ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    data += n;
    len -= (size_t)n;
  }
  return true;
}

/* A close with unread bytes, and no lingering: RST at once. */
static void reset(cft_relay *r, pair *p) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};

  (void)setsockopt(p->fd[CLIENT], SOL_SOCKET, SO_LINGER, &at_once,
                   sizeof at_once);
  (void)atomic_fetch_add(&r->resets, 1);
}

/* False when the connection is over, in either direction. */
static bool pass(cft_relay *r, pair *p, int from) {
  static _Thread_local char piece[PIECE];
  size_t limit = atomic_load(&r->reset_after);
  ssize_t n = recv(p->fd[from], piece, sizeof piece, 0);

  if (n < 0 && errno == EINTR)
    return true;
  if (n <= 0) {
    if (from == CLIENT)
      (void)atomic_fetch_add(&r->ended, 1);
    return false;
  }
  if (from == CLIENT) {
    p->sent += (size_t)n;
    (void)atomic_fetch_add(&r->sent, (size_t)n);
    if (limit != 0 && p->sent >= limit) {
      reset(r, p);
      return false;
    }
  }
  return send_all(p->fd[1 - from], piece, (size_t)n);
}

static void drop(cft_relay *r, size_t i) {
  (void)close(r->pairs[i].fd[CLIENT]);
  (void)close(r->pairs[i].fd[SERVER]);
  r->pairs[i] = r->pairs[--r->count];
}

static void serve_pairs(cft_relay *r, const struct pollfd *fds, size_t count) {
  for (size_t i = count; i-- > 0;) {
    bool on = true;

    for (int side = 0; side < 2 && on; side++)
      if (fds[2 * i + (size_t)side].revents != 0)
        on = pass(r, &r->pairs[i], side);
    if (!on)
      drop(r, i);
  }
}

static void *run(void *user) {
  static _Thread_local struct pollfd fds[2 * PAIRS_MAX + 2];
  cft_relay *r = user;

  for (;;) {
    size_t count = r->count;

    for (size_t i = 0; i < 2 * count; i++)
      fds[i] =
          (struct pollfd){.fd = r->pairs[i / 2].fd[i % 2], .events = POLLIN};
    fds[2 * count] = (struct pollfd){.fd = r->listener, .events = POLLIN};
    fds[2 * count + 1] = (struct pollfd){.fd = r->quit[0], .events = POLLIN};
    if (poll(fds, 2 * count + 2, -1) < 0)
      continue;
    if (fds[2 * count + 1].revents != 0)
      return NULL;
    serve_pairs(r, fds, count);
    if (fds[2 * count].revents != 0)
      accept_one(r);
  }
}

cft_relay *cft_relay_start(uint16_t target) {
  cft_relay *r = cft_calloc(1, sizeof *r);
  struct sockaddr_in at = loopback(0);
  socklen_t len = sizeof at;

  r->target = target;
  r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (r->listener < 0 ||
      bind(r->listener, (struct sockaddr *)&at, sizeof at) != 0 ||
      listen(r->listener, PAIRS_MAX) != 0 ||
      getsockname(r->listener, (struct sockaddr *)&at, &len) != 0)
    die("cannot listen");
  r->port = ntohs(at.sin_port);
  if (pipe2(r->quit, O_CLOEXEC) != 0)
    die("no pipe");
  errno = pthread_create(&r->thread, NULL, run, r);
  if (errno != 0)
    die("no thread");
  return r;
}

uint16_t cft_relay_port(const cft_relay *relay) { return relay->port; }

size_t cft_relay_accepted(const cft_relay *relay) {
  return atomic_load(&relay->accepted);
}

size_t cft_relay_ended(const cft_relay *relay) {
  return atomic_load(&relay->ended);
}

size_t cft_relay_sent(const cft_relay *relay) {
  return atomic_load(&relay->sent);
}

void cft_relay_reset_after(cft_relay *relay, size_t bytes) {
  atomic_store(&relay->reset_after, bytes);
}

size_t cft_relay_resets(const cft_relay *relay) {
  return atomic_load(&relay->resets);
}

void cft_relay_stop(cft_relay *r) {
  if (r == NULL)
    return;
  (void)close(r->quit[1]);
  (void)pthread_join(r->thread, NULL);
  while (r->count != 0)
    drop(r, 0);
  (void)close(r->quit[0]);
  (void)close(r->listener);
  free(r);
}
