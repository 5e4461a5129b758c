/*
 * Trees for tests of the mirror's snapshot: made from a seed, with values that
 * are counted, saved, loaded and compared entry by entry.
 */
#ifndef CFT_UNIT_MIRROR_SNAPSHOTS_H
#define CFT_UNIT_MIRROR_SNAPSHOTS_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mirror_file.h"
#include "random.h"

/* ---- values: texts that are counted ---- */

typedef struct text_value {
  int count;
  size_t len;
  char data[];
} text_value;

static int values_live; /* counts of all of them */

static inline void *value_new(const char *data, size_t len) {
  text_value *v = (text_value *)malloc(sizeof *v + len + 1);

  ck_assert_ptr_nonnull(v);
  v->count = 1;
  v->len = len;
  if (len != 0)
    memcpy(v->data, data, len);
  v->data[len] = '\0';
  values_live++;
  return v;
}

static inline void value_keep(void *ctx, void *value) {
  (void)ctx;
  ((text_value *)value)->count++;
  values_live++;
}

static inline void value_drop(void *ctx, void *value) {
  text_value *v = (text_value *)value;

  (void)ctx;
  values_live--;
  if (--v->count == 0)
    free(v);
}

static const cfi_tree_values text_values = {value_keep, value_drop, NULL};

static inline int value_encode(void *ctx, const cfi_tree_entry *entry,
                               cfi_buf *out, cfi_error *error) {
  const text_value *v = (const text_value *)entry->value;

  (void)ctx;
  ck_assert_uint_eq(out->len, 0);
  if (cfi_buf_append(out, v->data, v->len, SIZE_MAX) == CFI_BUF_OK)
    return CHANGEFEED_OK;
  return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "No memory for a value.");
}

static inline int value_decode(void *ctx, changefeed_str id, changefeed_str rev,
                               changefeed_str bytes, void **value,
                               cfi_error *error) {
  (void)ctx;
  (void)id;
  (void)rev;
  (void)error;
  *value = value_new(bytes.data, bytes.len);
  return CHANGEFEED_OK;
}

static const cfi_mirror_codec text_codec = {value_encode, value_decode,
                                            value_drop, NULL};

/* ---- trees ---- */

static inline cfi_tree *must_tree(const cfi_alloc *alloc, bool values) {
  cfi_tree *t = cfi_tree_new(alloc, values ? &text_values : NULL);

  ck_assert_ptr_nonnull(t);
  return t;
}

static inline void must_append(cfi_tree *t, const char *id, size_t id_len,
                               const char *rev, void *value) {
  changefeed_str i = {id, id_len}, r = {rev, strlen(rev)};

  if (!cfi_tree_append(t, i, r, value))
    ck_abort_msg("an entry is not greater than the one before");
}

/* What a snapshot has to carry through, and a few that are nothing like what
   CouchDB writes. */
static inline void random_rev(cfi_random *random, char *out, size_t size) {
  static const char *const odd[] = {
      "",
      "1-abc",
      "0-0123456789abcdef0123456789abcdef",
      "01-0123456789abcdef0123456789abcdef",
      "1-0123456789ABCDEF0123456789abcdef",
      "1-0123456789abcdef0123456789abcdeg",
      "999999999999999999-0123456789abcdef0123456789abcdef",
      "1000000000000000000-0123456789abcdef0123456789abcdef",
      "18446744073709551616-0123456789abcdef0123456789abcdef",
      "-0123456789abcdef0123456789abcdef",
      "2-0123456789abcdef0123456789abcdef0"};
  const int64_t odd_count = (int64_t)(sizeof odd / sizeof *odd);
  int64_t choice = cfi_random_upto(random, 4 * odd_count);

  if (choice < odd_count)
    (void)snprintf(out, size, "%s", odd[choice]);
  else
    (void)snprintf(out, size, "%lld-%016llx%016llx",
                   (long long)cfi_random_upto(random, 300) + 1,
                   (unsigned long long)cfi_random_upto(random, INT64_MAX),
                   (unsigned long long)cfi_random_upto(random, INT64_MAX));
}

/* Any bytes; mostly short, now and then longer than a block. */
static inline size_t random_bytes(cfi_random *random, char *out, size_t size) {
  int64_t most = cfi_random_upto(random, 200) == 0 ? (int64_t)size : 40;
  size_t len = (size_t)cfi_random_upto(random, most);

  for (size_t i = 0; i < len; i++)
    out[i] = (char)cfi_random_upto(random, 255);
  return len;
}

enum { LONG_BYTES = 150000 };

static inline void fill_random(cfi_tree *t, uint64_t seed, size_t entries,
                               bool values) {
  char *bytes = (char *)malloc(LONG_BYTES + 16), rev[128];
  cfi_random random;

  ck_assert_ptr_nonnull(bytes);
  cfi_random_init(&random, seed);
  if (entries != 0 && cfi_random_upto(&random, 3) == 0) {
    must_append(t, "", 0, "1-x", values ? value_new("{}", 2) : NULL);
    entries--;
  }
  for (size_t i = 0; i < entries; i++) {
    void *value = NULL;
    size_t len;

    random_rev(&random, rev, sizeof rev);
    if (values && cfi_random_upto(&random, 5) != 0) {
      len = random_bytes(&random, bytes, LONG_BYTES);
      value = value_new(bytes, len);
    }
    (void)snprintf(bytes, 16, "%07d", (int)i);
    len = 7 + random_bytes(&random, bytes + 7, LONG_BYTES);
    must_append(t, bytes, len, rev, value);
  }
  free(bytes);
}

