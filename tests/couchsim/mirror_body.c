/*
 * Bodies of _changes and _all_docs in the layout of CouchDB 3.5, as the node
 * that answers knows the database.
 */
#include <string.h>

#include "json_write.h"
#include "mirror_sim.h"
#include "support/mem.h"

static void put(msim_conn *c, const char *text) {
  cfi_buf_puts(&c->c.out, text);
}

static void put_line_break(msim *m, msim_conn *c) {
  put(c, m->core.config.crlf ? "\r\n" : "\n");
}

static void put_id(msim_conn *c, unsigned doc) {
  cfi_json_put_string(&c->c.out, mdb_id(doc), strlen(mdb_id(doc)));
}

static void put_text(msim *m, msim_conn *c, uint32_t write) {
  char *text = mdb_text(&m->db, write);

  put(c, ",\"doc\":");
  put(c, text);
  free(text);
}

/* ---- changes: the beginning ---- */

static void rewind_some(msim *m, msim_conn *c) {
  const sim_plan *p = &c->c.plan;

  for (unsigned s = 0; s < m->db.shards && p->rewind != 0; s++) {
    uint32_t back = (uint32_t)sim_pick(&m->core, p->rewind + 1);

    if (p->rewind_all || back > c->pos.at[s])
      back = c->pos.at[s];
    c->pos.at[s] -= back;
  }
}

static void refuse(msim *m, msim_conn *c) {
  (void)m;
  c->c.feed = false;
  c->c.status = 400;
  put(c, "{\"error\":\"bad_request\",\"reason\":\"Malformed sequence supplied "
         "in 'since' parameter.\"}\n");
  c->c.whole = true;
}

/* False: the position is refused. */
static bool read_since(msim *m, msim_conn *c) {
  unsigned tag = mdb_tag(&m->db);

  if (strcmp(c->c.since_text, "now") == 0) {
    c->pos = c->end;
    for (unsigned s = 0; s < m->db.shards; s++) /* or a moment before */
      if (!m->core.healing && c->pos.at[s] > 2 && sim_chance(&m->core, 100))
        c->pos.at[s] -= 2;
    return true;
  }
  if (!mdb_seq_parse(&m->db, c->c.since_text, &c->pos)) {
    sim_violate(&m->core, "asked with a seq nobody wrote: %s", c->c.since_text);
    return true;
  }
  if (c->pos.tag == tag) {
    mdb_translate(&m->db, &c->pos, c->c.node);
    return true;
  }
  c->pos = (mdb_place){.tag = tag, .node = c->c.node};
  return !m->core.config.refuse_stale;
}

void msim_body_begin(msim *m, msim_conn *c) {
  sim_conn *n = &c->c;

  n->tag = mdb_tag(&m->db);
  c->end = mdb_end(&m->db, n->node);
  if (!read_since(m, c)) {
    refuse(m, c);
    return;
  }
  for (unsigned s = 0; s < m->db.shards; s++) /* numbers know no history */
    if (c->pos.at[s] > c->end.at[s])
      c->pos.at[s] = c->end.at[s];
  rewind_some(m, c);
  if (n->list)
    put(c, "{\"results\":[\n");
  n->beat_at_ms = m->core.now_ms + n->heartbeat_ms;
  n->end_at_ms =
      n->heartbeat_ms == 0 ? m->core.now_ms + n->timeout_ms : CFI_NEVER;
  if (n->plan.end_after_ms != CFI_NEVER && n->live)
    n->end_at_ms = m->core.now_ms + n->plan.end_after_ms;
}

/* ---- changes: rows ---- */

static bool advance(msim *m, msim_conn *c, unsigned *shard) {
  unsigned first = (unsigned)sim_pick(&m->core, m->db.shards);

  for (unsigned i = 0; i < m->db.shards; i++) {
    *shard = (first + i) % m->db.shards;
    if (c->pos.at[*shard] < c->end.at[*shard]) {
      c->pos.at[*shard]++;
      return true;
    }
  }
  return false;
}

static void put_row(msim *m, msim_conn *c, const mdb_state *st,
                    uint32_t winner) {
  sim_conn *n = &c->c;
  char seq[MDB_TEXT] = "null", rev[MDB_TEXT];

  mdb_rev(&m->db, winner, rev);
  if (n->interval == 0 || (n->rows + 1) % n->interval == 0)
    mdb_seq(&m->db, &c->pos, (unsigned)sim_pick(&m->core, 256), seq);
  if (n->list && n->rows != 0)
    put(c, m->core.config.crlf ? ",\r\n" : ",\n");
  if (n->events)
    put(c, "data: ");
  put(c, "{\"seq\":");
  put(c, seq);
  put(c, ",\"id\":");
  put_id(c, st->doc);
  put(c, ",\"changes\":[{\"rev\":\"");
  put(c, rev);
  put(c, "\"}]");
  if (mdb_written(&m->db, winner)->deleted)
    put(c, ",\"deleted\":true");
  if (c->docs)
    put_text(m, c, winner);
  put(c, "}");
  if (n->lines)
    put(c, "\n");
  if (n->events) {
    put(c, "\nid: ");
    put(c, seq);
    put(c, "\n\n");
  }
  n->rows++;
}

