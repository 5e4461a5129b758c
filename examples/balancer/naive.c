/* Only for tests: ways of following a database that are known to be wrong, as
   balancers did in 2013. Each is wrong in its own way and in no other:

   feed      a heartbeat is taken for life, and every connect begins at now:
             what was written in between never comes; nothing is ever stale
   history   rows are applied as they come, and the last one counts, whatever
             revision it has
   prune     at each connect the list of documents is read once, and whatever
             came (nothing, a part, an error) is the table */
#include "balancer/follow_state.h"

#ifdef PLATFORM_HOOKS
#include "common/log.h"
#include "common/rest.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AGAIN_MS = 1000, LIST_MS = 5000, LIST_MOST = 256 * 1024 * 1024 };

enum way { WAY_FEED, WAY_HISTORY, WAY_PRUNE, WAYS };
static const char *const way_names[WAYS] = {"feed", "history", "prune"};

typedef struct naive naive;

/* Read on another thread. */
typedef struct list_job {
  uv_work_t work;
  naive *naive; /* NULL: nobody waits for it any more */
  char *couch;
  char path[256];
  text got;
  int status;
} list_job;

struct naive {
  follow *f;
  enum way way;
  holding *h; /* all of it is among the kept; f's, once it is in force */
  changefeed *feed;
  int64_t open_at_ms, list_at_ms; /* 0: it is not to be done */
  list_job *job;
};

/* ---- documents ---- */

static void drop(naive *n, const char *id) {
  kept *k = kept_find(&n->h->kept, id);
  const route *was = k != NULL ? value_route(k->value) : NULL;

  if (k == NULL)
    return;
  if (was != NULL) {
    routes_drop(n->h->routes, was);
    if (n->h->published)
      follow_changed(n->f, was, NULL);
  }
  if (strcmp(id, MAINTENANCE_ID) == 0)
    follow_set_notice(n->f, NULL);
  value_drop(n->f->config.table, kept_remove(&n->h->kept, k));
}

static void put(naive *n, const char *id, value *v) {
  kept *k = kept_find(&n->h->kept, id);
  const route *is = value_route(v),
              *was = k != NULL ? value_route(k->value) : NULL;
  value *before = NULL;

  if (is != NULL && !routes_put(n->h->routes, is, was)) {
    value_drop(n->f->config.table, v);
    return;
  }
  if (k != NULL) {
    before = kept_swap(&n->h->kept, k, v);
  } else if (kept_add(&n->h->kept, id, KEPT_PLAIN, v, 0) == NULL) {
    if (is != NULL)
      routes_drop(n->h->routes, is);
    value_drop(n->f->config.table, v);
    return;
  }
  if (is != NULL && n->h->published)
    follow_changed(n->f, was, is);
  if (strcmp(id, MAINTENANCE_ID) == 0)
    follow_set_notice(n->f, v);
  value_drop(n->f->config.table, before);
}

static bool is_news(const naive *n, const char *id, changefeed_str rev) {
  const kept *k = kept_find(&n->h->kept, id);
  const char *held = k != NULL && k->value != NULL ? value_rev(k->value) : "";

  return n->way == WAY_HISTORY || held[0] == '\0' ||
         changefeed_rev_compare(rev.data, rev.len, held, strlen(held)) > 0;
}

/* What cannot be read changes nothing. */
static void apply(naive *n, changefeed_str id, changefeed_str rev,
                  changefeed_str doc, bool by_feed) {
  reading r;

  value_read(id, rev, doc, &r);
  if (by_feed)
    fresh_came(n->f, &r, id.data);
  if (r.result == READ_GOOD && is_news(n, id.data, rev))
    put(n, id.data, r.value);
  else if (r.result == READ_GOOD)
    value_drop(n->f->config.table, r.value);
}

static void publish(naive *n) {
  holding *before = n->f->held;

  if (n->h->published)
    return;
  n->h->synced = true;
  n->f->changes++;
  follow_publish(n->f, n->h, FOLLOW_DATABASE);
  if (n->f->config.on_replaced != NULL)
    n->f->config.on_replaced(n->f->config.ctx);
  holding_free(before);
}

/* ---- the list ---- */

