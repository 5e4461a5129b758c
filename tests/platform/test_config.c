/* Options: who says what, which one counts, and what is said about a wrong
   one. */
#include "common/config.h"

#include "support/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const config_option options[] = {
    {"couch", CONFIG_STRING, NULL, 0, 0, "URL", "The database."},
    {"workers", CONFIG_NUMBER, "8", 1, 64, "N", "How many."},
    {"stop-ms", CONFIG_MS, "5s", 0, 60000, "TIME", "How long."},
    {"wide", CONFIG_NUMBER, NULL, 0, 0, "N", "Any."},
    {"init", CONFIG_FLAG, NULL, 0, 0, NULL, "Makes the databases."},
    {"host", CONFIG_LIST, NULL, 0, 0, "HOST", "A name."},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const config_program with_operands = {"prog", "It does.", "PROG",
                                             options, "[WORD]..."},
                            without = {"prog", "It does.", "PROG", options,
                                       NULL};

static char error[512];

/* The words of a command line, up to a NULL. */
static config *told(const config_program *program, const char *const *words) {
  char *argv[16];
  int argc = 0;

  /* main's are not const either, though nobody changes them. */
  memcpy(argv, words, sizeof argv);
  while (argv[argc] != NULL)
    argc++;
  return config_read(program, argc, argv, error, sizeof error);
}

#define TOLD(...) told(&with_operands, (const char *[16]){"prog", __VA_ARGS__})
#define TOLD_NOTHING() told(&with_operands, (const char *[16]){"prog"})

static char path[64];

static const char *file_of(const char *text, mode_t mode) {
  size_t len = strlen(text);
  int fd;

  (void)snprintf(path, sizeof path, "/tmp/cft-config-XXXXXX");
  fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
  ck_assert_int_eq(fchmod(fd, mode), 0);
  (void)close(fd);
  return path;
}

static void remove_file(void) {
  if (path[0] != '\0')
    (void)unlink(path);
}

static void refused(config *c, const char *sentence) {
  ck_assert_ptr_null(c);
  ck_assert_str_eq(error, sentence);
}

START_TEST(test_config_defaults_hold_until_somebody_speaks) {
  config *c = TOLD_NOTHING();
  char *const *operands;

  ck_assert_msg(c != NULL, "%s", error);
  ck_assert_ptr_null(config_string(c, "couch"));
  ck_assert_int_eq(config_number(c, "workers"), 8);
  ck_assert_int_eq(config_number(c, "stop-ms"), 5000);
  ck_assert(!config_flag(c, "init"));
  ck_assert(!config_is_set(c, "workers"));
  ck_assert(!config_is_set(c, "unheard-of"));
  ck_assert_int_eq(config_operands(c, &operands), 0);
  config_free(c);
}
END_TEST

START_TEST(test_config_words_of_the_command_line) {
  config *c = TOLD("start", "--couch=http://a=b", "--workers", "9", "--init",
                   "--stop-ms=250ms", "-", "--", "--wide=x");
  char *const *operands;

  ck_assert_msg(c != NULL, "%s", error);
  ck_assert_str_eq(config_string(c, "couch"), "http://a=b");
  ck_assert_int_eq(config_number(c, "workers"), 9);
  ck_assert_int_eq(config_number(c, "stop-ms"), 250);
  ck_assert(config_flag(c, "init"));
  ck_assert(config_is_set(c, "init"));
  ck_assert_int_eq(config_operands(c, &operands), 3);
  ck_assert_str_eq(operands[0], "start");
  ck_assert_str_eq(operands[1], "-");
  ck_assert_str_eq(operands[2], "--wide=x");
  config_free(c);
}
END_TEST

