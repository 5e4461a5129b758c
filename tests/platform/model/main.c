/* Which bounds and which ways of working are searched, and the table of what
 * was found. Exits 1 when the right way breaks a law, or a wrong way does not
 * break those it must. An argument is one row's name, --short (without the big
 * ones, for slow builds) or --deep (with those that take minutes).
 *
 * ctest: COST 40 */
#include "model.h"

#include <stdio.h>
#include <string.h>

#define LAW(law) (1U << (law))

enum { STATES = 60000000, WRONG_STATES = 3000000, NO_END = 3 };

/* The protocol as it is, in bounds that are searched to their end. */
static const config rights[] = {
    {.name = "one-app",
     .about = "kills without end, a lost file, a late request",
     .drones = 2,
     .apps = 1,
     .gens = 1,
     .lates = 1,
     .kills = NO_END,
     .losses = 1},
    {.name = "restart",
     .about = "restarted or stopped meanwhile",
     .drones = 2,
     .apps = 1,
     .gens = 2,
     .lates = 1,
     .kills = 1,
     .losses = 1,
     .big = true},
    {.name = "two-apps",
     .about = "each with a drone in the end",
     .drones = 2,
     .apps = 2,
     .gens = 1,
     .lates = 1,
     .kills = 1,
     .losses = 1,
     .big = true},
    {.name = "dry",
     .about = "two apps, one drone",
     .drones = 1,
     .apps = 2,
     .gens = 2,
     .lates = 1,
     .kills = 1,
     .losses = 1,
     .big = true},
    {.name = "locks-race",
     .about = "drones' documents on several copies: 201 and 202",
     .drones = 2,
     .apps = 1,
     .gens = 1,
     .kills = 1,
     .drone_races = true},
    {.name = "locks-late",
     .about = "the same, two apps, one drone, a late request",
     .drones = 1,
     .apps = 2,
     .gens = 1,
     .lates = 1,
     .kills = 1,
     .drone_races = true},
    {.name = "all-race",
     .about = "routes too: for a moment one may name a drone let go (K3)",
     .drones = 2,
     .apps = 2,
     .gens = 1,
     .drone_races = true,
     .route_races = true,
     .allowed = LAW(LAW_HELD) | LAW(LAW_ADDRESS)},
    {.name = "two-lates",
     .about = "two late requests at once",
     .drones = 2,
     .apps = 1,
     .gens = 1,
     .lates = 2,
     .kills = 1,
     .losses = 1,
     .deep = true},
    {.name = "two-losses",
     .about = "two lost files, kills without end",
     .drones = 2,
     .apps = 1,
     .gens = 1,
     .lates = 1,
     .kills = NO_END,
     .losses = 2,
     .deep = true},
    {.name = "three",
     .about = "three drones",
     .drones = 3,
     .apps = 2,
     .gens = 1,
     .lates = 1,
     .kills = 1,
     .deep = true},
    {.name = "two-restart",
     .about = "two apps, both restarted or stopped",
     .drones = 2,
     .apps = 2,
     .gens = 2,
     .lates = 0,
     .kills = 1,
     .losses = 1,
     .deep = true},
    {0}};

#define NAIVE                                                                  \
  .drones = 2, .apps = 2, .gens = 1, .lates = 1, .kills = 1, .ignore_bind = true
#define TWICE (LAW(LAW_SAID_BOUND) | LAW(LAW_ADDRESS))

