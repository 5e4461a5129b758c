/*
 * Leaves of the mirror's table: searching, and entries put in and cut out in
 * place. Whether there is room, and what entries hold, is the callers' care.
 */
#include "mirror_tree_node.h"

#include "str.h"

uint16_t cfi_tree_print(changefeed_str id) {
  return (uint16_t)cfi_str_hash(0, id.data, id.len);
}

/* What is free in a step is memory not used, and each step copies the leaf. */
size_t cfi_tree_leaf_room(size_t need) {
  size_t cap =
      (need + CFI_TREE_LEAF_STEP - 1) / CFI_TREE_LEAF_STEP * CFI_TREE_LEAF_STEP;

  return cap < CFI_TREE_LEAF_MAX ? cap : CFI_TREE_LEAF_MAX;
}

cfi_tree_leaf *cfi_tree_leaf_new(const cfi_tree_pool *pool, size_t cap) {
  cfi_tree_leaf *leaf = cfi_malloc(pool->alloc, sizeof *leaf + cap);

  if (leaf == NULL)
    return NULL;
  leaf->head.refs = 1;
  leaf->head.count = 0;
  leaf->head.level = 0;
  leaf->head.holds = pool->has_values ? CFI_TREE_VALUES : 0;
  leaf->cap = (uint16_t)cap;
  leaf->used = 0;
  return leaf;
}

/* Bytes of the entries before i. */
static unsigned end_before(const cfi_tree_leaf *leaf, unsigned i) {
  return i != 0 ? leaf->slots[i - 1].end : 0;
}

static unsigned char *leaf_end(cfi_tree_leaf *leaf) {
  return (unsigned char *)leaf->slots + leaf->cap;
}

/* Appends the bytes of entries from..to of another leaf. */
static void take_over(cfi_tree_leaf *to, const cfi_tree_leaf *from,
                      unsigned first, unsigned last) {
  unsigned had = end_before(to, to->head.count);
  unsigned before = end_before(from, first);
  unsigned bytes = end_before(from, last) - before;

  if (first == last)
    return;
  memcpy(leaf_end(to) - had - bytes, cfi_tree_bytes_at(from, last - 1), bytes);
  for (unsigned i = first; i < last; i++) {
    cfi_tree_slot slot = from->slots[i];

    slot.end = (uint16_t)(slot.end - before + had);
    to->slots[to->head.count++] = slot;
  }
  to->used = (uint16_t)(to->used + bytes + (last - first) * sizeof *to->slots);
  to->head.holds |= from->head.holds;
}

cfi_tree_leaf *cfi_tree_leaf_part(const cfi_tree_pool *pool,
                                  const cfi_tree_leaf *leaf, unsigned from,
                                  unsigned to, size_t cap) {
  cfi_tree_leaf *part = cfi_tree_leaf_new(pool, cap);

  if (part != NULL)
    take_over(part, leaf, from, to);
  return part;
}

void cfi_tree_leaf_join(cfi_tree_leaf *a, const cfi_tree_leaf *b) {
  take_over(a, b, 0, b->head.count);
}

/* ---- searching ---- */

unsigned cfi_tree_leaf_find(const cfi_tree_leaf *leaf, changefeed_str id) {
  uint16_t print = cfi_tree_print(id);
  unsigned count = leaf->head.count;

  for (unsigned i = 0; i < count; i++) {
    if (leaf->slots[i].print == print) {
      cfi_tree_place place = cfi_tree_place_at(leaf, i);

      if (place.id_len == id.len &&
          (id.len == 0 || memcmp(place.id, id.data, id.len) == 0))
        return i;
    }
  }
  return count;
}

unsigned cfi_tree_leaf_lower(const cfi_tree_leaf *leaf, changefeed_str id,
                             bool *equal) {
  unsigned low = 0, high = leaf->head.count;

  *equal = false;
  while (low < high) {
    unsigned middle = (low + high) / 2;
    cfi_tree_place place = cfi_tree_place_at(leaf, middle);
    int order = cfi_tree_compare_bytes(place.id, place.id_len, id.data, id.len);

    if (order == 0) {
      *equal = true;
      return middle;
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* ---- changing ---- */

void cfi_tree_leaf_insert(cfi_tree_leaf *leaf, unsigned at,
                          const cfi_tree_item *item) {
  unsigned count = leaf->head.count;
  unsigned before = end_before(leaf, at), all = end_before(leaf, count);
  unsigned char *end = leaf_end(leaf);

  memmove(end - all - item->size, end - all, all - before);
  memmove(leaf->slots + at + 1, leaf->slots + at,
          (count - at) * sizeof *leaf->slots);
  cfi_tree_item_write(item, leaf->head.holds, end - before - item->size);
  leaf->slots[at].end = (uint16_t)before;
  leaf->slots[at].print = item->print;
  for (unsigned i = at; i <= count; i++)
    leaf->slots[i].end = (uint16_t)(leaf->slots[i].end + item->size);
  leaf->head.count = (uint16_t)(count + 1);
  leaf->used = (uint16_t)(leaf->used + item->size + sizeof *leaf->slots);
  if (item->is_long)
    leaf->head.holds |= CFI_TREE_LONG;
}

void cfi_tree_leaf_cut(cfi_tree_leaf *leaf, unsigned at) {
  unsigned count = leaf->head.count;
  unsigned before = end_before(leaf, at), all = end_before(leaf, count);
  unsigned size = leaf->slots[at].end - before;
  unsigned char *end = leaf_end(leaf);

  memmove(end - all + size, end - all, all - before - size);
  for (unsigned i = at + 1; i < count; i++) {
    leaf->slots[i - 1].end = (uint16_t)(leaf->slots[i].end - size);
    leaf->slots[i - 1].print = leaf->slots[i].print;
  }
  leaf->head.count = (uint16_t)(count - 1);
  leaf->used = (uint16_t)(leaf->used - size - sizeof *leaf->slots);
}

cfi_tree_sum cfi_tree_leaf_sum(const cfi_tree_leaf *leaf, unsigned from,
                               unsigned to) {
  cfi_tree_sum sum = {{0, 0}, to - from};

  for (unsigned i = from; i < to; i++)
    sum.digest = cfi_digest_add(sum.digest, cfi_tree_digest_at(leaf, i));
  return sum;
}

void cfi_tree_leaf_keep(const cfi_tree_pool *pool, const cfi_tree_leaf *leaf) {
  if (leaf->head.holds != 0)
    for (unsigned i = 0; i < leaf->head.count; i++)
      cfi_tree_held_keep(pool, cfi_tree_held_at(leaf, i));
}
