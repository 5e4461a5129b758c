/*
 * The drone's claim: its rules, its file through every damage and every failure
 * of the disk, and the lock that keeps a second drone out.
 */
#include "drone/drone_claim.h"
#include "drone/drone_wipe.h"
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADDR "127.0.0.1:8000"
#define CTL "127.0.0.1:8001"
#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char scratch[64];
static drone_store *store;
static drone_claim *claim;
static char error[256];

static void open_again(int expected) {
  drone_record last;

  drone_claim_free(claim);
  drone_store_close(store);
  store = drone_store_open(scratch, error, sizeof error);
  ck_assert_msg(store != NULL, "%s", error);
  ck_assert_int_eq(drone_store_load(store, &last, error, sizeof error),
                   expected);
  claim = drone_claim_open(store, &last, ADDR, CTL, error, sizeof error);
  ck_assert_msg(claim != NULL, "%s", error);
}

static void setup(void) {
  (void)snprintf(scratch, sizeof scratch, "/tmp/drone-claim-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(scratch));
  store = NULL;
  claim = NULL;
  open_again(DRONE_NEW);
}

static void teardown(void) {
  drone_claim_free(claim);
  drone_store_close(store);
  ck_assert_int_eq(drone_wipe_tree(AT_FDCWD, scratch), 0);
}

static const drone_record *now(void) { return drone_claim_record(claim); }

static drone_bound bound_of(const char *id, const char *app, int64_t epoch) {
  drone_bound b;

  memset(&b, 0, sizeof b);
  (void)snprintf(b.id, sizeof b.id, "%s", id);
  (void)snprintf(b.app, sizeof b.app, "%s", app);
  b.gen = 7;
  b.epoch = epoch;
  b.at = 1700000000000;
  return b;
}

static enum drone_said bind_it(const char *id, int64_t epoch) {
  drone_bound b = bound_of(id, "shop", epoch);

  return drone_claim_bind(claim, now()->vm, &b);
}

static size_t slurp_claim(char *out, size_t size) {
  int fd = openat(drone_store_fd(store), "claim", O_RDONLY);
  ssize_t n;

  ck_assert_int_ge(fd, 0);
  n = read(fd, out, size);
  ck_assert_int_gt(n, 0);
  ck_assert_int_eq(close(fd), 0);
  return (size_t)n;
}

START_TEST(test_claim_first_bind_wins_and_outlives_the_drone) {
  char vm[CLAIM_LEN + 1];

  memcpy(vm, now()->vm, sizeof vm);
  ck_assert_int_eq(bind_it(ID_A, 1), DRONE_YES);
  ck_assert_int_eq(bind_it(ID_B, 2), DRONE_CLAIMED);
  open_again(DRONE_FOUND);
  ck_assert_str_eq(now()->vm, vm);
  ck_assert(drone_claim_holds(claim, ID_A));
  ck_assert_str_eq(now()->claim.app, "shop");
  ck_assert_int_eq(now()->claim.gen, 7);
  ck_assert_int_eq(bind_it(ID_B, 2), DRONE_CLAIMED);
}
END_TEST

START_TEST(test_claim_same_bind_is_the_same_answer) {
  drone_bound other = bound_of(ID_A, "blog", 1);

  ck_assert_int_eq(bind_it(ID_A, 1), DRONE_YES);
  ck_assert_int_eq(bind_it(ID_A, 1), DRONE_YES);
  ck_assert_int_eq(drone_claim_bind(claim, now()->vm, &other), DRONE_CLAIMED);
  ck_assert_int_eq(bind_it(ID_A, 2), DRONE_CLAIMED);
}
END_TEST

START_TEST(test_claim_fence_keeps_late_binds_out) {
  ck_assert_int_eq(drone_claim_fence(claim, now()->vm, 5), DRONE_YES);
  ck_assert_int_eq(drone_claim_fence(claim, now()->vm, 3), DRONE_YES);
  ck_assert_int_eq(now()->fence, 5);
  open_again(DRONE_FOUND);
  ck_assert_int_eq(bind_it(ID_A, 5), DRONE_FENCED);
  ck_assert_int_eq(bind_it(ID_A, 6), DRONE_YES);
  ck_assert_int_eq(drone_claim_fence(claim, now()->vm, 9), DRONE_CLAIMED);
  ck_assert_int_eq(now()->fence, 5);
}
END_TEST

START_TEST(test_claim_of_another_life_is_refused) {
  drone_bound b = bound_of(ID_A, "shop", 1);

  ck_assert_int_eq(drone_claim_bind(claim, ID_B, &b), DRONE_VM);
  ck_assert_int_eq(drone_claim_fence(claim, ID_B, 1), DRONE_VM);
  ck_assert(!now()->held);
}
END_TEST

START_TEST(test_claim_unbound_is_never_bound_again) {
  ck_assert_int_eq(bind_it(ID_A, 4), DRONE_YES);
  ck_assert_int_eq(drone_claim_unbind(claim, ID_B, 4), DRONE_CLAIMED);
  /* even when the caller names an older epoch */
  ck_assert_int_eq(drone_claim_unbind(claim, ID_A, 1), DRONE_YES);
  ck_assert(!now()->held);
  ck_assert_int_eq(bind_it(ID_A, 4), DRONE_FENCED);
  /* and a bind that comes after the unbind of what was never there */
  ck_assert_int_eq(drone_claim_unbind(claim, ID_B, 8), DRONE_YES);
  open_again(DRONE_FOUND);
  ck_assert_int_eq(bind_it(ID_B, 8), DRONE_FENCED);
  ck_assert_int_eq(bind_it(ID_B, 9), DRONE_YES);
}
END_TEST

START_TEST(test_claim_start_is_durable_and_one_only) {
  json_t *env = json_pack("{s:s, s:s}", "A", "1", "B", "\xc3\xa9 \"x\"\n");
  json_t *other = json_pack("{s:s}", "A", "2");
  bool already;

  ck_assert_int_eq(drone_claim_start(claim, ID_A, "run", env, 0, &already),
                   DRONE_UNHELD);
  ck_assert_int_eq(bind_it(ID_A, 1), DRONE_YES);
  ck_assert_int_eq(drone_claim_start(claim, ID_A, "run", env, 64, &already),
                   DRONE_YES);
  ck_assert(!already);
  open_again(DRONE_FOUND);
  ck_assert_str_eq(now()->command, "run");
  ck_assert(json_equal(now()->env, env));
  ck_assert_int_eq(drone_claim_start(claim, ID_A, "run", env, 64, &already),
                   DRONE_YES);
  ck_assert(already);
  ck_assert_int_eq(drone_claim_start(claim, ID_A, "run", other, 64, &already),
                   DRONE_COMMAND);
  ck_assert_int_eq(drone_claim_start(claim, ID_A, "ran", env, 64, &already),
                   DRONE_COMMAND);
  ck_assert_int_eq(drone_claim_start(claim, ID_A, "run", NULL, 64, &already),
                   DRONE_COMMAND);
  ck_assert_int_eq(drone_claim_unbind(claim, ID_A, 1), DRONE_YES);
  ck_assert_ptr_null(now()->command);
  json_decref(env);
  json_decref(other);
}
END_TEST

START_TEST(test_claim_lost_file_is_a_new_life) {
  char vm[CLAIM_LEN + 1];

  ck_assert_int_eq(bind_it(ID_A, 3), DRONE_YES);
  memcpy(vm, now()->vm, sizeof vm);
  ck_assert_int_eq(unlinkat(drone_store_fd(store), "claim", 0), 0);
  open_again(DRONE_NEW);
  ck_assert_str_ne(now()->vm, vm);
  ck_assert(!now()->held);
  ck_assert_int_eq(now()->fence, 0);
}
END_TEST

/* Every byte changed, every cut, every byte doubled: never another claim. */
START_TEST(test_claim_any_damage_is_seen) {
  json_t *env = json_pack("{s:s}", "KEY", "value");
  char good[4096], bad[4097];
  drone_record r;
  const char *why;
  bool already;
  size_t len, i;
  int bit;

  ck_assert_int_eq(bind_it(ID_A, 3), DRONE_YES);
  ck_assert_int_eq(drone_claim_start(claim, ID_A, "run", env, 0, &already),
                   DRONE_YES);
  json_decref(env);
  len = slurp_claim(good, sizeof good);
  ck_assert(drone_record_decode(&r, good, len, &why));
  drone_record_clear(&r);
  for (i = 0; i < len; i++) {
    for (bit = 0; bit < 8; bit++) {
      memcpy(bad, good, len);
      bad[i] = (char)(bad[i] ^ (1 << bit));
      ck_assert_msg(!drone_record_decode(&r, bad, len, &why),
                    "byte %zu, bit %d", i, bit);
    }
    ck_assert_msg(!drone_record_decode(&r, good, i, &why), "cut at %zu", i);
    memcpy(bad, good, i);
    bad[i] = good[i];
    memcpy(bad + i + 1, good + i, len - i);
    ck_assert_msg(!drone_record_decode(&r, bad, len + 1, &why), "doubled %zu",
                  i);
  }
}
END_TEST

START_TEST(test_claim_damaged_file_is_kept_aside_and_a_new_life_begins) {
  int fd;

  ck_assert_int_eq(bind_it(ID_A, 3), DRONE_YES);
  fd = openat(drone_store_fd(store), "claim", O_WRONLY);
  ck_assert_int_eq(ftruncate(fd, 20), 0);
  ck_assert_int_eq(close(fd), 0);
  open_again(DRONE_DAMAGED);
  ck_assert(!now()->held);
  ck_assert_int_eq(faccessat(drone_store_fd(store), "claim.damaged", F_OK, 0),
                   0);
  ck_assert_int_eq(bind_it(ID_B, 1), DRONE_YES);
}
END_TEST

START_TEST(test_claim_directory_in_place_of_the_file_is_damage) {
  ck_assert_int_eq(unlinkat(drone_store_fd(store), "claim", 0), 0);
  ck_assert_int_eq(mkdirat(drone_store_fd(store), "claim", 0700), 0);
  open_again(DRONE_DAMAGED);
  ck_assert_int_eq(bind_it(ID_B, 1), DRONE_YES);
}
END_TEST

/* A checksum that is right does not make nonsense a record. */
START_TEST(test_claim_nonsense_with_a_right_checksum_is_refused) {
  static const char *const bodies[] = {
      "[]",
      "{}",
      "{\"vm\":\"x\",\"addr\":\"a\",\"ctl\":\"c\",\"fence\":0}",
      "{\"vm\":\"" ID_A "\",\"addr\":\"a\",\"ctl\":\"c\",\"fence\":-1}",
      "{\"vm\":\"" ID_A "\",\"addr\":\"a\",\"ctl\":\"c\",\"fence\":\"0\"}",
      "{\"vm\":\"" ID_A
      "\",\"addr\":\"a\",\"ctl\":\"c\",\"fence\":0,\"start\":{}}",
      "{\"vm\":\"" ID_A
      "\",\"addr\":\"a\",\"ctl\":\"c\",\"fence\":0,\"claim\":null}",
      "{\"vm\":\"" ID_A
      "\",\"addr\":\"a\",\"ctl\":\"c\",\"fence\":0,\"claim\":{\"id\":\"" ID_A
      "\",\"app\":\"UPPER\",\"gen\":1,\"epoch\":1,\"at\":1}}",
      "{\"vm\":\"" ID_A "\",\"vm\":\"" ID_A
      "\",\"addr\":\"a\",\"ctl\":\"c\",\"fence\":0}"};
  size_t i;

  for (i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    text t = TEXT_INIT;
    drone_record r;
    const char *why;

    text_printf(&t, "drone-claim 1 %zu %08x\n%s\n", strlen(bodies[i]),
                drone_crc(bodies[i], strlen(bodies[i])), bodies[i]);
    ck_assert_msg(!drone_record_decode(&r, t.data, t.len, &why), "%s",
                  bodies[i]);
    text_free(&t);
  }
}
END_TEST

START_TEST(test_claim_second_drone_on_a_directory_is_refused) {
  ck_assert_ptr_null(drone_store_open(scratch, error, sizeof error));
  ck_assert_ptr_nonnull(strstr(error, "in use by another drone"));
}
END_TEST

/* The file grows with the app's name and does not fit any more: a disk that is
   full in earnest, not in play. */
START_TEST(test_claim_full_disk_holds_nothing) {
  struct rlimit small = {64, RLIM_INFINITY}, large;

  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &large), 0);
  ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
  ck_assert_int_eq(bind_it(ID_A, 3), DRONE_DISK);
  ck_assert_int_eq(drone_claim_errno(claim), EFBIG);
  ck_assert(!now()->held);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &large), 0);
  open_again(DRONE_FOUND);
  ck_assert(!now()->held);
  ck_assert_int_eq(bind_it(ID_B, 3), DRONE_YES);
}
END_TEST

