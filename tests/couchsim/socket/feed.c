/*
 * A feed's life: rows, waiting, heartbeats, its end, in CouchDB's framing.
 * rows.c says which row is next.
 */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

void couch_piece(couch_buf *out, bool framed, const char *bytes, size_t len) {
  if (len == 0)
    return;
  if (framed)
    couch_addf(out, "%zx\r\n", len);
  couch_add(out, bytes, len);
  if (framed)
    couch_add(out, "\r\n", 2);
}

void couch_last_piece(couch_buf *out, bool framed) {
  if (framed)
    couch_add(out, "0\r\n\r\n", 5);
}

void couch_feed_free(couch_feed *feed) {
  if (feed == NULL)
    return;
  couch_filter_free(&feed->filter);
  couch_buf_free(&feed->rows);
  free(feed->db);
  free(feed);
}

static bool is_list(const couch_feed *f) { return f->mode <= COUCH_LONGPOLL; }

static void flush(couch_feed *f, couch_buf *out) {
  couch_piece(out, f->framed, couch_buf_text(&f->rows), f->rows.len);
  f->rows.len = 0;
}

static void newline(couch_feed *f, couch_buf *out) {
  couch_piece(out, f->framed, "\n", 1);
}

static const couch_db *database(const couch_feed *f, const couch_world *w) {
  const couch_db *db = couch_db_find(w, f->db);
  return db != NULL && db->tag == f->tag ? db : NULL;
}

static void add_pending(const couch_feed *f, const couch_world *w,
                        couch_buf *line) {
  couch_shown how = f->plan.has_pending ? f->plan.pending : w->settings.pending;
  const couch_db *db = database(f, w);
  size_t pending = 0;
  if (f->updates || how == COUCH_SHOWN_ABSENT)
    return;
  if (f->descending || f->filter.kind == COUCH_BY_IDS ||
      f->filter.kind == COUCH_BY_DESIGN)
    pending =
        f->start_pending > f->row_count ? f->start_pending - f->row_count : 0;
  else if (db != NULL)
    pending = couch_place_pending(db, &f->place);
  if (how == COUCH_SHOWN_NULL)
    couch_add_text(line, ",\"pending\":null");
  else if (how == COUCH_SHOWN_NEGATIVE)
    couch_addf(line, ",\"pending\":-%zu", pending + 1);
  else
    couch_addf(line, ",\"pending\":%zu", pending);
}

static void last_line(const couch_feed *f, const couch_world *w,
                      couch_buf *line) {
  couch_add_text(line, is_list(f) ? "\n],\n\"last_seq\":" : "{\"last_seq\":");
  couch_add(line, "\"", 1);
  couch_place_text(&f->place, line);
  couch_add(line, "\"", 1);
  add_pending(f, w, line);
  couch_add_text(line, "}\n");
}

static void finish(couch_feed *f, const couch_world *w, bool timed_out,
                   couch_buf *out) {
  if (f->updates)
    flush(f, out);
  if (f->mode != COUCH_EVENTSOURCE)
    last_line(f, w, &f->rows);
  flush(f, out);
  if (f->mode == COUCH_EVENTSOURCE && timed_out && f->framed && !f->updates) {
    couch_last_piece(out, true); /* and what follows is CouchDB's mistake */
  }
  newline(f, out);
  couch_last_piece(out, f->framed);
  f->ended = true;
}

static void error_json(const couch_feed *f, couch_buf *out) {
  couch_add_text(out, "{\"error\":");
  couch_add_json_text(out, f->plan.error ? f->plan.error : "error");
  couch_add_text(out, ",\"reason\":");
  couch_add_json_text(out, f->plan.reason ? f->plan.reason : "timeout");
  couch_add_text(out, "}\n");
}

