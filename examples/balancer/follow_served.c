/* Reading what is served: the mirror's version of this moment, with what is
   served otherwise in its place; or the snapshot. See follow_state.h. */
#include "balancer/follow_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *follow_app(const char *id) {
  size_t len = strlen(ROUTE_PREFIX);

  return strncmp(id, ROUTE_PREFIX, len) == 0 ? id + len : NULL;
}

value *holding_find(const holding *h, const char *id) {
  const kept *k = kept_find(&h->kept, id);
  changefeed_entry entry;

  if (k != NULL)
    return k->value;
  if (h->mirror == NULL ||
      changefeed_mirror_get(h->mirror, id, strlen(id), &entry) != CHANGEFEED_OK)
    return NULL;
  return entry.value;
}

/* ---- of a mirror, and of what is kept ---- */

typedef struct walk {
  kept **kept;
  size_t next, count;
  served_each each;
  void *ctx;
  bool stopped;
} walk;

static void tell(walk *w, const char *id, value *v) {
  served s = {id, NULL, NULL, v};

  if (v == NULL || w->stopped)
    return;
  s.rev = value_rev(v);
  s.route = value_route(v);
  w->stopped = !w->each(w->ctx, &s);
}

static int step(void *ctx, const changefeed_entry *entry) {
  walk *w = ctx;
  int order = 1;

  while (!w->stopped && w->next < w->count &&
         (order = strcmp(w->kept[w->next]->id, entry->id.data)) <= 0) {
    tell(w, w->kept[w->next]->id, w->kept[w->next]->value);
    w->next++;
    if (order == 0)
      return w->stopped;
  }
  tell(w, entry->id.data, entry->value);
  return w->stopped;
}

static bool mirror_each(const holding *h, const char *from, const char *to,
                        served_each each, void *ctx) {
  walk w = {NULL, 0, 0, each, ctx, false};
  const changefeed_view *view;

  if (!kept_sorted(&h->kept, from, to, &w.kept, &w.count))
    return false;
  if (h->mirror != NULL) {
    view = changefeed_mirror_view(h->mirror);
    (void)changefeed_view_each(view, from, to, step, &w);
    changefeed_view_release(view);
  }
  for (; !w.stopped && w.next < w.count; w.next++)
    tell(&w, w.kept[w.next]->id, w.kept[w.next]->value);
  free(w.kept);
  return true;
}

/* ---- of a snapshot ---- */

static void id_of(const route *r, char id[ID_MOST]) {
  char app[NAME_MOST + 1];

  route_app(r, app);
  (void)snprintf(id, ID_MOST, "%s%s", ROUTE_PREFIX, app);
}

