/* A mirror's snapshot: served at once after a restart, brought up to date,
   refused with a reason when it is not this mirror's, whole whatever happens
   while it is saved. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/mirror_in_couchsim.h"
#include "support/mem.h"
#include "unit/scratch_dir.h"

static scratch_dir dir;
static char path[1100];

static void begin(void) {
  setup();
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s", scratch_path(&dir, "snapshot"));
  f.config.snapshot = path;
}

static void end(void) {
  teardown();
  scratch_end(&dir);
}

/* Another process: nothing is known of before. */
static void restart(void) {
  changefeed_mirror_config config = f.config;

  cft_mirrored_clear(&f);
  f.config = config;
}

static char *file_now(size_t *len) {
  char *text = cft_read_file(path, len);

  ck_assert_msg(text != NULL, "there is no snapshot");
  return text;
}

static uint64_t view_count(void) {
  const changefeed_view *v = changefeed_mirror_view(f.mirror);
  uint64_t count = changefeed_view_count(v);

  changefeed_view_release(v);
  return count;
}

/* ---- a restart ---- */

START_TEST(test_mirror_serves_its_snapshot_at_once) {
  uint64_t lists;

  f.config.keep = _i == 0 ? CHANGEFEED_KEEP_REVS : CHANGEFEED_KEEP_DOCS;
  fill(0, 50);
  open_mirror();
  expect_synced();
  restart();
  drop("d0001");
  drop("d0002");
  write_doc("d0002", 8);
  write_doc("d0003", 8);
  write_doc("new", 8);
  lists = cft_couchsim_count(sim, "all_docs");
  open_mirror();
  ck_assert_uint_eq(view_count(), 50);
  ck_assert_int_eq(changefeed_mirror_is_synced(f.mirror), 0);
  ck_assert_uint_eq(f.told_count, 0);
  expect_synced();
  expect_same();
  /* What the file held was told first, all of it. */
  for (size_t i = 0; i < 50; i++) {
    ck_assert_int_eq((int)f.told[i].kind, CFT_TOLD_PUT);
    ck_assert_int_eq(strncmp(f.told[i].rev, "1-", 2), 0);
    ck_assert(_i == 0 ? f.told[i].doc == NULL : f.told[i].doc != NULL);
  }
  ck_assert_uint_eq(f.count[CFT_TOLD_SYNCED], 1);
  ck_assert_uint_eq(cft_mirrored_stats(&f).resets, 0);
  /* Only what this test asked itself. */
  ck_assert_uint_le(cft_couchsim_count(sim, "all_docs") - lists, 2);
}
END_TEST

START_TEST(test_mirror_without_a_server_serves_its_snapshot) {
  changefeed_entry e;

  f.config.keep = CHANGEFEED_KEEP_DOCS;
  fill(0, 20);
  open_mirror();
  expect_synced();
  restart();
  cft_couchsim_rule(sim, "{\"do\":{\"status\":503}}");
  open_mirror();
  cft_loop_for(f.loop, 100);
  ck_assert_uint_eq(view_count(), 20);
  ck_assert_uint_eq(f.count[CFT_TOLD_PUT], 20);
  ck_assert_uint_eq(f.count[CFT_TOLD_SYNCED], 0);
  ck_assert_int_eq(changefeed_mirror_get(f.mirror, "d0004", 5, &e), 0);
  ck_assert_ptr_nonnull(strstr(e.doc.data, "\"n\":4"));
  cft_couchsim_no_rules(sim);
  expect_synced();
  expect_same();
}
END_TEST

START_TEST(test_mirror_finds_another_database_when_it_comes_back) {
  fill(0, 40);
  open_mirror();
  expect_synced();
  restart();
  cft_couchsim_tell(sim, "recreate", "{\"db\":\"db\"}");
  fill(30, 60);
  open_mirror();
  ck_assert_uint_eq(view_count(), 40);
  expect_synced();
  expect_same();
  ck_assert_uint_eq(cft_mirrored_documents(&f), 30);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 30);
  ck_assert_uint_eq(cft_mirrored_stats(&f).resets, 1);
  restart();
  open_mirror();
  ck_assert_uint_eq(view_count(), 30);
}
END_TEST

