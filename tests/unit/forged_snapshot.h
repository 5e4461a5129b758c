/*
 * Snapshots put together by hand, with right checksums around whatever is in
 * them: what a damaged disk does not make, but a bug or an enemy does.
 */
#ifndef CFT_UNIT_FORGED_SNAPSHOT_H
#define CFT_UNIT_FORGED_SNAPSHOT_H

#include <check.h>
#include <string.h>

#include "crc.h"
#include "mirror_file.h"
#include "mirror_file_format.h"

typedef struct forged {
  cfi_buf bytes, record;
  cfi_snapshot_head head;
  uint32_t crc; /* of what is there */
} forged;

/* A head that promises these entries, and the record of a position with as
   many rows; change them before forged_head. */
static inline void forged_begin(forged *f, const cfi_alloc *alloc, char *key,
                                uint64_t count, cfi_digest digest,
                                bool has_values) {
  cfi_checkpoint p = {key, NULL, NULL, NULL, NULL, 0, count};

  memset(f, 0, sizeof *f);
  cfi_buf_init(&f->bytes, alloc);
  cfi_buf_init(&f->record, alloc);
  ck_assert(cfi_checkpoint_encode(&p, &f->record));
  f->head.count = count;
  f->head.digest = digest;
  f->head.has_values = has_values;
  f->head.record_len = (uint32_t)f->record.len;
  f->head.record_crc = cfi_crc_of(0, cfi_buf_data(&f->record), f->record.len);
}

static inline void forged_put(forged *f, const void *data, size_t len) {
  ck_assert_int_eq(cfi_buf_append(&f->bytes, data, len, SIZE_MAX), CFI_BUF_OK);
}

static inline void forged_head(forged *f) {
  unsigned char data[CFI_SNAPSHOT_HEAD] = {0};

  cfi_snapshot_put_head(data, &f->head);
  f->crc = f->head.crc;
  forged_put(f, data, sizeof data);
  forged_put(f, cfi_buf_data(&f->record), f->record.len);
}

/* Sets 4 bytes of a head that was made, and its checksum right again. */
static inline void forged_patch(forged *f, size_t at, uint32_t value) {
  unsigned char *data = (unsigned char *)cfi_buf_data(&f->bytes);

  for (unsigned i = 0; i < 4; i++)
    data[at + i] = (unsigned char)(value >> (8 * i));
  f->crc = cfi_crc_of(0, data, CFI_SNAPSHOT_HEAD - 4);
  for (unsigned i = 0; i < 4; i++)
    data[CFI_SNAPSHOT_HEAD - 4 + i] = (unsigned char)(f->crc >> (8 * i));
}

/* A block of any bytes, said to hold so many entries. */
static inline void forged_block(forged *f, const void *payload, size_t len,
                                uint32_t entries) {
  unsigned char head[CFI_SNAPSHOT_BLOCK_HEAD] = {0};
  cfi_snapshot_block b = {(uint32_t)len, entries, 0};

  cfi_snapshot_put_block(head, &b, f->crc, payload);
  f->crc = b.crc;
  forged_put(f, head, sizeof head);
  if (len != 0)
    forged_put(f, payload, len);
}

static inline void forged_free(forged *f) {
  cfi_buf_free(&f->bytes);
  cfi_buf_free(&f->record);
}

#endif
