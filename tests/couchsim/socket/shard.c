/*
 * Documents of a shard: a table to find them, an array in order of their ids,
 * and a log whose superseded entries are dropped once they are the most.
 */
#include "shard.h"

#include <stdlib.h>
#include <string.h>

couch_shard *couch_shard_new(void) { return couch_alloc(sizeof(couch_shard)); }

void couch_shard_free(couch_shard *s) {
  if (s == NULL)
    return;
  for (size_t i = 0; i < s->docs; i++)
    couch_doc_free(s->by_id[i]);
  for (size_t i = 0; i < s->local_count; i++) {
    free(s->locals[i].id);
    couch_body_drop(s->locals[i].body);
  }
  free(s->table);
  free(s->by_id);
  free(s->log);
  free(s->locals);
  free(s);
}

static size_t slot_of(const couch_shard *s, const char *id) {
  size_t mask = s->table_size - 1;
  size_t at = (size_t)couch_hash(id, strlen(id)) & mask;
  while (s->table[at] != NULL && strcmp(s->table[at]->id, id) != 0)
    at = (at + 1) & mask;
  return at;
}

static void grow_table(couch_shard *s) {
  free(s->table);
  s->table_size = s->table_size ? s->table_size * 2 : 64;
  s->table = couch_alloc(s->table_size * sizeof *s->table);
  for (size_t i = 0; i < s->docs; i++)
    s->table[slot_of(s, s->by_id[i]->id)] = s->by_id[i];
}

couch_doc *couch_shard_doc(const couch_shard *s, const char *id) {
  return s->table_size > 0 ? s->table[slot_of(s, id)] : NULL;
}

size_t couch_shard_lower(const couch_shard *s, const char *id) {
  size_t low = 0, high = s->docs;
  if (high > 0 && strcmp(s->by_id[high - 1]->id, id) < 0)
    return high; /* ids often come in order */
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (strcmp(s->by_id[mid]->id, id) < 0)
      low = mid + 1;
    else
      high = mid;
  }
  return low;
}

static void add_doc(couch_shard *s, couch_doc *doc) {
  size_t at = couch_shard_lower(s, doc->id);
  s->by_id = couch_room(s->by_id, &s->docs_cap, s->docs, sizeof *s->by_id);
  memmove(s->by_id + at + 1, s->by_id + at, (s->docs - at) * sizeof *s->by_id);
  s->by_id[at] = doc;
  s->docs++;
  if (s->docs * 2 >= s->table_size)
    grow_table(s);
  else
    s->table[slot_of(s, doc->id)] = doc;
}

couch_doc *couch_shard_make(couch_shard *s, const char *id) {
  couch_doc *doc = couch_shard_doc(s, id);
  if (doc == NULL) {
    doc = couch_doc_new(id);
    add_doc(s, doc);
  }
  return doc;
}

static size_t body_bytes(const couch_doc *doc) {
  const couch_rev *rev = couch_doc_winner(doc);
  return rev->body != NULL ? rev->body->len : 0;
}

void couch_shard_before(couch_shard *s, const couch_doc *doc) {
  if (doc->count == 0)
    return;
  s->live -= !couch_doc_winner(doc)->deleted;
  s->bytes -= body_bytes(doc);
}

static void compact_log(couch_shard *s) {
  size_t kept = 0;
  for (size_t i = 0; i < s->log_len; i++) {
    if (s->log[i].doc == NULL)
      continue;
    s->log[i].doc->slot = kept;
    s->log[kept++] = s->log[i];
  }
  s->log_len = kept;
  s->stale = 0;
}

