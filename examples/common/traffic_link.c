/* Connections of visitors: made, from an address of their own, watched, kept,
   closed. What goes through them is in traffic_pass.c. */
#include "common/traffic_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SMALL_WINDOW = 4096 };

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle) {
  traffic_link *l = handle->data;

  if (--l->handles == 0)
    free(l);
}

static void leave_list(traffic_link *l) {
  traffic *t = l->t;

  *(l->older != NULL ? &l->older->newer : &t->oldest) = l->newer;
  *(l->newer != NULL ? &l->newer->older : &t->newest) = l->older;
  l->older = l->newer = NULL;
}

static void join_list(traffic_link *l) {
  traffic *t = l->t;

  l->older = t->newest;
  *(t->newest != NULL ? &t->newest->newer : &t->oldest) = l;
  t->newest = l;
}

void traffic_link_close(traffic_link *l, bool reset) {
  struct linger now = {1, 0};

  if (l->closing)
    return;
  l->closing = true;
  if (l->kept)
    traffic_count(l->t, &l->t->shared.counts.kept, -1);
  l->kept = false;
  leave_list(l);
  (void)uv_poll_stop(&l->poll);
  uv_close((uv_handle_t *)&l->poll, on_closed);
  uv_close((uv_handle_t *)&l->timer, on_closed);
  if (reset)
    (void)setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  (void)close(l->fd);
}

/* ---- what comes ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static int64_t earlier(int64_t a, int64_t b) {
  return a == 0 || (b != 0 && b < a) ? b : a;
}

static void on_timer(uv_timer_t *timer) {
  traffic_link *l = timer->data;

  traffic_pass_time(l, traffic_now_us());
}

void traffic_link_arm(traffic_link *l) {
  int64_t first = earlier(l->due_us, earlier(l->write_us, l->read_us));
  int64_t left = first - traffic_now_us(), pause;
  int events = 0;

  if (l->closing)
    return;
  if (first != 0)
    (void)uv_timer_start(&l->timer, on_timer,
                         left > 0 ? (uint64_t)(left + 999) / 1000 : 0, 0);
  else
    (void)uv_timer_stop(&l->timer);
  if (l->connecting || (l->first != NULL && l->write_us == 0 && l->deaf == 0 &&
                        traffic_request_next(&l->first->request, &pause) != 0))
    events |= UV_WRITABLE;
  if (!l->connecting && l->read_us == 0)
    events |= UV_READABLE;
  (void)uv_poll_start(&l->poll, events, on_poll);
}

static void on_connected(traffic_link *l) {
  int error = 0;
  socklen_t size = sizeof error;

  if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
    error = errno;
  if (error != 0) {
    traffic_pass_fail(l, TRAFFIC_NOT_CONNECTED,
                      uv_strerror(uv_translate_sys_error(error)));
    return;
  }
  l->connecting = false;
  traffic_pass_send(l);
}

static void read_some(traffic_link *l) {
  const traffic_request *r = l->first != NULL ? &l->first->request : NULL;
  bool small = r != NULL && (r->reads_slowly || r->enough != 0);
  size_t most = small ? SMALL_WINDOW : sizeof l->t->data;
  ssize_t n = recv(l->fd, l->t->data, most, MSG_DONTWAIT);

  if (n > 0)
    traffic_pass_data(l, l->t->data, (size_t)n);
  else if (n == 0)
    traffic_pass_broken(l, l->deaf);
  else if (errno != EAGAIN && errno != EINTR)
    traffic_pass_broken(l, errno);
}

/* An error is told by what reading says next: there may be bytes before it. */
static void on_poll(uv_poll_t *poll, int status, int events) {
  traffic_link *l = poll->data;

  if (l->connecting) {
    on_connected(l);
  } else {
    if (status < 0 || (events & UV_READABLE) != 0)
      read_some(l);
    if (!l->closing && (events & UV_WRITABLE) != 0 && l->first != NULL)
      traffic_pass_send(l);
  }
  traffic_link_arm(l);
}

/* ---- the beginning ---- */

/* Out of so many addresses; the port is left for connect to choose, because one
   is enough for each other end. */
