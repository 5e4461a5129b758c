/* kill -9 of the command with checkpoint=file:, 200 times at random while a
   writer writes: everything that was written is in the union of all output, the
   file is never damaged, and never ahead of the output. A run repeats with
   CFT_SEED=N (it is printed); CFT_KILLS=N sets how many.
   ctest: TIMEOUT 600 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint.h"
#include "random.h"
#include "support/churn.h"
#include "support/couch.h"
#include "support/mem.h"
#include "support/timing.h"
#include "support/unit.h"
#include "unit/scratch_dir.h"

enum { LONG_MS = 30000, URL_SIZE = 1024 };

static const char *command;
static cft_couch *couch;
static const char *url;
static scratch_dir dir;
static cfi_random random_numbers;

/* All output of all runs. */
static cft_revs *latest; /* id -> the rev printed last */
static cft_revs *ever;   /* "id rev" -> "" */
static size_t lines_total;

/* The stored position after the kill before; "0" before there is any. */
static char *stored;

/* What the kills hit, to know that they were no blanks. */
static struct { size_t in_save, after_rows, moved, early; } seen;

static int64_t upto(int64_t bound) {
  return cfi_random_upto(&random_numbers, bound);
}

/* ---- one run of the command ---- */

typedef struct run {
  pid_t pid;
  int out; /* the pipe, or the file */
  bool piped;
  char *text; /* what was read of it */
  size_t len, cap;
} run;

