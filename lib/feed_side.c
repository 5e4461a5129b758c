/*
 * The request beside the main one. First of all it confirms responses: who
 * answers, and is it the history we know? Asked after the response's head has
 * come, the answer holds for all its rows, which wait for it. When there is
 * nothing to confirm it saves positions in the database, looks after the
 * preferred endpoint, and writes the tick.
 */
#include "feed_tick.h"

#include <stdio.h>

enum {
  SESSION_TRUST_MS = 30000, /* so long a server that knew us knows us */
  SAVE_PATIENCE_MS = 15000
};

/* ---- what is to be asked ---- */

static bool rows_may_come(const changefeed *f) {
  return f->phase == CFI_PHASE_ACTIVE && cfi_lane_asks_rows(&f->main) &&
         f->main.has_head && f->main.status == 200;
}

static bool session_is_due(const changefeed *f) {
  if (f->set.session == 0 || (f->checks & CFI_CHECKED_SESSION) != 0)
    return false;
  return f->session_proven_ms == CFI_NEVER ||
         cfi_feed_now(f) - f->session_proven_ms >= SESSION_TRUST_MS;
}

/* What is still to be known before the response's rows may pass. */
static bool next_check(const changefeed *f, cfi_ask *ask) {
  if ((f->checks & CFI_CHECKED_IDENTITY) == 0)
    *ask =
        f->url.target == CFI_URL_DATABASE ? CFI_ASK_DATABASE : CFI_ASK_SERVER;
  else if (session_is_due(f))
    *ask = CFI_ASK_SESSION;
  else if (cfi_marker_is_due(f))
    *ask = f->marker_absent ? CFI_ASK_MARKER_PUT : CFI_ASK_MARKER;
  else
    return false;
  return true;
}

static bool is_check(cfi_ask ask) {
  return ask != CFI_ASK_LOAD && ask != CFI_ASK_SAVE && ask != CFI_ASK_HOME &&
         ask != CFI_ASK_LOGIN && !cfi_tick_asks(ask);
}

/* A response without a byte needs no confirmation. */
static bool check_is_due(const changefeed *f) {
  return rows_may_come(f) && !f->verified &&
         !(f->main.done && f->queue.len == 0);
}

static bool wanted(const changefeed *f, cfi_ask *ask) {
  if (f->phase == CFI_PHASE_FLUSH) {
    if (!cfi_local_can_flush(f, f->final_state) || !cfi_local_wants(f, ask))
      return false;
    if (cfi_feed_needs_login(f))
      *ask = CFI_ASK_LOGIN;
    return true;
  }
  if (f->phase != CFI_PHASE_ACTIVE)
    return false;
  if (check_is_due(f))
    return next_check(f, ask);
  if (!rows_may_come(f) || !f->verified || cfi_feed_needs_login(f))
    return false;
  if (cfi_local_wants(f, ask))
    return true;
  *ask = CFI_ASK_HOME;
  return cfi_endpoint_wants_home(f) || cfi_tick_wants(f, ask);
}

/* A response may outlive the session it began with: what is wanted beside it
   takes a log-in, which is the main request's. */
static bool waits_for_login(const changefeed *f) {
  cfi_ask ask;

  return rows_may_come(f) && f->verified && cfi_feed_needs_login(f) &&
         (cfi_local_wants(f, &ask) || cfi_endpoint_wants_home(f) ||
          cfi_tick_wants(f, &ask));
}

/* ---- asking ---- */

/* An answer, or none, of what is no check. */
static void judge(changefeed *f) {
  if (f->side.ask == CFI_ASK_HOME)
    cfi_endpoint_on_home(f, &f->side);
  else if (f->side.ask == CFI_ASK_LOGIN)
    cfi_local_on_login(f, &f->side);
  else if (cfi_tick_asks(f->side.ask))
    cfi_tick_on_side(f, &f->side);
  else
    cfi_local_on_side(f, &f->side);
}

static void begin(changefeed *f, cfi_ask ask) {
  if (!cfi_feed_may_request(f))
    return;
  (void)cfi_bucket_take(&f->bucket, cfi_feed_now(f));
  f->side.ask = ask;
  if (is_check(ask))
    f->check_tokens++;
  else
    f->stats.unproductive++;
  if (cfi_feed_start(f, &f->side)) {
    f->side_active = true;
    return;
  }
  f->side.done = true;
  f->side.done_code = f->error.pub.code;
  (void)snprintf(f->side.text, sizeof f->side.text, "%.*s",
                 (int)sizeof f->side.text - 1, f->error.text);
  if (is_check(ask))
    cfi_feed_fault(f);
  else
    judge(f);
}

