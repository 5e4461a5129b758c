/*
 * The feeds a mirror opens beside the one it follows: the list of documents,
 * single documents, and where the feed of changes is now. Each reads once and
 * ends.
 */
#include <string.h>

#include "json_write.h"
#include "mirror_state.h"

/* ---- callbacks ---- */

/* Whatever the server has told a lister of itself was asked when its rows had
   begun to come. The feed finds another history in its own time, and then all
   begins anew; until that, nothing of the new one may meet what is held. */
static bool is_foreign(cfi_lister *l, const changefeed *feed) {
  const changefeed_mirror *m = l->mirror;

  l->foreign =
      l->foreign || !m->world.same_history(m->world.ctx, m->feed, feed);
  return l->foreign;
}

static int on_batch(changefeed *feed, const changefeed_change *const *changes,
                    size_t count, void *user) {
  cfi_lister *l = user;
  changefeed_mirror *m = l->mirror;
  int verdict = CHANGEFEED_CONTINUE;

  if (is_foreign(l, feed))
    return CHANGEFEED_CONTINUE;
  cfi_mirror_enter(m);
  for (size_t i = 0; i < count && verdict == CHANGEFEED_CONTINUE; i++)
    if (l->feed != NULL && !cfi_mirror_gone(m))
      verdict = m->stop_wanted ? CHANGEFEED_STOP : l->row(m, changes[i]);
  l->held_up = verdict == CHANGEFEED_LATER;
  if (verdict < 0 && !cfi_mirror_gone(m)) {
    (void)cfi_error_set(&m->error, CHANGEFEED_ERR_CALLBACK,
                        "the application gave up (%d) at a document", verdict);
    cfi_mirror_fail(m);
  } else if (verdict == CHANGEFEED_STOP) {
    m->stop_wanted = true;
  }
  cfi_mirror_settle(m);
  if (!cfi_mirror_leave(m))
    return CHANGEFEED_CONTINUE; /* the feed is closed with it */
  /* A list that is not taken to its end must not seem to be. */
  return verdict == CHANGEFEED_LATER || verdict == CHANGEFEED_STOP
             ? CHANGEFEED_LATER
             : CHANGEFEED_CONTINUE;
}

static void on_failed(cfi_lister *l, const changefeed_error *error) {
  changefeed_mirror *m = l->mirror;

  cfi_error_clear(&m->error);
  (void)cfi_error_set(&m->error, error->code, "%s", error->message);
  m->error.pub.http_status = error->http_status;
  m->error.pub.curl_code = error->curl_code;
  m->error.pub.sys_errno = error->sys_errno;
  cfi_mirror_fail(m);
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  cfi_lister *l = user;
  changefeed_mirror *m = l->mirror;

  if (event->state != CHANGEFEED_STATE_ENDED &&
      event->state != CHANGEFEED_STATE_FAILED)
    return;
  cfi_mirror_enter(m);
  if (event->state == CHANGEFEED_STATE_FAILED && !cfi_mirror_gone(m)) {
    on_failed(l, event->error);
  } else if (l->feed == feed && !cfi_mirror_gone(m)) {
    if (is_foreign(l, feed) && l == &m->list)
      cfi_mirror_list_again(m);
    else
      l->ended(m);
    if (l->feed == feed)
      cfi_lister_close(l);
  }
  cfi_mirror_settle(m);
  (void)cfi_mirror_leave(m);
}

/* A list that is begun again lists the new history, which the followed feed
   will find, too. */
static int on_reset(changefeed *feed, const char *reason, void *user) {
  cfi_lister *l = user;
  changefeed_mirror *m = l->mirror;

  (void)feed;
  (void)reason;
  cfi_mirror_enter(m);
  if (l == &m->list)
    cfi_audit_drop(m);
  (void)cfi_mirror_leave(m);
  return CHANGEFEED_CONTINUE;
}

static int on_request(changefeed *feed, void *user) {
  changefeed_mirror *m = ((cfi_lister *)user)->mirror;

  return m->feed_callbacks.on_request(feed, m->feed_callbacks.user);
}

/* ---- opening ---- */

static int set_range(changefeed_options *o, const cfi_list_request *request) {
  int rc = changefeed_options_set(o, "startkey", request->from);

  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(o, "endkey", request->to);
  if (rc == CHANGEFEED_OK && request->to != NULL)
    rc = changefeed_options_set_int(o, "inclusive_end", 0);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(o, "doc_ids", request->keys);
  return rc;
}

static int set_up(cfi_lister *l, changefeed_options *o,
                  const cfi_list_request *request) {
  changefeed_mirror *m = l->mirror;
  changefeed_callbacks c = CHANGEFEED_CALLBACKS_INIT;
  static const char *const unset[] = {"filter",       "selector", "view",
                                      "doc_ids",      "query",    "tick",
                                      "tick_write_ms"};
  int rc = CHANGEFEED_OK;

  c.on_batch = on_batch;
  c.on_state = on_state;
  c.on_reset = on_reset;
  c.on_request = m->feed_callbacks.on_request != NULL ? on_request : NULL;
  c.user = l;
  for (size_t i = 0; rc == CHANGEFEED_OK && i < sizeof unset / sizeof *unset;
       i++)
    if (changefeed_options_is_set(o, unset[i]) > 0)
      rc = changefeed_options_set(o, unset[i], NULL);
  if (rc == CHANGEFEED_OK && request->position)
    rc = changefeed_options_set(o, "since", "now");
  else if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(o, "source", "all_docs");
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(o, "mode", "once");
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(o, "on_reset", "restart");
  if (rc == CHANGEFEED_OK) /* what comes again is found by what is held */
    rc = changefeed_options_set_int(o, "repeat_cache", 0);
  if (rc == CHANGEFEED_OK && !request->position)
    rc = set_range(o, request);
  return rc == CHANGEFEED_OK ? changefeed_options_set_callbacks(o, &c) : rc;
}

bool cfi_lister_open(cfi_lister *l, const cfi_list_request *request) {
  changefeed_mirror *m = l->mirror;
  changefeed_options *o = NULL;
  int rc = changefeed_options_copy(&o, m->options);

  if (rc == CHANGEFEED_OK)
    rc = set_up(l, o, request);
  if (rc == CHANGEFEED_OK)
    rc = m->world.open(m->world.ctx, &l->feed, o);
  if (rc != CHANGEFEED_OK) {
    l->feed = NULL;
    (void)cfi_error_set(&m->error, rc, "the list of documents: %s",
                        o != NULL ? changefeed_options_error(o) : "no memory");
  }
  changefeed_options_free(o);
  l->held_up = l->foreign = false;
  return rc == CHANGEFEED_OK;
}

void cfi_lister_close(cfi_lister *l) {
  changefeed *feed = l->feed;

  l->feed = NULL;
  l->held_up = false;
  if (feed != NULL)
    l->mirror->world.close(l->mirror->world.ctx, feed);
}

char *cfi_lister_keys(changefeed_mirror *m, cfi_tree_walk *walk, size_t most,
                      bool (*taken)(void *ctx, const cfi_tree_entry *e),
                      void *ctx) {
  cfi_tree_entry e;
  size_t count = 0;
  cfi_buf b;

  cfi_buf_init(&b, &m->alloc);
  cfi_buf_putc(&b, '[');
  while (count < most && cfi_tree_next(walk, &e)) {
    if (!taken(ctx, &e))
      break;
    if (count++ != 0)
      cfi_buf_putc(&b, ',');
    cfi_json_put_string(&b, e.id.data, e.id.len);
  }
  cfi_buf_putc(&b, ']');
  return cfi_buf_take(&b);
}
