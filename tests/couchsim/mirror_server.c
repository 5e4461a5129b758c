/*
 * What the server makes of a mirror's requests: who it is, which database it
 * has, refusals. Bodies of feeds and lists are in mirror_body.c.
 */
#include <stdio.h>
#include <string.h>

#include "mirror_sim.h"
#include "support/mem.h"

/* ---- reading a request ---- */

static int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)cfi_str_lower((unsigned char)c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool msim_param(const char *url, const char *name, char *out, size_t size) {
  size_t name_len = strlen(name), len = 0;
  const char *p = strchr(url, '?');

  for (; p != NULL; p = strchr(p, '&')) {
    p++;
    if (strncmp(p, name, name_len) == 0 && p[name_len] == '=')
      break;
  }
  if (p == NULL)
    return false;
  for (p += name_len + 1; *p != '\0' && *p != '&' && len + 1 < size; p++) {
    if (*p == '%' && hex(p[1]) >= 0 && hex(p[2]) >= 0) {
      out[len++] = (char)(hex(p[1]) * 16 + hex(p[2]));
      p += 2;
    } else {
      out[len++] = *p;
    }
  }
  out[len] = '\0';
  return true;
}

static int64_t number(const char *url, const char *name, int64_t otherwise) {
  char text[32];
  int64_t value = otherwise;

  if (msim_param(url, name, text, sizeof text) &&
      !cfi_str_to_int(text, strlen(text), &value))
    value = otherwise;
  return value;
}

static void read_feed(msim *m, sim_conn *c, const char *url) {
  char mode[16] = "";

  (void)msim_param(url, "feed", mode, sizeof mode);
  (void)msim_param(url, "since", c->since_text, sizeof c->since_text);
  c->feed = true;
  c->live = strcmp(mode, "normal") != 0;
  c->list = !c->live || strcmp(mode, "longpoll") == 0;
  c->lines = strcmp(mode, "continuous") == 0;
  c->events = strcmp(mode, "eventsource") == 0;
  c->interval = (unsigned)number(url, "seq_interval", 0);
  c->limit = number(url, "limit", 0);
  c->heartbeat_ms = number(url, "heartbeat", 0);
  c->timeout_ms = number(url, "timeout", 60000);
  if (c->timeout_ms > 60000)
    c->timeout_ms = 60000;
  if (c->heartbeat_ms > 60000)
    c->heartbeat_ms = 60000;
  /* Whoever reads a list to its end believes what it says is left. */
  if (!c->live && m->core.config.pending != SIM_PENDING_TRUE)
    c->plan.end_rows = 0;
}

void msim_conn_free(msim_conn *c) {
  free(c->url);
  free(c->body);
  c->url = c->body = NULL;
  cfi_buf_free(&c->c.out);
}

static void begin(msim *m, msim_conn *c, const cfi_request *request) {
  cfi_buf out = c->c.out;

  cfi_buf_clear(&out, SIM_PIECE_MAX);
  free(c->url);
  free(c->body);
  memset(c, 0, sizeof *c);
  c->c.ask = request->ask;
  c->c.out = out;
  c->c.open = true;
  c->url = cft_strdup(request->url);
  c->body = request->body != NULL ? cft_memdup(request->body, request->body_len)
                                  : NULL;
  c->damaged_at = UINT64_MAX;
  c->c.node = m->config.balanced ? (unsigned)sim_pick(&m->core, m->db.nodes)
                                 : sim_node_of(request->url);
}

void msim_server_take(msim *m, msim_conn *c, const cfi_request *request) {
  sim *s = &m->core;
  sim_conn *n = &c->c;

  begin(m, c, request);
  sim_plan_request(s, n);
  c->lists = strstr(c->url, "/_all_docs?") != NULL;
  c->docs = strstr(c->url, "include_docs=true") != NULL;
  if (!c->lists && request->ask >= CFI_ASK_CATCHUP)
    read_feed(m, n, c->url);
  /* Who knows histories apart has to be told the version, or nothing. */
  if (request->ask == CFI_ASK_SERVER &&
      (n->plan.status != 0 || n->plan.body != NULL))
    n->plan.status = 503;
  if (m->config.audits) {
    n->plan.stall_rows = 0;
    n->plan.end_after_ms = n->plan.end_after_ms == 0 ? 1 : n->plan.end_after_ms;
  }
  /* A row that seems to go on in what follows is noticed at an end. */
  if (!s->healing && !n->live && sim_chance(s, m->config.damage))
    c->damaged_at = (uint64_t)sim_between(s, 0, 3000);
  n->outcome = CHANGEFEED_OK;
  n->connect_at_ms = cfi_clock_after(s->now_ms, n->plan.connect_ms);
  n->head_at_ms = n->connect_at_ms == CFI_NEVER
                      ? CFI_NEVER
                      : cfi_clock_after(n->connect_at_ms, n->plan.head_ms);
  n->piece_at_ms = n->done_at_ms = CFI_NEVER;
  n->beat_at_ms = n->end_at_ms = CFI_NEVER;
}

/* ---- answering ---- */

static void put(msim_conn *c, const char *text) {
  cfi_buf_puts(&c->c.out, text);
}

static void answer_server(msim_conn *c) {
  put(c, "{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\",\"git_sha\":"
         "\"11f0d3643\",\"uuid\":\"6a7b1e8b5d9c4f7e8a9b0c1d2e3f4a50\","
         "\"features\":[]}\n");
}

static void answer_database(msim *m, msim_conn *c) {
  mdb_place end = mdb_end(&m->db, c->c.node);
  char seq[MDB_TEXT];

  mdb_seq(&m->db, &end, (unsigned)sim_pick(&m->core, 256), seq);
  put(c, "{\"instance_start_time\":\"");
  put(c, m->core.config.identity == SIM_IDENTITY_TRUE
             ? m->db.history[mdb_tag(&m->db)].start_time
             : "0");
  put(c, "\",\"db_name\":\"db\",\"update_seq\":");
  put(c, seq);
  put(c, ",\"doc_count\":1}\n");
}

static void answer_missing(msim_conn *c) {
  c->c.feed = c->lists = false;
  c->c.status = 404;
  put(c, "{\"error\":\"not_found\",\"reason\":\"Database does not exist.\"}\n");
}

static void answer_planned(msim_conn *c) {
  c->c.feed = c->lists = false;
  c->c.status = c->c.plan.status != 0 ? c->c.plan.status : 200;
  put(c, c->c.plan.body);
  c->c.whole = true;
}

void msim_server_answer(msim *m, msim_conn *c) {
  sim_conn *n = &c->c;

  n->status = 200;
  n->tag = mdb_tag(&m->db);
  if (n->plan.status != 0 || n->plan.body != NULL) {
    answer_planned(c);
    return;
  }
  if (m->db.missing &&
      (n->ask == CFI_ASK_DATABASE || n->ask >= CFI_ASK_CATCHUP)) {
    answer_missing(c);
  } else if (n->ask == CFI_ASK_SERVER || n->ask == CFI_ASK_HOME) {
    answer_server(c);
  } else if (n->ask == CFI_ASK_DATABASE) {
    answer_database(m, c);
  } else if (c->lists) {
    c->breaks = true;
    msim_body_list(m, c);
    return;
  } else if (n->ask >= CFI_ASK_CATCHUP) {
    c->breaks = !n->live;
    msim_body_begin(m, c);
    if (n->feed)
      msim_body_write(m, c);
    return;
  } else {
    sim_violate(&m->core, "asks for %s", c->url);
  }
  n->whole = true;
}

void msim_server_write(msim *m, msim_conn *c) {
  if (c->c.open && c->c.head_told && c->c.feed)
    msim_body_write(m, c);
}

int64_t msim_server_due_ms(const msim_conn *c) {
  const sim_conn *n = &c->c;
  int64_t at;

  if (!n->open || !n->head_told || !n->feed || n->whole)
    return CFI_NEVER;
  at = n->heartbeat_ms != 0 ? n->beat_at_ms : CFI_NEVER;
  if (n->plan.stall_rows != 0 && n->rows >= n->plan.stall_rows)
    return at;
  return n->end_at_ms < at ? n->end_at_ms : at;
}

/* Deleting a database ends its open feeds in health; a list that is being
   written breaks. */
void msim_server_deleted(msim *m, msim_conn *c) {
  sim_conn *n = &c->c;

  if (!n->open || !n->head_told || n->status != 200 ||
      n->done_at_ms != CFI_NEVER)
    return;
  if (n->feed && n->live && !n->whole) {
    msim_body_end(m, c);
  } else if (c->breaks && n->out.len != 0) {
    n->done_at_ms = m->core.now_ms;
    n->outcome = CHANGEFEED_ERR_NETWORK;
  }
}
