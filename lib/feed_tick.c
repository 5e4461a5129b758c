/*
 * The tick: a document that is written every few seconds, by somebody or by us.
 * Its row proves that what was written before it has come through; heartbeats
 * prove no more than a socket. Here is known until when the delivered rows are
 * complete, and when it is our turn to write. That is done beside the main
 * request, and only while the feed is live: before, the row proves nothing.
 */
#include "feed_tick.h"

#include <string.h>

#include "info.h"
#include "json.h"
#include "json_write.h"
#include "reply.h"
#include "str.h"

#define TICK_TYPE "changefeed-tick"

enum {
  REFUSED_MS = 3600000,
  SPREAD = 8, /* the part of its period by which a write may come later */
  ANEW_ROWS = 3,
  TICK_DEPTH = 1000
};

struct cfi_tick {
  bool checked; /* the document is a tick's, or there is none */
  bool stale;   /* its revision is not known */
  char *rev;    /* of what the next write replaces; NULL: nothing */
  char *ours;   /* of our last write, which was sent at ours_ms */
  int64_t ours_ms;
  int64_t newest, last; /* generations: the highest, and of the last row */
  unsigned rising;      /* rows in a row, each newer than the one before */
  int64_t proven_ms;    /* up to then rows are complete; -1 */
  int64_t due_ms;       /* our next write, if nobody writes before */
  int64_t not_before_ms;
  bool told;    /* that it cannot be written */
  bool renewed; /* the credentials, since the last write */
  cfi_backoff backoff;
};

/* ---- life ---- */

typedef struct search {
  const char *id;
  size_t len;
  bool found;
} search;

static cfi_json_verdict look(void *user, const cfi_json_event *e) {
  search *s = user;

  if (e->kind == CFI_JSON_STRING && e->depth == 1 && e->len == s->len &&
      memcmp(e->text, s->id, e->len) == 0)
    s->found = true;
  return e->depth == 1 &&
                 (e->kind == CFI_JSON_OBJECT || e->kind == CFI_JSON_ARRAY)
             ? CFI_JSON_SKIP
             : CFI_JSON_GO_ON;
}

static int check_ids(changefeed *f, cfi_error *error) {
  search s = {f->set.tick, f->tick_len, false};
  const char *ids = f->set.doc_ids;

  if (cfi_json_parse(f->alloc, TICK_DEPTH, ids, strlen(ids), look, &s) ==
      CFI_JSON_NOMEM)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  return s.found ? CHANGEFEED_OK
                 : cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                                 "tick: doc_ids does not hold \"%.100s\"",
                                 f->set.tick);
}

static int check(changefeed *f, cfi_error *error) {
  const cfi_settings *s = &f->set;
  const struct {
    const char *what;
    bool set;
  } wrong[] = {{"source=all_docs", f->lists},
               {"_db_updates", f->url.target != CFI_URL_DATABASE},
               {"descending", s->descending != 0},
               {"filter=_design",
                s->filter != NULL && strcmp(s->filter, "_design") == 0}};

  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    if (wrong[i].set)
      return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                           "tick has no meaning with %s", wrong[i].what);
  if (s->tick[0] == '_')
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "tick: \"%.100s\" is not the id of an ordinary "
                         "document",
                         s->tick);
  return s->doc_ids != NULL ? check_ids(f, error) : CHANGEFEED_OK;
}

