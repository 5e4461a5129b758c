/*
 * epoll over listeners and connections; see front.h.
 */
#include "front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256 };

static int64_t clock_of(clockid_t clock) {
  struct timespec t;
  (void)clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void read_clocks(couch_front *f) {
  f->clock_ms = clock_of(CLOCK_MONOTONIC);
  f->world.now_ms = clock_of(CLOCK_REALTIME) + f->control.ahead_ms;
}

static bool watch(int poll, int op, int fd, uint32_t events, void *what) {
  struct epoll_event event = {.events = events, .data.ptr = what};
  return epoll_ctl(poll, op, fd, &event) == 0;
}

static int bound_to(unsigned *port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)*port)};
  socklen_t len = sizeof address;
  int on = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0)
    return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
    (void)close(fd);
    return -1;
  }
  *port = ntohs(address.sin_port);
  return fd;
}

static bool open_one(couch_server *s, couch_listen *l) {
  if (l->hold < 0)
    l->hold = bound_to(&l->port);
  if (l->hold >= 0)
    l->fd = bound_to(&l->port);
  if (l->fd >= 0 && listen(l->fd, 1024) == 0 &&
      watch(s->poll, EPOLL_CTL_ADD, l->fd, EPOLLIN, l))
    return true;
  (void)fprintf(stderr, "couchsim: cannot listen on 127.0.0.1:%u: %s\n",
                l->port, strerror(errno));
  return false;
}

static void close_one(couch_listen *l) {
  if (l->fd >= 0)
    (void)close(l->fd);
  if (l->hold >= 0)
    (void)close(l->hold);
}

bool couch_server_open(couch_server *s, unsigned port, unsigned control_port) {
  s->poll = epoll_create1(EPOLL_CLOEXEC);
  s->control = (couch_listen){-1, -1, control_port};
  for (unsigned i = 0; i < COUCH_NODES; i++)
    s->nodes[i] = (couch_listen){-1, -1, port > 0 ? port + i : 0};
  if (s->poll < 0) {
    perror("couchsim: epoll_create1");
    return false;
  }
  for (unsigned i = 0; i < s->front.world.nodes; i++)
    if (!open_one(s, &s->nodes[i]))
      return false;
  read_clocks(&s->front);
  return open_one(s, &s->control);
}

/* ---- connections ---- */

static int node_of(const couch_server *s, const couch_listen *l) {
  return l == &s->control ? -1 : (int)(l - s->nodes);
}

static void accept_all(couch_server *s, const couch_listen *l) {
  for (int i = 0; i < 64; i++) {
    int on = 1;
    couch_conn *c;
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
      return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c = couch_conn_new(fd, node_of(s, l));
    c->watched = EPOLLIN;
    if (!watch(s->poll, EPOLL_CTL_ADD, fd, EPOLLIN, c)) {
      couch_conn_free(&s->front, c);
      continue;
    }
    s->conns =
        couch_room(s->conns, &s->conn_cap, s->conn_count, sizeof *s->conns);
    s->conns[s->conn_count++] = c;
    s->front.book.accepted++;
  }
}

static bool is_listener(const couch_server *s, const void *what) {
  return what == &s->control ||
         ((const char *)what >= (const char *)s->nodes &&
          (const char *)what < (const char *)(s->nodes + COUCH_NODES));
}

static void rewatch(couch_server *s, couch_conn *c) {
  uint32_t events = (couch_conn_wants_read(c) ? EPOLLIN : 0U) |
                    (couch_conn_wants_write(c) ? EPOLLOUT : 0U);
  if (c->state == COUCH_CLOSED || events == c->watched)
    return;
  c->watched = events;
  (void)watch(s->poll, EPOLL_CTL_MOD, c->fd, events, c);
}

/* What the control port ordered that concerns sockets: done before the order
   is answered, so that who gave it can rely on it. */
