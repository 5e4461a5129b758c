/*
 * checkpoint=file: a follower that ends or is killed goes on where it was, at
 * most repeating what was not saved; damage and foreign files are told.
 */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/follow.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

static cft_mini *mini;
static char dir[64], path[96], option[128];

static void set_up(void) {
  mini = cft_mini_start(NULL);
  (void)snprintf(dir, sizeof dir, "/tmp/cft-checkpoint-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
  (void)snprintf(path, sizeof path, "%s/position", dir);
  (void)snprintf(option, sizeof option, "file:%s", path);
}

static void tear_down(void) {
  static const char *const ends[] = {"", ".prev", ".lock", ".tmp"};

  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    char name[128];

    (void)snprintf(name, sizeof name, "%s%s", path, ends[i]);
    (void)unlink(name);
  }
  (void)rmdir(dir);
  cft_mini_free(mini);
}

static uint64_t read_once(cft_follow *f) {
  uint64_t taken;

  cft_follow_open(f, NULL, cft_mini_url(mini), "mode", "once", "checkpoint",
                  option, NULL);
  ck_assert(cft_follow_until_over(f, 20000));
  ck_assert_int_eq(changefeed_get_state(f->feed), CHANGEFEED_STATE_ENDED);
  taken = f->taken;
  return taken;
}

/* One byte in the middle of the file changes. */
static void damage(const char *end) {
  char name[128], byte;
  struct stat st;
  int fd;

  (void)snprintf(name, sizeof name, "%s%s", path, end);
  fd = open(name, O_RDWR);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(fstat(fd, &st), 0);
  ck_assert_int_eq(pread(fd, &byte, 1, st.st_size / 2), 1);
  byte ^= 1;
  ck_assert_int_eq(pwrite(fd, &byte, 1, st.st_size / 2), 1);
  ck_assert_int_eq(close(fd), 0);
}

