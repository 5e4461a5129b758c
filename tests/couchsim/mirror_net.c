/*
 * The network of mirrors: requests become connections, bytes arrive in pieces,
 * late, damaged, in part or not at all.
 */
#include <string.h>

#include "mirror_sim.h"

/* ---- what feeds ask of their world ---- */

static int world_start(void *ctx, const cfi_request *request,
                       cfi_error *error) {
  msim_feed *f = ctx;
  msim *m = f->owner->s;
  msim_conn *c = request->side ? &f->side : &f->main;

  if (c->c.open)
    sim_violate(&m->core, "a second request beside the first");
  m->core.counts.requests++;
  if (!m->core.healing && sim_chance(&m->core, m->core.config.fault / 50))
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  msim_server_take(m, c, request);
  f->owner->served_old = f->owner->served_old || c->c.plan.show_old;
  sim_trail(&m->core, "%u.%u asks%s node %u %s %.60s", f->owner->index,
            (unsigned)(f - f->owner->feed), request->side ? " beside" : "",
            c->c.node, strstr(c->url, "598"), c->body != NULL ? c->body : "");
  return CHANGEFEED_OK;
}

static void world_cancel(void *ctx, bool side) {
  msim_feed *f = ctx;

  (side ? &f->side : &f->main)->c.open = false;
}

static void world_unblock(void *ctx) {
  msim_feed *f = ctx;

  f->main.c.blocked = false;
}

const cfi_world msim_net_world = {world_start, world_cancel, world_unblock,
                                  NULL};

/* ---- events ---- */

static cfi_lane *lane_of(msim_feed *f, const msim_conn *c) {
  return c == &f->side ? &f->feed->side : &f->feed->main;
}

static void tell_done(msim *m, msim_feed *f, msim_conn *c) {
  cfi_outcome outcome = {.code = c->c.outcome, .text = "the simulated network"};

  c->c.open = false;
  sim_trail(&m->core, "%u.%u done %d after %llu bytes%s", f->owner->index,
            (unsigned)(f - f->owner->feed), outcome.code,
            (unsigned long long)c->c.delivered,
            c == &f->side ? ", beside" : "");
  cfi_feed_note_done(f->feed, lane_of(f, c), &outcome);
}

static void tell_head(msim *m, msim_feed *f, msim_conn *c) {
  cfi_head head = {.cookie_age_ms = -1};

  c->c.head_told = true;
  msim_server_answer(m, c);
  head.status = c->c.status;
  head.retry_after = c->c.plan.retry_after;
  c->c.piece_at_ms = m->core.now_ms;
  sim_trail(&m->core, "%u.%u head %d%s", f->owner->index,
            (unsigned)(f - f->owner->feed), head.status,
            c == &f->side ? ", beside" : "");
  cfi_feed_note_head(f->feed, lane_of(f, c), &head);
}

static uint64_t border(const msim_conn *c) {
  const sim_plan *p = &c->c.plan;

  return p->cut_at < p->mute_at ? p->cut_at : p->mute_at;
}

static size_t piece_size(sim *s, size_t available) {
  size_t most = s->config.tiny_pieces ? 7
                : sim_chance(s, 500)  ? SIM_PIECE_MAX
                                      : (size_t)sim_between(s, 1, 2000);

  if (most > SIM_PIECE_MAX)
    most = SIM_PIECE_MAX;
  return available < most ? available : most;
}

/* No byte of JSON, nor between its values. */
static void damage(msim_conn *c, size_t len) {
  uint64_t at = c->damaged_at - c->c.delivered;

  if (c->damaged_at < c->c.delivered || at >= len || c->c.status != 200)
    return;
  cfi_buf_data(&c->c.out)[at] = '\x01';
}

static void deliver(msim *m, msim_feed *f, msim_conn *c) {
  sim *s = &m->core;
  sim_conn *n = &c->c;
  uint64_t room = border(c) - n->delivered;
  size_t len = n->out.len < room ? n->out.len : (size_t)room;
  bool fail = false;

  if (len != 0 && !n->blocked) {
    len = piece_size(s, len);
    damage(c, len);
    if (cfi_feed_receive(f->feed, lane_of(f, c), cfi_buf_data(&n->out), len,
                         &fail)) {
      cfi_buf_consume(&n->out, len);
      n->delivered += len;
    } else if (fail) {
      if (s->config.no_memory == 0)
        sim_violate(s, "no memory although there is");
      n->done_at_ms = s->now_ms;
      n->outcome = CHANGEFEED_ERR_NOMEM;
    } else {
      n->blocked = true;
    }
  }
  n->piece_at_ms = s->now_ms + (s->config.slow_pieces && !s->healing
                                    ? sim_between(s, 0, 3000)
                                : sim_chance(s, 900) ? 0
                                                     : sim_between(s, 0, 50));
}