/* Entries as a database has them, all of the generation of number. */
static inline void fill_plain(cfi_tree *t, size_t entries, uint64_t number) {
  char id[32], rev[64];

  for (size_t i = 0; i < entries; i++) {
    (void)snprintf(id, sizeof id, "doc-%07d", (int)i);
    (void)snprintf(rev, sizeof rev, "%llu-%032llx", (unsigned long long)number,
                   (unsigned long long)i * 2654435761U + number);
    must_append(t, id, strlen(id), rev, NULL);
  }
}

static inline cfi_mirror_content content_of(const cfi_tree *t) {
  const cfi_tree_range all = {{NULL, 0}, {NULL, 0}};
  cfi_mirror_content c;

  cfi_tree_walk_start(t, all, &c.walk);
  c.count = cfi_tree_count(t);
  c.digest = cfi_tree_digest(t);
  return c;
}

static inline bool same_bytes(changefeed_str a, changefeed_str b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* By the walk, not by the digest. */
static inline bool same_trees(const cfi_tree *a, const cfi_tree *b,
                              bool values) {
  cfi_tree_walk walk_a = content_of(a).walk, walk_b = content_of(b).walk;
  cfi_tree_entry x, y;

  while (cfi_tree_next(&walk_a, &x)) {
    const text_value *v = (const text_value *)x.value, *w;

    if (!cfi_tree_next(&walk_b, &y) || !same_bytes(x.id, y.id) ||
        !same_bytes(x.rev, y.rev))
      return false;
    w = (const text_value *)y.value;
    if (values && ((v == NULL) != (w == NULL) ||
                   (v != NULL && (v->len != w->len ||
                                  memcmp(v->data, w->data, v->len) != 0))))
      return false;
  }
  return !cfi_tree_next(&walk_b, &y);
}

/* ---- files ---- */

static char key_text[] = "db&include_docs=false", seq_text[] = "12-g1AAAA";

/* The position that belongs to number. */
static inline cfi_checkpoint position_of(uint64_t number, char seq[32]) {
  cfi_checkpoint p = {key_text, seq, NULL, NULL, NULL, 1763860000123, 0};

  (void)snprintf(seq, 32, "%llu-g1AAAA", (unsigned long long)number);
  return p;
}

static inline cfi_mirror_file *must_open(const cfi_alloc *alloc,
                                         const char *path) {
  cfi_mirror_file *f;
  cfi_error error;
  int rc = cfi_mirror_file_open(alloc, path, CFI_MIRROR_FILE_OWN, &f, &error);

  ck_assert_msg(rc == CHANGEFEED_OK, "%s", error.text);
  return f;
}

static inline void must_save(cfi_mirror_file *f, const cfi_tree *t,
                             const cfi_mirror_codec *codec) {
  cfi_checkpoint p = {key_text, seq_text, NULL, NULL, NULL, 1763860000123, 0};
  cfi_mirror_content content = content_of(t);
  cfi_error error;
  int rc = cfi_mirror_file_save(f, &p, &content, codec, &error);

  ck_assert_msg(rc == CHANGEFEED_OK, "%s", error.text);
}

/* Saves `entries` plain entries of this number. */
static inline int save_number(const cfi_alloc *alloc, cfi_mirror_file *f,
                              size_t entries, uint64_t number,
                              cfi_error *error) {
  cfi_tree *t = must_tree(alloc, false);
  cfi_mirror_content content;
  cfi_checkpoint p;
  char seq[32];
  int rc;

  fill_plain(t, entries, number);
  content = content_of(t);
  p = position_of(number, seq);
  rc = cfi_mirror_file_save(f, &p, &content, NULL, error);
  cfi_tree_free(t);
  return rc;
}

enum { NO_SNAPSHOT = 0, BAD_SNAPSHOT = -1 };

/* The number whose entries, all of them and no others, are in the file. */
static inline int64_t load_number(const cfi_alloc *alloc, cfi_mirror_file *f,
                                  size_t entries, cfi_error *error) {
  cfi_tree *t = must_tree(alloc, false), *right = must_tree(alloc, false);
  int64_t number = BAD_SNAPSHOT;
  cfi_checkpoint p;
  int rc = cfi_mirror_file_load(f, key_text, NULL, t, &p, error);

  if (rc == CHANGEFEED_END)
    number = NO_SNAPSHOT;
  if (rc == CHANGEFEED_OK) {
    number = strtol(p.seq, NULL, 10);
    fill_plain(right, entries, (uint64_t)number);
    if (!same_trees(t, right, false))
      number = BAD_SNAPSHOT;
    cfi_checkpoint_free(alloc, &p);
  }
  cfi_tree_free(t);
  cfi_tree_free(right);
  return number;
}

#endif
