/* A snapshot read as a file: what is in it, what it is of, and why it cannot be
   read. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "changefeed/mirror.h"

#include <stdio.h>

#include "support/unit.h"
#include "unit/mirror_snapshots.h"
#include "unit/scratch_dir.h"

static scratch_dir dir;
static cfi_alloc heap;
static char path[600];
static changefeed_snapshot *snapshot;

static void setup(void) {
  ck_assert(cfi_alloc_init(&heap, NULL));
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s/users.mirror", dir.path);
  snapshot = NULL;
}

static void teardown(void) {
  changefeed_snapshot_close(snapshot);
  scratch_end(&dir);
}

/* Three entries as a mirror of what saves them; the writer has closed. */
static void save(const char *what) {
  char feed[300];
  cfi_checkpoint position = {.feed = feed, .saved_ms = 1763860000123};
  char seq[] = "7-g1AAAA";
  cfi_tree *t = must_tree(&heap, false);
  cfi_mirror_content content;
  cfi_mirror_file *f;
  cfi_error error;

  (void)snprintf(feed, sizeof feed, "%s", what);
  position.seq = seq;
  must_append(t, "ada", 3, "1-a", NULL);
  must_append(t, "bob", 3, "2-b", NULL);
  must_append(t, "eve\0x", 5, "3-c", NULL);
  content = content_of(t);
  ck_assert_int_eq(
      cfi_mirror_file_open(&heap, path, CFI_MIRROR_FILE_OWN, &f, &error),
      CHANGEFEED_OK);
  ck_assert_int_eq(cfi_mirror_file_save(f, &position, &content, NULL, &error),
                   CHANGEFEED_OK);
  cfi_mirror_file_close(f);
  cfi_tree_free(t);
}

static void assert_open(const char *what, changefeed_snapshot_info *info) {
  *info = (changefeed_snapshot_info)CHANGEFEED_SNAPSHOT_INFO_INIT;
  changefeed_snapshot_close(snapshot);
  save(what);
  ck_assert_int_eq(changefeed_snapshot_open(&snapshot, path), CHANGEFEED_OK);
  ck_assert_str_eq(changefeed_snapshot_error(snapshot), "");
  ck_assert_int_eq(changefeed_snapshot_get_info(snapshot, info), CHANGEFEED_OK);
  ck_assert_str_eq(info->what, what);
}

START_TEST(test_api_snapshot_tells_what_is_in_it) {
  const changefeed_view *view;
  changefeed_snapshot_info info;
  changefeed_entry entry;

  assert_open("revisions of db", &info);
  ck_assert_ptr_null(info.from);
  ck_assert_ptr_null(info.to);
  ck_assert_str_eq(info.position, "7-g1AAAA");
  ck_assert_int_eq(info.saved_ms, 1763860000123);
  view = changefeed_snapshot_view(snapshot);
  ck_assert_uint_eq(changefeed_view_count(view), 3);
  ck_assert_int_eq(changefeed_view_get(view, "bob", 3, &entry), CHANGEFEED_OK);
  ck_assert_str_eq(entry.rev.data, "2-b");
  ck_assert_int_eq(changefeed_view_get(view, "eve\0x", 5, &entry),
                   CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_view_get(view, "eve", 3, &entry), CHANGEFEED_END);
  changefeed_view_release(view);
}
END_TEST

START_TEST(test_api_snapshot_tells_its_range) {
  changefeed_snapshot_info info;

  assert_open("revisions from \"a\" to \"b\" of db", &info);
  ck_assert_str_eq(info.from, "a");
  ck_assert_str_eq(info.to, "b");
  assert_open("documents to \"b\" of db", &info);
  ck_assert_ptr_null(info.from);
  ck_assert_str_eq(info.to, "b");
  assert_open("revisions from \"a \\\"\\\\\\u000a\\\" to \\\"z\" of db", &info);
  ck_assert_str_eq(info.from, "a \"\\\n\" to \"z");
  ck_assert_ptr_null(info.to);
  assert_open("something else", &info);
  ck_assert_ptr_null(info.from);
  assert_open("revisions from \"never ended", &info);
  ck_assert_ptr_null(info.from);
}
END_TEST

START_TEST(test_api_snapshot_needs_no_lock) {
  changefeed_snapshot_info info;
  cfi_mirror_file *f;
  cfi_error error;

  assert_open("revisions of db", &info);
  changefeed_snapshot_close(snapshot);
  ck_assert_int_eq(
      cfi_mirror_file_open(&heap, path, CFI_MIRROR_FILE_OWN, &f, &error),
      CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_snapshot_open(&snapshot, path), CHANGEFEED_OK);
  cfi_mirror_file_close(f);
}
END_TEST

static void assert_refused(const char *part) {
  changefeed_snapshot_info info = CHANGEFEED_SNAPSHOT_INFO_INIT;
  const changefeed_view *view;

  changefeed_snapshot_close(snapshot);
  ck_assert_int_eq(changefeed_snapshot_open(&snapshot, path),
                   CHANGEFEED_ERR_STORE);
  ck_assert_msg(strstr(changefeed_snapshot_error(snapshot), part) != NULL, "%s",
                changefeed_snapshot_error(snapshot));
  ck_assert_ptr_nonnull(strstr(changefeed_snapshot_error(snapshot), path));
  ck_assert_int_eq(changefeed_snapshot_get_info(snapshot, &info),
                   CHANGEFEED_ERR_STATE);
  view = changefeed_snapshot_view(snapshot);
  ck_assert_uint_eq(changefeed_view_count(view), 0);
  changefeed_view_release(view);
}

START_TEST(test_api_snapshot_tells_why_it_cannot_be_read) {
  char bytes[600];
  size_t len;

  assert_refused("There is no snapshot");
  save("revisions of db");
  len = scratch_read(&dir, "users.mirror", bytes, sizeof bytes);
  ck_assert_uint_lt(len, sizeof bytes);
  bytes[len - 1] ^= 1;
  scratch_write(&dir, "users.mirror", bytes, len);
  assert_refused("is damaged");
  scratch_write(&dir, "users.mirror", "another program's", 17);
  assert_refused("another program");
}
END_TEST

START_TEST(test_api_snapshot_refuses_nothing_as_an_argument) {
  changefeed_snapshot_info info = CHANGEFEED_SNAPSHOT_INFO_INIT;

  ck_assert_int_eq(changefeed_snapshot_open(NULL, path),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_snapshot_open(&snapshot, NULL),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_ptr_null(snapshot);
  ck_assert_int_eq(changefeed_snapshot_get_info(NULL, &info),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_ptr_null(changefeed_snapshot_view(NULL));
  ck_assert_str_eq(changefeed_snapshot_error(NULL), "");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("api_snapshot");
  TCase *tests = tcase_create("files");

  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, test_api_snapshot_tells_what_is_in_it);
  tcase_add_test(tests, test_api_snapshot_tells_its_range);
  tcase_add_test(tests, test_api_snapshot_needs_no_lock);
  tcase_add_test(tests, test_api_snapshot_tells_why_it_cannot_be_read);
  tcase_add_test(tests, test_api_snapshot_refuses_nothing_as_an_argument);
  suite_add_tcase(suite, tests);
  return cft_run(suite);
}
