/*
 * Pieces of an arena: they do not overlap, survive growing, and are given back
 * together.
 */
#include "arena.h"

#include <check.h>
#include <stdint.h>

#include "support/failing.h"
#include "support/unit.h"

enum { BLOCK = 1024, PIECES = 200 };

typedef struct pieces {
  unsigned char *data[PIECES];
  size_t size[PIECES];
} pieces;

/* Sizes from 0 to more than a block's half, each filled with its number. */
static void take(cfi_arena *a, pieces *p) {
  for (size_t i = 0; i < PIECES; i++) {
    p->size[i] = (i * 37) % 600;
    p->data[i] = cfi_arena_get(a, p->size[i]);
    ck_assert_ptr_nonnull(p->data[i]);
    ck_assert_uint_eq((uintptr_t)p->data[i] % _Alignof(max_align_t), 0);
    memset(p->data[i], (int)i, p->size[i]);
  }
}

static void grow_each_third(cfi_arena *a, pieces *p) {
  for (size_t i = 0; i < PIECES; i += 3) {
    size_t size = p->size[i] * 2 + 5;

    p->data[i] = cfi_arena_grow(a, p->data[i], p->size[i], size);
    ck_assert_ptr_nonnull(p->data[i]);
    memset(p->data[i] + p->size[i], (int)i, size - p->size[i]);
    p->size[i] = size;
  }
}

static void expect_content(const pieces *p) {
  for (size_t i = 0; i < PIECES; i++)
    for (size_t k = 0; k < p->size[i]; k++)
      ck_assert_uint_eq(p->data[i][k], i);
}

START_TEST(test_arena_pieces_keep_their_content) {
  cft_failing c;
  cfi_arena a;
  pieces p;

  cft_failing_init(&c, 0);
  cfi_arena_init(&a, &c.alloc, BLOCK);
  for (int round = 0; round < 3; round++) {
    take(&a, &p);
    grow_each_third(&a, &p);
    grow_each_third(&a, &p);
    expect_content(&p);
    cfi_arena_reset(&a);
    ck_assert_uint_eq(c.live, 1);
  }
  cfi_arena_free(&a);
  ck_assert_uint_eq(c.live, 0);
}
END_TEST

START_TEST(test_arena_grows_the_last_piece_in_place) {
  cft_failing c;
  cfi_arena a;
  char *piece;

  cft_failing_init(&c, 0);
  cfi_arena_init(&a, &c.alloc, BLOCK);
  piece = cfi_arena_grow(&a, NULL, 0, 10);
  ck_assert_ptr_nonnull(piece);
  ck_assert_ptr_eq(cfi_arena_grow(&a, piece, 10, 100), piece);
  ck_assert_ptr_eq(cfi_arena_grow(&a, piece, 100, 50), piece);
  ck_assert_uint_eq(c.calls, 1);
  cfi_arena_free(&a);
}
END_TEST

START_TEST(test_arena_keeps_one_block_over_a_reset) {
  cft_failing c;
  cfi_arena a;
  size_t calls;

  cft_failing_init(&c, 0);
  cfi_arena_init(&a, &c.alloc, BLOCK);
  ck_assert_ptr_nonnull(cfi_arena_get(&a, 100));
  calls = c.calls;
  for (int i = 0; i < 100; i++) {
    cfi_arena_reset(&a);
    for (int k = 0; k < 9; k++)
      ck_assert_ptr_nonnull(cfi_arena_get(&a, 100));
  }
  ck_assert_uint_eq(c.calls, calls);
  ck_assert_ptr_nonnull(cfi_arena_get(&a, 100000));
  ck_assert_uint_eq(c.live, 2);
  cfi_arena_reset(&a);
  ck_assert_uint_eq(c.live, 1);
  ck_assert_uint_lt(c.bytes, BLOCK + 64);
  cfi_arena_free(&a);
  ck_assert_uint_eq(c.live, 0);
}
END_TEST

START_TEST(test_arena_uses_memory_lent_first_and_never_frees_it) {
  cft_failing c;
  cfi_arena a;
  pieces p;
  _Alignas(max_align_t) char space[512];

  cft_failing_init(&c, 0);
  cfi_arena_init(&a, &c.alloc, BLOCK);
  cfi_arena_lend(&a, space, sizeof space);
  ck_assert_ptr_eq(cfi_arena_get(&a, sizeof space), space);
  ck_assert_uint_eq(c.calls, 0);
  take(&a, &p);
  grow_each_third(&a, &p);
  expect_content(&p);
  cfi_arena_reset(&a);
  ck_assert_ptr_ne(cfi_arena_get(&a, 1), space);
  cfi_arena_free(&a);
  ck_assert_uint_eq(c.live, 0);
}
END_TEST

