/*
 * The digest of a set against the table of docs/mirror-digest.md, which a
 * program in another language computed, and against that program itself; the
 * order of revisions.
 */
#define _POSIX_C_SOURCE 200809L

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mirror_digest.h"
#include "support/unit.h"

#define REV_A "967a00dff5e02add41819138abb3284d"
#define REV_B "7051cbe5c8faecd085a3fa619e6e6337"

static changefeed_str str(const char *text) {
  return (changefeed_str){text, strlen(text)};
}

static void expect(cfi_digest digest, const char *digits) {
  char text[CFI_HASH_TEXT];

  cfi_digest_text(digest, text);
  ck_assert_str_eq(text, digits);
}

static cfi_digest of(const char *id, const char *rev) {
  return cfi_digest_of(str(id), str(rev));
}

START_TEST(test_mirror_digest_known_values) {
  cfi_digest nothing = {0, 0}, a = of("a", "1-" REV_A), b = of("b", "2-" REV_B);

  expect(nothing, "00000000000000000000000000000000");
  expect(a, "974771438655ec3831843192a07d1538");
  expect(b, "802c6dc1d430592dd5dabad1fdbaa3de");
  expect(cfi_digest_add(a, b), "1773df055a864566075eec649e37b916");
  expect(cfi_digest_add(b, a), "1773df055a864566075eec649e37b916");
  expect(of("a", "2-" REV_B), "fba8a3beb7e7075cd201873bae7a4ee0");
  expect(of("gr\303\266\303\237e", "10-eec205a9d413992850a6e32678485900"),
         "85aebe17b476a4fa1c7ed87c7050f78f");
  expect(of("_design/app", "1-" REV_A), "dce10902a39f3b272d92a494ce9f9254");
  expect(of("a", "3-x"), "b76546544a179507da575f91ae58409b");
  expect(cfi_digest_of((changefeed_str){"a\0b", 3}, str("1-" REV_A)),
         "2aa1ea9cfe9cd888c2c4bd22ac57de1d");
}
END_TEST

START_TEST(test_mirror_digest_long_ids) {
  char id[1000];

  memset(id, 'a', sizeof id);
  expect(cfi_digest_of((changefeed_str){id, sizeof id}, str("1-" REV_A)),
         "01d3d77252cb9437aff2a2d38c2e0dd6");
}
END_TEST

START_TEST(test_mirror_digest_of_a_set) {
  cfi_digest sum = {0, 0};

  for (unsigned i = 0; i < 1000; i++) {
    char id[20], rev[40];

    (void)snprintf(id, sizeof id, "doc-%06u", i);
    (void)snprintf(rev, sizeof rev, "%u-" REV_A, i % 3 + 1);
    sum = cfi_digest_add(sum, of(id, rev));
  }
  expect(sum, "dde2fbebc73e1615162fec0bd9c5867a");
}
END_TEST

START_TEST(test_mirror_digest_is_taken_away_again) {
  cfi_digest sum = {UINT64_MAX, UINT64_MAX}, a = of("a", "1-" REV_A);
  cfi_digest more = cfi_digest_add(sum, a);

  ck_assert(!cfi_digest_equal(more, sum));
  ck_assert(cfi_digest_equal(cfi_digest_subtract(more, a), sum));
  /* The carry and the borrow, seen alone. */
  more = cfi_digest_add((cfi_digest){UINT64_MAX, 1}, (cfi_digest){1, 0});
  ck_assert(cfi_digest_equal(more, (cfi_digest){0, 2}));
  more = cfi_digest_subtract(more, (cfi_digest){1, 0});
  ck_assert(cfi_digest_equal(more, (cfi_digest){UINT64_MAX, 1}));
}
END_TEST

START_TEST(test_mirror_digest_where_the_id_ends_matters) {
  ck_assert(!cfi_digest_equal(of("a", "b1-x"), of("ab", "1-x")));
  ck_assert(!cfi_digest_equal(of("", "a"), of("a", "")));
}
END_TEST

/* Each length around the words and the room a message is gathered in. */
START_TEST(test_mirror_digest_of_each_length) {
  char text[600];
  unsigned char message[700];
  static const unsigned char key[] = "changefeedmirror";

  for (size_t i = 0; i < sizeof text; i++)
    text[i] = (char)(i * 7);
  for (size_t len = 0; len < sizeof text; len++) {
    size_t cut = len / 3;
    cfi_hash want;
    cfi_digest is = cfi_digest_of((changefeed_str){text, cut},
                                  (changefeed_str){text + cut, len - cut});

    memset(message, 0, 8);
    message[0] = (unsigned char)cut;
    memcpy(message + 8, text, len);
    want = cfi_hash_of(key, message, len + 8);
    ck_assert(is.low == want.low && is.high == want.high);
  }
}
END_TEST

