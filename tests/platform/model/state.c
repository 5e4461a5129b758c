/* A state as bytes, and the one of many equal states that stands for all of
 * them: ids of claims mean nothing but equality, epochs of one drone nothing
 * but their order and successors, workers are alike. */
#include "model.h"

#include <string.h>

void state_first(state *s, const config *c) {
  memset(s, 0, sizeof *s);
  s->kills = (uint8_t)c->kills;
  s->losses = (uint8_t)c->losses;
  for (unsigned d = 0; d < DRONES; d++) {
    s->docs[d].cur.vm = 1;
    s->docs[d].cur.epoch = 1;
  }
}

uint8_t state_new_claim(state *s, uint8_t app, uint8_t gen) {
  for (uint8_t i = 1; i <= CLAIMS; i++)
    if (s->claims[i].gen == 0) {
      s->claims[i] = (claim_fact){.app = app, .gen = gen};
      return i;
    }
  return 0;
}

/* ---- what can have no effect any more ---- */

static bool late_is_void(const state *s, const late *l) {
  const agent *a = &s->agents[l->on % DRONES];
  switch (l->kind) {
  case L_DRONE:
  case L_ROUTE:
    return l->rev == REV_STALE;
  case L_BIND:
    return !l->vm || (l->epoch <= a->fence && a->held != l->claim) ||
           a->held == l->claim;
  case L_UNBIND:
    return l->epoch <= a->fence && a->held != l->claim;
  case L_FENCE:
    return !l->vm || l->epoch <= a->fence;
  default:
    return true;
  }
}

static int late_order(const late *a, const late *b) {
  if (a->kind != b->kind)
    return a->kind < b->kind ? 1 : -1; /* none last */
  if (a->on != b->on)
    return a->on > b->on ? 1 : -1;
  if (a->epoch != b->epoch)
    return a->epoch > b->epoch ? 1 : -1;
  return 0;
}

static void drop_lates(state *s, const config *c) {
  for (unsigned i = 0; i < LATES; i++)
    if (s->lates[i].kind && late_is_void(s, &s->lates[i]))
      s->lates[i] = (late){0};
  if (c->lates > 1 && late_order(&s->lates[0], &s->lates[1]) > 0) {
    late swap = s->lates[0];
    s->lates[0] = s->lates[1];
    s->lates[1] = swap;
  }
}

static uint64_t worker_key(const worker *w) {
  return (uint64_t)w->pc << 40 | (uint64_t)w->app << 32 |
         (uint64_t)w->drone << 24 | (uint64_t)w->gen << 20 |
         (uint64_t)w->rev << 16 | (uint64_t)w->route_rev << 12 |
         (uint64_t)w->epoch << 4 | w->vm;
}

/* ---- claims ---- */

typedef struct renaming {
  uint8_t to[CLAIMS + 1], count;
  claim_fact claims[CLAIMS + 1];
} renaming;

static void rename_claim(renaming *r, const state *s, uint8_t *id) {
  if (!*id)
    return;
  if (!r->to[*id]) {
    r->to[*id] = ++r->count;
    r->claims[r->count] = s->claims[*id];
  }
  *id = r->to[*id];
}

/* What was said of a claim matters while some route may yet name it. */
static void forget_facts(state *s) {
  bool named[CLAIMS + 1] = {false};
  for (unsigned d = 0; d < DRONES; d++)
    named[s->docs[d].cur.claim] = true;
  for (unsigned a = 0; a < APPS; a++)
    named[s->routes[a].cur.claim] = true;
  for (unsigned w = 0; w < WORKERS; w++)
    named[s->workers[w].claim] = true;
  for (unsigned l = 0; l < LATES; l++)
    if (s->lates[l].kind < L_UNBIND)
      named[s->lates[l].claim] = true;
  for (unsigned d = 0; d < DRONES; d++)
    named[s->agents[d].held] = true;
  for (unsigned i = 1; i <= CLAIMS; i++)
    if (!named[i] && s->claims[i].gen)
      s->claims[i] = (claim_fact){.gen = 1};
}

