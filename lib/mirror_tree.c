/*
 * The writer's side of the mirror's table: making and freeing it, entries put,
 * appended and found. What can fail is done first; the change itself cannot.
 */
#include "mirror_tree_state.h"

static const cfi_tree_sum nothing = {{0, 0}, 0};

static changefeed_str id_or_empty(changefeed_str id) {
  return id.data != NULL ? id : (changefeed_str){"", 0};
}

static bool ensure_root(cfi_tree *t) {
  cfi_tree_leaf *leaf;

  if (t->root != NULL)
    return true;
  leaf = cfi_tree_leaf_new(&t->pool, cfi_tree_leaf_room(1));
  if (leaf == NULL)
    return false;
  t->root = &leaf->head;
  return true;
}

/* Writes the item where the path leads, in the place of what is there if that
   is the same id. */
static bool write_item(cfi_tree *t, cfi_tree_path *path, cfi_tree_item *item,
                       cfi_digest digest, bool brim) {
  cfi_tree_sum come = {digest, 1}, gone = nothing;
  cfi_tree_held held = {NULL, NULL};

  if (path->equal)
    gone = cfi_tree_leaf_sum(path->leaf, path->pos, path->pos + 1);
  if (!cfi_tree_item_alloc(item, &t->pool))
    return false;
  if (!cfi_tree_path_own(t, path) || !cfi_tree_path_room(t, path, item, brim)) {
    cfi_free(t->pool.alloc, item->block);
    return false;
  }
  if (path->equal) {
    held = cfi_tree_held_at(path->leaf, path->pos);
    cfi_tree_leaf_cut(path->leaf, path->pos);
  }
  cfi_tree_leaf_insert(path->leaf, path->pos, item);
  cfi_tree_path_change(t, path, gone, come);
  /* Last: this may be the application's code. */
  cfi_tree_held_drop(&t->pool, held);
  return true;
}

cfi_tree_result cfi_tree_put(cfi_tree *t, changefeed_str id, changefeed_str rev,
                             void *value) {
  cfi_tree_result result = CFI_TREE_ADDED;
  cfi_tree_path path;
  cfi_tree_item item;

  id = id_or_empty(id);
  if (!cfi_tree_item_init(&item, &t->pool, id, rev, value) || !ensure_root(t))
    return CFI_TREE_NOMEM;
  cfi_tree_path_find(t, id, &path);
  if (path.equal) {
    cfi_tree_place place = cfi_tree_place_at(path.leaf, path.pos);

    result = cfi_tree_rev_same(place.rev, &item.rev) ? CFI_TREE_SAME
                                                     : CFI_TREE_CHANGED;
    if (result == CFI_TREE_SAME && !t->pool.has_values)
      return result;
  }
  if (!write_item(t, &path, &item, cfi_digest_of(id, rev), false))
    return CFI_TREE_NOMEM;
  return result;
}

/* Is id greater than all that is before the end of the path? Only an empty tree
   has an empty leaf. */
static bool is_behind(const cfi_tree_path *path, changefeed_str id) {
  cfi_tree_place last;

  if (path->leaf->head.count == 0)
    return true;
  last = cfi_tree_place_at(path->leaf, path->leaf->head.count - 1U);
  return cfi_tree_compare_bytes(last.id, last.id_len, id.data, id.len) < 0;
}

bool cfi_tree_append(cfi_tree *t, changefeed_str id, changefeed_str rev,
                     void *value) {
  cfi_tree_path path;
  cfi_tree_item item;

  id = id_or_empty(id);
  if (!cfi_tree_item_init(&item, &t->pool, id, rev, value) || !ensure_root(t))
    return false;
  cfi_tree_path_end(t, &path);
  return is_behind(&path, id) &&
         write_item(t, &path, &item, cfi_digest_of(id, rev), true);
}

bool cfi_tree_find(const cfi_tree *t, changefeed_str id, cfi_tree_entry *out) {
  return cfi_tree_root_find(t->root, id_or_empty(id), out);
}

uint64_t cfi_tree_count(const cfi_tree *t) { return t->sum.count; }

cfi_digest cfi_tree_digest(const cfi_tree *t) { return t->sum.digest; }

void cfi_tree_clear(cfi_tree *t) {
  cfi_tree_node *root = t->root;

  t->root = NULL;
  t->sum = nothing;
  if (root != NULL)
    cfi_tree_node_drop(&t->pool, root);
}
