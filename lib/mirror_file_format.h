/*
 * The bytes of a snapshot: its head, the heads of blocks, and entries, made
 * and taken apart in memory. Numbers are little-endian on every machine.
 */
#ifndef CFI_MIRROR_FILE_FORMAT_H
#define CFI_MIRROR_FILE_FORMAT_H

#include "buf.h"
#include "mirror_tree.h"

enum {
  CFI_SNAPSHOT_VERSION = 1,
  CFI_SNAPSHOT_HEAD = 64,           /* bytes; followed by the record */
  CFI_SNAPSHOT_BLOCK_HEAD = 12,     /* bytes; followed by the entries */
  CFI_SNAPSHOT_BLOCK = 64 * 1024,   /* a block with so many bytes is full */
  CFI_SNAPSHOT_BLOCK_MAX = 1 << 30, /* one entry may be long */
  CFI_SNAPSHOT_RECORD_MAX = 1 << 26
};

typedef struct cfi_snapshot_head {
  uint64_t count;
  cfi_digest digest;
  uint32_t record_len, record_crc;
  bool has_values;
  uint32_t crc; /* its own, where the checksums of the blocks begin */
} cfi_snapshot_head;

/* Sets head->crc. */
void cfi_snapshot_put_head(unsigned char out[CFI_SNAPSHOT_HEAD],
                           cfi_snapshot_head *head);

typedef enum cfi_snapshot_verdict {
  CFI_SNAPSHOT_GOOD,
  CFI_SNAPSHOT_DAMAGED,
  CFI_SNAPSHOT_NEWER,
  CFI_SNAPSHOT_FOREIGN
} cfi_snapshot_verdict;

/* Of the first len bytes of a file, at most CFI_SNAPSHOT_HEAD. *why: half a
   sentence about damage; *version: of a newer one. */
cfi_snapshot_verdict cfi_snapshot_get_head(const unsigned char *data,
                                           size_t len, cfi_snapshot_head *head,
                                           uint32_t *version, const char **why);

typedef struct cfi_snapshot_block {
  uint32_t len, entries; /* of the payload */
  uint32_t crc;
} cfi_snapshot_block;

/* block->crc is made from the one before and these bytes. */
void cfi_snapshot_put_block(unsigned char out[CFI_SNAPSHOT_BLOCK_HEAD],
                            cfi_snapshot_block *block, uint32_t crc_before,
                            const void *payload);
void cfi_snapshot_get_block(const unsigned char data[CFI_SNAPSHOT_BLOCK_HEAD],
                            cfi_snapshot_block *block);
/* Does the checksum hold? */
bool cfi_snapshot_block_holds(const unsigned char head[CFI_SNAPSHOT_BLOCK_HEAD],
                              const void *payload, uint32_t crc_before);

/* An entry; value.data NULL: it has none. */
typedef struct cfi_snapshot_entry {
  changefeed_str id, rev, value;
} cfi_snapshot_entry;

/* Bytes that put_entry needs at most; false when that is beyond
   CFI_SNAPSHOT_BLOCK_MAX. */
bool cfi_snapshot_entry_room(const cfi_snapshot_entry *entry, size_t *room);
/* Answers the end of what it wrote. */
unsigned char *cfi_snapshot_put_entry(unsigned char *out,
                                      const cfi_snapshot_entry *entry,
                                      bool has_values);
/* Takes one from *at on; false when none stands there that ends before end.
   What is in out points into the data, rev maybe to rev_room. */
bool cfi_snapshot_get_entry(const unsigned char **at, const unsigned char *end,
                            bool has_values, char rev_room[CFI_TREE_REV_ROOM],
                            cfi_snapshot_entry *out);

#endif
