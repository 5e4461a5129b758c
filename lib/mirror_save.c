/*
 * The mirror and its snapshot: loaded before anything is asked of the server,
 * saved in small steps with the position that goes with it. The position is the
 * feed's own record, so that the feed itself finds out whether the history is
 * still the same.
 */
#include <string.h>

#include "mirror_file.h"
#include "mirror_state.h"

enum { STEP_ENTRIES = 4096 };

#define OF " of "

/* ---- values ---- */

static int encode(void *ctx, const cfi_tree_entry *entry, cfi_buf *out,
                  cfi_error *error) {
  const cfi_value *v = entry->value;

  (void)ctx;
  if (cfi_buf_append(out, v->text, v->len, SIZE_MAX - 2) == CFI_BUF_OK)
    return CHANGEFEED_OK;
  return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory for a document");
}

static int decode(void *ctx, changefeed_str id, changefeed_str rev,
                  changefeed_str bytes, void **value, cfi_error *error) {
  (void)id;
  (void)rev;
  *value = cfi_value_new(ctx, bytes);
  return *value != NULL ? CHANGEFEED_OK
                        : cfi_error_set(error, CHANGEFEED_ERR_NOMEM,
                                        "no memory for a document");
}

static void drop(void *ctx, void *value) { cfi_value_drop(ctx, value); }

static const cfi_mirror_codec *codec_of(changefeed_mirror *m,
                                        cfi_mirror_codec *room) {
  *room = (cfi_mirror_codec){encode, decode, drop, m};
  return m->keep == CHANGEFEED_KEEP_DOCS ? room : NULL;
}

/* ---- loading ---- */

/* What is mirrored is "documents from a to b of KEY", KEY the feed's. */
static const char *feed_of(const changefeed_mirror *m, const char *what) {
  size_t len = strlen(m->key);

  if (strncmp(what, m->key, len) != 0 ||
      strncmp(what + len, OF, sizeof OF - 1) != 0)
    return NULL;
  return what + len + sizeof OF - 1;
}

static int take_position(changefeed_mirror *m, cfi_checkpoint *position,
                         cfi_error *error) {
  const char *feed = feed_of(m, position->feed);
  char *what = position->feed;
  bool ok;

  if (feed == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "the snapshot %s holds %s, and not %s", m->snapshot,
                         what, m->key);
  position->feed = cfi_strdup(&m->alloc, feed);
  ok = position->feed != NULL && cfi_checkpoint_encode(position, &m->record);
  cfi_free(&m->alloc, what);
  return ok ? CHANGEFEED_OK
            : cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
}

int cfi_mirror_load(changefeed_mirror *m, cfi_error *error) {
  cfi_checkpoint position = {0};
  cfi_mirror_codec codec;
  int rc = cfi_mirror_file_open(&m->alloc, m->snapshot, CFI_MIRROR_FILE_OWN,
                                &m->file, error);

  if (rc != CHANGEFEED_OK)
    return rc;
  rc = cfi_mirror_file_load(m->file, NULL, codec_of(m, &codec), m->tree,
                            &position, error);
  if (rc == CHANGEFEED_END)
    return CHANGEFEED_OK;
  if (rc == CHANGEFEED_OK)
    rc = take_position(m, &position, error);
  cfi_checkpoint_free(&m->alloc, &position);
  if (rc != CHANGEFEED_OK)
    return rc;
  if (!cfi_tree_publish(m->tree))
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  m->shows = m->announce = true;
  return CHANGEFEED_OK;
}

/* ---- saving ---- */

/* What is held belongs to the feed's position only while nothing is open. */
static bool can_save(const changefeed_mirror *m) {
  return m->phase == CFI_MIRROR_SYNCED && !m->telling && !m->rebuilding &&
         !cfi_doubt_any(m);
}