static bool come_from(traffic_link *l, traffic_dice *d) {
  traffic *t = l->t;
  struct sockaddr_in at = {.sin_family = AF_INET};
  int on = 1;

  at.sin_addr.s_addr = htonl(t->source + traffic_below(d, t->config.sources));
  (void)setsockopt(l->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  return bind(l->fd, (struct sockaddr *)&at, sizeof at) == 0;
}

static socklen_t size_of(const http_address *address) {
  return address->to.any.sa_family == AF_INET6 ? sizeof address->to.in6
                                               : sizeof address->to.in;
}

static bool begin_connect(traffic_link *l, const traffic_place *place,
                          bool slow, traffic_dice *d) {
  const http_address *to = &place->address;
  struct sockaddr_in own = {0};
  socklen_t size = sizeof own;
  int on = 1, small = SMALL_WINDOW;

  (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (slow)
    (void)setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  if (l->t->source != 0 && to->to.any.sa_family == AF_INET && !come_from(l, d))
    return false;
  if (connect(l->fd, &to->to.any, size_of(to)) != 0 && errno != EINPROGRESS)
    return false;
  if (getsockname(l->fd, (struct sockaddr *)&own, &size) == 0 &&
      own.sin_family == AF_INET)
    (void)uv_ip4_name(&own, l->source, sizeof l->source);
  return true;
}

static bool watch(traffic_link *l) {
  int failed = uv_poll_init(&l->t->loop, &l->poll, l->fd);

  if (failed != 0) {
    errno = -failed; /* as libuv makes its own */
    return false;
  }
  (void)uv_timer_init(&l->t->loop, &l->timer);
  l->poll.data = l->timer.data = l;
  l->handles = 2;
  return true;
}

traffic_link *traffic_link_open(traffic *t, const traffic_place *place,
                                int target, bool slow, traffic_dice *d,
                                const char **why) {
  traffic_link *l = calloc(1, sizeof *l);

  *why = "There was no memory for a connection.";
  if (l == NULL)
    return NULL;
  l->t = t;
  l->target = target;
  l->generation = place->generation;
  l->connecting = true;
  l->fd = socket(place->address.to.any.sa_family,
                 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (l->fd < 0 || !begin_connect(l, place, slow, d) || !watch(l)) {
    *why = uv_strerror(uv_translate_sys_error(errno));
    if (l->fd >= 0)
      (void)close(l->fd);
    free(l);
    return NULL;
  }
  join_list(l);
  traffic_count(t, &t->shared.counts.connects, 1);
  return l;
}

void traffic_link_carry(traffic_link *l, traffic_visit *v,
                        traffic_visit *second) {
  l->first = v;
  l->second = second;
  l->due_us = traffic_visit_due_us(v);
  l->write_us = l->read_us = 0;
  l->rested = false;
  v->link = l;
  memcpy(v->source, l->source, sizeof v->source);
  if (second != NULL) {
    second->link = l;
    memcpy(second->source, l->source, sizeof second->source);
  }
  if (!l->connecting)
    traffic_pass_send(l);
  traffic_link_arm(l);
}

/* ---- kept ones ---- */

/* The one that has waited longest, so that all of them are used. */
traffic_link *traffic_link_kept(traffic *t, int target, unsigned generation) {
  for (traffic_link *l = t->oldest; l != NULL; l = l->newer) {
    if (!l->kept || l->target != target || l->generation != generation)
      continue;
    l->kept = false;
    traffic_count(t, &t->shared.counts.kept, -1);
    return l;
  }
  return NULL;
}

void traffic_link_keep(traffic_link *l) {
  traffic *t = l->t;
  traffic_counts now = traffic_get_counts(t);

  l->due_us = l->write_us = l->read_us = 0;
  if (now.kept >= t->config.kept_most) {
    traffic_link_close(l, false);
    return;
  }
  leave_list(l);
  join_list(l);
  l->kept = true;
  traffic_count(t, &t->shared.counts.kept, 1);
}

static bool is_stale(const traffic_link *l, const traffic_place *place) {
  return !place->up || place->generation != l->generation;
}

void traffic_link_sweep(traffic *t) {
  traffic_place places[TRAFFIC_TARGETS];
  traffic_link *next;

  (void)pthread_mutex_lock(&t->lock);
  memcpy(places, t->shared.places, sizeof places);
  (void)pthread_mutex_unlock(&t->lock);
  for (traffic_link *l = t->oldest; l != NULL; l = next) {
    next = l->newer;
    if (l->kept && is_stale(l, &places[l->target]))
      traffic_link_close(l, false);
  }
}

void traffic_link_stop(traffic *t) {
  while (t->oldest != NULL) {
    if (t->oldest->first != NULL)
      traffic_pass_fail(t->oldest, TRAFFIC_STOPPED, "");
    else
      traffic_link_close(t->oldest, false);
  }
}
