/* Step 3: users' scripts start the same apps again and again, four at a time
 * each; some by the command, most by the API as fast as that answers, with a
 * short rest. What comes of it (I11): operations, writes of the database, and
 * how long somebody waits who starts his own app among them. */
#include "replay/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
  REST_MS = 300,      /* at most, between a loop's calls */
  BY_COMMAND = 16,    /* each so many-th script calls the program */
  COMMAND_MS = 60000, /* that it may take */
  OPS_A_MINUTE = 2,   /* one, and one forced */
  WRITES_A_MINUTE = 20,
  SLOWER_MS = 5000 /* a start may take, besides twice as long: all scripts run
on the same machine */
};

typedef struct loop {
  replay *r;
  unsigned script, number;
  atomic_bool *end;
  unsigned calls, failed;
} loop;

/* Not the first, which others move and deploy, nor the last, which is never
   started. */
static unsigned app_count(const replay *r) {
  unsigned apps = r->p->apps - (MOVED + 2);
  return r->p->scripts < apps ? r->p->scripts : apps;
}

static unsigned app_of_script(const replay *r, unsigned script) {
  return MOVED + 1 + script % app_count(r);
}
static void by_api(loop *l, rest *const *to, dice *d) {
  json_t *answer = NULL;
  char path[64];
  (void)snprintf(path, sizeof path, "/apps/app-%u/start",
                 app_of_script(l->r, l->script));
  int status = ask(to[dice_below(d, VISIT_PROVS)], "POST", path, json_object(),
                   8000, &answer);
  bool coalesced = json_is_true(json_object_get(answer, "coalesced"));
  timeline_add_api(l->r->t, replay_now(l->r),
                   timeline_api_of(status, coalesced));
  l->calls++;
  l->failed += status == 0 || status / 100 == 5;
  json_decref(answer);
}

/* apps(1): live, pending, no drone, and too often are answers like any. */
static void by_command(loop *l) {
  replay *r = l->r;
  run *k = &r->v->k;
  char program[PATH_LEN + 8], name[32];
  proc p = {.pid = 0};
  int status = 0;
  (void)snprintf(program, sizeof program, "%s/apps", r->o->programs);
  (void)snprintf(name, sizeof name, "app-%u", app_of_script(r, l->script));
  (void)snprintf(p.log, sizeof p.log, "%.400s/script-%u.log", k->dir,
                 l->script);
  const char *argv[] = {
      program,        "start",    name,
      "--quiet",      "--server", k->provs[l->number % VISIT_PROVS].url,
      "--token-file", k->token,   NULL};
  l->calls++;
  if (!proc_start(&p, argv) || !proc_wait(&p, COMMAND_MS, &status)) {
    proc_kill(&p, SIGKILL);
    (void)proc_wait(&p, COMMAND_MS, &status);
    l->failed++;
    return;
  }
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code != 0 && code != 3 && code != 4 && code != 7)
    l->failed++;
}

static void *loop_main(void *arg) {
  loop *l = arg;
  dice d = {.state = l->r->seed * 31 + l->script * LOOPS + l->number};
  rest *to[VISIT_PROVS];
  for (unsigned i = 0; i < VISIT_PROVS; i++)
    to[i] = rest_to(l->r->v->k.provs[i].url, token_text());
  while (!*l->end) {
    if (l->script % BY_COMMAND == 0)
      by_command(l);
    else
      by_api(l, to, &d);
    sleep_ms(dice_below(&d, REST_MS));
  }
  for (unsigned i = 0; i < VISIT_PROVS; i++)
    rest_free(to[i]);
  return NULL;
}

/* ---- what is counted ---- */

/* The number of updates that a database has had. */
static long long updates(rest *couch, const char *db) {
  char path[96];
  json_t *all = NULL;
  (void)snprintf(path, sizeof path, "/%s", db);
  (void)ask(couch, "GET", path, NULL, 5000, &all);
  const json_t *seq = json_object_get(all, "update_seq");
  long long n = json_is_string(seq) ? strtoll(json_string_value(seq), NULL, 10)
                                    : (long long)json_integer_value(seq);
  json_decref(all);
  return n;
}

