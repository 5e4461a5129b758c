/* Plans: the programs as they are, and the ways of working that are known to be
 * wrong, each with the laws it must break, those it may ("?"), and the steps
 * and sizes by which that is seen soon. */
#include "replay/replay.h"

#include <string.h>

#define STEP(n) (1U << (n))

void plan_usual(plan *p, const replay_options *o) {
  bool is_small = o->is_small;
  *p = (plan){.title = "the programs as they are",
              .apps = is_small ? 16 : 200,
              .drones = is_small ? 24 : 240,
              .spare = is_small ? 3 : 10,
              .users = is_small ? 3 : 6,
              .scripts = is_small ? 12 : 60,
              .visitors = is_small ? 60 : 300,
              .steps = o->steps,
              .is_small = is_small,
              .operated = !is_small,
              .users_pause = is_small ? 300 : 400,
              .copies = 1,
              .race_percent = 25,
              .calm_ms = 60000,
              .spell = -1};
  if (o->apps)
    p->apps = o->apps;
  if (o->drones)
    p->drones = o->drones;
  if (o->rate)
    p->visitors = o->rate;
}

/* What most of them have in common: few apps, asked for very often. */
#define SMALL_WORLD(way, apps_, drones_, users_)                               \
  .title = (way), .apps = (apps_), .drones = (drones_), .users = (users_),     \
  .scripts = 12, .visitors = 60, .race_percent = 25, .spell = -1

static const naive_way ways[] = {
    {"claim2xx",
     "I2?,I3",
     {SMALL_WORLD("claim2xx", 20, 24, 12), .provisioners = "claim2xx",
      .copies = 3, .calm_ms = 20000, .steps = STEP(4) | STEP(9)}},
    {"samebody",
     "I2?,I3",
     {SMALL_WORLD("samebody", 20, 24, 12), .provisioners = "samebody",
      .copies = 1, .calm_ms = 20000, .steps = STEP(4) | STEP(9)}},
    {"lastwrite",
     "I2?,I3",
     {SMALL_WORLD("lastwrite", 20, 21, 40), .provisioners = "lastwrite",
      .copies = 1, .calm_ms = 20000, .steps = STEP(4) | STEP(9)}},
    {"readback",
     "I2?,I3",
     {SMALL_WORLD("readback", 20, 21, 40), .provisioners = "readback",
      .copies = 3, .calm_ms = 20000, .steps = STEP(4) | STEP(9)}},
    {"emptypool",
     "I2,I3?,I4,I10?,I12",
     {SMALL_WORLD("emptypool", 30, 20, 12), .provisioners = "emptypool",
      .copies = 1, .dry = true, .calm_ms = 3000, .steps = STEP(4) | STEP(9)}},
    {"timeoutok",
     "I2?,I3",
     {SMALL_WORLD("timeoutok", 20, 24, 12), .provisioners = "timeoutok",
      .copies = 1, .calm_ms = 20000, .steps = STEP(4) | STEP(9)}},
    {"nofence",
     "I2?,I3",
     {SMALL_WORLD("nofence", 20, 12, 30), .provisioners = "nofence",
      .copies = 1, .dry = true, .calm_ms = 20000,
      .steps = STEP(4) | STEP(6) | STEP(9)}},
    {"noguard",
     "I5",
     {SMALL_WORLD("noguard", 12, 14, 4), .balancers = "noguard",
      .drone = "noguard", .copies = 1, .calm_ms = 30000,
      .steps = STEP(1) | STEP(9)}},
    {"feed",
     "I6,I7",
     {SMALL_WORLD("feed", 12, 16, 4), .balancers = "feed", .copies = 1,
      .calm_ms = 30000, .steps = STEP(1) | STEP(9)}},
    {"history",
     "I6?,I16",
     {SMALL_WORLD("history", 12, 16, 4), .balancers = "history", .copies = 1,
      .calm_ms = 30000, .steps = STEP(1) | STEP(9)}},
    {"nocoalesce",
     "I11",
     {SMALL_WORLD("nocoalesce", 16, 24, 3), .provisioners = "nocoalesce",
      .is_small = true, .copies = 1, .operated = true, .users_pause = 300,
      .calm_ms = 30000, .steps = STEP(0) | STEP(3) | STEP(9)}},
    {"prune",
     "I6?,I7?,I8,I9",
     {SMALL_WORLD("prune", 12, 16, 4), .balancers = "prune", .copies = 1,
      .calm_ms = 30000, .steps = STEP(1) | STEP(8) | STEP(9)}},
};

const naive_way *way_at(size_t i) {
  return i < sizeof ways / sizeof *ways ? &ways[i] : NULL;
}

const naive_way *way_find(const char *name) {
  const naive_way *w;
  for (size_t i = 0; (w = way_at(i)); i++)
    if (strcmp(w->name, name) == 0)
      return w;
  return NULL;
}