START_TEST(test_checkpoint_goes_on_where_it_was) {
  /* known failure 62 */
  cft_follow f = {.feed = NULL};

  cft_mini_fill(mini, "a", 10);
  ck_assert_uint_eq(read_once(&f), 10);
  cft_follow_clear(&f);
  ck_assert_uint_eq(read_once(&f), 0);
  cft_follow_clear(&f);
  cft_mini_put(mini, "new", "1-n", false);
  ck_assert_uint_eq(read_once(&f), 1);
  ck_assert_str_eq(f.rows[0].id, "new");
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_checkpoint_holds_back_what_was_not_acknowledged) {
  /* known failure 6 */
  cft_follow f = {.feed = NULL};

  cft_mini_fill(mini, "a", 10);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "mode", "once", "checkpoint",
                  option, "auto_ack", "0", "seq_interval", "1", NULL);
  ck_assert(cft_follow_until_over(&f, 20000));
  ck_assert_int_eq(changefeed_ack_one(f.feed, 1), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_ack_one(f.feed, 2), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_ack_one(f.feed, 9), CHANGEFEED_OK);
  cft_follow_clear(&f); /* closing saves */
  ck_assert_uint_eq(read_once(&f), 8);
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_checkpoint_is_saved_by_count_and_by_time) {
  /* known failure 62 */
  cft_follow f = {.feed = NULL};
  int64_t start = cft_now_ms();

  cft_mini_fill(mini, "a", 10);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "checkpoint", option,
                  "checkpoint_every", "3", "checkpoint_interval_ms", "60000",
                  NULL);
  ck_assert(cft_follow_until_rows(&f, 10, 20000));
  ck_assert_uint_eq(cft_follow_stats(&f).saves, 3);
  cft_follow_clear(&f);
  cft_mini_fill(mini, "b", 10);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "checkpoint", option,
                  "checkpoint_every", "1000", "checkpoint_interval_ms", "200",
                  NULL);
  ck_assert(cft_follow_until_rows(&f, 10, 20000));
  while (cft_follow_stats(&f).saves == 0 && cft_now_ms() - start < 20000)
    cft_loop_for(f.loop, 20);
  ck_assert_uint_ge(cft_follow_stats(&f).saves, 1);
  ck_assert_int_ge(cft_follow_stats(&f).save_age_ms, 0);
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_checkpoint_of_another_feed_is_refused) {
  cft_follow f = {.feed = NULL};
  char why[512];

  cft_mini_fill(mini, "a", 10);
  ck_assert_uint_eq(read_once(&f), 10);
  cft_follow_clear(&f);
  ck_assert_int_eq(cft_follow_try(&f, NULL, why, sizeof why, cft_mini_url(mini),
                                  "checkpoint", option, "filter", "d/f", NULL),
                   CHANGEFEED_ERR_STORE);
  ck_assert_ptr_nonnull(strstr(why, "belongs to another feed"));
  cft_follow_clear(&f);
  ck_assert_uint_eq(read_once(&f), 0); /* and nothing was overwritten */
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_checkpoint_damaged_uses_the_older_copy) {
  /* known failure 61 */
  cft_follow f = {.feed = NULL};

  cft_mini_fill(mini, "a", 10);
  ck_assert_uint_eq(read_once(&f), 10);
  cft_follow_clear(&f);
  cft_mini_put(mini, "b", "1-b", false);
  ck_assert_uint_eq(read_once(&f), 1);
  cft_follow_clear(&f);
  damage("");
  ck_assert_uint_eq(read_once(&f), 1); /* again, from the older copy */
  ck_assert_ptr_nonnull(f.log);
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_checkpoint_both_damaged_is_a_reset) {
  cft_follow f = {.feed = NULL};

  cft_mini_fill(mini, "a", 10);
  ck_assert_uint_eq(read_once(&f), 10);
  cft_follow_clear(&f);
  cft_mini_put(mini, "b", "1-b", false);
  ck_assert_uint_eq(read_once(&f), 1); /* the older copy is there, too */
  cft_follow_clear(&f);
  damage("");
  damage(".prev");
  ck_assert_uint_eq(read_once(&f), 11);
  ck_assert_uint_eq(cft_follow_stats(&f).resets, 1);
  cft_follow_clear(&f);
  cft_mini_put(mini, "c", "1-c", false);
  ck_assert_uint_eq(read_once(&f), 1);
  cft_follow_clear(&f);
  damage("");
  damage(".prev");
  cft_follow_open(&f, NULL, cft_mini_url(mini), "checkpoint", option,
                  "on_reset", "stop", NULL);
  ck_assert(cft_follow_until_over(&f, 20000));
  ck_assert_int_eq(changefeed_last_error(f.feed)->code, CHANGEFEED_ERR_RESET);
  ck_assert_ptr_nonnull(
      strstr(changefeed_last_error(f.feed)->message, "checkpoint damaged"));
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_checkpoint_is_locked_against_a_second_follower) {
  cft_follow f = {.feed = NULL}, second = {.feed = NULL};
  char why[512];

  cft_follow_open(&f, NULL, cft_mini_url(mini), "checkpoint", option, NULL);
  ck_assert_int_eq(cft_follow_try(&second, NULL, why, sizeof why,
                                  cft_mini_url(mini), "checkpoint", option,
                                  NULL),
                   CHANGEFEED_ERR_STORE);
  cft_follow_clear(&f);
  cft_follow_clear(&second);
}
END_TEST

START_TEST(test_checkpoint_tells_a_recreated_database_after_a_restart) {
  cft_follow f = {.feed = NULL};

  cft_mini_fill(mini, "a", 10);
  ck_assert_uint_eq(read_once(&f), 10);
  cft_follow_clear(&f);
  cft_mini_delete_db(mini);
  cft_mini_create_db(mini);
  cft_mini_fill(mini, "z", 2);
  ck_assert_uint_eq(read_once(&f), 2);
  ck_assert_uint_eq(cft_follow_stats(&f).resets, 1);
  cft_follow_clear(&f);
}
END_TEST

