/* The mirror's snapshot when memory or the system refuses, and when the process
   ends, at each single allocation and system call: what was saved before is
   intact, or the new one is in place. */
#define _GNU_SOURCE
#include "mirror_file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/failing.h"
#include "support/unit.h"
#include "unit/mirror_snapshots.h"
#include "unit/refused_calls.h"
#include "unit/scratch_dir.h"

enum { ENTRIES = 3000 }; /* two blocks */

static scratch_dir dir;
static cfi_alloc heap;
static char path[600];
static cfi_error error;

/* What the next reads do; 0: as always. */
static struct {
  int number; /* errno of the call that `left` counts down to */
  int left;
  bool shortens; /* it finds the file's end */
} reads;

ssize_t read(int fd, void *data, size_t size) {
  if (reads.left != 0 && --reads.left == 0) {
    if (reads.shortens)
      return 0;
    errno = reads.number;
    return -1;
  }
  return syscall(SYS_read, fd, data, size);
}

/* Hundreds of saves, and no real disk is asked for anything. */
static void setup(void) {
  ck_assert(cfi_alloc_init(&heap, NULL));
  if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
    ck_assert_int_eq(setenv("TMPDIR", "/dev/shm", 0), 0);
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s/users.mirror", dir.path);
  values_live = 0;
}

static void teardown(void) {
  arm(NOTHING, 0, 0);
  memset(&reads, 0, sizeof reads);
  ck_assert_int_eq(values_live, 0);
  scratch_end(&dir);
}

static void must_save_number(cfi_mirror_file *f, uint64_t number) {
  int rc = save_number(&heap, f, ENTRIES, number, &error);

  ck_assert_msg(rc == CHANGEFEED_OK, "%s", error.text);
}

static int64_t stored_number(void) {
  cfi_mirror_file *f = must_open(&heap, path);
  int64_t number = load_number(&heap, f, ENTRIES, &error);

  cfi_mirror_file_close(f);
  return number;
}

/* ---- memory ---- */

/* Short ones, and one that stretches a block. */
static cfi_tree *documents(void) {
  static char text[200000];
  cfi_tree *t = must_tree(&heap, true);

  memset(text, 'x', sizeof text);
  for (char id = 'a'; id <= 'p'; id++)
    must_append(t, &id, 1, "1-x",
                id == 'o' ? NULL
                          : value_new(text, id == 'e' ? sizeof text : 50000));
  return t;
}

/* What the first failure answered. */
static int use_file(const cfi_alloc *alloc, const cfi_tree *t) {
  cfi_checkpoint p = {key_text, seq_text, NULL, NULL, NULL, 0, 0};
  cfi_mirror_content content = content_of(t);
  cfi_mirror_file *f;
  cfi_tree *back;
  int rc = cfi_mirror_file_open(alloc, path, CFI_MIRROR_FILE_OWN, &f, &error);

  if (rc != CHANGEFEED_OK)
    return rc;
  rc = cfi_mirror_file_save(f, &p, &content, &text_codec, &error);
  back = cfi_tree_new(alloc, &text_values);
  if (rc == CHANGEFEED_OK && back == NULL)
    rc = CHANGEFEED_ERR_NOMEM;
  if (rc == CHANGEFEED_OK) {
    rc = cfi_mirror_file_load(f, key_text, &text_codec, back, &p, &error);
    if (rc == CHANGEFEED_OK) {
      ck_assert(same_trees(t, back, true));
      cfi_checkpoint_free(alloc, &p);
    } else {
      ck_assert_uint_eq(cfi_tree_count(back), 0);
    }
  }
  cfi_tree_free(back);
  cfi_mirror_file_close(f);
  return rc;
}

