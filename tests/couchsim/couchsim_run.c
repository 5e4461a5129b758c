/*
 * Runs seeds, and stops at the first that breaks a rule: which one, at which
 * step, and what happened before it.
 *
 *   couchsim_run [--first N] [--count N] [--seed N] [--verbose]
 *   couchsim_run --mirror [as above]
 *   couchsim_run --herd [--first N]
 *
 * --seed N is one run, told in full. --mirror: runs of mirrors, not of a feed.
 * --herd: many followers of one server, and nothing else.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "herd.h"
#include "mirror_sim.h"

enum { RUN_S = 20 }; /* real time for one seed: it does not end */

typedef struct arguments {
  uint64_t first, count;
  bool verbose, keep_going, herd, mirror;
} arguments;

/* What the handler may say, made before the run. */
static char hang_text[96];
static size_t hang_len;

static void on_alarm(int signal) {
  (void)signal;
  if (write(STDERR_FILENO, hang_text, hang_len) < 0)
    _exit(2);
  _exit(1);
}

static void watch(uint64_t seed) {
  int len = snprintf(hang_text, sizeof hang_text,
                     "seed %" PRIu64 ": a step does not end\n", seed);

  hang_len = len > 0 ? (size_t)len : 0;
  (void)alarm(RUN_S);
}

static bool number(const char *text, uint64_t *out) {
  char *end;

  if (text == NULL || text[0] < '0' || text[0] > '9')
    return false;
  *out = strtoull(text, &end, 10);
  return *end == '\0';
}

static bool read_arguments(int argc, char **argv, arguments *a) {
  *a = (arguments){.first = 1, .count = 1000};
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;

    if (strcmp(argv[i], "--verbose") == 0) {
      a->verbose = true;
    } else if (strcmp(argv[i], "--keep-going") == 0) {
      a->keep_going = true;
    } else if (strcmp(argv[i], "--herd") == 0) {
      a->herd = true;
    } else if (strcmp(argv[i], "--mirror") == 0) {
      a->mirror = true;
    } else if (strcmp(argv[i], "--first") == 0 && number(value, &a->first)) {
      i++;
    } else if (strcmp(argv[i], "--count") == 0 && number(value, &a->count)) {
      i++;
    } else if (strcmp(argv[i], "--seed") == 0 && number(value, &a->first)) {
      a->count = 1;
      a->verbose = true;
      i++;
    } else {
      (void)fprintf(stderr, "couchsim_run: cannot read \"%s\"\n", argv[i]);
      return false;
    }
  }
  return true;
}

/* Both are counts and nothing else. */
static void add(void *to, const void *one, size_t size) {
  uint64_t *sums = to;
  const uint64_t *more = one;

  for (size_t i = 0; i < size / sizeof *sums; i++)
    sums[i] += more[i];
}

static void tell_violation(const sim *s) {
  uint64_t from = s->trailed > SIM_TRAIL ? s->trailed - SIM_TRAIL : 0;

  (void)printf("seed %" PRIu64 ", step %" PRIu64 ": %s\n", s->seed,
               s->counts.steps, s->violation);
  (void)printf("options:");
  for (const char *const *o = s->config.options; *o != NULL; o += 2)
    (void)printf(" %s=%s", o[0], o[1]);
  (void)printf("\n");
  for (uint64_t i = from; !s->verbose && i < s->trailed; i++)
    (void)printf("%s\n", s->trail[i % SIM_TRAIL]);
}

static void tell_counts(uint64_t runs, const sim_counts *n) {
  (void)printf("%" PRIu64 " runs: %" PRIu64 " steps, %" PRIu64
               " requests, %" PRIu64 " writes, %" PRIu64 " rows (%" PRIu64
               " repeated), %" PRIu64 " times live\n",
               runs, n->steps, n->requests, n->writes, n->rows, n->repeats,
               n->lives);
  (void)printf("%" PRIu64 " crashes, %" PRIu64 " stops, %" PRIu64
               " closes, %" PRIu64 " failures, %" PRIu64 " saves, %" PRIu64
               " saves failed, %" PRIu64 " times later, %" PRIu64 " pauses\n",
               n->crashes, n->stops, n->closes, n->fails, n->saves,
               n->save_faults, n->laters, n->pauses);
  (void)printf("%" PRIu64 " databases made anew, %" PRIu64 " resets, %" PRIu64
               " requests beside others, %" PRIu64 " times without memory\n",
               n->recreations, n->resets, n->checks, n->no_memory);
}

