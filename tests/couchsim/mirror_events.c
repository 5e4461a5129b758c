/*
 * What happens to the database and its nodes by itself: writes, copies from
 * node to node, another database of the name, nodes that go down, outages.
 */
#include "mirror_sim.h"

int64_t msim_later(msim *m, int64_t gap_ms) {
  return m->core.now_ms + 1 + sim_between(&m->core, 0, 2 * gap_ms);
}

static unsigned some_nodes(msim *m) {
  unsigned all = (1U << m->db.nodes) - 1;

  if (!m->config.lags)
    return all;
  return 1U << sim_pick(&m->core, m->db.nodes) |
         (unsigned)sim_pick(&m->core, all + 1);
}

void msim_write_one(msim *m) {
  unsigned doc = (unsigned)sim_pick(&m->core, MDB_DOCS - MDB_NEVER);
  mdb_kind kind = sim_chance(&m->core, 250)   ? MDB_DELETE
                  : sim_chance(&m->core, 150) ? MDB_CONFLICT
                                              : MDB_UPDATE;

  mdb_put(&m->db, doc, kind, (uint32_t)sim_between(&m->core, 0, 300),
          some_nodes(m));
  m->written_ms[doc] = m->core.now_ms;
  sim_trail(&m->core, "write %zu: %s, kind %d", m->db.writes, mdb_id(doc),
            (int)kind);
}

void msim_write_some(msim *m) {
  uint64_t count = sim_chance(&m->core, 50) ? sim_pick(&m->core, 30) : 1;

  m->core.write_at_ms = msim_later(m, m->core.config.write_gap_ms);
  for (uint64_t i = 0; i < count && !m->db.missing; i++)
    msim_write_one(m);
}

void msim_replicate(msim *m, bool all) {
  m->replicate_at_ms = msim_later(m, m->config.replicate_gap_ms);
  if (m->db.missing)
    return;
  for (unsigned n = 0; n < m->db.nodes; n++)
    for (unsigned doc = 0; doc < MDB_DOCS; doc++)
      if (all || sim_chance(&m->core, 500))
        mdb_replicate(&m->db, n, doc);
}

static void database_deleted(msim *m) {
  for (unsigned i = 0; i < m->config.mirrors; i++)
    for (unsigned k = 0; k < MSIM_FEEDS; k++)
      if (m->mirror[i].feed[k].feed != NULL)
        msim_server_deleted(m, &m->mirror[i].feed[k].main);
  m->db.missing = true;
  sim_trail(&m->core, "the database is deleted");
}

/* Another database of the name: empty, or made of what there was. */
static void recreate(msim *m) {
  unsigned most[] = {0, 0, 500, 900, 1000};
  unsigned carried = m->config.restores ? most[sim_pick(&m->core, 5)] : 0;
  unsigned first = (unsigned)sim_pick(&m->core, MDB_DOCS);

  if (!mdb_recreate(&m->db))
    return;
  m->counts.recreations++;
  for (unsigned doc = 0; doc < MDB_DOCS; doc++)
    m->written_ms[doc] = m->core.now_ms;
  for (unsigned i = 0; i < MDB_DOCS; i++)
    if (sim_chance(&m->core, carried))
      mdb_carry_over(&m->db, (first + i * 7) % MDB_DOCS);
  for (uint64_t i = sim_pick(&m->core, 10); i != 0; i--)
    msim_write_one(m);
}

void msim_come_back(msim *m, bool another) {
  m->db.missing = false;
  if (another)
    recreate(m);
  sim_trail(&m->core, "the database is there, history %u", mdb_tag(&m->db));
}

static void change_database(msim *m) {
  const sim_config *c = &m->core.config;

  if (m->db.missing) {
    msim_come_back(m, c->may_recreate && sim_chance(&m->core, 700));
  } else if (c->may_recreate && sim_chance(&m->core, 600)) {
    database_deleted(m);
    msim_come_back(m, true);
  } else if (c->may_miss) {
    database_deleted(m);
  }
}

void msim_administer(msim *m) {
  sim *s = &m->core;
  unsigned node = (unsigned)sim_pick(s, m->db.nodes);

  s->admin_at_ms = msim_later(m, s->config.admin_gap_ms);
  switch (sim_pick(s, 4)) {
  case 0:
  case 1:
    change_database(m);
    break;
  case 2:
    if (m->db.nodes > 1 && !m->config.balanced) {
      s->down_until_ms[node] = s->now_ms + sim_between(s, 100, 100000);
      msim_net_cut(m, node);
      sim_trail(s, "node %u goes down", node);
    }
    break;
  default:
    if (s->config.may_outage && s->now_ms >= s->outage_until_ms) {
      s->outage_until_ms = s->now_ms + sim_between(s, 100, 60000);
      s->outage_kind = (unsigned)sim_pick(s, 4);
      sim_trail(s, "outage of kind %u", s->outage_kind);
    }
    break;
  }
}
