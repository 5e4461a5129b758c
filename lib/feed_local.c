/*
 * checkpoint=couch: the position in a `_local` document of the followed
 * database. Loaded before the first row, saved beside the feed, and once more
 * before its end. The text of the document is store_couch.c's.
 */
#include <string.h>

#include "feed.h"
#include "hash.h"
#include "info.h"
#include "reply.h"
#include "str.h"

enum {
  CONFLICTS_MAX = 3,
  LOOK_MS = 60000 /* CouchDB from 2 on knows no conflict of `_local` documents:
                     so often it is looked who else writes this one */
};

struct cfi_local {
  char *name;
  char session[CFI_HASH_TEXT]; /* of this run */
  cfi_couch_doc doc;           /* as it was last seen or written */
  bool loaded;
  bool stale;    /* its revision is not known: ask before the next save */
  bool told;     /* that it cannot be written */
  bool hopeless; /* trying again at once leads nowhere */
  bool renewed;  /* the credentials, since the last save */
  bool save_now; /* changefeed_checkpoint */
  int64_t looked_ms;
  unsigned conflicts;
  uint64_t moves, acked; /* of what is being saved */
};

/* ---- life ---- */

void cfi_feed_random_text(changefeed *f, char out[CFI_HASH_TEXT]) {
  cfi_hash hash = {cfi_random_next(&f->random), cfi_random_next(&f->random)};

  cfi_hash_text(hash, out);
}

int cfi_local_open(changefeed *f, cfi_error *error) {
  const char *key =
      f->set.checkpoint_key != NULL ? f->set.checkpoint_key : f->feed_key;

  if (f->url.target != CFI_URL_DATABASE)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "checkpoint: _db_updates belongs to no database that "
                         "could keep its position; use file:PATH");
  f->local = cfi_calloc(f->alloc, 1, sizeof *f->local);
  if (f->local != NULL)
    f->local->name = cfi_couch_name(f->alloc, key);
  if (f->local == NULL || f->local->name == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  cfi_feed_random_text(f, f->local->session);
  return CHANGEFEED_OK;
}

void cfi_local_free(changefeed *f) {
  if (f->local == NULL)
    return;
  cfi_couch_doc_free(f->alloc, &f->local->doc);
  cfi_free(f->alloc, f->local->name);
  cfi_free(f->alloc, f->local);
  f->local = NULL;
}

const char *cfi_local_name(const changefeed *f) { return f->local->name; }

/* ---- loading ---- */

bool cfi_local_wants_load(const changefeed *f) {
  return f->local != NULL && !f->local->loaded;
}

/* The server and the database were asked for before, when it was not known yet
   whose the position is. */
static void loaded(changefeed *f) {
  f->local->loaded = true;
  f->local->looked_ms = cfi_feed_now(f);
  if (cfi_feed_same_history(f, CFI_ASK_SERVER) &&
      cfi_feed_same_history(f, CFI_ASK_DATABASE))
    cfi_feed_response_over(f);
}

static void refuse(changefeed *f, const cfi_error *error) {
  cfi_error_copy(&f->error, error);
  cfi_feed_fatal(f);
}

static void go_on_from_doc(changefeed *f) {
  cfi_local *l = f->local;
  cfi_checkpoint c = {0};
  cfi_error warning, error;
  int rc =
      cfi_couch_doc_position(f->alloc, &l->doc, l->name, &c, &warning, &error);

  if (warning.pub.code != 0)
    cfi_feed_log(f, CHANGEFEED_LOG_WARNING, "%s", warning.text);
  if (rc == CHANGEFEED_OK)
    rc = cfi_feed_adopt(f, &c, &error);
  cfi_checkpoint_free(f->alloc, &c);
  if (cfi_feed_gone(f))
    return;
  if (rc == CHANGEFEED_ERR_STORE && cfi_checkpoint_is_damage(&error)) {
    cfi_feed_log(f, CHANGEFEED_LOG_ERROR, "%s", error.text);
    f->pending_reset = "checkpoint damaged";
    rc = CHANGEFEED_OK;
  }
  if (rc == CHANGEFEED_ERR_NOMEM) {
    cfi_couch_doc_free(f->alloc, &l->doc);
    cfi_error_copy(&f->error, &error);
    cfi_feed_fault(f);
  } else if (rc < 0) {
    refuse(f, &error);
  } else if (!cfi_feed_gone(f)) {
    loaded(f);
  }
}

