/* Feeds of the mini couch: _changes and _db_updates in all four modes, written
   in the chunks of CouchDB 3.5. A feed looks at the rows under the lock, one at
   a time, and sends without it. */
#include "mem.h"
#include "peer_mini_int.h"
#include "timing.h"

/* The reason of the 500 that CouchDB answers to what is no number. */
static const char BADARG[] = "badarg";

typedef struct feed {
  cft_exchange *x;
  cft_log *log;
  bool updates, list, eventsource, continuous; /* list: normal or longpoll */
  bool normal, include_docs, descending;
  size_t pos;                       /* rows up to this number were looked at */
  size_t left;                      /* of limit */
  size_t interval;                  /* every which row shows its seq */
  int64_t timeout_ms, heartbeat_ms; /* heartbeat 0: none */
  cft_filter filter;

  cft_text row;      /* one row */
  cft_text out;      /* gathered for the next chunk */
  size_t rows, last; /* rows shown, number of the last one */
  unsigned tag;      /* the history it reads */
  bool head_sent, any_sent;
  unsigned end_count; /* of the server when the feed began */
  size_t injected;
  bool timed_out;
} feed;

/* ---- request ---- */

static bool number_of(const char *text, int64_t *value) {
  char *end;
  long long n = strtoll(text, &end, 10);
  *value = n;
  return *text && *end == '\0';
}

/* timeout= and heartbeat=; NULL, or the reason of a 400. */
static const char *read_times(feed *f) {
  const cft_request *req = f->x->req;
  int64_t max = f->x->config.timeout_max_ms;
  char text[64];
  f->timeout_ms = max;
  if (cft_request_param(req, "timeout", text, sizeof text)) {
    if (!number_of(text, &f->timeout_ms) || f->timeout_ms < 0)
      return BADARG;
    if (f->timeout_ms > max)
      f->timeout_ms = max;
  }
  if (!cft_request_param(req, "heartbeat", text, sizeof text) ||
      strcmp(text, "false") == 0)
    return NULL;
  if (strcmp(text, "true") == 0) {
    f->heartbeat_ms = max;
    return NULL;
  }
  if (!number_of(text, &f->heartbeat_ms))
    return "Invalid heartbeat value. Expecting a positive integer value (in "
           "milliseconds).";
  if (f->heartbeat_ms < 1)
    return "The heartbeat value should be a positive integer (in "
           "milliseconds).";
  if (f->heartbeat_ms > max)
    f->heartbeat_ms = max;
  return NULL;
}

static bool flag_of(const cft_request *req, const char *name) {
  char text[16];
  return cft_request_param(req, name, text, sizeof text) &&
         strcmp(text, "true") == 0;
}

static const char *read_numbers(feed *f) {
  char text[64];
  int64_t n;
  f->left = SIZE_MAX;
  f->interval = 1;
  if (cft_request_param(f->x->req, "limit", text, sizeof text)) {
    if (!number_of(text, &n))
      return BADARG;
    if (n >= 0)
      f->left = (size_t)n;
  }
  if (cft_request_param(f->x->req, "seq_interval", text, sizeof text)) {
    if (!number_of(text, &n) || n < 1)
      return "invalid_seq_interval";
    f->interval = (size_t)n;
  }
  return NULL;
}

/* Where the feed begins; under mu. */
static const char *read_since(feed *f) {
  const cft_fault *fault = cft_fault_of(f->x);
  enum cft_seqs seqs = f->x->config.seqs;
  char since[2048] = "0";
  const cft_request *req = f->x->req;
  if (!cft_request_param(req, "since", since, sizeof since) &&
      !cft_request_param(req, "last-event-id", since, sizeof since) &&
      f->eventsource)
    cft_request_header(req, "Last-Event-ID", since, sizeof since);
  if (!cft_seq_parse(f->log, seqs, since, &f->pos))
    return "Malformed sequence supplied in 'since' parameter.";
  if (fault && fault->rewind)
    f->pos = fault->rewind < f->pos ? f->pos - fault->rewind : 0;
  if (f->descending)
    f->pos = f->log->count;
  return NULL;
}

