/*
 * The life of a feed: creation, the step that takes mail, tells states and
 * calls the parts in order, and the end. The parts are in
 * the other feed_*.c files.
 */
#include "feed_tick.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BUCKET_TOKENS = 5, BUCKET_INTERVAL_MS = 1000 };

int64_t cfi_feed_now(const changefeed *f) { return cfi_clock_now(&f->clock); }

bool cfi_feed_gone(const changefeed *f) {
  return f->closing || f->phase >= CFI_PHASE_FLUSH ||
         (atomic_load_explicit(&f->mail, memory_order_relaxed) &
          CFI_MAIL_STOP) != 0;
}

/* ---- talking to the application ---- */

void cfi_feed_log(changefeed *f, int level, const char *format, ...) {
  cfi_error line;
  va_list args;
  char text[CFI_ERROR_TEXT];

  if (f->callbacks.on_log == NULL || f->closing)
    return;
  va_start(args, format);
  if (vsnprintf(text, sizeof text, format, args) < 0)
    text[0] = '\0';
  va_end(args);
  (void)cfi_error_set(&line, 0, "%s", text);
  f->depth++;
  f->callbacks.on_log(f, level, line.text, strlen(line.text),
                      f->callbacks.user);
  f->depth--;
}

void cfi_feed_notice(changefeed *f, const changefeed_notice *notice) {
  if (f->callbacks.on_notice == NULL || f->closing)
    return;
  f->depth++;
  f->callbacks.on_notice(f, notice, f->callbacks.user);
  f->depth--;
}

static int effective_state(const changefeed *f) {
  if (f->phase != CFI_PHASE_OVER && atomic_load(&f->paused))
    return CHANGEFEED_STATE_PAUSED;
  return f->base_state;
}

void cfi_feed_tell_state(changefeed *f) {
  changefeed_event event = {0};
  int state = effective_state(f);
  int previous = atomic_load(&f->shown_state);

  if (state == previous || f->closing)
    return;
  atomic_store(&f->shown_state, state);
  event.state = state;
  event.previous = previous;
  if (state == CHANGEFEED_STATE_WAITING) {
    event.attempt = f->backoff.failures;
    event.delay_ms = f->event_delay_ms;
  }
  if (state == CHANGEFEED_STATE_WAITING || state == CHANGEFEED_STATE_FAILED)
    event.error = &f->error.pub;
  if (f->callbacks.on_state == NULL)
    return;
  f->depth++;
  f->callbacks.on_state(f, &event, f->callbacks.user);
  f->depth--;
}

void cfi_feed_set_state(changefeed *f, int base_state) {
  f->base_state = base_state;
  cfi_feed_tell_state(f);
}

/* A position in the database takes a request: a feed that ends by itself waits
   for it, one that is stopped only when that was asked for. */
static bool waits_for_save(const changefeed *f, int base_state) {
  if (f->phase == CFI_PHASE_FLUSH || f->set.flush_timeout_ms == 0 ||
      !cfi_local_can_flush(f, base_state))
    return false;
  if (f->stopped)
    return f->set.flush_on_stop != 0;
  return base_state == CHANGEFEED_STATE_ENDED ||
         f->error.pub.code == CHANGEFEED_ERR_CALLBACK;
}

static void be_over(changefeed *f, int base_state) {
  cfi_error error;

  cfi_side_cancel(f);
  if (f->phase == CFI_PHASE_FLUSH) /* not that the position was not saved */
    cfi_error_copy(&f->error, &f->final_error);
  f->phase = CFI_PHASE_OVER;
  if (cfi_feed_save(f, &error) != CHANGEFEED_OK)
    cfi_feed_log(f, CHANGEFEED_LOG_ERROR, "%s", error.text);
  cfi_feed_set_state(f, base_state);
}

void cfi_feed_finish(changefeed *f, int base_state) {
  if (f->phase == CFI_PHASE_OVER)
    return;
  cfi_feed_drop_request(f);
  cfi_feed_clear_rows(f);
  if (!waits_for_save(f, base_state)) {
    be_over(f, f->phase == CFI_PHASE_FLUSH ? f->final_state : base_state);
    return;
  }
  f->phase = CFI_PHASE_FLUSH;
  f->final_state = base_state;
  cfi_error_copy(&f->final_error, &f->error);
  f->flush_until_ms = cfi_clock_after(cfi_feed_now(f), f->set.flush_timeout_ms);
}

