/* The snapshot: a balancer that begins with the database away serves what was
   served; what the database has meanwhile lost or changed counts as with any
   other reading.

   ctest: LABEL threads */
#include "balancer/snapshot.h"
#include "platform/support/follow_world.h"

#include <sys/stat.h>

static void with_file(follower *f, char path[128]) {
  (void)snprintf(path, 128, "%s/0", f->world->dir);
  f->config.snapshot = path;
  f->config.snapshot_ms = 100;
}

static follower *saved(follow_world *w, char path[128]) {
  follower *f;

  follow_world_open(w);
  follow_put_route(w, "a", 5);
  follow_put_route(w, "b", 5);
  follow_put_route(w, "c", 5);
  f = follower_new(w, 0);
  with_file(f, path);
  follower_open(f);
  FOLLOW_AWAIT(w, f->replaced == 1);
  follower_close(f);
  f->replaced = 0;
  return f;
}

START_TEST(test_follow_a_cold_start_without_a_database_serves) {
  follow_world w;
  char path[128];
  follower *f = saved(&w, path);
  changefeed_digest listed, half;
  uint64_t count;
  follow_status s;

  listed = follow_listed(&w, &count);
  cft_couchsim_tell(w.sim, "node", "%s", "{\"node\":0,\"up\":false}");
  follower_open(f); /* nothing has run yet */
  ck_assert(table_is_ready(f->table));
  ck_assert_int_eq(follow_served(f, "a"), 5);
  ck_assert_int_eq(follow_served(f, "x"), -1);
  s = follow_now(f);
  ck_assert_int_eq(s.source, FOLLOW_SNAPSHOT);
  ck_assert_uint_eq(s.routes, 3);
  ck_assert_mem_eq(&s.digest, &listed, sizeof listed);
  ck_assert_int_ge(s.snapshot_age_ms, 0);
  ck_assert(!s.synced);
  follow_digest(f->follow, "b", "c", &half, &count);
  ck_assert_uint_eq(count, 1);
  follow_world_for(&w, 700);
  ck_assert_int_eq(follow_served(f, "b"), 5);
  ck_assert_str_ne(follow_now(f).trouble, "");
  cft_couchsim_tell(w.sim, "node", "%s", "{\"node\":0,\"up\":true}");
  follow_put_route(&w, "a", 6);
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 6);
  ck_assert_int_eq(f->replaced, 1);
  ck_assert_int_eq(follow_now(f).source, FOLLOW_DATABASE);
  FOLLOW_AWAIT(&w, follow_is_listed(f));
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_a_snapshot_is_no_proof_and_no_disproof) {
  follow_world w;
  char path[128];
  follower *f = saved(&w, path);

  follow_delete(&w, "route:a");
  follow_put_route(&w, "b", 4); /* a gen that goes back */
  follow_put(&w, "route:c", "\"app\":7");
  follow_put_route(&w, "d", 1);
  follower_open(f);
  ck_assert_int_eq(follow_served(f, "d"), -1);
  FOLLOW_AWAIT(&w, follow_served(f, "d") == 1);
  ck_assert_int_eq(follow_served(f, "a"), 5);
  ck_assert_int_eq(follow_served(f, "b"), 5);
  ck_assert_int_eq(follow_served(f, "c"), 5);
  ck_assert_uint_eq(follow_now(f).unproven, 1);
  ck_assert_uint_eq(follow_now(f).older, 1);
  ck_assert_uint_eq(follow_now(f).unreadable, 1);
  ck_assert_uint_eq(follow_now(f).routes, 4);
  FOLLOW_AWAIT(&w, follow_served(f, "a") == -1);
  FOLLOW_AWAIT(&w, follow_served(f, "b") == 4);
  ck_assert_int_eq(follow_served(f, "c"), 5);
  follower_close(f); /* and what could not be read outlives this, too */
  follower_open(f);
  ck_assert_int_eq(follow_served(f, "c"), 5);
  FOLLOW_AWAIT(&w, follow_now(f).synced);
  ck_assert_int_eq(follow_served(f, "c"), 5);
  ck_assert_uint_eq(follow_now(f).unreadable, 1);
  follow_put_route(&w, "c", 6);
  FOLLOW_AWAIT(&w, follow_served(f, "c") == 6);
  FOLLOW_AWAIT(&w, follow_is_listed(f));
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_saves_what_has_changed) {
  follow_world w;
  char path[128], error[256];
  follower *f = saved(&w, path);
  struct stat before, after;
  snapshot_entry entry;
  snapshot *s;
  bool missing;

  follower_open(f);
  FOLLOW_AWAIT(&w, follow_now(f).synced);
  follow_put_route(&w, "b", 8);
  FOLLOW_AWAIT(&w, follow_served(f, "b") == 8);
  do { /* saved on another thread */
    follow_world_for(&w, 50);
    s = snapshot_load(path, &missing, error, sizeof error);
    ck_assert_msg(s != NULL, "%s", error);
    ck_assert(snapshot_find(s, "b", &entry));
    ck_assert_str_eq(snapshot_database(s), "apps");
    error[0] = route_gen(entry.route) == 8;
    snapshot_free(s);
  } while (!error[0]);
  follow_world_for(&w, 600);
  ck_assert_int_eq(stat(path, &before), 0);
  follow_world_for(&w, 600); /* nothing changes */
  ck_assert_int_eq(stat(path, &after), 0);
  ck_assert_uint_eq(before.st_ino, after.st_ino);
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_a_bad_file_is_told_and_passed_over) {
  follow_world w;
  char path[128];
  follower *f = saved(&w, path);
  FILE *file = fopen(path, "r+");

  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fseek(file, 40, SEEK_SET), 0);
  ck_assert_int_ge(fputs("nonsense", file), 0);
  ck_assert_int_eq(fclose(file), 0);
  follower_open(f);
  ck_assert(!table_is_ready(f->table));
  ck_assert_int_eq(follow_now(f).source, FOLLOW_NOTHING);
  ck_assert_ptr_nonnull(strstr(follow_now(f).trouble, path));
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 5);
  FOLLOW_AWAIT(&w, follow_now(f).trouble[0] == '\0'); /* it was saved again */
  follower_close(f);
  follower_open(f);
  ck_assert(table_is_ready(f->table));
  follower_close(f);
  f->config.apps = "other"; /* that file is of apps */
  follower_open(f);
  ck_assert(!table_is_ready(f->table));
  ck_assert_ptr_nonnull(strstr(follow_now(f).trouble, "another database"));
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_a_file_that_cannot_be_written_stops_nothing) {
  follow_world w;
  follower *f;

  follow_world_open(&w);
  follow_put_route(&w, "a", 1);
  f = follower_new(&w, 0);
  f->config.snapshot = "/proc/no/such/place";
  f->config.snapshot_ms = 100;
  follower_open(f);
  FOLLOW_AWAIT(&w, follow_now(f).trouble[0] != '\0');
  ck_assert_ptr_nonnull(strstr(follow_now(f).trouble, "/proc/no/such/place"));
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 1);
  follow_put_route(&w, "a", 2);
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 2);
  follow_world_close(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_follow_snapshot");
  TCase *c = tcase_create("snapshot");

  tcase_add_test(c, test_follow_a_cold_start_without_a_database_serves);
  tcase_add_test(c, test_follow_a_snapshot_is_no_proof_and_no_disproof);
  tcase_add_test(c, test_follow_saves_what_has_changed);
  tcase_add_test(c, test_follow_a_bad_file_is_told_and_passed_over);
  tcase_add_test(c, test_follow_a_file_that_cannot_be_written_stops_nothing);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
