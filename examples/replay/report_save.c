/* One file, whole or not at all: written beside its name, and renamed when it
   is whole and on the disk. */
#include "replay/report_int.h"

#include "common/files.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE = 0644 };

/* 0 or an errno. */
static int save(const char *path, const char *beside, const char *data,
                size_t len) {
  int fd =
      open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE);
  int failed;

  if (fd < 0)
    return errno;
  failed = files_write_all(fd, data, len);
  if (failed == 0 && (fchmod(fd, MODE) != 0 || fsync(fd) != 0))
    failed = errno;
  if (close(fd) != 0 && failed == 0)
    failed = errno;
  if (failed == 0 && rename(beside, path) != 0)
    failed = errno;
  if (failed != 0)
    (void)unlink(beside);
  return failed;
}

bool report_save(const char *path, const char *data, size_t len, char *error,
                 size_t error_size) {
  text beside = TEXT_INIT;
  int failed;

  text_printf(&beside, "%s.new", path);
  failed = beside.failed ? ENOMEM : save(path, text_get(&beside), data, len);
  text_free(&beside);
  if (failed == 0)
    return true;
  (void)snprintf(error, error_size, "%.300s cannot be written: %s", path,
                 strerror(failed));
  return false;
}
