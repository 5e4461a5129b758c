/* The proof that changes come through, and how late they come; see
   follow_state.h. A feed's heartbeats prove a socket: what counts is a document
   that was written a moment ago, a provisioner's tick or our own. When none has
   come for half of stale_ms our own is written; when that is not brought by a
   feed that seems to live, another mirror is read beside it. */
#include "balancer/follow_state.h"

#include "common/log.h"
#include <stdlib.h>
#include <string.h>

static void note_late(follow *f, int64_t at_ms) {
  int64_t late = follow_wall_ms() - at_ms;
  lag *l = &f->lags[f->lag_count++ % LAG_RING];

  l->came_ms = follow_up_ms();
  l->late_ms = late > 0 ? late : 0; /* two clocks */
  metric_time(f->m.lag, l->late_ms);
}

static bool is_ours(const follow *f, const reading *r, const char *id) {
  size_t prefix = strlen(BALANCER_PREFIX);

  if (strncmp(id, BALANCER_PREFIX, prefix) != 0 ||
      strcmp(id + prefix, f->config.self) != 0)
    return false;
  if (strcmp(r->boot, f->config.boot) == 0)
    return true;
  if (f->config.announce)
    log_event(LOG_WARN, "follow.same_id", LS("id", f->config.self),
              LS("why", "another balancer with this id has just written its "
                        "document; give it another --id"));
  return false;
}

void fresh_came(follow *f, const reading *r, const char *id) {
  bool ours = is_ours(f, r, id);

  if (r->at_ms > 0)
    note_late(f, r->at_ms);
  if (r->is_tick || ours) {
    f->fresh_at_ms = follow_up_ms();
    f->suspect_ms = f->config.stale_ms;
  }
}

int64_t fresh_age_ms(const follow *f) {
  return f->fresh_at_ms >= 0 ? follow_up_ms() - f->fresh_at_ms : -1;
}

static int by_lateness(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return x < y ? -1 : x > y;
}

int64_t fresh_lag_p99(const follow *f) {
  size_t most = f->lag_count < LAG_RING ? f->lag_count : LAG_RING, count = 0;
  int64_t since = follow_up_ms() - LAG_MS, p99 = -1;
  int64_t *late = most != 0 ? malloc(most * sizeof *late) : NULL;

  if (late == NULL)
    return -1;
  for (size_t i = 0; i < most; i++)
    if (f->lags[i].came_ms >= since)
      late[count++] = f->lags[i].late_ms;
  if (count != 0) {
    qsort(late, count, sizeof *late, by_lateness);
    p99 = late[(count - 1) * 99 / 100];
  }
  free(late);
  return p99;
}

/* ---- doubts about the feed ---- */

/* Our own document was written, after what came last, and has not come. */
static bool is_lost(follow *f, int64_t now) {
  int64_t written;

  if (f->announce == NULL)
    return true;
  written = announce_written_ms(f->announce);
  return written > f->fresh_at_ms && now - written >= f->config.stale_ms / 3;
}

static void suspect(follow *f, int64_t now) {
  changefeed *feed;
  char error[WHY_SIZE];

  if (f->held->mirror == NULL || f->held->over || f->coming != NULL ||
      now < f->suspect_at_ms || !is_lost(f, now))
    return;
  feed = changefeed_mirror_get_feed(f->held->mirror);
  if (feed == NULL || changefeed_get_state(feed) != CHANGEFEED_STATE_LIVE)
    return; /* it knows itself that it is in trouble */
  log_event(LOG_WARN, "follow.suspect", LN("ms", fresh_age_ms(f)),
            LS("why", "the feed seems to live, and brings nothing"));
  if (!mirror_open(f, error, sizeof error))
    log_event(LOG_ERROR, "follow.open", LS("why", error));
  f->suspect_at_ms = now + f->suspect_ms;
  if (f->suspect_ms < SUSPECT_MOST_MS / 2)
    f->suspect_ms *= 2;
  else
    f->suspect_ms = SUSPECT_MOST_MS;
}

static bool is_never_stale(const follow *f) {
#ifdef PLATFORM_HOOKS
  return f->naive != NULL && naive_is_never_stale(f->naive);
#else
  (void)f;
  return false;
#endif
}

void fresh_step(follow *f) {
  int64_t now = follow_up_ms();
  int64_t since = f->fresh_at_ms >= 0 ? f->fresh_at_ms : f->opened_ms;
  int64_t age = now - since, half = f->config.stale_ms / 2;
  bool stale = age > f->config.stale_ms && !is_never_stale(f);

  if (f->announce != NULL && age > half && now - f->asked_ms > half) {
    f->asked_ms = now;
    announce_ask(f->announce);
  }
  if (stale != f->stale) {
    f->stale = stale;
    if (stale)
      log_event(LOG_WARN, "follow.stale", LN("ms", age));
    else
      log_event(LOG_INFO, "follow.fresh", LN("ms", age));
  }
  if (stale)
    suspect(f, now);
}
