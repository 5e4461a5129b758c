/* Snapshots: what was saved is there again, whole, or not at all and told;
   a digest is that of a mirror of the same documents; and what is wrong with a
   file, or with the disk, leaves the old one as it is. */
#include "balancer/snapshot.h"

#include "support/mem.h"
#include "support/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define C1 "0123456789abcdef0123456789abcdef"

/* ---- a directory of its own ---- */

static char directory[256], path[300], beside[310];

static void make_directory(void) {
  const char *base = getenv("TMPDIR");

  (void)snprintf(directory, sizeof directory, "%s/snapshot-XXXXXX",
                 base != NULL ? base : "/tmp");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  (void)snprintf(path, sizeof path, "%s/routes", directory);
  (void)snprintf(beside, sizeof beside, "%s.new", path);
}

static void remove_directory(void) {
  (void)chmod(directory, 0700);
  (void)unlink(path);
  (void)unlink(beside);
  (void)rmdir(path);
  (void)rmdir(beside);
  ck_assert_msg(rmdir(directory) == 0, "%s: %s", directory, strerror(errno));
}

static text file_of(const char *name) {
  text out = TEXT_INIT;
  char buffer[65536];
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  ssize_t n;

  ck_assert_int_ge(fd, 0);
  while ((n = read(fd, buffer, sizeof buffer)) > 0)
    text_add(&out, buffer, (size_t)n);
  ck_assert_int_eq((int)n, 0);
  (void)close(fd);
  return out;
}

static void write_file(const char *name, const void *data, size_t len) {
  int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq((int)write(fd, data, len), (int)len);
  (void)close(fd);
}

/* ---- what is in it ---- */

static void name_app(char out[32], size_t i) {
  (void)snprintf(out, 32, "app-%06zu", i);
}

static route *make(size_t i) {
  route_doc d;
  route *r;

  memset(&d, 0, sizeof d);
  name_app(d.app, i);
  d.gen = (int64_t)(i * i);
  d.state = i % 5 == 0 ? ROUTE_STOPPED : ROUTE_LIVE;
  for (size_t n = i % 4; n != 0; n--)
    (void)snprintf(d.hosts[d.host_count++], sizeof d.hosts[0],
                   "h%zu.app-%zu.example", n, i);
  d.to_count = d.state == ROUTE_LIVE ? 1 + i % 2 : 0;
  for (size_t n = 0; n < d.to_count; n++) {
    (void)snprintf(d.to[n].addr, sizeof d.to[n].addr, "127.1.%zu.%zu:4000", n,
                   i % 256);
    (void)strcpy(d.to[n].claim, C1);
  }
  if (i % 7 == 0)
    (void)snprintf(d.msg, sizeof d.msg, "number %zu", i);
  r = route_make(&d);
  ck_assert_ptr_nonnull(r);
  return r;
}

static void name_rev(char out[REV_MOST + 1], size_t i, unsigned edit) {
  (void)snprintf(out, REV_MOST + 1, "%zu-%032zx", i % 20 + edit, i * 31337);
}

static snapshot *filled(size_t count) {
  snapshot *s = snapshot_new();
  char rev[REV_MOST + 1];

  ck_assert_ptr_nonnull(s);
  for (size_t i = 0; i < count; i++) {
    route *r = make(i);

    name_rev(rev, i, 1);
    ck_assert(snapshot_add(s, r, rev));
    free(r);
  }
  snapshot_set_about(s, 1234567890123 + (int64_t)count, "apps");
  return s;
}

static void check_filled(const snapshot *s, size_t count) {
  char rev[REV_MOST + 1], app[32];
  snapshot_entry e;

  ck_assert_uint_eq(snapshot_count(s), count);
  ck_assert_int_eq(snapshot_saved_ms(s), 1234567890123 + (int64_t)count);
  ck_assert_str_eq(snapshot_database(s), "apps");
  for (size_t i = 0; i < count; i++) {
    route *r = make(i);

    snapshot_at(s, i, &e);
    name_rev(rev, i, 1);
    ck_assert_uint_eq((uintptr_t)e.route % 8, 0);
    ck_assert_uint_eq(route_size(e.route), route_size(r));
    ck_assert_mem_eq(e.route, r, route_size(r));
    ck_assert_str_eq(e.rev, rev);
    name_app(app, i);
    memset(&e, 0, sizeof e);
    ck_assert(snapshot_find(s, app, &e));
    ck_assert_mem_eq(e.route, r, route_size(r));
    free(r);
  }
  ck_assert(!snapshot_find(s, "app", &e));
  ck_assert(!snapshot_find(s, "app-0000001", &e));
  ck_assert(!snapshot_find(s, "z", &e));
  ck_assert(!snapshot_find(s, "", &e));
}

