/*
 * What is chosen once for a run: the dialect of the server, how much goes
 * wrong, how the application behaves, and the feed's options.
 */
#include <stdio.h>
#include <string.h>

#include "sim.h"

static void option(sim *s, const char *name, const char *value) {
  sim_config *c = &s->config;
  char *copy = c->values[c->option_count];

  (void)snprintf(copy, sizeof c->values[0], "%s", value);
  c->options[2 * c->option_count] = name;
  c->options[2 * c->option_count + 1] = copy;
  c->option_count++;
}

static void option_int(sim *s, const char *name, int64_t value) {
  char text[CFI_INT_TEXT];

  (void)cfi_str_from_int(text, value);
  option(s, name, text);
}

static unsigned level(sim *s, unsigned high) {
  static const unsigned parts[] = {0, 0, 1, 4, 16};

  return high * parts[sim_pick(s, 5)] / 16;
}

static void choose_server(sim *s) {
  sim_config *c = &s->config;
  sim_seqs seqs = (sim_seqs)sim_pick(s, 3);
  unsigned shards = seqs == SIM_SEQ_NUMBER || sim_chance(s, 300)
                        ? 1
                        : (unsigned)sim_pick(s, SIM_SHARDS) + 1;

  sim_model_init(&s->model, shards, seqs);
  c->identity = sim_chance(s, 700)
                    ? SIM_IDENTITY_TRUE
                    : (sim_identity)(sim_pick(s, 2) + SIM_IDENTITY_ZERO);
  c->pending =
      sim_chance(s, 700) ? SIM_PENDING_TRUE : (sim_pending)(sim_pick(s, 3) + 1);
  c->refuse_stale = sim_chance(s, 300);
  c->crlf = sim_chance(s, 300);
  c->trailing_line = sim_chance(s, 500);
  c->tail_hangs = sim_chance(s, 100);
  c->wide_rows = sim_chance(s, 200);
}

static void choose_trouble(sim *s) {
  sim_config *c = &s->config;

  c->fault = level(s, 500);
  c->save_fault = level(s, 400);
  c->may_miss = sim_chance(s, 300);
  c->may_outage = sim_chance(s, 300);
  c->may_recreate = sim_chance(s, 300);
  c->may_rotate = sim_chance(s, 200);
  c->may_crash = sim_chance(s, 500);
  c->slow_pieces = sim_chance(s, 200);
  c->tiny_pieces = sim_chance(s, 100);
  c->admin_gap_ms = sim_between(s, 2000, 120000);
  c->life_gap_ms = sim_between(s, 500, 200000);
  c->faults_ms = sim_between(s, 2000, 400000);
  c->write_gap_ms = sim_between(s, c->faults_ms / 200, c->faults_ms / 10);
}

static void choose_application(sim *s) {
  sim_config *c = &s->config;

  c->batch = sim_chance(s, 300);
  c->pull = !c->batch && sim_chance(s, 200);
  c->manual = sim_chance(s, 500);
  c->later = level(s, 100);
  c->pause = level(s, 100);
  c->stop_verdict = level(s, 5);
  c->give_up = level(s, 5);
  c->spurious = level(s, 300);
  c->ack_gap_ms = sim_between(s, 1, 5000);
  c->retry_limit = sim_chance(s, 50) ? sim_between(s, 2, 20) : 0;
  /* A server that gives a database no identity: only who saw it missing can
     know that it is another one, and only while it remembers. */
  if (c->identity != SIM_IDENTITY_TRUE && c->may_recreate &&
      !(c->marks && !c->no_marker)) {
    c->may_crash = false;
    c->retry_limit = 0;
    c->stop_verdict = c->give_up = 0;
  }
}

/* Where the position is kept, and what is written into the database for it. */
static void choose_keeping(sim *s) {
  sim_config *c = &s->config;
  bool marker = sim_chance(s, 150);

  c->couch = sim_chance(s, 350);
  c->marks = c->couch || marker;
  c->no_marker = c->marks && sim_chance(s, 150);
  c->read_only = c->couch && sim_chance(s, 50);
  c->intruder = c->couch && sim_chance(s, 150);
  c->conflicts = sim_chance(s, 600);
  c->flush_on_stop = c->couch && sim_chance(s, 700);
  c->flush_ms = sim_chance(s, 200) ? 0 : sim_between(s, 1, 20000);
}

static void put_keeping(sim *s) {
  sim_config *c = &s->config;

  if (c->couch)
    option(s, "checkpoint", "couch");
  if (c->marks && !c->couch)
    option(s, "marker", "1");
  if (c->couch && sim_chance(s, 500))
    option(s, "marker", "1");
  option_int(s, "flush_on_stop", c->flush_on_stop);
  option_int(s, "flush_timeout_ms", c->flush_ms);
}

/* Rows and the end of the feed; what goes with what else. */
static void choose_extent(sim *s) {
  sim_config *c = &s->config;
  bool knows = c->identity == SIM_IDENTITY_TRUE || !c->may_recreate;
  bool ends =
      knows && !c->pull && !(c->couch && (c->manual || c->flush_ms < 3000));

  c->no_memory =
      knows && sim_chance(s, 100) ? (unsigned)sim_between(s, 100, 20000) : 0;
  c->once = ends && sim_chance(s, 100);
  c->limit =
      ends && !c->read_only && sim_chance(s, 100) ? sim_between(s, 1, 40) : 0;
  c->all_docs = sim_chance(s, 100);
  c->stop_at_reset = knows && !c->couch && sim_chance(s, 100);
  c->odd_answers = knows && sim_chance(s, 150);
  c->damage = knows && !c->couch && sim_chance(s, 100);
  c->nodes = sim_chance(s, 200) ? (unsigned)sim_pick(s, SIM_NODES - 1) + 2 : 1;
  if (c->nodes > 1 && knows && c->limit == 0 && sim_chance(s, 300))
    c->foreign_node = (unsigned)sim_pick(s, c->nodes - 1) + 1;
  c->since_now = c->foreign_node == 0 && sim_chance(s, 100);
}

