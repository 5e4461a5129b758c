/*
 * What holds for leaves and inner nodes: copies, and counts given back. Below a
 * node may be as many levels as a tree has; none of this calls itself.
 */
#include "mirror_tree_node.h"

static cfi_tree_leaf *leaf_copy(const cfi_tree_pool *pool,
                                const cfi_tree_leaf *leaf) {
  cfi_tree_leaf *copy =
      cfi_tree_leaf_part(pool, leaf, 0, leaf->head.count, leaf->cap);

  if (copy != NULL)
    cfi_tree_leaf_keep(pool, copy);
  return copy;
}

static void keep_children(const cfi_tree_inner *n) {
  for (unsigned i = 0; i < n->head.count; i++)
    n->child[i]->refs++;
}

static cfi_tree_inner *inner_copy(const cfi_tree_pool *pool,
                                  const cfi_tree_inner *n) {
  cfi_tree_part parts[CFI_TREE_FANOUT];
  cfi_tree_inner *copy = cfi_tree_inner_new(pool, n->head.level, parts,
                                            cfi_tree_inner_parts(n, parts));

  if (copy != NULL)
    keep_children(copy);
  return copy;
}

cfi_tree_node *cfi_tree_node_copy(const cfi_tree_pool *pool,
                                  const cfi_tree_node *n) {
  if (n->level == 0) {
    cfi_tree_leaf *leaf = leaf_copy(pool, cfi_tree_to_leaf(n));

    return leaf != NULL ? &leaf->head : NULL;
  }
  cfi_tree_inner *inner = inner_copy(pool, cfi_tree_to_inner(n));

  return inner != NULL ? &inner->head : NULL;
}

void cfi_tree_node_spent(const cfi_tree_pool *pool, cfi_tree_node *n) {
  if (--n->refs == 0)
    cfi_free(pool->alloc, n);
  else if (n->level != 0)
    keep_children(cfi_tree_to_inner(n));
  else
    cfi_tree_leaf_keep(pool, cfi_tree_to_leaf(n));
}

static void leaf_free(const cfi_tree_pool *pool, cfi_tree_leaf *leaf) {
  if (leaf->head.holds != 0)
    for (unsigned i = 0; i < leaf->head.count; i++)
      cfi_tree_held_drop(pool, cfi_tree_held_at(leaf, i));
  cfi_free(pool->alloc, leaf);
}

/* A node whose count came to 0 stays on the stack until its children are
   done; its own count of children is how many are left. */
void cfi_tree_node_drop(const cfi_tree_pool *pool, cfi_tree_node *n) {
  cfi_tree_inner *stack[CFI_TREE_DEPTH_MAX];
  unsigned depth = 0;

  for (;;) {
    if (--n->refs == 0) {
      if (n->level == 0)
        leaf_free(pool, cfi_tree_as_leaf(n));
      else
        stack[depth++] = cfi_tree_as_inner(n);
    }
    while (depth != 0 && stack[depth - 1]->head.count == 0)
      cfi_free(pool->alloc, stack[--depth]);
    if (depth == 0)
      return;
    n = stack[depth - 1]->child[--stack[depth - 1]->head.count];
  }
}

size_t cfi_tree_node_size(const cfi_tree_node *n) {
  if (n->level != 0)
    return cfi_tree_to_inner(n)->size;
  return sizeof(cfi_tree_leaf) + cfi_tree_to_leaf(n)->cap +
         cfi_tree_blocks_size(cfi_tree_to_leaf(n));
}
