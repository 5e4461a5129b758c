/* The log, as it arrives at the other end of a pipe. */
#include "common/log.h"

#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static int pipe_out;

/* From here on standard error is a pipe; the real one is not needed, check
   tells by its own. */
static void catch_log(void) {
  int ends[2];

  ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
  ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
  (void)close(ends[1]);
  pipe_out = ends[0];
  ck_assert_int_eq(fcntl(pipe_out, F_SETFL, O_NONBLOCK), 0);
}

static const char *caught(void) {
  static char text[65536];
  size_t len = 0;
  ssize_t n;

  while (len + 1 < sizeof text &&
         (n = read(pipe_out, text + len, sizeof text - 1 - len)) > 0)
    len += (size_t)n;
  text[len] = '\0';
  return text;
}

/* What follows the time of day. */
static const char *caught_line(void) {
  const char *text = caught();

  ck_assert_msg(strncmp(text, "ts=20", 5) == 0, "%s", text);
  ck_assert_msg(strlen(text) > 28 && memcmp(text + 26, "Z ", 2) == 0, "%s",
                text);
  return text + 28;
}

START_TEST(test_log_a_line_has_level_program_event_and_fields) {
  catch_log();
  log_open("drone", LOG_INFO);
  log_event(LOG_INFO, "bind", LS("app", "shop"), LN("epoch", -7),
            LS("none", NULL));
  ck_assert_str_eq(caught_line(),
                   "level=info program=drone event=bind app=shop "
                   "epoch=-7 none=\"\"\n");
}
END_TEST

START_TEST(test_log_below_its_level_nothing_is_written) {
  catch_log();
  log_event(LOG_INFO, "quiet", LN("n", 1));
  ck_assert_str_eq(caught(), "");
  log_event(LOG_WARN, "early", LN("n", 2));
  ck_assert_str_eq(caught_line(), "level=warn event=early n=2\n");
  log_open("x", LOG_ERROR);
  log_event(LOG_WARN, "quiet", LN("n", 3));
  ck_assert_str_eq(caught(), "");
  log_open("x", LOG_DEBUG);
  log_event(LOG_DEBUG, "all", LN("n", 4));
  ck_assert_str_eq(caught_line(), "level=debug program=x event=all n=4\n");
}
END_TEST

START_TEST(test_log_a_value_cannot_forge_a_line_or_a_field) {
  catch_log();
  log_event(LOG_WARN, "e", LS("v", "a b"), LS("w", "x=\"1\"\\"),
            LS("l", "one\nts=2 level=error\r\t"), LS("c", "\x1b[2J\x7f"),
            LS("u", "sch\xc3\xb6n"),
            LS("bad", "\xff\xc3\xc2\x9b"
                      "1"));
  ck_assert_str_eq(caught_line(),
                   "level=warn event=e v=\"a b\" w=\"x=\\\"1\\\"\\\\\" "
                   "l=\"one\\nts=2 level=error\\r\\t\" c=\"\\x1b[2J\\x7f\" "
                   "u=\"sch\xc3\xb6n\" bad=\"\\xff\\xc3\\xc2\\x9b1\"\n");
}
END_TEST

START_TEST(test_log_giant_values_are_cut_and_lines_stay_whole) {
  static char giant[100001];
  const char *line;

  memset(giant, 'x', sizeof giant - 1);
  catch_log();
  log_event(LOG_WARN, "e", LS("a", giant), LS("after", "1"));
  line = caught_line();
  ck_assert_ptr_nonnull(strstr(line, "xxx...\" after=1\n"));
  ck_assert_uint_lt(strlen(line), 1100);
  log_event(LOG_WARN, "e", LS("a", giant), LS("b", giant), LS("c", giant),
            LS("d", giant), LN("small", 1));
  line = caught_line();
  ck_assert_uint_lt(strlen(line), 4001);
  ck_assert_ptr_nonnull(strstr(line, "x...\" cut=1\n"));
}
END_TEST

START_TEST(test_log_what_a_full_pipe_does_not_take_is_counted) {
  char bytes[4096];
  ssize_t n;

  memset(bytes, 'f', sizeof bytes);
  catch_log();
  ck_assert_int_eq(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), 0);
  do {
    n = write(STDERR_FILENO, bytes, sizeof bytes);
  } while (n > 0);
  errno = 7;
  log_event(LOG_WARN, "lost", LN("n", 1));
  log_event(LOG_WARN, "lost", LN("n", 2));
  ck_assert_int_eq(errno, 7); /* what the caller was about to tell */
  while (read(pipe_out, bytes, sizeof bytes) > 0)
    ;
  log_event(LOG_WARN, "heard", LN("n", 3));
  ck_assert_str_eq(caught_line(), "level=warn event=heard n=3 lost=2\n");
  log_event(LOG_WARN, "heard", LN("n", 4));
  ck_assert_str_eq(caught_line(), "level=warn event=heard n=4\n");
}
END_TEST

static void *talk(void *arg) {
  for (int i = 0; i < 20; i++)
    log_event(LOG_WARN, "talk", LN("who", *(const int *)arg),
              LS("text", "some words that make it longer than nothing"));
  return NULL;
}

START_TEST(test_log_lines_of_threads_do_not_mix) {
  pthread_t threads[8];
  int who[8], lines = 0;
  char *text, *line, *rest = NULL;

  catch_log();
  for (int i = 0; i < 8; i++) {
    who[i] = i;
    ck_assert_int_eq(pthread_create(&threads[i], NULL, talk, &who[i]), 0);
  }
  for (int i = 0; i < 8; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  text = strdup(caught());
  ck_assert_ptr_nonnull(text);
  for (line = strtok_r(text, "\n", &rest); line != NULL;
       line = strtok_r(NULL, "\n", &rest), lines++) {
    ck_assert_msg(strncmp(line, "ts=20", 5) == 0, "%s", line);
    ck_assert_msg(strlen(line) > 50 &&
                      strcmp(line + strlen(line) - 8, "nothing\"") == 0,
                  "%s", line);
  }
  ck_assert_int_eq(lines, 160);
  free(text);
}
END_TEST

START_TEST(test_log_levels_have_names) {
  ck_assert_int_eq(log_level_of("debug"), LOG_DEBUG);
  ck_assert_int_eq(log_level_of("info"), LOG_INFO);
  ck_assert_int_eq(log_level_of("warn"), LOG_WARN);
  ck_assert_int_eq(log_level_of("error"), LOG_ERROR);
  ck_assert_int_eq(log_level_of("loud"), -1);
  ck_assert_int_eq(log_level_of(""), -1);
}
END_TEST

int main(void) {
  Suite *s = suite_create("log");
  TCase *t = tcase_create("log");

  tcase_add_test(t, test_log_a_line_has_level_program_event_and_fields);
  tcase_add_test(t, test_log_below_its_level_nothing_is_written);
  tcase_add_test(t, test_log_a_value_cannot_forge_a_line_or_a_field);
  tcase_add_test(t, test_log_giant_values_are_cut_and_lines_stay_whole);
  tcase_add_test(t, test_log_what_a_full_pipe_does_not_take_is_counted);
  tcase_add_test(t, test_log_lines_of_threads_do_not_mix);
  tcase_add_test(t, test_log_levels_have_names);
  suite_add_tcase(s, t);
  return cft_run(s);
}