static snapshot *load(void) {
  char error[512] = "";
  bool missing = true;
  snapshot *s = snapshot_load(path, &missing, error, sizeof error);

  ck_assert_msg(s != NULL, "%s", error);
  ck_assert(!missing);
  return s;
}

static void save(const snapshot *s) {
  char error[512] = "";

  ck_assert_msg(snapshot_save(s, path, error, sizeof error), "%s", error);
}

static void save_count(size_t count) {
  snapshot *s = filled(count);

  save(s);
  snapshot_free(s);
}

static void check_load(size_t count) {
  snapshot *s = load();

  check_filled(s, count);
  snapshot_free(s);
}

/* ---- there and back ---- */

START_TEST(test_snapshot_what_was_saved_is_there_again) {
  static const size_t counts[] = {0, 1, 2, 3, 100, 5000};
  snapshot *s, *again;
  struct stat st;
  text one, other;

  make_directory();
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    s = filled(counts[i]);
    check_filled(s, counts[i]); /* as it is, too */
    save(s);
    snapshot_free(s);
    one = file_of(path);
    again = load();
    check_filled(again, counts[i]);
    save(again); /* what was loaded can be saved */
    snapshot_free(again);
    other = file_of(path);
    ck_assert_uint_eq(one.len, other.len);
    ck_assert_mem_eq(one.data, other.data, one.len);
    text_free(&one);
    text_free(&other);
  }
  ck_assert_int_eq(stat(path, &st), 0);
  ck_assert_uint_eq(st.st_mode & 07777, 0600);
  remove_directory(); /* nothing else is in it */
}
END_TEST

START_TEST(test_snapshot_a_database_s_name_is_kept) {
  static const char *const names[] = {"", "a", "1234567", "12345678",
                                      "http://couch:5984/apps"};
  char longest[400], error[512];
  snapshot *s;

  make_directory();
  for (size_t i = 0; i < 6; i++) {
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    s = snapshot_new();
    snapshot_set_about(s, (int64_t)i, i < 5 ? names[i] : longest);
    ck_assert_msg(snapshot_save(s, path, error, sizeof error), "%s", error);
    snapshot_free(s);
    s = load();
    longest[SNAPSHOT_DATABASE_MOST] = '\0';
    ck_assert_str_eq(snapshot_database(s), i < 5 ? names[i] : longest);
    ck_assert_int_eq(snapshot_saved_ms(s), (int64_t)i);
    ck_assert_uint_eq(snapshot_count(s), 0);
    snapshot_free(s);
  }
  remove_directory();
}
END_TEST

static void refuse_add(size_t first, size_t second, const char *rev) {
  snapshot *s = filled(0);
  route *a = make(first), *b = make(second);
  char error[512] = "";

  ck_assert(snapshot_add(s, a, "1-a"));
  ck_assert(!snapshot_add(s, b, rev));
  ck_assert(!snapshot_add(s, b, "1-a"));
  ck_assert(!snapshot_save(s, path, error, sizeof error));
  ck_assert_ptr_nonnull(strstr(error, path));
  ck_assert_int_ne(access(path, F_OK), 0);
  snapshot_free(s);
  free(a);
  free(b);
}

START_TEST(test_snapshot_what_is_not_whole_is_not_saved) {
  char longest[REV_MOST + 2];

  make_directory();
  refuse_add(2, 1, "1-b");
  refuse_add(2, 2, "1-b");
  refuse_add(1, 2, "");
  memset(longest, '1', sizeof longest);
  longest[REV_MOST + 1] = '\0';
  refuse_add(1, 2, longest);
  remove_directory();
}
END_TEST

