/* HAProxy's runtime socket, in interactive mode: commands go out, as many
   answers come back. Blocking, with limits of time; see haproxy_state.h. */
#include "balancer/haproxy_state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* For one step of the other side, not for all of an answer. */
enum { STEP_MS = 5000, READ_SIZE = 64 * 1024 };

struct haproxy_link {
  int fd, stop;
  haproxy_answer answer;
  size_t at, end; /* of what was read and not used */
  char data[READ_SIZE];
};

static bool fail(char *why, size_t size, const char *what, const char *detail) {
  (void)snprintf(why, size, "%s%s%s", what, detail[0] != '\0' ? ": " : "",
                 detail);
  return false;
}

/* Whether the link is ready for events; not when it is to stop. */
static bool wait_for(const haproxy_link *l, short events, char *why,
                     size_t size) {
  struct pollfd fds[2] = {{l->fd, events, 0}, {l->stop, POLLIN, 0}};
  int n;

  do
    n = poll(fds, 2, STEP_MS);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return fail(why, size, "poll", strerror(errno));
  if (n == 0)
    return fail(why, size, "HAProxy does not answer on its runtime socket", "");
  if (fds[1].revents != 0)
    return fail(why, size, "the engine is closed", "");
  return true;
}

static bool send_all(haproxy_link *l, const char *data, size_t len, char *why,
                     size_t size) {
  while (len != 0) {
    ssize_t n = send(l->fd, data, len, MSG_NOSIGNAL);

    if (n > 0) {
      data += n;
      len -= (size_t)n;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
      return fail(why, size, "HAProxy has closed its runtime socket",
                  strerror(errno));
    } else if (!wait_for(l, POLLOUT, why, size)) {
      return false;
    }
  }
  return true;
}

static bool read_some(haproxy_link *l, char *why, size_t size) {
  ssize_t n;

  for (;;) {
    n = recv(l->fd, l->data, sizeof l->data, 0);
    if (n > 0)
      break;
    if (n == 0)
      return fail(why, size, "HAProxy has closed its runtime socket", "");
    if (errno != EAGAIN && errno != EINTR)
      return fail(why, size, "HAProxy's runtime socket", strerror(errno));
    if (!wait_for(l, POLLIN, why, size))
      return false;
  }
  l->at = 0;
  l->end = (size_t)n;
  return true;
}

static bool read_answer(haproxy_link *l, bool (*on_line)(void *, const char *),
                        void *ctx, char *why, size_t size) {
  for (;;) {
    size_t used = 0;
    enum haproxy_piece piece =
        haproxy_answer_next(&l->answer, l->data + l->at, l->end - l->at, &used);

    l->at += used;
    if (piece == HAPROXY_PROMPT)
      return true;
    if (piece == HAPROXY_WRONG)
      return fail(why, size, "HAProxy's answer cannot be read", "");
    if (piece == HAPROXY_LINE && l->answer.len != 0 &&
        !on_line(ctx, l->answer.line))
      return fail(why, size, "HAProxy says", l->answer.line);
    if (piece == HAPROXY_MORE && !read_some(l, why, size))
      return false;
  }
}

bool haproxy_link_ask(haproxy_link *l, const char *commands, size_t len,
                      size_t answers, bool (*on_line)(void *, const char *),
                      void *ctx, char *why, size_t size) {
  if (!send_all(l, commands, len, why, size))
    return false;
  while (answers-- != 0)
    if (!read_answer(l, on_line, ctx, why, size))
      return false;
  return true;
}

bool haproxy_link_wait(haproxy_link *l, int wake, int64_t ms) {
  struct pollfd fds[3] = {
      {l->fd, POLLIN, 0}, {wake, POLLIN, 0}, {l->stop, POLLIN, 0}};

  if (l->at != l->end)
    return false;
  return poll(fds, 3, (int)ms) <= 0 || fds[0].revents == 0;
}

/* ---- connecting ---- */

static int dial(const char *path, char *why, size_t size) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  int fd;

  if (strlen(path) >= sizeof a.sun_path) {
    (void)fail(why, size, "the path of HAProxy's socket is too long", "");
    return -1;
  }
  memcpy(a.sun_path, path, strlen(path) + 1);
  fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    (void)fail(why, size, "socket", strerror(errno));
    return -1;
  }
  if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
    return fd;
  (void)snprintf(why, size, "HAProxy's runtime socket %s: %s", path,
                 strerror(errno));
  (void)close(fd);
  return -1;
}

static bool no_line(void *ctx, const char *line) {
  (void)ctx;
  (void)line;
  return false;
}

/* HAProxy closes a link that was silent for 10 s, unless it is told. */
static bool greet(haproxy_link *l, char *why, size_t size) {
  static const char prompt[] = "prompt\n", timeout[] = "set timeout cli 1d\n";

  return haproxy_link_ask(l, prompt, sizeof prompt - 1, 1, no_line, NULL, why,
                          size) &&
         haproxy_link_ask(l, timeout, sizeof timeout - 1, 1, no_line, NULL, why,
                          size);
}

haproxy_link *haproxy_link_open(const char *path, int stop, char *why,
                                size_t size) {
  haproxy_link *l = calloc(1, sizeof *l);

  if (l == NULL) {
    (void)fail(why, size, "there is no memory", "");
    return NULL;
  }
  l->stop = stop;
  l->fd = dial(path, why, size);
  if (l->fd >= 0 && greet(l, why, size))
    return l;
  haproxy_link_close(l);
  return NULL;
}

void haproxy_link_close(haproxy_link *l) {
  if (l == NULL)
    return;
  if (l->fd >= 0)
    (void)close(l->fd);
  free(l);
}
