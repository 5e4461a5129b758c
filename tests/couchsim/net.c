/*
 * The network in process: requests become connections, bytes arrive in pieces,
 * late, in part or not at all.
 */
#include <string.h>

#include "sim.h"
#include "support/mem.h"

/* ---- what the feed asks of its world ---- */

bool sim_is_check(cfi_ask ask) {
  return ask != CFI_ASK_LOAD && ask != CFI_ASK_SAVE && ask != CFI_ASK_HOME &&
         ask != CFI_ASK_LOGIN;
}

/* read: the answer has reached the feed. */
void sim_conn_over(sim *s, sim_conn *c, bool read) {
  if (!read)
    sim_local_abandoned(s, c);
  if (c != &s->side || (c->ask != CFI_ASK_SAVE && c->ask != CFI_ASK_LOAD))
    return;
  /* Between saves it may be looked who else writes the document. */
  if (read && (c->ask == CFI_ASK_SAVE ? c->status == 201 : c->status == 200))
    sim_rate_worth(s);
  if (c->ask == CFI_ASK_SAVE)
    s->save_is_sure = read && c->status == 201;
  else if (!read || (c->status != 200 && c->status != 404))
    s->save_is_sure = false;
}

static int world_start(void *ctx, const cfi_request *request,
                       cfi_error *error) {
  sim *s = ctx;
  sim_conn *c = request->side ? &s->side : &s->conn;

  if (c->open)
    sim_violate(s, "a second request beside the first");
  if (s->dead)
    return cfi_error_set(error, CHANGEFEED_ERR_NETWORK, "the end of the world");
  if (request->side)
    sim_check_side_begin(s, request->ask);
  else
    sim_check_request_begin(s);
  s->counts.requests++;
  if (s->feed->phase != CFI_PHASE_ACTIVE)
    sim_check_request_end(s);
  sim_rate_ask(s, !request->side || sim_is_check(request->ask));
  if (!s->healing && sim_chance(s, s->config.fault / 50)) {
    sim_trail(s, "request refused by the transport");
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  }
  sim_server_take(s, c, request);
  return CHANGEFEED_OK;
}

static void world_cancel(void *ctx, bool side) {
  sim *s = ctx;
  sim_conn *c = side ? &s->side : &s->conn;

  if (!c->open && !s->dead)
    sim_violate(s, "cancelled what does not run");
  c->open = false;
  sim_conn_over(s, c, false);
}

static void world_unblock(void *ctx) {
  sim *s = ctx;

  if (s->conn.open && !s->conn.blocked)
    sim_violate(s, "unblocked what was not blocked");
  s->conn.blocked = false;
  s->byte_at_ms = s->now_ms;
}

const cfi_world sim_net_world = {world_start, world_cancel, world_unblock,
                                 NULL};

/* ---- events ---- */

static cfi_lane *lane_of(sim *s, const sim_conn *c) {
  return c == &s->side ? &s->feed->side : &s->feed->main;
}

static void tell_done(sim *s, sim_conn *c, int code) {
  cfi_outcome outcome = {.code = code, .text = "the simulated network"};

  bool good = code == CHANGEFEED_OK && c->whole && c->out.len == 0;

  sim_trail(s, "done %d after %llu bytes%s", code,
            (unsigned long long)c->delivered, c == &s->side ? ", beside" : "");
  c->open = false;
  if (code == CHANGEFEED_OK && c->status == 200 && c->whole &&
      c->ask == CFI_ASK_DATABASE && c->plan.body == NULL) {
    s->checked_any = true;
    s->checked_tag = c->tag;
  }
  if (code == CHANGEFEED_OK && c->status == 404 && c->plan.status == 0 &&
      s->model.missing)
    s->missing_seen = true;
  s->answer_tag = c->tag;
  s->answer_uuid = sim_node_uuid(s, c->node);
  sim_conn_over(s, c, good);
  if (c->ask == CFI_ASK_LOAD && c == &s->conn && good && c->plan.status == 0 &&
      c->plan.body == NULL && !c->was_missing)
    sim_check_loaded(s, c->status == 200 ? &c->place : NULL);
  cfi_feed_note_done(s->feed, lane_of(s, c), &outcome);
}

static void tell_head(sim *s, sim_conn *c) {
  cfi_head head = {.cookie_age_ms = -1};

  c->head_told = true;
  sim_server_answer(s, c);
  head.status = c->status;
  head.retry_after = c->plan.retry_after;
  if (head.retry_after != NULL && (c == &s->conn || sim_is_check(c->ask)))
    s->told_to_wait = true;
  if (c->cookie_text[0] != '\0') {
    head.cookie = c->cookie_text;
    head.cookie_age_ms = s->config.session_ms;
  }
  c->piece_at_ms = s->now_ms;
  sim_trail(s, "head %d%s", head.status, c == &s->side ? ", beside" : "");
  cfi_feed_note_head(s->feed, lane_of(s, c), &head);
  if (c == &s->side)
    return;
  s->stream_at_ms =
      c->ask >= CFI_ASK_CATCHUP && c->status == 200 ? s->now_ms : CFI_NEVER;
  s->byte_at_ms = s->now_ms;
}

