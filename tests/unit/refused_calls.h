/*
 * The system calls of a save, standing in front of the C library's in the one
 * program that includes this: one of them is refused, or ends the process.
 */
#ifndef CFT_UNIT_REFUSED_CALLS_H
#define CFT_UNIT_REFUSED_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOTHING, REFUSE, DIE };

static struct {
  int what; /* happens at the call number `at` */
  int at, calls;
  int number;     /* errno of REFUSE */
  char trace[32]; /* a letter for each call, equal ones in a row as one */
  bool no_links;  /* linkat is always refused */
} plan;

static bool refused(char letter) {
  size_t len = strlen(plan.trace);

  if (plan.what == NOTHING)
    return false;
  if (len + 1 < sizeof plan.trace &&
      (len == 0 || plan.trace[len - 1] != letter))
    plan.trace[len] = letter;
  if (++plan.calls != plan.at)
    return false;
  if (plan.what == DIE)
    _exit(77);
  errno = plan.number;
  return true;
}

int openat(int fd, const char *name, int flags, ...);
int openat(int fd, const char *name, int flags, ...) {
  int mode = 0;

  if ((flags & O_CREAT) != 0) {
    va_list args;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
  }
  return refused('o') ? -1 : (int)syscall(SYS_openat, fd, name, flags, mode);
}

/* Half of what is asked for, so that a save has more than one. */
ssize_t write(int fd, const void *data, size_t len) {
  if (plan.what != NOTHING && len > 1)
    len /= 2;
  return refused('w') ? -1 : syscall(SYS_write, fd, data, len);
}

int fsync(int fd) {
  struct stat info;
  bool is_dir = fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);

  return refused(is_dir ? 'D' : 'F') ? -1 : (int)syscall(SYS_fsync, fd);
}

int unlinkat(int fd, const char *name, int flags) {
  return refused('u') ? -1 : (int)syscall(SYS_unlinkat, fd, name, flags);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to,
           int flags) {
  if (refused('l'))
    return -1;
  if (plan.no_links) {
    errno = EPERM;
    return -1;
  }
  return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
  return refused('r')
             ? -1
             : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

static void arm(int what, int at, int number) {
  plan.what = what;
  plan.at = at;
  plan.calls = 0;
  memset(plan.trace, 0, sizeof plan.trace);
  plan.number = number;
}

static bool begins(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}

#endif
