/* The database's documents for workers: typed, counted, and written until it is
   known whether they were; see kernel_state.h. */
#include "provisioner/kernel_state.h"

#include "common/log.h"
#include <stdio.h>
#include <string.h>

enum { SURE_MS = 20000, PAUSE_MS = 100, PAUSE_MOST_MS = 2000 };

static void note(worker *w, enum docs_result result, const docs_answer *a) {
  kernel *k = w->k;

  load_note(k->load, a->took_ms, result == DOCS_UNKNOWN, mono_ms());
  if (result == DOCS_CONFLICT)
    metric_add(k->m.conflicts, 1);
  else if (result == DOCS_ACCEPTED)
    metric_add(k->m.accepted, 1);
  else if (result == DOCS_UNKNOWN)
    metric_add(k->m.unknown, 1);
}

/* What cannot be read the view has told once. */
static enum stored unreadable(const char *id, const char *what) {
  log_event(LOG_DEBUG, "store.unreadable", LS("id", id), LS("why", what));
  return STORED_BROKEN;
}

static enum stored refused(const char *id, const char *what) {
  log_event(LOG_ERROR, "store.refused", LS("id", id), LS("why", what));
  return STORED_BROKEN;
}

/* ---- reading ---- */

static enum stored read_doc(worker *w, docs *db, const char *id, json_t **doc) {
  docs_answer a;

  *doc = NULL;
  switch (docs_get(db, id, doc, &a)) {
  case DOCS_OK:
  case DOCS_ACCEPTED:
    return *doc != NULL ? STORED : STORED_LATER;
  case DOCS_MISSING:
    return STORED_MISSING;
  case DOCS_REFUSED:
    return refused(id, a.error);
  default:
    log_event(LOG_DEBUG, "store.unknown", LS("id", id), LS("why", a.error));
    (void)w;
    return STORED_LATER;
  }
}

/* What lies beside the document that is read was somebody's who was told yes.
   Whose drone it is the drone decides, and what a route should say whoever
   looks next: nothing is lost with it. */
static void delete_losers(worker *w, docs *db, const char *id,
                          const json_t *doc) {
  const json_t *losers = json_object_get(doc, "_conflicts");
  docs_answer a;
  size_t i;

  for (i = 0; i < json_array_size(losers); i++) {
    const char *rev = json_string_value(json_array_get(losers, i));

    if (rev == NULL)
      continue;
    log_event(LOG_INFO, "store.heal", LS("id", id), LS("rev", rev));
    note(w, docs_delete(db, id, rev, &a), &a);
  }
}

enum stored store_read_drone(worker *w, const char *addr, drone_doc *out,
                             bool heal) {
  char id[ADDR_MOST + 16], why[256];
  json_t *doc;
  enum stored result;

  (void)snprintf(id, sizeof id, "drone:%s", addr);
  result = read_doc(w, w->locks, id, &doc);
  if (result == STORED && !drone_doc_read(doc, out, why, sizeof why))
    result = unreadable(id, why);
  if (result == STORED && heal)
    delete_losers(w, w->locks, id, doc);
  json_decref(doc);
  if (result == STORED)
    kernel_saw(w->k, out, true);
  return result;
}

enum stored store_read_route(worker *w, const char *app, route_doc *out) {
  char id[NAME_MOST + 16], why[256];
  json_t *doc;
  enum stored result;

  (void)snprintf(id, sizeof id, "route:%s", app);
  result = read_doc(w, w->apps, id, &doc);
  if (result == STORED && !route_doc_read(doc, out, why, sizeof why))
    result = unreadable(id, why);
  if (result == STORED)
    delete_losers(w, w->apps, id, doc);
  json_decref(doc);
  return result;
}

enum stored store_read_app(worker *w, const char *app, app_doc *out) {
  char id[NAME_MOST + 16], why[256];
  json_t *doc;
  enum stored result;

  (void)snprintf(id, sizeof id, "app:%s", app);
  result = read_doc(w, w->apps, id, &doc);
  if (result == STORED && !app_doc_read(doc, out, why, sizeof why))
    result = unreadable(id, why);
  json_decref(doc);
  return result;
}

enum stored store_find_tombstone(worker *w, const char *app) {
  char id[NAME_MOST + 16];
  docs_answer a;

  (void)snprintf(id, sizeof id, "app:%s", app);
  switch (docs_find_tombstone(w->apps, id, &a)) {
  case DOCS_OK:
    return STORED;
  case DOCS_CONFLICT:
    return STORED_CLASH;
  case DOCS_MISSING:
    return STORED_MISSING;
  case DOCS_REFUSED:
    return refused(id, a.error);
  default:
    return STORED_LATER;
  }
}

/* ---- writing ---- */

/* The very same document, until it is known. *unsure: some call of it was
   not answered, so that a refusal may be the refusal of one's own. */
static enum docs_result put_surely(worker *w, docs *db, const char *id,
                                   const json_t *doc, docs_answer *a,
                                   bool *unsure) {
  int64_t end = mono_ms() + SURE_MS, pause = PAUSE_MS;
  enum docs_result result;

  for (;;) {
    result = docs_put(db, id, doc, a);
    note(w, result, a);
    if (result != DOCS_UNKNOWN)
      return result;
    *unsure = true;
    log_event(LOG_INFO, "store.again", LS("id", id), LS("why", a->error));
    if (NAIVE(w->k, NAIVE_TIMEOUTOK | NAIVE_READBACK))
      return result;
    if (a->retry_after_ms > pause)
      pause = a->retry_after_ms < 5000 ? a->retry_after_ms : 5000;
    if (mono_ms() > end || !jobs_pause(w->k->jobs, pause))
      return result;
    pause = pause * 2 < PAUSE_MOST_MS ? pause * 2 : PAUSE_MOST_MS;
  }
}

