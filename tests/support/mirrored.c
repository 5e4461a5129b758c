/* Recording what a mirror tells, and holding it against couchsim: see
   mirrored.h. */
#include "mirrored.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "follow.h"
#include "mem.h"
#include "timing.h"

/* ---- callbacks ---- */

static char *copy(changefeed_str s) {
  return s.data != NULL ? cft_memdup(s.data, s.len) : NULL;
}

static cft_seen_told *record(cft_mirrored *f, enum cft_told kind) {
  cft_seen_told *seen;

  f->late += f->count[CFT_TOLD_OVER];
  f->count[kind]++;
  if (f->quiet)
    return NULL;
  f->told = cft_room(f->told, f->told_count, &f->told_cap, sizeof *f->told);
  seen = &f->told[f->told_count++];
  *seen = (cft_seen_told){.kind = kind};
  return seen;
}

static int hook(cft_mirrored *f, enum cft_told kind,
                const changefeed_entry *entry) {
  return f->on_told != NULL ? f->on_told(f, kind, entry) : CHANGEFEED_CONTINUE;
}

static void record_entry(cft_mirrored *f, enum cft_told kind,
                         const changefeed_entry *entry) {
  cft_seen_told *seen = record(f, kind);

  ck_assert_uint_eq(strlen(entry->id.data), entry->id.len);
  ck_assert_uint_eq(strlen(entry->rev.data), entry->rev.len);
  if (seen == NULL)
    return;
  seen->id = copy(entry->id);
  seen->rev = copy(entry->rev);
  seen->doc = copy(entry->doc);
  seen->value = entry->value;
}

static bool is_there(const cft_mirrored *f, const char *id) {
  bool deleted = true;

  return cft_revs_get(f->there, id, &deleted) != NULL && !deleted;
}

static void *make(cft_mirrored *f, const changefeed_entry *entry) {
  cft_made *v = cft_calloc(1, sizeof *v);

  *v = (cft_made){
      .id = copy(entry->id), .rev = copy(entry->rev), .doc = copy(entry->doc)};
  f->made = cft_room(f->made, f->made_count, &f->made_cap, sizeof *f->made);
  f->made[f->made_count++] = v;
  return v;
}

static int on_put(changefeed_mirror *mirror, const changefeed_entry *entry,
                  void **value, void *user) {
  cft_mirrored *f = user;
  int verdict;

  (void)mirror;
  ck_assert(entry->value == *value);
  if (entry->value != NULL)
    ck_assert_uint_eq(((cft_made *)entry->value)->freed, 0);
  record_entry(f, CFT_TOLD_PUT, entry);
  if (!f->quiet)
    cft_revs_put(f->there, entry->id.data, entry->rev.data, false);
  verdict = hook(f, CFT_TOLD_PUT, entry);
  if (f->config.keep == CHANGEFEED_KEEP_VALUES &&
      !(f->keep_values && *value != NULL))
    *value = make(f, entry);
  return verdict;
}

static void on_gone(changefeed_mirror *mirror, const changefeed_entry *entry,
                    void *user) {
  cft_mirrored *f = user;

  (void)mirror;
  if (!f->quiet)
    ck_assert_msg(is_there(f, entry->id.data), "%s is gone, and was not there",
                  entry->id.data);
  if (entry->value != NULL)
    ck_assert_uint_eq(((cft_made *)entry->value)->freed, 0);
  record_entry(f, CFT_TOLD_GONE, entry);
  if (!f->quiet)
    cft_revs_put(f->there, entry->id.data, "", true);
  (void)hook(f, CFT_TOLD_GONE, entry);
}

static void free_value(void *value, void *user) {
  cft_made *v = value;

  (void)user;
  ck_assert_msg(v->freed++ == 0, "the value of %s was freed twice", v->id);
}

static void on_synced(changefeed_mirror *mirror, void *user) {
  cft_mirrored *f = user;

  ck_assert_int_eq(changefeed_mirror_is_synced(mirror), 1);
  (void)record(f, CFT_TOLD_SYNCED);
  (void)hook(f, CFT_TOLD_SYNCED, NULL);
}

static void on_stale(changefeed_mirror *mirror, int64_t ms, void *user) {
  cft_mirrored *f = user;

  (void)mirror;
  ck_assert_int_gt(ms, f->config.stale_ms);
  (void)record(f, CFT_TOLD_STALE);
  (void)hook(f, CFT_TOLD_STALE, NULL);
}

