/* A hundred writers of a snapshot, each killed at a random instant: a whole
   snapshot is there, the last that was finished or the one after it, also for
   who reads while the writer lives. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "mirror_file.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "random.h"
#include "support/unit.h"
#include "unit/mirror_snapshots.h"
#include "unit/scratch_dir.h"

enum { WRITERS = 100, ENTRIES = 5000, STEP = 100 };

static scratch_dir dir;
static cfi_alloc heap;
static char path[600];
static cfi_error error;

static void setup(void) {
  ck_assert(cfi_alloc_init(&heap, NULL));
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s/users.mirror", dir.path);
}

static void teardown(void) { scratch_end(&dir); }

/* In small steps, as a loop does it. */
static bool save_in_steps(cfi_mirror_file *f, uint64_t number) {
  cfi_tree *t = must_tree(&heap, false);
  cfi_mirror_content content;
  cfi_mirror_writer *w;
  char seq[32];
  cfi_checkpoint p = position_of(number, seq);
  int rc;

  fill_plain(t, ENTRIES, number);
  content = content_of(t);
  rc = cfi_mirror_writer_begin(f, &p, &content, NULL, &w, &error);
  if (rc != CHANGEFEED_OK)
    return false;
  do
    rc = cfi_mirror_writer_step(w, STEP, &error);
  while (rc == CHANGEFEED_TIMEOUT);
  cfi_mirror_writer_free(w);
  cfi_tree_free(t);
  return rc == CHANGEFEED_OK;
}

/* Saves number after number and tells each one that is safe. */
static void write_for_ever(uint64_t number, int tell) {
  cfi_mirror_file *f = must_open(&heap, path);

  for (;;) {
    number++;
    if (!save_in_steps(f, number) ||
        write(tell, &number, sizeof number) != (ssize_t)sizeof number)
      _exit(1);
  }
}

/* Reads one number that was told; false at the end. */
static bool hear(int fd, uint64_t *number) {
  ssize_t n;

  do
    n = read(fd, number, sizeof *number);
  while (n < 0 && errno == EINTR);
  ck_assert(n == 0 || n == (ssize_t)sizeof *number);
  return n != 0;
}

static uint64_t number_read(cfi_mirror_file_mode mode) {
  cfi_mirror_file *f;
  int64_t number;
  int rc = cfi_mirror_file_open(&heap, path, mode, &f, &error);

  ck_assert_msg(rc == CHANGEFEED_OK, "%s", error.text);
  number = load_number(&heap, f, ENTRIES, &error);
  ck_assert_msg(number != BAD_SNAPSHOT, "%s", error.text);
  cfi_mirror_file_close(f);
  return (uint64_t)number;
}

/* How long a save takes here, with making what is saved. */
static int64_t measure_ns(void) {
  cfi_mirror_file *f = must_open(&heap, path);
  struct timespec begin, end;

  (void)clock_gettime(CLOCK_MONOTONIC, &begin);
  ck_assert_msg(save_in_steps(f, 1), "%s", error.text);
  (void)clock_gettime(CLOCK_MONOTONIC, &end);
  cfi_mirror_file_close(f);
  return (end.tv_sec - begin.tv_sec) * INT64_C(1000000000) + end.tv_nsec -
         begin.tv_nsec;
}

/* Lets a writer live for some saves and a part of the next; answers the last
   number that it told. */
static uint64_t kill_a_writer(uint64_t number, int64_t save_ns,
                              cfi_random *random) {
  int64_t part_ns = cfi_random_upto(random, save_ns);
  struct timespec part = {part_ns / 1000000000, part_ns % 1000000000};
  int64_t saves = cfi_random_upto(random, 2);
  int fds[2], status;
  pid_t pid;

  ck_assert_int_eq(pipe(fds), 0);
  pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    (void)close(fds[0]);
    write_for_ever(number, fds[1]);
  }
  (void)close(fds[1]);
  while (saves-- != 0) {
    ck_assert(hear(fds[0], &number));
    ck_assert_uint_ge(number_read(CFI_MIRROR_FILE_READ), number);
  }
  (void)nanosleep(&part, NULL); /* the instant is random; nothing waits */
  ck_assert_int_eq(kill(pid, SIGKILL), 0);
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert(WIFSIGNALED(status));
  while (hear(fds[0], &number))
    continue;
  (void)close(fds[0]);
  return number;
}

START_TEST(test_mirror_file_killed_at_any_instant_has_a_whole_snapshot) {
  int64_t save_ns = measure_ns();
  uint64_t stored = 1;
  int halves = 0;
  cfi_random random;

  cfi_random_init(&random, 0);
  for (int i = 0; i < WRITERS; i++) {
    uint64_t told = kill_a_writer(stored, save_ns, &random), found;

    halves += scratch_exists(&dir, "users.mirror.tmp");
    found = number_read(CFI_MIRROR_FILE_OWN);
    ck_assert_uint_ge(found, told);
    ck_assert_uint_le(found, told + 1);
    ck_assert(!scratch_exists(&dir, "users.mirror.tmp"));
    stored = found;
  }
  ck_assert_uint_gt(stored, WRITERS / 2);
  ck_assert_int_gt(halves, 0); /* killed while they wrote */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_file_kill");
  TCase *tc = tcase_create("mirror_file_kill");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc,
                 test_mirror_file_killed_at_any_instant_has_a_whole_snapshot);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
