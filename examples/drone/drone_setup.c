/*
 * The drone's options and its user; see drone_setup.h.
 */
#include "drone/drone_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const config_option options[] = {
    {"addr", CONFIG_STRING, "127.0.0.1:0", 0, 0, "IP:PORT",
     "where the guard listens for visitors"},
    {"ctl", CONFIG_STRING, "127.0.0.1:0", 0, 0, "IP:PORT",
     "where the agent listens for provisioners"},
    {"public", CONFIG_STRING, NULL, 0, 0, "IP:PORT",
     "the guard's address as others have to use it, where it is another"},
    {"dir", CONFIG_STRING, NULL, 0, 0, "DIR",
     "directory of this drone alone: its claim, the app's files and output"},
    {"token-file", CONFIG_STRING, NULL, 0, 0, "FILE",
     "file with the token that the agent wants"},
    {"port-file", CONFIG_STRING, NULL, 0, 0, "FILE",
     "file to write \"guard ADDR\" and \"ctl ADDR\" to once it is ready"},
    {"user", CONFIG_STRING, NULL, 0, 0, "NAME",
     "user to become when started by root"},
    {"as-root", CONFIG_FLAG, NULL, 0, 0, NULL,
     "stay root, and run the apps as root"},
    {"memory-mb", CONFIG_NUMBER, "256", 8, 1048576, "MB",
     "memory of each process of an app that asks for no other"},
    {"files", CONFIG_NUMBER, "1024", 16, 1048576, "N",
     "files a process of an app may have open"},
    {"processes", CONFIG_NUMBER, "0", 0, 1048576, "N",
     "processes that the drone's user may have in all; 0: no limit"},
    {"file-mb", CONFIG_NUMBER, "1024", 0, 1048576, "MB",
     "size of a file that an app writes; 0: no limit"},
    {"app-ports", CONFIG_STRING, NULL, 0, 0, "LOW-HIGH",
     "private ports for apps; without it the system chooses"},
    {"app-socket", CONFIG_FLAG, NULL, 0, 0, NULL,
     "give the app a unix socket, in SOCKET, in place of PORT"},
    {"stop-ms", CONFIG_MS, "5s", 0, 600000, "TIME",
     "time for an app to end by itself after SIGTERM"},
    {"drain-ms", CONFIG_MS, "2s", 0, 600000, "TIME",
     "time for visitors to finish when a claim or the drone ends"},
    {"log-bytes", CONFIG_NUMBER, "1048576", 1024, 1073741824, "BYTES",
     "size of a file of the app's output"},
    {"log-files", CONFIG_NUMBER, "3", 1, 99, "N",
     "files of the app's output that are kept"},
    {"connections", CONFIG_NUMBER, "1000", 1, 100000, "N",
     "connections of visitors at a time"},
    {"log-level", CONFIG_STRING, "info", 0, 0, "LEVEL",
     "least of what is logged: debug, info, warn or error"},
#ifdef PLATFORM_HOOKS
    {"naive", CONFIG_STRING, NULL, 0, 0, "WAYS",
     "tests only: noguard, of ways of working that are known to be wrong"},
#endif
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

const config_program drone_program = {
    "drone", "Runs one app at a time behind a guard, for a provisioner.",
    "DRONE", options, NULL};

static bool read_ports(const char *ports, int *low, int *high) {
  char *end;
  long first = strtol(ports, &end, 10), last;

  if (end == ports || *end != '-')
    return false;
  ports = end + 1;
  last = strtol(ports, &end, 10);
  if (end == ports || *end != '\0' || first < 1 || last > 65535 || last < first)
    return false;
  *low = (int)first;
  *high = (int)last;
  return true;
}

bool drone_setup_app(const config *c, drone_app_config *app, char *error,
                     size_t error_size) {
  const char *ports = config_string(c, "app-ports");

  app->memory_mb = config_number(c, "memory-mb");
  app->files = config_number(c, "files");
  app->processes = config_number(c, "processes");
  app->file_mb = config_number(c, "file-mb");
  app->stop_ms = config_number(c, "stop-ms");
  app->log_bytes = config_number(c, "log-bytes");
  app->log_files = (int)config_number(c, "log-files");
  app->by_socket = config_flag(c, "app-socket");
  if (ports != NULL && !read_ports(ports, &app->port_low, &app->port_high)) {
    (void)snprintf(error, error_size,
                   "--app-ports: \"%s\" is not LOW-HIGH, such as 20000-20999",
                   ports);
    return false;
  }
  return true;
}

/* The directory is the user's before the drone is. */
static bool hand_over(const char *dir, const struct passwd *user) {
  struct stat st;
  int fd;
  bool well;

  if (mkdir(dir, 0700) != 0 && errno != EEXIST)
    return false;
  fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  well = fd >= 0 && fstat(fd, &st) == 0 &&
         (st.st_uid == user->pw_uid ||
          fchown(fd, user->pw_uid, user->pw_gid) == 0);
  if (fd >= 0)
    (void)close(fd);
  return well;
}

void drone_setup_files(void) {
  struct rlimit files;

  if (getrlimit(RLIMIT_NOFILE, &files) != 0)
    return;
  files.rlim_cur = files.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &files);
}

bool drone_setup_user(const config *c, char *error, size_t error_size) {
  const char *name = config_string(c, "user"), *dir = config_string(c, "dir");
  const struct passwd *user = name != NULL ? getpwnam(name) : NULL;

  if (geteuid() != 0 &&
      (name == NULL || user == NULL || user->pw_uid == geteuid())) {
    /* Apps run as the same user: they shall not read this process' memory. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    return true;
  }
  if (geteuid() == 0 && name == NULL && config_flag(c, "as-root"))
    return true;
  if (name == NULL) {
    (void)snprintf(error, error_size,
                   "the apps would run as root: name another user by --user, "
                   "or say --as-root");
    return false;
  }
  if (user == NULL || user->pw_uid == 0) {
    (void)snprintf(error, error_size, "--user: \"%s\" is %s", name,
                   user == NULL ? "no user of this machine"
                                : "root; say --as-root if that is meant");
    return false;
  }
  if (!hand_over(dir, user) || initgroups(name, user->pw_gid) != 0 ||
      setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) {
    (void)snprintf(error, error_size, "cannot become the user %s with %s: %s",
                   name, dir, strerror(errno));
    return false;
  }
  (void)prctl(PR_SET_DUMPABLE, 0);
  return true;
}
