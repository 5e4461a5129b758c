/*
 * One run: the clock goes from event to event, first with everything that can
 * go wrong, then in health until the follower has all of it.
 */
#include "sim.h"

#include <stdarg.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- chance ---- */

uint64_t sim_pick(sim *s, uint64_t below) {
  return (uint64_t)cfi_random_upto(&s->random, (int64_t)below - 1);
}

bool sim_chance(sim *s, unsigned in_thousand) {
  return in_thousand != 0 && sim_pick(s, 1000) < in_thousand;
}

int64_t sim_between(sim *s, int64_t low, int64_t high) {
  int64_t span = high - low;

  if (span > 16 && sim_chance(s, 500))
    span /= (int64_t)1 << (sim_pick(s, 4) + 1);
  return low + cfi_random_upto(&s->random, span);
}

/* ---- what is told ---- */

__attribute__((format(printf, 4, 0))) static void
say(const sim *s, char *to, size_t size, const char *format, va_list args) {
  int len = snprintf(to, size, "%9lld ", (long long)(s->now_ms - s->began_ms));

  if (len > 0 && (size_t)len < size)
    (void)vsnprintf(to + len, size - (size_t)len, format, args);
}

void sim_trail(sim *s, const char *format, ...) {
  char *line = s->trail[s->trailed++ % SIM_TRAIL];
  va_list args;

  va_start(args, format);
  say(s, line, SIM_LINE, format, args);
  va_end(args);
  if (s->verbose)
    (void)puts(line);
}

void sim_violate(sim *s, const char *format, ...) {
  va_list args;

  if (s->violated)
    return;
  s->violated = true;
  va_start(args, format);
  say(s, s->violation, sizeof s->violation, format, args);
  va_end(args);
}

/* ---- what happens by itself ---- */

static int64_t later(sim *s, int64_t gap_ms) {
  return s->now_ms + 1 + sim_between(s, 0, 2 * gap_ms);
}

static void write_some(sim *s) {
  uint64_t count = sim_chance(s, 50) ? sim_pick(s, 30) : 1;

  s->write_at_ms = later(s, s->config.write_gap_ms);
  if (s->model.missing)
    return;
  for (uint64_t i = 0; i < count; i++) {
    unsigned doc = (unsigned)sim_pick(s, SIM_DOCS);
    int64_t most = s->config.wide_rows ? 9000 : 300;

    sim_model_write(&s->model, doc, sim_chance(s, 150),
                    (uint32_t)sim_between(s, 0, most));
  }
  s->counts.writes += count;
  sim_trail(s, "%u writes", (unsigned)count);
}

/* Another database of the name. */
static void recreate(sim *s) {
  if (!sim_model_recreate(&s->model))
    return;
  s->counts.recreations++;
  sim_local_clear(s);
}

static void go_missing(sim *s) {
  sim_server_deleted(s);
  s->model.missing = true;
  s->missing_seen = false;
  s->recreate_when_seen = s->config.may_recreate;
  sim_trail(s, "the database is deleted");
}

static void come_back(sim *s, bool another) {
  s->model.missing = false;
  if (another)
    recreate(s);
  sim_trail(s, "the database is there, history %u", sim_model_tag(&s->model));
}

/* Without a sign of identity only a database that was seen missing may come
   back as another one. */
static void change_database(sim *s) {
  const sim_config *c = &s->config;
  bool sign = (c->identity == SIM_IDENTITY_TRUE && !s->hidden) ||
              (c->marks && !c->no_marker && !s->marker_given_up);

  if (s->model.missing) {
    if (sign || !s->recreate_when_seen || s->missing_seen)
      come_back(s, s->recreate_when_seen && sim_chance(s, sign ? 700 : 1000));
  } else if (c->may_recreate && sign && sim_chance(s, 500)) {
    sim_server_deleted(s);
    come_back(s, true);
  } else if (c->may_miss || c->may_recreate) {
    go_missing(s);
  }
}

static void administer(sim *s) {
  s->admin_at_ms = later(s, s->config.admin_gap_ms);
  switch (sim_pick(s, 6)) {
  case 0:
    change_database(s);
    break;
  case 3:
    if (s->config.intruder && s->feed != NULL)
      sim_local_intrude(s);
    break;
  case 4:
    if (s->config.nodes > 1)
      sim_node_goes_down(s, (unsigned)sim_pick(s, s->config.nodes));
    break;
  case 5:
    if (s->config.damage && s->record.data != NULL && s->record.len > 2) {
      s->record.data[s->record.len - 2] ^= 1;
      s->record.damaged = !s->record.damaged;
      sim_trail(s, "the stored position is damaged");
    }
    break;
  case 1:
    if (s->config.may_outage && s->now_ms >= s->outage_until_ms) {
      s->outage_until_ms = s->now_ms + sim_between(s, 100, 300000);
      s->outage_kind = (unsigned)sim_pick(s, 4);
      sim_trail(s, "outage of kind %u", s->outage_kind);
    }
    break;
  default:
    /* Twice in a row is what a follower may give up at. */
    if (s->config.may_rotate && s->feed != NULL && s->feed->verified &&
        !s->feed->renewed) {
      if (s->config.anonymous) {
        sim_server_restarts(s);
        break;
      }
      s->cookie_valid_from = s->cookie_made;
      sim_trail(s, "all cookies are void");
    }
    break;
  }
}