bool cfi_feed_end_flush(changefeed *f, bool late) {
  if (cfi_local_can_flush(f, f->final_state) && !late)
    return false;
  if (late)
    cfi_feed_log(f, CHANGEFEED_LOG_ERROR,
                 "the last position of %s could not be saved in %lld ms: %s",
                 f->url.shown, (long long)f->set.flush_timeout_ms,
                 cfi_feed_has_unsaved(f) ? "the database did not take it"
                                         : "rows are not acknowledged");
  be_over(f, f->final_state);
  return true;
}

/* ---- the step ---- */

static void take_mail(changefeed *f) {
  unsigned mail = atomic_exchange(&f->mail, 0);

  if ((mail & CFI_MAIL_STOP) == 0 || f->phase == CFI_PHASE_OVER) {
    cfi_feed_tell_state(f);
    return;
  }
  f->stopped = true;
  cfi_feed_finish(f, CHANGEFEED_STATE_ENDED);
}

static bool ring(changefeed *f) {
  if (f->timer_ms == CFI_NEVER || cfi_feed_now(f) < f->timer_ms)
    return false;
  f->timer_ms = CFI_NEVER;
  f->depth++;
  f->callbacks.on_timer(f, f->callbacks.user);
  f->depth--;
  return true;
}

static bool step_once(changefeed *f, unsigned *budget) {
  if (f->pending_reset != NULL) {
    const char *reason = f->pending_reset;

    f->pending_reset = NULL;
    (void)cfi_feed_reset(f, reason);
    return true;
  }
  if (ring(f))
    return true;
  if (f->phase == CFI_PHASE_ACTIVE && cfi_feed_on_head(f))
    return true;
  if (cfi_side_step(f))
    return true;
  if (f->phase == CFI_PHASE_ACTIVE) {
    if (cfi_feed_drain(f, budget))
      return true;
    if (f->main.done && (f->main.no_memory || !cfi_feed_rows_waiting(f)) &&
        cfi_feed_on_done(f))
      return true;
  }
  return cfi_feed_on_time(f);
}

bool cfi_feed_step(changefeed *f, unsigned max_rows) {
  unsigned budget = max_rows;

  do {
    take_mail(f);
    if (f->closing || f->phase == CFI_PHASE_OVER)
      break;
  } while (!f->lent && step_once(f, &budget) && budget != 0);
  if (f->closing)
    return false;
  cfi_feed_save_if_due(f);
  if (budget != 0)
    cfi_feed_end_turn(f);
  return f->phase != CFI_PHASE_OVER && budget == 0;
}

bool cfi_feed_over(const changefeed *f) { return f->phase == CFI_PHASE_OVER; }

/* ---- creation ---- */

/* What messages call the database behind another endpoint. */
static bool name_endpoint(const changefeed *f, cfi_url *endpoint) {
  cfi_buf b;
  char *shown;

  cfi_buf_init(&b, f->alloc);
  cfi_buf_puts(&b, endpoint->shown);
  cfi_buf_puts(&b, f->url.db != NULL ? "/" : "/_db_updates");
  if (f->url.db != NULL)
    cfi_buf_puts(&b, f->url.db);
  shown = cfi_buf_take(&b);
  if (shown == NULL)
    return false;
  cfi_free(f->alloc, endpoint->shown);
  endpoint->shown = shown;
  return true;
}

