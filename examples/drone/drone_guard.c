/*
 * The guard: the only way to the app from outside. A request that does not
 * carry the claim that is held goes nowhere, and what comes back says which
 * claim answered; so no table of anybody's can show one app's pages as
 * another's.
 */
#include "common/log.h"
#include "drone/drone_int.h"
#include "drone/drone_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAIM_FIELD "X-Drone-Claim"
#define ERROR_FIELD "X-Drone-Error"

enum { HEALTH_MS = 2000 };

static http_str str(const char *s) {
  http_str made = {s, strlen(s)};

  return made;
}

/* A page of the guard's own. */
static void answer(drone *d, http_exchange *x, int status, const char *error,
                   const char *sentence) {
  http_field fields[5];
  size_t count = 0;
  text body = TEXT_INIT;

  fields[count++] = (http_field){str("Content-Type"), str("text/plain")};
  fields[count++] = (http_field){str("Cache-Control"), str("no-store")};
  if (d->echo[0] != '\0')
    fields[count++] = (http_field){str(CLAIM_FIELD), str(d->echo)};
  if (error != NULL)
    fields[count++] = (http_field){str(ERROR_FIELD), str(error)};
  if (status == 503)
    fields[count++] = (http_field){str("Retry-After"), str("1")};
  text_printf(&body, "%s\n", sentence);
  metric_add(d->count.own, 1);
  http_exchange_answer(x, status, fields, count, text_get(&body), body.len);
  text_free(&body);
}

/* The naive way "noguard": everybody is let in, and told what he wants to hear.
   For tests: what visitors see without the third rule. */
static bool is_naive(const drone *d) {
#ifdef PLATFORM_HOOKS
  return d->naive;
#else
  (void)d;
  return false;
#endif
}

/* What an answer says of the claim it is of. */
static http_str echo_for(const drone *d, const http_head *head) {
  const http_field *asked =
      is_naive(d) ? http_head_find(head, CLAIM_FIELD) : NULL;

  return asked != NULL ? asked->value : str(d->echo);
}

/* The claim is in the head exactly once, and it is the one that is held. */
static bool is_for_us(const drone *d, const http_head *head) {
  const http_field *claim = NULL;
  size_t i;

  if (is_naive(d))
    return true;
  for (i = 0; i < head->count; i++) {
    if (!http_str_is(head->fields[i].name, CLAIM_FIELD))
      continue;
    if (claim != NULL)
      return false;
    claim = &head->fields[i];
  }
  return claim != NULL && d->echo[0] != '\0' &&
         http_str_same(claim->value, d->echo);
}

/* What is said while no app takes connections. */
static const char *trouble(const drone *d) {
  switch (drone_app_now(d->app)) {
  case DRONE_APP_BACKOFF:
  case DRONE_APP_CRASHLOOP:
  case DRONE_APP_EXITED:
    return "crashed";
  default:
    return "starting";
  }
}

static void answer_trouble(drone *d, http_exchange *x) {
  const char *what = trouble(d);

  answer(d, x, 503, what,
         what[0] == 's' ? "The app is starting."
                        : "The app has ended and is started again.");
}

/* ---- health ---- */

typedef struct checkup {
  drone *drone;
  http_exchange *x; /* NULL: the client has gone */
  unsigned serial;
} checkup;

static void on_checkup_gone(http_exchange *x, void *ctx) {
  checkup *c = ctx;

  (void)x;
  c->x = NULL;
}

static void on_tried(void *ctx, int status) {
  checkup *c = ctx;
  drone *d = c->drone;
  char page[64];

  if (c->x != NULL) {
    http_exchange_on_gone(c->x, NULL, NULL);
    (void)snprintf(page, sizeof page, "%s",
                   drone_app_state_name(drone_app_now(d->app)));
    if (c->serial != d->serial || d->echo[0] == '\0')
      answer(d, c->x, 421, NULL, "That claim is not held here.");
    else if (status != 0)
      answer(d, c->x, 503, trouble(d), "The app takes no connection.");
    else
      answer(d, c->x, 200, NULL, page);
  }
  free(c);
}

static void check_health(drone *d, http_exchange *x) {
  const char *address = drone_app_address(d->app);
  checkup *c;

  if (address == NULL) {
    answer_trouble(d, x);
    return;
  }
  c = calloc(1, sizeof *c);
  if (c == NULL) {
    answer(d, x, 500, NULL, "No memory.");
    return;
  }
  *c = (checkup){d, x, d->serial};
  http_exchange_on_gone(x, on_checkup_gone, c);
  if (drone_port_try(d->loop, address, HEALTH_MS, on_tried, c) != 0)
    on_tried(c, UV_ENOMEM);
}

/* ---- the way to the app ---- */

/* An exchange carries the serial it was let in by, so that whatever comes of it
   later is seen to be of a claim that has gone. */
static void set_serial(http_exchange *x, const drone *d) {
  http_exchange_set(x, (void *)(uintptr_t)d->serial);
}

static bool is_current(const http_exchange *x, const drone *d) {
  return (uintptr_t)http_exchange_get(x) == d->serial;
}

static enum http_proxy_result on_head(http_exchange *x, const http_head *head,
                                      void *user) {
  (void)head;
  return is_current(x, user) ? HTTP_PROXY_OK : HTTP_PROXY_REJECTED;
}

static void on_failed(http_exchange *x, enum http_proxy_result result,
                      const char *why, void *user) {
  drone *d = user;

  log_event(LOG_INFO, "guard.failed", LN("result", result), LS("why", why));
  if (!is_current(x, d))
    answer(d, x, 421, NULL, "That claim is not held here any more.");
  else if (result == HTTP_PROXY_LATE)
    answer(d, x, 504, "late", "The app did not answer in time.");
  else if (result == HTTP_PROXY_BROKEN)
    answer(d, x, 502, "broken", "The app did not answer as HTTP wants it.");
  else if (result == HTTP_PROXY_CLIENT)
    answer(d, x, 400, NULL, why);
  else
    answer(d, x, 503, "crashed", "The app takes no connection.");
}

static void on_done(http_exchange *x, enum http_proxy_result result,
                    void *user) {
  drone *d = user;

  (void)x;
  metric_add(result == HTTP_PROXY_OK ? d->count.passed : d->count.failed, 1);
  drone_passed(d);
}

static void pass_on(drone *d, http_exchange *x) {
  http_field echo = {str(CLAIM_FIELD), echo_for(d, http_exchange_head(x))};
  http_proxy_target target = {drone_app_address(d->app),
                              drone_claim_record(d->claim)->claim.id};
  http_proxy_rules rules = {.response = &echo,
                            .response_count = 1,
                            .drop_prefix = "X-Drone-",
                            .head_ms = 60 * 1000,
                            .on_head = on_head,
                            .on_failed = on_failed,
                            .on_done = on_done,
                            .user = d};

  set_serial(x, d);
  d->passing++;
  http_proxy(x, d->pool, &target, &rules);
}

void drone_guard_request(http_exchange *x, void *user) {
  drone *d = user;
  const http_head *head = http_exchange_head(x);

  if (!is_for_us(d, head)) {
    metric_add(d->count.misdirected, 1);
    answer(d, x, 421, NULL, "That claim is not held here.");
  } else if (http_str_same(head->target, "/.well-known/drone")) {
    check_health(d, x);
  } else if (drone_app_address(d->app) == NULL) {
    answer_trouble(d, x);
  } else {
    pass_on(d, x);
  }
}

void drone_guard_refused(http_exchange *x, int status, const char *why,
                         void *user) {
  answer(user, x, status, "refused", why);
}