/* What is wanted of each app: one more for each operation. */
static void gens(const replay *r, rest *couch, long long *out) {
  json_t *apps = couch_rows(couch, r->v->k.apps, "app"), *row;
  size_t i;
  json_array_foreach(apps, i, row) {
    const json_t *doc = json_object_get(row, "doc");
    const char *id = json_string_value(json_object_get(doc, "_id"));
    int app = id ? app_of(r->v, id + strlen("app:")) : -1;
    if (app >= 0)
      out[app] = json_integer_value(
          json_object_get(json_object_get(doc, "want"), "gen"));
  }
  json_decref(apps);
}

typedef struct tally {
  long long gens[VISIT_APPS_MOST], writes;
  int64_t at_ms;
} tally;

static void count_now(const replay *r, tally *t) {
  rest *couch = couch_looker(&r->v->k);
  gens(r, couch, t->gens);
  t->writes = updates(couch, r->v->k.apps) + updates(couch, r->v->k.locks);
  t->at_ms = now_ms();
  rest_free(couch);
}

static void judge_tally(replay *r, const tally *a, const tally *b) {
  double minutes = (double)(b->at_ms - a->at_ms) / 60000;
  long long whole = (long long)minutes + 1; /* begun ones */
  unsigned apps = app_count(r);
  long long writes = (b->writes - a->writes) / (apps + QUIET);
  for (unsigned i = 0; i < apps; i++) {
    unsigned app = app_of_script(r, i);
    long long ops = b->gens[app] - a->gens[app];
    law_checked(r, L11_SPAM);
    if (ops > OPS_A_MINUTE * whole)
      law_broken(r, L11_SPAM, "app-%u had %lld operations in %.0f s", app, ops,
                 minutes * 60);
  }
  law_checked(r, L11_SPAM);
  if (writes > WRITES_A_MINUTE * whole)
    law_broken(r, L11_SPAM, "%lld writes for each app in %.0f s", writes,
               minutes * 60);
  report_say(r->report, "The database had %lld writes, %lld for each app.",
             b->writes - a->writes, writes);
}

static void judge_quiet(replay *r) {
  int64_t alone = quiet_p95(r, false), among = quiet_p95(r, true);
  int64_t most = alone * 2 + SLOWER_MS;
  if (alone < 0 || among < 0)
    return;
  report_say(r->report,
             "Who starts an app of his own waits %lld ms (p95), alone %lld.",
             (long long)among, (long long)alone);
  law_checked(r, L11_SPAM);
  if (among > most)
    law_broken(r, L11_SPAM, "a quiet start takes %lld ms (p95), alone %lld",
               (long long)among, (long long)alone);
}

/* ---- all of them ---- */

void spam(replay *r, int64_t ms) {
  static loop loops[SCRIPTS_MOST * LOOPS];
  static pthread_t threads[SCRIPTS_MOST * LOOPS];
  atomic_bool end = false;
  unsigned count = r->p->scripts * LOOPS, calls = 0, failed = 0;
  tally *before = calloc(1, sizeof *before), *after = calloc(1, sizeof *after);
  if (!before || !after)
    exit(3);
  count_now(r, before);
  for (unsigned i = 0; i < count; i++) {
    loops[i] = (loop){r, i / LOOPS, i % LOOPS, &end, 0, 0};
    (void)pthread_create(&threads[i], NULL, loop_main, &loops[i]);
  }
  int64_t until_ms = replay_now(r) + ms;
  quiet_starts(r, true, ms);
  until(r, until_ms);
  end = true;
  for (unsigned i = 0; i < count; i++) {
    (void)pthread_join(threads[i], NULL);
    calls += loops[i].calls;
    failed += loops[i].failed;
  }
  count_now(r, after);
  judge_tally(r, before, after);
  judge_quiet(r);
  report_say(r->report, "%u scripts called %u times, %u in vain.",
             r->p->scripts, calls, failed);
  report_counter(r->report, "calls of scripts", calls);
  free(before);
  free(after);
}

void step_spam(replay *r, int64_t ms) {
  int band = fault_begin(r, "scripts start apps for ever");
  mark(r, "%u scripts begin, %d loops each", r->p->scripts, LOOPS);
  spam(r, ms);
  fault_end(r, band);
  end_failing(r);
}
