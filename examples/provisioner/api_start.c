/* Starting and stopping: who may, and who only joins what is under way. Where a
   call changes nothing, the database does not hear of it. */
#include "provisioner/api_state.h"

#include <stdlib.h>
#include <string.h>

/* ---- flights: writes that the view does not show yet ---- */

static flight *find(api *a, const char *app, bool start) {
  flight *f;

  LIST_FOREACH(f, &a->flights[api_bucket(app)], link)
  if (f->start == start && f->definition[0] == '\0' && strcmp(f->app, app) == 0)
    return f;
  return NULL;
}

static flight *find_definition(api *a, const char *app) {
  flight *f;

  LIST_FOREACH(f, &a->flights[api_bucket(app)], link)
  if (f->definition[0] != '\0' && strcmp(f->app, app) == 0)
    return f;
  return NULL;
}

const flight *flight_of(api *a, const char *app, int64_t gen) {
  const flight *f;

  LIST_FOREACH(f, &a->flights[api_bucket(app)], link)
  if (f->gen == gen && f->definition[0] == '\0' && strcmp(f->app, app) == 0)
    return f;
  return NULL;
}

static flight *begin(api *a, const char *app, bool start) {
  flight *f = find(a, app, start);

  if (f == NULL) {
    f = calloc(1, sizeof *f);
    if (f == NULL)
      return NULL;
    memcpy(f->app, app, strlen(app) + 1);
    f->start = start;
    LIST_INIT(&f->waiting);
    LIST_INSERT_HEAD(&a->flights[api_bucket(app)], f, link);
  }
  f->gen = 0;
  f->since_ms = mono_ms();
  return f;
}

static void drop(flight *f) {
  LIST_REMOVE(f, link);
  free(f);
}

/* Somebody may have defined it anew elsewhere: then it is given up by time. */
static bool is_defined(api *a, const flight *f) {
  app_doc app;
  wish now;

  if (!view_app(a->config.view, f->app, &app))
    return false;
  wish_of(app.doc, &now);
  app_doc_free(&app);
  return strcmp(now.definition, f->definition) == 0;
}

static bool is_seen(api *a, const flight *f) {
  if (f->definition[0] != '\0')
    return is_defined(a, f);
  return f->gen != 0 && view_gen(a->config.view, f->app) >= f->gen;
}

void flights_changed(api *a, const char *app) {
  flight *f, *next;

  for (f = LIST_FIRST(&a->flights[api_bucket(app)]); f != NULL; f = next) {
    next = LIST_NEXT(f, link);
    if (strcmp(f->app, app) == 0 && is_seen(a, f))
      drop(f);
  }
}

void flight_define(api *a, const char *app, const json_t *document) {
  flight *f = find_definition(a, app);
  wish is;

  wish_of(document, &is);
  if (f == NULL) {
    f = calloc(1, sizeof *f);
    if (f == NULL) /* what is started is told by the view, then */
      return;
    memcpy(f->app, app, strlen(app) + 1);
    f->gen = 1;
    LIST_INIT(&f->waiting);
    LIST_INSERT_HEAD(&a->flights[api_bucket(app)], f, link);
  }
  memcpy(f->definition, is.definition, sizeof f->definition);
  f->since_ms = mono_ms();
  if (is_seen(a, f))
    drop(f);
}

void flights_due(api *a) {
  int64_t now = mono_ms();
  flight *f, *next;

  for (size_t i = 0; i < CALL_BUCKETS; i++)
    for (f = LIST_FIRST(&a->flights[i]); f != NULL; f = next) {
      next = LIST_NEXT(f, link);
      if (f->gen != 0 && (is_seen(a, f) || now - f->since_ms > FLIGHT_MS))
        drop(f);
    }
}

size_t flights_count(api *a) {
  size_t count = 0;
  flight *f;

  for (size_t i = 0; i < CALL_BUCKETS; i++)
    LIST_FOREACH(f, &a->flights[i], link) count += f->start;
  return count;
}

void flights_free(api *a) {
  for (size_t i = 0; i < CALL_BUCKETS; i++)
    while (!LIST_EMPTY(&a->flights[i]))
      drop(LIST_FIRST(&a->flights[i]));
}

/* ---- writing ---- */

static void write_it(call *c, desk_hands *hands) {
  c->result = write_want(hands, c->app, &c->change, &c->answer);
}

static void tell(call *c, const call *writer, bool coalesced) {
  c->coalesced = coalesced;
  c->gen = writer->answer.gen;
  if (writer->result == WRITE_DONE || writer->result == WRITE_SAME)
    answer_op(c);
  else
    answer_write(c, writer->result, writer->answer.error);
}

static void written(call *c) {
  api *a = c->api;
  flight *f = find(a, c->app, c->start);
  bool done = c->result == WRITE_DONE || c->result == WRITE_SAME;
  call *other;

  if (c->result == WRITE_DONE) {
    metric_add(a->m.operations, 1);
    log_event(LOG_INFO, c->start ? "api.start" : "api.stop", LS("app", c->app),
              LN("gen", c->answer.gen));
  }
  if (f != NULL)
    f->gen = done ? c->answer.gen : 0;
  if (done && a->config.kernel != NULL)
    kernel_look(a->config.kernel, c->app);
  while (f != NULL && (other = LIST_FIRST(&f->waiting)) != NULL) {
    call_unlist(other);
    tell(other, c, true);
  }
  if (f != NULL && (!done || is_seen(a, f)))
    drop(f);
  tell(c, c, c->result == WRITE_SAME);
}

