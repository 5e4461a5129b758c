/* Runs of the claim protocol from outside, one for each seed. Exits 0 when
 * every law held in each; with --expect, when those laws and no others were
 * broken in some run. */
#include "run.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { WATCHERS = 4 };

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

/* The laws named, as bits; those with '?' behind them may be broken. */
unsigned laws_named(const char *list, bool maybe) {
  unsigned bits = 0;
  for (unsigned law = 0; law < LAWS; law++)
    for (const char *at = list; (at = strstr(at, law_names[law])); at++) {
      char next = at[strlen(law_names[law])];
      if (next == '?' ? maybe : next == '\0' || next == ',')
        bits |= 1U << law;
    }
  return bits;
}

/* Nothing is broken that may not be; with `all`, all is that must be. */
static bool as_expected(const options *o, unsigned broken, bool all) {
  if (!o->expect)
    return broken == 0;
  unsigned must = laws_named(o->expect, false);
  unsigned may = laws_named(o->expect, true);
  return !(broken & ~(must | may)) && (!all || (broken & must) == must);
}

static void remove_all(const char *dir) {
  const char *argv[] = {"/bin/rm", "-rf", "--", dir, NULL};
  proc rm = {.log = "/dev/null"};
  int status = -1;
  if (!proc_start(&rm, argv) || !proc_wait(&rm, 60000, &status) || status != 0)
    (void)fprintf(stderr, "%s stays\n", dir);
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
  bool fine = as_expected(o, broken, false);
  if (!fine) {
    options_again(o, seed);
    printf("     logs: %s\n", r->dir);
  }
  (void)fflush(stdout);
  if (fine && !o->keep)
    remove_all(r->dir);
  free(r->drones);
  free(r->lives);
  free(r);
  return broken;
}

static void print_laws(const char *what, unsigned laws) {
  printf("%s", what);
  for (unsigned law = 0; law < LAWS; law++)
    if (laws & 1U << law)
      printf(" %s", law_names[law]);
  printf("%s", laws ? "" : " nothing");
}

static void print_verdict(const options *o, uint64_t runs, unsigned broken,
                          bool ok) {
  printf("%-4s %llu runs of %s", ok ? "ok" : "BAD", (unsigned long long)runs,
         o->naive ? o->naive : "the protocol");
  print_laws(": broken", broken);
  print_laws("; held", ~broken & ((1U << LAWS) - 1));
  printf("%s%s\n", o->expect ? "; expected " : "", o->expect ? o->expect : "");
}

int main(int argc, char **argv) {
  options o;
  unsigned broken = 0;
  uint64_t runs = 0;
  int status = options_read(&o, argc, argv);
  if (status >= 0)
    return status;
  (void)signal(SIGPIPE, SIG_IGN);
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
  struct rlimit files = {8192, 8192};
  (void)setrlimit(RLIMIT_NOFILE, &files);
  while (runs < o.seeds) {
    broken |= one_run(&o, o.seed + runs++);
    if (o.expect &&
        (!as_expected(&o, broken, false) || as_expected(&o, broken, true)))
      break;
  }
  curl_global_cleanup();
  bool ok = as_expected(&o, broken, true);
  print_verdict(&o, runs, broken, ok);
  return ok ? 0 : 1;
}