static uint64_t border(const sim_conn *c) {
  return c->plan.cut_at < c->plan.mute_at ? c->plan.cut_at : c->plan.mute_at;
}

static size_t piece_size(sim *s, size_t available) {
  size_t most = s->config.tiny_pieces ? 3
                : sim_chance(s, 500)  ? SIM_PIECE_MAX
                                      : (size_t)sim_between(s, 1, 2000);

  if (most > SIM_PIECE_MAX)
    most = SIM_PIECE_MAX;
  return available < most ? available : most;
}

/* The end of a response becomes a place when the feed may know it. */
static void note_tail(sim *s, sim_conn *c) {
  sim_place *p;

  if (!c->tail_written || c->placed || c->delivered < c->tail_at)
    return;
  c->placed = true;
  s->places =
      cft_room(s->places, s->place_count, &s->place_cap, sizeof *s->places);
  p = &s->places[s->place_count++];
  p->ordinal = c->first_ordinal + c->rows;
  p->tag = c->tag;
  p->uuid = sim_node_uuid(s, c->node);
  memcpy(p->text, c->tail_seq, sizeof p->text);
}

/* libcurl ends a transfer whose bytes are not taken. */
static void out_of_memory(sim *s, sim_conn *c) {
  if (s->config.no_memory == 0)
    sim_violate(s, "no memory although there is");
  c->done_at_ms = s->now_ms;
  c->outcome = CHANGEFEED_ERR_NOMEM;
}

static void deliver(sim *s, sim_conn *c) {
  uint64_t room = border(c) - c->delivered;
  size_t len = c->out.len < room ? c->out.len : (size_t)room;
  bool fail = false;

  if (len != 0 && !c->blocked) {
    if (c == &s->conn)
      s->byte_at_ms = s->now_ms;
    len = piece_size(s, len);
    if (cfi_feed_receive(s->feed, lane_of(s, c), cfi_buf_data(&c->out), len,
                         &fail)) {
      cfi_buf_consume(&c->out, len);
      c->delivered += len;
      note_tail(s, c);
    } else if (fail) {
      out_of_memory(s, c);
    } else {
      c->blocked = true;
      sim_trail(s, "blocked");
    }
  }
  c->piece_at_ms = s->now_ms + (s->config.slow_pieces && !s->healing
                                    ? sim_between(s, 0, 3000)
                                : sim_chance(s, 900) ? 0
                                                     : sim_between(s, 0, 50));
}

/* What is left to come of this connection. */
static void after_piece(sim *s, sim_conn *c) {
  if (c->delivered >= c->plan.cut_at) {
    c->piece_at_ms = CFI_NEVER;
    c->done_at_ms = s->now_ms;
    c->outcome = c->plan.cut_clean ? CHANGEFEED_OK : CHANGEFEED_ERR_NETWORK;
  } else if (c->delivered >= c->plan.mute_at) {
    c->piece_at_ms = CFI_NEVER; /* and never an end */
  } else if (c->out.len == 0 && c->whole) {
    c->piece_at_ms = CFI_NEVER;
    if (!c->plan.hang)
      c->done_at_ms = s->now_ms + (int64_t)sim_pick(s, 20);
  } else if (c->out.len == 0) {
    c->piece_at_ms = CFI_NEVER; /* until something is written */
  }
}

static bool can_write(const sim_conn *c) {
  return c->open && c->head_told && !c->blocked && c->done_at_ms == CFI_NEVER &&
         c->delivered < border(c);
}

static void run(sim *s, sim_conn *c) {
  if (!c->open)
    return;
  if (!c->connected && s->now_ms >= c->connect_at_ms) {
    c->connected = true;
    if (c->plan.cut_at == 0 && c->head_at_ms == CFI_NEVER)
      c->done_at_ms = s->now_ms, c->outcome = CHANGEFEED_ERR_NETWORK;
    else
      cfi_feed_note_connected(s->feed, lane_of(s, c));
  }
  if (!c->head_told && s->now_ms >= c->head_at_ms)
    tell_head(s, c);
  if (can_write(c)) {
    if (c->piece_at_ms == CFI_NEVER && c->out.len != 0)
      c->piece_at_ms = s->now_ms;
    if (s->now_ms >= c->piece_at_ms) {
      deliver(s, c);
      after_piece(s, c);
    }
  } else if (c->head_told && !c->blocked && c->done_at_ms == CFI_NEVER) {
    after_piece(s, c);
  }
  if (c->open && s->now_ms >= c->done_at_ms)
    tell_done(s, c, c->outcome);
}

void sim_net_run(sim *s) {
  run(s, &s->conn);
  run(s, &s->side);
}

static int64_t due_ms(const sim *s, const sim_conn *c) {
  int64_t at = CFI_NEVER;

  if (!c->open)
    return at;
  if (!c->connected)
    at = c->connect_at_ms;
  else if (!c->head_told)
    at = c->head_at_ms;
  else if (can_write(c))
    at = c->out.len != 0 && c->piece_at_ms == CFI_NEVER ? s->now_ms
                                                        : c->piece_at_ms;
  return c->done_at_ms < at ? c->done_at_ms : at;
}

int64_t sim_net_due_ms(const sim *s) {
  int64_t main = due_ms(s, &s->conn), side = due_ms(s, &s->side);

  return main < side ? main : side;
}