/* The server's words decide whether it is the document or the database that is
   not there. Anybody else's 404 says nothing of either: a position taken for
   missing would be one lost. */
bool cfi_feed_doc_is_missing(changefeed *f, cfi_lane *l) {
  cfi_info info = {0};
  bool missing;
  int rc;

  if (l->status != 404)
    return false;
  rc = cfi_info_parse(f->alloc, cfi_buf_data(&l->reply), l->reply.len, &info);
  l->no_memory = l->no_memory || rc == CFI_INFO_NOMEM;
  missing =
      rc == CFI_INFO_OK && cfi_str_equal(info.error, "not_found") &&
      cfi_reply_classify(l->status, info.error, info.reason) != CFI_REPLY_NO_DB;
  cfi_info_free(f->alloc, &info);
  return missing;
}

/* As opposed to the page of something in between. */
static bool is_document(changefeed *f, cfi_lane *l) {
  cfi_info info = {0};
  int rc =
      cfi_info_parse(f->alloc, cfi_buf_data(&l->reply), l->reply.len, &info);
  bool document = rc == CFI_INFO_OK && info.rev.data != NULL;

  cfi_info_free(f->alloc, &info);
  return document || rc == CFI_INFO_NOMEM;
}

bool cfi_local_on_loaded(changefeed *f, cfi_lane *l) {
  cfi_error error, inner;
  int rc;

  if (cfi_feed_doc_is_missing(f, l)) {
    loaded(f);
    return true;
  }
  if (l->no_memory) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM,
                        "no memory for the position kept in %s", f->url.shown);
    cfi_feed_fault(f);
    return true;
  }
  if (l->status != 200)
    return false;
  if (!is_document(f, l)) {
    cfi_feed_fault_protocol(f, l, "HTTP 200 with what is no document");
    return true;
  }
  rc = cfi_couch_doc_parse(f->alloc, cfi_buf_data(&l->reply), l->reply.len,
                           &f->local->doc, &inner);
  if (rc == CHANGEFEED_OK) {
    go_on_from_doc(f);
  } else if (rc == CHANGEFEED_ERR_NOMEM) {
    cfi_error_copy(&f->error, &inner);
    cfi_feed_fault(f);
  } else {
    (void)cfi_error_set(&error, rc,
                        "_local/%s of %s cannot keep the position: "
                        "%s",
                        f->local->name, f->url.shown, inner.text);
    refuse(f, &error);
  }
  return true;
}

/* ---- saving ---- */

bool cfi_local_wants(const changefeed *f, cfi_ask *ask) {
  const cfi_local *l = f->local;

  if (l == NULL || !l->loaded || !cfi_feed_has_unsaved(f))
    return false;
  if (f->phase != CFI_PHASE_FLUSH && !l->save_now && !cfi_feed_save_is_due(f))
    return false;
  *ask = l->stale || cfi_feed_now(f) - l->looked_ms >= LOOK_MS ? CFI_ASK_LOAD
                                                               : CFI_ASK_SAVE;
  return true;
}

int64_t cfi_local_due_ms(const changefeed *f) {
  return f->local != NULL && f->local->loaded ? cfi_feed_save_due_ms(f)
                                              : CFI_NEVER;
}

void cfi_local_save_now(changefeed *f) { f->local->save_now = true; }

bool cfi_local_is_saving(const changefeed *f) {
  return f->side_active &&
         (f->side.ask == CFI_ASK_SAVE || f->side.ask == CFI_ASK_LOAD);
}

