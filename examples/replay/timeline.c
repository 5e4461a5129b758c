/* The timeline's life, and what is counted in it; see timeline.h. What is
   looked at is in timeline_seen.c, reading in timeline_take.c. */
#include "replay/timeline_int.h"

#include <stdlib.h>
#include <time.h>

enum {
  SLICE_LEAST_MS = 100,
  SLICE_MOST_MS = 10000,
  FINE = 3,  /* bits: an octave of times has eight buckets */
  FIRST = 6, /* times below 2^6 us have one bucket together */
  OCTAVES = 21
};

static int64_t clock_ms(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

timeline *timeline_new(const timeline_config *config) {
  int64_t slice_ms = config->slice_ms != 0 ? config->slice_ms : 500;
  size_t seconds = config->seconds != 0 ? config->seconds : 600, most;
  timeline *t;

  if (slice_ms < SLICE_LEAST_MS || slice_ms > SLICE_MOST_MS ||
      seconds > TIMELINE_SECONDS_MOST || config->balancers > TIMELINE_BALANCERS)
    return NULL;
  most = (seconds * 1000 + (size_t)slice_ms - 1) / (size_t)slice_ms;
  t = calloc(1, sizeof *t);
  if (t == NULL)
    return NULL;
  t->data = calloc(1, sizeof *t->data + most * sizeof *t->data->slices);
  if (t->data == NULL || pthread_mutex_init(&t->lock, NULL) != 0) {
    free(t->data);
    free(t);
    return NULL;
  }
  t->data->slice_ms = slice_ms;
  t->data->slice_most = most;
  t->data->balancers = config->balancers;
  t->last_ms = -1;
  t->began_ms = clock_ms();
  return t;
}

void timeline_free(timeline *t) {
  if (t == NULL)
    return;
  (void)pthread_mutex_destroy(&t->lock);
  free(t->data);
  free(t);
}

int64_t timeline_now(const timeline *t) {
  return t != NULL ? clock_ms() - t->began_ms : 0;
}

timeline_slice *timeline_at(timeline *t, int64_t *at_ms) {
  timeline_data *d = t->data;
  int64_t index;

  if (*at_ms < 0)
    *at_ms = 0;
  index = *at_ms / d->slice_ms;
  if (index >= (int64_t)d->slice_most) {
    d->beyond++;
    return NULL;
  }
  if (*at_ms > t->last_ms)
    t->last_ms = *at_ms;
  return &d->slices[index];
}

/* ---- times ---- */

static unsigned bucket_of(int64_t us) {
  unsigned octave = 0;

  if (us < 1 << FIRST)
    return 0;
  while (octave + 1 < OCTAVES && us >> (FIRST + octave + 1) != 0)
    octave++;
  if (us >> (FIRST + octave + 1) != 0)
    return TIMELINE_BUCKETS - 1;
  return 1 + (octave << FINE) +
         (unsigned)(us >> (FIRST + octave - FINE) & ((1 << FINE) - 1));
}

static int64_t bucket_end(unsigned bucket) {
  unsigned octave, part;

  if (bucket == 0)
    return 1 << FIRST;
  octave = (bucket - 1) >> FINE;
  part = (bucket - 1) & ((1 << FINE) - 1);
  return (int64_t)((1 << FINE) + part + 1) << (FIRST + octave - FINE);
}

int64_t timeline_time(const timeline_counts *counts, double share) {
  uint64_t all = 0, wanted, sum = 0;
  unsigned bucket = 0;

  for (unsigned i = 0; i < TIMELINE_BUCKETS; i++)
    all += counts->times[i];
  if (all == 0)
    return -1;
  wanted = (uint64_t)(share * (double)all);
  if ((double)wanted < share * (double)all)
    wanted++;
  wanted = wanted < 1 ? 1 : wanted > all ? all : wanted;
  while ((sum += counts->times[bucket]) < wanted)
    bucket++;
  return bucket_end(bucket);
}

/* ---- counting ---- */

static void count_end(timeline_counts *c, const timeline_visit *v) {
  c->outcomes[v->outcome]++;
  c->foreign += v->foreign;
  c->own += v->outcome == TIMELINE_APP && !v->foreign;
  if (v->outcome == TIMELINE_APP && v->status >= 500)
    c->app_errors++;
  if (v->outcome == TIMELINE_PAGE)
    c->codes[v->code < TIMELINE_CODES ? v->code : 0]++;
  if (v->first_us >= 0)
    c->times[bucket_of(v->first_us)]++;
}

static bool has_status(const timeline_visit *v) {
  return (v->outcome == TIMELINE_APP || v->outcome == TIMELINE_PAGE) &&
         v->status >= 100 && v->status < 600;
}

void timeline_add_visit(timeline *t, const timeline_visit *visit) {
  int64_t asked_ms = visit->asked_ms, ended_ms = visit->ended_ms;
  timeline_slice *s;

  if (t == NULL)
    return;
  (void)pthread_mutex_lock(&t->lock);
  t->data->total.asked++;
  count_end(&t->data->total, visit);
  if (has_status(visit))
    t->data->statuses[visit->status]++;
  s = timeline_at(t, &asked_ms);
  if (s != NULL)
    s->counts.asked++;
  s = timeline_at(t, &ended_ms);
  if (s != NULL)
    count_end(&s->counts, visit);
  (void)pthread_mutex_unlock(&t->lock);
}

enum timeline_api timeline_api_of(int status, bool coalesced) {
  switch (status) {
  case 200:
    return TIMELINE_LIVE;
  case 202:
    return coalesced ? TIMELINE_COALESCED : TIMELINE_ACCEPTED;
  case 429:
    return TIMELINE_OFTEN;
  case 503:
    return TIMELINE_FULL;
  default:
    return TIMELINE_OTHER;
  }
}

void timeline_add_api(timeline *t, int64_t at_ms, enum timeline_api answer) {
  timeline_slice *s;

  if (t == NULL)
    return;
  (void)pthread_mutex_lock(&t->lock);
  t->data->total.apis[answer]++;
  s = timeline_at(t, &at_ms);
  if (s != NULL)
    s->counts.apis[answer]++;
  (void)pthread_mutex_unlock(&t->lock);
}
