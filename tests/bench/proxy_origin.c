/*
 * The server behind a proxy that is measured: it costs as little as a server
 * can, and does what a drone's guard does for a balancer, it echoes the claim.
 *
 *   bench_proxy_origin [PORT]     on all addresses of the loopback; 0: any
 *
 * Prints its port, and ends with its standard input. GET /small is answered
 * with 100 bytes, /large with 64 KiB, and /stats with how many connections and
 * requests there were: how often a proxy has not kept one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CONNS = 65536, IN = 8192, HEAD = 512, SMALL = 100, LARGE = 64 * 1024 };

typedef struct conn {
  char in[IN];
  size_t in_len;
  char head[HEAD]; /* of the answer */
  size_t head_len;
  size_t body_len, sent; /* sent: of head and body */
} conn;

static conn *conns[CONNS]; /* by descriptor */
static char body[LARGE];
static int epoll_fd;
static unsigned long accepted, answered;

static void die(const char *what) {
  (void)fprintf(stderr, "bench_proxy_origin: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void drop(int fd) {
  free(conns[fd]);
  conns[fd] = NULL;
  (void)close(fd);
}

static void watch(int fd, int how, uint32_t events) {
  struct epoll_event event = {.events = events};

  event.data.fd = fd;
  if (epoll_ctl(epoll_fd, how, fd, &event) != 0)
    die("epoll_ctl");
}

/* What is left of the answer; false when the connection is over. */
static bool send_rest(int fd, conn *c) {
  size_t all = c->head_len + c->body_len, in_body;
  struct iovec v[2];
  ssize_t n;

  if (c->sent < c->head_len) {
    v[0] = (struct iovec){c->head + c->sent, c->head_len - c->sent};
    v[1] = (struct iovec){body, c->body_len};
    n = writev(fd, v, 2);
  } else {
    in_body = c->sent - c->head_len;
    n = write(fd, body + in_body, c->body_len - in_body);
  }
  if (n < 0 && errno != EAGAIN)
    return false;
  if (n > 0)
    c->sent += (size_t)n;
  if (c->sent < all) {
    watch(fd, EPOLL_CTL_MOD, EPOLLOUT);
    return true;
  }
  c->head_len = 0;
  return true;
}

/* The value of X-Drone-Claim, or "". */
static int claim_of(const char *head, const char *end, const char **claim) {
  static const char name[] = "x-drone-claim: ";
  const char *line = head, *lf;

  *claim = "";
  while ((lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
    if ((size_t)(lf - line) > sizeof name &&
        strncasecmp(line, name, sizeof name - 1) == 0) {
      *claim = line + sizeof name - 1;
      return (int)(lf - 1 - *claim);
    }
    line = lf + 1;
  }
  return 0;
}

static bool answer(int fd, conn *c, const char *end) {
  const char *claim;
  int claim_len = claim_of(c->in, end, &claim);

  if (strncmp(c->in, "GET /stats ", 11) == 0) {
    c->body_len = 0;
    c->head_len = (size_t)snprintf(
        c->head, HEAD,
        "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n%10lu %9lu\n", accepted,
        answered);
  } else {
    answered++;
    c->body_len = strncmp(c->in, "GET /large", 10) == 0 ? LARGE : SMALL;
    c->head_len =
        (size_t)snprintf(c->head, HEAD,
                         "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                         "Content-Length: %zu\r\nX-Drone-Claim: %.*s\r\n\r\n",
                         c->body_len, claim_len, claim);
  }
  c->sent = 0;
  return c->head_len < HEAD && send_rest(fd, c);
}

/* One request at a time, without a body. */
static bool read_request(int fd, conn *c) {
  ssize_t n = recv(fd, c->in + c->in_len, IN - 1 - c->in_len, 0);
  const char *end;

  if (n < 0 && errno == EAGAIN)
    return true;
  if (n <= 0)
    return false;
  c->in_len += (size_t)n;
  c->in[c->in_len] = '\0';
  if (c->in_len < 4 || memcmp(c->in + c->in_len - 4, "\r\n\r\n", 4) != 0)
    return c->in_len < IN - 1;
  end = c->in + c->in_len;
  c->in_len = 0;
  return answer(fd, c, end);
}

static void on_event(int fd, uint32_t events) {
  conn *c = conns[fd];
  bool lives;

  if (c == NULL)
    return;
  if (c->head_len != 0) { /* nothing is read while an answer is not out */
    lives = (events & (EPOLLERR | EPOLLHUP)) == 0 && send_rest(fd, c);
    if (lives && c->head_len == 0)
      watch(fd, EPOLL_CTL_MOD, EPOLLIN);
  } else {
    lives = read_request(fd, c);
  }
  if (!lives)
    drop(fd);
}

static void accept_all(int listener) {
  int fd, on = 1;

  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
         0) {
    accepted++;
    if (fd < CONNS)
      conns[fd] = calloc(1, sizeof *conns[fd]);
    if (fd >= CONNS || conns[fd] == NULL) {
      (void)close(fd);
      continue;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(fd, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static int listen_on(const char *port) {
  struct sockaddr_in to = {.sin_family = AF_INET};
  socklen_t len = sizeof to;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;

  to.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
  /* Each drone has an address of its own in 127.0.0.0/8. */
  to.sin_addr.s_addr = htonl(INADDR_ANY);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, (struct sockaddr *)&to, sizeof to) != 0 ||
      listen(fd, 4096) != 0 || getsockname(fd, (struct sockaddr *)&to, &len))
    die("listen");
  (void)printf("%u\n", (unsigned)ntohs(to.sin_port));
  (void)fflush(stdout);
  return fd;
}

int main(int argc, char **argv) {
  struct epoll_event events[256];
  int listener;

  (void)signal(SIGPIPE, SIG_IGN);
  memset(body, 'x', sizeof body);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  listener = listen_on(argc > 1 ? argv[1] : "0");
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  watch(STDIN_FILENO, EPOLL_CTL_ADD, EPOLLIN);
  for (;;) {
    int n = epoll_wait(epoll_fd, events, 256, -1);

    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == STDIN_FILENO)
        return 0;
      if (events[i].data.fd == listener)
        accept_all(listener);
      else
        on_event(events[i].data.fd, events[i].events);
    }
  }
}
