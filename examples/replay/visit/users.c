/* Users: who want their apps somewhere else, stopped, started; and what is
 * wished for in the end. The last app is never started by anybody. */
#include "visit.h"

#include <stdio.h>
#include <string.h>

enum { OP_MS = 20000, AGAIN_MS = 200, AT_ONCE = 2 };

static rest *to_prov(const visit *v, unsigned i) {
  return rest_to(v->k.provs[i].url, token_text());
}

static int start(visit *v, rest *to, unsigned app, bool force,
                 json_t **answer) {
  char path[64];
  json_t *body = json_object();
  if (force)
    (void)json_object_set_new(body, "force", json_true());
  (void)snprintf(path, sizeof path, "/apps/app-%u/start", app);
  v->wishes++;
  return ask(to, "POST", path, body, 8000, answer);
}

void *mover_main(void *arg) {
  visit_arg *me = arg;
  visit *v = me->v;
  dice d = {.state = v->k.seed * 7727 + me->index};
  rest *to[VISIT_PROVS];
  for (unsigned i = 0; i < VISIT_PROVS; i++)
    to[i] = to_prov(v, i);
  while (!v->users_end) {
    unsigned app = dice_below(&d, v->o->apps - 1);
    double what = dice_chance(&d);
    rest *one = to[dice_below(&d, VISIT_PROVS)];
    char path[64];
    (void)snprintf(path, sizeof path, "/apps/app-%u/stop", app);
    if (what < 0.15)
      (void)ask(one, "POST", path, json_object(), 8000, NULL);
    else
      (void)start(v, one, app, what < 0.75, NULL);
    sleep_ms(100 + dice_below(&d, 300));
  }
  for (unsigned i = 0; i < VISIT_PROVS; i++)
    rest_free(to[i]);
  return NULL;
}

/* ---- what there is ---- */

static const char *text_of(const json_t *doc, const char *key) {
  const char *s = json_string_value(json_object_get(doc, key));
  return s ? s : "";
}

/* So many that an app is not given its own one again. */
static bool has_free(visit *v, unsigned wanted) {
  rest *couch = couch_looker(&v->k);
  int64_t end = now_ms() + v->o->calm_ms;
  unsigned count = 0;
  while (count < wanted && now_ms() < end) {
    json_t *drones = couch_rows(couch, v->k.locks, "drone"), *row;
    size_t i;
    count = 0;
    json_array_foreach(drones, i, row) count +=
        strcmp(text_of(json_object_get(row, "doc"), "state"), "free") == 0;
    json_decref(drones);
    if (count < wanted)
      sleep_ms(20);
  }
  rest_free(couch);
  return count >= wanted;
}

/* ---- all is well, and apps are moved ---- */

static bool is_live(rest *to, const json_t *answer, int64_t end) {
  const char *op = json_string_value(json_object_get(answer, "op"));
  char path[200];
  bool live = false;
  if (!op)
    return false;
  (void)snprintf(path, sizeof path, "/ops/%.120s?wait=3", op);
  while (!live && now_ms() < end) {
    json_t *later = NULL;
    int status = ask(to, "GET", path, NULL, 8000, &later);
    const char *state = json_string_value(json_object_get(later, "state"));
    live = status == 200 && state && strcmp(state, "live") == 0;
    json_decref(later);
    if (!live)
      sleep_ms(50);
  }
  return live;
}

typedef struct move {
  unsigned app;
  rest *to;
  json_t *answer; /* NULL: not accepted */
} move;

static void begin_move(visit *v, move *m, unsigned app) {
  int64_t end = now_ms() + OP_MS;
  int status = 0;
  m->app = app;
  m->to = to_prov(v, dice_below(&v->dice, VISIT_PROVS));
  m->answer = NULL;
  while ((status = start(v, m->to, app, true, &m->answer)) != 202 &&
         now_ms() < end) {
    json_decref(m->answer);
    m->answer = NULL;
    sleep_ms(AGAIN_MS);
  }
  if (status != 202)
    wrong(v, V10_LIVE, "app-%u is not to be moved while all is well: %d", app,
          status);
}

static void end_move(visit *v, move *m) {
  if (m->answer && is_live(m->to, m->answer, now_ms() + OP_MS))
    v->moves++;
  else
    wrong(v, V10_LIVE, "app-%u was not moved while all was well", m->app);
  json_decref(m->answer);
  rest_free(m->to);
}

