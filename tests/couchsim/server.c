/*
 * Requests and the small answers: who the server is, which database it has,
 * log-ins, refusals. Bodies of feeds are in body.c.
 */
#include <stdio.h>
#include <string.h>

#include "sim.h"

/* ---- reading a request ---- */

static int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)cfi_str_lower((unsigned char)c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A query parameter, decoded; false when it is not there. */
static bool param(const char *url, const char *name, char *out, size_t size) {
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

  if (param(url, name, text, sizeof text) &&
      !cfi_str_to_int(text, strlen(text), &value))
    value = otherwise;
  return value;
}

/* Bodies of a feed are answers of a server that serves them. */
static void read_feed(sim *s, sim_conn *c, const char *url) {
  char mode[16] = "";

  (void)param(url, "feed", mode, sizeof mode);
  (void)param(url, "since", c->since_text, sizeof c->since_text);
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
  if (!c->live && s->config.pending != SIM_PENDING_TRUE)
    c->plan.end_rows = 0;
}

static bool cookie_is_good(sim *s, sim_conn *c, const char *cookie) {
  int64_t n;

  if (cookie == NULL || strncmp(cookie, "AuthSession=", 12) != 0 ||
      !cfi_str_to_int(cookie + 12, strlen(cookie + 12), &n) || n < 0 ||
      n >= s->cookie_made)
    return false;
  c->cookie = (unsigned)n;
  return n >= s->cookie_valid_from &&
         s->now_ms - s->cookie_at_ms[n] < s->config.session_ms;
}

void sim_server_take(sim *s, sim_conn *c, const cfi_request *request) {
  cfi_buf_clear(&c->out, SIM_PIECE_MAX);
  sim_local_forget(c);
  *c = (sim_conn){.ask = request->ask, .out = c->out, .open = true};
  c->node = sim_node_of(request->url);
  sim_plan_request(s, c);
  if (request->ask >= CFI_ASK_CATCHUP)
    read_feed(s, c, request->url);
  sim_local_take(s, c, request);
  if (s->config.session && request->ask != CFI_ASK_LOGIN &&
      !cookie_is_good(s, c, request->cookie) && c->plan.status == 0) {
    c->anonymous = s->config.anonymous && !request->put;
    if (!c->anonymous)
      c->plan.status = 401;
  }
  c->outcome = CHANGEFEED_OK;
  c->first_ordinal = s->ordinal;
  c->connect_at_ms = cfi_clock_after(s->now_ms, c->plan.connect_ms);
  c->head_at_ms = c->connect_at_ms == CFI_NEVER
                      ? CFI_NEVER
                      : cfi_clock_after(c->connect_at_ms, c->plan.head_ms);
  c->piece_at_ms = c->done_at_ms = CFI_NEVER;
  c->beat_at_ms = c->end_at_ms = CFI_NEVER;
  sim_trail(s, "request %d%s %s", (int)request->ask,
            c == &s->side ? " beside" : "", strstr(request->url, "598"));
}

/* ---- answering ---- */

static void put(sim_conn *c, const char *text) { cfi_buf_puts(&c->out, text); }

const char *sim_server_start_time(sim *s, char buffer[24]) {
  const sim_model *m = &s->model;

  switch (s->config.identity) {
  case SIM_IDENTITY_TRUE:
    return m->history[sim_model_tag(m)].start_time;
  case SIM_IDENTITY_ZERO:
    return "0";
  case SIM_IDENTITY_CHANGING:
    break;
  }
  (void)snprintf(buffer, 24, "16%08u", ++s->opened);
  return buffer;
}

static void answer_login(sim *s, sim_conn *c) {
  if (s->cookie_made == sizeof s->cookie_at_ms / sizeof s->cookie_at_ms[0]) {
    sim_violate(s, "%u log-ins", s->cookie_made);
    return;
  }
  s->cookie_at_ms[s->cookie_made] = s->now_ms;
  (void)snprintf(c->cookie_text, sizeof c->cookie_text, "AuthSession=%u",
                 s->cookie_made++);
  put(c, "{\"ok\":true,\"name\":\"u\",\"roles\":[]}\n");
}

static void answer_server(sim *s, sim_conn *c) {
  static const char *const versions[] = {"3.5.0", "2.3.1", "1.7.2"};

  put(c, "{\"couchdb\":\"Welcome\",\"version\":\"");
  put(c, versions[s->config.identity]);
  put(c, "\",\"git_sha\":\"11f0d3643\",\"uuid\":"
         "\"6a7b1e8b5d9c4f7e8a9b0c1d2e3f4a5");
  cfi_buf_putint(&c->out, sim_node_uuid(s, c->node));
  put(c, "\",\"features\":[]}\n");
}

static void answer_database(sim *s, sim_conn *c) {
  sim_model *m = &s->model;
  char seq[SIM_SEQ_TEXT], buffer[24];

  sim_seq_text(m, sim_model_tag(m), sim_model_end(m),
               (unsigned)sim_pick(s, 256), seq);
  put(c, "{\"instance_start_time\":\"");
  put(c, sim_server_start_time(s, buffer));
  put(c, "\",\"db_name\":\"db\",\"update_seq\":");
  put(c, seq);
  put(c, ",\"doc_count\":1}\n");
  c->tag = sim_model_tag(m);
}

static void answer_missing(sim *s, sim_conn *c) {
  c->feed = false;
  c->was_missing = true;
  c->status = 404;
  s->missed = true;
  put(c, s->config.identity == SIM_IDENTITY_CHANGING
             ? "{\"error\":\"not_found\",\"reason\":\"no_db_file\"}\n"
             : "{\"error\":\"not_found\",\"reason\":\"Database does not "
               "exist.\"}\n");
}

static void answer_planned(sim *s, sim_conn *c) {
  c->feed = false;
  c->status = c->plan.status != 0 ? c->plan.status : 200;
  s->hidden = s->hidden || c->ask == CFI_ASK_SERVER;
  if (c->status == 401)
    put(c, "{\"error\":\"unauthorized\",\"reason\":\"You are not authorized "
           "to access this db.\"}\n");
  else
    put(c, c->plan.body);
  c->whole = true;
  sim_local_hidden_answer(s, c);
}

void sim_server_answer(sim *s, sim_conn *c) {
  c->status = 200;
  c->tag = sim_model_tag(&s->model);
  if (c->plan.status != 0 || c->plan.body != NULL) {
    answer_planned(s, c);
    return;
  }
  if (s->model.missing &&
      (c->ask == CFI_ASK_DATABASE || sim_local_asked(c->ask) ||
       c->ask >= CFI_ASK_CATCHUP)) {
    answer_missing(s, c);
  } else if (c->ask == CFI_ASK_LOGIN) {
    answer_login(s, c);
  } else if (c->ask == CFI_ASK_SERVER || c->ask == CFI_ASK_HOME) {
    answer_server(s, c);
  } else if (c->ask == CFI_ASK_DATABASE) {
    answer_database(s, c);
  } else if (c->ask == CFI_ASK_SESSION) {
    put(c, c->anonymous ? "{\"ok\":true,\"userCtx\":{\"name\":null}}\n"
                        : "{\"ok\":true,\"userCtx\":{\"name\":\"u\"}}\n");
  } else if (sim_local_asked(c->ask)) {
    sim_local_answer(s, c);
  } else {
    sim_body_begin(s, c->since_text);
    if (c->feed)
      sim_body_write(s);
    return;
  }
  c->whole = true;
}

void sim_server_write(sim *s) {
  sim_conn *c = &s->conn;

  if (c->open && c->head_told && c->feed)
    sim_body_write(s);
}

int64_t sim_server_due_ms(const sim *s) {
  const sim_conn *c = &s->conn;
  int64_t at;

  if (!c->open || !c->head_told || !c->feed || c->whole)
    return CFI_NEVER;
  at = c->heartbeat_ms != 0 ? c->beat_at_ms : CFI_NEVER;
  if (c->plan.stall_rows != 0 && c->rows >= c->plan.stall_rows)
    return at;
  return c->end_at_ms < at ? c->end_at_ms : at;
}

/* Deleting a database ends its open feeds in health; a list of the past that
   is being written breaks. */
void sim_server_deleted(sim *s) {
  sim_conn *c = &s->conn;

  if (!c->open || !c->head_told || !c->feed || c->whole)
    return;
  if (c->live) {
    sim_body_end(s);
  } else {
    c->whole = true;
    c->outcome = CHANGEFEED_ERR_NETWORK;
  }
}