/* A second response where a chunk belongs; the connection stays, silent. */
static void second_response(couch_feed *f, couch_buf *out, int status,
                            const couch_buf *json) {
  couch_addf(out,
             "HTTP/1.1 %d %s\r\nCache-Control: must-revalidate\r\n"
             "Content-Length: %zu\r\nContent-Type: application/json\r\n\r\n",
             status, couch_status_text(status), json->len);
  couch_add(out, json->data, json->len);
  f->stalled = true;
  f->heartbeat_ms = 0;
}

static void error_now(couch_feed *f, couch_buf *out) {
  couch_buf json = {0};
  flush(f, out);
  if (f->plan.error_status == 0)
    couch_add(&json, "\n", 1);
  error_json(f, &json);
  if (f->plan.error_status != 0) {
    second_response(f, out, f->plan.error_status, &json);
  } else {
    couch_piece(out, f->framed, json.data, json.len);
    f->broken = true; /* no last chunk */
  }
  couch_buf_free(&json);
}

/* CouchDB's own mistake: this feed cannot show a row. */
static void broken_events(couch_feed *f, couch_buf *out) {
  couch_buf json = {0};
  couch_add_text(&json, "{\"error\":\"badmatch\",\"reason\":"
                        "\"{\\\"eventsource\\\"}\",\"ref\":2440626476}\n");
  second_response(f, out, 500, &json);
  couch_buf_free(&json);
}

static void gone(couch_feed *f, const couch_world *w, couch_buf *out) {
  couch_buf json = {0};
  if (f->mode != COUCH_LONGPOLL || w->nodes == 1) {
    finish(f, w, true, out);
    return;
  }
  couch_add_text(
      &json,
      "{\"error\":\"not_found\",\"reason\":\"Database does not exist.\"}\n");
  flush(f, out);
  second_response(f, out, 404, &json);
  couch_buf_free(&json);
}

static void add_row(couch_feed *f, const couch_buf *row, couch_buf *out) {
  size_t len = row->len;
  if (is_list(f))
    len += strlen(f->prepend);
  if (f->rows.len > 0 && (f->updates || f->rows.len + len > COUCH_ROWS_BUFFER))
    flush(f, out);
  if (is_list(f))
    couch_add_text(&f->rows, f->prepend);
  couch_add(&f->rows, row->data, row->len);
  f->prepend = ",\r\n";
  f->sent_rows = true;
  f->row_count++;
  if (f->limit > 0)
    f->limit--;
}

/* Faults that wait for a number of rows; true when one has struck. */
static bool struck(couch_feed *f, couch_world *w, int64_t clock_ms,
                   couch_buf *out) {
  int64_t rows = (int64_t)f->row_count;
  if (f->plan.stall_rows >= 0 && rows >= f->plan.stall_rows) {
    flush(f, out);
    f->stalled = true;
    if (!f->plan.stall_beats)
      f->heartbeat_ms = 0;
    return true;
  }
  if (f->plan.error_rows >= 0 && rows >= f->plan.error_rows) {
    error_now(f, out);
    return true;
  }
  if ((f->plan.end_rows >= 0 && rows >= f->plan.end_rows) ||
      (f->plan.end_ms >= 0 && clock_ms - f->begun_ms >= f->plan.end_ms)) {
    finish(f, w, false, out);
    return true;
  }
  if (!f->rewound && rows >= f->plan.rewind_rows) {
    f->rewound = true;
    couch_rows_rewind(f);
  }
  return false;
}

static void beat(couch_feed *f, couch_buf *out) {
  static const char event[] = "event: heartbeat\ndata: \n\n";
  if (f->mode == COUCH_EVENTSOURCE)
    couch_piece(out, f->framed, event, sizeof event - 1);
  else
    newline(f, out);
}

static void begin(couch_feed *f, const couch_world *w, int64_t clock_ms,
                  couch_buf *out) {
  static const char head[] = "{\"results\":[\n";
  f->begun = true;
  f->begun_ms = clock_ms;
  f->beat_ms = clock_ms + f->heartbeat_ms;
  f->prepend = "";
  if (is_list(f))
    couch_piece(out, f->framed, head, sizeof head - 1);
  f->rewound = f->plan.rewind == 0 && !f->plan.rewind_all;
  couch_rows_begin(f, w);
}

