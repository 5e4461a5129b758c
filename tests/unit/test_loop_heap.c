/*
 * The heap of deadlines against a plain table of them, which is looked through
 * from end to end.
 */
#include "loop_heap.h"

#include "clock.h"
#include "random.h"
#include "support/failing.h"
#include "support/unit.h"

enum { MANY = 200, MOVES = 20000, SPAN_MS = 1000 };

typedef struct table {
  cft_failing memory;
  cfi_heap heap;
  int64_t at_ms[MANY]; /* CFI_NEVER: not in it */
  cfi_random random;
} table;

static void set_up(table *t, uint64_t seed) {
  *t = (table){0};
  cft_failing_init(&t->memory, 0);
  cfi_random_init(&t->random, seed);
  ck_assert(cfi_heap_reserve(&t->heap, &t->memory.alloc, MANY));
  for (size_t i = 0; i < MANY; i++)
    t->at_ms[i] = CFI_NEVER;
}

static void tear_down(table *t) {
  cfi_heap_free(&t->heap, &t->memory.alloc);
  ck_assert_uint_eq(t->memory.live, 0);
}

static size_t below(table *t, size_t limit) {
  return (size_t)(cfi_random_next(&t->random) % limit);
}

static int64_t earliest(const table *t) {
  int64_t at_ms = CFI_NEVER;

  for (size_t i = 0; i < MANY; i++)
    if (t->at_ms[i] < at_ms)
      at_ms = t->at_ms[i];
  return at_ms;
}

static void agree(const table *t) {
  size_t count = 0;

  for (size_t i = 0; i < MANY; i++) {
    ck_assert_int_eq(cfi_heap_at(&t->heap, i), t->at_ms[i]);
    count += t->at_ms[i] != CFI_NEVER;
  }
  ck_assert_uint_eq(t->heap.count, count);
  ck_assert_int_eq(cfi_heap_first_ms(&t->heap), earliest(t));
}

static void renumber(table *t, size_t from, size_t to) {
  cfi_heap_remove(&t->heap, to);
  cfi_heap_renumber(&t->heap, from, to);
  t->at_ms[to] = t->at_ms[from];
  if (from != to)
    t->at_ms[from] = CFI_NEVER;
}

START_TEST(test_loop_heap_agrees_with_a_table) {
  table t;

  set_up(&t, (uint64_t)_i + 1);
  for (int i = 0; i < MOVES; i++) {
    size_t who = below(&t, MANY);

    switch (below(&t, 4)) {
    case 0:
      cfi_heap_remove(&t.heap, who);
      t.at_ms[who] = CFI_NEVER;
      break;
    case 1: {
      size_t to = below(&t, MANY);

      if (who != to) {
        renumber(&t, who, to);
        break;
      }
    } /* fall through */
    default:
      t.at_ms[who] = (int64_t)below(&t, SPAN_MS);
      cfi_heap_set(&t.heap, who, t.at_ms[who]);
    }
    if (i % 16 == 0)
      agree(&t);
  }
  agree(&t);
  tear_down(&t);
}
END_TEST

START_TEST(test_loop_heap_gives_them_in_order) {
  int64_t last = -1;
  table t;

  set_up(&t, 1);
  for (size_t i = 0; i < MANY; i++)
    cfi_heap_set(&t.heap, i, (int64_t)below(&t, SPAN_MS));
  for (size_t left = MANY; left != 0; left--) {
    ck_assert_int_ge(cfi_heap_first_ms(&t.heap), last);
    last = cfi_heap_first_ms(&t.heap);
    ck_assert_uint_eq(t.heap.count, left);
    cfi_heap_remove(&t.heap, t.heap.entries[0].who);
  }
  ck_assert_int_eq(cfi_heap_first_ms(&t.heap), CFI_NEVER);
  tear_down(&t);
}
END_TEST

/* Room comes before numbers are used, and it may not come. */
START_TEST(test_loop_heap_without_memory_is_as_before) {
  cft_failing memory;
  cfi_heap heap = {0};
  size_t held;

  cft_failing_init(&memory, 0);
  ck_assert(cfi_heap_reserve(&heap, &memory.alloc, 1));
  cfi_heap_set(&heap, 0, 7);
  held = heap.cap;
  for (size_t nth = 1; nth <= 2; nth++) {
    memory.fail_at = memory.calls + nth;
    ck_assert(!cfi_heap_reserve(&heap, &memory.alloc, held + 1));
    ck_assert_uint_eq(heap.cap, held);
    ck_assert_int_eq(cfi_heap_first_ms(&heap), 7);
  }
  memory.fail_at = 0;
  ck_assert(cfi_heap_reserve(&heap, &memory.alloc, held + 1));
  cfi_heap_set(&heap, held, 3);
  ck_assert_int_eq(cfi_heap_first_ms(&heap), 3);
  ck_assert_int_eq(cfi_heap_at(&heap, 0), 7);
  cfi_heap_free(&heap, &memory.alloc);
  ck_assert_uint_eq(memory.live, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("loop_heap");
  TCase *tc = tcase_create("heap");

  tcase_add_loop_test(tc, test_loop_heap_agrees_with_a_table, 0, 5);
  tcase_add_test(tc, test_loop_heap_gives_them_in_order);
  tcase_add_test(tc, test_loop_heap_without_memory_is_as_before);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
