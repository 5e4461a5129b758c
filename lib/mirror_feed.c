/*
 * The feed a mirror follows, and what is done after each thing that happens:
 * is it in step now, what do readers see, when is the timer to ring.
 */
#include <string.h>

#include "mirror_state.h"

enum { AGAIN_MS = 1000, LOOK_MOST_MS = 1000, LOOK_LEAST_MS = 100 };

/* ---- beginning and ending ---- */

static void list_ended(changefeed_mirror *m) { m->phase = CFI_MIRROR_CLEARING; }

/* The feed has its position: what is listed from now on is as it was then or
   later. */
static void begin_list(changefeed_mirror *m) {
  cfi_list_request request = {m->from, m->to, NULL, false};

  cfi_merge_forget(m);
  m->list_at_ms = CFI_NEVER;
  m->list.row = cfi_merge_listed;
  m->list.ended = list_ended;
  m->phase = CFI_MIRROR_LISTING;
  if (!cfi_lister_open(&m->list, &request))
    cfi_mirror_fail(m);
}

void cfi_mirror_list_again(changefeed_mirror *m) {
  cfi_audit_drop(m);
  if (m->phase == CFI_MIRROR_LISTING)
    m->list_at_ms = cfi_mirror_now(m) + AGAIN_MS;
}

static void on_live(changefeed_mirror *m) {
  if (m->phase == CFI_MIRROR_STARTING)
    begin_list(m);
  else if (m->phase == CFI_MIRROR_READING)
    m->phase = CFI_MIRROR_CLEARING;
}

static void in_step(changefeed_mirror *m) {
  int verdict = m->rebuilding ? cfi_mirror_switch(m) : CHANGEFEED_CONTINUE;

  if (m->closing || verdict == CHANGEFEED_LATER)
    return;
  if (verdict < 0) {
    (void)cfi_error_set(&m->error,
                        verdict == CHANGEFEED_ERR_NOMEM
                            ? CHANGEFEED_ERR_NOMEM
                            : CHANGEFEED_ERR_CALLBACK,
                        verdict == CHANGEFEED_ERR_NOMEM
                            ? "no memory for the new contents"
                            : "the application gave up (%d) at a document",
                        verdict);
    cfi_mirror_fail(m);
    return;
  }
  m->stop_wanted = m->stop_wanted || verdict == CHANGEFEED_STOP;
  /* What is told to be in step has to be seen; without memory, later. */
  if ((m->unpublished || !m->shows) && !cfi_tree_publish(m->tree))
    return;
  m->unpublished = false;
  m->phase = CFI_MIRROR_SYNCED;
  (void)cfi_mirror_fresh_ms(m); /* proven now, whether anybody asks or not */
  m->shows = true;
  atomic_store(&m->synced, true);
  m->stats.syncs++;
  if (m->callbacks.on_synced == NULL)
    return;
  m->depth++;
  m->callbacks.on_synced(m, m->callbacks.user);
  m->depth--;
}

static void keep_error(changefeed_mirror *m, const changefeed_error *error) {
  (void)cfi_error_set(&m->error, error->code, "%s", error->message);
  m->error.pub.http_status = error->http_status;
  m->error.pub.curl_code = error->curl_code;
  m->error.pub.sys_errno = error->sys_errno;
}

static void over(changefeed_mirror *m, const changefeed_error *error) {
  bool failed = error != NULL || m->failing;
  cfi_error why;

  if (m->phase == CFI_MIRROR_OVER)
    return;
  if (error != NULL)
    keep_error(m, error);
  /* When it fails, the snapshot before it is whole; stats and the last error
     tell. */
  if (m->snapshot != NULL &&
      cfi_mirror_save(m, m->snapshot, &why) != CHANGEFEED_OK &&
      why.pub.code != CHANGEFEED_ERR_STATE && !failed)
    cfi_error_copy(&m->error, &why);
  m->phase = CFI_MIRROR_OVER;
  atomic_store(&m->synced, false);
  cfi_audit_drop(m);
  cfi_lister_close(&m->list);
  cfi_lister_close(&m->keys);
  if (m->callbacks.on_over == NULL || m->closing)
    return;
  m->depth++;
  m->callbacks.on_over(m, failed ? &m->error.pub : NULL, m->callbacks.user);
  m->depth--;
}