static const char *feed_read(feed *f) {
  const cft_request *req = f->x->req;
  cft_mini *mini = f->x->mini;
  f->updates = (req->kind & CFT_UPDATES) != 0;
  f->continuous = (req->kind & CFT_CONTINUOUS) != 0;
  f->eventsource = (req->kind & CFT_EVENTSOURCE) != 0;
  f->normal = (req->kind & CFT_NORMAL) != 0;
  f->list = !f->continuous && !f->eventsource;
  f->log = f->updates ? &mini->updates : &mini->changes;
  f->include_docs = flag_of(req, "include_docs");
  f->descending = f->normal && flag_of(req, "descending");
  const char *why = read_times(f);
  if (!why)
    why = read_numbers(f);
  if (!why)
    why = cft_filter_read(req, &f->filter);
  pthread_mutex_lock(&mini->mu);
  f->end_count = mini->end_count;
  f->tag = f->log->tag;
  f->injected = mini->injection_count;
  if (!why)
    why = read_since(f);
  pthread_mutex_unlock(&mini->mu);
  return why;
}

/* ---- sending ---- */

static bool send_head(feed *f) {
  cft_text text = {NULL, 0, 0};
  if (f->head_sent)
    return true;
  f->head_sent = true;
  cft_head_text(&text, 200,
                f->eventsource ? "Content-Type: text/event-stream\r\n" : NULL);
  if (f->x->config.close_each_response)
    cft_text_adds(&text, "Connection: close\r\n");
  cft_text_adds(&text, "Transfer-Encoding: chunked\r\n\r\n");
  bool ok = cft_mini_begin(f->x, text.data, text.len, text.len);
  cft_text_free(&text);
  if (ok && f->list)
    ok = cft_conn_chunk(f->x->conn, "{\"results\":[\n", 13);
  return ok;
}

/* Sends what was gathered, unless a proxy holds it back. */
static bool flush(feed *f, bool last) {
  if (!f->out.len)
    return true;
  if (!last && !f->normal && f->out.len < f->x->config.proxy_buffer)
    return true;
  bool ok = cft_mini_gate(f->x) && send_head(f) &&
            cft_conn_chunk(f->x->conn, f->out.data, f->out.len);
  f->out.len = 0;
  f->any_sent = true;
  return ok;
}

static bool add(feed *f, const char *data, size_t len) {
  size_t limit = f->x->config.buffer;
  if (f->out.len && f->out.len + len > limit && !flush(f, false))
    return false;
  cft_text_add(&f->out, data, len);
  return true;
}

static void row_text(feed *f, const cft_entry *row, size_t number) {
  cft_text seq = {NULL, 0, 0};
  cft_text *t = &f->row;
  if (f->rows % f->interval == 0)
    cft_seq_text(f->log, f->x->config.seqs, number, &seq);
  else
    cft_text_adds(&seq, "null");
  t->len = 0;
  if (f->list && f->rows)
    cft_text_adds(t, ",\r\n");
  if (f->eventsource)
    cft_text_adds(t, "data: ");
  cft_text_adds(t, f->updates ? "{\"db_name\":" : "{\"seq\":");
  if (f->updates)
    cft_text_json(t, row->id);
  else
    cft_text_add(t, seq.data, seq.len);
  cft_text_adds(t, f->updates ? ",\"type\":" : ",\"id\":");
  cft_text_json(t, f->updates ? row->rev : row->id);
  if (f->updates) {
    cft_text_adds(t, ",\"seq\":");
    cft_text_add(t, seq.data, seq.len);
  } else {
    cft_text_adds(t, ",\"changes\":[{\"rev\":");
    cft_text_json(t, row->rev);
    cft_text_adds(t, row->deleted ? "}],\"deleted\":true" : "}]");
  }
  if (f->include_docs && !f->updates) {
    cft_text_adds(t, ",\"doc\":");
    cft_doc_text(row, t);
  }
  cft_text_adds(t, f->continuous ? "}\n" : "}");
  if (f->eventsource)
    cft_text_addf(t, "\nid: %s\n\n", seq.data);
  cft_text_free(&seq);
}

