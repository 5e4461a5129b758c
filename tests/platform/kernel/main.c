/* Runs of the claim protocol from outside, one for each seed. Exits 0 when
 * every law held in each; with --expect, when those laws and no others were
 * broken in some run. */
#include "kernel.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { WATCHERS = 4 };

/* Everybody wants his app started in the end. */
static void last_wishes(run *r) {
  for (unsigned i = 0; i < r->o->apps; i++)
    (void)post_wish(r, i, "start");
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
  trouble(r);
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
  bool fine = laws_as_expected(all_laws, o->expect, broken, false);
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
    if (o.expect && (!laws_as_expected(all_laws, o.expect, broken, false) ||
                     laws_as_expected(all_laws, o.expect, broken, true)))
      break;
  }
  curl_global_cleanup();
  bool ok = laws_as_expected(all_laws, o.expect, broken, true);
  laws_print(all_laws, o.naive ? o.naive : "the protocol", o.expect, runs,
             broken, ok);
  return ok ? 0 : 1;
}