/* ---- the program of the documentation ---- */

/* Writes the text between ```python and ``` of the page; false: no such. */
static bool write_program(const char *page, const char *path) {
  char line[1000];
  bool inside = false, found = false;
  FILE *in = fopen(page, "r"), *out = fopen(path, "w");

  ck_assert_msg(in != NULL && out != NULL, "%s or %s cannot be opened", page,
                path);
  while (fgets(line, sizeof line, in) != NULL) {
    if (strncmp(line, "```", 3) == 0) {
      inside = strcmp(line, "```python\n") == 0;
      found = found || inside;
    } else if (inside) {
      ck_assert_int_ge(fputs(line, out), 0);
    }
  }
  (void)fclose(in);
  ck_assert_int_eq(fclose(out), 0);
  return found;
}

START_TEST(test_mirror_digest_the_documented_program_agrees) {
  const char *source = getenv("CFT_SOURCE_DIR");
  char page[1000], path[] = "/tmp/mirror-digest.XXXXXX", command[1200];
  char line[100], text[CFI_HASH_TEXT];
  cfi_digest sum = {0, 0};
  FILE *out;
  int file;

  if (source == NULL || system("python3 -c 1 2>/dev/null") != 0)
    return; /* the table was made by it, and is always checked */
  file = mkstemp(path);
  ck_assert_int_ge(file, 0);
  (void)close(file);
  (void)snprintf(page, sizeof page, "%s/docs/mirror-digest.md", source);
  ck_assert(write_program(page, path));
  (void)snprintf(command, sizeof command,
                 "for i in 1 22 333 4444 55555; do "
                 "printf 'id %%s\\t%%s-" REV_A "\\n' $i $i; done | "
                 "python3 %s",
                 path);
  out = popen(command, "r");
  ck_assert_ptr_nonnull(out);
  ck_assert_ptr_nonnull(fgets(line, sizeof line, out));
  ck_assert_int_eq(pclose(out), 0);
  (void)remove(path);
  sum = cfi_digest_add(sum, of("id 1", "1-" REV_A));
  sum = cfi_digest_add(sum, of("id 22", "22-" REV_A));
  sum = cfi_digest_add(sum, of("id 333", "333-" REV_A));
  sum = cfi_digest_add(sum, of("id 4444", "4444-" REV_A));
  sum = cfi_digest_add(sum, of("id 55555", "55555-" REV_A));
  cfi_digest_text(sum, text);
  line[strcspn(line, "\n")] = '\0';
  ck_assert_str_eq(line, text);
}
END_TEST

/* ---- the order of revisions ---- */

START_TEST(test_mirror_digest_revisions_in_order) {
  /* Each is lower than all behind it. */
  static const char *const revs[] = {"",
                                     "-a",
                                     "0",
                                     "1-",
                                     "12a-b",
                                     "x-y",
                                     "0-a",
                                     "01-a",
                                     "1-a",
                                     "1-b",
                                     "2-a",
                                     "3-a",
                                     "3-b",
                                     "9-z",
                                     "10-a",
                                     "12-a",
                                     "12-ab",
                                     "99-a",
                                     "18446744073709551616-a",
                                     "18446744073709551617-a",
                                     "99999999999999999999999999-a"};
  size_t count = sizeof revs / sizeof *revs;

  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < count; k++) {
      int order = cfi_rev_compare(str(revs[i]), str(revs[k]));

      ck_assert_msg((order > 0) - (order < 0) == (i > k) - (i < k),
                    "\"%s\" and \"%s\": %d", revs[i], revs[k], order);
    }
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_digest");
  TCase *tc = tcase_create("digest");

  tcase_add_test(tc, test_mirror_digest_known_values);
  tcase_add_test(tc, test_mirror_digest_long_ids);
  tcase_add_test(tc, test_mirror_digest_of_a_set);
  tcase_add_test(tc, test_mirror_digest_is_taken_away_again);
  tcase_add_test(tc, test_mirror_digest_where_the_id_ends_matters);
  tcase_add_test(tc, test_mirror_digest_of_each_length);
  tcase_add_test(tc, test_mirror_digest_the_documented_program_agrees);
  tcase_add_test(tc, test_mirror_digest_revisions_in_order);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
