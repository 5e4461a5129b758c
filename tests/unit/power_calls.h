/*
 * The system calls of a save, standing in front of the C library's in the one
 * program that includes this: they are made, and written down in the journal
 * of a disk. One of them can be refused, and links altogether.
 */
#ifndef CFT_UNIT_POWER_CALLS_H
#define CFT_UNIT_POWER_CALLS_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/power_disk.h"

enum { FDS = 256 };

static power_disk *disk; /* NULL: nothing is recorded */
static struct {
  int file[FDS]; /* of the disk; -1: not one of the recorded ones */
  size_t at[FDS];
  int calls, refuse; /* which call fails with EIO; 0: none */
  bool no_links;
} calls;

static bool recorded(const char *name) {
  size_t len = strlen(name);

  return disk != NULL && (len < 5 || strcmp(name + len - 5, ".lock") != 0);
}

static int file_of(int fd) {
  return disk != NULL && fd >= 0 && fd < FDS ? calls.file[fd] : -1;
}

static bool refused(void) {
  if (disk == NULL || ++calls.calls != calls.refuse)
    return false;
  errno = EIO;
  return true;
}

int openat(int fd, const char *name, int flags, ...);
int openat(int fd, const char *name, int flags, ...) {
  bool changes = (flags & (O_CREAT | O_TRUNC)) != 0;
  int mode = 0, opened;

  if ((flags & O_CREAT) != 0) {
    va_list args;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
  }
  if (recorded(name) && changes && refused())
    return -1;
  opened = (int)syscall(SYS_openat, fd, name, flags, mode);
  if (disk == NULL || opened < 0)
    return opened;
  ck_assert_int_lt(opened, FDS);
  calls.file[opened] = -1;
  calls.at[opened] = 0;
  if (recorded(name)) {
    calls.file[opened] = power_open(disk, power_name(disk, name));
    if ((flags & O_TRUNC) != 0)
      power_truncate(disk, calls.file[opened], 0);
  }
  return opened;
}

/* A part only of what is asked for, so that a save has more than one. */
ssize_t write(int fd, const void *data, size_t len) {
  int file = file_of(fd);
  ssize_t n;

  if (file < 0)
    return syscall(SYS_write, fd, data, len);
  if (refused())
    return -1;
  if (calls.at[fd] == 0 && len > 60)
    len = 60;
  n = syscall(SYS_write, fd, data, len);
  if (n > 0) {
    power_write(disk, file, calls.at[fd], data, (size_t)n);
    calls.at[fd] += (size_t)n;
  }
  return n;
}

/* The power that fails is not that of this machine: nothing is synced here. */
static int sync_recorded(int fd) {
  struct stat info;

  if (disk != NULL && refused())
    return -1;
  if (disk != NULL && fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
    power_sync_directory(disk);
  else if (file_of(fd) >= 0)
    power_sync(disk, file_of(fd));
  return 0;
}

int fsync(int fd) { return sync_recorded(fd); }

int fdatasync(int fd) { return sync_recorded(fd); }

int unlinkat(int fd, const char *name, int flags) {
  int rc;

  if (disk != NULL && refused())
    return -1;
  rc = (int)syscall(SYS_unlinkat, fd, name, flags);
  if (disk != NULL && rc == 0)
    power_unlink(disk, power_name(disk, name));
  return rc;
}

int linkat(int from_fd, const char *from, int to_fd, const char *to,
           int flags) {
  int rc;

  if (disk != NULL && refused())
    return -1;
  if (disk != NULL && calls.no_links) {
    errno = EPERM;
    return -1;
  }
  rc = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
  if (disk != NULL && rc == 0)
    power_link(disk, power_name(disk, from), power_name(disk, to));
  return rc;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
  int rc;

  if (disk != NULL && refused())
    return -1;
  rc = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
  if (disk != NULL && rc == 0)
    power_rename(disk, power_name(disk, from), power_name(disk, to));
  return rc;
}

#endif
