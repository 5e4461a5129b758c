/*
 * Bodies of _changes in the layout of CouchDB 3.5: normal, longpoll, continuous
 * and eventsource.
 */
#include <string.h>

#include "sim.h"

bool sim_doc_matches(const sim *s, unsigned doc) {
  return !s->config.filtered || doc % 3 == 0;
}

bool sim_doc_wanted(const sim *s, unsigned tag, unsigned doc) {
  uint32_t from = tag == s->baseline_tag
                      ? s->baseline.at[sim_model_shard(&s->model, doc)]
                      : 0;

  return sim_doc_matches(s, doc) && s->model.history[tag].latest[doc] > from;
}

static void put(sim *s, const char *text) { cfi_buf_puts(&s->conn.out, text); }

static void put_line_break(sim *s) { put(s, s->config.crlf ? "\r\n" : "\n"); }

/* ---- the beginning ---- */

static void rewind_some(sim *s, sim_conn *c) {
  const sim_plan *p = &c->plan;

  if (p->rewind == 0)
    return;
  for (unsigned i = 0; i < s->model.shards; i++) {
    uint32_t back = (uint32_t)sim_pick(s, p->rewind + 1);

    if (p->rewind_all || back > c->pos.at[i])
      back = c->pos.at[i];
    c->pos.at[i] -= back;
  }
}

/* False: the position is refused. */
static bool read_since(sim *s, sim_conn *c, const char *since) {
  unsigned tag = c->tag;
  sim_vec zero = {{0}};

  c->pos = zero;
  if (strcmp(since, "now") == 0) {
    c->pos = c->end;
    c->from_now = true;
    s->baseline = c->end;
    s->baseline_tag = c->tag;
    if (s->pinned)
      sim_violate(s, "asks from now on although it knows where it was");
    return true;
  }
  if (!sim_seq_parse(&s->model, since, &tag, &c->pos)) {
    sim_violate(s, "asked with a seq nobody wrote: %s", since);
    return true;
  }
  if (tag == c->tag)
    return true;
  c->pos = zero; /* of another history: all of this one */
  return !s->config.refuse_stale;
}

static void refuse(sim *s, sim_conn *c) {
  c->feed = false;
  c->status = 400;
  s->refused_since = true;
  put(s, "{\"error\":\"bad_request\",\"reason\":\"Malformed sequence supplied "
         "in 'since' parameter.\"}\n");
  c->whole = true;
}

void sim_body_begin(sim *s, const char *since) {
  sim_conn *c = &s->conn;

  c->tag = sim_model_tag(&s->model);
  c->end = sim_model_end(&s->model);
  memcpy(c->snapshot, s->model.history[c->tag].latest, sizeof c->snapshot);
  if (!read_since(s, c, since)) {
    refuse(s, c);
    return;
  }
  c->since = c->pos;
  rewind_some(s, c);
  if (c->list)
    put(s, "{\"results\":[\n");
  c->beat_at_ms = s->now_ms + c->heartbeat_ms;
  c->end_at_ms = c->heartbeat_ms == 0 ? s->now_ms + c->timeout_ms : CFI_NEVER;
  if (c->plan.end_after_ms != CFI_NEVER && c->live)
    c->end_at_ms = s->now_ms + c->plan.end_after_ms;
  if (c->live && sim_chance(s, 500))
    put_line_break(s); /* as 3.5 does when it begins to wait */
}

/* ---- rows ---- */

/* The next update of some shard; false when all are at the end. */
static bool advance(sim *s, sim_conn *c, unsigned *shard) {
  unsigned first = (unsigned)sim_pick(s, s->model.shards);

  for (unsigned i = 0; i < s->model.shards; i++) {
    *shard = (first + i) % s->model.shards;
    if (c->pos.at[*shard] < c->end.at[*shard]) {
      c->pos.at[*shard]++;
      return true;
    }
  }
  return false;
}

static void put_doc(sim *s, const sim_update *u, const char *rev) {
  static const char filling[] = "0123456789abcdef{}[],:\\\"\\n\\u00e9 ";
  cfi_buf *b = &s->conn.out;

  put(s, ",\"doc\":{\"_id\":\"doc");
  cfi_buf_putint(b, u->doc);
  put(s, "\",\"_rev\":\"");
  put(s, rev);
  put(s, "\",\"x\":\"");
  for (uint32_t n = 0; n < u->body; n += (uint32_t)sizeof filling - 1)
    put(s, filling);
  put(s, u->deleted ? "\",\"_deleted\":true}" : "\"}");
}

static void put_row(sim *s, const sim_update *u, unsigned shard,
                    uint32_t number) {
  sim_conn *c = &s->conn;
  char seq[SIM_SEQ_TEXT] = "null", rev[SIM_REV_TEXT];

  (void)shard;
  sim_rev_text(&s->model, c->tag, u->doc, number, rev);
  if (c->interval == 0 || (c->rows + 1) % c->interval == 0)
    sim_seq_text(&s->model, c->tag, c->pos, (unsigned)sim_pick(s, 256), seq);
  if (c->list && c->rows != 0)
    put(s, s->config.crlf ? ",\r\n" : ",\n");
  if (c->events)
    put(s, "data: ");
  put(s, "{\"seq\":");
  put(s, seq);
  put(s, ",\"id\":\"doc");
  cfi_buf_putint(&c->out, u->doc);
  put(s, "\",\"changes\":[{\"rev\":\"");
  put(s, rev);
  put(s, "\"}");
  if (s->config.all_docs && u->doc % 4 == 0)
    put(s, ",{\"rev\":\"" SIM_OTHER_LEAF "\"}");
  put(s, "]");
  if (u->deleted)
    put(s, ",\"deleted\":true");
  if (s->config.include_docs)
    put_doc(s, u, rev);
  put(s, "}");
  if (c->lines)
    put(s, "\n");
  if (c->events) {
    put(s, "\nid: ");
    put(s, seq);
    put(s, "\n\n");
  }
  c->rows++;
}

