/*
 * The mirror's table when memory runs out, at each allocation in turn: what
 * could not be done has changed nothing, and nothing is lost or left behind.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "mirror_tree_state.h"
#include "support/failing.h"
#include "support/tree_model.h"
#include "support/unit.h"

enum { VALUES = 4000 };

static cft_failing memory;
static unsigned held[VALUES];

static void keep(void *ctx, void *value) {
  (void)ctx;
  ck_assert_uint_gt(*(unsigned *)value, 0);
  ++*(unsigned *)value;
}

static void drop(void *ctx, void *value) {
  (void)ctx;
  ck_assert_uint_gt(*(unsigned *)value, 0);
  --*(unsigned *)value;
}

typedef struct world {
  cfi_tree *tree;
  cft_model model;
  const cfi_tree_view *view; /* NULL: none is held */
  cft_model seen;            /* what it must hold */
  cft_chance chance;
  unsigned kind, many, next_value;
} world;

static void set_up(world *w, unsigned seed) {
  cfi_tree_values values = {keep, drop, NULL};

  memset(w, 0, sizeof *w);
  memset(held, 0, sizeof held);
  cft_failing_init(&memory, 0);
  w->kind = seed % CFT_ID_KINDS;
  w->chance.state = seed;
  w->many = seed / CFT_ID_KINDS % 2 == 0 ? 40 : 1500;
  w->tree = cfi_tree_new(&memory.alloc, &values);
  ck_assert_ptr_nonnull(w->tree);
}

static void let_go(world *w) {
  if (w->view == NULL)
    return;
  cft_model_check_view(&w->seen, w->view);
  cfi_tree_release(w->tree, w->view);
  cft_model_free(&w->seen);
  w->view = NULL;
}

static void tear_down(world *w) {
  let_go(w);
  cft_model_check_tree(&w->model, w->tree);
  cfi_tree_free(w->tree);
  cft_model_free(&w->model);
  ck_assert_uint_eq(memory.live, 0);
  for (unsigned i = 0; i < VALUES; i++)
    ck_assert_uint_eq(held[i], 0);
}

static void *new_value(world *w) {
  unsigned *value = &held[w->next_value++];

  ck_assert_uint_lt(w->next_value, VALUES);
  *value = 1;
  return value;
}

/* After a refusal: the counts and the digest are as before, the nodes in
   order, and the tree as a whole now and then. */
static void check_unchanged(const world *w, cfi_digest digest) {
  ck_assert_uint_eq(cfi_tree_count(w->tree), w->model.count);
  ck_assert(cfi_digest_equal(cfi_tree_digest(w->tree), digest));
  cft_tree_check_nodes(w->tree);
}

/* Each until it succeeds, failing one allocation later each time; answers how
   often it was refused. */
static unsigned put(world *w, changefeed_str id, changefeed_str rev) {
  void *value = new_value(w);
  unsigned at = 0;

  for (;;) {
    cfi_digest digest = cfi_tree_digest(w->tree);
    cfi_tree_result result;

    memory.calls = memory.refused = 0;
    memory.fail_at = ++at;
    memory.fails = 1;
    result = cfi_tree_put(w->tree, id, rev, value);
    memory.fail_at = 0;
    if (result != CFI_TREE_NOMEM) {
      ck_assert_int_eq(result, cft_model_put(&w->model, id, rev, value));
      return at - 1;
    }
    ck_assert_uint_eq(memory.refused, 1);
    check_unchanged(w, digest);
  }
}

static unsigned take(world *w, changefeed_str id) {
  unsigned at = 0;

  for (;;) {
    cfi_digest digest = cfi_tree_digest(w->tree);
    cfi_tree_result result;

    memory.calls = memory.refused = 0;
    memory.fail_at = ++at;
    memory.fails = 1;
    result = cfi_tree_remove(w->tree, id);
    memory.fail_at = 0;
    if (result != CFI_TREE_NOMEM) {
      ck_assert_int_eq(result, cft_model_remove(&w->model, id));
      return at - 1;
    }
    ck_assert_uint_eq(memory.refused, 1);
    check_unchanged(w, digest);
  }
}

static void publish(world *w) {
  unsigned at = 0;

  let_go(w);
  do {
    const cfi_tree_view *v = cfi_tree_acquire(w->tree);
    uint64_t count = cfi_tree_view_count(v);
    bool done;

    memory.calls = memory.refused = 0;
    memory.fail_at = ++at;
    memory.fails = 1;
    done = cfi_tree_publish(w->tree);
    memory.fail_at = 0;
    ck_assert_uint_eq(cfi_tree_view_count(v), count);
    cfi_tree_release(w->tree, v);
    if (done)
      break;
    ck_assert_uint_eq(memory.refused, 1);
  } while (true);
  w->view = cfi_tree_acquire(w->tree);
  cft_model_copy(&w->seen, &w->model);
  cft_model_check_view(&w->seen, w->view);
}

START_TEST(test_mirror_tree_memory_each_allocation) {
  char id[CFT_ID_ROOM], rev[CFT_REV_ROOM];
  unsigned refused = 0;
  world w;

  set_up(&w, (unsigned)_i);
  for (unsigned i = 0; i < 1500; i++) {
    unsigned removals = i < 900 ? 15 : 85;
    changefeed_str of = cft_chance_id(&w.chance, w.kind, w.many, id);

    if (cft_chance_below(&w.chance, 100) < removals)
      refused += take(&w, of);
    else
      refused += put(&w, of, cft_chance_rev(&w.chance, rev));
    if (cft_chance_below(&w.chance, 100) == 0)
      publish(&w);
  }
  ck_assert_uint_gt(refused, 50);
  tear_down(&w);
}
END_TEST

