/* Looks at what a balancer holds, all the time.
 *
 * I7: a revision that the database has is at a balancer that is well soon
 * (within a second, 99 of a hundred), and one that has not got it for longer
 * than it calls itself stale after, says so. With HAProxy a revision is there
 * once HAProxy has it, and a balancer whose HAProxy lacks it says that. I16: in
 * one life of a balancer, an app's gen does not go back, unless the database
 * itself has a winning revision with a lower one. */
#include "visit.h"

#include <changefeed/mirror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVERY_MS = 20, STALE_SLACK_MS = 3000, SLOW_MS = 3000 };

static int compare(const char *a, const char *b) {
  return changefeed_rev_compare(a, strlen(a), b, strlen(b));
}

static void keep_latency(visit *v, int64_t ms) {
  v->checks[V7_SOON]++;
  if (v->latency_count < LATENCIES_MOST)
    v->latencies[v->latency_count++] = ms < 0 ? 0 : (int)ms;
}

/* Under the lock: what is held covers all up to its revision. A balancer that
   was ill at any time since the revision was there is not measured. */
static void cover(visit *v, balancer *b, unsigned app, const char *rev,
                  int64_t now) {
  app_facts *f = &v->facts[app];
  held *h = &v->held[b->index][app];
  if (f->count > HISTORY && h->next < f->count - HISTORY)
    h->next = f->count - HISTORY;
  for (; h->next < f->count; h->next++) {
    const revision *r = &f->history[h->next % HISTORY];
    if (compare(rev, r->rev) < 0)
      return;
    if (r->seen_ms > b->ill_until_ms)
      keep_latency(v, now - r->seen_ms);
  }
}

/* Under the lock; what is wrong is told behind it. */
static bool goes_back(visit *v, held *h, const char *rev, int64_t gen,
                      unsigned number, char *why, size_t size) {
  bool back = h->life == number && gen < h->gen &&
              (!h->rev[0] || compare(rev, h->rev) <= 0);
  if (h->life == number)
    v->checks[V16_ONWARD]++;
  if (back)
    (void)snprintf(why, size, "gen %lld (%s) after gen %lld (%s)",
                   (long long)gen, rev, (long long)h->gen, h->rev);
  h->life = number;
  h->gen = gen;
  (void)snprintf(h->rev, sizeof h->rev, "%s", rev);
  return back;
}

static void look_at_route(visit *v, balancer *b, const json_t *row,
                          unsigned number, bool in_force, int64_t now) {
  const char *name = json_string_value(json_object_get(row, "app"));
  const char *rev = json_string_value(json_object_get(row, "rev"));
  const json_t *gen = json_object_get(row, "gen");
  char why[300] = "";
  int app = app_of(v, name);
  if (app < 0 || !rev || !json_is_integer(gen))
    return;
  (void)pthread_mutex_lock(&v->lock);
  bool back = goes_back(v, &v->held[b->index][app], rev,
                        json_integer_value(gen), number, why, sizeof why);
  if (in_force)
    cover(v, b, (unsigned)app, rev, now);
  (void)pthread_mutex_unlock(&v->lock);
  if (back)
    wrong(v, V16_ONWARD, "%s, app-%d: %s", b->id, app, why);
}

/* Under the lock: for how long something has been missing in this life. */
static int64_t missing_ms(visit *v, balancer *b, int64_t now, unsigned *app) {
  int64_t most = 0, began = b->began_ms;
  for (unsigned a = 0; a < v->o->apps; a++) {
    const held *h = &v->held[b->index][a];
    const app_facts *f = &v->facts[a];
    if (h->next >= f->count || f->count - h->next > HISTORY)
      continue;
    int64_t seen = f->history[h->next % HISTORY].seen_ms;
    int64_t ms = now - (seen > began ? seen : began);
    if (ms > most) {
      most = ms;
      *app = a;
    }
  }
  return most;
}

