/* What the balancer's table costs: bytes for each route, look-ups, changes
   while others look up, another set in place of all, a start from a snapshot.

     bench_routes [THOUSANDS [SECONDS]]       (100, 2)

   of routes, and for look-ups and for changes each. Every route has one host
   and one target. Times are CPU time of the thread, if not "by the clock". */
#include "balancer/snapshot.h"
#include "balancer/table.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READERS = 2, HOST_SIZE = 40, MOST = 2000, ROUND = 1024 };

typedef struct bench {
  table *t;
  size_t count;
  route **routes;
  char (*hosts)[HOST_SIZE];
  int64_t us;        /* for look-ups, and for changes */
  size_t text;       /* bytes of hosts and claims */
  size_t ids;        /* of a mirror's ids */
  _Atomic bool stop; /* for readers */
} bench;

static void die(const char *what) {
  (void)fprintf(stderr, "bench_routes: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void *need(void *p) {
  if (p == NULL)
    die("memory");
  return p;
}

static int64_t now_ns(clockid_t clock) {
  struct timespec t;

  (void)clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t wall(void) { return now_ns(CLOCK_MONOTONIC); }
static int64_t cpu(void) { return now_ns(CLOCK_THREAD_CPUTIME_ID); }
static double ms(int64_t ns) { return (double)ns / 1e6; }

static uint64_t next(uint64_t *seed) {
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return *seed >> 33;
}

static size_t heap(void) {
  struct mallinfo2 m = mallinfo2();

  return m.uordblks + m.hblkhd;
}

/* ---- routes ---- */

static void fill(route_doc *d, size_t i, int64_t gen) {
  uint64_t seed = i + (uint64_t)gen * 7919;

  memset(d, 0, sizeof *d);
  (void)snprintf(d->app, sizeof d->app, "shop-%06zu", i);
  (void)snprintf(d->hosts[0], sizeof d->hosts[0], "shop-%06zu.example.org", i);
  d->host_count = 1;
  d->gen = gen;
  d->state = ROUTE_LIVE;
  (void)snprintf(d->to[0].addr, sizeof d->to[0].addr, "127.%u.%u.%u:%u",
                 1 + (unsigned)(next(&seed) % 250), (unsigned)i / 250 % 250,
                 (unsigned)i % 250, 20000 + (unsigned)(next(&seed) % 20000));
  (void)snprintf(d->to[0].claim, sizeof d->to[0].claim, "%016llx%016llx",
                 (unsigned long long)(seed * 31), (unsigned long long)seed);
  d->to_count = 1;
}

static route *make(size_t i, int64_t gen) {
  static route_doc d;

  fill(&d, i, gen);
  return need(route_make(&d));
}

static routes *set_of_all(bench *b) {
  routes *s = need(routes_new(b->t, b->count));

  for (size_t i = 0; i < b->count; i++)
    if (!routes_put(s, b->routes[i], NULL))
      die("put");
  return s;
}

static void measure_bytes(bench *b) {
  size_t before, blocks, index, over;
  double n = (double)b->count;

  b->routes = need(malloc(b->count * sizeof *b->routes));
  b->hosts = need(malloc(b->count * sizeof *b->hosts));
  before = heap();
  for (size_t i = 0; i < b->count; i++) {
    route_target target;
    size_t len;
    const char *host;

    b->routes[i] = make(i, 1);
    host = route_host(b->routes[i], 0, &len);
    (void)snprintf(b->hosts[i], sizeof b->hosts[i], "%.*s", (int)len, host);
    route_target_at(b->routes[i], 0, &target);
    b->text += len + strlen(target.claim);
    b->ids += strlen("route:") + strlen(target.claim) - CLAIM_LEN - 1;
  }
  blocks = heap() - before;
  table_publish(b->t, set_of_all(b));
  index = routes_bytes(table_current(b->t));
  if (blocks == 0) { /* a sanitizer's malloc does not tell */
    (void)printf("bytes: not measured in this build\n");
    return;
  }
  /* Of a mirror's entry: 36 bytes, the revision and the pointer to the value
     among them, and the id; the value is the block. */
  over = blocks + index + 36 * b->count + b->ids;
  (void)printf(
      "bytes for each route: block with malloc's own %.1f, index "
      "%.1f, a mirror's entry by estimate %.1f; in all %.1f, less host "
      "and claim as text %.1f\n",
      (double)blocks / n, (double)index / n, 36 + (double)b->ids / n,
      (double)over / n, ((double)over - (double)b->text) / n);
}

/* ---- look-ups ---- */

typedef struct looking {
  bench *b;
  unsigned reader;
  bool strangers; /* hosts that nobody has */
  bool may_miss;  /* hosts come and go */
  uint64_t count;
  pthread_t thread;
} looking;

static void look(looking *l, uint64_t *seed) {
  char stranger[HOST_SIZE];

  for (int i = 0; i < ROUND; i++) {
    const char *host = l->b->hosts[next(seed) % l->b->count];
    size_t len = strlen(host);
    const route *found;

    if (l->strangers) {
      memcpy(stranger, host, len);
      stranger[len - 1] = 'x';
      host = stranger;
    }
    found = table_find(l->b->t, host, len);
    if ((found == NULL) != l->strangers && !l->may_miss)
      die("a look-up is wrong");
  }
  l->count += ROUND;
  table_quiet(l->b->t, l->reader);
}

static void *look_on(void *ctx) {
  looking *l = ctx;
  uint64_t seed = l->reader + 1;

  table_online(l->b->t, l->reader);
  while (!atomic_load(&l->b->stop))
    look(l, &seed);
  table_offline(l->b->t, l->reader);
  return NULL;
}

static void measure_look_ups(bench *b, bool strangers) {
  looking l = {.b = b, .strangers = strangers};
  int64_t end = wall() + b->us * 500, start;
  uint64_t seed = 1;

  look(&l, &seed);
  l.count = 0;
  start = cpu();
  while (wall() < end)
    look(&l, &seed);
  (void)printf("look-up of %s: %.0f ns\n",
               strangers ? "a host that nobody has" : "any host",
               (double)(cpu() - start) / (double)l.count);
  table_offline(b->t, 0);
}

/* ---- changes ---- */

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return (x > y) - (x < y);
}

static void change(bench *b, size_t i, int64_t gen) {
  route *is = make(i, gen);

  if (!routes_put(table_current(b->t), is, b->routes[i]))
    die("put");
  table_retire(b->t, b->routes[i], free);
  b->routes[i] = is;
}

/* Gone, and there again: the host's slot as well. */
static void renew(bench *b, size_t i, int64_t gen) {
  routes_drop(table_current(b->t), b->routes[i]);
  table_retire(b->t, b->routes[i], free);
  b->routes[i] = make(i, gen);
  if (!routes_put(table_current(b->t), b->routes[i], NULL))
    die("put");
}

static void measure_changes(bench *b, const char *what,
                            void (*each)(bench *b, size_t i, int64_t gen)) {
  static int64_t took[1 << 20];
  looking readers[READERS];
  uint64_t seed = 99, looked = 0;
  int64_t end = wall() + b->us * 500, cpu_ns = 0, cpu_most = 0;
  size_t count = 0, most = sizeof took / sizeof *took;

  atomic_store(&b->stop, false);
  for (unsigned i = 0; i < READERS; i++) {
    readers[i] = (looking){.b = b, .reader = i, .may_miss = each == renew};
    errno = pthread_create(&readers[i].thread, NULL, look_on, &readers[i]);
    if (errno != 0)
      die("thread");
  }
  while (wall() < end && count < most) {
    int64_t from = wall(), start = cpu(), took_cpu;

    each(b, next(&seed) % b->count, (int64_t)count + 2);
    took_cpu = cpu() - start;
    cpu_ns += took_cpu;
    cpu_most = took_cpu > cpu_most ? took_cpu : cpu_most;
    took[count++] = wall() - from;
  }
  atomic_store(&b->stop, true);
  for (int i = 0; i < READERS; i++) {
    (void)pthread_join(readers[i].thread, NULL);
    looked += readers[i].count;
  }
  qsort(took, count, sizeof *took, compare);
  (void)printf(
      "%s, with %d readers: %.2f us, the slowest %.0f; by the clock "
      "half of them %.2f, 99 of 100 %.2f; %zu changes, %llu look-ups\n",
      what, READERS, (double)cpu_ns / (double)count / 1e3,
      (double)cpu_most / 1e3, (double)took[count / 2] / 1e3,
      (double)took[count * 99 / 100] / 1e3, count, (unsigned long long)looked);
  table_reclaim(b->t);
}

static void measure_replace(bench *b) {
  route **old = b->routes;
  int64_t start = cpu(), packed;

  b->routes = need(malloc(b->count * sizeof *b->routes));
  for (size_t i = 0; i < b->count; i++)
    b->routes[i] = make(i, 1);
  packed = cpu() - start;
  start = cpu();
  table_publish(b->t, set_of_all(b));
  (void)printf("another set of %zu routes: %.1f ms, and %.1f for the blocks\n",
               b->count, ms(cpu() - start), ms(packed));
  for (size_t i = 0; i < b->count; i++)
    table_retire(b->t, old[i], free);
  free(old);
  table_reclaim(b->t);
}

/* ---- snapshots ---- */

static void name_rev(char rev[64], size_t i) {
  (void)snprintf(rev, 64, "%zu-%032zx", i % 20 + 1, i * 31337);
}

static void measure_save(bench *b, const char *path) {
  char rev[64], error[512];
  int64_t start = cpu(), built;
  snapshot *s = need(snapshot_new());
  changefeed_digest digest;
  uint64_t count;

  for (size_t i = 0; i < b->count; i++) {
    name_rev(rev, i);
    if (!snapshot_add(s, b->routes[i], rev))
      die("snapshot");
  }
  snapshot_set_about(s, 1, "apps");
  built = cpu() - start;
  start = wall();
  if (!snapshot_save(s, path, error, sizeof error)) {
    (void)fprintf(stderr, "bench_routes: %s\n", error);
    exit(1);
  }
  (void)printf("a snapshot: %.1f ms to make, %.1f to save by the clock",
               ms(built), ms(wall() - start));
  start = cpu();
  snapshot_digest(s, NULL, NULL, &digest, &count);
  (void)printf(", %.1f for its digest\n", ms(cpu() - start));
  snapshot_free(s);
}

/* In a process that was started for it. */
static int begin(const char *path) {
  int64_t start = wall(), cpu_start = cpu(), loaded;
  char error[512], host[] = "shop-000007.example.org";
  bool missing;
  snapshot *s = snapshot_load(path, &missing, error, sizeof error);
  table *t = need(table_new());
  routes *set;

  if (s == NULL) {
    (void)fprintf(stderr, "bench_routes: %s\n", error);
    return 1;
  }
  loaded = cpu() - cpu_start;
  set = need(routes_new(t, snapshot_count(s)));
  for (size_t i = 0; i < snapshot_count(s); i++) {
    snapshot_entry e;

    snapshot_at(s, i, &e);
    if (!routes_put(set, e.route, NULL))
      die("put");
  }
  table_publish(t, set);
  if (table_find(t, host, strlen(host)) == NULL)
    die("the first look-up is wrong");
  (void)printf("a start from it: %.1f ms by the clock, %.1f of CPU, of which "
               "%.1f to read and check it\n",
               ms(wall() - start), ms(cpu() - cpu_start), ms(loaded));
  table_free(t);
  snapshot_free(s);
  return 0;
}

static void measure_start(const char *path) {
  int status;
  pid_t pid;

  (void)fflush(stdout);
  pid = fork();
  if (pid < 0)
    die("fork");
  if (pid == 0) {
    (void)execl("/proc/self/exe", "bench_routes", "--start", path, NULL);
    _exit(127);
  }
  if (waitpid(pid, &status, 0) != pid || status != 0) {
    (void)fprintf(stderr, "bench_routes: the start has failed\n");
    exit(1);
  }
}

int main(int argc, char **argv) {
  char path[] = "/tmp/bench-routes-XXXXXX";
  static bench b;
  int fd;

  if (argc == 3 && strcmp(argv[1], "--start") == 0)
    return begin(argv[2]);
  b.count = 1000 * (argc > 1 ? strtoul(argv[1], NULL, 10) : 100);
  b.us = 1000000 * (argc > 2 ? strtol(argv[2], NULL, 10) : 2);
  if (b.count == 0 || b.count > 1000 * MOST || b.us <= 0) {
    (void)fprintf(stderr, "usage: bench_routes [THOUSANDS [SECONDS]]\n");
    return 2;
  }
  b.t = need(table_new());
  fd = mkstemp(path);
  if (fd < 0)
    die(path);
  (void)close(fd);
  measure_bytes(&b);
  measure_look_ups(&b, false);
  measure_look_ups(&b, true);
  measure_changes(&b, "a change of a route", change);
  measure_changes(&b, "a route goes and comes", renew);
  measure_replace(&b);
  measure_save(&b, path);
  measure_start(path);
  (void)unlink(path);
  table_free(b.t);
  for (size_t i = 0; i < b.count; i++)
    free(b.routes[i]);
  free(b.routes);
  free(b.hosts);
  return 0;
}
