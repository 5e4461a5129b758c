/* The scripted peer itself: listening, one thread for each connection, counts
   and records, stop and restart. What a connection can do is in peer_conn.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mem.h"
#include "peer_int.h"
#include "timing.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Handlers are shallow; a thousand connections should not cost gigabytes. */
static const size_t STACK_BYTES = 512 * 1024;

/* ---- connections ---- */

static void list_add(cft_conn **list, cft_conn *conn) {
  conn->prev = NULL;
  conn->next = *list;
  if (*list)
    (*list)->prev = conn;
  *list = conn;
}

static void list_remove(cft_conn **list, cft_conn *conn) {
  if (conn->prev)
    conn->prev->next = conn->next;
  else
    *list = conn->next;
  if (conn->next)
    conn->next->prev = conn->prev;
}

static void *conn_main(void *arg) {
  cft_conn *conn = arg;
  cft_peer *peer = conn->peer;
  peer->handler(conn, peer->user);
  pthread_mutex_lock(&peer->mu);
  cft_conn_close_locked(conn);
  list_remove(&peer->active, conn);
  list_add(&peer->done, conn);
  pthread_cond_broadcast(&peer->changed);
  pthread_mutex_unlock(&peer->mu);
  return NULL;
}

/* Joins the threads that have ended. */
static void reap(cft_peer *peer) {
  pthread_mutex_lock(&peer->mu);
  cft_conn *list = peer->done;
  peer->done = NULL;
  pthread_mutex_unlock(&peer->mu);
  while (list) {
    cft_conn *next = list->next;
    pthread_join(list->thread, NULL);
    cft_conn_free(list);
    list = next;
  }
}

/* The lock is held while the thread is made: it cannot end, and so be joined,
   before its id is known. */
static bool start_conn(cft_peer *peer, cft_conn *conn) {
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  pthread_mutex_lock(&peer->mu);
  conn->number = peer->accepted + 1;
  bool ok = peer->open < CFT_CONN_MAX &&
            pthread_create(&conn->thread, &attr, conn_main, conn) == 0;
  if (ok) {
    peer->accepted++;
    peer->open++;
    if (peer->open > peer->open_max)
      peer->open_max = peer->open;
    list_add(&peer->active, conn);
    pthread_cond_broadcast(&peer->changed);
  }
  pthread_mutex_unlock(&peer->mu);
  pthread_attr_destroy(&attr);
  return ok;
}

static void accept_one(cft_peer *peer) {
  int one = 1, fd = accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) {
    /* out of descriptors: the test will show it; do not spin meanwhile */
    struct pollfd stop = {peer->stop_fd, POLLIN, 0};
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS)
      poll(&stop, 1, 10);
    return;
  }
  if (peer->addr.any.sa_family != AF_UNIX)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  cft_conn *conn = cft_calloc(1, sizeof *conn);
  conn->peer = peer;
  conn->fd = fd;
  conn->wake_fd = -1;
  if (!start_conn(peer, conn)) {
    fputs("test support: the peer cannot serve another connection\n", stderr);
    close(fd);
    cft_conn_free(conn);
  }
}

static void *accept_main(void *arg) {
  cft_peer *peer = arg;
  struct pollfd p[2] = {{peer->listen_fd, POLLIN, 0},
                        {peer->stop_fd, POLLIN, 0}};
  while (poll(p, 2, -1) < 0 || !p[1].revents) {
    if (p[0].revents)
      accept_one(peer);
    reap(peer);
    p[0].revents = p[1].revents = 0;
  }
  return NULL;
}

/* ---- life ---- */

cft_peer *cft_peer_reserve(const char *where, cft_handler handler, void *user) {
  pthread_condattr_t attr;
  cft_peer *peer = cft_calloc(1, sizeof *peer);
  peer->handler = handler;
  peer->user = user;
  peer->listen_fd = peer->stop_fd = -1;
  pthread_mutex_init(&peer->mu, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&peer->changed, &attr);
  pthread_condattr_destroy(&attr);
  cft_peer_bind(peer, where);
  return peer;
}

cft_peer *cft_peer_start(const char *where, cft_handler handler, void *user) {
  cft_peer *peer = cft_peer_reserve(where, handler, user);
  cft_peer_restart(peer);
  return peer;
}

void cft_peer_restart(cft_peer *peer) {
  if (peer->up)
    return;
  peer->stopping = false;
  peer->listen_fd = cft_peer_listener(peer);
  peer->stop_fd = eventfd(0, EFD_CLOEXEC);
  if (peer->stop_fd < 0 ||
      pthread_create(&peer->acceptor, NULL, accept_main, peer) != 0) {
    fputs("test support: the peer cannot start its thread\n", stderr);
    abort();
  }
  peer->up = true;
}

/* Ends a connection from outside its thread: whatever it waits for ends, and
   its thread closes it. Reading only is shut for RST: shutting the other
   direction would send FIN. */
static void end_conn(cft_conn *conn, enum cft_then then) {
  const struct linger now = {1, 0};
  if (conn->fd < 0)
    return;
  if (then == CFT_RST)
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  atomic_store(&conn->dropped, true);
  conn->drop_by = then;
  shutdown(conn->fd, then == CFT_RST ? SHUT_RD : SHUT_RDWR);
}

void cft_peer_drop(cft_peer *peer, enum cft_then then) {
  pthread_mutex_lock(&peer->mu);
  for (cft_conn *conn = peer->active; conn; conn = conn->next)
    end_conn(conn, then);
  pthread_mutex_unlock(&peer->mu);
}

