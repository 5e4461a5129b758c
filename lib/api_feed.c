/*
 * The public functions of feeds: checks of arguments and states, then the
 * feed or the loop.
 */
#include <limits.h>
#include <string.h>

#include "feed_tick.h"
#include "loop.h"

int changefeed_open(changefeed **out, changefeed_loop *loop,
                    changefeed_options *options) {
  changefeed_loop *home = loop;
  int rc;

  if (out == NULL || options == NULL)
    return CHANGEFEED_ERR_INVALID;
  cfi_error_clear(&options->error);
  if (loop == NULL) {
    rc = cfi_loop_new(&home, NULL);
    if (rc != CHANGEFEED_OK)
      return cfi_error_set(&options->error, rc, "no loop could be made: %s",
                           changefeed_strerror(rc));
    home->owned_by_feed = true;
  } else if (cfi_loop_is_forked(loop)) {
    return cfi_error_set(&options->error, CHANGEFEED_ERR_FORKED,
                         "the loop belongs to the parent process");
  }
  rc = cfi_loop_open(home, options, out, &options->error);
  if (rc != CHANGEFEED_OK && loop == NULL)
    cfi_loop_free(home);
  return rc;
}

void changefeed_close(changefeed *feed) {
  changefeed_loop *loop;

  if (feed == NULL)
    return;
  loop = cfi_loop_member(feed)->loop;
  if (!loop->owned_by_feed)
    cfi_loop_close(feed);
  else if (loop->stepping) {
    cfi_loop_close(feed);
    loop->free_after = true;
  } else {
    cfi_loop_free(loop);
  }
}

/* What next answers when there is no row and never will be. */
static int final_result(const changefeed *f) {
  return f->base_state == CHANGEFEED_STATE_FAILED ? f->error.pub.code
                                                  : CHANGEFEED_END;
}

/* A callback closed the feed that next was waiting for. */
static int closed_meanwhile(changefeed_loop *loop) {
  if (loop->free_after)
    cfi_loop_free(loop);
  return CHANGEFEED_END;
}

int changefeed_next(changefeed *feed, int timeout_ms,
                    const changefeed_change **change) {
  changefeed_loop *loop;
  int64_t until;

  if (feed == NULL || change == NULL)
    return CHANGEFEED_ERR_INVALID;
  loop = cfi_loop_member(feed)->loop;
  if (cfi_loop_is_forked(loop))
    return CHANGEFEED_ERR_FORKED;
  if (!feed->pull)
    return CHANGEFEED_ERR_STATE;
  if (loop->stepping)
    return CHANGEFEED_ERR_REENTRANT;
  *change = NULL;
  cfi_loop_refresh(loop);
  until =
      timeout_ms < 0 ? CFI_NEVER : cfi_clock_after(loop->now_ms, timeout_ms);
  for (;;) {
    int64_t left;
    int rc;

    *change = cfi_loop_lend(feed);
    if (*change != NULL)
      return CHANGEFEED_OK;
    if (loop->awaited == NULL)
      return closed_meanwhile(loop);
    if (cfi_feed_over(feed))
      return final_result(feed);
    left = until == CFI_NEVER ? -1 : until - loop->now_ms;
    if (left <= 0 && timeout_ms > 0)
      return CHANGEFEED_TIMEOUT;
    loop->awaited = feed;
    rc = cfi_loop_round(loop, left > INT_MAX ? INT_MAX : (int)left);
    /* It ends a run, and this is none: left set, it would hold back rows. */
    atomic_store(&loop->stop, false);
    if (loop->awaited == NULL)
      return closed_meanwhile(loop);
    loop->awaited = NULL;
    if (rc < 0)
      return rc;
    if (timeout_ms == 0) {
      *change = cfi_loop_lend(feed);
      return *change != NULL       ? CHANGEFEED_OK
             : cfi_feed_over(feed) ? final_result(feed)
                                   : CHANGEFEED_TIMEOUT;
    }
  }
}

/* ---- any thread ---- */

/* With auto_ack there is nothing to do, for a row that has been delivered. */
static bool was_shown(const changefeed *feed, uint64_t ordinal) {
  return ordinal != 0 &&
         ordinal <= atomic_load_explicit(&feed->shown, memory_order_relaxed);
}

int changefeed_ack(changefeed *feed, uint64_t ordinal) {
  if (feed != NULL && feed->set.auto_ack != 0)
    return was_shown(feed, ordinal) ? CHANGEFEED_OK : CHANGEFEED_ERR_INVALID;
  if (feed == NULL || !cfi_window_ack(&feed->window, ordinal))
    return CHANGEFEED_ERR_INVALID;
  atomic_fetch_or(&feed->mail, (unsigned)CFI_MAIL_ACK);
  cfi_loop_post(feed);
  return CHANGEFEED_OK;
}

int changefeed_ack_one(changefeed *feed, uint64_t ordinal) {
  if (feed != NULL && feed->set.auto_ack != 0)
    return was_shown(feed, ordinal) ? CHANGEFEED_OK : CHANGEFEED_ERR_INVALID;
  if (feed == NULL || !cfi_window_ack_one(&feed->window, ordinal))
    return CHANGEFEED_ERR_INVALID;
  atomic_fetch_or(&feed->mail, (unsigned)CFI_MAIL_ACK);
  cfi_loop_post(feed);
  return CHANGEFEED_OK;
}