/* renew_of: see wish_change. */
static void operate(call *c, int64_t renew_of) {
  api *a = c->api;
  flight *f = begin(a, c->app, c->start);

  c->change.start = c->start;
  c->change.key = c->wished.key;
  c->change.renew_of = renew_of;
  c->change.floor = view_gen(a->config.view, c->app);
  c->change.at_ms = wall_ms();
  if (f == NULL) {
    answer_error(c, 503, "memory", 1000, "there is no memory for it");
    return;
  }
  if (!call_task(c, a->writers, write_it, written))
    drop(f);
}

/* ---- deciding ---- */

typedef struct situation {
  bool known, matches; /* what is wanted is what is asked for */
  bool idle;           /* a stop of what was never started */
  wish now;
  op o;
} situation;

static void look(call *c, situation *s) {
  const flight *f = find(c->api, c->app, c->start);
  app_doc app;

  memset(s, 0, offsetof(situation, o));
  s->known = view_app(c->api->config.view, c->app, &app);
  if (s->known) {
    wish_of(app.doc, &s->now);
    app_doc_free(&app);
  }
  c->gen = s->now.gen;
  s->matches =
      s->now.any && s->now.started == c->start && !s->now.changed &&
      (c->wished.key[0] == '\0' || strcmp(c->wished.key, s->now.key) == 0);
  if (f != NULL && f->gen > s->now.gen) { /* newer than what is seen */
    c->gen = f->gen;
    s->matches = true;
  }
  if (c->start && find_definition(c->api, c->app) != NULL) {
    s->matches = false;
    s->now.changed = true;
  }
  s->idle = s->known && !c->start && (!s->now.any || c->gen == 0);
  (void)op_look(c->api, c->app, c->gen, &s->o);
}

/* A key is no second wish while the first one is under way; another definition
   is. */
static bool is_busy(const call *c, const situation *s) {
  bool same = s->matches ||
              (c->start && s->now.any && s->now.started && !s->now.changed);

  return same &&
         (c->start ? s->o.state == OP_QUEUED || s->o.state == OP_STARTING
                   : s->o.state == OP_STOPPING);
}

static void admitted(call *c, const situation *s,
                     enum admission_verdict verdict) {
  bool live = s->matches && s->o.state == OP_LIVE && c->start;

  if (verdict == ADMIT && live) { /* wanted so already: nothing to write */
    metric_add(c->api->m.ensured, 1);
    answer_op(c);
    return;
  }
  operate(c, verdict == ADMIT_MOVE || s->o.state == OP_FAILED ? c->gen : -1);
}

static void decide(call *c, const situation *s) {
  api *a = c->api;
  admission_question q = {c->app,
                          c->start,
                          c->start && s->matches && s->o.state == OP_LIVE,
                          is_busy(c, s),
                          c->wished.force,
                          ops_queued(a) + flights_count(a),
                          mono_ms()};
  int64_t retry_ms;
  enum admission_verdict verdict = admission_ask(a->admission, &q, &retry_ms);

  switch (verdict) {
  case ADMIT_COALESCE:
    metric_add(a->m.coalesced, 1);
    c->coalesced = true;
    answer_op(c);
    return;
  case ADMIT_ENSURE:
    metric_add(a->m.ensured, 1);
    c->coalesced = true;
    answer_op(c);
    return;
  case ADMIT_RATE:
    /* The database is asked whether an app is there that is not seen, since
       another may have created it just now; not too often, either. */
    if (view_app_is_gone(a->config.view, c->app)) {
      answer_write(c, WRITE_MISSING, "");
      return;
    }
    metric_add(a->m.rate_refused, 1);
    answer_error(c, 429, "rate", retry_ms,
                 "the app %s was started or stopped too often; wait", c->app);
    return;
  case ADMIT_FULL:
    metric_add(a->m.full_refused, 1);
    answer_error(c, 503, "capacity", retry_ms,
                 "%zu apps wait for a drone already", q.queued);
    return;
  case ADMIT:
  case ADMIT_MOVE:
    admitted(c, s, verdict);
    return;
  }
}

#ifdef PLATFORM_HOOKS
/* As callers were served in 2013: a new operation for everybody. */
static bool a_call_is_an_operation(call *c) {
  if (!c->start || c->api->config.kernel == NULL ||
      kernel_coalesces(c->api->config.kernel))
    return false;
  operate(c, INT64_MAX);
  return true;
}
#endif

void start_post(call *c) {
  flight *f = find(c->api, c->app, c->start);
  char why[256];
  situation s;

  if (!wish_start(c->body, &c->wished, why, sizeof why)) {
    answer_error(c, 400, "request", 0, "%s", why);
    return;
  }
#ifdef PLATFORM_HOOKS
  if (a_call_is_an_operation(c))
    return;
#endif
  if (f != NULL && f->gen == 0) { /* being written: one write for all */
    metric_add(c->api->m.coalesced, 1);
    call_list(c, &f->waiting);
    return;
  }
  look(c, &s);
  if (s.idle || (!c->start && s.matches && s.o.state == OP_STOPPED)) {
    c->coalesced = true;
    s.o.state = OP_STOPPED;
    answer(c, 200, op_json(c->api, &s.o, NULL, NULL), 0);
    return;
  }
  decide(c, &s);
}
