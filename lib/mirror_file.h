/*
 * A mirror's snapshot on disk: all entries of one version of its tree, with the
 * position and identity they belong to. Written aside in small steps and put in
 * place as a whole; read at once, and believed only when everything in it is
 * right. docs/snapshot-format.md describes the bytes. Knows nothing of feeds.
 *
 * No older copy is kept, as a checkpoint has one: what is lost with a snapshot
 * is time, and a copy would cost its size.
 */
#ifndef CFI_MIRROR_FILE_H
#define CFI_MIRROR_FILE_H

#include "checkpoint.h"
#include "mirror_tree.h"

typedef struct cfi_mirror_file cfi_mirror_file;
typedef struct cfi_mirror_writer cfi_mirror_writer;

/* How values become bytes and come back. Each answers CHANGEFEED_OK, or an
   error with its sentence. */
typedef struct cfi_mirror_codec {
  /* Appends the bytes of entry->value, which is not NULL, to out, empty
     before. */
  int (*encode)(void *ctx, const cfi_tree_entry *entry, cfi_buf *out,
                cfi_error *error);
  /* Makes *value, counted once for its taker. What is handed in is borrowed
     and not terminated. */
  int (*decode)(void *ctx, changefeed_str id, changefeed_str rev,
                changefeed_str bytes, void **value, cfi_error *error);
  /* Gives back what decode made and no tree took. */
  void (*drop)(void *ctx, void *value);
  void *ctx;
} cfi_mirror_codec;

typedef enum cfi_mirror_file_mode {
  CFI_MIRROR_FILE_OWN, /* locked; to load and to save */
  CFI_MIRROR_FILE_READ /* not locked; to load only. Nothing is written, and it
                          is safe while another process saves */
} cfi_mirror_file_mode;

/* Binds to the directory: a later chdir changes nothing. OWN takes the lock
   PATH.lock, which ends with the process or with close, and removes what a
   killed writer left. ERR_STORE: another process (or another one of this)
   holds it, or the path cannot be used; ERR_NOMEM. */
int cfi_mirror_file_open(const cfi_alloc *alloc, const char *path,
                         cfi_mirror_file_mode mode, cfi_mirror_file **out,
                         cfi_error *error);
/* No writer may be left. NULL is allowed. */
void cfi_mirror_file_close(cfi_mirror_file *f);

/* ---- loading ---- */

/* What the last load or save found at the path. */
typedef enum cfi_mirror_file_state {
  CFI_MIRROR_FILE_UNKNOWN, /* nothing was tried, or it could not be read */
  CFI_MIRROR_FILE_ABSENT,
  CFI_MIRROR_FILE_GOOD,
  CFI_MIRROR_FILE_DAMAGED,
  CFI_MIRROR_FILE_OTHER,  /* good, with another key; or without values, which
                             were asked for */
  CFI_MIRROR_FILE_NEWER,  /* of a later version of the library */
  CFI_MIRROR_FILE_FOREIGN /* another program wrote it */
} cfi_mirror_file_state;
cfi_mirror_file_state cfi_mirror_file_found(const cfi_mirror_file *f);

/* Fills tree, which is empty, and position: feed is the key of what is
   mirrored, rows the number of entries. key NULL: any will do; codec NULL:
   values are not read. Publishes nothing.
   CHANGEFEED_OK; END: the file is not there; ERR_STORE with a sentence that
   names the file and the reason; ERR_NOMEM; what codec answered. Unless OK the
   tree is empty, and there is nothing to be freed. */
int cfi_mirror_file_load(cfi_mirror_file *f, const char *key,
                         const cfi_mirror_codec *codec, cfi_tree *tree,
                         cfi_checkpoint *position, cfi_error *error);

/* ---- saving ---- */

/* What is saved: a walk over all of a version of the tree, not begun yet, and
   what that version says of itself. It must not change until the writer is
   freed. */
typedef struct cfi_mirror_content {
  cfi_tree_walk walk;
  uint64_t count;
  cfi_digest digest;
} cfi_mirror_content;

/* Begins to write PATH.tmp. position is used here only; its feed is the key,
   its rows are not looked at. codec NULL: values are not saved. ERR_STORE: what
   stands at the path is of a newer version or another program, or the disk
   refuses; ERR_STATE: another writer of f is there, or f is only read;
   ERR_NOMEM. */
int cfi_mirror_writer_begin(cfi_mirror_file *f, const cfi_checkpoint *position,
                            const cfi_mirror_content *content,
                            const cfi_mirror_codec *codec,
                            cfi_mirror_writer **out, cfi_error *error);
/* Goes on by at most max_entries, or about a MiB, or by one wait for the disk
   to take some MiB. CHANGEFEED_TIMEOUT: there is more to do; OK: the file is in
   place. Errors as above: nothing was saved, what was saved before is intact,
   and only free may follow; but when the sentence says that the directory could
   not be synced, the file is in place and only not sure to outlive a power
   cut. */
int cfi_mirror_writer_step(cfi_mirror_writer *w, size_t max_entries,
                           cfi_error *error);
/* Not finished: what was written is removed. NULL is allowed. */
void cfi_mirror_writer_free(cfi_mirror_writer *w);

/* All at once. */
int cfi_mirror_file_save(cfi_mirror_file *f, const cfi_checkpoint *position,
                         const cfi_mirror_content *content,
                         const cfi_mirror_codec *codec, cfi_error *error);

#endif
