/* What the database has, as somebody sees it who only reads: each revision of
 * each route, and when it was first there. */
#include "visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVERY_MS = 20 };

int app_of(const visit *v, const char *name) {
  static const char prefix[] = "app-";
  char *end = NULL;
  if (!name || strncmp(name, prefix, sizeof prefix - 1) != 0)
    return -1;
  unsigned long n = strtoul(name + sizeof prefix - 1, &end, 10);
  return end == name + sizeof prefix - 1 || *end || n >= v->o->apps ? -1
                                                                    : (int)n;
}

/* Under the lock. */
static void see(visit *v, unsigned app, const json_t *doc, int64_t now) {
  app_facts *f = &v->facts[app];
  const char *rev = json_string_value(json_object_get(doc, "_rev"));
  const char *state = json_string_value(json_object_get(doc, "state"));
  revision *last = f->count ? &f->history[(f->count - 1) % HISTORY] : NULL, *r;
  if (!rev || (last && strcmp(last->rev, rev) == 0))
    return;
  r = &f->history[f->count++ % HISTORY];
  (void)snprintf(r->rev, sizeof r->rev, "%s", rev);
  r->gen = json_integer_value(json_object_get(doc, "gen"));
  r->seen_ms = now;
  (void)snprintf(f->state, sizeof f->state, "%s", state ? state : "");
  v->changed_ms = now;
}

void *facts_main(void *arg) {
  visit *v = arg;
  rest *couch = couch_looker(&v->k);
  while (!v->watch_end) {
    json_t *rows = couch_rows(couch, v->k.apps, "route"), *row;
    int64_t now = now_ms();
    size_t i;
    (void)pthread_mutex_lock(&v->lock);
    json_array_foreach(rows, i, row) {
      const json_t *doc = json_object_get(row, "doc");
      const char *id = json_string_value(json_object_get(doc, "_id"));
      int app = id ? app_of(v, id + strlen("route:")) : -1;
      if (app >= 0)
        see(v, (unsigned)app, doc, now);
    }
    (void)pthread_mutex_unlock(&v->lock);
    json_decref(rows);
    sleep_ms(v->o->look_ms ? v->o->look_ms : EVERY_MS);
  }
  rest_free(couch);
  return NULL;
}
