/* The balancers that a canary is looked at through; see canary_state.h. */
#include "deploybot/canary_state.h"

#include "common/docs.h"
#include <stdio.h>
#include <string.h>

enum { VISIT_MS = 5000, AGAIN_MS = 100 };

static bool add(canary *c, const char *id, const char *addr) {
  front *f = &c->fronts[c->front_count];

  if (c->front_count == BALANCERS_MOST)
    return canary_fail(c, "the balancers", "at most 32 of them",
                       "there are more");
  if (id != NULL)
    (void)snprintf(f->name, sizeof f->name, "balancer %s (%s)", id, addr);
  else
    (void)snprintf(f->name, sizeof f->name, "balancer %s", addr);
  (void)snprintf(f->addr, sizeof f->addr, "%s", addr);
  f->visitor = visitor_new(addr);
  if (f->visitor == NULL)
    return canary_fail(c, "the bot itself", "a visitor", "there is no memory");
  c->front_count++;
  return true;
}

typedef struct search {
  canary *c;
  bool failed;
} search;

static bool take(void *ctx, const json_t *doc) {
  static const char prefix[] = "balancer:";
  const char *id = json_string_value(json_object_get(doc, "_id"));
  search *s = ctx;
  balancer_doc b;
  char why[160];

  if (id == NULL || strncmp(id, prefix, sizeof prefix - 1) != 0)
    return true;
  if (balancer_doc_read(doc, id + sizeof prefix - 1, &b, why, sizeof why))
    s->failed = !add(s->c, b.id, b.addr);
  else
    s->failed = !canary_fail(s->c, "the database", "readable documents",
                             "%.80s cannot be read: %s", id, why);
  return !s->failed;
}

static bool ask_database(canary *c) {
  const canary_config *config = c->config;
  rest_config server = {.url = config->couch, .total_ms = CALL_MS};
  search s = {c, false};
  char error[256];
  docs *d = docs_new(&server, config->apps, error, sizeof error);
  docs_answer answer;
  enum docs_result said;

  if (d == NULL)
    return canary_fail(c, "the database", "a client of it", "%s", error);
  said = docs_each(d, "balancer:", take, &s, &answer);
  if (said != DOCS_OK && !s.failed)
    s.failed = !canary_fail(c, "the database", "the balancers' documents", "%s",
                            answer.error);
  docs_free(d);
  return !s.failed;
}

bool fronts_find(canary *c) {
  if (c->config->balancer_count == 0 && !ask_database(c))
    return false;
  for (size_t i = 0; i < c->config->balancer_count; i++)
    if (!add(c, NULL, c->config->balancers[i]))
      return false;
  return c->front_count != 0 || canary_fail(c, "the database", "balancers",
                                            "no balancer is known there");
}

void fronts_free(canary *c) {
  for (size_t i = 0; i < c->front_count; i++)
    visitor_free(c->fronts[i].visitor);
}

static void note(canary *c, const front *f, const expectation *e,
                 const visit_answer *a, enum verdict v) {
  finding *what = report_add(c->report, c->step, f->name, v == SHOWS_OTHERS);

  if (what == NULL)
    return;
  visit_describe(a, v, what);
  visit_describe_expected(e, what->expected, sizeof what->expected);
}

/* Others' bytes are never waited out. */
static bool shows(canary *c, front *f, const expectation *e) {
  int64_t until_ms = mono_ms() + c->config->settle_ms;
  visit_answer a;
  enum verdict v;

  for (;;) {
    visit(f->visitor, c->host, VISIT_MS, &a);
    metric_add(c->config->visits, 1);
    v = visit_judge(&a, e);
    if (v == SHOWS_IT)
      return true;
    if (v == SHOWS_OTHERS || mono_ms() >= until_ms ||
        c->deadline_ms - mono_ms() < AGAIN_MS) {
      note(c, f, e, &a, v);
      return false;
    }
    if (!halt_pause(c->halt, AGAIN_MS))
      return false;
  }
}

/* All are looked at, so that one mail tells of all. */
bool fronts_show(canary *c, const expectation *e) {
  bool well = true;

  for (size_t i = 0; i < c->front_count; i++) {
    if (!shows(c, &c->fronts[i], e))
      well = false;
    if (halt_is_set(c->halt) || mono_ms() >= c->deadline_ms)
      break;
  }
  return well && canary_goes_on(c);
}