START_TEST(test_config_times_have_units) {
  static const struct {
    const char *text;
    int64_t ms;
  } good[] = {{"0", 0},           {"0ms", 0},     {"1ms", 1},
              {"60000ms", 60000}, {"59s", 59000}, {"1m", 60000}};
  static const char *const bad[] = {"",
                                    "5",
                                    "s",
                                    "5x",
                                    "-5s",
                                    "5 s",
                                    "5.5s",
                                    "5sS",
                                    "2m",
                                    "1h",
                                    "9999999999999999999s"};
  char word[64];
  config *c;

  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    (void)snprintf(word, sizeof word, "--stop-ms=%s", good[i].text);
    c = TOLD(word);
    ck_assert_msg(c != NULL, "%s", error);
    ck_assert_int_eq(config_number(c, "stop-ms"), good[i].ms);
    config_free(c);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    (void)snprintf(word, sizeof word, "--stop-ms=%s", bad[i]);
    ck_assert_msg(TOLD(word) == NULL, "%s", word);
    ck_assert_ptr_nonnull(strstr(error, "from 0ms to 1m"));
  }
}
END_TEST

START_TEST(test_config_a_wrong_word_is_named) {
  refused(TOLD("--workers=65"),
          "--workers takes a number from 1 to 64, not \"65\".");
  refused(TOLD("--workers=0"),
          "--workers takes a number from 1 to 64, not \"0\".");
  refused(TOLD("--workers", "1x"),
          "--workers takes a number from 1 to 64, not \"1x\".");
  refused(TOLD("--wide=-1"), "--wide takes a number, not \"-1\".");
  refused(TOLD("--wide=99999999999999999999"),
          "--wide takes a number, not \"99999999999999999999\".");
  refused(TOLD("--init=maybe"), "--init takes yes or no, not \"maybe\".");
  refused(TOLD("--workers"), "--workers needs a value.");
  refused(TOLD("--worker=1"),
          "There is no option --worker; --help shows them.");
  refused(TOLD("--workersx=1"),
          "There is no option --workersx; --help shows them.");
  refused(TOLD("-x"), "There is no option -x; --help shows them.");
  refused(told(&without, (const char *[16]){"prog", "word"}),
          "There is one word too many: \"word\".");
}
END_TEST

START_TEST(test_config_file_then_environment_then_command_line) {
  char word[96];
  config *c;

  (void)snprintf(word, sizeof word, "--config=%s",
                 file_of("# what it is told\n\n  couch = http://file#1 \r\n"
                         "workers=1\n\tstop-ms =1s\ninit = on",
                         0644));
  ck_assert_int_eq(setenv("PROG_WORKERS", "2", 1), 0);
  ck_assert_int_eq(setenv("PROG_STOP_MS", "2s", 1), 0);
  ck_assert_int_eq(setenv("PROG_WIDE", "", 1), 0); /* is none */
  c = TOLD(word, "--stop-ms=3s");
  ck_assert_msg(c != NULL, "%s", error);
  ck_assert_str_eq(config_string(c, "couch"), "http://file#1");
  ck_assert_int_eq(config_number(c, "workers"), 2);
  ck_assert_int_eq(config_number(c, "stop-ms"), 3000);
  ck_assert(config_flag(c, "init"));
  ck_assert(!config_is_set(c, "wide"));
  config_free(c);
  ck_assert_int_eq(setenv("PROG_CONFIG", path, 1), 0);
  c = TOLD("--init=no");
  ck_assert_msg(c != NULL, "%s", error);
  ck_assert_str_eq(config_string(c, "couch"), "http://file#1");
  ck_assert(!config_flag(c, "init"));
  ck_assert(config_is_set(c, "init"));
  ck_assert(config_is_argument(c, "init"));
  ck_assert(!config_is_argument(c, "couch"));
  config_free(c);
  ck_assert_int_eq(setenv("PROG_WORKERS", "many", 1), 0);
  refused(TOLD_NOTHING(),
          "PROG_WORKERS takes a number from 1 to 64, not \"many\".");
}
END_TEST

START_TEST(test_config_lists_are_replaced_by_who_counts_more) {
  const char *const *hosts;
  char word[96];
  config *c;

  (void)snprintf(word, sizeof word, "--config=%s",
                 file_of("host = a\nhost = b\n", 0644));
  c = TOLD(word);
  ck_assert_msg(c != NULL, "%s", error);
  ck_assert_uint_eq(config_list(c, "host", &hosts), 2);
  ck_assert_str_eq(hosts[0], "a");
  ck_assert_str_eq(hosts[1], "b");
  config_free(c);
  c = TOLD(word, "--host=c", "--host", "d", "--host=e");
  ck_assert_msg(c != NULL, "%s", error);
  ck_assert_uint_eq(config_list(c, "host", &hosts), 3);
  ck_assert_str_eq(hosts[0], "c");
  ck_assert_str_eq(hosts[2], "e");
  ck_assert_str_eq(config_string(c, "host"), "e");
  config_free(c);
  c = TOLD_NOTHING();
  ck_assert_uint_eq(config_list(c, "host", &hosts), 0);
  config_free(c);
}
END_TEST

