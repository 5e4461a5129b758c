/*
 * Inner nodes of the mirror's table. Keys come and go only with leaves, so a
 * node that gets one is made anew, of exactly the size it needs; counts and
 * digests change in place.
 */
#include "mirror_tree_node.h"

/* The first eight bytes as a number; a short text has zeros behind it, so equal
   heads leave the order open. */
static uint64_t head_of(const char *text, size_t len) {
  const unsigned char *p = (const unsigned char *)text;
  uint64_t head = 0;

  if (len >= 8)
    return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
           (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
           (uint64_t)p[6] << 8 | (uint64_t)p[7];
  for (size_t i = 0; i < len; i++)
    head |= (uint64_t)p[i] << (56 - 8 * i);
  return head;
}

changefeed_str cfi_tree_inner_key(const cfi_tree_inner *n, unsigned i) {
  if (i == 0)
    return (changefeed_str){NULL, 0};
  return (changefeed_str){n->keys + n->ends[i - 1],
                          n->ends[i] - n->ends[i - 1]};
}

/* Keys are in order: what the first and the last begin with, all do. */
static size_t common_prefix(changefeed_str a, changefeed_str b) {
  size_t len = 0, most = a.len < b.len ? a.len : b.len;

  while (len < most && a.data[len] == b.data[len])
    len++;
  return len;
}

/* One block. What is searched comes first, and no array is less aligned than
   it needs to be. */
static cfi_tree_inner *inner_alloc(const cfi_tree_pool *pool, unsigned count,
                                   size_t keys) {
  size_t child = sizeof(uint64_t) + sizeof(cfi_tree_sum) +
                 sizeof(cfi_tree_node *) + sizeof(uint32_t);
  size_t size;
  cfi_tree_inner *n;

  if (!cfi_add(sizeof *n + count * child, keys, &size))
    return NULL;
  n = cfi_malloc(pool->alloc, size);
  if (n == NULL)
    return NULL;
  n->size = size;
  n->heads = (uint64_t *)(void *)(n + 1);
  n->sums = (cfi_tree_sum *)(void *)(n->heads + count);
  n->child = (cfi_tree_node **)(void *)(n->sums + count);
  n->ends = (uint32_t *)(void *)(n->child + count);
  n->keys = (char *)(n->ends + count);
  return n;
}

cfi_tree_inner *cfi_tree_inner_new(const cfi_tree_pool *pool, unsigned level,
                                   const cfi_tree_part *parts, unsigned count) {
  size_t keys = 0, at = 0;
  cfi_tree_inner *n;

  for (unsigned i = 1; i < count; i++)
    if (!cfi_add(keys, parts[i].key.len, &keys))
      return NULL;
  n = inner_alloc(pool, count, keys);
  if (n == NULL)
    return NULL;
  n->head.refs = 1;
  n->head.count = (uint16_t)count;
  n->head.level = (uint8_t)level;
  n->head.holds = 0;
  n->prefix = count < 2
                  ? 0
                  : (uint32_t)common_prefix(parts[1].key, parts[count - 1].key);
  for (unsigned i = 0; i < count; i++) {
    changefeed_str key = parts[i].key;

    n->child[i] = parts[i].child;
    n->sums[i] = parts[i].sum;
    n->heads[i] = 0;
    if (i != 0) {
      n->heads[i] = head_of(key.data + n->prefix, key.len - n->prefix);
      memcpy(n->keys + at, key.data, key.len);
      at += key.len;
    }
    n->ends[i] = (uint32_t)at;
  }
  return n;
}

unsigned cfi_tree_inner_parts(const cfi_tree_inner *n, cfi_tree_part *parts) {
  for (unsigned i = 0; i < n->head.count; i++)
    parts[i] =
        (cfi_tree_part){n->child[i], n->sums[i], cfi_tree_inner_key(n, i)};
  return n->head.count;
}

bool cfi_tree_inner_full(const cfi_tree_inner *n) {
  return n->head.count >= CFI_TREE_FANOUT ||
         (n->head.count >= 4 && n->ends[n->head.count - 1] > CFI_TREE_KEYS_MAX);
}

/* The first of `count` heads that is not less. Nobody can predict which way a
   step goes, so there is no branch in it. */
static unsigned search_heads(const uint64_t *heads, unsigned count,
                             uint64_t head) {
  const uint64_t *at = heads;

  if (count == 0)
    return 0;
  while (count > 1) {
    unsigned half = count / 2;

    at += at[half - 1] < head ? half : 0;
    count -= half;
  }
  return (unsigned)(at - heads) + (*at < head);
}

unsigned cfi_tree_inner_search(const cfi_tree_inner *n, changefeed_str id) {
  unsigned count = n->head.count, low, high;
  uint64_t head;

  if (n->prefix != 0) {
    int order = memcmp(id.data != NULL ? id.data : "", n->keys,
                       id.len < n->prefix ? id.len : n->prefix);

    if (order != 0)
      return order < 0 ? 0 : count - 1;
    if (id.len < n->prefix)
      return 0;
  }
  head =
      head_of(id.data != NULL ? id.data + n->prefix : "", id.len - n->prefix);
  low = 1 + search_heads(n->heads + 1, count - 1, head);
  high = low;
  while (high < count && n->heads[high] == head)
    high++;
  /* Among equal heads the whole keys decide; key low - 1 is less anyway. */
  while (low < high) {
    unsigned middle = (low + high) / 2;
    changefeed_str key = cfi_tree_inner_key(n, middle);

    if (cfi_tree_compare_bytes(key.data, key.len, id.data, id.len) <= 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low - 1;
}

void cfi_tree_inner_cut(cfi_tree_inner *n, unsigned at) {
  unsigned count = n->head.count, behind = count - at - 1;
  /* With the first child goes the key of the second, which is first now. */
  unsigned gone = at == 0 && count > 1 ? 1 : at;
  changefeed_str key = cfi_tree_inner_key(n, gone);
  size_t keys = n->ends[count - 1];

  memmove(n->child + at, n->child + at + 1, behind * sizeof *n->child);
  memmove(n->sums + at, n->sums + at + 1, behind * sizeof *n->sums);
  if (gone != 0) {
    char *from = n->keys + n->ends[gone - 1];

    memmove(from, from + key.len, keys - n->ends[gone]);
    for (unsigned i = gone + 1; i < count; i++) {
      n->ends[i - 1] = (uint32_t)(n->ends[i] - key.len);
      n->heads[i - 1] = n->heads[i];
    }
  }
  n->head.count = (uint16_t)(count - 1);
  if (count <= 2)
    n->prefix = 0;
}
