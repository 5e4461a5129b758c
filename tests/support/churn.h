/* A writer that goes on until it is told to stop: a thread that makes, changes
   and deletes documents of a database over HTTP, a few at a time, by seed, and
   knows in the end what must be there. */
#ifndef CFT_CHURN_H
#define CFT_CHURN_H

#include "wire.h"

typedef struct cft_churn cft_churn;

/* Lumps of 1 to 20 documents, one about each pause_ms. */
cft_churn *cft_churn_start(const char *url, uint64_t seed, unsigned pause_ms);

/* Documents written so far. */
size_t cft_churn_written(const cft_churn *churn);

/* Ends the thread and frees; id -> last rev of all it wrote. A write that was
   refused fails the test. */
cft_revs *cft_churn_stop(cft_churn *churn);

#endif
