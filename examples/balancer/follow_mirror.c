/* Mirrors, and what they tell: each document is made a value, and put into the
   set of routes of its holding, which readers see once that is in force.

   What is held back stays in the set as it was, and is noted among the kept: a
   document that cannot be read, a route that went with a history, a lower gen.
   For want of memory the mirror is given up: what is served stays. */
#include "balancer/follow_state.h"

#include "common/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- holdings ---- */

holding *holding_new(follow *f) {
  holding *h = calloc(1, sizeof *h);

  if (h == NULL)
    return NULL;
  h->follow = f;
  h->routes = routes_new(f->config.table, 0);
  if (h->routes != NULL)
    return h;
  free(h);
  return NULL;
}

static void drop_kept(void *ctx, value *v) { value_drop(ctx, v); }

void holding_free(holding *h) {
  table *t;

  if (h == NULL)
    return;
  t = h->follow->config.table;
  if (!h->published)
    routes_free(h->routes);
  changefeed_mirror_close(h->mirror);
  kept_clear(&h->kept, drop_kept, t);
  if (h->snapshot != NULL)
    table_retire(t, h->snapshot, snapshot_free);
  free(h);
}

void follow_changed(follow *f, const route *was, const route *is) {
  f->changes++;
  metric_add(f->m.changes, 1);
  if (f->config.on_change != NULL)
    f->config.on_change(f->config.ctx, was, is);
}

/* ---- maintenance ---- */

void follow_set_notice(follow *f, const value *maintenance) {
  const maintenance_doc *m = value_maintenance(maintenance);
  table_notice notice;

  memset(&notice, 0, sizeof notice);
  f->notice_until_ms = 0;
  if (m != NULL && strcmp(m->mode, "full") == 0 &&
      (m->until_ms == 0 || m->until_ms > follow_wall_ms())) {
    notice.full = true;
    memcpy(notice.msg, m->msg, sizeof notice.msg);
    f->notice_until_ms = m->until_ms;
  }
  if (memcmp(&notice, &f->notice, sizeof notice) == 0)
    return;
  if (!table_set_notice(f->config.table, &notice)) {
    f->notice_until_ms = 1; /* tried again at the next step */
    return;
  }
  f->notice = notice;
  log_event(LOG_INFO, "follow.maintenance",
            LS("mode", notice.full ? "full" : "off"));
  if (f->config.on_notice != NULL)
    f->config.on_notice(f->config.ctx);
}

/* ---- a document has come ---- */

static int no_memory(const char *id) {
  log_event(LOG_ERROR, "follow.no_memory", LS("id", id));
  return -1;
}

/* An id with a zero byte within is none of ours. */
static kept *kept_of(const holding *h, const changefeed_entry *entry) {
  return strlen(entry->id.data) == entry->id.len
             ? kept_find(&h->kept, entry->id.data)
             : NULL;
}

static void forget(holding *h, kept *k) {
  if (k != NULL)
    value_drop(h->follow->config.table, kept_remove(&h->kept, k));
}

/* The revision before it stays in force, if there was one. */
static int put_unreadable(holding *h, const changefeed_entry *entry, kept *k,
                          const reading *r) {
  follow *f = h->follow;

  if (k == NULL || k->why != KEPT_UNREADABLE)
    log_event(LOG_WARN, "follow.unreadable", LS("id", entry->id.data),
              LS("rev", entry->rev.data), LS("why", r->why));
  if (k != NULL) {
    kept_change(&h->kept, k, KEPT_UNREADABLE, follow_up_ms());
    return CHANGEFEED_CONTINUE;
  }
  value_ref(entry->value);
  if (kept_add(&h->kept, entry->id.data, KEPT_UNREADABLE, entry->value,
               follow_up_ms()) != NULL)
    return CHANGEFEED_CONTINUE;
  value_drop(f->config.table, entry->value);
  return no_memory(entry->id.data);
}

/* A gen that goes back is taken when it was read twice: until then what is
   served stays, and the mirror alone has the lower one. */