/* ---- refused ---- */

static void expect_refused(const char *says) {
  size_t before_len, after_len;
  char *before = file_now(&before_len), *after;
  char why[1200];
  int rc = cft_mirrored_try(&f, NULL, why, sizeof why, url, NULL);

  ck_assert_msg(rc == CHANGEFEED_ERR_STORE, "it answers %d: %s", rc, why);
  ck_assert_msg(strstr(why, path) != NULL, "\"%s\" does not name the file",
                why);
  ck_assert_msg(strstr(why, says) != NULL, "\"%s\" says nothing of %s", why,
                says);
  after = file_now(&after_len);
  ck_assert_uint_eq(before_len, after_len);
  ck_assert_mem_eq(before, after, before_len);
  free(before);
  free(after);
}

static void make_snapshot(void) {
  fill(0, 50);
  open_mirror();
  expect_synced();
  restart();
}

START_TEST(test_mirror_refuses_a_file_of_something_else) {
  static const char text[] = "[settings]\ncolour = blue\n";

  scratch_write(&dir, "snapshot", text, sizeof text - 1);
  expect_refused("");
}
END_TEST

START_TEST(test_mirror_refuses_a_damaged_snapshot) {
  size_t len;
  char *text;

  make_snapshot();
  text = file_now(&len);
  switch (_i) {
  case 0:
    text[len / 2] ^= 0x10;
    break;
  case 1:
    len = len / 2;
    break;
  default:
    text[len - 1] ^= 1;
  }
  scratch_write(&dir, "snapshot", text, len);
  free(text);
  expect_refused("");
}
END_TEST

START_TEST(test_mirror_refuses_a_snapshot_of_another_choice) {
  make_snapshot();
  f.config.prefix = "d";
  expect_refused("revisions");
  f.config.prefix = NULL;
  f.config.from = "a";
  expect_refused("revisions");
  f.config.from = NULL;
  f.config.keep = CHANGEFEED_KEEP_DOCS;
  expect_refused("");
}
END_TEST

START_TEST(test_mirror_refuses_a_snapshot_of_another_range) {
  f.config.prefix = "d";
  make_snapshot();
  f.config.prefix = "e";
  expect_refused("revisions from \"e\" to \"f\"");
  f.config.prefix = NULL;
  expect_refused("revisions");
  f.config.from = "d";
  f.config.to = "e"; /* the same range, said otherwise */
  open_mirror();
  ck_assert_uint_eq(view_count(), 50);
}
END_TEST

START_TEST(test_mirror_refuses_a_snapshot_of_another_database) {
  make_snapshot();
  (void)snprintf(url, sizeof url, "%s/other", cft_couchsim_url(sim, 0));
  cft_couchsim_must(sim, 201, "PUT", "/other", NULL);
  expect_refused("other");
}
END_TEST

START_TEST(test_mirror_refuses_a_snapshot_another_mirror_has) {
  cft_mirrored second = {.config = f.config};
  char why[1200];

  fill(0, 10);
  open_mirror();
  expect_synced();
  ck_assert_int_eq(cft_mirrored_try(&second, NULL, why, sizeof why, url, NULL),
                   CHANGEFEED_ERR_STORE);
  ck_assert_msg(strstr(why, path) != NULL, "%s", why);
  cft_mirrored_clear(&second);
  cft_mirrored_close(&f);
  second.config = f.config;
  cft_mirrored_open(&second, NULL, url, NULL);
  cft_mirrored_clear(&second);
}
END_TEST

START_TEST(test_mirror_of_values_has_no_snapshot) {
  char why[300];

  f.config.keep = CHANGEFEED_KEEP_VALUES;
  ck_assert_int_eq(cft_mirrored_try(&f, NULL, why, sizeof why, url, NULL),
                   CHANGEFEED_ERR_UNSUPPORTED);
  ck_assert_ptr_nonnull(strstr(why, "snapshot"));
}
END_TEST

