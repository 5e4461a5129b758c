/* Visitors: out of the traffic generator, through all balancers, and each of
 * their answers judged at once (I5, I9), and against what has to be shown while
 * that is fixed (I8, I13, I14, I15). */
#include "replay/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLIGHTS = 400, STOPPED = 4, CLOSE_MS = 1500 };

/* ---- what came ---- */

static int64_t run_ms(const replay *r, int64_t us) {
  return (us - r->begun_us) / 1000;
}

static void record(replay *r, const traffic_result *t,
                   enum traffic_verdict verdict) {
  timeline_visit one = {
      .asked_ms = run_ms(r, t->intended_us),
      .ended_ms = run_ms(r, t->end_us),
      .first_us = t->first_byte_us ? t->first_byte_us - t->intended_us : -1,
      .status = t->status,
      .foreign = verdict == TRAFFIC_FOREIGN};
  if (t->error[0] == 'E')
    one.code = (unsigned)strtoul(t->error + 1, NULL, 10);
  if (t->outcome == TRAFFIC_ABORTED)
    one.outcome = TIMELINE_LEFT;
  else if (t->outcome != TRAFFIC_ANSWERED)
    one.outcome = TIMELINE_NOTHING;
  else
    one.outcome = verdict == TRAFFIC_PAGE ? TIMELINE_PAGE : TIMELINE_APP;
  timeline_add_visit(r->t, &one);
}

/* Who it was that answered, out of "app=NAME nonce=...". */
static void owner_of(const traffic_result *t, char out[64]) {
  static const char key[] = "app=";
  const char *at = strstr(t->page, key);
  if (!at && t->body)
    at = strstr(t->body, key);
  (void)snprintf(out, 64, "%.*s", at ? (int)strcspn(at + 4, " \n") : 8,
                 at ? at + 4 : "somebody");
}

static void judge_owner(replay *r, const traffic_result *t,
                        enum traffic_verdict verdict, const char *said) {
  char owner[64], app[32];
  (void)snprintf(app, sizeof app, "app-%zu", t->host);
  law_checked(r, L5_OWN);
  if (t->inside)
    law_broken(r, L5_OWN, "b%d tells a visitor of %s what is inside",
               t->target + 1, app);
  if (t->wrong)
    law_broken(r, L5_OWN, "%s through b%d: %s", app, t->target + 1, t->wrong);
  if (verdict != TRAFFIC_FOREIGN)
    return;
  owner_of(t, owner);
  r->foreign++;
  law_broken(r, L5_OWN, "%s through b%d: %s", app, t->target + 1, said);
  story_visit(r->s, run_ms(r, t->end_us), app, owner,
              r->v->balancers[t->target].id);
}

static bool is_as_expected(const traffic_result *t,
                           enum traffic_verdict verdict, int expected) {
  if (t->outcome == TRAFFIC_ABORTED && verdict == TRAFFIC_NOTHING)
    return true;
  if (t->outcome != TRAFFIC_ANSWERED && t->outcome != TRAFFIC_ABORTED)
    return false;
  if (expected == BY_APP) /* the answer to HEAD has no page */
    return verdict == TRAFFIC_OWN ||
           (verdict == TRAFFIC_NOTHING && !t->error[0] && t->status == 200);
  return strcmp(t->error, "E04") == 0;
}

/* A balancer waits 10 s for a head. Who takes as long to send it, as on a
   machine that does much else, is told so, which is no fault. */
static bool was_too_slow(const traffic_result *t) {
  enum { SLOWEST_US = 9000000 };
  int64_t until_us = t->asked_us ? t->asked_us : t->end_us;
  return t->status == 408 && until_us - t->begun_us >= SLOWEST_US;
}

/* What was asked since it is fixed, of a balancer that ran all the time. */
static void judge_strictly(replay *r, const traffic_result *t,
                           enum traffic_verdict verdict) {
  int law = r->strict, only = r->strict_app;
  int expected = r->v->expected[t->target][t->host];
  if (law < 0 || expected == NO_ANSWER || t->generation != t->ended_in ||
      t->begun_us < r->strict_us || (only >= 0 && (size_t)only != t->host))
    return;
  law_checked(r, (enum replay_law)law);
  if (!is_as_expected(t, verdict, expected))
    law_broken(r, (enum replay_law)law,
               "app-%zu through b%d, %s: %s, %d %s %s, not %s", t->host,
               t->target + 1, traffic_kind_name(t->kind),
               traffic_outcome_name(t->outcome), t->status, t->error, t->why,
               expected == BY_APP ? "its page" : "E04");
}

