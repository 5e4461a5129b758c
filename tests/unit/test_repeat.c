/* The memory of revisions: news is never taken for a repeat, whatever is
   forgotten. Known failure 80: a node dies, and the whole feed comes again. */
#include "repeat.h"

#include <string.h>

#include "random.h"
#include "str.h"
#include "support/failing.h"
#include "support/unit.h"

static cft_failing memory;
static cfi_repeat repeat;

static changefeed_str str(const char *text) {
  changefeed_str s = {text, strlen(text)};
  return s;
}

static void begin(size_t entries) {
  cft_failing_init(&memory, 0);
  cfi_repeat_init(&repeat, &memory.alloc, entries, 42);
}

static void teardown(void) {
  cfi_repeat_free(&repeat);
  ck_assert_uint_eq(memory.live, 0);
}

static bool seen_of(changefeed_str id, const changefeed_str *revs,
                    size_t count) {
  cfi_repeat_mark mark;
  bool known = cfi_repeat_known(&repeat, id, revs, count, &mark);

  /* To ask remembers nothing. */
  ck_assert_int_eq(cfi_repeat_known(&repeat, id, revs, count, &mark), known);
  cfi_repeat_note(&repeat, &mark);
  return known;
}

/* One revision, or several separated by a space. */
static bool seen(const char *id, const char *revs) {
  changefeed_str list[8];
  size_t count = 0;

  while (*revs != '\0') {
    size_t len = strcspn(revs, " ");

    list[count].data = revs;
    list[count++].len = len;
    revs += revs[len] == ' ' ? len + 1 : len;
  }
  return seen_of(str(id), list, count);
}

START_TEST(test_repeat_knows_a_revision_and_those_before_it) {
  begin(1024);
  ck_assert(!seen("a", "1-x"));
  ck_assert(seen("a", "1-x"));
  ck_assert(!seen("a", "3-x"));
  ck_assert(seen("a", "1-x"));
  ck_assert(seen("a", "2-never-delivered"));
  ck_assert(seen("a", "3-x"));
  ck_assert(!seen("a", "4-x"));
  ck_assert(!seen("b", "1-x"));
}
END_TEST

/* Rows of a batch are all looked up before the first of them is noted. */
START_TEST(test_repeat_notes_what_was_looked_up_before_others_were_noted) {
  enum { ROWS = 200 };
  static cfi_repeat_mark marks[ROWS];
  char id[32];

  begin(1024);
  for (int turn = 0; turn < 2; turn++) {
    for (int i = 0; i < ROWS; i++) {
      changefeed_str rev = str(i % 2 == 0 ? "2-x" : "1-x");

      (void)snprintf(id, sizeof id, "doc%d", i / 2);
      ck_assert_int_eq(cfi_repeat_known(&repeat, str(id), &rev, 1, &marks[i]),
                       turn);
    }
    for (int i = 0; i < ROWS; i++)
      cfi_repeat_note(&repeat, &marks[i]);
  }
}
END_TEST

START_TEST(test_repeat_does_not_let_an_old_revision_replace_a_new_one) {
  begin(1024);
  ck_assert(!seen("a", "5-x"));
  ck_assert(seen("a", "4-x"));
  ck_assert(seen("a", "5-x"));
}
END_TEST

/* A conflict of the same length: another winner is news. */
START_TEST(test_repeat_takes_another_revision_of_a_generation_for_news) {
  begin(1024);
  ck_assert(!seen("a", "2-x"));
  ck_assert(!seen("a", "2-y"));
  ck_assert(seen("a", "2-y"));
  ck_assert(!seen("a", "2-x"));
}
END_TEST

START_TEST(test_repeat_compares_generations_as_numbers) {
  begin(1024);
  ck_assert(!seen("a", "9-x"));
  ck_assert(!seen("a", "10-x"));
  ck_assert(seen("a", "9-x"));
  ck_assert(!seen("b", "4294967295-x"));
  ck_assert(seen("b", "4294967294-x"));
}
END_TEST

START_TEST(test_repeat_takes_other_revisions_as_equal_or_not) {
  static const char *const odd[] = {"x",    "-x",  "0-x",          "01-x",
                                    "1",    "a-x", "4294967296-x", "1x-",
                                    " 1-x", "+1-x"};

  begin(1024);
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
    changefeed_str rev = str(odd[i]);

    ck_assert_msg(!seen_of(str("a"), &rev, 1), "%s", odd[i]);
    ck_assert_msg(seen_of(str("a"), &rev, 1), "%s", odd[i]);
  }
  ck_assert(!seen("a", "7-x"));
  ck_assert(!seen_of(str("a"), (changefeed_str[]){str("x")}, 1));
}
END_TEST

