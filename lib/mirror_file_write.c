/*
 * The writer of snapshots: entries are gathered in a block, and a full block is
 * written at once. It waits for the disk every few MiB, so that the last wait
 * is as short as the others.
 */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <unistd.h>

#include "crc.h"
#include "mirror_file_int.h"

enum { STEP_BYTES = 1024 * 1024, SYNC_BYTES = 4 * 1024 * 1024 };

typedef enum stage { ENTRIES, IN_PLACE, FAILED } stage;

struct cfi_mirror_writer {
  cfi_mirror_file *file;
  const cfi_alloc *alloc;
  cfi_mirror_content content; /* the walk goes on here */
  cfi_mirror_codec codec;
  bool has_values;
  stage stage;
  int fd;                 /* -1: closed */
  uint64_t written;       /* entries */
  unsigned char *block;   /* with room for its head before the entries */
  size_t len, cap;        /* of it, with the head */
  uint32_t block_entries; /* in it */
  uint32_t crc;           /* of the last block, or of the head */
  cfi_buf value;          /* the bytes of one */
  size_t unsynced;        /* bytes since the last wait for the disk */
};

static int no_memory(const cfi_mirror_writer *w, cfi_error *error) {
  return cfi_file_no_memory(&w->file->file, error);
}

/* ---- the beginning ---- */

/* What is not ours is never replaced. */
static int judge_old(cfi_mirror_file *f, cfi_error *error) {
  unsigned char data[CFI_SNAPSHOT_HEAD];
  cfi_snapshot_head head;
  uint64_t size;
  size_t len;
  int fd, number, rc;

  rc = cfi_file_open_to_read(&f->file, CFI_FILE_ITSELF, &fd, &size, error);
  if (rc == CHANGEFEED_END) {
    f->found = CFI_MIRROR_FILE_ABSENT;
    return CHANGEFEED_OK;
  }
  if (rc != CHANGEFEED_OK)
    return rc;
  number = cfi_file_read(fd, data, sizeof data, &len);
  (void)close(fd);
  if (number != 0)
    return cfi_file_fail(&f->file, "read", CFI_FILE_ITSELF, number, error);
  rc = cfi_mirror_file_judge(f, data, len, &head, error);
  return f->found == CFI_MIRROR_FILE_DAMAGED ? CHANGEFEED_OK : rc;
}

static int write_out(cfi_mirror_writer *w, const void *data, size_t len,
                     cfi_error *error) {
  int number = cfi_file_write(w->fd, data, len);

  if (number != 0)
    return cfi_file_fail(&w->file->file, "write", CFI_FILE_ASIDE, number,
                         error);
  w->unsynced += len;
  return CHANGEFEED_OK;
}

/* The head and the record behind it. */
static int write_head(cfi_mirror_writer *w, const cfi_checkpoint *position,
                      cfi_error *error) {
  unsigned char head[CFI_SNAPSHOT_HEAD] = {0};
  cfi_snapshot_head h = {0};
  cfi_checkpoint p = *position;
  cfi_buf record, out;
  int rc;

  p.rows = h.count = w->content.count;
  h.digest = w->content.digest;
  h.has_values = w->has_values;
  cfi_buf_init(&record, w->alloc);
  cfi_buf_init(&out, w->alloc);
  if (!cfi_checkpoint_encode(&p, &record)) {
    rc = no_memory(w, error);
  } else if (record.len > CFI_SNAPSHOT_RECORD_MAX) {
    rc = cfi_error_set(error, CHANGEFEED_ERR_STORE,
                       "The snapshot %s cannot be written: its position has "
                       "%zu bytes.",
                       w->file->file.path, record.len);
  } else {
    h.record_len = (uint32_t)record.len;
    h.record_crc = cfi_crc_of(0, cfi_buf_data(&record), record.len);
    cfi_snapshot_put_head(head, &h);
    w->crc = h.crc;
    cfi_buf_put(&out, (const char *)head, sizeof head);
    cfi_buf_put(&out, cfi_buf_data(&record), record.len);
    rc = cfi_buf_text(&out) == NULL
             ? no_memory(w, error)
             : write_out(w, cfi_buf_data(&out), out.len, error);
  }
  cfi_buf_free(&record);
  cfi_buf_free(&out);
  return rc;
}