static void rename_claims(state *s) {
  renaming r = {.count = 0};
  for (unsigned d = 0; d < DRONES; d++) {
    rename_claim(&r, s, &s->docs[d].cur.claim);
    rename_claim(&r, s, &s->agents[d].held);
  }
  for (unsigned a = 0; a < APPS; a++) {
    rename_claim(&r, s, &s->routes[a].cur.claim);
  }
  for (unsigned w = 0; w < WORKERS; w++)
    rename_claim(&r, s, &s->workers[w].claim);
  for (unsigned l = 0; l < LATES; l++)
    rename_claim(&r, s, &s->lates[l].claim);
  memcpy(s->claims, r.claims, sizeof s->claims);
}

/* ---- epochs ---- */

/* Collects where the epochs of one drone are; the fence is not among them. */
static unsigned epochs_of(state *s, uint8_t d, uint8_t *where[16]) {
  unsigned n = 0;
  where[n++] = &s->docs[d].cur.epoch;
  if (s->agents[d].held)
    where[n++] = &s->agents[d].epoch;
  for (unsigned w = 0; w < WORKERS; w++)
    if (s->workers[w].drone == d && s->workers[w].epoch)
      where[n++] = &s->workers[w].epoch;
  for (unsigned l = 0; l < LATES; l++)
    if (s->lates[l].kind && s->lates[l].kind != L_ROUTE && s->lates[l].on == d)
      where[n++] = &s->lates[l].epoch;
  return n;
}

static bool low_epochs(state *s, uint8_t d) {
  uint8_t *where[16];
  unsigned n = epochs_of(s, d, where);
  uint8_t least = 255, most = 0;
  for (unsigned i = 0; i < n; i++)
    least = *where[i] < least ? *where[i] : least;
  /* A fence far below everything bars as little as one right below. */
  uint8_t *fence = &s->agents[d].fence;
  if (*fence + 1 < least)
    *fence = (uint8_t)(least - 1);
  /* So does a request that can only be refused, however old it is. */
  for (unsigned w = 0; w < WORKERS; w++) {
    worker *of = &s->workers[w];
    if (of->drone == d && of->epoch && of->rev == REV_STALE &&
        of->epoch < *fence)
      of->epoch = *fence;
  }
  for (unsigned i = 0; i < n; i++)
    least = *where[i] < least || i == 0 ? *where[i] : least;
  uint8_t base = *fence < least ? *fence : least;
  *fence = (uint8_t)(*fence - base);
  most = *fence;
  for (unsigned i = 0; i < n; i++) {
    *where[i] = (uint8_t)(*where[i] - base + 1);
    most = *where[i] > most ? *where[i] : most;
  }
  *fence = (uint8_t)(*fence + 1);
  return most < 15;
}

/* A loser of a race nobody believes in bars no other race. */
static void find_leaves(state *s) {
  for (unsigned d = 0; d < DRONES; d++)
    s->docs[d].has_leaf = 0;
  for (unsigned a = 0; a < APPS; a++)
    s->routes[a].has_leaf = 0;
  for (unsigned w = 0; w < WORKERS; w++) {
    const worker *of = &s->workers[w];
    s->docs[of->drone].has_leaf |= of->rev == REV_LEAF;
    s->routes[of->app].has_leaf |= of->route_rev == REV_LEAF;
  }
  for (unsigned l = 0; l < LATES; l++)
    if (s->lates[l].rev == REV_LEAF) {
      if (s->lates[l].kind == L_DRONE)
        s->docs[s->lates[l].on].has_leaf = 1;
      else
        s->routes[s->lates[l].on].has_leaf = 1;
    }
}

bool state_normal(state *s, const config *c, bool *swapped) {
  drop_lates(s, c);
  *swapped = worker_key(&s->workers[0]) < worker_key(&s->workers[1]);
  if (*swapped) {
    worker swap = s->workers[0];
    s->workers[0] = s->workers[1];
    s->workers[1] = swap;
  }
  forget_facts(s);
  rename_claims(s);
  bool fits = true;
  for (uint8_t d = 0; d < DRONES; d++)
    fits = low_epochs(s, d) && fits;
  return fits;
}

