/*
 * Ends the processes of an app by what /proc says; see drone_sweep.h. A process
 * is signalled through a descriptor of it whose start time was read again, so
 * that a number that was given out anew meanwhile hits nobody else.
 */
#include "drone/drone_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The beginning of a file of /proc, ended by a zero byte; -1: not readable. */
static ssize_t slurp(const char *path, char *out, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  size_t len = 0;
  ssize_t n = 0;

  if (fd < 0)
    return -1;
  while (len < size - 1 && (n = read(fd, out + len, size - 1 - len)) > 0)
    len += (size_t)n;
  (void)close(fd);
  out[len] = '\0';
  return n < 0 ? -1 : (ssize_t)len;
}

bool drone_process_read(pid_t pid, drone_process *p) {
  char path[64], stat[1024];
  const char *at;
  char *end;
  int field;

  (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (slurp(path, stat, sizeof stat) < 0)
    return false;
  /* The name may hold anything, ')' and blanks too: the last one ends it. */
  at = strrchr(stat, ')');
  if (at == NULL || at[1] != ' ' || at[2] == '\0')
    return false;
  memset(p, 0, sizeof *p);
  p->pid = pid;
  p->state = at[2];
  at += 3;
  for (field = 4; field <= 22; field++) {
    unsigned long long value = strtoull(at, &end, 10);

    if (end == at)
      return false;
    if (field == 4)
      p->parent = (pid_t)value;
    if (field == 6)
      p->session = (pid_t)value;
    p->start = value;
    at = end;
  }
  return true;
}

typedef struct herd {
  drone_process *all;
  size_t count, cap;
} herd;

static bool herd_add(herd *h, const drone_process *p) {
  if (h->count == h->cap) {
    size_t cap = h->cap != 0 ? h->cap * 2 : 256;
    drone_process *all = realloc(h->all, cap * sizeof *all);

    if (all == NULL)
      return false;
    h->all = all;
    h->cap = cap;
  }
  h->all[h->count++] = *p;
  return true;
}

static int by_pid(const void *a, const void *b) {
  pid_t one = ((const drone_process *)a)->pid;
  pid_t other = ((const drone_process *)b)->pid;

  return (one > other) - (one < other);
}

static bool herd_read(herd *h) {
  DIR *proc = opendir("/proc");
  struct dirent *entry;
  bool well = proc != NULL;

  while (well && (entry = readdir(proc)) != NULL) {
    drone_process p;
    char *end;
    long pid = strtol(entry->d_name, &end, 10);

    if (*end == '\0' && pid > 0 && drone_process_read((pid_t)pid, &p))
      well = herd_add(h, &p);
  }
  if (proc != NULL)
    (void)closedir(proc);
  if (h->count != 0)
    qsort(h->all, h->count, sizeof *h->all, by_pid);
  return well && h->count != 0;
}

/* Whether "DRONE_MARK=mark" is in its environment; what cannot be read is of
   somebody else. */
static bool is_marked(pid_t pid, const char *mark) {
  static const char name[] = DRONE_MARK "=";
  char path[64], bytes[16 * 1024], *at; /* the mark is put first */
  ssize_t len;
  bool found = false;

  (void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
  len = slurp(path, bytes, sizeof bytes);
  for (at = bytes; !found && len > 0 && at < bytes + len; at += strlen(at) + 1)
    found = strncmp(at, name, sizeof name - 1) == 0 &&
            strcmp(at + sizeof name - 1, mark) == 0;
  return found;
}

static bool is_prey(const drone_process *p, const drone_prey *prey,
                    bool keeper_lives) {
  if (prey->root != 0 && p->parent == prey->root)
    return true;
  if (keeper_lives && (p->pid == prey->keeper || p->session == prey->keeper))
    return true;
  return prey->mark != NULL && is_marked(p->pid, prey->mark);
}

static drone_process *herd_find(const herd *h, pid_t pid) {
  drone_process key = {.pid = pid};

  return bsearch(&key, h->all, h->count, sizeof *h->all, by_pid);
}

/* Children of ours are ours, until there are no more. */
static void herd_close(herd *h) {
  bool more = true;
  size_t i;

  while (more) {
    more = false;
    for (i = 0; i < h->count; i++) {
      const drone_process *parent;

      if (h->all[i].ours || h->all[i].parent <= 1)
        continue;
      parent = herd_find(h, h->all[i].parent);
      if (parent != NULL && parent->ours)
        h->all[i].ours = more = true;
    }
  }
}

/* Never oneself, nor those one comes from. */
static void herd_spare_own(herd *h) {
  pid_t pid = getpid();
  size_t steps;

  for (steps = 0; pid > 1 && steps < h->count; steps++) {
    drone_process *p = herd_find(h, pid);

    if (p == NULL)
      break;
    p->ours = false;
    pid = p->parent;
  }
}

static void kill_process(const drone_process *p) {
  int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
  drone_process now;

  if (fd < 0)
    return;
  if (drone_process_read(p->pid, &now) && now.start == p->start)
    (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
  (void)close(fd);
}

int drone_sweep_once(const drone_prey *prey) {
  drone_process keeper;
  bool keeper_lives = prey->keeper != 0 &&
                      drone_process_read(prey->keeper, &keeper) &&
                      keeper.start == prey->keeper_start;
  herd h = {NULL, 0, 0};
  int living = 0;
  size_t i;

  if (!herd_read(&h)) {
    free(h.all);
    return -1;
  }
  for (i = 0; i < h.count; i++)
    h.all[i].ours = is_prey(&h.all[i], prey, keeper_lives);
  herd_close(&h);
  herd_spare_own(&h);
  for (i = 0; i < h.count; i++) {
    if (!h.all[i].ours || h.all[i].state == 'Z' || h.all[i].state == 'X')
      continue;
    kill_process(&h.all[i]);
    living++;
  }
  free(h.all);
  return living;
}

static int64_t now_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int drone_sweep(const drone_prey *prey, int64_t ms, int *killed) {
  static const struct timespec pause = {0, 10 * 1000000};
  int64_t end = now_ms() + ms;
  int living;

  *killed = 0;
  while ((living = drone_sweep_once(prey)) != 0) {
    if (living > *killed)
      *killed = living;
    if (living < 0 || now_ms() >= end)
      break;
    /* A killed process goes in its own time, and nothing tells a stranger. */
    (void)nanosleep(&pause, NULL);
  }
  return living;
}

/* "" when the kernel does not say. */
static void boot_id(char out[64]) {
  ssize_t len = slurp("/proc/sys/kernel/random/boot_id", out, 64);

  if (len < 0)
    len = 0;
  out[len] = '\0';
  out[strcspn(out, "\n")] = '\0';
}

bool drone_keeper_note(pid_t pid, char *out, size_t size) {
  char boot[64];
  drone_process p;

  boot_id(boot);
  if (!drone_process_read(pid, &p))
    return false;
  (void)snprintf(out, size, "%d %" PRIu64 " %s\n", (int)pid, p.start, boot);
  return true;
}

bool drone_keeper_noted(const char *note, drone_prey *prey) {
  char boot[64], *end;
  long pid = strtol(note, &end, 10);
  unsigned long long start;

  if (pid <= 1 || pid > INT32_MAX || *end != ' ')
    return false;
  start = strtoull(end + 1, &end, 10);
  boot_id(boot);
  if (*end != ' ' || boot[0] == '\0' ||
      strncmp(end + 1, boot, strlen(boot)) != 0)
    return false;
  prey->keeper = (pid_t)pid;
  prey->keeper_start = (uint64_t)start;
  return true;
}
