/* Only for tests: where a provisioner is ended, and the ways of working that
   are known to be wrong. Nothing of it is in the program itself. */
#include "provisioner/kernel_state.h"

#ifdef PLATFORM_HOOKS
#include "common/log.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  unsigned bit;
} ways[] = {{"claim2xx", NAIVE_CLAIM2XX},   {"samebody", NAIVE_SAMEBODY},
            {"lastwrite", NAIVE_LASTWRITE}, {"readback", NAIVE_READBACK},
            {"emptypool", NAIVE_EMPTYPOOL}, {"timeoutok", NAIVE_TIMEOUTOK},
            {"nofence", NAIVE_NOFENCE},     {"nocoalesce", NAIVE_NOCOALESCE}};

static bool read_ways(kernel *k, const char *list, char *error, size_t size) {
  while (list != NULL && *list != '\0') {
    size_t len = strcspn(list, ","), i;

    for (i = 0; i < sizeof ways / sizeof ways[0]; i++)
      if (strlen(ways[i].name) == len &&
          strncmp(ways[i].name, list, len) == 0) {
        k->naive |= ways[i].bit;
        break;
      }
    if (i == sizeof ways / sizeof ways[0]) {
      (void)snprintf(error, size, "There is no naive way \"%.*s\".", (int)len,
                     list);
      return false;
    }
    list += len + (list[len] == ',' ? 1 : 0);
  }
  return true;
}

bool hooks_open(kernel *k, char *error, size_t error_size) {
  const char *point = k->config.failpoint;
  size_t len = point != NULL ? strcspn(point, ":") : 0;

  (void)pthread_mutex_init(&k->hooks, NULL);
  if (len >= sizeof k->failpoint) {
    (void)snprintf(error, error_size, "There is no failpoint \"%s\".", point);
    return false;
  }
  if (point != NULL) {
    memcpy(k->failpoint, point, len);
    k->failpoint_left =
        point[len] == ':' ? (int)strtol(point + len + 1, NULL, 10) : 1;
  }
  return read_ways(k, k->config.naive, error, error_size);
}

bool kernel_coalesces(const kernel *k) { return !NAIVE(k, NAIVE_NOCOALESCE); }

void hooks_point(kernel *k, const char *step) {
  bool now = false;

  (void)pthread_mutex_lock(&k->hooks);
  if (strcmp(k->failpoint, step) == 0)
    now = --k->failpoint_left == 0;
  (void)pthread_mutex_unlock(&k->hooks);
  if (!now)
    return;
  log_event(LOG_WARN, "failpoint", LS("step", step));
  (void)raise(SIGKILL);
}
#else
typedef int hooks_none;
#endif