/* ---- bytes ---- */

typedef struct bits {
  uint8_t *bytes;
  const uint8_t *from;
  unsigned at;
} bits;

/* Writes, or reads when there is something to read from. */
static void field(bits *b, uint8_t *value, unsigned width) {
  if (b->from) {
    unsigned pair = b->from[b->at / 8];
    if (b->at / 8 + 1 < PACKED)
      pair |= (unsigned)b->from[b->at / 8 + 1] << 8;
    *value = (uint8_t)(pair >> b->at % 8 & ((1U << width) - 1));
  } else {
    unsigned pair = (unsigned)*value << b->at % 8;
    b->bytes[b->at / 8] = (uint8_t)(b->bytes[b->at / 8] | pair);
    if (pair > 255)
      b->bytes[b->at / 8 + 1] = (uint8_t)(pair >> 8);
  }
  b->at += width;
}

static void drone_fields(bits *b, state *s, unsigned d) {
  drone_doc *doc = &s->docs[d];
  field(b, &doc->cur.state, 2);
  field(b, &doc->cur.claim, 4);
  field(b, &doc->cur.epoch, 4);
  field(b, &doc->cur.vm, 1);
  field(b, &s->agents[d].held, 4);
  field(b, &s->agents[d].epoch, 4);
  field(b, &s->agents[d].fence, 4);
}

static void app_fields(bits *b, state *s, unsigned a) {
  route_doc *doc = &s->routes[a];
  field(b, &doc->cur.state, 2);
  field(b, &doc->cur.gen, 3);
  field(b, &doc->cur.drone, 2);
  field(b, &doc->cur.claim, 4);
  field(b, &s->started[a], 1);
  field(b, &s->gen[a], 3);
}

static void worker_fields(bits *b, worker *w) {
  field(b, &w->pc, 5);
  field(b, &w->app, 1);
  field(b, &w->gen, 3);
  field(b, &w->drone, 2);
  field(b, &w->claim, 4);
  field(b, &w->epoch, 4);
  field(b, &w->vm, 1);
  field(b, &w->rev, 2);
  field(b, &w->route_rev, 2);
}

static void late_fields(bits *b, late *l) {
  field(b, &l->kind, 3);
  field(b, &l->on, 2);
  field(b, &l->rev, 2);
  field(b, &l->state, 2);
  field(b, &l->claim, 4);
  field(b, &l->epoch, 4);
  field(b, &l->vm, 2);
  field(b, &l->gen, 3);
}

static void all_fields(bits *b, const config *c, state *s) {
  for (unsigned d = 0; d < c->drones; d++)
    drone_fields(b, s, d);
  for (unsigned a = 0; a < c->apps; a++)
    app_fields(b, s, a);
  field(b, &s->kills, 2);
  field(b, &s->losses, 2);
  for (unsigned w = 0; w < WORKERS; w++)
    worker_fields(b, &s->workers[w]);
  for (unsigned l = 0; l < c->lates; l++)
    late_fields(b, &s->lates[l]);
  for (unsigned i = 1; i <= CLAIMS; i++) {
    field(b, &s->claims[i].gen, 3);
    if (!s->claims[i].gen)
      break; /* they are numbered without gaps */
    field(b, &s->claims[i].app, 1);
    field(b, &s->claims[i].bound, 1);
    field(b, &s->claims[i].lost, 1);
  }
}

void state_pack(const state *s, const config *c, uint8_t out[PACKED]) {
  memset(out, 0, PACKED);
  state copy = *s;
  bits b = {.bytes = out};
  all_fields(&b, c, &copy);
}

void state_unpack(const uint8_t in[PACKED], const config *c, state *s) {
  state_first(s, c);
  bits b = {.from = in};
  all_fields(&b, c, s);
  find_leaves(s);
}
