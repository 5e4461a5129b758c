/* The search: breadth first, every state kept whole (no hash stands for a
 * state), its parent with it. Then backwards over the steps that need no fault,
 * from the states in which everything is as it is wanted: what that does not
 * reach has no way out. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const law_names[LAWS] = {"one-claim", "said-bound", "held",
                                     "address", "way-out"};

enum { NONE = UINT32_MAX };

typedef struct search {
  const config *config;
  uint8_t (*states)[PACKED];
  uint32_t *parent, *table; /* table: index + 1, open addressing */
  uint8_t *edge;            /* states that have a step out of the bounds */
  uint32_t *from, *to;      /* steps without a fault */
  size_t count, room, slots, steps, steps_room;
  size_t at; /* being expanded */
  result *result;
  uint32_t culprit[LAWS]; /* first state that breaks each law */
  bool full, no_memory, stop;
} search;

static uint64_t hash_bytes(const uint8_t *p) {
  uint64_t h = 0x9e3779b97f4a7c15U;
  for (size_t i = 0; i < PACKED; i += 8) {
    uint64_t v;
    memcpy(&v, p + i, 8);
    h = (h ^ v) * 0xff51afd7ed558ccdU;
    h ^= h >> 32;
  }
  return h;
}

static bool grow_table(search *s) {
  size_t slots = s->slots ? s->slots * 2 : 1U << 16;
  uint32_t *table = calloc(slots, sizeof *table);
  if (!table)
    return false;
  for (size_t i = 0; i < s->count; i++) {
    size_t at = hash_bytes(s->states[i]) & (slots - 1);
    while (table[at])
      at = (at + 1) & (slots - 1);
    table[at] = (uint32_t)(i + 1);
  }
  free(s->table);
  s->table = table;
  s->slots = slots;
  return true;
}

static bool grow_states(search *s) {
  size_t room = s->room ? s->room * 2 : 1U << 14;
  void *states = realloc(s->states, room * PACKED);
  if (states)
    s->states = states;
  void *parent = realloc(s->parent, room * sizeof *s->parent);
  if (parent)
    s->parent = parent;
  uint8_t *edge = realloc(s->edge, room);
  if (edge) {
    memset(edge + s->room, 0, room - s->room);
    s->edge = edge;
  }
  if (!states || !parent || !edge)
    return false;
  s->room = room;
  return true;
}

/* The state's number; a new one when it was not seen before. */
static uint32_t intern(search *s, const uint8_t packed[PACKED], bool *fresh) {
  *fresh = false;
  if (s->count * 2 >= s->slots && !grow_table(s)) {
    s->no_memory = true;
    return NONE;
  }
  size_t at = hash_bytes(packed) & (s->slots - 1);
  for (; s->table[at]; at = (at + 1) & (s->slots - 1))
    if (memcmp(s->states[s->table[at] - 1], packed, PACKED) == 0)
      return s->table[at] - 1;
  if (s->count >= s->config->most) {
    s->full = true;
    return NONE;
  }
  if (s->count == s->room && !grow_states(s)) {
    s->no_memory = true;
    return NONE;
  }
  memcpy(s->states[s->count], packed, PACKED);
  s->parent[s->count] = (uint32_t)s->at;
  s->table[at] = (uint32_t)++s->count;
  *fresh = true;
  return (uint32_t)(s->count - 1);
}

static void keep_step(search *s, uint32_t to) {
  if (s->steps == s->steps_room) {
    size_t room = s->steps_room ? s->steps_room * 2 : 1U << 16;
    void *from = realloc(s->from, room * sizeof *s->from);
    if (from)
      s->from = from;
    void *aim = realloc(s->to, room * sizeof *s->to);
    if (aim)
      s->to = aim;
    if (!from || !aim) {
      s->no_memory = true;
      return;
    }
    s->steps_room = room;
  }
  s->from[s->steps] = (uint32_t)s->at;
  s->to[s->steps++] = to;
}

static void found(void *ctx, const state *next, const step_label *label) {
  search *s = ctx;
  state n = *next;
  bool swapped = false, fresh = false;
  uint8_t packed[PACKED];
  unsigned broken = world_broken(&n, s->config);
  n.bad = 0;
  s->result->edges++;
  if (!state_normal(&n, s->config, &swapped)) {
    s->result->outside++;
    s->edge[s->at] = 1; /* its way out may lie outside */
    return;
  }
  state_pack(&n, s->config, packed);
  uint32_t id = intern(s, packed, &fresh);
  if (id == NONE)
    return;
  for (unsigned law = 0; law < LAWS; law++)
    if (broken & 1U << law && s->culprit[law] == NONE) {
      s->culprit[law] = id;
      s->result->broken |= 1U << law;
    }
  unsigned expect = s->config->expect & ~(1U << LAW_WAY_OUT);
  s->stop = expect && (s->result->broken & expect) == expect;
  if (!label->fault)
    keep_step(s, id);
}

/* ---- a trace that can be read ---- */

typedef struct replay {
  const config *config;
  const uint8_t *target;
  step_label label;
  bool done, swapped;
} replay;

static void compare(void *ctx, const state *next, const step_label *label) {
  replay *r = ctx;
  if (r->done)
    return;
  state n = *next;
  uint8_t packed[PACKED];
  n.bad = 0;
  if (!state_normal(&n, r->config, &r->swapped))
    return;
  state_pack(&n, r->config, packed);
  if (memcmp(packed, r->target, PACKED) == 0) {
    r->label = *label;
    r->done = true;
  }
}