/* ---- the end ---- */

static void put_pending(sim *s) {
  sim_conn *c = &s->conn;
  unsigned left =
      sim_model_pending(&s->model, c->tag, c->pos, sim_model_end(&s->model));

  if (c->tag != sim_model_tag(&s->model))
    left = 0;
  c->pending = -1;
  switch (s->config.pending) {
  case SIM_PENDING_TRUE:
    /* a filter counts what it would not show */
    c->pending = (int64_t)left + (s->config.filtered ? 2 : 0);
    put(s, ",\"pending\":");
    cfi_buf_putint(&c->out, c->pending);
    break;
  case SIM_PENDING_ABSENT:
    break;
  case SIM_PENDING_NULL:
    put(s, ",\"pending\":null");
    break;
  case SIM_PENDING_NEGATIVE:
    put(s, ",\"pending\":-3");
    break;
  }
}

/* The text of a seq as it serves as "since": without the quotes of a string. */
static void as_position(const char *seq, char out[SIM_SEQ_TEXT]) {
  size_t len = strlen(seq);

  memcpy(out, seq, len + 1);
  if (seq[0] == '"') {
    memcpy(out, seq + 1, len - 2);
    out[len - 2] = '\0';
  }
}

void sim_body_end(sim *s) {
  sim_conn *c = &s->conn;
  char seq[SIM_SEQ_TEXT];

  c->whole = true;
  c->outcome = CHANGEFEED_OK;
  if (c->events)
    return;
  sim_seq_text(&s->model, c->tag, c->pos, (unsigned)sim_pick(s, 256), seq);
  put(s, c->list ? "\n],\n\"last_seq\":" : "{\"last_seq\":");
  put(s, seq);
  put_pending(s);
  put(s, "}\n");
  as_position(seq, c->tail_seq);
  c->tail_at = c->delivered + c->out.len - 1; /* at its closing brace */
  c->tail_written = true;
  if (s->config.trailing_line)
    put(s, "\n");
}

static void break_off(sim *s) {
  sim_conn *c = &s->conn;

  put(s, c->events ? "data: " : "\n");
  put(s, "{\"error\":\"timeout\",\"reason\":\"no answer of a worker\"}\n");
  if (c->events)
    put(s, "\n");
  c->whole = true;
  c->outcome = sim_chance(s, 500) ? CHANGEFEED_OK : CHANGEFEED_ERR_NETWORK;
}

/* ---- as time goes on ---- */

static bool reached(unsigned limit, const sim_conn *c) {
  return limit != 0 && c->rows >= limit;
}

/* False: no further row now. */
static bool one_row(sim *s) {
  sim_conn *c = &s->conn;
  const sim_update *u;
  unsigned shard;
  uint32_t number;

  if (reached(c->plan.error_rows, c) || reached(c->plan.end_rows, c) ||
      reached(c->plan.stall_rows, c) || reached((unsigned)c->limit, c) ||
      !advance(s, c, &shard))
    return false;
  number = c->pos.at[shard];
  u = sim_model_update(&s->model, c->tag, shard, number);
  if (!sim_doc_matches(s, u->doc) || sim_node_hides(c, u->doc) ||
      (!c->plan.show_old && s->model.history[c->tag].latest[u->doc] != number))
    return true;
  put_row(s, u, shard, number);
  if (sim_chance(s, c->plan.repeat)) {
    s->counts.repeats++;
    put_row(s, u, shard, number);
  }
  return true;
}

static bool has_to_end(const sim *s) {
  const sim_conn *c = &s->conn;

  return reached(c->plan.end_rows, c) || reached((unsigned)c->limit, c) ||
         s->now_ms >= c->end_at_ms || (c->list && (!c->live || c->rows != 0));
}

static void put_heartbeat(sim *s) {
  sim_conn *c = &s->conn;

  if (c->events)
    put(s, "event: heartbeat\ndata: \n\n");
  else
    put_line_break(s);
  c->beat_at_ms = s->now_ms + c->heartbeat_ms;
}

void sim_body_write(sim *s) {
  sim_conn *c = &s->conn;
  unsigned before = c->rows;

  if (c->whole)
    return;
  if (c->live && c->tag == sim_model_tag(&s->model))
    c->end = sim_model_end(&s->model);
  /* An instant end is one before anything is looked at. */
  if (!(c->live && c->plan.end_after_ms == 0))
    while (one_row(s)) {
    }
  if (c->rows != before) {
    c->beat_at_ms = s->now_ms + c->heartbeat_ms;
    if (c->heartbeat_ms == 0 && c->plan.end_after_ms == CFI_NEVER)
      c->end_at_ms = s->now_ms + c->timeout_ms;
  }
  if (reached(c->plan.error_rows, c))
    break_off(s);
  else if (!reached(c->plan.stall_rows, c) && has_to_end(s))
    sim_body_end(s);
  else if (c->heartbeat_ms != 0 && s->now_ms >= c->beat_at_ms)
    put_heartbeat(s);
}