static uint64_t written(const couch_feed *f, const couch_world *w) {
  const couch_db *db;
  if (f->updates)
    return w->event_seq;
  db = database(f, w);
  return db != NULL ? db->writes : UINT64_MAX;
}

/* Writes rows until there are no more; true when the feed may now wait. */
static bool run(couch_feed *f, couch_world *w, int64_t clock_ms,
                couch_buf *out) {
  couch_buf row = {0};
  bool waits = false;
  f->more = false;
  f->seen = written(f, w);
  for (;;) {
    if (struck(f, w, clock_ms, out))
      break;
    if (f->limit == 0) {
      finish(f, w, false, out);
      break;
    }
    if (out->len > COUCH_FEED_FULL) {
      f->more = true;
      break;
    }
    row.len = 0;
    if (!couch_rows_next(f, w, &row)) {
      waits = true;
      break;
    }
    if (f->updates && f->mode == COUCH_EVENTSOURCE) {
      broken_events(f, out);
      break;
    }
    add_row(f, &row, out);
  }
  couch_buf_free(&row);
  return waits;
}

static void no_more_rows(couch_feed *f, couch_world *w, int64_t clock_ms,
                         bool woken, couch_buf *out) {
  if (f->mode == COUCH_NORMAL || f->descending ||
      (f->mode == COUCH_LONGPOLL && f->sent_rows) || w->maintenance[f->node]) {
    finish(f, w, false, out);
    return;
  }
  if (!couch_rows_readable(f, w)) { /* the only copy of a range went away */
    finish(f, w, true, out);
    return;
  }
  if (f->rows.len > 0)
    flush(f, out);
  else if (!woken && !f->waiting)
    newline(f, out);
  f->waiting = true;
  f->end_ms = clock_ms + f->timeout_ms;
}

void couch_feed_pump(couch_feed *f, couch_world *w, int64_t clock_ms,
                     couch_buf *out) {
  bool woken;
  if (f->ended || f->broken)
    return;
  if (!f->begun)
    begin(f, w, clock_ms, out);
  woken = f->waiting && !f->stalled && couch_feed_has_news(f, w);
  if (f->waiting && !f->stalled && !f->updates && database(f, w) == NULL) {
    gone(f, w, out);
    return;
  }
  if (!f->stalled && (!f->waiting || woken || f->more)) {
    if (woken && !f->updates)
      newline(f, out);
    if (run(f, w, clock_ms, out))
      no_more_rows(f, w, clock_ms, woken, out);
  }
  if (f->ended || f->broken || f->more)
    return;
  if (f->heartbeat_ms > 0) {
    if (clock_ms >= f->beat_ms) {
      beat(f, out);
      f->beats++;
      f->beat_ms = clock_ms + f->heartbeat_ms;
    }
  } else if (f->waiting && !f->stalled && clock_ms >= f->end_ms) {
    finish(f, w, true, out);
    return;
  }
  if (f->waiting && !f->stalled && f->plan.end_ms >= 0 &&
      clock_ms - f->begun_ms >= f->plan.end_ms)
    finish(f, w, true, out);
}

int64_t couch_feed_due_ms(const couch_feed *f) {
  int64_t due = INT64_MAX;
  if (f->ended || f->broken)
    return due;
  if (f->heartbeat_ms > 0)
    due = f->beat_ms;
  if (f->stalled)
    return due;
  if (f->heartbeat_ms == 0 && f->waiting)
    due = f->end_ms;
  if (f->plan.end_ms >= 0 && f->begun_ms + f->plan.end_ms < due)
    due = f->begun_ms + f->plan.end_ms;
  return due;
}

bool couch_feed_has_news(const couch_feed *f, const couch_world *w) {
  return f->begun && !f->ended && !f->broken && !f->stalled &&
         (f->more || f->seen != written(f, w) ||
          (f->waiting && w->maintenance[f->node]));
}
