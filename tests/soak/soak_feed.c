/* A feed and the application behind it, which keeps a copy of the database: a
   row is in the copy before it is acknowledged, and what was not acknowledged
   when the feed was closed has never been there. */
#include "soak.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/mem.h"
#include "support/timing.h"

static void complain(soak_feed *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(soak_feed *f, const char *format, ...) {
  va_list args;

  if (f->trouble[0] != '\0')
    return;
  va_start(args, format);
  (void)vsnprintf(f->trouble, sizeof f->trouble, format, args);
  va_end(args);
}

/* ---- rows ---- */

static void keep(soak_feed *f, const changefeed_change *change) {
  soak_work *w = &f->work[f->work_count];

  if (f->work_count == SOAK_UNACKED) {
    complain(f, "row %llu came beyond max_unacked",
             (unsigned long long)change->ordinal);
    return;
  }
  w->ordinal = change->ordinal;
  w->deleted = (change->flags & CHANGEFEED_DELETED) != 0;
  (void)snprintf(w->id, sizeof w->id, "%s", change->id.data);
  (void)snprintf(w->rev, sizeof w->rev, "%s", change->revs[0].data);
  f->work_count++;
}

/* Called with the lock. */
static void take(soak_feed *f, const changefeed_change *change) {
  if (change->rev_count != 1)
    complain(f, "a row with %zu revs", change->rev_count);
  else if (f->manual)
    keep(f, change);
  else
    cft_revs_put(f->copy, change->id.data, change->revs[0].data,
                 (change->flags & CHANGEFEED_DELETED) != 0);
}

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  soak_feed *f = user;

  (void)feed;
  if (cfi_random_upto(&f->random, 999) == 0) {
    f->laters++;
    return CHANGEFEED_LATER; /* somebody resumes it */
  }
  (void)pthread_mutex_lock(&f->lock);
  take(f, change);
  (void)pthread_mutex_unlock(&f->lock);
  return CHANGEFEED_CONTINUE;
}

static int on_batch(changefeed *feed, const changefeed_change *const *changes,
                    size_t count, void *user) {
  soak_feed *f = user;

  (void)feed;
  (void)pthread_mutex_lock(&f->lock);
  for (size_t i = 0; i < count; i++)
    take(f, changes[i]);
  (void)pthread_mutex_unlock(&f->lock);
  return CHANGEFEED_CONTINUE;
}

/* Another history: the copy is of nothing. */
static void forget(soak_feed *f) {
  (void)pthread_mutex_lock(&f->lock);
  f->work_count = 0;
  cft_revs_free(f->copy);
  f->copy = cft_revs_new();
  (void)pthread_mutex_unlock(&f->lock);
}

static int on_reset(changefeed *feed, const char *reason, void *user) {
  (void)feed;
  (void)reason;
  forget(user);
  return CHANGEFEED_CONTINUE;
}

/* ---- other threads ---- */

/* A random row, but never a later one of an id before an earlier one. */
static size_t choose(const soak_feed *f, cfi_random *random) {
  size_t any = (size_t)cfi_random_upto(random, (int64_t)f->work_count - 1);

  for (size_t i = 0; i < any; i++)
    if (strcmp(f->work[i].id, f->work[any].id) == 0)
      return i;
  return any;
}

bool soak_feed_work(soak_feed *f, cfi_random *random) {
  bool any;

  (void)pthread_mutex_lock(&f->lock);
  any = f->work_count != 0 && f->feed != NULL;
  if (any) {
    size_t at = choose(f, random);
    soak_work w = f->work[at];
    int rc;

    memmove(&f->work[at], &f->work[at + 1],
            (f->work_count - at - 1) * sizeof w);
    f->work_count--;
    cft_revs_put(f->copy, w.id, w.rev, w.deleted);
    rc = changefeed_ack_one(f->feed, w.ordinal);
    if (rc != CHANGEFEED_OK)
      complain(f, "row %llu could not be acknowledged: %s",
               (unsigned long long)w.ordinal, changefeed_strerror(rc));
  }
  (void)pthread_mutex_unlock(&f->lock);
  return any;
}

void soak_feed_pause(soak_feed *f, bool pause) {
  (void)pthread_mutex_lock(&f->lock);
  if (f->feed != NULL)
    (void)(pause ? changefeed_pause(f->feed) : changefeed_resume(f->feed));
  (void)pthread_mutex_unlock(&f->lock);
}

/* ---- life ---- */

void soak_feed_init(soak_feed *f, size_t number, const char *url,
                    const char *directory, uint64_t seed) {
  static const char *const transports[] = {"continuous", "longpoll",
                                           "eventsource", "auto"};

  memset(f, 0, sizeof *f);
  f->number = number;
  f->transport = transports[number % 4];
  f->manual = number < SOAK_FEEDS / 2;
  f->batch = number % 4 == 1;
  (void)snprintf(f->url, sizeof f->url, "%s", url);
  (void)snprintf(f->file, sizeof f->file, "file:%s/feed%zu", directory, number);
  cfi_random_init(&f->random, seed + number);
  (void)pthread_mutex_init(&f->lock, NULL);
  f->copy = cft_revs_new();
}

