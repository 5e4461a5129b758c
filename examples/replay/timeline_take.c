/* A copy of the timeline, whole and of one moment; see timeline.h. */
#include "replay/timeline_int.h"

#include <stdlib.h>

/* Where nobody looked is what was seen last. */
static void carry_seen(timeline_seen *to, const timeline_seen *from) {
  if (!to->known)
    *to = *from;
}

static void carry_on(timeline_data *d) {
  for (size_t i = 1; i < d->slice_count; i++) {
    const timeline_slice *before = &d->slices[i - 1];
    timeline_slice *s = &d->slices[i];

    if (!s->drones_known) {
      s->drones_known = before->drones_known;
      s->bound = before->bound;
      s->free = before->free;
      s->queue = before->queue;
    }
    for (unsigned b = 0; b < d->balancers; b++)
      carry_seen(&s->balancers[b], &before->balancers[b]);
    carry_seen(&s->database, &before->database);
  }
}

/* A run that was not ended lasts as long as something is known of it. */
static void find_end(timeline_data *d, int64_t last_ms) {
  int64_t most_ms = (int64_t)d->slice_most * d->slice_ms;
  size_t used = last_ms < 0 ? 0 : (size_t)(last_ms / d->slice_ms) + 1;

  if (d->end_ms < last_ms)
    d->end_ms = last_ms;
  if (d->end_ms > most_ms)
    d->end_ms = most_ms;
  d->slice_count = (size_t)((d->end_ms + d->slice_ms - 1) / d->slice_ms);
  if (d->slice_count < used)
    d->slice_count = used;
}

timeline_data *timeline_take(timeline *t) {
  size_t size;
  timeline_data *copy;

  if (t == NULL)
    return NULL;
  size = sizeof *copy + t->data->slice_most * sizeof *copy->slices;
  copy = malloc(size);
  if (copy == NULL)
    return NULL;
  (void)pthread_mutex_lock(&t->lock);
  (void)memcpy(copy, t->data, size);
  find_end(copy, t->last_ms);
  (void)pthread_mutex_unlock(&t->lock);
  carry_on(copy);
  return copy;
}
