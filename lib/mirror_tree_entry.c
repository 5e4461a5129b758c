/*
 * Entries of the mirror's table: how one is written, read, and what it holds
 * besides its bytes: a value of the application, and a block of its own when it
 * is long. Such a block is shared between versions and counted, like nodes.
 */
#include "mirror_tree_node.h"

typedef struct long_block {
  uint32_t refs;
  uint32_t size; /* of text */
  unsigned char text[];
} long_block;

/* Pointers among the bytes are not aligned. */
static void *load_pointer(const unsigned char *p) {
  void *pointer;

  memcpy(&pointer, p, sizeof pointer);
  return pointer;
}

/* ---- writing ---- */

bool cfi_tree_item_init(cfi_tree_item *item, const cfi_tree_pool *pool,
                        changefeed_str id, changefeed_str rev, void *value) {
  unsigned char number[CFI_TREE_NUMBER_ROOM];

  if (id.len > CFI_TREE_TEXT_MAX || rev.len > CFI_TREE_TEXT_MAX)
    return false;
  item->id = id;
  item->value = pool->has_values ? value : NULL;
  item->block = NULL;
  item->print = cfi_tree_print(id);
  cfi_tree_rev_pack(rev, &item->rev);
  item->text = cfi_tree_number_put(number, (uint64_t)id.len + 1) + id.len + 1 +
               item->rev.len;
  item->is_long = item->text > CFI_TREE_INLINE_MAX;
  item->size = (item->is_long ? 1 + sizeof(void *) : item->text) +
               (pool->has_values ? sizeof(void *) : 0);
  return true;
}

static void write_text(const cfi_tree_item *item, unsigned char *to) {
  to += cfi_tree_number_put(to, (uint64_t)item->id.len + 1);
  if (item->id.len != 0)
    memcpy(to, item->id.data, item->id.len);
  to += item->id.len;
  *to++ = '\0';
  cfi_tree_rev_write(&item->rev, to);
}

bool cfi_tree_item_alloc(cfi_tree_item *item, const cfi_tree_pool *pool) {
  long_block *block;

  if (!item->is_long)
    return true;
  block = cfi_malloc(pool->alloc, sizeof *block + item->text);
  if (block == NULL)
    return false;
  block->refs = 1;
  block->size = (uint32_t)item->text;
  write_text(item, block->text);
  item->block = block;
  return true;
}

void cfi_tree_item_write(const cfi_tree_item *item, unsigned holds,
                         unsigned char *to) {
  if (holds & CFI_TREE_VALUES) {
    memcpy(to, &item->value, sizeof item->value);
    to += sizeof item->value;
  }
  if (item->is_long) {
    *to = 0;
    memcpy(to + 1, &item->block, sizeof item->block);
  } else {
    write_text(item, to);
  }
}

/* ---- reading ---- */

static const unsigned char *after_value(const cfi_tree_leaf *leaf, unsigned i) {
  return cfi_tree_bytes_at(leaf, i) +
         (leaf->head.holds & CFI_TREE_VALUES ? sizeof(void *) : 0);
}

cfi_tree_place cfi_tree_place_at(const cfi_tree_leaf *leaf, unsigned i) {
  const unsigned char *p = after_value(leaf, i);
  cfi_tree_place place;

  if (*p == 0)
    p = ((const long_block *)load_pointer(p + 1))->text;
  place.id_len = (size_t)cfi_tree_number_get(&p) - 1;
  place.id = (const char *)p;
  place.rev = p + place.id_len + 1;
  return place;
}

void cfi_tree_entry_at(const cfi_tree_leaf *leaf, unsigned i,
                       cfi_tree_entry *out) {
  cfi_tree_place place = cfi_tree_place_at(leaf, i);

  out->id = (changefeed_str){place.id, place.id_len};
  out->rev = cfi_tree_rev_text(place.rev, out->rev_room);
  out->value = leaf->head.holds & CFI_TREE_VALUES
                   ? load_pointer(cfi_tree_bytes_at(leaf, i))
                   : NULL;
}

cfi_digest cfi_tree_digest_at(const cfi_tree_leaf *leaf, unsigned i) {
  cfi_tree_place place = cfi_tree_place_at(leaf, i);
  char room[CFI_TREE_REV_ROOM];

  return cfi_digest_of((changefeed_str){place.id, place.id_len},
                       cfi_tree_rev_text(place.rev, room));
}

/* ---- what entries hold ---- */

cfi_tree_held cfi_tree_held_at(const cfi_tree_leaf *leaf, unsigned i) {
  const unsigned char *p = after_value(leaf, i);
  cfi_tree_held held = {NULL, NULL};

  if (leaf->head.holds & CFI_TREE_VALUES)
    held.value = load_pointer(cfi_tree_bytes_at(leaf, i));
  if (*p == 0)
    held.block = load_pointer(p + 1);
  return held;
}

void cfi_tree_held_keep(const cfi_tree_pool *pool, cfi_tree_held held) {
  if (held.block != NULL)
    ((long_block *)held.block)->refs++;
  if (held.value != NULL)
    pool->values.keep(pool->values.ctx, held.value);
}

void cfi_tree_held_drop(const cfi_tree_pool *pool, cfi_tree_held held) {
  long_block *block = held.block;

  if (block != NULL && --block->refs == 0)
    cfi_free(pool->alloc, block);
  if (held.value != NULL)
    pool->values.drop(pool->values.ctx, held.value);
}

size_t cfi_tree_blocks_size(const cfi_tree_leaf *leaf) {
  size_t size = 0;

  if (leaf->head.holds & CFI_TREE_LONG) {
    for (unsigned i = 0; i < leaf->head.count; i++) {
      const long_block *block = cfi_tree_held_at(leaf, i).block;

      if (block != NULL)
        size += sizeof *block + block->size;
    }
  }
  return size;
}
