/*
 * checkpoint=file:PATH: keeps the record in a file, atomically (written aside,
 * synced, renamed, directory synced), the copy before it as PATH.prev, and a
 * lock against a second process on PATH.lock. Blocks while it writes.
 */
#ifndef CFI_STORE_FILE_H
#define CFI_STORE_FILE_H

#include "checkpoint.h"

typedef struct cfi_store_file cfi_store_file;

/* Takes the lock. ERR_STORE: another process holds it, or the directory cannot
   be used (the sentence says which); ERR_NOMEM. */
int cfi_store_file_open(const cfi_alloc *alloc, const char *path,
                        cfi_store_file **out, cfi_error *error);
void cfi_store_file_close(cfi_store_file *store);

/* Reads the record; the older copy when the newer is damaged or missing, then
   *warning holds a sentence. CHANGEFEED_OK; CHANGEFEED_END: neither file is
   there; ERR_STORE: both are damaged, or unreadable. */
int cfi_store_file_load(cfi_store_file *store, cfi_checkpoint *out,
                        cfi_error *warning, cfi_error *error);
/* ERR_STORE: not saved, what was saved before is intact. */
int cfi_store_file_save(cfi_store_file *store, const char *data, size_t len,
                        cfi_error *error);

#endif
