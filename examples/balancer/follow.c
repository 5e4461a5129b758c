/* Opening, closing, and what is done four times a second; see follow.h, and
   follow_state.h for the parts. */
#include "balancer/follow_state.h"

#include "common/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STALE_MS = 15000, PROOF_MS = 10000 };

/* ---- steps ---- */

static void reopen(follow *f) {
  char error[WHY_SIZE];

  if (f->reopen_at_ms == 0 || follow_up_ms() < f->reopen_at_ms)
    return;
  f->reopen_at_ms = 0;
  if (mirror_open(f, error, sizeof error))
    return;
  (void)snprintf(f->why, sizeof f->why, "%s", error);
  log_event(LOG_ERROR, "follow.open", LS("why", error));
  mirror_open_later(f);
}

static void end_notice(follow *f) {
  if (f->notice_until_ms != 0 && follow_wall_ms() >= f->notice_until_ms)
    follow_set_notice(f, holding_find(f->held, MAINTENANCE_ID));
}

static void on_step(uv_timer_t *timer) {
  follow *f = timer->data;

  if (f->poll_stopped)
    f->poll_stopped = !feed_poll_resume(f->poll);
#ifdef PLATFORM_HOOKS
  if (f->naive != NULL)
    naive_step(f->naive);
#endif
  reopen(f);
  follow_settle(f);
  fresh_step(f);
  proof_step(f);
  end_notice(f);
  snapshot_step(f);
  status_step(f);
  table_reclaim(f->config.table);
}

static void after_round(void *ctx, int rc) {
  follow *f = ctx;

  if (rc < 0) {
    f->poll_stopped = true;
    log_event(LOG_ERROR, "follow.loop", LS("why", changefeed_strerror(rc)));
    return;
  }
  follow_settle(f);
  table_reclaim(f->config.table);
}

/* ---- opening ---- */

static void *own(const char *s) { return s != NULL ? strdup(s) : NULL; }

static bool copy_config(follow *f, const follow_config *c) {
  follow_config *to = &f->config;

  *to = *c;
  to->couch = own(c->couch);
  to->apps = own(c->apps);
  to->self = own(c->self);
  to->version = own(c->version);
  to->addr = own(c->addr);
  to->admin = own(c->admin);
  to->boot = own(c->boot);
  to->snapshot = own(c->snapshot);
  if (to->stale_ms <= 0)
    to->stale_ms = STALE_MS;
  if (to->proof_ms <= 0)
    to->proof_ms = PROOF_MS;
  return to->couch != NULL && to->apps != NULL && to->self != NULL &&
         to->version != NULL && to->addr != NULL && to->admin != NULL &&
         to->boot != NULL && (c->snapshot == NULL || to->snapshot != NULL);
}

static void forget(const char *own_text) {
  union {
    const char *text;
    char *own;
  } u = {own_text};

  if (u.own != NULL)
    explicit_bzero(u.own, strlen(u.own)); /* one of them has a password */
  free(u.own);
}

static void free_all(follow *f) {
  changefeed_loop_free(f->feeds);
  forget(f->config.couch);
  forget(f->config.apps);
  forget(f->config.self);
  forget(f->config.version);
  forget(f->config.addr);
  forget(f->config.admin);
  forget(f->config.boot);
  forget(f->config.snapshot);
  free(f);
}

static bool start_announcing(follow *f, char *error, size_t size) {
  announce_config c = {
      f->config.couch, f->config.apps, f->config.self,    f->config.addr,
      f->config.admin, f->config.boot, f->config.version, 0};

  if (!f->config.announce)
    return true;
  f->announce = announce_start(&c, error, size);
  return f->announce != NULL;
}

static bool start_following(follow *f, char *error, size_t size) {
#ifdef PLATFORM_HOOKS
  bool none;

  f->naive = naive_open(f, &none, error, size);
  if (!none)
    return f->naive != NULL;
#endif
  return mirror_open(f, error, size);
}

static bool start_timer(follow *f) {
  f->timer = calloc(1, sizeof *f->timer);
  if (f->timer == NULL)
    return false;
  (void)uv_timer_init(f->uv, f->timer);
  f->timer->data = f;
  return uv_timer_start(f->timer, on_step, FOLLOW_STEP_MS, FOLLOW_STEP_MS) == 0;
}

static bool set_up(follow *f, char *error, size_t size) {
  (void)snprintf(error, size, "no memory");
  f->empty = routes_new(f->config.table, 0);
  f->held = holding_new(f);
  if (f->empty == NULL || f->held == NULL || !status_open(f) ||
      changefeed_loop_new(&f->feeds, NULL) != CHANGEFEED_OK)
    return false;
  follow_publish(f, f->held, FOLLOW_NOTHING);
  if (f->config.snapshot != NULL)
    snapshot_open(f);
  if (!start_following(f, error, size))
    return false;
  f->poll = feed_poll_open(f->uv, f->feeds, after_round, f);
  if (f->poll == NULL || !start_timer(f)) {
    (void)snprintf(error, size, "the loop of the feeds cannot be polled");
    return false;
  }
  return start_announcing(f, error, size);
}

/* ---- closing ---- */

/* Behind it readers find nothing, and nothing of ours is looked at. */
static void dispose(follow *f) {
  holding *held = f->held;

#ifdef PLATFORM_HOOKS
  naive_close(f->naive);
#endif
  feed_poll_close(f->poll);
  if (held != NULL && held->published) {
    table_set_ready(f->config.table, false);
    table_publish(f->config.table, f->empty);
  } else if (f->empty != NULL) {
    routes_free(f->empty);
  }
  holding_free(f->coming);
  holding_free(held);
}

static void on_timer_closed(uv_handle_t *handle) {
  follow *f = handle->data;
  void (*done)(void *) = f->done;
  void *ctx = f->done_ctx;

  free(handle);
  free_all(f);
  if (done != NULL)
    done(ctx);
}

static void finish(follow *f) {
  dispose(f);
  if (f->timer != NULL)
    uv_close((uv_handle_t *)f->timer, on_timer_closed);
  else
    free_all(f);
}

follow *follow_open(uv_loop_t *loop, const follow_config *config, char *error,
                    size_t size) {
  follow *f = calloc(1, sizeof *f);

  (void)snprintf(error, size, "no memory");
  if (f == NULL)
    return NULL;
  f->uv = loop;
  f->opened_ms = follow_up_ms();
  f->fresh_at_ms = f->saved_at_ms = -1;
  if (!copy_config(f, config)) {
    free_all(f);
    return NULL;
  }
  f->suspect_ms = f->config.stale_ms;
  if (set_up(f, error, size))
    return f;
  finish(f);
  return NULL;
}

void follow_close(follow *f, void (*done)(void *ctx), void *ctx) {
  f->closing = true;
  f->done = done;
  f->done_ctx = ctx;
  (void)uv_timer_stop(f->timer);
  feed_poll_close(f->poll); /* what is served is told to nobody any more */
  f->poll = NULL;
  snapshot_end(f, finish);
}
