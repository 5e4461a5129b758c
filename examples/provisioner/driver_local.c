/* Drones as processes of this machine, on addresses of 127.1.0.0/16 and ports
   that the system gives. Each has a directory DIR/ID with
     ports   written by the drone once it answers: "guard ADDR", "ctl ADDR"
     pid     its process, and when that began, so that no other is ever killed
     log     what it says
     data/   its own
   They live in sessions of their own and outlive whoever made them. */
#include "provisioner/driver.h"

#include "provisioner/clock.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BOOT_MS = 20000, STOP_MS = 8000, TICK_NS = 20000000, PLACE = 256 };

/* Whether drones become another user than this program's. */
static bool changes_user(const driver *d) {
  return geteuid() == 0 && strcmp(d->user, "root") != 0;
}

/* Another user has to get through the directory to what is his. */
bool local_open(driver *d, char *error, size_t size) {
  if (geteuid() == 0 && d->user == NULL) {
    (void)snprintf(error, size,
                   "The drones' apps would run as root: name a user for them "
                   "by --drone-user, or say --drone-user root");
    return false;
  }
  if (geteuid() != 0 && d->user != NULL) {
    (void)snprintf(error, size, "Only root can make drones run as %.60s",
                   d->user);
    return false;
  }
  if (geteuid() == 0 && getpwnam(d->user) == NULL) {
    (void)snprintf(error, size, "There is no user %.60s on this machine",
                   d->user);
    return false;
  }
  if ((mkdir(d->dir, 0700) == 0 || errno == EEXIST) &&
      (!changes_user(d) || chmod(d->dir, 0711) == 0))
    return true;
  (void)snprintf(error, size, "%s could not be made: %s", d->dir,
                 strerror(errno));
  return false;
}

static bool give_place(const driver *d, const char *place) {
  const struct passwd *user;

  if (!changes_user(d))
    return true;
  user = getpwnam(d->user);
  return user != NULL && chown(place, user->pw_uid, user->pw_gid) == 0;
}

static bool path_in(const char *place, const char *name, char out[PLACE + 16]) {
  int n = snprintf(out, PLACE + 16, "%s/%s", place, name);

  return n > 0 && n < PLACE + 16;
}

/* At most size - 1 bytes of a file; false: there is none. */
static bool read_small(const char *path, char *out, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n;

  if (fd < 0)
    return false;
  n = read(fd, out, size - 1);
  (void)close(fd);
  out[n > 0 ? n : 0] = '\0';
  return n > 0;
}

/* ---- processes ---- */

/* Clock ticks since boot, field 22 of /proc/PID/stat; 0: no such process, or
   only what is left of one. */
