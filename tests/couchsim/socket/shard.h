/*
 * One copy of one range of a database, as one node keeps it: documents by id,
 * their updates in order, local documents. Knows nothing of other copies.
 */
#ifndef COUCHSIM_SHARD_H
#define COUCHSIM_SHARD_H

#include "doc.h"

typedef struct couch_entry {
  uint64_t seq;
  couch_doc *doc; /* NULL: updated again since */
} couch_entry;

typedef struct couch_local {
  char *id;
  uint32_t n; /* its revision is 0-n; 0: deleted */
  couch_body *body;
} couch_local;

typedef struct couch_shard {
  couch_doc **table; /* open addressing; a power of two, or 0 */
  size_t table_size;
  couch_doc **by_id; /* by the bytes of their ids */
  size_t docs, docs_cap;
  couch_entry *log;
  size_t log_len, log_cap, stale;
  uint64_t seq;
  size_t live;  /* documents whose winner is not deleted */
  size_t bytes; /* of the winners' bodies */
  couch_local *locals;
  size_t local_count, local_cap;
} couch_shard;

couch_shard *couch_shard_new(void);
void couch_shard_free(couch_shard *s);
couch_shard *couch_shard_copy(const couch_shard *s);

couch_doc *couch_shard_doc(const couch_shard *s, const char *id); /* or NULL */
/* The document, made if need be: it must get a revision at once. */
couch_doc *couch_shard_make(couch_shard *s, const char *id);
/* Around a change of a document: was its winner live, and how long? */
void couch_shard_before(couch_shard *s, const couch_doc *doc);
void couch_shard_after(couch_shard *s, couch_doc *doc, int64_t now_ms);

/* Index of the first entry with a seq above. */
size_t couch_shard_after_seq(const couch_shard *s, uint64_t seq);
/* Updates above seq that count: documents not updated again. */
size_t couch_shard_pending(const couch_shard *s, uint64_t seq);
/* Index in by_id of the first id that is not below. */
size_t couch_shard_lower(const couch_shard *s, const char *id);

couch_local *couch_shard_local(const couch_shard *s, const char *id);
void couch_shard_local_put(couch_shard *s, const char *id, uint32_t n,
                           couch_body *body);

/* Brings over what `from` has more; true when it had something. */
bool couch_shard_sync(couch_shard *into, const couch_shard *from,
                      int64_t now_ms);

#endif