int cfi_tick_open(changefeed *f, cfi_error *error) {
  int rc;

  if (f->set.tick == NULL)
    return f->set.tick_write_ms == 0
               ? CHANGEFEED_OK
               : cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                               "tick_write_ms: there is no tick");
  f->tick_len = strlen(f->set.tick);
  rc = check(f, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  f->tick = cfi_calloc(f->alloc, 1, sizeof *f->tick);
  if (f->tick == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  f->tick->proven_ms = -1;
  cfi_backoff_init(&f->tick->backoff, 1000, 60000);
  return CHANGEFEED_OK;
}

static void keep(changefeed *f, char **place, char *text) {
  cfi_free(f->alloc, *place);
  *place = text;
}

void cfi_tick_free(changefeed *f) {
  if (f->tick == NULL)
    return;
  keep(f, &f->tick->rev, NULL);
  keep(f, &f->tick->ours, NULL);
  cfi_free(f->alloc, f->tick);
  f->tick = NULL;
}

void cfi_tick_forget(changefeed *f) {
  cfi_tick *t = f->tick;

  if (t == NULL)
    return;
  keep(f, &t->rev, NULL);
  keep(f, &t->ours, NULL);
  t->checked = t->stale = false;
  t->newest = t->last = 0;
  t->rising = 0;
  t->proven_ms = -1;
  t->due_ms = cfi_feed_now(f);
}

/* ---- its rows ---- */

/* Followers that see one row are not to write all at once. */
static void write_later(changefeed *f) {
  int64_t period = f->set.tick_write_ms;

  f->tick->due_ms = cfi_clock_after(
      cfi_feed_now(f), period + cfi_random_upto(&f->random, period / SPREAD));
}

static int64_t generation_of(changefeed_str rev) {
  const char *dash = rev.data != NULL ? strchr(rev.data, '-') : NULL;
  int64_t generation;

  return dash != NULL && cfi_str_to_int(rev.data, (size_t)(dash - rev.data),
                                        &generation)
             ? generation
             : 0;
}

/* What came before comes again after a rewind, and proves nothing. But a
   document that was purged and made anew begins to count from 1. */
static bool is_news(cfi_tick *t, changefeed_str rev) {
  int64_t generation = generation_of(rev);

  t->rising = generation > t->last ? t->rising + 1 : 0;
  t->last = generation;
  if (generation <= t->newest && t->rising < ANEW_ROWS)
    return false;
  t->newest = generation;
  t->rising = 0;
  return true;
}

/* Whoever wrote the row has done so before it arrived; when that was is known
   of our own writes only. A row of the past proves nothing: its writer may be
   dead for long. */
static void prove(changefeed *f, changefeed_str rev) {
  cfi_tick *t = f->tick;
  bool news = is_news(t, rev);
  int64_t at = f->arrived_ms;

  if (t->ours != NULL && cfi_str_equal(rev, t->ours))
    at = t->ours_ms;
  else if (!news || f->base_state != CHANGEFEED_STATE_LIVE)
    return;
  else if (f->side_active && f->side.ask == CFI_ASK_TICK_PUT &&
           f->side.started_ms < at)
    at = f->side.started_ms; /* it may be the one that is being answered */
  if (at > t->proven_ms)
    t->proven_ms = at;
}

void cfi_tick_taken(changefeed *f, const cfi_held *held) {
  cfi_tick *t = f->tick;
  changefeed_str rev = {NULL, 0};

  if (memcmp(held->row.id.data, f->set.tick, f->tick_len) != 0)
    return;
  if (held->row.rev_count != 0)
    rev = held->row.revs[0];
  prove(f, rev);
  if (f->set.tick_write_ms == 0)
    return;
  keep(f, &t->rev,
       held->row.deleted || rev.data == NULL
           ? NULL
           : cfi_strndup(f->alloc, rev.data, rev.len));
  t->stale = t->rev == NULL && !held->row.deleted;
  write_later(f);
}

int64_t cfi_tick_proven_ms(const changefeed *f) {
  return f->tick != NULL ? f->tick->proven_ms : -1;
}

/* ---- our writes ---- */

/* Not at the end of a response: the check of the next would cut it short. Not
   before the rows that are here, one of which may be the tick. */
int64_t cfi_tick_due_ms(const changefeed *f) {
  if (f->tick == NULL || f->set.tick_write_ms == 0 ||
      f->base_state != CHANGEFEED_STATE_LIVE || f->main.ask != CFI_ASK_LIVE ||
      f->tail || cfi_feed_rows_waiting(f) ||
      atomic_load_explicit(&f->paused, memory_order_relaxed))
    return CFI_NEVER;
  return f->tick->due_ms > f->tick->not_before_ms ? f->tick->due_ms
                                                  : f->tick->not_before_ms;
}

bool cfi_tick_wants(const changefeed *f, cfi_ask *ask) {
  if (cfi_tick_due_ms(f) > cfi_feed_now(f))
    return false;
  *ask = f->tick->checked && !f->tick->stale ? CFI_ASK_TICK_PUT : CFI_ASK_TICK;
  return true;
}

char *cfi_tick_body(changefeed *f) {
  cfi_buf b;

  cfi_buf_init(&b, f->alloc);
  cfi_buf_puts(&b, "{\"_id\":");
  cfi_json_put_string(&b, f->set.tick, f->tick_len);
  if (f->tick->rev != NULL) {
    cfi_buf_puts(&b, ",\"_rev\":");
    cfi_json_put_string(&b, f->tick->rev, strlen(f->tick->rev));
  }
  cfi_buf_puts(&b, ",\"type\":\"" TICK_TYPE "\",\"at\":");
  cfi_buf_putint(&b, cfi_clock_wall(&f->clock));
  cfi_buf_putc(&b, '}');
  return cfi_buf_take(&b);
}

void cfi_tick_abandon(changefeed *f) { f->tick->stale = true; }

void cfi_tick_put_off(changefeed *f, int64_t ms) {
  int64_t until = cfi_clock_after(cfi_feed_now(f), ms);

  if (f->tick->not_before_ms < until)
    f->tick->not_before_ms = until;
}

/* ---- answers ---- */

/* It may be better soon. What became of a write is not known. */
static void failed(changefeed *f) {
  f->tick->stale = true;
  cfi_tick_put_off(f, 100 + cfi_backoff_next(&f->tick->backoff, &f->random));
  cfi_feed_log(f, CHANGEFEED_LOG_WARNING, "%s", f->error.text);
}

/* Nothing that an hour changes. The feed goes on, and says so. */
static void refused(changefeed *f) {
  changefeed_notice notice = {.kind = CHANGEFEED_NOTICE_TICK};
  bool told = f->tick->told;

  f->tick->told = f->tick->stale = true;
  cfi_tick_put_off(f, REFUSED_MS);
  notice.reason = f->error.text;
  cfi_feed_log(f, CHANGEFEED_LOG_ERROR, "%s", f->error.text);
  if (!told && !cfi_feed_gone(f))
    cfi_feed_notice(f, &notice);
}

/* A cookie may have been withdrawn while a response has gone on. */
static bool renew_credentials(changefeed *f, const cfi_lane *l) {
  if (l->status != 401 || f->tick->renewed ||
      (f->set.session == 0 && f->callbacks.on_request == NULL))
    return false;
  f->tick->renewed = true;
  cfi_free_secret(f->alloc, f->cookie);
  f->cookie = NULL;
  f->renew = true;
  return true;
}

static bool is_refusal(int status) {
  return status == 400 || status == 401 || status == 403 || status == 405 ||
         status == 413 || status == 415;
}

static void on_no_success(changefeed *f, const cfi_lane *l,
                          const cfi_info *info) {
  cfi_feed_describe(f, l, info->error, info->reason);
  if (cfi_reply_classify(l->status, info->error, info->reason) ==
      CFI_REPLY_NO_DB)
    f->went_missing = true; /* while a response of before is read */
  if (is_refusal(l->status) && !renew_credentials(f, l))
    refused(f);
  else
    failed(f);
}

typedef struct reading {
  bool in_type, is_tick;
} reading;

static cfi_json_verdict find_type(void *user, const cfi_json_event *e) {
  reading *r = user;
  changefeed_str text = {e->text, e->len};

  if (e->depth != 1)
    return CFI_JSON_GO_ON;
  if (e->kind == CFI_JSON_KEY) {
    r->in_type = cfi_str_equal(text, "type");
    return r->in_type ? CFI_JSON_GO_ON : CFI_JSON_SKIP;
  }
  if (r->in_type)
    r->is_tick = e->kind == CFI_JSON_STRING && cfi_str_equal(text, TICK_TYPE);
  return CFI_JSON_SKIP;
}

/* What somebody has named by mistake is not overwritten. */
static void on_found(changefeed *f, const cfi_lane *l, const cfi_info *info) {
  cfi_tick *t = f->tick;
  reading r = {false, false};
  char *rev = cfi_strndup(f->alloc, info->rev.data, info->rev.len);

  if (rev == NULL ||
      cfi_json_parse(f->alloc, TICK_DEPTH, cfi_buf_data(&l->reply),
                     l->reply.len, find_type, &r) == CFI_JSON_NOMEM) {
    cfi_free(f->alloc, rev);
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    failed(f);
    return;
  }
  keep(f, &t->rev, rev);
  t->stale = false;
  t->checked = r.is_tick;
  if (t->checked)
    return;
  (void)cfi_error_set(&f->error, CHANGEFEED_ERR_STORE,
                      "the tick %.100s of %s is not written: the document is "
                      "another's, its type is not " TICK_TYPE,
                      f->set.tick, cfi_feed_where(f)->shown);
  refused(f);
}

static void on_missing(changefeed *f) {
  keep(f, &f->tick->rev, NULL);
  f->tick->checked = true;
  f->tick->stale = false;
}

static void on_written(changefeed *f, const cfi_lane *l, const cfi_info *info) {
  cfi_tick *t = f->tick;

  keep(f, &t->rev,
       info->rev.data != NULL
           ? cfi_strndup(f->alloc, info->rev.data, info->rev.len)
           : NULL);
  t->stale = t->rev == NULL;
  /* Without memory its row counts from its arrival, as anybody's. */
  keep(f, &t->ours, t->rev != NULL ? cfi_strdup(f->alloc, t->rev) : NULL);
  t->ours_ms = l->started_ms;
  t->told = t->renewed = false;
  cfi_backoff_reset(&t->backoff);
  cfi_bucket_refund(&f->bucket, cfi_feed_now(f));
  f->stats.unproductive--;
  write_later(f);
}

static void on_answer(changefeed *f, cfi_lane *l) {
  cfi_info info = {0};
  bool missing = l->ask == CFI_ASK_TICK && cfi_feed_doc_is_missing(f, l);
  bool put = l->ask == CFI_ASK_TICK_PUT;
  int rc =
      cfi_info_parse(f->alloc, cfi_buf_data(&l->reply), l->reply.len, &info);

  if (rc == CFI_INFO_NOMEM || l->no_memory) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM,
                        "no memory for the answer of %s",
                        cfi_feed_where_of(f, l)->shown);
    failed(f);
  } else if (put && rc == CFI_INFO_OK &&
             (l->status == 201 || l->status == 202)) {
    on_written(f, l, &info);
  } else if (put && l->status == 409) {
    /* Somebody else has written, which is as good. */
    f->tick->stale = true;
    write_later(f);
  } else if (missing) {
    on_missing(f);
  } else if (!put && l->status == 200 && info.rev.data != NULL) {
    on_found(f, l, &info);
  } else {
    on_no_success(f, l, &info);
  }
  cfi_info_free(f->alloc, &info);
}

void cfi_tick_on_side(changefeed *f, cfi_lane *l) {
  if (l->done_code == CHANGEFEED_OK || l->no_memory) {
    on_answer(f, l);
    return;
  }
  cfi_feed_describe_transport(f, l);
  failed(f);
}
