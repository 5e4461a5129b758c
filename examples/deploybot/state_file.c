/* The state's file; see state.h. */
#include "deploybot/durable.h"
#include "deploybot/state.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { BESIDE_SIZE = 4096 };

static bool beside(const char *path, const char *ending,
                   char out[BESIDE_SIZE]) {
  int len = snprintf(out, BESIDE_SIZE, "%s%s", path, ending);

  if (len > 0 && len < BESIDE_SIZE)
    return true;
  errno = ENAMETOOLONG;
  return false;
}

/* 0 or an errno. One byte more than there may be shows that there is more. */
static int read_all(int fd, text *out) {
  char buffer[8192];
  ssize_t n;

  while (out->len <= STATE_MOST && (n = read(fd, buffer, sizeof buffer)) != 0) {
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    text_add(out, buffer, (size_t)n);
    if (out->failed)
      return ENOMEM;
  }
  return 0;
}

enum state_found state_load(const char *path, state *out, char *why,
                            size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), failed = 0;
  enum state_found found = STATE_FOUND;
  text bytes = TEXT_INIT;
  char reason[120] = "it is too large";

  memset(out, 0, sizeof *out);
  if (fd < 0 && errno == ENOENT)
    return STATE_NEW;
  failed = fd >= 0 ? read_all(fd, &bytes) : errno;
  if (fd >= 0)
    (void)close(fd);
  if (failed != 0) {
    (void)snprintf(why, size, "the state %.200s cannot be read: %s", path,
                   strerror(failed));
    found = STATE_ERROR;
  } else if (bytes.len > STATE_MOST ||
             !state_decode(text_get(&bytes), bytes.len, out, reason,
                           sizeof reason)) {
    (void)snprintf(why, size, "the state %.200s is damaged: %s", path, reason);
    found = STATE_DAMAGED;
  }
  text_free(&bytes);
  return found;
}

void state_set_aside(const char *path) {
  char other[BESIDE_SIZE];

  if (beside(path, ".damaged", other))
    (void)rename(path, other);
}

/* The directory and the name in it: both are changed by what takes them
   apart. */
static int write_bytes(const char *path, const text *bytes) {
  char directory[BESIDE_SIZE], name[BESIDE_SIZE];
  int dir, failed;

  if (!beside(path, "", directory) || !beside(path, "", name))
    return errno;
  dir = open(dirname(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0)
    return errno;
  failed = durable_write(dir, basename(name), bytes->data, bytes->len);
  (void)close(dir);
  return failed;
}

bool state_save(const char *path, const state *s, char *why, size_t size) {
  text bytes = TEXT_INIT;
  int failed = ENOMEM;

  state_encode(s, &bytes);
  if (!bytes.failed)
    failed = write_bytes(path, &bytes);
  text_free(&bytes);
  if (failed != 0)
    (void)snprintf(why, size, "the state %.200s cannot be saved: %s", path,
                   strerror(failed));
  return failed == 0;
}

int state_lock(const char *path, char *why, size_t size) {
  char other[BESIDE_SIZE];
  int fd = -1;

  if (beside(path, ".lock", other))
    fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
    return fd;
  (void)snprintf(why, size, "--state %.200s: %s", path,
                 fd >= 0 && errno == EWOULDBLOCK
                     ? "another deploybot uses it; each needs its own"
                     : strerror(errno));
  if (fd >= 0)
    (void)close(fd);
  return -1;
}
