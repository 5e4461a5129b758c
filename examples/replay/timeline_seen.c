/* What is looked at from time to time, and what lasts: drones, balancers, the
   database; steps, faults, words. See timeline.h. */
#include "replay/timeline_int.h"

#include "common/escape.h"

void timeline_set_drones(timeline *t, int64_t at_ms, unsigned bound,
                         unsigned free, unsigned queue) {
  timeline_slice *s;

  if (t == NULL)
    return;
  (void)pthread_mutex_lock(&t->lock);
  s = timeline_at(t, &at_ms);
  if (s != NULL) {
    s->drones_known = true;
    s->bound = bound;
    s->free = free;
    s->queue = queue;
  }
  (void)pthread_mutex_unlock(&t->lock);
}

/* Who cannot be asked is worse than anybody who can. */
static bool is_worse(int64_t stale_ms, int64_t than_ms) {
  return than_ms >= 0 && (stale_ms < 0 || stale_ms > than_ms);
}

static void look(timeline_seen *seen, int64_t stale_ms, const char *digest) {
  stale_ms = stale_ms < 0 ? -1 : stale_ms;
  if (!seen->known || is_worse(stale_ms, seen->stale_ms))
    seen->stale_ms = stale_ms;
  seen->known = true;
  escape_copy(seen->digest, sizeof seen->digest, digest);
}

void timeline_set_balancer(timeline *t, int64_t at_ms, unsigned balancer,
                           int64_t stale_ms, const char *digest) {
  timeline_slice *s;

  if (t == NULL || balancer >= t->data->balancers)
    return;
  (void)pthread_mutex_lock(&t->lock);
  s = timeline_at(t, &at_ms);
  if (s != NULL)
    look(&s->balancers[balancer], stale_ms, digest);
  (void)pthread_mutex_unlock(&t->lock);
}

void timeline_set_database(timeline *t, int64_t at_ms, const char *digest) {
  timeline_slice *s;

  if (t == NULL)
    return;
  (void)pthread_mutex_lock(&t->lock);
  s = timeline_at(t, &at_ms);
  if (s != NULL)
    look(&s->database, 0, digest);
  (void)pthread_mutex_unlock(&t->lock);
}

/* ---- what lasts ---- */

int timeline_begin_band(timeline *t, int64_t at_ms, enum timeline_band kind,
                        int number, const char *name) {
  timeline_span *band;
  int index = -1;

  if (t == NULL)
    return -1;
  (void)pthread_mutex_lock(&t->lock);
  if (timeline_at(t, &at_ms) == NULL || t->data->band_count == TIMELINE_BANDS) {
    t->data->lost_bands++;
  } else {
    index = (int)t->data->band_count++;
    band = &t->data->bands[index];
    *band = (timeline_span){
        .kind = kind, .number = number, .begin_ms = at_ms, .end_ms = -1};
    escape_copy(band->name, sizeof band->name, name);
  }
  (void)pthread_mutex_unlock(&t->lock);
  return index;
}

void timeline_end_band(timeline *t, int band, int64_t at_ms) {
  timeline_span *span;

  if (t == NULL || band < 0)
    return;
  (void)pthread_mutex_lock(&t->lock);
  if ((size_t)band < t->data->band_count && t->data->bands[band].end_ms < 0) {
    (void)timeline_at(t, &at_ms);
    span = &t->data->bands[band];
    span->end_ms = at_ms < span->begin_ms ? span->begin_ms : at_ms;
  }
  (void)pthread_mutex_unlock(&t->lock);
}

void timeline_mark(timeline *t, int64_t at_ms, const char *word) {
  timeline_word *mark;

  if (t == NULL)
    return;
  (void)pthread_mutex_lock(&t->lock);
  if (timeline_at(t, &at_ms) == NULL || t->data->mark_count == TIMELINE_MARKS) {
    t->data->lost_marks++;
  } else {
    mark = &t->data->marks[t->data->mark_count++];
    mark->at_ms = at_ms;
    escape_copy(mark->word, sizeof mark->word, word);
  }
  (void)pthread_mutex_unlock(&t->lock);
}

void timeline_end(timeline *t, int64_t at_ms) {
  if (t == NULL)
    return;
  (void)pthread_mutex_lock(&t->lock);
  t->data->end_ms = at_ms > 0 ? at_ms : 0;
  (void)pthread_mutex_unlock(&t->lock);
}