static int copy_endpoints(changefeed *f, cfi_error *error) {
  const cfi_list *list = &f->set.endpoint;

  if (list->count == 0)
    return CHANGEFEED_OK;
  f->endpoints = cfi_calloc(f->alloc, list->count, sizeof *f->endpoints);
  if (f->endpoints == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  for (size_t i = 0; i < list->count; i++) {
    int rc = cfi_url_parse_endpoint(f->alloc, list->items[i], &f->endpoints[i],
                                    error);

    if (rc != CHANGEFEED_OK)
      return rc;
    f->endpoint_count = i + 1;
    if (!name_endpoint(f, &f->endpoints[i]))
      return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  }
  return CHANGEFEED_OK;
}

static char *first_of(const changefeed *f, const char *a, const char *b) {
  const char *text = a != NULL ? a : b;

  return text != NULL ? cfi_strdup(f->alloc, text) : NULL;
}

/* The options' names go before those of the URL. */
static int copy_credentials(changefeed *f, cfi_error *error) {
  const char *user = f->set.username, *password = f->set.password;
  const char *of_url = user != NULL ? NULL : f->url.password;

  f->username = first_of(f, user, f->url.username);
  f->password = first_of(f, password, of_url);
  if ((f->username == NULL && (user != NULL || f->url.username != NULL)) ||
      (f->password == NULL && (password != NULL || of_url != NULL)))
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  if (f->set.session != 0 && f->username == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "session: a user name and a password are needed");
  if (f->set.bearer_token != NULL && f->username != NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "bearer_token and a user name exclude each other");
  return CHANGEFEED_OK;
}

static int check_target(const changefeed *f, cfi_error *error) {
  const cfi_settings *s = &f->set;

  if (f->url.target != CFI_URL_DB_UPDATES)
    return CHANGEFEED_OK;
  if (f->lists)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "source: _db_updates has no all_docs");
  if (f->filtered || s->include_docs != 0 || s->descending != 0 ||
      s->style != CFI_STYLE_MAIN_ONLY)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "_db_updates knows no filter, doc_ids, selector, "
                         "view, style, descending and no include_docs");
  if (s->transport == CFI_TRANSPORT_EVENTSOURCE)
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "transport: _db_updates cannot be followed by "
                         "eventsource");
  return CHANGEFEED_OK;
}

changefeed_str cfi_feed_beginning(const changefeed *f) {
  changefeed_str none = {"", 0}, since = {f->set.since, strlen(f->set.since)};

  return f->lists ? none : since;
}

