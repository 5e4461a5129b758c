/* See durable.h. */
#include "deploybot/durable.h"

#include "common/files.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

int durable_write(int dir, const char *name, const char *data, size_t len) {
  char beside[NAME_MAX + 1];
  int fd, failed, n = snprintf(beside, sizeof beside, "%s.new", name);

  if (n < 0 || (size_t)n >= sizeof beside)
    return ENAMETOOLONG;
  (void)unlinkat(dir, beside, 0);
  fd = openat(dir, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return errno;
  failed = files_write_all(fd, data, len);
  if (failed == 0 && fsync(fd) != 0)
    failed = errno;
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
