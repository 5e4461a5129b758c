/*
 * A mirror's life: its settings checked and copied, its parts made and freed,
 * and the calls of the application counted, so that it can be closed in one.
 */
#include <string.h>

#include "json_write.h"
#include "mirror_file.h"
#include "mirror_state.h"
#include "options.h"
#include "str.h"

/* ---- calls ---- */

void cfi_mirror_enter(changefeed_mirror *m) { m->depth++; }

static void free_parts(changefeed_mirror *m) {
  const cfi_alloc alloc = m->alloc;

  cfi_audit_free(m);
  cfi_save_drop(m);
  cfi_mirror_file_close(m->file);
  cfi_tree_free(m->next);
  cfi_tree_free(m->tree);
  cfi_tree_free(m->graves);
  cfi_tree_free(m->old_graves);
  cfi_tree_free(m->doubts);
  cfi_tree_free(m->asking);
  cfi_buf_free(&m->record);
  changefeed_options_free(m->options);
  cfi_free(&alloc, m->from);
  cfi_free(&alloc, m->to);
  cfi_free(&alloc, m->snapshot);
  cfi_free(&alloc, m->key);
  cfi_free(&alloc, m);
}

bool cfi_mirror_leave(changefeed_mirror *m) {
  bool gone = --m->depth == 0 && m->closing;

  if (gone)
    free_parts(m);
  return !gone;
}

bool cfi_mirror_gone(const changefeed_mirror *m) {
  return m->closing || m->failing || m->phase == CFI_MIRROR_OVER;
}

int64_t cfi_mirror_now(const changefeed_mirror *m) {
  return m->world.now_ms(m->world.ctx);
}

/* The feed ends, and with it the mirror. */
void cfi_mirror_fail(changefeed_mirror *m) {
  if (cfi_mirror_gone(m))
    return;
  m->failing = true;
  (void)m->world.stop(m->world.ctx, m->feed);
}

void cfi_mirror_no_memory(changefeed_mirror *m) {
  (void)cfi_error_set(&m->error, CHANGEFEED_ERR_NOMEM, "no memory");
  cfi_mirror_fail(m);
}

void cfi_mirror_close(changefeed_mirror *m) {
  cfi_error ignored;

  if (m->closing)
    return;
  cfi_mirror_enter(m);
  if (m->snapshot != NULL && m->phase != CFI_MIRROR_OVER)
    (void)cfi_mirror_save(m, m->snapshot, &ignored);
  m->closing = true;
  atomic_store(&m->synced, false);
  cfi_lister_close(&m->list);
  cfi_lister_close(&m->keys);
  if (m->feed != NULL)
    m->world.close(m->world.ctx, m->feed);
  m->feed = NULL;
  (void)cfi_mirror_leave(m);
}

/* ---- settings ---- */

static int wrong(cfi_error *error, const char *sentence) {
  return cfi_error_set(error, CHANGEFEED_ERR_OPTION, "%s", sentence);
}

static int check_sizes(const changefeed_mirror_config *c, cfi_error *error) {
  const changefeed_callbacks *f = c->feed_callbacks;

  if (c->size != sizeof *c || c->callbacks.size != sizeof c->callbacks ||
      (f != NULL && f->size != sizeof *f))
    return cfi_error_set(error, CHANGEFEED_ERR_INVALID,
                         "the mirror's config: a size is none this library "
                         "knows; use CHANGEFEED_MIRROR_CONFIG_INIT and "
                         "CHANGEFEED_CALLBACKS_INIT");
  if (f != NULL &&
      (f->on_change != NULL || f->on_batch != NULL || f->on_timer != NULL))
    return cfi_error_set(error, CHANGEFEED_ERR_INVALID,
                         "feed_callbacks: on_change, on_batch and on_timer "
                         "are the mirror's own");
  return CHANGEFEED_OK;
}

