/*
 * The thread of a sink: takes what waits and writes it. It asks before it
 * writes, and then writes what a pipe takes at once, so that it can be ended
 * between two lines at any time; a terminal or a disk may still hold it up.
 */
#include "sink_thread.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { FILE_PIECE = 256 * 1024 };

void sink_wake(const sink *s) {
  char byte = 0;

  /* A full pipe has woken the thread already. */
  while (write(s->wake[1], &byte, 1) < 0 && errno == EINTR)
    ;
}

static void drain_wake(const sink *s) {
  char bytes[64];

  while (read(s->wake[0], bytes, sizeof bytes) > 0)
    ;
}

/* Waits until the descriptor takes bytes (or, with events 0, until its reader
   is gone), or the thread is woken. Answers what became of the descriptor. */
static short wait_ready(const sink *s, short events) {
  struct pollfd fds[2] = {{s->fd, events, 0}, {s->wake[0], POLLIN, 0}};

  if (poll(fds, 2, -1) < 0)
    return 0;
  if (fds[1].revents != 0)
    drain_wake(s);
  return fds[0].revents;
}

/* Called with the lock: nothing more will be written. */
static void give_up(sink *s, int error) {
  s->error = error;
  if (s->feed != NULL)
    (void)changefeed_stop(s->feed);
  if (s->loop != NULL)
    (void)changefeed_loop_wakeup(s->loop);
}

/* Called with the lock. Whether the feed may go on after all. */
static void maybe_resume(sink *s) {
  if (s->paused && s->in.bytes.len + s->out_left <= SINK_LIMIT / 2) {
    s->paused = false;
    if (s->feed != NULL)
      (void)changefeed_resume(s->feed);
    if (s->loop != NULL)
      (void)changefeed_loop_wakeup(s->loop);
  }
}

/* ---- one batch ---- */

typedef struct position {
  size_t offset; /* bytes written */
  size_t mark;   /* lines whole */
} position;

static bool between_lines(const sink_batch *b, position at) {
  return at.offset == (at.mark == 0 ? 0 : b->marks[at.mark - 1].end);
}

/* As many whole lines as fit in one write; of a longer line, a piece. */
static size_t choose_piece(const sink *s, position at) {
  const sink_batch *b = &s->out;
  size_t most = s->regular ? FILE_PIECE : PIPE_BUF, end = at.offset;

  for (size_t i = at.mark; i < b->mark_count; i++) {
    if (b->marks[i].end - at.offset > most)
      break;
    end = b->marks[i].end;
  }
  if (end == at.offset)
    end += most;
  return end - at.offset;
}

/* Accounts for bytes that were written, and acknowledges their rows. */
static void advance(sink *s, position *at, size_t written) {
  const sink_batch *b = &s->out;
  uint64_t ordinal = 0;

  at->offset += written;
  while (at->mark < b->mark_count && b->marks[at->mark].end <= at->offset) {
    if (b->marks[at->mark].ordinal != 0)
      ordinal = b->marks[at->mark].ordinal;
    at->mark++;
  }
  (void)pthread_mutex_lock(&s->lock);
  s->out_left = b->bytes.len - at->offset;
  if (ordinal != 0 && s->feed != NULL)
    (void)changefeed_ack(s->feed, ordinal);
  maybe_resume(s);
  (void)pthread_mutex_unlock(&s->lock);
}

static bool must_leave(sink *s, position at) {
  bool leave;

  (void)pthread_mutex_lock(&s->lock);
  leave = s->quit || (s->discard && between_lines(&s->out, at));
  (void)pthread_mutex_unlock(&s->lock);
  return leave;
}

/* 0, or the errno of a write that failed. */
static int write_batch(sink *s) {
  position at = {0, 0};

  advance(s, &at, 0); /* rows of which nothing is printed */
  while (at.offset < s->out.bytes.len && !must_leave(s, at)) {
    ssize_t n;
    short ready = s->regular ? POLLOUT : wait_ready(s, POLLOUT);

    if (ready == 0)
      continue;
    n = write(s->fd, s->out.bytes.data + at.offset, choose_piece(s, at));
    if (n >= 0)
      advance(s, &at, (size_t)n);
    else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
      return errno;
  }
  return 0;
}

/* ---- the thread ---- */

/* Called with the lock, which it lets go of while it waits. */
static void sleep_until_woken(sink *s) {
  short gone;

  s->busy = false;
  s->asleep = true;
  s->discard = false;
  (void)pthread_cond_broadcast(&s->changed);
  (void)pthread_mutex_unlock(&s->lock);
  gone = wait_ready(s, 0);
  (void)pthread_mutex_lock(&s->lock);
  s->asleep = false;
  if (gone != 0 && s->in.mark_count == 0)
    give_up(s, EPIPE);
}

static void take(sink *s) {
  sink_batch empty = s->out;

  text_trim(&empty.bytes);
  empty.mark_count = 0;
  s->out = s->in;
  s->in = empty;
  s->out_left = s->out.bytes.len;
  s->busy = true;
}

void *sink_thread(void *arg) {
  sink *s = arg;

  (void)pthread_mutex_lock(&s->lock);
  while (!s->quit && s->error == 0) {
    int error;

    if (s->in.mark_count == 0) {
      sleep_until_woken(s);
      continue;
    }
    take(s);
    (void)pthread_mutex_unlock(&s->lock);
    error = write_batch(s);
    (void)pthread_mutex_lock(&s->lock);
    s->out_left = 0;
    if (error != 0)
      give_up(s, error);
    maybe_resume(s);
  }
  s->busy = false;
  s->done = true;
  (void)pthread_cond_broadcast(&s->changed);
  (void)pthread_mutex_unlock(&s->lock);
  return NULL;
}
