/*
 * Where the next request starts, and the acknowledged position in its store:
 * loaded when the feed is opened, saved by count and by time.
 */
#include <string.h>

#include "feed.h"
#include "str.h"

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

/* ---- loading ---- */

typedef struct sink {
  cfi_buf data;
  bool failed, called;
} sink;

static int put(void *ctx, const char *data, size_t len) {
  sink *s = ctx;

  if (s->called ||
      cfi_buf_append(&s->data, data, len, SIZE_MAX - 2) != CFI_BUF_OK) {
    s->failed = true;
    return CHANGEFEED_ERR_INVALID;
  }
  s->called = true;
  return CHANGEFEED_OK;
}

static const char *store_key(const changefeed *f) {
  return f->set.checkpoint_key != NULL ? f->set.checkpoint_key : f->store_key;
}

/* CHANGEFEED_END: nothing stored. */
static int load_from_application(changefeed *f, cfi_checkpoint *c,
                                 cfi_error *error) {
  sink s = {.failed = false};
  int rc;

  cfi_buf_init(&s.data, f->alloc);
  rc = f->store.load(f->store.ctx, store_key(f), put, &s);
  if (rc < 0 || s.failed)
    rc = cfi_error_set(error, CHANGEFEED_ERR_STORE,
                       "the store could not load the position of %s (%d)",
                       f->url.shown, rc);
  else if (!s.called)
    rc = CHANGEFEED_END;
  else
    rc = cfi_checkpoint_decode(f->alloc, cfi_buf_data(&s.data), s.data.len, c,
                               error);
  cfi_buf_free(&s.data);
  return rc;
}

static int adopt(changefeed *f, cfi_checkpoint *c, cfi_error *error) {
  changefeed_str seq = {c->seq, c->seq != NULL ? strlen(c->seq) : 0};

  if (c->feed == NULL || strcmp(c->feed, f->feed_key) != 0)
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "the stored position belongs to another feed: %s, "
                         "not %s",
                         c->feed != NULL ? c->feed : "(none)", f->feed_key);
  if (seq.data == NULL)
    return CHANGEFEED_OK;
  if (!cfi_feed_set_resume(f, seq, true) || !cfi_window_reset(&f->window, seq))
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  f->identity.server_uuid = c->server_uuid;
  f->identity.instance_start_time = c->instance_start_time;
  c->server_uuid = c->instance_start_time = NULL;
  f->stored_rows = c->rows;
  f->db_seen = true; /* by an earlier run */
  f->saved_moves = cfi_window_look(&f->window).moves;
  return CHANGEFEED_OK;
}

/* As opposed to a store that cannot be read: a new position may take the place
   of the lost one. */
static bool is_damaged(const changefeed *f, const cfi_error *error) {
  return f->file != NULL ? cfi_store_file_is_damaged(f->file)
                         : cfi_checkpoint_is_damage(error);
}

static int load(changefeed *f, cfi_error *error) {
  cfi_checkpoint c = {0};
  cfi_error warning;
  int rc;

  cfi_error_clear(&warning);
  rc = f->file != NULL ? cfi_store_file_load(f->file, &c, &warning, error)
                       : load_from_application(f, &c, error);
  if (warning.pub.code != 0)
    cfi_feed_log(f, CHANGEFEED_LOG_WARNING, "%s", warning.text);
  if (rc == CHANGEFEED_END)
    return CHANGEFEED_OK;
  if (rc == CHANGEFEED_OK)
    rc = adopt(f, &c, error);
  else if (rc == CHANGEFEED_ERR_STORE && is_damaged(f, error)) {
    cfi_feed_log(f, CHANGEFEED_LOG_ERROR, "%s", error->text);
    f->pending_reset = "checkpoint damaged";
    rc = CHANGEFEED_OK;
  }
  cfi_checkpoint_free(f->alloc, &c);
  return rc;
}