static void on_result(void *ctx, const traffic_result *t) {
  replay *r = ctx;
  char said[256] = "";
  if (t->outcome == TRAFFIC_STOPPED)
    return;
  if (t->outcome == TRAFFIC_NOT_BEGUN || t->target < 0) {
    r->late_begun++;
    return;
  }
  enum traffic_verdict verdict =
      traffic_judge(t, r->own[t->host], said, sizeof said);
  r->visits++;
  record(r, t, verdict);
  if (verdict != TRAFFIC_NOTHING)
    judge_owner(r, t, verdict, said);
  if (t->status)
    law_checked(r, L9_KNOWN);
  if (strcmp(t->error, "E01") == 0)
    law_broken(r, L9_KNOWN, "b%d does not know app-%zu: %d", t->target + 1,
               t->host, t->status);
  if (was_too_slow(t))
    r->too_slow++;
  else
    judge_strictly(r, t, verdict);
}

/* ---- doors ---- */

static void on_door(void *ctx, unsigned i, bool open) {
  replay *r = ctx;
  unsigned number = ++r->doors[i];
  if (r->crowd)
    (void)traffic_target(r->crowd, i, open, number, NULL);
}

/* ---- all of them ---- */

static void on_hosts(replay *r, char (*hosts)[64], const char **names) {
  for (unsigned i = 0; i < r->p->apps; i++) {
    char nonce[64];
    nonce_of(&r->v->k, i, nonce);
    (void)snprintf(hosts[i], sizeof hosts[i], "app-%u.test", i);
    (void)snprintf(r->own[i], sizeof r->own[i], "app=app-%u nonce=%s", i,
                   nonce);
    names[i] = hosts[i];
  }
}

bool crowd_open(replay *r) {
  const char *targets[BALANCERS];
  char error[256] = "";
  char(*hosts)[64] = calloc(r->p->apps, sizeof *hosts);
  const char **names = calloc(r->p->apps, sizeof *names);
  r->own = calloc(r->p->apps, sizeof *r->own);
  if (!hosts || !names || !r->own)
    exit(3);
  on_hosts(r, hosts, names);
  for (unsigned i = 0; i < BALANCERS; i++)
    targets[i] = r->v->balancers[i].url + strlen("http://");
  traffic_config config = {.targets = targets,
                           .target_count = BALANCERS,
                           .hosts = names,
                           .host_count = r->p->apps,
                           .rate = r->p->visitors,
                           .zipf = 0.6,
                           .seed = r->seed,
                           .source = "127.77.0.1",
                           .sources = 250,
                           .forged = "app-1/00000000000000000000000000000000",
                           .flights_most = FLIGHTS,
                           .big_lines = 400,
                           .close_ms = CLOSE_MS,
                           .on_result = on_result,
                           .ctx = r};
  r->v->door_ctx = r;
  r->v->door_moved = on_door;
  r->crowd = traffic_open(&config, error, sizeof error);
  if (!r->crowd)
    (void)fprintf(stderr, "replay: no visitors: %s\n", error);
  free(hosts);
  free(names);
  return r->crowd != NULL;
}

void crowd_close(replay *r) {
  traffic *t = r->crowd;
  r->v->door_moved = NULL;
  r->crowd = NULL;
  traffic_close(t);
}

/* ---- while it is fixed what has to be shown ---- */

void strict_begin(replay *r, enum replay_law law, int app) {
  phase_begin(r->v, PHASE_MOVING);
  r->strict_app = app;
  r->strict_us = traffic_now_us();
  r->strict = (int)law;
}

/* Who is being answered still is asked no more. */
void strict_end(replay *r) {
  r->strict = -1;
  phase_begin(r->v, PHASE_TROUBLE);
}
