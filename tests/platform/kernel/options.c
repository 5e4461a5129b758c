/* The options of a run, their defaults, and how the very same run is asked for
 * again. */
#include "kernel.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const ways[] = {"claim2xx", "samebody",  "lastwrite",
                                   "readback", "emptypool", "timeoutok",
                                   "nofence"};

static const char usage[] =
    "Usage: platform_kernel_run [OPTION]...\n"
    "The claim protocol run from outside: a simulated CouchDB of three nodes,\n"
    "drones, three provisioners and users, all over HTTP, with what goes "
    "wrong\n"
    "taken from a seed. Looks at agents, guards and routes all the time, and "
    "says\n"
    "whether the laws I1 I2 I3 I4 I10 I12 held.\n"
    "\n"
    "  --seed N        the first seed (1)\n"
    "  --seeds N       how many (1)\n"
    "  --apps N        apps, each with a nonce of its own (20)\n"
    "  --drones N      drones (24)\n"
    "  --users N       threads that start and stop apps (12)\n"
    "  --starts N      calls they make at most, all together (100000)\n"
    "  --copies N      copies of each document of \"locks\" (1); of \"apps\" "
    "there are 3\n"
    "  --trouble-ms N  for how long things go wrong (10000)\n"
    "  --calm-ms N     how long it may take until all is well then (90000)\n"
    "  --stop-ms N     one provisioner is stopped (SIGSTOP) that long (0)\n"
    "  --race P        chance of a write to race with another and be told 202 "
    "(0.25)\n"
    "  --no-faults     the database makes no mistakes besides\n"
    "  --no-kills      no program is killed or stopped\n"
    "  --dry           nobody forces a start (for more apps than drones)\n"
    "  --full          200 apps, 150 drones, 500 users, 60 s of trouble with "
    "a\n"
    "                  stop of 20 s, --dry; options behind it change that\n"
    "  --naive WAY     provisioners work in a way known to be wrong: "
    "claim2xx,\n"
    "                  samebody, lastwrite, readback, emptypool, timeoutok, "
    "nofence\n"
    "  --expect LAWS   these must be broken (\"I2,I3\"), those with ? behind "
    "them may\n"
    "                  be, no others: seeds are tried until that was seen\n"
    "  --dir DIR       where the programs live and log (TMPDIR)\n"
    "  --keep          the logs stay, also of a run without a fault\n"
    "  --help          this text\n"
    "\n"
    "The environment: CFT_PLATFORM, the directory of drone, "
    "provisioner_hooked and\n"
    "platform_nonce; CFT_COUCHSIM, the simulated database.\n"
    "Exits 0 when every law held (with --expect: when what was expected was "
    "seen),\n"
    "1 when not, 2 when nothing could be run. Logs of a run with a fault "
    "stay.\n";

enum {
  SEED = 1000,
  SEEDS,
  APPS,
  DRONES,
  STARTS,
  USERS,
  COPIES,
  TROUBLE,
  CALM,
  STOP,
  RACE,
  NO_FAULTS,
  NO_KILLS,
  KEEP,
  DRY,
  NAIVE,
  EXPECT,
  DIR_,
  FULL,
  HELP
};

static const struct option longs[] = {{"seed", 1, NULL, SEED},
                                      {"seeds", 1, NULL, SEEDS},
                                      {"apps", 1, NULL, APPS},
                                      {"drones", 1, NULL, DRONES},
                                      {"starts", 1, NULL, STARTS},
                                      {"users", 1, NULL, USERS},
                                      {"copies", 1, NULL, COPIES},
                                      {"trouble-ms", 1, NULL, TROUBLE},
                                      {"calm-ms", 1, NULL, CALM},
                                      {"stop-ms", 1, NULL, STOP},
                                      {"race", 1, NULL, RACE},
                                      {"no-faults", 0, NULL, NO_FAULTS},
                                      {"no-kills", 0, NULL, NO_KILLS},
                                      {"keep", 0, NULL, KEEP},
                                      {"dry", 0, NULL, DRY},
                                      {"naive", 1, NULL, NAIVE},
                                      {"expect", 1, NULL, EXPECT},
                                      {"dir", 1, NULL, DIR_},
                                      {"full", 0, NULL, FULL},
                                      {"help", 0, NULL, HELP},
                                      {NULL, 0, NULL, 0}};

static bool wrong(const char *what, const char *value) {
  (void)fprintf(stderr, "platform_kernel_run: %s: \"%s\"\n", what, value);
  return false;
}

static bool time_of(const char *value, int64_t *out) {
  uint64_t n = 0;
  bool ok = number_of(value, 0, 3600000, &n);
  if (ok)
    *out = (int64_t)n;
  return ok;
}