static void exec_command(int out) {
  char checkpoint[640], messages[600];
  int null_fd = open("/dev/null", O_RDONLY), err;

  (void)snprintf(checkpoint, sizeof checkpoint, "--checkpoint=file:%s/position",
                 dir.path);
  (void)snprintf(messages, sizeof messages, "%s/messages", dir.path);
  err = open(messages, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (null_fd >= 0 && err >= 0 && dup2(null_fd, 0) == 0 && dup2(out, 1) == 1 &&
      dup2(err, 2) == 2)
    (void)execl(command, command, "--format=tsv", "--on_reset=stop",
                "--proxy=-", "--checkpoint_every=7",
                "--checkpoint_interval_ms=20", checkpoint, url, (char *)NULL);
  _exit(127);
}

static run start_run(void) {
  run r = {.piped = upto(3) != 0};
  char path[600];
  int fds[2] = {-1, -1};

  if (r.piped) {
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    /* Small, so that rows wait in the command when nobody reads. */
    ck_assert_int_ge(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
    r.out = fds[0];
  } else {
    (void)snprintf(path, sizeof path, "%s/output", dir.path);
    fds[1] = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    r.out = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert(fds[1] >= 0 && r.out >= 0);
  }
  r.pid = fork();
  ck_assert_int_ge(r.pid, 0);
  if (r.pid == 0)
    exec_command(fds[1]);
  ck_assert_int_eq(close(fds[1]), 0);
  return r;
}

/* Reads what there is; false at the end. */
static bool read_some(run *r) {
  ssize_t n;

  if (r->cap - r->len < 4096) {
    r->cap = r->cap != 0 ? r->cap * 2 : 16384;
    r->text = cft_realloc(r->text, r->cap, 1);
  }
  do
    n = read(r->out, r->text + r->len, r->cap - r->len);
  while (n < 0 && errno == EINTR);
  ck_assert_int_ge(n, 0);
  r->len += (size_t)n;
  return n != 0;
}

/* The command must not end by itself; what it said, if it has. */
static void check_alive(const run *r) {
  char words[1024];
  size_t len;
  int status;

  if (waitpid(r->pid, &status, WNOHANG) == 0)
    return;
  len = scratch_read(&dir, "messages", words, sizeof words - 1);
  ck_abort_msg("the command ended by itself (wait status %d): %.*s", status,
               (int)len, words);
}

/* ---- the instants ---- */

static void let_pass_us(int64_t us) {
  const struct timespec t = {us / 1000000, (long)(us % 1000000) * 1000};

  (void)nanosleep(&t, NULL); /* the instant is random; nothing waits for it */
}

static void wait_lines(run *r, int64_t count) {
  int64_t end = cft_now_ms() + LONG_MS, have = 0;

  for (size_t from = 0; have < count;) {
    struct pollfd p = {.fd = r->out, .events = POLLIN};

    check_alive(r);
    ck_assert_msg(cft_now_ms() < end, "no row came, though some are written");
    if (!r->piped)
      let_pass_us(500);
    else if (poll(&p, 1, 100) <= 0)
      continue;
    (void)read_some(r);
    for (; from < r->len; from++)
      have += r->text[from] == '\n';
  }
}

/* Steps of saves in the directory: create, write, close, link, rename. */
static void wait_steps(run *r, int notify, int64_t count) {
  int64_t end = cft_now_ms() + LONG_MS;
  union {
    struct inotify_event first;
    char bytes[4096];
  } events;

  while (count > 0) {
    struct pollfd p[2] = {{.fd = notify, .events = POLLIN},
                          {.fd = r->piped ? r->out : -1, .events = POLLIN}};
    ssize_t n;

    check_alive(r);
    ck_assert_msg(cft_now_ms() < end, "nothing was saved, though rows came");
    if (poll(p, 2, 100) <= 0)
      continue;
    if (p[1].revents != 0)
      (void)read_some(r); /* or it would come to a stop */
    if (p[0].revents == 0)
      continue;
    n = read(notify, events.bytes, sizeof events.bytes);
    for (ssize_t at = 0; at < n && count > 0;) {
      const struct inotify_event *e =
          (const struct inotify_event *)(const void *)(events.bytes + at);

      if (e->len != 0 && strncmp(e->name, "position", 8) == 0 &&
          strcmp(e->name, "position.lock") != 0)
        count--;
      at += (ssize_t)(sizeof *e + e->len);
    }
  }
  seen.in_save++;
}

static int watch_directory(void) {
  int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

  ck_assert_int_ge(fd, 0);
  ck_assert_int_ge(inotify_add_watch(fd, dir.path,
                                     IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE |
                                         IN_MOVED_FROM | IN_MOVED_TO |
                                         IN_DELETE),
                   0);
  return fd;
}

static void live_for_a_while(run *r, int notify) {
  switch (upto(4)) {
  case 0: /* on its way: exec, options, lock, load, connect */
    let_pass_us(upto(30000));
    seen.early++;
    break;
  case 1:
    wait_lines(r, 1 + upto(40));
    let_pass_us(upto(2000));
    break;
  case 2: /* a pipe is full before long: nobody reads it */
    let_pass_us(upto(300000));
    break;
  default:
    wait_steps(r, notify, 1 + upto(30));
    let_pass_us(upto(300));
    break;
  }
}

/* ---- what was printed ---- */

static void take_line(char *line) {
  char *id, *rev, *deleted = NULL, key[256];

  id = strchr(line, '\t');
  rev = id != NULL ? strchr(id + 1, '\t') : NULL;
  deleted = rev != NULL ? strchr(rev + 1, '\t') : NULL;
  ck_assert_msg(deleted != NULL && strlen(deleted) == 2, "no row: %s", line);
  *id++ = *rev++ = *deleted++ = '\0';
  cft_revs_put(latest, id, rev, deleted[0] == '1');
  (void)snprintf(key, sizeof key, "%s %s", id, rev);
  cft_revs_put(ever, key, "", false);
  lines_total++;
}

/* Whole lines count; one that the kill has cut in two was not printed. */
static size_t take_output(run *r) {
  size_t lines = 0;

  while (read_some(r))
    continue;
  for (char *line = r->text, *end = r->text + r->len; line < end; lines++) {
    char *stop = memchr(line, '\n', (size_t)(end - line));

    if (stop == NULL)
      break;
    *stop = '\0';
    take_line(line);
    line = stop + 1;
  }
  (void)close(r->out);
  free(r->text);
  return lines;
}

/* ---- what was stored ---- */

/* The position in a file of the store, to be freed; NULL: there is no file. */
static char *position_in(const char *name) {
  cfi_checkpoint c;
  cfi_error error;
  cfi_alloc alloc;
  char data[8192], *seq;
  size_t len;

  if (!scratch_exists(&dir, name))
    return NULL;
  len = scratch_read(&dir, name, data, sizeof data);
  cfi_alloc_init(&alloc, NULL);
  ck_assert_msg(
      cfi_checkpoint_decode(&alloc, data, len, &c, &error) == CHANGEFEED_OK,
      "%s is damaged: %s: %.*s", name, error.pub.message, (int)len, data);
  seq = cft_strdup(c.seq != NULL ? c.seq : "0");
  cfi_checkpoint_free(&alloc, &c);
  return seq;
}

static cft_rows rows_since(const char *seq) {
  char address[URL_SIZE], *body = NULL;
  cft_rows rows = {.count = 0};

  (void)snprintf(address, sizeof address, "%s/_changes?since=%s", url, seq);
  ck_assert_int_eq(cft_http("GET", address, NULL, &body), 200);
  cft_rows_read(body, strlen(body), &rows);
  free(body);
  return rows;
}

/* Rows before `seq` and behind the position of the kill before were printed:
   what the database shows behind the old one and not behind the new one. */
static void check_not_ahead(const char *seq, int kill_number) {
  cft_rows before = rows_since(stored), behind = rows_since(seq);
  cft_revs *open = cft_revs_new();

  cft_revs_put_rows(open, &behind);
  for (size_t i = 0; i < before.count; i++) {
    char key[256];

    if (cft_revs_get(open, before.row[i].id, NULL) != NULL)
      continue;
    (void)snprintf(key, sizeof key, "%s %s", before.row[i].id,
                   before.row[i].rev);
    ck_assert_msg(cft_revs_get(ever, key, NULL) != NULL,
                  "kill %d: the position is %s, and %s was never printed",
                  kill_number, seq, key);
  }
  cft_revs_free(open);
  cft_rows_clear(&before);
  cft_rows_clear(&behind);
}

static void check_files(int kill_number) {
  char *now = position_in("position"), *older = position_in("position.prev");

  if (now == NULL) /* between two renames, on file systems without links */
    now = cft_strdup(older);
  ck_assert_msg(now != NULL || strcmp(stored, "0") == 0,
                "kill %d: the position is gone", kill_number);
  free(older);
  if (now == NULL)
    return;
  if (strcmp(now, stored) != 0) {
    seen.moved++;
    check_not_ahead(now, kill_number);
  }
  free(stored);
  stored = now;
}

static void kill_once(int kill_number, int notify) {
  run r = start_run();
  int status;

  live_for_a_while(&r, notify);
  check_alive(&r);
  ck_assert_int_eq(kill(r.pid, SIGKILL), 0);
  ck_assert_int_eq(waitpid(r.pid, &status, 0), r.pid);
  ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  if (take_output(&r) != 0)
    seen.after_rows++;
  check_files(kill_number);
}

/* The last run is left alone until it has all there is. */
static bool has_all(void *user) {
  char why[256];

  return cft_revs_equal(user, latest, why, sizeof why);
}

static void read_the_rest(cft_revs *want) {
  int64_t end = cft_now_ms() + LONG_MS;
  char why[256] = "";

  while (!has_all(want) && cft_now_ms() < end) {
    run r = start_run();
    int64_t until = cft_now_ms() + 1000;

    while (cft_now_ms() < until) {
      struct pollfd p = {.fd = r.out, .events = POLLIN};

      check_alive(&r);
      if (poll(&p, 1, 100) > 0)
        (void)read_some(&r);
    }
    ck_assert_int_eq(kill(r.pid, SIGTERM), 0);
    ck_assert_int_eq(waitpid(r.pid, NULL, 0), r.pid);
    (void)take_output(&r);
  }
  ck_assert_msg(cft_revs_equal(want, latest, why, sizeof why), "%s", why);
}

/* ---- the test ---- */

static uint64_t setting(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);

  return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static int kills_wanted(void) {
  /* A sanitizer sees as much in some, and takes long to start. */
  return (int)setting("CFT_KILLS", setting("CFT_INSTRUMENTED", 0) ? 40 : 200);
}

static void setup(void) {
  scratch_begin(&dir);
  couch = cft_couch_start(NULL);
  url = cft_couch_database(couch, "killed");
  latest = cft_revs_new();
  ever = cft_revs_new();
  stored = cft_strdup("0");
}

static void teardown(void) {
  cft_revs_free(latest);
  cft_revs_free(ever);
  free(stored);
  cft_couch_stop(couch);
  scratch_end(&dir);
}

START_TEST(test_command_killed_at_any_instant_has_printed_everything) {
  uint64_t seed = setting("CFT_SEED", 1);
  int kills = kills_wanted(), notify = watch_directory();
  int64_t start = cft_now_ms();
  cft_churn *churn;
  cft_revs *want;

  (void)printf("seed %llu, %d kills\n", (unsigned long long)seed, kills);
  cfi_random_init(&random_numbers, seed);
  churn = cft_churn_start(url, seed, 8);
  for (int i = 1; i <= kills; i++)
    kill_once(i, notify);
  want = cft_churn_stop(churn);
  read_the_rest(want);
  (void)printf("%zu documents, %zu lines; %zu kills in or by a save, %zu after "
               "rows, %zu with a position that had moved, %zu early; %d ms\n",
               cft_revs_count(want), lines_total, seen.in_save, seen.after_rows,
               seen.moved, seen.early, (int)(cft_now_ms() - start));
  ck_assert_uint_ge(seen.in_save, (size_t)kills / 10);
  ck_assert_uint_ge(seen.after_rows, (size_t)kills / 3);
  ck_assert_uint_ge(seen.moved, (size_t)kills / 4);
  cft_revs_free(want);
  (void)close(notify);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("command_kill");
  TCase *tests = tcase_create("command_kill");

  command = getenv("CFT_CHANGEFEED");
  if (command == NULL) {
    (void)printf("skipped: CFT_CHANGEFEED does not name the command\n");
    return 77;
  }
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests,
                 test_command_killed_at_any_instant_has_printed_everything);
  suite_add_tcase(suite, tests);
  return cft_run(suite);
}
