/* Memory functions: sizes are checked, the application's allocator is used. */
#include "alloc.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/failing.h"
#include "support/unit.h"

static void *refuse(void *ctx, void *block, size_t size) {
  (void)ctx;
  (void)block;
  (void)size;
  return NULL;
}

static void release(void *ctx, void *block) {
  ++*(int *)ctx;
  free(block);
}

START_TEST(test_alloc_without_an_allocator_uses_malloc) {
  cfi_alloc a;
  char *block;

  ck_assert(cfi_alloc_init(&a, NULL));
  block = cfi_malloc(&a, 3);
  ck_assert_ptr_nonnull(block);
  block = cfi_resize(&a, block, 1000, 4);
  ck_assert_ptr_nonnull(block);
  memset(block, 1, 4000);
  cfi_free(&a, block);
}
END_TEST

START_TEST(test_alloc_takes_only_a_whole_allocator_of_a_known_size) {
  changefeed_allocator from = CHANGEFEED_ALLOCATOR_INIT;
  cfi_alloc a;

  ck_assert(!cfi_alloc_init(&a, &from));
  from.resize = refuse;
  ck_assert(!cfi_alloc_init(&a, &from));
  from.release = release;
  ck_assert(cfi_alloc_init(&a, &from));
  from.size--;
  ck_assert(!cfi_alloc_init(&a, &from));
}
END_TEST

START_TEST(test_alloc_hands_everything_to_the_allocator_but_a_null_release) {
  int released = 0;
  changefeed_allocator from = CHANGEFEED_ALLOCATOR_INIT;
  cfi_alloc a;

  from.resize = refuse;
  from.release = release;
  from.ctx = &released;
  ck_assert(cfi_alloc_init(&a, &from));
  ck_assert_ptr_null(cfi_malloc(&a, 1));
  ck_assert_ptr_null(cfi_calloc(&a, 1, 1));
  ck_assert_ptr_null(cfi_resize(&a, NULL, 1, 1));
  ck_assert_ptr_null(cfi_strdup(&a, "x"));
  cfi_free(&a, NULL);
  ck_assert_int_eq(released, 0);
  cfi_free(&a, malloc(1));
  ck_assert_int_eq(released, 1);
}
END_TEST

START_TEST(test_alloc_refuses_products_that_overflow) {
  cft_failing f;
  char *block;

  cft_failing_init(&f, 0);
  ck_assert_ptr_null(cfi_calloc(&f.alloc, SIZE_MAX / 2, 3));
  ck_assert_ptr_null(cfi_calloc(&f.alloc, 3, SIZE_MAX / 2));
  ck_assert_ptr_null(cfi_strndup(&f.alloc, "", SIZE_MAX));
  ck_assert_uint_eq(f.calls, 0);
  block = cfi_strdup(&f.alloc, "kept");
  ck_assert_ptr_null(cfi_resize(&f.alloc, block, SIZE_MAX / 2, 3));
  ck_assert_str_eq(block, "kept");
  cfi_free(&f.alloc, block);
  ck_assert_uint_eq(f.live, 0);
}
END_TEST

START_TEST(test_alloc_of_nothing_is_a_block) {
  cft_failing f;
  void *a, *b, *c;

  cft_failing_init(&f, 0);
  a = cfi_malloc(&f.alloc, 0);
  b = cfi_calloc(&f.alloc, 0, 8);
  c = cfi_resize(&f.alloc, NULL, 8, 0);
  ck_assert_ptr_nonnull(a);
  ck_assert_ptr_nonnull(b);
  ck_assert_ptr_nonnull(c);
  cfi_free(&f.alloc, a);
  cfi_free(&f.alloc, b);
  cfi_free(&f.alloc, c);
  ck_assert_uint_eq(f.live, 0);
}
END_TEST

START_TEST(test_alloc_zeroes_what_calloc_gives) {
  cfi_alloc a;
  unsigned char *block;

  ck_assert(cfi_alloc_init(&a, NULL));
  block = cfi_malloc(&a, 4096);
  memset(block, 0xff, 4096);
  cfi_free(&a, block);
  block = cfi_calloc(&a, 512, 8);
  for (size_t i = 0; i < 4096; i++)
    ck_assert_uint_eq(block[i], 0);
  cfi_free(&a, block);
}
END_TEST