bool cfi_local_is_behind(const changefeed *f) {
  return f->local != NULL && cfi_local_is_saving(f) &&
         cfi_window_look(&f->window).acked - f->local->acked >=
             (uint64_t)f->set.checkpoint_every;
}

char *cfi_local_body(changefeed *f) {
  cfi_local *l = f->local;
  cfi_buf record, body;
  cfi_error error;
  char *text = NULL;

  cfi_buf_init(&record, f->alloc);
  cfi_buf_init(&body, f->alloc);
  if (cfi_feed_make_record(f, &record, &l->moves, &l->acked, &error) ==
          CHANGEFEED_OK &&
      cfi_couch_doc_put(f->alloc, &l->doc, l->session, cfi_buf_data(&record),
                        record.len) &&
      cfi_couch_doc_write(&l->doc, l->name, &body))
    text = cfi_buf_take(&body);
  cfi_buf_free(&record);
  cfi_buf_free(&body);
  return text;
}

static void take_revision(cfi_local *l, const cfi_alloc *alloc, char *rev) {
  cfi_free(alloc, l->doc.rev);
  l->doc.rev = rev;
  l->stale = rev == NULL;
}

static void was_of_use(changefeed *f) {
  cfi_bucket_refund(&f->bucket, cfi_feed_now(f));
  f->stats.unproductive--;
}

static void saved(changefeed *f, const cfi_info *info) {
  cfi_local *l = f->local;

  take_revision(l, f->alloc,
                info->rev.data != NULL ? cfi_strdup(f->alloc, info->rev.data)
                                       : NULL);
  l->conflicts = 0;
  l->told = l->hopeless = l->renewed = l->save_now = false;
  was_of_use(f);
  cfi_feed_saved(f, l->moves, l->acked);
}

static void failed(changefeed *f) {
  f->local->save_now = false;
  cfi_feed_save_failed(f, &f->error);
}

/* Not a fault of the feed: it goes on, and says so. */
static void may_not_write(changefeed *f) {
  changefeed_notice notice = {.kind = CHANGEFEED_NOTICE_STORE};

  f->local->hopeless = true;
  if (!f->local->told) {
    f->local->told = true;
    notice.reason = f->error.text;
    cfi_feed_notice(f, &notice);
  }
  failed(f);
}

/* A cookie may have been withdrawn while a response has gone on. */
static bool renew_credentials(changefeed *f) {
  if ((f->set.session == 0 && f->callbacks.on_request == NULL) ||
      f->local->renewed)
    return false;
  f->local->renewed = true;
  cfi_free_secret(f->alloc, f->cookie);
  f->cookie = NULL;
  f->renew = true;
  return true;
}

static void on_refused(changefeed *f, int status) {
  if (status == 401 && renew_credentials(f))
    failed(f);
  else
    may_not_write(f);
}

/* The database may be gone while a response that began before is read. */
static void describe(changefeed *f, const cfi_lane *l) {
  cfi_info info = {0};

  (void)cfi_info_parse(f->alloc, cfi_buf_data(&l->reply), l->reply.len, &info);
  cfi_feed_describe(f, l, info.error, info.reason);
  if (cfi_reply_classify(l->status, info.error, info.reason) == CFI_REPLY_NO_DB)
    f->went_missing = true;
  cfi_info_free(f->alloc, &info);
}

static void on_conflict(changefeed *f) {
  f->local->stale = true;
  if (++f->local->conflicts < CONFLICTS_MAX)
    return;
  f->local->conflicts = 0;
  failed(f);
}

static void on_saved(changefeed *f, const cfi_lane *l) {
  cfi_info info = {0};
  int rc =
      cfi_info_parse(f->alloc, cfi_buf_data(&l->reply), l->reply.len, &info);

  if (rc == CFI_INFO_OK && (l->status == 201 || l->status == 202)) {
    saved(f, &info);
    cfi_info_free(f->alloc, &info);
    return;
  }
  /* What happened is not known. */
  f->local->stale = f->local->stale || l->status < 400 || l->status >= 500;
  cfi_info_free(f->alloc, &info);
  describe(f, l);
  if (l->status == 409) {
    on_conflict(f);
    return;
  }
  if (l->status == 401 || l->status == 403 || l->status == 405) {
    on_refused(f, l->status);
    return;
  }
  f->local->hopeless = false; /* that was something else */
  failed(f);
}

