/* See durable.h. */
#include "deploybot/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static int write_all(int fd, const char *data, size_t len) {
  while (len != 0) {
    ssize_t n = write(fd, data, len);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    data += n;
    len -= (size_t)n;
  }
  return fsync(fd) == 0 ? 0 : errno;
}

int durable_write(int dir, const char *name, const char *data, size_t len) {
  char beside[NAME_MAX + 1];
  int fd, failed, n = snprintf(beside, sizeof beside, "%s.new", name);

  if (n < 0 || (size_t)n >= sizeof beside)
    return ENAMETOOLONG;
  (void)unlinkat(dir, beside, 0);
  fd = openat(dir, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return errno;
  failed = write_all(fd, data, len);
  if (close(fd) != 0 && failed == 0)
    failed = errno;
  if (failed == 0 && renameat(dir, beside, dir, name) != 0)
    failed = errno;
  if (failed == 0 && fsync(dir) != 0)
    failed = errno;
  if (failed != 0)
    (void)unlinkat(dir, beside, 0);
  return failed;
}
