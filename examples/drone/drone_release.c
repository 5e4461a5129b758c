/*
 * Letting a claim go: visitors first, then every process, then every file, then
 * the record; and only then is it said, to all who have asked meanwhile.
 */
#include "common/log.h"
#include "drone/drone_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void drone_set_echo(drone *d) {
  const drone_record *r = drone_claim_record(d->claim);

  d->echo[0] = '\0';
  if (r->held && !d->releasing)
    (void)snprintf(d->echo, sizeof d->echo, "%s/%s", r->claim.app, r->claim.id);
}

static void forget_waiter(http_exchange *x, void *ctx) {
  drone_waiter *w = ctx;

  (void)x;
  w->x = NULL;
}

/* failed: 0 or an errno, of what. */
static void answer_waiters(drone *d, int failed, const char *what) {
  int i;

  for (i = 0; i < DRONE_WAITERS; i++) {
    http_exchange *x = d->waiters[i].x;

    d->waiters[i].x = NULL;
    if (x == NULL)
      continue;
    http_exchange_on_gone(x, NULL, NULL);
    if (failed != 0)
      drone_answer_disk(d, x, failed, what);
    else
      drone_answer_state(d, x, 200, NULL, NULL);
  }
}

static void over(drone *d, int failed, const char *what) {
  d->releasing = false;
  drone_set_echo(d);
  if (failed == 0)
    metric_add(d->count.unbinds, 1);
  answer_waiters(d, failed, what);
  if (d->released != NULL)
    d->released(d);
}

static void on_wiped(void *ctx, int failed) {
  drone *d = ctx;
  char id[CLAIM_LEN + 1];
  enum drone_said said;

  if (failed != 0) {
    over(d, failed, "the claim is kept: what its app wrote cannot be removed");
    return;
  }
  memcpy(id, drone_claim_record(d->claim)->claim.id, sizeof id);
  said = drone_claim_unbind(d->claim, id, d->release_epoch);
  id[8] = '\0'; /* enough to find it in a log */
  log_event(LOG_INFO, "unbound", LS("claim", id), LN("epoch", d->release_epoch),
            LN("said", said));
  over(d, said == DRONE_YES ? 0 : drone_claim_errno(d->claim),
       "the claim is kept: its end cannot be written");
}

static void on_stopped(void *ctx) {
  drone *d = ctx;

  d->serial++; /* what still comes of it is of nobody */
  drone_app_wipe(d->app, on_wiped, d);
}

/* ---- visitors who are there already ---- */

static void on_drained(uv_timer_t *t) {
  drone *d = t->data;

  d->draining = false;
  (void)uv_timer_stop(t);
  if (drone_app_address(d->app) != NULL)
    http_pool_forget(d->pool, drone_app_address(d->app),
                     drone_claim_record(d->claim)->claim.id);
  drone_app_stop(d->app, on_stopped, d);
}

void drone_passed(drone *d) {
  d->passing--;
  /* Not out of the midst of whatever ended the last one. */
  if (d->draining && d->passing == 0)
    (void)uv_timer_start(&d->drain, on_drained, 0, 0);
}

void drone_release(drone *d, http_exchange *x, int64_t epoch) {
  int i;

  for (i = 0; i < DRONE_WAITERS && d->waiters[i].x != NULL; i++)
    ;
  if (i == DRONE_WAITERS) {
    drone_answer_state(d, x, 503, "too many wait for the end of this claim",
                       "busy");
    return;
  }
  d->waiters[i] = (drone_waiter){d, x};
  http_exchange_on_gone(x, forget_waiter, &d->waiters[i]);
  if (d->releasing) {
    if (epoch > d->release_epoch)
      d->release_epoch = epoch;
    return;
  }
  d->releasing = true;
  d->release_epoch = epoch;
  drone_set_echo(d);
  /* New ones are turned away from now on. */
  d->draining = true;
  if (d->passing == 0)
    on_drained(&d->drain);
  else
    (void)uv_timer_start(&d->drain, on_drained, (uint64_t)d->drain_ms, 0);
}
