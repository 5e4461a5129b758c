/*
 * The URLs of a feed's requests with their parameters, and the name of what is
 * followed.
 */
#include <string.h>

#include "feed.h"

enum {
  AUTO_INTERVAL = 1000,
  SHORT_ANSWER = 10, /* intervals */
  CUT_SHORT = 8
};

static void put_param(cfi_buf *b, const char *name, const char *value) {
  cfi_buf_putc(b, '&');
  cfi_buf_puts(b, name);
  cfi_buf_putc(b, '=');
  cfi_url_put_encoded(b, value, strlen(value));
}

static void put_int(cfi_buf *b, const char *name, int64_t value) {
  cfi_buf_putc(b, '&');
  cfi_buf_puts(b, name);
  cfi_buf_putc(b, '=');
  cfi_buf_putint(b, value);
}

static void put_switch(cfi_buf *b, const char *name, int64_t value) {
  if (value != 0)
    put_param(b, name, "true");
}

/* What chooses the rows, and so belongs to the identity of a position. */
static void put_choice(const cfi_settings *s, cfi_buf *b) {
  if (s->doc_ids != NULL)
    put_param(b, "filter", "_doc_ids");
  else if (s->selector != NULL)
    put_param(b, "filter", "_selector");
  else if (s->view != NULL)
    put_param(b, "filter", "_view");
  else if (s->filter != NULL)
    put_param(b, "filter", s->filter);
  if (s->view != NULL)
    put_param(b, "view", s->view);
  if (s->style == CFI_STYLE_ALL_DOCS)
    put_param(b, "style", "all_docs");
  cfi_feed_put_query(s, b);
}

void cfi_feed_put_query(const cfi_settings *s, cfi_buf *b) {
  for (size_t i = 0; i < s->query.count; i++) {
    const char *text = s->query.items[i];
    const char *equals = strchr(text, '=');
    size_t name = equals != NULL ? (size_t)(equals - text) : strlen(text);

    cfi_buf_putc(b, '&');
    cfi_url_put_encoded(b, text, name);
    cfi_buf_putc(b, '=');
    if (equals != NULL)
      cfi_url_put_encoded(b, equals + 1, strlen(equals + 1));
  }
}

void cfi_feed_put_shape(const cfi_settings *s, cfi_buf *b) {
  put_switch(b, "conflicts", s->conflicts);
  put_switch(b, "attachments", s->attachments);
  put_switch(b, "att_encoding_info", s->att_encoding_info);
}

/* To compute a seq is most of what a row costs a server, and of the past most
   are never used. A position that is kept is to be exact to checkpoint_every
   rows, and a short answer to its end. 0: each row. */
static int64_t seq_interval(const changefeed *f) {
  const cfi_settings *s = &f->set;
  int64_t every = AUTO_INTERVAL;

  /* What is cut off again and again before it states a position must not come
     again and again. */
  for (unsigned n = 0; n < f->cut_short && every > 1; n++)
    every /= CUT_SHORT;
  if (s->seq_interval != 0)
    return s->seq_interval > 1 ? s->seq_interval : 0;
  if (f->main.ask != CFI_ASK_CATCHUP || s->descending != 0 ||
      f->url.target != CFI_URL_DATABASE)
    return 0;
  if (cfi_feed_keeps_position(f) && s->checkpoint_every < every)
    every = s->checkpoint_every;
  return every > 1 && f->limit_left > (uint64_t)every * SHORT_ANSWER ? every
                                                                     : 0;
}

static const char *feed_name(const changefeed *f) {
  if (f->main.ask == CFI_ASK_CATCHUP)
    return "normal";
  if (f->transport == CFI_TRANSPORT_LONGPOLL)
    return "longpoll";
  if (f->transport == CFI_TRANSPORT_EVENTSOURCE)
    return "eventsource";
  return "continuous";
}

/* The silence a peer may keep, and what it is asked for so that it does not.
   A filtered feed tells its progress only when a response ends, and a proxy
   that holds bytes back lets go of them only then: both are asked to end when
   idle. The others show by heartbeats that they live. */
