/* What the files of the soak share: a process that is a database with faults
   (server), feeds in this one that follow it as an application would (feed),
   and samples of what the process uses (sample). soak.c runs them. */
#ifndef CFT_SOAK_H
#define CFT_SOAK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "changefeed/changefeed.h"
#include "random.h"
#include "support/wire.h"

enum { SOAK_FEEDS = 8 };

/* ---- the server: a child process ---- */

typedef struct soak_server soak_server;

/* What it did, told at the end. */
typedef struct soak_deeds {
  unsigned writes, faults, cuts, histories, restarts, freezes, others;
  unsigned requests[SOAK_FEEDS]; /* of each feed, by its header */
} soak_deeds;

soak_server *soak_server_start(uint64_t seed);
const char *soak_server_url(const soak_server *server);
/* No faults and no writes from here on; what each follower must end up with,
   or NULL when the server has died. */
cft_revs *soak_server_heal(soak_server *server);
/* Ends the process; false when it did not end well. */
bool soak_server_stop(soak_server *server, soak_deeds *deeds);

/* ---- a feed and its application ---- */

/* A row that a worker has in its hands. */
typedef struct soak_work {
  uint64_t ordinal;
  char id[32], rev[32];
  bool deleted;
} soak_work;

enum { SOAK_UNACKED = 50 };

typedef struct soak_feed {
  size_t number;
  const char *transport;
  bool manual; /* rows are acknowledged by a worker, else taken at once */
  bool batch;
  char url[128], file[600];
  cfi_random random; /* of the loop's thread */

  pthread_mutex_t lock; /* guards what follows against the workers */
  changefeed *feed;     /* NULL while closed */
  cft_revs *copy;       /* the application's: rows that are done */
  soak_work work[SOAK_UNACKED];
  size_t work_count;

  /* Sums over all openings. */
  uint64_t rows, acked, requests, unproductive, reconnects, resets, repeats,
      saves, save_errors, openings, laters;
  int64_t opened_ms;
  char trouble[512]; /* the first rule that was broken, or "" */
} soak_feed;

void soak_feed_init(soak_feed *f, size_t number, const char *url,
                    const char *directory, uint64_t seed);
void soak_feed_open(soak_feed *f, changefeed_loop *loop);
/* Takes its sums and checks its rate. */
void soak_feed_close(soak_feed *f);
void soak_feed_free(soak_feed *f);
/* Says so when the feed has failed. */
void soak_feed_check(soak_feed *f);
/* Has everything, and holds no work. */
bool soak_feed_has(soak_feed *f, const cft_revs *want, char *why, size_t size);

/* For other threads: finishes a row, if there is one; pauses, resumes. */
bool soak_feed_work(soak_feed *f, cfi_random *random);
void soak_feed_pause(soak_feed *f, bool pause);

/* ---- samples ---- */

typedef struct soak_sample {
  size_t rss;
  int descriptors, threads;
  size_t timers, sockets; /* of the loop */
} soak_sample;

typedef struct soak_samples {
  soak_sample *all;
  size_t count, cap;
} soak_samples;

void soak_samples_init(soak_samples *s, size_t cap);
void soak_samples_take(soak_samples *s, const changefeed_loop *loop);
/* The last third against the second; prints a table. False, with what grew
   printed, when something did. */
bool soak_samples_flat(const soak_samples *s);
int soak_threads(void); /* of this process */

#endif
