/* From what was served before to a mirror that is whole: what the mirror does
   not have, cannot read, or has in a lower gen, is carried over as it was; then
   readers get the new set in one step. */
#include "balancer/follow_state.h"

#include "common/log.h"
#include <string.h>

typedef struct carrying {
  holding *to;
  bool failed;
} carrying;

static value *carried(const served *s) {
  return s->value != NULL ? value_ref(s->value)
                          : value_of_route(s->route, s->rev);
}

static bool carry(carrying *c, const served *s, enum kept_why why,
                  const route *instead) {
  holding *h = c->to;
  table *t = h->follow->config.table;
  kept *k = kept_find(&h->kept, s->id);
  value *v = carried(s);

  if (v == NULL || !routes_put(h->routes, value_route(v), instead)) {
    value_drop(t, v);
  } else if (k != NULL) { /* unreadable now, and served by nobody */
    value_drop(t, kept_swap(&h->kept, k, v));
    return true;
  } else if (kept_add(&h->kept, s->id, why, v, follow_up_ms()) != NULL) {
    return true;
  } else { /* nobody will see this set */
    routes_drop(h->routes, value_route(v));
    value_drop(t, v);
  }
  c->failed = true;
  return false;
}

static bool look_at(void *ctx, const served *s) {
  carrying *c = ctx;
  changefeed_entry entry;
  const route *is;

  if (s->route == NULL)
    return true;
  if (changefeed_mirror_get(c->to->mirror, s->id, strlen(s->id), &entry) !=
      CHANGEFEED_OK)
    return carry(c, s, KEPT_UNPROVEN, NULL);
  is = value_route(entry.value);
  if (is == NULL)
    return carry(c, s, KEPT_UNREADABLE, NULL);
  if (route_gen(is) < route_gen(s->route))
    return carry(c, s, KEPT_OLDER, is);
  return true;
}

void follow_publish(follow *f, holding *h, enum follow_source source) {
  table_publish(f->config.table, h->routes);
  h->published = true;
  f->held = h;
  if (source != FOLLOW_NOTHING)
    table_set_ready(f->config.table, true);
}

static void give_up(follow *f) {
  holding *h = f->coming;

  f->coming = NULL;
  holding_free(h);
  mirror_open_later(f);
}

static void take_over(follow *f) {
  carrying c = {f->coming, false};
  holding *before = f->held;

  if (!holding_each(before, ROUTE_PREFIX, ROUTE_BEHIND, look_at, &c) ||
      c.failed) {
    log_event(LOG_ERROR, "follow.no_memory", LS("id", "all"));
    give_up(f);
    return;
  }
  f->coming = NULL;
  f->reopen_ms = f->reopen_at_ms = 0;
  f->why[0] = '\0';
  f->changes++;
  metric_add(f->m.changes, 1);
  follow_publish(f, c.to, FOLLOW_DATABASE);
  follow_set_notice(f, holding_find(f->held, MAINTENANCE_ID));
  if (f->held->kept.by_why[KEPT_UNPROVEN] != 0 ||
      f->held->kept.by_why[KEPT_OLDER] != 0) {
    log_event(LOG_WARN, "follow.carried",
              LN("unproven", f->held->kept.by_why[KEPT_UNPROVEN]),
              LN("older", f->held->kept.by_why[KEPT_OLDER]));
    proof_wanted(f);
  }
  if (f->config.on_replaced != NULL)
    f->config.on_replaced(f->config.ctx);
  holding_free(before);
}

void follow_settle(follow *f) {
  if (f->coming != NULL && f->coming->over)
    give_up(f);
  else if (f->coming != NULL && f->coming->synced)
    take_over(f);
  if (f->held->over && f->coming == NULL && f->reopen_at_ms == 0)
    mirror_open_later(f);
}