/* Whether what is there now is what was to be written; its rev is handed over
   then. at and by tell who: an equal one of somebody else is not ours. */
static bool is_there(worker *w, docs *db, const char *id, const json_t *doc,
                     char *rev) {
  json_t *now, *meant = json_copy((json_t *)(uintptr_t)doc);
  const char *rev_now;
  bool same = false;

  if (meant != NULL && read_doc(w, db, id, &now) == STORED) {
    rev_now = json_string_value(json_object_get(now, "_rev"));
    (void)json_object_del(now, "_conflicts");
    if (rev_now != NULL && strlen(rev_now) <= REV_MOST &&
        json_object_set(meant, "_rev", json_object_get(now, "_rev")) == 0 &&
        json_equal(meant, now)) {
      memcpy(rev, rev_now, strlen(rev_now) + 1);
      same = true;
    }
    json_decref(now);
  }
  json_decref(meant);
  return same;
}

#ifdef PLATFORM_HOOKS
/* The ways that were wrong: see NAIVE_* in kernel_state.h. */
static bool naively(worker *w, docs *db, const char *id, const json_t *doc,
                    enum docs_result *result, docs_answer *a) {
  json_t *now, *mine;

  if (*result == DOCS_CONFLICT && NAIVE(w->k, NAIVE_LASTWRITE) &&
      read_doc(w, db, id, &now) == STORED) {
    mine = json_copy((json_t *)(uintptr_t)doc);
    (void)json_object_set(mine, "_rev", json_object_get(now, "_rev"));
    *result = docs_put(db, id, mine, a);
    json_decref(mine);
    json_decref(now);
    return *result == DOCS_OK || *result == DOCS_ACCEPTED;
  }
  if (*result == DOCS_UNKNOWN && NAIVE(w->k, NAIVE_TIMEOUTOK)) {
    const char *rev = json_string_value(json_object_get(doc, "_rev"));

    (void)snprintf(a->rev, sizeof a->rev, "%s", rev != NULL ? rev : "");
    *result = DOCS_OK;
    return true;
  }
  return false;
}
#endif

static enum stored put_doc(worker *w, docs *db, const char *id,
                           const json_t *doc, char *rev, bool *accepted) {
  docs_answer a;
  bool unsure = false;
  enum docs_result result;

  if (accepted != NULL)
    *accepted = false;
  if (doc == NULL)
    return STORED_LATER;
  result = put_surely(w, db, id, doc, &a, &unsure);
#ifdef PLATFORM_HOOKS
  if (naively(w, db, id, doc, &result, &a))
    unsure = false;
  if (NAIVE(w->k, NAIVE_READBACK) && result == DOCS_UNKNOWN)
    return is_there(w, db, id, doc, rev) ? STORED : STORED_LATER;
#endif
  switch (result) {
  case DOCS_ACCEPTED:
    if (accepted != NULL)
      *accepted = true;
    /* fall through */
  case DOCS_OK:
    (void)snprintf(rev, REV_MOST + 1, "%s", a.rev);
    return STORED;
  case DOCS_CONFLICT:
    return unsure && is_there(w, db, id, doc, rev) ? STORED : STORED_CLASH;
  case DOCS_MISSING:
    return STORED_MISSING;
  case DOCS_REFUSED:
    return refused(id, a.error);
  default:
    return STORED_LATER;
  }
}

enum stored store_drone(worker *w, drone_doc *d, bool *accepted) {
  json_t *doc;
  char id[ADDR_MOST + 16];
  enum stored result;

  (void)snprintf(id, sizeof id, "drone:%s", d->addr);
  d->at_ms = wall_ms();
  doc = drone_doc_write(d);
  result = put_doc(w, w->locks, id, doc, d->rev, accepted);
  json_decref(doc);
  if (result == STORED)
    kernel_saw(w->k, d, true);
  return result;
}

enum stored store_route(worker *w, route_doc *r) {
  json_t *doc;
  char id[NAME_MOST + 16];
  enum stored result;

  (void)snprintf(id, sizeof id, "route:%s", r->app);
  r->at_ms = wall_ms();
  doc = route_doc_write(r);
  result = put_doc(w, w->apps, id, doc, r->rev, NULL);
  json_decref(doc);
  return result;
}

enum stored store_no_route(worker *w, const route_doc *r, int64_t gen) {
  char id[NAME_MOST + 16], rev[REV_MOST + 1];
  json_t *doc;
  enum stored result;

  (void)snprintf(id, sizeof id, "route:%s", r->app);
  doc = json_pack("{s:s, s:s, s:b, s:I}", "_id", id, "_rev", r->rev, "_deleted",
                  1, "gen", (json_int_t)gen);
  result = put_doc(w, w->apps, id, doc, rev, NULL);
  json_decref(doc);
  return result;
}

#ifdef PLATFORM_HOOKS
enum stored store_raw_drone(worker *w, const char *addr, const json_t *doc,
                            char rev[REV_MOST + 1]) {
  char id[ADDR_MOST + 16];

  (void)snprintf(id, sizeof id, "drone:%s", addr);
  return put_doc(w, w->locks, id, doc, rev, NULL);
}
#endif
