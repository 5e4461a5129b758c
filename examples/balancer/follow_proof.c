/* What is dropped, or goes back, only when it was read twice: an audit that was
   begun late enough after the first reading, and read all, is the second. See
   follow_state.h. */
#include "balancer/follow_state.h"

#include "common/log.h"
#include <stdlib.h>

static bool is_open(const holding *h) {
  return h->kept.by_why[KEPT_UNPROVEN] != 0 || h->kept.by_why[KEPT_OLDER] != 0;
}

void proof_wanted(follow *f) {
  if (f->prove_at_ms == 0)
    f->prove_at_ms = follow_up_ms() + f->config.proof_ms + FOLLOW_STEP_MS;
}

bool follow_audit(follow *f) {
  if (f->held->mirror == NULL || f->held->over ||
      changefeed_mirror_audit(f->held->mirror) != CHANGEFEED_OK)
    return false;
  f->audit_at_ms = follow_up_ms(); /* its own clock may be a round behind */
  return true;
}

void proof_step(follow *f) {
  int64_t now = follow_up_ms();

  if (f->held->mirror == NULL || !is_open(f->held)) {
    f->prove_at_ms = 0;
    return;
  }
  proof_wanted(f);
  if (now < f->prove_at_ms)
    return;
  /* It may be running, or not be in step: tried again soon. */
  f->prove_at_ms = now + (follow_audit(f) ? AUDIT_AGAIN_MS : REOPEN_LEAST_MS);
}

static void drop_proven(follow *f, kept *k) {
  holding *h = f->held;
  const route *was = value_route(k->value);

  log_event(LOG_WARN, "follow.dropped", LS("id", k->id),
            LS("why", "two readings of the database did not have it"));
  if (was != NULL) {
    routes_drop(h->routes, was);
    follow_changed(f, was, NULL);
  }
  value_drop(f->config.table, kept_remove(&h->kept, k));
}

static void take_older(follow *f, kept *k) {
  holding *h = f->held;
  const route *was = value_route(k->value), *is;
  changefeed_entry entry;

  if (changefeed_mirror_get(h->mirror, k->id, strlen(k->id), &entry) !=
          CHANGEFEED_OK ||
      (is = value_route(entry.value)) == NULL ||
      !routes_put(h->routes, is, was))
    return; /* with the next audit */
  log_event(LOG_WARN, "follow.went_back", LS("id", k->id),
            LN("from_gen", route_gen(was)), LN("gen", route_gen(is)));
  follow_changed(f, was, is);
  value_drop(f->config.table, kept_remove(&h->kept, k));
}

static void conclude(follow *f, int64_t begun_ms) {
  kept **all;
  size_t count;

  if (!kept_sorted(&f->held->kept, ROUTE_PREFIX, ROUTE_BEHIND, &all, &count))
    return; /* with the next audit */
  for (size_t i = 0; i < count; i++) {
    if (begun_ms - all[i]->since_ms < f->config.proof_ms)
      continue;
    if (all[i]->why == KEPT_UNPROVEN)
      drop_proven(f, all[i]);
    else if (all[i]->why == KEPT_OLDER)
      take_older(f, all[i]);
  }
  free(all);
}

void proof_audited(follow *f, const changefeed_audit *audit) {
  f->repairs += audit->repaired;
  metric_add(f->m.repairs, (int64_t)audit->repaired);
  int64_t now = follow_up_ms(), begun = f->audit_at_ms;

  f->audit_at_ms = 0;
  log_event(audit->code == CHANGEFEED_OK ? LOG_INFO : LOG_WARN, "follow.audit",
            LS("result", changefeed_strerror(audit->code)),
            LN("documents", audit->documents), LN("repaired", audit->repaired),
            LN("unsettled", audit->unsettled), LN("took_ms", audit->took_ms));
  if (audit->code != CHANGEFEED_OK)
    return;
  f->audits++;
  metric_add(f->m.audits, 1);
  conclude(f, begun != 0 ? begun : now - audit->took_ms);
}