/* ---- lives of the application ---- */

static void end_life(sim *s, bool save) {
  sim_app_close(s, save);
  s->poke = false;
  s->open_at_ms = s->now_ms + sim_between(s, 0, 20000);
  if (s->healing)
    s->open_at_ms = s->now_ms + 1000;
}

static void live_and_die(sim *s) {
  s->life_at_ms = later(s, s->config.life_gap_ms);
  if (!s->config.may_crash || s->feed == NULL || s->stopping)
    return;
  switch (sim_pick(s, 3)) {
  case 0:
    sim_trail(s, "crash");
    s->dead = true;
    break;
  case 1:
    sim_trail(s, "stop");
    s->counts.stops++;
    atomic_fetch_or(&s->feed->mail, (unsigned)CFI_MAIL_STOP);
    s->stopping = true;
    s->stop_ms = s->now_ms;
    s->stop_step_ms = s->now_ms + (int64_t)sim_pick(s, 50);
    break;
  default:
    sim_trail(s, "close");
    s->counts.closes++;
    end_life(s, true);
    break;
  }
}

static void resume(sim *s) {
  s->resume_at_ms = CFI_NEVER;
  atomic_store(&s->feed->paused, false);
  s->poke = true;
  sim_trail(s, "resume");
}

/* ---- the clock ---- */

static void least(int64_t *at, int64_t other) {
  if (other < *at)
    *at = other;
}

static int64_t next_event(const sim *s) {
  int64_t at = s->poke ? s->now_ms : CFI_NEVER;

  if (!s->healing) {
    least(&at, s->write_at_ms);
    least(&at, s->admin_at_ms);
    least(&at, s->life_at_ms);
    least(&at, s->began_ms + s->config.faults_ms);
  }
  if (s->feed == NULL) {
    least(&at, s->open_at_ms);
    return at;
  }
  if (s->config.manual && s->given_head < s->given_count)
    least(&at, s->ack_at_ms);
  if (s->late.text != NULL)
    least(&at, s->late.at_ms);
  least(&at, s->resume_at_ms);
  least(&at, s->pull_at_ms);
  least(&at, s->stop_step_ms);
  least(&at, cfi_feed_deadline(s->feed));
  least(&at, sim_net_due_ms(s));
  least(&at, sim_server_due_ms(s));
  return at;
}

/* It was to follow up to the end only, and has. */
static bool has_ended(sim *s) {
  if (!s->config.once || !s->healing || s->stopping ||
      s->feed->base_state != CHANGEFEED_STATE_ENDED)
    return false;
  sim_app_ack_all(s);
  return sim_check_complete(s);
}

static void step(sim *s) {
  unsigned most = sim_chance(s, 500) ? 256 : (unsigned)sim_pick(s, 8) + 1;

  s->poke = false;
  s->poke = cfi_feed_step(s->feed, most) || s->poke;
  sim_check_step(s);
  if (s->config.pull && !s->lent && s->pull_at_ms == CFI_NEVER &&
      s->feed->held_count != 0)
    s->pull_at_ms = s->now_ms + (s->healing ? 1 : sim_between(s, 1, 500));
  if (s->violated)
    return;
  if (s->dead) {
    s->counts.crashes++;
    end_life(s, false);
  } else if (cfi_feed_over(s->feed) && (s->ending || has_ended(s))) {
    sim_app_close(s, true);
    sim_check_final_position(s);
    s->finished = true;
  } else if (cfi_feed_over(s->feed)) {
    /* Workers finish what they have. */
    if (s->healing)
      sim_app_ack_all(s);
    end_life(s, s->healing || sim_chance(s, 500));
  }
}

static void heal(sim *s) {
  s->healing = true;
  s->healing_ms = s->now_ms;
  s->outage_until_ms = 0;
  if (s->model.missing)
    come_back(s, false);
  sim_trail(s, "all is well from now on");
  if (s->feed != NULL)
    resume(s);
}

/* What no follower can notice ends by itself. */
static void end_unnoticed(sim *s) {
  sim_conn *c = &s->conn;

  bool stalls = c->plan.stall_rows != 0;
  bool elsewhere = c->live && s->feed->verified &&
                   s->checked_tag != sim_model_tag(&s->model);

  if (!s->healing || !c->open || !c->feed || c->done_at_ms != CFI_NEVER ||
      (!stalls && !elsewhere))
    return;
  sim_trail(s, "ended by the server");
  c->done_at_ms = s->now_ms;
  c->outcome = CHANGEFEED_ERR_NETWORK;
}

