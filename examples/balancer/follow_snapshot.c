/* The file: read at the start, saved when something has changed, and at the
   end. What is saved is put together on the loop's thread, and written on
   another. An error is told and counted; the file before it stays. */
#include "balancer/follow_state.h"

#include "common/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SNAPSHOT_MS = 10000 };

typedef struct follow_save {
  uv_work_t work;
  follow *follow;
  snapshot *snapshot; /* NULL: nothing to save */
  uint64_t changes;   /* as of when it was put together */
  int64_t at_ms;
  bool saved;
  char error[WHY_SIZE];
  announce *announce;       /* to be stopped; or NULL */
  void (*ended)(follow *f); /* NULL: it is not the end */
} follow_save;

/* ---- reading ---- */

static bool fill(holding *h) {
  size_t count = snapshot_count(h->snapshot);
  snapshot_entry entry;

  for (size_t i = 0; i < count; i++) {
    snapshot_at(h->snapshot, i, &entry);
    if (!routes_put(h->routes, entry.route, NULL))
      return false;
  }
  return true;
}

static bool refuse(follow *f, const char *why) {
  (void)snprintf(f->save_why, sizeof f->save_why, "the snapshot %.100s: %.130s",
                 f->config.snapshot, why);
  log_event(LOG_ERROR, "follow.snapshot", LS("file", f->config.snapshot),
            LS("why", why));
  return false;
}

static bool load(follow *f, holding *h) {
  char error[WHY_SIZE] = "no memory";
  bool missing = false;

  h->snapshot =
      snapshot_load(f->config.snapshot, &missing, error, sizeof error);
  if (h->snapshot == NULL)
    return missing ? false : refuse(f, error);
  if (strcmp(snapshot_database(h->snapshot), f->config.apps) != 0)
    return refuse(f, "it is of another database");
  if (!fill(h))
    return refuse(f, "no memory");
  f->saved_at_ms = snapshot_saved_ms(h->snapshot);
  return true;
}

void snapshot_open(follow *f) {
  holding *h = holding_new(f);

  if (h == NULL || f->config.snapshot == NULL || !load(f, h)) {
    holding_free(h);
    return;
  }
  log_event(LOG_INFO, "follow.snapshot", LS("file", f->config.snapshot),
            LN("routes", snapshot_count(h->snapshot)),
            LN("age_ms", follow_wall_ms() - f->saved_at_ms));
  holding_free(f->held);
  follow_publish(f, h, FOLLOW_SNAPSHOT);
}

/* ---- writing ---- */

static bool add(void *ctx, const served *s) {
  follow_save *w = ctx;

  if (s->route != NULL && !snapshot_add(w->snapshot, s->route, s->rev)) {
    (void)snprintf(w->error, sizeof w->error, "no memory");
    return false;
  }
  return true;
}

static bool put_together(follow_save *w) {
  const follow *f = w->follow;

  w->snapshot = snapshot_new();
  w->changes = f->changes;
  w->at_ms = follow_wall_ms();
  if (w->snapshot == NULL)
    return false;
  if (!holding_each(f->held, ROUTE_PREFIX, ROUTE_BEHIND, add, w) ||
      w->error[0] != '\0')
    return false;
  snapshot_set_about(w->snapshot, w->at_ms, f->config.apps);
  return true;
}

static void save(uv_work_t *work) {
  follow_save *w = work->data;

  if (w->snapshot != NULL)
    w->saved = snapshot_save(w->snapshot, w->follow->config.snapshot, w->error,
                             sizeof w->error);
  announce_stop(w->announce);
}

static void count(const follow_save *w) {
  follow *f = w->follow;

  if (w->saved) {
    f->saved_changes = w->changes;
    f->saved_at_ms = w->at_ms;
    f->save_why[0] = '\0';
    metric_add(f->m.saves, 1);
  } else {
    metric_add(f->m.save_errors, 1);
    (void)refuse(f, w->error[0] != '\0' ? w->error : "no memory");
  }
}

static void on_saved(uv_work_t *work, int status) {
  follow_save *w = work->data;
  follow *f = w->follow;
  void (*ended)(follow *) = w->ended;

  (void)status; /* it is never cancelled */
  if (w->snapshot != NULL)
    count(w);
  snapshot_free(w->snapshot);
  free(w);
  f->saving = NULL;
  if (ended != NULL)
    ended(f);
  else if (f->closing)
    snapshot_end(f, f->ended);
}

static bool is_changed(const follow *f) {
  return f->config.snapshot != NULL && f->changes != f->saved_changes;
}

static follow_save *begin(follow *f) {
  follow_save *w = calloc(1, sizeof *w);

  f->save_tried_ms = follow_up_ms();
  if (w == NULL)
    return NULL;
  w->work.data = w;
  w->follow = f;
  if (is_changed(f) && !put_together(w)) {
    count(w);
    snapshot_free(w->snapshot);
    w->snapshot = NULL;
  }
  return w;
}

static void run(follow_save *w) {
  follow *f = w->follow;

  f->saving = w;
  if (uv_queue_work(f->uv, &w->work, save, on_saved) == 0)
    return;
  save(&w->work); /* no thread: then here */
  on_saved(&w->work, 0);
}

void snapshot_step(follow *f) {
  int64_t every =
      f->config.snapshot_ms > 0 ? f->config.snapshot_ms : SNAPSHOT_MS;
  follow_save *w;

  if (f->saving != NULL || !is_changed(f) ||
      follow_up_ms() - f->save_tried_ms < every)
    return;
  w = begin(f);
  if (w != NULL && w->snapshot != NULL)
    run(w);
  else
    free(w);
}

void snapshot_end(follow *f, void (*ended)(follow *f)) {
  follow_save *w;

  f->ended = ended;
  if (f->saving != NULL)
    return; /* behind it */
  w = begin(f);
  if (w == NULL) {
    announce_stop(f->announce);
    ended(f);
    return;
  }
  w->announce = f->announce;
  w->ended = ended;
  run(w);
}