/* So many blocks are filled; answers the calls of the allocator. */
static size_t fill_blocks(cft_failing *c, cfi_arena *a, size_t blocks) {
  size_t before = c->calls;

  for (size_t i = 0; i < blocks * 2; i++) {
    char *piece = cfi_arena_get(a, BLOCK / 2);

    ck_assert_ptr_nonnull(piece);
    memset(piece, 'x', BLOCK / 2);
  }
  return c->calls - before;
}

START_TEST(test_arena_keeps_as_many_blocks_as_it_is_told) {
  cft_failing c;
  cfi_arena a;

  cft_failing_init(&c, 0);
  cfi_arena_init(&a, &c.alloc, BLOCK);
  cfi_arena_keep(&a, 3);
  ck_assert_uint_eq(fill_blocks(&c, &a, 2), 2);
  cfi_arena_reset(&a);
  ck_assert_uint_eq(fill_blocks(&c, &a, 5), 3);
  cfi_arena_reset(&a);
  ck_assert_uint_eq(c.live, 3);
  for (int i = 0; i < 10; i++) {
    ck_assert_uint_eq(fill_blocks(&c, &a, 3), 0);
    cfi_arena_reset(&a);
    ck_assert_uint_eq(fill_blocks(&c, &a, 1), 0);
    cfi_arena_reset(&a);
  }
  cfi_arena_free(&a);
  ck_assert_uint_eq(c.live, 0);
  ck_assert_uint_eq(fill_blocks(&c, &a, 3), 3);
  cfi_arena_free(&a);
  ck_assert_uint_eq(c.live, 0);
}
END_TEST

START_TEST(test_arena_refuses_sizes_that_overflow) {
  cft_failing c;
  cfi_arena a;
  void *small, *large;

  cft_failing_init(&c, 0);
  cfi_arena_init(&a, &c.alloc, BLOCK);
  small = cfi_arena_get(&a, 8);
  large = cfi_arena_get(&a, BLOCK);
  for (size_t less = 0; less < 64; less++) {
    ck_assert_ptr_null(cfi_arena_get(&a, SIZE_MAX - less));
    ck_assert_ptr_null(cfi_arena_grow(&a, small, 8, SIZE_MAX - less));
    ck_assert_ptr_null(cfi_arena_grow(&a, large, BLOCK, SIZE_MAX - less));
  }
  ck_assert_ptr_null(cfi_arena_text(&a, "", SIZE_MAX));
  cfi_arena_free(&a);
  ck_assert_uint_eq(c.live, 0);
}
END_TEST

START_TEST(test_arena_without_memory_leaves_pieces_as_they_were) {
  cft_failing c;
  cfi_arena a;
  char *small, *large;

  cft_failing_init(&c, 0);
  cfi_arena_init(&a, &c.alloc, BLOCK);
  small = cfi_arena_text(&a, "small", 5);
  large = cfi_arena_get(&a, BLOCK);
  ck_assert(small != NULL && large != NULL);
  memset(large, 'x', BLOCK);
  c.fail_at = c.calls + 1;
  c.fails = CFT_FOR_GOOD;
  ck_assert_ptr_null(cfi_arena_get(&a, BLOCK));
  ck_assert_ptr_null(cfi_arena_grow(&a, small, 6, BLOCK));
  ck_assert_ptr_null(cfi_arena_grow(&a, large, BLOCK, 2 * BLOCK));
  ck_assert_str_eq(small, "small");
  ck_assert_int_eq(large[BLOCK - 1], 'x');
  cfi_arena_free(&a);
  ck_assert_uint_eq(c.live, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("arena");
  TCase *pieces_case = tcase_create("pieces");
  TCase *refused = tcase_create("refused");

  tcase_add_test(pieces_case, test_arena_pieces_keep_their_content);
  tcase_add_test(pieces_case, test_arena_keeps_as_many_blocks_as_it_is_told);
  tcase_add_test(pieces_case, test_arena_grows_the_last_piece_in_place);
  tcase_add_test(pieces_case, test_arena_keeps_one_block_over_a_reset);
  tcase_add_test(pieces_case,
                 test_arena_uses_memory_lent_first_and_never_frees_it);
  suite_add_tcase(suite, pieces_case);
  tcase_add_test(refused, test_arena_refuses_sizes_that_overflow);
  tcase_add_test(refused, test_arena_without_memory_leaves_pieces_as_they_were);
  suite_add_tcase(suite, refused);
  return cft_run(suite);
}
