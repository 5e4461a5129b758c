/*
 * A descriptor that is written by a thread of its own, so that a reader who
 * does not read never holds the feed's loop up. Lines go in whole and come out
 * whole; a line of a row is acknowledged to the feed once its last byte was
 * written. When too much waits, the feed is paused until half of it is out.
 */
#ifndef CLI_SINK_H
#define CLI_SINK_H

#include <changefeed/changefeed.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "text.h"

enum { SINK_LIMIT = 1 << 20 }; /* bytes that may wait */

/* Where a line ends, and which row it is (0: none). */
typedef struct sink_mark {
  size_t end;
  uint64_t ordinal;
} sink_mark;

typedef struct sink_batch {
  textbuf bytes;
  sink_mark *marks;
  size_t mark_count, mark_cap;
} sink_batch;

typedef struct sink {
  int fd;
  bool regular; /* a file: never asked whether it can be written */
  int wake[2];  /* a pipe to the thread */
  pthread_t thread;
  bool started;

  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t changed;
  sink_batch in;   /* waits for the thread */
  size_t out_left; /* bytes the thread has taken and not written */
  bool busy;       /* the thread has lines in hand */
  bool asleep;     /* it waits for the wake pipe */
  bool discard;    /* drop what waits, at the next end of a line */
  bool quit, done;
  int error;        /* errno of the write that failed; EPIPE: reader gone */
  changefeed *feed; /* NULL: nothing to acknowledge, pause or stop */
  changefeed_loop *loop; /* NULL: nobody to wake when there is room again */
  bool paused;
  uint64_t lost; /* lines dropped because nobody reads them */

  sink_batch out; /* the thread's own */
} sink;

/* 0 or an errno. The descriptor is left open by sink_close. */
int sink_open(sink *s, int fd);

/* Adds a line, "\n" put behind it. ordinal 0: no row; such a line is dropped
   when too many wait. False: no memory. */
bool sink_line(sink *s, const char *data, size_t len, uint64_t ordinal);
/* Adds bytes that are no line, such as those that erase one. */
bool sink_bytes(sink *s, const char *data, size_t len);

/* The feed whose rows these are. NULL before it is closed. */
void sink_set_feed(sink *s, changefeed *feed);
/* A loop to be woken when what waited too much is half out, or no more can be
   written; for those whose lines are no rows of a feed. NULL before it is
   freed. */
void sink_set_loop(sink *s, changefeed_loop *loop);
/* Less waits than may. */
bool sink_has_room(sink *s);
/* All is written, or never will be. */
bool sink_idle(sink *s);
int sink_error(sink *s);
/* Waits until idle, at most to until_ms of clock_ms (-1: no limit), or until
 *interrupt is true. True when idle. */
bool sink_wait(sink *s, int64_t until_ms, const atomic_bool *interrupt);
/* Makes sink_wait look at its interrupt. */
void sink_poke(sink *s);
/* Drops what waits; a line that is partly out is still finished, if it can be
   by until_ms. */
void sink_discard(sink *s, int64_t until_ms);
/* Ends the thread. False: it hangs in the system and is left to itself; s must
   stay in place. */
bool sink_close(sink *s, int64_t until_ms);

#endif
