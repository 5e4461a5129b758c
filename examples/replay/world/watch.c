/* Looks, all the time: which claim each agent says it holds, and which routes
 * are live. What is seen is judged at once. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void broke(run *r, enum law law, const char *format, ...) {
  va_list args;
  (void)pthread_mutex_lock(&r->lock);
  if (r->broken[law]++ == 0) {
    va_start(args, format);
    (void)vsnprintf(r->first[law], sizeof r->first[law], format, args);
    va_end(args);
  }
  (void)pthread_mutex_unlock(&r->lock);
}

int drone_find(const run *r, const char *addr) {
  for (unsigned i = 0; i < r->o->drones; i++)
    if (strcmp(r->drones[i].addr, addr) == 0)
      return (int)i;
  return -1;
}

/* A claim is one interval: seen, then seen no more. One that comes back after
   another was seen means that two were held at a time. */
static void see(run *r, unsigned i, const char *claim) {
  drone *d = &r->drones[i];
  int64_t now = now_ms();
  (void)pthread_mutex_lock(&d->lock);
  seen_claim *last = d->seen_count ? &d->seen[d->seen_count - 1] : NULL;
  if (*claim && last && strcmp(last->id, claim) == 0) {
    last->last_ms = now;
  } else if (*claim) {
    for (size_t k = 0; k + 1 < d->seen_count; k++)
      if (strcmp(d->seen[k].id, claim) == 0)
        broke(r, I1_ONE_CLAIM, "%s held %s again, after %s", d->addr, claim,
              last->id);
    if (d->seen_count < SEEN_MOST) {
      last = &d->seen[d->seen_count++];
      (void)snprintf(last->id, sizeof last->id, "%s", claim);
      last->first_ms = last->last_ms = now;
    }
  }
  (void)pthread_mutex_unlock(&d->lock);
}

bool drone_has_had(run *r, unsigned i, const char *claim) {
  drone *d = &r->drones[i];
  bool had = false;
  (void)pthread_mutex_lock(&d->lock);
  for (size_t k = 0; k < d->seen_count && !had; k++)
    had = strcmp(d->seen[k].id, claim) == 0;
  (void)pthread_mutex_unlock(&d->lock);
  return had;
}

static const char *claim_of(const json_t *state) {
  const char *id =
      json_string_value(json_object_get(json_object_get(state, "claim"), "id"));
  return id ? id : "";
}

static rest *to_agent(const drone *d) {
  char url[128];
  (void)snprintf(url, sizeof url, "http://%s", d->ctl);
  return rest_to(url, token_text());
}

int drone_holds(run *r, unsigned i, const char *claim) {
  rest *agent = to_agent(&r->drones[i]);
  json_t *state = NULL;
  int status = ask(agent, "GET", "/state", NULL, 1500, &state), held = -1;
  if (status == 200) {
    see(r, i, claim_of(state));
    held = strcmp(claim_of(state), claim) == 0;
  }
  json_decref(state);
  rest_free(agent);
  return held;
}

void *watch_drones_main(void *arg) {
  user_arg *me = arg;
  run *r = me->r;
  static _Thread_local rest *agents[DRONES_MOST];
  while (!r->watch_end) {
    for (unsigned i = me->index; i < r->o->drones && !r->watch_end; i += 4) {
      json_t *state = NULL;
      if (r->drones[i].stopped)
        continue;
      if (!agents[i])
        agents[i] = to_agent(&r->drones[i]);
      if (ask(agents[i], "GET", "/state", NULL, 300, &state) == 200) {
        see(r, i, claim_of(state));
        r->samples++;
      }
      json_decref(state);
    }
    sleep_ms(r->o->look_ms ? r->o->look_ms : r->o->drones > 40 ? 20 : 10);
  }
  for (unsigned i = 0; i < r->o->drones; i++)
    rest_free(agents[i]);
  return NULL;
}

/* ---- routes ---- */

static void look_at_pair(run *r, const json_t *a, const json_t *b,
                         const char *addr) {
  broke(r, I2_ADDRESS, "%s and %s are both live at %s",
        json_string_value(json_object_get(a, "_id")),
        json_string_value(json_object_get(b, "_id")), addr);
}

static const char *live_at(const json_t *doc) {
  const char *state = json_string_value(json_object_get(doc, "state"));
  json_t *to = json_array_get(json_object_get(doc, "to"), 0);
  const char *addr = json_string_value(json_object_get(to, "addr"));
  return state && addr && strcmp(state, "live") == 0 ? addr : NULL;
}

static void look_at_routes(run *r, const json_t *rows) {
  static _Thread_local const json_t *at[DRONES_MOST];
  size_t i;
  const json_t *row;
  unsigned live = 0;
  memset(at, 0, sizeof at);
  json_array_foreach(rows, i, row) {
    const json_t *doc = json_object_get(row, "doc");
    const char *addr = live_at(doc);
    int d = addr ? drone_find(r, addr) : -1;
    if (d < 0)
      continue;
    live++;
    if (at[d])
      look_at_pair(r, at[d], doc, addr);
    at[d] = doc;
  }
  if (live > r->entered)
    broke(r, I12_POOL, "%u apps are live on %u drones", live, r->entered);
}

void *watch_routes_main(void *arg) {
  run *r = arg;
  rest *couch = couch_looker(r);
  while (!r->watch_end) {
    json_t *rows = couch_rows(couch, r->apps, "route");
    if (rows) {
      look_at_routes(r, rows);
      r->routes_read++;
    }
    json_decref(rows);
    sleep_ms(r->o->look_ms ? r->o->look_ms : 50);
  }
  rest_free(couch);
  return NULL;
}
