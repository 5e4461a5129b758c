/*
 * The `_local` document that keeps a position in the followed database itself:
 * its name, its JSON, and the records of the runs that wrote it. Reads and
 * writes text only; the requests are feed_local.c's.
 */
#ifndef CFI_STORE_COUCH_H
#define CFI_STORE_COUCH_H

#include "checkpoint.h"

enum { CFI_COUCH_HISTORY = 5 };

/* What one run of a follower has saved last. */
typedef struct cfi_couch_entry {
  char *session; /* of the run */
  char *record;  /* of its position; see docs/checkpoint-format.md */
} cfi_couch_entry;

typedef struct cfi_couch_doc {
  char *rev; /* NULL: the document is not there */
  cfi_couch_entry entry[CFI_COUCH_HISTORY]; /* the newest first */
  size_t count;
} cfi_couch_doc;

/* "changefeed-" and 32 digits: what stands behind _local/. NULL: no memory. */
char *cfi_couch_name(const cfi_alloc *alloc, const char *key);

void cfi_couch_doc_free(const cfi_alloc *alloc, cfi_couch_doc *doc);

/* CHANGEFEED_OK; ERR_STORE: it is no such document; ERR_NOMEM. */
int cfi_couch_doc_parse(const cfi_alloc *alloc, const char *text, size_t len,
                        cfi_couch_doc *out, cfi_error *error);
/* Appends the document's JSON; false without memory. */
bool cfi_couch_doc_write(const cfi_couch_doc *doc, const char *name,
                         cfi_buf *out);

/* This run's record becomes the newest; older runs' are kept behind it. False
   without memory: nothing has changed. */
bool cfi_couch_doc_put(const cfi_alloc *alloc, cfi_couch_doc *doc,
                       const char *session, const char *record, size_t len);

/* The newest record that can be read. CHANGEFEED_OK, with a warning when it is
   not the newest there is; END: there is none; ERR_STORE, ERR_NOMEM. */
int cfi_couch_doc_position(const cfi_alloc *alloc, const cfi_couch_doc *doc,
                           const char *name, cfi_checkpoint *out,
                           cfi_error *warning, cfi_error *error);

#endif