/* ---- digests ---- */

static void check_digest(const snapshot *s, const char *from, const char *to) {
  changefeed_digest want = {{0}}, got;
  uint64_t count = 0, got_count = 0;

  for (size_t i = 0; i < snapshot_count(s); i++) {
    char id[40] = "route:", rev[REV_MOST + 1];

    name_app(id + 6, i);
    name_rev(rev, i, 1);
    if ((from != NULL && strcmp(id, from) < 0) ||
        (to != NULL && strcmp(id, to) >= 0))
      continue;
    ck_assert_int_eq(
        changefeed_digest_add(&want, id, strlen(id), rev, strlen(rev)),
        CHANGEFEED_OK);
    count++;
  }
  memset(&got, 0xff, sizeof got);
  snapshot_digest(s, from, to, &got, &got_count);
  ck_assert_uint_eq(got_count, count);
  ck_assert_mem_eq(&got, &want, sizeof got);
}

START_TEST(test_snapshot_a_digest_is_that_of_the_documents) {
  snapshot *s = filled(300);

  check_digest(s, NULL, NULL);
  check_digest(s, "route:", "route;");
  check_digest(s, "route:app-000007", NULL);
  check_digest(s, NULL, "route:app-000007");
  check_digest(s, "route:app-000007", "route:app-000123");
  check_digest(s, "route:app-0000070", "route:app-000123x");
  check_digest(s, "route:app-000123", "route:app-000007");
  check_digest(s, "a", "z");
  check_digest(s, "s", "z");
  check_digest(s, "", "");
  snapshot_free(s);
  s = filled(0);
  check_digest(s, NULL, NULL);
  snapshot_free(s);
}
END_TEST

/* ---- files that are wrong ---- */

static void refuse(const char *name, const char *word) {
  char error[512] = "";
  bool missing = true;
  snapshot *s = snapshot_load(name, &missing, error, sizeof error);

  ck_assert_msg(s == NULL, "%s: taken", word);
  ck_assert(!missing);
  ck_assert_msg(strstr(error, name) != NULL && strstr(error, word) != NULL,
                "\"%s\" has no \"%s\"", error, word);
}

static void refuse_bytes(const void *data, size_t len, const char *word) {
  write_file(path, data, len);
  refuse(path, word);
}

START_TEST(test_snapshot_what_is_none_is_told) {
  char error[512], long_path[5000];
  bool missing = false;
  text whole;

  make_directory();
  ck_assert_ptr_null(snapshot_load(path, &missing, error, sizeof error));
  ck_assert(missing);
  refuse(directory, "not a file");
  ck_assert_int_eq(mkfifo(path, 0600), 0);
  refuse(path, "not a file");
  (void)unlink(path);
  refuse_bytes("", 0, "no snapshot");
  refuse_bytes("cfroutes", 8, "no snapshot");
  save_count(10);
  whole = file_of(path);
  whole.data[0] = 'C';
  refuse_bytes(whole.data, whole.len, "no snapshot");
  whole.data[0] = 'c';
  whole.data[8]++;
  refuse_bytes(whole.data, whole.len, "version");
  whole.data[8]--;
  text_add(&whole, "more8888", 8);
  refuse_bytes(whole.data, whole.len, "cut");
  text_cut(&whole, whole.len - 16);
  refuse_bytes(whole.data, whole.len, "cut");
  text_free(&whole);
  /* Sparse: it takes no room on the disk. */
  ck_assert_int_eq(truncate(path, (off_t)5 << 30), 0);
  refuse(path, "4 GiB");
  memset(long_path, 'x', sizeof long_path);
  long_path[sizeof long_path - 1] = '\0';
  ck_assert_ptr_null(snapshot_load(long_path, &missing, error, sizeof error));
  ck_assert(!missing);
  remove_directory();
}
END_TEST

