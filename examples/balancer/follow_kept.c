/* Documents that are served otherwise than the mirror has them: few, unless the
   database has lost many at once. A table by id; see follow_state.h. */
#include "balancer/follow_state.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_LEAST = 64 };

static size_t place_of(const kept_set *s, const char *id) {
  return (size_t)id_hash(id, strlen(id)) & (s->bucket_count - 1);
}

/* ---- the sum ---- */

static bool counts(const kept *k) { return value_route(k->value) != NULL; }

void digest_take(changefeed_digest *from, const char *id, const char *rev) {
  changefeed_digest one = {{0}};
  int borrow = 0;

  (void)changefeed_digest_add(&one, id, strlen(id), rev, strlen(rev));
  for (size_t i = sizeof one.bytes; i-- > 0;) {
    int left = from->bytes[i] - one.bytes[i] - borrow;

    borrow = left < 0;
    from->bytes[i] = (unsigned char)(left & 0xff);
  }
}

static void count_in(kept_set *s, const kept *k) {
  if (!counts(k))
    return;
  s->routes++;
  (void)changefeed_digest_add(&s->sum, k->id, strlen(k->id),
                              value_rev(k->value), strlen(value_rev(k->value)));
}

static void count_out(kept_set *s, const kept *k) {
  if (!counts(k))
    return;
  s->routes--;
  digest_take(&s->sum, k->id, value_rev(k->value));
}

/* ---- the table ---- */

/* Without memory the chains are longer. */
static bool make_place(kept_set *s) {
  size_t cap = s->bucket_count != 0 ? s->bucket_count * 2 : BUCKETS_LEAST;
  kept **old = s->buckets, **grown;
  size_t old_count = s->bucket_count;

  if (s->count < s->bucket_count)
    return true;
  grown = calloc(cap, sizeof(kept *));
  if (grown == NULL)
    return s->bucket_count != 0;
  s->buckets = grown;
  s->bucket_count = cap;
  for (size_t i = 0; i < old_count; i++)
    while (old[i] != NULL) {
      kept *k = old[i];
      kept **place = &grown[place_of(s, k->id)];

      old[i] = k->next;
      k->next = *place;
      *place = k;
    }
  free(old);
  return true;
}

kept *kept_find(const kept_set *s, const char *id) {
  kept *k = s->count != 0 ? s->buckets[place_of(s, id)] : NULL;

  while (k != NULL && strcmp(k->id, id) != 0)
    k = k->next;
  return k;
}

kept *kept_add(kept_set *s, const char *id, enum kept_why why, value *v,
               int64_t since_ms) {
  size_t len = strlen(id) + 1;
  kept *k = malloc(sizeof *k + len);
  kept **place;

  if (k == NULL || !make_place(s)) {
    free(k);
    return NULL;
  }
  memcpy(k->id, id, len);
  k->value = v;
  k->why = why;
  k->since_ms = since_ms;
  place = &s->buckets[place_of(s, id)];
  k->next = *place;
  *place = k;
  s->count++;
  s->by_why[why]++;
  count_in(s, k);
  return k;
}

void kept_change(kept_set *s, kept *k, enum kept_why why, int64_t since_ms) {
  if (k->why == why)
    return;
  s->by_why[k->why]--;
  s->by_why[why]++;
  k->why = why;
  k->since_ms = since_ms;
}

value *kept_swap(kept_set *s, kept *k, value *v) {
  value *before = k->value;

  count_out(s, k);
  k->value = v;
  count_in(s, k);
  return before;
}

value *kept_remove(kept_set *s, kept *k) {
  kept **place = &s->buckets[place_of(s, k->id)];
  value *v = k->value;

  count_out(s, k);
  s->by_why[k->why]--;
  s->count--;
  while (*place != k)
    place = &(*place)->next;
  *place = k->next;
  free(k);
  return v;
}

void kept_clear(kept_set *s, void (*drop)(void *ctx, value *v), void *ctx) {
  for (size_t i = 0; i < s->bucket_count; i++)
    while (s->buckets[i] != NULL) {
      kept *k = s->buckets[i];

      s->buckets[i] = k->next;
      drop(ctx, k->value);
      free(k);
    }
  free(s->buckets);
  memset(s, 0, sizeof *s);
}

/* ---- in order ---- */

static int by_id(const void *a, const void *b) {
  const kept *const *x = a, *const *y = b;

  return strcmp((*x)->id, (*y)->id);
}

bool kept_sorted(const kept_set *s, const char *from, const char *to,
                 kept ***out, size_t *count) {
  kept **all;

  *out = NULL;
  *count = 0;
  if (s->count == 0)
    return true;
  all = malloc(s->count * sizeof(kept *));
  if (all == NULL)
    return false;
  for (size_t i = 0; i < s->bucket_count; i++)
    for (kept *k = s->buckets[i]; k != NULL; k = k->next)
      if ((from == NULL || strcmp(k->id, from) >= 0) &&
          (to == NULL || strcmp(k->id, to) < 0))
        all[(*count)++] = k;
  qsort(all, *count, sizeof(kept *), by_id);
  *out = all;
  return true;
}
