/*
 * The way from the root to an entry, for the writer: found, made its own, and
 * widened so that an entry has room. Each step that can fail is done before
 * anything hangs differently, and none changes what the tree holds.
 */
#include "mirror_tree_state.h"

/* ---- finding ---- */

static const cfi_tree_node *step_down(const cfi_tree_node *n, unsigned at) {
  const cfi_tree_node *child = cfi_tree_to_inner(n)->child[at];

  cfi_tree_prefetch(child);
  return child;
}

void cfi_tree_path_find(const cfi_tree *t, changefeed_str id,
                        cfi_tree_path *path) {
  cfi_tree_node *n = t->root;

  path->depth = 0;
  path->last = true;
  while (n->level != 0) {
    cfi_tree_inner *inner = cfi_tree_as_inner(n);
    unsigned at = cfi_tree_inner_search(inner, id);

    path->node[path->depth] = inner;
    path->at[path->depth++] = at;
    path->last = path->last && at == inner->head.count - 1U;
    n = inner->child[at];
    cfi_tree_prefetch(n);
  }
  path->leaf = cfi_tree_as_leaf(n);
  path->pos = cfi_tree_leaf_lower(path->leaf, id, &path->equal);
  path->last = path->last && path->pos == path->leaf->head.count;
}

void cfi_tree_path_end(const cfi_tree *t, cfi_tree_path *path) {
  cfi_tree_node *n = t->root;

  path->depth = 0;
  while (n->level != 0) {
    cfi_tree_inner *inner = cfi_tree_as_inner(n);

    path->node[path->depth] = inner;
    path->at[path->depth++] = inner->head.count - 1U;
    n = inner->child[inner->head.count - 1];
  }
  path->leaf = cfi_tree_as_leaf(n);
  path->pos = path->leaf->head.count;
  path->equal = false;
  path->last = true;
}

bool cfi_tree_root_find(const cfi_tree_node *root, changefeed_str id,
                        cfi_tree_entry *out) {
  const cfi_tree_leaf *leaf;
  unsigned at;

  if (root == NULL)
    return false;
  while (root->level != 0)
    root = step_down(root, cfi_tree_inner_search(cfi_tree_to_inner(root), id));
  leaf = cfi_tree_to_leaf(root);
  at = cfi_tree_leaf_find(leaf, id);
  if (at == leaf->head.count)
    return false;
  cfi_tree_entry_at(leaf, at, out);
  return true;
}

/* ---- the writer's own ---- */

void cfi_tree_path_set(cfi_tree *t, cfi_tree_path *path, unsigned depth,
                       cfi_tree_node *n) {
  if (depth == 0)
    t->root = n;
  else
    path->node[depth - 1]->child[path->at[depth - 1]] = n;
  if (n->level == 0)
    path->leaf = cfi_tree_as_leaf(n);
  else
    path->node[depth] = cfi_tree_as_inner(n);
}

bool cfi_tree_path_own(cfi_tree *t, cfi_tree_path *path) {
  for (unsigned d = 0; d < path->depth; d++) {
    cfi_tree_node *shared = &path->node[d]->head, *copy;

    if (shared->refs == 1)
      continue;
    copy = cfi_tree_node_copy(&t->pool, shared);
    if (copy == NULL)
      return false;
    shared->refs--;
    cfi_tree_path_set(t, path, d, copy);
  }
  return true;
}

cfi_tree_sum cfi_tree_path_sum(const cfi_tree *t, const cfi_tree_path *path,
                               unsigned depth) {
  return depth == 0 ? t->sum : path->node[depth - 1]->sums[path->at[depth - 1]];
}

void cfi_tree_path_change(cfi_tree *t, cfi_tree_path *path, cfi_tree_sum gone,
                          cfi_tree_sum come) {
  cfi_tree_sum_subtract(&come, gone);
  cfi_tree_sum_add(&t->sum, come);
  for (unsigned d = 0; d < path->depth; d++)
    cfi_tree_sum_add(&path->node[d]->sums[path->at[d]], come);
}

/* ---- room ---- */