static int put_older(holding *h, const changefeed_entry *entry, kept *k,
                     value *v, void **held) {
  follow *f = h->follow;
  value *before = k != NULL ? k->value : entry->value;

  if (k == NULL || k->why != KEPT_OLDER)
    log_event(LOG_WARN, "follow.older", LS("id", entry->id.data),
              LN("served_gen", route_gen(value_route(before))),
              LN("gen", route_gen(value_route(v))));
  if (k != NULL) {
    kept_change(&h->kept, k, KEPT_OLDER, follow_up_ms());
  } else if (kept_add(&h->kept, entry->id.data, KEPT_OLDER, value_ref(before),
                      follow_up_ms()) == NULL) {
    value_drop(f->config.table, before);
    value_drop(f->config.table, v);
    return no_memory(entry->id.data);
  }
  *held = v;
  proof_wanted(f);
  return CHANGEFEED_CONTINUE;
}

static int put_route(holding *h, const changefeed_entry *entry, kept *k,
                     value *v, void **held) {
  follow *f = h->follow;
  const route *was = value_route(k != NULL ? k->value : entry->value);
  const route *is = value_route(v);

  if (h->published && was != NULL && route_gen(is) < route_gen(was))
    return put_older(h, entry, k, v, held);
  if (!routes_put(h->routes, is, was)) {
    value_drop(f->config.table, v);
    return no_memory(entry->id.data);
  }
  *held = v;
  if (h->published)
    follow_changed(f, was, is);
  forget(h, k);
  return CHANGEFEED_CONTINUE;
}

static int on_put(changefeed_mirror *mirror, const changefeed_entry *entry,
                  void **held, void *user) {
  holding *h = user;
  follow *f = h->follow;
  kept *k = kept_of(h, entry);
  reading r;

  value_read(entry->id, entry->rev, entry->doc, &r);
  h->repairing = false;
  if (h->published && changefeed_mirror_is_synced(mirror))
    fresh_came(f, &r, entry->id.data);
  if (r.result == READ_NO_MEMORY)
    return no_memory(entry->id.data);
  if (r.result == READ_GOOD && value_route(r.value) != NULL)
    return put_route(h, entry, k, r.value, held);
  if (r.result == READ_BAD) {
    int verdict = put_unreadable(h, entry, k, &r);

    if (verdict == CHANGEFEED_CONTINUE)
      *held = NULL; /* the reference is the kept one's */
    return verdict;
  }
  forget(h, k);
  *held = r.value;
  if (h->published && strcmp(entry->id.data, MAINTENANCE_ID) == 0)
    follow_set_notice(f, r.value);
  return CHANGEFEED_CONTINUE;
}

/* ---- a document is gone ---- */

/* It is served until it was not there a second time. */
static bool keep_unproven(holding *h, const changefeed_entry *entry, kept *k) {
  follow *f = h->follow;

  if (k != NULL) {
    kept_change(&h->kept, k, KEPT_UNPROVEN, follow_up_ms());
  } else if (kept_add(&h->kept, entry->id.data, KEPT_UNPROVEN,
                      value_ref(entry->value), follow_up_ms()) == NULL) {
    value_drop(f->config.table, entry->value);
    (void)no_memory(entry->id.data);
    return false;
  }
  proof_wanted(f);
  return true;
}

static void on_gone(changefeed_mirror *mirror, const changefeed_entry *entry,
                    void *user) {
  holding *h = user;
  follow *f = h->follow;
  kept *k = kept_of(h, entry);
  const route *was = value_route(k != NULL ? k->value : entry->value);
  bool proven = !h->published || (!h->resetting && !h->repairing);

  (void)mirror;
  h->repairing = false;
  if (was != NULL && !proven && keep_unproven(h, entry, k))
    return;
  if (was != NULL) {
    routes_drop(h->routes, was);
    if (h->published)
      follow_changed(f, was, NULL);
  }
  forget(h, k);
  if (h->published && strcmp(entry->id.data, MAINTENANCE_ID) == 0)
    follow_set_notice(f, NULL);
}

/* ---- the mirror itself ---- */

static void free_value(void *v, void *user) {
  holding *h = user;

  value_drop(h->follow->config.table, v);
}

static void on_synced(changefeed_mirror *mirror, void *user) {
  holding *h = user;

  (void)mirror;
  h->synced = true;
  h->resetting = false;
  log_event(LOG_INFO, "follow.synced",
            LN("hosts", routes_host_count(h->routes)),
            LN("unproven", h->kept.by_why[KEPT_UNPROVEN]));
  if (h->published)
    follow_set_notice(h->follow, holding_find(h, MAINTENANCE_ID));
}

