/* The steps of a canary; see canary.h. A step that fails ends it; what it made
   is destroyed in any case, and looked for again before the next one begins. */
#include "deploybot/canary_state.h"

#include "common/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool canary_fail(canary *c, const char *where, const char *expected,
                 const char *format, ...) {
  finding *f = report_add(c->report, c->step, where, false);
  va_list args;

  if (f == NULL)
    return false;
  va_start(args, format);
  /* The analyzer does not see va_start here, though it does elsewhere.
     NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
  (void)vsnprintf(f->came, sizeof f->came, format, args);
  va_end(args);
  (void)snprintf(f->expected, sizeof f->expected, "%s", expected);
  return false;
}

bool canary_goes_on(canary *c) {
  if (halt_is_set(c->halt))
    return false; /* canary_run says what that is */
  if (mono_ms() < c->deadline_ms)
    return true;
  if (c->report->count != 0)
    return false; /* it says what has taken so long */
  return canary_fail(c, "the bot itself", "time left for it",
                     "the canary's %lld ms were over",
                     (long long)c->config->run_ms);
}

bool canary_pause(canary *c, int64_t ms) {
  int64_t left_ms = c->deadline_ms - mono_ms();

  return halt_pause(c->halt, ms < left_ms ? ms : left_ms) && canary_goes_on(c);
}

static bool step(canary *c, const char *name) {
  c->step = name;
  log_event(LOG_DEBUG, "canary.step", LS("app", c->config->app),
            LS("step", name));
  return canary_goes_on(c);
}

/* version: 1 or 2 */
static const char *word_of(const canary *c, size_t version) {
  return c->words->words[c->words->count - 3 + version];
}

static bool shown(canary *c, const char *nonce, const char *page) {
  const expectation e = {c->config->app, nonce, page, c->words->words,
                         c->words->count};

  return fronts_show(c, &e);
}

static bool deploy_again(canary *c) {
  asker *a = asker_start(c);
  bool well;

  if (a == NULL)
    return canary_fail(c, "the bot itself", "a thread that asks",
                       "there is no memory or no thread for it");
  well = deploy_create(c, word_of(c, 2)) && deploy_start(c) &&
         shown(c, word_of(c, 2), NULL);
  return asker_end(a) && well;
}

static bool all_steps(canary *c) {
  return step(c, "find the balancers") && fronts_find(c) &&
         step(c, "clean up what was left") && deploy_clean(c) &&
         step(c, "create the app") && deploy_create(c, word_of(c, 1)) &&
         step(c, "start the app") && deploy_start(c) &&
         step(c, "read the app") && shown(c, word_of(c, 1), NULL) &&
         step(c, "deploy a new version") && deploy_again(c) &&
         step(c, "stop the app") && deploy_stop(c) &&
         step(c, "show that it is stopped") && shown(c, NULL, "E04") &&
         step(c, "destroy the app") && deploy_destroy(c) &&
         step(c, "show that it is gone") && shown(c, NULL, "E01");
}

/* What is no result of the platform's is not told as one; a misroute always
   is. */
static void conclude(canary *c, bool done) {
  canary_report *r = c->report;

  if (r->result == CANARY_MISROUTE)
    return;
  if (halt_is_set(c->halt) && !done)
    r->result = CANARY_INTERRUPTED;
}

void canary_run(const canary_config *config, const nonces *words, halt *h,
                canary_report *report) {
  int64_t began_ms = mono_ms();
  canary *c = calloc(1, sizeof *c);
  bool done;

  memset(report, 0, sizeof *report);
  report->at_ms = wall_ms();
  (void)snprintf(report->app, sizeof report->app, "%s", config->app);
  if (c == NULL) {
    report->result = CANARY_FAILED;
    return;
  }
  c->config = config;
  c->words = words;
  c->halt = h;
  c->report = report;
  c->step = "begin";
  c->deadline_ms = began_ms + config->run_ms;
  done = deploy_open(c) && all_steps(c);
  conclude(c, done);
  if (!done && c->made)
    deploy_leave(c);
  fronts_free(c);
  rest_free(c->api);
  free(c);
  report->took_ms = mono_ms() - began_ms;
}