static void all_steps(const expansion *x, const state *s) {
  for (uint8_t w = 0; w < WORKERS; w++)
    worker_steps(x, s, w);
  fault_steps(x, s);
}

static void print_step(unsigned number, const step_label *l, bool swapped) {
  printf("  %3u. ", number);
  if (l->who != NOBODY)
    printf("provisioner %d ", (l->who ^ (swapped ? 1 : 0)) + 1);
  printf("%s", l->text);
  if (l->app != NOBODY)
    printf(" [app %c]", 'A' + l->app);
  if (l->drone != NOBODY)
    printf(" [drone %d]", l->drone + 1);
  printf("%s%s\n", *l->outcome ? " -> " : "", l->outcome);
}

static void print_trace(const search *s, uint32_t id, unsigned law) {
  size_t length = 0;
  for (uint32_t i = id; i; i = s->parent[i])
    length++;
  uint32_t *path = malloc((length + 1) * sizeof *path);
  if (!path)
    return;
  size_t at = length;
  for (uint32_t i = id;; i = s->parent[i]) {
    path[at] = i;
    if (!at--)
      break;
  }
  printf("  %s: \"%s\" is broken after %zu steps:\n", s->config->name,
         law_names[law], length);
  bool swapped = false;
  for (size_t i = 0; i < length; i++) {
    state before;
    state_unpack(s->states[path[i]], s->config, &before);
    replay r = {.config = s->config, .target = s->states[path[i + 1]]};
    all_steps(&(expansion){s->config, compare, &r}, &before);
    print_step((unsigned)(i + 1), &r.label, swapped);
    swapped ^= r.swapped;
  }
  free(path);
}

/* ---- backwards ---- */

/* The steps by where they lead, as offsets into one list. */
static bool turn_round(const search *s, uint32_t **offsets, uint32_t **list) {
  *offsets = calloc(s->count + 2, sizeof **offsets);
  *list = malloc((s->steps + 1) * sizeof **list);
  if (!*offsets || !*list)
    return false;
  for (size_t i = 0; i < s->steps; i++)
    (*offsets)[s->to[i] + 2]++;
  for (size_t i = 2; i < s->count + 2; i++)
    (*offsets)[i] += (*offsets)[i - 1];
  for (size_t i = 0; i < s->steps; i++)
    (*list)[(*offsets)[s->to[i] + 1]++] = s->from[i];
  return true;
}

static void way_out(search *s) {
  uint32_t *offsets = NULL, *list = NULL;
  uint32_t *queue = malloc((s->count + 1) * sizeof *queue);
  uint8_t *seen = calloc(s->count + 1, 1);
  if (!queue || !seen || !turn_round(s, &offsets, &list)) {
    s->no_memory = true;
    goto done;
  }
  size_t head = 0, tail = 0;
  for (size_t i = 0; i < s->count; i++) {
    state st;
    state_unpack(s->states[i], s->config, &st);
    bool quiet = world_satisfied(&st, s->config);
    s->result->quiet += quiet;
    if (quiet || s->edge[i]) {
      seen[i] = 1;
      queue[tail++] = (uint32_t)i;
    }
  }
  while (head < tail) {
    uint32_t i = queue[head++];
    for (uint32_t k = offsets[i]; k < offsets[i + 1]; k++)
      if (!seen[list[k]]) {
        seen[list[k]] = 1;
        queue[tail++] = list[k];
      }
  }
  for (size_t i = 0; i < s->count && tail < s->count; i++)
    if (!seen[i]) {
      s->culprit[LAW_WAY_OUT] = (uint32_t)i;
      s->result->broken |= 1U << LAW_WAY_OUT;
      break;
    }
done:
  free(offsets);
  free(list);
  free(queue);
  free(seen);
}

static void explore(search *s) {
  state st, first;
  uint8_t packed[PACKED];
  bool swapped = false, fresh = false;
  state_first(&first, s->config);
  state_normal(&first, s->config, &swapped);
  state_pack(&first, s->config, packed);
  intern(s, packed, &fresh);
  expansion x = {s->config, found, s};
  size_t level = s->count;
  for (s->at = 0; s->at < s->count && !s->no_memory; s->at++) {
    if (s->at == level) {
      level = s->count;
      s->result->depth++;
    }
    state_unpack(s->states[s->at], s->config, &st);
    all_steps(&x, &st);
    if (s->full || s->stop)
      break;
  }
}

static void tell(const search *s, bool trace) {
  unsigned told = 0;
  for (unsigned law = 0; law < LAWS && trace; law++)
    if (s->culprit[law] != NONE && !told++)
      print_trace(s, s->culprit[law], law);
}

bool search_run(const config *c, bool trace, result *out) {
  memset(out, 0, sizeof *out);
  search s = {.config = c, .result = out};
  for (unsigned law = 0; law < LAWS; law++)
    s.culprit[law] = NONE;
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  if (!grow_states(&s) || !grow_table(&s))
    s.no_memory = true;
  else
    explore(&s);
  if (!s.full && !s.no_memory && !s.stop)
    way_out(&s);
  tell(&s, trace);
  clock_gettime(CLOCK_MONOTONIC, &end);
  out->states = s.count;
  out->complete = !s.full && !s.no_memory && !s.stop;
  out->seconds = (double)(end.tv_sec - begin.tv_sec) +
                 (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
  free(s.states);
  free(s.parent);
  free(s.table);
  free(s.edge);
  free(s.from);
  free(s.to);
  return !s.no_memory;
}