static unsigned long long began_of(long pid) {
  char path[64], stat[1024], *at;
  int i;

  (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  if (!read_small(path, stat, sizeof stat))
    return 0;
  at = strrchr(stat, ')');
  if (at == NULL || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
    return 0;
  for (i = 0; i < 20 && at != NULL; i++)
    at = strchr(at + 1, ' ');
  return at != NULL ? strtoull(at, NULL, 10) : 0;
}

static bool write_pid(const char *place, int pid) {
  char path[PLACE + 16], line[64];
  int fd, len = snprintf(line, sizeof line, "%d %llu\n", pid, began_of(pid));
  bool ok;

  if (!path_in(place, "pid", path))
    return false;
  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0)
    return false;
  ok = write(fd, line, (size_t)len) == len;
  return close(fd) == 0 && ok;
}

/* The process of that directory, 0: it has none that lives. */
static long pid_of(const char *place) {
  char path[PLACE + 16], line[64], *end;
  unsigned long long began;
  long pid;

  if (!path_in(place, "pid", path) || !read_small(path, line, sizeof line))
    return 0;
  pid = strtol(line, &end, 10);
  began = strtoull(end, NULL, 10);
  if (pid <= 1 || began == 0)
    return 0;
  if (began_of(pid) == began)
    return pid;
  (void)waitpid((pid_t)pid, NULL,
                WNOHANG); /* what is left of a child of ours */
  return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *walk) {
  (void)info;
  (void)kind;
  (void)walk;
  return remove(path);
}

static bool stop_process(const char *place) {
  static const int signals[] = {SIGTERM, SIGKILL};
  size_t i;

  for (i = 0; i < 2; i++) {
    int64_t until = mono_ms() + STOP_MS;
    long pid = pid_of(place);

    if (pid == 0)
      return true;
    (void)kill((pid_t)pid, signals[i]);
    /* A stopped one hears nothing but SIGKILL until it goes on. */
    (void)kill((pid_t)pid, SIGCONT);
    while (pid_of(place) != 0 && mono_ms() < until) {
      struct timespec tick = {0, TICK_NS};

      (void)waitpid((pid_t)pid, NULL, WNOHANG); /* if it is a child of ours */
      (void)nanosleep(&tick, NULL);
    }
  }
  return pid_of(place) == 0;
}

static bool end_place(const char *place, char *why, size_t size) {
  if (!stop_process(place)) {
    (void)snprintf(why, size, "the process of %s could not be ended", place);
    return false;
  }
  if (nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 &&
      errno != ENOENT) {
    (void)snprintf(why, size, "%s could not be removed: %s", place,
                   strerror(errno));
    return false;
  }
  return true;
}

/* ---- making one ---- */

static bool take_port(const char *said, const char *what,
                      char out[ADDR_MOST + 1]) {
  const char *at = strstr(said, what);
  size_t len;

  if (at == NULL)
    return false;
  at += strlen(what);
  len = strcspn(at, "\n");
  if (at[len] != '\n' || len > ADDR_MOST || !id_is_addr(at, len))
    return false;
  memcpy(out, at, len);
  out[len] = '\0';
  return true;
}

static bool read_ports(const char *place, char addr[ADDR_MOST + 1],
                       char ctl[ADDR_MOST + 1]) {
  char path[PLACE + 16], said[256];

  return path_in(place, "ports", path) && read_small(path, said, sizeof said) &&
         take_port(said, "guard ", addr) && take_port(said, "ctl ", ctl);
}

static int spawn(const driver *d, const char *place, const char *id, int log,
                 char *why, size_t size) {
  char data[PLACE + 16], ports[PLACE + 16], address[64];
  uint64_t random = id_hash(id, strlen(id));
  const char *argv[] = {d->path,       "--addr",      address, "--ctl",
                        address,       "--dir",       data,    "--token-file",
                        d->token_file, "--port-file", ports,   NULL,
                        NULL,          NULL};

  if (!path_in(place, "data", data) || !path_in(place, "ports", ports)) {
    (void)snprintf(why, size, "%s is too long", place);
    return -1;
  }
  (void)snprintf(address, sizeof address, "127.1.%u.%u:0",
                 (unsigned)(random % 254 + 1),
                 (unsigned)(random / 254 % 254 + 1));
  if (changes_user(d)) {
    argv[11] = "--user";
    argv[12] = d->user;
  } else if (geteuid() == 0) {
    argv[11] = "--as-root";
  }
  return driver_spawn(argv, log, log, why, size);
}

bool local_begin(driver *d, boot *b, char *why, size_t size) {
  char id[CLAIM_LEN + 1], path[PLACE + 16];
  int log, n;

  b->began_ms = mono_ms();
  if (!id_random(id)) {
    (void)snprintf(why, size, "There is no randomness");
    return false;
  }
  id[12] = '\0';
  n = snprintf(b->place, sizeof b->place, "%s/%s", d->dir, id);
  if (n <= 0 || (size_t)n >= sizeof b->place || mkdir(b->place, 0700) != 0 ||
      !give_place(d, b->place)) {
    (void)snprintf(why, size, "%s/%s could not be made: %s", d->dir, id,
                   strerror(errno));
    return false;
  }
  (void)path_in(b->place, "log", path);
  log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) {
    (void)snprintf(why, size, "%s could not be made: %s", path,
                   strerror(errno));
    return false;
  }
  b->pid = spawn(d, b->place, id, log, why, size);
  (void)close(log);
  if (b->pid > 0 && write_pid(b->place, b->pid))
    return true;
  if (b->pid > 0) {
    (void)snprintf(why, size, "%s/pid could not be written", b->place);
    (void)kill(b->pid, SIGKILL);
    (void)waitpid(b->pid, NULL, 0);
  }
  (void)nftw(b->place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return false;
}

/* Why it ended is in the last line of its log. */
static void last_words(const char *place, char *why, size_t size) {
  char path[PLACE + 16], said[2048], *line;
  size_t len;

  if (!path_in(place, "log", path) || !read_small(path, said, sizeof said)) {
    (void)snprintf(why, size, "the drone ended and said nothing");
    return;
  }
  len = strlen(said);
  while (len > 0 && said[len - 1] == '\n')
    said[--len] = '\0';
  line = strrchr(said, '\n');
  (void)snprintf(why, size, "the drone ended: %.300s",
                 line != NULL ? line + 1 : said);
}

enum driver_boot local_look(boot *b, char *why, size_t size) {
  char sink[128];

  if (read_ports(b->place, b->addr, b->ctl))
    return DRIVER_BOOTED;
  if (waitpid(b->pid, NULL, WNOHANG) == b->pid || began_of(b->pid) == 0)
    last_words(b->place, why, size);
  else if (mono_ms() - b->began_ms < BOOT_MS)
    return DRIVER_BOOTING;
  else
    (void)snprintf(why, size, "the drone did not answer within %d s",
                   BOOT_MS / 1000);
  (void)end_place(b->place, sink, sizeof sink);
  return DRIVER_FAILED;
}

/* ---- those that are there ---- */

/* Calls each with every place until it returns true; whether it did. */
static bool each_place(const driver *d,
                       bool (*each)(void *ctx, const char *place), void *ctx) {
  DIR *dir = opendir(d->dir);
  const struct dirent *entry;
  char place[PLACE];
  bool found = false;

  if (dir == NULL)
    return false;
  while (!found && (entry = readdir(dir)) != NULL) {
    int n = snprintf(place, sizeof place, "%s/%s", d->dir, entry->d_name);

    if (entry->d_name[0] != '.' && n > 0 && n < (int)sizeof place)
      found = each(ctx, place);
  }
  (void)closedir(dir);
  return found;
}

typedef struct search {
  const char *addr;
  char place[PLACE];
} search;

static bool is_it(void *ctx, const char *place) {
  search *s = ctx;
  char addr[ADDR_MOST + 1], ctl[ADDR_MOST + 1];

  if (!read_ports(place, addr, ctl) || strcmp(addr, s->addr) != 0)
    return false;
  (void)snprintf(s->place, sizeof s->place, "%s", place);
  return true;
}

bool local_destroy(driver *d, const char *addr, char *why, size_t size) {
  search s = {addr, ""};

  return !each_place(d, is_it, &s) || end_place(s.place, why, size);
}

typedef struct telling {
  void (*each)(void *ctx, const char *addr, const char *ctl);
  void *ctx;
} telling;

static bool tell(void *ctx, const char *place) {
  telling *t = ctx;
  char addr[ADDR_MOST + 1], ctl[ADDR_MOST + 1];

  if (pid_of(place) != 0 && read_ports(place, addr, ctl))
    t->each(t->ctx, addr, ctl);
  return false;
}

bool local_list(driver *d,
                void (*each)(void *ctx, const char *addr, const char *ctl),
                void *ctx, char *why, size_t size) {
  telling t = {each, ctx};

  (void)why;
  (void)size;
  (void)each_place(d, tell, &t);
  return true;
}