static bool is_ours(const cfi_local *l, const cfi_couch_doc *doc) {
  const char *newest = doc->count != 0 ? doc->entry[0].session : l->session;

  /* The run before this one may have been cut off while it saved. */
  return strcmp(newest, l->session) == 0 ||
         (l->doc.count != 0 && strcmp(newest, l->doc.entry[0].session) == 0) ||
         (l->doc.count > 1 && strcmp(newest, l->doc.entry[1].session) == 0);
}

static void on_found(changefeed *f, cfi_couch_doc *doc) {
  cfi_local *l = f->local;

  if (!is_ours(l, doc)) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_STORE,
                        "the position of %s is not saved: another follower "
                        "(session %s) keeps its own in _local/%s; give each a "
                        "checkpoint_key",
                        f->url.shown, doc->entry[0].session, l->name);
    l->stale = true;
    may_not_write(f);
    return;
  }
  if (!l->stale)
    was_of_use(f);
  take_revision(l, f->alloc, doc->rev);
  doc->rev = NULL;
  l->looked_ms = cfi_feed_now(f);
}

/* Whose is the document by now? A save of ours of which no answer came is as
   good as one of which did. */
static void on_reloaded(changefeed *f, cfi_lane *l) {
  cfi_couch_doc doc = {0};
  cfi_error error;
  int rc;

  if (cfi_feed_doc_is_missing(f, l)) {
    take_revision(f->local, f->alloc, NULL);
    f->local->stale = false;
    f->local->looked_ms = cfi_feed_now(f);
  } else if (l->status == 401 || l->status == 403) {
    describe(f, l);
    on_refused(f, l->status);
  } else if (l->status != 200) {
    describe(f, l);
    failed(f);
  } else if ((rc = cfi_couch_doc_parse(f->alloc, cfi_buf_data(&l->reply),
                                       l->reply.len, &doc, &error)) !=
             CHANGEFEED_OK) {
    (void)cfi_error_set(&f->error, rc,
                        "the position of %s is not saved in _local/%s: %s",
                        f->url.shown, f->local->name, error.text);
    f->local->stale = true;
    failed(f);
  } else {
    on_found(f, &doc);
  }
  cfi_couch_doc_free(f->alloc, &doc);
}

void cfi_local_on_side(changefeed *f, cfi_lane *l) {
  if (l->no_memory) {
    f->local->stale = true;
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM,
                        "no memory for the answer of %s",
                        cfi_feed_where_of(f, l)->shown);
    failed(f);
  } else if (l->done_code != CHANGEFEED_OK) {
    f->local->stale = true; /* it may have been saved */
    cfi_feed_describe_transport(f, l);
    failed(f);
  } else if (l->ask == CFI_ASK_SAVE) {
    on_saved(f, l);
  } else {
    on_reloaded(f, l);
  }
}

/* Only for a last save: else the main request logs in. */
void cfi_local_on_login(changefeed *f, const cfi_lane *l) {
  if (l->done_code == CHANGEFEED_OK && l->status == 200 &&
      !cfi_feed_needs_login(f))
    return;
  if (l->done_code != CHANGEFEED_OK)
    cfi_feed_describe_transport(f, l);
  else
    describe(f, l);
  f->local->hopeless = l->done_code == CHANGEFEED_OK;
  failed(f);
}

/* ---- the end ---- */

/* A feed that has not failed waits for those who are still at work, too. */
bool cfi_local_can_flush(const changefeed *f, int final_state) {
  if (f->local == NULL || !f->local->loaded || f->local->hopeless)
    return false;
  return cfi_feed_has_unsaved(f) || cfi_local_is_saving(f) ||
         (final_state == CHANGEFEED_STATE_ENDED &&
          cfi_window_look(&f->window).unacked != 0);
}