/* False: nothing of the feed is to be done. */
static bool events(sim *s) {
  bool due = s->poke;

  if (!s->healing) {
    if (s->now_ms >= s->write_at_ms)
      write_some(s);
    if (s->now_ms >= s->admin_at_ms)
      administer(s);
    if (s->now_ms >= s->life_at_ms)
      live_and_die(s);
    if (s->now_ms >= s->began_ms + s->config.faults_ms)
      heal(s);
  }
  if (s->feed == NULL) {
    if (s->now_ms >= s->open_at_ms)
      sim_app_open(s);
    return s->feed != NULL;
  }
  if (s->dead)
    return true;
  if (s->now_ms >= s->stop_step_ms) {
    s->stop_step_ms = CFI_NEVER;
    return true;
  }
  if (s->config.manual && s->now_ms >= s->ack_at_ms) {
    s->ack_at_ms = later(s, s->healing ? 10 : s->config.ack_gap_ms);
    if (s->healing)
      sim_app_ack_all(s);
    else
      sim_app_ack_some(s);
  }
  if (s->now_ms >= s->resume_at_ms)
    resume(s);
  if (s->now_ms >= s->pull_at_ms)
    sim_app_pull(s);
  end_unnoticed(s);
  sim_local_run(s);
  sim_server_write(s);
  if (s->now_ms >= sim_net_due_ms(s)) {
    sim_net_run(s);
    due = true;
  }
  return due || s->poke || s->now_ms >= cfi_feed_deadline(s->feed) ||
         sim_chance(s, s->config.spurious);
}

/* ---- a run ---- */

static int64_t patience_ms(const sim *s) {
  return 900000 + s->config.retry_max_ms + 20 * SIM_RETURN_MS +
         s->config.header_ms;
}

static bool is_done(const sim *s) {
  /* Responses that end all the time leave no token for it. */
  if (s->feed != NULL && s->config.foreign_node == 0 &&
      s->config.idle_ms >= 10000 && s->feed->endpoint != s->feed->home)
    return false; /* the preferred one is well again */
  return s->healing && s->feed != NULL && sim_check_complete(s) &&
         s->checked_any && s->checked_tag == sim_model_tag(&s->model) &&
         s->feed->base_state == CHANGEFEED_STATE_LIVE &&
         s->given_head == s->given_count && s->conn.head_told && s->conn.open &&
         s->conn.live && s->conn.out.len == 0 &&
         (s->feed->queue.len == 0 ||
          (!s->feed->verified && s->conn.rows == 0)) &&
         !s->lent;
}

/* The last life is stopped, and gets the time that it was promised. */
static void stop_at_end(sim *s) {
  sim_trail(s, "stop, at the end");
  s->ending = s->stopping = true;
  s->ends_unconfirmed = !s->feed->verified;
  s->stop_ms = s->now_ms;
  atomic_fetch_or(&s->feed->mail, (unsigned)CFI_MAIL_STOP);
  s->poke = true;
}

/* ---- memory ---- */

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

static void begin(sim *s, uint64_t seed) {
  bool verbose = s->verbose;

  memset(s, 0, sizeof *s);
  s->verbose = verbose;
  s->seed = seed;
  /* Twice, or neighbours would draw the same numbers one place apart. */
  cfi_random_init(&s->random, seed);
  cfi_random_init(&s->random, cfi_random_next(&s->random) + seed);
  if (!cfi_alloc_init(&s->alloc, NULL))
    sim_violate(s, "no allocator");
  s->quiet_alloc = s->alloc;
  s->alloc = (cfi_alloc){resize_or_not, release, s};
  cfi_buf_init(&s->conn.out, &s->quiet_alloc);
  cfi_buf_init(&s->side.out, &s->quiet_alloc);
  s->now_ms = s->began_ms = 1000000;
  s->healing_ms = CFI_NEVER;
  s->step_ms = -1;
  s->late.at_ms = CFI_NEVER;
  sim_configure(s);
  s->write_at_ms = s->ack_at_ms = s->open_at_ms = s->now_ms;
  s->admin_at_ms = later(s, s->config.admin_gap_ms);
  s->life_at_ms = later(s, s->config.life_gap_ms);
  s->resume_at_ms = s->stop_step_ms = s->pull_at_ms = CFI_NEVER;
}

bool sim_run(sim *s, uint64_t seed) {
  begin(s, seed);
  while (!s->violated && !s->finished) {
    int64_t at;

    if (!s->ending && is_done(s))
      stop_at_end(s);
    at = next_event(s);

    if (at > s->now_ms)
      s->now_ms = at;
    if (s->healing && s->now_ms > s->healing_ms + patience_ms(s)) {
      sim_violate(s, "does not come to the end although all is well");
      break;
    }
    if (events(s) && !s->violated)
      step(s);
  }
  return !s->violated;
}

void sim_clear(sim *s) {
  s->dead = true;
  if (s->feed != NULL)
    cfi_feed_free(s->feed, false);
  changefeed_options_free(s->options);
  cfi_buf_free(&s->conn.out);
  cfi_buf_free(&s->side.out);
  sim_local_free(s);
  free(s->given);
  free(s->places);
  free(s->record.data);
  sim_model_free(&s->model);
  s->feed = NULL;
  s->options = NULL;
}
