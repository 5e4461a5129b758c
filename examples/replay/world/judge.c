/* What must be so when the trouble is over: nothing is lost, every drone has
 * an owner or is free, whoever was told live had an address of his own. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[LAWS] = {"I1", "I2", "I3", "I4", "I10", "I12"};
const law_list all_laws = {names, LAWS};

typedef struct rest_state {
  json_t *drones, *routes, *apps; /* rows of _all_docs */
  unsigned live, wanted, free, bound, other;
  char open[300]; /* what is not as it should be */
} rest_state;

static const char *text_of(const json_t *doc, const char *key) {
  const char *s = json_string_value(json_object_get(doc, key));
  return s ? s : "";
}

static void note(rest_state *s, const char *what, const char *id,
                 const char *more) {
  if (!s->open[0])
    (void)snprintf(s->open, sizeof s->open, "%s: %.80s %.120s", what, id, more);
}

static const json_t *doc_of(const json_t *list, const char *id) {
  size_t i;
  const json_t *row;
  json_array_foreach(list, i, row) if (strcmp(text_of(row, "id"), id) ==
                                       0) return json_object_get(row, "doc");
  return NULL;
}

/* A drone is free and holds nothing, or bound for what its document says, and
   a route of that app names it. */
static void look_at_drone(run *r, rest_state *s, const json_t *doc) {
  const char *state = text_of(doc, "state");
  const json_t *claim = json_object_get(doc, "claim");
  const char *id = text_of(claim, "id");
  char route_id[96];
  int i = drone_find(r, text_of(doc, "addr"));
  if (i < 0)
    return;
  if (strcmp(state, "free") == 0) {
    s->free++;
    if (drone_holds(r, (unsigned)i, "") != 1)
      note(s, "free, but it holds a claim", text_of(doc, "addr"), "");
    return;
  }
  if (strcmp(state, "bound") != 0) {
    s->other++;
    note(s, "neither free nor bound", text_of(doc, "addr"), state);
    return;
  }
  s->bound++;
  if (drone_holds(r, (unsigned)i, id) != 1)
    note(s, "bound, but it does not hold the claim", text_of(doc, "addr"), id);
  (void)snprintf(route_id, sizeof route_id, "route:%.80s",
                 text_of(claim, "app"));
  const json_t *route = doc_of(s->routes, route_id);
  const json_t *to = json_array_get(json_object_get(route, "to"), 0);
  if (strcmp(text_of(to, "claim"), id) != 0)
    note(s, "bound, but its route does not say so", text_of(doc, "addr"),
         route_id);
}

static bool answers(const char *addr, const char *app, const char *claim) {
  char nonce[96];
  (void)snprintf(nonce, sizeof nonce, "app=%.60s nonce=", app);
  return guard_ask(addr, app, claim, nonce);
}

static void look_at_app(run *r, rest_state *s, const json_t *doc) {
  const json_t *want = json_object_get(doc, "want");
  const char *app = text_of(doc, "_id") + strlen("app:");
  char id[96];
  (void)r;
  if (!json_is_object(want))
    return;
  (void)snprintf(id, sizeof id, "route:%.80s", app);
  const json_t *route = doc_of(s->routes, id);
  bool live = strcmp(text_of(route, "state"), "live") == 0;
  bool same = json_integer_value(json_object_get(route, "gen")) ==
              json_integer_value(json_object_get(want, "gen"));
  if (strcmp(text_of(want, "state"), "started") != 0) {
    if (live && json_integer_value(json_object_get(want, "gen")) > 0)
      note(s, "to be stopped, but live", app, "");
    return;
  }
  s->wanted++;
  if (!live || !same)
    return;
  const json_t *to = json_array_get(json_object_get(route, "to"), 0);
  if (!answers(text_of(to, "addr"), app, text_of(to, "claim")))
    note(s, "live, but it does not answer with its nonce", app,
         text_of(to, "addr"));
  else
    s->live++;
}

