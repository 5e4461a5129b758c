/* See lock.h. Files of locks lie in a directory of the user's own: what others
   could have put there is refused. They are never removed, as that would race
   with somebody who has just opened one; the kernel's lock is what counts, and
   it goes with its process. */
#include "apps/lock.h"
#include "apps/console.h"
#include "common/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 512, ASK_MS = 100 };

static void path_of_directory(char path[PATH_SIZE]) {
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  struct stat st;

  if (runtime != NULL && runtime[0] == '/' && stat(runtime, &st) == 0 &&
      S_ISDIR(st.st_mode) && strlen(runtime) < PATH_SIZE - 8)
    (void)snprintf(path, PATH_SIZE, "%s/apps", runtime);
  else
    (void)snprintf(path, PATH_SIZE, "/tmp/apps-%lu", (unsigned long)geteuid());
}

/* A descriptor, or -1 with the reason. */
static int open_directory(const char *path, const char **why) {
  struct stat st;
  int fd;

  if (mkdir(path, 0700) != 0 && errno != EEXIST) {
    *why = strerror(errno);
    return -1;
  }
  fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    *why = errno == ELOOP || errno == ENOTDIR ? "it is no directory"
                                              : strerror(errno);
    return -1;
  }
  *why = NULL;
  if (fstat(fd, &st) != 0)
    *why = strerror(errno);
  else if (st.st_uid != geteuid())
    *why = "it is somebody else's";
  else if ((st.st_mode & 077) != 0)
    *why = "others may use it (chmod 700 it)";
  if (*why == NULL)
    return fd;
  (void)close(fd);
  return -1;
}

static int open_file(int directory, const char *name, const char **why) {
  int fd = openat(directory, name,
                  O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  struct stat st;

  *why = NULL;
  if (fd < 0)
    *why = errno == ELOOP ? "it is a link" : strerror(errno);
  else if (fstat(fd, &st) != 0)
    *why = strerror(errno);
  else if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid())
    *why = "it is no file of ours";
  if (*why == NULL)
    return fd;
  if (fd >= 0)
    (void)close(fd);
  return -1;
}

/* Who holds it, as he wrote it down. */
static void read_holder(int fd, char out[128]) {
  ssize_t n = pread(fd, out, 127, 0);

  out[n > 0 ? n : 0] = '\0';
  out[strcspn(out, "\n")] = '\0';
  if (out[0] == '\0')
    (void)snprintf(out, 128, "another run of apps");
}

static void write_holder(const apps_run *run, int fd) {
  char line[128];
  int len = snprintf(line, sizeof line, "apps %s %s (process %ld)\n",
                     run->command, run->operand, (long)getpid());

  /* It is only for people; without it the lock holds as well. */
  if (ftruncate(fd, 0) != 0 || len <= 0 ||
      pwrite(fd, line, (size_t)len < sizeof line ? (size_t)len : 127, 0) < 0)
    return;
}

static int wait_for(apps_run *run, int fd) {
  char holder[128], told[128] = "";

  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR)
      continue;
    if (errno != EWOULDBLOCK)
      return apps_fail(run, EXIT_OTHER, "lock",
                       "The lock of %s cannot be taken: %s.", run->operand,
                       strerror(errno));
    read_holder(fd, holder);
    if (run->no_wait)
      return apps_fail(run, EXIT_PENDING, "busy", "%s: %s is under way.",
                       run->operand, holder);
    if (strcmp(holder, told) != 0)
      apps_progress(run, "%s: waiting for %s", run->operand, holder);
    memcpy(told, holder, sizeof told);
    if (!apps_pause(run, apps_jitter(run, ASK_MS)))
      return apps_fail(run, EXIT_PENDING, "busy",
                       "%s: %s is still under way, and the time is over.",
                       run->operand, holder);
  }
  write_holder(run, fd);
  return EXIT_LIVE;
}

int apps_lock_take(apps_run *run, apps_lock *lock) {
  const char *url = rest_url(run->rest), *why;
  char directory[PATH_SIZE], name[NAME_MOST + 32];
  int at, status;

  lock->fd = -1;
  path_of_directory(directory);
  (void)snprintf(name, sizeof name, "%.63s.%016llx", run->operand,
                 (unsigned long long)id_hash(url, strlen(url)));
  at = open_directory(directory, &why);
  if (at < 0)
    return apps_fail(run, EXIT_OTHER, "lock",
                     "The directory of locks %s cannot be used: %s.", directory,
                     why);
  lock->fd = open_file(at, name, &why);
  (void)close(at);
  if (lock->fd < 0)
    return apps_fail(run, EXIT_OTHER, "lock",
                     "The lock %s/%s cannot be used: %s.", directory, name,
                     why);
  status = wait_for(run, lock->fd);
  if (status != EXIT_LIVE)
    apps_lock_release(lock);
  return status;
}

void apps_lock_release(apps_lock *lock) {
  if (lock->fd >= 0)
    (void)close(lock->fd);
  lock->fd = -1;
}
