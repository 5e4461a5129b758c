/* I18: what programs take of memory and descriptors is what they took when they
 * had warmed up, and nothing waits in the end. Looked at in /proc, from
 * without. A program that was started again begins anew. */
#include "replay/replay.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  DRONES_LOOKED_AT = 24,
  WATCHED_MOST = VISIT_PROVS + BALANCERS + DRONES_LOOKED_AT,
  NAME_SIZE = 24,
  WARM_MS = 10000, /* after its start, as programs are after the first work */
  WARM_SMALL_MS = 4000,
  GROWN_KB = 8 * 1024 /* beyond a fifth */
};

typedef struct watched {
  char name[NAME_SIZE];
  pid_t pid;
  int64_t since_ms;
  bool is_warm;
  long kb, fds, warm_kb, warm_fds;
} watched;

struct flat {
  pthread_mutex_t lock;
  watched all[WATCHED_MOST];
};

flat *flat_new(void) {
  flat *f = calloc(1, sizeof *f);
  if (f)
    (void)pthread_mutex_init(&f->lock, NULL);
  return f;
}

void flat_free(flat *f) { free(f); }

static long kb_of(pid_t pid) {
  char path[64], said[256];
  (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
  if (!file_read(path, said, sizeof said))
    return 0;
  const char *second = strchr(said, ' '); /* pages that are resident */
  return second ? strtol(second, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024) : 0;
}

static long fds_of(pid_t pid) {
  char path[64];
  long n = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  DIR *d = opendir(path);
  while (d && readdir(d))
    n++;
  if (d)
    (void)closedir(d);
  return n ? n - 2 : 0;
}

static void look_at(replay *r, watched *w, const char *name, pid_t pid) {
  int64_t now = now_ms();
  long kb = pid > 0 ? kb_of(pid) : 0, fds = pid > 0 ? fds_of(pid) : 0;
  if (kb == 0)
    return; /* it is not there just now */
  if (pid != w->pid) {
    *w = (watched){.pid = pid, .since_ms = now};
    (void)snprintf(w->name, sizeof w->name, "%s", name);
  }
  w->kb = kb;
  w->fds = fds;
  if (!w->is_warm &&
      now - w->since_ms >= (r->p->is_small ? WARM_SMALL_MS : WARM_MS)) {
    w->is_warm = true;
    w->warm_kb = kb;
    w->warm_fds = fds;
  }
}

void flat_look(replay *r) {
  flat *f = r->flat;
  char name[NAME_SIZE];
  unsigned n = 0;
  (void)pthread_mutex_lock(&f->lock);
  for (unsigned i = 0; i < VISIT_PROVS; i++) {
    (void)snprintf(name, sizeof name, "provisioner p%u", i);
    look_at(r, &f->all[n++], name, r->v->k.provs[i].proc.pid);
  }
  for (unsigned i = 0; i < BALANCERS; i++) {
    (void)snprintf(name, sizeof name, "balancer b%u", i + 1);
    look_at(r, &f->all[n++], name, r->v->balancers[i].proc.pid);
  }
  for (unsigned i = 0; i < DRONES_LOOKED_AT && i < r->p->drones; i++) {
    (void)snprintf(name, sizeof name, "drone %u", i);
    look_at(r, &f->all[n++], name, r->v->k.drones[i].proc.pid);
  }
  (void)pthread_mutex_unlock(&f->lock);
}

/* Connections that are kept come and go with visitors: some for each app. */
static void judge_one(replay *r, const watched *w) {
  long most_kb = w->warm_kb + w->warm_kb / 5 + GROWN_KB;
  long most_fds = 2 * w->warm_fds + 64 + 2 * (long)r->p->apps;
  law_checked(r, L18_FLAT);
  if (w->kb > most_kb)
    law_broken(r, L18_FLAT, "%s has %ld kB, and had %ld when it was warm",
               w->name, w->kb, w->warm_kb);
  if (w->fds > most_fds)
    law_broken(r, L18_FLAT, "%s has %ld descriptors, and had %ld", w->name,
               w->fds, w->warm_fds);
}

void flat_judge(replay *r) {
  flat *f = r->flat;
  flat_look(r);
  (void)pthread_mutex_lock(&f->lock);
  for (unsigned i = 0; i < WATCHED_MOST; i++) {
    const watched *w = &f->all[i];
    if (w->is_warm)
      judge_one(r, w);
    if (w->pid && i < VISIT_PROVS + BALANCERS)
      report_say(r->report, "%s: %ld kB, %ld descriptors (warm: %ld, %ld).",
                 w->name, w->kb, w->fds, w->warm_kb, w->warm_fds);
  }
  (void)pthread_mutex_unlock(&f->lock);
  law_checked(r, L18_FLAT);
  if (r->queued && !r->p->dry)
    law_broken(r, L18_FLAT, "%u apps wait for a drone in the end", r->queued);
}
