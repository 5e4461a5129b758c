/*
 * Files that are replaced as a whole. The lock file is never removed: a process
 * that waits for it and one that makes a new one would both believe they hold
 * it.
 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "file_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* renameat */
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "str.h"

enum { ERRNO_TEXT = 128 };
/* A beginning that differs from ours in so many bytes is damage, in more it is
   somebody else's. */
enum { MAGIC_DAMAGE = 4 };

const char *cfi_file_suffix(cfi_file_name name) {
  static const char *const suffixes[CFI_FILE_NAMES] = {"", ".prev", ".tmp",
                                                       ".lock"};
  return suffixes[name];
}

int cfi_file_no_memory(const cfi_file *f, cfi_error *error) {
  return cfi_error_set(error, CHANGEFEED_ERR_NOMEM,
                       "There was no memory for the %s file.", f->kind->what);
}

int cfi_file_fail(const cfi_file *f, const char *what, cfi_file_name name,
                  int number, cfi_error *error) {
  char text[ERRNO_TEXT];

  if (strerror_r(number, text, sizeof text) != 0)
    text[0] = '\0';
  (void)cfi_error_set(
      error, CHANGEFEED_ERR_STORE, "Cannot %s the %s %s%s: %s (errno %d).",
      what, f->kind->what, f->path, cfi_file_suffix(name), text, number);
  error->pub.sys_errno = number;
  return CHANGEFEED_ERR_STORE;
}

/* ---- opening ---- */

static char *joined(const cfi_alloc *alloc, const char *name,
                    const char *suffix) {
  cfi_buf out;

  cfi_buf_init(&out, alloc);
  cfi_buf_puts(&out, name);
  cfi_buf_puts(&out, suffix);
  return cfi_buf_take(&out);
}

static int open_directory(cfi_file *f, size_t len, cfi_error *error) {
  char *dir = len == 0 ? cfi_strdup(f->alloc, f->path[0] == '/' ? "/" : ".")
                       : cfi_strndup(f->alloc, f->path, len);
  int number;

  if (dir == NULL)
    return cfi_file_no_memory(f, error);
  f->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  number = errno;
  cfi_free(f->alloc, dir);
  if (f->dir_fd < 0)
    return cfi_file_fail(f, "open the directory of", CFI_FILE_ITSELF, number,
                         error);
  return CHANGEFEED_OK;
}

/* Takes the path apart and opens its directory. */
static int bind_path(cfi_file *f, const char *path, cfi_error *error) {
  const char *slash = strrchr(path, '/');
  const char *name = slash != NULL ? slash + 1 : path;

  f->path = cfi_strdup(f->alloc, path);
  if (f->path == NULL)
    return cfi_file_no_memory(f, error);
  for (int i = 0; i < CFI_FILE_NAMES; i++) {
    f->names[i] = joined(f->alloc, name, cfi_file_suffix((cfi_file_name)i));
    if (f->names[i] == NULL)
      return cfi_file_no_memory(f, error);
  }
  if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "The %s path \"%s\" names no file; write it like %s.",
                         f->kind->what, path, f->kind->example);
  return open_directory(f, slash != NULL ? (size_t)(slash - path) : 0, error);
}

/* A link is not followed: saving would replace it, and in a directory that
   others write to it may lead anywhere. */
static int check_kind(const cfi_file *f, cfi_error *error) {
  struct stat info;

  if (fstatat(f->dir_fd, f->names[CFI_FILE_ITSELF], &info,
              AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT
               ? CHANGEFEED_OK
               : cfi_file_fail(f, "look at", CFI_FILE_ITSELF, errno, error);
  if (S_ISREG(info.st_mode))
    return CHANGEFEED_OK;
  return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                       "The %s path %s is %s; name the file itself.",
                       f->kind->what, f->path,
                       S_ISLNK(info.st_mode)   ? "a symbolic link"
                       : S_ISDIR(info.st_mode) ? "a directory"
                                               : "not a regular file");
}

int cfi_file_open(cfi_file *f, const cfi_alloc *alloc,
                  const cfi_file_kind *kind, const char *path,
                  cfi_error *error) {
  int rc;

  memset(f, 0, sizeof *f);
  f->alloc = alloc;
  f->kind = kind;
  f->dir_fd = f->lock_fd = -1;
  rc = bind_path(f, path, error);
  return rc == CHANGEFEED_OK ? check_kind(f, error) : rc;
}

/* The lock is not given back but by closing: LOCK_UN in a child of fork would
   take the parent's away. */
void cfi_file_close(cfi_file *f) {
  if (f->lock_fd >= 0)
    (void)close(f->lock_fd);
  if (f->dir_fd >= 0)
    (void)close(f->dir_fd);
  f->lock_fd = f->dir_fd = -1;
  cfi_free(f->alloc, f->path);
  for (int i = 0; i < CFI_FILE_NAMES; i++)
    cfi_free(f->alloc, f->names[i]);
}

/* ---- the lock ---- */

/* Who holds the lock, as far as its holder could write that down. */
static int refuse_held(const cfi_file *f, cfi_error *error) {
  char text[CFI_INT_TEXT];
  int64_t pid = 0;
  ssize_t n = pread(f->lock_fd, text, sizeof text, 0);

  if (n <= 1 || text[n - 1] != '\n' ||
      !cfi_str_to_int(text, (size_t)n - 1, &pid))
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "The %s %s is in use: another process holds %s.lock.",
                         f->kind->what, f->path, f->path);
  return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                       "The %s %s is in use: process %lld holds %s.lock.",
                       f->kind->what, f->path, (long long)pid, f->path);
}

