/* A small server in a process of its own for thousands of idle feeds: every
   database is there and empty, a continuous feed gets a heartbeat at the time
   given and a row when the test says so. It counts connections and requests,
   where the client can see it. Linux: epoll. */
#ifndef CFT_BEATS_H
#define CFT_BEATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct cft_beats_seen {
  atomic_ulong accepted;
  atomic_ulong open, open_most;     /* connections */
  atomic_ulong asking, asking_most; /* of them, without an answer yet */
  atomic_ulong streams;             /* continuous feeds now */
  atomic_ulong requests, beats, rows;
  atomic_ulong round; /* rows to be sent to each stream so far */
} cft_beats_seen;

typedef struct cft_beats {
  pid_t pid;
  int port, wake;
  cft_beats_seen *seen;
} cft_beats;

/* beat_ms: between heartbeats; answer_ms: each answer comes so much later than
   its request. False with errno set. */
bool cft_beats_start(cft_beats *b, int64_t beat_ms, int64_t answer_ms);
/* Each stream gets one row more. */
void cft_beats_write(cft_beats *b);
/* Kills the server; all its connections end. */
void cft_beats_stop(cft_beats *b);

#endif