static bool set_number(options *o, int what, const char *value) {
  switch (what) {
  case SEED:
    return number_of(value, 0, UINT64_MAX, &o->seed);
  case SEEDS:
    return number_of(value, 1, 1000000, &o->seeds);
  case APPS:
    return small_of(value, 1, APPS_MOST, &o->apps);
  case DRONES:
    return small_of(value, 1, DRONES_MOST, &o->drones);
  case STARTS:
    return small_of(value, 0, 1000000000, &o->starts);
  case USERS:
    return small_of(value, 1, USERS_MOST, &o->users);
  case COPIES:
    return small_of(value, 1, 3, &o->copies);
  case TROUBLE:
    return time_of(value, &o->trouble_ms);
  case CALM:
    return time_of(value, &o->calm_ms);
  default:
    return time_of(value, &o->stop_ms);
  }
}

static bool set_race(options *o, const char *value) {
  char *end = NULL;
  o->race = strtod(value, &end);
  return (end != value && !*end && o->race >= 0 && o->race <= 1) ||
         wrong("--race takes a chance from 0 to 1, not", value);
}

static bool set_naive(options *o, const char *value) {
  o->naive = value;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if (strcmp(ways[i], value) == 0)
      return true;
  return wrong("there is no such naive way", value);
}

static void set_full(options *o) {
  o->apps = 200;
  o->drones = 150;
  o->users = 500;
  o->trouble_ms = 60000;
  o->calm_ms = 180000;
  o->stop_ms = 20000;
  o->dry = true;
}

static bool set(options *o, int what, const char *value) {
  switch (what) {
  case RACE:
    return set_race(o, value);
  case NO_FAULTS:
    o->faults = false;
    return true;
  case NO_KILLS:
    o->kills = false;
    return true;
  case KEEP:
    o->keep = true;
    return true;
  case DRY:
    o->dry = true;
    return true;
  case NAIVE:
    return set_naive(o, value);
  case EXPECT:
    o->expect = value;
    return laws_named(all_laws, value, false) != 0 ||
           wrong("--expect names no law that must be broken", value);
  case DIR_:
    (void)snprintf(o->dir, sizeof o->dir, "%s", value);
    return true;
  case FULL:
    set_full(o);
    return true;
  default:
    return set_number(o, what, value);
  }
}

static bool from_environment(options *o) {
  const char *platform = getenv("CFT_PLATFORM"), *sim = getenv("CFT_COUCHSIM");
  if (!platform || !sim) {
    (void)fprintf(stderr, "CFT_PLATFORM and CFT_COUCHSIM say where the "
                          "programs are\n");
    return false;
  }
  (void)snprintf(o->platform, sizeof o->platform, "%s", platform);
  (void)snprintf(o->couchsim, sizeof o->couchsim, "%s", sim);
  (void)snprintf(o->nonce, sizeof o->nonce, "%s/platform_nonce", platform);
  return true;
}

int options_read(options *o, int argc, char **argv) {
  const char *tmp = getenv("TMPDIR");
  int what;
  *o = (options){.seed = 1,
                 .seeds = 1,
                 .apps = 20,
                 .drones = 24,
                 .starts = 100000,
                 .users = 12,
                 .copies = 1,
                 .provs = PROVS,
                 .nodes = 3,
                 .trouble_ms = 10000,
                 .calm_ms = 90000,
                 .race = 0.25,
                 .faults = true,
                 .kills = true};
  (void)snprintf(o->dir, sizeof o->dir, "%s", tmp ? tmp : "/tmp");
  while ((what = getopt_long(argc, argv, "", longs, NULL)) != -1) {
    if (what == HELP) {
      (void)fputs(usage, stdout);
      return 0;
    }
    if (what == '?' || !set(o, what, optarg))
      return 2;
  }
  if (optind < argc) {
    (void)wrong("only options are taken, not", argv[optind]);
    return 2;
  }
  return from_environment(o) ? -1 : 2;
}

void options_again(const options *o, uint64_t seed) {
  printf("     again: platform_kernel_run --seed %llu --apps %u --drones %u "
         "--users %u --starts %u --copies %u --trouble-ms %lld --calm-ms %lld "
         "--stop-ms %lld --race %g%s%s%s%s%s\n",
         (unsigned long long)seed, o->apps, o->drones, o->users, o->starts,
         o->copies, (long long)o->trouble_ms, (long long)o->calm_ms,
         (long long)o->stop_ms, o->race, o->faults ? "" : " --no-faults",
         o->kills ? "" : " --no-kills", o->dry ? " --dry" : "",
         o->naive ? " --naive " : "", o->naive ? o->naive : "");
}
