/* One run at a time for an app of a server, on this machine: scripts that are
   started again and again wait here instead of asking the server. */
#ifndef APPS_LOCK_H
#define APPS_LOCK_H

#include "apps/apps.h"

typedef struct apps_lock {
  int fd; /* -1: none */
} apps_lock;

/* EXIT_LIVE: it is ours. EXIT_PENDING: somebody else holds it (and has been
   told of) for as long as may be waited; EXIT_OTHER: it cannot be had. */
int apps_lock_take(apps_run *run, apps_lock *lock);
void apps_lock_release(apps_lock *lock);

#endif
