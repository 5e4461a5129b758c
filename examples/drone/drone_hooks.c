/*
 * Failures to order, for tests; see drone_hooks.h. Empty in a program for use.
 */
#include "drone/drone_hooks.h"

#ifdef PLATFORM_HOOKS

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int drone_hook(const char *point) {
  const char *order = getenv("DRONE_FAIL");
  size_t len = strlen(point);

  if (order == NULL || strncmp(order, point, len) != 0 || order[len] != ':')
    return 0;
  order += len + 1;
  if (strcmp(order, "kill") == 0)
    (void)raise(SIGKILL);
  if (strcmp(order, "ENOSPC") == 0)
    return ENOSPC;
  return strcmp(order, "EROFS") == 0 ? EROFS : EIO;
}

#else
/* C does not know an empty file. */
extern const int drone_hooks_are_off;
const int drone_hooks_are_off = 1;
#endif