/* ---- looking ---- */

enum look { ROW, NOTHING, END };

/* The next row number in the feed's direction, 0 when there is none. */
static size_t step(feed *f) {
  if (f->descending)
    return f->pos ? f->pos-- : 0;
  return f->pos < f->log->count ? ++f->pos : 0;
}

/* Formats the next row that the feed shows, if there is one now. */
static enum look look(feed *f) {
  cft_mini *mini = f->x->mini;
  enum look found = NOTHING;
  pthread_mutex_lock(&mini->mu);
  if (f->end_count != mini->end_count)
    found = END;
  while (found == NOTHING && f->left) {
    size_t number = step(f);
    if (!number)
      break;
    const cft_entry *row = &f->log->rows[number - 1];
    if (!row->current || !cft_filter_match(&f->filter, row))
      continue;
    row_text(f, row, number);
    f->last = number;
    found = ROW;
  }
  pthread_mutex_unlock(&mini->mu);
  return found;
}

/* All rows there are now. */
static bool send_rows(feed *f, enum look *state) {
  while ((*state = look(f)) == ROW) {
    if (!add(f, f->row.data, f->row.len))
      return false;
    f->rows++;
    f->left--;
  }
  return true;
}

/* ---- waiting ---- */

static bool idle(feed *f) {
  cft_text_adds(&f->out, f->x->config.crlf ? "\r\n" : "\n");
  return flush(f, false);
}

static bool beat(feed *f) {
  if (!f->eventsource)
    return idle(f);
  cft_text_adds(&f->out, "event: heartbeat\ndata: \n\n");
  return flush(f, false);
}

/* Sends what the test has put into open feeds. False when the connection is
   gone. */
static bool send_injections(feed *f) {
  cft_mini *mini = f->x->mini;
  for (;;) {
    cft_injection next = {NULL, 0, false};
    pthread_mutex_lock(&mini->mu);
    if (f->injected < mini->injection_count)
      next = mini->injections[f->injected++];
    pthread_mutex_unlock(&mini->mu);
    if (!next.data)
      return true;
    if (!flush(f, true) || !cft_mini_gate(f->x) || !send_head(f))
      return false;
    if (!(next.raw ? cft_conn_send(f->x->conn, next.data, next.len)
                   : cft_conn_chunk(f->x->conn, next.data, next.len)))
      return false;
  }
}

/* Counts as waiting from when there was nothing to send until the server has a
   change; *epoch 0 when there is something already. */
static void wait_begin(feed *f, unsigned *epoch) {
  cft_mini *mini = f->x->mini;
  pthread_mutex_lock(&mini->mu);
  *epoch = 0;
  if (f->pos >= f->log->count && f->end_count == mini->end_count &&
      f->injected == mini->injection_count) {
    *epoch = mini->wait_epoch;
    mini->waiting++;
    pthread_cond_broadcast(&mini->idle);
  }
  pthread_mutex_unlock(&mini->mu);
}

static void wait_end(feed *f, unsigned epoch) {
  cft_mini *mini = f->x->mini;
  pthread_mutex_lock(&mini->mu);
  if (epoch && epoch == mini->wait_epoch) {
    mini->waiting--;
    pthread_cond_broadcast(&mini->idle);
  }
  pthread_mutex_unlock(&mini->mu);
}

/* Nothing to send now: waits for something, with heartbeats. False when the
   connection is gone; f->timed_out when the feed is to end. */
static bool wait_change(feed *f) {
  int64_t end_ms = cft_now_ms() + f->timeout_ms;
  for (;;) {
    int64_t until_ms =
        f->heartbeat_ms ? cft_now_ms() + f->heartbeat_ms : end_ms;
    unsigned epoch;
    wait_begin(f, &epoch);
    enum cft_wait got =
        epoch ? cft_conn_wait(f->x->conn, until_ms) : CFT_WAIT_WOKEN;
    wait_end(f, epoch);
    switch (got) {
    case CFT_WAIT_GONE:
      return false;
    case CFT_WAIT_WOKEN:
      return send_injections(f);
    case CFT_WAIT_TIME:
      break;
    }
    f->timed_out = !f->heartbeat_ms;
    if (f->timed_out)
      return true;
    if (!beat(f))
      return false;
  }
}