/* ---- when it is saved ---- */

static bool has_saved(void *count) {
  return cft_mirrored_stats(&f).saves >= *(const uint64_t *)count;
}

static void expect_saves(uint64_t count) {
  ck_assert_msg(cft_loop_until(f.loop, has_saved, &count, PATIENCE_MS),
                "it has not saved %llu times", (unsigned long long)count);
}

START_TEST(test_mirror_saves_what_changes_now_and_then) {
  cft_mirrored reader;

  f.config.snapshot_ms = 20;
  fill(0, 30);
  open_mirror();
  ck_assert_int_eq(cft_mirrored_stats(&f).save_age_ms, -1);
  expect_synced();
  expect_saves(1);
  cft_loop_for(f.loop, 100);
  ck_assert_uint_eq(cft_mirrored_stats(&f).saves, 1); /* nothing has changed */
  write_doc("new", 1);
  expect_same();
  expect_saves(2);
  ck_assert_int_ge(cft_mirrored_stats(&f).save_age_ms, 0);
  ck_assert_uint_eq(cft_mirrored_stats(&f).save_errors, 0);
  /* A copy of the file, as the lock is the first one's. */
  memset(&reader, 0, sizeof reader);
  {
    size_t len;
    char *text = file_now(&len), copy[1100];

    scratch_write(&dir, "copy", text, len);
    free(text);
    (void)snprintf(copy, sizeof copy, "%s", scratch_path(&dir, "copy"));
    reader.config.snapshot = copy;
    cft_mirrored_open(&reader, NULL, url, NULL);
    ck_assert_uint_eq(cft_mirrored_documents(&reader), 31);
    cft_mirrored_clear(&reader);
  }
}
END_TEST

START_TEST(test_mirror_saves_at_its_end) {
  fill(0, 30);
  open_mirror();
  expect_synced();
  ck_assert(!scratch_exists(&dir, "snapshot"));
  if (_i == 0) {
    cft_mirrored_close(&f);
  } else {
    ck_assert_int_eq(changefeed_mirror_stop(f.mirror), CHANGEFEED_OK);
    ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
    ck_assert_uint_eq(cft_mirrored_stats(&f).saves, 1);
  }
  restart();
  open_mirror();
  ck_assert_uint_eq(view_count(), 30);
}
END_TEST

START_TEST(test_mirror_that_is_not_in_step_saves_nothing) {
  fill(0, 30);
  open_mirror();
  ck_assert_int_eq(changefeed_mirror_save(f.mirror, NULL),
                   CHANGEFEED_ERR_STATE);
  cft_mirrored_close(&f);
  ck_assert(!scratch_exists(&dir, "snapshot"));
}
END_TEST

START_TEST(test_mirror_is_saved_elsewhere_when_asked) {
  char other[1100];

  (void)snprintf(other, sizeof other, "%s", scratch_path(&dir, "other"));
  fill(0, 30);
  open_mirror();
  expect_synced();
  ck_assert_int_eq(changefeed_mirror_save(f.mirror, other), CHANGEFEED_OK);
  ck_assert(!scratch_exists(&dir, "snapshot"));
  ck_assert_int_eq(changefeed_mirror_save(f.mirror, NULL), CHANGEFEED_OK);
  ck_assert_uint_eq(cft_mirrored_stats(&f).saves, 2);
  ck_assert_int_eq(changefeed_mirror_save(f.mirror, "/nowhere/at/all"),
                   CHANGEFEED_ERR_STORE);
  ck_assert_int_eq(changefeed_mirror_last_error(f.mirror)->code,
                   CHANGEFEED_ERR_STORE);
  restart();
  f.config.snapshot = other;
  open_mirror();
  ck_assert_uint_eq(view_count(), 30);
}
END_TEST

/* ---- trouble ---- */