void cft_peer_stop(cft_peer *peer) {
  const uint64_t one = 1;
  if (!peer->up)
    return;
  pthread_mutex_lock(&peer->mu);
  peer->stopping = true;
  pthread_mutex_unlock(&peer->mu);
  (void)!write(peer->stop_fd, &one, sizeof one);
  pthread_join(peer->acceptor, NULL);
  close(peer->listen_fd);
  close(peer->stop_fd);
  if (peer->addr.any.sa_family == AF_UNIX)
    unlink(peer->addr.un.sun_path);
  cft_peer_drop(peer, CFT_CLOSE);
  pthread_mutex_lock(&peer->mu);
  while (peer->active)
    pthread_cond_wait(&peer->changed, &peer->mu);
  pthread_mutex_unlock(&peer->mu);
  reap(peer);
  peer->up = false;
}

void cft_peer_free(cft_peer *peer) {
  if (!peer)
    return;
  cft_peer_stop(peer);
  cft_peer_forget(peer);
  free(peer->log);
  if (peer->free_user)
    peer->free_user(peer->user);
  if (peer->hold_fd >= 0)
    close(peer->hold_fd);
  pthread_cond_destroy(&peer->changed);
  pthread_mutex_destroy(&peer->mu);
  free(peer);
}

uint16_t cft_peer_port(const cft_peer *peer) { return peer->port; }

const char *cft_peer_url(const cft_peer *peer) { return peer->url; }

void cft_peer_set_prefix(cft_peer *peer, const char *prefix) {
  snprintf(peer->prefix, sizeof peer->prefix, "%s", prefix);
}

/* ---- what it has seen ---- */

/* Readers are const for the test; the lock inside is not. */
static cft_peer *lock(const cft_peer *peer) {
  union {
    const cft_peer *shown;
    cft_peer *real;
  } p = {.shown = peer};
  pthread_mutex_lock(&p.real->mu);
  return p.real;
}

static size_t read_count(const cft_peer *peer, const size_t *field) {
  cft_peer *p = lock(peer);
  size_t n = *field;
  pthread_mutex_unlock(&p->mu);
  return n;
}

size_t cft_peer_accepted(const cft_peer *peer) {
  return read_count(peer, &peer->accepted);
}

size_t cft_peer_open(const cft_peer *peer) {
  return read_count(peer, &peer->open);
}

size_t cft_peer_open_max(const cft_peer *peer) {
  return read_count(peer, &peer->open_max);
}

size_t cft_peer_malformed(const cft_peer *peer) {
  return read_count(peer, &peer->malformed);
}

static size_t count_locked(const cft_peer *peer, unsigned kinds) {
  size_t n = 0;
  for (unsigned i = 0; i < 1U << CFT_KIND_BITS; i++)
    if (i & kinds)
      n += peer->counts[i];
  return n;
}

size_t cft_peer_count(const cft_peer *peer, unsigned kinds) {
  cft_peer *p = lock(peer);
  size_t n = count_locked(p, kinds);
  pthread_mutex_unlock(&p->mu);
  return n;
}

const cft_request *cft_peer_request(const cft_peer *peer, unsigned kinds,
                                    size_t i) {
  const cft_request *found = NULL;
  cft_peer *p = lock(peer);
  for (size_t k = 0; k < p->logged && !found; k++)
    if ((p->log[k]->kind & kinds) && i-- == 0)
      found = p->log[k];
  pthread_mutex_unlock(&p->mu);
  return found;
}

void cft_peer_forget(cft_peer *peer) {
  pthread_mutex_lock(&peer->mu);
  for (size_t i = 0; i < peer->logged; i++)
    cft_request_free(peer->log[i]);
  peer->logged = 0;
  memset(peer->counts, 0, sizeof peer->counts);
  pthread_mutex_unlock(&peer->mu);
}

enum what { REQUESTS, ACCEPTED, OPEN };

static bool reached(const cft_peer *peer, enum what what, unsigned kinds,
                    size_t n) {
  switch (what) {
  case REQUESTS:
    return count_locked(peer, kinds) >= n;
  case ACCEPTED:
    return peer->accepted >= n;
  case OPEN:
    break;
  }
  return peer->open == n;
}

static bool wait_for(cft_peer *peer, enum what what, unsigned kinds, size_t n,
                     int64_t timeout_ms) {
  int64_t end = cft_now_ms() + timeout_ms;
  struct timespec until = {.tv_sec = (time_t)(end / 1000),
                           .tv_nsec = (long)(end % 1000) * 1000000};
  int late = 0;
  pthread_mutex_lock(&peer->mu);
  while (!reached(peer, what, kinds, n) && late == 0)
    late = pthread_cond_timedwait(&peer->changed, &peer->mu, &until);
  bool ok = reached(peer, what, kinds, n);
  pthread_mutex_unlock(&peer->mu);
  return ok;
}

bool cft_peer_wait_requests(cft_peer *peer, unsigned kinds, size_t n,
                            int64_t timeout_ms) {
  return wait_for(peer, REQUESTS, kinds, n, timeout_ms);
}

bool cft_peer_wait_accepted(cft_peer *peer, size_t n, int64_t timeout_ms) {
  return wait_for(peer, ACCEPTED, 0, n, timeout_ms);
}

bool cft_peer_wait_open(cft_peer *peer, size_t n, int64_t timeout_ms) {
  return wait_for(peer, OPEN, 0, n, timeout_ms);
}
