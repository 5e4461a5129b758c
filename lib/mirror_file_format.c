/*
 * The head has this form in every version to come as far as its magic, its
 * version and its checksum go, so that a newer one is told from damage.
 */
#include "mirror_file_format.h"

#include <string.h>

#include "crc.h"
#include "file_write.h"
#include "mirror_tree_rev.h"

static const char MAGIC[] = "changefeed-snapshot\n";
enum {
  MAGIC_LEN = sizeof MAGIC - 1,
  AT_VERSION = MAGIC_LEN,
  AT_FLAGS = 24,
  AT_RECORD_LEN = 28,
  AT_COUNT = 32,
  AT_DIGEST = 40,
  AT_RECORD_CRC = 56,
  AT_CRC = 60,
  HAS_VALUES = 1 /* the only flag */
};

enum { REV_BYTES = 16 };
/* The tree packs no generation of more than 18 digits. */
static const uint64_t GENERATION_MAX = UINT64_C(999999999999999999);

/* ---- numbers ---- */

static void put_u32(unsigned char *out, uint32_t value) {
  for (unsigned i = 0; i < 4; i++)
    out[i] = (unsigned char)(value >> (8 * i));
}

static void put_u64(unsigned char *out, uint64_t value) {
  put_u32(out, (uint32_t)value);
  put_u32(out + 4, (uint32_t)(value >> 32));
}

static uint32_t get_u32(const unsigned char *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
         (uint32_t)p[3] << 24;
}

static uint64_t get_u64(const unsigned char *p) {
  return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

/* As cfi_tree_number_put writes it, which is in one way only. */
static bool get_number(const unsigned char **at, const unsigned char *end,
                       uint64_t *out) {
  const unsigned char *p = *at;
  uint64_t value = 0;

  for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
    unsigned char byte = *p++;

    /* The tenth byte has room for one bit, and none is written as 0 at the
       end. */
    if ((shift == 63 && byte > 1) || (byte == 0 && shift != 0))
      return false;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *at = p;
      *out = value;
      return true;
    }
  }
  return false;
}

/* ---- the head ---- */

void cfi_snapshot_put_head(unsigned char out[CFI_SNAPSHOT_HEAD],
                           cfi_snapshot_head *head) {
  memcpy(out, MAGIC, MAGIC_LEN);
  put_u32(out + AT_VERSION, CFI_SNAPSHOT_VERSION);
  put_u32(out + AT_FLAGS, head->has_values ? HAS_VALUES : 0);
  put_u32(out + AT_RECORD_LEN, head->record_len);
  put_u64(out + AT_COUNT, head->count);
  put_u64(out + AT_DIGEST, head->digest.low);
  put_u64(out + AT_DIGEST + 8, head->digest.high);
  put_u32(out + AT_RECORD_CRC, head->record_crc);
  head->crc = cfi_crc_of(0, out, AT_CRC);
  put_u32(out + AT_CRC, head->crc);
}

static cfi_snapshot_verdict damaged(const char **why, const char *reason) {
  *why = reason;
  return CFI_SNAPSHOT_DAMAGED;
}

cfi_snapshot_verdict cfi_snapshot_get_head(const unsigned char *data,
                                           size_t len, cfi_snapshot_head *head,
                                           uint32_t *version,
                                           const char **why) {
  uint32_t flags;

  memset(head, 0, sizeof *head);
  if (len == 0)
    return damaged(why, "it is empty");
  if (cfi_file_is_foreign(MAGIC, MAGIC_LEN, data, len))
    return CFI_SNAPSHOT_FOREIGN;
  if (len < CFI_SNAPSHOT_HEAD)
    return damaged(why, "it has been cut off within its head");
  if (memcmp(data, MAGIC, MAGIC_LEN) != 0)
    return damaged(why, "its first line is not that of a snapshot");
  head->crc = get_u32(data + AT_CRC);
  if (cfi_crc_of(0, data, AT_CRC) != head->crc)
    return damaged(why, "the checksum of its head is wrong");
  *version = get_u32(data + AT_VERSION);
  if (*version > CFI_SNAPSHOT_VERSION)
    return CFI_SNAPSHOT_NEWER;
  flags = get_u32(data + AT_FLAGS);
  if (*version != CFI_SNAPSHOT_VERSION || (flags & ~(uint32_t)HAS_VALUES) != 0)
    return damaged(why, "its version never existed");
  head->has_values = flags != 0;
  head->count = get_u64(data + AT_COUNT);
  head->digest.low = get_u64(data + AT_DIGEST);
  head->digest.high = get_u64(data + AT_DIGEST + 8);
  head->record_len = get_u32(data + AT_RECORD_LEN);
  head->record_crc = get_u32(data + AT_RECORD_CRC);
  return CFI_SNAPSHOT_GOOD;
}

