/* The checkpoint file: what is kept where, for whom it is locked, and which
   copy is believed. Known failures 61, 62. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "support/failing.h"
#include "support/unit.h"
#include "unit/store_records.h"

static scratch_dir dir;
static cfi_alloc heap;
static char path[600];
static cfi_error warning, error;

static void setup(void) {
  ck_assert(cfi_alloc_init(&heap, NULL));
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s/feed.pos", dir.path);
}

static void teardown(void) { scratch_end(&dir); }

/* The store must not open; the sentence holds part. */
static void assert_refused(const char *where, const char *part) {
  cfi_store_file *store;
  int rc = cfi_store_file_open(&heap, where, &store, &error);

  ck_assert_msg(rc == CHANGEFEED_ERR_STORE, "%s: answered %d", where, rc);
  ck_assert_ptr_null(store);
  ck_assert_msg(strstr(error.text, part) != NULL, "%s: %s", where, error.text);
}

static void assert_load_fails(cfi_store_file *store, bool damaged,
                              const char *part) {
  cfi_checkpoint c;

  ck_assert_int_eq(cfi_store_file_load(store, &c, &warning, &error),
                   CHANGEFEED_ERR_STORE);
  ck_assert_int_eq(cfi_store_file_is_damaged(store), damaged);
  ck_assert_msg(strstr(error.text, part) != NULL, "%s", error.text);
  ck_assert_ptr_nonnull(strstr(error.text, path));
  ck_assert_ptr_null(c.seq);
}

/* ---- what is kept ---- */

START_TEST(test_store_file_that_is_not_there_is_no_position) {
  cfi_store_file *store = must_open(path);

  ck_assert_uint_eq(must_load(store, &warning), 0);
  ck_assert_int_eq(warning.pub.code, 0);
  cfi_store_file_close(store);
  cfi_store_file_close(NULL);
}
END_TEST

START_TEST(test_store_file_keeps_the_last_record_and_the_one_before) {
  cfi_store_file *store = must_open(path);

  must_save(store, 1);
  ck_assert(!scratch_exists(&dir, "feed.pos.prev"));
  for (uint64_t n = 2; n <= 5; n++) {
    must_save(store, n);
    ck_assert_uint_eq(must_load(store, &warning), n);
    ck_assert_int_eq(warning.pub.code, 0);
  }
  cfi_store_file_close(store);
  ck_assert(!scratch_exists(&dir, "feed.pos.tmp"));
  ck_assert_uint_eq(stored_number(path, &warning), 5);
  ck_assert_uint_eq(
      stored_number(scratch_path(&dir, "feed.pos.prev"), &warning), 4);
}
END_TEST

START_TEST(test_store_file_is_for_its_owner_alone) {
  static const char *const names[] = {"feed.pos", "feed.pos.prev",
                                      "feed.pos.lock"};
  cfi_store_file *store;

  (void)umask(0);
  store = must_open(path);
  must_save(store, 1);
  must_save(store, 2);
  for (size_t i = 0; i < 3; i++) {
    struct stat info;

    ck_assert_int_eq(stat(scratch_path(&dir, names[i]), &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0600);
  }
  cfi_store_file_close(store);
}
END_TEST

START_TEST(test_store_file_stays_where_it_was_opened) {
  cfi_store_file *store;
  char before[1024];

  ck_assert_ptr_nonnull(getcwd(before, sizeof before));
  ck_assert_int_eq(chdir(dir.path), 0);
  store = must_open("feed.pos");
  ck_assert_int_eq(chdir("/"), 0);
  must_save(store, 1);
  must_save(store, 2);
  ck_assert_uint_eq(must_load(store, &warning), 2);
  cfi_store_file_close(store);
  ck_assert_int_eq(chdir(before), 0);
  ck_assert_uint_eq(stored_number(path, &warning), 2);
}
END_TEST

START_TEST(test_store_file_leaves_no_descriptor_to_other_programs) {
  cfi_store_file *store;
  bool before[256];
  int opened = 0;

  for (int fd = 0; fd < 256; fd++)
    before[fd] = fcntl(fd, F_GETFD) >= 0;
  store = must_open(path);
  must_save(store, 1);
  for (int fd = 0; fd < 256; fd++) {
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0 || before[fd])
      continue;
    opened++;
    ck_assert_int_ne(flags & FD_CLOEXEC, 0);
  }
  ck_assert_int_eq(opened, 2); /* the directory and the lock */
  cfi_store_file_close(store);
  for (int fd = 0; fd < 256; fd++)
    ck_assert_int_eq(fcntl(fd, F_GETFD) >= 0, before[fd]);
}
END_TEST

