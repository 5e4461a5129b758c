/*
 * The application: opens mirrors in a world without sockets, makes values of
 * documents, crashes, stops, starts again from the snapshot, and keeps a plain
 * table of what it was told.
 */
#include <stdio.h>
#include <string.h>

#include "mirror_sim.h"
#include "support/mem.h"

/* ---- the world of a mirror ---- */

static int64_t now(void *ctx) { return ((msim *)ctx)->core.now_ms; }

static int64_t wall(void *ctx) { return now(ctx) + 1700000000000; }

static int world_open(void *ctx, changefeed **out,
                      changefeed_options *options) {
  msim_mirror *a = ctx;
  msim *m = a->s;
  cfi_feed_config config = {.alloc = &m->core.alloc};
  msim_feed *f = a->feed;
  int rc;

  while (f->feed != NULL)
    if (++f == a->feed + MSIM_FEEDS) {
      sim_violate(&m->core, "%d feeds of one mirror", MSIM_FEEDS);
      return CHANGEFEED_ERR_LIMIT;
    }
  config.clock = (cfi_clock){now, wall, m};
  config.seed = cfi_random_next(&m->core.random) | 1;
  config.world = msim_net_world;
  config.world.ctx = f;
  f->owner = a;
  rc = cfi_feed_new(&f->feed, options, &config, &options->error);
  f->poke = true;
  *out = f->feed;
  return rc;
}

static msim_feed *slot_of(msim_mirror *a, const changefeed *feed) {
  msim_feed *f = a->feed;

  while (f->feed != feed)
    f++;
  return f;
}

/* As a loop does it: in a callback the feed is freed when its step returns. */
static void world_close(void *ctx, changefeed *feed) {
  msim_feed *f = slot_of(ctx, feed);

  if (feed->depth != 0) {
    feed->closing = true;
    cfi_feed_drop_request(feed);
    return;
  }
  f->feed = NULL;
  cfi_feed_free(feed, true);
  f->main.c.open = f->side.c.open = false;
}

static int world_set_timer(void *ctx, changefeed *feed, int64_t delay_ms) {
  msim_mirror *a = ctx;

  feed->timer_ms =
      delay_ms < 0 ? CFI_NEVER : cfi_clock_after(now(a->s), delay_ms);
  return CHANGEFEED_OK;
}

static int post(msim_mirror *a, changefeed *feed, unsigned mail) {
  atomic_fetch_or(&feed->mail, mail);
  slot_of(a, feed)->poke = true;
  return CHANGEFEED_OK;
}

static int world_resume(void *ctx, changefeed *feed) {
  atomic_store(&feed->paused, false);
  return post(ctx, feed, CFI_MAIL_RESUME);
}

static int world_stop(void *ctx, changefeed *feed) {
  return post(ctx, feed, CFI_MAIL_STOP);
}

static bool world_same(void *ctx, const changefeed *a, const changefeed *b) {
  (void)ctx;
  return cfi_feed_may_be_same(a, b);
}

static int64_t world_now(void *ctx) { return now(((msim_mirror *)ctx)->s); }

const cfi_mirror_world msim_mirror_world = {
    world_open, world_close, world_set_timer, world_resume,
    world_stop, world_same,  world_now,       NULL};

/* ---- callbacks ---- */

/* What was planted may come right by the feed's own way before it is found. */
static void told(msim_mirror *a, unsigned doc, uint32_t write) {
  a->told[doc] = write;
  if (!a->found[doc])
    a->planted[doc] = false;
}

static msim_value *make_value(msim_mirror *a, unsigned doc, uint32_t write) {
  msim_value *v = cft_calloc(1, sizeof *v);

  v->doc = doc;
  v->write = write;
  v->next = a->values;
  a->values = v;
  return v;
}

static int verdict(msim_mirror *a) {
  sim *s = &a->s->core;

  if (s->healing)
    return CHANGEFEED_CONTINUE;
  if (sim_chance(s, s->config.give_up)) {
    a->gave_up = true;
    return -7;
  }
  if (!sim_chance(s, s->config.stop_verdict))
    return CHANGEFEED_CONTINUE;
  a->stopping = true;
  return CHANGEFEED_STOP;
}

