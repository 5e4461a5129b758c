/* Two hundred writers of the checkpoint file, each killed at a random instant:
   what was acknowledged is there. Known failures 61, 72. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "store_file.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "random.h"
#include "support/unit.h"
#include "unit/store_records.h"

enum { WRITERS = 200 };

static scratch_dir dir;
static char path[600];

static void setup(void) {
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s/feed.pos", dir.path);
}

static void teardown(void) { scratch_end(&dir); }

/* Saves number after number and tells each one that is safe. */
static void write_for_ever(uint64_t number, int tell) {
  cfi_store_file *store = must_open(path);
  cfi_error error;

  for (;;) {
    number++;
    if (save_number(store, number, &error) != CHANGEFEED_OK ||
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

/* Lets a writer live for some saves and a part of the next; answers the last
   number that it told. */
static uint64_t kill_a_writer(uint64_t number, cfi_random *random) {
  struct timespec part = {0, (long)cfi_random_upto(random, 3000000)};
  int64_t saves = cfi_random_upto(random, 4);
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
  while (saves-- != 0)
    ck_assert(hear(fds[0], &number));
  (void)nanosleep(&part, NULL); /* the instant is random; nothing waits */
  ck_assert_int_eq(kill(pid, SIGKILL), 0);
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert(WIFSIGNALED(status));
  while (hear(fds[0], &number))
    continue;
  (void)close(fds[0]);
  return number;
}

START_TEST(test_store_file_killed_at_any_instant_has_what_was_acknowledged) {
  uint64_t stored = 0;
  cfi_random random;

  cfi_random_init(&random, 0);
  for (int i = 0; i < WRITERS; i++) {
    uint64_t told = kill_a_writer(stored, &random), found;
    cfi_error warning;

    found = stored_number(path, &warning);
    ck_assert_uint_ge(found, told);
    ck_assert_uint_le(found, told + 1);
    stored = found;
  }
  ck_assert_uint_gt(stored, 100);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_file_kill");
  TCase *tc = tcase_create("store_file_kill");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(
      tc, test_store_file_killed_at_any_instant_has_what_was_acknowledged);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
