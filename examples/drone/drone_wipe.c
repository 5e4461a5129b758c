/*
 * Empties directories; see drone_wipe.h. Without recursion and without paths
 * that grow: directories inside directories are first moved up to the top, so
 * that no depth an app can make is too deep.
 */
#include "drone/drone_wipe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static DIR *open_dir(int at, const char *name) {
  int fd;
  DIR *d;

  /* Its owner may have taken every right from it. */
  fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == EACCES && fchmodat(at, name, 0700, 0) == 0)
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return NULL;
  (void)fchmod(fd, 0700);
  d = fdopendir(fd);
  if (d == NULL)
    (void)close(fd);
  return d;
}

static bool is_dots(const char *name) {
  return name[0] == '.' &&
         (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* A name that is free in top; counter goes on. */
static int move_up(int from, const char *name, int top, unsigned *counter) {
  char fresh[32];
  int tries;

  for (tries = 0; tries < 1000; tries++) {
    (void)snprintf(fresh, sizeof fresh, ".wiped.%u", ++*counter);
    if (renameat2(from, name, top, fresh, RENAME_NOREPLACE) == 0)
      return 0;
    if (errno == EACCES && fchmodat(from, name, 0700, 0) == 0)
      continue; /* to move a directory its ".." is written */
    if (errno != EEXIST)
      break;
  }
  return errno;
}

/* One directory of top: its files go, its directories come up, then it goes.
 */
static int flatten(int top, const char *name, unsigned *counter) {
  DIR *d = open_dir(top, name);
  struct dirent *entry;
  int failed = 0;

  if (d == NULL)
    return errno == ENOENT ? 0 : errno;
  while (failed == 0 && (entry = readdir(d)) != NULL) {
    if (is_dots(entry->d_name))
      continue;
    if (unlinkat(dirfd(d), entry->d_name, 0) == 0 || errno == ENOENT)
      continue;
    failed = errno;
    if (failed == EISDIR || failed == EPERM) {
      failed = unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR) == 0 ? 0 : errno;
      if (failed == ENOTEMPTY || failed == EEXIST)
        failed = move_up(dirfd(d), entry->d_name, top, counter);
    }
  }
  (void)closedir(d);
  if (failed == 0 && unlinkat(top, name, AT_REMOVEDIR) != 0 &&
      errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
    failed = errno;
  return failed;
}

/* One pass over top: *more when something was there. */
static int pass(DIR *top, const char *spared, unsigned *counter, bool *more) {
  struct dirent *entry;
  int failed = 0;

  *more = false;
  rewinddir(top);
  while (failed == 0 && (entry = readdir(top)) != NULL) {
    if (is_dots(entry->d_name) ||
        (spared != NULL && strcmp(entry->d_name, spared) == 0))
      continue;
    *more = true;
    if (unlinkat(dirfd(top), entry->d_name, 0) == 0 || errno == ENOENT)
      continue;
    failed = errno == EISDIR || errno == EPERM
                 ? flatten(dirfd(top), entry->d_name, counter)
                 : errno;
  }
  return failed;
}

int drone_wipe(int dir, const char *name, const char *spared) {
  unsigned counter = 0;
  bool more = true;
  int failed = 0;
  DIR *top;

  if (mkdirat(dir, name, 0700) != 0 && errno != EEXIST)
    return errno;
  top = open_dir(dir, name);
  if (top == NULL)
    return errno;
  while (failed == 0 && more)
    failed = pass(top, spared, &counter, &more);
  (void)closedir(top);
  return failed;
}

int drone_wipe_tree(int dir, const char *name) {
  int failed;

  if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
    return 0;
  failed = drone_wipe(dir, name, NULL);
  if (failed == 0 && unlinkat(dir, name, AT_REMOVEDIR) != 0)
    failed = errno;
  return failed;
}
