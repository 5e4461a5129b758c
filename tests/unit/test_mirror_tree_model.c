/*
 * The mirror's table against a sorted array: random work from many seeds, and
 * versions held meanwhile that must not change.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/failing.h"
#include "support/tree_model.h"
#include "support/unit.h"

enum { HELD = 4 };

typedef struct held_view {
  const cfi_tree_view *view;
  cft_model model;
} held_view;

typedef struct world {
  cft_failing memory;
  cft_chance chance;
  cfi_tree *tree;
  cft_model model;
  held_view held[HELD];
  unsigned kind, many;
} world;

static void set_up(world *w, uint64_t seed) {
  memset(w, 0, sizeof *w);
  cft_failing_init(&w->memory, 0);
  w->chance.state = seed;
  w->kind = (unsigned)(seed % CFT_ID_KINDS);
  w->many = 1U << (3 + cft_chance_below(&w->chance, 10));
  w->tree = cfi_tree_new(&w->memory.alloc, NULL);
  ck_assert_ptr_nonnull(w->tree);
}

static void let_go(world *w, unsigned i) {
  if (w->held[i].view == NULL)
    return;
  cft_model_check_view(&w->held[i].model, w->held[i].view);
  cfi_tree_release(w->tree, w->held[i].view);
  cft_model_free(&w->held[i].model);
  w->held[i].view = NULL;
}

static void tear_down(world *w) {
  for (unsigned i = 0; i < HELD; i++)
    let_go(w, i);
  cft_model_check_tree(&w->model, w->tree);
  cfi_tree_free(w->tree);
  cft_model_free(&w->model);
  ck_assert_uint_eq(w->memory.live, 0);
}

static void hold(world *w) {
  unsigned i = cft_chance_below(&w->chance, HELD);

  let_go(w, i);
  ck_assert(cfi_tree_publish(w->tree));
  w->held[i].view = cfi_tree_acquire(w->tree);
  cft_model_copy(&w->held[i].model, &w->model);
}

static void change(world *w, unsigned removals) {
  char id_room[CFT_ID_ROOM], rev_room[CFT_REV_ROOM];
  changefeed_str id = cft_chance_id(&w->chance, w->kind, w->many, id_room);

  if (cft_chance_below(&w->chance, 100) < removals) {
    ck_assert_int_eq(cfi_tree_remove(w->tree, id),
                     cft_model_remove(&w->model, id));
  } else {
    changefeed_str rev = cft_chance_rev(&w->chance, rev_room);

    ck_assert_int_eq(cfi_tree_put(w->tree, id, rev, NULL),
                     cft_model_put(&w->model, id, rev, NULL));
  }
}

static void look(world *w) {
  char id_room[CFT_ID_ROOM];
  changefeed_str id = cft_chance_id(&w->chance, w->kind, w->many, id_room);
  cfi_tree_entry e;
  const cft_entry *want = cft_model_find(&w->model, id);

  ck_assert_int_eq(cfi_tree_find(w->tree, id, &e), want != NULL);
  if (want != NULL)
    ck_assert(e.rev.len == want->rev.len &&
              memcmp(e.rev.data, want->rev.data, e.rev.len) == 0);
}

/* Grows, shrinks, grows again. */
START_TEST(test_mirror_tree_model_random_work) {
  world w;
  unsigned steps;

  set_up(&w, (uint64_t)_i);
  steps = w.many * 2 + 500;
  for (unsigned phase = 0; phase < 4; phase++) {
    unsigned removals = phase % 2 == 0 ? 15 : 90;

    for (unsigned i = 0; i < steps; i++) {
      change(&w, removals);
      look(&w);
      if (cft_chance_below(&w.chance, steps / 6) == 0)
        hold(&w);
    }
    cft_model_check_tree(&w.model, w.tree);
  }
  tear_down(&w);
}
END_TEST

/* Memory comes back when what was there is removed one by one. */
START_TEST(test_mirror_tree_model_memory_goes_back) {
  world w;
  char id_room[CFT_ID_ROOM], rev_room[CFT_REV_ROOM];
  size_t most;

  set_up(&w, (uint64_t)_i);
  for (unsigned i = 0; i < 4000; i++) {
    changefeed_str id = cft_chance_id(&w.chance, w.kind, 1 << 14, id_room);

    cfi_tree_put(w.tree, id, cft_chance_rev(&w.chance, rev_room), NULL);
    w.chance.state++;
    cft_model_put(&w.model, id, cft_str("1-a"), NULL);
  }
  most = w.memory.bytes;
  while (w.model.count > 40) {
    size_t at = cft_chance_below(&w.chance, (unsigned)w.model.count);

    ck_assert_int_eq(cfi_tree_remove(w.tree, w.model.entries[at].id),
                     CFI_TREE_REMOVED);
    cft_model_remove(&w.model, w.model.entries[at].id);
  }
  ck_assert_uint_eq(cfi_tree_count(w.tree), 40);
  ck_assert_msg(w.memory.bytes < most / 8, "%zu of %zu bytes are left",
                w.memory.bytes, most);
  cfi_tree_free(w.tree);
  cft_model_free(&w.model);
  ck_assert_uint_eq(w.memory.live, 0);
}
END_TEST

/* Nodes that have become small are joined with neighbours that a version still
   has: removals go through the ids in order, so that the next ones are whole.
 */
START_TEST(test_mirror_tree_model_joins_what_versions_share) {
  enum { COUNT = 24000, STEP = 400 };
  char rev_room[CFT_REV_ROOM], id[20];
  world w;

  set_up(&w, 0);
  for (unsigned i = 0; i < COUNT; i++) {
    changefeed_str of = {
        id, (size_t)snprintf(id, sizeof id, "%08u", i * 7919 % COUNT)};
    changefeed_str rev = cft_chance_rev(&w.chance, rev_room);

    ck_assert_int_eq(cfi_tree_put(w.tree, of, rev, NULL), CFI_TREE_ADDED);
    cft_model_put(&w.model, of, rev, NULL);
  }
  for (size_t i = w.model.count; i-- > 0;) {
    if (i % 5 == 0)
      continue;
    ck_assert_int_eq(cfi_tree_remove(w.tree, w.model.entries[i].id),
                     CFI_TREE_REMOVED);
    cft_model_remove(&w.model, w.model.entries[i].id);
  }
  while (w.model.count > STEP) {
    hold(&w);
    for (unsigned i = 0; i < STEP; i++) {
      ck_assert_int_eq(cfi_tree_remove(w.tree, w.model.entries[0].id),
                       CFI_TREE_REMOVED);
      cft_model_remove(&w.model, w.model.entries[0].id);
    }
  }
  tear_down(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_tree_model");
  TCase *tc = tcase_create("model");

  tcase_add_loop_test(tc, test_mirror_tree_model_random_work, 0,
                      cft_is_slow() ? 8 : 30);
  tcase_add_loop_test(tc, test_mirror_tree_model_memory_goes_back, 0,
                      CFT_ID_KINDS);
  tcase_add_test(tc, test_mirror_tree_model_joins_what_versions_share);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