/* ---- the feed's callbacks ---- */

static int take(changefeed_mirror *m, const changefeed_change *c) {
  /* What comes before there is a position may be told of once and never again:
     the list knows better. */
  if (cfi_mirror_gone(m) || m->phase == CFI_MIRROR_STARTING ||
      !cfi_mirror_in_range(m, c->id))
    return CHANGEFEED_CONTINUE;
  return cfi_merge_change(m, c);
}

static void judge(changefeed_mirror *m, int verdict) {
  if (verdict == CHANGEFEED_STOP)
    m->stop_wanted = true;
  if (verdict >= 0 || cfi_mirror_gone(m))
    return;
  (void)cfi_error_set(&m->error, CHANGEFEED_ERR_CALLBACK,
                      "the application gave up (%d) at a document", verdict);
  cfi_mirror_fail(m);
}

static void announce(changefeed_mirror *m) {
  if (m->announce)
    judge(m, cfi_mirror_announce(m));
}

static int on_batch(changefeed *feed, const changefeed_change *const *changes,
                    size_t count, void *user) {
  changefeed_mirror *m = user;
  int verdict = CHANGEFEED_CONTINUE;

  (void)feed;
  cfi_mirror_enter(m);
  announce(m);
  if (m->stop_wanted || cfi_mirror_gone(m))
    verdict = CHANGEFEED_LATER;
  for (size_t i = 0; i < count && verdict == CHANGEFEED_CONTINUE; i++)
    verdict = take(m, changes[i]);
  judge(m, verdict);
  m->held_up = verdict == CHANGEFEED_LATER;
  cfi_mirror_settle(m);
  /* Of a batch that is not applied to its end the position must know nothing:
     it may be saved with what is held. Ended is the feed already. */
  return cfi_mirror_leave(m) && verdict != CHANGEFEED_CONTINUE
             ? CHANGEFEED_LATER
             : CHANGEFEED_CONTINUE;
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  changefeed_mirror *m = user;

  cfi_mirror_enter(m);
  announce(m);
  if (m->feed_callbacks.on_state != NULL && !m->closing)
    m->feed_callbacks.on_state(feed, event, m->feed_callbacks.user);
  if (event->state == CHANGEFEED_STATE_LIVE && !cfi_mirror_gone(m))
    on_live(m);
  if (event->state == CHANGEFEED_STATE_ENDED && !m->closing)
    over(m, NULL);
  if (event->state == CHANGEFEED_STATE_FAILED && !m->closing)
    over(m, m->failing ? NULL : event->error);
  cfi_mirror_settle(m);
  (void)cfi_mirror_leave(m);
}

/* Nothing of the old history counts for the new one. What readers see stays
   until that is read. */
static void begin_anew(changefeed_mirror *m) {
  m->stats.resets++;
  cfi_audit_drop(m);
  cfi_save_drop(m);
  cfi_lister_close(&m->list);
  cfi_lister_close(&m->keys);
  cfi_doubt_clear(m);
  cfi_merge_forget(m);
  m->list_at_ms = CFI_NEVER;
  cfi_tree_clear(m->next);
  m->rebuilding = true;
  m->held_up = false;
  m->phase = CFI_MIRROR_READING;
  atomic_store(&m->synced, false);
}

static int on_reset(changefeed *feed, const char *reason, void *user) {
  changefeed_mirror *m = user;
  int verdict = CHANGEFEED_CONTINUE;

  cfi_mirror_enter(m);
  announce(m);
  if (m->feed_callbacks.on_reset != NULL && !m->closing)
    verdict = m->feed_callbacks.on_reset(feed, reason, m->feed_callbacks.user);
  if (verdict == CHANGEFEED_CONTINUE && !cfi_mirror_gone(m))
    begin_anew(m);
  cfi_mirror_settle(m);
  (void)cfi_mirror_leave(m);
  return verdict;
}

static void on_notice(changefeed *feed, const changefeed_notice *notice,
                      void *user) {
  changefeed_mirror *m = user;

  cfi_mirror_enter(m);
  m->feed_callbacks.on_notice(feed, notice, m->feed_callbacks.user);
  (void)cfi_mirror_leave(m);
}

