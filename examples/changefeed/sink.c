/*
 * The caller's side of a sink: adding lines, waiting, ending.
 */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sink_thread.h"

static int make_pipe(int fds[2]) {
  if (pipe(fds) != 0)
    return errno;
  for (int i = 0; i < 2; i++)
    if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(fds[i], F_SETFL, O_NONBLOCK) != 0) {
      int rc = errno;
      (void)close(fds[0]);
      (void)close(fds[1]);
      return rc;
    }
  return 0;
}

static int make_lock(sink *s) {
  pthread_condattr_t attr;
  int rc = pthread_condattr_init(&attr);

  if (rc != 0)
    return rc;
  rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  if (rc == 0)
    rc = pthread_cond_init(&s->changed, &attr);
  (void)pthread_condattr_destroy(&attr);
  return rc != 0 ? rc : pthread_mutex_init(&s->lock, NULL);
}

int sink_open(sink *s, int fd) {
  struct stat st;
  int rc;

  memset(s, 0, sizeof *s);
  s->fd = fd;
  if (fstat(fd, &st) != 0)
    return errno;
  s->regular = S_ISREG(st.st_mode) != 0;
  rc = make_lock(s);
  if (rc == 0)
    rc = make_pipe(s->wake);
  if (rc == 0)
    rc = pthread_create(&s->thread, NULL, sink_thread, s);
  s->started = rc == 0;
  return rc;
}

/* ---- adding ---- */

static bool add_mark(sink_batch *b, uint64_t ordinal) {
  if (b->mark_count != 0 && b->marks[b->mark_count - 1].end == b->bytes.len) {
    /* A row of which nothing is printed is done when the line before it is. */
    if (ordinal != 0)
      b->marks[b->mark_count - 1].ordinal = ordinal;
    return true;
  }
  if (b->mark_count == b->mark_cap) {
    size_t cap = b->mark_cap != 0 ? b->mark_cap * 2 : 64;
    sink_mark *marks = realloc(b->marks, cap * sizeof *marks);
    if (marks == NULL)
      return false;
    b->marks = marks;
    b->mark_cap = cap;
  }
  b->marks[b->mark_count].end = b->bytes.len;
  b->marks[b->mark_count].ordinal = ordinal;
  b->mark_count++;
  return true;
}

static bool add(sink *s, const char *data, size_t len, const char *tail,
                uint64_t ordinal) {
  size_t before = s->in.bytes.len;

  text_put(&s->in.bytes, data, len);
  text_puts(&s->in.bytes, tail);
  if (!text_ok(&s->in.bytes) || !add_mark(&s->in, ordinal)) {
    s->in.bytes.len = before;
    s->in.bytes.failed = false;
    return false;
  }
  return true;
}

static bool put(sink *s, const char *data, size_t len, const char *tail,
                uint64_t ordinal) {
  bool ok = true;

  (void)pthread_mutex_lock(&s->lock);
  if (s->done || s->discard) {
    ; /* nobody will read it, and its row is not acknowledged */
  } else if (ordinal == 0 && s->in.bytes.len + s->out_left > SINK_LIMIT) {
    s->lost++;
  } else {
    ok = add(s, data, len, tail, ordinal);
    if (s->asleep)
      sink_wake(s);
    /* Under the lock, as the resume of the thread is: in another order they
       would leave the feed paused for ever. */
    if (!s->paused && s->in.bytes.len + s->out_left > SINK_LIMIT) {
      s->paused = true;
      if (s->feed != NULL)
        (void)changefeed_pause(s->feed);
    }
  }
  (void)pthread_mutex_unlock(&s->lock);
  return ok;
}

bool sink_line(sink *s, const char *data, size_t len, uint64_t ordinal) {
  return put(s, data, len, data != NULL ? "\n" : "", ordinal);
}

bool sink_bytes(sink *s, const char *data, size_t len) {
  return put(s, data, len, "", 0);
}

/* ---- waiting ---- */

void sink_set_feed(sink *s, changefeed *feed) {
  (void)pthread_mutex_lock(&s->lock);
  s->feed = feed;
  (void)pthread_mutex_unlock(&s->lock);
}

void sink_set_loop(sink *s, changefeed_loop *loop) {
  (void)pthread_mutex_lock(&s->lock);
  s->loop = loop;
  (void)pthread_mutex_unlock(&s->lock);
}

bool sink_has_room(sink *s) {
  bool room;

  (void)pthread_mutex_lock(&s->lock);
  room = !s->paused;
  (void)pthread_mutex_unlock(&s->lock);
  return room;
}

static bool is_idle(const sink *s) {
  return s->done || (!s->busy && s->in.mark_count == 0);
}

bool sink_idle(sink *s) {
  bool idle;

  (void)pthread_mutex_lock(&s->lock);
  idle = is_idle(s);
  (void)pthread_mutex_unlock(&s->lock);
  return idle;
}

int sink_error(sink *s) {
  int error;

  (void)pthread_mutex_lock(&s->lock);
  error = s->error;
  (void)pthread_mutex_unlock(&s->lock);
  return error;
}

/* One wait for a change; false when the time is over. Called with the lock. */
static bool wait_change(sink *s, int64_t until_ms) {
  struct timespec until;

  if (until_ms < 0)
    return pthread_cond_wait(&s->changed, &s->lock) == 0;
  until.tv_sec = (time_t)(until_ms / 1000);
  until.tv_nsec = (long)(until_ms % 1000) * 1000000;
  return pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0;
}

bool sink_wait(sink *s, int64_t until_ms, const atomic_bool *interrupt) {
  bool idle;

  (void)pthread_mutex_lock(&s->lock);
  while (!is_idle(s) && (interrupt == NULL || !atomic_load(interrupt)) &&
         wait_change(s, until_ms))
    ;
  idle = is_idle(s);
  (void)pthread_mutex_unlock(&s->lock);
  return idle;
}

void sink_poke(sink *s) {
  (void)pthread_mutex_lock(&s->lock);
  (void)pthread_cond_broadcast(&s->changed);
  (void)pthread_mutex_unlock(&s->lock);
}

void sink_discard(sink *s, int64_t until_ms) {
  (void)pthread_mutex_lock(&s->lock);
  s->discard = true;
  s->in.bytes.len = 0;
  s->in.mark_count = 0;
  sink_wake(s);
  while (!is_idle(s) && wait_change(s, until_ms))
    ;
  if (is_idle(s))
    s->discard = false;
  (void)pthread_mutex_unlock(&s->lock);
}

bool sink_close(sink *s, int64_t until_ms) {
  bool done;

  if (!s->started)
    return true;
  (void)pthread_mutex_lock(&s->lock);
  s->quit = true;
  sink_wake(s);
  while (!s->done && wait_change(s, until_ms))
    ;
  done = s->done;
  (void)pthread_mutex_unlock(&s->lock);
  if (!done) {
    (void)pthread_detach(s->thread);
    return false;
  }
  (void)pthread_join(s->thread, NULL);
  (void)close(s->wake[0]);
  (void)close(s->wake[1]);
  text_free(&s->in.bytes);
  text_free(&s->out.bytes);
  free(s->in.marks);
  free(s->out.marks);
  (void)pthread_cond_destroy(&s->changed);
  (void)pthread_mutex_destroy(&s->lock);
  s->started = false;
  return true;
}
