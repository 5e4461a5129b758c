/* The checkpoint file when the system refuses, and when the process ends, at
   each single system call of a save. */
#define _GNU_SOURCE
#include "store_file.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/unit.h"
#include "unit/refused_calls.h"
#include "unit/store_records.h"

/* ---- the tests ---- */

static scratch_dir dir;
static char path[600];
static cfi_error warning, error;

static void setup(void) {
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s/feed.pos", dir.path);
}

static void teardown(void) {
  arm(NOTHING, 0, 0);
  scratch_end(&dir);
}

/* How many calls a save makes that keeps a copy. */
static int count_calls(void) {
  cfi_store_file *store = must_open(path);
  int calls;

  must_save(store, 1);
  arm(REFUSE, -1, 0);
  must_save(store, 2);
  calls = plan.calls;
  arm(NOTHING, 0, 0);
  cfi_store_file_close(store);
  return calls;
}

/* Opened, written, synced; the old copy kept, by a link or by a file that is
   opened, written and synced; renamed; the directory synced. What this is for
   is tested in test_store_file_power.c. */
START_TEST(test_store_file_is_synced_before_it_takes_its_place) {
  cfi_store_file *store = must_open(path);

  must_save(store, 1);
  arm(REFUSE, -1, 0);
  must_save(store, 2);
  ck_assert_str_eq(plan.trace, "owFulrD");
  plan.no_links = true;
  arm(REFUSE, -1, 0);
  must_save(store, 3);
  ck_assert_str_eq(plan.trace, "owFulowFrD");
  arm(NOTHING, 0, 0);
  cfi_store_file_close(store);
}
END_TEST

/* Loop variable: with links, and on a file system that has none. */
START_TEST(test_store_file_refused_at_each_call_keeps_what_it_has) {
  static const int numbers[] = {EIO, ENOSPC, EROFS};
  int calls, failed = 0;

  plan.no_links = _i == 1;
  calls = count_calls();
  ck_assert_int_ge(calls, 8);
  for (size_t k = 0; k < 3; k++)
    for (int at = 1; at <= calls; at++) {
      cfi_store_file *store = must_open(path);
      uint64_t before = must_load(store, &warning), after;
      int rc;

      arm(REFUSE, at, numbers[k]);
      rc = save_number(store, before + 1, &error);
      arm(NOTHING, 0, 0);
      after = must_load(store, &warning);
      if (rc == CHANGEFEED_OK) {
        ck_assert_uint_eq(after, before + 1);
      } else {
        failed++;
        ck_assert_int_eq(rc, CHANGEFEED_ERR_STORE);
        ck_assert_int_eq(error.pub.sys_errno, numbers[k]);
        ck_assert_ptr_nonnull(strstr(error.text, path));
        if (begins(error.text, "Cannot sync the directory"))
          ck_assert_uint_eq(after, before + 1);
        else
          ck_assert_uint_eq(after, before);
      }
      ck_assert(!scratch_exists(&dir, "feed.pos.tmp"));
      /* and the next one works */
      must_save(store, before + 2);
      cfi_store_file_close(store);
      ck_assert_uint_eq(stored_number(path, &warning), before + 2);
      ck_assert_int_eq(warning.pub.code, 0);
    }
  ck_assert_int_ge(failed, 3 * 6);
}
END_TEST

/* The next save finds what the dead one left behind, so it needs a call or two
   more: it goes on until a save is through. Known failures 61 and 72. */