START_TEST(test_mirror_file_survives_each_failing_allocation) {
  cfi_tree *t = documents();
  cfi_mirror_file *f = must_open(&heap, path);
  int live = values_live, failed = 0;
  cft_failing memory;
  size_t n = 0;

  must_save(f, t, &text_codec);
  cfi_mirror_file_close(f);
  do {
    int rc;

    cft_failing_init(&memory, ++n);
    rc = use_file(&memory.alloc, t);
    ck_assert_msg(rc == CHANGEFEED_OK || rc == CHANGEFEED_ERR_NOMEM, "%zu: %s",
                  n, error.text);
    failed += rc != CHANGEFEED_OK;
    ck_assert_uint_eq(memory.live, 0);
    ck_assert_int_eq(values_live, live);
    ck_assert(!scratch_exists(&dir, "users.mirror.tmp"));
    ck_assert_int_eq(use_file(&heap, t), CHANGEFEED_OK);
  } while (memory.refused != 0);
  ck_assert_int_gt(failed, 20);
  cfi_tree_free(t);
}
END_TEST

/* ---- system calls ---- */

/* How many calls a save makes. */
static int count_calls(void) {
  cfi_mirror_file *f = must_open(&heap, path);
  int made;

  must_save_number(f, 1);
  arm(REFUSE, -1, 0);
  must_save_number(f, 2);
  made = plan.calls;
  arm(NOTHING, 0, 0);
  cfi_mirror_file_close(f);
  return made;
}

START_TEST(test_mirror_file_is_synced_before_it_takes_its_place) {
  cfi_mirror_file *f = must_open(&heap, path);

  must_save_number(f, 1);
  arm(REFUSE, -1, 0);
  must_save_number(f, 2);
  ck_assert_str_eq(plan.trace, "owFrD");
  arm(NOTHING, 0, 0);
  cfi_mirror_file_close(f);
}
END_TEST

/* So that the last wait for the disk is a short one. */
START_TEST(test_mirror_file_that_is_long_is_synced_on_the_way) {
  static char text[1100000];
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, true);

  for (char id = 'a'; id < 'j'; id++)
    must_append(t, &id, 1, "1-x", value_new(text, sizeof text));
  arm(REFUSE, -1, 0);
  must_save(f, t, &text_codec);
  ck_assert_str_eq(plan.trace, "owFwFwFrD");
  arm(NOTHING, 0, 0);
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

START_TEST(test_mirror_file_refused_at_each_call_keeps_what_it_has) {
  static const int numbers[] = {EIO, ENOSPC, EROFS};
  int made = count_calls(), failed = 0;

  ck_assert_int_ge(made, 8);
  for (size_t k = 0; k < 3; k++)
    for (int at = 1; at <= made; at++) {
      cfi_mirror_file *f = must_open(&heap, path);
      int64_t before = load_number(&heap, f, ENTRIES, &error), after;
      int rc;

      arm(REFUSE, at, numbers[k]);
      rc = save_number(&heap, f, ENTRIES, (uint64_t)before + 1, &error);
      arm(NOTHING, 0, 0);
      ck_assert_int_eq(rc, CHANGEFEED_ERR_STORE);
      failed++;
      ck_assert_int_eq(error.pub.sys_errno, numbers[k]);
      ck_assert_ptr_nonnull(strstr(error.text, path));
      ck_assert(!scratch_exists(&dir, "users.mirror.tmp"));
      after =
          begins(error.text, "Cannot sync the directory") ? before + 1 : before;
      ck_assert_int_eq(load_number(&heap, f, ENTRIES, &error), after);
      /* and the next one works */
      must_save_number(f, (uint64_t)before + 2);
      ck_assert_int_eq(load_number(&heap, f, ENTRIES, &error), before + 2);
      cfi_mirror_file_close(f);
    }
  ck_assert_int_eq(failed, 3 * made);
}
END_TEST

