/* What the files of timeline.c share. */
#ifndef REPLAY_TIMELINE_INT_H
#define REPLAY_TIMELINE_INT_H

#include "replay/timeline.h"
#include <pthread.h>

struct timeline {
  int64_t began_ms; /* on the monotonic clock */
  pthread_mutex_t lock;
  int64_t last_ms; /* the latest that was recorded; -1: nothing */
  /* As timeline_take gives it, but nothing is carried on, and slices are
     counted only there. */
  timeline_data *data;
};

/* Under the lock: the slice of a time, or NULL: it is beyond, and counted.
   at_ms is put right. */
timeline_slice *timeline_at(timeline *t, int64_t *at_ms);

#endif
