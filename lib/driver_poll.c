/*
 * The driver for systems without epoll: poll over a table, and a pipe for
 * wake-ups. It has no descriptor of its own to offer.
 */
#if !defined(__linux__) || defined(CHANGEFEED_DRIVER_POLL)
#define _GNU_SOURCE
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

struct cfi_driver {
  const cfi_alloc *alloc;
  int wake[2];
  struct pollfd *table; /* [0] is the pipe */
  size_t count, cap;
};

static bool grow(cfi_driver *d) {
  size_t cap = d->cap != 0 ? d->cap * 2 : 16;
  struct pollfd *table;

  if (d->count < d->cap)
    return true;
  table = cfi_resize(d->alloc, d->table, cap, sizeof *table);
  if (table == NULL)
    return false;
  d->table = table;
  d->cap = cap;
  return true;
}

static bool prepare(int fd) {
  int flags = fcntl(fd, F_GETFL);

  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
         fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

int cfi_driver_new(const cfi_alloc *alloc, cfi_driver **out) {
  cfi_driver *d = cfi_calloc(alloc, 1, sizeof *d);
  int saved;

  if (d == NULL)
    return CHANGEFEED_ERR_NOMEM;
  d->alloc = alloc;
  d->wake[0] = d->wake[1] = -1;
  if (!grow(d)) {
    cfi_driver_free(d);
    return CHANGEFEED_ERR_NOMEM;
  }
  if (pipe(d->wake) != 0 || !prepare(d->wake[0]) || !prepare(d->wake[1])) {
    saved = errno;
    cfi_driver_free(d);
    errno = saved;
    return CHANGEFEED_ERR_SYSTEM;
  }
  d->table[0].fd = d->wake[0];
  d->table[0].events = POLLIN;
  d->count = 1;
  *out = d;
  return CHANGEFEED_OK;
}

void cfi_driver_abandon(cfi_driver *d) {
  for (int i = 0; i < 2; i++) {
    if (d->wake[i] >= 0)
      (void)close(d->wake[i]);
    d->wake[i] = -1;
  }
  d->count = 0;
}

void cfi_driver_free(cfi_driver *d) {
  if (d == NULL)
    return;
  cfi_driver_abandon(d);
  cfi_free(d->alloc, d->table);
  cfi_free(d->alloc, d);
}

bool cfi_driver_watch(cfi_driver *d, int fd, unsigned want) {
  size_t i = 1;

  if (d->wake[0] < 0)
    return true;
  while (i < d->count && d->table[i].fd != fd)
    i++;
  if (want == 0) {
    if (i < d->count)
      d->table[i] = d->table[--d->count];
    return true;
  }
  if (i == d->count) {
    if (!grow(d))
      return false;
    d->count++;
  }
  d->table[i].fd = fd;
  d->table[i].events = (short)(((want & CFI_DRIVER_READ) != 0 ? POLLIN : 0) |
                               ((want & CFI_DRIVER_WRITE) != 0 ? POLLOUT : 0));
  d->table[i].revents = 0;
  return true;
}

int cfi_driver_wait(cfi_driver *d, cfi_driver_event *events, int max,
                    int timeout_ms) {
  int n = poll(d->table, (nfds_t)d->count, timeout_ms);
  int count = 0;
  char drain[64];

  if (n < 0)
    return errno == EINTR ? 0 : -1;
  if (d->table[0].revents != 0)
    while (read(d->wake[0], drain, sizeof drain) > 0) {
    }
  for (size_t i = 1; i < d->count && count < max; i++) {
    short bits = d->table[i].revents;

    if (bits == 0)
      continue;
    events[count].fd = d->table[i].fd;
    events[count].what =
        ((bits & POLLIN) != 0 ? (unsigned)CFI_DRIVER_READ : 0U) |
        ((bits & POLLOUT) != 0 ? (unsigned)CFI_DRIVER_WRITE : 0U) |
        ((bits & (POLLERR | POLLHUP | POLLNVAL)) != 0
             ? (unsigned)CFI_DRIVER_ERROR
             : 0U);
    count++;
  }
  return count;
}

int cfi_driver_fd(cfi_driver *d) {
  (void)d;
  return -1;
}

bool cfi_driver_arm(cfi_driver *d, int64_t at_ms) {
  (void)d;
  (void)at_ms;
  return true;
}

void cfi_driver_wake(cfi_driver *d) {
  int saved = errno;

  if (write(d->wake[1], "", 1) < 0) {
    /* EAGAIN: the pipe is full, so it is readable already. */
  }
  errno = saved;
}
#else
typedef int cfi_driver_poll_is_not_built;
#endif