static void refused_file(const char *text, const char *rest) {
  char word[96], expected[256];

  (void)snprintf(word, sizeof word, "--config=%s", file_of(text, 0644));
  (void)snprintf(expected, sizeof expected, "%s%s", path, rest);
  refused(TOLD(word), expected);
  remove_file();
}

START_TEST(test_config_a_wrong_line_is_named) {
  refused_file("\n#\nworkers = 0\n",
               ", line 3: workers takes a number from 1 to 64, not \"0\".");
  refused_file("worker = 1", ", line 1: there is no option \"worker\".");
  refused_file("help = yes", ", line 1: there is no option \"help\".");
  refused_file("couch\n", ", line 1: there is no '=' in it.");
  refused(TOLD("--config=/does/not/exist"),
          "/does/not/exist cannot be opened: No such file or directory.");
  refused(TOLD("--config=/tmp"), "/tmp cannot be read: Is a directory.");
}
END_TEST

START_TEST(test_config_help_is_shown_whatever_else_is_wrong) {
  config *c = TOLD("--help", "--config=/does/not/exist");

  ck_assert_msg(c != NULL, "%s", error);
  ck_assert(config_flag(c, "help"));
  config_free(c);
  c = TOLD("-h");
  ck_assert_msg(c != NULL, "%s", error);
  ck_assert(config_flag(c, "help"));
  ck_assert(!config_flag(c, "version"));
  config_free(c);
}
END_TEST

static void refused_secret(const char *at, const char *why) {
  char *secret = config_secret(at, error, sizeof error);
  char expected[256];

  ck_assert_ptr_null(secret);
  (void)snprintf(expected, sizeof expected,
                 "The secret in %s cannot be used: %s.", at, why);
  ck_assert_str_eq(error, expected);
}

START_TEST(test_config_a_secret_is_the_first_line) {
  char *secret = config_secret(file_of("s3cret word \r\nmore\n", 0600), error,
                               sizeof error);

  ck_assert_msg(secret != NULL, "%s", error);
  ck_assert_str_eq(secret, "s3cret word");
  config_forget(secret);
  config_forget(NULL);
  remove_file();
  secret = config_secret(file_of("no-end", 0400), error, sizeof error);
  ck_assert_msg(secret != NULL, "%s", error);
  ck_assert_str_eq(secret, "no-end");
  config_forget(secret);
}
END_TEST

START_TEST(test_config_a_credential_may_be_the_groups_by_an_access_list) {
  const char *at = file_of("s3cret\n", 0440);
  const char *slash = strrchr(at, '/');
  char dir[256], *secret;

  (void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - at), at);
  (void)setenv("CREDENTIALS_DIRECTORY", dir, 1);
  secret = config_secret(at, error, sizeof error);
  ck_assert_msg(secret != NULL, "%s", error);
  ck_assert_str_eq(secret, "s3cret");
  config_forget(secret);
  /* Not what others can read, or the group change, nor what lies elsewhere. */
  (void)chmod(at, 0444);
  refused_secret(at, "others may read or change it (chmod 600 it)");
  (void)chmod(at, 0460);
  refused_secret(at, "others may read or change it (chmod 600 it)");
  (void)chmod(at, 0440);
  (void)setenv("CREDENTIALS_DIRECTORY", "/", 1);
  refused_secret(at, "others may read or change it (chmod 600 it)");
  (void)setenv("CREDENTIALS_DIRECTORY", "/does/not/exist", 1);
  refused_secret(at, "others may read or change it (chmod 600 it)");
  dir[strlen(dir) - 1] = '\0';
  (void)setenv("CREDENTIALS_DIRECTORY", dir, 1);
  refused_secret(at, "others may read or change it (chmod 600 it)");
  (void)unsetenv("CREDENTIALS_DIRECTORY");
}
END_TEST

