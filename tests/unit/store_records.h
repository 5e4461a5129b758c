/*
 * Records whose only difference is a number, and the store calls on them that
 * every test of the checkpoint file makes.
 */
#ifndef CFT_UNIT_STORE_RECORDS_H
#define CFT_UNIT_STORE_RECORDS_H

#include "store_file.h"

#include "unit/scratch_dir.h"

/* Saves the record of this number; what cfi_store_file_save answers. */
static inline int save_number(cfi_store_file *store, uint64_t number,
                              cfi_error *error) {
  char feed[] = "http://h/db", seq[32];
  cfi_checkpoint c = {feed, seq, NULL, NULL, NULL, 1763860000123, number};
  cfi_alloc heap;
  cfi_buf record;
  int rc;

  ck_assert(cfi_alloc_init(&heap, NULL));
  (void)snprintf(seq, sizeof seq, "%d-g1AAAA", (int)number);
  cfi_buf_init(&record, &heap);
  ck_assert(cfi_checkpoint_encode(&c, &record));
  rc = cfi_store_file_save(store, cfi_buf_data(&record), record.len, error);
  cfi_buf_free(&record);
  return rc;
}

static inline void must_save(cfi_store_file *store, uint64_t number) {
  cfi_error error;
  int rc = save_number(store, number, &error);

  ck_assert_msg(rc == CHANGEFEED_OK, "%s", error.text);
}

static inline cfi_store_file *must_open(const char *path) {
  static cfi_alloc heap;
  cfi_store_file *store;
  cfi_error error;
  int rc;

  ck_assert(cfi_alloc_init(&heap, NULL));
  rc = cfi_store_file_open(&heap, path, &store, &error);
  ck_assert_msg(rc == CHANGEFEED_OK, "%s", error.text);
  return store;
}

/* The number that is stored, 0 when there is none; it must be readable. */
static inline uint64_t must_load(cfi_store_file *store, cfi_error *warning) {
  char seq[32];
  cfi_checkpoint c;
  cfi_alloc heap;
  cfi_error error;
  uint64_t number;
  int rc = cfi_store_file_load(store, &c, warning, &error);

  ck_assert(cfi_alloc_init(&heap, NULL));
  ck_assert(!cfi_store_file_is_damaged(store));
  if (rc == CHANGEFEED_END)
    return 0;
  ck_assert_msg(rc == CHANGEFEED_OK, "%s", error.text);
  (void)snprintf(seq, sizeof seq, "%d-g1AAAA", (int)c.rows);
  ck_assert_str_eq(c.seq, seq);
  number = c.rows;
  cfi_checkpoint_free(&heap, &c);
  return number;
}

/* The same without a store that is open. */
static inline uint64_t stored_number(const char *path, cfi_error *warning) {
  cfi_store_file *store = must_open(path);
  uint64_t number = must_load(store, warning);

  cfi_store_file_close(store);
  return number;
}

#endif
