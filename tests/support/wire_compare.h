/* Is an answer what a real server gave to the same request? */
#ifndef CFT_WIRE_COMPARE_H
#define CFT_WIRE_COMPARE_H

#include "wire.h"

/* Takes "_attachments" out of the documents of a body, in place. */
void cft_wire_drop_attachments(char *body);

/* Fails the test unless the answer of `len` bytes to a request of that method
   is the recording `want` but for seqs, dates, ids of requests, the order of
   rows, and attachments: status, header lines and their order, the body line by
   line, how rows are joined and put into chunks, and what follows the end.
   loose: another choice of rows is fine. `raw` is NUL-terminated. */
void cft_wire_same(const char *name, const cft_wire *want, const char *raw,
                   size_t len, const char *method, bool loose);

#endif
