/* Runs of the claim protocol from outside, one for each seed. Exits 0 when
 * every law held in each; with --expect, when those laws and no others were
 * broken in some run. */
#include "run.h"

#include <curl/curl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { USERS_MOST = 256, WATCHERS = 4 };

static bool create_apps(run *r) {
  rest *to = rest_to(r->provs[0].url, token_text());
  bool ok = true;
  for (unsigned i = 0; i < r->o->apps && ok; i++) {
    char path[64], app[32], host[64], nonce[64];
    int status = 0;
    (void)snprintf(app, sizeof app, "app-%u", i);
    (void)snprintf(path, sizeof path, "/apps/%s", app);
    (void)snprintf(host, sizeof host, "%s.test", app);
    (void)snprintf(nonce, sizeof nonce, "n%llu-%u", (unsigned long long)r->seed,
                   i);
    json_t *answer = NULL;
    for (int64_t end = now_ms() + 20000; now_ms() < end; sleep_ms(100)) {
      json_decref(answer);
      answer = NULL;
      status = ask(to, "POST", path,
                   json_pack("{s:[s],s:s,s:{s:s,s:s,s:s}}", "hosts", host,
                             "command", r->o->nonce, "env", "NONCE_APP", app,
                             "NONCE", nonce, "NONCE_LOG", r->nonce_log),
                   10000, &answer);
      if (status / 100 == 2)
        break;
    }
    ok = status / 100 == 2;
    if (!ok)
      (void)fprintf(stderr, "%s was not created: %d %s\n", app, status,
                    json_string_value(json_object_get(answer, "error")));
    json_decref(answer);
  }
  rest_free(to);
  return ok;
}

/* All drones are free before anything begins. */
static bool wait_pool(run *r) {
  rest *couch = rest_to(r->couch[2], NULL);
  int64_t end = now_ms() + 30000;
  unsigned count = 0;
  while (count < r->o->drones && now_ms() < end) {
    json_t *all = NULL;
    size_t i;
    json_t *row;
    count = 0;
    (void)ask(couch, "GET", "/locks/_all_docs?include_docs=true", NULL, 5000,
              &all);
    json_array_foreach(json_object_get(all, "rows"), i, row) {
      const char *state = json_string_value(
          json_object_get(json_object_get(row, "doc"), "state"));
      count += state && strcmp(state, "free") == 0;
    }
    json_decref(all);
    sleep_ms(50);
  }
  rest_free(couch);
  if (count < r->o->drones)
    (void)fprintf(stderr, "only %u of %u drones became free\n", count,
                  r->o->drones);
  return count >= r->o->drones;
}

/* Everybody wants his app started in the end. */
static void last_wishes(run *r) {
  rest *to[PROVS];
  for (unsigned i = 0; i < PROVS; i++)
    to[i] = rest_to(r->provs[i].url, token_text());
  for (unsigned i = 0; i < r->o->apps; i++) {
    char path[64];
    (void)snprintf(path, sizeof path, "/apps/app-%u/start", i);
    int64_t end = now_ms() + 20000;
    int status = 0;
    for (unsigned k = i; status / 100 != 2 && now_ms() < end; k++) {
      status = ask(to[k % PROVS], "POST", path, json_object(), 8000, NULL);
      if (status / 100 != 2)
        sleep_ms(100);
    }
  }
  for (unsigned i = 0; i < PROVS; i++)
    rest_free(to[i]);
}

static void run_threads(run *r) {
  pthread_t users[USERS_MOST], watchers[WATCHERS], routes;
  static user_arg args[USERS_MOST], looks[WATCHERS];
  for (unsigned i = 0; i < WATCHERS; i++) {
    looks[i] = (user_arg){r, i};
    (void)pthread_create(&watchers[i], NULL, watch_drones_main, &looks[i]);
  }
  (void)pthread_create(&routes, NULL, watch_routes_main, r);
  for (unsigned i = 0; i < r->o->users; i++) {
    args[i] = (user_arg){r, i};
    (void)pthread_create(&users[i], NULL, users_main, &args[i]);
  }
  (void)trouble_main(r);
  r->users_end = true;
  for (unsigned i = 0; i < r->o->users; i++)
    (void)pthread_join(users[i], NULL);
  last_wishes(r);
  judge(r);
  r->watch_end = true;
  for (unsigned i = 0; i < WATCHERS; i++)
    (void)pthread_join(watchers[i], NULL);
  (void)pthread_join(routes, NULL);
}

static unsigned one_run(options *o, uint64_t seed) {
  run *r = calloc(1, sizeof *r);
  unsigned broken = 0;
  if (!r)
    exit(2);
  r->o = o;
  r->seed = seed;
  (void)pthread_mutex_init(&r->lock, NULL);
  r->lives = calloc(LIVES_MOST, sizeof *r->lives);
  if (!r->lives || !world_open(r) || !wait_pool(r) || !create_apps(r)) {
    (void)fprintf(stderr, "the world does not begin; see %s\n", r->dir);
    world_close(r);
    exit(2);
  }
  run_threads(r);
  world_close(r);
  for (unsigned law = 0; law < LAWS; law++)
    broken |= r->broken[law] ? 1U << law : 0;
  judge_print(r, !broken);
  if (broken && !o->expect)
    printf("     again: platform_kernel --seed %llu --apps %u --drones %u "
           "--starts %u --copies %u; logs: %s\n",
           (unsigned long long)seed, o->apps, o->drones, o->starts, o->copies,
           r->dir);
  (void)fflush(stdout);
  if ((!broken || o->expect) && !o->keep) {
    char command[PATH_LEN + 16];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", r->dir);
    if (system(command) != 0)
      (void)fprintf(stderr, "%s stays\n", r->dir);
  }
  free(r->drones);
  free(r->lives);
  free(r);
  return broken;
}

