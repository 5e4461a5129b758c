/*
 * Readers of the mirror's table in threads of their own while it is changed:
 * each version a reader gets is whole, stays as it is while it is held, and is
 * never older than the one before. For ThreadSanitizer above all.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "mirror_tree_state.h"
#include "support/failing.h"
#include "support/tree_model.h"
#include "support/unit.h"

enum { READERS = 3, IDS = 500, VERSIONS = 300 };

/* Version n holds ids 0..IDS-1 at revision "n-...", but for those the writer
   has removed in it, which are counted in the entry "count". */
typedef struct stage {
  cfi_tree *tree;
  atomic_bool done;
  atomic_uint failures;
  atomic_uint looks;
} stage;

static changefeed_str id_of(unsigned i, char room[20]) {
  return (changefeed_str){room, (size_t)snprintf(room, 20, "id-%05u", i)};
}

static changefeed_str rev_of(unsigned version, char room[60]) {
  return (changefeed_str){
      room, (size_t)snprintf(room, 60, "%u-%032x", version + 1, version)};
}

/* Each version has one revision for all its entries, so a torn one shows. */
static bool is_whole(const cfi_tree_view *v, unsigned *version) {
  cfi_tree_range all = {{NULL, 0}, {NULL, 0}};
  cfi_tree_walk w;
  cfi_tree_entry e, found;
  uint64_t count = 0, told;
  cfi_digest sum = {0, 0};
  char rev[60];
  changefeed_str want = {rev, 0};

  cfi_tree_view_walk(v, all, &w);
  for (; cfi_tree_next(&w, &e); count++) {
    if (count == 0) {
      if (sscanf(e.rev.data, "%u-", version) != 1)
        return false;
      want = rev_of(*version - 1, rev);
    }
    if (e.rev.len != want.len || memcmp(e.rev.data, rev, want.len) != 0)
      return false;
    sum = cfi_digest_add(sum, cfi_digest_of(e.id, e.rev));
    if (!cfi_tree_view_find(v, e.id, &found) || found.id.data != e.id.data)
      return false;
  }
  return count == cfi_tree_view_count(v) &&
         cfi_digest_equal(sum, cfi_tree_view_digest(v, all, &told)) &&
         told == count;
}

static void *read_on(void *given) {
  stage *s = given;
  unsigned last = 0;
  const cfi_tree_view *old = NULL;
  unsigned old_version = 0;

  for (unsigned i = 0; !atomic_load(&s->done) || i == 0; i++) {
    const cfi_tree_view *v = cfi_tree_acquire(s->tree);
    unsigned version = 0, again = 0;

    if (!is_whole(v, &version) || version < last)
      atomic_fetch_add(&s->failures, 1);
    last = version;
    /* One is held over many others, and looked at again then. */
    if (old == NULL) {
      old = v;
      old_version = version;
      continue;
    }
    cfi_tree_release(s->tree, v);
    if (i % 16 == 0) {
      if (!is_whole(old, &again) || again != old_version)
        atomic_fetch_add(&s->failures, 1);
      cfi_tree_release(s->tree, old);
      old = NULL;
    }
    atomic_fetch_add(&s->looks, 1);
  }
  if (old != NULL)
    cfi_tree_release(s->tree, old);
  return NULL;
}

/* Nothing but acquire and release, as often as possible. */
static void *hammer(void *given) {
  stage *s = given;
  uint64_t before = 0;

  while (!atomic_load(&s->done)) {
    const cfi_tree_view *v = cfi_tree_acquire(s->tree);
    const cfi_tree_view *other = cfi_tree_acquire(s->tree);

    before += cfi_tree_view_count(v) + cfi_tree_view_count(other);
    cfi_tree_release(s->tree, other);
    cfi_tree_release(s->tree, v);
  }
  if (before == 0)
    atomic_fetch_add(&s->failures, 1);
  return NULL;
}

static void write_version(cfi_tree *t, cft_chance *chance, unsigned version) {
  char id[20], rev[60];

  for (unsigned i = 0; i < IDS; i++) {
    /* The first is always there and tells the version. */
    if (i != 0 && cft_chance_below(chance, 20) == 0)
      (void)cfi_tree_remove(t, id_of(i, id));
    else
      ck_assert_int_ge(
          cfi_tree_put(t, id_of(i, id), rev_of(version, rev), NULL),
          CFI_TREE_SAME);
  }
}

static void replace_version(cfi_tree *t, const cfi_alloc *alloc,
                            unsigned version) {
  cfi_tree *other = cfi_tree_new(alloc, NULL);
  char id[20], rev[60];

  ck_assert_ptr_nonnull(other);
  for (unsigned i = 0; i < IDS; i++)
    ck_assert(cfi_tree_append(other, id_of(i, id), rev_of(version, rev), NULL));
  ck_assert(cfi_tree_replace(t, other));
  cfi_tree_free(other);
}

START_TEST(test_mirror_tree_threads_see_whole_versions) {
  cft_failing memory;
  cft_chance chance = {1};
  pthread_t reader[READERS + 1];
  stage s;

  cft_failing_init(&memory, 0);
  s.tree = cfi_tree_new(&memory.alloc, NULL);
  atomic_init(&s.done, false);
  atomic_init(&s.failures, 0);
  atomic_init(&s.looks, 0);
  write_version(s.tree, &chance, 0);
  ck_assert(cfi_tree_publish(s.tree));
  for (unsigned i = 0; i <= READERS; i++)
    ck_assert_int_eq(
        pthread_create(&reader[i], NULL, i < READERS ? read_on : hammer, &s),
        0);
  for (unsigned version = 1; version < VERSIONS; version++) {
    if (version % 10 == 0) {
      replace_version(s.tree, &memory.alloc, version);
    } else {
      write_version(s.tree, &chance, version);
      ck_assert(cfi_tree_publish(s.tree));
    }
  }
  while (atomic_load(&s.looks) < 100)
    ck_assert(cfi_tree_publish(s.tree));
  atomic_store(&s.done, true);
  for (unsigned i = 0; i <= READERS; i++)
    ck_assert_int_eq(pthread_join(reader[i], NULL), 0);
  ck_assert_uint_eq(atomic_load(&s.failures), 0);
  /* All were released: only the last version is left. */
  ck_assert(cfi_tree_publish(s.tree));
  cft_tree_check_nodes(s.tree);
  ck_assert_uint_le(memory.bytes, 4 * cfi_tree_bytes(s.tree));
  cfi_tree_free(s.tree);
  ck_assert_uint_eq(memory.live, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_tree_threads");
  TCase *tc = tcase_create("threads");

  tcase_add_test(tc, test_mirror_tree_threads_see_whole_versions);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
