/*
 * The checkpoint file. Everything is done relative to a descriptor of the
 * directory. The lock file is never removed: a process that waits for it and
 * one that makes a new one would both believe they hold it.
 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* renameat */
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "str.h"

/* A record holds a seq and a key; a file beyond this is none. */
enum { RECORD_MAX = 64 * 1024 * 1024, ERRNO_TEXT = 128 };

struct cfi_store_file {
  const cfi_alloc *alloc;
  char *path; /* as the caller wrote it, for sentences */
  char *name; /* without its directory */
  char *prev, *tmp, *lock;
  int dir_fd, lock_fd;
  bool newer_is_good; /* known to hold a valid record */
  bool damaged;       /* the last load found only damage */
};

static int no_memory(cfi_error *error) {
  return cfi_error_set(error, CHANGEFEED_ERR_NOMEM,
                       "There was no memory for the checkpoint file.");
}

static int fail(const cfi_store_file *s, const char *what, const char *suffix,
                int number, cfi_error *error) {
  char text[ERRNO_TEXT];

  if (strerror_r(number, text, sizeof text) != 0)
    text[0] = '\0';
  (void)cfi_error_set(error, CHANGEFEED_ERR_STORE,
                      "Cannot %s the checkpoint %s%s: %s (errno %d).", what,
                      s->path, suffix, text, number);
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

static int open_directory(cfi_store_file *s, size_t len, cfi_error *error) {
  char *dir = len == 0 ? cfi_strdup(s->alloc, s->path[0] == '/' ? "/" : ".")
                       : cfi_strndup(s->alloc, s->path, len);
  int number;

  if (dir == NULL)
    return no_memory(error);
  s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  number = errno;
  cfi_free(s->alloc, dir);
  if (s->dir_fd < 0)
    return fail(s, "open the directory of", "", number, error);
  return CHANGEFEED_OK;
}

/* Takes the path apart and opens its directory. */
static int bind_path(cfi_store_file *s, const char *path, cfi_error *error) {
  const char *slash = strrchr(path, '/');
  const char *name = slash != NULL ? slash + 1 : path;

  s->path = cfi_strdup(s->alloc, path);
  s->name = cfi_strdup(s->alloc, name);
  s->prev = joined(s->alloc, name, ".prev");
  s->tmp = joined(s->alloc, name, ".tmp");
  s->lock = joined(s->alloc, name, ".lock");
  if (s->path == NULL || s->name == NULL || s->prev == NULL || s->tmp == NULL ||
      s->lock == NULL)
    return no_memory(error);
  if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "The checkpoint path \"%s\" names no file; write it "
                         "like checkpoint=file:/var/lib/app/feed.pos.",
                         path);
  return open_directory(s, slash != NULL ? (size_t)(slash - path) : 0, error);
}

/* What stands at the path must be a file of ours or nothing. A link is not
   followed: saving would replace it, and in a directory that others write to
   it may lead anywhere. */
static int check_kind(const cfi_store_file *s, cfi_error *error) {
  struct stat info;

  if (fstatat(s->dir_fd, s->name, &info, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? CHANGEFEED_OK
                           : fail(s, "look at", "", errno, error);
  if (S_ISREG(info.st_mode))
    return CHANGEFEED_OK;
  return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                       "The checkpoint path %s is %s; name the file itself.",
                       s->path,
                       S_ISLNK(info.st_mode)   ? "a symbolic link"
                       : S_ISDIR(info.st_mode) ? "a directory"
                                               : "not a regular file");
}

/* Who holds the lock, as far as its holder could write that down. */
static int refuse_held(const cfi_store_file *s, cfi_error *error) {
  char text[CFI_INT_TEXT];
  int64_t pid = 0;
  ssize_t n = pread(s->lock_fd, text, sizeof text, 0);

  if (n <= 1 || text[n - 1] != '\n' ||
      !cfi_str_to_int(text, (size_t)n - 1, &pid))
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "The checkpoint %s is in use: another process holds "
                         "%s.lock.",
                         s->path, s->path);
  return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                       "The checkpoint %s is in use: process %lld holds "
                       "%s.lock.",
                       s->path, (long long)pid, s->path);
}