START_TEST(test_store_file_dead_at_each_call_has_the_old_or_the_new_record) {
  int calls, at = 0, old = 0, status;

  plan.no_links = _i == 1;
  calls = count_calls();
  do {
    uint64_t before = stored_number(path, &warning), after;
    pid_t pid = fork();

    at++;
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
      cfi_store_file *store = must_open(path);

      (void)must_load(store, &warning);
      arm(DIE, at, 0);
      _exit(save_number(store, before + 1, &error) == CHANGEFEED_OK ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert(WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 0);
    after = stored_number(path, &warning);
    ck_assert(after == before || after == before + 1);
    old += after == before;
    ck_assert_int_eq(warning.pub.code, 0); /* PATH is always there */
    if (WEXITSTATUS(status) == 0)
      ck_assert_uint_eq(after, before + 1);
  } while (WEXITSTATUS(status) != 0);
  ck_assert_int_gt(at, calls);
  ck_assert_int_ge(old, calls - 2);
}
END_TEST

START_TEST(test_store_file_interrupted_calls_are_made_again) {
  int calls = count_calls(), saved = 0;

  for (int at = 1; at <= calls; at++) {
    cfi_store_file *store = must_open(path);

    (void)must_load(store, &warning);
    arm(REFUSE, at, EINTR);
    saved += save_number(store, 100, &error) == CHANGEFEED_OK;
    arm(NOTHING, 0, 0);
    cfi_store_file_close(store);
  }
  /* write, more than once, and both fsyncs; the others are not interrupted */
  ck_assert_int_ge(saved, 4);
}
END_TEST

START_TEST(test_store_file_on_a_file_system_that_cannot_sync_directories) {
  int calls = count_calls();
  cfi_store_file *store = must_open(path);

  (void)must_load(store, &warning);
  arm(REFUSE, calls, EINVAL); /* the last one is the directory's */
  must_save(store, 9);
  arm(NOTHING, 0, 0);
  cfi_store_file_close(store);
}
END_TEST

/* Runs in a child, whose limits and rights are its own; 0 when all is well. */
static int in_child(int (*run)(cfi_store_file *store)) {
  int status;
  cfi_store_file *store = must_open(path);
  pid_t pid = fork();

  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(run(store));
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  cfi_store_file_close(store);
  return status;
}

static int save_on_a_full_disk(cfi_store_file *store) {
  struct rlimit limit = {50, 50};

  (void)signal(SIGXFSZ, SIG_IGN);
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
    return 1;
  if (save_number(store, 3, &error) != CHANGEFEED_ERR_STORE)
    return 2;
  if (error.pub.sys_errno != EFBIG || strstr(error.text, path) == NULL)
    return 3;
  return scratch_exists(&dir, "feed.pos.tmp") ? 4 : 0;
}

START_TEST(test_store_file_on_a_full_disk_keeps_what_it_has) {
  cfi_store_file *store = must_open(path);

  must_save(store, 1);
  must_save(store, 2);
  cfi_store_file_close(store);
  ck_assert_int_eq(in_child(save_on_a_full_disk), 0);
  ck_assert_uint_eq(stored_number(path, &warning), 2);
  ck_assert_int_eq(warning.pub.code, 0);
}
END_TEST

static int save_without_rights(cfi_store_file *store) {
  cfi_alloc heap;
  cfi_store_file *other;

  /* root ignores modes: somebody else then */
  if (geteuid() == 0 && setuid(65534) != 0)
    return 1;
  if (save_number(store, 3, &error) != CHANGEFEED_ERR_STORE)
    return 2;
  if (error.pub.sys_errno != EACCES)
    return 3;
  (void)cfi_alloc_init(&heap, NULL);
  (void)snprintf(path, sizeof path, "%s/new.pos", dir.path);
  if (cfi_store_file_open(&heap, path, &other, &error) != CHANGEFEED_ERR_STORE)
    return 4;
  return error.pub.sys_errno == EACCES ? 0 : 5;
}

START_TEST(test_store_file_in_a_read_only_directory_says_so) {
  cfi_store_file *store = must_open(path);

  must_save(store, 1);
  must_save(store, 2);
  cfi_store_file_close(store);
  ck_assert_int_eq(chmod(path, 0644), 0);
  store = must_open(path);
  cfi_store_file_close(store);
  ck_assert_int_eq(chmod(dir.path, 0555), 0);
  ck_assert_int_eq(in_child(save_without_rights), 0);
  ck_assert_int_eq(chmod(dir.path, 0700), 0);
  ck_assert_uint_eq(stored_number(path, &warning), 2);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_file_faults");
  TCase *tc = tcase_create("store_file_faults");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_store_file_is_synced_before_it_takes_its_place);
  tcase_add_loop_test(
      tc, test_store_file_refused_at_each_call_keeps_what_it_has, 0, 2);
  tcase_add_loop_test(
      tc, test_store_file_dead_at_each_call_has_the_old_or_the_new_record, 0,
      2);
  tcase_add_test(tc, test_store_file_interrupted_calls_are_made_again);
  tcase_add_test(tc,
                 test_store_file_on_a_file_system_that_cannot_sync_directories);
  tcase_add_test(tc, test_store_file_on_a_full_disk_keeps_what_it_has);
  tcase_add_test(tc, test_store_file_in_a_read_only_directory_says_so);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
