/*
 * What the reader and the writer of snapshots share.
 */
#ifndef CFI_MIRROR_FILE_INT_H
#define CFI_MIRROR_FILE_INT_H

#include "file_write.h"
#include "mirror_file.h"
#include "mirror_file_format.h"

struct cfi_mirror_file {
  cfi_file file;
  cfi_mirror_file_state found;
  bool owned;   /* locked */
  bool writing; /* there is a writer */
};

/* Says what is wrong with the head of the file, and sets found. OK when
   nothing is. */
int cfi_mirror_file_judge(cfi_mirror_file *f, const unsigned char *data,
                          size_t len, cfi_snapshot_head *head,
                          cfi_error *error);
int cfi_mirror_file_damaged(cfi_mirror_file *f, const char *why,
                            cfi_error *error);

#endif
