/*
 * The nodes of the mirror's table. A leaf is one block: slots from its front,
 * entries from its back, both in the order of ids, free room between them. An
 * inner node is one block that holds its children, their counts and digests,
 * and the keys between them. Nodes are shared between versions and counted; the
 * counts are the writer's alone, and readers never look at them.
 */
#ifndef CFI_MIRROR_TREE_NODE_H
#define CFI_MIRROR_TREE_NODE_H

#include <string.h>

#include "mirror_tree.h"
#include "mirror_tree_rev.h"

enum {
  CFI_TREE_LEAF_MAX = 1008,  /* bytes of slots and entries in a leaf */
  CFI_TREE_LEAF_STEP = 128,  /* by which it grows */
  CFI_TREE_INLINE_MAX = 160, /* a longer entry has a block of its own */
  CFI_TREE_FANOUT = 128,     /* children of an inner node */
  CFI_TREE_KEYS_MAX = 65536, /* with more bytes of keys it counts as full */
  /* Longer ids and revisions are refused. With it all the keys that a node can
     come to, halved as it is when it gets too many, fit into 32 bits. */
  CFI_TREE_TEXT_MAX = 1 << 28
};

/* What the nodes of one tree have in common. */
typedef struct cfi_tree_pool {
  const cfi_alloc *alloc;
  cfi_tree_values values;
  bool has_values;
} cfi_tree_pool;

typedef struct cfi_tree_sum {
  cfi_digest digest;
  uint64_t count;
} cfi_tree_sum;

static inline void cfi_tree_sum_add(cfi_tree_sum *a, cfi_tree_sum b) {
  a->digest = cfi_digest_add(a->digest, b.digest);
  a->count += b.count;
}
static inline void cfi_tree_sum_subtract(cfi_tree_sum *a, cfi_tree_sum b) {
  a->digest = cfi_digest_subtract(a->digest, b.digest);
  a->count -= b.count;
}
static inline bool cfi_tree_sum_equal(cfi_tree_sum a, cfi_tree_sum b) {
  return a.count == b.count && cfi_digest_equal(a.digest, b.digest);
}

enum { CFI_TREE_VALUES = 1, CFI_TREE_LONG = 2 };

typedef struct cfi_tree_node {
  uint32_t refs;
  uint16_t count;
  uint8_t level; /* 0: a leaf */
  uint8_t holds; /* leaf: each entry has a value; some may be out of line */
} cfi_tree_node;

typedef struct cfi_tree_slot {
  uint16_t end;   /* the entry begins so many bytes before the leaf's end */
  uint16_t print; /* some bits of the id's hash, so that most others need not
                     be looked at */
} cfi_tree_slot;

typedef struct cfi_tree_leaf {
  cfi_tree_node head;
  uint16_t cap;  /* bytes behind this struct */
  uint16_t used; /* of these, by slots and entries */
  cfi_tree_slot slots[];
} cfi_tree_leaf;

/* Child i has the ids that are not less than key i and less than key i + 1; key
   0 is not kept. The head of a key is its first eight bytes behind what all
   keys begin with, as a number. */
typedef struct cfi_tree_inner {
  _Alignas(uint64_t) cfi_tree_node head; /* so that what follows is aligned */
  uint32_t prefix;                       /* bytes that all keys begin with */
  size_t size;                           /* of the block */
  uint64_t *heads;
  cfi_tree_node **child;
  cfi_tree_sum *sums;
  uint32_t *ends; /* of key i in keys */
  char *keys;
} cfi_tree_inner;