static void put_choice(sim *s) {
  static const char doc_ids[] = "[\"doc0\",\"doc3\",\"doc6\",\"doc9\","
                                "\"doc12\",\"doc15\",\"doc18\"]";

  switch (sim_pick(s, 4)) {
  case 0:
    option(s, "doc_ids", doc_ids);
    break;
  case 1:
    option(s, "selector", "{\"mine\":true}");
    break;
  case 2:
    option(s, "view", "app/mine");
    break;
  default:
    option(s, "filter", "app/mine");
    break;
  }
}

static void put_extent(sim *s) {
  static const char *const nodes[] = {"http://127.0.0.1:5985",
                                      "http://127.0.0.1:5986"};
  sim_config *c = &s->config;

  if (c->once)
    option(s, "mode", "once");
  if (c->limit != 0)
    option_int(s, "limit", c->limit);
  if (c->since_now)
    option(s, "since", "now");
  if (c->all_docs)
    option(s, "style", "all_docs");
  if (c->stop_at_reset)
    option(s, "on_reset", "stop");
  for (unsigned n = 1; n < c->nodes; n++)
    option(s, "endpoint", nodes[n - 1]);
  if (c->nodes > 1) {
    option_int(s, "endpoint_return_ms", sim_between(s, 100, SIM_RETURN_MS));
    if (sim_chance(s, 500))
      option(s, "endpoint_order", "listed");
  }
}

static void choose_options(sim *s) {
  static const char *const transports[] = {"auto", "continuous", "longpoll",
                                           "eventsource"};
  sim_config *c = &s->config;
  int64_t retry_min = sim_between(s, 10, 1000);
  int64_t progress_ms = sim_between(s, 100, 60000);
  int64_t age_ms = sim_chance(s, 300) ? sim_between(s, 1000, 100000) : 3600000;

  c->retry_max_ms = sim_between(s, retry_min, 60000);
  c->max_queue = sim_between(s, 4096, 65536);
  c->include_docs = c->wide_rows || sim_chance(s, 300);
  c->max_row = c->wide_rows ? 16384 : 2048;
  c->header_ms = sim_between(s, 1000, 65000);
  c->filtered = sim_chance(s, 200);
  c->session = sim_chance(s, 200);
  c->anonymous = c->session && sim_chance(s, 500);
  c->session_ms = sim_between(s, 20000, 600000);
  option(s, "url", "http://127.0.0.1:5984/db");
  option(s, "transport", transports[sim_pick(s, 4)]);
  c->idle_ms = sim_between(s, 100, 60000);
  option_int(s, "heartbeat_ms", c->idle_ms);
  option_int(s, "header_timeout_ms", c->header_ms);
  option_int(s, "connect_timeout_ms", sim_between(s, 500, 10000));
  option_int(s, "retry_min_ms", retry_min);
  option_int(s, "retry_max_ms", c->retry_max_ms);
  option_int(s, "retry_limit", c->retry_limit);
  option_int(s, "max_queue_bytes", c->max_queue);
  option_int(s, "max_row_bytes", c->max_row);
  option_int(s, "include_docs", c->include_docs);
  option_int(s, "auto_ack", !c->manual);
  option_int(s, "max_unacked", sim_between(s, 1, 200));
  option_int(s, "batch_max", sim_between(s, 1, 50));
  option_int(s, "batch_delay_ms",
             sim_chance(s, 500) ? sim_between(s, 1, 2000) : 0);
  option_int(s, "checkpoint_every", sim_between(s, 1, 100));
  option_int(s, "checkpoint_interval_ms",
             sim_chance(s, 300) ? 0 : sim_between(s, 1, 10000));
  option_int(s, "progress_interval_ms", progress_ms);
  if (progress_ms < c->idle_ms)
    c->idle_ms = progress_ms;
  option_int(s, "connection_max_age_ms", age_ms);
  if (age_ms < c->idle_ms)
    c->idle_ms = age_ms;
  option_int(s, "repeat_cache", sim_chance(s, 200) ? 0 : 64);
  option_int(s, "missing_tolerance_ms",
             c->identity != SIM_IDENTITY_TRUE && c->may_recreate ? 3600000
                                                                 : 60000);
  option_int(s, "wait_for_database",
             sim_chance(s, 500) || c->identity != SIM_IDENTITY_TRUE);
  c->seq_interval = c->limit != 0 || sim_chance(s, 300) ? 1
                    : sim_chance(s, 300)                ? sim_between(s, 1, 20)
                                                        : 0;
  option_int(s, "seq_interval", c->seq_interval);
  if (c->filtered)
    put_choice(s);
  if (c->session) {
    option(s, "session", "1");
    option(s, "username", "u");
    option(s, "password", "p");
  }
}

void sim_configure(sim *s) {
  choose_server(s);
  choose_trouble(s);
  choose_keeping(s);
  choose_application(s);
  choose_extent(s);
  choose_options(s);
  put_keeping(s);
  put_extent(s);
}