void couch_shard_after(couch_shard *s, couch_doc *doc, int64_t now_ms) {
  s->live += !couch_doc_winner(doc)->deleted;
  s->bytes += body_bytes(doc);
  if (doc->seq > 0) {
    s->log[doc->slot].doc = NULL;
    s->stale++;
  }
  if (s->stale > 1024 && s->stale > s->log_len / 2)
    compact_log(s);
  s->log = couch_room(s->log, &s->log_cap, s->log_len, sizeof *s->log);
  doc->seq = ++s->seq;
  doc->slot = s->log_len;
  doc->changed_ms = now_ms;
  s->log[s->log_len++] = (couch_entry){doc->seq, doc};
}

size_t couch_shard_after_seq(const couch_shard *s, uint64_t seq) {
  size_t low = 0, high = s->log_len;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (s->log[mid].seq <= seq)
      low = mid + 1;
    else
      high = mid;
  }
  return low;
}

size_t couch_shard_pending(const couch_shard *s, uint64_t seq) {
  size_t n = 0;
  if (seq == 0)
    return s->docs;
  for (size_t i = couch_shard_after_seq(s, seq); i < s->log_len; i++)
    n += s->log[i].doc != NULL;
  return n;
}

couch_local *couch_shard_local(const couch_shard *s, const char *id) {
  for (size_t i = 0; i < s->local_count; i++)
    if (strcmp(s->locals[i].id, id) == 0)
      return &s->locals[i];
  return NULL;
}

void couch_shard_local_put(couch_shard *s, const char *id, uint32_t n,
                           couch_body *body) {
  couch_local *local = couch_shard_local(s, id);
  if (local == NULL) {
    s->locals =
        couch_room(s->locals, &s->local_cap, s->local_count, sizeof *s->locals);
    local = &s->locals[s->local_count++];
    *local = (couch_local){.id = couch_dup(id)};
  }
  (void)couch_body_ref(body);
  couch_body_drop(local->body);
  local->n = n;
  local->body = body;
}

bool couch_shard_sync(couch_shard *into, const couch_shard *from,
                      int64_t now_ms) {
  bool some = false;
  for (size_t i = 0; i < from->log_len; i++) {
    const couch_doc *theirs = from->log[i].doc;
    couch_doc *ours;
    if (theirs == NULL)
      continue;
    ours = couch_shard_make(into, theirs->id);
    couch_shard_before(into, ours);
    if (couch_doc_merge_all(ours, theirs)) {
      couch_shard_after(into, ours, now_ms);
      some = true;
    } else {
      into->live += !couch_doc_winner(ours)->deleted;
      into->bytes += body_bytes(ours);
    }
  }
  for (size_t i = 0; i < from->local_count; i++) {
    const couch_local *theirs = &from->locals[i];
    const couch_local *ours = couch_shard_local(into, theirs->id);
    if (ours == NULL || ours->n < theirs->n)
      couch_shard_local_put(into, theirs->id, theirs->n, theirs->body);
  }
  return some;
}

couch_shard *couch_shard_copy(const couch_shard *s) {
  couch_shard *copy = couch_shard_new();
  copy->log_cap = s->log_len ? s->log_len : 1;
  copy->log = couch_alloc(copy->log_cap * sizeof *copy->log);
  copy->log_len = s->log_len;
  copy->docs_cap = s->docs ? s->docs : 1;
  copy->by_id = couch_alloc(copy->docs_cap * sizeof(couch_doc *));
  for (size_t i = 0; i < s->log_len; i++)
    copy->log[i].seq = s->log[i].seq;
  for (size_t i = 0; i < s->docs; i++) {
    couch_doc *doc = couch_doc_copy(s->by_id[i]);
    copy->by_id[copy->docs++] = doc;
    copy->log[doc->slot].doc = doc;
  }
  while (copy->table_size <= copy->docs * 2)
    grow_table(copy);
  copy->stale = s->stale;
  copy->seq = s->seq;
  copy->live = s->live;
  copy->bytes = s->bytes;
  for (size_t i = 0; i < s->local_count; i++)
    couch_shard_local_put(copy, s->locals[i].id, s->locals[i].n,
                          s->locals[i].body);
  return copy;
}