START_TEST(test_repeat_compares_leaves_as_a_set) {
  begin(1024);
  ck_assert(!seen("a", "3-x 2-y"));
  ck_assert(seen("a", "3-x 2-y"));
  ck_assert(seen("a", "2-y 3-x")); /* another node's order */
  ck_assert(!seen("a", "3-x"));
  ck_assert(!seen("a", "3-x 2-y"));
  ck_assert(!seen("a", "3-x 2-y 1-z"));
  ck_assert(!seen("a", "3-x 2-z"));
  /* A list is never older than one revision, nor the other way round. */
  ck_assert(!seen("b", "9-x"));
  ck_assert(!seen("b", "2-x 1-y"));
  ck_assert(!seen("b", "1-y"));
}
END_TEST

START_TEST(test_repeat_without_ids_or_revisions_knows_nothing) {
  changefeed_str absent = {NULL, 0}, rev = str("1-x");

  begin(1024);
  ck_assert(!seen_of(str("a"), NULL, 0));
  ck_assert(!seen_of(str("a"), NULL, 0));
  ck_assert(!seen_of(absent, &rev, 1));
  ck_assert(!seen_of(absent, &rev, 1));
  ck_assert(!seen("", "1-x"));
  ck_assert(seen("", "1-x"));
}
END_TEST

START_TEST(test_repeat_switched_off_takes_no_memory) {
  begin(0);
  ck_assert(!seen("a", "1-x"));
  ck_assert(!seen("a", "1-x"));
  ck_assert_uint_eq(memory.calls, 0);
}
END_TEST

START_TEST(test_repeat_clear_is_another_history) {
  begin(16);
  ck_assert(!seen("a", "1-x"));
  cfi_repeat_clear(&repeat);
  ck_assert_uint_eq(memory.live, 0);
  ck_assert(!seen("a", "1-x"));
  ck_assert(seen("a", "1-x"));
}
END_TEST

START_TEST(test_repeat_grows_as_it_is_used_up_to_its_limit) {
  char id[32];

  begin(1000); /* is rounded up to 1024 */
  ck_assert_uint_eq(memory.calls, 0);
  ck_assert(!seen("first", "1-x"));
  ck_assert_uint_eq(repeat.size, 64);
  for (int i = 0; i < 100000; i++) {
    (void)snprintf(id, sizeof id, "doc%d", i);
    ck_assert(!seen(id, "1-x"));
    ck_assert_uint_le(repeat.size, 1024);
  }
  ck_assert_uint_eq(repeat.size, 1024);
  ck_assert_uint_eq(memory.live, 1);
}
END_TEST

/* Most of what fits is kept, also while the table grows; the latest of all is
   always known. */
START_TEST(test_repeat_remembers_the_latest_rows) {
  enum { ENTRIES = 4096 };
  int known = 0;
  char id[32];

  begin(ENTRIES);
  for (int i = 0; i < ENTRIES / 2; i++) {
    (void)snprintf(id, sizeof id, "doc%d", i);
    ck_assert(!seen(id, "1-x"));
    ck_assert(seen(id, "1-x"));
  }
  for (int i = 0; i < ENTRIES / 2; i++) {
    (void)snprintf(id, sizeof id, "doc%d", i);
    known += seen(id, "1-x");
  }
  ck_assert_int_gt(known, ENTRIES / 2 * 3 / 4);
}
END_TEST

/* Five ids of one bucket at 64 entries and at 128: the fifth makes the table
   grow, and then has to push out the one used longest ago. */
START_TEST(test_repeat_keeps_the_order_of_use_when_it_grows) {
  char ids[5][32];
  size_t found = 0;

  begin(128);
  for (int i = 0; found < 5; i++) {
    (void)snprintf(ids[found], sizeof ids[found], "doc%d", i);
    if (cfi_str_hash(repeat.seed, ids[found], strlen(ids[found])) % 32 == 7)
      found++;
  }
  for (size_t i = 0; i < 4; i++)
    ck_assert(!seen(ids[i], "1-x"));
  ck_assert(seen(ids[0], "1-x"));
  ck_assert_uint_eq(repeat.size, 64);
  ck_assert(!seen(ids[4], "1-x"));
  ck_assert_uint_eq(repeat.size, 128);
  ck_assert(seen(ids[0], "1-x"));
  ck_assert(seen(ids[2], "1-x"));
  ck_assert(seen(ids[3], "1-x"));
  ck_assert(seen(ids[4], "1-x"));
  ck_assert(!seen(ids[1], "1-x"));
}
END_TEST