static inline int cfi_tree_compare_bytes(const void *a, size_t a_len,
                                         const void *b, size_t b_len) {
  size_t common = a_len < b_len ? a_len : b_len;
  int order = common != 0 ? memcmp(a, b, common) : 0;

  return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* The whole of a leaf, or what is searched of an inner node: its lines then
   come at the same time, where one leads to the next if they are waited for. */
static inline void cfi_tree_prefetch(const cfi_tree_node *n) {
#ifdef __GNUC__
  for (unsigned i = 0; i <= CFI_TREE_LEAF_MAX; i += 64)
    __builtin_prefetch((const char *)n + i);
#else
  (void)n;
#endif
}

static inline cfi_tree_leaf *cfi_tree_as_leaf(cfi_tree_node *n) {
  return (cfi_tree_leaf *)(void *)n;
}
static inline cfi_tree_inner *cfi_tree_as_inner(cfi_tree_node *n) {
  return (cfi_tree_inner *)(void *)n;
}
static inline const cfi_tree_leaf *cfi_tree_to_leaf(const cfi_tree_node *n) {
  return (const cfi_tree_leaf *)(const void *)n;
}
static inline const cfi_tree_inner *cfi_tree_to_inner(const cfi_tree_node *n) {
  return (const cfi_tree_inner *)(const void *)n;
}

/* ---- entries ---- */

/* An entry that is to be written: [value] and then either the text, which is
   the id's length + 1, the id, '\0', the revision packed; or 0 and a pointer to
   a block with the text. */
typedef struct cfi_tree_item {
  changefeed_str id;
  cfi_tree_packed rev;
  void *value;
  void *block; /* NULL: not out of line */
  size_t text; /* bytes of the text */
  size_t size; /* bytes of the entry in the leaf */
  uint16_t print;
  bool is_long;
} cfi_tree_item;

/* One that is there. */
typedef struct cfi_tree_place {
  const char *id;
  size_t id_len;
  const unsigned char *rev;
} cfi_tree_place;

uint16_t cfi_tree_print(changefeed_str id);
/* False when id or rev is too long. Allocates nothing. */
bool cfi_tree_item_init(cfi_tree_item *item, const cfi_tree_pool *pool,
                        changefeed_str id, changefeed_str rev, void *value);
/* Makes the block of a long one. */
bool cfi_tree_item_alloc(cfi_tree_item *item, const cfi_tree_pool *pool);
/* Writes item->size bytes; holds is the leaf's. */
void cfi_tree_item_write(const cfi_tree_item *item, unsigned holds,
                         unsigned char *to);

/* Where the entry's bytes begin. */
static inline const unsigned char *cfi_tree_bytes_at(const cfi_tree_leaf *leaf,
                                                     unsigned i) {
  return (const unsigned char *)leaf->slots + leaf->cap - leaf->slots[i].end;
}
cfi_tree_place cfi_tree_place_at(const cfi_tree_leaf *leaf, unsigned i);
void cfi_tree_entry_at(const cfi_tree_leaf *leaf, unsigned i,
                       cfi_tree_entry *out);
cfi_digest cfi_tree_digest_at(const cfi_tree_leaf *leaf, unsigned i);

/* What an entry holds besides its bytes. */
typedef struct cfi_tree_held {
  void *value;
  void *block;
} cfi_tree_held;
cfi_tree_held cfi_tree_held_at(const cfi_tree_leaf *leaf, unsigned i);
void cfi_tree_held_keep(const cfi_tree_pool *pool, cfi_tree_held held);
void cfi_tree_held_drop(const cfi_tree_pool *pool, cfi_tree_held held);
/* Bytes of memory of all blocks that entries of the leaf have. */
size_t cfi_tree_blocks_size(const cfi_tree_leaf *leaf);

/* ---- leaves ---- */

/* Room for need bytes, and some to grow. */
size_t cfi_tree_leaf_room(size_t need);
/* An empty one; cap at most CFI_TREE_LEAF_MAX. */
cfi_tree_leaf *cfi_tree_leaf_new(const cfi_tree_pool *pool, size_t cap);
/* A leaf with the bytes of entries from..to; what they hold is not counted, so
   that it can be the old leaf's or be kept. */
cfi_tree_leaf *cfi_tree_leaf_part(const cfi_tree_pool *pool,
                                  const cfi_tree_leaf *leaf, unsigned from,
                                  unsigned to, size_t cap);
/* Adds the bytes of all entries of b behind those of a, which has room. */
void cfi_tree_leaf_join(cfi_tree_leaf *a, const cfi_tree_leaf *b);
void cfi_tree_leaf_keep(const cfi_tree_pool *pool, const cfi_tree_leaf *leaf);

/* The entry of this id, or the count of entries. */
unsigned cfi_tree_leaf_find(const cfi_tree_leaf *leaf, changefeed_str id);
/* The first entry that is not less; *equal: it is that id. */
unsigned cfi_tree_leaf_lower(const cfi_tree_leaf *leaf, changefeed_str id,
                             bool *equal);
/* Both without counting what entries hold; the room must be there. */
void cfi_tree_leaf_insert(cfi_tree_leaf *leaf, unsigned at,
                          const cfi_tree_item *item);
void cfi_tree_leaf_cut(cfi_tree_leaf *leaf, unsigned at);
/* Of entries from..to. */
cfi_tree_sum cfi_tree_leaf_sum(const cfi_tree_leaf *leaf, unsigned from,
                               unsigned to);

/* ---- inner nodes ---- */

/* A child as it is before or after it is in a node. */
typedef struct cfi_tree_part {
  cfi_tree_node *child;
  cfi_tree_sum sum;
  changefeed_str key; /* of the first part: not used */
} cfi_tree_part;

/* Counts of children are not changed by any of these. */
cfi_tree_inner *cfi_tree_inner_new(const cfi_tree_pool *pool, unsigned level,
                                   const cfi_tree_part *parts, unsigned count);
/* The parts of a node, borrowed; answers how many. */
unsigned cfi_tree_inner_parts(const cfi_tree_inner *n, cfi_tree_part *parts);
changefeed_str cfi_tree_inner_key(const cfi_tree_inner *n, unsigned i);
bool cfi_tree_inner_full(const cfi_tree_inner *n);
/* The child that id belongs to. */
unsigned cfi_tree_inner_search(const cfi_tree_inner *n, changefeed_str id);
/* Takes child at out in place. */
void cfi_tree_inner_cut(cfi_tree_inner *n, unsigned at);

/* ---- any node ---- */

/* A copy that holds all the node holds; NULL without memory. */
cfi_tree_node *cfi_tree_node_copy(const cfi_tree_pool *pool,
                                  const cfi_tree_node *n);
/* Gives one count back, and with the last the node and what it holds. */
void cfi_tree_node_drop(const cfi_tree_pool *pool, cfi_tree_node *n);
/* What lies below was handed on to another node: frees the block if nobody else
   has it, and keeps what it holds for those if somebody does. */
void cfi_tree_node_spent(const cfi_tree_pool *pool, cfi_tree_node *n);
size_t cfi_tree_node_size(const cfi_tree_node *n);

#endif
