/* The options of a run, their defaults, and how the very same run is asked for
 * again. */
#include "phases.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const ways[] = {"noguard", "feed", "history", "prune"};

static const char usage[] =
    "Usage: platform_visit_run [OPTION]...\n"
    "What visitors see, run from outside: a simulated CouchDB, drones, two\n"
    "provisioners, three balancers, and visitors who ask for all apps at all\n"
    "balancers all the time. First apps are moved while all is well, then "
    "much\n"
    "goes wrong, taken from a seed, then the database is away. Says whether "
    "the\n"
    "laws I5 I6 I7 I8 I9 I10 I13 I16 held.\n"
    "\n"
    "  --seed N        the first seed (1)\n"
    "  --seeds N       how many (1)\n"
    "  --apps N        apps, each with a nonce of its own (12)\n"
    "  --drones N      drones (16)\n"
    "  --visitors N    threads of visitors (4)\n"
    "  --threads N     of each balancer (2)\n"
    "  --moves N       apps moved while all is well (6)\n"
    "  --trouble-ms N  for how long things go wrong (12000)\n"
    "  --away-ms N     for how long the database is away (3000)\n"
    "  --calm-ms N     how long it may take until all is well (60000)\n"
    "  --stale-ms N    balancers call themselves stale after that (7000)\n"
    "  --soon-ms N     99 of 100 changes are at balancers by then (1000)\n"
    "  --no-faults     the database makes no mistakes\n"
    "  --no-kills      no program is killed\n"
    "  --spell NAME    what feeds suffer is always this: muddle, behind,\n"
    "                  backward, rewind, repeat, cut, reset, slices, mute, "
    "error,\n"
    "                  end, beats, silence, refuse, slow\n"
    "  --engine NAME   what serves visitors: embedded, or haproxy: each "
    "balancer has\n"
    "                  one of its own, which lives on when it is killed\n"
    "  --naive WAY     balancers work in a way known to be wrong: noguard "
    "(drones,\n"
    "                  too), feed, history, prune\n"
    "  --expect LAWS   these must be broken (\"I6,I7\"), those with ? behind "
    "them may\n"
    "                  be, no others: seeds are tried until that was seen\n"
    "  --dir DIR       where the programs live and log (TMPDIR)\n"
    "  --keep          the logs stay, also of a run without a fault\n"
    "  --help          this text\n"
    "\n"
    "The environment: CFT_PLATFORM, the directory of the programs; "
    "CFT_COUCHSIM,\n"
    "the simulated database.\n"
    "Exits 0 when every law held (with --expect: when what was expected was "
    "seen),\n"
    "1 when not, 2 when nothing could be run. Logs of a run with a fault "
    "stay.\n";

enum {
  SEED = 1000,
  SEEDS,
  APPS,
  DRONES,
  VISITORS,
  THREADS,
  MOVES,
  TROUBLE,
  AWAY,
  CALM,
  STALE,
  SOON,
  NO_FAULTS,
  NO_KILLS,
  KEEP,
  SPELL,
  ENGINE,
  NAIVE,
  EXPECT,
  DIR_,
  HELP
};

static const struct option longs[] = {
    {"seed", 1, NULL, SEED},           {"seeds", 1, NULL, SEEDS},
    {"apps", 1, NULL, APPS},           {"drones", 1, NULL, DRONES},
    {"visitors", 1, NULL, VISITORS},   {"threads", 1, NULL, THREADS},
    {"moves", 1, NULL, MOVES},         {"trouble-ms", 1, NULL, TROUBLE},
    {"away-ms", 1, NULL, AWAY},        {"calm-ms", 1, NULL, CALM},
    {"stale-ms", 1, NULL, STALE},      {"soon-ms", 1, NULL, SOON},
    {"no-faults", 0, NULL, NO_FAULTS}, {"no-kills", 0, NULL, NO_KILLS},
    {"keep", 0, NULL, KEEP},           {"spell", 1, NULL, SPELL},
    {"engine", 1, NULL, ENGINE},       {"naive", 1, NULL, NAIVE},
    {"expect", 1, NULL, EXPECT},       {"dir", 1, NULL, DIR_},
    {"help", 0, NULL, HELP},           {NULL, 0, NULL, 0}};

static bool refuse(const char *what, const char *value) {
  (void)fprintf(stderr, "platform_visit_run: %s: \"%s\"\n", what, value);
  return false;
}

static bool time_of(const char *value, int64_t least, int64_t *out) {
  uint64_t n = 0;
  bool ok = number_of(value, (uint64_t)least, 3600000, &n);
  if (ok)
    *out = (int64_t)n;
  return ok;
}