static int on_put(changefeed_mirror *mirror, const changefeed_entry *entry,
                  void **value, void *user) {
  msim_mirror *a = user;
  unsigned doc;
  uint32_t write;
  int answer;

  (void)mirror;
  if (a->muted || a->s->core.violated)
    return CHANGEFEED_CONTINUE;
  msim_check_put(a, entry, &doc, &write);
  if (doc == MDB_DOCS)
    return CHANGEFEED_CONTINUE;
  a->s->counts.puts++;
  answer = verdict(a);
  sim_trail(&a->s->core, "%u put %s %.*s: %d", a->index, mdb_id(doc), 9,
            entry->rev.data, answer);
  msim_check_older(a, doc, write);
  told(a, doc, write);
  if (a->config.keep != CHANGEFEED_KEEP_VALUES)
    return answer;
  if (*value == NULL || sim_chance(&a->s->core, 800))
    *value = make_value(a, doc, write);
  else
    ((msim_value *)*value)->write = write;
  if (answer >= 0)
    a->value[doc] = *value;
  return answer;
}

static void on_gone(changefeed_mirror *mirror, const changefeed_entry *entry,
                    void *user) {
  msim_mirror *a = user;
  unsigned doc;

  (void)mirror;
  if (a->muted || a->s->core.violated)
    return;
  msim_check_gone(a, entry, &doc);
  if (doc == MDB_DOCS)
    return;
  a->s->counts.gones++;
  sim_trail(&a->s->core, "%u gone %s", a->index, mdb_id(doc));
  told(a, doc, 0);
  a->value[doc] = NULL;
}

static void free_value(void *value, void *user) {
  msim_mirror *a = user;
  msim_value *v = value;

  if (v->freed)
    sim_violate(&a->s->core, "the value of %s is freed twice", mdb_id(v->doc));
  v->freed = true;
}

static void on_synced(changefeed_mirror *mirror, void *user) {
  msim_mirror *a = user;

  (void)mirror;
  if (a->muted)
    return;
  a->s->counts.syncs++;
  a->synced = true;
  sim_trail(&a->s->core, "%u synced", a->index);
  msim_check_synced(a);
}

static void on_difference(changefeed_mirror *mirror,
                          const changefeed_difference *d, void *user) {
  msim_mirror *a = user;

  (void)mirror;
  if (!a->muted)
    msim_check_difference(a, d);
}

static void on_audit(changefeed_mirror *mirror, const changefeed_audit *audit,
                     void *user) {
  msim_mirror *a = user;

  (void)mirror;
  if (a->muted)
    return;
  a->s->counts.audits++;
  a->s->counts.unsettled += audit->unsettled;
  sim_trail(&a->s->core,
            "%u audit %d, quiet %d: %llu documents, %llu differ, %llu repaired",
            a->index, audit->code, audit->quiet,
            (unsigned long long)audit->documents,
            (unsigned long long)(audit->missing + audit->extra + audit->stale),
            (unsigned long long)audit->repaired);
  a->audit = *audit;
  a->audited = a->asks_audit;
}

static void on_over(changefeed_mirror *mirror, const changefeed_error *error,
                    void *user) {
  msim_mirror *a = user;
  sim *s = &a->s->core;

  (void)mirror;
  if (a->muted)
    return;
  sim_trail(s, "%u over: %s", a->index, error != NULL ? error->message : "");
  if (error == NULL ? !a->stopping
                    : !a->gave_up && s->counts.no_memory == a->no_memory_before)
    sim_violate(s, "mirror %u is over: %s", a->index,
                error != NULL ? error->message : "nobody has stopped it");
  if (a->over)
    sim_violate(s, "mirror %u is over twice", a->index);
  a->over = true;
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  msim_mirror *a = user;

  if (event->state != CHANGEFEED_STATE_LIVE)
    return;
  a->live_ms = slot_of(a, feed)->main.c.head_at_ms;
  a->served_old = slot_of(a, feed)->main.c.plan.show_old;
}

static void on_log(changefeed *feed, int level, const char *text, size_t len,
                   void *user) {
  msim_mirror *a = user;

  (void)feed, (void)len;
  if (!a->muted)
    sim_trail(&a->s->core, "%u log %d: %s", a->index, level, text);
}