/* After a failure a writer does nothing more. */
START_TEST(test_mirror_file_writer_that_failed_is_to_be_freed) {
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, false);
  cfi_mirror_content content;
  cfi_mirror_writer *w;
  char seq[32];
  cfi_checkpoint p = position_of(2, seq);

  must_save_number(f, 1);
  fill_plain(t, ENTRIES, 2);
  content = content_of(t);
  ck_assert_int_eq(cfi_mirror_writer_begin(f, &p, &content, NULL, &w, &error),
                   0);
  arm(REFUSE, 2, ENOSPC); /* the block is written by more than one */
  ck_assert_int_eq(cfi_mirror_writer_step(w, SIZE_MAX, &error),
                   CHANGEFEED_ERR_STORE);
  arm(NOTHING, 0, 0);
  ck_assert_int_eq(error.pub.sys_errno, ENOSPC);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(cfi_mirror_writer_step(w, SIZE_MAX, &error),
                     CHANGEFEED_ERR_STATE);
  cfi_mirror_writer_free(w);
  ck_assert(!scratch_exists(&dir, "users.mirror.tmp"));
  ck_assert_int_eq(load_number(&heap, f, ENTRIES, &error), 1);
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

START_TEST(test_mirror_file_dead_at_each_call_has_the_old_or_the_new_one) {
  int made = count_calls(), at = 0, old = 0, status;

  do {
    int64_t before = stored_number(), after;
    pid_t pid = fork();

    at++;
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
      cfi_mirror_file *f = must_open(&heap, path);

      arm(DIE, at, 0);
      _exit(save_number(&heap, f, ENTRIES, (uint64_t)before + 1, &error) ==
                    CHANGEFEED_OK
                ? 0
                : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert(WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 0);
    after = stored_number();
    ck_assert(after == before || after == before + 1);
    old += after == before;
    if (WEXITSTATUS(status) == 0)
      ck_assert_int_eq(after, before + 1);
    ck_assert(!scratch_exists(&dir, "users.mirror.tmp"));
  } while (WEXITSTATUS(status) != 0);
  ck_assert_int_gt(at, made);
  ck_assert_int_ge(old, made - 1);
}
END_TEST

START_TEST(test_mirror_file_interrupted_calls_are_made_again) {
  int made = count_calls(), saved = 0;

  for (int at = 1; at <= made; at++) {
    cfi_mirror_file *f = must_open(&heap, path);

    arm(REFUSE, at, EINTR);
    saved += save_number(&heap, f, ENTRIES, 3, &error) == CHANGEFEED_OK;
    arm(NOTHING, 0, 0);
    cfi_mirror_file_close(f);
  }
  /* all but opening twice, and renaming */
  ck_assert_int_eq(saved, made - 3);
}
END_TEST

START_TEST(test_mirror_file_on_a_file_system_that_cannot_sync_directories) {
  int made = count_calls();
  cfi_mirror_file *f = must_open(&heap, path);

  arm(REFUSE, made, EINVAL); /* the last one is the directory's */
  must_save_number(f, 9);
  arm(NOTHING, 0, 0);
  cfi_mirror_file_close(f);
  ck_assert_int_eq(stored_number(), 9);
}
END_TEST

/* ---- reading ---- */

START_TEST(test_mirror_file_refused_at_each_read_is_not_believed) {
  cfi_mirror_file *f = must_open(&heap, path);
  int made = 0;

  must_save_number(f, 1);
  for (int at = 1;; at++) {
    reads.number = EIO;
    reads.shortens = _i == 1;
    reads.left = at;
    ck_assert_int_eq(load_number(&heap, f, ENTRIES, &error),
                     reads.left == 0 ? BAD_SNAPSHOT : 1);
    if (reads.left != 0)
      break;
    made++;
    ck_assert_ptr_nonnull(strstr(error.text, path));
    if (_i == 1) {
      ck_assert_ptr_nonnull(strstr(error.text, "became shorter"));
      ck_assert_int_eq(cfi_mirror_file_found(f), CFI_MIRROR_FILE_DAMAGED);
    } else {
      ck_assert_int_eq(error.pub.sys_errno, EIO);
      ck_assert_int_eq(cfi_mirror_file_found(f), CFI_MIRROR_FILE_UNKNOWN);
    }
    reads.number = EINTR;
    reads.shortens = false;
    reads.left = at;
    ck_assert_int_eq(load_number(&heap, f, ENTRIES, &error), 1);
  }
  reads.left = 0;
  ck_assert_int_ge(made, 6); /* head, position, two blocks of two */
  cfi_mirror_file_close(f);
}
END_TEST

/* ---- the machine ---- */

/* Runs in a child, whose limits and rights are its own; 0 when all is well. */
static int in_child(int (*run)(cfi_mirror_file *f)) {
  cfi_mirror_file *f = must_open(&heap, path);
  pid_t pid = fork();
  int status;

  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(run(f));
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  cfi_mirror_file_close(f);
  return status;
}

static rlim_t room;

static int save_on_a_full_disk(cfi_mirror_file *f) {
  struct rlimit limit = {room, room};

  (void)signal(SIGXFSZ, SIG_IGN);
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
    return 1;
  if (save_number(&heap, f, ENTRIES, 3, &error) != CHANGEFEED_ERR_STORE)
    return 2;
  if (error.pub.sys_errno != EFBIG || strstr(error.text, path) == NULL)
    return 3;
  return scratch_exists(&dir, "users.mirror.tmp") ? 4 : 0;
}

START_TEST(test_mirror_file_on_a_full_disk_keeps_what_it_has) {
  static const rlim_t rooms[] = {0, 50, 64, 200, 65536, 70000, 80000};
  cfi_mirror_file *f = must_open(&heap, path);

  must_save_number(f, 2);
  cfi_mirror_file_close(f);
  for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
    room = rooms[i];
    ck_assert_int_eq(in_child(save_on_a_full_disk), 0);
    ck_assert_int_eq(stored_number(), 2);
  }
}
END_TEST

