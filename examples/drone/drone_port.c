/*
 * An app's private port; see drone_port.h. The port is free when it is picked
 * and the app's only when it listens there: between the two another program may
 * take it, so it is asked whose the listening socket is before a visitor is
 * sent there.
 */
#include "drone/drone_port.h"
#include "drone/drone_sweep.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int try_bind(int port) {
  struct sockaddr_in a;
  socklen_t len = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), got = 0, on = 1;

  if (fd < 0)
    return 0;
  /* What a last run's connections have left at a port is no hindrance; somebody
     who listens there is. */
  if (port != 0)
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  memset(&a, 0, sizeof a);
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a.sin_port = htons((uint16_t)port);
  if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
      getsockname(fd, (struct sockaddr *)&a, &len) == 0)
    got = ntohs(a.sin_port);
  (void)close(fd);
  return got;
}

int drone_port_pick(int low, int high, int last) {
  int tries, port, got;

  if (low == 0) {
    for (tries = 0; tries < 16; tries++)
      if ((got = try_bind(0)) != last)
        return got;
    return 0;
  }
  /* On from the last one, so that a port rests before it is used again. */
  port = last >= low && last < high ? last + 1 : low;
  for (tries = 0; tries <= high - low; tries++) {
    if ((got = try_bind(port)) != 0)
      return got;
    port = port < high ? port + 1 : low;
  }
  errno = EADDRINUSE;
  return 0;
}

/* ---- whose it is ---- */

enum { INODES = 64 };

typedef struct listeners {
  unsigned inodes[INODES];
  size_t count;
  bool known;
} listeners;

static bool ask_listeners(int fd, int family) {
  struct {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
  } ask;

  memset(&ask, 0, sizeof ask);
  ask.head.nlmsg_len = sizeof ask;
  ask.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  ask.body.sdiag_family = (uint8_t)family;
  ask.body.sdiag_protocol = IPPROTO_TCP;
  ask.body.idiag_states = 1U << TCP_LISTEN;
  return send(fd, &ask, sizeof ask, 0) == (ssize_t)sizeof ask;
}

/* false: the last message has come, or an error. */
static bool take_listeners(listeners *l, int fd, int port) {
  union {
    struct nlmsghdr head;
    char bytes[16384];
  } in;
  ssize_t len = recv(fd, &in, sizeof in, 0);
  struct nlmsghdr *h;

  for (h = &in.head; len > 0 && NLMSG_OK(h, (size_t)len);
       h = NLMSG_NEXT(h, len)) {
    const struct inet_diag_msg *m = NLMSG_DATA(h);

    if (h->nlmsg_type == NLMSG_DONE) {
      l->known = true;
      return false;
    }
    if (h->nlmsg_type == NLMSG_ERROR)
      return false;
    if (ntohs(m->id.idiag_sport) == port && l->count < INODES)
      l->inodes[l->count++] = m->idiag_inode;
  }
  return len >= 0;
}

static bool find_listeners(listeners *l, int port) {
  static const int families[] = {AF_INET, AF_INET6};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  struct timeval patience = {1, 0};
  size_t i;

  memset(l, 0, sizeof *l);
  if (fd < 0)
    return false;
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  for (i = 0; i < 2; i++) {
    l->known = false;
    if (!ask_listeners(fd, families[i]))
      break;
    while (take_listeners(l, fd, port))
      ;
    /* Without IPv6 in the kernel the second question is an error. */
    if (!l->known && i == 0)
      break;
    l->known = true;
  }
  (void)close(fd);
  return l->known;
}

static bool has_socket(pid_t pid, const listeners *l) {
  char path[64], link[64];
  struct dirent *entry;
  bool found = false;
  DIR *d;

  (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  d = opendir(path);
  while (!found && d != NULL && (entry = readdir(d)) != NULL) {
    ssize_t n = readlinkat(dirfd(d), entry->d_name, link, sizeof link - 1);
    size_t i;

    link[n < 0 ? 0 : n] = '\0';
    if (strncmp(link, "socket:[", 8) != 0)
      continue;
    for (i = 0; !found && i < l->count; i++)
      found = strtoul(link + 8, NULL, 10) == l->inodes[i];
  }
  if (d != NULL)
    (void)closedir(d);
  return found;
}

/* Whether pid comes from root: up by its parents. */
static bool descends(pid_t pid, pid_t root) {
  drone_process p;
  int steps;

  for (steps = 0; steps < 1000 && pid > 1; steps++) {
    if (pid == root)
      return true;
    if (!drone_process_read(pid, &p))
      return false;
    pid = p.parent;
  }
  return false;
}

bool drone_port_is_of(int port, pid_t root) {
  listeners l;
  struct dirent *entry;
  bool found = false;
  DIR *proc;

  if (!find_listeners(&l, port))
    return true;
  proc = l.count != 0 ? opendir("/proc") : NULL;
  while (!found && proc != NULL && (entry = readdir(proc)) != NULL) {
    char *end;
    long pid = strtol(entry->d_name, &end, 10);

    found = *end == '\0' && pid > 0 && descends((pid_t)pid, root) &&
            has_socket((pid_t)pid, &l);
  }
  if (proc != NULL)
    (void)closedir(proc);
  return found;
}

/* ---- whether it answers ---- */

typedef struct attempt {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } to;
  uv_connect_t connect;
  uv_timer_t timer;
  int open, status;
  bool over;
  void (*done)(void *ctx, int status);
  void *ctx;
} attempt;

static void on_closed(uv_handle_t *h) {
  attempt *a = h->data;

  if (--a->open != 0)
    return;
  a->done(a->ctx, a->status);
  free(a);
}

static void finish(attempt *a, int status) {
  if (a->over)
    return;
  a->over = true;
  a->status = status;
  uv_close(&a->to.handle, on_closed);
  uv_close((uv_handle_t *)&a->timer, on_closed);
}

static void on_connected(uv_connect_t *c, int status) {
  finish(c->data, status);
}

static void on_late(uv_timer_t *t) { finish(t->data, UV_ETIMEDOUT); }

int drone_port_try(uv_loop_t *loop, const char *address, int64_t ms,
                   void (*done)(void *ctx, int status), void *ctx) {
  attempt *a = calloc(1, sizeof *a);
  bool is_unix = strncmp(address, "unix:", 5) == 0;
  struct sockaddr_in in;
  int failed;

  if (a == NULL)
    return UV_ENOMEM;
  a->done = done;
  a->ctx = ctx;
  failed = is_unix ? uv_pipe_init(loop, &a->to.pipe, 0)
                   : uv_tcp_init(loop, &a->to.tcp);
  if (failed != 0) {
    free(a);
    return failed;
  }
  a->open = 2;
  (void)uv_timer_init(loop, &a->timer);
  a->to.handle.data = a->timer.data = a->connect.data = a;
  (void)uv_timer_start(&a->timer, on_late, (uint64_t)ms, 0);
  if (is_unix) {
    uv_pipe_connect(&a->connect, &a->to.pipe, address + 5, on_connected);
    return 0;
  }
  failed = uv_ip4_addr("127.0.0.1",
                       (int)strtol(strrchr(address, ':') + 1, NULL, 10), &in);
  if (failed == 0)
    failed = uv_tcp_connect(&a->connect, &a->to.tcp,
                            (const struct sockaddr *)&in, on_connected);
  if (failed != 0) /* told like the others, later */
    finish(a, failed);
  return 0;
}
