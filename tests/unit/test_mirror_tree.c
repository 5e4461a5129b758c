/*
 * The mirror's table, one promise at a time: what its functions answer, that
 * every text comes back as it was, versions, values, memory.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror_tree_state.h"
#include "support/failing.h"
#include "support/tree_model.h"
#include "support/unit.h"

#define DIGITS "967a00dff5e02add41819138abb3284d"

static cft_failing memory;

static cfi_tree *new_tree(void) {
  cfi_tree *t;

  cft_failing_init(&memory, 0);
  t = cfi_tree_new(&memory.alloc, NULL);
  ck_assert_ptr_nonnull(t);
  return t;
}

static void free_tree(cfi_tree *t) {
  cfi_tree_free(t);
  ck_assert_uint_eq(memory.live, 0);
}

static changefeed_str number(unsigned i, char room[20]) {
  return (changefeed_str){room, (size_t)snprintf(room, 20, "id-%07u", i)};
}

static const cfi_tree_range everything = {{NULL, 0}, {NULL, 0}};

START_TEST(test_mirror_tree_answers) {
  cfi_tree *t = new_tree();
  cfi_tree_entry e;

  ck_assert(!cfi_tree_find(t, cft_str("a"), &e));
  ck_assert_int_eq(cfi_tree_remove(t, cft_str("a")), CFI_TREE_SAME);
  ck_assert_int_eq(cfi_tree_put(t, cft_str("a"), cft_str("1-x"), NULL),
                   CFI_TREE_ADDED);
  ck_assert_int_eq(cfi_tree_put(t, cft_str("a"), cft_str("1-x"), NULL),
                   CFI_TREE_SAME);
  ck_assert_int_eq(cfi_tree_put(t, cft_str("a"), cft_str("1-" DIGITS), NULL),
                   CFI_TREE_CHANGED);
  ck_assert(cfi_tree_find(t, cft_str("a"), &e));
  ck_assert_str_eq(e.rev.data, "1-" DIGITS);
  ck_assert_ptr_null(e.value);
  ck_assert(!cfi_tree_find(t, cft_str("b"), &e));
  ck_assert_uint_eq(cfi_tree_count(t), 1);
  ck_assert(cfi_digest_equal(
      cfi_tree_digest(t), cfi_digest_of(cft_str("a"), cft_str("1-" DIGITS))));
  ck_assert_int_eq(cfi_tree_remove(t, cft_str("a")), CFI_TREE_REMOVED);
  ck_assert_uint_eq(cfi_tree_count(t), 0);
  ck_assert(cfi_digest_equal(cfi_tree_digest(t), (cfi_digest){0, 0}));
  ck_assert_uint_eq(cfi_tree_bytes(t), 0);
  free_tree(t);
}
END_TEST

/* Short form or not, what is asked for is what was given. */
START_TEST(test_mirror_tree_revisions_come_back) {
  static const char *const revs[] = {"1-" DIGITS,
                                     "9-" DIGITS,
                                     "127-" DIGITS,
                                     "128-" DIGITS,
                                     "16384-" DIGITS,
                                     "999999999999999999-" DIGITS,
                                     "1000000000000000000-" DIGITS,
                                     "18446744073709551616-" DIGITS,
                                     "0-" DIGITS,
                                     "01-" DIGITS,
                                     "-1-" DIGITS,
                                     "+1-" DIGITS,
                                     " 1-" DIGITS,
                                     "1-" DIGITS "0",
                                     "11-" DIGITS,
                                     "1-967A00dff5e02add41819138abb3284d",
                                     "1-967g00dff5e02add41819138abb3284d",
                                     "1-967a00dff5e02add41819138abb3284`",
                                     "1-967a00dff5e02add41819138abb3284:",
                                     "1-967a00dff5e02add41819138abb3284/",
                                     "1-967a00dff5e02add41819138abb3284",
                                     "1=" DIGITS,
                                     DIGITS,
                                     "1-",
                                     "1",
                                     "-",
                                     ""};
  cfi_tree *t = new_tree();
  cfi_tree_entry e;

  for (size_t i = 0; i < sizeof revs / sizeof *revs; i++) {
    changefeed_str rev = cft_str(revs[i]);

    ck_assert_int_ge(cfi_tree_put(t, cft_str("id"), rev, NULL), CFI_TREE_ADDED);
    ck_assert_int_eq(cfi_tree_put(t, cft_str("id"), rev, NULL), CFI_TREE_SAME);
    ck_assert(cfi_tree_find(t, cft_str("id"), &e));
    ck_assert_str_eq(e.rev.data, revs[i]);
    ck_assert_uint_eq(e.rev.len, rev.len);
    ck_assert(cfi_digest_equal(cfi_tree_digest(t),
                               cfi_digest_of(cft_str("id"), rev)));
  }
  free_tree(t);
}
END_TEST

