/* One run for each seed: all begins well, apps are moved; then there is
 * trouble; then calm; then the database goes away and comes back. Exits 0 when
 * every law held in each; with --expect, when those laws and no others were
 * broken in some run. */
#include "phases.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { IN_STEP_MS = 30000 };

typedef struct threads {
  pthread_t facts, watchers[BALANCERS], visitors[VISITORS_MOST];
  visit_arg args[VISITORS_MOST];
} threads;

static void begin_looking(visit *v, threads *t) {
  for (unsigned i = 0; i < VISITORS_MOST; i++)
    t->args[i] = (visit_arg){v, i};
  (void)pthread_create(&t->facts, NULL, facts_main, v);
  for (unsigned i = 0; i < BALANCERS; i++)
    (void)pthread_create(&t->watchers[i], NULL, watch_main, &t->args[i]);
}

static void begin_visits(visit *v, threads *t) {
  for (unsigned i = 0; i < v->o->visitors; i++)
    (void)pthread_create(&t->visitors[i], NULL, visitor_main, &t->args[i]);
}

static void end_visits(visit *v, threads *t) {
  v->visitors_end = true;
  for (unsigned i = 0; i < v->o->visitors; i++)
    (void)pthread_join(t->visitors[i], NULL);
}

static void end_looking(visit *v, threads *t) {
  v->watch_end = true;
  for (unsigned i = 0; i < BALANCERS; i++)
    (void)pthread_join(t->watchers[i], NULL);
  (void)pthread_join(t->facts, NULL);
}

static void in_trouble(visit *v, threads *t) {
  pthread_t users[USERS], mayfly;
  phase_begin(v, PHASE_TROUBLE);
  for (unsigned i = 0; i < USERS; i++)
    (void)pthread_create(&users[i], NULL, mover_main, &t->args[i]);
  (void)pthread_create(&mayfly, NULL, mayfly_main, v);
  trouble(v);
  v->users_end = true;
  (void)pthread_join(mayfly, NULL);
  for (unsigned i = 0; i < USERS; i++)
    (void)pthread_join(users[i], NULL);
}

/* What the database has said no to it may write still, over a last wish. */
static void let_writes_land(const visit *v) {
  while (now_ms() < v->k.late_until_ms)
    sleep_ms(50);
}

static void phases(visit *v, threads *t) {
  (void)balancers_in_step(v, IN_STEP_MS);
  digests_judge(v, "at the begin");
  begin_visits(v, t);
  phase_begin(v, PHASE_MOVING);
  move_apps(v);
  if (settled(v)) {
    in_trouble(v, t);
    let_writes_land(v);
    last_wishes(v, true);
    if (settled(v)) {
      (void)balancers_in_step(v, IN_STEP_MS);
      digests_judge(v, "after the trouble");
      visit_all(v);
      phase_begin(v, PHASE_AWAY);
      away(v);
      phase_begin(v, PHASE_BEGIN);
    }
  }
  end_visits(v, t);
}

static visit *visit_new(const visit_options *o, const options *ko,
                        uint64_t seed) {
  visit *v = calloc(1, sizeof *v);
  if (!v || !(v->latencies = calloc(LATENCIES_MOST, sizeof *v->latencies)))
    exit(2);
  v->o = o;
  v->ko = *ko;
  v->k.o = &v->ko;
  v->k.seed = seed;
  v->begun_ms = now_ms();
  v->dice.state = seed * 7919 + 1;
  (void)pthread_mutex_init(&v->lock, NULL);
  (void)pthread_mutex_init(&v->k.lock, NULL);
  return v;
}

static void visit_free(visit *v) {
  free(v->k.drones);
  free(v->latencies);
  free(v);
}

static bool begin(visit *v, threads *t) {
  if (!world_open(&v->k) || !balancers_start(v) || !wait_pool(&v->k) ||
      !create_apps(&v->k))
    return false;
  begin_looking(v, t);
  last_wishes(v, false);
  if (settled(v))
    return true;
  end_looking(v, t);
  (void)fprintf(stderr, "%s\n", v->first[V10_LIVE]);
  return false;
}

/* A law that nothing was held to has not held. */
static void judge_checks(visit *v) {
  if (v->o->naive || v->broken[V10_LIVE])
    return;
  for (unsigned law = 0; law < VISIT_LAWS; law++)
    if (v->checks[law] == 0 && (law != V13_MOVED || v->o->moves))
      wrong(v, law, "nothing was looked at");
}

static unsigned one_run(const visit_options *o, const options *ko,
                        uint64_t seed) {
  visit *v = visit_new(o, ko, seed);
  threads t;
  unsigned broken = 0;
  if (!begin(v, &t)) {
    (void)fprintf(stderr, "the world does not begin; see %s\n", v->k.dir);
    balancers_end(v);
    world_close(&v->k);
    exit(2);
  }
  phases(v, &t);
  end_looking(v, &t);
  watch_judge(v);
  balancers_end(v);
  world_close(&v->k);
  judge_checks(v);
  for (unsigned law = 0; law < VISIT_LAWS; law++)
    broken |= v->broken[law] ? 1U << law : 0;
  report(v, !broken);
  bool fine = laws_as_expected(visit_laws, o->expect, broken, false);
  if (!fine) {
    visit_options_again(o, seed);
    printf("     logs: %s\n", v->k.dir);
  }
  (void)fflush(stdout);
  if (fine && !o->keep)
    remove_all(v->k.dir);
  visit_free(v);
  return broken;
}

int main(int argc, char **argv) {
  visit_options o;
  options ko;
  unsigned broken = 0;
  uint64_t runs = 0;
  int status = visit_options_read(&o, &ko, argc, argv);
  if (status >= 0)
    return status;
  (void)signal(SIGPIPE, SIG_IGN);
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
  struct rlimit files = {8192, 8192};
  (void)setrlimit(RLIMIT_NOFILE, &files);
  while (runs < o.seeds) {
    broken |= one_run(&o, &ko, o.seed + runs++);
    if (o.expect && (!laws_as_expected(visit_laws, o.expect, broken, false) ||
                     laws_as_expected(visit_laws, o.expect, broken, true)))
      break;
  }
  curl_global_cleanup();
  bool ok = laws_as_expected(visit_laws, o.expect, broken, true);
  laws_print(visit_laws, o.naive ? o.naive : "all programs", o.expect, runs,
             broken, ok);
  return ok ? 0 : 1;
}