START_TEST(test_mirror_tree_memory_append) {
  char room[220];
  world w;

  set_up(&w, 0);
  for (unsigned i = 0; i < 3000; i++) {
    void *value = new_value(&w);
    changefeed_str id = {room, (size_t)snprintf(room, sizeof room, "%08u%0*u",
                                                i, i % 50 == 0 ? 200 : 1, 0)};
    bool done = false;

    for (unsigned at = 1; !done; at++) {
      cfi_digest digest = cfi_tree_digest(w.tree);

      memory.calls = memory.refused = 0;
      memory.fail_at = at;
      memory.fails = 1;
      done = cfi_tree_append(w.tree, id, cft_str("1-a"), value);
      memory.fail_at = 0;
      if (!done)
        check_unchanged(&w, digest);
    }
    cft_model_put(&w.model, id, cft_str("1-a"), value);
    if (i % 500 == 0)
      publish(&w);
  }
  tear_down(&w);
}
END_TEST

/* For a new table as well: refused, or made whole. */
START_TEST(test_mirror_tree_memory_new_and_replace) {
  for (unsigned at = 1;; at++) {
    cfi_tree *t;

    cft_failing_init(&memory, at);
    t = cfi_tree_new(&memory.alloc, NULL);
    if (t != NULL) {
      cfi_tree_free(t);
      ck_assert_uint_eq(memory.live, 0);
      ck_assert_uint_gt(at, 1);
      break;
    }
    ck_assert_uint_eq(memory.live, 0);
  }
  cft_failing_init(&memory, 0);

  cfi_tree *t = cfi_tree_new(&memory.alloc, NULL);
  cfi_tree *from = cfi_tree_new(&memory.alloc, NULL);
  const cfi_tree_view *views[8];

  /* All views there are at first are held, so that replace needs memory. */
  for (unsigned i = 0; i < 8; i++) {
    char id[2] = {(char)('a' + i), '\0'};

    views[i] = cfi_tree_acquire(t);
    cfi_tree_put(t, cft_str(id), cft_str("1-a"), NULL);
    if (i < 7)
      ck_assert(cfi_tree_publish(t));
  }
  cfi_tree_put(from, cft_str("z"), cft_str("1-a"), NULL);
  memory.calls = 0;
  memory.fail_at = 1;
  memory.fails = CFT_FOR_GOOD;
  ck_assert(!cfi_tree_replace(t, from));
  ck_assert(!cfi_tree_publish(t));
  memory.fail_at = 0;
  ck_assert_uint_eq(cfi_tree_count(t), 8);
  ck_assert_uint_eq(cfi_tree_count(from), 1);
  ck_assert_uint_eq(cfi_tree_view_count(views[7]), 7);
  ck_assert(cfi_tree_replace(t, from));
  ck_assert_uint_eq(cfi_tree_count(t), 1);
  ck_assert_uint_eq(cfi_tree_count(from), 0);
  for (unsigned i = 0; i < 8; i++) {
    ck_assert_uint_eq(cfi_tree_view_count(views[i]), i);
    cfi_tree_release(t, views[i]);
  }
  cfi_tree_free(from);
  cfi_tree_free(t);
  ck_assert_uint_eq(memory.live, 0);
}
END_TEST

/* Removing needs no memory when no version shares the nodes. */
START_TEST(test_mirror_tree_memory_removal_without_any) {
  char id[CFT_ID_ROOM], rev[CFT_REV_ROOM];
  world w;

  set_up(&w, (unsigned)_i);
  for (unsigned i = 0; i < 2000; i++) {
    changefeed_str of = cft_chance_id(&w.chance, w.kind, 4000, id);
    changefeed_str at = cft_chance_rev(&w.chance, rev);
    void *value = new_value(&w);

    ck_assert_int_eq(cfi_tree_put(w.tree, of, at, value),
                     cft_model_put(&w.model, of, at, value));
  }
  memory.calls = 0;
  memory.fail_at = 1;
  memory.fails = CFT_FOR_GOOD;
  while (w.model.count > 3) {
    size_t at = cft_chance_below(&w.chance, (unsigned)w.model.count);

    ck_assert_int_eq(cfi_tree_remove(w.tree, w.model.entries[at].id),
                     CFI_TREE_REMOVED);
    cft_model_remove(&w.model, w.model.entries[at].id);
    if (w.model.count % 50 == 0)
      cft_model_check_tree(&w.model, w.tree);
  }
  memory.fail_at = 0;
  tear_down(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_tree_memory");
  TCase *tc = tcase_create("memory");

  tcase_add_loop_test(tc, test_mirror_tree_memory_each_allocation, 0,
                      (cft_is_slow() ? 1 : 2) * CFT_ID_KINDS);
  tcase_add_test(tc, test_mirror_tree_memory_append);
  tcase_add_test(tc, test_mirror_tree_memory_new_and_replace);
  tcase_add_loop_test(tc, test_mirror_tree_memory_removal_without_any, 0,
                      CFT_ID_KINDS);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
