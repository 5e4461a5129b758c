/*
 * Ranges of a version of the mirror's table: a walk in order, and the count and
 * the digest of all that is below a key. Reads only; for any thread.
 */
#include "mirror_tree_state.h"

/* ---- walks ---- */

/* Goes down from the walk's last node, to the left of everything. */
static void go_down(cfi_tree_walk *w) {
  const cfi_tree_node *n = w->node[w->depth - 1];

  while (n->level != 0) {
    n = cfi_tree_to_inner(n)->child[w->at[w->depth - 1]];
    w->node[w->depth] = n;
    w->at[w->depth++] = 0;
  }
}

void cfi_tree_root_walk(const cfi_tree_node *root, cfi_tree_range range,
                        cfi_tree_walk *w) {
  const cfi_tree_node *n = root;
  bool equal;

  w->depth = 0;
  w->to = range.to;
  if (root == NULL)
    return;
  w->node[w->depth] = n;
  w->at[w->depth++] = 0;
  if (range.from.data == NULL) {
    go_down(w);
    return;
  }
  while (n->level != 0) {
    unsigned at = cfi_tree_inner_search(cfi_tree_to_inner(n), range.from);

    w->at[w->depth - 1] = at;
    n = cfi_tree_to_inner(n)->child[at];
    w->node[w->depth] = n;
    w->at[w->depth++] = 0;
  }
  w->at[w->depth - 1] =
      cfi_tree_leaf_lower(cfi_tree_to_leaf(n), range.from, &equal);
}

/* Leaves the leaf that is done for the next one. False: there is none. */
static bool next_leaf(cfi_tree_walk *w) {
  while (w->depth > 1) {
    const cfi_tree_inner *inner;
    unsigned at;

    w->depth--;
    inner = cfi_tree_to_inner(w->node[w->depth - 1]);
    at = ++w->at[w->depth - 1];
    if (at < inner->head.count) {
      if (at + 1U < inner->head.count)
        cfi_tree_prefetch(inner->child[at + 1]);
      go_down(w);
      return true;
    }
  }
  w->depth = 0;
  return false;
}

bool cfi_tree_next(cfi_tree_walk *w, cfi_tree_entry *out) {
  const cfi_tree_leaf *leaf;
  unsigned at;

  if (w->depth == 0)
    return false;
  leaf = cfi_tree_to_leaf(w->node[w->depth - 1]);
  if (w->at[w->depth - 1] >= leaf->head.count) {
    /* A leaf is never empty, but for that of an empty tree. */
    if (!next_leaf(w))
      return false;
    leaf = cfi_tree_to_leaf(w->node[w->depth - 1]);
  }
  at = w->at[w->depth - 1]++;
  if (w->to.data != NULL) {
    cfi_tree_place place = cfi_tree_place_at(leaf, at);

    if (cfi_tree_compare_bytes(place.id, place.id_len, w->to.data, w->to.len) >=
        0) {
      w->depth = 0;
      return false;
    }
  }
  cfi_tree_entry_at(leaf, at, out);
  return true;
}

/* ---- sums ---- */

/* Of the entries before at; whichever side is shorter is hashed. */
static cfi_tree_sum leaf_below(const cfi_tree_leaf *leaf, unsigned at,
                               cfi_tree_sum whole) {
  if (at <= leaf->head.count / 2U)
    return cfi_tree_leaf_sum(leaf, 0, at);
  cfi_tree_sum_subtract(&whole, cfi_tree_leaf_sum(leaf, at, leaf->head.count));
  return whole;
}

cfi_tree_sum cfi_tree_root_below(const cfi_tree_node *root, cfi_tree_sum sum,
                                 changefeed_str key) {
  cfi_tree_sum below = {{0, 0}, 0};
  bool equal;

  if (root == NULL)
    return below;
  while (root->level != 0) {
    const cfi_tree_inner *inner = cfi_tree_to_inner(root);
    unsigned at = cfi_tree_inner_search(inner, key);

    for (unsigned i = 0; i < at; i++)
      cfi_tree_sum_add(&below, inner->sums[i]);
    sum = inner->sums[at];
    root = inner->child[at];
    cfi_tree_prefetch(root);
  }
  cfi_tree_sum_add(&below, leaf_below(cfi_tree_to_leaf(root),
                                      cfi_tree_leaf_lower(
                                          cfi_tree_to_leaf(root), key, &equal),
                                      sum));
  return below;
}

size_t cfi_tree_bytes(const cfi_tree *t) {
  size_t bytes = 0;
  cfi_tree_walk w;

  cfi_tree_root_walk(t->root, (cfi_tree_range){{NULL, 0}, {NULL, 0}}, &w);
  if (w.depth == 0)
    return 0;
  for (unsigned i = 0; i + 1 < w.depth; i++)
    bytes += cfi_tree_node_size(w.node[i]);
  do {
    bytes += cfi_tree_node_size(w.node[w.depth - 1]);
  } while (next_leaf(&w));
  return bytes;
}
