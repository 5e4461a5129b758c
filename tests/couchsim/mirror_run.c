/*
 * One run of mirrors: the clock goes from event to event, first with everything
 * that can go wrong, then in health until each mirror is the database, and an
 * audit has said so.
 */
#include <stdio.h>
#include <string.h>

#include "mirror_sim.h"
#include "support/mem.h"

enum { ROUNDS_MAX = 10000 };

/* ---- lives of mirrors ---- */

static void end_life(msim_mirror *a, msim_end how) {
  msim *m = a->s;

  msim_app_end(a, how);
  a->open_at_ms = m->core.now_ms +
                  (m->core.healing ? 1000 : sim_between(&m->core, 0, 20000));
}

static void live_and_die(msim_mirror *a) {
  msim *m = a->s;

  a->life_at_ms = msim_later(m, m->core.config.life_gap_ms);
  if (!m->core.config.may_crash || a->mirror == NULL || a->stopping)
    return;
  switch (sim_pick(&m->core, 3)) {
  case 0:
    sim_trail(&m->core, "%u crashes", a->index);
    m->counts.crashes++;
    end_life(a, MSIM_CRASH);
    break;
  case 1:
    sim_trail(&m->core, "%u is to stop", a->index);
    a->stopping = true;
    (void)msim_mirror_world.stop(a, a->mirror->feed);
    break;
  default:
    sim_trail(&m->core, "%u is closed", a->index);
    end_life(a, MSIM_CLOSE);
    break;
  }
}

static void live(msim_mirror *a) {
  msim *m = a->s;
  bool was = a->mirror != NULL;

  if (!m->core.healing && m->core.now_ms >= a->life_at_ms)
    live_and_die(a);
  if (was && a->mirror != NULL && a->over)
    end_life(a, MSIM_CLOSE);
  if (a->mirror == NULL && m->core.now_ms >= a->open_at_ms && !a->done)
    msim_app_open(a);
  if (a->mirror != NULL && m->core.now_ms >= a->reader_at_ms) {
    a->reader_at_ms = m->core.now_ms + sim_between(&m->core, 1, 5000);
    msim_app_read(a);
  }
}

/* ---- the clock ---- */

static void least(int64_t *at, int64_t other) {
  if (other < *at)
    *at = other;
}

static int64_t next_of(const msim_mirror *a) {
  const sim *s = &a->s->core;
  int64_t at = CFI_NEVER;

  if (a->done)
    return at;
  if (!s->healing)
    least(&at, a->life_at_ms);
  least(&at, a->mirror == NULL ? a->open_at_ms : a->reader_at_ms);
  if (a->over && a->mirror != NULL)
    least(&at, s->now_ms);
  for (unsigned k = 0; k < MSIM_FEEDS; k++) {
    const msim_feed *f = &a->feed[k];

    if (f->feed == NULL)
      continue;
    if (f->poke)
      return s->now_ms;
    least(&at, cfi_feed_deadline(f->feed));
    least(&at, msim_net_due_ms(f));
  }
  return at;
}

static int64_t next_event(const msim *m) {
  const sim *s = &m->core;
  int64_t at = CFI_NEVER;

  if (!s->healing) {
    least(&at, s->write_at_ms);
    least(&at, s->admin_at_ms);
    least(&at, m->replicate_at_ms);
    least(&at, s->began_ms + s->config.faults_ms);
  }
  for (unsigned i = 0; i < m->config.mirrors; i++)
    least(&at, next_of(&m->mirror[i]));
  return at;
}

/* What no follower can notice ends by itself. */
static void end_stalls(msim *m) {
  for (unsigned i = 0; i < m->config.mirrors; i++)
    for (unsigned k = 0; k < MSIM_FEEDS; k++) {
      sim_conn *c = &m->mirror[i].feed[k].main.c;

      if (c->open && c->plan.stall_rows != 0) {
        c->done_at_ms = m->core.now_ms;
        c->outcome = CHANGEFEED_ERR_NETWORK;
      }
    }
}

static void heal(msim *m) {
  m->core.healing = true;
  m->core.healing_ms = m->core.now_ms;
  m->core.outage_until_ms = 0;
  if (m->db.missing)
    msim_come_back(m, false);
  msim_replicate(m, true);
  end_stalls(m);
  sim_trail(&m->core, "all is well from now on");
}

static void events(msim *m) {
  sim *s = &m->core;

  if (!s->healing) {
    if (s->now_ms >= s->write_at_ms)
      msim_write_some(m);
    if (s->now_ms >= m->replicate_at_ms)
      msim_replicate(m, false);
    if (s->now_ms >= s->admin_at_ms)
      msim_administer(m);
    if (s->now_ms >= s->began_ms + s->config.faults_ms)
      heal(m);
  }
  for (unsigned i = 0; i < m->config.mirrors && !s->violated; i++)
    live(&m->mirror[i]);
}