/* What is known to be wrong, and one step of the protocol left out. */
static const config wrongs[] = {
    {.name = "claim2xx",
     .about = "202 is a success, the drone's refusal is not looked at",
     NAIVE,
     .drone_races = true,
     .expect = TWICE},
    {.name = "samebody",
     .about = "a claim has no random id",
     NAIVE,
     .same_body = true,
     .expect = TWICE},
    {.name = "lastwrite",
     .about = "409: read the rev, overwrite",
     NAIVE,
     .last_write = true,
     .expect = TWICE},
    {.name = "readback",
     .about = "unknown or 202: read, it is mine",
     NAIVE,
     .read_back = true,
     .drone_races = true,
     .expect = TWICE},
    {.name = "emptypool",
     .about = "none free: a used one",
     .drones = 1,
     .apps = 2,
     .gens = 1,
     .lates = 1,
     .empty_pool = true,
     .no_draining = true,
     .expect = TWICE},
    {.name = "timeoutok",
     .about = "no answer is a success",
     NAIVE,
     .timeout_ok = true,
     .expect = TWICE},
    {.name = "nofence",
     .about = "an old claim is freed, the drone not asked",
     NAIVE,
     .no_fence = true,
     .expect = TWICE},
    {.name = "anybind",
     .about = "a drone takes every claim (no K1), locks on several copies",
     .drones = 1,
     .apps = 2,
     .gens = 1,
     .any_bind = true,
     .drone_races = true,
     .expect = LAW(LAW_ONE_CLAIM) | LAW(LAW_HELD)},
    {.name = "no-unroute",
     .about = "unbound before late routes are void",
     .drones = 2,
     .apps = 1,
     .gens = 2,
     .lates = 1,
     .kills = 1,
     .no_unroute = true,
     .expect = LAW(LAW_HELD)},
    {.name = "no-draining",
     .about = "published without a look at the drone's document",
     .drones = 1,
     .apps = 2,
     .gens = 1,
     .lates = 1,
     .kills = 1,
     .losses = 1,
     .no_draining = true,
     .expect = LAW(LAW_ADDRESS)},
    {.name = "free-unknown",
     .about = "freed though the unbind was not answered: K1 bears it",
     .drones = 1,
     .apps = 2,
     .gens = 1,
     .lates = 1,
     .kills = 1,
     .losses = 1,
     .free_unknown = true},
    {.name = "nofence-k1",
     .about = "nofence, but the drone's refusal counts: K1 bears it",
     .drones = 1,
     .apps = 2,
     .gens = 1,
     .lates = 1,
     .kills = 1,
     .losses = 1,
     .no_fence = true},
    {0}};

static void print_row(const config *c, const result *r, bool ok) {
  char broken[80] = "";
  for (unsigned law = 0; law < LAWS; law++)
    if (r->broken & LAW(law)) {
      strcat(broken, *broken ? " " : "");
      strcat(broken, law_names[law]);
    }
  printf("%-4s %-12s %9zu %10zu %5zu %8zu %-4s %6.1f  %-28s %s\n",
         ok ? "ok" : "BAD", c->name, r->states, r->edges, r->depth, r->quiet,
         r->complete ? r->outside ? "edge" : "all" : "cut", r->seconds,
         *broken ? broken : "-", c->about);
  fflush(stdout);
}

static bool run_right(const config *c) {
  config own = *c;
  own.most = STATES;
  result r;
  if (!search_run(&own, !own.allowed, &r))
    return false;
  bool ok = r.complete && !(r.broken & ~own.allowed) && r.quiet > 0;
  print_row(c, &r, ok);
  return ok;
}

static bool run_wrong(const config *c) {
  config own = *c;
  own.most = WRONG_STATES;
  result r;
  if (!search_run(&own, true, &r))
    return false;
  bool ok = (r.broken & c->expect) == c->expect &&
            (c->expect || (r.complete && !r.broken));
  print_row(c, &r, ok);
  return ok;
}

int main(int argc, char **argv) {
  bool deep = argc > 1 && strcmp(argv[1], "--deep") == 0;
  bool brief = argc > 1 && strcmp(argv[1], "--short") == 0;
  const char *only = argc > 1 && !deep && !brief ? argv[1] : NULL;
  bool ok = true;
  size_t rows = 0;
  printf("%-4s %-12s %9s %10s %5s %8s %-4s %6s  %-28s\n", "", "bounds",
         "states", "steps", "depth", "at rest", "seen", "s", "broken");
  for (const config *c = rights; c->name; c++)
    if (only    ? strcmp(only, c->name) == 0
        : brief ? !c->deep && !c->big
                : deep || !c->deep)
      rows++, ok = run_right(c) && ok;
  for (const config *c = wrongs; c->name; c++)
    if (!only || strcmp(only, c->name) == 0)
      rows++, ok = run_wrong(c) && ok;
  if (!rows)
    fprintf(stderr, "no row of that name\n");
  return rows && ok ? 0 : 1;
}