/* ---- blocks ---- */

/* Goes on from the sum before: so a block that was right at another place, or
   in an older snapshot, is wrong here. */
static uint32_t block_crc(uint32_t before, const unsigned char *head,
                          const void *payload, size_t len) {
  return cfi_crc_of(cfi_crc_of(before, head, 8), payload, len);
}

void cfi_snapshot_put_block(unsigned char out[CFI_SNAPSHOT_BLOCK_HEAD],
                            cfi_snapshot_block *block, uint32_t crc_before,
                            const void *payload) {
  put_u32(out, block->len);
  put_u32(out + 4, block->entries);
  block->crc = block_crc(crc_before, out, payload, block->len);
  put_u32(out + 8, block->crc);
}

void cfi_snapshot_get_block(const unsigned char data[CFI_SNAPSHOT_BLOCK_HEAD],
                            cfi_snapshot_block *block) {
  block->len = get_u32(data);
  block->entries = get_u32(data + 4);
  block->crc = get_u32(data + 8);
}

bool cfi_snapshot_block_holds(const unsigned char head[CFI_SNAPSHOT_BLOCK_HEAD],
                              const void *payload, uint32_t crc_before) {
  return block_crc(crc_before, head, payload, get_u32(head)) ==
         get_u32(head + 8);
}

/* ---- entries ---- */

bool cfi_snapshot_entry_room(const cfi_snapshot_entry *entry, size_t *room) {
  size_t fixed = 2 * CFI_TREE_NUMBER_ROOM + sizeof((cfi_tree_packed *)0)->head;

  return cfi_add(fixed, entry->id.len, room) &&
         cfi_add(*room, entry->rev.len, room) &&
         cfi_add(*room, entry->value.len, room) &&
         *room <= CFI_SNAPSHOT_BLOCK_MAX;
}

static unsigned char *put_bytes(unsigned char *out, changefeed_str text) {
  if (text.len != 0)
    memcpy(out, text.data, text.len);
  return out + text.len;
}

static unsigned char *put_number(unsigned char *out, uint64_t number) {
  return out + cfi_tree_number_put(out, number);
}

unsigned char *cfi_snapshot_put_entry(unsigned char *out,
                                      const cfi_snapshot_entry *entry,
                                      bool has_values) {
  cfi_tree_packed rev;

  out = put_bytes(put_number(out, entry->id.len), entry->id);
  cfi_tree_rev_pack(entry->rev, &rev);
  memcpy(out, rev.head, rev.head_len);
  out = put_bytes(out + rev.head_len, rev.tail);
  if (!has_values)
    return out;
  if (entry->value.data == NULL)
    return put_number(out, 0);
  return put_bytes(put_number(out, (uint64_t)entry->value.len + 1),
                   entry->value);
}

static bool get_bytes(const unsigned char **at, const unsigned char *end,
                      uint64_t len, changefeed_str *out) {
  if (len > (uint64_t)(end - *at))
    return false;
  out->data = (const char *)*at;
  out->len = (size_t)len;
  *at += len;
  return true;
}

/* Up to the end of the revision, of either form. */
static bool skip_rev(const unsigned char **at, const unsigned char *end) {
  changefeed_str text;
  uint64_t n;

  if (!get_number(at, end, &n) || n > GENERATION_MAX)
    return false;
  if (n != 0)
    return get_bytes(at, end, REV_BYTES, &text);
  return get_number(at, end, &n) && get_bytes(at, end, n, &text);
}

bool cfi_snapshot_get_entry(const unsigned char **at, const unsigned char *end,
                            bool has_values, char rev_room[CFI_TREE_REV_ROOM],
                            cfi_snapshot_entry *out) {
  const unsigned char *rev;
  uint64_t n;

  out->value = (changefeed_str){NULL, 0};
  if (!get_number(at, end, &n) || !get_bytes(at, end, n, &out->id))
    return false;
  rev = *at;
  if (!skip_rev(at, end))
    return false;
  out->rev = cfi_tree_rev_text(rev, rev_room);
  if (!has_values)
    return true;
  if (!get_number(at, end, &n))
    return false;
  return n == 0 || get_bytes(at, end, n - 1, &out->value);
}