START_TEST(test_snapshot_any_changed_byte_is_seen) {
  char error[512];
  text whole;
  snapshot *s;

  make_directory();
  save_count(cft_is_slow() ? 8 : 30);
  whole = file_of(path);
  for (size_t i = 0; i < whole.len; i++)
    for (unsigned bit = 0; bit < 8; bit++) {
      whole.data[i] = (char)((unsigned char)whole.data[i] ^ 1U << bit);
      s = snapshot_read(whole.data, whole.len, error, sizeof error);
      ck_assert_msg(s == NULL, "bit %u of byte %zu", bit, i);
      whole.data[i] = (char)((unsigned char)whole.data[i] ^ 1U << bit);
    }
  for (size_t len = 0; len < whole.len; len++) {
    char *copy = cft_memdup(whole.data, len);

    s = snapshot_read(copy, len, error, sizeof error);
    ck_assert_msg(s == NULL, "cut to %zu", len);
    free(copy);
  }
  s = snapshot_read(whole.data, whole.len, error, sizeof error);
  ck_assert_msg(s != NULL, "%s", error);
  snapshot_free(s);
  text_free(&whole);
  remove_directory();
}
END_TEST

/* ---- disks that are wrong ---- */

static void refuse_save(const char *name, const char *word) {
  snapshot *s = filled(3000);
  char error[512] = "";

  ck_assert(!snapshot_save(s, name, error, sizeof error));
  ck_assert_msg(strstr(error, word) != NULL, "\"%s\" has no \"%s\"", error,
                word);
  snapshot_free(s);
}

/* In a process of its own: check writes files, too. */
static void refuse_full_disk(void) {
  snapshot *s = filled(3000);
  struct rlimit small = {65536, 65536};
  char error[512] = "";
  int status;
  pid_t pid = fork();

  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &small) != 0)
      _exit(1);
    if (snapshot_save(s, path, error, sizeof error))
      _exit(2);
    _exit(strstr(error, strerror(EFBIG)) != NULL ? 0 : 3);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  snapshot_free(s);
}

START_TEST(test_snapshot_that_cannot_be_saved_leaves_the_old_one) {
  char name[400], long_path[5000];

  make_directory();
  save_count(7);
  refuse_full_disk();
  check_load(7);
  ck_assert_int_ne(access(beside, F_OK), 0); /* no half file stays */
  ck_assert_int_eq(mkdir(beside, 0700), 0);
  refuse_save(path, path);
  ck_assert_int_eq(rmdir(beside), 0);
  check_load(7);
  (void)snprintf(name, sizeof name, "%s/none/routes", directory);
  refuse_save(name, strerror(ENOENT));
  (void)snprintf(name, sizeof name, "%s/routes/x", directory);
  refuse_save(name, strerror(ENOTDIR));
  refuse_save(directory, strerror(EISDIR));
  (void)snprintf(name, sizeof name, "%s.new", directory);
  ck_assert_int_ne(access(name, F_OK), 0);
  memset(long_path, 'x', sizeof long_path);
  long_path[sizeof long_path - 1] = '\0';
  refuse_save(long_path, "cannot be saved");
  check_load(7);
  remove_directory();
}
END_TEST

START_TEST(test_snapshot_what_was_left_half_written_is_no_hindrance) {
  int fd;

  make_directory();
  save_count(3);
  write_file(beside, "half", 4);
  save_count(4);
  check_load(4);
  ck_assert_int_ne(access(beside, F_OK), 0);
  /* Where somebody is writing it, it is his. */
  write_file(beside, "half", 4);
  fd = open(beside, O_RDONLY | O_CLOEXEC);
  ck_assert_int_eq(flock(fd, LOCK_EX), 0);
  refuse_save(path, "another balancer");
  (void)close(fd);
  check_load(4);
  save_count(5);
  check_load(5);
  remove_directory();
}
END_TEST

/* Without a slash in it, the directory is the one we are in. */
START_TEST(test_snapshot_a_name_alone_is_a_file_here) {
  char error[512], cwd[4096];
  snapshot *s = filled(2);

  make_directory();
  ck_assert_ptr_nonnull(getcwd(cwd, sizeof cwd));
  ck_assert_int_eq(chdir(directory), 0);
  ck_assert_msg(snapshot_save(s, "routes", error, sizeof error), "%s", error);
  ck_assert_int_eq(chdir(cwd), 0);
  snapshot_free(s);
  check_load(2);
  remove_directory();
}
END_TEST