/* ---- lives ---- */

static void check(msim_mirror *a, int rc, const char *what) {
  if (rc != CHANGEFEED_OK)
    sim_violate(&a->s->core, "%s: %s", what,
                changefeed_options_error(a->options));
}

static void make_options(msim_mirror *a) {
  changefeed_mirror_callbacks *c = &a->config.callbacks;

  if (changefeed_options_new(&a->options) != CHANGEFEED_OK)
    abort();
  for (const char *const *o = a->s->core.config.options; *o != NULL; o += 2)
    check(a, changefeed_options_set(a->options, o[0], o[1]), o[0]);
  if (a->include_docs)
    check(a, changefeed_options_set(a->options, "include_docs", "1"), "docs");
  a->feed_callbacks = (changefeed_callbacks)CHANGEFEED_CALLBACKS_INIT;
  a->feed_callbacks.on_log = on_log;
  a->feed_callbacks.on_state = on_state;
  a->feed_callbacks.user = a;
  a->config.feed_callbacks = &a->feed_callbacks;
  c->on_put = on_put;
  c->on_gone = on_gone;
  c->on_synced = on_synced;
  c->on_difference = on_difference;
  c->on_audit = on_audit;
  c->on_over = on_over;
  c->free_value = free_value;
  c->user = a;
}

void msim_app_open(msim_mirror *a) {
  cfi_mirror_world world = msim_mirror_world;
  sim *s = &a->s->core;
  int rc;

  if (a->options == NULL)
    make_options(a);
  a->muted = a->over = a->stopping = a->gave_up = a->synced = false;
  a->no_memory_before = s->counts.no_memory;
  memset(a->told, 0, sizeof a->told);
  memset(a->value, 0, sizeof a->value);
  memset(&a->shown, 0, sizeof a->shown);
  world.ctx = a;
  rc = cfi_mirror_new(&a->mirror, &s->alloc, &world, a->options, &a->config);
  if (rc == CHANGEFEED_OK) {
    a->s->counts.lives++;
    a->s->counts.loads += a->mirror->announce;
    sim_trail(s, "%u opened%s", a->index,
              a->mirror->announce ? " with what was saved" : "");
    return;
  }
  a->mirror = NULL;
  a->open_at_ms = s->now_ms + 1000;
  if (rc != CHANGEFEED_ERR_NOMEM || s->config.no_memory == 0)
    sim_violate(s, "mirror %u cannot be opened: %s", a->index,
                changefeed_options_error(a->options));
}

/* What a crash leaves is what was there before it. */
static char *read_snapshot(const msim_mirror *a, size_t *len) {
  FILE *file = a->config.snapshot != NULL ? fopen(a->snapshot, "rb") : NULL;
  char *bytes;
  long size;

  if (file == NULL)
    return NULL;
  if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 ||
      fseek(file, 0, SEEK_SET) != 0)
    abort();
  bytes = cft_checked(malloc((size_t)size + 1));
  *len = fread(bytes, 1, (size_t)size, file);
  (void)fclose(file);
  return bytes;
}