/* A new root above the old one, with the two parts of it. */
static bool grow_root(cfi_tree *t, cfi_tree_path *path,
                      const cfi_tree_part parts[2], unsigned side) {
  cfi_tree_inner *root;

  if (path->depth + 2 > CFI_TREE_DEPTH_MAX)
    return false;
  root = cfi_tree_inner_new(&t->pool, parts[0].child->level + 1U, parts, 2);
  if (root == NULL)
    return false;
  memmove(path->node + 1, path->node, path->depth * sizeof *path->node);
  memmove(path->at + 1, path->at, path->depth * sizeof *path->at);
  path->depth++;
  path->node[0] = root;
  path->at[0] = side;
  t->root = &root->head;
  return true;
}

/* Hangs two parts where the path's node of this depth hangs; the way goes on in
   the one of `side`. The parent is the writer's own and not full. What becomes
   of the old node is the caller's care. */
static bool hang_two(cfi_tree *t, cfi_tree_path *path, unsigned depth,
                     const cfi_tree_part two[2], unsigned side) {
  cfi_tree_part parts[CFI_TREE_FANOUT + 1];
  cfi_tree_inner *old, *parent;
  unsigned count, at;

  if (depth == 0)
    return grow_root(t, path, two, side);
  old = path->node[depth - 1];
  at = path->at[depth - 1];
  count = cfi_tree_inner_parts(old, parts);
  memmove(parts + at + 2, parts + at + 1, (count - at - 1) * sizeof *parts);
  parts[at].child = two[0].child;
  parts[at].sum = two[0].sum;
  parts[at + 1] = two[1];
  parent = cfi_tree_inner_new(&t->pool, old->head.level, parts, count + 1);
  if (parent == NULL)
    return false;
  cfi_tree_path_set(t, path, depth - 1, &parent->head);
  path->at[depth - 1] = at + side;
  cfi_free(t->pool.alloc, old);
  return true;
}

static cfi_tree_sum sum_of_parts(const cfi_tree_part *parts, unsigned count) {
  cfi_tree_sum sum = {{0, 0}, 0};

  for (unsigned i = 0; i < count; i++)
    cfi_tree_sum_add(&sum, parts[i].sum);
  return sum;
}

/* Splits the full inner node at *depth. */
static bool split_inner(cfi_tree *t, cfi_tree_path *path, unsigned *depth) {
  cfi_tree_part parts[CFI_TREE_FANOUT], two[2];
  cfi_tree_inner *old = path->node[*depth], *left, *right;
  unsigned count = cfi_tree_inner_parts(old, parts), had = path->depth;
  unsigned at = path->at[*depth];
  /* Who appends comes back to the right one only. */
  unsigned cut = path->last ? count - 2 : count / 2;

  left = cfi_tree_inner_new(&t->pool, old->head.level, parts, cut);
  right =
      cfi_tree_inner_new(&t->pool, old->head.level, parts + cut, count - cut);
  if (left == NULL || right == NULL)
    goto fail;
  two[0] = (cfi_tree_part){&left->head, sum_of_parts(parts, cut), {NULL, 0}};
  two[1] = (cfi_tree_part){&right->head, sum_of_parts(parts + cut, count - cut),
                           parts[cut].key};
  if (!hang_two(t, path, *depth, two, at >= cut))
    goto fail;
  *depth += path->depth - had;
  path->node[*depth] = at >= cut ? right : left;
  path->at[*depth] = at >= cut ? at - cut : at;
  cfi_free(t->pool.alloc, old);
  return true;

fail:
  cfi_free(t->pool.alloc, left);
  cfi_free(t->pool.alloc, right);
  return false;
}

/* The shortest text that is greater than low and not greater than high. */
static changefeed_str key_between(cfi_tree_place low, changefeed_str high) {
  size_t same = 0;

  while (same < low.id_len && low.id[same] == high.data[same])
    same++;
  return (changefeed_str){high.data, same + 1};
}

/* For an id behind all others: leaves stay as full as they are. */
static bool split_end(cfi_tree *t, cfi_tree_path *path,
                      const cfi_tree_item *item, size_t cap) {
  cfi_tree_leaf *leaf = path->leaf, *next = cfi_tree_leaf_new(&t->pool, cap);
  cfi_tree_part two[2];

  if (next == NULL)
    return false;
  two[0] = (cfi_tree_part){
      &leaf->head, cfi_tree_path_sum(t, path, path->depth), {NULL, 0}};
  two[1] = (cfi_tree_part){
      &next->head,
      {{0, 0}, 0},
      key_between(cfi_tree_place_at(leaf, leaf->head.count - 1U), item->id)};
  if (!hang_two(t, path, path->depth, two, 1)) {
    cfi_free(t->pool.alloc, next);
    return false;
  }
  path->leaf = next;
  path->pos = 0;
  return true;
}

