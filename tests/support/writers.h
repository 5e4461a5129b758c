/* Concurrent writers of a database for tests: threads that make, change and
   delete documents, each its own, and know in the end what must be there. */
#ifndef CFT_WRITERS_H
#define CFT_WRITERS_H

#include "wire.h"

typedef struct cft_writers cft_writers;

/* Starts `threads` writers (at most 8) that together make `documents` and then
   change about half and delete about a tenth of them. */
cft_writers *cft_writers_start(const char *url, unsigned threads,
                               unsigned documents);
/* True when every writer is done; never waits. */
bool cft_writers_done(cft_writers *w);
/* Waits for the writers, frees them, and answers id -> last rev of all they
   wrote, checked against _all_docs; a failure fails the test. */
cft_revs *cft_writers_join(cft_writers *w);

#endif
