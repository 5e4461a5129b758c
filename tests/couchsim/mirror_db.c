/*
 * The database: plain arrays. A revision spells the number of its write, a seq
 * the history, the node and the places in its shards.
 */
#include "mirror_db.h"

#include <stdio.h>
#include <string.h>

#include "str.h"
#include "support/mem.h"

/* In the order of their bytes; those at the end are never written. */
static const char *const ids[MDB_DOCS] = {"m",
                                          "_design/a",
                                          "a",
                                          "a0",
                                          "a1",
                                          "a10",
                                          "a2",
                                          "a\"q\"",
                                          "a\\b",
                                          "b",
                                          "b/c d",
                                          "b0",
                                          "b1",
                                          "b\xc3\xa9",
                                          "c",
                                          "c\x01\x02",
                                          "d-1",
                                          "d-2",
                                          "d-3",
                                          "d-4",
                                          "d-5",
                                          "d-6",
                                          "d-7",
                                          "d-8",
                                          "m0",
                                          "m0000001",
                                          "m1",
                                          "m11111111111111111111",
                                          "n+n",
                                          "n&n",
                                          "n%41",
                                          "Z",
                                          "\xe2\x82\xac",
                                          "z",
                                          "zz",
                                          "zzz\xf4\x8f\xbf\xbf",
                                          "a3",
                                          "d-9",
                                          "m2",
                                          "zzzz"};

void mdb_init(mdb *d, unsigned shards, unsigned nodes, bool numbers) {
  memset(d, 0, sizeof *d);
  d->shards = shards;
  d->nodes = nodes;
  d->numbers = numbers;
  (void)mdb_recreate(d);
}

void mdb_free(mdb *d) {
  for (unsigned h = 0; h < MDB_HISTORIES; h++)
    for (unsigned n = 0; n < MDB_NODES; n++)
      for (unsigned s = 0; s < MDB_SHARDS; s++)
        free(d->history[h].node[n].log[s].state);
  free(d->write);
  free(d->state);
  memset(d, 0, sizeof *d);
}

const char *mdb_id(unsigned doc) { return ids[doc]; }

unsigned mdb_doc(const char *id, size_t len) {
  unsigned doc = 0;

  while (doc < MDB_DOCS &&
         (strlen(ids[doc]) != len || memcmp(ids[doc], id, len) != 0))
    doc++;
  return doc;
}

unsigned mdb_in_order(unsigned index) {
  for (unsigned doc = 0; doc < MDB_DOCS; doc++) {
    unsigned before = 0;

    for (unsigned i = 0; i < MDB_DOCS; i++)
      before += strcmp(ids[i], ids[doc]) < 0;
    if (before == index)
      return doc;
  }
  return MDB_DOCS;
}

unsigned mdb_tag(const mdb *d) { return d->histories - 1; }

bool mdb_recreate(mdb *d) {
  mdb_history *h = &d->history[d->histories];

  if (d->histories == MDB_HISTORIES)
    return false;
  (void)snprintf(h->start_time, sizeof h->start_time, "17000000%02u",
                 d->histories);
  d->histories++;
  return true;
}

/* ---- states ---- */

const mdb_write *mdb_written(const mdb *d, uint32_t write) {
  return &d->write[write - 1];
}

/* The digits of a revision behind its generation begin with these: any order,
   and no two the same. */
static uint32_t mixed(uint32_t write) { return write * 2654435761U; }

static bool wins(const mdb *d, uint32_t a, uint32_t b) {
  const mdb_write *wa = mdb_written(d, a), *wb = mdb_written(d, b);

  if (wa->deleted != wb->deleted)
    return wb->deleted;
  if (wa->generation != wb->generation)
    return wa->generation > wb->generation;
  return mixed(a) > mixed(b);
}

bool mdb_is_older(const mdb *d, uint32_t a, uint32_t b) {
  uint32_t of_a = mdb_written(d, a)->generation;
  uint32_t of_b = mdb_written(d, b)->generation;

  return of_a != of_b ? of_a < of_b : mixed(a) < mixed(b);
}

uint32_t mdb_winner(const mdb *d, uint32_t state) {
  const mdb_state *st;
  uint32_t best;

  if (state == 0)
    return 0;
  st = &d->state[state - 1];
  best = st->leaf[0];
  for (unsigned i = 1; i < st->leaves; i++)
    if (wins(d, st->leaf[i], best))
      best = st->leaf[i];
  return best;
}