static bool run_feeds(const arguments *a) {
  static sim s;
  sim_counts sums = {0};
  uint64_t bad = 0;

  s.verbose = a->verbose;
  for (uint64_t i = 0; i < a->count; i++) {
    bool good;

    watch(a->first + i);
    good = sim_run(&s, a->first + i);
    add(&sums, &s.counts, sizeof sums);
    if (!good)
      tell_violation(&s);
    sim_clear(&s);
    bad += !good;
    if (!good && !a->keep_going)
      return false;
  }
  tell_counts(a->count, &sums);
  return bad == 0;
}

/* ---- mirrors ---- */

static void tell_mirror_counts(uint64_t runs, const msim_counts *n) {
  (void)printf("%" PRIu64 " runs of mirrors: %" PRIu64 " lives, %" PRIu64
               " of them from a snapshot, %" PRIu64 " crashes, %" PRIu64
               " put, %" PRIu64 " gone, %" PRIu64 " times synced\n",
               runs, n->lives, n->loads, n->crashes, n->puts, n->gones,
               n->syncs);
  (void)printf("%" PRIu64 " databases made anew, %" PRIu64 " resets, %" PRIu64
               " rows older than what was held, %" PRIu64
               " documents asked for, %" PRIu64 " saves\n",
               n->recreations, n->resets, n->older, n->asked, n->saves);
  (void)printf("%" PRIu64 " audits, %" PRIu64 " unsettled, %" PRIu64
               " differences planted and found, %" PRIu64
               " that nodes which lag have left\n",
               n->audits, n->unsettled, n->planted, n->late_repairs);
}

static bool run_mirrors(const arguments *a, const char *directory) {
  static msim m;
  msim_counts sums = {0};
  uint64_t bad = 0;

  for (uint64_t i = 0; i < a->count; i++) {
    bool good;

    watch(a->first + i);
    good = msim_run(&m, a->first + i, directory, a->verbose);
    if (!good)
      tell_violation(&m.core);
    msim_clear(&m);
    add(&sums, &m.counts, sizeof sums);
    bad += !good;
    if (!good && !a->keep_going)
      return false;
  }
  tell_mirror_counts(a->count, &sums);
  return bad == 0;
}

static void remove_snapshots(const char *directory) {
  static const char *const ends[] = {"", ".lock", ".tmp"};
  char path[96];

  for (unsigned i = 0; i < MSIM_MIRRORS; i++)
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
      (void)snprintf(path, sizeof path, "%s/%u.snapshot%s", directory, i,
                     ends[k]);
      (void)remove(path);
    }
  (void)rmdir(directory);
}

/* Memory, where there is a place for files in it: each save is synced. */
static bool mirrors(const arguments *a) {
  char in_memory[] = "/dev/shm/couchsim-XXXXXX";
  char on_disk[] = "/tmp/couchsim-XXXXXX";
  const char *directory = mkdtemp(in_memory);
  bool good;

  if (directory == NULL)
    directory = mkdtemp(on_disk);
  if (directory == NULL) {
    perror("couchsim_run: a directory for snapshots");
    return false;
  }
  good = run_mirrors(a, directory);
  remove_snapshots(directory);
  return good;
}

int main(int argc, char **argv) {
  arguments a;
  bool good;

  if (!read_arguments(argc, argv, &a))
    return EXIT_FAILURE;
  if (a.herd)
    return sim_herd(a.first) ? EXIT_SUCCESS : EXIT_FAILURE;
  (void)signal(SIGALRM, on_alarm);
  good = a.mirror ? mirrors(&a) : run_feeds(&a);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
