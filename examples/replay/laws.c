/* The eighteen laws: what they say, what was held to them, and how often they
 * were broken. Those that the world watches are taken from there. */
#include "replay/replay.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[REPLAY_LAWS] = {
    "I1",  "I2",  "I3",  "I4",  "I5",  "I6",  "I7",  "I8",  "I9",
    "I10", "I11", "I12", "I13", "I14", "I15", "I16", "I17", "I18"};
const law_list replay_laws = {names, REPLAY_LAWS};

enum { STEP_NONE = -1 };

/* from: the step without which nothing can be held to it. */
static const struct {
  const char *means;
  int from, world, visit;
} table[REPLAY_LAWS] = {
    {"a drone has one claim at a time", STEP_NONE, I1_ONE_CLAIM, -1},
    {"no two live routes share a drone", STEP_NONE, I2_ADDRESS, -1},
    {"who was told live, was", 1, I3_TRUE, -1},
    {"nobody was told another's claim", 1, I4_DISTINCT, -1},
    {"nobody sees another app", STEP_NONE, -1, V5_OWN},
    {"quiet: all digests are equal", 9, -1, V6_SAME},
    {"changes come soon, or stale is said", 2, -1, V7_SOON},
    {"database away: visitors as before", 8, -1, V8_AWAY},
    {"an app that exists is never unknown", STEP_NONE, -1, V9_KNOWN},
    {"what is wanted is live in the end", 9, I10_NOTHING_LOST, V10_LIVE},
    {"scripts cost nobody anything", 3, -1, -1},
    {"never more live than drones", STEP_NONE, I12_POOL, -1},
    {"who is moved is not noticed", 2, -1, V13_MOVED},
    {"a failed deploy: the old one answers", 2, -1, -1},
    {"maintenance: no writes, no visitor hit", 8, -1, -1},
    {"gen never goes back", STEP_NONE, -1, V16_ONWARD},
    {"one mail a failure, one when well", 10, -1, -1},
    {"memory, descriptors, queues stay", 9, -1, -1}};

void law_checked(replay *r, enum replay_law law) { r->laws[law].checks++; }

void law_broken(replay *r, enum replay_law law, const char *format, ...) {
  held_law *l = &r->laws[law];
  va_list args;

  (void)pthread_mutex_lock(&r->lock);
  if (l->broken++ == 0) {
    va_start(args, format);
    (void)vsnprintf(l->first, sizeof l->first, format, args);
    va_end(args);
    timeline_mark(r->t, replay_now(r), names[law]);
  }
  (void)pthread_mutex_unlock(&r->lock);
}

static void add(held_law *l, unsigned checks, unsigned broken,
                const char *first) {
  l->checks += checks;
  if (broken && l->broken == 0)
    (void)snprintf(l->first, sizeof l->first, "%s", first);
  l->broken += broken;
}

/* How much the world held to its laws. */
static unsigned checks_of(const run *k, enum law law) {
  switch (law) {
  case I1_ONE_CLAIM:
    return k->samples + k->binds;
  case I3_TRUE:
    return k->told_live;
  case I4_DISTINCT:
    return (unsigned)k->life_count;
  case I10_NOTHING_LOST:
    return k->settle_s > 0 || k->binds ? 1 : 0;
  default:
    return k->routes_read;
  }
}

static void take(replay *r, enum replay_law law) {
  const run *k = &r->v->k;
  int world = table[law].world, seen = table[law].visit;
  if (world >= 0)
    add(&r->laws[law], checks_of(k, (enum law)world), k->broken[world],
        k->first[world]);
  if (seen >= 0)
    add(&r->laws[law], r->v->checks[seen], r->v->broken[seen],
        r->v->first[seen]);
}

unsigned laws_collect(replay *r) {
  unsigned bits = 0;
  for (unsigned law = 0; law < REPLAY_LAWS; law++) {
    held_law *l = &r->laws[law];
    char excuse[64] = "";
    int from = table[law].from;
    take(r, (enum replay_law)law);
    if (from >= 0 && !(r->ran & 1U << from))
      (void)snprintf(excuse, sizeof excuse, "step %d was not run", from);
    report_add_law(r->report,
                   &(report_law){names[law], table[law].means, l->checks,
                                 l->broken, l->broken ? l->first : NULL,
                                 excuse[0] ? excuse : NULL});
    bits |= l->broken ? 1U << law : 0;
  }
  return bits;
}