/* ---- feeds ---- */

static void step(msim *m, msim_feed *f) {
  changefeed *feed = f->feed;
  unsigned most =
      sim_chance(&m->core, 500) ? 256 : (unsigned)sim_pick(&m->core, 8) + 1;

  m->core.counts.steps++;
  f->poke = false;
  f->owner->stepping = feed;
  if (cfi_feed_step(feed, most))
    f->poke = true;
  f->owner->stepping = NULL;
  if (f->feed == feed && feed->closing) {
    f->feed = NULL;
    cfi_feed_free(feed, true);
    f->main.c.open = f->side.c.open = false;
  }
}

static void run_feed(msim *m, msim_feed *f) {
  bool due;

  /* A live response has more to say as soon as the database has. */
  if (f->feed == NULL)
    return;
  msim_server_write(m, &f->main);
  due = f->poke || m->core.now_ms >= msim_net_due_ms(f);
  msim_net_run(m, f);
  if (!due && m->core.now_ms < cfi_feed_deadline(f->feed) &&
      !sim_chance(&m->core, m->core.config.spurious))
    return;
  step(m, f);
  msim_app_after(f->owner);
}

static void run_feeds(msim *m) {
  for (unsigned i = 0; i < m->config.mirrors; i++)
    for (unsigned k = 0; k < MSIM_FEEDS && !m->core.violated; k++)
      run_feed(m, &m->mirror[i].feed[k]);
}

/* ---- the end ---- */

/* All that the server has said is in the mirror, and nothing is open. */
static bool is_settled(const msim_mirror *a) {
  const changefeed_mirror *mirror = a->mirror;
  const msim_feed *f = a->feed;
  mdb_place end;

  if (mirror == NULL || a->over || mirror->phase != CFI_MIRROR_SYNCED ||
      mirror->unpublished || cfi_doubt_any(mirror) ||
      mirror->list.feed != NULL || mirror->audit.step != CFI_AUDIT_NONE)
    return false;
  while (f->feed != mirror->feed)
    f++;
  if (f->feed->base_state != CHANGEFEED_STATE_LIVE || f->feed->went_missing ||
      !f->main.c.open || !f->main.c.live || !f->main.c.head_told ||
      f->main.c.whole || f->main.c.out.len != 0 ||
      f->main.c.tag != mdb_tag(&a->s->db) || f->feed->held_count != 0 ||
      (f->feed->queue.len != 0 && (f->feed->verified || f->main.c.rows != 0)))
    return false;
  if (a->s->core.config.identity == SIM_IDENTITY_TRUE &&
      (f->feed->identity.instance_start_time == NULL ||
       strcmp(f->feed->identity.instance_start_time,
              a->s->db.history[f->main.c.tag].start_time) != 0))
    return false; /* it does not know yet what it reads */
  end = mdb_end(&a->s->db, f->main.c.node);
  return memcmp(end.at, f->main.pos.at, sizeof end.at) == 0;
}

static bool may_differ(const msim_mirror *a) {
  return a->s->config.lags && a->config.start != CHANGEFEED_START_CHANGES;
}

static void ask_audit(msim_mirror *a) {
  sim *s = &a->s->core;

  if (may_differ(a)) {
    a->expects_differences = false;
  } else {
    msim_check_equal(a, "after quiet");
    if (!s->violated && sim_chance(s, 500))
      msim_app_plant(a);
  }
  a->asks_audit = true;
  a->audited = false;
  if (!s->violated && changefeed_mirror_audit(a->mirror) != CHANGEFEED_OK)
    sim_violate(s, "mirror %u has no audit", a->index);
}

static void judge(msim_mirror *a) {
  a->correct = a->audited = a->asks_audit = false;
  if (may_differ(a) && a->audit.code == CHANGEFEED_OK) {
    a->correct = a->audit.repaired == 0;
    if (a->correct)
      msim_check_equal(a, "after an audit");
    return; /* and once more, until there is nothing to be repaired */
  }
  msim_check_audit(a);
  msim_check_equal(a, "after the audit");
  a->correct = true;
}

/* What was saved at the end is the database, too. */
static void look_at_snapshot(msim_mirror *a) {
  msim_app_end(a, MSIM_CLOSE);
  if (a->config.snapshot == NULL || a->s->core.violated)
    return;
  msim_app_open(a);
  if (a->mirror == NULL)
    return;
  if (a->s->config.lags || a->mirror->announce)
    (void)cfi_mirror_announce(a->mirror);
  else
    sim_violate(&a->s->core, "mirror %u has not saved", a->index);
  msim_check_equal(a, "from its snapshot");
  msim_app_end(a, MSIM_CRASH);
}

