/*
 * The reader of snapshots: block by block into one buffer, never larger than
 * what is left of the file, and from there into the tree.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "crc.h"
#include "mirror_file_int.h"
#include "str.h"

typedef struct reader {
  cfi_mirror_file *file;
  const cfi_alloc *alloc;
  const cfi_mirror_codec *codec; /* NULL: values are passed over */
  cfi_tree *tree;
  cfi_error *error;
  int fd;
  uint64_t left; /* bytes of the file that were not read yet */
  cfi_snapshot_head head;
  uint64_t entries;       /* read so far */
  uint32_t crc;           /* of the block before, or of the head */
  unsigned char *payload; /* of this block */
  size_t cap;
  cfi_buf last_id; /* of the block before */
} reader;

static int damaged(reader *r, const char *why) {
  return cfi_mirror_file_damaged(r->file, why, r->error);
}

/* Exactly len bytes, which the caller has seen to be left. */
static int take(reader *r, void *data, size_t len) {
  size_t got;
  int number = cfi_file_read(r->fd, data, len, &got);

  if (number != 0)
    return cfi_file_fail(&r->file->file, "read", CFI_FILE_ITSELF, number,
                         r->error);
  r->left -= got;
  return got == len ? CHANGEFEED_OK
                    : damaged(r, "it became shorter while it was read");
}

/* ---- the head ---- */

static int read_head(reader *r) {
  unsigned char data[CFI_SNAPSHOT_HEAD];
  size_t len = r->left < sizeof data ? (size_t)r->left : sizeof data;
  int rc = take(r, data, len);

  if (rc == CHANGEFEED_OK)
    rc = cfi_mirror_file_judge(r->file, data, len, &r->head, r->error);
  r->crc = r->head.crc;
  return rc;
}

static int decode_record(reader *r, const char *data, size_t len,
                         cfi_checkpoint *position) {
  cfi_error inner;
  int rc = cfi_checkpoint_decode(r->alloc, data, len, position, &inner);

  if (rc == CHANGEFEED_ERR_NOMEM)
    cfi_error_copy(r->error, &inner);
  else if (rc != CHANGEFEED_OK)
    rc = damaged(r, inner.text);
  else if (position->rows != r->head.count)
    rc = damaged(r, "its head and its position tell different numbers of "
                    "entries");
  return rc;
}

/* The checksum comes first: a record of right form that is damaged is not
   quoted to anybody. */
static int read_record(reader *r, cfi_checkpoint *position) {
  size_t len = r->head.record_len;
  char *data;
  int rc;

  if (len > CFI_SNAPSHOT_RECORD_MAX)
    return damaged(r, "its position is too long");
  if (len > r->left)
    return damaged(r, "it has been cut off within its position");
  data = cfi_malloc(r->alloc, len + 1);
  if (data == NULL)
    return cfi_file_no_memory(&r->file->file, r->error);
  rc = take(r, data, len);
  if (rc == CHANGEFEED_OK && cfi_crc_of(0, data, len) != r->head.record_crc)
    rc = damaged(r, "the checksum of its position is wrong");
  if (rc == CHANGEFEED_OK)
    rc = decode_record(r, data, len, position);
  cfi_free(r->alloc, data);
  return rc;
}

/* Good, but not what was asked for. */
static int check_purpose(reader *r, const char *key,
                         const cfi_checkpoint *position) {
  const char *path = r->file->file.path;

  if (key != NULL && strcmp(key, position->feed) != 0) {
    r->file->found = CFI_MIRROR_FILE_OTHER;
    return cfi_error_set(r->error, CHANGEFEED_ERR_STORE,
                         "The snapshot %s belongs to another mirror: it was "
                         "made of \"%s\", not of \"%s\".",
                         path, position->feed, key);
  }
  if (r->codec != NULL && !r->head.has_values) {
    r->file->found = CFI_MIRROR_FILE_OTHER;
    return cfi_error_set(r->error, CHANGEFEED_ERR_STORE,
                         "The snapshot %s holds revisions only, no documents.",
                         path);
  }
  return CHANGEFEED_OK;
}

/* ---- entries ---- */

static int decode_value(reader *r, const cfi_snapshot_entry *e, void **value) {
  const cfi_mirror_codec *codec = r->codec;

  *value = NULL;
  if (codec == NULL || e->value.data == NULL)
    return CHANGEFEED_OK;
  return codec->decode(codec->ctx, e->id, e->rev, e->value, value, r->error);
}

/* Why did the tree not take it? */
static int refused(reader *r, changefeed_str before, changefeed_str id) {
  size_t len = before.len < id.len ? before.len : id.len;
  int order = len != 0 ? memcmp(before.data, id.data, len) : 0;

  if (r->entries != 0 && (order > 0 || (order == 0 && before.len >= id.len)))
    return damaged(r, "its entries are not in order");
  return cfi_file_no_memory(&r->file->file, r->error);
}

/* before: the id before this block's first, then that of the entry before. */
static int add(reader *r, const cfi_snapshot_entry *e, changefeed_str *before) {
  void *value;
  int rc = decode_value(r, e, &value);

  if (rc != CHANGEFEED_OK)
    return rc;
  if (!cfi_tree_append(r->tree, e->id, e->rev, value)) {
    if (value != NULL)
      r->codec->drop(r->codec->ctx, value);
    return refused(r, *before, e->id);
  }
  r->entries++;
  *before = e->id;
  return CHANGEFEED_OK;
}

