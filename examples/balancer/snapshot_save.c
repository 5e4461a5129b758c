/* A snapshot to its file: written beside it, and renamed when it is whole and
   durable; see snapshot_int.h. */
#include "balancer/snapshot_int.h"

#include "common/files.h"
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct saving {
  int fd;
  sip sum;
} saving;

/* 0 or an errno, as all here. */
static int add(saving *to, const char *data, size_t len) {
  sip_add(&to->sum, data, len);
  return files_write_all(to->fd, data, len);
}

static void put(char *at, uint64_t value) {
  value = htole64(value);
  memcpy(at, &value, sizeof value);
}

static int write_content(const snapshot *s, int fd) {
  static const sip_key key;
  char head[SNAPSHOT_HEAD + SNAPSHOT_DATABASE_MOST + 1] = SNAPSHOT_MAGIC;
  char end[SNAPSHOT_END];
  size_t name_len = strlen(s->database);
  size_t head_len = SNAPSHOT_HEAD + snapshot_rounded(name_len);
  size_t len = s->end - s->begin;
  saving to = {.fd = fd};
  int failed;

  put(head + 8, SNAPSHOT_VERSION | (uint64_t)name_len << 32);
  put(head + 16, head_len + len + SNAPSHOT_END);
  put(head + 24, s->count);
  put(head + 32, (uint64_t)s->saved_ms);
  memcpy(head + SNAPSHOT_HEAD, s->database, name_len);
  sip_start(&to.sum, &key);
  failed = add(&to, head, head_len);
  if (failed == 0 && len != 0)
    failed = add(&to, s->data.data + s->begin, len);
  if (failed != 0)
    return failed;
  put(end, sip_end(&to.sum, NULL, 0));
  return files_write_all(fd, end, sizeof end);
}

/* ---- files ---- */

/* Its lock says that somebody writes it. What was left by one that died has
   none and is removed. */
static int remove_left(const char *beside) {
  int fd = open(beside, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  int failed = 0;

  if (fd < 0)
    return errno == ENOENT ? 0 : errno;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 ||
      (unlink(beside) != 0 && errno != ENOENT))
    failed = errno;
  (void)close(fd);
  return failed;
}

static int open_beside(const char *beside, int *fd) {
  struct stat st;
  int failed;

  *fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (*fd < 0 && errno == EEXIST) {
    failed = remove_left(beside);
    if (failed != 0)
      return failed;
    *fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  }
  if (*fd < 0)
    return errno == EEXIST ? EWOULDBLOCK : errno;
  /* Before it had its lock, another may have taken it for one that was left. */
  if (flock(*fd, LOCK_EX | LOCK_NB) != 0 || fstat(*fd, &st) != 0)
    failed = errno;
  else
    failed = st.st_nlink == 0 ? EWOULDBLOCK : 0;
  if (failed != 0) {
    (void)close(*fd);
    *fd = -1;
  }
  return failed;
}

static int sync_directory(const char *path) {
  char directory[PATH_MAX];
  const char *slash = strrchr(path, '/');
  int fd, failed = 0;

  if (slash == NULL)
    (void)snprintf(directory, sizeof directory, ".");
  else
    (void)snprintf(directory, sizeof directory, "%.*s", (int)(slash - path) + 1,
                   path);
  fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return errno;
  if (fsync(fd) != 0)
    failed = errno;
  (void)close(fd);
  return failed;
}

static int save(const snapshot *s, const char *path, const char *beside) {
  int fd, failed = open_beside(beside, &fd);

  if (failed != 0)
    return failed;
  failed = write_content(s, fd);
  if (failed == 0 && fsync(fd) != 0)
    failed = errno;
  if (failed == 0 && rename(beside, path) != 0)
    failed = errno;
  if (failed != 0)
    (void)unlink(beside);
  if (close(fd) != 0 && failed == 0)
    failed = errno;
  return failed == 0 ? sync_directory(path) : failed;
}

bool snapshot_save(const snapshot *s, const char *path, char *error,
                   size_t size) {
  char beside[PATH_MAX];
  int len = snprintf(beside, sizeof beside, "%s.new", path), failed;

  if (s->failed) {
    (void)snprintf(error, size,
                   "the snapshot %.200s is not saved: not all routes are in it",
                   path);
    return false;
  }
  failed = len > 0 && (size_t)len < sizeof beside ? save(s, path, beside)
                                                  : ENAMETOOLONG;
  if (failed == 0)
    return true;
  (void)snprintf(error, size, "the snapshot %.200s cannot be saved: %s", path,
                 failed == EWOULDBLOCK ? "it is being saved by another balancer"
                                       : strerror(failed));
  return false;
}