static bool reached(unsigned limit, const msim_conn *c) {
  return limit != 0 && c->c.rows >= limit;
}

/* False: no further row now. */
static bool one_row(msim *m, msim_conn *c) {
  const sim_plan *p = &c->c.plan;
  const mdb_node *node;
  const mdb_state *st;
  uint32_t state;
  unsigned shard;

  if (reached(p->error_rows, c) || reached(p->end_rows, c) ||
      reached(p->stall_rows, c) || reached((unsigned)c->c.limit, c) ||
      !advance(m, c, &shard))
    return false;
  node = &m->db.history[c->c.tag].node[c->c.node];
  state = node->log[shard].state[c->pos.at[shard] - 1];
  st = &m->db.state[state - 1];
  if (!p->show_old && node->has[st->doc] != state)
    return true;
  put_row(m, c, st, mdb_winner(&m->db, state));
  if (sim_chance(&m->core, p->repeat))
    put_row(m, c, st, mdb_winner(&m->db, state));
  return true;
}

/* ---- changes: the end ---- */

static int64_t pending(const msim *m, const msim_conn *c) {
  const mdb_node *node = &m->db.history[c->c.tag].node[c->c.node];
  int64_t count = 0;

  for (unsigned doc = 0; doc < MDB_DOCS; doc++)
    count += c->c.tag == mdb_tag(&m->db) &&
             node->at[doc] > c->pos.at[doc % m->db.shards];
  return count;
}

static void put_pending(msim *m, msim_conn *c) {
  switch (m->core.config.pending) {
  case SIM_PENDING_TRUE:
    put(c, ",\"pending\":");
    cfi_buf_putint(&c->c.out, pending(m, c));
    break;
  case SIM_PENDING_ABSENT:
    break;
  case SIM_PENDING_NULL:
    put(c, ",\"pending\":null");
    break;
  case SIM_PENDING_NEGATIVE:
    put(c, ",\"pending\":-3");
    break;
  }
}

void msim_body_end(msim *m, msim_conn *c) {
  char seq[MDB_TEXT];

  c->c.whole = true;
  c->c.outcome = CHANGEFEED_OK;
  if (c->c.events)
    return;
  mdb_seq(&m->db, &c->pos, (unsigned)sim_pick(&m->core, 256), seq);
  put(c, c->c.list ? "\n],\n\"last_seq\":" : "{\"last_seq\":");
  put(c, seq);
  put_pending(m, c);
  put(c, "}\n");
}

static void break_off(msim *m, msim_conn *c) {
  put(c, c->c.events ? "data: " : "\n");
  put(c, "{\"error\":\"timeout\",\"reason\":\"no answer of a worker\"}\n");
  if (c->c.events)
    put(c, "\n");
  c->c.whole = true;
  c->c.outcome =
      sim_chance(&m->core, 500) ? CHANGEFEED_OK : CHANGEFEED_ERR_NETWORK;
}

static bool has_to_end(const msim *m, const msim_conn *c) {
  const sim_conn *n = &c->c;

  return reached(n->plan.end_rows, c) || reached((unsigned)n->limit, c) ||
         m->core.now_ms >= n->end_at_ms ||
         (n->list && (!n->live || n->rows != 0));
}

static void put_heartbeat(msim *m, msim_conn *c) {
  if (c->c.events)
    put(c, "event: heartbeat\ndata: \n\n");
  else
    put_line_break(m, c);
  c->c.beat_at_ms = m->core.now_ms + c->c.heartbeat_ms;
}

void msim_body_write(msim *m, msim_conn *c) {
  sim_conn *n = &c->c;
  unsigned before = n->rows;

  if (n->whole)
    return;
  if (n->live && n->tag == mdb_tag(&m->db))
    c->end = mdb_end(&m->db, n->node);
  /* An instant end is one before anything is looked at. */
  if (!(n->live && n->plan.end_after_ms == 0))
    while (one_row(m, c)) {
    }
  if (n->rows != before) {
    n->beat_at_ms = m->core.now_ms + n->heartbeat_ms;
    if (n->heartbeat_ms == 0 && n->plan.end_after_ms == CFI_NEVER)
      n->end_at_ms = m->core.now_ms + n->timeout_ms;
  }
  if (reached(n->plan.error_rows, c))
    break_off(m, c);
  else if (!reached(n->plan.stall_rows, c) && has_to_end(m, c))
    msim_body_end(m, c);
  else if (n->heartbeat_ms != 0 && m->core.now_ms >= n->beat_at_ms)
    put_heartbeat(m, c);
}

/* ---- lists ---- */

