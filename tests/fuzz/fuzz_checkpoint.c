/*
 * Checkpoint records of any bytes: what is accepted is written again as the
 * same bytes. A checksum stops nearly everything a fuzzer makes, so the bytes
 * are tried a second time as the inside of a record that is right around it;
 * and a third time as the members of a record, which must survive, and must not
 * be believed any more once a byte has changed or its end is missing.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "checkpoint.h"
#include "crc.h"
#include "str.h"

static void try_decode(const cfi_alloc *heap, const char *data, size_t size) {
  cfi_checkpoint c;
  cfi_error error;
  cfi_buf again;
  int rc = cfi_checkpoint_decode(heap, data, size, &c, &error);

  if (rc != CHANGEFEED_OK) {
    CFT_FUZZ_CHECK(rc == CHANGEFEED_ERR_STORE);
    CFT_FUZZ_CHECK(error.text[0] != '\0');
    CFT_FUZZ_CHECK(c.feed == NULL && c.seq == NULL);
    return;
  }
  cfi_buf_init(&again, heap);
  CFT_FUZZ_CHECK(cfi_checkpoint_encode(&c, &again));
  CFT_FUZZ_CHECK(again.len == size);
  CFT_FUZZ_CHECK(memcmp(cfi_buf_data(&again), data, size) == 0);
  cfi_buf_free(&again);
  cfi_checkpoint_free(heap, &c);
}

static void try_body(const cfi_alloc *heap, const char *data, size_t size) {
  char head[64], crc_text[16];
  uint32_t crc;
  cfi_buf record;

  (void)snprintf(head, sizeof head, "changefeed-checkpoint 1 %zu ", size);
  crc = cfi_crc_of(0, head, strlen(head));
  crc = cfi_crc_of(crc, data, size);
  (void)snprintf(crc_text, sizeof crc_text, "%08lx\n", (unsigned long)crc);
  cfi_buf_init(&record, heap);
  cfi_buf_puts(&record, head);
  cfi_buf_puts(&record, crc_text);
  cfi_buf_put(&record, data, size);
  CFT_FUZZ_CHECK(cfi_buf_text(&record) != NULL);
  try_decode(heap, cfi_buf_data(&record), record.len);
  cfi_buf_free(&record);
}

/* The text up to the next NUL as a member, none when there is no more. */
static char *member(char **text, size_t *left) {
  char *value = *text;
  size_t len;

  if (*left == 0)
    return NULL;
  len = strlen(value) + 1;
  *text += len;
  *left -= len;
  return value;
}

static bool same(const char *a, const char *b) {
  return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* One changed byte and one cut, at places that the input decides. */
static void check_damage(const cfi_alloc *heap, cfi_buf *record) {
  char *text = cfi_buf_data(record);
  cfi_checkpoint c;
  cfi_error error;

  for (uint64_t i = 0; i < 4; i++) {
    uint64_t h = cfi_str_hash(i, text, record->len);
    size_t at = (size_t)(h % record->len);
    char right = text[at];

    text[at] = (char)((unsigned char)right ^ (1U << (h >> 40) % 8));
    CFT_FUZZ_CHECK(cfi_checkpoint_decode(heap, text, record->len, &c, &error) ==
                   CHANGEFEED_ERR_STORE);
    CFT_FUZZ_CHECK(cfi_checkpoint_is_damage(&error));
    text[at] = right;
    CFT_FUZZ_CHECK(cfi_checkpoint_decode(heap, text, at, &c, &error) ==
                   CHANGEFEED_ERR_STORE);
    CFT_FUZZ_CHECK(cfi_checkpoint_is_damage(&error));
  }
}

static void try_members(const cfi_alloc *heap, const char *data, size_t size) {
  char *copy = cfi_strndup(heap, data, size), *rest = copy;
  size_t left = size + 1;
  cfi_checkpoint c, back;
  cfi_error error;
  cfi_buf record;

  if (copy == NULL)
    return;
  memset(&c, 0, sizeof c);
  c.feed = member(&rest, &left);
  c.seq = member(&rest, &left);
  c.server_uuid = member(&rest, &left);
  c.instance_start_time = member(&rest, &left);
  c.marker = member(&rest, &left);
  memcpy(&c.saved_ms, data, size < 8 ? size : 8);
  memcpy(&c.rows, data + (size < 8 ? 0 : size - 8), size < 8 ? 0 : 8);
  cfi_buf_init(&record, heap);
  CFT_FUZZ_CHECK(cfi_checkpoint_encode(&c, &record));
  CFT_FUZZ_CHECK(cfi_checkpoint_decode(heap, cfi_buf_data(&record), record.len,
                                       &back, &error) == CHANGEFEED_OK);
  CFT_FUZZ_CHECK(same(c.feed, back.feed) && same(c.seq, back.seq));
  CFT_FUZZ_CHECK(same(c.server_uuid, back.server_uuid));
  CFT_FUZZ_CHECK(same(c.instance_start_time, back.instance_start_time));
  CFT_FUZZ_CHECK(same(c.marker, back.marker));
  CFT_FUZZ_CHECK(c.saved_ms == back.saved_ms && c.rows == back.rows);
  cfi_checkpoint_free(heap, &back);
  check_damage(heap, &record);
  cfi_buf_free(&record);
  cfi_free(heap, copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = size != 0 ? (const char *)data : "";
  cfi_alloc heap;

  CFT_FUZZ_CHECK(cfi_alloc_init(&heap, NULL));
  try_decode(&heap, text, size);
  try_body(&heap, text, size);
  try_members(&heap, text, size);
  return 0;
}
