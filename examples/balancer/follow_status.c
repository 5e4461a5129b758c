/* What is told of following: status and metrics; see follow.h. */
#include "balancer/follow_state.h"

#include <stdio.h>
#include <string.h>

static bool is_synced(const follow *f) {
  if (f->naive != NULL)
    return f->held->synced;
  return f->held->mirror != NULL && !f->held->over &&
         changefeed_mirror_is_synced(f->held->mirror) != 0;
}

static changefeed *feed_of(const follow *f) {
  const holding *h =
      f->held->mirror != NULL && !f->held->over ? f->held : f->coming;

  return h != NULL && h->mirror != NULL && !h->over
             ? changefeed_mirror_get_feed(h->mirror)
             : NULL;
}

static const char *feed_word(const follow *f) {
  changefeed *feed = feed_of(f);

#ifdef PLATFORM_HOOKS
  if (f->naive != NULL)
    return naive_feed(f->naive);
#endif
  return feed != NULL ? changefeed_state_name(changefeed_get_state(feed))
                      : "away";
}

static bool is_up(const follow *f) {
  return is_synced(f) && strcmp(feed_word(f), "live") == 0;
}

static const char *trouble(const follow *f) {
  if (f->poll_stopped)
    return "the loop of the feeds has failed; it is tried again";
  if (f->why[0] != '\0')
    return f->why;
  if (f->coming != NULL && f->coming->mirror != NULL) {
    const changefeed_error *e =
        changefeed_last_error(changefeed_mirror_get_feed(f->coming->mirror));

    if (f->held->mirror == NULL && e != NULL && e->code != 0)
      return e->message;
  }
  if (f->stale)
    return "no proof has come for too long that changes come through";
  if (f->save_why[0] != '\0')
    return f->save_why;
  if (f->held->kept.by_why[KEPT_UNPROVEN] != 0)
    return "the database lacks routes that are served; they go when it was "
           "read twice";
  return "";
}

static enum follow_source source_of(const follow *f) {
  if (f->held->synced)
    return FOLLOW_DATABASE;
  return f->held->snapshot != NULL ? FOLLOW_SNAPSHOT : FOLLOW_NOTHING;
}

void follow_get_status(follow *f, follow_status *out) {
  memset(out, 0, sizeof *out);
  out->source = source_of(f);
  out->synced = is_synced(f);
  out->fresh_ms = fresh_age_ms(f);
  out->stale = f->stale;
  out->snapshot_age_ms =
      f->saved_at_ms >= 0 ? follow_wall_ms() - f->saved_at_ms : -1;
  holding_digest(f->held, NULL, NULL, &out->digest, &out->routes);
  out->hosts = routes_host_count(f->held->routes);
  out->unproven = f->held->kept.by_why[KEPT_UNPROVEN];
  out->unreadable = f->held->kept.by_why[KEPT_UNREADABLE];
  out->older = f->held->kept.by_why[KEPT_OLDER];
  out->shadowed = routes_shadow_count(f->held->routes);
  out->audits = f->audits;
  out->repairs = f->repairs;
  out->resets = f->resets;
  out->changes = f->changes;
  out->lag_p99_ms = fresh_lag_p99(f);
  out->feed = feed_word(f);
  out->trouble = trouble(f);
}

/* ---- metrics ---- */

bool status_open(follow *f) {
  metrics *m = f->config.metrics;
  follow_metrics *to = &f->m;

  to->routes = metrics_gauge(m, "balancer_routes", NULL, "Routes served");
  to->hosts = metrics_gauge(m, "balancer_hosts", NULL, "Hosts served");
  to->fresh = metrics_gauge(m, "balancer_fresh_seconds", NULL,
                            "Since a tick came through the feed; -1: none has");
  to->stale = metrics_gauge(m, "balancer_stale", NULL,
                            "1: it is not known that changes come through");
  to->unproven = metrics_gauge(m, "balancer_unproven", NULL,
                               "Routes served that the last reading lacked");
  to->unreadable = metrics_gauge(m, "balancer_unreadable", NULL,
                                 "Documents whose revision before is served");
  to->changes = metrics_counter(m, "balancer_changes_total", NULL,
                                "Changes of what is served");
  to->audits = metrics_counter(m, "balancer_audits_total", NULL,
                               "Comparisons with the database");
  to->repairs = metrics_counter(m, "balancer_repairs_total", NULL,
                                "Differences they found; must stay 0");
  to->resets = metrics_counter(m, "balancer_resets_total", NULL,
                               "Other histories the database served");
  to->snapshot_age = metrics_gauge(m, "balancer_snapshot_age_seconds", NULL,
                                   "Of the file; -1: there is none");
  to->feed_up =
      metrics_gauge(m, "balancer_feed_up", NULL, "1: the feed is live");
  to->lag = metrics_times(m, "balancer_lag_seconds", NULL,
                          "From a document's time to its arrival");
  to->saves =
      metrics_counter(m, "balancer_saves_total", NULL, "Snapshots saved");
  to->save_errors =
      metrics_counter(m, "balancer_save_errors_total", NULL,
                      "Snapshots that could not be saved, or read");
  return to->save_errors != NULL; /* with no memory for one, the next fails */
}

static int64_t seconds(int64_t ms) { return ms >= 0 ? ms / 1000 : -1; }

void status_step(follow *f) {
  const follow_metrics *m = &f->m;
  changefeed_digest ignored;
  uint64_t count;

  holding_digest(f->held, NULL, NULL, &ignored, &count);
  metric_set(m->routes, (int64_t)count);
  metric_set(m->hosts, (int64_t)routes_host_count(f->held->routes));
  metric_set(m->fresh, seconds(fresh_age_ms(f)));
  metric_set(m->stale, f->stale);
  metric_set(m->unproven, (int64_t)f->held->kept.by_why[KEPT_UNPROVEN]);
  metric_set(m->unreadable, (int64_t)f->held->kept.by_why[KEPT_UNREADABLE]);
  metric_set(m->snapshot_age, f->saved_at_ms >= 0
                                  ? seconds(follow_wall_ms() - f->saved_at_ms)
                                  : -1);
  metric_set(m->feed_up, is_up(f));
}