static void on_fresh(changefeed_mirror *mirror, void *user) {
  cft_mirrored *f = user;

  (void)mirror;
  ck_assert_uint_eq(f->count[CFT_TOLD_FRESH] + 1, f->count[CFT_TOLD_STALE]);
  (void)record(f, CFT_TOLD_FRESH);
  (void)hook(f, CFT_TOLD_FRESH, NULL);
}

static void on_difference(changefeed_mirror *mirror,
                          const changefeed_difference *d, void *user) {
  cft_mirrored *f = user;
  cft_seen_told *seen = record(f, CFT_TOLD_DIFFERENCE);

  (void)mirror;
  if (seen != NULL) {
    seen->id = copy(d->id);
    seen->rev = copy(d->held);
    seen->served = copy(d->served);
  }
  (void)hook(f, CFT_TOLD_DIFFERENCE, NULL);
}

static void on_audit(changefeed_mirror *mirror, const changefeed_audit *audit,
                     void *user) {
  cft_mirrored *f = user;

  (void)mirror;
  f->audit = *audit;
  (void)record(f, CFT_TOLD_AUDIT);
  (void)hook(f, CFT_TOLD_AUDIT, NULL);
}

static void on_over(changefeed_mirror *mirror, const changefeed_error *error,
                    void *user) {
  cft_mirrored *f = user;

  ck_assert_int_eq(changefeed_mirror_is_synced(mirror), 0);
  ck_assert(changefeed_mirror_get_feed(mirror) == NULL);
  f->over_code = error != NULL ? error->code : CHANGEFEED_OK;
  (void)snprintf(f->over, sizeof f->over, "%s",
                 error != NULL ? error->message : "");
  (void)record(f, CFT_TOLD_OVER);
  (void)hook(f, CFT_TOLD_OVER, NULL);
}

/* ---- opening and closing ---- */

static void set(changefeed_options *o, const char *name, const char *value) {
  int rc = changefeed_options_set(o, name, value);

  ck_assert_msg(rc == CHANGEFEED_OK, "%s=%s: %s", name, value,
                changefeed_options_error(o));
}

static changefeed_options *make_options(const char *url, va_list pairs) {
  changefeed_options *o;
  const char *name;

  ck_assert_int_eq(changefeed_options_new(&o), CHANGEFEED_OK);
  set(o, "url", url);
  set(o, "proxy", "-");
  set(o, "retry_min_ms", "10");
  set(o, "retry_max_ms", "100");
  while ((name = va_arg(pairs, const char *)) != NULL)
    set(o, name, va_arg(pairs, const char *));
  return o;
}

static void set_callbacks(cft_mirrored *f) {
  changefeed_mirror_callbacks *c = &f->config.callbacks;

  f->config.size = sizeof f->config;
  c->size = sizeof *c;
  c->on_put = on_put;
  c->on_gone = on_gone;
  c->free_value = free_value;
  c->on_synced = on_synced;
  c->on_stale = on_stale;
  c->on_fresh = on_fresh;
  c->on_difference = on_difference;
  c->on_audit = on_audit;
  c->on_over = on_over;
  c->user = f;
  f->config.feed_callbacks = f->feed_callbacks;
}

static int open_with(cft_mirrored *f, changefeed_loop *loop, char *why,
                     size_t size, changefeed_options *o) {
  int rc;

  set_callbacks(f);
  if (f->there == NULL)
    f->there = cft_revs_new();
  f->loop = loop;
  f->own_loop = loop == NULL;
  if (loop == NULL)
    ck_assert_int_eq(changefeed_loop_new(&f->loop, f->allocator),
                     CHANGEFEED_OK);
  rc = changefeed_mirror_open(&f->mirror, f->loop, o, &f->config);
  (void)snprintf(why, size, "%s", changefeed_options_error(o));
  changefeed_options_free(o);
  if (rc != CHANGEFEED_OK) {
    if (f->own_loop)
      changefeed_loop_free(f->loop);
    f->loop = NULL;
    f->mirror = NULL;
  }
  return rc;
}

int cft_mirrored_try(cft_mirrored *f, changefeed_loop *loop, char *why,
                     size_t size, const char *url, ...) {
  changefeed_options *o;
  va_list pairs;

  va_start(pairs, url);
  o = make_options(url, pairs);
  va_end(pairs);
  return open_with(f, loop, why, size, o);
}