static void finish(msim *m) {
  bool all = true;

  for (unsigned i = 0; i < m->config.mirrors && !m->core.violated; i++) {
    msim_mirror *a = &m->mirror[i];

    if (!a->correct && a->audited)
      judge(a);
    else if (!a->correct && !a->asks_audit && is_settled(a))
      ask_audit(a);
    all = all && a->correct;
  }
  if (!all || m->core.violated)
    return;
  msim_check_agree(m);
  for (unsigned i = 0; i < m->config.mirrors && !m->core.violated; i++)
    look_at_snapshot(&m->mirror[i]);
  m->core.finished = true;
}

/* ---- a run ---- */

static int64_t patience_ms(const msim *m) {
  return 1200000 + 10 * m->core.config.retry_max_ms + m->core.config.header_ms;
}

static void *resize_or_not(void *ctx, void *block, size_t size) {
  sim *s = ctx;

  if (!s->healing && s->config.no_memory != 0 &&
      sim_pick(s, 1000000) < s->config.no_memory) {
    s->counts.no_memory++;
    sim_trail(s, "no memory for %zu bytes", size);
    return NULL;
  }
  return s->quiet_alloc.resize(s->quiet_alloc.ctx, block, size);
}

static void release(void *ctx, void *block) {
  const sim *s = ctx;

  s->quiet_alloc.release(s->quiet_alloc.ctx, block);
}

static void begin_mirror(msim *m, unsigned index) {
  msim_mirror *a = &m->mirror[index];

  a->s = m;
  a->index = index;
  for (unsigned k = 0; k < MSIM_FEEDS; k++) {
    cfi_buf_init(&a->feed[k].main.c.out, &m->core.quiet_alloc);
    cfi_buf_init(&a->feed[k].side.c.out, &m->core.quiet_alloc);
  }
}

static void begin(msim *m, uint64_t seed, const char *directory, bool verbose) {
  sim *s = &m->core;

  memset(m, 0, sizeof *m);
  (void)snprintf(m->directory, sizeof m->directory, "%s", directory);
  s->verbose = verbose;
  s->seed = seed;
  cfi_random_init(&s->random, seed);
  cfi_random_init(&s->random, cfi_random_next(&s->random) + seed);
  if (!cfi_alloc_init(&s->alloc, NULL))
    sim_violate(s, "no allocator");
  s->quiet_alloc = s->alloc;
  s->alloc = (cfi_alloc){resize_or_not, release, s};
  s->now_ms = s->began_ms = 1000000;
  s->healing_ms = CFI_NEVER;
  for (unsigned i = 0; i < MSIM_MIRRORS; i++)
    begin_mirror(m, i);
  msim_configure(m);
  for (uint64_t i = sim_pick(s, 60); i != 0; i--)
    msim_write_one(m);
  s->write_at_ms = s->now_ms;
  s->admin_at_ms = msim_later(m, s->config.admin_gap_ms);
  m->replicate_at_ms = s->now_ms;
  for (unsigned i = 0; i < m->config.mirrors; i++) {
    m->mirror[i].open_at_ms = m->mirror[i].reader_at_ms =
        s->now_ms + sim_between(s, 0, i * 30000);
    m->mirror[i].life_at_ms = msim_later(m, s->config.life_gap_ms);
    if (m->mirror[i].config.snapshot != NULL)
      (void)remove(m->mirror[i].snapshot);
  }
}

bool msim_run(msim *m, uint64_t seed, const char *directory, bool verbose) {
  sim *s = &m->core;

  begin(m, seed, directory, verbose);
  while (!s->violated && !s->finished) {
    int64_t at = next_event(m);

    if (at > s->now_ms)
      s->steps_now = 0, s->now_ms = at;
    else if (++s->steps_now > ROUNDS_MAX)
      sim_violate(s, "the clock stands still: there is always more to do");
    if (s->healing && s->now_ms > s->healing_ms + patience_ms(m)) {
      sim_violate(s, "does not come to the end although all is well");
      break;
    }
    events(m);
    run_feeds(m);
    if (s->healing)
      finish(m);
  }
  return !s->violated;
}

void msim_clear(msim *m) {
  for (unsigned i = 0; i < MSIM_MIRRORS; i++) {
    msim_mirror *a = &m->mirror[i];

    if (a->mirror != NULL)
      msim_app_end(a, MSIM_CRASH);
    changefeed_options_free(a->options);
    for (unsigned k = 0; k < MSIM_FEEDS; k++) {
      msim_conn_free(&a->feed[k].main);
      msim_conn_free(&a->feed[k].side);
    }
  }
  mdb_free(&m->db);
}