/* Whether it says that visitors may be shown what is old. */
static bool says_so(const visit *v, const json_t *status) {
  const json_t *engine = json_object_get(status, "engine");
  const char *trouble = json_string_value(json_object_get(engine, "trouble"));
  return json_is_true(json_object_get(status, "stale")) ||
         (v->o->haproxy && trouble && trouble[0]);
}

static void look_at_status(visit *v, balancer *b, const json_t *status,
                           int64_t now) {
  const json_t *says = json_object_get(status, "stale");
  bool stale = says_so(v, status);
  unsigned app = 0;
  if (!json_is_boolean(says) || v->in_parts)
    return;
  (void)pthread_mutex_lock(&v->lock);
  int64_t ms = missing_ms(v, b, now, &app);
  held *h = &v->held[b->index][app];
  bool late = ms > v->o->stale_ms + STALE_SLACK_MS;
  bool told = h->late > h->next;
  if (late && !stale)
    h->late = h->next + 1;
  (void)pthread_mutex_unlock(&v->lock);
  if (late)
    v->checks[V7_SOON]++;
  if (late && !stale && !told)
    wrong(v, V7_SOON,
          "%s has not got a change of app-%u after %lld ms, and does not say "
          "that it is stale",
          b->id, app, (long long)ms);
}

/* What it does not tell of is not there. */
static void look_for_gone(visit *v, balancer *b, const bool *there) {
  (void)pthread_mutex_lock(&v->lock);
  for (unsigned app = 0; app < v->o->apps; app++)
    if (!there[app])
      v->held[b->index][app].rev[0] = '\0';
  (void)pthread_mutex_unlock(&v->lock);
}

static void look_at_routes(visit *v, balancer *b, const json_t *rows,
                           unsigned number, bool in_force, int64_t now) {
  bool there[VISIT_APPS_MOST] = {false};
  const json_t *row;
  size_t i;
  json_array_foreach(rows, i, row) {
    int app = app_of(v, json_string_value(json_object_get(row, "app")));
    look_at_route(v, b, row, number, in_force, now);
    if (app >= 0)
      there[app] = true;
  }
  look_for_gone(v, b, there);
}

/* What /routes said is in force, if the status, asked later, says that nothing
   waits. */
static void look(visit *v, balancer *b, rest *admin, bool status_too) {
  json_t *all = NULL, *status = NULL;
  unsigned number = b->life;
  if (number % 2 == 0)
    return;
  bool told =
      ask(admin, "GET", "/routes?limit=1000", NULL, SLOW_MS, &all) == 200;
  int64_t now = now_ms();
  if ((status_too || v->o->haproxy) &&
      ask(admin, "GET", "/status", NULL, SLOW_MS, &status) != 200) {
    json_decref(status);
    status = NULL;
  }
  if (v->o->haproxy)
    now = now_ms();
  if (told && b->life == number)
    look_at_routes(v, b, json_object_get(all, "routes"), number,
                   !v->o->haproxy || haproxy_has_all(status), now);
  if (status_too && b->life == number)
    look_at_status(v, b, status, now_ms());
  json_decref(all);
  json_decref(status);
}

void *watch_main(void *arg) {
  visit_arg *me = arg;
  balancer *b = &me->v->balancers[me->index];
  rest *admin = rest_to(b->admin, NULL);
  for (unsigned n = 0; !me->v->watch_end; n++) {
    look(me->v, b, admin, n % 10 == 0);
    sleep_ms(me->v->o->look_ms ? me->v->o->look_ms : EVERY_MS);
  }
  rest_free(admin);
  return NULL;
}

static int compare_ms(const void *a, const void *b) {
  return *(const int *)a - *(const int *)b;
}

void watch_judge(visit *v) {
  size_t n = v->latency_count;
  if (n == 0)
    return;
  qsort(v->latencies, n, sizeof *v->latencies, compare_ms);
  int p99 = v->latencies[(n * 99 - 1) / 100];
  if (p99 > v->o->soon_ms)
    wrong(v, V7_SOON, "p99 of %zu changes is %d ms", n, p99);
}