/* ---- the whole ---- */

/* Rows beyond the feed's position, filter or not, as CouchDB counts them. */
static size_t pending_rows(const feed *f) {
  size_t from = f->descending ? 0 : f->pos, n = 0;
  size_t to = f->descending ? f->pos : f->log->count;
  for (size_t i = from; i < to && i < f->log->count; i++)
    n += f->log->rows[i].current;
  return n;
}

static void end_text(feed *f) {
  static const char *const wrong[] = {"", "", ",\"pending\":null",
                                      ",\"pending\":-3"};
  cft_mini *mini = f->x->mini;
  enum cft_pending how = f->x->config.pending;
  const cft_log history = {.tag = f->tag}; /* it may be another one by now */
  if (f->eventsource)
    return;
  cft_text_adds(&f->out, f->list ? "\n],\n\"last_seq\":" : "{\"last_seq\":");
  cft_seq_text(&history, f->x->config.seqs,
               f->descending && f->rows ? f->last : f->pos, &f->out);
  pthread_mutex_lock(&mini->mu);
  size_t pending = pending_rows(f);
  pthread_mutex_unlock(&mini->mu);
  if (!f->updates && how == CFT_PENDING_EXACT)
    cft_text_addf(&f->out, ",\"pending\":%zu", pending);
  else if (!f->updates)
    cft_text_adds(&f->out, wrong[how]);
  cft_text_adds(&f->out, "}\n");
}

/* After a time-out the real eventsource writes its end twice: nobody may use
   that connection again. */
static bool finish(feed *f) {
  cft_conn *conn = f->x->conn;
  end_text(f);
  if (!flush(f, true) || !cft_mini_gate(f->x) || !send_head(f))
    return false;
  if (f->eventsource && f->timed_out && !cft_conn_last_chunk(conn))
    return false;
  return cft_conn_chunk(conn, "\n", 1) && cft_conn_last_chunk(conn);
}

static bool has_news(feed *f) {
  pthread_mutex_lock(&f->x->mini->mu);
  bool yes = f->pos < f->log->count && f->end_count == f->x->mini->end_count;
  pthread_mutex_unlock(&f->x->mini->mu);
  return yes;
}

static bool run(feed *f) {
  const cft_fault *fault = cft_fault_of(f->x);
  bool early = f->normal || !f->x->config.late_headers;
  enum look state = NOTHING;
  if (!f->normal)
    cft_conn_wakeable(f->x->conn); /* before the first look */
  if (early && !send_head(f))
    return false;
  if (fault && fault->empty)
    return finish(f);
  for (;;) {
    if (!send_rows(f, &state))
      return false;
    if (state == END || f->normal || f->left == 0 || f->timed_out ||
        (f->list && f->rows))
      return finish(f);
    if (!flush(f, false))
      return false;
    /* the real one writes a line break when it begins to wait without a row,
       and one before the rows that wake it */
    if (early && !f->any_sent && !idle(f))
      return false;
    if (!wait_change(f) || (early && has_news(f) && !beat(f)))
      return false;
  }
}

bool cft_mini_feed(cft_exchange *x) {
  if (strcmp(x->req->method, "GET") != 0 && strcmp(x->req->method, "POST") != 0)
    return cft_mini_refuse(x, 405, "method_not_allowed",
                           "Only GET,POST,HEAD allowed");
  feed f = {.x = x};
  const char *why = feed_read(&f);
  bool ok;
  if (!why)
    ok = run(&f);
  else if (strcmp(why, BADARG) == 0)
    ok = cft_mini_refuse(x, 500, "unknown_error", why);
  else
    ok = cft_mini_refuse(x, 400, "bad_request", why);
  cft_filter_clear(&f.filter);
  cft_text_free(&f.row);
  cft_text_free(&f.out);
  return ok;
}
