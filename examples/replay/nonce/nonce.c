/* The app of runs from outside; see nonce.h. It tells (appends a line to
 * NONCE_LOG) when another app of the same drone is still alive: the lock lies
 * in the drone's directory, two above where it works. */
#include "nonce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

/* Longer than who proxies keeps a connection that nobody uses. */
enum { IDLE_MS = 75000, LOOK_MS = 1000 };

static void tell(const char *what) {
  const char *path = getenv("NONCE_LOG"), *app = getenv("NONCE_APP");
  if (!path)
    return;
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  char line[512], where[256] = "";
  if (fd < 0)
    return;
  if (!getcwd(where, sizeof where))
    where[0] = '\0';
  int n = snprintf(line, sizeof line, "%s: app %s at %s\n", what,
                   app ? app : "?", where);
  if (n > 0 && write(fd, line, (size_t)n) < 0)
    perror("nonce");
  (void)close(fd);
}

static void be_alone(void) {
  int fd = open("../nonce.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0)
    tell("no lock");
  else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
    tell("another app is alive");
}

static int listener(void) {
  const char *port = getenv("PORT");
  struct sockaddr_in at = {.sin_family = AF_INET};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons((uint16_t)(port ? strtoul(port, NULL, 10) : 0));
  if (fd < 0)
    return -1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 64) != 0)
    return -1;
  return fd;
}

/* Where PORT is 0: the one that the kernel chose. */
static void tell_port(int fd) {
  const char *port = getenv("PORT");
  struct sockaddr_in at = {0};
  socklen_t size = sizeof at;
  if (!port || strcmp(port, "0") != 0 ||
      getsockname(fd, (struct sockaddr *)&at, &size) != 0)
    return;
  (void)printf("%u\n", (unsigned)ntohs(at.sin_port));
  (void)fflush(stdout);
}

static nonce_conn conns[NONCE_CONNS];

/* The place for a new one; NULL: all are in use. Who has never said anything
 * has to go then; of the others, who proxies may be about to use one. */
static nonce_conn *place(void) {
  nonce_conn *oldest = NULL;
  for (size_t i = 0; i < NONCE_CONNS; i++) {
    if (conns[i].fd < 0)
      return &conns[i];
    if (!conns[i].heard && conns[i].moved_ms < nonce_now_ms() - LOOK_MS &&
        (!oldest || conns[i].moved_ms < oldest->moved_ms))
      oldest = &conns[i];
  }
  if (oldest)
    nonce_conn_close(oldest);
  return oldest;
}

static void take_new(int at, nonce_conn *c) {
  int fd = accept4(at, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return;
  c->fd = fd;
  c->moved_ms = nonce_now_ms();
}

static short wanted(nonce_conn *c) {
  bool write = false, read;
  if (c->fd < 0)
    return 0;
  read = nonce_conn_wants(c, &write);
  return (short)((read ? POLLIN : 0) | (write ? POLLOUT : 0));
}

static void serve(nonce_conn *c, short events) {
  if (c->fd >= 0 && (events & POLLOUT))
    nonce_conn_write(c);
  if (c->fd >= 0 && (events & (POLLIN | POLLHUP | POLLERR)))
    nonce_conn_read(c);
  if (c->fd >= 0 && nonce_now_ms() - c->moved_ms > IDLE_MS)
    nonce_conn_close(c);
}

/* One round. */
static void turn(int at) {
  struct pollfd fds[NONCE_CONNS + 1];
  nonce_conn *free_one = place();
  bool any = false;
  for (size_t i = 0; i < NONCE_CONNS; i++) {
    fds[i] = (struct pollfd){conns[i].fd, wanted(&conns[i]), 0};
    any |= conns[i].fd >= 0;
  }
  fds[NONCE_CONNS] = (struct pollfd){free_one ? at : -1, POLLIN, 0};
  if (poll(fds, NONCE_CONNS + 1, any ? LOOK_MS : -1) < 0 && errno != EINTR) {
    perror("nonce: poll");
    exit(1);
  }
  for (size_t i = 0; i < NONCE_CONNS; i++)
    if (conns[i].fd >= 0)
      serve(&conns[i], fds[i].revents);
  if (free_one && fds[NONCE_CONNS].revents)
    take_new(at, free_one);
}

int main(void) {
  (void)signal(SIGPIPE, SIG_IGN);
  be_alone();
  int at = listener();
  if (at < 0) {
    perror("nonce: PORT");
    return 1;
  }
  tell_port(at);
  for (size_t i = 0; i < NONCE_CONNS; i++)
    conns[i].fd = -1;
  for (;;)
    turn(at);
}