int cfi_feed_open_store(changefeed *f, const changefeed_options *o,
                        cfi_error *error) {
  const char *where = f->set.checkpoint;
  int rc;

  if (f->set.marker != 0)
    return cfi_error_set(error, CHANGEFEED_ERR_UNSUPPORTED,
                         "marker: this version writes nothing into a "
                         "database");
  if (o->store.save != NULL) {
    f->store = o->store;
    f->has_store = true;
  } else if (where == NULL || strcmp(where, "none") == 0) {
    return CHANGEFEED_OK;
  } else if (strncmp(where, "file:", 5) == 0) {
    rc = cfi_store_file_open(f->alloc, where + 5, &f->file, error);
    if (rc != CHANGEFEED_OK)
      return rc;
  } else {
    return cfi_error_set(error, CHANGEFEED_ERR_UNSUPPORTED,
                         "checkpoint: this version keeps positions in "
                         "file:PATH or in a store of the application, not in "
                         "%s",
                         where);
  }
  return load(f, error);
}

/* ---- saving ---- */

static bool keeps_position(const changefeed *f) {
  return f->file != NULL || f->has_store;
}

static int write_record(changefeed *f, const char *data, size_t len,
                        cfi_error *error) {
  int rc;

  if (f->file != NULL)
    return cfi_store_file_save(f->file, data, len, error);
  rc = f->store.save(f->store.ctx, store_key(f), data, len);
  if (rc < 0)
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "the store could not save the position of %s (%d)",
                         f->url.shown, rc);
  return CHANGEFEED_OK;
}

static int encode_and_write(changefeed *f, char *seq, uint64_t rows,
                            cfi_error *error) {
  cfi_checkpoint c = {0};
  cfi_buf record;
  int rc;

  c.feed = f->feed_key;
  c.seq = seq;
  c.server_uuid = f->identity.server_uuid;
  c.instance_start_time = f->identity.instance_start_time;
  c.saved_ms = cfi_clock_wall(&f->clock);
  c.rows = rows;
  cfi_buf_init(&record, f->alloc);
  if (!cfi_checkpoint_encode(&c, &record))
    rc = cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  else
    rc = write_record(f, cfi_buf_data(&record), record.len, error);
  cfi_buf_free(&record);
  return rc;
}

int cfi_feed_save(changefeed *f, cfi_error *error) {
  cfi_window_view view;
  char *seq = NULL;
  size_t len;
  int rc;

  if (!keeps_position(f) || f->window.alloc == NULL)
    return CHANGEFEED_OK;
  view = cfi_window_look(&f->window);
  if (view.moves == f->saved_moves)
    return CHANGEFEED_OK;
  if (!cfi_window_position(&f->window, &seq, &len)) {
    if (view.has_position)
      return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
    /* A reset: the record of the old history stays until there is a position
       of the new one, and until then nothing is due. */
    f->saved_moves = view.moves;
    f->unsaved_ms = CFI_NEVER;
    return CHANGEFEED_OK;
  }
  rc = encode_and_write(f, seq, f->stored_rows + view.acked, error);
  cfi_free(f->alloc, seq);
  if (rc != CHANGEFEED_OK) {
    f->stats.save_errors++;
    return rc;
  }
  f->stats.saves++;
  f->saved_moves = view.moves;
  f->saved_acked = view.acked;
  f->unsaved_ms = CFI_NEVER;
  f->last_save_ms = cfi_feed_now(f);
  return CHANGEFEED_OK;
}

int64_t cfi_feed_save_due_ms(const changefeed *f) {
  int64_t due;

  if (f->unsaved_ms == CFI_NEVER)
    return CFI_NEVER;
  due = cfi_clock_after(f->unsaved_ms, f->set.checkpoint_interval_ms);
  return due > f->save_at_ms ? due : f->save_at_ms;
}

void cfi_feed_save_if_due(changefeed *f) {
  cfi_window_view view;
  cfi_error error;
  int64_t now;

  if (!keeps_position(f))
    return;
  view = cfi_window_look(&f->window);
  if (view.moves == f->saved_moves)
    return;
  now = cfi_feed_now(f);
  if (f->unsaved_ms == CFI_NEVER)
    f->unsaved_ms = now;
  if (now < f->save_at_ms ||
      (view.acked - f->saved_acked < (uint64_t)f->set.checkpoint_every &&
       now < cfi_feed_save_due_ms(f)))
    return;
  if (cfi_feed_save(f, &error) == CHANGEFEED_OK) {
    cfi_backoff_reset(&f->save_backoff);
    f->save_at_ms = 0;
    return;
  }
  f->save_at_ms = now + 100 + cfi_backoff_next(&f->save_backoff, &f->random);
  cfi_feed_log(f, CHANGEFEED_LOG_ERROR, "%s; trying again in %lld ms",
               error.text, (long long)(f->save_at_ms - now));
}
