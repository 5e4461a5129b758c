/*
 * The driver for Linux: epoll with a timerfd and an eventfd in its set.
 */
#if defined(__linux__) && !defined(CHANGEFEED_DRIVER_POLL)
#define _GNU_SOURCE
#include "driver.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"

enum { BATCH = 256 };

struct cfi_driver {
  const cfi_alloc *alloc;
  int epoll, timer, wake;
  bool exposed;     /* somebody waits for the descriptor elsewhere */
  int64_t armed_ms; /* what the timer is set to */
};

static void close_all(cfi_driver *d) {
  if (d->timer >= 0)
    (void)close(d->timer);
  if (d->wake >= 0)
    (void)close(d->wake);
  if (d->epoll >= 0)
    (void)close(d->epoll);
  d->timer = d->wake = d->epoll = -1;
}

static bool add(cfi_driver *d, int fd) {
  struct epoll_event ev = {.events = EPOLLIN, .data = {.fd = fd}};

  return epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

int cfi_driver_new(const cfi_alloc *alloc, cfi_driver **out) {
  cfi_driver *d = cfi_calloc(alloc, 1, sizeof *d);

  if (d == NULL)
    return CHANGEFEED_ERR_NOMEM;
  d->alloc = alloc;
  d->armed_ms = CFI_NEVER;
  d->epoll = epoll_create1(EPOLL_CLOEXEC);
  d->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (d->epoll < 0 || d->timer < 0 || d->wake < 0 || !add(d, d->timer) ||
      !add(d, d->wake)) {
    int saved = errno;

    cfi_driver_free(d);
    errno = saved;
    return CHANGEFEED_ERR_SYSTEM;
  }
  *out = d;
  return CHANGEFEED_OK;
}

void cfi_driver_free(cfi_driver *d) {
  if (d == NULL)
    return;
  close_all(d);
  cfi_free(d->alloc, d);
}

void cfi_driver_abandon(cfi_driver *d) { close_all(d); }

bool cfi_driver_watch(cfi_driver *d, int fd, unsigned want) {
  struct epoll_event ev = {.data = {.fd = fd}};

  if (d->epoll < 0)
    return true;
  if (want == 0) {
    /* libcurl may have closed the descriptor already, which removes it. */
    (void)epoll_ctl(d->epoll, EPOLL_CTL_DEL, fd, &ev);
    return true;
  }
  ev.events = ((want & CFI_DRIVER_READ) != 0 ? (uint32_t)EPOLLIN : 0U) |
              ((want & CFI_DRIVER_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0U);
  if (epoll_ctl(d->epoll, EPOLL_CTL_MOD, fd, &ev) == 0)
    return true;
  return errno == ENOENT && epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

/* True when the event was the driver's own. */
static bool own_event(cfi_driver *d, int fd) {
  uint64_t count;

  if (fd != d->timer && fd != d->wake)
    return false;
  if (read(fd, &count, sizeof count) < 0) {
    /* EAGAIN: another wait was faster; nothing is lost. */
  }
  if (fd == d->timer)
    d->armed_ms = CFI_NEVER;
  return true;
}

int cfi_driver_wait(cfi_driver *d, cfi_driver_event *events, int max,
                    int timeout_ms) {
  struct epoll_event got[BATCH];
  int n = epoll_wait(d->epoll, got, max < BATCH ? max : BATCH, timeout_ms);
  int count = 0;

  if (n < 0)
    return errno == EINTR ? 0 : -1;
  for (int i = 0; i < n; i++) {
    uint32_t bits = got[i].events;

    if (own_event(d, got[i].data.fd))
      continue;
    events[count].fd = got[i].data.fd;
    events[count].what =
        ((bits & EPOLLIN) != 0 ? (unsigned)CFI_DRIVER_READ : 0U) |
        ((bits & EPOLLOUT) != 0 ? (unsigned)CFI_DRIVER_WRITE : 0U) |
        ((bits & (EPOLLERR | EPOLLHUP)) != 0 ? (unsigned)CFI_DRIVER_ERROR : 0U);
    count++;
  }
  return count;
}

int cfi_driver_fd(cfi_driver *d) {
  if (!d->exposed)
    cfi_driver_wake(d); /* what is due already must show */
  d->exposed = true;
  return d->epoll;
}

bool cfi_driver_arm(cfi_driver *d, int64_t at_ms) {
  struct itimerspec spec = {{0, 0}, {0, 0}};

  if (!d->exposed || at_ms == d->armed_ms)
    return true;
  if (at_ms != CFI_NEVER) {
    /* Zero would disarm it; a time gone by fires at once. */
    int64_t at = at_ms > 0 ? at_ms : 1;
    spec.it_value.tv_sec = (time_t)(at / 1000);
    spec.it_value.tv_nsec = (long)(at % 1000) * 1000000;
  }
  if (timerfd_settime(d->timer, TFD_TIMER_ABSTIME, &spec, NULL) != 0)
    return false;
  d->armed_ms = at_ms;
  return true;
}

void cfi_driver_wake(cfi_driver *d) {
  uint64_t one = 1;
  int saved = errno;

  if (write(d->wake, &one, sizeof one) < 0) {
    /* EAGAIN: the counter is full, so it is readable already. */
  }
  errno = saved;
}
#else
typedef int cfi_driver_epoll_is_not_built;
#endif
