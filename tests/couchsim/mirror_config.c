/*
 * What is chosen once for a run of mirrors: the database, how much goes wrong,
 * the way of each mirror, and the options of their feeds.
 */
#include <stdio.h>
#include <string.h>

#include "mirror_sim.h"

static void option(msim *m, const char *name, const char *value) {
  sim_config *c = &m->core.config;
  char *copy = c->values[c->option_count];

  (void)snprintf(copy, sizeof c->values[0], "%s", value);
  c->options[2 * c->option_count] = name;
  c->options[2 * c->option_count + 1] = copy;
  c->option_count++;
}

static void option_int(msim *m, const char *name, int64_t value) {
  char text[CFI_INT_TEXT];

  (void)cfi_str_from_int(text, value);
  option(m, name, text);
}

static unsigned level(sim *s, unsigned high) {
  static const unsigned parts[] = {0, 0, 1, 4, 16};

  return high * parts[sim_pick(s, 5)] / 16;
}

static void choose_database(msim *m) {
  sim *s = &m->core;
  sim_config *c = &s->config;
  unsigned shards = (unsigned)sim_pick(s, MDB_SHARDS) + 1;
  unsigned nodes =
      sim_chance(s, 300) ? (unsigned)sim_pick(s, MDB_NODES - 1) + 2 : 1;

  mdb_init(&m->db, shards, nodes,
           nodes == 1 && shards == 1 && sim_chance(s, 500));
  c->nodes = nodes;
  m->config.lags = nodes > 1 && sim_chance(s, 800);
  m->config.balanced = nodes > 1 && sim_chance(s, 400);
  m->config.replicate_gap_ms = sim_between(s, 10, 20000);
  m->config.restores = sim_chance(s, 600);
  c->identity = sim_chance(s, 850) ? SIM_IDENTITY_TRUE : SIM_IDENTITY_ZERO;
  c->pending =
      sim_chance(s, 800) ? SIM_PENDING_TRUE : (sim_pending)(sim_pick(s, 3) + 1);
  c->refuse_stale = sim_chance(s, 300);
  c->crlf = sim_chance(s, 300);
  c->tail_hangs = sim_chance(s, 100);
}

static void choose_trouble(msim *m) {
  sim *s = &m->core;
  sim_config *c = &s->config;

  c->fault = level(s, 400);
  c->may_miss = sim_chance(s, 200);
  c->may_outage = sim_chance(s, 200);
  c->may_recreate = c->identity == SIM_IDENTITY_TRUE && sim_chance(s, 400);
  c->may_crash = sim_chance(s, 500);
  c->slow_pieces = sim_chance(s, 200);
  c->tiny_pieces = sim_chance(s, 100);
  c->give_up = level(s, 3);
  c->stop_verdict = level(s, 3);
  c->spurious = level(s, 200);
  c->no_memory = sim_chance(s, 150) ? (unsigned)sim_between(s, 100, 10000) : 0;
  m->config.damage = level(s, 100);
  c->admin_gap_ms = sim_between(s, 2000, 60000);
  c->life_gap_ms = sim_between(s, 1000, 200000);
  c->faults_ms = sim_between(s, 2000, 200000);
  c->write_gap_ms = sim_between(s, c->faults_ms / 400, c->faults_ms / 20);
}