static void obey(couch_server *s) {
  couch_control *o = &s->front.control;
  for (unsigned i = 0; i < s->front.world.nodes; i++) {
    couch_listen *l = &s->nodes[i];
    bool up = s->front.world.up[i];
    if (up && l->fd < 0)
      (void)open_one(s, l);
    if (up || l->fd < 0)
      continue;
    (void)close(l->fd);
    l->fd = -1;
    for (size_t k = 0; k < s->conn_count; k++)
      if (s->conns[k]->node == (int)i)
        couch_conn_close(&s->front, s->conns[k], false);
  }
  if (o->close_feeds || o->close_all)
    for (size_t k = 0; k < s->conn_count; k++) {
      couch_conn *c = s->conns[k];
      if (c->node >= 0 && (o->close_node < 0 || c->node == o->close_node) &&
          (o->close_all || c->reply.feed != NULL))
        couch_conn_close(&s->front, c, o->reset);
    }
  o->close_feeds = o->close_all = o->reset = false;
}

static void happened(couch_server *s, const struct epoll_event *event) {
  couch_conn *c = event->data.ptr;
  if (is_listener(s, event->data.ptr)) {
    accept_all(s, event->data.ptr);
    return;
  }
  if (c->state == COUCH_CLOSED)
    return;
  if ((event->events & (EPOLLHUP | EPOLLERR)) != 0 &&
      (event->events & EPOLLIN) == 0) {
    couch_conn_close(&s->front, c, false);
    return;
  }
  if ((event->events & EPOLLIN) != 0)
    couch_conn_readable(&s->front, c);
  if (c->node < 0)
    obey(s);
  if (c->state != COUCH_CLOSED) {
    couch_conn_turn(&s->front, c);
    rewatch(s, c);
  }
}

/* Feeds with news, and what is due. Returns when to come again at the latest.
 */
static int64_t turn_all(couch_server *s) {
  int64_t due = couch_late_due_ms(&s->front);
  size_t kept = 0;
  for (size_t i = 0; i < s->conn_count; i++) {
    couch_conn *c = s->conns[i];
    int64_t at = couch_conn_due_ms(c);
    if (at <= s->front.clock_ms || couch_conn_has_news(&s->front, c)) {
      couch_conn_turn(&s->front, c);
      rewatch(s, c);
      at = couch_conn_due_ms(c);
    }
    if (c->state == COUCH_CLOSED) {
      couch_conn_free(&s->front, c);
      continue;
    }
    s->conns[kept++] = c;
    if (couch_conn_has_news(&s->front, c))
      at = s->front.clock_ms;
    if (at < due)
      due = at;
  }
  s->conn_count = kept;
  s->front.book.connections = kept;
  return due;
}

void couch_server_run(couch_server *s, const volatile int *stop) {
  struct epoll_event events[EVENTS];
  int64_t due = 0;
  while (*stop == 0 && !s->front.control.quit) {
    int64_t wait = due - s->front.clock_ms;
    int n = epoll_wait(s->poll, events, EVENTS,
                       wait <= 0 ? 0 : (int)(wait < 60000 ? wait : 60000));
    if (n < 0 && errno != EINTR) {
      perror("couchsim: epoll_wait");
      return;
    }
    read_clocks(&s->front);
    for (int i = 0; i < n; i++)
      happened(s, &events[i]);
    couch_late_turn(&s->front);
    due = turn_all(s);
  }
}

void couch_server_close(couch_server *s) {
  for (size_t i = 0; i < s->conn_count; i++)
    couch_conn_free(&s->front, s->conns[i]);
  free(s->conns);
  for (unsigned i = 0; i < COUCH_NODES; i++)
    close_one(&s->nodes[i]);
  close_one(&s->control);
  if (s->poll >= 0)
    (void)close(s->poll);
  for (size_t i = 0; i < s->front.late_count; i++)
    couch_request_free(&s->front.late[i].request);
  free(s->front.late);
  couch_rules_free(&s->front.rules);
  free(s->front.rules.rule);
  couch_book_free(&s->front.book);
  couch_world_free(&s->front.world);
}
