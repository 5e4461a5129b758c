/* replay: the incident of 2013, again. One run for each seed; or the naive
 * ways, each of which must break its laws; or that Friday, told. Exits 0 when
 * all was as it has to be, 1 when not, 2 after wrong options, 3 when the world
 * did not begin. */
#include "replay/replay.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { EXIT_BROKEN = 1, EXIT_NO_WORLD = 3, TRIES = 5 };

static bool make_directory(const char *path) {
  if (mkdir(path, 0755) == 0 || errno == EEXIST)
    return true;
  (void)fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
  return false;
}

bool replay_files(replay *const *runs, size_t count, story *s,
                  const char *out) {
  run_report *reports[2];
  char error[512];
  for (size_t i = 0; i < count && i < 2; i++)
    reports[i] = runs[i]->report;
  if (!make_directory(out))
    return false;
  if (report_files(reports, count, s, out, error, sizeof error)) {
    (void)printf("written: %s\n", out);
    return true;
  }
  (void)fprintf(stderr, "replay: %s\n", error);
  return false;
}

void replay_print(replay *r) {
  text table = TEXT_INIT;
  report_table(r->report, &table);
  (void)fputs(table.data ? table.data : "", stdout);
  (void)fflush(stdout);
  text_free(&table);
}

replay *replay_run(const replay_options *o, const plan *p, uint64_t seed,
                   story *s, unsigned *broken) {
  replay *r = replay_new(o, p, seed, s);
  if (!r)
    exit(EXIT_NO_WORLD);
  signals_set(r);
  (void)fprintf(
      stderr, "replay of %s, seed %llu: %u apps, %u drones, %u requests/s\n",
      p->title, (unsigned long long)seed, p->apps, p->drones, p->visitors);
  if (!replay_begin(r)) {
    balancers_end(r->v);
    world_close(&r->v->k);
    exit(EXIT_NO_WORLD);
  }
  replay_steps(r);
  *broken = replay_end(r);
  signals_set(NULL);
  return r;
}

/* ---- the programs as they are ---- */

static bool usual_run(const replay_options *o, const plan *p, uint64_t seed) {
  unsigned broken = 0;
  char out[PATH_LEN];
  replay *r = replay_run(o, p, seed, NULL, &broken);
  bool clean = report_is_clean(r->report);
  replay_print(r);
  (void)snprintf(out, sizeof out, "%.400s", o->out);
  if (o->seeds > 1) {
    (void)make_directory(o->out);
    (void)snprintf(out, sizeof out, "%.400s/%llu", o->out,
                   (unsigned long long)seed);
  }
  bool written = replay_files(&r, 1, NULL, out);
  if (!clean)
    (void)printf("again: replay --seed %llu%s\n", (unsigned long long)seed,
                 p->is_small ? " --small" : "");
  replay_free(r, clean);
  return clean && written;
}

static int usual_runs(const replay_options *o) {
  plan p;
  uint64_t clean = 0;
  plan_usual(&p, o);
  for (uint64_t i = 0; i < o->seeds; i++)
    clean += usual_run(o, &p, o->seed + i);
  if (o->seeds > 1)
    (void)printf("%llu of %llu runs were clean\n", (unsigned long long)clean,
                 (unsigned long long)o->seeds);
  return clean == o->seeds ? EXIT_SUCCESS : EXIT_BROKEN;
}

/* ---- naive ways ---- */

static void names_of(unsigned bits, char out[128]) {
  size_t len = 0;
  out[0] = '\0';
  for (unsigned law = 0; law < replay_laws.count; law++)
    if (bits & 1U << law)
      len += (size_t)snprintf(out + len, 128 - len, "%s%s", len ? " " : "",
                              replay_laws.names[law]);
}

/* Seeds are tried until all was broken that must be. */
static bool naive_run(const replay_options *o, const naive_way *w) {
  unsigned broken = 0, runs = 0;
  bool fine = true, all = false;
  char names[128];
  while (fine && !all && runs < TRIES) {
    unsigned now = 0;
    replay *r = replay_run(o, &w->plan, o->seed + runs++, NULL, &now);
    broken |= now;
    fine = laws_as_expected(replay_laws, w->expected, broken, false);
    all = laws_as_expected(replay_laws, w->expected, broken, true);
    if (!fine || !all)
      replay_print(r);
    replay_free(r, fine);
  }
  names_of(broken, names);
  (void)printf("%-10s  %-20s  %-24s  %4u  %s\n", w->name, w->expected,
               broken ? names : "nothing", runs, all ? "yes" : "NO");
  (void)fflush(stdout);
  return all;
}

static int naive_runs(const replay_options *o) {
  const naive_way *w;
  bool all = true;
  (void)printf("%-10s  %-20s  %-24s  %4s  %s\n", "way", "expected", "broken",
               "runs", "as expected?");
  for (size_t i = 0; (w = way_at(i)); i++)
    if (strcmp(o->naive, "all") == 0 || strcmp(o->naive, w->name) == 0)
      all = naive_run(o, w) && all;
  return all ? EXIT_SUCCESS : EXIT_BROKEN;
}

int main(int argc, char **argv) {
  replay_options o;
  int status = replay_options_read(&o, argc, argv);
  if (status >= 0)
    return status;
  struct rlimit files = {8192, 8192};
  (void)signal(SIGPIPE, SIG_IGN);
  (void)setrlimit(RLIMIT_NOFILE, &files);
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
  signals_watch();
  if (o.incident)
    status = incident(&o, o.seed);
  else
    status = o.naive ? naive_runs(&o) : usual_runs(&o);
  curl_global_cleanup();
  return status;
}