static void put_back(const msim_mirror *a, char *bytes, size_t len) {
  FILE *file;

  if (bytes == NULL) {
    (void)remove(a->snapshot);
    return;
  }
  file = fopen(a->snapshot, "wb");
  if (file == NULL || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
    abort();
  free(bytes);
}

static void free_values(msim_mirror *a) {
  while (a->values != NULL) {
    msim_value *next = a->values->next;

    free(a->values);
    a->values = next;
  }
}

void msim_app_end(msim_mirror *a, msim_end how) {
  size_t len = 0;
  char *bytes = NULL;
  uint64_t saves = a->mirror->stats.saves;

  if (a->reader.view != NULL) {
    msim_check_reader(a);
    changefeed_view_release(a->reader.view);
    a->reader.view = NULL;
  }
  if (how == MSIM_CRASH)
    bytes = read_snapshot(a, &len);
  a->muted = true;
  a->s->counts.asked += a->mirror->stats.asked;
  a->s->counts.older += a->mirror->stats.older;
  a->s->counts.resets += a->mirror->stats.resets;
  a->s->counts.repairs += a->mirror->stats.repairs;
  a->s->counts.saves += saves;
  cfi_mirror_close(a->mirror);
  a->mirror = NULL;
  if (how == MSIM_CRASH && a->config.snapshot != NULL)
    put_back(a, bytes, len);
  for (unsigned k = 0; k < MSIM_FEEDS; k++)
    if (a->feed[k].feed != NULL)
      sim_violate(&a->s->core, "a feed is left when its mirror is closed");
  msim_check_values(a);
  free_values(a);
}

void msim_app_after(msim_mirror *a) {
  if (a->mirror == NULL)
    return;
  msim_check_view(a);
  if (a->mirror->stats.repairs != 0 && !a->expects_differences &&
      !a->s->config.lags)
    sim_violate(&a->s->core, "an audit repaired mirror %u", a->index);
}

/* ---- readers that take their time ---- */

static int note(void *ctx, const changefeed_entry *e) {
  msim_mirror *a = ctx;
  unsigned doc = mdb_doc(e->id.data, e->id.len);

  if (doc < MDB_DOCS)
    a->reader.write[doc] = mdb_rev_parse(&a->s->db, e->rev.data, e->rev.len);
  return 0;
}

void msim_app_read(msim_mirror *a) {
  if (a->reader.view != NULL) {
    msim_check_reader(a);
    changefeed_view_release(a->reader.view);
    a->reader.view = NULL;
    return;
  }
  memset(a->reader.write, 0, sizeof a->reader.write);
  a->reader.view = changefeed_mirror_view(a->mirror);
  (void)changefeed_view_each(a->reader.view, NULL, NULL, note, a);
}

/* ---- what an audit has to find ---- */

static cfi_value *value_for(msim_mirror *a, unsigned doc, uint32_t write) {
  changefeed_str text = {NULL, 0};
  char *bytes = NULL;
  cfi_value *v;

  if (a->config.keep == CHANGEFEED_KEEP_REVS)
    return NULL;
  if (a->config.keep == CHANGEFEED_KEEP_DOCS) {
    bytes = mdb_text(&a->s->db, write);
    text = (changefeed_str){bytes, strlen(bytes)};
  }
  v = cft_checked(cfi_value_new(a->mirror, text));
  free(bytes);
  if (a->config.keep == CHANGEFEED_KEEP_VALUES) {
    v->made = a->value[doc] = make_value(a, doc, write);
    v->is_made = true;
  }
  return v;
}

/* Is held as what one of the writes has made; 0: it is not. */
static void hold(msim_mirror *a, unsigned doc, uint32_t write) {
  changefeed_str id = {mdb_id(doc), strlen(mdb_id(doc))}, rev;
  char text[MDB_TEXT];

  a->told[doc] = write;
  a->value[doc] = NULL;
  a->planted[doc] = true;
  a->s->counts.planted++;
  if (write == 0) {
    (void)cfi_tree_remove(a->mirror->tree, id);
    return;
  }
  mdb_rev(&a->s->db, write, text);
  rev = (changefeed_str){text, strlen(text)};
  (void)cfi_tree_put(a->mirror->tree, id, rev, value_for(a, doc, write));
}

/* Another write of the document, or of none. */
static uint32_t other_write(msim_mirror *a, unsigned doc, uint32_t current) {
  const mdb *d = &a->s->db;
  size_t first = (size_t)sim_pick(&a->s->core, d->writes);

  for (size_t i = 0; i < d->writes; i++) {
    uint32_t write = (uint32_t)((first + i) % d->writes) + 1;

    if (write != current && mdb_written(d, write)->doc == doc &&
        !mdb_written(d, write)->deleted)
      return write;
  }
  return 0;
}

void msim_app_plant(msim_mirror *a) {
  sim *s = &a->s->core;

  a->expects_differences = true;
  for (unsigned doc = 0; doc < MDB_DOCS; doc++) {
    uint32_t current = mdb_current(&a->s->db, doc), other;

    if (!msim_in_range(a, doc) || !sim_chance(s, 100))
      continue;
    other = sim_chance(s, 400) ? 0 : other_write(a, doc, current);
    if (other != current)
      hold(a, doc, other);
  }
  a->mirror->unpublished = true;
  a->mirror->version++;
  cfi_mirror_publish(a->mirror);
}