/* The first that is not before from. */
static size_t first_of(const snapshot *s, const char *from) {
  size_t low = 0, high = snapshot_count(s);
  snapshot_entry entry;
  char id[ID_MOST];

  while (from != NULL && low < high) {
    size_t middle = low + (high - low) / 2;

    snapshot_at(s, middle, &entry);
    id_of(entry.route, id);
    if (strcmp(id, from) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void snapshot_each(const snapshot *s, const char *from, const char *to,
                          served_each each, void *ctx) {
  snapshot_entry entry;
  char id[ID_MOST];

  for (size_t i = first_of(s, from); i < snapshot_count(s); i++) {
    served one = {id, NULL, NULL, NULL};

    snapshot_at(s, i, &entry);
    id_of(entry.route, id);
    one.rev = entry.rev;
    one.route = entry.route;
    if ((to != NULL && strcmp(id, to) >= 0) || !each(ctx, &one))
      return;
  }
}

bool holding_each(const holding *h, const char *from, const char *to,
                  served_each each, void *ctx) {
  if (h->snapshot == NULL)
    return mirror_each(h, from, to, each, ctx);
  snapshot_each(h->snapshot, from, to, each, ctx);
  return true;
}

/* ---- digests ---- */

static void add_digest(changefeed_digest *to, const changefeed_digest *d) {
  int carry = 0;

  for (size_t i = sizeof d->bytes; i-- > 0;) {
    int sum = to->bytes[i] + d->bytes[i] + carry;

    carry = sum >> 8;
    to->bytes[i] = (unsigned char)(sum & 0xff);
  }
}

typedef struct correction {
  const changefeed_view *view;
  changefeed_digest *digest;
  uint64_t *count;
} correction;

/* What the mirror has in the place of what is kept is not served. */
static void take_mirrors(const correction *c, const kept *k) {
  changefeed_entry entry;

  if (k->why == KEPT_UNPROVEN ||
      changefeed_view_get(c->view, k->id, strlen(k->id), &entry) !=
          CHANGEFEED_OK)
    return;
  digest_take(c->digest, k->id, entry.rev.data);
  (*c->count)--;
}

static bool in_range(const char *id, const char *from, const char *to) {
  return (from == NULL || strcmp(id, from) >= 0) &&
         (to == NULL || strcmp(id, to) < 0);
}

static void correct(const holding *h, const char *from, const char *to,
                    bool whole, const correction *c) {
  if (whole) {
    add_digest(c->digest, &h->kept.sum);
    *c->count += h->kept.routes;
    if (h->kept.count == h->kept.by_why[KEPT_UNPROVEN])
      return;
  }
  for (size_t i = 0; i < h->kept.bucket_count; i++)
    for (const kept *k = h->kept.buckets[i]; k != NULL; k = k->next)
      if (in_range(k->id, from, to)) {
        if (c->view != NULL)
          take_mirrors(c, k);
        if (!whole && value_route(k->value) != NULL) {
          (void)changefeed_digest_add(c->digest, k->id, strlen(k->id),
                                      value_rev(k->value),
                                      strlen(value_rev(k->value)));
          (*c->count)++;
        }
      }
}

void holding_digest(const holding *h, const char *from, const char *to,
                    changefeed_digest *digest, uint64_t *count) {
  correction c = {NULL, digest, count};
  bool whole = from == NULL && to == NULL;

  if (from == NULL)
    from = ROUTE_PREFIX;
  if (to == NULL)
    to = ROUTE_BEHIND;
  memset(digest, 0, sizeof *digest);
  *count = 0;
  if (h->snapshot != NULL) {
    snapshot_digest(h->snapshot, from, to, digest, count);
    return;
  }
  if (h->mirror != NULL) {
    c.view = changefeed_mirror_view(h->mirror);
    (void)changefeed_view_digest(c.view, from, to, digest, count);
  }
  if (h->kept.count != 0)
    correct(h, from, to, whole, &c);
  if (c.view != NULL)
    changefeed_view_release(c.view);
}

/* ---- for others ---- */

static const char *id_or_null(const char *app, char id[ID_MOST]) {
  if (app == NULL)
    return NULL;
  (void)snprintf(id, ID_MOST, "%s%.*s", ROUTE_PREFIX, NAME_MOST + 1, app);
  return id;
}

void follow_digest(follow *f, const char *from, const char *to,
                   changefeed_digest *digest, uint64_t *count) {
  char first[ID_MOST], behind[ID_MOST];

  holding_digest(f->held, id_or_null(from, first), id_or_null(to, behind),
                 digest, count);
}

typedef struct teller {
  bool (*each)(void *ctx, const char *app, const char *rev, const route *r);
  void *ctx;
} teller;

static bool tell_route(void *ctx, const served *s) {
  const teller *t = ctx;

  return s->route == NULL ||
         t->each(t->ctx, follow_app(s->id), s->rev, s->route);
}

bool follow_each(follow *f, const char *from, const char *to,
                 bool (*each)(void *ctx, const char *app, const char *rev,
                              const route *r),
                 void *ctx) {
  char first[ID_MOST], behind[ID_MOST];
  teller t = {each, ctx};

  from = id_or_null(from, first);
  to = id_or_null(to, behind);
  return holding_each(f->held, from != NULL ? from : ROUTE_PREFIX,
                      to != NULL ? to : ROUTE_BEHIND, tell_route, &t);
}

/* ---- balancers ---- */

typedef struct gathering {
  balancer_doc *out;
  size_t count, most;
  int64_t now_ms; /* -1: nobody is taken for gone */
} gathering;

static bool gather(void *ctx, const served *s) {
  const balancer_seen *b = value_balancer(s->value);
  gathering *g = ctx;

  if (b != NULL &&
      (g->now_ms < 0 || g->now_ms - b->came_ms < BALANCER_GONE_MS) &&
      g->count < g->most)
    g->out[g->count++] = b->doc;
  return g->count < g->most;
}

/* While nothing comes, the list stays as it was. */
size_t follow_balancers(follow *f, balancer_doc *out, size_t most) {
  gathering g = {out, 0, most, f->fresh_at_ms};

  if (f->held->snapshot == NULL && most > 0)
    (void)holding_each(f->held, BALANCER_PREFIX, "balancer;", gather, &g);
  return g.count;
}
