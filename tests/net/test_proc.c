/* Child processes are run, read, signalled and never left behind. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/mem.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

enum { LONG_MS = 10000 };

static cft_proc *sh(const char *script, const char *const env[]) {
  const char *const argv[] = {"sh", "-c", script, NULL};
  cft_proc *proc = cft_proc_start(argv, env);
  ck_assert_msg(proc != NULL, "sh: %s", strerror(errno));
  return proc;
}

START_TEST(test_proc_gives_lines_text_and_status) {
  cft_proc *p = sh("echo one; echo err >&2; printf 'two\nlast'; exit 7", NULL);
  int status = -1;
  ck_assert_str_eq(cft_proc_line(p, CFT_STDOUT, LONG_MS), "one");
  ck_assert_str_eq(cft_proc_line_with(p, CFT_STDOUT, "as", LONG_MS), "last");
  ck_assert_ptr_null(cft_proc_line(p, CFT_STDOUT, LONG_MS));
  ck_assert_str_eq(cft_proc_line(p, CFT_STDERR, LONG_MS), "err");
  ck_assert(cft_proc_wait(p, LONG_MS, &status));
  ck_assert_int_eq(status, 7);
  size_t len;
  ck_assert_str_eq(cft_proc_text(p, CFT_STDOUT, &len), "one\ntwo\nlast");
  ck_assert_uint_eq(len, 12);
  ck_assert(!cft_proc_signal(p, SIGTERM));
  cft_proc_free(p);
}
END_TEST

START_TEST(test_proc_that_cannot_run_is_told) {
  const char *const argv[] = {"/no/such/program", NULL};
  ck_assert_ptr_null(cft_proc_start(argv, NULL));
  ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(test_proc_has_the_environment_asked_for) {
  static const char *const env[] = {"CFT_A=1 2", "HOME", NULL};
  cft_proc *p = sh("echo \"$CFT_A/${HOME-none}/$CFT_B\"", env);
  ck_assert_str_eq(cft_proc_line(p, CFT_STDOUT, LONG_MS), "1 2/none/kept");
  cft_proc_free(p);
}
END_TEST

START_TEST(test_proc_waits_no_longer_than_told) {
  cft_proc *p = sh("trap '' INT; echo ready; exec sleep 60", NULL);
  int status = 0;
  ck_assert_str_eq(cft_proc_line(p, CFT_STDOUT, LONG_MS), "ready");
  ck_assert_ptr_null(cft_proc_line(p, CFT_STDOUT, 20));
  ck_assert(!cft_proc_wait(p, 20, &status));
  ck_assert(cft_proc_signal(p, SIGTERM));
  ck_assert(cft_proc_wait(p, LONG_MS, &status));
  ck_assert_int_eq(status, 128 + SIGTERM);
  cft_proc_free(p);
}
END_TEST

START_TEST(test_proc_held_output_blocks_the_child) {
  cft_proc *p = sh("head -c 1000000 /dev/zero; echo done >&2", NULL);
  size_t len;
  cft_proc_hold(p, true);
  ck_assert(!cft_proc_wait(p, 100, NULL));
  cft_proc_text(p, CFT_STDERR, &len);
  ck_assert_uint_eq(len, 0);
  cft_proc_hold(p, false);
  ck_assert(cft_proc_wait(p, LONG_MS, NULL));
  cft_proc_text(p, CFT_STDOUT, &len);
  ck_assert_uint_eq(len, 1000000);
  cft_proc_free(p);

  p = sh("trap '' PIPE; while echo x; do :; done 2>/dev/null; exit 9", NULL);
  ck_assert_str_eq(cft_proc_line(p, CFT_STDOUT, LONG_MS), "x");
  cft_proc_close(p, CFT_STDOUT);
  int status;
  ck_assert(cft_proc_wait(p, LONG_MS, &status));
  ck_assert_int_eq(status, 9);
  cft_proc_free(p);
}
END_TEST

static bool is_gone(void *user) {
  const pid_t *pid = user;
  char state = 0, path[64];
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)*pid);
  FILE *f = fopen(path, "r");
  if (!f)
    return true;
  if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
    state = 'X';
  fclose(f);
  return state == 'Z' || state == 'X'; /* nobody may be there to reap it */
}

START_TEST(test_proc_free_kills_children_of_the_child) {
  cft_proc *p = sh("sleep 60 & echo $!; wait", NULL);
  const char *line = cft_proc_line(p, CFT_STDOUT, LONG_MS);
  ck_assert_ptr_nonnull(line);
  pid_t pid = (pid_t)strtol(line, NULL, 10);
  ck_assert(!is_gone(&pid));
  cft_proc_free(p);
  ck_assert(cft_until(is_gone, &pid, LONG_MS));
}
END_TEST

START_TEST(test_proc_reads_what_the_system_tells) {
  char args[256];
  int before = cft_fd_count(getpid()), fd = dup(1);
  ck_assert_int_gt(before, 2);
  ck_assert_int_eq(cft_fd_count(getpid()), before + 1);
  close(fd);
  size_t rss = cft_rss_bytes(getpid()), more = (size_t)64 << 20;
  ck_assert_uint_gt(rss, 100000);
  char *block = cft_realloc(NULL, more, 1);
  for (size_t i = 0; i < more; i += 4096)
    ((volatile char *)block)[i] = 1;
  ck_assert_uint_gt(cft_rss_bytes(getpid()), rss + more / 2);
  free(block);
  ck_assert_int_eq(cft_fd_count(-1), -1);
  ck_assert_uint_eq(cft_rss_bytes(-1), 0);

  const char *const argv[] = {"sleep", "60", NULL};
  cft_proc *p = cft_proc_start(argv, NULL);
  ck_assert_ptr_nonnull(p);
  ck_assert(cft_cmdline(cft_proc_pid(p), args, sizeof args));
  ck_assert_str_eq(args, "sleep 60");
  ck_assert_int_eq(cft_fd_count(cft_proc_pid(p)), 3);
  cft_proc_free(p);
  ck_assert(cft_want_fds(256));
}
END_TEST

static bool third_time(void *user) { return ++*(int *)user == 3; }

static bool never(void *user) {
  ++*(int *)user;
  return false;
}

START_TEST(test_timing_until) {
  int calls = 0;
  ck_assert(cft_until(third_time, &calls, LONG_MS));
  ck_assert_int_eq(calls, 3);
  calls = 0;
  int64_t begin = cft_now_ms();
  ck_assert(!cft_until(never, &calls, 20));
  ck_assert_int_ge(cft_now_ms() - begin, 20);
  ck_assert_int_ge(calls, 2);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("proc");
  TCase *tc = tcase_create("proc");
  setenv("CFT_B", "kept", 1);
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_proc_gives_lines_text_and_status);
  tcase_add_test(tc, test_proc_that_cannot_run_is_told);
  tcase_add_test(tc, test_proc_has_the_environment_asked_for);
  tcase_add_test(tc, test_proc_waits_no_longer_than_told);
  tcase_add_test(tc, test_proc_held_output_blocks_the_child);
  tcase_add_test(tc, test_proc_free_kills_children_of_the_child);
  tcase_add_test(tc, test_proc_reads_what_the_system_tells);
  tcase_add_test(tc, test_timing_until);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
