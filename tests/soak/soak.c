/* Soak: feeds of all transports follow a database that does everything wrong,
   over sockets, for minutes. What the process uses stays flat, no feed asks
   more than it may, and when the faults end each copy is the database's.

     soak_run [--seconds N] [--seed N] */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "soak.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/proc.h"
#include "support/timing.h"

enum { SAMPLE_MS = 250, REOPEN_MS = 1500, HEALED_MS = 45000 };

static soak_feed feeds[SOAK_FEEDS];
static atomic_bool quit, calm; /* calm: no more pauses */
static unsigned failures;

#define FAIL(...)                                                              \
  ((void)printf("FAILED: " __VA_ARGS__), (void)printf("\n"), failures++)

/* ---- other threads ---- */

static void sleep_ms(int64_t ms) {
  const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

  (void)nanosleep(&t, NULL);
}

/* Finishes rows in any order, a little slower than they may come. */
static void *work(void *user) {
  cfi_random random;

  cfi_random_init(&random, *(const uint64_t *)user + 100);
  while (!atomic_load(&quit)) {
    bool any = false;

    for (int i = 0; i < SOAK_FEEDS; i++)
      if (cfi_random_upto(&random, 3) != 0)
        any = soak_feed_work(&feeds[i], &random) || any;
    if (!any || cfi_random_upto(&random, 50) == 0)
      sleep_ms(cfi_random_upto(&random, 20));
  }
  return NULL;
}

/* Pauses one feed for a while; in the end all are resumed, and a LATER too. */
static void *pause_and_resume(void *user) {
  cfi_random random;

  cfi_random_init(&random, *(const uint64_t *)user + 200);
  while (!atomic_load(&quit)) {
    soak_feed *f = &feeds[cfi_random_upto(&random, SOAK_FEEDS - 1)];

    if (!atomic_load(&calm))
      soak_feed_pause(f, true);
    sleep_ms(cfi_random_upto(&random, 200));
    for (int i = 0; i < SOAK_FEEDS; i++)
      soak_feed_pause(&feeds[i], false);
    sleep_ms(cfi_random_upto(&random, 100));
  }
  return NULL;
}

/* ---- the run ---- */

static void check_feeds(void) {
  for (int i = 0; i < SOAK_FEEDS; i++)
    soak_feed_check(&feeds[i]);
}

static bool in_trouble(void) {
  for (int i = 0; i < SOAK_FEEDS; i++)
    if (feeds[i].trouble[0] != '\0')
      return true;
  return false;
}

static void run_for(changefeed_loop *loop, int64_t ms, uint64_t seed,
                    soak_samples *samples) {
  int64_t now = cft_now_ms(), end = now + ms, sample = now,
          reopen = now + REOPEN_MS;
  cfi_random random;

  cfi_random_init(&random, seed + 300);
  for (; now < end && !in_trouble(); now = cft_now_ms()) {
    int rc = changefeed_loop_run_once(loop, 20);

    if (rc < 0) {
      FAIL("the loop: %s", changefeed_strerror(rc));
      return;
    }
    if (now >= sample) {
      soak_samples_take(samples, loop);
      check_feeds();
      sample += SAMPLE_MS;
    }
    if (now >= reopen) {
      soak_feed *f = &feeds[cfi_random_upto(&random, SOAK_FEEDS - 1)];

      soak_feed_close(f);
      soak_feed_open(f, loop);
      reopen += REOPEN_MS;
    }
  }
}

/* After the faults: every feed gets there, without help. */
static void converge(changefeed_loop *loop, const cft_revs *want) {
  int64_t begin = cft_now_ms(), end = begin + HEALED_MS;
  char why[256];
  int first = 0;

  while (first < SOAK_FEEDS && cft_now_ms() < end && !in_trouble()) {
    if (changefeed_loop_run_once(loop, 20) < 0)
      break;
    while (first < SOAK_FEEDS &&
           soak_feed_has(&feeds[first], want, why, sizeof why))
      first++;
    check_feeds();
  }
  if (first == SOAK_FEEDS)
    (void)printf("all copies right %.1f s after the last fault\n",
                 (double)(cft_now_ms() - begin) / 1000);
  if (in_trouble()) /* it is told, and the wait was cut short by it */
    return;
  for (int i = first; i < SOAK_FEEDS; i++)
    if (!soak_feed_has(&feeds[i], want, why, sizeof why))
      FAIL("feed %d (%s) %s: %s; last error: %s", i, feeds[i].transport,
           changefeed_state_name(changefeed_get_state(feeds[i].feed)), why,
           feeds[i].feed != NULL ? changefeed_last_error(feeds[i].feed)->message
                                 : "closed");
}

/* ---- the summary ---- */