static void on_log(changefeed *feed, int level, const char *text, size_t len,
                   void *user) {
  changefeed_mirror *m = user;

  cfi_mirror_enter(m);
  m->feed_callbacks.on_log(feed, level, text, len, m->feed_callbacks.user);
  (void)cfi_mirror_leave(m);
}

static int64_t on_retry(changefeed *feed, const changefeed_error *error,
                        unsigned attempt, int64_t proposed_ms, void *user) {
  changefeed_mirror *m = user;
  int64_t delay;

  cfi_mirror_enter(m);
  delay = m->feed_callbacks.on_retry(feed, error, attempt, proposed_ms,
                                     m->feed_callbacks.user);
  (void)cfi_mirror_leave(m);
  return delay;
}

static int on_request(changefeed *feed, void *user) {
  changefeed_mirror *m = user;
  int rc;

  cfi_mirror_enter(m);
  rc = m->feed_callbacks.on_request(feed, m->feed_callbacks.user);
  (void)cfi_mirror_leave(m);
  return rc;
}

static void look_at_age(changefeed_mirror *m) {
  int64_t age;
  bool stale;

  if (m->stale_ms == 0 || cfi_mirror_gone(m))
    return;
  age = cfi_mirror_fresh_ms(m);
  if (age < 0)
    age = cfi_mirror_now(m) - m->opened_ms;
  stale = age > m->stale_ms;
  if (stale == m->stale)
    return;
  m->stale = stale;
  m->depth++;
  if (stale && m->callbacks.on_stale != NULL)
    m->callbacks.on_stale(m, age, m->callbacks.user);
  if (!stale && m->callbacks.on_fresh != NULL)
    m->callbacks.on_fresh(m, m->callbacks.user);
  m->depth--;
}

/* It is held up until its rows have come again and were taken. */
static void resume(changefeed_mirror *m, changefeed *feed, bool held_up) {
  if (held_up && feed != NULL)
    (void)m->world.resume(m->world.ctx, feed);
}

static void on_timer(changefeed *feed, void *user) {
  changefeed_mirror *m = user;

  cfi_mirror_enter(m);
  announce(m);
  m->wake_ms = CFI_NEVER;
  resume(m, feed, m->held_up);
  resume(m, m->list.feed, m->list.held_up);
  resume(m, m->keys.feed, m->keys.held_up);
  look_at_age(m);
  cfi_mirror_settle(m);
  (void)cfi_mirror_leave(m);
}

/* ---- after each of them ---- */

static int64_t look_due_ms(const changefeed_mirror *m) {
  int64_t step = m->stale_ms / 4;

  if (m->stale_ms == 0)
    return CFI_NEVER;
  if (step > LOOK_MOST_MS)
    step = LOOK_MOST_MS;
  return cfi_mirror_now(m) + (step > LOOK_LEAST_MS ? step : LOOK_LEAST_MS);
}

void cfi_mirror_wake(changefeed_mirror *m) {
  int64_t now = cfi_mirror_now(m), due = look_due_ms(m);
  int64_t dues[] = {cfi_doubt_due_ms(m), cfi_audit_due_ms(m),
                    cfi_save_due_ms(m), m->list_at_ms};
  bool again = m->held_up || m->list.held_up || m->keys.held_up ||
               (m->unpublished && m->shows && !m->rebuilding) ||
               (m->phase == CFI_MIRROR_CLEARING && !cfi_doubt_any(m));

  for (size_t i = 0; i < sizeof dues / sizeof *dues; i++)
    if (dues[i] < due)
      due = dues[i];
  if (again && now + AGAIN_MS < due)
    due = now + AGAIN_MS;
  if (m->announce)
    due = now;
  if (due >= m->wake_ms)
    return; /* it rings too early at worst */
  m->wake_ms = due;
  (void)m->world.set_timer(m->world.ctx, m->feed, due > now ? due - now : 0);
}