static void read_list(uv_work_t *work) {
  list_job *j = work->data;
  rest_config server = {.url = j->couch, .max_reply = LIST_MOST};
  rest_reply reply;
  char error[256];
  rest *r = rest_new(&server, error, sizeof error);

  if (r == NULL)
    return;
  j->status = rest_get_text(r, j->path, LIST_MS, &j->got, &reply);
  rest_reply_free(&reply);
  rest_free(r);
}

static changefeed_str string_of(const json_t *j) {
  changefeed_str s = {json_string_value(j), json_string_length(j)};

  return s;
}

static void apply_row(naive *n, const json_t *row, json_t *seen) {
  const json_t *id = json_object_get(row, "id");
  json_t *doc = json_object_get(row, "doc");
  const json_t *rev = json_object_get(doc, "_rev");
  char *content;

  if (!json_is_string(id) || !json_is_string(rev))
    return;
  content = json_dumps(doc, JSON_COMPACT);
  if (content != NULL)
    apply(n, string_of(id), string_of(rev),
          (changefeed_str){content, strlen(content)}, false);
  free(content);
  (void)json_object_set_new(seen, json_string_value(id), json_true());
}

/* A list that was cut is what its whole lines say. */
static void apply_lines(naive *n, char *line, json_t *seen) {
  while (line != NULL && *line != '\0') {
    char *next = strchr(line, '\n');
    size_t len = next != NULL ? (size_t)(next - line) : strlen(line);
    json_t *row;

    while (len > 0 && (line[len - 1] == ',' || line[len - 1] == '\r'))
      len--;
    row = json_loadb(line, len, 0, NULL);
    if (row != NULL)
      apply_row(n, row, seen);
    json_decref(row);
    line = next != NULL ? next + 1 : NULL;
  }
}

static void drop_absent(naive *n, const json_t *seen) {
  kept **all;
  size_t count;

  if (!kept_sorted(&n->h->kept, NULL, NULL, &all, &count))
    return;
  for (size_t i = 0; i < count; i++)
    if (json_object_get(seen, all[i]->id) == NULL)
      drop(n, all[i]->id);
  free(all);
}

static void take_list(naive *n, list_job *j) {
  json_t *list = json_loadb(text_get(&j->got), j->got.len, 0, NULL);
  json_t *seen = json_object(), *row;
  size_t i;

  json_array_foreach(json_object_get(list, "rows"), i, row)
      apply_row(n, row, seen);
  if (list == NULL && n->way == WAY_PRUNE)
    apply_lines(n, j->got.data, seen);
  if (n->way == WAY_PRUNE)
    drop_absent(n, seen);
  if (n->way == WAY_FEED && (list == NULL || j->status != 200))
    n->list_at_ms = follow_up_ms() + AGAIN_MS;
  else
    publish(n);
  json_decref(seen);
  json_decref(list);
}

static void on_list(uv_work_t *work, int status) {
  list_job *j = work->data;

  (void)status;
  if (j->naive != NULL) {
    j->naive->job = NULL;
    take_list(j->naive, j);
  }
  text_free(&j->got);
  free(j->couch);
  free(j);
}

static void begin_list(naive *n) {
  list_job *j = n->job == NULL ? calloc(1, sizeof *j) : NULL;

  if (j == NULL)
    return;
  n->list_at_ms = 0;
  j->work.data = j;
  j->naive = n;
  j->couch = strdup(n->f->config.couch);
  (void)snprintf(j->path, sizeof j->path, "/%s/_all_docs?include_docs=true",
                 n->f->config.apps);
  if (j->couch != NULL &&
      uv_queue_work(n->f->uv, &j->work, read_list, on_list) == 0) {
    n->job = j;
    return;
  }
  free(j->couch);
  free(j);
}

/* ---- the feed ---- */

static int on_change(changefeed *feed, const changefeed_change *c, void *user) {
  naive *n = user;

  (void)feed;
  if (strlen(c->id.data) != c->id.len || c->rev_count == 0)
    return CHANGEFEED_CONTINUE;
  if ((c->flags & CHANGEFEED_DELETED) == 0)
    apply(n, c->id, c->revs[0], c->doc, true);
  else if (is_news(n, c->id.data, c->revs[0]))
    drop(n, c->id.data);
  return CHANGEFEED_CONTINUE;
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  naive *n = user;
  bool over = event->state >= CHANGEFEED_STATE_ENDED;
  bool lost = over || event->state == CHANGEFEED_STATE_WAITING;

  if (event->state == CHANGEFEED_STATE_LIVE && n->way == WAY_HISTORY)
    publish(n);
  if (lost && n->way == WAY_PRUNE)
    n->list_at_ms = follow_up_ms();
  if (over || (lost && n->way == WAY_FEED)) { /* its position is forgotten */
    n->feed = NULL;
    n->open_at_ms = follow_up_ms() + AGAIN_MS;
    changefeed_close(feed);
  }
}

