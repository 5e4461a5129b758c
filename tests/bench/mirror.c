/*
 * What a mirror costs: from nothing to in step against a server that sends as
 * fast as it can, or so many rows a second, beside curl reading the same list;
 * memory, a look-up, a snapshot saved and loaded, and an audit of a table in
 * which three entries are wrong.
 *
 *   bench_mirror [--documents N] [--rate ROWS] [--rounds N] [--page ROWS]
 *
 * Prints a table in Markdown. Fails when the mirror is not the database, or the
 * audit does not find those three.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "changefeed/mirror.h"
#include "list_server.h"
#include "mirror_state.h"

enum { LOOK_UPS = 1000000, ROUNDS_MAX = 21, LONG_MS = 600000 };

typedef struct setting {
  unsigned documents, rate, rounds;
  const char *page;
  char url[64], path[64];
} setting;

typedef struct watch {
  bool synced, over, audited;
  changefeed_audit audit;
  unsigned differences;
} watch;

static pid_t server = -1;

static void fail(const char *what, const char *why) {
  (void)fprintf(stderr, "bench_mirror: %s%s%s\n", what, why[0] ? ": " : "",
                why);
  list_server_stop(server);
  exit(1);
}

static double seconds(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b) {
  const double *x = a, *y = b;

  return (*x > *y) - (*x < *y);
}

static double median(double *of, unsigned count) {
  qsort(of, count, sizeof *of, by_size);
  return of[count / 2];
}

/* ---- the mirror ---- */

static void on_synced(changefeed_mirror *m, void *user) {
  (void)m;
  ((watch *)user)->synced = true;
}

static void on_difference(changefeed_mirror *m, const changefeed_difference *d,
                          void *user) {
  (void)m;
  (void)d;
  ((watch *)user)->differences++;
}

static void on_audit(changefeed_mirror *m, const changefeed_audit *audit,
                     void *user) {
  watch *w = user;

  (void)m;
  w->audit = *audit;
  w->audited = true;
}

static void on_over(changefeed_mirror *m, const changefeed_error *error,
                    void *user) {
  (void)m;
  ((watch *)user)->over = true;
  if (error != NULL)
    (void)fprintf(stderr, "bench_mirror: %s\n", error->message);
}

static changefeed_mirror *open_mirror(const setting *s, changefeed_loop *loop,
                                      const char *snapshot, watch *w) {
  changefeed_mirror_config c = CHANGEFEED_MIRROR_CONFIG_INIT;
  changefeed_mirror *m = NULL;
  changefeed_options *o = NULL;

  c.snapshot = snapshot;
  c.snapshot_ms = 0;
  c.callbacks.on_synced = on_synced;
  c.callbacks.on_difference = on_difference;
  c.callbacks.on_audit = on_audit;
  c.callbacks.on_over = on_over;
  c.callbacks.user = w;
  *w = (watch){0};
  if (changefeed_options_new(&o) != CHANGEFEED_OK ||
      changefeed_options_set(o, "url", s->url) != CHANGEFEED_OK ||
      changefeed_options_set(o, "proxy", "-") != CHANGEFEED_OK ||
      (s->page != NULL &&
       changefeed_options_set(o, "page_rows", s->page) != CHANGEFEED_OK) ||
      changefeed_mirror_open(&m, loop, o, &c) != CHANGEFEED_OK)
    fail("open", o != NULL ? changefeed_options_error(o) : "no memory");
  changefeed_options_free(o);
  return m;
}

static void run_until(changefeed_loop *loop, const watch *w, const bool *flag) {
  double end = seconds() + LONG_MS / 1e3;

  while (!*flag && !w->over && seconds() < end)
    if (changefeed_loop_run_once(loop, 1000) < 0)
      fail("loop", "");
  if (!*flag)
    fail("it does not come to an end", "");
}

static void check(changefeed_mirror *m, const setting *s) {
  const changefeed_view *v = changefeed_mirror_view(m);
  changefeed_digest want = {{0}}, got;

  for (unsigned i = 0; i < s->documents; i++) {
    char id[LIST_ID + 1], rev[LIST_REV + 1];

    list_id(id, i);
    list_rev(rev, i);
    (void)changefeed_digest_add(&want, id, LIST_ID, rev, LIST_REV);
  }
  if (changefeed_view_count(v) != s->documents ||
      changefeed_view_digest(v, NULL, NULL, &got, NULL) != CHANGEFEED_OK ||
      memcmp(want.bytes, got.bytes, sizeof got.bytes) != 0)
    fail("the mirror is not the database", "");
  changefeed_view_release(v);
}

