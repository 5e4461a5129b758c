/* exec while feeds are followed: a program that the application starts inherits
   no connection, no driver's descriptor and no lock file. libcurl's private
   socket pairs, by which its threads wake it, are not ours to mark: it may
   leave them open, and nobody but the program itself is at their other end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "support/follow.h"
#include "support/names.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/tunnel.h"
#include "support/unit.h"
#include "unit/scratch_dir.h"

enum { LONG_MS = 20000, FDS_MAX = 1024, FEEDS = 6 };

static cft_mini *mini;
static cft_tunnel *tunnel;
static changefeed_loop *loop;
static cft_follow feeds[FEEDS];
static scratch_dir dir;
static bool before[FDS_MAX]; /* open before the loop was made */

/* ---- descriptors ---- */

static void each_fd(void (*what)(int fd)) {
  DIR *d = opendir("/proc/self/fd");
  struct dirent *entry;

  ck_assert_ptr_nonnull(d);
  while ((entry = readdir(d)) != NULL) {
    int fd = atoi(entry->d_name);

    if (entry->d_name[0] == '.' || fd == dirfd(d))
      continue;
    ck_assert_int_lt(fd, FDS_MAX);
    what(fd);
  }
  (void)closedir(d);
}

static void remember(int fd) { before[fd] = true; }

static unsigned ours;        /* descriptors that were looked at */
static ino_t pairs[FDS_MAX]; /* libcurl's */
static size_t pair_count;

/* Neither end of such a pair has a name. */
static bool is_private_pair(int fd) {
  struct sockaddr_un us = {0}, them = {0};
  socklen_t us_len = sizeof us, them_len = sizeof them;

  return getsockname(fd, (struct sockaddr *)&us, &us_len) == 0 &&
         getpeername(fd, (struct sockaddr *)&them, &them_len) == 0 &&
         us.sun_family == AF_UNIX && us_len == sizeof us.sun_family &&
         them_len == sizeof them.sun_family;
}

static void note_pair(int fd) {
  struct stat st;

  ck_assert_int_eq(fstat(fd, &st), 0);
  pairs[pair_count++] = st.st_ino;
}

static bool is_noted(const char *socket_text) {
  unsigned long long inode = 0;

  if (sscanf(socket_text, "socket:[%llu]", &inode) != 1)
    return false;
  for (size_t i = 0; i < pair_count; i++)
    if (pairs[i] == inode)
      return true;
  return false;
}

static void expect_cloexec(int fd) {
  char path[64], what[256];
  ssize_t n;

  if (before[fd])
    return;
  ours++;
  if (is_private_pair(fd)) {
    note_pair(fd);
    return;
  }
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  n = readlink(path, what, sizeof what - 1);
  ck_assert_int_gt(n, 0);
  what[n] = '\0';
  ck_assert_msg((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0,
                "descriptor %d (%s) would outlive exec", fd, what);
}

/* What a program sees that was started now: ls of its own descriptors. */
static void expect_nothing_inherited(void) {
  char text[8192];
  size_t len = 0;
  ssize_t n;
  int out[2], status;
  pid_t pid;

  ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
  pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    if (dup2(out[1], 1) == 1)
      (void)execlp("ls", "ls", "-l", "/proc/self/fd", (char *)NULL);
    _exit(127);
  }
  (void)close(out[1]);
  while ((n = read(out[0], text + len, sizeof text - 1 - len)) > 0)
    len += (size_t)n;
  (void)close(out[0]);
  text[len] = '\0';
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  ck_assert_ptr_nonnull(strstr(text, "pipe:")); /* its output */
  for (char *line = strtok(text, "\n"); line != NULL;
       line = strtok(NULL, "\n")) {
    const char *arrow = strstr(line, " -> "), *number = arrow;

    if (arrow == NULL)
      continue;
    while (number > line && number[-1] != ' ')
      number--;
    if (!before[atoi(number)] && !is_noted(arrow + strlen(" -> ")))
      ck_assert_msg(strstr(arrow, "socket:") == NULL &&
                        strstr(arrow, "anon_inode:") == NULL &&
                        strstr(arrow, dir.path) == NULL,
                    "inherited: %s", line);
  }
}

/* ---- the test ---- */

static bool all_there(void *user) {
  (void)user;
  for (int i = 0; i < FEEDS; i++)
    if (feeds[i].feed != NULL && i != 4 && i != 5 &&
        changefeed_get_state(feeds[i].feed) != CHANGEFEED_STATE_LIVE)
      return false;
  return cft_names_resolving(NULL);
}

/* All that opens descriptors: three transports, TLS, a file, a connection that
   does not come about, a name that is not known. */
static void open_all(uint16_t hanging) {
  char option[1100], url[64];

  (void)snprintf(option, sizeof option, "file:%s",
                 scratch_path(&dir, "position"));
  cft_follow_open(&feeds[0], loop, cft_mini_url(mini), "checkpoint", option,
                  "checkpoint_every", "1", NULL);
  cft_follow_open(&feeds[1], loop, cft_mini_url(mini), "transport", "longpoll",
                  NULL);
  cft_follow_open(&feeds[2], loop, cft_mini_url(mini), "transport",
                  "eventsource", NULL);
  (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/db",
                 cft_tunnel_port(tunnel));
  cft_follow_open(&feeds[3], loop, url, "tls_verify", "0", NULL);
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/db", hanging);
  cft_follow_open(&feeds[4], loop, url, NULL);
  cft_follow_open(&feeds[5], loop, "http://nowhere.example/db", NULL);
}

START_TEST(test_exec_inherits_nothing) {
  uint16_t hanging;
  int fds[2];

  mini = cft_mini_start(NULL);
  cft_mini_fill(mini, "d", 100);
  scratch_begin(&dir);
  tunnel = cft_tunnel_start(cft_peer_port(cft_mini_peer(mini)));
  ck_assert(cft_port_hanging(&hanging, fds));
  each_fd(remember);
  loop = cft_loop();
  cft_names_hang();
  open_all(hanging);
  ck_assert(cft_loop_until(loop, all_there, NULL, LONG_MS));
  each_fd(expect_cloexec);
  ck_assert_uint_ge(ours,
                    3 + 5 + 1); /* driver, sockets, lock; and the peer's */
  expect_nothing_inherited();
  cft_names_let_go();
  for (int i = 0; i < FEEDS; i++)
    cft_follow_clear(&feeds[i]);
  changefeed_loop_free(loop);
  (void)close(fds[0]);
  (void)close(fds[1]);
  cft_tunnel_stop(tunnel);
  cft_mini_free(mini);
  scratch_end(&dir);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("process_exec");
  TCase *t = tcase_create("process_exec");

  tcase_add_test(t, test_exec_inherits_nothing);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