/* A JSON string as it was sent; false: it is none, or too long. */
static bool read_string(const char **at, char *out, size_t size) {
  const char *p = *at;
  size_t len = 0;

  if (*p++ != '"')
    return false;
  for (; *p != '"' && *p != '\0' && len + 1 < size; p++) {
    if (*p != '\\') {
      out[len++] = *p;
    } else if (*++p == 'u') {
      char code[5] = {0};

      memcpy(code, p + 1, 4);
      out[len++] = (char)strtol(code, NULL, 16);
      p += 4;
    } else {
      out[len++] = *p;
    }
  }
  out[len] = '\0';
  *at = p + 1;
  return *p == '"';
}

typedef struct bounds {
  char from[256], to[256];
  bool has_from, has_to, without_end;
  int64_t limit;
} bounds;

static bool bound(const char *url, const char *name, char *out, size_t size) {
  char text[512];
  const char *at = text;

  return msim_param(url, name, text, sizeof text) &&
         read_string(&at, out, size) && *at == '\0';
}

static void read_bounds(const char *url, bounds *b) {
  char text[24] = "";

  b->has_from = bound(url, "startkey", b->from, sizeof b->from);
  b->has_to = bound(url, "endkey", b->to, sizeof b->to);
  b->without_end = msim_param(url, "inclusive_end", text, sizeof text) &&
                   strcmp(text, "false") == 0;
  if (!msim_param(url, "limit", text, sizeof text) ||
      !cfi_str_to_int(text, strlen(text), &b->limit))
    b->limit = INT64_MAX;
}

static bool is_within(const bounds *b, const char *id) {
  int order = b->has_to ? strcmp(id, b->to) : -1;

  return (!b->has_from || strcmp(id, b->from) >= 0) &&
         (b->without_end ? order < 0 : order <= 0);
}

/* The winner as the node that answers knows it; 0: none. */
static uint32_t known_here(const msim *m, const msim_conn *c, unsigned doc) {
  return mdb_winner(&m->db, m->db.history[c->c.tag].node[c->c.node].has[doc]);
}

/* False: the plan ends the list here. */
static bool next_row(msim *m, msim_conn *c) {
  sim_conn *n = &c->c;

  if (reached(n->plan.error_rows, c)) {
    break_off(m, c);
    return false;
  }
  if (reached(n->plan.stall_rows, c))
    return false;
  if (n->rows++ != 0)
    put(c, ",\r\n");
  return true;
}

static void put_listed(msim *m, msim_conn *c, unsigned doc, uint32_t winner) {
  bool deleted = mdb_written(&m->db, winner)->deleted;
  char rev[MDB_TEXT];

  mdb_rev(&m->db, winner, rev);
  put(c, "{\"id\":");
  put_id(c, doc);
  put(c, ",\"key\":");
  put_id(c, doc);
  put(c, ",\"value\":{\"rev\":\"");
  put(c, rev);
  put(c, deleted ? "\",\"deleted\":true}" : "\"}");
  if (c->docs && deleted)
    put(c, ",\"doc\":null");
  else if (c->docs)
    put_text(m, c, winner);
  put(c, "}");
}

static bool list_range(msim *m, msim_conn *c) {
  int64_t rows = 0;
  bounds b;

  read_bounds(c->url, &b);
  for (unsigned i = 0; i < MDB_DOCS && rows < b.limit; i++) {
    unsigned doc = mdb_in_order(i);
    uint32_t winner = known_here(m, c, doc);

    if (winner == 0 || mdb_written(&m->db, winner)->deleted ||
        !is_within(&b, mdb_id(doc)))
      continue;
    if (!next_row(m, c))
      return false;
    put_listed(m, c, doc, winner);
    rows++;
  }
  return true;
}

static bool list_keys(msim *m, msim_conn *c) {
  static const char before[] = "{\"keys\":[";
  const char *at = c->body + sizeof before - 1;
  char id[256];

  if (strncmp(c->body, before, sizeof before - 1) != 0)
    sim_violate(&m->core, "keys that are none: %.80s", c->body);
  while (!m->core.violated && read_string(&at, id, sizeof id)) {
    unsigned doc = mdb_doc(id, strlen(id));
    uint32_t winner = doc < MDB_DOCS ? known_here(m, c, doc) : 0;

    at += *at == ',';
    if (!next_row(m, c))
      return false;
    if (winner != 0) {
      put_listed(m, c, doc, winner);
      continue;
    }
    put(c, "{\"key\":");
    cfi_json_put_string(&c->c.out, id, strlen(id));
    put(c, ",\"error\":\"not_found\"}");
  }
  return true;
}

void msim_body_list(msim *m, msim_conn *c) {
  c->c.tag = mdb_tag(&m->db);
  put(c, "{\"total_rows\":12,\"offset\":0,\"rows\":[\r\n");
  if (c->body != NULL ? list_keys(m, c) : list_range(m, c)) {
    put(c, "\r\n]}\n");
    c->c.whole = true;
  }
}