/* ---- what is measured ---- */

static double curl_once(const setting *s) {
  char command[256];
  double began;

  (void)snprintf(command, sizeof command,
                 "curl -s --noproxy '*' -o /dev/null %s/_all_docs", s->url);
  began = seconds();
  if (system(command) != 0)
    fail("curl", "it failed, or is not there");
  return seconds() - began;
}

static double sync_once(const setting *s, double *cpu) {
  changefeed_loop *loop = NULL;
  changefeed_mirror *m;
  double began, took;
  watch w;

  if (changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK)
    fail("loop", "no memory");
  *cpu = cpu_seconds();
  began = seconds();
  m = open_mirror(s, loop, NULL, &w);
  run_until(loop, &w, &w.synced);
  took = seconds() - began;
  *cpu = cpu_seconds() - *cpu;
  check(m, s);
  changefeed_mirror_close(m);
  changefeed_loop_free(loop);
  return took;
}

static void measure_sync(const setting *s) {
  double curl[ROUNDS_MAX], mirror[ROUNDS_MAX], cpu[ROUNDS_MAX], a, b, c;

  (void)sync_once(s, &c); /* warm, both of them */
  (void)curl_once(s);
  for (unsigned i = 0; i < s->rounds; i++) {
    curl[i] = curl_once(s);
    mirror[i] = sync_once(s, &cpu[i]);
  }
  a = median(curl, s->rounds);
  b = median(mirror, s->rounds);
  c = median(cpu, s->rounds);
  (void)printf("| curl -o /dev/null | %.2f s | %.0f rows/s |\n", a,
               s->documents / a);
  (void)printf("| mirror, from nothing to in step | %.2f s | %.2f x curl; "
               "%.2f s of CPU |\n",
               b, b / a, c);
}

static void measure_look_ups(changefeed_mirror *m, const setting *s) {
  const changefeed_view *v = changefeed_mirror_view(m);
  char(*ids)[LIST_ID + 1] = malloc((size_t)LOOK_UPS * sizeof *ids);
  unsigned found = 0, n = 1;
  changefeed_entry e;
  double began;

  if (ids == NULL)
    fail("look-ups", "no memory");
  for (size_t i = 0; i < LOOK_UPS; i++) {
    n = n * 1664525U + 1013904223U;
    list_id(ids[i], (n >> 4) % s->documents);
  }
  began = cpu_seconds();
  for (size_t i = 0; i < LOOK_UPS; i++)
    found += changefeed_view_get(v, ids[i], LIST_ID, &e) == CHANGEFEED_OK;
  began = cpu_seconds() - began;
  free(ids);
  changefeed_view_release(v);
  if (found != LOOK_UPS)
    fail("a document is not found", "");
  (void)printf("| look-up of a random id | %.0f ns | of CPU |\n",
               began * 1e9 / LOOK_UPS);
}

static void tamper(changefeed_mirror *m, const setting *s) {
  static const char other[] = "1-00000000000000000000000000000000";
  char id[LIST_ID + 1];
  changefeed_str at = {id, LIST_ID}, rev = {other, sizeof other - 1};
  bool ok;

  list_id(id, s->documents / 3);
  ok = cfi_tree_remove(m->tree, at) == CFI_TREE_REMOVED;
  list_id(id, s->documents / 2);
  ok = ok && cfi_tree_put(m->tree, at, rev, NULL) == CFI_TREE_CHANGED;
  list_id(id, s->documents + 7);
  ok = ok && cfi_tree_put(m->tree, at, rev, NULL) == CFI_TREE_ADDED;
  if (!ok || !cfi_tree_publish(m->tree))
    fail("the table cannot be tampered with", "");
}

static void measure_audit(changefeed_mirror *m, changefeed_loop *loop,
                          const setting *s, watch *w) {
  double began = seconds();

  tamper(m, s);
  if (changefeed_mirror_audit(m) != CHANGEFEED_OK)
    fail("no audit", "");
  run_until(loop, w, &w->audited);
  began = seconds() - began;
  if (w->audit.code != CHANGEFEED_OK || w->differences != 3 ||
      w->audit.missing != 1 || w->audit.stale != 1 || w->audit.extra != 1 ||
      w->audit.repaired != 3 || w->audit.documents != s->documents)
    fail("the audit has not found the three", "");
  check(m, s);
  (void)printf(
      "| audit, 3 wrong | %.2f s | found 3, repaired 3; some 2 s of it "
      "are pauses, to be certain |\n",
      began);
}

