/* The database that other tests lean on: started, filled, killed, restarted,
   stopped, and gone with the process that started it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/couch.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define URL_SIZE 512

static int ask(const char *method, const char *base, const char *path,
               const char *body, char **answer) {
  char url[URL_SIZE];
  int n = snprintf(url, sizeof url, "%s%s", base, path);
  ck_assert(n > 0 && (size_t)n < sizeof url);
  return cft_http(method, url, body, answer);
}

static void expect_in(const char *base, const char *path, const char *text) {
  char *answer = NULL;
  ck_assert_int_eq(ask("GET", base, path, NULL, &answer), 200);
  ck_assert_ptr_nonnull(strstr(answer, text));
  free(answer);
}

START_TEST(test_couch_takes_and_gives_documents) {
  cft_couch *couch = cft_couch_start(NULL);
  const char *db = cft_couch_database(couch, "docs");
  char *answer = NULL;
  ck_assert_int_eq(ask("PUT", db, "/a", "{\"n\":1}", NULL), 201);
  ck_assert_int_eq(ask("PUT", db, "/a", "{}", &answer), 409);
  ck_assert_ptr_nonnull(strstr(answer, "\"error\":\"conflict\""));
  free(answer);
  expect_in(db, "/_changes", "\"id\":\"a\"");
  expect_in(cft_couch_url(couch), "/", "\"couchdb\":\"Welcome\"");
  ck_assert_str_ne(db, cft_couch_database(couch, "docs"));
  cft_couch_stop(couch);
}
END_TEST

START_TEST(test_couch_takes_options) {
  const char *const options[] = {"--admin", "admin:secret", NULL};
  cft_couch *couch = cft_couch_start_durable(options);
  ck_assert_int_eq(ask("GET", cft_couch_url(couch), "/_all_dbs", NULL, NULL),
                   401);
  cft_couch_stop(couch);
}
END_TEST

START_TEST(test_couch_durable_survives_kill_with_its_url) {
  cft_couch *couch = cft_couch_start_durable(NULL);
  const char *db = cft_couch_database(couch, "kept");
  char url[URL_SIZE];
  (void)snprintf(url, sizeof url, "%s", cft_couch_url(couch));
  ck_assert(cft_couch_is_ours(couch));
  for (int round = 0; round < 3; round++) {
    char path[16];
    (void)snprintf(path, sizeof path, "/doc%d", round);
    ck_assert_int_eq(ask("PUT", db, path, "{}", NULL), 201);
    cft_couch_kill9(couch);
    ck_assert_int_eq(cft_couch_pid(couch), 0);
    ck_assert_int_eq(ask("GET", db, path, NULL, NULL), -1);
    cft_couch_restart(couch);
    ck_assert_str_eq(cft_couch_url(couch), url);
    expect_in(db, "/_changes", path + 1);
  }
  cft_couch_stop(couch);
}
END_TEST

/* Ends with nothing but SIGKILL, as a crashed test does. */
static void start_and_tell(int fd) {
  pid_t pid;
  (void)unsetenv("COUCHDB_URL");
  pid = cft_couch_pid(cft_couch_start(NULL));
  if (write(fd, &pid, sizeof pid) == (ssize_t)sizeof pid)
    (void)kill(getpid(), SIGKILL);
  _exit(1);
}

/* Or has left nothing but its entry for a parent that does not ask. */
static bool is_gone(void *user) {
  pid_t pid = *(const pid_t *)user;
  return (kill(pid, 0) != 0 && errno == ESRCH) || cft_rss_bytes(pid) == 0;
}

START_TEST(test_couch_dies_with_the_test) {
  int fds[2];
  pid_t child, server = 0;
  ck_assert_int_eq(pipe(fds), 0);
  child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0)
    start_and_tell(fds[1]);
  ck_assert_int_eq(close(fds[1]), 0);
  ck_assert_int_eq(read(fds[0], &server, sizeof server), sizeof server);
  ck_assert_int_eq(close(fds[0]), 0);
  ck_assert_int_eq(waitpid(child, NULL, 0), child);
  ck_assert(cft_until(is_gone, &server, 5000));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("couch");
  TCase *tests = tcase_create("couch");
  tcase_add_test(tests, test_couch_takes_and_gives_documents);
  tcase_add_test(tests, test_couch_takes_options);
  tcase_add_test(tests, test_couch_durable_survives_kill_with_its_url);
  tcase_add_test(tests, test_couch_dies_with_the_test);
  suite_add_tcase(suite, tests);
  return cft_run(suite);
}