static void on_difference(changefeed_mirror *mirror,
                          const changefeed_difference *d, void *user) {
  holding *h = user;

  (void)mirror;
  h->repairing = d->served.data == NULL;
  log_event(LOG_ERROR, "follow.difference", LS("id", d->id.data),
            LS("held", d->held.data), LS("served", d->served.data));
}

static void on_audit(changefeed_mirror *mirror, const changefeed_audit *audit,
                     void *user) {
  holding *h = user;

  (void)mirror;
  h->repairing = false;
  if (h->published)
    proof_audited(h->follow, audit);
}

static void on_over(changefeed_mirror *mirror, const changefeed_error *error,
                    void *user) {
  holding *h = user;
  follow *f = h->follow;

  (void)mirror;
  h->over = true;
  (void)snprintf(f->why, sizeof f->why, "%s",
                 error != NULL ? error->message : "the mirror was stopped");
  log_event(LOG_ERROR, "follow.over", LS("why", f->why));
}

static int on_reset(changefeed *feed, const char *reason, void *user) {
  holding *h = user;

  (void)feed;
  h->resetting = true;
  h->follow->resets++;
  metric_add(h->follow->m.resets, 1);
  log_event(LOG_WARN, "follow.reset", LS("why", reason));
  return CHANGEFEED_CONTINUE;
}

/* ---- opening ---- */

static bool set_options(changefeed_options *o, const char *url) {
  return changefeed_options_set(o, "url", url) == CHANGEFEED_OK &&
         changefeed_options_set(o, "proxy", "-") == CHANGEFEED_OK &&
         changefeed_options_set_int(o, "include_docs", 1) == CHANGEFEED_OK &&
         changefeed_options_set_int(o, "retry_max_ms", 5000) == CHANGEFEED_OK;
}

static int open_it(holding *h, changefeed_options *options) {
  changefeed_mirror_config config = CHANGEFEED_MIRROR_CONFIG_INIT;
  changefeed_callbacks feed = CHANGEFEED_CALLBACKS_INIT;

  feed.on_reset = on_reset;
  feed.user = h;
  config.keep = CHANGEFEED_KEEP_VALUES;
  config.from = BALANCER_PREFIX; /* so without app:NAME */
  config.to = "sys;";
  config.audit_ms = h->follow->config.audit_ms;
  config.feed_callbacks = &feed;
  config.callbacks.on_put = on_put;
  config.callbacks.on_gone = on_gone;
  config.callbacks.free_value = free_value;
  config.callbacks.on_synced = on_synced;
  config.callbacks.on_difference = on_difference;
  config.callbacks.on_audit = on_audit;
  config.callbacks.on_over = on_over;
  config.callbacks.user = h;
  return changefeed_mirror_open(&h->mirror, h->follow->feeds, options, &config);
}

bool mirror_open(follow *f, char *error, size_t size) {
  changefeed_options *options = NULL;
  holding *h = holding_new(f);
  text url = TEXT_INIT;
  size_t len = strlen(f->config.couch);
  bool ok = false;

  while (len > 0 && f->config.couch[len - 1] == '/')
    len--;
  text_add(&url, f->config.couch, len);
  text_printf(&url, "/%s", f->config.apps);
  (void)snprintf(error, size, "no memory");
  if (h != NULL && !url.failed &&
      changefeed_options_new(&options) == CHANGEFEED_OK) {
    ok = set_options(options, url.data) && open_it(h, options) == CHANGEFEED_OK;
    if (!ok)
      (void)snprintf(error, size, "database %s: %s", f->config.apps,
                     changefeed_options_error(options));
  }
  changefeed_options_free(options);
  if (url.data != NULL)
    explicit_bzero(url.data, url.len);
  text_free(&url);
  if (ok)
    f->coming = h;
  else
    holding_free(h);
  return ok;
}

void mirror_open_later(follow *f) {
  f->reopen_ms = f->reopen_ms == 0 ? REOPEN_LEAST_MS : f->reopen_ms * 2;
  if (f->reopen_ms > REOPEN_MOST_MS)
    f->reopen_ms = REOPEN_MOST_MS;
  f->reopen_at_ms = follow_up_ms() + f->reopen_ms;
}