/* An earlier run has seen the database: it may be missing for a while. */
START_TEST(test_checkpoint_knows_that_the_database_was_there) {
  cft_follow f = {.feed = NULL};

  cft_mini_fill(mini, "a", 10);
  ck_assert_uint_eq(read_once(&f), 10);
  cft_follow_clear(&f);
  cft_mini_delete_db(mini);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "checkpoint", option, NULL);
  ck_assert(cft_follow_until_requests(&f, 3, 20000));
  ck_assert_uint_ge(cft_follow_times(&f, CHANGEFEED_STATE_WAITING), 1);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_FAILED), 0);
  cft_follow_clear(&f);
}
END_TEST

/* The child writes the number of each row it has taken; the parent kills it at
   some moment. No row may be missing, and each restart repeats no more than
   what one save holds back. */
static _Noreturn void follow_and_tell(int out) {
  changefeed_options *options;
  const changefeed_change *c;
  changefeed *feed;

  if (changefeed_options_new(&options) != CHANGEFEED_OK ||
      changefeed_options_set(options, "url", cft_mini_url(mini)) != 0 ||
      changefeed_options_set(options, "checkpoint", option) != 0 ||
      changefeed_options_set(options, "checkpoint_every", "5") != 0 ||
      changefeed_open(&feed, NULL, options) != CHANGEFEED_OK)
    _exit(2);
  while (changefeed_next(feed, -1, &c) == CHANGEFEED_OK) {
    int number = atoi(c->id.data + 1);

    if (write(out, &number, sizeof number) != (ssize_t)sizeof number)
      _exit(3);
  }
  _exit(4);
}

enum { KILL_ROWS = 300, KILL_MAX = 5 };

START_TEST(test_checkpoint_after_sigkill_misses_nothing) {
  /* known failure 6 */
  int next = 0; /* rows below were seen */
  unsigned seed = 7;

  cft_mini_fill(mini, "k", KILL_ROWS);
  for (int kills = 0; next < KILL_ROWS; kills++) {
    int out[2], number, status, until = 1 + rand_r(&seed) % 40;
    bool first = true;
    pid_t pid;

    ck_assert_int_lt(kills, 200);
    ck_assert_int_eq(pipe(out), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
      (void)close(out[0]);
      follow_and_tell(out[1]);
    }
    (void)close(out[1]);
    while (until-- > 0 && next < KILL_ROWS &&
           read(out[0], &number, sizeof number) == (ssize_t)sizeof number) {
      ck_assert_msg(number <= next, "row %d is missing before %d", next,
                    number);
      if (first)
        ck_assert_int_ge(number, next - 64 - KILL_MAX);
      first = false;
      if (number == next)
        next++;
    }
    (void)kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    /* what it had told already counts as seen */
    while (read(out[0], &number, sizeof number) == (ssize_t)sizeof number)
      if (number == next)
        next++;
    (void)close(out[0]);
  }
}
END_TEST

static Suite *checkpoint_suite(void) {
  Suite *s = suite_create("checkpoint_file");
  TCase *t = tcase_create("checkpoint_file");

  tcase_set_timeout(t, 120);
  tcase_add_checked_fixture(t, set_up, tear_down);
  tcase_add_test(t, test_checkpoint_goes_on_where_it_was);
  tcase_add_test(t, test_checkpoint_holds_back_what_was_not_acknowledged);
  tcase_add_test(t, test_checkpoint_is_saved_by_count_and_by_time);
  tcase_add_test(t, test_checkpoint_of_another_feed_is_refused);
  tcase_add_test(t, test_checkpoint_damaged_uses_the_older_copy);
  tcase_add_test(t, test_checkpoint_both_damaged_is_a_reset);
  tcase_add_test(t, test_checkpoint_is_locked_against_a_second_follower);
  tcase_add_test(t, test_checkpoint_tells_a_recreated_database_after_a_restart);
  tcase_add_test(t, test_checkpoint_knows_that_the_database_was_there);
  tcase_add_test(t, test_checkpoint_after_sigkill_misses_nothing);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(checkpoint_suite()); }