static void look(run *r, rest *couch, rest_state *s) {
  size_t i;
  json_t *row;
  memset(s, 0, sizeof *s);
  s->drones = couch_rows(couch, r->locks, "drone");
  s->routes = couch_rows(couch, r->apps, "route");
  s->apps = couch_rows(couch, r->apps, "app");
  if (!s->drones || !s->routes || !s->apps)
    note(s, "the database does not answer", "", "");
  json_array_foreach(s->drones, i, row)
      look_at_drone(r, s, json_object_get(row, "doc"));
  json_array_foreach(s->apps, i, row)
      look_at_app(r, s, json_object_get(row, "doc"));
  unsigned can = s->wanted < r->entered ? s->wanted : r->entered;
  char count[80];
  (void)snprintf(count, sizeof count, "%u of %u, drones %u free %u bound",
                 s->live, can, s->free, s->bound);
  if (s->live < can)
    note(s, "not live yet", "", count);
  if (s->live > r->entered)
    broke(r, I12_POOL, "%u live on %u drones", s->live, r->entered);
  json_decref(s->drones);
  json_decref(s->routes);
  json_decref(s->apps);
}

static void judge_rest(run *r) {
  rest *couch = couch_looker(r);
  rest_state s;
  int64_t began = now_ms();
  do {
    look(r, couch, &s);
    if (s.open[0])
      sleep_ms(500);
  } while (s.open[0] && now_ms() - began < r->o->calm_ms);
  r->settle_s = (double)(now_ms() - began) / 1000;
  if (s.open[0])
    broke(r, I10_NOTHING_LOST, "%s", s.open);
  rest_free(couch);
}

/* No two apps were ever told the same address and claim. */
static void judge_lives(run *r) {
  for (size_t i = 0; i < r->life_count; i++)
    for (size_t k = 0; k < i; k++)
      if (r->lives[i].app != r->lives[k].app &&
          strcmp(r->lives[i].claim, r->lives[k].claim) == 0 &&
          strcmp(r->lives[i].addr, r->lives[k].addr) == 0)
        broke(r, I4_DISTINCT, "%s and %s were both told %s %s", r->lives[i].op,
              r->lives[k].op, r->lives[i].addr, r->lives[i].claim);
}

static void judge_nonces(run *r) {
  char said[2048];
  if (file_read(r->nonce_log, said, sizeof said))
    broke(r, I1_ONE_CLAIM, "%.*s", (int)strcspn(said, "\n"), said);
}

void judge(run *r) {
  judge_rest(r);
  judge_lives(r);
  judge_nonces(r);
  judge_binds(r);
}

void judge_print(const run *r, bool ok) {
  printf(
      "%-4s seed %llu%s%s: %u calls, %u told live (%u looked at too late), "
      "%u accepted, %u refused, %u failed; settled in %.1f s\n"
      "     killed at claim %u bind %u start %u settle %u publish %u, "
      "provisioners killed %u stopped %u, drones killed %u stopped %u robbed "
      "%u; %u looks at agents, %u at routes, %u binds\n",
      ok ? "ok" : "BAD", (unsigned long long)r->seed, r->o->naive ? " " : "",
      r->o->naive ? r->o->naive : "", r->calls, r->told_live, r->late_truth,
      r->accepted, r->refused, r->failed_calls, r->settle_s,
      r->failpoint_deaths[0], r->failpoint_deaths[1], r->failpoint_deaths[2],
      r->failpoint_deaths[3], r->failpoint_deaths[4], r->prov_kills,
      r->prov_stops, r->drone_kills, r->drone_stops, r->files_lost, r->samples,
      r->routes_read, r->binds);
  for (unsigned law = 0; law < LAWS; law++)
    if (r->broken[law])
      printf("     %-3s broken %u times: %s\n", names[law], r->broken[law],
             r->first[law]);
}