static int check_ranges(const changefeed_mirror_config *c, cfi_error *error) {
  const char *bounds[] = {c->from, c->to, c->prefix};
  const int64_t times[] = {c->snapshot_ms, c->audit_ms, c->stale_ms};

  if (c->keep < CHANGEFEED_KEEP_REVS || c->keep > CHANGEFEED_KEEP_VALUES)
    return cfi_error_set(error, CHANGEFEED_ERR_RANGE,
                         "keep: %d is none of enum changefeed_keep", c->keep);
  if (c->start < CHANGEFEED_START_AUTO || c->start > CHANGEFEED_START_CHANGES)
    return cfi_error_set(error, CHANGEFEED_ERR_RANGE,
                         "start: %d is none of enum changefeed_start",
                         c->start);
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    if (times[i] < 0)
      return cfi_error_set(error, CHANGEFEED_ERR_RANGE,
                           "a time of the mirror's config is negative");
  if (c->prefix != NULL && (c->from != NULL || c->to != NULL))
    return wrong(error, "prefix excludes from and to");
  for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
    if (bounds[i] != NULL && !cfi_str_is_utf8(bounds[i], strlen(bounds[i])))
      return wrong(error, "from, to and prefix must be valid UTF-8");
  if (c->from != NULL && c->to != NULL && strcmp(c->from, c->to) > 0)
    return wrong(error, "from must not be behind to");
  if (c->snapshot != NULL && c->keep == CHANGEFEED_KEEP_VALUES)
    return cfi_error_set(error, CHANGEFEED_ERR_UNSUPPORTED,
                         "snapshot: what on_put makes cannot be saved; keep "
                         "documents or revisions");
  return CHANGEFEED_OK;
}

static bool is_filtered(const changefeed_options *o) {
  return changefeed_options_is_set(o, "filter") > 0 ||
         changefeed_options_is_set(o, "doc_ids") > 0 ||
         changefeed_options_is_set(o, "selector") > 0 ||
         changefeed_options_is_set(o, "view") > 0;
}

/* What the mirror decides itself must not seem to be decided by the options. */
static int check_options(const changefeed_options *o,
                         const changefeed_mirror_config *c, cfi_error *error) {
  static const char *const ours[] = {
      "mode",   "since",    "checkpoint",    "checkpoint_key", "source",
      "style",  "limit",    "descending",    "auto_ack",       "startkey",
      "endkey", "on_reset", "inclusive_end", "include_docs"};
  size_t count = sizeof ours / sizeof *ours;

  if (c->keep == CHANGEFEED_KEEP_VALUES)
    count--;
  for (size_t i = 0; i < count; i++)
    if (changefeed_options_is_set(o, ours[i]) > 0)
      return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                           "%s: a mirror decides that itself", ours[i]);
  if (o->store.save != NULL || o->callbacks.size != 0)
    return wrong(error, "a mirror's feed has callbacks and a store of the "
                        "mirror's own; see feed_callbacks");
  if (c->start == CHANGEFEED_START_LIST && is_filtered(o))
    return wrong(error, "start: a list cannot be filtered; use "
                        "CHANGEFEED_START_CHANGES");
  return CHANGEFEED_OK;
}

static size_t put_character(unsigned char *at, unsigned long c) {
  if (c < 0x80) {
    at[0] = (unsigned char)c;
    return 1;
  }
  if (c < 0x800) {
    at[0] = (unsigned char)(0xc0 | c >> 6);
    at[1] = (unsigned char)(0x80 | (c & 63));
    return 2;
  }
  if (c < 0x10000) {
    at[0] = (unsigned char)(0xe0 | c >> 12);
    at[1] = (unsigned char)(0x80 | (c >> 6 & 63));
    at[2] = (unsigned char)(0x80 | (c & 63));
    return 3;
  }
  at[0] = (unsigned char)(0xf0 | c >> 18);
  at[1] = (unsigned char)(0x80 | (c >> 12 & 63));
  at[2] = (unsigned char)(0x80 | (c >> 6 & 63));
  at[3] = (unsigned char)(0x80 | (c & 63));
  return 4;
}