static void choose_options(msim *m) {
  static const char *const transports[] = {"auto", "continuous", "longpoll",
                                           "eventsource"};
  static const char *const nodes[] = {"http://127.0.0.1:5985",
                                      "http://127.0.0.1:5986"};
  sim *s = &m->core;
  sim_config *c = &s->config;
  int64_t retry_min = sim_between(s, 10, 1000);

  c->retry_max_ms = sim_between(s, retry_min, 60000);
  c->header_ms = sim_between(s, 1000, 65000);
  option(m, "url", "http://127.0.0.1:5984/db");
  option(m, "transport", transports[sim_pick(s, 4)]);
  option_int(m, "heartbeat_ms", sim_between(s, 1000, 60000));
  option_int(m, "header_timeout_ms", c->header_ms);
  option_int(m, "connect_timeout_ms", sim_between(s, 500, 10000));
  option_int(m, "retry_min_ms", retry_min);
  option_int(m, "retry_max_ms", c->retry_max_ms);
  option_int(m, "max_queue_bytes", sim_between(s, 4096, 65536));
  option_int(m, "max_row_bytes", 4096);
  option_int(m, "page_rows",
             sim_chance(s, 500) ? sim_between(s, 1, 20) : 10000);
  option_int(m, "repeat_cache", sim_chance(s, 300) ? 0 : 64);
  option_int(m, "missing_tolerance_ms", sim_between(s, 0, 60000));
  option_int(m, "wait_for_database", 1);
  option_int(m, "seq_interval", sim_chance(s, 700) ? 0 : sim_between(s, 1, 20));
  option_int(m, "progress_interval_ms", sim_between(s, 100, 60000));
  /* A reader that believes each string would take the damage for text. */
  option_int(m, "validate_docs", m->config.damage != 0 || sim_chance(s, 300));
  if (sim_chance(s, 300))
    option_int(m, "connection_max_age_ms", sim_between(s, 1000, 100000));
  for (unsigned n = 1; n < c->nodes && !m->config.balanced; n++)
    option(m, "endpoint", nodes[n - 1]);
  if (c->nodes > 1 && !m->config.balanced)
    option_int(m, "endpoint_return_ms", sim_between(s, 100, SIM_RETURN_MS));
}

/* The first mirror has no bounds, so that the others can be compared to it. */
static void choose_range(msim *m, changefeed_mirror_config *c) {
  static const char *const bounds[] = {
      "a", "a2", "b/c d", "b\xc3\xa9", "d", "d-4", "m", "m0000001", "zz"};
  static const char *const prefixes[] = {
      "a", "d-", "m", "m0", "b\xc3\xa9", "zzz\xf4\x8f\xbf\xbf", "_design/"};
  size_t from = (size_t)sim_pick(&m->core, 9);
  size_t to = from + (size_t)sim_pick(&m->core, 9 - from);

  switch (sim_pick(&m->core, 4)) {
  case 0:
    c->prefix = prefixes[sim_pick(&m->core, 7)];
    break;
  case 1:
    c->from = bounds[from];
    break;
  case 2:
    c->from = bounds[from];
    c->to = bounds[to];
    break;
  default:
    c->to = bounds[from];
    break;
  }
}

static void choose_mirror(msim *m, msim_mirror *a) {
  changefeed_mirror_config init = CHANGEFEED_MIRROR_CONFIG_INIT;
  changefeed_mirror_config *c = &a->config;
  sim *s = &m->core;

  *c = init;
  c->keep = (int)sim_pick(s, 3);
  c->start = (int)sim_pick(s, 3);
  a->include_docs = c->keep == CHANGEFEED_KEEP_VALUES && sim_chance(s, 500);
  if (a->index != 0 && sim_chance(s, 600))
    choose_range(m, c);
  if (c->keep != CHANGEFEED_KEEP_VALUES && sim_chance(s, 600)) {
    (void)snprintf(a->snapshot, sizeof a->snapshot, "%s/%u.snapshot",
                   m->directory, a->index);
    c->snapshot = a->snapshot;
    c->snapshot_ms = sim_chance(s, 700) ? sim_between(s, 1, 30000) : 0;
  }
  /* A node that lags is not what an audit by itself is for. */
  if (!m->config.lags && sim_chance(s, 400))
    c->audit_ms = sim_between(s, 1000, 60000);
  if (sim_chance(s, 300))
    c->stale_ms = sim_between(s, 1000, 60000);
}

void msim_configure(msim *m) {
  choose_database(m);
  choose_trouble(m);
  choose_options(m);
  m->config.mirrors = (unsigned)sim_pick(&m->core, MSIM_MIRRORS) + 1;
  for (unsigned i = 0; i < m->config.mirrors; i++)
    choose_mirror(m, &m->mirror[i]);
  for (unsigned i = 0; i < m->config.mirrors; i++)
    m->config.audits |= m->mirror[i].config.audit_ms != 0;
  /* Changes that are minutes late, or kept back while the server shows that it
     is alive, are what audits are there to find. */
  if (m->config.audits)
    m->core.config.slow_pieces = m->core.config.tiny_pieces = false;
}
