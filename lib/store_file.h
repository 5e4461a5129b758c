/*
 * checkpoint=file:PATH: keeps the record in a file, atomically (written aside,
 * synced, renamed, directory synced), the copy before it as PATH.prev, and a
 * lock against a second process on PATH.lock. Blocks while it writes.
 */
#ifndef CFI_STORE_FILE_H
#define CFI_STORE_FILE_H

#include "checkpoint.h"

typedef struct cfi_store_file cfi_store_file;

/* Takes the lock, which ends with the process or with cfi_store_file_close,
   and binds to the directory: a later chdir changes nothing. ERR_STORE: another
   process (or another store of this one) holds it, or the path cannot be used
   (the sentence says which); ERR_NOMEM. */
int cfi_store_file_open(const cfi_alloc *alloc, const char *path,
                        cfi_store_file **out, cfi_error *error);
/* In a child of fork() too: the parent keeps its lock. NULL is allowed. */
void cfi_store_file_close(cfi_store_file *store);

/* Reads the record; the older copy when the newer is damaged or missing, then
   *warning holds a sentence (else it is cleared). CHANGEFEED_OK;
   CHANGEFEED_END: neither file is there; ERR_STORE: both are damaged (or one
   is, and the other missing), or one cannot be read, is of a newer version or
   of another program; ERR_NOMEM. */
int cfi_store_file_load(cfi_store_file *store, cfi_checkpoint *out,
                        cfi_error *warning, cfi_error *error);
/* The last load failed because of damage alone: the position is lost, and a
   new one may take its place. */
bool cfi_store_file_is_damaged(const cfi_store_file *store);
/* Makes data the newer copy, and the newer one the older if it is good. A file
   of a newer version or another program is never replaced.
   ERR_STORE: not saved, what was saved before is intact; but when the sentence
   says that the directory could not be synced, data is in place and only not
   sure to outlive a power cut. */
int cfi_store_file_save(cfi_store_file *store, const char *data, size_t len,
                        cfi_error *error);

#endif
