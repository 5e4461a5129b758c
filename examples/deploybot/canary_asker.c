/* Who asks for the app through every balancer, all the time while it is
   deployed anew; see canary_state.h. A deploy is not to be seen by visitors, so
   everything but a version of ours is a finding. */
#include "deploybot/canary_state.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAUSE_MS = 20, VISIT_MS = 5000 };

struct asker {
  canary *c;
  char host[HOST_MOST + 1]; /* the canary's own is written meanwhile */
  pthread_t thread;
  halt *end;
  visitor *visitors[BALANCERS_MOST];
  canary_report found; /* of the thread, until it has ended */
};

static bool is_well(const asker *a, const visit_answer *answer,
                    expectation *e) {
  const nonces *words = a->c->words;
  enum verdict v;

  /* Either version will do; the older one is not expected, but allowed. */
  e->nonce = words->words[words->count - 1];
  v = visit_judge(answer, e);
  if (v != SHOWS_OLDER)
    return v == SHOWS_IT;
  e->nonce = words->words[words->count - 2];
  return visit_judge(answer, e) == SHOWS_IT;
}

static void ask(asker *a, size_t at) {
  canary *c = a->c;
  expectation e = {c->config->app, NULL, NULL, c->words->words,
                   c->words->count};
  visit_answer answer;
  enum verdict v;
  finding *f;

  visit(a->visitors[at], a->host, VISIT_MS, &answer);
  metric_add(c->config->visits, 1);
  if (is_well(a, &answer, &e))
    return;
  v = visit_judge(&answer, &e);
  f = report_add(&a->found, "serve visitors while a new version is deployed",
                 c->fronts[at].name, v == SHOWS_OTHERS);
  if (f == NULL)
    return;
  visit_describe(&answer, v, f);
  (void)snprintf(f->expected, sizeof f->expected,
                 "200 with a nonce of one of the two versions");
}

static void *run(void *arg) {
  asker *a = arg;

  do {
    for (size_t i = 0; i < a->c->front_count; i++)
      ask(a, i);
  } while (halt_pause(a->end, PAUSE_MS));
  return NULL;
}

static void asker_free(asker *a) {
  for (size_t i = 0; i < BALANCERS_MOST; i++)
    visitor_free(a->visitors[i]);
  halt_free(a->end);
  free(a);
}

asker *asker_start(canary *c) {
  asker *a = calloc(1, sizeof *a);
  bool ok;

  if (a == NULL)
    return NULL;
  a->c = c;
  memcpy(a->host, c->host, sizeof a->host);
  a->end = halt_new();
  ok = a->end != NULL;
  for (size_t i = 0; ok && i < c->front_count; i++) {
    a->visitors[i] = visitor_new(c->fronts[i].addr);
    ok = a->visitors[i] != NULL;
  }
  if (ok && pthread_create(&a->thread, NULL, run, a) == 0)
    return a;
  asker_free(a);
  return NULL;
}

bool asker_end(asker *a) {
  canary_report *r = a->c->report;
  bool well;

  halt_set(a->end);
  (void)pthread_join(a->thread, NULL);
  well = a->found.count == 0;
  for (size_t i = 0; i < a->found.count; i++) {
    const finding *from = &a->found.findings[i];
    finding *f = report_add(r, from->step, from->where, from->misroute);

    if (f != NULL)
      *f = *from;
  }
  r->more += a->found.more;
  asker_free(a);
  return well;
}