/* What is left to come of this connection. */
static void after_piece(sim *s, msim_conn *c) {
  sim_conn *n = &c->c;

  if (n->delivered >= n->plan.cut_at) {
    n->piece_at_ms = CFI_NEVER;
    n->done_at_ms = s->now_ms;
    n->outcome = n->plan.cut_clean ? CHANGEFEED_OK : CHANGEFEED_ERR_NETWORK;
  } else if (n->delivered >= n->plan.mute_at) {
    n->piece_at_ms = CFI_NEVER; /* and never an end */
  } else if (n->out.len == 0 && n->whole) {
    n->piece_at_ms = CFI_NEVER;
    if (!n->plan.hang)
      n->done_at_ms = s->now_ms + (int64_t)sim_pick(s, 20);
  } else if (n->out.len == 0) {
    n->piece_at_ms = CFI_NEVER; /* until something is written */
  }
}

static bool can_write(const msim_conn *c) {
  const sim_conn *n = &c->c;

  return n->open && n->head_told && !n->blocked && n->done_at_ms == CFI_NEVER &&
         n->delivered < border(c);
}

static void connect_it(msim *m, msim_feed *f, msim_conn *c) {
  c->c.connected = true;
  if (c->c.plan.cut_at == 0 && c->c.head_at_ms == CFI_NEVER) {
    c->c.done_at_ms = m->core.now_ms;
    c->c.outcome = CHANGEFEED_ERR_NETWORK;
  } else {
    cfi_feed_note_connected(f->feed, lane_of(f, c));
  }
}

static void run(msim *m, msim_feed *f, msim_conn *c) {
  sim *s = &m->core;
  sim_conn *n = &c->c;

  if (!n->open)
    return;
  msim_server_write(m, c);
  if (!n->connected && s->now_ms >= n->connect_at_ms)
    connect_it(m, f, c);
  if (!n->head_told && s->now_ms >= n->head_at_ms && n->done_at_ms == CFI_NEVER)
    tell_head(m, f, c);
  if (can_write(c)) {
    if (n->piece_at_ms == CFI_NEVER && n->out.len != 0)
      n->piece_at_ms = s->now_ms;
    if (s->now_ms >= n->piece_at_ms) {
      deliver(m, f, c);
      after_piece(s, c);
    }
  } else if (n->head_told && !n->blocked && n->done_at_ms == CFI_NEVER) {
    after_piece(s, c);
  }
  if (n->open && s->now_ms >= n->done_at_ms)
    tell_done(m, f, c);
}

void msim_net_run(msim *m, msim_feed *f) {
  run(m, f, &f->main);
  run(m, f, &f->side);
}

static int64_t due_ms(const msim *m, const msim_conn *c) {
  const sim_conn *n = &c->c;
  int64_t at = CFI_NEVER, write = msim_server_due_ms(c);

  if (!n->open)
    return at;
  if (!n->connected)
    at = n->connect_at_ms;
  else if (!n->head_told)
    at = n->head_at_ms;
  else if (can_write(c))
    at = n->out.len != 0 && n->piece_at_ms == CFI_NEVER ? m->core.now_ms
                                                        : n->piece_at_ms;
  if (write < at)
    at = write;
  return n->done_at_ms < at ? n->done_at_ms : at;
}

int64_t msim_net_due_ms(const msim_feed *f) {
  const msim *m = f->owner->s;
  int64_t main = due_ms(m, &f->main), side = due_ms(m, &f->side);

  return main < side ? main : side;
}

static void cut(sim *s, msim_conn *c, unsigned node) {
  if (!c->c.open || c->c.done_at_ms != CFI_NEVER ||
      (node != MDB_NODES && c->c.node != node))
    return;
  c->c.done_at_ms = s->now_ms;
  c->c.outcome = CHANGEFEED_ERR_NETWORK;
}

void msim_net_cut(msim *m, unsigned node) {
  for (unsigned i = 0; i < m->config.mirrors; i++)
    for (unsigned k = 0; k < MSIM_FEEDS; k++)
      if (m->mirror[i].feed[k].feed != NULL) {
        cut(&m->core, &m->mirror[i].feed[k].main, node);
        cut(&m->core, &m->mirror[i].feed[k].side, node);
      }
}