/* A file may not grow: what a full disk does, without one. */
START_TEST(test_mirror_goes_on_when_the_disk_is_full) {
  struct rlimit was, little;
  size_t before_len, after_len;
  char *before, *after;

  fill(0, 400);
  open_mirror();
  expect_synced();
  ck_assert_int_eq(changefeed_mirror_save(f.mirror, NULL), CHANGEFEED_OK);
  before = file_now(&before_len);
  write_doc("new", 1);
  expect_same();
  (void)signal(SIGXFSZ, SIG_IGN);
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
  little = was;
  little.rlim_cur = 4096;
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
  ck_assert_int_eq(changefeed_mirror_save(f.mirror, NULL),
                   CHANGEFEED_ERR_STORE);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
  ck_assert_uint_eq(cft_mirrored_stats(&f).save_errors, 1);
  after = file_now(&after_len);
  ck_assert_uint_eq(before_len, after_len);
  ck_assert_mem_eq(before, after, before_len);
  free(before);
  free(after);
  write_doc("newer", 1);
  expect_same();
  ck_assert_int_eq(changefeed_mirror_save(f.mirror, NULL), CHANGEFEED_OK);
}
END_TEST

/* Follows and saves as fast as it can, until it is killed. */
static void save_for_ever(void) {
  cft_mirrored m = {.config = f.config, .quiet = true};

  m.config.snapshot_ms = 1;
  cft_mirrored_open(&m, NULL, url, NULL);
  for (;;) {
    cft_loop_for(m.loop, 3);
    if (m.mirror != NULL && changefeed_mirror_is_synced(m.mirror))
      (void)changefeed_mirror_save(m.mirror, NULL);
  }
}

START_TEST(test_mirror_killed_while_it_saves_leaves_a_whole_snapshot) {
  fill(0, 500);
  for (unsigned round = 0; round < 12; round++) {
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0)
      save_for_ever();
    for (int i = 0; i < 2000 && !scratch_exists(&dir, "snapshot"); i++)
      (void)usleep(1000);
    (void)usleep(1000 * (round * 7 % 40));
    write_doc("d0001", (int)round);
    (void)usleep(500 * (round * 5 % 11));
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                  "the child ended by itself: %d", status);
    ck_assert(scratch_exists(&dir, "snapshot"));
    open_mirror();
    ck_assert_uint_eq(view_count(), 500);
    expect_synced();
    expect_same();
    restart();
  }
}
END_TEST

int main(void) {
  Suite *s = suite_create("mirror snapshot");
  TCase *t = tcase_create("all");

  tcase_add_checked_fixture(t, begin, end);
  tcase_add_loop_test(t, test_mirror_serves_its_snapshot_at_once, 0, 2);
  tcase_add_test(t, test_mirror_without_a_server_serves_its_snapshot);
  tcase_add_test(t, test_mirror_finds_another_database_when_it_comes_back);
  tcase_add_test(t, test_mirror_refuses_a_file_of_something_else);
  tcase_add_loop_test(t, test_mirror_refuses_a_damaged_snapshot, 0, 3);
  tcase_add_test(t, test_mirror_refuses_a_snapshot_of_another_choice);
  tcase_add_test(t, test_mirror_refuses_a_snapshot_of_another_range);
  tcase_add_test(t, test_mirror_refuses_a_snapshot_of_another_database);
  tcase_add_test(t, test_mirror_refuses_a_snapshot_another_mirror_has);
  tcase_add_test(t, test_mirror_of_values_has_no_snapshot);
  tcase_add_test(t, test_mirror_saves_what_changes_now_and_then);
  tcase_add_loop_test(t, test_mirror_saves_at_its_end, 0, 2);
  tcase_add_test(t, test_mirror_that_is_not_in_step_saves_nothing);
  tcase_add_test(t, test_mirror_is_saved_elsewhere_when_asked);
  tcase_add_test(t, test_mirror_goes_on_when_the_disk_is_full);
  tcase_add_test(t, test_mirror_killed_while_it_saves_leaves_a_whole_snapshot);
  suite_add_tcase(s, t);
  return cft_run(s);
}
