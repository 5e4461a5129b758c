/*
 * The stored position: a small record of what was followed and how far, as
 * bytes with a version, a length and a checksum. Encodes and decodes; where
 * the bytes are kept is a store's business. The format is described in
 * docs/checkpoint-format.md.
 */
#ifndef CFI_CHECKPOINT_H
#define CFI_CHECKPOINT_H

#include "buf.h"
#include "error.h"

typedef struct cfi_checkpoint {
  char *feed;        /* key of what is followed: URL shown, filter and its
                        parameters, style; compared as a whole */
  char *seq;         /* the position; NULL: none yet */
  char *server_uuid; /* identity, each NULL when not known */
  char *instance_start_time;
  char *marker;
  int64_t saved_ms; /* wall clock */
  uint64_t rows;    /* acknowledged in all, for people */
} cfi_checkpoint;

void cfi_checkpoint_free(const cfi_alloc *alloc, cfi_checkpoint *c);

/* Appends the record to out; false without memory, and then nothing can be
   read from out. feed NULL counts as "". */
bool cfi_checkpoint_encode(const cfi_checkpoint *c, cfi_buf *out);

/* CHANGEFEED_OK; ERR_STORE with a sentence (damaged: length, checksum, format;
   a newer version; another program's file); ERR_NOMEM. out is filled only on
   OK. What is accepted is, byte for byte, what encode makes of it. */
int cfi_checkpoint_decode(const cfi_alloc *alloc, const char *data, size_t len,
                          cfi_checkpoint *out, cfi_error *error);

/* True when an ERR_STORE of decode, or of a store's load, is about a record
   that was ours and was damaged: the position is lost, and a new one may take
   its place. False: a newer version, another program's file, or a file that
   cannot be read, which nobody may overwrite. */
bool cfi_checkpoint_is_damage(const cfi_error *error);

#endif
