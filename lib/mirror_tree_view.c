/*
 * Versions of the mirror's table: published by the writer, acquired and
 * released by anybody without waiting.
 *
 * One word says which view is current (low bits) and how often it was acquired
 * (high bits), so that a reader's single addition both counts it and tells what
 * it counts for. When the writer puts another view there it learns how many
 * readers the old one ever had; that view is idle when as many have released
 * it. Both counts may wrap: they are compared modulo their bits, and differ as
 * long as fewer readers than that hold one view at the same time.
 */
#include "mirror_tree_state.h"

/* 2040 views and 2^21 readers of one where a word has 32 bits. */
enum {
  INDEX_BITS = 11,
  VIEWS_MAX = CFI_TREE_FIRST_CHUNK * ((1 << CFI_TREE_CHUNKS) - 1)
};

static const size_t one_reader = (size_t)1 << INDEX_BITS;

_Static_assert(VIEWS_MAX <= 1 << INDEX_BITS, "each view has an index");

static unsigned chunk_size(unsigned chunk) {
  return (unsigned)CFI_TREE_FIRST_CHUNK << chunk;
}

static cfi_tree_view *view_at(const cfi_tree *t, unsigned index) {
  unsigned chunk = 0;

  while (index >= chunk_size(chunk))
    index -= chunk_size(chunk++);
  return &t->chunk[chunk][index];
}

static unsigned index_of(size_t word) {
  return (unsigned)(word & (one_reader - 1));
}

/* ---- readers ---- */

const cfi_tree_view *cfi_tree_acquire(cfi_tree *t) {
  size_t word =
      atomic_fetch_add_explicit(&t->current, one_reader, memory_order_acquire);

  return view_at(t, index_of(word));
}

void cfi_tree_release(cfi_tree *t, const cfi_tree_view *v) {
  cfi_tree_view *view = view_at(t, v->index);

  atomic_fetch_add_explicit(&view->released, 1, memory_order_release);
}

cfi_tree *cfi_tree_of(const cfi_tree_view *v) { return v->tree; }

bool cfi_tree_view_find(const cfi_tree_view *v, changefeed_str id,
                        cfi_tree_entry *out) {
  if (id.data == NULL)
    id.data = "";
  return cfi_tree_root_find(v->root, id, out);
}

uint64_t cfi_tree_view_count(const cfi_tree_view *v) { return v->sum.count; }

cfi_digest cfi_tree_view_digest(const cfi_tree_view *v, cfi_tree_range range,
                                uint64_t *count) {
  cfi_tree_sum sum = v->sum;

  if (range.to.data != NULL)
    sum = cfi_tree_root_below(v->root, v->sum, range.to);
  if (range.from.data != NULL) {
    cfi_tree_sum before = cfi_tree_root_below(v->root, v->sum, range.from);

    /* A range whose ends are the wrong way round holds nothing. */
    if (before.count < sum.count)
      cfi_tree_sum_subtract(&sum, before);
    else
      sum = (cfi_tree_sum){{0, 0}, 0};
  }
  if (count != NULL)
    *count = sum.count;
  return sum.digest;
}

void cfi_tree_view_walk(const cfi_tree_view *v, cfi_tree_range range,
                        cfi_tree_walk *w) {
  cfi_tree_root_walk(v->root, range, w);
}

void cfi_tree_walk_start(const cfi_tree *t, cfi_tree_range range,
                         cfi_tree_walk *w) {
  cfi_tree_root_walk(t->root, range, w);
}

/* ---- the writer ---- */

static bool more_views(cfi_tree *t) {
  unsigned chunk = 0, room = 0;
  cfi_tree_view *views;

  while (chunk < CFI_TREE_CHUNKS && t->chunk[chunk] != NULL)
    room += chunk_size(chunk++);
  if (chunk == CFI_TREE_CHUNKS)
    return false;
  views = cfi_calloc(t->pool.alloc, chunk_size(chunk), sizeof *views);
  if (views == NULL)
    return false;
  for (unsigned i = 0; i < chunk_size(chunk); i++) {
    views[i].index = room + i;
    views[i].tree = t;
    atomic_init(&views[i].released, 0);
  }
  t->chunk[chunk] = views;
  t->views = room + chunk_size(chunk);
  return true;
}