int changefeed_pause(changefeed *feed) {
  if (feed == NULL)
    return CHANGEFEED_ERR_INVALID;
  atomic_store(&feed->paused, true);
  cfi_loop_post(feed);
  return CHANGEFEED_OK;
}

int changefeed_resume(changefeed *feed) {
  if (feed == NULL)
    return CHANGEFEED_ERR_INVALID;
  /* In this order, or a LATER on its way could miss it. */
  atomic_fetch_or(&feed->mail, (unsigned)CFI_MAIL_RESUME);
  atomic_store(&feed->paused, false);
  cfi_loop_post(feed);
  return CHANGEFEED_OK;
}

int changefeed_stop(changefeed *feed) {
  if (feed == NULL)
    return CHANGEFEED_ERR_INVALID;
  atomic_fetch_or(&feed->mail, (unsigned)CFI_MAIL_STOP);
  cfi_loop_post(feed);
  return CHANGEFEED_OK;
}

int changefeed_get_state(const changefeed *feed) {
  if (feed == NULL)
    return CHANGEFEED_ERR_INVALID;
  return atomic_load(&feed->shown_state);
}

void *changefeed_get_user(const changefeed *feed) {
  return feed != NULL ? feed->callbacks.user : NULL;
}

/* ---- the loop's thread ---- */

static int save_in_database(changefeed *feed) {
  cfi_feed_settle(feed);
  if (!cfi_feed_has_unsaved(feed))
    return CHANGEFEED_OK;
  if (cfi_feed_over(feed))
    return CHANGEFEED_ERR_STATE;
  cfi_local_save_now(feed);
  cfi_loop_post(feed);
  return CHANGEFEED_TIMEOUT;
}

int changefeed_checkpoint(changefeed *feed) {
  cfi_error error;
  int rc;

  if (feed == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (feed->local != NULL)
    return save_in_database(feed);
  if (feed->file == NULL && !feed->has_store)
    return CHANGEFEED_ERR_STATE;
  rc = cfi_feed_save(feed, &error);
  if (rc != CHANGEFEED_OK)
    cfi_error_copy(&feed->error, &error);
  return rc;
}

int changefeed_set_timer(changefeed *feed, int64_t delay_ms) {
  if (feed == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (feed->callbacks.on_timer == NULL)
    return CHANGEFEED_ERR_STATE;
  /* The loop's time is that of its last round. */
  cfi_loop_refresh(cfi_loop_member(feed)->loop);
  feed->timer_ms =
      delay_ms < 0 ? CFI_NEVER : cfi_clock_after(cfi_feed_now(feed), delay_ms);
  cfi_loop_post(feed); /* it may be due before anything else */
  return CHANGEFEED_OK;
}

int changefeed_set_authorization(changefeed *feed, const char *value) {
  char *copy = NULL;

  if (feed == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (value != NULL) {
    for (const char *p = value; *p != '\0'; p++)
      if ((unsigned char)*p < 0x20 || *p == 0x7f)
        return CHANGEFEED_ERR_INVALID;
    copy = cfi_strdup(feed->alloc, value);
    if (copy == NULL)
      return CHANGEFEED_ERR_NOMEM;
  }
  cfi_free_secret(feed->alloc, feed->authorization);
  feed->authorization = copy;
  return CHANGEFEED_OK;
}

static int64_t since(const changefeed *f, int64_t at_ms) {
  return at_ms < 0 ? -1 : cfi_feed_now(f) - at_ms;
}

int changefeed_get_stats(const changefeed *feed, changefeed_stats *stats) {
  changefeed_stats all;
  cfi_window_view view;
  size_t size;

  if (feed == NULL || stats == NULL || stats->size < sizeof stats->size)
    return CHANGEFEED_ERR_INVALID;
  cfi_feed_settle((changefeed *)(uintptr_t)feed); /* changes nothing seen */
  view = cfi_window_look(&feed->window);
  all = feed->stats;
  all.acked = view.acked;
  all.unacked = view.unacked;
  all.queued_bytes = feed->queue.len;
  all.idle_ms = since(feed, feed->last_byte_ms);
  all.row_age_ms = since(feed, feed->last_row_ms);
  all.save_age_ms = since(feed, feed->last_save_ms);
  all.fresh_ms = since(feed, cfi_tick_proven_ms(feed));
  size = stats->size < sizeof all ? stats->size : sizeof all;
  all.size = size;
  memcpy(stats, &all, size);
  return CHANGEFEED_OK;
}

const changefeed_error *changefeed_last_error(const changefeed *feed) {
  return feed != NULL ? &feed->error.pub : NULL;
}

changefeed_str changefeed_position(const changefeed *feed) {
  changefeed *f = (changefeed *)(uintptr_t)feed; /* keeps what it lends */
  changefeed_str none = {NULL, 0};
  size_t len = 0;
  char *copy;

  if (f != NULL)
    cfi_feed_settle(f);
  if (f == NULL || !cfi_window_position(&f->window, &copy, &len))
    return none;
  cfi_free(f->alloc, f->position_copy);
  f->position_copy = copy;
  return (changefeed_str){copy, len};
}

const char *changefeed_get_url(const changefeed *feed) {
  return feed != NULL ? feed->url.shown : NULL;
}

changefeed_loop *changefeed_get_loop(const changefeed *feed) {
  return feed != NULL ? cfi_loop_member(feed)->loop : NULL;
}
