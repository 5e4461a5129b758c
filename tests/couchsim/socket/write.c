/*
 * Writes: each copy in reach decides for itself, the coordinator counts. A
 * majority is 201, fewer is 202, and where a copy said conflict while another
 * stored the revision, both end up in the tree, as after CouchDB's own repair.
 */
#include "world.h"

#include <stdlib.h>

/* Below which revision this copy would store the edit: an index, -1 for a new
   root, -2 for a conflict. */
static int32_t place_of(const couch_doc *doc, const couch_edit *edit) {
  const couch_rev *winner;
  int32_t at;
  if (doc == NULL || doc->count == 0)
    return edit->parent.gen == 0 ? -1 : -2;
  if (edit->parent.gen > 0) {
    at = couch_doc_find(doc, &edit->parent);
    return at >= 0 && doc->revs[at].leaf ? at : -2;
  }
  winner = couch_doc_winner(doc);
  /* A deleted document is continued, not begun again. */
  return winner->deleted && !edit->deleted ? (int32_t)doc->winner : -2;
}

/* Where the losing edit of a race goes: beside the one that just won. */
static bool race_place(couch_world *w, const couch_doc *doc,
                       const couch_edit *edit, int32_t *at) {
  if (doc == NULL || doc->count == 0 ||
      w->now_ms - doc->changed_ms > w->settings.race_ms)
    return false;
  *at = edit->parent.gen > 0 ? couch_doc_find(doc, &edit->parent) : -1;
  if (edit->parent.gen > 0)
    return *at >= 0;
  return !edit->deleted && couch_doc_winner(doc)->gen == 1;
}

typedef struct holders {
  couch_shard *shard[COUCH_NODES];
  unsigned count;
} holders;

static holders in_reach(const couch_world *w, const couch_db *db, unsigned node,
                        const char *id) {
  holders h = {.count = 0};
  unsigned range = couch_range(db, id);
  for (unsigned i = 0; i < w->nodes; i++)
    if (db->shards[range][i] != NULL && couch_sees(w, node, i))
      h.shard[h.count++] = db->shards[range][i];
  return h;
}

static couch_result verdict(const couch_db *db, unsigned stored) {
  return stored > db->n / 2 ? COUCH_STORED : COUCH_ACCEPTED;
}

static void parent_name(const couch_doc *doc, int32_t at, couch_rev_name *out) {
  *out = (couch_rev_name){0};
  if (at < 0)
    return;
  out->gen = doc->revs[at].gen;
  for (unsigned i = 0; i < COUCH_HASH; i++)
    out->hash[i] = doc->revs[at].hash[i];
}

/* All copies in reach get the revision, whatever they said before. */
static void spread(couch_world *w, couch_db *db, const holders *h,
                   const couch_edit *edit, const couch_rev_name *parent,
                   const couch_rev_name *made) {
  couch_body *body = couch_body_new(edit->document);
  couch_rev_name path[2] = {*made, *parent};
  for (unsigned i = 0; i < h->count; i++) {
    couch_doc *doc = couch_shard_make(h->shard[i], edit->id);
    int32_t at = parent->gen > 0 ? couch_doc_find(doc, parent) : -1;
    if (couch_doc_find(doc, made) >= 0)
      continue;
    couch_shard_before(h->shard[i], doc);
    if (at >= 0 || parent->gen == 0)
      couch_doc_add(doc, at, made, edit->deleted, body);
    else
      (void)couch_doc_merge(doc, path, 2, edit->deleted, body);
    couch_shard_after(h->shard[i], doc, w->now_ms);
  }
  couch_body_drop(body);
  db->writes++;
  couch_event_add(w, db->name, "updated");
}

couch_result couch_write(couch_world *w, couch_db *db, unsigned node,
                         const couch_edit *edit, couch_rev_name *made) {
  holders h = in_reach(w, db, node, edit->id);
  couch_rev_name parent = {0};
  unsigned stored = 0;
  bool raced = false;
  if (h.count == 0)
    return COUCH_UNREACHABLE;
  for (unsigned i = 0; i < h.count; i++) {
    const couch_doc *doc = couch_shard_doc(h.shard[i], edit->id);
    int32_t at = place_of(doc, edit);
    couch_rev_name below;
    if (at == -2)
      continue;
    parent_name(doc, at, &below);
    if (stored++ == 0)
      parent = below;
  }
  if (stored == 0 && db->n > 1 && w->settings.race > 0) {
    const couch_doc *doc = couch_shard_doc(h.shard[0], edit->id);
    int32_t at;
    if (race_place(w, doc, edit, &at) &&
        couch_chance(&w->random, w->settings.race)) {
      parent_name(doc, at, &parent);
      raced = true;
    }
  }
  if (stored == 0 && !raced)
    return COUCH_CONFLICT;
  couch_rev_of_edit(made, &parent, edit->deleted, edit->document);
  if (raced) {
    /* Identical bodies have one revision, and both writers are told 201. */
    if (couch_doc_find(couch_shard_doc(h.shard[0], edit->id), made) >= 0)
      return verdict(db, h.count);
    stored = 1;
  }
  spread(w, db, &h, edit, &parent, made);
  return raced ? COUCH_ACCEPTED : verdict(db, stored);
}

couch_result couch_write_merge(couch_world *w, couch_db *db, unsigned node,
                               const char *id, const couch_rev_name *path,
                               size_t count, bool deleted,
                               const couch_json *document) {
  holders h = in_reach(w, db, node, id);
  couch_body *body;
  bool some = false;
  if (h.count == 0)
    return COUCH_UNREACHABLE;
  body = couch_body_new(document);
  for (unsigned i = 0; i < h.count; i++) {
    couch_doc *doc = couch_shard_make(h.shard[i], id);
    if (couch_doc_find(doc, &path[0]) >= 0)
      continue;
    couch_shard_before(h.shard[i], doc);
    (void)couch_doc_merge(doc, path, count, deleted, body);
    couch_shard_after(h.shard[i], doc, w->now_ms);
    some = true;
  }
  couch_body_drop(body);
  if (some) {
    db->writes++;
    couch_event_add(w, db->name, "updated");
  }
  return verdict(db, h.count);
}

couch_result couch_write_local(couch_world *w, couch_db *db, unsigned node,
                               const char *id, int64_t parent,
                               const couch_json *document, uint32_t *made) {
  holders h = in_reach(w, db, node, id);
  couch_body *body;
  uint32_t next = 0;
  if (h.count == 0)
    return COUCH_UNREACHABLE;
  for (unsigned i = 0; i < h.count; i++) {
    const couch_local *local = couch_shard_local(h.shard[i], id);
    int64_t have = local != NULL ? local->n : 0;
    /* A deleted one is as if it had never been. */
    if (local != NULL && local->body == NULL)
      have = 0;
    if (have != parent)
      return COUCH_CONFLICT;
    if (local != NULL && local->n > next)
      next = local->n;
  }
  *made = document != NULL ? (parent == 0 ? 1 : next + 1) : 0;
  body = document != NULL ? couch_body_new(document) : NULL;
  for (unsigned i = 0; i < h.count; i++)
    couch_shard_local_put(h.shard[i], id, document != NULL ? *made : 0, body);
  couch_body_drop(body);
  return verdict(db, h.count);
}