START_TEST(test_claim_directory_taken_away_is_an_error) {
  ck_assert_int_eq(drone_wipe_tree(AT_FDCWD, scratch), 0);
  ck_assert_int_eq(bind_it(ID_A, 3), DRONE_DISK);
  ck_assert(!now()->held);
  ck_assert_int_eq(mkdir(scratch, 0700), 0);
}
END_TEST

/* Deeper than a path can be long, without rights, with links that lead out. */
START_TEST(test_wipe_takes_everything_and_nothing_outside) {
  static const char deep[] = "a directory with a name that is long enough";
  int top, at, i;

  ck_assert_int_eq(mkdirat(drone_store_fd(store), "run", 0700), 0);
  top = openat(drone_store_fd(store), "run", O_RDONLY | O_DIRECTORY);
  ck_assert_int_eq(symlinkat("../claim", top, "link"), 0);
  ck_assert_int_eq(symlinkat("..", top, "up"), 0);
  ck_assert_int_eq(mkdirat(top, "kept", 0700), 0);
  at = dup(top);
  for (i = 0; i < 300; i++) {
    int next;

    ck_assert_int_eq(mkdirat(at, deep, 0700), 0);
    next = openat(at, deep, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(next, 0);
    ck_assert_int_eq(close(at), 0);
    at = next;
    if (i % 30 == 0) {
      int file = openat(at, "file", O_WRONLY | O_CREAT, 0);

      ck_assert_int_eq(close(file), 0);
    }
  }
  ck_assert_int_eq(fchmod(at, 0), 0);
  ck_assert_int_eq(close(at), 0);
  ck_assert_int_eq(drone_wipe(drone_store_fd(store), "run", "kept"), 0);
  ck_assert_int_eq(faccessat(top, "kept", F_OK, 0), 0);
  ck_assert_int_ne(faccessat(top, "link", F_OK, AT_SYMLINK_NOFOLLOW), 0);
  ck_assert_int_eq(drone_wipe(drone_store_fd(store), "run", NULL), 0);
  ck_assert_int_eq(drone_wipe_tree(drone_store_fd(store), "run"), 0);
  ck_assert_int_eq(close(top), 0);
  ck_assert_int_eq(faccessat(drone_store_fd(store), "claim", F_OK, 0), 0);
}
END_TEST

int main(void) {
  Suite *s = suite_create("drone_claim");
  TCase *t = tcase_create("claim");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_claim_first_bind_wins_and_outlives_the_drone);
  tcase_add_test(t, test_claim_same_bind_is_the_same_answer);
  tcase_add_test(t, test_claim_fence_keeps_late_binds_out);
  tcase_add_test(t, test_claim_of_another_life_is_refused);
  tcase_add_test(t, test_claim_unbound_is_never_bound_again);
  tcase_add_test(t, test_claim_start_is_durable_and_one_only);
  tcase_add_test(t, test_claim_lost_file_is_a_new_life);
  tcase_add_test(t, test_claim_any_damage_is_seen);
  tcase_add_test(t,
                 test_claim_damaged_file_is_kept_aside_and_a_new_life_begins);
  tcase_add_test(t, test_claim_directory_in_place_of_the_file_is_damage);
  tcase_add_test(t, test_claim_nonsense_with_a_right_checksum_is_refused);
  tcase_add_test(t, test_claim_second_drone_on_a_directory_is_refused);
  tcase_add_test(t, test_claim_full_disk_holds_nothing);
  tcase_add_test(t, test_claim_directory_taken_away_is_an_error);
  tcase_add_test(t, test_wipe_takes_everything_and_nothing_outside);
  suite_add_tcase(s, t);
  return cft_run(s);
}
