/*
 * The model: plain arrays. A revision spells the history, document and number
 * of its update in its hash, a seq the history and the numbers of the shards.
 */
#include "model.h"

#include <stdio.h>
#include <string.h>

#include "str.h"
#include "support/mem.h"

void sim_model_init(sim_model *m, unsigned shards, sim_seqs seqs) {
  memset(m, 0, sizeof *m);
  m->shards = shards;
  m->seqs = seqs;
  (void)sim_model_recreate(m);
}

void sim_model_free(sim_model *m) {
  for (unsigned h = 0; h < SIM_HISTORIES; h++)
    for (unsigned s = 0; s < SIM_SHARDS; s++)
      free(m->history[h].shard[s].updates);
}

bool sim_model_recreate(sim_model *m) {
  sim_history *h = &m->history[m->histories];

  if (m->histories == SIM_HISTORIES)
    return false;
  (void)snprintf(h->start_time, sizeof h->start_time, "17000000%02u",
                 m->histories);
  m->histories++;
  return true;
}

unsigned sim_model_tag(const sim_model *m) { return m->histories - 1; }

unsigned sim_model_shard(const sim_model *m, unsigned doc) {
  return doc % m->shards;
}

const sim_update *sim_model_update(const sim_model *m, unsigned tag,
                                   unsigned shard, uint32_t number) {
  return &m->history[tag].shard[shard].updates[number - 1];
}

void sim_model_write(sim_model *m, unsigned doc, bool deleted, uint32_t body) {
  sim_history *h = &m->history[sim_model_tag(m)];
  sim_shard *shard = &h->shard[sim_model_shard(m, doc)];
  sim_update *u;
  uint32_t before = h->latest[doc];

  if (shard->count == shard->cap) {
    shard->cap = shard->cap != 0 ? shard->cap * 2 : 32;
    shard->updates =
        cft_realloc(shard->updates, shard->cap, sizeof *shard->updates);
  }
  u = &shard->updates[shard->count++];
  u->doc = doc;
  u->generation = before != 0 ? shard->updates[before - 1].generation + 1 : 1;
  u->deleted = deleted && before != 0 && !shard->updates[before - 1].deleted;
  u->body = body;
  h->latest[doc] = shard->count;
}

sim_vec sim_model_end(const sim_model *m) {
  sim_vec end = {{0}};

  for (unsigned s = 0; s < m->shards; s++)
    end.at[s] = m->history[sim_model_tag(m)].shard[s].count;
  return end;
}

unsigned sim_model_pending(const sim_model *m, unsigned tag, sim_vec from,
                           sim_vec to) {
  unsigned count = 0;

  for (unsigned doc = 0; doc < SIM_DOCS; doc++) {
    unsigned s = sim_model_shard(m, doc);
    uint32_t number = m->history[tag].latest[doc];

    count += number > from.at[s] && number <= to.at[s];
  }
  return count;
}

/* ---- seqs ---- */

static uint32_t sum(const sim_model *m, sim_vec vec) {
  uint32_t total = 0;

  for (unsigned s = 0; s < m->shards; s++)
    total += vec.at[s];
  return total;
}

/* The signs that a URL has to encode are in each of them. */
void sim_seq_text(const sim_model *m, unsigned tag, sim_vec vec, unsigned salt,
                  char out[SIM_SEQ_TEXT]) {
  const char *before = m->seqs == SIM_SEQ_ARRAY ? "[" : "\"";
  const char *between = m->seqs == SIM_SEQ_ARRAY ? ",\"" : "-";
  const char *after = m->seqs == SIM_SEQ_ARRAY ? "\"]" : "\"";

  if (m->seqs == SIM_SEQ_NUMBER)
    (void)snprintf(out, SIM_SEQ_TEXT, "%u", (unsigned)vec.at[0]);
  else
    (void)snprintf(out, SIM_SEQ_TEXT,
                   "%s%u%sg1AA+%02x/%02xx%08x.%08x.%08x.%08x=%s", before,
                   (unsigned)sum(m, vec), between, salt & 255U, tag,
                   (unsigned)vec.at[0], (unsigned)vec.at[1],
                   (unsigned)vec.at[2], (unsigned)vec.at[3], after);
}

static bool parse_hex(const char *text, size_t len, uint32_t *out) {
  uint32_t value = 0;

  for (size_t i = 0; i < len; i++) {
    int c = cfi_str_lower((unsigned char)text[i]);
    uint32_t digit;

    if (c >= '0' && c <= '9')
      digit = (uint32_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = (uint32_t)(c - 'a') + 10;
    else
      return false;
    value = value * 16 + digit;
  }
  *out = value;
  return true;
}

bool sim_seq_parse(const sim_model *m, const char *text, unsigned *tag,
                   sim_vec *vec) {
  const char *p = strstr(text, "g1AA+");
  sim_vec read = {{0}};
  uint32_t of;
  int64_t number;

  if (strcmp(text, "0") == 0) {
    *vec = read;
    return true;
  }
  if (m->seqs == SIM_SEQ_NUMBER) {
    if (!cfi_str_to_int(text, strlen(text), &number) || number < 0 ||
        number > UINT32_MAX)
      return false;
    read.at[0] = (uint32_t)number;
    *vec = read;
    return true;
  }
  /* The tail beyond the numbers: "=" and, of an array, "\"]". */
  if (p == NULL || strlen(p) < 47 || !parse_hex(p + 8, 2, &of) ||
      of >= m->histories || p[46] != '=')
    return false;
  for (size_t s = 0; s < SIM_SHARDS; s++)
    if (!parse_hex(p + 11 + s * 9, 8, &read.at[s]))
      return false;
  *tag = of;
  *vec = read;
  return true;
}

/* ---- revisions ---- */

void sim_rev_text(const sim_model *m, unsigned tag, unsigned doc,
                  uint32_t number, char out[SIM_REV_TEXT]) {
  const sim_update *u =
      sim_model_update(m, tag, sim_model_shard(m, doc), number);

  (void)snprintf(out, SIM_REV_TEXT, "%u-%08x%08x%08x%08x",
                 (unsigned)u->generation, tag, doc, (unsigned)number,
                 (tag * 31 + doc) * 31 + (unsigned)number);
}

bool sim_rev_parse(const sim_model *m, const char *text, unsigned *tag,
                   unsigned *doc, uint32_t *number) {
  const char *dash = strchr(text, '-');
  uint32_t of, which;
  char again[SIM_REV_TEXT];

  if (dash == NULL || strlen(dash) != 33 || !parse_hex(dash + 1, 8, &of) ||
      !parse_hex(dash + 9, 8, &which) || !parse_hex(dash + 17, 8, number))
    return false;
  if (of >= m->histories || which >= SIM_DOCS || *number == 0 ||
      *number > m->history[of].shard[which % m->shards].count)
    return false;
  *tag = of;
  *doc = which;
  sim_rev_text(m, of, which, *number, again);
  return strcmp(text, again) == 0 &&
         sim_model_update(m, of, which % m->shards, *number)->doc == which;
}