static int get_position(changefeed_mirror *m, cfi_checkpoint *position,
                        cfi_error *error) {
  const char *feed;
  cfi_buf what;
  char *text;
  int rc;

  /* A failure of this is the feed's, and its record of before still holds. */
  (void)changefeed_checkpoint(m->feed);
  if (m->record.len == 0)
    return cfi_error_set(error, CHANGEFEED_ERR_STATE,
                         "there is no position to be saved yet");
  rc = cfi_checkpoint_decode(&m->alloc, cfi_buf_data(&m->record), m->record.len,
                             position, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  feed = position->feed;
  cfi_buf_init(&what, &m->alloc);
  cfi_buf_puts(&what, m->key);
  cfi_buf_puts(&what, OF);
  cfi_buf_puts(&what, feed);
  text = cfi_buf_take(&what);
  if (text == NULL) {
    cfi_checkpoint_free(&m->alloc, position);
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  }
  cfi_free(&m->alloc, position->feed);
  position->feed = text;
  return CHANGEFEED_OK;
}

static void describe(const cfi_tree_view *v, cfi_mirror_content *out) {
  cfi_tree_range all = {{NULL, 0}, {NULL, 0}};

  cfi_tree_view_walk(v, all, &out->walk);
  out->digest = cfi_tree_view_digest(v, all, &out->count);
}

static int begin(changefeed_mirror *m, cfi_mirror_file *file,
                 cfi_mirror_writer **out, cfi_error *error) {
  cfi_checkpoint position = {0};
  cfi_mirror_content content;
  cfi_mirror_codec codec;
  int rc;

  if (!can_save(m))
    return cfi_error_set(error, CHANGEFEED_ERR_STATE,
                         "the mirror is not in step");
  if (!cfi_tree_publish(m->tree))
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  m->unpublished = false;
  rc = get_position(m, &position, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  m->writing = cfi_tree_acquire(m->tree);
  m->writing_version = m->version;
  describe(m->writing, &content);
  rc = cfi_mirror_writer_begin(file, &position, &content, codec_of(m, &codec),
                               out, error);
  cfi_checkpoint_free(&m->alloc, &position);
  return rc;
}

static void end(changefeed_mirror *m, cfi_mirror_writer *w) {
  cfi_mirror_writer_free(w);
  if (m->writing != NULL)
    cfi_tree_release(m->tree, m->writing);
  m->writing = NULL;
}

static void saved(changefeed_mirror *m, int rc, bool own) {
  int64_t now = cfi_mirror_now(m);

  if (rc != CHANGEFEED_OK) {
    m->stats.save_errors++;
  } else {
    m->stats.saves++;
    m->saved_ms = now;
    if (own)
      m->saved_version = m->writing_version;
  }
  if (own)
    m->save_at_ms = now + m->snapshot_ms;
}

static int write_all(changefeed_mirror *m, cfi_mirror_file *file,
                     cfi_error *error) {
  cfi_mirror_writer *w = NULL;
  int rc = begin(m, file, &w, error);

  while (w != NULL && (rc == CHANGEFEED_OK || rc == CHANGEFEED_TIMEOUT)) {
    rc = cfi_mirror_writer_step(w, SIZE_MAX, error);
    if (rc == CHANGEFEED_OK)
      break;
  }
  end(m, w);
  return rc;
}

int cfi_mirror_save(changefeed_mirror *m, const char *path, cfi_error *error) {
  bool own = path == m->snapshot;
  cfi_mirror_file *file = m->file;
  int rc = CHANGEFEED_OK;

  if (!can_save(m))
    return cfi_error_set(error, CHANGEFEED_ERR_STATE,
                         "the mirror is not in step");
  cfi_save_drop(m);
  if (!own)
    rc = cfi_mirror_file_open(&m->alloc, path, CFI_MIRROR_FILE_OWN, &file,
                              error);
  if (rc == CHANGEFEED_OK)
    rc = write_all(m, file, error);
  saved(m, rc, own);
  if (!own)
    cfi_mirror_file_close(file);
  return rc;
}

void cfi_save_drop(changefeed_mirror *m) {
  end(m, m->writer);
  m->writer = NULL;
}

/* ---- by itself, a little at a time ---- */

static bool wants(const changefeed_mirror *m) {
  return m->snapshot != NULL && m->snapshot_ms != 0 &&
         m->version != m->saved_version && can_save(m);
}

static void note_failure(changefeed_mirror *m, int rc, const cfi_error *error) {
  saved(m, rc, true);
  if (rc != CHANGEFEED_OK)
    cfi_error_copy(&m->error, error);
}

void cfi_save_step(changefeed_mirror *m) {
  cfi_error error;
  int rc = CHANGEFEED_OK;

  if (m->writer == NULL) {
    if (!wants(m) || cfi_mirror_now(m) < m->save_at_ms)
      return;
    rc = begin(m, m->file, &m->writer, &error);
  }
  if (rc == CHANGEFEED_OK)
    rc = cfi_mirror_writer_step(m->writer, STEP_ENTRIES, &error);
  if (rc == CHANGEFEED_TIMEOUT)
    return;
  cfi_save_drop(m);
  note_failure(m, rc, &error);
}

int64_t cfi_save_due_ms(const changefeed_mirror *m) {
  if (m->writer != NULL)
    return cfi_mirror_now(m);
  return wants(m) ? m->save_at_ms : CFI_NEVER;
}