static void choose_liveness(changefeed *f, int64_t *heartbeat,
                            int64_t *timeout) {
  const cfi_settings *s = &f->set;
  int64_t period = s->heartbeat_ms;

  *heartbeat = *timeout = -1;
  f->asked_timeout = f->main.ask == CFI_ASK_LIVE &&
                     (f->filtered || f->transport == CFI_TRANSPORT_LONGPOLL);
  if (f->asked_timeout) {
    if (s->progress_interval_ms < period)
      period = s->progress_interval_ms;
    if (s->idle_timeout_ms != 0 && s->idle_timeout_ms * 2 / 3 < period)
      period = s->idle_timeout_ms * 2 / 3;
    *timeout = period;
  } else {
    *heartbeat = period;
  }
  f->idle_ms = s->idle_timeout_ms != 0 ? s->idle_timeout_ms : period * 3 / 2;
}

static void put_feed_url(changefeed *f, cfi_buf *b) {
  const cfi_settings *s = &f->set;
  int64_t heartbeat, timeout;

  if (f->url.target == CFI_URL_DATABASE) {
    cfi_buf_putc(b, '/');
    cfi_buf_puts(b, f->url.db);
    cfi_buf_puts(b, "/_changes?feed=");
  } else {
    cfi_buf_puts(b, "/_db_updates?feed=");
  }
  cfi_buf_puts(b, feed_name(f));
  cfi_buf_puts(b, "&since=");
  cfi_url_put_encoded(b, cfi_buf_data(&f->resume), f->resume.len);
  choose_liveness(f, &heartbeat, &timeout);
  if (heartbeat >= 0)
    put_int(b, "heartbeat", heartbeat);
  if (timeout >= 0)
    put_int(b, "timeout", timeout);
  put_choice(s, b);
  put_switch(b, "include_docs", s->include_docs);
  cfi_feed_put_shape(s, b);
  put_switch(b, "descending", s->descending);
  if (seq_interval(f) != 0)
    put_int(b, "seq_interval", seq_interval(f));
  if (f->limit_left != UINT64_MAX)
    put_int(b, "limit", (int64_t)f->limit_left);
}

static void put_local(const changefeed *f, cfi_buf *b, const char *name) {
  cfi_buf_putc(b, '/');
  cfi_buf_puts(b, f->url.db);
  cfi_buf_puts(b, "/_local/");
  cfi_buf_puts(b, name);
}

char *cfi_feed_make_url(changefeed *f, const cfi_lane *l) {
  cfi_buf b;

  cfi_buf_init(&b, f->alloc);
  cfi_buf_puts(&b, cfi_feed_where_of(f, l)->base);
  switch (l->ask) {
  case CFI_ASK_LOGIN:
  case CFI_ASK_SESSION:
    cfi_buf_puts(&b, "/_session");
    break;
  case CFI_ASK_SERVER:
  case CFI_ASK_HOME:
    cfi_buf_putc(&b, '/');
    break;
  case CFI_ASK_DATABASE:
    cfi_buf_putc(&b, '/');
    cfi_buf_puts(&b, f->url.db);
    break;
  case CFI_ASK_LOAD:
  case CFI_ASK_SAVE:
    put_local(f, &b, cfi_local_name(f));
    break;
  case CFI_ASK_MARKER:
  case CFI_ASK_MARKER_PUT:
    put_local(f, &b, CFI_MARKER_NAME);
    break;
  case CFI_ASK_TICK:
  case CFI_ASK_TICK_PUT:
    cfi_buf_putc(&b, '/');
    cfi_buf_puts(&b, f->url.db);
    cfi_buf_putc(&b, '/');
    cfi_url_put_encoded(&b, f->set.tick, f->tick_len);
    break;
  case CFI_ASK_CATCHUP:
  case CFI_ASK_LIVE:
    if (!f->lists) {
      put_feed_url(f, &b);
    } else if (!cfi_list_put_url(f, &b)) {
      cfi_buf_free(&b);
      return NULL;
    }
    break;
  }
  return cfi_buf_take(&b);
}

/* The name of what is followed: a position of one choice of rows must not serve
   another. */
char *cfi_feed_make_key(const changefeed *f, const char *of) {
  cfi_buf b;

  cfi_buf_init(&b, f->alloc);
  cfi_buf_puts(&b, of);
  put_choice(&f->set, &b);
  if (f->set.doc_ids != NULL)
    put_param(&b, "doc_ids", f->set.doc_ids);
  if (f->set.selector != NULL)
    put_param(&b, "selector", f->set.selector);
  return cfi_buf_take(&b);
}