/* Only for the sentence above: a full disk does not keep anybody from reading
   on, and saving will tell. */
static void sign_lock(const cfi_store_file *s) {
  char text[CFI_INT_TEXT + 1];
  size_t len = cfi_str_from_int(text, (long long)getpid());

  text[len++] = '\n';
  if (ftruncate(s->lock_fd, 0) == 0 && pwrite(s->lock_fd, text, len, 0) < 0)
    return;
}

/* flock belongs to the open file: it ends when the process dies, holds against
   a second store of the same process, and is not lost when a file is closed. */
static int take_lock(cfi_store_file *s, cfi_error *error) {
  struct stat info;

  s->lock_fd = openat(
      s->dir_fd, s->lock,
      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
  if (s->lock_fd < 0)
    return fail(s, "open", ".lock", errno, error);
  if (fstat(s->lock_fd, &info) != 0)
    return fail(s, "look at", ".lock", errno, error);
  if (!S_ISREG(info.st_mode))
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "The checkpoint %s cannot be used: %s.lock is not a "
                         "regular file.",
                         s->path, s->path);
  if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
    return errno == EWOULDBLOCK ? refuse_held(s, error)
                                : fail(s, "lock", ".lock", errno, error);
  sign_lock(s);
  return CHANGEFEED_OK;
}

int cfi_store_file_open(const cfi_alloc *alloc, const char *path,
                        cfi_store_file **out, cfi_error *error) {
  cfi_store_file *s = cfi_calloc(alloc, 1, sizeof *s);
  int rc;

  *out = NULL;
  if (s == NULL)
    return no_memory(error);
  s->alloc = alloc;
  s->dir_fd = s->lock_fd = -1;
  rc = bind_path(s, path, error);
  if (rc == CHANGEFEED_OK)
    rc = check_kind(s, error);
  if (rc == CHANGEFEED_OK)
    rc = take_lock(s, error);
  if (rc == CHANGEFEED_OK)
    *out = s;
  else
    cfi_store_file_close(s);
  return rc;
}

/* The lock is not given back but by closing: LOCK_UN in a child of fork would
   take the parent's away. */
void cfi_store_file_close(cfi_store_file *s) {
  if (s == NULL)
    return;
  if (s->lock_fd >= 0)
    (void)close(s->lock_fd);
  if (s->dir_fd >= 0)
    (void)close(s->dir_fd);
  cfi_free(s->alloc, s->path);
  cfi_free(s->alloc, s->name);
  cfi_free(s->alloc, s->prev);
  cfi_free(s->alloc, s->tmp);
  cfi_free(s->alloc, s->lock);
  cfi_free(s->alloc, s);
}

/* ---- loading ---- */

/* The whole of a file into out; 0 or an errno. */
static int read_all(int fd, cfi_buf *out) {
  char piece[4096];
  struct stat info;

  if (fstat(fd, &info) != 0)
    return errno;
  if (!S_ISREG(info.st_mode))
    return EINVAL;
  for (;;) {
    ssize_t n = read(fd, piece, sizeof piece);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    if (n == 0)
      return 0;
    switch (cfi_buf_append(out, piece, (size_t)n, RECORD_MAX)) {
    case CFI_BUF_OK:
      break;
    case CFI_BUF_FULL:
      return EFBIG;
    default:
      return ENOMEM;
    }
  }
}

/* The bytes of one of the two copies. OK, END (not there), ERR_STORE,
   ERR_NOMEM. */