/* ---- which copy is believed ---- */

/* Two good records, 1 and 2, and no store open. */
static void two_records(void) {
  cfi_store_file *store = must_open(path);

  must_save(store, 1);
  must_save(store, 2);
  cfi_store_file_close(store);
}

START_TEST(test_store_file_damaged_anywhere_falls_back_with_a_warning) {
  char bytes[1024];
  size_t len;
  cfi_store_file *store;

  two_records();
  len = scratch_read(&dir, "feed.pos", bytes, sizeof bytes);
  store = must_open(path);
  for (size_t cut = 0; cut < len; cut++) {
    char right = bytes[cut];

    scratch_write(&dir, "feed.pos", bytes, cut);
    ck_assert_uint_eq(must_load(store, &warning), 1);
    ck_assert_int_eq(warning.pub.code, CHANGEFEED_ERR_STORE);
    ck_assert_ptr_nonnull(strstr(warning.text, path));
    ck_assert_ptr_nonnull(strstr(warning.text, ".prev"));
    bytes[cut] ^= 0x20;
    scratch_write(&dir, "feed.pos", bytes, len);
    ck_assert_uint_eq(must_load(store, &warning), 1);
    bytes[cut] = right;
  }
  scratch_write(&dir, "feed.pos", bytes, len);
  ck_assert_uint_eq(must_load(store, &warning), 2);
  ck_assert_int_eq(warning.pub.code, 0);
  cfi_store_file_close(store);
}
END_TEST

START_TEST(test_store_file_missing_falls_back_with_a_warning) {
  two_records();
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_uint_eq(stored_number(path, &warning), 1);
  ck_assert_ptr_nonnull(strstr(warning.text, "missing"));
}
END_TEST

/* The copy that stood in for a damaged one is not pushed out by it, whether
   the store was read before or not. */
START_TEST(test_store_file_does_not_keep_a_damaged_copy) {
  cfi_store_file *store;

  two_records();
  scratch_write(&dir, "feed.pos", "changefeed-checkpoint 1 9", 25);
  store = must_open(path);
  if (_i == 1)
    ck_assert_uint_eq(must_load(store, &warning), 1);
  must_save(store, 3);
  cfi_store_file_close(store);
  ck_assert_uint_eq(stored_number(path, &warning), 3);
  ck_assert_uint_eq(
      stored_number(scratch_path(&dir, "feed.pos.prev"), &warning), 1);
}
END_TEST

START_TEST(test_store_file_with_nothing_good_left_says_so) {
  cfi_store_file *store;

  two_records();
  store = must_open(path);
  scratch_write(&dir, "feed.pos", "", 0);
  scratch_write(&dir, "feed.pos.prev", "changefeed-check", 16);
  assert_load_fails(store, true, "is empty");
  ck_assert_ptr_nonnull(strstr(error.text, ".prev"));

  ck_assert_int_eq(unlink(scratch_path(&dir, "feed.pos.prev")), 0);
  assert_load_fails(store, true, "no older copy");

  scratch_write(&dir, "feed.pos.prev", "changefeed-check", 16);
  ck_assert_int_eq(unlink(path), 0);
  assert_load_fails(store, true, ".prev");

  /* The caller decides what that means; a new position may be saved. */
  must_save(store, 7);
  ck_assert_uint_eq(must_load(store, &warning), 7);
  cfi_store_file_close(store);
}
END_TEST

/* Neither read as damage, nor ever overwritten. */
START_TEST(test_store_file_leaves_what_is_not_its_own_alone) {
  /* Right in length and checksum, of a version that is to come. */
  static const char newer[] = "changefeed-checkpoint 2 4 a721da75\nnew\n";
  static const char foreign[] = "root:x:0:0:root:/root:/bin/bash\n";
  const char *content = _i == 0 ? newer : foreign;
  cfi_store_file *store = must_open(path);
  char after[128];
  size_t len;

  scratch_write(&dir, "feed.pos", content, strlen(content));
  assert_load_fails(store, false,
                    _i == 0 ? "newer version" : "another program");
  ck_assert_int_eq(save_number(store, 1, &error), CHANGEFEED_ERR_STORE);
  ck_assert_ptr_nonnull(strstr(error.text, path));
  len = scratch_read(&dir, "feed.pos", after, sizeof after);
  ck_assert_uint_eq(len, strlen(content));
  ck_assert_mem_eq(after, content, len);
  ck_assert(!scratch_exists(&dir, "feed.pos.tmp"));
  cfi_store_file_close(store);
}
END_TEST