void cfi_mirror_settle(changefeed_mirror *m) {
  if (cfi_mirror_gone(m))
    return;
  if (cfi_mirror_now(m) >= m->list_at_ms)
    begin_list(m);
  if (m->phase == CFI_MIRROR_CLEARING && !m->held_up && !cfi_doubt_any(m))
    in_step(m);
  if (!cfi_mirror_gone(m) && m->shows && !m->rebuilding)
    cfi_mirror_publish(m);
  if (!cfi_mirror_gone(m) && m->stop_wanted)
    (void)m->world.stop(m->world.ctx, m->feed);
  if (!cfi_mirror_gone(m))
    cfi_doubt_step(m);
  if (!cfi_mirror_gone(m))
    cfi_audit_go_on(m);
  if (!cfi_mirror_gone(m))
    cfi_save_step(m);
  if (!cfi_mirror_gone(m))
    cfi_mirror_wake(m);
}

/* With a document that is written again and again its arrival is the proof;
   else that the server says it has nothing more. */
int64_t cfi_mirror_fresh_ms(changefeed_mirror *m) {
  changefeed_stats s = CHANGEFEED_STATS_INIT;
  int64_t now = cfi_mirror_now(m), age;

  if (m->phase == CFI_MIRROR_SYNCED &&
      changefeed_get_state(m->feed) == CHANGEFEED_STATE_LIVE &&
      changefeed_get_stats(m->feed, &s) == CHANGEFEED_OK) {
    age = m->ticks ? s.fresh_ms : s.idle_ms;
    if (age >= 0 && now - age > m->proven_ms)
      m->proven_ms = now - age;
  }
  return m->proven_ms < 0 ? -1 : now - m->proven_ms;
}

/* ---- opening ---- */

static int load(void *ctx, const char *key,
                int (*put)(void *sink, const char *data, size_t len),
                void *sink) {
  changefeed_mirror *m = ctx;

  (void)key; /* it is in the record, too */
  return m->record.len != 0 ? put(sink, cfi_buf_data(&m->record), m->record.len)
                            : 0;
}

/* Without memory the record of before stands. */
static int save(void *ctx, const char *key, const char *data, size_t len) {
  changefeed_mirror *m = ctx;
  cfi_buf fresh;

  (void)key;
  cfi_buf_init(&fresh, &m->alloc);
  if (cfi_buf_append(&fresh, data, len, SIZE_MAX - 2) != CFI_BUF_OK) {
    cfi_buf_free(&fresh);
    return CHANGEFEED_ERR_NOMEM;
  }
  cfi_buf_free(&m->record);
  m->record = fresh;
  return 0;
}

/* A feed that is closed in a callback of its own is freed later, and saves its
   position then: until that the mirror must be there. */
static void let_go(void *ctx) {
  changefeed_mirror *m = ctx;

  if (m->followed) {
    m->followed = false;
    (void)cfi_mirror_leave(m);
  }
}

static void set_callbacks(changefeed_mirror *m, changefeed_callbacks *c) {
  const changefeed_callbacks *own = &m->feed_callbacks;

  c->on_batch = on_batch;
  c->on_state = on_state;
  c->on_reset = on_reset;
  c->on_timer = on_timer;
  c->on_notice = own->on_notice != NULL ? on_notice : NULL;
  c->on_log = own->on_log != NULL ? on_log : NULL;
  c->on_retry = own->on_retry != NULL ? on_retry : NULL;
  c->on_request = own->on_request != NULL ? on_request : NULL;
  c->user = m;
}

int cfi_mirror_follow(changefeed_mirror *m, changefeed_options *options) {
  changefeed_callbacks c = CHANGEFEED_CALLBACKS_INIT;
  changefeed_store store = CHANGEFEED_STORE_INIT;
  int rc;

  store.load = load;
  store.save = save;
  store.close = let_go;
  store.ctx = m;
  set_callbacks(m, &c);
  m->phase = CFI_MIRROR_READING;
  rc = changefeed_options_set_callbacks(options, &c);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set_store(options, &store);
  if (rc == CHANGEFEED_OK && m->lists && m->record.len == 0) {
    m->phase = CFI_MIRROR_STARTING;
    rc = changefeed_options_set(options, "since", "now");
  }
  if (rc != CHANGEFEED_OK)
    return rc;
  cfi_mirror_enter(m);
  m->followed = true;
  rc = m->world.open(m->world.ctx, &m->feed, options);
  if (rc != CHANGEFEED_OK)
    let_go(m);
  return rc;
}