/* ---- options ---- */

static const struct option longs[] = {
    {"seed", 1, NULL, 's'},      {"seeds", 1, NULL, 'S'},
    {"apps", 1, NULL, 'a'},      {"drones", 1, NULL, 'd'},
    {"starts", 1, NULL, 'c'},    {"users", 1, NULL, 'u'},
    {"copies", 1, NULL, 'n'},    {"trouble-ms", 1, NULL, 't'},
    {"calm-ms", 1, NULL, 'm'},   {"race", 1, NULL, 'r'},
    {"no-faults", 0, NULL, 'f'}, {"no-kills", 0, NULL, 'k'},
    {"keep", 0, NULL, 'K'},      {"dry", 0, NULL, 'y'},
    {"naive", 1, NULL, 'N'},     {"expect", 1, NULL, 'x'},
    {"dir", 1, NULL, 'D'},       {"full", 0, NULL, 'F'},
    {NULL, 0, NULL, 0}};

static void set_number(options *o, int what, const char *value) {
  unsigned long n = strtoul(value, NULL, 10);
  switch (what) {
  case 's':
    o->seed = n;
    break;
  case 'S':
    o->seeds = n;
    break;
  case 'a':
    o->apps = n < APPS_MOST ? (unsigned)n : APPS_MOST;
    break;
  case 'd':
    o->drones = n < DRONES_MOST ? (unsigned)n : DRONES_MOST;
    break;
  case 'c':
    o->starts = (unsigned)n;
    break;
  case 'u':
    o->users = n < USERS_MOST ? (unsigned)n : USERS_MOST;
    break;
  case 'n':
    o->copies = (unsigned)n;
    break;
  case 't':
    o->trouble_ms = (int64_t)n;
    break;
  default:
    o->calm_ms = (int64_t)n;
    break;
  }
}

static void set(options *o, int what, const char *value) {
  switch (what) {
  case 'r':
    o->race = strtod(value, NULL);
    break;
  case 'f':
    o->faults = false;
    break;
  case 'k':
    o->kills = false;
    break;
  case 'K':
    o->keep = true;
    break;
  case 'y':
    o->dry = true;
    break;
  case 'N':
    o->naive = value;
    break;
  case 'x':
    o->expect = value;
    break;
  case 'D':
    (void)snprintf(o->dir, sizeof o->dir, "%s", value);
    break;
  case 'F':
    o->apps = 200;
    o->drones = 150;
    o->starts = 500;
    o->users = 100;
    o->seeds = 200;
    o->trouble_ms = 60000;
    o->calm_ms = 180000;
    o->dry = true;
    break;
  default:
    set_number(o, what, value);
    break;
  }
}

/* The laws named, as bits; those with '?' behind them may be broken. */
static unsigned named(const char *list, bool maybe) {
  unsigned bits = 0;
  for (unsigned law = 0; law < LAWS; law++)
    for (const char *at = list; (at = strstr(at, law_names[law])); at++) {
      char next = at[strlen(law_names[law])];
      if (next == '?' ? maybe : next == '\0' || next == ',')
        bits |= 1U << law;
    }
  return bits;
}

static bool verdict(const options *o, unsigned broken) {
  if (!o->expect)
    return broken == 0;
  unsigned must = named(o->expect, false), may = named(o->expect, true);
  bool ok = (broken & must) == must && !(broken & ~(must | may));
  printf("%-4s %-10s breaks", ok ? "ok" : "BAD", o->naive ? o->naive : "-");
  for (unsigned law = 0; law < LAWS; law++)
    if (broken & 1U << law)
      printf(" %s", law_names[law]);
  printf("%s; expected %s\n", broken ? "" : " nothing", o->expect);
  return ok;
}

int main(int argc, char **argv) {
  options o = {.seed = 1,
               .seeds = 1,
               .apps = 20,
               .drones = 24,
               .starts = 100000,
               .users = 12,
               .copies = 1,
               .trouble_ms = 10000,
               .calm_ms = 90000,
               .race = 0.25,
               .faults = true,
               .kills = true};
  const char *platform = getenv("CFT_PLATFORM"), *sim = getenv("CFT_COUCHSIM");
  const char *tmp = getenv("TMPDIR");
  unsigned broken = 0;
  int what;
  (void)snprintf(o.dir, sizeof o.dir, "%s", tmp ? tmp : "/tmp");
  while ((what = getopt_long(argc, argv, "", longs, NULL)) != -1) {
    if (what == '?')
      return 2;
    set(&o, what, optarg);
  }
  if (!platform || !sim) {
    (void)fprintf(stderr, "CFT_PLATFORM and CFT_COUCHSIM say where the "
                          "programs are\n");
    return 2;
  }
  (void)snprintf(o.platform, sizeof o.platform, "%s", platform);
  (void)snprintf(o.couchsim, sizeof o.couchsim, "%s", sim);
  (void)snprintf(o.nonce, sizeof o.nonce, "%s/platform_nonce", platform);
  (void)signal(SIGPIPE, SIG_IGN);
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
  struct rlimit files = {8192, 8192};
  (void)setrlimit(RLIMIT_NOFILE, &files);
  for (uint64_t i = 0; i < o.seeds; i++)
    broken |= one_run(&o, o.seed + i);
  curl_global_cleanup();
  return verdict(&o, broken) ? 0 : 1;
}