/* Only for the sentence above: a full disk does not keep anybody from reading
   on, and saving will tell. */
static void sign_lock(const cfi_file *f) {
  char text[CFI_INT_TEXT + 1];
  size_t len = cfi_str_from_int(text, (long long)getpid());

  text[len++] = '\n';
  if (ftruncate(f->lock_fd, 0) == 0 && pwrite(f->lock_fd, text, len, 0) < 0)
    return;
}

/* flock belongs to the open file: it ends when the process dies, holds against
   a second cfi_file of the same process, and is not lost when a file is
   closed. */
int cfi_file_lock(cfi_file *f, cfi_error *error) {
  struct stat info;

  f->lock_fd = openat(
      f->dir_fd, f->names[CFI_FILE_LOCK],
      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
  if (f->lock_fd < 0)
    return cfi_file_fail(f, "open", CFI_FILE_LOCK, errno, error);
  if (fstat(f->lock_fd, &info) != 0)
    return cfi_file_fail(f, "look at", CFI_FILE_LOCK, errno, error);
  if (!S_ISREG(info.st_mode))
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "The %s %s cannot be used: %s.lock is not a regular "
                         "file.",
                         f->kind->what, f->path, f->path);
  if (flock(f->lock_fd, LOCK_EX | LOCK_NB) != 0)
    return errno == EWOULDBLOCK
               ? refuse_held(f, error)
               : cfi_file_fail(f, "lock", CFI_FILE_LOCK, errno, error);
  sign_lock(f);
  return CHANGEFEED_OK;
}

/* ---- reading ---- */

int cfi_file_open_to_read(const cfi_file *f, cfi_file_name name, int *fd,
                          uint64_t *size, cfi_error *error) {
  struct stat info;
  int number = 0;

  *fd = openat(f->dir_fd, f->names[name],
               O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (*fd < 0)
    return errno == ENOENT ? CHANGEFEED_END
                           : cfi_file_fail(f, "open", name, errno, error);
  if (fstat(*fd, &info) != 0)
    number = errno;
  else if (!S_ISREG(info.st_mode))
    number = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
  if (number == 0) {
    *size = (uint64_t)info.st_size;
    return CHANGEFEED_OK;
  }
  (void)close(*fd);
  *fd = -1;
  return cfi_file_fail(f, "read", name, number, error);
}

int cfi_file_read(int fd, void *data, size_t size, size_t *len) {
  *len = 0;
  while (*len != size) {
    ssize_t n = read(fd, (char *)data + *len, size - *len);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    if (n == 0)
      break;
    *len += (size_t)n;
  }
  return 0;
}

bool cfi_file_is_foreign(const char *magic, size_t magic_len, const void *data,
                         size_t len) {
  const char *bytes = data;
  size_t differ = 0;

  if (len > magic_len)
    len = magic_len;
  /* A few other bytes are damage, and so are zeros, which a file system may
     leave after a crash. */
  for (size_t i = 0; i < len; i++)
    differ += bytes[i] != magic[i] && bytes[i] != '\0';
  return differ > MAGIC_DAMAGE || differ * 2 > len;
}

/* ---- writing ---- */

int cfi_file_create(const cfi_file *f, cfi_file_name name, int *fd,
                    cfi_error *error) {
  const int flags =
      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;

  *fd = openat(f->dir_fd, f->names[name], flags, 0600);
  if (*fd < 0 && errno == EEXIST && unlinkat(f->dir_fd, f->names[name], 0) == 0)
    *fd = openat(f->dir_fd, f->names[name], flags, 0600);
  return *fd >= 0 ? CHANGEFEED_OK
                  : cfi_file_fail(f, "create", name, errno, error);
}

int cfi_file_write(int fd, const void *data, size_t len) {
  const char *at = data;

  while (len != 0) {
    ssize_t n = write(fd, at, len);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    at += n;
    len -= (size_t)n;
  }
  return 0;
}

int cfi_file_sync(int fd) {
  while (fsync(fd) != 0)
    if (errno != EINTR)
      return errno;
  return 0;
}

void cfi_file_remove(const cfi_file *f, cfi_file_name name) {
  (void)unlinkat(f->dir_fd, f->names[name], 0);
}

int cfi_file_finish(const cfi_file *f, cfi_file_name name, int fd, int number,
                    cfi_error *error) {
  if (number == 0)
    number = cfi_file_sync(fd);
  if (close(fd) != 0 && number == 0 && errno != EINTR)
    number = errno;
  if (number == 0)
    return CHANGEFEED_OK;
  cfi_file_remove(f, name);
  return cfi_file_fail(f, "write", name, number, error);
}

int cfi_file_replace(const cfi_file *f, bool *replaced, cfi_error *error) {
  int number;

  *replaced = renameat(f->dir_fd, f->names[CFI_FILE_ASIDE], f->dir_fd,
                       f->names[CFI_FILE_ITSELF]) == 0;
  if (!*replaced) {
    number = errno;
    cfi_file_remove(f, CFI_FILE_ASIDE);
    return cfi_file_fail(f, "put the new copy in place of", CFI_FILE_ITSELF,
                         number, error);
  }
  /* Some file systems do not sync directories, and say so by EINVAL. */
  number = cfi_file_sync(f->dir_fd);
  if (number != 0 && number != EINVAL)
    return cfi_file_fail(f, "sync the directory of", CFI_FILE_ITSELF, number,
                         error);
  return CHANGEFEED_OK;
}
