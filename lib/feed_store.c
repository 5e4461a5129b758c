/*
 * Where the position is kept: opens the store that the options name, and loads
 * what is in it. A `_local` document is loaded later, by a request.
 */
#include <string.h>

#include "feed.h"

typedef struct sink {
  cfi_buf data;
  bool failed, no_memory, called;
} sink;

static int put(void *ctx, const char *data, size_t len) {
  sink *s = ctx;

  if (s->called) {
    s->failed = true;
    return CHANGEFEED_ERR_INVALID;
  }
  if (cfi_buf_append(&s->data, data, len, SIZE_MAX - 2) != CFI_BUF_OK) {
    s->no_memory = true;
    return CHANGEFEED_ERR_NOMEM;
  }
  s->called = true;
  return CHANGEFEED_OK;
}

const char *cfi_feed_store_key(const changefeed *f) {
  return f->set.checkpoint_key != NULL ? f->set.checkpoint_key : f->store_key;
}

/* CHANGEFEED_END: nothing stored. */
static int load_from_application(changefeed *f, cfi_checkpoint *c,
                                 cfi_error *error) {
  sink s = {.failed = false};
  int rc;

  cfi_buf_init(&s.data, f->alloc);
  rc = f->store.load(f->store.ctx, cfi_feed_store_key(f), put, &s);
  if (s.no_memory)
    rc = cfi_error_set(error, CHANGEFEED_ERR_NOMEM,
                       "no memory for the stored position of %s", f->url.shown);
  else if (rc < 0 || s.failed)
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

int cfi_feed_adopt(changefeed *f, cfi_checkpoint *c, cfi_error *error) {
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
  /* Something may be known already where the position was asked for. */
  cfi_free(f->alloc, f->identity.server_uuid);
  cfi_free(f->alloc, f->identity.instance_start_time);
  cfi_free(f->alloc, f->identity.marker);
  f->identity.server_uuid = c->server_uuid;
  f->identity.instance_start_time = c->instance_start_time;
  f->identity.marker = c->marker;
  c->server_uuid = c->instance_start_time = c->marker = NULL;
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
    rc = cfi_feed_adopt(f, &c, error);
  else if (rc == CHANGEFEED_ERR_STORE && is_damaged(f, error)) {
    cfi_feed_log(f, CHANGEFEED_LOG_ERROR, "%s", error->text);
    f->pending_reset = "checkpoint damaged";
    rc = CHANGEFEED_OK;
  }
  cfi_checkpoint_free(f->alloc, &c);
  return rc;
}

/* The kinds of store that can be read at once. */
static int open_near(changefeed *f, const changefeed_options *o,
                     cfi_error *error) {
  const char *where = f->set.checkpoint;
  int rc = CHANGEFEED_OK;

  if (o->store.save != NULL) {
    f->store = o->store;
    f->has_store = true;
  } else if (where == NULL || strncmp(where, "file:", 5) != 0) {
    return CHANGEFEED_OK;
  } else {
    rc = cfi_store_file_open(f->alloc, where + 5, &f->file, error);
  }
  return rc == CHANGEFEED_OK ? load(f, error) : rc;
}

int cfi_feed_open_store(changefeed *f, const changefeed_options *o,
                        cfi_error *error) {
  const char *where = f->set.checkpoint;
  bool couch =
      o->store.save == NULL && where != NULL && strcmp(where, "couch") == 0;

  if (f->set.marker != 0 && f->url.target != CFI_URL_DATABASE)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "marker: _db_updates belongs to no database that "
                         "could hold one");
  f->marks = f->set.marker != 0 || couch;
  return couch ? cfi_local_open(f, error) : open_near(f, o, error);
}