START_TEST(test_alloc_copies_text_with_its_end) {
  cfi_alloc a;
  char *copy;

  ck_assert(cfi_alloc_init(&a, NULL));
  copy = cfi_strndup(&a, "a\0bc", 3);
  ck_assert_mem_eq(copy, "a\0b\0", 4);
  cfi_free(&a, copy);
  copy = cfi_strndup(&a, NULL, 0);
  ck_assert_str_eq(copy, "");
  cfi_free(&a, copy);
}
END_TEST

START_TEST(test_alloc_wipes_secrets_before_they_are_freed) {
  cft_failing f;

  cft_failing_init(&f, 0);
  f.secret = "hunter2";
  cfi_free_secret(&f.alloc, cfi_strdup(&f.alloc, "hunter2"));
  cfi_free_secret(&f.alloc, NULL);
  ck_assert_uint_eq(f.exposed, 0);
  cfi_free(&f.alloc, cfi_strdup(&f.alloc, "hunter2"));
  ck_assert_uint_eq(f.exposed, 1);
}
END_TEST

START_TEST(test_alloc_adds_sizes_only_while_they_fit) {
  size_t sum = 7;

  ck_assert(cfi_add(SIZE_MAX - 1, 1, &sum));
  ck_assert_uint_eq(sum, SIZE_MAX);
  ck_assert(!cfi_add(SIZE_MAX, 1, &sum));
  ck_assert(!cfi_add(1, SIZE_MAX, &sum));
  ck_assert_uint_eq(sum, SIZE_MAX);
}
END_TEST

/* Whether the mapping that has that address says so in its flags; also where
   there is nothing to be asked. */
static bool has_flag(const void *address, const char *flag) {
  FILE *maps = fopen("/proc/self/smaps", "r");
  char line[512];
  bool within = false, has = maps == NULL;

  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
    uintptr_t from, to;

    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
      within = (uintptr_t)address >= from && (uintptr_t)address < to;
    else if (within && strncmp(line, "VmFlags:", 8) == 0)
      has = strstr(line, flag) != NULL;
  }
  if (maps != NULL)
    fclose(maps);
  return has;
}

START_TEST(test_alloc_of_large_blocks_grows_with_what_is_in_them) {
  size_t size = 1 << 20;
  cfi_alloc a;
  char *block;

  ck_assert(cfi_alloc_init(&a, NULL));
  block = cfi_malloc(&a, size);
  ck_assert_ptr_nonnull(block);
  memset(block, 'x', size);
  while (size < 64 << 20) {
    block = cfi_resize(&a, block, size, 2);
    ck_assert_ptr_nonnull(block);
    ck_assert(block[0] == 'x' && block[size - 1] == 'x');
    memset(block + size, 'x', size);
    size *= 2;
  }
#if defined __linux__ && defined __x86_64__
  if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0)
    ck_assert(has_flag(block + size / 2, " hg"));
#endif
  cfi_free(&a, block);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("alloc");
  TCase *tc = tcase_create("alloc");

  tcase_add_test(tc, test_alloc_without_an_allocator_uses_malloc);
  tcase_add_test(tc, test_alloc_takes_only_a_whole_allocator_of_a_known_size);
  tcase_add_test(
      tc, test_alloc_hands_everything_to_the_allocator_but_a_null_release);
  tcase_add_test(tc, test_alloc_refuses_products_that_overflow);
  tcase_add_test(tc, test_alloc_of_nothing_is_a_block);
  tcase_add_test(tc, test_alloc_zeroes_what_calloc_gives);
  tcase_add_test(tc, test_alloc_copies_text_with_its_end);
  tcase_add_test(tc, test_alloc_wipes_secrets_before_they_are_freed);
  tcase_add_test(tc, test_alloc_adds_sizes_only_while_they_fit);
  tcase_add_test(tc, test_alloc_of_large_blocks_grows_with_what_is_in_them);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
