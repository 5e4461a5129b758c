/*
 * The mirror's table as its files know it: the writer's tree, the versions that
 * were published, and the way from the root to an entry.
 */
#ifndef CFI_MIRROR_TREE_STATE_H
#define CFI_MIRROR_TREE_STATE_H

#include <stdatomic.h>

#include "mirror_tree_node.h"

struct cfi_tree_view {
  cfi_tree_node *root; /* NULL: nothing in it */
  cfi_tree_sum sum;
  atomic_size_t released; /* by so many readers */
  size_t acquired; /* by so many, known when it is not current any more */
  unsigned index;
  cfi_tree *tree; /* whose it is */
  bool held;      /* it has a count of root */
};

/* Views never move, so that a reader finds one by its index while the writer
   adds more: chunk k holds twice as many as chunk k - 1. */
enum { CFI_TREE_CHUNKS = 8, CFI_TREE_FIRST_CHUNK = 8 };

struct cfi_tree {
  cfi_tree_pool pool;
  cfi_tree_node *root;
  cfi_tree_sum sum;
  atomic_size_t current; /* index of the view and how many acquired it */
  unsigned views;        /* made so far */
  cfi_tree_view *chunk[CFI_TREE_CHUNKS];
};

/* ---- the way to an entry ---- */

typedef struct cfi_tree_path {
  cfi_tree_inner *node[CFI_TREE_DEPTH_MAX];
  unsigned at[CFI_TREE_DEPTH_MAX]; /* child of node */
  unsigned depth;                  /* inner nodes */
  cfi_tree_leaf *leaf;
  unsigned pos; /* of the first entry that is not less than the id */
  bool equal;   /* it is that id */
  bool last;    /* the id is greater than all in the tree */
} cfi_tree_path;

/* There must be a root. */
void cfi_tree_path_find(const cfi_tree *t, changefeed_str id,
                        cfi_tree_path *path);
/* To the end of the last leaf. */
void cfi_tree_path_end(const cfi_tree *t, cfi_tree_path *path);
/* Makes the inner nodes the writer's own. False without memory. */
bool cfi_tree_path_own(cfi_tree *t, cfi_tree_path *path);
/* Hangs n, the writer's own, where the path's node of this depth hangs. */
void cfi_tree_path_set(cfi_tree *t, cfi_tree_path *path, unsigned depth,
                       cfi_tree_node *n);
/* The count and the digest of the path's node of this depth. */
cfi_tree_sum cfi_tree_path_sum(const cfi_tree *t, const cfi_tree_path *path,
                               unsigned depth);
/* Adds to the counts and digests of all the path's nodes. */
void cfi_tree_path_change(cfi_tree *t, cfi_tree_path *path, cfi_tree_sum gone,
                          cfi_tree_sum come);
/* Makes the leaf the writer's own, with room at pos for the item; the path's
   inner nodes must be. The tree holds what it held, in other nodes. brim: the
   leaf will be filled. */
bool cfi_tree_path_room(cfi_tree *t, cfi_tree_path *path,
                        const cfi_tree_item *item, bool brim);

/* ---- any version ---- */

bool cfi_tree_root_find(const cfi_tree_node *root, changefeed_str id,
                        cfi_tree_entry *out);
void cfi_tree_root_walk(const cfi_tree_node *root, cfi_tree_range range,
                        cfi_tree_walk *w);
/* Of all ids below key; sum is the root's. */
cfi_tree_sum cfi_tree_root_below(const cfi_tree_node *root, cfi_tree_sum sum,
                                 changefeed_str key);

#endif