static int read_copy(const cfi_store_file *s, const char *name,
                     const char *suffix, cfi_buf *out, cfi_error *error) {
  int number,
      fd = openat(s->dir_fd, name,
                  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

  if (fd < 0)
    return errno == ENOENT ? CHANGEFEED_END
                           : fail(s, "open", suffix, errno, error);
  number = read_all(fd, out);
  (void)close(fd); /* nothing was written */
  if (number == ENOMEM)
    return no_memory(error);
  return number == 0 ? CHANGEFEED_OK : fail(s, "read", suffix, number, error);
}

/* The same, decoded. */
static int load_copy(const cfi_store_file *s, const char *name,
                     const char *suffix, cfi_checkpoint *out,
                     cfi_error *error) {
  cfi_error inner;
  cfi_buf data;
  int rc;

  cfi_buf_init(&data, s->alloc);
  rc = read_copy(s, name, suffix, &data, error);
  if (rc == CHANGEFEED_OK) {
    rc = cfi_checkpoint_decode(s->alloc, cfi_buf_data(&data), data.len, out,
                               &inner);
    if (rc != CHANGEFEED_OK) {
      (void)cfi_error_set(error, rc, "%s%s: %s", s->path, suffix, inner.text);
      error->pub.sys_errno = inner.pub.sys_errno;
    }
  }
  cfi_buf_free(&data);
  return rc;
}

/* The newer copy is no use. The older one may stand in for one that is missing
   or damaged, not for one that this library must not touch. */
static int load_older(const cfi_store_file *s, int newer_rc,
                      const cfi_error *newer, cfi_checkpoint *out,
                      cfi_error *warning, cfi_error *error) {
  cfi_error older;
  int rc = load_copy(s, s->prev, ".prev", out, &older);

  if (rc == CHANGEFEED_OK) {
    if (newer_rc == CHANGEFEED_END)
      (void)cfi_error_set(warning, CHANGEFEED_ERR_STORE,
                          "%s is missing; the older position in %s.prev is "
                          "used.",
                          s->path, s->path);
    else
      (void)cfi_error_set(warning, CHANGEFEED_ERR_STORE,
                          "%s The older position in %s.prev is used.",
                          newer->text, s->path);
    return CHANGEFEED_OK;
  }
  if (rc == CHANGEFEED_ERR_NOMEM || newer_rc == CHANGEFEED_END) {
    if (rc != CHANGEFEED_END)
      cfi_error_copy(error, &older);
    return rc;
  }
  (void)cfi_error_set(error, CHANGEFEED_ERR_STORE, "%s %s", newer->text,
                      rc == CHANGEFEED_END ? "There is no older copy."
                                           : older.text);
  /* Nothing good is left only when the older copy is known to be bad too. */
  error->pub.sys_errno =
      rc == CHANGEFEED_END ? newer->pub.sys_errno : older.pub.sys_errno;
  return CHANGEFEED_ERR_STORE;
}

static int load(cfi_store_file *s, cfi_checkpoint *out, cfi_error *warning,
                cfi_error *error) {
  cfi_error newer;
  int rc;

  memset(out, 0, sizeof *out);
  cfi_error_clear(warning);
  rc = load_copy(s, s->name, "", out, &newer);
  s->newer_is_good = rc == CHANGEFEED_OK;
  if (rc == CHANGEFEED_OK)
    return rc;
  if (rc == CHANGEFEED_END || cfi_checkpoint_is_damage(&newer))
    return load_older(s, rc, &newer, out, warning, error);
  cfi_error_copy(error, &newer);
  return rc;
}

int cfi_store_file_load(cfi_store_file *s, cfi_checkpoint *out,
                        cfi_error *warning, cfi_error *error) {
  int rc = load(s, out, warning, error);

  s->damaged = rc == CHANGEFEED_ERR_STORE && cfi_checkpoint_is_damage(error);
  return rc;
}

bool cfi_store_file_is_damaged(const cfi_store_file *s) { return s->damaged; }

/* ---- saving ---- */

/* A new file beside PATH. One that is there is the rest of a process that
   died, or a trap; the lock says that nobody writes it now. */
static int open_new(const cfi_store_file *s, const char *name) {
  const int flags =
      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;
  int fd = openat(s->dir_fd, name, flags, 0600);

  if (fd < 0 && errno == EEXIST && unlinkat(s->dir_fd, name, 0) == 0)
    fd = openat(s->dir_fd, name, flags, 0600);
  return fd;
}

/* 0 or an errno. */
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
  return 0;
}

