/*
 * What differs between two versions of the mirror's table, whatever way each
 * came to be cut into nodes. Digests of ranges lead to the leaves of one that
 * the other does not have the same; there, entries are compared one by one.
 */
#include "mirror_tree_state.h"

typedef struct comparison {
  const cfi_tree_view *a, *b;
  cfi_tree_differs differs;
  void *ctx;
  /* All ids below `from` have been compared; `base` is what a has more than b
     below it. So the first key below which a has more than that by another sum
     is behind the next difference. */
  changefeed_str from; /* absent: the beginning */
  cfi_tree_sum base;
} comparison;

static const changefeed_str absent = {NULL, 0};

/* What a has more than b below key, when a has a_sum there. */
static cfi_tree_sum surplus(const comparison *c, cfi_tree_sum a_sum,
                            changefeed_str key) {
  cfi_tree_sum b_sum = key.data != NULL
                           ? cfi_tree_root_below(c->b->root, c->b->sum, key)
                           : c->b->sum;

  cfi_tree_sum_subtract(&a_sum, b_sum);
  return a_sum;
}

/* The part of a that has the next difference. */
typedef struct stretch {
  const cfi_tree_node *node;
  changefeed_str from; /* absent: the beginning */
  changefeed_str to;   /* absent: the end */
  cfi_tree_sum below;  /* in a below its beginning */
  cfi_tree_sum after;  /* surplus at its end */
} stretch;

/* Do a and b differ between c->from and the end of child `at`? */
static bool differs_up_to(const comparison *c, const cfi_tree_inner *n,
                          unsigned at, const stretch *of, stretch *child) {
  child->node = n->child[at];
  child->from = at != 0 ? cfi_tree_inner_key(n, at) : of->from;
  child->below = of->below;
  for (unsigned i = 0; i < at; i++)
    cfi_tree_sum_add(&child->below, n->sums[i]);
  if (at + 1U == n->head.count) {
    /* Known to differ, or we would not be in this node. */
    child->to = of->to;
    child->after = of->after;
    return true;
  }
  child->to = cfi_tree_inner_key(n, at + 1);
  cfi_tree_sum a_sum = child->below;
  cfi_tree_sum_add(&a_sum, n->sums[at]);
  child->after = surplus(c, a_sum, child->to);
  return !cfi_tree_sum_equal(child->after, c->base);
}

/* The first child at whose end a and b differ. Differences are often close to
   each other, so the first one is tried before the rest is halved. */
static stretch next_child(const comparison *c, const stretch *of) {
  const cfi_tree_inner *n = cfi_tree_to_inner(of->node);
  unsigned low = c->from.data != NULL ? cfi_tree_inner_search(n, c->from) : 0;
  unsigned high = n->head.count - 1U;
  stretch found, tried;

  if (differs_up_to(c, n, low, of, &found))
    return found;
  low++;
  (void)differs_up_to(c, n, high, of, &found);
  while (low < high) {
    unsigned middle = (low + high) / 2;

    if (differs_up_to(c, n, middle, of, &tried)) {
      found = tried;
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return found;
}

static bool same_rev(const cfi_tree_entry *a, const cfi_tree_entry *b) {
  return a->rev.len == b->rev.len &&
         (a->rev.len == 0 || memcmp(a->rev.data, b->rev.data, a->rev.len) == 0);
}

/* Entry by entry. False: the application has had enough. */
static bool compare_range(const comparison *c, cfi_tree_range range) {
  cfi_tree_walk wa, wb;
  cfi_tree_entry a, b;
  bool have_a, have_b;

  cfi_tree_view_walk(c->a, range, &wa);
  cfi_tree_view_walk(c->b, range, &wb);
  have_a = cfi_tree_next(&wa, &a);
  have_b = cfi_tree_next(&wb, &b);
  while (have_a || have_b) {
    int order = !have_b   ? -1
                : !have_a ? 1
                          : cfi_tree_compare_bytes(a.id.data, a.id.len,
                                                   b.id.data, b.id.len);

    if ((order != 0 || !same_rev(&a, &b)) &&
        !c->differs(c->ctx, order <= 0 ? &a : NULL, order >= 0 ? &b : NULL))
      return false;
    if (order <= 0)
      have_a = cfi_tree_next(&wa, &a);
    if (order >= 0)
      have_b = cfi_tree_next(&wb, &b);
  }
  return true;
}

/* Absent comes before all. */
static changefeed_str later(changefeed_str a, changefeed_str b) {
  if (a.data == NULL)
    return b;
  if (b.data == NULL)
    return a;
  return cfi_tree_compare_bytes(a.data, a.len, b.data, b.len) < 0 ? b : a;
}

void cfi_tree_compare(const cfi_tree_view *a, const cfi_tree_view *b,
                      cfi_tree_differs differs, void *ctx) {
  comparison c = {a, b, differs, ctx, {NULL, 0}, {{0, 0}, 0}};

  if (a->root == NULL || b->root == NULL) {
    (void)compare_range(&c, (cfi_tree_range){absent, absent});
    return;
  }
  for (;;) {
    stretch s = {
        a->root, absent, absent, {{0, 0}, 0}, surplus(&c, a->sum, absent)};

    if (cfi_tree_sum_equal(s.after, c.base))
      return;
    while (s.node->level != 0)
      s = next_child(&c, &s);
    if (!compare_range(&c, (cfi_tree_range){later(c.from, s.from), s.to}) ||
        s.to.data == NULL)
      return;
    c.from = s.to;
    c.base = s.after;
  }
}