START_TEST(test_mirror_tree_ids_of_any_length_and_byte) {
  enum { MOST = 3 << 20 };
  cfi_tree *t = new_tree();
  char *text = malloc(MOST);
  static const size_t lens[] = {0,   1,   124, 125,  126,   127,   128,
                                140, 160, 200, 4000, 65535, 65536, MOST};
  enum { COUNT = sizeof lens / sizeof *lens };
  cfi_tree_walk w;
  cfi_tree_entry e;

  ck_assert_ptr_nonnull(text);
  memset(text, 0, MOST);
  for (unsigned i = 0; i < COUNT; i++) {
    changefeed_str id = {text, lens[i]};

    ck_assert_int_eq(cfi_tree_put(t, id, cft_str("1-" DIGITS), NULL),
                     CFI_TREE_ADDED);
    ck_assert_int_eq(cfi_tree_put(t, id, id, NULL), CFI_TREE_CHANGED);
    ck_assert_int_eq(cfi_tree_put(t, id, id, NULL), CFI_TREE_SAME);
  }
  cft_tree_check_nodes(t);
  cfi_tree_walk_start(t, everything, &w);
  for (unsigned i = 0; i < COUNT; i++) {
    ck_assert(cfi_tree_next(&w, &e));
    ck_assert_uint_eq(e.id.len, lens[i]);
    ck_assert_uint_eq(e.rev.len, lens[i]);
    ck_assert_mem_eq(e.rev.data, text, lens[i]);
  }
  ck_assert(!cfi_tree_next(&w, &e));
  for (unsigned i = 0; i < COUNT; i++)
    ck_assert_int_eq(cfi_tree_remove(t, (changefeed_str){text, lens[i]}),
                     CFI_TREE_REMOVED);
  ck_assert_uint_eq(cfi_tree_bytes(t), 0);
  free(text);
  free_tree(t);
}
END_TEST

/* Many ids that begin with the same megabyte: keys between nodes are as long.
 */
START_TEST(test_mirror_tree_many_huge_ids) {
  enum { LEN = 1 << 20, COUNT = 150 };
  cfi_tree *t = new_tree();
  char *text = malloc(LEN + 20);
  cfi_tree_entry e;

  ck_assert_ptr_nonnull(text);
  memset(text, 'x', LEN);
  for (unsigned i = 0; i < COUNT; i++) {
    size_t len = LEN + (size_t)snprintf(text + LEN, 20, "%u", i * 7919 % COUNT);

    ck_assert_int_eq(cfi_tree_put(t, (changefeed_str){text, len},
                                  cft_str("1-" DIGITS), NULL),
                     CFI_TREE_ADDED);
  }
  cft_tree_check_nodes(t);
  for (unsigned i = 0; i < COUNT; i++) {
    size_t len = LEN + (size_t)snprintf(text + LEN, 20, "%u", i);

    ck_assert(cfi_tree_find(t, (changefeed_str){text, len}, &e));
    ck_assert_int_eq(cfi_tree_remove(t, (changefeed_str){text, len}),
                     CFI_TREE_REMOVED);
  }
  free(text);
  free_tree(t);
}
END_TEST

START_TEST(test_mirror_tree_too_long_is_refused) {
  cfi_tree *t = new_tree();
  changefeed_str huge = {"", (size_t)CFI_TREE_TEXT_MAX + 1};

  ck_assert_int_eq(cfi_tree_put(t, huge, cft_str("1-a"), NULL), CFI_TREE_NOMEM);
  ck_assert_int_eq(cfi_tree_put(t, cft_str("a"), huge, NULL), CFI_TREE_NOMEM);
  ck_assert(!cfi_tree_append(t, huge, cft_str("1-a"), NULL));
  ck_assert_uint_eq(cfi_tree_count(t), 0);
  free_tree(t);
}
END_TEST