static cfi_mirror_writer *writer_new(cfi_mirror_file *f,
                                     const cfi_mirror_content *content,
                                     const cfi_mirror_codec *codec) {
  const cfi_alloc *alloc = f->file.alloc;
  cfi_mirror_writer *w = cfi_calloc(alloc, 1, sizeof *w);

  if (w == NULL)
    return NULL;
  w->file = f;
  w->alloc = alloc;
  w->content = *content;
  w->has_values = codec != NULL;
  if (codec != NULL)
    w->codec = *codec;
  w->fd = -1;
  w->len = CFI_SNAPSHOT_BLOCK_HEAD;
  cfi_buf_init(&w->value, alloc);
  f->writing = true;
  return w;
}

int cfi_mirror_writer_begin(cfi_mirror_file *f, const cfi_checkpoint *position,
                            const cfi_mirror_content *content,
                            const cfi_mirror_codec *codec,
                            cfi_mirror_writer **out, cfi_error *error) {
  cfi_mirror_writer *w;
  int rc;

  *out = NULL;
  if (!f->owned || f->writing)
    return cfi_error_set(
        error, CHANGEFEED_ERR_STATE, "The snapshot %s cannot be saved: it %s.",
        f->file.path,
        f->writing ? "is being saved already" : "was opened to be read only");
  rc = judge_old(f, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  w = writer_new(f, content, codec);
  if (w == NULL)
    return cfi_file_no_memory(&f->file, error);
  rc = cfi_file_create(&f->file, CFI_FILE_ASIDE, &w->fd, error);
  if (rc == CHANGEFEED_OK)
    rc = write_head(w, position, error);
  if (rc == CHANGEFEED_OK)
    *out = w;
  else
    cfi_mirror_writer_free(w);
  return rc;
}

void cfi_mirror_writer_free(cfi_mirror_writer *w) {
  if (w == NULL)
    return;
  if (w->fd >= 0) {
    (void)close(w->fd);
    cfi_file_remove(&w->file->file, CFI_FILE_ASIDE);
  }
  w->file->writing = false;
  cfi_free(w->alloc, w->block);
  cfi_buf_free(&w->value);
  cfi_free(w->alloc, w);
}

/* ---- entries ---- */

static int flush(cfi_mirror_writer *w, cfi_error *error) {
  cfi_snapshot_block block = {0};
  int rc;

  if (w->block_entries == 0)
    return CHANGEFEED_OK;
  block.len = (uint32_t)(w->len - CFI_SNAPSHOT_BLOCK_HEAD);
  block.entries = w->block_entries;
  cfi_snapshot_put_block(w->block, &block, w->crc,
                         w->block + CFI_SNAPSHOT_BLOCK_HEAD);
  w->crc = block.crc;
  rc = write_out(w, w->block, w->len, error);
  w->len = CFI_SNAPSHOT_BLOCK_HEAD;
  w->block_entries = 0;
  return rc;
}

/* A block that one long entry has stretched is given back soon. */
static bool make_room(cfi_mirror_writer *w, size_t room) {
  const size_t usual = CFI_SNAPSHOT_BLOCK_HEAD + 2 * CFI_SNAPSHOT_BLOCK;
  size_t need = w->len + room, cap = need < usual ? usual : need;
  unsigned char *block;

  if (need <= w->cap && (w->cap == usual || need > usual))
    return true;
  block = cfi_resize(w->alloc, w->block, cap, 1);
  if (block == NULL)
    return need <= w->cap; /* there is enough, only too much */
  w->block = block;
  w->cap = cap;
  return true;
}

static int too_long(const cfi_mirror_writer *w, changefeed_str id,
                    cfi_error *error) {
  return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                       "The snapshot %s cannot be written: the document "
                       "\"%.*s\" is too long for it.",
                       w->file->file.path, id.len < 100 ? (int)id.len : 100,
                       id.data);
}

/* In the end the tree's own digest is compared, when the snapshot is read; here
   only what would make it unreadable for sure. */
static int changed_meanwhile(const cfi_mirror_writer *w, cfi_error *error) {
  return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                       "The snapshot %s cannot be written: there are not as "
                       "many entries as were announced.",
                       w->file->file.path);
}

