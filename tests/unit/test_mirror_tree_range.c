/*
 * Ranges of the mirror's table, and what differs between two versions, against
 * looking at each entry.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mirror_tree_state.h"
#include "support/failing.h"
#include "support/tree_model.h"
#include "support/unit.h"

typedef struct side {
  cfi_tree *tree;
  cft_model model;
  const cfi_tree_view *view;
} side;

static cft_failing memory;

static void open_side(side *s) {
  *s = (side){cfi_tree_new(&memory.alloc, NULL), {NULL, 0, 0}, NULL};
  ck_assert_ptr_nonnull(s->tree);
}

static void see(side *s) {
  ck_assert(cfi_tree_publish(s->tree));
  s->view = cfi_tree_acquire(s->tree);
}

static void close_side(side *s) {
  cfi_tree_release(s->tree, s->view);
  cfi_tree_free(s->tree);
  cft_model_free(&s->model);
}

static void put(side *s, changefeed_str id, changefeed_str rev) {
  ck_assert_int_eq(cfi_tree_put(s->tree, id, rev, NULL),
                   cft_model_put(&s->model, id, rev, NULL));
}

static void fill(side *s, cft_chance *chance, unsigned kind, unsigned many) {
  char id[CFT_ID_ROOM], rev[CFT_REV_ROOM];

  for (unsigned i = 0; i < many; i++)
    put(s, cft_chance_id(chance, kind, many, id), cft_chance_rev(chance, rev));
}

/* ---- ranges ---- */

static void check_range(const side *s, cfi_tree_range range) {
  uint64_t want_count, count = 77;
  cfi_digest want = cft_model_digest(&s->model, range, &want_count);
  cfi_digest is = cfi_tree_view_digest(s->view, range, &count);
  size_t at =
      range.from.data != NULL ? cft_model_lower(&s->model, range.from) : 0;
  cfi_tree_walk w;
  cfi_tree_entry e;

  ck_assert_uint_eq(count, want_count);
  ck_assert(cfi_digest_equal(is, want));
  ck_assert(cfi_digest_equal(cfi_tree_view_digest(s->view, range, NULL), want));
  cfi_tree_view_walk(s->view, range, &w);
  for (; want_count != 0; want_count--, at++) {
    ck_assert(cfi_tree_next(&w, &e));
    ck_assert_uint_eq(e.id.len, s->model.entries[at].id.len);
    ck_assert_mem_eq(e.id.data, s->model.entries[at].id.data, e.id.len);
  }
  ck_assert(!cfi_tree_next(&w, &e));
}

START_TEST(test_mirror_tree_range_as_counted_one_by_one) {
  unsigned kind = (unsigned)_i % CFT_ID_KINDS;
  unsigned many = (unsigned[]){0, 1, 30, 1000, 6000}[_i / CFT_ID_KINDS];
  cft_chance chance = {(uint64_t)_i};
  char from[CFT_ID_ROOM], to[CFT_ID_ROOM];
  changefeed_str none = {NULL, 0};
  side s;

  cft_failing_init(&memory, 0);
  open_side(&s);
  fill(&s, &chance, kind, many);
  see(&s);
  check_range(&s, (cfi_tree_range){none, none});
  check_range(&s, (cfi_tree_range){cft_str(""), none});
  check_range(&s, (cfi_tree_range){none, cft_str("")});
  for (unsigned i = 0; i < 60; i++) {
    cfi_tree_range range = {cft_chance_id(&chance, kind, many + 1, from),
                            cft_chance_id(&chance, kind, many + 1, to)};

    check_range(&s, range);
    check_range(&s, (cfi_tree_range){range.from, none});
    check_range(&s, (cfi_tree_range){none, range.to});
    check_range(&s, (cfi_tree_range){range.from, range.from});
    if (range.from.len > 3) /* a prefix, as a startkey may be */
      range.from.len = cft_chance_below(&chance, (unsigned)range.from.len);
    check_range(&s, range);
  }
  close_side(&s);
  ck_assert_uint_eq(memory.live, 0);
}
END_TEST

/* ---- differences ---- */

typedef struct expected {
  const cft_model *a, *b;
  size_t at_a, at_b; /* what comes next */
  size_t seen, stop_after;
} expected;