/* ---- the lock ---- */

START_TEST(test_store_file_is_open_once_in_a_process) {
  cfi_store_file *store = must_open(path), *other;

  assert_refused(path, "in use");
  other = must_open(scratch_path(&dir, "other.pos"));
  cfi_store_file_close(other);
  assert_refused(path, "in use");
  cfi_store_file_close(store);
  store = must_open(path);
  cfi_store_file_close(store);
}
END_TEST

/* A child that opens the store, says so, and waits to be killed. */
static pid_t fork_holder(void) {
  int pipe_fds[2];
  char byte = 0;
  pid_t pid;

  ck_assert_int_eq(pipe(pipe_fds), 0);
  pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    cfi_store_file *store;

    if (cfi_store_file_open(&heap, path, &store, &error) != CHANGEFEED_OK ||
        write(pipe_fds[1], "+", 1) != 1)
      _exit(1);
    for (;;)
      (void)pause();
  }
  (void)close(pipe_fds[1]);
  ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 1);
  (void)close(pipe_fds[0]);
  return pid;
}

START_TEST(test_store_file_is_open_in_one_process_until_it_dies) {
  pid_t pid = fork_holder();
  cfi_store_file *store;
  char number[32];

  (void)snprintf(number, sizeof number, "process %d ", (int)pid);
  assert_refused(path, number);
  assert_refused(path, "feed.pos.lock");
  ck_assert_int_eq(kill(pid, SIGKILL), 0);
  ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
  store = must_open(path);
  must_save(store, 1);
  cfi_store_file_close(store);
}
END_TEST

START_TEST(test_store_file_closed_in_a_forked_child_stays_locked) {
  cfi_store_file *store = must_open(path);
  int status;
  pid_t pid = fork();

  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    cfi_store_file_close(store);
    _exit(0);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  assert_refused(path, "in use");
  cfi_store_file_close(store);
}
END_TEST

/* ---- paths ---- */

START_TEST(test_store_file_paths_that_cannot_be_used_say_why) {
  char long_name[300];

  assert_refused("", "names no file");
  assert_refused(scratch_path(&dir, ""), "names no file");
  assert_refused(scratch_path(&dir, ".."), "names no file");
  assert_refused(scratch_path(&dir, "missing/feed.pos"), "No such file");
  scratch_write(&dir, "plain", "x", 1);
  assert_refused(scratch_path(&dir, "plain/feed.pos"), "Not a directory");
  ck_assert_int_eq(mkdir(scratch_path(&dir, "sub"), 0700), 0);
  assert_refused(scratch_path(&dir, "sub"), "is a directory");
  memset(long_name, 'x', sizeof long_name - 1);
  long_name[sizeof long_name - 1] = '\0';
  assert_refused(scratch_path(&dir, long_name), "too long");
  ck_assert_int_eq(mkfifo(scratch_path(&dir, "fifo"), 0600), 0);
  assert_refused(scratch_path(&dir, "fifo"), "not a regular file");
  ck_assert_int_eq(mkfifo(scratch_path(&dir, "x.lock"), 0600), 0);
  assert_refused(scratch_path(&dir, "x"), "x.lock is not a regular file");
}
END_TEST

START_TEST(test_store_file_follows_no_symbolic_link) {
  char victim[16] = "";
  cfi_store_file *store;

  scratch_write(&dir, "victim", "untouched", 9);
  ck_assert_int_eq(symlink("victim", path), 0);
  assert_refused(path, "symbolic link");
  ck_assert_int_eq(unlink(path), 0);

  ck_assert_int_eq(symlink("victim", scratch_path(&dir, "feed.pos.lock")), 0);
  assert_refused(path, "feed.pos.lock");
  ck_assert_int_eq(unlink(scratch_path(&dir, "feed.pos.lock")), 0);

  ck_assert_int_eq(symlink("victim", scratch_path(&dir, "feed.pos.tmp")), 0);
  ck_assert_int_eq(symlink("victim", scratch_path(&dir, "feed.pos.prev")), 0);
  store = must_open(path);
  must_save(store, 1);
  must_save(store, 2);
  ck_assert_uint_eq(must_load(store, &warning), 2);
  cfi_store_file_close(store);
  ck_assert_uint_eq(scratch_read(&dir, "victim", victim, sizeof victim), 9);
  ck_assert_mem_eq(victim, "untouched", 9);
}
END_TEST