uint32_t mdb_current(const mdb *d, unsigned doc) {
  uint32_t winner = mdb_winner(d, d->history[mdb_tag(d)].latest[doc]);

  return winner != 0 && !mdb_written(d, winner)->deleted ? winner : 0;
}

static uint32_t add_state(mdb *d, const mdb_state *st) {
  d->state = cft_room(d->state, d->states, &d->state_cap, sizeof *d->state);
  d->state[d->states++] = *st;
  for (unsigned i = 0; i < st->leaves; i++)
    d->write[st->leaf[i] - 1].histories |= 1U << mdb_tag(d);
  d->history[mdb_tag(d)].latest[st->doc] = (uint32_t)d->states;
  return (uint32_t)d->states;
}

void mdb_replicate(mdb *d, unsigned node, unsigned doc) {
  mdb_history *h = &d->history[mdb_tag(d)];
  mdb_node *n = &h->node[node];
  mdb_log *log = &n->log[doc % d->shards];

  if (n->has[doc] == h->latest[doc])
    return;
  log->state = cft_room(log->state, log->count, &log->cap, sizeof *log->state);
  log->state[log->count++] = h->latest[doc];
  n->has[doc] = h->latest[doc];
  n->at[doc] = (uint32_t)log->count;
}

void mdb_carry_over(mdb *d, unsigned doc) {
  uint32_t before = d->history[mdb_tag(d) - 1].latest[doc];
  mdb_state st;

  if (before == 0)
    return;
  st = d->state[before - 1];
  (void)add_state(d, &st);
  for (unsigned n = 0; n < d->nodes; n++)
    mdb_replicate(d, n, doc);
}

static uint32_t add_write(mdb *d, unsigned doc, uint32_t generation,
                          bool deleted, uint32_t filling) {
  d->write = cft_room(d->write, d->writes, &d->write_cap, sizeof *d->write);
  d->write[d->writes++] = (mdb_write){doc, generation, filling, deleted, 0};
  return (uint32_t)d->writes;
}

void mdb_put(mdb *d, unsigned doc, mdb_kind kind, uint32_t filling,
             unsigned nodes) {
  uint32_t state = d->history[mdb_tag(d)].latest[doc];
  mdb_state st = {.doc = doc};
  uint32_t winner = mdb_winner(d, state), generation = 0;
  unsigned at = 0;

  if (state != 0) {
    st = d->state[state - 1];
    generation = mdb_written(d, winner)->generation;
    while (st.leaf[at] != winner)
      at++;
  }
  if (kind == MDB_DELETE && (winner == 0 || mdb_written(d, winner)->deleted))
    return;
  if (kind == MDB_CONFLICT && generation != 0 && st.leaves < MDB_LEAVES) {
    at = st.leaves++;
    if (generation > 1 && filling % 2 == 0)
      generation--; /* it loses, until the winner is deleted */
  } else {
    generation++;
    st.leaves += state == 0;
  }
  st.leaf[at] = add_write(d, doc, generation, kind == MDB_DELETE, filling);
  (void)add_state(d, &st);
  for (unsigned n = 0; n < d->nodes; n++)
    if ((nodes & 1U << n) != 0)
      mdb_replicate(d, n, doc);
}

/* ---- revisions ---- */

void mdb_rev(const mdb *d, uint32_t write, char out[MDB_TEXT]) {
  const mdb_write *w = mdb_written(d, write);

  (void)snprintf(out, MDB_TEXT, "%u-%08x%08x%08x%08x", (unsigned)w->generation,
                 (unsigned)mixed(write), w->doc, (unsigned)write, 0x00c0ffeeU);
}

static bool parse_hex(const char *text, uint32_t *out) {
  uint32_t value = 0;

  for (size_t i = 0; i < 8; i++) {
    unsigned c = (unsigned char)text[i];

    if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
      return false;
    value = value * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
  }
  *out = value;
  return true;
}