/* CHANGEFEED_OK, or what was refused. */
static int set_options(soak_feed *f, changefeed_options *o) {
  const char *const options[][2] = {
      {"url", f->url},
      {"proxy", "-"},
      {"transport", f->transport},
      {"checkpoint", f->file},
      {"checkpoint_every", "20"},
      {"checkpoint_interval_ms", "200"},
      {"auto_ack", f->manual ? "0" : "1"},
      {"max_unacked", "50"},
      {"max_queue_bytes", "8192"},
      {"heartbeat_ms", "500"},
      {"idle_timeout_ms", "1000"},
      {"header_timeout_ms", "1500"},
      {"connect_timeout_ms", "1500"},
      {"retry_min_ms", "20"},
      {"retry_max_ms", "400"},
      {"wait_for_database", "1"},
      {"batch_max", "7"},
  };
  changefeed_callbacks c = CHANGEFEED_CALLBACKS_INIT;
  char header[32];
  int rc = CHANGEFEED_OK;

  (void)snprintf(header, sizeof header, "X-Feed: %zu", f->number);
  for (size_t i = 0; i < sizeof options / sizeof *options && rc == 0; i++)
    rc = changefeed_options_set(o, options[i][0], options[i][1]);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_add(o, "header", header);
  c.on_change = f->batch ? NULL : on_change;
  c.on_batch = f->batch ? on_batch : NULL;
  c.on_reset = on_reset;
  c.user = f;
  return rc != CHANGEFEED_OK ? rc : changefeed_options_set_callbacks(o, &c);
}

void soak_feed_open(soak_feed *f, changefeed_loop *loop) {
  changefeed_options *o = NULL;
  changefeed *feed = NULL;
  int rc = changefeed_options_new(&o);

  if (rc == CHANGEFEED_OK)
    rc = set_options(f, o);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_open(&feed, loop, o);
  if (rc != CHANGEFEED_OK)
    complain(f, "cannot be opened: %s: %s", changefeed_strerror(rc),
             o != NULL ? changefeed_options_error(o) : "");
  changefeed_options_free(o);
  if (feed == NULL)
    return;
  /* What was done of a history that was never saved comes again, or is of
     another one by now. */
  if (changefeed_position(feed).data == NULL)
    forget(f);
  (void)pthread_mutex_lock(&f->lock);
  f->feed = feed;
  f->work_count = 0;
  (void)pthread_mutex_unlock(&f->lock);
  f->opened_ms = cft_now_ms();
  f->openings++;
}

static void take_sums(soak_feed *f, const changefeed_stats *s) {
  int64_t seconds = (cft_now_ms() - f->opened_ms) / 1000 + 1;

  f->rows += s->changes;
  f->acked += s->acked;
  f->requests += s->requests;
  f->unproductive += s->unproductive;
  f->reconnects += s->reconnects;
  f->resets += s->resets;
  f->repeats += s->repeats;
  f->saves += s->saves;
  f->save_errors += s->save_errors;
  if (s->unproductive > (uint64_t)(5 + seconds))
    complain(f, "%llu unproductive requests in %lld s",
             (unsigned long long)s->unproductive, (long long)seconds);
  if (s->save_errors != 0)
    complain(f, "%llu saves failed", (unsigned long long)s->save_errors);
}

void soak_feed_check(soak_feed *f) {
  const changefeed_error *error;

  if (f->feed == NULL ||
      (changefeed_get_state(f->feed) != CHANGEFEED_STATE_FAILED &&
       changefeed_get_state(f->feed) != CHANGEFEED_STATE_ENDED))
    return;
  error = changefeed_last_error(f->feed);
  complain(f, "is over: %s", error->message);
}

void soak_feed_close(soak_feed *f) {
  changefeed_stats stats = CHANGEFEED_STATS_INIT;
  changefeed *feed;

  if (f->feed == NULL)
    return;
  soak_feed_check(f);
  if (changefeed_get_stats(f->feed, &stats) == CHANGEFEED_OK)
    take_sums(f, &stats);
  (void)pthread_mutex_lock(&f->lock);
  feed = f->feed;
  f->feed = NULL;
  f->work_count = 0;
  (void)pthread_mutex_unlock(&f->lock);
  changefeed_close(feed);
}

void soak_feed_free(soak_feed *f) {
  cft_revs_free(f->copy);
  (void)pthread_mutex_destroy(&f->lock);
}

bool soak_feed_has(soak_feed *f, const cft_revs *want, char *why, size_t size) {
  bool has;

  (void)pthread_mutex_lock(&f->lock);
  has = cft_revs_equal(want, f->copy, why, size) && f->work_count == 0;
  (void)pthread_mutex_unlock(&f->lock);
  return has;
}