START_TEST(test_store_file_replaces_what_a_dead_process_left_aside) {
  cfi_store_file *store;

  two_records();
  scratch_write(&dir, "feed.pos.tmp", "half of a rec", 13);
  store = must_open(path);
  ck_assert_uint_eq(must_load(store, &warning), 2);
  ck_assert_int_eq(warning.pub.code, 0);
  must_save(store, 3);
  ck_assert_uint_eq(must_load(store, &warning), 3);
  ck_assert(!scratch_exists(&dir, "feed.pos.tmp"));
  cfi_store_file_close(store);
}
END_TEST

START_TEST(test_store_file_blocked_by_directories_keeps_what_it_has) {
  static const char *const names[] = {"feed.pos.tmp", "feed.pos.prev"};
  cfi_store_file *store;

  two_records();
  store = must_open(path);
  (void)unlink(scratch_path(&dir, names[_i]));
  ck_assert_int_eq(mkdir(scratch_path(&dir, names[_i]), 0700), 0);
  ck_assert_int_eq(save_number(store, 3, &error), CHANGEFEED_ERR_STORE);
  ck_assert_msg(strstr(error.text, scratch_path(&dir, names[_i])) != NULL, "%s",
                error.text);
  ck_assert_uint_eq(must_load(store, &warning), 2);
  ck_assert_int_eq(rmdir(scratch_path(&dir, names[_i])), 0);
  must_save(store, 3);
  ck_assert_uint_eq(must_load(store, &warning), 3);
  cfi_store_file_close(store);
}
END_TEST

/* ---- memory ---- */

/* Opens, saves, loads; what the first failure answered. */
static int use_store(const cfi_alloc *alloc) {
  cfi_store_file *store;
  cfi_checkpoint c;
  int rc = cfi_store_file_open(alloc, path, &store, &error);

  if (rc != CHANGEFEED_OK)
    return rc;
  rc = save_number(store, 3, &error);
  if (rc == CHANGEFEED_OK)
    rc = cfi_store_file_load(store, &c, &warning, &error);
  if (rc == CHANGEFEED_OK)
    cfi_checkpoint_free(alloc, &c);
  cfi_store_file_close(store);
  return rc;
}

START_TEST(test_store_file_survives_each_failing_allocation) {
  size_t n = 0;
  int rc;

  two_records();
  do {
    cft_failing f;

    cft_failing_init(&f, ++n);
    rc = use_store(&f.alloc);
    ck_assert_msg(rc == CHANGEFEED_OK || rc == CHANGEFEED_ERR_NOMEM, "%zu: %s",
                  n, error.text);
    ck_assert_uint_eq(f.live, 0);
    ck_assert_uint_ge(stored_number(path, &warning), 2);
    ck_assert_int_eq(warning.pub.code, 0);
  } while (rc != CHANGEFEED_OK);
  ck_assert_uint_gt(n, 10);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_file");
  TCase *tc = tcase_create("store_file");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_store_file_that_is_not_there_is_no_position);
  tcase_add_test(tc, test_store_file_keeps_the_last_record_and_the_one_before);
  tcase_add_test(tc, test_store_file_is_for_its_owner_alone);
  tcase_add_test(tc, test_store_file_stays_where_it_was_opened);
  tcase_add_test(tc, test_store_file_leaves_no_descriptor_to_other_programs);
  tcase_add_test(tc,
                 test_store_file_damaged_anywhere_falls_back_with_a_warning);
  tcase_add_test(tc, test_store_file_missing_falls_back_with_a_warning);
  tcase_add_loop_test(tc, test_store_file_does_not_keep_a_damaged_copy, 0, 2);
  tcase_add_test(tc, test_store_file_with_nothing_good_left_says_so);
  tcase_add_loop_test(tc, test_store_file_leaves_what_is_not_its_own_alone, 0,
                      2);
  tcase_add_test(tc, test_store_file_is_open_once_in_a_process);
  tcase_add_test(tc, test_store_file_is_open_in_one_process_until_it_dies);
  tcase_add_test(tc, test_store_file_closed_in_a_forked_child_stays_locked);
  tcase_add_test(tc, test_store_file_paths_that_cannot_be_used_say_why);
  tcase_add_test(tc, test_store_file_follows_no_symbolic_link);
  tcase_add_test(tc, test_store_file_replaces_what_a_dead_process_left_aside);
  tcase_add_loop_test(
      tc, test_store_file_blocked_by_directories_keeps_what_it_has, 0, 2);
  tcase_add_test(tc, test_store_file_survives_each_failing_allocation);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
