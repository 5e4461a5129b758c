/*
 * Is the history being served the one the position belongs to? And what to do
 * when it is another.
 */
#include <string.h>

#include "feed_tick.h"
#include "str.h"

bool cfi_feed_has_begun(const changefeed *f) {
  /* Rows without a seq belong to a history, too. */
  return f->resume_own || f->ordinal != f->begun_at;
}

enum { START_TIMES_MAX = 3 };

/* CouchDB 1.x changes instance_start_time at each opening of a database, 2.0
   to 3.2 say "0". A server that does not tell its version counts as a newer
   one, until it has told another time each time it was asked: a reset too many
   repeats rows, one too few loses them. */
static bool usable(const changefeed *f, const char *start_time) {
  bool trusted = f->server_major > 1 ||
                 (f->server_major == 0 && f->start_times < START_TIMES_MAX);

  return trusted && start_time != NULL && strcmp(start_time, "0") != 0 &&
         start_time[0] != '\0';
}

static bool same_text(const char *a, const char *b) {
  return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Only numbers have an order; both must be one. An id is no position. */
static bool ahead_of_database(const changefeed *f) {
  int64_t position, end;

  return !f->lists && f->found_seq != NULL &&
         cfi_str_to_int(cfi_buf_data(&f->resume), f->resume.len, &position) &&
         cfi_str_to_int(f->found_seq, strlen(f->found_seq), &end) &&
         position > end;
}

bool cfi_feed_start_time_tells(const changefeed *f) {
  return usable(f, f->identity.instance_start_time) &&
         usable(f, f->found.instance_start_time);
}

static bool differ(const char *a, const char *b) {
  return a != NULL && b != NULL && strcmp(a, b) != 0;
}

/* What is known of an identity was usable when it became known. */
bool cfi_feed_may_be_same(const changefeed *a, const changefeed *b) {
  const cfi_identity *x = &a->identity, *y = &b->identity;

  return !differ(x->server_uuid, y->server_uuid) &&
         !(usable(a, x->instance_start_time) &&
           usable(b, y->instance_start_time) &&
           differ(x->instance_start_time, y->instance_start_time));
}

static const char *difference(const changefeed *f, cfi_ask ask) {
  const cfi_identity *old = &f->identity, *now = &f->found;
  bool comparable = cfi_feed_start_time_tells(f);

  if (ask == CFI_ASK_SERVER)
    return old->server_uuid != NULL && now->server_uuid != NULL &&
                   !same_text(old->server_uuid, now->server_uuid)
               ? "another server answers"
               : NULL;
  if (comparable &&
      !same_text(old->instance_start_time, now->instance_start_time))
    return "the database was created anew";
  if (f->went_missing && !comparable)
    return "the database was gone and is there again";
  if (ahead_of_database(f))
    return "the position is ahead of the database";
  return NULL;
}

/* What the server says now is what the position will belong to: a copy, or NULL
   when that is known already. */
static bool copy_news(const changefeed *f, const char *known, const char *now,
                      char **copy) {
  *copy = NULL;
  if (now == NULL || same_text(known, now))
    return true;
  *copy = cfi_strdup(f->alloc, now);
  return *copy != NULL;
}

static void adopt(changefeed *f, char **known, char *copy) {
  if (copy == NULL)
    return;
  cfi_free(f->alloc, *known);
  *known = copy;
}

bool cfi_feed_same_history(changefeed *f, cfi_ask ask) {
  const char *reason = cfi_feed_has_begun(f) ? difference(f, ask) : NULL;
  bool server = ask == CFI_ASK_SERVER;
  char **known =
      server ? &f->identity.server_uuid : &f->identity.instance_start_time;
  const char *now = server ? f->found.server_uuid
                    : usable(f, f->found.instance_start_time)
                        ? f->found.instance_start_time
                        : NULL;
  char *copy;

  /* Before the reset: once told, it must not be found again. */
  if (!copy_news(f, reason != NULL ? NULL : *known, now, &copy)) {
    if (server)
      f->server_known = false;
    else
      f->db_known = false;
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    cfi_feed_fault(f);
    return false;
  }
  if (reason != NULL && !cfi_feed_reset(f, reason)) {
    cfi_free(f->alloc, copy);
    return false;
  }
  adopt(f, known, copy);
  if (!server) {
    f->db_known = true;
    f->went_missing = false;
  }
  return true;
}

void cfi_feed_forget_server(changefeed *f) {
  if (f->url.target == CFI_URL_DB_UPDATES ||
      !usable(f, f->identity.instance_start_time))
    f->server_known = false;
}

static bool ask_policy(changefeed *f, const char *reason) {
  int verdict = CHANGEFEED_CONTINUE;

  if (f->callbacks.on_reset != NULL) {
    f->depth++;
    verdict = f->callbacks.on_reset(f, reason, f->callbacks.user);
    f->depth--;
    if (cfi_feed_gone(f))
      return false;
  }
  if (verdict == CHANGEFEED_CONTINUE && f->set.on_reset == CFI_ON_RESET_RESTART)
    return true;
  if (verdict == CHANGEFEED_LATER)
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_CALLBACK,
                        "on_reset answered CHANGEFEED_LATER for %s",
                        f->url.shown);
  else
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_RESET,
                        "%s serves another history: %s", f->url.shown, reason);
  cfi_feed_fatal(f);
  return false;
}

/* Or the same change would be found again by the next sign of it. */
static void forget_database(changefeed *f) {
  cfi_free(f->alloc, f->identity.instance_start_time);
  cfi_free(f->alloc, f->identity.marker);
  f->identity.instance_start_time = f->identity.marker = NULL;
  f->db_known = false;
}

bool cfi_feed_reset(changefeed *f, const char *reason) {
  changefeed_str none = {NULL, 0};
  changefeed_str start = {"0", f->lists ? 0 : 1};

  f->stats.resets++;
  cfi_feed_log(f, CHANGEFEED_LOG_WARNING, "%s serves another history: %s",
               f->url.shown, reason);
  if (cfi_feed_gone(f) || !ask_policy(f, reason))
    return false;
  cfi_feed_drop_request(f);
  cfi_feed_clear_rows(f);
  if (!cfi_feed_set_resume(f, start, false) ||
      !cfi_window_reset(&f->window, none)) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    cfi_feed_fault(f);
    return false;
  }
  f->begun_at = f->ordinal;
  cfi_repeat_clear(&f->repeat);
  cfi_tick_forget(f);
  forget_database(f);
  f->marker_absent = false;
  f->repeat_run = 0;
  f->went_missing = f->caught_up = false;
  f->stats.pending = -1;
  if (f->phase == CFI_PHASE_WAIT && f->begin_ms == CFI_NEVER)
    cfi_feed_plan(f);
  cfi_feed_set_state(f, CHANGEFEED_STATE_CONNECTING);
  return !cfi_feed_gone(f);
}
