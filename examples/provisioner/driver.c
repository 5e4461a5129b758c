/* Which driver does it, and what both of them need; see driver.h. */
#include "provisioner/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The program drone in the directory of this one; "": it is not known. */
static void beside(char *out, size_t size) {
  ssize_t n = readlink("/proc/self/exe", out, size - sizeof "drone");
  char *name;

  out[n > 0 ? n : 0] = '\0';
  name = strrchr(out, '/');
  if (name != NULL)
    memcpy(name + 1, "drone", sizeof "drone");
}

static bool keep(char **out, const char *value) {
  return value == NULL || (*out = strdup(value)) != NULL;
}

driver *driver_open(const driver_config *config, char *error, size_t size) {
  driver *d = calloc(1, sizeof *d);
  const char *path = config->path;
  char own[4096];

  if (d == NULL) {
    (void)snprintf(error, size, "Out of memory");
    return NULL;
  }
  d->kind = config->kind[0];
  if (path == NULL && d->kind == 'l') {
    beside(own, sizeof own);
    path = own;
  }
  if (strcmp(config->kind, "none") != 0 && strcmp(config->kind, "local") != 0 &&
      strcmp(config->kind, "exec") != 0)
    (void)snprintf(error, size, "There is no driver \"%s\"", config->kind);
  else if (d->kind != 'n' && path == NULL)
    (void)snprintf(error, size, "The driver %s needs --driver-path",
                   config->kind);
  else if (d->kind != 'n' && access(path, X_OK) != 0)
    (void)snprintf(error, size, "The driver's %s cannot be run: %s", path,
                   strerror(errno));
  else if (d->kind == 'l' &&
           (config->dir == NULL || config->token_file == NULL))
    (void)snprintf(error, size,
                   "The driver local needs a directory for the "
                   "drones and a file with their token");
  else if (!keep(&d->path, path) || !keep(&d->dir, config->dir) ||
           !keep(&d->token_file, config->token_file) ||
           !keep(&d->user, config->user))
    (void)snprintf(error, size, "Out of memory");
  else if (d->kind != 'l' || local_open(d, error, size))
    return d;
  driver_close(d);
  return NULL;
}

void driver_close(driver *d) {
  if (d == NULL)
    return;
  free(d->path);
  free(d->dir);
  free(d->token_file);
  free(d->user);
  free(d);
}

bool driver_makes(const driver *d) { return d->kind != 'n'; }

bool driver_begin(driver *d, boot *b, char *why, size_t size) {
  b->output = -1;
  return d->kind == 'l' ? local_begin(d, b, why, size)
                        : exec_begin(d, b, why, size);
}

enum driver_boot driver_look(driver *d, boot *b, char *why, size_t size) {
  return d->kind == 'l' ? local_look(b, why, size) : exec_look(b, why, size);
}

bool driver_destroy(driver *d, const char *addr, const char *ctl, char *why,
                    size_t size) {
  if (d->kind == 'n')
    return true;
  return d->kind == 'l' ? local_destroy(d, addr, why, size)
                        : exec_destroy(d, addr, ctl, why, size);
}

bool driver_list(driver *d,
                 void (*each)(void *ctx, const char *addr, const char *ctl),
                 void *ctx, char *why, size_t size) {
  if (d->kind == 'n')
    return true;
  return d->kind == 'l' ? local_list(d, each, ctx, why, size)
                        : exec_list(d, each, ctx, why, size);
}

/* ---- for both ---- */

bool driver_line(const char *line, size_t len, char addr[ADDR_MOST + 1],
                 char ctl[ADDR_MOST + 1]) {
  const char *space = memchr(line, ' ', len);
  size_t first, second;

  while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
    len--;
  if (space == NULL)
    return false;
  first = (size_t)(space - line);
  second = len > first ? len - first - 1 : 0;
  if (first > ADDR_MOST || second > ADDR_MOST || !id_is_addr(line, first) ||
      !id_is_addr(space + 1, second))
    return false;
  memcpy(addr, line, first);
  addr[first] = '\0';
  memcpy(ctl, space + 1, second);
  ctl[second] = '\0';
  return true;
}

enum { ENVIRONMENT = 5 };

static void environment(char texts[ENVIRONMENT][512],
                        char *out[ENVIRONMENT + 1]) {
  static const char *const names[] = {"PATH", "HOME", "LANG", "TZ"};
  size_t i, count = 0;

  for (i = 0; i < sizeof names / sizeof names[0]; i++) {
    const char *value = getenv(names[i]);

    if (value == NULL)
      continue;
    (void)snprintf(texts[count], sizeof texts[count], "%s=%s", names[i], value);
    out[count] = texts[count];
    count++;
  }
  out[count] = NULL;
}

static int spawn(const char *const *argv, int out, int err,
                 posix_spawn_file_actions_t *files, posix_spawnattr_t *attr,
                 pid_t *pid) {
  char texts[ENVIRONMENT][512], *env[ENVIRONMENT + 1];
  sigset_t none, all;
  int rc;

  environment(texts, env);
  (void)sigemptyset(&none);
  (void)sigfillset(&all);
  (void)sigdelset(&all, SIGKILL);
  (void)sigdelset(&all, SIGSTOP);
  (void)posix_spawnattr_setsigmask(attr, &none);
  (void)posix_spawnattr_setsigdefault(attr, &all);
  rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID |
                                          POSIX_SPAWN_SETSIGMASK |
                                          POSIX_SPAWN_SETSIGDEF);
  if (rc == 0)
    rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
  if (rc == 0)
    rc = posix_spawn_file_actions_adddup2(files, out, 1);
  if (rc == 0)
    rc = posix_spawn_file_actions_adddup2(files, err, 2);
  if (rc == 0)
    rc = posix_spawn_file_actions_addclosefrom_np(files, 3);
  if (rc == 0)
    rc = posix_spawn(pid, argv[0], files, attr, (char *const *)(uintptr_t)argv,
                     env);
  return rc;
}

int driver_spawn(const char *const *argv, int out, int err, char *why,
                 size_t size) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attr;
  pid_t pid = -1;
  int rc = posix_spawn_file_actions_init(&files);

  if (rc == 0) {
    rc = posix_spawnattr_init(&attr);
    if (rc == 0) {
      rc = spawn(argv, out, err, &files, &attr, &pid);
      (void)posix_spawnattr_destroy(&attr);
    }
    (void)posix_spawn_file_actions_destroy(&files);
  }
  if (rc == 0)
    return pid;
  (void)snprintf(why, size, "%s could not be run: %s", argv[0], strerror(rc));
  return -1;
}