/* Bytes of the slots and entries before i. */
static size_t bytes_before(const cfi_tree_leaf *leaf, unsigned i) {
  return i == 0 ? 0 : leaf->slots[i - 1].end + i * sizeof *leaf->slots;
}

static unsigned middle_of(const cfi_tree_leaf *leaf) {
  unsigned cut = 1;

  while (cut + 1U < leaf->head.count &&
         bytes_before(leaf, cut) < leaf->used / 2U)
    cut++;
  return cut;
}

/* The two halves with their sums; only one half is hashed. */
static void halves(const cfi_tree_leaf *leaf, unsigned cut, cfi_tree_sum whole,
                   cfi_tree_part two[2]) {
  unsigned side = cut <= leaf->head.count / 2U ? 0 : 1;
  cfi_tree_sum part = side == 0
                          ? cfi_tree_leaf_sum(leaf, 0, cut)
                          : cfi_tree_leaf_sum(leaf, cut, leaf->head.count);

  cfi_tree_sum_subtract(&whole, part);
  two[side].sum = part;
  two[1 - side].sum = whole;
}

static bool split_leaf(cfi_tree *t, cfi_tree_path *path,
                       const cfi_tree_item *item) {
  cfi_tree_leaf *leaf = path->leaf, *part[2];
  unsigned count = leaf->head.count, cut = middle_of(leaf);
  unsigned side = path->pos >= cut;
  size_t left = bytes_before(leaf, cut),
         more = item->size + sizeof(cfi_tree_slot);
  cfi_tree_place first = cfi_tree_place_at(leaf, cut);
  changefeed_str high = {first.id, first.id_len};
  cfi_tree_part two[2];

  part[0] = cfi_tree_leaf_part(&t->pool, leaf, 0, cut,
                               cfi_tree_leaf_room(left + (side ? 0 : more)));
  part[1] = cfi_tree_leaf_part(
      &t->pool, leaf, cut, count,
      cfi_tree_leaf_room(leaf->used - left + (side ? more : 0)));
  if (part[0] == NULL || part[1] == NULL)
    goto fail;
  halves(leaf, cut, cfi_tree_path_sum(t, path, path->depth), two);
  two[0].child = &part[0]->head;
  two[1].child = &part[1]->head;
  two[1].key = key_between(cfi_tree_place_at(leaf, cut - 1),
                           path->pos == cut ? item->id : high);
  if (!hang_two(t, path, path->depth, two, side))
    goto fail;
  cfi_tree_node_spent(&t->pool, &leaf->head);
  path->leaf = part[side];
  path->pos -= side ? cut : 0;
  return true;

fail:
  cfi_free(t->pool.alloc, part[0]);
  cfi_free(t->pool.alloc, part[1]);
  return false;
}

bool cfi_tree_path_room(cfi_tree *t, cfi_tree_path *path,
                        const cfi_tree_item *item, bool brim) {
  cfi_tree_leaf *leaf = path->leaf, *wider;
  size_t need = leaf->used + item->size + sizeof *leaf->slots;
  size_t cap;

  if (path->equal)
    need -= bytes_before(leaf, path->pos + 1) - bytes_before(leaf, path->pos);
  if (leaf->head.refs == 1 && need <= leaf->cap)
    return true;
  if (need > CFI_TREE_LEAF_MAX) {
    for (unsigned d = 0; d < path->depth; d++)
      if (cfi_tree_inner_full(path->node[d]) && !split_inner(t, path, &d))
        return false;
    cap = brim ? CFI_TREE_LEAF_MAX
               : cfi_tree_leaf_room(item->size + sizeof *leaf->slots);
    return path->last ? split_end(t, path, item, cap)
                      : split_leaf(t, path, item);
  }
  cap = brim && need > CFI_TREE_LEAF_MAX / 4 ? CFI_TREE_LEAF_MAX
                                             : cfi_tree_leaf_room(need);
  if (cap < leaf->used) /* a long entry makes way for a short one */
    cap = leaf->used;
  wider = cfi_tree_leaf_part(&t->pool, leaf, 0, leaf->head.count, cap);
  if (wider == NULL)
    return false;
  cfi_tree_node_spent(&t->pool, &leaf->head);
  cfi_tree_path_set(t, path, path->depth, &wider->head);
  return true;
}
