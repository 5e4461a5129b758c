/*
 * The drone's directory; see drone_store.h. All goes through one descriptor of
 * it, which holds the lock as well: a directory that was moved or removed under
 * a running drone is an error at the next write, not a second truth.
 */
#include "drone/drone_store.h"
#include "common/files.h"
#include "drone/drone_hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct drone_store {
  int dir;
  char *path;
};

drone_store *drone_store_open(const char *dir, char *error, size_t error_size) {
  drone_store *s = calloc(1, sizeof *s);

  if (s == NULL) {
    (void)snprintf(error, error_size, "no memory for the directory's lock");
    return NULL;
  }
  s->dir = -1;
  if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
    (void)snprintf(error, error_size, "%s cannot be made: %s", dir,
                   strerror(errno));
    goto failed;
  }
  s->path = realpath(dir, NULL);
  s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (s->path == NULL || s->dir < 0) {
    (void)snprintf(error, error_size, "%s cannot be opened: %s", dir,
                   strerror(errno));
    goto failed;
  }
  if (flock(s->dir, LOCK_EX | LOCK_NB) != 0) {
    (void)snprintf(error, error_size,
                   errno == EWOULDBLOCK
                       ? "%s is in use by another drone; each needs its own"
                       : "%s cannot be locked",
                   dir);
    goto failed;
  }
  return s;
failed:
  drone_store_close(s);
  return NULL;
}

void drone_store_close(drone_store *s) {
  if (s == NULL)
    return;
  if (s->dir >= 0)
    (void)close(s->dir);
  free(s->path);
  free(s);
}

const char *drone_store_path(const drone_store *s) { return s->path; }

int drone_store_fd(const drone_store *s) { return s->dir; }

/* All of a file, at most max bytes. 0 or an errno. */
static int read_all(int fd, size_t max, text *out) {
  char buffer[4096];
  ssize_t n;

  while ((n = read(fd, buffer, sizeof buffer)) != 0) {
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    text_add(out, buffer, (size_t)n);
    if (out->failed)
      return ENOMEM;
    if (out->len > max)
      return 0; /* too long to be right */
  }
  return 0;
}

void drone_store_discard(drone_store *s) {
  (void)renameat(s->dir, "claim", s->dir, "claim.damaged");
}

int drone_store_load(drone_store *s, drone_record *r, char *error,
                     size_t error_size) {
  text bytes = TEXT_INIT;
  int fd = openat(s->dir, "claim", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  const char *why;
  bool well;
  int failed;

  memset(r, 0, sizeof *r);
  if (fd < 0 && errno == ENOENT)
    return DRONE_NEW;
  failed = fd >= 0 ? read_all(fd, DRONE_RECORD_MOST, &bytes) : errno;
  if (fd >= 0)
    (void)close(fd);
  /* A directory or a link in its place is damage, too: it will not go away. */
  if (failed == EISDIR || failed == ELOOP) {
    failed = 0;
    text_clear(&bytes);
  }
  if (failed != 0) {
    text_free(&bytes);
    (void)snprintf(error, error_size, "%s/claim cannot be read: %s", s->path,
                   strerror(failed));
    return -1;
  }
  well = bytes.len <= DRONE_RECORD_MOST &&
         drone_record_decode(r, text_get(&bytes), bytes.len, &why);
  text_free(&bytes);
  if (!well)
    drone_store_discard(s);
  return well ? DRONE_FOUND : DRONE_DAMAGED;
}

/* A file beside its final name: written, and durable if asked for. */
static int write_beside(drone_store *s, const char *name, const char *data,
                        size_t len, bool durable) {
  int fd, failed;

  (void)unlinkat(s->dir, name, 0);
  fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return errno;
  failed = drone_hook("store.write");
  if (failed == 0)
    failed = files_write_all(fd, data, len);
  if (failed == 0)
    failed = drone_hook("store.fsync");
  if (failed == 0 && durable && fsync(fd) != 0)
    failed = errno;
  if (close(fd) != 0 && failed == 0)
    failed = errno;
  if (failed != 0)
    (void)unlinkat(s->dir, name, 0);
  return failed;
}

int drone_store_save(drone_store *s, const drone_record *r) {
  text bytes = TEXT_INIT;
  int failed = drone_record_encode(r, &bytes) ? 0 : ENOMEM;

  if (failed == 0)
    failed = write_beside(s, "claim.new", bytes.data, bytes.len, true);
  text_free(&bytes);
  if (failed == 0)
    failed = drone_hook("store.rename");
  if (failed == 0 && renameat(s->dir, "claim.new", s->dir, "claim") != 0)
    failed = errno;
  if (failed == 0)
    failed = drone_hook("store.dirsync");
  if (failed == 0 && fsync(s->dir) != 0)
    failed = errno;
  if (failed == 0)
    failed = drone_hook("store.durable");
  return failed;
}

int drone_store_note(drone_store *s, const char *name, const char *data,
                     size_t len) {
  char beside[64];
  int failed;

  (void)snprintf(beside, sizeof beside, "%s.new", name);
  failed = write_beside(s, beside, data, len, false);
  if (failed == 0 && renameat(s->dir, beside, s->dir, name) != 0)
    failed = errno;
  return failed;
}
