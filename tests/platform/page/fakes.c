/* A follow, an engine and peers that are what they are told to be. */
#include "platform/page/world.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void set_text(const json_t *in, const char *key, char *out,
                     size_t size) {
  const char *value = json_string_value(json_object_get(in, key));

  if (value != NULL)
    (void)snprintf(out, size, "%s", value);
}

static void set_flag(const json_t *in, const char *key, bool *out) {
  const json_t *value = json_object_get(in, key);

  if (json_is_boolean(value))
    *out = json_is_true(value);
}

static void set_number(const json_t *in, const char *key, int64_t *out) {
  const json_t *value = json_object_get(in, key);

  if (json_is_integer(value))
    *out = json_integer_value(value);
}

static void set_count(const json_t *in, const char *key, uint64_t *out) {
  int64_t value = (int64_t)*out;

  set_number(in, key, &value);
  *out = (uint64_t)value;
}

/* ---- follow ---- */

void fake_follow_open(follow *f, table *t) {
  memset(f, 0, sizeof *f);
  f->table = t;
  f->audit = true;
  (void)strcpy(f->feed, "live");
  f->status.source = FOLLOW_DATABASE;
  f->status.synced = true;
  f->status.snapshot_age_ms = f->status.lag_p99_ms = -1;
}

void fake_follow_close(follow *f) {
  for (size_t i = 0; i < f->count; i++)
    free(f->all[i].route);
  free(f->all);
}