/* A process that is killed while it saves, again and again: what is there is
   always one of the two, whole. */
START_TEST(test_snapshot_a_kill_leaves_the_old_one_or_the_new_one) {
  enum { ROUNDS = 20, MANY = 1500 };
  snapshot *many = filled(MANY), *few = filled(MANY - 1), *s;
  bool seen[2] = {false, false};

  make_directory();
  save_count(MANY);
  for (int round = 0; round < ROUNDS; round++) {
    char error[512];
    int go[2], status;
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(go), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
      (void)snapshot_save(few, path, error, sizeof error);
      (void)write(go[1], "x", 1);
      for (;;) {
        (void)snapshot_save(many, path, error, sizeof error);
        (void)snapshot_save(few, path, error, sizeof error);
      }
    }
    ck_assert_int_eq((int)read(go[0], &byte, 1), 1);
    (void)usleep((useconds_t)(round * 397)); /* somewhere in it */
    (void)kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    (void)close(go[0]);
    (void)close(go[1]);
    s = load();
    seen[snapshot_count(s) == MANY] = true;
    check_filled(s, snapshot_count(s) == MANY ? MANY : MANY - 1);
    snapshot_free(s);
  }
  ck_assert(seen[0] || seen[1]);
  save(few);
  check_load(MANY - 1);
  snapshot_free(few);
  snapshot_free(many);
  remove_directory();
}
END_TEST

/* Two balancers were given one file: it is always one of theirs, whole. */
static void save_on(const snapshot *s, int rounds) {
  char error[512];

  for (int i = 0; i < rounds; i++)
    if (!snapshot_save(s, path, error, sizeof error) &&
        strstr(error, "another balancer") == NULL &&
        strstr(error, strerror(ENOENT)) == NULL) {
      (void)fprintf(stderr, "%s\n", error);
      _exit(1);
    }
  _exit(0);
}

START_TEST(test_snapshot_of_two_that_save_each_is_whole) {
  enum { SAVERS = 3, ROUNDS = 60, COUNT = 400 };
  snapshot *s[SAVERS], *loaded;
  pid_t pids[SAVERS];
  int status, running = SAVERS;

  make_directory();
  save_count(COUNT);
  for (size_t i = 0; i < SAVERS; i++) {
    s[i] = filled(COUNT + i);
    pids[i] = fork();
    ck_assert_int_ge(pids[i], 0);
    if (pids[i] == 0)
      save_on(s[i], ROUNDS);
  }
  while (running != 0) {
    loaded = load();
    check_filled(loaded, snapshot_count(loaded));
    ck_assert_uint_ge(snapshot_count(loaded), COUNT);
    snapshot_free(loaded);
    for (size_t i = 0; i < SAVERS; i++)
      if (pids[i] != 0 && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
        pids[i] = 0;
        running--;
        ck_assert_int_eq(status, 0);
      }
  }
  for (size_t i = 0; i < SAVERS; i++)
    snapshot_free(s[i]);
  save_count(1);
  check_load(1);
  remove_directory();
}
END_TEST

int main(void) {
  Suite *s = suite_create("balancer_snapshot");
  TCase *t = tcase_create("balancer_snapshot");

  tcase_add_test(t, test_snapshot_what_was_saved_is_there_again);
  tcase_add_test(t, test_snapshot_a_database_s_name_is_kept);
  tcase_add_test(t, test_snapshot_what_is_not_whole_is_not_saved);
  tcase_add_test(t, test_snapshot_a_digest_is_that_of_the_documents);
  tcase_add_test(t, test_snapshot_what_is_none_is_told);
  tcase_add_test(t, test_snapshot_any_changed_byte_is_seen);
  tcase_add_test(t, test_snapshot_that_cannot_be_saved_leaves_the_old_one);
  tcase_add_test(t, test_snapshot_what_was_left_half_written_is_no_hindrance);
  tcase_add_test(t, test_snapshot_a_name_alone_is_a_file_here);
  tcase_add_test(t, test_snapshot_a_kill_leaves_the_old_one_or_the_new_one);
  tcase_add_test(t, test_snapshot_of_two_that_save_each_is_whole);
  suite_add_tcase(s, t);
  return cft_run(s);
}