/* The last character of valid UTF-8 becomes the next one; not U+10FFFF. The
   new length. */
static size_t next_character(unsigned char *text, size_t len) {
  static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  size_t first = len - 1;
  unsigned long c;

  while ((text[first] & 0xc0) == 0x80)
    first--;
  c = text[first] & masks[len - first];
  for (size_t i = first + 1; i < len; i++)
    c = c << 6 | (text[i] & 63U);
  c = c == 0xd7ff ? 0xe000 : c + 1;
  return first + put_character(text + first, c);
}

/* The first text behind all that begin with this one, by bytes: its last
   character that has a next one is that next one. NULL in *out: there is no
   such text. */
static bool text_behind(const cfi_alloc *alloc, const char *prefix,
                        char **out) {
  size_t len = strlen(prefix);
  unsigned char *text = cfi_malloc(alloc, len + 5);
  static const unsigned char most[4] = {0xf4, 0x8f, 0xbf, 0xbf};

  *out = NULL;
  if (text == NULL)
    return false;
  memcpy(text, prefix, len + 1);
  while (len >= 4 && memcmp(text + len - 4, most, 4) == 0)
    len -= 4;
  if (len == 0) {
    cfi_free(alloc, text);
    return true;
  }
  len = next_character(text, len);
  text[len] = '\0';
  *out = (char *)text;
  return true;
}

static bool copy_text(const cfi_alloc *alloc, const char *text, char **out) {
  *out = text != NULL ? cfi_strdup(alloc, text) : NULL;
  return text == NULL || *out != NULL;
}

static void put_bound(cfi_buf *b, const char *word, const char *bound) {
  if (bound == NULL)
    return;
  cfi_buf_puts(b, word);
  cfi_json_put_string(b, bound, strlen(bound));
}

/* What a snapshot must agree with; the feed's own record holds the rest. The
   bounds are quoted: one of them may hold any words. */
static char *make_key(const changefeed_mirror *m) {
  cfi_buf b;

  cfi_buf_init(&b, &m->alloc);
  cfi_buf_puts(&b, m->keep == CHANGEFEED_KEEP_DOCS ? "documents" : "revisions");
  put_bound(&b, " from ", m->from);
  put_bound(&b, " to ", m->to);
  return cfi_buf_take(&b);
}

static bool copy_config(changefeed_mirror *m,
                        const changefeed_mirror_config *c) {
  bool ok;

  m->callbacks = c->callbacks;
  if (c->feed_callbacks != NULL)
    m->feed_callbacks = *c->feed_callbacks;
  m->keep = c->keep;
  m->snapshot_ms = c->snapshot_ms;
  m->audit_ms = c->audit_ms;
  m->stale_ms = c->stale_ms;
  ok = copy_text(&m->alloc, c->prefix != NULL ? c->prefix : c->from, &m->from);
  ok = ok && (c->prefix != NULL ? text_behind(&m->alloc, c->prefix, &m->to)
                                : copy_text(&m->alloc, c->to, &m->to));
  ok = ok && copy_text(&m->alloc, c->snapshot, &m->snapshot);
  m->key = ok ? make_key(m) : NULL;
  return m->key != NULL;
}

static bool make_tables(changefeed_mirror *m) {
  cfi_tree_values rules = cfi_value_rules(m);
  const cfi_tree_values *values =
      m->keep != CHANGEFEED_KEEP_REVS ? &rules : NULL;
  cfi_tree **bare[] = {&m->graves, &m->old_graves, &m->doubts, &m->asking,
                       &m->audit.suspects};

  m->tree = cfi_tree_new(&m->alloc, values);
  m->next = cfi_tree_new(&m->alloc, values);
  if (m->tree == NULL || m->next == NULL)
    return false;
  for (size_t i = 0; i < sizeof bare / sizeof *bare; i++)
    if ((*bare[i] = cfi_tree_new(&m->alloc, NULL)) == NULL)
      return false;
  return true;
}

