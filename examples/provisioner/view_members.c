/* What the view remembers beside the mirrors: who else provisions, up to when
   the feeds have come, and how far apps had got that are gone. */
#include "provisioner/view_state.h"

#include "common/log.h"
#include <stdlib.h>
#include <string.h>

/* ---- provisioners ---- */

/* The first tick that is seen of a life may be an old one out of the list of
   documents: it counts from when it says it was written. Those that follow have
   come when they came, whatever the other machine's clock says. */
static int64_t seen_at(const tick_doc *tick, bool first) {
  int64_t age = view_wall_ms() - tick->at_ms;

  return view_up_ms() - (first && age > 0 ? age : 0);
}

static member *member_of(view *v, const char *id) {
  for (size_t i = 0; i < v->member_count; i++)
    if (strcmp(v->members[i].id, id) == 0)
      return &v->members[i];
  return NULL;
}

/* The one unheard for longest makes place. */
static member *new_member(view *v) {
  size_t oldest = 0;

  if (v->member_count < MEMBERS_MOST - 1) /* one place is ours */
    return &v->members[v->member_count++];
  for (size_t i = 1; i < v->member_count; i++)
    if (v->members[i].seen_ms < v->members[oldest].seen_ms)
      oldest = i;
  return &v->members[oldest];
}

static void other_tick(view *v, const tick_doc *tick) {
  member *m;
  bool first;

  (void)pthread_mutex_lock(&v->lock);
  m = member_of(v, tick->id);
  first = m == NULL || strcmp(m->boot, tick->boot) != 0;
  if (m == NULL)
    m = new_member(v);
  memcpy(m->id, tick->id, sizeof m->id);
  memcpy(m->boot, tick->boot, sizeof m->boot);
  m->n = tick->n;
  m->seen_ms = seen_at(tick, first);
  if (m->seen_ms > v->ticked_ms)
    v->ticked_ms = m->seen_ms;
  (void)pthread_mutex_unlock(&v->lock);
}

static void own_tick(view *v, view_database *d, const tick_doc *tick) {
  if (strcmp(tick->boot, v->boot) != 0) {
    if (view_wall_ms() - tick->at_ms < v->config.fresh_ms)
      log_event(LOG_WARN, "view.same_id", LS("id", v->self),
                LS("why", "another provisioner with this id wrote a tick just "
                          "now; if it has not ended, give it another --id"));
    return;
  }
  if (tick->up_ms > atomic_load(&d->proof_ms))
    atomic_store(&d->proof_ms, tick->up_ms);
  (void)pthread_mutex_lock(&v->lock);
  v->ticked_ms = view_up_ms();
  (void)pthread_mutex_unlock(&v->lock);
}

void view_tick_came(view *v, int database, const tick_doc *tick) {
  if (strcmp(tick->id, v->self) == 0)
    own_tick(v, &v->databases[database], tick);
  else if (database == VIEW_APPS)
    other_tick(v, tick);
}

void view_tick_gone(view *v, const char *id) {
  member *m;

  (void)pthread_mutex_lock(&v->lock);
  m = member_of(v, id);
  if (m != NULL)
    *m = v->members[--v->member_count];
  (void)pthread_mutex_unlock(&v->lock);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

/* Fresh is measured against the last tick of anybody: while no feed comes, the
   list stays as it was, and nobody takes over everything. */
size_t view_members(view *v, char names[MEMBERS_MOST][NAME_MOST + 1]) {
  size_t count = 0;

  memcpy(names[count++], v->self, NAME_MOST + 1);
  (void)pthread_mutex_lock(&v->lock);
  for (size_t i = 0; i < v->member_count; i++)
    if (v->ticked_ms - v->members[i].seen_ms < v->config.fresh_ms)
      memcpy(names[count++], v->members[i].id, NAME_MOST + 1);
  (void)pthread_mutex_unlock(&v->lock);
  qsort(names, count, sizeof names[0], by_name);
  return count;
}

bool view_is_mine(view *v, const char *app) {
  char names[MEMBERS_MOST][NAME_MOST + 1];
  const char *each[MEMBERS_MOST];
  size_t count = view_members(v, names);

  for (size_t i = 0; i < count; i++)
    each[i] = names[i];
  return strcmp(names[id_rendezvous(app, each, count)], v->self) == 0;
}

int64_t view_ticked_ms(view *v) {
  int64_t ms;

  (void)pthread_mutex_lock(&v->lock);
  ms = v->ticked_ms;
  (void)pthread_mutex_unlock(&v->lock);
  return ms;
}

/* ---- freshness ---- */

bool view_is_synced(const view *v) {
  return atomic_load(&v->databases[VIEW_APPS].synced) &&
         atomic_load(&v->databases[VIEW_LOCKS].synced);
}

int64_t view_tick_age_ms(const view *v) {
  int64_t apps = atomic_load(&v->databases[VIEW_APPS].proof_ms);
  int64_t locks = atomic_load(&v->databases[VIEW_LOCKS].proof_ms);

  if (apps == 0 || locks == 0)
    return INT64_MAX;
  return view_up_ms() - (apps < locks ? apps : locks);
}

bool view_is_fresh(const view *v) {
  return view_is_synced(v) && view_tick_age_ms(v) < v->config.fresh_ms;
}

/* ---- apps that are gone ---- */

void view_app_gone(view *v, const char *name, int64_t gen) {
  gone_app **slot = &v->gone[id_hash(name, strlen(name)) % GONE_BUCKETS];
  gone_app *it;

  (void)pthread_mutex_lock(&v->lock);
  for (it = *slot; it != NULL && strcmp(it->name, name) != 0; it = it->next)
    ;
  /* Beyond that many the tombstones still say it, to who asks the database. */
  if (it == NULL && v->gone_count < GONE_MOST &&
      (it = calloc(1, sizeof *it)) != NULL) {
    memcpy(it->name, name, strlen(name) + 1);
    it->next = *slot;
    *slot = it;
    v->gone_count++;
  }
  if (it != NULL && it->gen < gen)
    it->gen = gen;
  (void)pthread_mutex_unlock(&v->lock);
}

static int64_t gone_gen(view *v, const char *name) {
  const gone_app *it;
  int64_t gen = 0;

  (void)pthread_mutex_lock(&v->lock);
  for (it = v->gone[id_hash(name, strlen(name)) % GONE_BUCKETS]; it != NULL;
       it = it->next)
    if (strcmp(it->name, name) == 0)
      gen = it->gen;
  (void)pthread_mutex_unlock(&v->lock);
  return gen;
}

int64_t view_gen(view *v, const char *app) {
  int64_t gen = gone_gen(v, app);
  route_doc route;
  app_doc doc;

  if (view_app(v, app, &doc)) {
    gen = doc.gen > gen ? doc.gen : gen;
    app_doc_free(&doc);
  }
  if (view_route(v, app, &route) && route.gen > gen)
    gen = route.gen;
  return gen;
}
