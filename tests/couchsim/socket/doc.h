/*
 * One document of one replica: its tree of revisions. The winner is the live
 * leaf with the longest history, then with the highest revision; a deleted leaf
 * wins only when no leaf lives. Revisions of edits are CouchDB's own: the MD5
 * of what Erlang would write, so the same edit has the same revision here and
 * there.
 */
#ifndef COUCHSIM_DOC_H
#define COUCHSIM_DOC_H

#include "json.h"

enum {
  COUCH_HASH = 36, /* room for the part of a revision behind its number */
  COUCH_REVS_LIMIT = 1000,
  COUCH_OLD_BODIES = 20 /* ancestors whose bodies can still be read */
};

/* The members of a document without braces and without those beginning with
   '_', shared by replicas and revisions. */
typedef struct couch_body {
  unsigned refs;
  size_t len;
  char text[];
} couch_body;

couch_body *couch_body_new(const couch_json *document);
couch_body *couch_body_ref(couch_body *body); /* NULL stays NULL */
void couch_body_drop(couch_body *body);

typedef struct couch_rev {
  uint32_t gen;
  int32_t parent; /* index, -1: none known */
  bool deleted, leaf;
  couch_body *body; /* NULL: not here */
  char hash[COUCH_HASH];
} couch_rev;

typedef struct couch_doc {
  char *id;
  couch_rev *revs;
  size_t count, cap;
  size_t winner;
  uint64_t seq; /* of its last update in its shard */
  size_t slot;  /* its entry in the shard's log */
  int64_t changed_ms;
} couch_doc;

/* A revision as it is asked for: hash "" with gen 0 is none. */
typedef struct couch_rev_name {
  uint32_t gen;
  char hash[COUCH_HASH];
} couch_rev_name;

/* "N-HASH"; false when it is no revision. */
bool couch_rev_parse(const char *text, couch_rev_name *out);

couch_doc *couch_doc_new(const char *id);
void couch_doc_free(couch_doc *doc);
couch_doc *couch_doc_copy(const couch_doc *doc);

/* Index or -1. */
int32_t couch_doc_find(const couch_doc *doc, const couch_rev_name *name);
const couch_rev *couch_doc_winner(const couch_doc *doc);

/* A new leaf below `parent` (-1: a root); takes its own share of body. */
void couch_doc_add(couch_doc *doc, int32_t parent, const couch_rev_name *name,
                   bool deleted, couch_body *body);
/* A revision with its history, newest first, as replication brings it. False:
   it was there. */
bool couch_doc_merge(couch_doc *doc, const couch_rev_name *path, size_t count,
                     bool deleted, couch_body *body);
/* All leaves of `from` that `into` lacks; true when there were some. */
bool couch_doc_merge_all(couch_doc *into, const couch_doc *from);

/* What an edit's revision will be. */
void couch_rev_of_edit(couch_rev_name *out, const couch_rev_name *parent,
                       bool deleted, const couch_json *document);

/* Leaves, the winner first, then in CouchDB's order. The caller frees. */
size_t *couch_doc_leaves(const couch_doc *doc, size_t *count);

#endif
