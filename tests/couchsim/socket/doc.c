/*
 * Trees of revisions, kept flat: a parent's index is always below its child's.
 */
#include "doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

couch_body *couch_body_new(const couch_json *document) {
  couch_buf text = {0};
  couch_body *body;
  couch_json_write_members(&text, document);
  body = couch_alloc(sizeof *body + text.len + 1);
  body->refs = 1;
  body->len = text.len;
  memcpy(body->text, text.data, text.len + 1);
  couch_buf_free(&text);
  return body;
}

couch_body *couch_body_ref(couch_body *body) {
  if (body != NULL)
    body->refs++;
  return body;
}

void couch_body_drop(couch_body *body) {
  if (body != NULL && --body->refs == 0)
    free(body);
}

bool couch_rev_parse(const char *text, couch_rev_name *out) {
  uint64_t gen = 0;
  const char *p = text;
  for (; *p >= '0' && *p <= '9' && gen < UINT32_MAX; p++)
    gen = gen * 10 + (uint64_t)(*p - '0');
  if (p == text || *p != '-' || gen == 0 || gen >= UINT32_MAX ||
      strlen(p + 1) >= COUCH_HASH || p[1] == '\0')
    return false;
  for (const char *h = p + 1; *h != '\0'; h++)
    if ((unsigned char)*h <= ' ' || *h == '"' || *h == '\\')
      return false;
  out->gen = (uint32_t)gen;
  (void)snprintf(out->hash, sizeof out->hash, "%s", p + 1);
  return true;
}

couch_doc *couch_doc_new(const char *id) {
  couch_doc *doc = couch_alloc(sizeof *doc);
  doc->id = couch_dup(id);
  return doc;
}

void couch_doc_free(couch_doc *doc) {
  if (doc == NULL)
    return;
  for (size_t i = 0; i < doc->count; i++)
    couch_body_drop(doc->revs[i].body);
  free(doc->revs);
  free(doc->id);
  free(doc);
}

couch_doc *couch_doc_copy(const couch_doc *doc) {
  couch_doc *copy = couch_alloc(sizeof *copy);
  *copy = *doc;
  copy->id = couch_dup(doc->id);
  copy->cap = doc->count ? doc->count : 1;
  copy->revs = couch_alloc(copy->cap * sizeof *copy->revs);
  for (size_t i = 0; i < doc->count; i++) {
    copy->revs[i] = doc->revs[i];
    (void)couch_body_ref(copy->revs[i].body);
  }
  return copy;
}

int32_t couch_doc_find(const couch_doc *doc, const couch_rev_name *name) {
  for (size_t i = doc->count; i-- > 0;)
    if (doc->revs[i].gen == name->gen &&
        strcmp(doc->revs[i].hash, name->hash) == 0)
      return (int32_t)i;
  return -1;
}

const couch_rev *couch_doc_winner(const couch_doc *doc) {
  return &doc->revs[doc->winner];
}

/* Negative: a comes before b among leaves. */
static int leaf_order(const couch_rev *a, const couch_rev *b) {
  if (a->deleted != b->deleted)
    return a->deleted ? 1 : -1;
  if (a->gen != b->gen)
    return a->gen > b->gen ? -1 : 1;
  return strcmp(b->hash, a->hash);
}

static void find_winner(couch_doc *doc) {
  bool some = false;
  for (size_t i = 0; i < doc->count; i++) {
    if (!doc->revs[i].leaf)
      continue;
    if (!some || leaf_order(&doc->revs[i], &doc->revs[doc->winner]) < 0)
      doc->winner = i;
    some = true;
  }
}

