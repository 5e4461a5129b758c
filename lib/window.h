/*
 * The rows between delivery and acknowledgement, by ordinal of arrival. Its
 * low-watermark is the only position that is ever saved: the seq of the last
 * row before which every row is acknowledged. Safe to use from any thread; it
 * holds its own lock and calls nobody. Seqs are never compared but for
 * equality.
 */
#ifndef CFI_WINDOW_H
#define CFI_WINDOW_H

#include <pthread.h>

#include "alloc.h"

/* A copy of a seq in memory that is used again for the next one. */
typedef struct cfi_window_seq {
  char *data; /* '\0'-terminated when present */
  size_t len, cap;
  bool present;
} cfi_window_seq;

typedef struct cfi_window_entry {
  cfi_window_seq seq; /* absent: null in the row; the row's own, or that of
                         progress made right behind it */
  uint64_t ordinal;
  bool acked;
} cfi_window_entry;

typedef struct cfi_window {
  const cfi_alloc *alloc;
  pthread_mutex_t lock;
  cfi_window_entry *ring; /* of cap entries, head is the oldest un-acked */
  size_t cap, head, count;
  uint64_t forgotten;      /* highest ordinal pushed before the last reset */
  uint64_t delivered;      /* highest ordinal pushed; 0 = none */
  uint64_t acked;          /* acknowledgements counted, each row once */
  uint64_t unacked;        /* rows pushed and not acknowledged */
  cfi_window_seq position; /* low-watermark; absent = none yet */
  uint64_t moves;          /* counts changes of position */
} cfi_window;

/* The allocator is used by init, free, reset, push, pass, progress and
   position alone: in the thread of the feed. Acknowledging, which any thread
   may do, neither allocates nor frees. */

/* False: the lock could not be made. */
bool cfi_window_init(cfi_window *w, const cfi_alloc *alloc);
void cfi_window_free(cfi_window *w);

/* Sets the position (a start, a reset) and forgets rows not acknowledged. An
   absent seq: no position. False: no memory, nothing changed. */
bool cfi_window_reset(cfi_window *w, changefeed_str position);

/* A row is about to be delivered as ordinal, one more than the last. It may
   have an absent seq: acknowledging it then moves the position to the last
   seq at or before it. False: no memory, nothing changed. */
bool cfi_window_push(cfi_window *w, uint64_t ordinal, changefeed_str seq);
/* Takes back the last push, of a row that was not taken after all, and the
   progress made behind it. When the application has acknowledged the row all
   the same, the position stays where that brought it. */
void cfi_window_pop(cfi_window *w, uint64_t ordinal);
/* Push and acknowledge in one step when nothing is un-acked: the path of
   auto_ack, without an entry. ordinal is that of the last of so many rows, seq
   that of the last of them that has one. Falls back to push + ack_one
   otherwise. False: no memory, nothing changed. */
bool cfi_window_pass(cfi_window *w, uint64_t ordinal, uint64_t rows,
                     changefeed_str seq);
/* Progress without a row (last_seq): the position moves to seq as soon as every
   row pushed before is acknowledged. An absent seq is no progress. False: no
   memory. */
bool cfi_window_progress(cfi_window *w, changefeed_str seq);

/* Acknowledges up to and including / only this ordinal. Again, or of a row
   that a reset forgot: no effect. False: no such row was pushed yet. */
bool cfi_window_ack(cfi_window *w, uint64_t ordinal);
bool cfi_window_ack_one(cfi_window *w, uint64_t ordinal);

typedef struct cfi_window_view {
  uint64_t delivered, acked, unacked, moves;
  bool has_position;
} cfi_window_view;
cfi_window_view cfi_window_look(const cfi_window *w);
/* *copy: the position, to be freed by cfi_free. False, and *copy NULL, when
   there is none or no memory: the view tells which. */
bool cfi_window_position(cfi_window *w, char **copy, size_t *len);

#endif