void cft_mirrored_open(cft_mirrored *f, changefeed_loop *loop, const char *url,
                       ...) {
  changefeed_options *o;
  char why[512];
  va_list pairs;
  int rc;

  va_start(pairs, url);
  o = make_options(url, pairs);
  va_end(pairs);
  rc = open_with(f, loop, why, sizeof why, o);
  ck_assert_msg(rc == CHANGEFEED_OK, "open: %s: %s", changefeed_strerror(rc),
                why);
}

void cft_mirrored_close(cft_mirrored *f) {
  changefeed_mirror_close(f->mirror);
  f->mirror = NULL;
}

static void forget_told(cft_mirrored *f) {
  for (size_t i = 0; i < f->told_count; i++) {
    free(f->told[i].id);
    free(f->told[i].rev);
    free(f->told[i].served);
    free(f->told[i].doc);
  }
  free(f->told);
}

void cft_mirrored_clear(cft_mirrored *f) {
  cft_mirrored_close(f);
  if (f->own_loop)
    changefeed_loop_free(f->loop);
  for (size_t i = 0; i < f->made_count; i++) {
    cft_made *v = f->made[i];

    ck_assert_msg(v->freed == 1, "the value of %s %s was freed %u times", v->id,
                  v->rev, v->freed);
    free(v->id);
    free(v->rev);
    free(v->doc);
    free(v);
  }
  free(f->made);
  forget_told(f);
  cft_revs_free(f->there);
  memset(f, 0, sizeof *f);
}

/* ---- waiting ---- */

typedef struct goal {
  const cft_mirrored *f;
  enum cft_told kind;
  uint64_t count;
} goal;

static bool was_told(void *user) {
  const goal *g = user;

  return g->f->count[g->kind] >= g->count;
}

bool cft_mirrored_until(cft_mirrored *f, enum cft_told kind, uint64_t count,
                        int64_t timeout_ms) {
  return cft_loop_until(f->loop, was_told, &(goal){f, kind, count}, timeout_ms);
}

bool cft_mirrored_until_synced(cft_mirrored *f, int64_t timeout_ms) {
  uint64_t next = f->count[CFT_TOLD_SYNCED] + 1;

  return cft_mirrored_until(f, CFT_TOLD_SYNCED, next, timeout_ms);
}

/* ---- looking ---- */

changefeed_mirror_stats cft_mirrored_stats(cft_mirrored *f) {
  changefeed_mirror_stats s = CHANGEFEED_MIRROR_STATS_INIT;

  ck_assert_int_eq(changefeed_mirror_get_stats(f->mirror, &s), CHANGEFEED_OK);
  return s;
}

uint64_t cft_mirrored_documents(cft_mirrored *f) {
  return cft_mirrored_stats(f).documents;
}

const char *cft_mirrored_rev(cft_mirrored *f, const char *id) {
  static char rev[128];
  changefeed_entry entry;
  int rc = changefeed_mirror_get(f->mirror, id, strlen(id), &entry);

  (void)snprintf(rev, sizeof rev, "%s",
                 rc == CHANGEFEED_OK ? entry.rev.data : "");
  return rev;
}

/* ---- against the database ---- */

typedef struct contents {
  cft_revs *revs;
  changefeed_digest digest;
  size_t count;
} contents;

static bool in_range(const char *id, const char *from, const char *to) {
  return (from == NULL || strcmp(id, from) >= 0) &&
         (to == NULL || strcmp(id, to) < 0);
}

static void add(contents *c, const char *id, const char *rev) {
  cft_revs_put(c->revs, id, rev, false);
  c->count++;
  ck_assert_int_eq(
      changefeed_digest_add(&c->digest, id, strlen(id), rev, strlen(rev)),
      CHANGEFEED_OK);
}

/* False: the node does not answer with a list now. */
static bool list(contents *c, cft_couchsim *sim, unsigned node, const char *db,
                 const char *from, const char *to) {
  char path[128];
  json_t *v = NULL, *row;
  size_t i;

  (void)snprintf(path, sizeof path, "/%s/_all_docs", db);
  if (cft_couchsim_do(sim, node, "GET", path, NULL, &v) != 200) {
    json_decref(v);
    return false;
  }
  json_array_foreach(json_object_get(v, "rows"), i, row) {
    const char *id = json_string_value(json_object_get(row, "id"));
    const json_t *value = json_object_get(row, "value");

    if (in_range(id, from, to))
      add(c, id, json_string_value(json_object_get(value, "rev")));
  }
  json_decref(v);
  return true;
}