START_TEST(test_mirror_tree_append_is_put_in_order) {
  cfi_tree *t = new_tree(), *other;
  char room[20];
  size_t text = 0;

  for (unsigned i = 0; i < 50000; i++) {
    changefeed_str id = number(i, room);

    ck_assert(cfi_tree_append(t, id, cft_str("1-" DIGITS), NULL));
    text += id.len + 34;
  }
  ck_assert(!cfi_tree_append(t, cft_str("id-0049999"), cft_str("1-a"), NULL));
  ck_assert(!cfi_tree_append(t, cft_str("id-"), cft_str("1-a"), NULL));
  ck_assert(!cfi_tree_append(t, cft_str(""), cft_str("1-a"), NULL));
  ck_assert_uint_eq(cfi_tree_count(t), 50000);
  cft_tree_check_nodes(t);
  ck_assert_msg(cfi_tree_bytes(t) < text, "%zu bytes for %zu",
                cfi_tree_bytes(t), text);
  ck_assert_uint_ge(memory.bytes, cfi_tree_bytes(t));

  other = cfi_tree_new(&memory.alloc, NULL);
  for (unsigned i = 0; i < 50000; i++)
    cfi_tree_put(other, number(i * 48271 % 50000, room), cft_str("1-" DIGITS),
                 NULL);
  ck_assert(cfi_digest_equal(cfi_tree_digest(t), cfi_tree_digest(other)));
  ck_assert_msg(cfi_tree_bytes(other) < text, "%zu bytes for %zu",
                cfi_tree_bytes(other), text);
  cfi_tree_free(other);
  free_tree(t);
}
END_TEST

/* Two ids whose prints are the same, one the beginning of the other. */
START_TEST(test_mirror_tree_equal_prints_are_told_apart) {
  cfi_tree *t = new_tree();
  changefeed_str is = cft_str("id"), other = {NULL, 0};
  cfi_tree_entry e;
  char room[20];

  for (unsigned i = 0; i < 10000000; i++) {
    other =
        (changefeed_str){room, (size_t)snprintf(room, sizeof room, "id%u", i)};
    if (cfi_tree_print(other) == cfi_tree_print(is))
      break;
  }
  ck_assert_uint_eq(cfi_tree_print(other), cfi_tree_print(is));
  cfi_tree_put(t, other, cft_str("2-b"), NULL);
  ck_assert(!cfi_tree_find(t, is, &e));
  cfi_tree_put(t, is, cft_str("1-a"), NULL);
  ck_assert(cfi_tree_find(t, is, &e));
  ck_assert_str_eq(e.rev.data, "1-a");
  ck_assert(cfi_tree_find(t, other, &e));
  ck_assert_str_eq(e.rev.data, "2-b");
  free_tree(t);
}
END_TEST

/* ---- versions ---- */

START_TEST(test_mirror_tree_first_version_is_empty) {
  cfi_tree *t = new_tree();
  const cfi_tree_view *v = cfi_tree_acquire(t);
  cfi_tree_entry e;
  cfi_tree_walk w;

  cfi_tree_put(t, cft_str("a"), cft_str("1-a"), NULL);
  ck_assert_uint_eq(cfi_tree_view_count(v), 0);
  ck_assert(!cfi_tree_view_find(v, cft_str("a"), &e));
  cfi_tree_view_walk(v, everything, &w);
  ck_assert(!cfi_tree_next(&w, &e));
  cfi_tree_release(t, v);
  free_tree(t);
}
END_TEST

START_TEST(test_mirror_tree_versions_stay_and_go) {
  cfi_tree *t = new_tree();
  const cfi_tree_view *v[3];
  char room[20];
  cfi_tree_entry e;
  size_t one;

  for (unsigned i = 0; i < 1000; i++)
    cfi_tree_put(t, number(i, room), cft_str("1-" DIGITS), NULL);
  ck_assert(cfi_tree_publish(t));
  v[0] = cfi_tree_acquire(t);
  v[1] = cfi_tree_acquire(t);
  ck_assert_ptr_eq(v[0], v[1]);
  one = memory.bytes;
  for (unsigned i = 0; i < 1000; i++)
    cfi_tree_put(t, number(i, room), cft_str("2-" DIGITS), NULL);
  ck_assert(cfi_tree_publish(t));
  v[2] = cfi_tree_acquire(t);
  ck_assert(cfi_tree_view_find(v[1], number(7, room), &e));
  ck_assert_str_eq(e.rev.data, "1-" DIGITS);
  ck_assert(cfi_tree_view_find(v[2], number(7, room), &e));
  ck_assert_str_eq(e.rev.data, "2-" DIGITS);
  cfi_tree_release(t, v[0]);
  ck_assert(cfi_tree_publish(t));
  ck_assert_uint_gt(memory.bytes, one + one / 2);
  cfi_tree_release(t, v[1]);
  ck_assert(cfi_tree_publish(t));
  ck_assert_uint_le(memory.bytes, one + one / 10);
  cfi_tree_release(t, v[2]);
  free_tree(t);
}
END_TEST