static bool open_feed(naive *n, char *error, size_t size) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_options *o = NULL;
  text url = TEXT_INIT;
  bool ok;

  callbacks.on_change = on_change;
  callbacks.on_state = on_state;
  callbacks.user = n;
  text_printf(&url, "%s/%s", n->f->config.couch, n->f->config.apps);
  (void)snprintf(error, size, "no memory");
  if (url.failed || changefeed_options_new(&o) != CHANGEFEED_OK) {
    text_free(&url);
    return false;
  }
  ok = changefeed_options_set(o, "url", url.data) == CHANGEFEED_OK &&
       changefeed_options_set(o, "proxy", "-") == CHANGEFEED_OK &&
       changefeed_options_set_int(o, "include_docs", 1) == CHANGEFEED_OK &&
       changefeed_options_set_int(o, "retry_max_ms", 5000) == CHANGEFEED_OK &&
       changefeed_options_set(
           o, "since", n->way == WAY_HISTORY ? "0" : "now") == CHANGEFEED_OK &&
       changefeed_options_set_callbacks(o, &callbacks) == CHANGEFEED_OK &&
       changefeed_open(&n->feed, n->f->feeds, o) == CHANGEFEED_OK;
  if (!ok)
    (void)snprintf(error, size, "%s", changefeed_options_error(o));
  changefeed_options_free(o);
  text_free(&url);
  return ok;
}

void naive_step(naive *n) {
  int64_t now = follow_up_ms();
  char error[WHY_SIZE];

  if (n->open_at_ms != 0 && now >= n->open_at_ms) {
    n->open_at_ms = 0;
    if (!open_feed(n, error, sizeof error)) {
      log_event(LOG_ERROR, "naive.open", LS("why", error));
      n->open_at_ms = now + AGAIN_MS;
    }
  }
  if (n->list_at_ms != 0 && now >= n->list_at_ms)
    begin_list(n);
}

/* ---- opening ---- */

bool naive_is_never_stale(const naive *n) { return n->way == WAY_FEED; }

/* The list may have the data plane's ways, too. false: with an unknown one. */
static bool read_ways(const char *list, enum way *way) {
  *way = WAYS;
  for (size_t len; *list != '\0'; list += len + (list[len] == ',')) {
    size_t i = 0;

    len = strcspn(list, ",");
    while (i < WAYS && (strlen(way_names[i]) != len ||
                        strncmp(way_names[i], list, len) != 0))
      i++;
    if (i < WAYS)
      *way = (enum way)i;
    else if (len != strlen("noguard") || strncmp(list, "noguard", len) != 0)
      return false;
  }
  return true;
}

const char *naive_feed(const naive *n) {
  return n->feed != NULL ? changefeed_state_name(changefeed_get_state(n->feed))
                         : "away";
}

naive *naive_open(follow *f, bool *none, char *error, size_t size) {
  enum way way;
  naive *n;

  *none = f->config.naive == NULL;
  if (*none)
    return NULL;
  if (!read_ways(f->config.naive, &way)) {
    (void)snprintf(error, size, "there is no naive way \"%.60s\"",
                   f->config.naive);
    return NULL;
  }
  *none = way == WAYS;
  n = *none ? NULL : calloc(1, sizeof *n);
  if (n == NULL) {
    (void)snprintf(error, size, "no memory");
    return NULL;
  }
  n->f = f;
  n->way = way;
  n->h = holding_new(f);
  if (n->h == NULL || !open_feed(n, error, size)) {
    naive_close(n);
    return NULL;
  }
  n->list_at_ms = n->way != WAY_HISTORY ? follow_up_ms() : 0;
  return n;
}

void naive_close(naive *n) {
  if (n == NULL)
    return;
  changefeed_close(n->feed);
  if (n->job != NULL)
    n->job->naive = NULL;
  if (n->h != NULL && !n->h->published)
    holding_free(n->h);
  free(n);
}
#endif
