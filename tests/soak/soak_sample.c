/* What the process uses, looked at now and then, and whether it grows. */
#include "soak.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "support/mem.h"
#include "support/proc.h"

int soak_threads(void) {
  DIR *dir = opendir("/proc/self/task");
  struct dirent *entry;
  int count = 0;

  if (dir == NULL)
    return -1;
  while ((entry = readdir(dir)) != NULL)
    count += entry->d_name[0] != '.';
  (void)closedir(dir);
  return count;
}

/* All of it is touched now: the samples themselves must not grow. */
void soak_samples_init(soak_samples *s, size_t cap) {
  s->all = cft_calloc(cap, sizeof *s->all);
  memset(s->all, 1, cap * sizeof *s->all);
  s->cap = cap;
  s->count = 0;
}

void soak_samples_take(soak_samples *s, const changefeed_loop *loop) {
  if (s->count == s->cap)
    return;
  s->all[s->count++] = (soak_sample){.rss = cft_rss_bytes(getpid()),
                                     .descriptors = cft_fd_count(getpid()),
                                     .threads = soak_threads(),
                                     .timers = loop->heap.count,
                                     .sockets = loop->socket_count};
}

/* One figure over some samples. */
typedef struct range {
  double least, most, mean;
} range;

static double figure(const soak_sample *s, int which) {
  switch (which) {
  case 0:
    return (double)s->rss / 1024;
  case 1:
    return s->descriptors;
  case 2:
    return s->threads;
  case 3:
    return (double)s->timers;
  default:
    return (double)s->sockets;
  }
}

static range range_of(const soak_sample *all, size_t count, int which) {
  range r = {figure(all, which), figure(all, which), 0};

  for (size_t i = 0; i < count; i++) {
    double v = figure(&all[i], which);

    r.least = v < r.least ? v : r.least;
    r.most = v > r.most ? v : r.most;
    r.mean += v / (double)count;
  }
  return r;
}

/* What the last third may have more than the second, by its mean and by its
   maximum. Descriptors and sockets come and go with each reconnection. */
static const struct {
  const char *name;
  double mean, most;
} allowed[] = {{"resident KiB", 512, 1024},
               {"descriptors", 6, SOAK_FEEDS},
               {"threads", 0.01, 0},
               {"timers", 1, 1},
               {"sockets", 6, SOAK_FEEDS}};

bool soak_samples_flat(const soak_samples *s) {
  const char *instrumented = getenv("CFT_INSTRUMENTED");
  size_t third = s->count / 3;
  bool flat = third > 0;

  (void)printf("%-14s %10s %10s %10s\n", "mean (most)", "1st third",
               "2nd third", "3rd third");
  for (int i = 0; i < 5 && third > 0; i++) {
    range r[3];
    bool grew;

    for (size_t k = 0; k < 3; k++)
      r[k] = range_of(s->all + k * third, third, i);
    grew = r[2].mean > r[1].mean + allowed[i].mean ||
           r[2].most > r[1].most + allowed[i].most;
    /* A sanitizer keeps what was freed. */
    if (i == 0 && instrumented != NULL && strcmp(instrumented, "1") == 0)
      grew = false;
    (void)printf("%-14s %.1f (%.0f)  %.1f (%.0f)  %.1f (%.0f)%s\n",
                 allowed[i].name, r[0].mean, r[0].most, r[1].mean, r[1].most,
                 r[2].mean, r[2].most, grew ? "  GREW" : "");
    flat = flat && !grew;
  }
  return flat;
}
