/*
 * A file that is replaced as a whole and outlives crashes: written aside,
 * synced, renamed, the directory synced; and a lock beside it against a second
 * process. Everything is done relative to a descriptor of the directory, so
 * that a later chdir changes nothing. Knows nothing of what the bytes mean.
 */
#ifndef CFI_FILE_WRITE_H
#define CFI_FILE_WRITE_H

#include "alloc.h"
#include "error.h"

/* The names beside PATH. */
typedef enum cfi_file_name {
  CFI_FILE_ITSELF, /* PATH */
  CFI_FILE_PREV,   /* PATH.prev: an older copy */
  CFI_FILE_ASIDE,  /* PATH.tmp: a copy being written */
  CFI_FILE_LOCK,   /* PATH.lock */
  CFI_FILE_NAMES
} cfi_file_name;

/* For sentences. */
typedef struct cfi_file_kind {
  const char *what;    /* "checkpoint" */
  const char *example; /* of a path, as a person would write it */
} cfi_file_kind;

typedef struct cfi_file {
  const cfi_alloc *alloc;
  const cfi_file_kind *kind;
  char *path;                  /* as the caller wrote it */
  char *names[CFI_FILE_NAMES]; /* without the directory */
  int dir_fd, lock_fd;         /* -1: not open */
} cfi_file;

/* Binds to the directory; what stands at PATH must be a regular file or
   nothing. OK; ERR_STORE with a sentence; ERR_NOMEM. f is to be closed in any
   case. kind lives as long as f. */
int cfi_file_open(cfi_file *f, const cfi_alloc *alloc,
                  const cfi_file_kind *kind, const char *path,
                  cfi_error *error);
/* ERR_STORE: another process, or another cfi_file of this one, holds the lock.
   It ends with the process or with cfi_file_close. */
int cfi_file_lock(cfi_file *f, cfi_error *error);
/* In a child of fork() too: the parent keeps its lock. */
void cfi_file_close(cfi_file *f);

/* "Cannot WHAT the KIND PATH: ...", with the errno. */
int cfi_file_fail(const cfi_file *f, const char *what, cfi_file_name name,
                  int number, cfi_error *error);
int cfi_file_no_memory(const cfi_file *f, cfi_error *error);
/* ".prev" and the like, "" for PATH itself. */
const char *cfi_file_suffix(cfi_file_name name);

/* OK: *fd reads a regular file of *size bytes; END: it is not there; ERR_STORE.
   Links are not followed, nothing is waited for. */
int cfi_file_open_to_read(const cfi_file *f, cfi_file_name name, int *fd,
                          uint64_t *size, cfi_error *error);
/* Up to size bytes, fewer at the end of the file only; 0 or an errno. */
int cfi_file_read(int fd, void *data, size_t size, size_t *len);

/* *fd writes a new, empty file of mode 0600. What stood there is the rest of a
   process that died, or a trap: the lock says that nobody writes it now. */
int cfi_file_create(const cfi_file *f, cfi_file_name name, int *fd,
                    cfi_error *error);
/* Each 0 or an errno. */
int cfi_file_write(int fd, const void *data, size_t len);
int cfi_file_sync(int fd);
/* Closes what cfi_file_create opened, synced; when number is not 0 (the errno
   of a write) or this fails, the file is removed. */
int cfi_file_finish(const cfi_file *f, cfi_file_name name, int fd, int number,
                    cfi_error *error);
void cfi_file_remove(const cfi_file *f, cfi_file_name name);

/* PATH.tmp becomes PATH. *replaced: it has, whatever is answered; with
   ERR_STORE it may not outlive a power cut then. Without, it is removed. */
int cfi_file_replace(const cfi_file *f, bool *replaced, cfi_error *error);

/* Damage of a file of ours, or a file that was never ours? By its first bytes,
   which should be magic. */
bool cfi_file_is_foreign(const char *magic, size_t magic_len, const void *data,
                         size_t len);

#endif