void cfi_side_cancel(changefeed *f) {
  if (f->side_active && !f->side.done)
    f->world.cancel(f->world.ctx, true);
  if (f->side_active && cfi_tick_asks(f->side.ask))
    cfi_tick_abandon(f);
  f->side_active = false;
}

void cfi_side_drop_checks(changefeed *f) {
  if (f->side_active && is_check(f->side.ask))
    cfi_side_cancel(f);
}

/* ---- answers ---- */

static void on_done(changefeed *f) {
  f->side_active = false;
  switch (f->side.ask) {
  case CFI_ASK_LOAD:
  case CFI_ASK_SAVE:
  case CFI_ASK_HOME:
  case CFI_ASK_LOGIN:
  case CFI_ASK_TICK:
  case CFI_ASK_TICK_PUT:
    judge(f);
    break;
  case CFI_ASK_MARKER:
  case CFI_ASK_MARKER_PUT:
    cfi_marker_on_answer(f, &f->side);
    break;
  default:
    cfi_feed_on_answer(f, &f->side);
    break;
  }
  cfi_buf_clear(&f->side.reply, 0); /* the next may be far away */
}

static void on_silence(changefeed *f) {
  cfi_ask ask = f->side.ask;

  if (is_check(ask)) {
    cfi_feed_fault_silence(f, &f->side);
    return;
  }
  cfi_side_cancel(f);
  f->side.done = true;
  f->side.done_code = CHANGEFEED_ERR_IDLE;
  f->side.text[0] = '\0';
  judge(f);
}

static int64_t answer_due_ms(const changefeed *f) {
  int64_t due = cfi_lane_due_ms(f, &f->side);

  if (!is_check(f->side.ask) && f->side.started_ms + SAVE_PATIENCE_MS < due)
    due = f->side.started_ms + SAVE_PATIENCE_MS;
  return due;
}

/* All questions about this response are answered. */
static bool confirm(changefeed *f) {
  cfi_ask ask;

  if (!check_is_due(f) || next_check(f, &ask))
    return false;
  f->verified = true;
  f->renewed = false;
  return true;
}

bool cfi_side_step(changefeed *f) {
  int64_t now = cfi_feed_now(f);
  cfi_ask ask = CFI_ASK_DATABASE;

  if (f->side_active && f->side.done) {
    on_done(f);
    return true;
  }
  if (f->side_active) {
    /* What comes first comes first; a save may be asked for again. */
    if ((f->side.ask == CFI_ASK_HOME || cfi_tick_asks(f->side.ask)) &&
        (f->phase == CFI_PHASE_FLUSH || check_is_due(f))) {
      cfi_side_cancel(f);
      return true;
    }
    if (now < answer_due_ms(f))
      return false;
    on_silence(f);
    return true;
  }
  if (confirm(f))
    return true;
  f->renew = f->renew || waits_for_login(f);
  if (!wanted(f, &ask) || cfi_bucket_wait(&f->bucket, now) > 0)
    return false;
  f->side_waits = !cfi_feed_has_turn(f, CFI_TURN_SIDE);
  if (f->side_waits)
    return false;
  begin(f, ask);
  return true;
}

int64_t cfi_side_due_ms(const changefeed *f) {
  cfi_bucket bucket = f->bucket;
  cfi_ask ask;
  int64_t due;

  if (f->side_active)
    return f->side.done ? cfi_feed_now(f) : answer_due_ms(f);
  if (wanted(f, &ask)) {
    due = cfi_bucket_wait(&bucket, cfi_feed_now(f));
    /* The step that found the bucket filled has asked for its turn. */
    return due == 0 && f->side_waits ? CFI_NEVER : cfi_feed_now(f) + due;
  }
  if (check_is_due(f))
    return cfi_feed_now(f); /* to be confirmed */
  if (f->phase != CFI_PHASE_ACTIVE || !f->verified ||
      (f->renew && cfi_feed_needs_login(f)))
    return CFI_NEVER;
  due = cfi_local_due_ms(f);
  if (cfi_endpoint_looks_home(f) && f->home_due_ms < due)
    due = f->home_due_ms;
  return cfi_tick_due_ms(f) < due ? cfi_tick_due_ms(f) : due;
}