static size_t place(const follow *f, const char *app) {
  size_t low = 0, high = f->count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;

    if (strcmp(f->all[middle].app, app) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool is_at(const follow *f, size_t i, const char *app) {
  return i < f->count && strcmp(f->all[i].app, app) == 0;
}

static bool make_room(follow *f) {
  held *all;

  if (f->count < f->room)
    return true;
  f->room = f->room != 0 ? 2 * f->room : 64;
  all = realloc(f->all, f->room * sizeof *all);
  if (all == NULL)
    abort();
  f->all = all;
  return true;
}

bool fake_put(follow *f, const json_t *doc, char *why, size_t size) {
  static route_doc read;
  route *r, *old = NULL;
  size_t i;

  if (!route_doc_read(doc, &read, why, size))
    return false;
  r = route_make(&read);
  i = place(f, read.app);
  if (is_at(f, i, read.app))
    old = f->all[i].route;
  if (r == NULL || !routes_put(table_current(f->table), r, old))
    abort();
  if (old != NULL) {
    table_retire(f->table, old, free);
  } else if (make_room(f)) {
    memmove(&f->all[i + 1], &f->all[i], (f->count - i) * sizeof *f->all);
    f->count++;
  }
  memcpy(f->all[i].app, read.app, sizeof read.app);
  memcpy(f->all[i].rev, read.rev, sizeof read.rev);
  f->all[i].route = r;
  return true;
}

bool fake_drop(follow *f, const char *app) {
  size_t i = place(f, app);

  if (!is_at(f, i, app))
    return false;
  routes_drop(table_current(f->table), f->all[i].route);
  table_retire(f->table, f->all[i].route, free);
  memmove(&f->all[i], &f->all[i + 1], (--f->count - i) * sizeof *f->all);
  return true;
}

void fake_status_set(follow *f, const json_t *m) {
  follow_status *s = &f->status;
  int64_t source = s->source;

  set_number(m, "source", &source);
  s->source = (enum follow_source)source;
  set_flag(m, "synced", &s->synced);
  set_flag(m, "stale", &s->stale);
  set_number(m, "fresh_ms", &s->fresh_ms);
  set_number(m, "snapshot_age_ms", &s->snapshot_age_ms);
  set_number(m, "lag_p99_ms", &s->lag_p99_ms);
  set_count(m, "unproven", &s->unproven);
  set_count(m, "unreadable", &s->unreadable);
  set_count(m, "older", &s->older);
  set_count(m, "repairs", &s->repairs);
  set_count(m, "changes", &s->changes);
  set_text(m, "feed", f->feed, sizeof f->feed);
  set_text(m, "trouble", f->trouble, sizeof f->trouble);
}

void follow_get_status(follow *f, follow_status *out) {
  *out = f->status;
  out->hosts = routes_host_count(table_current(f->table));
  out->shadowed = routes_shadow_count(table_current(f->table));
  out->feed = f->feed;
  out->trouble = f->trouble;
  follow_digest(f, NULL, NULL, &out->digest, &out->routes);
}

static bool add_digest(void *ctx, const char *app, const char *rev,
                       const route *r) {
  char id[NAME_MOST + 8];

  (void)r;
  (void)snprintf(id, sizeof id, "route:%s", app);
  return changefeed_digest_add(ctx, id, strlen(id), rev, strlen(rev)) ==
         CHANGEFEED_OK;
}

void follow_digest(follow *f, const char *from, const char *to,
                   changefeed_digest *digest, uint64_t *count) {
  size_t low = from != NULL ? place(f, from) : 0;
  size_t high = to != NULL ? place(f, to) : f->count;

  memset(digest, 0, sizeof *digest);
  if (!follow_each(f, from, to, add_digest, digest))
    abort();
  *count = high > low ? high - low : 0;
}

bool follow_each(follow *f, const char *from, const char *to,
                 bool (*each)(void *ctx, const char *app, const char *rev,
                              const route *r),
                 void *ctx) {
  size_t i = from != NULL ? place(f, from) : 0;

  for (; i < f->count; i++)
    if ((to != NULL && strcmp(f->all[i].app, to) >= 0) ||
        !each(ctx, f->all[i].app, f->all[i].rev, f->all[i].route))
      break;
  return true;
}

bool follow_audit(follow *f) {
  f->audits += f->audit;
  return f->audit;
}

/* ---- the engine ---- */

static struct {
  engine base;
  bool applied;
  char trouble[256];
  uint64_t connections, requests, waiting;
} serving = {.applied = true};

static const char *address(const engine *e) {
  (void)e;
  return "127.0.0.1:80";
}

static bool is_applied(engine *e, const route *r) {
  (void)e;
  (void)r;
  return serving.applied;
}

static void get_status(engine *e, engine_status *out) {
  (void)e;
  out->name = "fake";
  out->trouble = serving.trouble;
  out->connections = serving.connections;
  out->requests = serving.requests;
  out->waiting = serving.waiting;
}

engine *fake_engine(void) {
  static const engine_ops ops = {
      .address = address, .is_applied = is_applied, .get_status = get_status};

  serving.base.ops = &ops;
  return &serving.base;
}

void fake_engine_set(const json_t *m) {
  set_flag(m, "applied", &serving.applied);
  set_text(m, "trouble", serving.trouble, sizeof serving.trouble);
  set_count(m, "connections", &serving.connections);
  set_count(m, "requests", &serving.requests);
  set_count(m, "waiting", &serving.waiting);
}

/* ---- peers ---- */

static void set_peer(peer_status *p, const json_t *m) {
  memset(p, 0, sizeof *p);
  p->fresh_ms = p->seen_ms = 0;
  p->answers = true;
  set_text(m, "id", p->id, sizeof p->id);
  set_text(m, "admin", p->admin, sizeof p->admin);
  set_flag(m, "answers", &p->answers);
  set_flag(m, "drifted", &p->drifted);
  set_number(m, "seen_ms", &p->seen_ms);
  set_text(m, "digest", p->digest, sizeof p->digest);
  set_count(m, "routes", &p->routes);
  set_number(m, "fresh_ms", &p->fresh_ms);
  set_flag(m, "stale", &p->stale);
  set_text(m, "version", p->version, sizeof p->version);
  set_text(m, "source", p->source, sizeof p->source);
  set_text(m, "trouble", p->trouble, sizeof p->trouble);
}

void fake_peers_set(peers *p, const json_t *list) {
  p->count = 0;
  for (size_t i = 0; i < json_array_size(list) && i < PEERS_MOST; i++)
    set_peer(&p->all[p->count++], json_array_get(list, i));
}

size_t peers_get(peers *p, peer_status *out, size_t most) {
  size_t count = p->count < most ? p->count : most;

  memcpy(out, p->all, count * sizeof *out);
  return count;
}

bool peers_drifted(peers *p) {
  for (size_t i = 0; i < p->count; i++)
    if (p->all[i].drifted)
      return true;
  return false;
}

bool peers_knows(peers *p, const char *url) {
  for (size_t i = 0; i < p->count; i++)
    if (strncmp(url, "http://", 7) == 0 &&
        strcmp(url + 7, p->all[i].admin) == 0)
      return true;
  return false;
}

static struct {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool hold;
  int64_t count;
  char error[256];
} differing = {.lock = PTHREAD_MUTEX_INITIALIZER,
               .wake = PTHREAD_COND_INITIALIZER};

void fake_diff_set(const json_t *m) {
  (void)pthread_mutex_lock(&differing.lock);
  set_flag(m, "hold", &differing.hold);
  set_number(m, "count", &differing.count);
  set_text(m, "error", differing.error, sizeof differing.error);
  (void)pthread_mutex_unlock(&differing.lock);
}

void fake_diff_release(void) {
  (void)pthread_mutex_lock(&differing.lock);
  differing.hold = false;
  (void)pthread_cond_broadcast(&differing.wake);
  (void)pthread_mutex_unlock(&differing.lock);
}

int peers_diff(const char *mine, const char *theirs, peer_difference *out,
               size_t most, bool *more, char *error, size_t size) {
  int count;

  (void)pthread_mutex_lock(&differing.lock);
  while (differing.hold)
    (void)pthread_cond_wait(&differing.wake, &differing.lock);
  count = (int)differing.count;
  (void)snprintf(error, size, "%s", differing.error);
  (void)pthread_mutex_unlock(&differing.lock);
  *more = count > (int)most;
  for (int i = 0; i < count && i < (int)most; i++) {
    memset(&out[i], 0, sizeof out[i]);
    (void)snprintf(out[i].app, sizeof out[i].app, "app-%d", i);
    (void)snprintf(out[i].mine, sizeof out[i].mine, "1-%.60s", mine);
    if (i % 2 == 0)
      (void)snprintf(out[i].theirs, sizeof out[i].theirs, "2-%.60s", theirs);
  }
  return count > (int)most ? (int)most : count;
}
