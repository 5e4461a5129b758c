/*
 * Waits for descriptors, for a time, and for a wake-up from elsewhere. One
 * driver uses epoll, timerfd and eventfd and offers all of it behind one
 * descriptor; the other uses poll and a pipe. It knows nothing of feeds.
 */
#ifndef CFI_DRIVER_H
#define CFI_DRIVER_H

#include "alloc.h"

typedef struct cfi_driver cfi_driver;

enum { CFI_DRIVER_READ = 1, CFI_DRIVER_WRITE = 2, CFI_DRIVER_ERROR = 4 };

typedef struct cfi_driver_event {
  int fd;
  unsigned what;
} cfi_driver_event;

/* CHANGEFEED_OK, ERR_NOMEM, or ERR_SYSTEM with errno set. */
int cfi_driver_new(const cfi_alloc *alloc, cfi_driver **out);
void cfi_driver_free(cfi_driver *d);
/* In a child of fork(): closes this process's descriptors, so that nothing
   done later reaches the parent's. */
void cfi_driver_abandon(cfi_driver *d);

/* READ and WRITE wanted of a descriptor; 0 forgets it. False: no memory or the
   system refused. */
bool cfi_driver_watch(cfi_driver *d, int fd, unsigned want);
/* Waits at most timeout_ms (-1: no limit) for events; answers how many were
   put into events, 0 also after a wake-up or a signal, -1 with errno. */
int cfi_driver_wait(cfi_driver *d, cfi_driver_event *events, int max,
                    int timeout_ms);
/* The one descriptor, or -1 when this driver has none. From then on arm is
   honoured. */
int cfi_driver_fd(cfi_driver *d);
/* The descriptor becomes readable at this monotonic time. */
bool cfi_driver_arm(cfi_driver *d, int64_t at_ms);
/* Makes wait return, now or the next time. [signal] */
void cfi_driver_wake(cfi_driver *d);

#endif