/* Nodes only the writer has are not copied: a load from nothing allocates for
   new nodes and their growth alone. */
START_TEST(test_mirror_tree_load_copies_nothing) {
  cfi_tree *t = new_tree();
  char room[20];
  size_t calls;

  for (unsigned i = 0; i < 2000; i++)
    cfi_tree_put(t, number(i, room), cft_str("1-" DIGITS), NULL);
  calls = memory.calls;
  for (unsigned i = 0; i < 2000; i++)
    ck_assert_int_eq(
        cfi_tree_put(t, number(i, room), cft_str("2-" DIGITS), NULL),
        CFI_TREE_CHANGED);
  ck_assert_uint_eq(memory.calls, calls);
  ck_assert(cfi_tree_publish(t));
  calls = memory.calls;
  cfi_tree_put(t, number(7, room), cft_str("3-" DIGITS), NULL);
  ck_assert_uint_gt(memory.calls, calls);
  ck_assert_uint_le(memory.calls, calls + 3);
  free_tree(t);
}
END_TEST

START_TEST(test_mirror_tree_no_more_versions_than_there_is_room_for) {
  enum { ROOM = 2040 };
  cfi_tree *t = new_tree();
  const cfi_tree_view *v[ROOM];
  char room[20];

  for (unsigned i = 0; i < ROOM; i++) {
    v[i] = cfi_tree_acquire(t);
    ck_assert_uint_eq(cfi_tree_view_count(v[i]), i);
    cfi_tree_put(t, number(i, room), cft_str("1-" DIGITS), NULL);
    ck_assert_int_eq(cfi_tree_publish(t), i + 1 < ROOM);
  }
  cfi_tree_release(t, v[17]);
  ck_assert(cfi_tree_publish(t));
  v[17] = cfi_tree_acquire(t);
  ck_assert_uint_eq(cfi_tree_view_count(v[17]), ROOM);
  for (unsigned i = 0; i < ROOM; i++) {
    ck_assert_uint_eq(cfi_tree_view_count(v[i]), i == 17 ? ROOM : i);
    cfi_tree_release(t, v[i]);
  }
  ck_assert(cfi_tree_publish(t));
  free_tree(t);
}
END_TEST

START_TEST(test_mirror_tree_replace_is_one_step) {
  cfi_tree *t = new_tree(), *from;
  const cfi_tree_view *v, *now;
  cfi_tree_entry e;

  from = cfi_tree_new(&memory.alloc, NULL);
  cfi_tree_put(t, cft_str("a"), cft_str("1-a"), NULL);
  ck_assert(cfi_tree_publish(t));
  v = cfi_tree_acquire(t);
  cfi_tree_put(t, cft_str("never published"), cft_str("1-a"), NULL);
  cfi_tree_put(from, cft_str("b"), cft_str("1-b"), NULL);
  ck_assert(cfi_tree_replace(t, from));
  now = cfi_tree_acquire(t);
  ck_assert(cfi_tree_view_find(v, cft_str("a"), &e));
  ck_assert_uint_eq(cfi_tree_view_count(v), 1);
  ck_assert(!cfi_tree_view_find(now, cft_str("a"), &e));
  ck_assert(cfi_tree_view_find(now, cft_str("b"), &e));
  ck_assert_uint_eq(cfi_tree_view_count(now), 1);
  ck_assert_uint_eq(cfi_tree_count(from), 0);
  ck_assert(!cfi_tree_find(from, cft_str("b"), &e));
  cfi_tree_free(from);
  ck_assert(cfi_tree_view_find(now, cft_str("b"), &e));
  cfi_tree_clear(t);
  ck_assert_uint_eq(cfi_tree_count(t), 0);
  ck_assert_uint_eq(cfi_tree_view_count(now), 1);
  cfi_tree_release(t, v);
  cfi_tree_release(t, now);
  free_tree(t);
}
END_TEST

