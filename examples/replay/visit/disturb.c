/* What can go wrong between the database and a balancer, without either being
 * away: each is a rule for the balancer's node, and the end of the connections
 * that are there, so that the next ones come under it. */
#include "visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CATCH_UP_MS = 5000 };

static const struct {
  const char *name, *what;
} spells[] = {{"muddle", "{\"repeat\":0.5,\"old\":0.4,\"reorder\":0.4}"},
              {"behind", "{\"old\":0.6,\"reorder\":0.6,\"rewind\":6}"},
              {"backward", "{\"old\":1,\"rewind_all\":true,\"slice\":64,"
                           "\"slice_ms\":4}"},
              {"rewind", "{\"rewind_all\":true,\"rewind_rows\":2}"},
              {"repeat", "{\"rewind\":4,\"rewind_rows\":1,\"repeat\":0.3}"},
              {"cut", "{\"cut_at\":237}"},
              {"reset", "{\"cut_at\":900,\"cut_reset\":true}"},
              {"slices", "{\"slice\":5,\"slice_ms\":1}"},
              {"mute", "{\"mute_at\":400}"},
              {"error", "{\"error_rows\":2}"},
              {"end", "{\"end_rows\":1}"},
              {"beats", "{\"stall_rows\":1,\"stall_beats\":true}"},
              {"silence", "{\"stall_rows\":0}"},
              {"refuse", "{\"status\":503}"},
              {"slow", "{\"head_ms\":700}"}};

enum { SPELLS = sizeof spells / sizeof spells[0] };

int spell_of(const char *name) {
  for (int i = 0; i < SPELLS; i++)
    if (strcmp(spells[i].name, name) == 0)
      return i;
  return -1;
}

const char *spell_name(int spell) { return spells[spell].name; }

static json_int_t rule(visit *v, unsigned node, const char *kind,
                       const char *what) {
  rest *control = rest_to(v->k.control, NULL);
  json_t *answer = NULL;
  json_int_t id = 0;
  int status = ask(control, "POST", "/rules",
                   json_pack("{s:i,s:s,s:o}", "node", (int)node, "kind", kind,
                             "do", json_loads(what, 0, NULL)),
                   5000, &answer);
  if (status / 100 == 2)
    id = json_integer_value(json_object_get(answer, "id"));
  else
    (void)fprintf(stderr, "couchsim does not take %s: %d\n", what, status);
  json_decref(answer);
  rest_free(control);
  return id;
}

static void close_feeds(visit *v, unsigned i, bool reset) {
  tell_couch(&v->k, "POST", "/close",
             json_pack("{s:i,s:b,s:b}", "node", (int)v->balancers[i].node,
                       "feeds", 1, "reset", (int)reset));
}

static void cast(visit *v, unsigned i, const char *kind, const char *what,
                 int64_t ms) {
  balancer *b = &v->balancers[i];
  balancer_ill(b);
  b->spell = rule(v, b->node, kind, what);
  b->spell_ms = ms == INT64_MAX ? ms : now_ms() + ms;
  close_feeds(v, i, dice_below(&v->dice, 2) == 0);
  v->disturbed++;
}

void disturb(visit *v, unsigned i, int64_t ms) {
  unsigned n = dice_below(&v->dice, SPELLS);
  cast(v, i, "changes", spells[v->o->spell >= 0 ? v->o->spell : (int)n].what,
       ms);
}

void disturb_stall(visit *v, unsigned i, bool beats) {
  cast(v, i, "changes",
       beats ? "{\"stall_rows\":0,\"stall_beats\":true}" : "{\"stall_rows\":0}",
       INT64_MAX);
}

void disturb_empty(visit *v, unsigned i) {
  cast(v, i, "all_docs",
       "{\"status\":200,\"body\":"
       "\"{\\\"total_rows\\\":0,\\\"offset\\\":0,\\\"rows\\\":[]}\\n\"}",
       INT64_MAX);
}

void disturb_end(visit *v, unsigned i) {
  balancer *b = &v->balancers[i];
  char path[64];
  if (b->spell == 0)
    return;
  (void)snprintf(path, sizeof path, "/rules/%lld", (long long)b->spell);
  tell_couch(&v->k, "DELETE", path, NULL);
  b->spell = 0;
  close_feeds(v, i, false);
  balancer_well(b, CATCH_UP_MS);
}

void disturb_look(visit *v) {
  for (unsigned i = 0; i < BALANCERS; i++)
    if (v->balancers[i].spell && now_ms() >= v->balancers[i].spell_ms)
      disturb_end(v, i);
}

static void all_ill(visit *v) {
  for (unsigned i = 0; i < BALANCERS; i++)
    balancer_ill(&v->balancers[i]);
}

/* Those that are under no spell. */
static void some_well(visit *v) {
  for (unsigned i = 0; i < BALANCERS; i++)
    if (v->balancers[i].spell == 0 && v->balancers[i].life % 2 == 1)
      balancer_well(&v->balancers[i], CATCH_UP_MS);
}

/* Its shards are missing to the other nodes as well. */
void node_up(visit *v, unsigned node, bool up) {
  all_ill(v);
  tell_couch(&v->k, "POST", "/node",
             json_pack("{s:i,s:b}", "node", (int)node, "up", (int)up));
  if (up)
    some_well(v);
}

/* It goes on with what it has, and hears of nothing. */
void node_split(visit *v, unsigned node, bool split) {
  json_t *others = json_array();
  all_ill(v);
  for (unsigned i = 0; i < VISIT_NODES; i++)
    if (i != node)
      (void)json_array_append_new(others, json_integer(i));
  if (split) {
    tell_couch(&v->k, "POST", "/split",
               json_pack("{s:[[i],o]}", "groups", (int)node, others));
    return;
  }
  json_decref(others);
  tell_couch(&v->k, "POST", "/heal", json_object());
  some_well(v);
}
