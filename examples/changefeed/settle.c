/*
 * Looking at what differs until it stands still.
 */
#include "settle.h"

#include <stdlib.h>
#include <string.h>

/* ---- pairs ---- */

void pair_take(pair *p, replica *replicas) {
  for (int i = 0; i < 2; i++)
    p->views[i] = replica_view(&replicas[i]);
}

void pair_drop(pair *p) {
  for (int i = 0; i < 2; i++)
    changefeed_view_release(p->views[i]);
  memset(p, 0, sizeof *p);
}

bool pair_agrees(const pair *p, const id_range *range,
                 changefeed_digest digests[2], uint64_t counts[2]) {
  for (int i = 0; i < 2; i++)
    if (changefeed_view_digest(p->views[i], range->from, range->to, &digests[i],
                               &counts[i]) != CHANGEFEED_OK)
      return false;
  return counts[0] == counts[1] && memcmp(digests[0].bytes, digests[1].bytes,
                                          sizeof digests[0].bytes) == 0;
}

/* ---- one document ---- */

static int order_of(changefeed_str id, const char *bound) {
  size_t len = strlen(bound), least = id.len < len ? id.len : len;
  int order = least != 0 ? memcmp(id.data, bound, least) : 0;

  return order != 0 || id.len == len ? order : id.len < len ? -1 : 1;
}

static bool is_in(const id_range *range, changefeed_str id) {
  return (range->from == NULL || order_of(id, range->from) >= 0) &&
         (range->to == NULL || order_of(id, range->to) < 0);
}

static bool same_rev(const changefeed_entry *a, const changefeed_entry *b) {
  if (a == NULL || b == NULL)
    return a == b;
  return a->rev.len == b->rev.len &&
         memcmp(a->rev.data, b->rev.data, a->rev.len) == 0;
}

/* Both sides of a document as a pair of versions has them. */
typedef struct state {
  changefeed_entry room[2];
  const changefeed_entry *entry[2];
} state;

static void find(const pair *p, changefeed_str id, state *out) {
  for (int i = 0; i < 2; i++)
    out->entry[i] = changefeed_view_get(p->views[i], id.data, id.len,
                                        &out->room[i]) == CHANGEFEED_OK
                        ? &out->room[i]
                        : NULL;
}

static doubt judge(const settle *s, const changefeed_entry *a,
                   const changefeed_entry *b) {
  changefeed_str id = a != NULL ? a->id : b->id;
  state then;

  if (s->fixed)
    return DOUBT_NONE;
  if (s->last.views[0] == NULL)
    return DOUBT_MOVING;
  find(&s->last, id, &then);
  if (same_rev(then.entry[0], a) && same_rev(then.entry[1], b))
    return DOUBT_NONE;
  if (same_rev(then.entry[0], then.entry[1]))
    return DOUBT_YOUNG;
  find(&s->first, id, &then);
  return same_rev(then.entry[0], then.entry[1]) ? DOUBT_YOUNG : DOUBT_MOVING;
}

/* ---- looking ---- */

static int count(void *ctx, const changefeed_entry *a,
                 const changefeed_entry *b) {
  settle *s = ctx;

  if (!is_in(&s->range, a != NULL ? a->id : b->id))
    return 0;
  switch (judge(s, a, b)) {
  case DOUBT_MOVING:
    s->moving++;
    break;
  case DOUBT_YOUNG:
    s->young++;
    break;
  case DOUBT_NONE:
    if (a != NULL && b != NULL)
      s->revisions++;
    else
      s->only[a != NULL ? 0 : 1]++;
    break;
  }
  return 0;
}

void settle_look(settle *s, replica *replicas) {
  if (s->now.views[0] != NULL) {
    bool is_first = s->first.views[0] == NULL;

    if (is_first)
      s->first = s->now;
    else if (!s->last_is_first)
      pair_drop(&s->last);
    s->last = s->now;
    s->last_is_first = is_first;
  }
  pair_take(&s->now, replicas);
  s->only[0] = s->only[1] = s->revisions = s->moving = s->young = 0;
  (void)changefeed_view_compare(s->now.views[0], s->now.views[1], count, s);
}

bool settle_is_over(const settle *s) { return s->moving == 0; }

typedef struct showing {
  settle *settle;
  int (*each)(void *ctx, const changefeed_entry *a, const changefeed_entry *b);
  void *ctx;
} showing;

static int show(void *ctx, const changefeed_entry *a,
                const changefeed_entry *b) {
  showing *w = ctx;

  if (!is_in(&w->settle->range, a != NULL ? a->id : b->id) ||
      judge(w->settle, a, b) != DOUBT_NONE)
    return 0;
  return w->each(w->ctx, a, b);
}

void settle_each(settle *s,
                 int (*each)(void *ctx, const changefeed_entry *a,
                             const changefeed_entry *b),
                 void *ctx) {
  showing w = {s, each, ctx};

  if (s->now.views[0] != NULL)
    (void)changefeed_view_compare(s->now.views[0], s->now.views[1], show, &w);
}

void settle_free(settle *s) {
  if (!s->last_is_first)
    pair_drop(&s->last);
  pair_drop(&s->first);
  pair_drop(&s->now);
  free(s->range.from);
  free(s->range.to);
  memset(s, 0, sizeof *s);
}