static void print_feeds(const soak_deeds *deeds) {
  (void)printf("%-4s %-11s %-6s %5s %8s %8s %8s %8s %8s %7s %7s\n", "feed",
               "transport", "acks", "open", "rows", "repeats", "requests",
               "unprod.", "faults", "resets", "saves");
  for (int i = 0; i < SOAK_FEEDS; i++) {
    const soak_feed *f = &feeds[i];

    (void)printf(
        "%-4d %-11s %-6s %5llu %8llu %8llu %8llu %8llu %8llu %7llu "
        "%7llu\n",
        i, f->transport, f->manual ? "manual" : "auto",
        (unsigned long long)f->openings, (unsigned long long)f->rows,
        (unsigned long long)f->repeats, (unsigned long long)f->requests,
        (unsigned long long)f->unproductive, (unsigned long long)f->reconnects,
        (unsigned long long)f->resets, (unsigned long long)f->saves);
    if (f->trouble[0] != '\0')
      FAIL("feed %d (%s): %s", i, f->transport, f->trouble);
    /* What the feed says of itself is no less than what the server saw. */
    if (deeds->requests[i] > f->requests)
      FAIL("feed %d: %u requests came, it says %llu", i, deeds->requests[i],
           (unsigned long long)f->requests);
    if (f->rows == 0)
      FAIL("feed %d never got a row", i);
  }
}

static void print_deeds(const soak_deeds *d) {
  (void)printf("server: %u writes, %u faults on requests (%u cuts), %u "
               "histories, %u restarts, %u freezes, %u other events\n",
               d->writes, d->faults, d->cuts, d->histories, d->restarts,
               d->freezes, d->others);
}

static void *nothing(void *user) { return user; }

/* A sanitizer adds a thread of its own when the first one is made. */
static void make_first_thread(void) {
  pthread_t thread;

  if (pthread_create(&thread, NULL, nothing, NULL) != 0 ||
      pthread_join(thread, NULL) != 0)
    abort();
}

static void soak(uint64_t seed, int64_t seconds, const char *directory) {
  soak_server *server = soak_server_start(seed);
  soak_samples samples;
  soak_deeds deeds = {0};
  changefeed_loop *loop = NULL;
  pthread_t worker, pauser;
  cft_revs *want;
  int descriptors = cft_fd_count(getpid()), threads;

  make_first_thread();
  threads = soak_threads();
  soak_samples_init(&samples, (size_t)(seconds * 1000 / SAMPLE_MS) + 16);
  if (changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK)
    abort();
  for (size_t i = 0; i < SOAK_FEEDS; i++) {
    soak_feed_init(&feeds[i], i, soak_server_url(server), directory, seed);
    soak_feed_open(&feeds[i], loop);
  }
  if (pthread_create(&worker, NULL, work, &seed) != 0 ||
      pthread_create(&pauser, NULL, pause_and_resume, &seed) != 0)
    abort();
  run_for(loop, seconds * 1000, seed, &samples);
  atomic_store(&calm, true);
  want = soak_server_heal(server);
  if (want != NULL)
    converge(loop, want);
  else
    FAIL("the server has died");
  atomic_store(&quit, true);
  (void)pthread_join(worker, NULL);
  (void)pthread_join(pauser, NULL);
  for (int i = 0; i < SOAK_FEEDS; i++)
    soak_feed_close(&feeds[i]);
  changefeed_loop_free(loop);
  if (cft_fd_count(getpid()) != descriptors || soak_threads() != threads)
    FAIL("%d descriptors and %d threads are left",
         cft_fd_count(getpid()) - descriptors, soak_threads() - threads);
  if (!soak_server_stop(server, &deeds))
    FAIL("the server did not end well");
  print_deeds(&deeds);
  print_feeds(&deeds);
  if (!soak_samples_flat(&samples))
    FAIL("something grows");
  for (int i = 0; i < SOAK_FEEDS; i++)
    soak_feed_free(&feeds[i]);
  cft_revs_free(want);
  free(samples.all);
}

static void remove_directory(const char *directory) {
  static const char *const ends[] = {"", ".prev", ".lock", ".tmp"};
  char path[600];

  for (size_t i = 0; i < (size_t)SOAK_FEEDS * 4; i++) {
    (void)snprintf(path, sizeof path, "%s/feed%zu%s", directory, i / 4,
                   ends[i % 4]);
    (void)unlink(path);
  }
  if (rmdir(directory) != 0)
    FAIL("%s is not empty", directory);
}

static int64_t number(const char *text) {
  char *end;
  long long n = strtoll(text, &end, 10);

  return *text != '\0' && *end == '\0' ? n : -1;
}

int main(int argc, char **argv) {
  int64_t seconds = 60, seed = 1;
  char directory[512];
  const char *base = getenv("TMPDIR");

  for (int i = 1; i < argc; i += 2) {
    int64_t value = i + 1 < argc ? number(argv[i + 1]) : -1;

    if (strcmp(argv[i], "--seconds") == 0 && value >= 3)
      seconds = value;
    else if (strcmp(argv[i], "--seed") == 0 && value > 0)
      seed = value;
    else {
      (void)fprintf(stderr, "usage: soak_run [--seconds N] [--seed N]\n");
      return 2;
    }
  }
  (void)snprintf(directory, sizeof directory, "%s/cft-soak-XXXXXX",
                 base != NULL && *base != '\0' ? base : "/tmp");
  if (mkdtemp(directory) == NULL) {
    perror(directory);
    return 1;
  }
  (void)printf("soak of %lld s, seed %lld\n", (long long)seconds,
               (long long)seed);
  (void)fflush(stdout); /* or the child would have it too */
  soak((uint64_t)seed, seconds, directory);
  remove_directory(directory);
  (void)printf("%s\n", failures == 0 ? "all is well" : "FAILED");
  return failures == 0 ? 0 : 1;
}