/* 0 or an errno. */
static int sync_fd(int fd) {
  while (fsync(fd) != 0)
    if (errno != EINTR)
      return errno;
  return 0;
}

/* A synced file of these bytes, or none. */
static int write_new(const cfi_store_file *s, const char *name,
                     const char *suffix, const char *data, size_t len,
                     cfi_error *error) {
  int fd = open_new(s, name);
  int number;

  if (fd < 0)
    return fail(s, "create", suffix, errno, error);
  number = write_all(fd, data, len);
  if (number == 0)
    number = sync_fd(fd);
  if (close(fd) != 0 && number == 0 && errno != EINTR)
    number = errno;
  if (number == 0)
    return CHANGEFEED_OK;
  (void)unlinkat(s->dir_fd, name, 0);
  return fail(s, "write", suffix, number, error);
}

/* Is the newer copy worth to be kept as the older one? A damaged one must not
   push out the good copy that stood in for it. OK, or why nothing may be put in
   its place. */
static int judge_newer(cfi_store_file *s, cfi_error *error) {
  cfi_checkpoint record;
  int rc;

  if (s->newer_is_good)
    return CHANGEFEED_OK;
  rc = load_copy(s, s->name, "", &record, error);
  if (rc == CHANGEFEED_OK) {
    cfi_checkpoint_free(s->alloc, &record);
    s->newer_is_good = true;
  }
  if (rc == CHANGEFEED_END ||
      (rc == CHANGEFEED_ERR_STORE && cfi_checkpoint_is_damage(error)))
    return CHANGEFEED_OK;
  return rc;
}

/* PATH itself is never away: a second link where the file system has links,
   else a second file. Renamed to PATH.prev, it could be lost to a power cut
   that keeps the one half of the renaming only. */
static int keep_previous(const cfi_store_file *s, cfi_error *error) {
  cfi_buf data;
  int rc;

  if (unlinkat(s->dir_fd, s->prev, 0) != 0 && errno != ENOENT)
    return fail(s, "remove", ".prev", errno, error);
  if (linkat(s->dir_fd, s->name, s->dir_fd, s->prev, 0) == 0)
    return CHANGEFEED_OK;
  cfi_buf_init(&data, s->alloc);
  rc = read_copy(s, s->name, "", &data, error);
  if (rc == CHANGEFEED_OK)
    rc = write_new(s, s->prev, ".prev", cfi_buf_data(&data), data.len, error);
  cfi_buf_free(&data);
  /* Somebody removed it: then there is nothing to keep. */
  return rc == CHANGEFEED_END ? CHANGEFEED_OK : rc;
}

int cfi_store_file_save(cfi_store_file *s, const char *data, size_t len,
                        cfi_error *error) {
  int rc = judge_newer(s, error);
  int number;

  if (rc == CHANGEFEED_OK)
    rc = write_new(s, s->tmp, ".tmp", data, len, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  if (s->newer_is_good)
    rc = keep_previous(s, error);
  if (rc == CHANGEFEED_OK &&
      renameat(s->dir_fd, s->tmp, s->dir_fd, s->name) != 0)
    rc = fail(s, "put the new copy in place of", "", errno, error);
  if (rc != CHANGEFEED_OK) {
    (void)unlinkat(s->dir_fd, s->tmp, 0);
    s->newer_is_good = false; /* look again before the next save */
    return rc;
  }
  s->newer_is_good = true;
  /* Some file systems do not sync directories, and say so by EINVAL. */
  number = sync_fd(s->dir_fd);
  if (number != 0 && number != EINVAL)
    return fail(s, "sync the directory of", "", number, error);
  return CHANGEFEED_OK;
}