static int add_block(reader *r, const cfi_snapshot_block *block) {
  const unsigned char *at = r->payload, *end = at + block->len;
  changefeed_str before = {cfi_buf_data(&r->last_id), r->last_id.len};
  char rev_room[CFI_TREE_REV_ROOM];
  cfi_snapshot_entry e;

  for (uint32_t i = 0; i < block->entries; i++) {
    int rc;

    if (!cfi_snapshot_get_entry(&at, end, r->head.has_values, rev_room, &e))
      return damaged(r, "an entry is not written as it should be");
    rc = add(r, &e, &before);
    if (rc != CHANGEFEED_OK)
      return rc;
  }
  if (at != end)
    return damaged(r, "a block holds more than its entries");
  /* The next block takes this one's place. */
  cfi_buf_clear(&r->last_id, CFI_SNAPSHOT_BLOCK);
  if (cfi_buf_append(&r->last_id, before.data, before.len, SIZE_MAX) !=
      CFI_BUF_OK)
    return cfi_file_no_memory(&r->file->file, r->error);
  return CHANGEFEED_OK;
}

/* Room for a block, and a word of sense about what its head says. */
static int prepare_block(reader *r, const cfi_snapshot_block *block) {
  if (block->len > CFI_SNAPSHOT_BLOCK_MAX || block->entries == 0)
    return damaged(r, "the head of a block is not written as it should be");
  if (block->len > r->left)
    return damaged(r, "it has been cut off");
  if (block->entries > r->head.count - r->entries)
    return damaged(r, "it holds more entries than its head says");
  if (block->len <= r->cap)
    return CHANGEFEED_OK;
  cfi_free(r->alloc, r->payload);
  r->cap = 0;
  r->payload = cfi_malloc(r->alloc, block->len);
  if (r->payload == NULL)
    return cfi_file_no_memory(&r->file->file, r->error);
  r->cap = block->len;
  return CHANGEFEED_OK;
}

static int read_block(reader *r) {
  unsigned char head[CFI_SNAPSHOT_BLOCK_HEAD];
  cfi_snapshot_block block;
  int rc;

  if (r->left < sizeof head)
    return damaged(r, "it has been cut off");
  rc = take(r, head, sizeof head);
  if (rc != CHANGEFEED_OK)
    return rc;
  cfi_snapshot_get_block(head, &block);
  rc = prepare_block(r, &block);
  if (rc == CHANGEFEED_OK)
    rc = take(r, r->payload, block.len);
  if (rc != CHANGEFEED_OK)
    return rc;
  if (!cfi_snapshot_block_holds(head, r->payload, r->crc))
    return damaged(r, "the checksum of a block is wrong");
  r->crc = block.crc;
  return add_block(r, &block);
}

static int read_entries(reader *r) {
  while (r->left != 0 && r->entries != r->head.count) {
    int rc = read_block(r);

    if (rc != CHANGEFEED_OK)
      return rc;
  }
  if (r->entries != r->head.count)
    return damaged(r, "it has been cut off");
  if (r->left != 0)
    return damaged(r, "something stands behind its end");
  /* A file that grew meanwhile is not looked at: what was read is whole. */
  if (!cfi_digest_equal(cfi_tree_digest(r->tree), r->head.digest) ||
      cfi_tree_count(r->tree) != r->head.count)
    return damaged(r, "its entries do not have the digest that its head says");
  return CHANGEFEED_OK;
}

/* ---- all of it ---- */

static int read_all(reader *r, const char *key, cfi_checkpoint *position) {
  int rc = read_head(r);

  if (rc == CHANGEFEED_OK)
    rc = read_record(r, position);
  if (rc == CHANGEFEED_OK)
    rc = check_purpose(r, key, position);
  if (rc == CHANGEFEED_OK)
    rc = read_entries(r);
  return rc;
}

int cfi_mirror_file_load(cfi_mirror_file *f, const char *key,
                         const cfi_mirror_codec *codec, cfi_tree *tree,
                         cfi_checkpoint *position, cfi_error *error) {
  reader r = {.file = f,
              .alloc = f->file.alloc,
              .codec = codec,
              .tree = tree,
              .error = error};
  int rc;

  memset(position, 0, sizeof *position);
  f->found = CFI_MIRROR_FILE_UNKNOWN;
  rc = cfi_file_open_to_read(&f->file, CFI_FILE_ITSELF, &r.fd, &r.left, error);
  if (rc == CHANGEFEED_END)
    f->found = CFI_MIRROR_FILE_ABSENT;
  if (rc != CHANGEFEED_OK)
    return rc;
  cfi_buf_init(&r.last_id, r.alloc);
  rc = read_all(&r, key, position);
  (void)close(r.fd);
  cfi_free(r.alloc, r.payload);
  cfi_buf_free(&r.last_id);
  if (rc != CHANGEFEED_OK) {
    cfi_tree_clear(tree);
    cfi_checkpoint_free(r.alloc, position);
    if (f->found == CFI_MIRROR_FILE_GOOD)
      f->found = CFI_MIRROR_FILE_UNKNOWN;
  }
  return rc;
}
