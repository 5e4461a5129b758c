/*
 * Where the next request starts, and the acknowledged position on its way to
 * the store: saved by count and by time.
 */
#include <string.h>

#include "feed.h"

bool cfi_feed_set_resume(changefeed *f, changefeed_str seq, bool own) {
  cfi_buf next;

  if (seq.len <= f->resume.cap) {
    /* fits: no way to fail */
    cfi_buf_clear(&f->resume, SIZE_MAX);
    if (cfi_buf_append(&f->resume, seq.data, seq.len, SIZE_MAX - 2) !=
        CFI_BUF_OK)
      return false;
  } else {
    cfi_buf_init(&next, f->alloc);
    if (cfi_buf_append(&next, seq.data, seq.len, SIZE_MAX - 2) != CFI_BUF_OK)
      return false;
    cfi_buf_free(&f->resume);
    f->resume = next;
  }
  f->resume_own = own;
  return true;
}

/* ---- saving ---- */

bool cfi_feed_keeps_position(const changefeed *f) {
  return f->file != NULL || f->has_store || f->local != NULL;
}

int cfi_feed_make_record(changefeed *f, cfi_buf *record, uint64_t *moves,
                         uint64_t *acked, cfi_error *error) {
  cfi_window_view view = cfi_window_look(&f->window);
  cfi_checkpoint c = {0};
  size_t len;
  bool ok;

  *moves = view.moves;
  *acked = view.acked;
  if (!cfi_window_position(&f->window, &c.seq, &len))
    return view.has_position
               ? cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory")
               : CHANGEFEED_END;
  c.feed = f->feed_key;
  c.server_uuid = f->identity.server_uuid;
  c.instance_start_time = f->identity.instance_start_time;
  c.marker = f->identity.marker;
  c.saved_ms = cfi_clock_wall(&f->clock);
  c.rows = f->stored_rows + view.acked;
  ok = cfi_checkpoint_encode(&c, record);
  cfi_free(f->alloc, c.seq);
  return ok ? CHANGEFEED_OK
            : cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
}

void cfi_feed_saved(changefeed *f, uint64_t moves, uint64_t acked) {
  f->stats.saves++;
  f->saved_moves = moves;
  f->saved_acked = acked;
  f->unsaved_ms = CFI_NEVER;
  f->last_save_ms = cfi_feed_now(f);
  f->save_at_ms = 0;
  cfi_backoff_reset(&f->save_backoff);
}

static int write_record(changefeed *f, const char *data, size_t len,
                        cfi_error *error) {
  int rc;

  if (f->file != NULL)
    return cfi_store_file_save(f->file, data, len, error);
  rc = f->store.save(f->store.ctx, cfi_feed_store_key(f), data, len);
  if (rc < 0)
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "the store could not save the position of %s (%d)",
                         f->url.shown, rc);
  return CHANGEFEED_OK;
}

bool cfi_feed_has_unsaved(const changefeed *f) {
  cfi_window_view view = cfi_window_look(&f->window);

  return view.moves != f->saved_moves && view.has_position;
}

int cfi_feed_save(changefeed *f, cfi_error *error) {
  uint64_t moves, acked;
  cfi_buf record;
  int rc;

  cfi_feed_settle(f);
  if (!cfi_feed_keeps_position(f) || f->local != NULL ||
      f->window.alloc == NULL || !cfi_feed_has_unsaved(f))
    return CHANGEFEED_OK;
  cfi_buf_init(&record, f->alloc);
  rc = cfi_feed_make_record(f, &record, &moves, &acked, error);
  if (rc == CHANGEFEED_OK)
    rc = write_record(f, cfi_buf_data(&record), record.len, error);
  cfi_buf_free(&record);
  if (rc == CHANGEFEED_OK)
    cfi_feed_saved(f, moves, acked);
  else if (rc < 0)
    f->stats.save_errors++;
  return rc < 0 ? rc : CHANGEFEED_OK;
}

void cfi_feed_save_failed(changefeed *f, const cfi_error *error) {
  int64_t now = cfi_feed_now(f);
  int64_t delay = 100 + cfi_backoff_next(&f->save_backoff, &f->random);

  if (f->local != NULL)
    f->stats.save_errors++;
  if (f->save_at_ms < now + delay)
    f->save_at_ms = now + delay;
  cfi_feed_log(f, CHANGEFEED_LOG_ERROR, "%s; trying again in %lld ms",
               error->text, (long long)delay);
}

int64_t cfi_feed_save_due_ms(const changefeed *f) {
  int64_t due;

  if (f->unsaved_ms == CFI_NEVER)
    return CFI_NEVER;
  due = cfi_clock_after(f->unsaved_ms, f->set.checkpoint_interval_ms);
  return due > f->save_at_ms ? due : f->save_at_ms;
}

bool cfi_feed_save_is_due(const changefeed *f) {
  int64_t now = cfi_feed_now(f);

  if (!cfi_feed_has_unsaved(f) || now < f->save_at_ms)
    return false;
  return cfi_window_look(&f->window).acked - f->saved_acked >=
             (uint64_t)f->set.checkpoint_every ||
         now >= cfi_feed_save_due_ms(f);
}

/* The next look is due when checkpoint_every rows may be acknowledged since the
   last save, not since this look. */
static void note_look(changefeed *f) {
  uint64_t acked = cfi_window_look(&f->window).acked - f->saved_acked;

  f->looked_at = f->ordinal;
  if (acked < (uint64_t)f->set.checkpoint_every)
    f->looked_at -= acked;
}

void cfi_feed_save_if_due(changefeed *f) {
  cfi_error error;

  cfi_feed_settle(f);
  note_look(f);
  if (!cfi_feed_keeps_position(f))
    return;
  if (!cfi_feed_has_unsaved(f)) {
    /* After a reset the record of the old history stays until there is a
       position of the new one, and until then nothing is due. */
    f->saved_moves = cfi_window_look(&f->window).moves;
    f->unsaved_ms = CFI_NEVER;
    return;
  }
  if (f->unsaved_ms == CFI_NEVER)
    f->unsaved_ms = cfi_feed_now(f);
  if (f->local != NULL || !cfi_feed_save_is_due(f))
    return;
  if (cfi_feed_save(f, &error) != CHANGEFEED_OK)
    cfi_feed_save_failed(f, &error);
  else
    note_look(f);
}
