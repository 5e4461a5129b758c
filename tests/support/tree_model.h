/*
 * What the mirror's table should hold: a sorted array, changed by the plainest
 * code there is, and compared with the table in every way it can be asked. Also
 * looks into the table's nodes for what no answer shows: counts and digests
 * kept, keys in order, nothing empty.
 */
#ifndef CFT_SUPPORT_TREE_MODEL_H
#define CFT_SUPPORT_TREE_MODEL_H

#include "mirror_tree.h"

typedef struct cft_entry {
  changefeed_str id, rev; /* owned */
  void *value;
} cft_entry;

typedef struct cft_model {
  cft_entry *entries;
  size_t count, room;
} cft_model;

void cft_model_free(cft_model *m);
void cft_model_copy(cft_model *to, const cft_model *from);
/* The first entry that is not less than id. */
size_t cft_model_lower(const cft_model *m, changefeed_str id);
const cft_entry *cft_model_find(const cft_model *m, changefeed_str id);
/* What the table should answer. */
cfi_tree_result cft_model_put(cft_model *m, changefeed_str id,
                              changefeed_str rev, void *value);
cfi_tree_result cft_model_remove(cft_model *m, changefeed_str id);
/* By hashing each. */
cfi_digest cft_model_digest(const cft_model *m, cfi_tree_range range,
                            uint64_t *count);

/* Fail the running test unless both hold the same. */
void cft_model_check_view(const cft_model *m, const cfi_tree_view *v);
void cft_model_check_tree(const cft_model *m, const cfi_tree *t);
/* Fails the running test unless the nodes are in order. */
void cft_tree_check_nodes(const cfi_tree *t);

/* ---- chance ---- */

typedef struct cft_chance {
  uint64_t state;
} cft_chance;
uint64_t cft_chance_next(cft_chance *c);
unsigned cft_chance_below(cft_chance *c, unsigned below);

/* Kinds of ids: numbered, random digits, a few odd bytes, long with a long
   common beginning, out of line. */
enum { CFT_ID_KINDS = 5, CFT_ID_ROOM = 3000 };
/* One of `many` ids of the kind. */
changefeed_str cft_chance_id(cft_chance *c, unsigned kind, unsigned many,
                             char room[CFT_ID_ROOM]);
enum { CFT_REV_ROOM = 400 };
changefeed_str cft_chance_rev(cft_chance *c, char room[CFT_REV_ROOM]);

static inline changefeed_str cft_str(const char *text) {
  changefeed_str s = {text, 0};

  while (text != NULL && text[s.len] != '\0')
    s.len++;
  return s;
}

#endif