static int make_parts(changefeed *f, cfi_error *error) {
  const cfi_settings *s = &f->set;

  f->rows = cfi_row_parser_new(f->alloc, (size_t)s->max_depth);
  if (f->rows == NULL || !cfi_window_init(&f->window, f->alloc))
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  cfi_frame_init(&f->frame, f->alloc, (size_t)s->max_row_bytes,
                 (size_t)s->max_depth);
  if (f->lists)
    f->frame.list = "rows";
  cfi_repeat_init(&f->repeat, f->alloc, (size_t)s->repeat_cache,
                  cfi_random_next(&f->random));
  cfi_bucket_init(&f->bucket, BUCKET_TOKENS, BUCKET_INTERVAL_MS,
                  cfi_feed_now(f));
  cfi_backoff_init(&f->backoff, s->retry_min_ms, s->retry_max_ms);
  cfi_backoff_init(&f->save_backoff, 1000, 60000);
  if (!cfi_feed_set_resume(f, cfi_feed_beginning(f), false))
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  f->feed_key = cfi_feed_make_key(f, f->url.db_name != NULL ? f->url.db_name
                                                            : "_db_updates");
  f->store_key = cfi_feed_make_key(f, f->url.shown);
  if (f->feed_key == NULL || f->store_key == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  return CHANGEFEED_OK;
}

static int build(changefeed *f, const changefeed_options *o, cfi_error *error) {
  const cfi_settings *s = &f->set;
  int rc = cfi_options_check(o, error);

  if (rc != CHANGEFEED_OK)
    return rc;
  rc = cfi_settings_copy(f->alloc, &o->set, &f->set);
  if (rc != CHANGEFEED_OK)
    return cfi_error_set(error, rc, "no memory");
  rc = cfi_url_parse(f->alloc, s->url, &f->url, error);
  if (rc == CHANGEFEED_OK)
    rc = copy_endpoints(f, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  f->filtered = s->filter != NULL || s->doc_ids != NULL ||
                s->selector != NULL || s->view != NULL;
  f->lists = s->source == CFI_SOURCE_ALL_DOCS;
  f->transport = s->transport == CFI_TRANSPORT_AUTO ? CFI_TRANSPORT_CONTINUOUS
                                                    : (int)s->transport;
  f->limit_left = s->limit != 0 ? (uint64_t)s->limit : UINT64_MAX;
  f->queue_limit = (size_t)s->max_queue_bytes;
  f->pull = f->callbacks.on_change == NULL && f->callbacks.on_batch == NULL;
  rc = f->lists ? cfi_list_check(o, error) : CHANGEFEED_OK;
  if (rc == CHANGEFEED_OK)
    rc = check_target(f, error);
  if (rc == CHANGEFEED_OK)
    rc = cfi_tick_open(f, error);
  if (rc == CHANGEFEED_OK)
    rc = copy_credentials(f, error);
  cfi_endpoint_choose_home(f);
  if (rc == CHANGEFEED_OK)
    rc = make_parts(f, error);
  if (rc == CHANGEFEED_OK)
    rc = cfi_feed_open_store(f, o, error);
  return rc;
}

int cfi_feed_new(changefeed **out, const changefeed_options *options,
                 const cfi_feed_config *config, cfi_error *error) {
  changefeed *f = cfi_calloc(config->alloc, 1, sizeof *f);
  int rc;

  if (f == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  f->alloc = config->alloc;
  f->clock = config->clock;
  f->world = config->world;
  f->halt = config->halt;
  f->admit = config->admit;
  f->host = config->host;
  f->callbacks = options->callbacks;
  cfi_random_init(&f->random, config->seed);
  cfi_error_clear(&f->error);
  cfi_buf_init(&f->queue, f->alloc);
  cfi_buf_init(&f->resume, f->alloc);
  cfi_buf_init(&f->asked_since, f->alloc);
  cfi_buf_init(&f->listed, f->alloc);
  cfi_buf_init(&f->frame.envelope, f->alloc);
  cfi_buf_init(&f->main.reply, f->alloc);
  cfi_buf_init(&f->side.reply, f->alloc);
  f->session_proven_ms = f->flush_until_ms = f->timer_ms = CFI_NEVER;
  cfi_repeat_init(&f->repeat, f->alloc, 0, 0);
  f->window.alloc = NULL;
  f->missing_since_ms = f->unsaved_ms = CFI_NEVER;
  f->last_byte_ms = f->last_row_ms = f->last_save_ms = -1;
  f->stats.pending = -1;
  f->base_state = CHANGEFEED_STATE_CONNECTING;
  atomic_init(&f->mail, 0);
  atomic_init(&f->paused, false);
  atomic_init(&f->shown, 0);
  atomic_init(&f->shown_state, CHANGEFEED_STATE_CONNECTING);
  rc = build(f, options, error);
  if (rc != CHANGEFEED_OK) {
    cfi_feed_free(f, false);
    return rc;
  }
  f->begin_ms = cfi_feed_now(f);
  *out = f;
  return CHANGEFEED_OK;
}

static void free_urls(changefeed *f) {
  cfi_url_free(f->alloc, &f->url);
  for (size_t i = 0; i < f->endpoint_count; i++)
    cfi_url_free(f->alloc, &f->endpoints[i]);
  cfi_free(f->alloc, f->endpoints);
}

void cfi_feed_free(changefeed *f, bool save) {
  const cfi_alloc *alloc = f->alloc;
  cfi_error error;

  f->closing = true;
  cfi_feed_drop_request(f);
  cfi_side_cancel(f);
  /* There is nobody to tell any more when this fails: the callbacks are over.
     The position before it is intact. */
  if (save)
    (void)cfi_feed_save(f, &error);
  cfi_store_file_close(f->file);
  if (f->has_store && f->store.close != NULL)
    f->store.close(f->store.ctx);
  free_urls(f);
  cfi_settings_free(alloc, &f->set);
  cfi_row_parser_free(f->rows);
  cfi_frame_free(&f->frame);
  cfi_repeat_free(&f->repeat);
  if (f->window.alloc != NULL)
    cfi_window_free(&f->window);
  cfi_buf_free(&f->queue);
  cfi_buf_free(&f->resume);
  cfi_buf_free(&f->asked_since);
  cfi_buf_free(&f->listed);
  cfi_buf_free(&f->main.reply);
  cfi_buf_free(&f->side.reply);
  cfi_local_free(f);
  cfi_tick_free(f);
  cfi_free(alloc, f->held);
  cfi_free(alloc, f->changes);
  cfi_free(alloc, f->change_list);
  cfi_free(alloc, f->behind);
  cfi_free(alloc, f->feed_key);
  cfi_free(alloc, f->store_key);
  cfi_free(alloc, f->position_copy);
  cfi_free(alloc, f->identity.server_uuid);
  cfi_free(alloc, f->identity.instance_start_time);
  cfi_free(alloc, f->identity.marker);
  cfi_free(alloc, f->found.server_uuid);
  cfi_free(alloc, f->found.instance_start_time);
  cfi_free(alloc, f->found_seq);
  cfi_free_secret(alloc, f->username);
  cfi_free_secret(alloc, f->password);
  cfi_free_secret(alloc, f->authorization);
  cfi_free_secret(alloc, f->cookie);
  cfi_free(alloc, f);
}