static bool same(changefeed_str x, changefeed_str y) {
  return x.len == y.len && (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
}

static int order_of(const expected *x) {
  if (x->at_a == x->a->count)
    return 1;
  if (x->at_b == x->b->count)
    return -1;
  return cfi_tree_compare_bytes(
      x->a->entries[x->at_a].id.data, x->a->entries[x->at_a].id.len,
      x->b->entries[x->at_b].id.data, x->b->entries[x->at_b].id.len);
}

/* Goes to the next difference. False: there is none. */
static bool next_difference(expected *x, const cft_entry **a,
                            const cft_entry **b) {
  *a = *b = NULL;
  while (x->at_a < x->a->count || x->at_b < x->b->count) {
    int order = order_of(x);

    if (order <= 0)
      *a = &x->a->entries[x->at_a++];
    if (order >= 0)
      *b = &x->b->entries[x->at_b++];
    if (order != 0 || !same((*a)->rev, (*b)->rev))
      return true;
    *a = *b = NULL;
  }
  return false;
}

static void check_one(const cft_entry *want, const cfi_tree_entry *is) {
  ck_assert_int_eq(want != NULL, is != NULL);
  if (want != NULL)
    ck_assert(same(want->id, is->id) && same(want->rev, is->rev));
}

static bool differs(void *ctx, const cfi_tree_entry *a,
                    const cfi_tree_entry *b) {
  expected *x = ctx;
  const cft_entry *want_a, *want_b;

  ck_assert(next_difference(x, &want_a, &want_b));
  check_one(want_a, a);
  check_one(want_b, b);
  return ++x->seen != x->stop_after;
}

static size_t check_differences(const side *a, const side *b) {
  expected x = {&a->model, &b->model, 0, 0, 0, 0};
  const cft_entry *rest_a, *rest_b;

  cfi_tree_compare(a->view, b->view, differs, &x);
  ck_assert_msg(!next_difference(&x, &rest_a, &rest_b),
                "not told after %zu differences", x.seen);
  return x.seen;
}

/* The same entries in another order, through other nodes: put at random, with
   others that are removed again. */
static void copy_another_way(side *to, const side *from, cft_chance *chance,
                             unsigned kind) {
  char id[CFT_ID_ROOM];
  size_t count = from->model.count;

  for (unsigned i = 0; i < 500; i++)
    put(to, cft_chance_id(chance, kind, 1 << 20, id), cft_str("7-extra"));
  for (size_t i = 0; i < count; i++) {
    /* 7919 is prime, so that all are met unless count is its multiple. */
    const cft_entry *e = &from->model.entries[i * 7919 % count];

    (void)cfi_tree_put(to->tree, e->id, e->rev, NULL);
    (void)cft_model_put(&to->model, e->id, e->rev, NULL);
  }
  for (size_t i = to->model.count; i-- > 0;) {
    changefeed_str gone = to->model.entries[i].id;

    if (cft_model_find(&from->model, gone) != NULL)
      continue;
    ck_assert_int_eq(cfi_tree_remove(to->tree, gone), CFI_TREE_REMOVED);
    ck_assert_int_eq(cft_model_remove(&to->model, gone), CFI_TREE_REMOVED);
  }
}

START_TEST(test_mirror_tree_compare_finds_what_differs) {
  static const unsigned differences[] = {0, 1, 2, 5, 40, 1000};
  unsigned kind = (unsigned)_i % CFT_ID_KINDS;
  unsigned many = (unsigned[]){10, 1000, 5000}[_i / CFT_ID_KINDS];
  cft_chance chance = {(uint64_t)_i};
  char id[CFT_ID_ROOM], rev[CFT_REV_ROOM];

  for (size_t k = 0; k < sizeof differences / sizeof *differences; k++) {
    side a, b;

    cft_failing_init(&memory, 0);
    open_side(&a);
    open_side(&b);
    fill(&a, &chance, kind, many);
    copy_another_way(&b, &a, &chance, kind);
    ck_assert(
        cfi_digest_equal(cfi_tree_digest(a.tree), cfi_tree_digest(b.tree)));
    for (unsigned i = 0; i < differences[k]; i++) {
      side *s = i % 2 != 0 ? &a : &b;
      changefeed_str of = cft_chance_id(&chance, kind, many, id);

      if (i % 3 == 0)
        ck_assert_int_eq(cfi_tree_remove(s->tree, of),
                         cft_model_remove(&s->model, of));
      else
        put(s, of, cft_chance_rev(&chance, rev));
    }
    see(&a);
    see(&b);
    (void)check_differences(&a, &b);
    (void)check_differences(&b, &a);
    ck_assert_uint_eq(check_differences(&a, &a), 0);
    close_side(&a);
    close_side(&b);
    ck_assert_uint_eq(memory.live, 0);
  }
}
END_TEST

START_TEST(test_mirror_tree_compare_with_nothing) {
  cft_chance chance = {3};
  side a, b;

  cft_failing_init(&memory, 0);
  open_side(&a);
  open_side(&b);
  fill(&a, &chance, 0, 3000);
  see(&a);
  see(&b);
  ck_assert_uint_eq(check_differences(&a, &b), a.model.count);
  ck_assert_uint_eq(check_differences(&b, &a), a.model.count);
  ck_assert_uint_eq(check_differences(&b, &b), 0);
  close_side(&a);
  close_side(&b);
}
END_TEST

START_TEST(test_mirror_tree_compare_stops_when_told) {
  cft_chance chance = {4};
  side a, b;

  cft_failing_init(&memory, 0);
  open_side(&a);
  open_side(&b);
  fill(&a, &chance, 1, 3000);
  fill(&b, &chance, 1, 3000);
  see(&a);
  see(&b);
  for (size_t stop = 1; stop < 200; stop += 40) {
    expected x = {&a.model, &b.model, 0, 0, 0, stop};

    cfi_tree_compare(a.view, b.view, differs, &x);
    ck_assert_uint_eq(x.seen, stop);
  }
  close_side(&a);
  close_side(&b);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_tree_range");
  TCase *tc = tcase_create("range");

  tcase_add_loop_test(tc, test_mirror_tree_range_as_counted_one_by_one, 0,
                      (cft_is_slow() ? 1 : 5) * CFT_ID_KINDS);
  tcase_add_loop_test(tc, test_mirror_tree_compare_finds_what_differs, 0,
                      (cft_is_slow() ? 1 : 3) * CFT_ID_KINDS);
  tcase_add_test(tc, test_mirror_tree_compare_with_nothing);
  tcase_add_test(tc, test_mirror_tree_compare_stops_when_told);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
