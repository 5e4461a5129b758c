/* Keeps the mirrors of both databases in step within libuv's loop; see view.h.
   What changed is told when the round that brought it is over, because only
   then other threads see it. */
#include "provisioner/view_state.h"

#include "common/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STALE_MS = 15000, GONE_MS = 180000 };

static int64_t clock_ms(clockid_t clock) {
  struct timespec t;

  (void)clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t view_up_ms(void) { return clock_ms(CLOCK_BOOTTIME); }
int64_t view_wall_ms(void) { return clock_ms(CLOCK_REALTIME); }

/* ---- what has changed ---- */

static void note(view *v, const char *id) {
  if (v->changed_count == v->changed_cap) {
    size_t cap = v->changed_cap != 0 ? v->changed_cap * 2 : 64;
    char **grown = realloc(v->changed, cap * sizeof *grown);

    if (grown == NULL) {
      v->changed_lost = true;
      return;
    }
    v->changed = grown;
    v->changed_cap = cap;
  }
  v->changed[v->changed_count] = strdup(id);
  if (v->changed[v->changed_count] == NULL)
    v->changed_lost = true;
  else
    v->changed_count++;
}

/* Before both are in step nothing is told: on_synced means everything. */
static void deliver(view *v) {
  bool synced = view_is_synced(v), all = v->changed_lost;
  char **ids = v->changed;
  size_t count = v->changed_count;

  for (int i = 0; i < VIEW_DATABASES; i++) {
    all |= v->databases[i].told;
    if (synced)
      v->databases[i].told = false;
  }
  v->changed = NULL;
  v->changed_count = v->changed_cap = 0;
  if (synced)
    v->changed_lost = false;
  for (size_t i = 0; i < count; i++) {
    if (synced && !all && v->config.on_change != NULL)
      v->config.on_change(v->config.ctx, ids[i]);
    free(ids[i]);
  }
  free(ids);
  if (synced && all && v->config.on_synced != NULL)
    v->config.on_synced(v->config.ctx);
}

/* ---- the mirrors' callbacks ---- */

static void come(view_database *d, view_value *value) {
  view *v = d->view;

  if (value->kind == VALUE_BALANCER)
    value->as.balancer.came_ms = view_up_ms();
  if (value->kind == VALUE_TICK)
    view_tick_came(v, (int)(d - v->databases), &value->as.tick);
}

static int on_put(changefeed_mirror *mirror, const changefeed_entry *entry,
                  void **held, void *user) {
  view_database *d = user;
  char why[256];
  bool kept;
  view_value *value =
      view_value_read(entry->id.data, entry->id.len, entry->doc.data,
                      entry->doc.len, why, sizeof why, &kept);

  (void)mirror;
  if (value != NULL) {
    *held = value;
    come(d, value);
  } else if (kept) { /* the revision before it stays, if there was one */
    *held = entry->value;
    log_event(LOG_WARN, "view.unreadable", LS("db", d->name),
              LS("id", entry->id.data), LS("rev", entry->rev.data),
              LS("why", why[0] != '\0' ? why : "no memory"));
  } else {
    *held = NULL;
  }
  if (kept && (value == NULL || value->kind != VALUE_TICK))
    note(d->view, entry->id.data);
  return CHANGEFEED_CONTINUE;
}

static void on_gone(changefeed_mirror *mirror, const changefeed_entry *entry,
                    void *user) {
  view_database *d = user;
  const view_value *value = entry->value;

  (void)mirror;
  if (value != NULL && value->kind == VALUE_APP)
    view_app_gone(d->view, value->as.app.name, value->as.app.gen + 1);
  if (value != NULL && value->kind == VALUE_TICK &&
      d == &d->view->databases[VIEW_APPS])
    view_tick_gone(d->view, value->as.tick.id);
  note(d->view, entry->id.data);
}

static void free_value(void *value, void *user) {
  (void)user;
  view_value_free(value);
}

static void on_synced(changefeed_mirror *mirror, void *user) {
  view_database *d = user;

  (void)mirror;
  d->told = true;
  log_event(LOG_INFO, "view.synced", LS("db", d->name));
}

static void on_stale(changefeed_mirror *mirror, int64_t ms, void *user) {
  view_database *d = user;

  (void)mirror;
  log_event(LOG_WARN, "view.stale", LS("db", d->name), LN("ms", ms));
}

static void on_fresh(changefeed_mirror *mirror, void *user) {
  view_database *d = user;

  (void)mirror;
  log_event(LOG_INFO, "view.fresh", LS("db", d->name));
}

static void over(view *v, const char *why) {
  if (v->over)
    return;
  v->over = true;
  log_event(LOG_ERROR, "view.over", LS("why", why));
  if (v->config.on_over != NULL)
    v->config.on_over(v->config.ctx, why);
}

static void on_over(changefeed_mirror *mirror, const changefeed_error *error,
                    void *user) {
  view_database *d = user;

  (void)mirror;
  over(d->view, error != NULL ? error->message : "the mirror was stopped");
}

static void after_round(void *ctx, int rc) {
  view *v = ctx;

  for (int i = 0; i < VIEW_DATABASES; i++)
    atomic_store(&v->databases[i].synced,
                 changefeed_mirror_is_synced(v->databases[i].mirror) != 0);
  if (rc < 0)
    over(v, changefeed_strerror(rc));
  else
    deliver(v);
}

/* ---- opening and closing ---- */

static bool set_options(changefeed_options *options, const char *url) {
  return changefeed_options_set(options, "url", url) == CHANGEFEED_OK &&
         changefeed_options_set(options, "proxy", "-") == CHANGEFEED_OK &&
         changefeed_options_set_int(options, "include_docs", 1) ==
             CHANGEFEED_OK &&
         changefeed_options_set_int(options, "retry_max_ms", 5000) ==
             CHANGEFEED_OK;
}

static bool open_mirror(view *v, view_database *d, const char *why_not,
                        char *error, size_t size) {
  changefeed_mirror_config config = CHANGEFEED_MIRROR_CONFIG_INIT;
  size_t len = strlen(v->config.couch) + strlen(d->name) + 2;
  changefeed_options *options = NULL;
  char *url = malloc(len);
  bool ok = false;

  config.keep = CHANGEFEED_KEEP_VALUES;
  config.stale_ms = STALE_MS;
  config.callbacks.on_put = on_put;
  config.callbacks.on_gone = on_gone;
  config.callbacks.free_value = free_value;
  config.callbacks.on_synced = on_synced;
  config.callbacks.on_stale = on_stale;
  config.callbacks.on_fresh = on_fresh;
  config.callbacks.on_over = on_over;
  config.callbacks.user = d;
  if (url != NULL && changefeed_options_new(&options) == CHANGEFEED_OK) {
    len = strlen(v->config.couch);
    while (len > 0 && v->config.couch[len - 1] == '/')
      len--;
    (void)sprintf(url, "%.*s/%s", (int)len, v->config.couch, d->name);
    ok = set_options(options, url) &&
         changefeed_mirror_open(&d->mirror, v->loop, options, &config) ==
             CHANGEFEED_OK;
    why_not = changefeed_options_error(options);
  }
  if (!ok)
    (void)snprintf(error, size, "database %s: %s", d->name, why_not);
  changefeed_options_free(options);
  free(url);
  return ok;
}

static bool copy_config(view *v, const view_config *config) {
  const char *names[VIEW_DATABASES] = {config->apps, config->locks};
  bool ok = true;

  v->config = *config;
  v->config.couch = strdup(config->couch);
  ok = v->config.couch != NULL;
  for (int i = 0; i < VIEW_DATABASES; i++) {
    v->databases[i].view = v;
    v->databases[i].name = strdup(names[i]);
    ok = ok && v->databases[i].name != NULL;
  }
  (void)snprintf(v->self, sizeof v->self, "%s", config->self);
  (void)snprintf(v->boot, sizeof v->boot, "%s",
                 config->boot != NULL ? config->boot : "");
  v->config.apps = v->databases[VIEW_APPS].name;
  v->config.locks = v->databases[VIEW_LOCKS].name;
  v->config.self = v->self;
  v->config.boot = v->boot;
  if (v->config.fresh_ms <= 0)
    v->config.fresh_ms = STALE_MS;
  if (v->config.gone_ms <= 0)
    v->config.gone_ms = GONE_MS;
  return ok;
}

view *view_open(uv_loop_t *loop, const view_config *config, char *error,
                size_t error_size) {
  view *v = calloc(1, sizeof *v);
  bool ok;

  (void)snprintf(error, error_size, "no memory");
  if (v == NULL)
    return NULL;
  (void)pthread_mutex_init(&v->lock, NULL);
  ok = copy_config(v, config) &&
       changefeed_loop_new(&v->loop, NULL) == CHANGEFEED_OK;
  for (int i = 0; ok && i < VIEW_DATABASES; i++)
    ok = open_mirror(v, &v->databases[i], "no memory", error, error_size);
  if (ok)
    v->poll = feed_poll_open(loop, v->loop, after_round, v);
  if (ok && v->poll == NULL) {
    (void)snprintf(error, error_size,
                   "the loop of the feeds has no descriptor");
    ok = false;
  }
  if (ok)
    return v;
  view_close(v);
  return NULL;
}

void view_close(view *v) {
  union {
    const char *text;
    char *own;
  } couch;

  if (v == NULL)
    return;
  feed_poll_close(v->poll);
  for (int i = 0; i < VIEW_DATABASES; i++) {
    changefeed_mirror_close(v->databases[i].mirror);
    free(v->databases[i].name);
  }
  changefeed_loop_free(v->loop);
  for (size_t i = 0; i < v->changed_count; i++)
    free(v->changed[i]);
  free(v->changed);
  for (size_t i = 0; i < GONE_BUCKETS; i++)
    while (v->gone[i] != NULL) {
      gone_app *next = v->gone[i]->next;

      free(v->gone[i]);
      v->gone[i] = next;
    }
  (void)pthread_mutex_destroy(&v->lock);
  couch.text = v->config.couch;
  free(couch.own);
  free(v);
}