static bool set_number(visit_options *o, int what, const char *value) {
  switch (what) {
  case SEED:
    return number_of(value, 0, UINT64_MAX, &o->seed);
  case SEEDS:
    return number_of(value, 1, 1000000, &o->seeds);
  case APPS:
    return small_of(value, 4, VISIT_APPS_MOST, &o->apps);
  case DRONES:
    return small_of(value, 1, DRONES_MOST, &o->drones);
  case VISITORS:
    return small_of(value, 1, VISITORS_MOST, &o->visitors);
  case THREADS:
    return small_of(value, 0, 63, &o->threads);
  case MOVES:
    return small_of(value, 0, 100000, &o->moves);
  case TROUBLE:
    return time_of(value, 0, &o->trouble_ms);
  case AWAY:
    return time_of(value, 0, &o->away_ms);
  case CALM:
    return time_of(value, 0, &o->calm_ms);
  case SOON:
    return time_of(value, 1, &o->soon_ms);
  default:
    return time_of(value, 100, &o->stale_ms);
  }
}

static bool set_naive(visit_options *o, const char *value) {
  o->naive = value;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if (strcmp(ways[i], value) == 0)
      return true;
  return refuse("there is no such naive way", value);
}

static bool set(visit_options *o, options *ko, int what, const char *value) {
  switch (what) {
  case NO_FAULTS:
    o->faults = false;
    return true;
  case NO_KILLS:
    o->kills = false;
    return true;
  case KEEP:
    o->keep = true;
    return true;
  case SPELL:
    o->spell = spell_of(value);
    return o->spell >= 0 || refuse("there is no such spell", value);
  case ENGINE:
    o->haproxy = strcmp(value, "haproxy") == 0;
    return o->haproxy || strcmp(value, "embedded") == 0 ||
           refuse("there is no such engine", value);
  case NAIVE:
    return set_naive(o, value);
  case EXPECT:
    o->expect = value;
    return laws_named(visit_laws, value, false) != 0 ||
           refuse("--expect names no law that must be broken", value);
  case DIR_:
    (void)snprintf(ko->dir, sizeof ko->dir, "%s", value);
    return true;
  default:
    return set_number(o, what, value);
  }
}

static bool of_the_world(const visit_options *o, options *ko) {
  const char *platform = getenv("CFT_PLATFORM"), *sim = getenv("CFT_COUCHSIM");
  if (!platform || !sim) {
    (void)fprintf(stderr, "CFT_PLATFORM and CFT_COUCHSIM say where the "
                          "programs are\n");
    return false;
  }
  (void)snprintf(ko->platform, sizeof ko->platform, "%s", platform);
  (void)snprintf(ko->couchsim, sizeof ko->couchsim, "%s", sim);
  (void)snprintf(ko->nonce, sizeof ko->nonce, "%.400s/platform_nonce",
                 platform);
  ko->apps = o->apps;
  ko->drones = o->drones;
  ko->provs = VISIT_PROVS;
  ko->nodes = VISIT_NODES;
  ko->copies = 1;
  if (o->naive && strcmp(o->naive, "noguard") == 0)
    ko->drone_naive = o->naive;
  if (o->haproxy && ko->drone_naive)
    return refuse("--engine haproxy does not know this naive way", o->naive);
  return o->drones >= o->apps ||
         refuse("fewer --drones than --apps are not enough", "--drones");
}

int visit_options_read(visit_options *o, options *ko, int argc, char **argv) {
  const char *tmp = getenv("TMPDIR");
  int what;
  *o = (visit_options){.seed = 1,
                       .seeds = 1,
                       .apps = 12,
                       .drones = 16,
                       .visitors = 4,
                       .threads = 2,
                       .moves = 6,
                       .trouble_ms = 12000,
                       .away_ms = 3000,
                       .calm_ms = 60000,
                       .stale_ms = 7000,
                       .soon_ms = 1000,
                       .spell = -1,
                       .faults = true,
                       .kills = true};
  memset(ko, 0, sizeof *ko);
  (void)snprintf(ko->dir, sizeof ko->dir, "%s", tmp ? tmp : "/tmp");
  while ((what = getopt_long(argc, argv, "", longs, NULL)) != -1) {
    if (what == HELP) {
      (void)fputs(usage, stdout);
      return 0;
    }
    if (what == '?' || !set(o, ko, what, optarg))
      return 2;
  }
  if (optind < argc) {
    (void)refuse("only options are taken, not", argv[optind]);
    return 2;
  }
  return of_the_world(o, ko) ? -1 : 2;
}

void visit_options_again(const visit_options *o, uint64_t seed) {
  printf("     again: platform_visit_run --seed %llu --apps %u --drones %u "
         "--visitors %u --threads %u --moves %u --trouble-ms %lld --away-ms "
         "%lld --calm-ms %lld --stale-ms %lld --soon-ms %lld%s%s%s%s%s%s%s\n",
         (unsigned long long)seed, o->apps, o->drones, o->visitors, o->threads,
         o->moves, (long long)o->trouble_ms, (long long)o->away_ms,
         (long long)o->calm_ms, (long long)o->stale_ms, (long long)o->soon_ms,
         o->faults ? "" : " --no-faults", o->kills ? "" : " --no-kills",
         o->haproxy ? " --engine haproxy" : "", o->spell < 0 ? "" : " --spell ",
         o->spell < 0 ? "" : spell_name(o->spell), o->naive ? " --naive " : "",
         o->naive ? o->naive : "");
}
