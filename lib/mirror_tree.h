/*
 * The mirror's table: id -> winning revision, and a value if asked for, in the
 * order of the ids' bytes. One thread writes; each version that was published
 * is immutable and may be read by any thread (copy on write: versions share
 * what did not change). Knows the count and the digest of the whole and of each
 * range. Does no I/O and knows nothing of feeds.
 */
#ifndef CFI_MIRROR_TREE_H
#define CFI_MIRROR_TREE_H

#include "alloc.h"
#include "mirror_digest.h"

typedef struct cfi_tree cfi_tree;           /* what the writer changes */
typedef struct cfi_tree_view cfi_tree_view; /* one published version */

/* Room for the text of a revision "N-32 hexadecimal digits" and '\0'. */
enum { CFI_TREE_REV_ROOM = 56 };

/* One entry, filled for the reader. id and value are borrowed from the tree or
   view; rev may point into rev_room, so that an entry is not to be copied. */
typedef struct cfi_tree_entry {
  changefeed_str id, rev; /* terminated by '\0' */
  void *value;            /* NULL: none */
  char rev_room[CFI_TREE_REV_ROOM];
} cfi_tree_entry;

/* Values are counted: each version that holds one keeps it. Both run in the
   writer's thread only. NULL: the tree holds no values and spends no memory on
   them. */
typedef struct cfi_tree_values {
  void (*keep)(void *ctx, void *value);
  void (*drop)(void *ctx, void *value);
  void *ctx;
} cfi_tree_values;

/* ---- the writer ---- */

/* NULL without memory. values is copied. */
cfi_tree *cfi_tree_new(const cfi_alloc *alloc, const cfi_tree_values *values);
/* Every view must have been released. */
void cfi_tree_free(cfi_tree *t);

typedef enum cfi_tree_result {
  CFI_TREE_NOMEM = -1,  /* nothing was changed */
  CFI_TREE_SAME = 0,    /* put: the same revision was there; the value was
                           replaced. remove: it was not there */
  CFI_TREE_ADDED = 1,   /* put: it was not there */
  CFI_TREE_CHANGED = 2, /* put: it had another revision */
  CFI_TREE_REMOVED = 3
} cfi_tree_result;

/* Takes over the caller's count of value unless it answers NOMEM. id may hold
   any byte; one longer than 2^28 is answered with NOMEM, and a revision as
   well. Neither may be borrowed from this tree. */
cfi_tree_result cfi_tree_put(cfi_tree *t, changefeed_str id, changefeed_str rev,
                             void *value);
cfi_tree_result cfi_tree_remove(cfi_tree *t, changefeed_str id);
/* Empties it, which published versions do not see. */
void cfi_tree_clear(cfi_tree *t);
/* Adds behind all that is there; false without memory, or when id is not
   greater than the last one. A tree made only so is filled to the brim. */
bool cfi_tree_append(cfi_tree *t, changefeed_str id, changefeed_str rev,
                     void *value);
/* What the writer sees now, published or not. */
bool cfi_tree_find(const cfi_tree *t, changefeed_str id, cfi_tree_entry *out);
uint64_t cfi_tree_count(const cfi_tree *t);
cfi_digest cfi_tree_digest(const cfi_tree *t);

/* Makes what the writer sees the version readers get from now on; frees what
   only versions nobody reads any more have held. False without memory, or when
   2040 versions are still held: readers go on with the version before. Costs
   O(1) for each version held, and what is freed. */
bool cfi_tree_publish(cfi_tree *t);
/* As publish, in one step with the contents of from, which is empty after. Both
   must have been made with the same allocator and values. */
bool cfi_tree_replace(cfi_tree *t, cfi_tree *from);

/* ---- readers ---- */

/* The last published version, an empty one when there was none. [any thread] */
const cfi_tree_view *cfi_tree_acquire(cfi_tree *t);
/* [any thread]; frees nothing itself, the writer's next publish does. */
void cfi_tree_release(cfi_tree *t, const cfi_tree_view *v);

/* Whose version it is. */
cfi_tree *cfi_tree_of(const cfi_tree_view *v);

bool cfi_tree_view_find(const cfi_tree_view *v, changefeed_str id,
                        cfi_tree_entry *out);
uint64_t cfi_tree_view_count(const cfi_tree_view *v);

/* Ids from <= id < to by their bytes; absent (NULL data): no bound. O(log n).
 */
typedef struct cfi_tree_range {
  changefeed_str from, to;
} cfi_tree_range;
cfi_digest cfi_tree_view_digest(const cfi_tree_view *v, cfi_tree_range range,
                                uint64_t *count);

/* A walk in order; the writer's own tree can be walked too, as long as it is
   not changed. Nothing has to be set before; range.to is borrowed. */
enum { CFI_TREE_DEPTH_MAX = 24 };
typedef struct cfi_tree_walk {
  const void *node[CFI_TREE_DEPTH_MAX];
  unsigned at[CFI_TREE_DEPTH_MAX];
  unsigned depth;
  changefeed_str to;
} cfi_tree_walk;
void cfi_tree_view_walk(const cfi_tree_view *v, cfi_tree_range range,
                        cfi_tree_walk *w);
void cfi_tree_walk_start(const cfi_tree *t, cfi_tree_range range,
                         cfi_tree_walk *w);
/* False at the end. */
bool cfi_tree_next(cfi_tree_walk *w, cfi_tree_entry *out);

/* What differs between two versions, in order; stretches of equal digest are
   skipped. a or b is NULL where the id is not there. Each answers false to stop
   the comparison. */
typedef bool (*cfi_tree_differs)(void *ctx, const cfi_tree_entry *a,
                                 const cfi_tree_entry *b);
void cfi_tree_compare(const cfi_tree_view *a, const cfi_tree_view *b,
                      cfi_tree_differs differs, void *ctx);

/* Bytes of memory held by nodes that are reachable from the writer's tree;
   looks at each. */
size_t cfi_tree_bytes(const cfi_tree *t);

#endif