/* ---- values ---- */

typedef struct counted {
  unsigned held;
} counted;

static void keep(void *ctx, void *value) {
  ck_assert_ptr_eq(ctx, &memory);
  ck_assert_uint_gt(((counted *)value)->held, 0);
  ((counted *)value)->held++;
}

static void drop(void *ctx, void *value) {
  ck_assert_ptr_eq(ctx, &memory);
  ck_assert_uint_gt(((counted *)value)->held, 0);
  ((counted *)value)->held--;
}

START_TEST(test_mirror_tree_values_are_held_as_long_as_seen) {
  enum { COUNT = 3000, ROUNDS = 30000 };
  static counted values[ROUNDS];
  static unsigned current[COUNT]; /* value + 1 of id i; 0: none */
  static unsigned before[COUNT];
  cfi_tree_values kind = {keep, drop, &memory};
  cft_chance chance = {5};
  cfi_tree *t;
  const cfi_tree_view *v = NULL;
  char room[200];
  cfi_tree_entry e;

  cft_failing_init(&memory, 0);
  t = cfi_tree_new(&memory.alloc, &kind);
  for (unsigned i = 0; i < ROUNDS; i++) {
    unsigned at = cft_chance_below(&chance, COUNT);
    /* Some ids are out of line. */
    changefeed_str id = {room, (size_t)snprintf(room, sizeof room, "%0*u",
                                                at % 5 == 0 ? 180 : 9, at)};

    values[i].held = 1;
    if (cft_chance_below(&chance, 3) == 0) {
      ck_assert_int_eq(cfi_tree_remove(t, id),
                       current[at] ? CFI_TREE_REMOVED : CFI_TREE_SAME);
      current[at] = 0;
      values[i].held = 0;
    } else {
      ck_assert_int_ge(cfi_tree_put(t, id, cft_str("1-" DIGITS), &values[i]),
                       CFI_TREE_SAME);
      current[at] = i + 1;
    }
    if (cft_chance_below(&chance, 700) == 0) {
      if (v != NULL)
        cfi_tree_release(t, v);
      ck_assert(cfi_tree_publish(t));
      v = cfi_tree_acquire(t);
      memcpy(before, current, sizeof before);
      cft_tree_check_nodes(t);
    }
    if (current[at] != 0) {
      ck_assert(cfi_tree_find(t, id, &e));
      ck_assert_ptr_eq(e.value, &values[current[at] - 1]);
    }
  }
  for (unsigned i = 0; i < COUNT; i++) {
    if (before[i] != 0)
      ck_assert_uint_gt(values[before[i] - 1].held, 0);
    if (current[i] != 0)
      ck_assert_uint_gt(values[current[i] - 1].held, 0);
  }
  cfi_tree_release(t, v);
  free_tree(t);
  for (unsigned i = 0; i < ROUNDS; i++)
    ck_assert_uint_eq(values[i].held, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_tree");
  TCase *tc = tcase_create("tree");

  tcase_add_test(tc, test_mirror_tree_answers);
  tcase_add_test(tc, test_mirror_tree_revisions_come_back);
  tcase_add_test(tc, test_mirror_tree_ids_of_any_length_and_byte);
  tcase_add_test(tc, test_mirror_tree_many_huge_ids);
  tcase_add_test(tc, test_mirror_tree_too_long_is_refused);
  tcase_add_test(tc, test_mirror_tree_append_is_put_in_order);
  tcase_add_test(tc, test_mirror_tree_equal_prints_are_told_apart);
  tcase_add_test(tc, test_mirror_tree_first_version_is_empty);
  tcase_add_test(tc, test_mirror_tree_versions_stay_and_go);
  tcase_add_test(tc, test_mirror_tree_load_copies_nothing);
  tcase_add_test(tc, test_mirror_tree_no_more_versions_than_there_is_room_for);
  tcase_add_test(tc, test_mirror_tree_replace_is_one_step);
  tcase_add_test(tc, test_mirror_tree_values_are_held_as_long_as_seen);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