static bool is_idle(const cfi_tree_view *v) {
  size_t released = atomic_load_explicit(&v->released, memory_order_acquire);

  return ((released - v->acquired) & (SIZE_MAX >> INDEX_BITS)) == 0;
}

/* Frees what views that are neither current nor read hold, and answers one of
   them; NULL: all are in use. */
static cfi_tree_view *idle_view(cfi_tree *t) {
  unsigned current =
      index_of(atomic_load_explicit(&t->current, memory_order_relaxed));
  cfi_tree_view *idle = NULL;

  for (unsigned i = 0; i < t->views; i++) {
    cfi_tree_view *v = view_at(t, i);

    if (i == current || (v->held && !is_idle(v)))
      continue;
    if (v->held && v->root != NULL)
      cfi_tree_node_drop(&t->pool, v->root);
    v->held = false;
    if (idle == NULL)
      idle = v;
  }
  return idle;
}

static void make_current(cfi_tree *t, cfi_tree_view *v) {
  size_t word;
  cfi_tree_view *before;

  v->root = t->root;
  v->sum = t->sum;
  v->held = true;
  v->acquired = 0;
  atomic_store_explicit(&v->released, 0, memory_order_relaxed);
  if (v->root != NULL)
    v->root->refs++;
  word = atomic_exchange_explicit(&t->current, v->index, memory_order_acq_rel);
  before = view_at(t, index_of(word));
  before->acquired = word >> INDEX_BITS;
}

static cfi_tree_view *view_to_publish(cfi_tree *t) {
  cfi_tree_view *v = idle_view(t);

  if (v == NULL && more_views(t))
    v = idle_view(t);
  return v;
}

static const cfi_tree_view *current_view(const cfi_tree *t) {
  return view_at(
      t, index_of(atomic_load_explicit(&t->current, memory_order_relaxed)));
}

bool cfi_tree_publish(cfi_tree *t) {
  cfi_tree_view *v;

  /* Shared nodes do not change, so the same root means the same contents. */
  if (current_view(t)->root == t->root) {
    (void)idle_view(t);
    return true;
  }
  v = view_to_publish(t);
  if (v == NULL)
    return false;
  make_current(t, v);
  /* The one before, if nobody reads it, goes now. */
  (void)idle_view(t);
  return true;
}

bool cfi_tree_replace(cfi_tree *t, cfi_tree *from) {
  cfi_tree_view *v = view_to_publish(t);

  if (v == NULL)
    return false;
  cfi_tree_clear(t);
  t->root = from->root;
  t->sum = from->sum;
  from->root = NULL;
  cfi_tree_clear(from);
  make_current(t, v);
  (void)idle_view(t);
  return true;
}

/* ---- making and freeing ---- */

cfi_tree *cfi_tree_new(const cfi_alloc *alloc, const cfi_tree_values *values) {
  cfi_tree *t = cfi_calloc(alloc, 1, sizeof *t);

  if (t == NULL)
    return NULL;
  t->pool.alloc = alloc;
  t->pool.has_values = values != NULL;
  if (values != NULL)
    t->pool.values = *values;
  /* The first view is the empty version. */
  if (!more_views(t)) {
    cfi_free(alloc, t);
    return NULL;
  }
  t->chunk[0][0].held = true;
  atomic_init(&t->current, 0);
  return t;
}

void cfi_tree_free(cfi_tree *t) {
  const cfi_alloc *alloc;

  if (t == NULL)
    return;
  alloc = t->pool.alloc;
  cfi_tree_clear(t);
  for (unsigned i = 0; i < t->views; i++) {
    cfi_tree_view *v = view_at(t, i);

    if (v->held && v->root != NULL)
      cfi_tree_node_drop(&t->pool, v->root);
  }
  for (unsigned i = 0; i < CFI_TREE_CHUNKS; i++)
    cfi_free(alloc, t->chunk[i]);
  cfi_free(alloc, t);
}