static void measure_memory(changefeed_mirror *m, const setting *s) {
  changefeed_mirror_stats stats = CHANGEFEED_MIRROR_STATS_INIT;
  double each;

  if (changefeed_mirror_get_stats(m, &stats) != CHANGEFEED_OK)
    fail("stats", "");
  each = (double)stats.bytes / s->documents;
  (void)printf("| memory of an entry | %.1f bytes | %.2f x its id and revision "
               "(%d bytes) |\n",
               each, each / (LIST_ID + LIST_REV), LIST_ID + LIST_REV);
}

static void measure_save(changefeed_mirror *m, const setting *s) {
  struct stat info;
  double began = seconds(), cpu = cpu_seconds();

  if (changefeed_mirror_save(m, s->path) != CHANGEFEED_OK)
    fail("save", changefeed_mirror_last_error(m)->message);
  began = seconds() - began;
  cpu = cpu_seconds() - cpu;
  if (stat(s->path, &info) != 0)
    fail(s->path, "it is not there");
  (void)printf("| snapshot saved | %.2f s | %.2f s of CPU; %.1f MB |\n", began,
               cpu, (double)info.st_size / 1e6);
}

/* From open to contents that can be read. */
static void measure_load(const setting *s) {
  changefeed_loop *loop = NULL;
  changefeed_mirror *m;
  double began, cpu;
  watch w;

  if (changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK)
    fail("loop", "no memory");
  cpu = cpu_seconds();
  began = seconds();
  m = open_mirror(s, loop, s->path, &w);
  began = seconds() - began;
  cpu = cpu_seconds() - cpu;
  check(m, s);
  (void)printf("| snapshot loaded | %.2f s | %.2f s of CPU |\n", began, cpu);
  began = seconds();
  run_until(loop, &w, &w.synced);
  (void)printf("| in step after it | %.2f s | |\n", seconds() - began);
  changefeed_mirror_close(m);
  changefeed_loop_free(loop);
}

static void measure_rest(const setting *s) {
  changefeed_loop *loop = NULL;
  changefeed_mirror *m;
  watch w;

  if (changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK)
    fail("loop", "no memory");
  m = open_mirror(s, loop, NULL, &w);
  run_until(loop, &w, &w.synced);
  measure_memory(m, s);
  measure_look_ups(m, s);
  measure_save(m, s);
  measure_load(s);
  measure_audit(m, loop, s, &w);
  changefeed_mirror_close(m);
  changefeed_loop_free(loop);
}

/* ---- all of it ---- */

static void read_arguments(setting *s, int argc, char **argv) {
  for (int i = 1; i < argc; i += 2) {
    unsigned long n = i + 1 < argc ? strtoul(argv[i + 1], NULL, 10) : 0;

    if (i + 1 < argc && strcmp(argv[i], "--documents") == 0 && n >= 10 &&
        n < 90000000)
      s->documents = (unsigned)n;
    else if (i + 1 < argc && strcmp(argv[i], "--rate") == 0)
      s->rate = (unsigned)n;
    else if (i + 1 < argc && strcmp(argv[i], "--rounds") == 0 && n >= 1 &&
             n <= ROUNDS_MAX)
      s->rounds = (unsigned)n;
    else if (i + 1 < argc && strcmp(argv[i], "--page") == 0)
      s->page = argv[i + 1];
    else
      fail("usage", "bench_mirror [--documents N] [--rate ROWS] [--rounds N] "
                    "[--page ROWS]");
  }
}

int main(int argc, char **argv) {
  setting s = {.documents = 1000000, .rounds = 3};
  char dir[] = "/tmp/bench-mirror-XXXXXX";
  uint16_t port;

  read_arguments(&s, argc, argv);
  server = list_server_start(s.documents, s.rate, &port);
  if (server < 0 || mkdtemp(dir) == NULL)
    fail("begin", "");
  (void)snprintf(s.url, sizeof s.url, "http://127.0.0.1:%u/db", port);
  (void)snprintf(s.path, sizeof s.path, "%s/snapshot", dir);
  (void)printf("%u documents, ", s.documents);
  if (s.rate != 0)
    (void)printf("%u rows/s from the server:\n\n| | | |\n|---|---:|---|\n",
                 s.rate);
  else
    (void)printf("as fast as the server can:\n\n| | | |\n|---|---:|---|\n");
  measure_sync(&s);
  if (s.rate == 0)
    measure_rest(&s);
  (void)unlink(s.path);
  (void)snprintf(s.path, sizeof s.path, "%s/snapshot.lock", dir);
  (void)unlink(s.path);
  (void)rmdir(dir);
  list_server_stop(server);
  return 0;
}