/* Some at a time, as long as there are drones for them. */
void move_apps(visit *v) {
  move moves[AT_ONCE];
  for (unsigned n = 0; n < v->o->moves;) {
    unsigned first = v->o->movable ? n : dice_below(&v->dice, v->o->apps - 1);
    unsigned count = 0;
    if (!has_free(v, AT_ONCE + 1)) {
      wrong(v, V10_LIVE, "no drone is free while all is well");
      return;
    }
    for (; count < AT_ONCE && n < v->o->moves; n++, count++)
      begin_move(v, &moves[count], (first + count) % (v->o->apps - 1));
    for (unsigned i = 0; i < count; i++)
      end_move(v, &moves[i]);
  }
}

/* ---- in the end ---- */

static void end_mayfly(visit *v) {
  int64_t end = now_ms() + OP_MS;
  int status = 0;
  while ((status = mayfly_ask(v, "DELETE", "", NULL)) / 100 != 2 &&
         status != 404 && now_ms() < end)
    sleep_ms(AGAIN_MS);
}

void last_wishes(visit *v, bool end) {
  if (end)
    end_mayfly(v);
  for (unsigned app = 0; app + 1 < v->o->apps; app++)
    if (!post_wish(&v->k, app, end && app == 0 ? "stop" : "start"))
      wrong(v, V10_LIVE, "nobody takes the wish for app-%u", app);
}

static const json_t *doc_of(const json_t *list, const char *id) {
  size_t i;
  const json_t *row;
  json_array_foreach(list, i, row) if (strcmp(text_of(row, "id"), id) ==
                                       0) return json_object_get(row, "doc");
  return NULL;
}

static bool is_as_wanted(const json_t *app, const json_t *routes) {
  const json_t *want = json_object_get(app, "want");
  const char *name = text_of(app, "_id") + strlen("app:");
  char id[96];
  (void)snprintf(id, sizeof id, "route:%.80s", name);
  const json_t *route = doc_of(routes, id);
  bool started = strcmp(text_of(want, "state"), "started") == 0;
  return route &&
         strcmp(text_of(route, "state"), started ? "live" : "stopped") == 0 &&
         json_integer_value(json_object_get(route, "gen")) ==
             json_integer_value(json_object_get(want, "gen"));
}

static bool look(const visit *v, rest *couch, char *open, size_t size) {
  json_t *apps = couch_rows(couch, v->k.apps, "app"), *row;
  json_t *routes = couch_rows(couch, v->k.apps, "route");
  json_t *drones = couch_rows(couch, v->k.locks, "drone");
  bool all = apps && routes && drones;
  size_t i;
  (void)snprintf(open, size, "the database does not answer");
  json_array_foreach(apps, i, row) {
    const json_t *doc = json_object_get(row, "doc");
    if (all && !is_as_wanted(doc, routes)) {
      (void)snprintf(open, size, "%s is not as wanted", text_of(doc, "_id"));
      all = false;
    }
  }
  json_array_foreach(routes, i, row) {
    const char *id = text_of(row, "id");
    char app[96];
    (void)snprintf(app, sizeof app, "app:%.80s", id + strlen("route:"));
    if (all && !doc_of(apps, app)) {
      (void)snprintf(open, size, "%s is there, and its app is destroyed", id);
      all = false;
    }
  }
  json_array_foreach(drones, i, row) {
    const char *state = text_of(json_object_get(row, "doc"), "state");
    if (all && strcmp(state, "free") != 0 && strcmp(state, "bound") != 0) {
      (void)snprintf(open, size, "%s is %s", text_of(row, "id"), state);
      all = false;
    }
  }
  json_decref(apps);
  json_decref(routes);
  json_decref(drones);
  return all;
}

bool settled(visit *v) {
  rest *couch = couch_looker(&v->k);
  int64_t began = now_ms();
  char open[200] = "";
  bool all = false;
  while (!(all = look(v, couch, open, sizeof open)) &&
         now_ms() - began < v->o->calm_ms)
    sleep_ms(100);
  rest_free(couch);
  v->checks[V10_LIVE]++;
  v->settle_s = (double)(now_ms() - began) / 1000;
  if (!all)
    wrong(v, V10_LIVE, "%s", open);
  return all;
}
