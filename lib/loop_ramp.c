/*
 * Turns to ask: how many requests of a loop may be on their way to a server,
 * connecting or without a head, so that ten thousand feeds do not knock all at
 * once. It counts and queues; the requests are the transfers'.
 */
#include "loop.h"

enum {
  /* As many connections as a listening socket commonly holds back. */
  DEFAULT_LIMIT = 128,
  /* A server that is so slow or gone does not hold up feeds of others. */
  HOLD_MS = 5000,
  FIRST_EVERY = 4
};

static void append(cfi_turns *list, cfi_turn *t) {
  t->next = NULL;
  t->prev = list->last;
  if (list->last != NULL)
    list->last->next = t;
  else
    list->first = t;
  list->last = t;
}

static void take_out(cfi_turns *list, cfi_turn *t) {
  if (t->prev != NULL)
    t->prev->next = t->next;
  else
    list->first = t->next;
  if (t->next != NULL)
    t->next->prev = t->prev;
  else
    list->last = t->prev;
}

void cfi_ramp_init(changefeed_loop *loop) { loop->ramp.limit = DEFAULT_LIMIT; }

/* A quarter is kept for the requests beside others: rows wait for those. */
static bool has_room(const cfi_ramp *r, int kind) {
  return r->held < r->limit &&
         (kind == CFI_TURN_SIDE || r->held_main < r->limit - r->limit / 4);
}

static void hold(changefeed_loop *loop, cfi_turn *t) {
  cfi_ramp *r = &loop->ramp;

  t->place = CFI_TURN_HELD;
  t->since_ms = loop->now_ms;
  append(&r->holders, t);
  r->held++;
  if (t->kind != CFI_TURN_SIDE)
    r->held_main++;
}

/* Who is next: a request beside another one; then mostly feeds that go on, so
   that those which began are soon live; but none waits for ever. */
static cfi_turn *next_turn(cfi_ramp *r) {
  cfi_turn *side = r->waiting[CFI_TURN_SIDE].first;
  cfi_turn *going_on = r->waiting[CFI_TURN_NEXT].first;
  cfi_turn *first = r->waiting[CFI_TURN_FIRST].first;

  if (side != NULL)
    return has_room(r, CFI_TURN_SIDE) ? side : NULL;
  if ((going_on == NULL && first == NULL) || !has_room(r, CFI_TURN_FIRST))
    return NULL;
  if (going_on == NULL || (first != NULL && r->granted % FIRST_EVERY == 0))
    return first;
  return going_on;
}

static void grant(changefeed_loop *loop) {
  cfi_ramp *r = &loop->ramp;
  cfi_turn *t;

  while ((t = next_turn(r)) != NULL) {
    take_out(&r->waiting[t->kind], t);
    if (t->kind != CFI_TURN_SIDE)
      r->granted++;
    hold(loop, t);
    t->used = false;
    cfi_loop_make_ready(t->member);
  }
}

static void leave(cfi_turn *t) {
  cfi_ramp *r = &t->member->loop->ramp;

  if (t->place == CFI_TURN_WAITING)
    take_out(&r->waiting[t->kind], t);
  if (t->place == CFI_TURN_HELD) {
    take_out(&r->holders, t);
    r->held--;
    if (t->kind != CFI_TURN_SIDE)
      r->held_main--;
  }
  t->place = CFI_TURN_NONE;
}

bool cfi_ramp_admit(cfi_member *m, int kind) {
  cfi_turn *t = &m->turns[kind == CFI_TURN_SIDE];
  changefeed_loop *loop = m->loop;

  if (t->place == CFI_TURN_WAITING)
    return false;
  if (t->place == CFI_TURN_HELD) {
    if (!t->used)
      return t->used = true;
    leave(t); /* another request takes another turn */
    grant(loop);
  }
  t->kind = kind;
  if (loop->ramp.waiting[kind].first == NULL && has_room(&loop->ramp, kind)) {
    hold(loop, t);
    return t->used = true;
  }
  t->place = CFI_TURN_WAITING;
  append(&loop->ramp.waiting[kind], t);
  return false;
}

void cfi_ramp_settle(cfi_member *m) {
  cfi_turn *main = &m->turns[0], *side = &m->turns[1];

  if (main->place == CFI_TURN_HELD && !cfi_transfer_is_asking(&m->main))
    leave(main);
  if (side->place == CFI_TURN_HELD && !cfi_transfer_is_asking(&m->side))
    leave(side);
  grant(m->loop);
}

void cfi_ramp_leave(cfi_member *m) {
  leave(&m->turns[0]);
  leave(&m->turns[1]);
  grant(m->loop);
}

int64_t cfi_ramp_due_ms(const changefeed_loop *loop) {
  const cfi_ramp *r = &loop->ramp;
  bool waits = false;

  for (int kind = 0; kind < CFI_TURN_KINDS; kind++)
    waits = waits || r->waiting[kind].first != NULL;
  return waits && r->holders.first != NULL
             ? cfi_clock_after(r->holders.first->since_ms, HOLD_MS)
             : CFI_NEVER;
}

void cfi_ramp_expire(changefeed_loop *loop) {
  while (cfi_ramp_due_ms(loop) <= loop->now_ms) {
    leave(loop->ramp.holders.first);
    grant(loop);
  }
}

void cfi_ramp_set_limit(changefeed_loop *loop, unsigned limit) {
  loop->ramp.limit = limit;
  grant(loop);
}