static int add(cfi_mirror_writer *w, const cfi_tree_entry *entry,
               cfi_error *error) {
  cfi_snapshot_entry e = {entry->id, entry->rev, {NULL, 0}};
  size_t room;
  int rc;

  if (w->has_values && entry->value != NULL) {
    cfi_buf_clear(&w->value, CFI_SNAPSHOT_BLOCK);
    rc = w->codec.encode(w->codec.ctx, entry, &w->value, error);
    if (rc != CHANGEFEED_OK)
      return rc;
    e.value.data = w->value.len != 0 ? cfi_buf_data(&w->value) : "";
    e.value.len = w->value.len;
  }
  if (!cfi_snapshot_entry_room(&e, &room))
    return too_long(w, entry->id, error);
  if (w->len + room > CFI_SNAPSHOT_BLOCK_MAX) {
    rc = flush(w, error);
    if (rc != CHANGEFEED_OK)
      return rc;
  }
  if (!make_room(w, room))
    return no_memory(w, error);
  w->len =
      (size_t)(cfi_snapshot_put_entry(w->block + w->len, &e, w->has_values) -
               w->block);
  w->block_entries++;
  w->written++;
  return w->len - CFI_SNAPSHOT_BLOCK_HEAD >= CFI_SNAPSHOT_BLOCK
             ? flush(w, error)
             : CHANGEFEED_OK;
}

static int add_some(cfi_mirror_writer *w, size_t max_entries,
                    cfi_error *error) {
  size_t enough = w->unsynced + STEP_BYTES;
  cfi_tree_entry entry;
  int rc = CHANGEFEED_OK;

  for (; max_entries != 0 && w->unsynced < enough; max_entries--) {
    if (!cfi_tree_next(&w->content.walk, &entry)) {
      if (w->written != w->content.count)
        return changed_meanwhile(w, error);
      w->stage = IN_PLACE;
      return flush(w, error);
    }
    rc = add(w, &entry, error);
    if (rc != CHANGEFEED_OK)
      return rc;
  }
  return rc;
}

/* ---- steps ---- */

static int put_in_place(cfi_mirror_writer *w, cfi_error *error) {
  cfi_file *f = &w->file->file;
  bool replaced;
  int fd = w->fd, rc;

  w->fd = -1;
  rc = cfi_file_finish(f, CFI_FILE_ASIDE, fd, 0, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  rc = cfi_file_replace(f, &replaced, error);
  if (replaced)
    w->file->found = CFI_MIRROR_FILE_GOOD;
  return rc;
}

static int sync_some(cfi_mirror_writer *w, cfi_error *error) {
  int number = cfi_file_sync(w->fd);

  w->unsynced = 0;
  return number == 0 ? CHANGEFEED_OK
                     : cfi_file_fail(&w->file->file, "write", CFI_FILE_ASIDE,
                                     number, error);
}

int cfi_mirror_writer_step(cfi_mirror_writer *w, size_t max_entries,
                           cfi_error *error) {
  int rc;

  if (w->fd < 0 || w->stage == FAILED)
    return cfi_error_set(error, CHANGEFEED_ERR_STATE,
                         "The snapshot %s is not being saved any more.",
                         w->file->file.path);
  if (w->unsynced >= SYNC_BYTES)
    rc = sync_some(w, error);
  else if (w->stage == ENTRIES)
    rc = add_some(w, max_entries, error);
  else
    return put_in_place(w, error);
  if (rc == CHANGEFEED_OK)
    return CHANGEFEED_TIMEOUT;
  w->stage = FAILED;
  return rc;
}

int cfi_mirror_file_save(cfi_mirror_file *f, const cfi_checkpoint *position,
                         const cfi_mirror_content *content,
                         const cfi_mirror_codec *codec, cfi_error *error) {
  cfi_mirror_writer *w;
  int rc = cfi_mirror_writer_begin(f, position, content, codec, &w, error);

  if (rc != CHANGEFEED_OK)
    return rc;
  do
    rc = cfi_mirror_writer_step(w, SIZE_MAX, error);
  while (rc == CHANGEFEED_TIMEOUT);
  cfi_mirror_writer_free(w);
  return rc;
}