static int add_entry(void *ctx, const changefeed_entry *entry) {
  add(ctx, entry->id.data, entry->rev.data);
  return 0;
}

bool cft_view_is(const changefeed_view *view, cft_couchsim *sim, unsigned node,
                 const char *db, const char *from, const char *to, char *why,
                 size_t size) {
  contents want = {.revs = cft_revs_new()}, got = {.revs = cft_revs_new()};
  changefeed_digest digest;
  uint64_t count = 0;
  bool same = list(&want, sim, node, db, from, to);

  (void)snprintf(why, size, "no list of %s", db);
  ck_assert_int_eq(changefeed_view_each(view, NULL, NULL, add_entry, &got), 0);
  ck_assert_int_eq(changefeed_view_digest(view, NULL, NULL, &digest, &count),
                   CHANGEFEED_OK);
  ck_assert_uint_eq(count, got.count);
  ck_assert_uint_eq(changefeed_view_count(view), got.count);
  ck_assert_mem_eq(digest.bytes, got.digest.bytes, sizeof digest.bytes);
  same = same && cft_revs_equal(want.revs, got.revs, why, size);
  if (same && memcmp(digest.bytes, want.digest.bytes, 16) != 0) {
    (void)snprintf(why, size, "the digests differ");
    same = false;
  }
  cft_revs_free(want.revs);
  cft_revs_free(got.revs);
  return same;
}

typedef struct expectation {
  cft_mirrored *f;
  cft_couchsim *sim;
  const char *db;
  char from[64], to[64];
  const char *lower, *upper;
  int64_t next_ms;
  char why[600];
} expectation;

static void set_bounds(expectation *e) {
  const changefeed_mirror_config *c = &e->f->config;

  e->lower = c->from;
  e->upper = c->to;
  if (c->prefix == NULL)
    return;
  /* By bytes, which is how a prefix is meant. */
  (void)snprintf(e->from, sizeof e->from, "%s", c->prefix);
  (void)snprintf(e->to, sizeof e->to, "%s\xff", c->prefix);
  e->lower = e->from;
  e->upper = e->to;
}

static int was_put(void *ctx, const changefeed_entry *entry) {
  const expectation *e = ctx;
  bool deleted = true;
  const char *rev = cft_revs_get(e->f->there, entry->id.data, &deleted);

  return rev != NULL && !deleted && strcmp(rev, entry->rev.data) == 0 ? 0 : 1;
}

/* What was told is what is there: nothing more was put, and nothing less. */
static bool told_the_same(expectation *e, const changefeed_view *view) {
  if (e->f->quiet)
    return true;
  if (changefeed_view_each(view, NULL, NULL, was_put, e) != 0)
    return false;
  for (size_t i = 0; i < e->f->told_count; i++) {
    const cft_seen_told *t = &e->f->told[i];
    changefeed_entry entry;

    if (t->kind == CFT_TOLD_PUT && is_there(e->f, t->id) &&
        changefeed_view_get(view, t->id, strlen(t->id), &entry) !=
            CHANGEFEED_OK)
      return false;
  }
  return true;
}

static bool is_as_expected(void *user) {
  expectation *e = user;
  const changefeed_view *view;
  bool same;

  if (e->f->mirror == NULL || !changefeed_mirror_is_synced(e->f->mirror)) {
    (void)snprintf(e->why, sizeof e->why, "it is not synced; %s", e->f->over);
    return false;
  }
  if (cft_now_ms() < e->next_ms)
    return false;
  view = changefeed_mirror_view(e->f->mirror);
  same = cft_view_is(view, e->sim, 0, e->db, e->lower, e->upper, e->why,
                     sizeof e->why);
  if (same && !told_the_same(e, view)) {
    (void)snprintf(e->why, sizeof e->why, "what was told is not what is held");
    same = false;
  }
  changefeed_view_release(view);
  e->next_ms = cft_now_ms() + 50;
  return same;
}

void cft_mirrored_expect(cft_mirrored *f, cft_couchsim *sim, const char *db,
                         int64_t timeout_ms) {
  expectation e = {.f = f, .sim = sim, .db = db};

  set_bounds(&e);
  ck_assert_msg(cft_loop_until(f->loop, is_as_expected, &e, timeout_ms),
                "the mirror of %s is not the database: %s", db, e.why);
}