START_TEST(test_repeat_of_the_smallest_sizes_works) {
  for (size_t entries = 1; entries <= 8; entries++) {
    begin(entries);
    for (int i = 0; i < 100; i++) {
      char id[32];

      (void)snprintf(id, sizeof id, "doc%d", i);
      ck_assert(!seen(id, "1-x"));
      ck_assert(seen(id, "1-x"));
    }
    /* The one used last goes last. */
    if (entries == 4) {
      ck_assert(!seen("p", "1-x"));
      ck_assert(!seen("q", "1-x"));
      ck_assert(!seen("r", "1-x"));
      ck_assert(!seen("s", "1-x"));
      ck_assert(seen("p", "1-x"));
      ck_assert(!seen("t", "1-x"));
      ck_assert(seen("p", "1-x"));
      ck_assert(!seen("q", "1-x"));
    }
    teardown();
  }
  begin(0);
}
END_TEST

/* Against a model that forgets nothing: a repeat must be one there too. */
START_TEST(test_repeat_never_takes_news_for_a_repeat) {
  enum { IDS = 300, GENERATIONS = 20, ROWS = 20000 };
  static bool delivered[IDS][GENERATIONS + 1][2];
  int latest[IDS] = {0}, repeats = 0;
  cfi_random random;

  cfi_random_init(&random, (uint64_t)_i + 1);
  memset(delivered, 0, sizeof delivered);
  begin((size_t)1 << _i);
  for (int i = 0; i < ROWS; i++) {
    int doc = (int)cfi_random_upto(&random, IDS - 1);
    int generation = (int)cfi_random_upto(&random, GENERATIONS - 1) + 1;
    int hash = (int)cfi_random_upto(&random, 1);
    char id[32], rev[32];

    (void)snprintf(id, sizeof id, "doc%d", doc);
    (void)snprintf(rev, sizeof rev, "%d-%d", generation, hash);
    if (seen(id, rev)) {
      repeats++;
      ck_assert(latest[doc] > generation || delivered[doc][generation][hash]);
    }
    delivered[doc][generation][hash] = true;
    if (generation > latest[doc])
      latest[doc] = generation;
  }
  if (_i >= 9) /* room for all of them */
    ck_assert_int_gt(repeats, ROWS * 8 / 10);
}
END_TEST

START_TEST(test_repeat_without_memory_knows_less_and_goes_on) {
  for (size_t n = 1; n <= 8; n++) {
    int repeats = 0;

    begin(1024);
    memory.fail_at = n;
    memory.fails = CFT_FOR_GOOD;
    for (int i = 0; i < 2000; i++) {
      char id[32];

      (void)snprintf(id, sizeof id, "doc%d", i);
      ck_assert(!seen(id, "1-x"));
      repeats += seen(id, "1-x");
    }
    if (n == 1)
      ck_assert_int_eq(repeats, 0);
    else
      ck_assert_int_eq(repeats, 2000);
    teardown();
  }
  begin(0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("repeat");
  TCase *tc = tcase_create("repeat");

  tcase_add_checked_fixture(tc, NULL, teardown);
  tcase_add_test(tc, test_repeat_knows_a_revision_and_those_before_it);
  tcase_add_test(tc,
                 test_repeat_does_not_let_an_old_revision_replace_a_new_one);
  tcase_add_test(tc,
                 test_repeat_notes_what_was_looked_up_before_others_were_noted);
  tcase_add_test(tc,
                 test_repeat_takes_another_revision_of_a_generation_for_news);
  tcase_add_test(tc, test_repeat_compares_generations_as_numbers);
  tcase_add_test(tc, test_repeat_takes_other_revisions_as_equal_or_not);
  tcase_add_test(tc, test_repeat_compares_leaves_as_a_set);
  tcase_add_test(tc, test_repeat_without_ids_or_revisions_knows_nothing);
  tcase_add_test(tc, test_repeat_switched_off_takes_no_memory);
  tcase_add_test(tc, test_repeat_clear_is_another_history);
  tcase_add_test(tc, test_repeat_grows_as_it_is_used_up_to_its_limit);
  tcase_add_test(tc, test_repeat_remembers_the_latest_rows);
  tcase_add_test(tc, test_repeat_keeps_the_order_of_use_when_it_grows);
  tcase_add_test(tc, test_repeat_of_the_smallest_sizes_works);
  tcase_add_loop_test(tc, test_repeat_never_takes_news_for_a_repeat, 0, 13);
  tcase_add_test(tc, test_repeat_without_memory_knows_less_and_goes_on);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
