/* What the replay is asked for; see replay(1). */
#include "replay/replay.h"

#include "common/config.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static const config_option table[] = {
    {"seed", CONFIG_STRING, NULL, 0, 0, "N",
     "what happens when, and to whom; default: by chance, printed"},
    {"seeds", CONFIG_NUMBER, "1", 1, 1000000, "N",
     "so many runs, of one seed after the other"},
    {"small", CONFIG_FLAG, NULL, 0, 0, NULL,
     "16 apps, 24 drones, 60 requests a second, shorter steps"},
    {"apps", CONFIG_NUMBER, "0", 0, VISIT_APPS_MOST, "N",
     "apps, 8 at least; 0: 200"},
    {"drones", CONFIG_NUMBER, "0", 0, 360, "N",
     "drones, more than apps; 0: 240"},
    {"rate", CONFIG_NUMBER, "0", 0, 5000, "N",
     "visitors' requests a second; 0: 300"},
    {"steps", CONFIG_STRING, NULL, 0, 0, "LIST",
     "only these steps: 0,3,9; default: all, 0 to 10"},
    {"naive", CONFIG_STRING, NULL, 0, 0, "WAY",
     "a way of working that is known to be wrong, or all of them: whether it "
     "breaks what it must"},
    {"incident-2013", CONFIG_FLAG, NULL, 0, 0, NULL,
     "that Friday: the naive programs, told minute by minute, and then the "
     "real ones under the same load"},
    {"against", CONFIG_STRING, NULL, 0, 0, "URL",
     "a CouchDB that is there, in databases of its own; steps that the "
     "simulated one is needed for are skipped"},
    {"out", CONFIG_STRING, "replay.out", 0, 0, "DIR",
     "where the table, JSON, the picture and the story are written"},
    {"keep", CONFIG_FLAG, NULL, 0, 0, NULL,
     "leave the programs' logs and files where they are, and say where"},
    {"programs", CONFIG_STRING, NULL, 0, 0, "DIR",
     "where drone, provisioner, balancer, apps, deploybot and platform_nonce "
     "are; default: beside this program"},
    {"couchsim", CONFIG_STRING, NULL, 0, 0, "FILE",
     "the simulated database; default: where a build has it"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const config_program program = {
    "replay",
    "Runs the incident of 2013 again, on all programs of the platform, and "
    "says which laws held.",
    "REPLAY", table, NULL};

static bool refuse(const char *what, const char *value) {
  (void)fprintf(stderr, "replay: %s: \"%s\"\n", what, value);
  return false;
}

static bool read_seed(replay_options *o, const char *value) {
  char *end = NULL;
  uint32_t chance = 1;
  if (!value) {
    if (getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance)
      return refuse("there is no chance to be had", strerror(errno));
    o->seed = chance;
    return true;
  }
  errno = 0;
  o->seed = strtoull(value, &end, 10);
  return (*value >= '0' && *value <= '9' && *end == '\0' && errno == 0) ||
         refuse("--seed takes a number from 0, not", value);
}

static bool read_steps(replay_options *o, const char *list) {
  o->steps = list ? 0 : ALL_STEPS;
  for (const char *at = list; at && *at;) {
    char *end = NULL;
    unsigned long n = strtoul(at, &end, 10);
    if (*at < '0' || *at > '9' || n >= STEPS || (*end && *end != ','))
      return refuse("--steps takes numbers from 0 to 10 with commas, not",
                    list);
    o->steps |= 1U << n;
    at = *end ? end + 1 : end;
  }
  return o->steps != 0 || refuse("--steps names no step", list);
}

static bool is_program(const char *path) {
  return access(path, X_OK) == 0 || refuse("there is no such program", path);
}

/* Beside this one; the database where a build puts it. */
static bool find_programs(replay_options *o, const config *c) {
  static const char *const needed[] = {"drone", "provisioner", "balancer",
                                       "apps", "platform_nonce"};
  const char *named = config_string(c, "programs");
  const char *couchsim = config_string(c, "couchsim");
  char own[PATH_LEN] = "", path[PATH_LEN + 32];
  ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
  char *slash = len > 0 ? strrchr(own, '/') : NULL;
  if (slash)
    *slash = '\0';
  char *absolute = realpath(named ? named : own, NULL);
  if (!absolute)
    return refuse("--programs: there is no such directory",
                  named ? named : own);
  (void)snprintf(o->programs, sizeof o->programs, "%.400s", absolute);
  free(absolute);
  (void)snprintf(o->couchsim, sizeof o->couchsim, "%.400s%s",
                 couchsim ? couchsim : o->programs,
                 couchsim ? "" : "/../tests/couchsim/couchsim");
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
    (void)snprintf(path, sizeof path, "%s/%s", o->programs, needed[i]);
    if (!is_program(path))
      return false;
  }
  return o->against || is_program(o->couchsim);
}

/* What only builds with tests have. */
static bool find_naive(const replay_options *o) {
  static const char *const needed[] = {"drone_hooked", "provisioner_hooked",
                                       "balancer_hooked"};
  char path[PATH_LEN + 32];
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
    (void)snprintf(path, sizeof path, "%s/%s", o->programs, needed[i]);
    if (!is_program(path))
      return false;
  }
  return true;
}

static bool read_sizes(replay_options *o, const config *c) {
  o->is_small = config_flag(c, "small");
  o->apps = (unsigned)config_number(c, "apps");
  o->drones = (unsigned)config_number(c, "drones");
  o->rate = (unsigned)config_number(c, "rate");
  plan p;
  plan_usual(&p, o);
  if (p.apps < MOVED + 3)
    return refuse("--apps: 8 at least are needed, not",
                  config_string(c, "apps"));
  return p.drones >= p.apps + 2 ||
         refuse("--drones: there must be two more than apps",
                config_string(c, "drones"));
}

static bool read_modes(replay_options *o, const config *c) {
  const char *naive = config_string(c, "naive");
  const char *tmp = getenv("TMPDIR");
  o->incident = config_flag(c, "incident-2013");
  o->against = config_string(c, "against");
  o->out = config_string(c, "out");
  o->naive = naive;
  (void)snprintf(o->dir, sizeof o->dir, "%s", tmp && *tmp ? tmp : "/tmp");
  if (naive && strcmp(naive, "all") != 0 && !way_find(naive))
    return refuse("there is no naive way", naive);
  if (naive && o->incident)
    return refuse("--incident-2013 has naive ways of its own, and not", naive);
  if (o->against && (naive || o->incident))
    return refuse("naive programs are for the simulated database only, not",
                  o->against);
  return true;
}

int replay_options_read(replay_options *o, int argc, char **argv) {
  /* Its strings are used to the end. */
  static config *c;
  char error[512];
  memset(o, 0, sizeof *o);
  c = config_read(&program, argc, argv, error, sizeof error);
  if (!c) {
    (void)fprintf(stderr, "replay: %s\n", error);
    return EXIT_USAGE;
  }
  if (config_flag(c, "help")) {
    config_print_help(&program);
    return 0;
  }
  if (config_flag(c, "version")) {
    (void)puts("replay of libchangefeed's platform, version 1");
    return 0;
  }
  o->seeds = (uint64_t)config_number(c, "seeds");
  o->keep = config_flag(c, "keep");
  bool ok = read_seed(o, config_string(c, "seed")) &&
            read_steps(o, config_string(c, "steps")) && read_modes(o, c) &&
            read_sizes(o, c) && find_programs(o, c) &&
            ((!o->naive && !o->incident) || find_naive(o));
  return ok ? -1 : EXIT_USAGE;
}