/* Listers are opened with these; the feed with the same and its place. */
static int make_options(changefeed_mirror *m, const changefeed_options *o) {
  int rc = changefeed_options_copy(&m->options, o);

  if (rc == CHANGEFEED_OK && m->keep == CHANGEFEED_KEEP_DOCS)
    rc = changefeed_options_set_int(m->options, "include_docs", 1);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set_int(m->options, "batch_max", 256);
  return rc;
}

static int follow(changefeed_mirror *m, cfi_error *error) {
  static const char updates[] = "/_db_updates";
  changefeed_options *o;
  const char *url;
  size_t len;
  int rc = changefeed_options_copy(&o, m->options);

  if (rc != CHANGEFEED_OK)
    return cfi_error_set(error, rc, "no memory");
  rc = cfi_mirror_follow(m, o);
  if (rc == CHANGEFEED_ERR_STORE && m->snapshot != NULL)
    (void)cfi_error_set(error, rc, "the snapshot %s: %s", m->snapshot,
                        changefeed_options_error(o));
  else if (rc != CHANGEFEED_OK)
    (void)cfi_error_set(error, rc, "%s", changefeed_options_error(o));
  changefeed_options_free(o);
  if (rc != CHANGEFEED_OK)
    return rc;
  url = changefeed_get_url(m->feed);
  len = strlen(url);
  if (len >= sizeof updates - 1 &&
      strcmp(url + len - (sizeof updates - 1), updates) == 0)
    return cfi_error_set(error, CHANGEFEED_ERR_UNSUPPORTED,
                         "_db_updates cannot be mirrored");
  return CHANGEFEED_OK;
}

static int set_up(changefeed_mirror *m, changefeed_options *options,
                  const changefeed_mirror_config *c) {
  cfi_error *error = &options->error;
  int rc;

  m->filtered = is_filtered(options);
  m->ticks = changefeed_options_is_set(options, "tick") > 0;
  m->lists = c->start == CHANGEFEED_START_LIST ||
             (c->start == CHANGEFEED_START_AUTO && !m->filtered);
  if (!copy_config(m, c) || !make_tables(m))
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  rc = make_options(m, options);
  if (rc != CHANGEFEED_OK)
    return cfi_error_set(error, rc, "%s",
                         m->options != NULL
                             ? changefeed_options_error(m->options)
                             : "no memory");
  if (m->snapshot != NULL)
    rc = cfi_mirror_load(m, error);
  return rc == CHANGEFEED_OK ? follow(m, error) : rc;
}

int cfi_mirror_new(changefeed_mirror **out, const cfi_alloc *alloc,
                   const cfi_mirror_world *world, changefeed_options *options,
                   const changefeed_mirror_config *config) {
  cfi_error *error = &options->error;
  changefeed_mirror *m;
  int rc = check_sizes(config, error);

  if (rc == CHANGEFEED_OK)
    rc = check_ranges(config, error);
  if (rc == CHANGEFEED_OK)
    rc = check_options(options, config, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  m = cfi_calloc(alloc, 1, sizeof *m);
  if (m == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  m->alloc = *alloc;
  m->world = *world;
  m->list.mirror = m->keys.mirror = m;
  m->wake_ms = CFI_NEVER;
  m->list_at_ms = CFI_NEVER;
  m->proven_ms = m->saved_ms = -1;
  m->opened_ms = cfi_mirror_now(m);
  atomic_init(&m->synced, false);
  cfi_error_clear(&m->error);
  cfi_buf_init(&m->record, &m->alloc);
  cfi_buf_init(&m->audit.last, &m->alloc);
  m->audit.due_ms = m->opened_ms + config->audit_ms;
  rc = set_up(m, options, config);
  if (rc != CHANGEFEED_OK) {
    m->phase = CFI_MIRROR_OVER; /* nothing of it is to be saved */
    cfi_mirror_close(m);
    return rc;
  }
  cfi_mirror_wake(m);
  *out = m;
  return CHANGEFEED_OK;
}
