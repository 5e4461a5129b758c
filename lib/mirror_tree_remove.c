/*
 * Entries removed from the mirror's table, and nodes that have become small
 * joined with their neighbours. The removal cannot fail once the way is the
 * writer's own; joining may, and then the nodes stay small.
 */
#include "mirror_tree_state.h"

/* What is joined has room to grow before it is split again. */
enum {
  LEAF_SMALL = CFI_TREE_LEAF_MAX / 4,
  LEAF_JOINED = CFI_TREE_LEAF_MAX * 3 / 4,
  INNER_SMALL = CFI_TREE_FANOUT / 4,
  INNER_JOINED = CFI_TREE_FANOUT * 3 / 4
};

/* The two neighbours of one parent that would be joined: children at and at + 1
   of it. */
typedef struct pair {
  cfi_tree_inner *parent;
  unsigned at;
  cfi_tree_node *left, *right;
} pair;

/* One leaf of two, or NULL. */
static cfi_tree_node *join_leaves(const cfi_tree_pool *pool, const pair *p) {
  const cfi_tree_leaf *left = cfi_tree_to_leaf(p->left);
  const cfi_tree_leaf *right = cfi_tree_to_leaf(p->right);
  size_t used = (size_t)left->used + right->used;
  cfi_tree_leaf *both;

  if (used > LEAF_JOINED)
    return NULL;
  both = cfi_tree_leaf_part(pool, left, 0, left->head.count,
                            cfi_tree_leaf_room(used));
  if (both == NULL)
    return NULL;
  cfi_tree_leaf_join(both, right);
  return &both->head;
}

static cfi_tree_node *join_inner(const cfi_tree_pool *pool, const pair *p) {
  const cfi_tree_inner *left = cfi_tree_to_inner(p->left);
  const cfi_tree_inner *right = cfi_tree_to_inner(p->right);
  unsigned count = left->head.count + (unsigned)right->head.count;
  cfi_tree_part parts[INNER_JOINED];
  changefeed_str key = cfi_tree_inner_key(p->parent, p->at + 1);
  size_t keys = (size_t)left->ends[left->head.count - 1] +
                right->ends[right->head.count - 1] + key.len;
  cfi_tree_inner *both;

  if (count > INNER_JOINED || keys > CFI_TREE_KEYS_MAX / 2)
    return NULL;
  (void)cfi_tree_inner_parts(left, parts);
  (void)cfi_tree_inner_parts(right, parts + left->head.count);
  parts[left->head.count].key = key;
  both = cfi_tree_inner_new(pool, left->head.level, parts, count);
  return both != NULL ? &both->head : NULL;
}

static bool join_pair(const cfi_tree_pool *pool, const pair *p) {
  cfi_tree_node *both =
      p->left->level == 0 ? join_leaves(pool, p) : join_inner(pool, p);

  if (both == NULL)
    return false;
  cfi_tree_node_spent(pool, p->left);
  cfi_tree_node_spent(pool, p->right);
  cfi_tree_sum_add(&p->parent->sums[p->at], p->parent->sums[p->at + 1]);
  p->parent->child[p->at] = both;
  cfi_tree_inner_cut(p->parent, p->at + 1);
  return true;
}

static void join_child(const cfi_tree_pool *pool, cfi_tree_inner *parent,
                       unsigned at) {
  for (unsigned side = 0; side < 2; side++) {
    unsigned left = side == 0 ? at : at - 1;
    pair p;

    if (left >= parent->head.count || left + 1U >= parent->head.count)
      continue;
    p = (pair){parent, left, parent->child[left], parent->child[left + 1]};
    if (join_pair(pool, &p))
      return;
  }
}

/* Gives back memory of a leaf that was full once. */
static void shrink_leaf(cfi_tree *t, cfi_tree_path *path) {
  cfi_tree_leaf *leaf = path->leaf, *less;
  size_t cap = cfi_tree_leaf_room(leaf->used);

  if (leaf->head.count == 0 || leaf->cap / 2 < cap)
    return;
  less = cfi_tree_leaf_part(&t->pool, leaf, 0, leaf->head.count, cap);
  if (less == NULL)
    return;
  cfi_tree_node_spent(&t->pool, &leaf->head);
  cfi_tree_path_set(t, path, path->depth, &less->head);
}

static bool is_small(const cfi_tree_node *n) {
  return n->level == 0 ? cfi_tree_to_leaf(n)->used < LEAF_SMALL
                       : n->count < INNER_SMALL;
}

/* From the leaf upwards: what is empty goes, what is small is joined. */
static void tidy(cfi_tree *t, cfi_tree_path *path) {
  cfi_tree_node *n = &path->leaf->head;

  for (unsigned d = path->depth; d != 0; d--) {
    cfi_tree_inner *parent = path->node[d - 1];

    if (n->count == 0) {
      cfi_free(t->pool.alloc, n);
      cfi_tree_inner_cut(parent, path->at[d - 1]);
    } else if (is_small(n)) {
      join_child(&t->pool, parent, path->at[d - 1]);
    }
    n = &parent->head;
  }
  if (n->count == 0) {
    cfi_free(t->pool.alloc, n);
    t->root = NULL;
    return;
  }
  while (n->level != 0 && n->count == 1) {
    t->root = cfi_tree_as_inner(n)->child[0];
    cfi_tree_node_spent(&t->pool, n);
    n = t->root;
  }
}

/* Makes the leaf the writer's own, as it is. */
static bool own_leaf(cfi_tree *t, cfi_tree_path *path) {
  cfi_tree_leaf *leaf = path->leaf;
  cfi_tree_node *copy;

  if (leaf->head.refs == 1)
    return true;
  copy = cfi_tree_node_copy(&t->pool, &leaf->head);
  if (copy == NULL)
    return false;
  leaf->head.refs--;
  cfi_tree_path_set(t, path, path->depth, copy);
  return true;
}

cfi_tree_result cfi_tree_remove(cfi_tree *t, changefeed_str id) {
  cfi_tree_sum nothing = {{0, 0}, 0}, gone;
  cfi_tree_path path;
  cfi_tree_held held;

  if (id.data == NULL)
    id.data = "";
  if (t->root == NULL)
    return CFI_TREE_SAME;
  cfi_tree_path_find(t, id, &path);
  if (!path.equal)
    return CFI_TREE_SAME;
  if (!cfi_tree_path_own(t, &path) || !own_leaf(t, &path))
    return CFI_TREE_NOMEM;
  gone = cfi_tree_leaf_sum(path.leaf, path.pos, path.pos + 1);
  held = cfi_tree_held_at(path.leaf, path.pos);
  cfi_tree_leaf_cut(path.leaf, path.pos);
  cfi_tree_path_change(t, &path, gone, nothing);
  shrink_leaf(t, &path);
  tidy(t, &path);
  cfi_tree_held_drop(&t->pool, held);
  return CFI_TREE_REMOVED;
}
