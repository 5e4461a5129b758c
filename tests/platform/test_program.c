/* What a program says when it is ready: its file, and a word to systemd. */
#include "common/program.h"

#include "support/unit.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const config_option options[] = {
    {"port-file", CONFIG_STRING, NULL, 0, 0, "FILE", "Where it is."},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const config_program described = {"prog", "It does.", "PROG", options,
                                         NULL};

static char error[512], directory[64];

static void make_directory(void) {
  (void)snprintf(directory, sizeof directory, "/tmp/cft-program-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  ck_assert_int_eq(chdir(directory), 0);
}

static void remove_directory(void) {
  (void)unlink("port");
  (void)unlink("socket");
  ck_assert_int_eq(rmdir(directory), 0);
}

static config *with_file(const char *word) {
  const char *words[] = {"prog", word, NULL};
  char *argv[3];
  config *c;

  memcpy(argv, words, sizeof argv);
  c = config_read(&described, word != NULL ? 2 : 1, argv, error, sizeof error);
  ck_assert_msg(c != NULL, "%s", error);
  return c;
}

/* systemd's side: a name that begins with '@' is an abstract one. */
static int listen_at(const char *name) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  socklen_t size =
      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  memcpy(at.sun_path, name, strlen(name));
  if (name[0] == '@')
    at.sun_path[0] = '\0';
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, size), 0);
  ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
  return fd;
}

static void expect_told(int fd) {
  char said[64] = "";

  ck_assert_int_ge(recv(fd, said, sizeof said - 1, MSG_DONTWAIT), 0);
  ck_assert_str_eq(said, "READY=1");
  ck_assert_int_lt(recv(fd, said, sizeof said, MSG_DONTWAIT), 0);
  (void)close(fd);
}

START_TEST(test_program_ready_is_told_to_systemd_after_the_file) {
  char path[128], lines[32] = "";
  config *c = with_file("--port-file=port");
  FILE *file;
  int fd;

  (void)snprintf(path, sizeof path, "%s/socket", directory);
  fd = listen_at(path);
  ck_assert_msg(program_ready(c, "127.0.0.1:1\n", error, sizeof error), "%s",
                error);
  expect_told(fd);
  file = fopen("port", "re");
  ck_assert_ptr_nonnull(file);
  ck_assert_ptr_nonnull(fgets(lines, sizeof lines, file));
  ck_assert_str_eq(lines, "127.0.0.1:1\n");
  (void)fclose(file);
  config_free(c);
}
END_TEST

START_TEST(test_program_ready_goes_to_an_abstract_name) {
  config *c = with_file(NULL);
  char name[64];
  int fd;

  (void)snprintf(name, sizeof name, "@cft-program-%d", (int)getpid());
  fd = listen_at(name);
  ck_assert_msg(program_ready(c, "", error, sizeof error), "%s", error);
  expect_told(fd);
  config_free(c);
}
END_TEST

START_TEST(test_program_ready_is_quiet_without_systemd) {
  config *c = with_file(NULL);

  (void)unsetenv("NOTIFY_SOCKET");
  ck_assert(program_ready(c, "", error, sizeof error));
  (void)setenv("NOTIFY_SOCKET", "", 1);
  ck_assert(program_ready(c, "", error, sizeof error));
  config_free(c);
}
END_TEST

static void refused(const char *name, const char *why) {
  config *c = with_file(NULL);
  char expected[400];

  (void)setenv("NOTIFY_SOCKET", name, 1);
  ck_assert(!program_ready(c, "", error, sizeof error));
  (void)snprintf(expected, sizeof expected, "NOTIFY_SOCKET %.200s: %s", name,
                 why);
  ck_assert_str_eq(error, expected);
  config_free(c);
}

START_TEST(test_program_that_cannot_tell_says_so) {
  char giant[400];
  config *c;
  int fd;

  memset(giant, 'x', sizeof giant);
  giant[0] = '/';
  giant[sizeof giant - 1] = '\0';
  refused("/does/not/exist", "No such file or directory");
  refused("here", "Invalid argument");
  refused(giant, "Invalid argument");
  /* Nor is it ready when its file cannot be written. */
  c = with_file("--port-file=/does/not/exist");
  (void)snprintf(giant, sizeof giant, "%s/socket", directory);
  fd = listen_at(giant);
  ck_assert(!program_ready(c, "", error, sizeof error));
  ck_assert_str_eq(error,
                   "--port-file /does/not/exist: No such file or directory");
  ck_assert_int_lt(recv(fd, giant, sizeof giant, MSG_DONTWAIT), 0);
  (void)close(fd);
  config_free(c);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("program");
  TCase *t = tcase_create("ready");

  tcase_add_checked_fixture(t, make_directory, remove_directory);
  tcase_add_test(t, test_program_ready_is_told_to_systemd_after_the_file);
  tcase_add_test(t, test_program_ready_goes_to_an_abstract_name);
  tcase_add_test(t, test_program_ready_is_quiet_without_systemd);
  tcase_add_test(t, test_program_that_cannot_tell_says_so);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