uint32_t mdb_rev_parse(const mdb *d, const char *text, size_t len) {
  const char *dash = memchr(text, '-', len);
  char again[MDB_TEXT];
  uint32_t write;

  if (dash == NULL || len != (size_t)(dash - text) + 33 ||
      !parse_hex(dash + 17, &write) || write == 0 || write > d->writes)
    return 0;
  mdb_rev(d, write, again);
  return strlen(again) == len && memcmp(again, text, len) == 0 ? write : 0;
}

/* ---- positions ---- */

mdb_place mdb_end(const mdb *d, unsigned node) {
  mdb_place end = {.tag = mdb_tag(d), .node = node};

  for (unsigned s = 0; s < d->shards; s++)
    end.at[s] = (uint32_t)d->history[end.tag].node[node].log[s].count;
  return end;
}

void mdb_seq(const mdb *d, const mdb_place *place, unsigned salt,
             char out[MDB_TEXT]) {
  unsigned sum = 0;

  for (unsigned s = 0; s < d->shards; s++)
    sum += place->at[s];
  if (d->numbers)
    (void)snprintf(out, MDB_TEXT, "%u", sum);
  else
    (void)snprintf(out, MDB_TEXT, "\"%u-g1AA%08x%08x%08x%08x%08x%08x\"", sum,
                   salt, place->tag, place->node, (unsigned)place->at[0],
                   (unsigned)place->at[1], (unsigned)place->at[2]);
}

bool mdb_seq_parse(const mdb *d, const char *text, mdb_place *out) {
  const char *p = strstr(text, "g1AA");
  int64_t number;
  uint32_t tag, node;

  *out = (mdb_place){.tag = mdb_tag(d)};
  if (strcmp(text, "0") == 0)
    return true;
  if (d->numbers) {
    if (!cfi_str_to_int(text, strlen(text), &number) || number < 0)
      return false;
    out->at[0] = (uint32_t)number;
    return true;
  }
  if (p == NULL || strlen(p) != 4 + 48 || !parse_hex(p + 12, &tag) ||
      !parse_hex(p + 20, &node) || tag >= d->histories || node >= d->nodes)
    return false;
  out->tag = tag;
  out->node = node;
  for (size_t s = 0; s < MDB_SHARDS; s++)
    if (!parse_hex(p + 28 + 8 * s, &out->at[s]))
      return false;
  return true;
}

void mdb_translate(const mdb *d, mdb_place *place, unsigned node) {
  const mdb_history *h = &d->history[place->tag];

  for (unsigned s = 0; s < d->shards && place->node != node; s++) {
    const mdb_log *from = &h->node[place->node].log[s];
    const mdb_log *to = &h->node[node].log[s];
    uint32_t known[MDB_DOCS] = {0}, at = 0;

    for (uint32_t i = 0; i < place->at[s] && i < from->count; i++)
      known[d->state[from->state[i] - 1].doc] = from->state[i];
    while (at < to->count &&
           known[d->state[to->state[at] - 1].doc] >= to->state[at])
      at++;
    place->at[s] = at;
  }
  place->node = node;
}

/* ---- texts ---- */

static size_t put_escaped(char *to, const char *text) {
  size_t len = 0;

  for (const char *p = text; *p != '\0'; p++) {
    unsigned char c = (unsigned char)*p;

    if (c == '"' || c == '\\')
      to[len++] = '\\';
    if (c < 0x20)
      len += (size_t)sprintf(to + len, "\\u%04x", c);
    else
      to[len++] = (char)c;
  }
  to[len] = '\0';
  return len;
}

char *mdb_text(const mdb *d, uint32_t write) {
  const mdb_write *w = mdb_written(d, write);
  char *text = cft_checked(malloc(512 + w->filling));
  char rev[MDB_TEXT];
  size_t len = (size_t)sprintf(text, "{\"_id\":\"");

  mdb_rev(d, write, rev);
  len += put_escaped(text + len, mdb_id(w->doc));
  len += (size_t)sprintf(text + len, "\",\"_rev\":\"%s\"", rev);
  if (w->deleted) {
    (void)strcpy(text + len, ",\"_deleted\":true}");
    return text;
  }
  len += (size_t)sprintf(text + len, ",\"x\":[null,{\"y\":\"");
  for (uint32_t i = 0; i < w->filling; i++)
    text[len++] = "0123456789 {}[],:"[(i + write) % 17];
  (void)strcpy(text + len, "\"}]}");
  return text;
}