/* Forgets what is more than the limit above every leaf. */
static void stem(couch_doc *doc) {
  uint32_t *age = couch_alloc(doc->count * sizeof *age);
  int32_t *moved = couch_alloc(doc->count * sizeof *moved);
  size_t kept = 0;
  for (size_t i = 0; i < doc->count; i++)
    age[i] = doc->revs[i].leaf ? 0 : UINT32_MAX;
  for (size_t i = doc->count; i-- > 0;) {
    int32_t parent = doc->revs[i].parent;
    if (parent >= 0 && age[i] != UINT32_MAX && age[i] + 1 < age[parent])
      age[parent] = age[i] + 1;
  }
  for (size_t i = 0; i < doc->count; i++) {
    if (age[i] >= COUCH_REVS_LIMIT) {
      couch_body_drop(doc->revs[i].body);
      moved[i] = -1;
      continue;
    }
    moved[i] = (int32_t)kept;
    if (doc->revs[i].parent >= 0)
      doc->revs[i].parent = moved[doc->revs[i].parent];
    doc->revs[kept++] = doc->revs[i];
  }
  doc->count = kept;
  free(age);
  free(moved);
}

static int32_t put(couch_doc *doc, int32_t parent, const couch_rev_name *name,
                   bool deleted, couch_body *body) {
  couch_rev *rev;
  doc->revs = couch_room(doc->revs, &doc->cap, doc->count, sizeof *doc->revs);
  rev = &doc->revs[doc->count];
  *rev = (couch_rev){.gen = name->gen, .parent = parent, .deleted = deleted};
  rev->leaf = true;
  rev->body = couch_body_ref(body);
  memcpy(rev->hash, name->hash, sizeof rev->hash);
  if (parent >= 0)
    doc->revs[parent].leaf = false;
  return (int32_t)doc->count++;
}

static void forget_old_body(couch_doc *doc, int32_t at) {
  for (int i = 0; i < COUCH_OLD_BODIES && at >= 0; i++)
    at = doc->revs[at].parent;
  if (at >= 0 && doc->revs[at].body != NULL) {
    couch_body_drop(doc->revs[at].body);
    doc->revs[at].body = NULL;
  }
}

void couch_doc_add(couch_doc *doc, int32_t parent, const couch_rev_name *name,
                   bool deleted, couch_body *body) {
  forget_old_body(doc, put(doc, parent, name, deleted, body));
  if (doc->count >= 2 * COUCH_REVS_LIMIT)
    stem(doc);
  find_winner(doc);
}

bool couch_doc_merge(couch_doc *doc, const couch_rev_name *path, size_t count,
                     bool deleted, couch_body *body) {
  int32_t at = -1;
  size_t known = count;
  for (size_t i = 0; i < count && at < 0; i++) {
    at = couch_doc_find(doc, &path[i]);
    if (at >= 0)
      known = i;
  }
  if (known == 0)
    return false;
  while (known-- > 1)
    at = put(doc, at, &path[known], false, NULL);
  couch_doc_add(doc, at, &path[0], deleted, body);
  return true;
}

bool couch_doc_merge_all(couch_doc *into, const couch_doc *from) {
  bool some = false;
  for (size_t i = 0; i < from->count; i++) {
    couch_rev_name *path;
    size_t n = 0;
    if (!from->revs[i].leaf)
      continue;
    path = couch_alloc((i + 1) * sizeof *path);
    for (int32_t at = (int32_t)i; at >= 0; at = from->revs[at].parent, n++) {
      path[n].gen = from->revs[at].gen;
      memcpy(path[n].hash, from->revs[at].hash, COUCH_HASH);
    }
    if (couch_doc_merge(into, path, n, from->revs[i].deleted,
                        from->revs[i].body))
      some = true;
    free(path);
  }
  return some;
}

size_t *couch_doc_leaves(const couch_doc *doc, size_t *count) {
  size_t *leaves = couch_alloc(doc->count * sizeof *leaves);
  size_t n = 0;
  for (size_t i = 0; i < doc->count; i++) {
    size_t at = n;
    if (!doc->revs[i].leaf)
      continue;
    while (at > 0 && leaf_order(&doc->revs[i], &doc->revs[leaves[at - 1]]) < 0)
      at--;
    memmove(leaves + at + 1, leaves + at, (n - at) * sizeof *leaves);
    leaves[at] = i;
    n++;
  }
  *count = n;
  return leaves;
}