static int save_without_rights(cfi_mirror_file *f) {
  /* root ignores modes: somebody else then */
  if (geteuid() == 0 && setuid(65534) != 0)
    return 1;
  if (save_number(&heap, f, ENTRIES, 3, &error) != CHANGEFEED_ERR_STORE)
    return 2;
  return error.pub.sys_errno == EACCES && strstr(error.text, path) != NULL ? 0
                                                                           : 3;
}

START_TEST(test_mirror_file_in_a_read_only_directory_says_so) {
  cfi_mirror_file *f = must_open(&heap, path);

  must_save_number(f, 2);
  cfi_mirror_file_close(f);
  ck_assert_int_eq(chmod(path, 0644), 0);
  ck_assert_int_eq(chmod(dir.path, 0555), 0);
  ck_assert_int_eq(in_child(save_without_rights), 0);
  ck_assert_int_eq(chmod(dir.path, 0700), 0);
  ck_assert_int_eq(stored_number(), 2);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_file_faults");
  TCase *tc = tcase_create("mirror_file_faults");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_mirror_file_survives_each_failing_allocation);
  tcase_add_test(tc, test_mirror_file_is_synced_before_it_takes_its_place);
  tcase_add_test(tc, test_mirror_file_that_is_long_is_synced_on_the_way);
  tcase_add_test(tc, test_mirror_file_refused_at_each_call_keeps_what_it_has);
  tcase_add_test(tc, test_mirror_file_writer_that_failed_is_to_be_freed);
  tcase_add_test(tc,
                 test_mirror_file_dead_at_each_call_has_the_old_or_the_new_one);
  tcase_add_test(tc, test_mirror_file_interrupted_calls_are_made_again);
  tcase_add_test(
      tc, test_mirror_file_on_a_file_system_that_cannot_sync_directories);
  tcase_add_loop_test(tc, test_mirror_file_refused_at_each_read_is_not_believed,
                      0, 2);
  tcase_add_test(tc, test_mirror_file_on_a_full_disk_keeps_what_it_has);
  tcase_add_test(tc, test_mirror_file_in_a_read_only_directory_says_so);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