START_TEST(test_config_a_secret_that_others_can_read_is_none) {
  char giant[5000];

  refused_secret(file_of("x\n", 0640),
                 "others may read or change it (chmod 600 it)");
  remove_file();
  refused_secret(file_of("x\n", 0602),
                 "others may read or change it (chmod 600 it)");
  remove_file();
  refused_secret(file_of("", 0600), "its first line is empty, or not text");
  remove_file();
  refused_secret(file_of("\nx", 0600), "its first line is empty, or not text");
  remove_file();
  refused_secret(file_of("a\rb\n", 0600),
                 "its first line is empty, or not text");
  remove_file();
  memset(giant, 'x', sizeof giant);
  giant[sizeof giant - 1] = '\0';
  refused_secret(file_of(giant, 0600),
                 "its first line is longer than 4096 bytes");
  refused_secret("/tmp", "it is a directory");
  refused_secret("/does/not/exist", "No such file or directory");
}
END_TEST

START_TEST(test_config_a_secret_can_come_through_a_pipe) {
  char name[32], *secret;
  int ends[2];

  ck_assert_int_eq(pipe(ends), 0);
  ck_assert_int_eq(write(ends[1], "to", 2), 2);
  ck_assert_int_eq(write(ends[1], "ken\n", 4), 4);
  (void)close(ends[1]);
  (void)snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
  secret = config_secret(name, error, sizeof error);
  ck_assert_msg(secret != NULL, "%s", error);
  ck_assert_str_eq(secret, "token");
  config_forget(secret);
  (void)close(ends[0]);
}
END_TEST

START_TEST(test_config_help_lists_every_option) {
  char text[8192];
  size_t len;
  FILE *out;

  (void)file_of("", 0600);
  out = freopen(path, "w+", stdout);
  ck_assert_ptr_nonnull(out);
  config_print_help(&with_operands);
  rewind(out);
  len = fread(text, 1, sizeof text - 1, out);
  text[len] = '\0';
  ck_assert_ptr_nonnull(strstr(text, "Usage: prog [OPTION]... [WORD]...\n"));
  ck_assert_ptr_nonnull(
      strstr(text, "  --couch=URL             The database.\n"));
  ck_assert_ptr_nonnull(
      strstr(text, "--workers=N             How many. [8]\n"));
  ck_assert_ptr_nonnull(strstr(text, "--init                  Makes the"));
  ck_assert_ptr_nonnull(
      strstr(text, "--host=HOST             A name. More than"));
  ck_assert_ptr_nonnull(strstr(text, "--config=FILE"));
  ck_assert_ptr_nonnull(strstr(text, "PROG_NAME"));
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
    ck_assert_uint_lt(strlen(line), 80);
}
END_TEST

int main(void) {
  Suite *s = suite_create("config");
  TCase *t = tcase_create("config");

  tcase_add_checked_fixture(t, NULL, remove_file);
  tcase_add_test(t, test_config_defaults_hold_until_somebody_speaks);
  tcase_add_test(t, test_config_words_of_the_command_line);
  tcase_add_test(t, test_config_times_have_units);
  tcase_add_test(t, test_config_a_wrong_word_is_named);
  tcase_add_test(t, test_config_file_then_environment_then_command_line);
  tcase_add_test(t, test_config_lists_are_replaced_by_who_counts_more);
  tcase_add_test(t, test_config_a_wrong_line_is_named);
  tcase_add_test(t, test_config_help_is_shown_whatever_else_is_wrong);
  tcase_add_test(t, test_config_a_secret_is_the_first_line);
  tcase_add_test(t,
                 test_config_a_credential_may_be_the_groups_by_an_access_list);
  tcase_add_test(t, test_config_a_secret_that_others_can_read_is_none);
  tcase_add_test(t, test_config_a_secret_can_come_through_a_pipe);
  tcase_add_test(t, test_config_help_lists_every_option);
  suite_add_tcase(s, t);
  return cft_run(s);
}
