/* Following a database that loses what it had: another history, a backup, an
   empty one, rights that are gone. What is served stays until two readings said
   otherwise; gens do not go back before.

   ctest: LABEL threads
   ctest: COST 43 */
#include "platform/support/follow_world.h"

/* Databases are told apart by the second they were made in. */
static void another_second(follow_world *w) { follow_world_for(w, 1100); }

static void recreate(follow_world *w) {
  another_second(w);
  cft_couchsim_tell(w->sim, "recreate", "%s", "{\"db\":\"apps\"}");
}

static follower *follow_some(follow_world *w) {
  follower *f;

  follow_world_open(w);
  follow_put_route(w, "a", 5);
  follow_put_route(w, "b", 5);
  follow_put_route(w, "c", 5);
  f = follower_new(w, 0);
  follower_open(f);
  FOLLOW_AWAIT(w, f->replaced == 1);
  return f;
}

START_TEST(test_follow_an_empty_database_loses_nothing_at_once) {
  follow_world w;
  follower *f = follow_some(&w);
  int64_t emptied;

  recreate(&w);
  FOLLOW_AWAIT(&w, follow_now(f).unproven == 3);
  emptied = follow_world_now();
  ck_assert_uint_eq(follow_now(f).resets, 1);
  ck_assert_int_eq(follow_served(f, "a"), 5);
  ck_assert_uint_eq(follow_now(f).routes, 3);
  ck_assert_int_eq(f->gone, 0);
  ck_assert(!follow_is_listed(f)); /* and that is told */
  ck_assert_str_ne(follow_now(f).trouble, "");
  /* A second reading right behind the first is none. */
  FOLLOW_AWAIT(&w, follow_audit(f->follow));
  FOLLOW_AWAIT(&w, follow_now(f).audits == 1);
  ck_assert_int_eq(f->gone, 0);
  ck_assert_uint_eq(follow_now(f).unproven, 3);
  follow_put_route(&w, "b", 6); /* comes back, newer */
  FOLLOW_AWAIT(&w, follow_served(f, "b") == 6);
  ck_assert_uint_eq(follow_now(f).unproven, 2);
  ck_assert_int_eq(follow_served(f, "a"), 5);
  ck_assert(follow_is_listed(f) == false);
  FOLLOW_AWAIT(&w, follow_served(f, "a") == -1);
  ck_assert_int_ge(follow_world_now() - emptied, f->config.proof_ms);
  ck_assert_int_eq(follow_served(f, "c"), -1);
  ck_assert_int_eq(follow_served(f, "b"), 6);
  ck_assert_int_eq(f->gone, 2);
  ck_assert_uint_eq(follow_now(f).unproven, 0);
  ck_assert(follow_is_listed(f));
  ck_assert_uint_eq(follow_now(f).repairs, 0);
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_what_comes_back_in_time_was_never_away) {
  follow_world w;
  follower *f = follow_some(&w);

  recreate(&w);
  FOLLOW_AWAIT(&w, follow_now(f).unproven == 3);
  follow_put_route(&w, "a", 5);
  follow_put_route(&w, "b", 5);
  follow_put_route(&w, "c", 5);
  FOLLOW_AWAIT(&w, follow_now(f).unproven == 0);
  FOLLOW_AWAIT(&w, follow_is_listed(f));
  ck_assert_int_eq(f->gone, 0);
  follow_delete(&w, "route:a"); /* of the new history: at once */
  FOLLOW_AWAIT(&w, follow_served(f, "a") == -1);
  ck_assert_uint_eq(follow_now(f).unproven, 0);
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_a_gen_goes_back_only_when_it_was_read_twice) {
  follow_world w;
  follower *f = follow_some(&w);
  int64_t older;

  recreate(&w);
  FOLLOW_AWAIT(&w, follow_now(f).unproven == 3);
  follow_put_route(&w, "a", 3);
  follow_put_route(&w, "b", 3);
  follow_put_route(&w, "c", 5);
  FOLLOW_AWAIT(&w, follow_now(f).older == 2);
  older = follow_world_now();
  ck_assert_uint_eq(follow_now(f).unproven, 0);
  ck_assert_uint_eq(follow_now(f).routes, 3);
  ck_assert_int_eq(follow_served(f, "a"), 5);
  ck_assert(!follow_is_listed(f));
  follow_put_route(&w, "b", 9); /* goes on */
  FOLLOW_AWAIT(&w, follow_served(f, "b") == 9);
  ck_assert_int_eq(follow_served(f, "a"), 5);
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 3);
  ck_assert_int_ge(follow_world_now() - older, f->config.proof_ms - 100);
  ck_assert_uint_eq(follow_now(f).older, 0);
  ck_assert(follow_is_listed(f));
  ck_assert_int_eq(f->gone, 0);
  follow_world_close(&w);
}
END_TEST

/* The same identity, older data: no reset is told. */
START_TEST(test_follow_a_backup_is_believed_when_it_was_read_twice) {
  follow_world w;
  follower *f;

  follow_world_open(&w);
  follow_put_route(&w, "a", 3);
  cft_couchsim_tell(w.sim, "snapshot", "%s",
                    "{\"name\":\"s\",\"db\":\"apps\"}");
  follow_put_route(&w, "a", 5);
  follow_put_route(&w, "late", 1);
  f = follower_new(&w, 0);
  follower_open(f);
  FOLLOW_AWAIT(&w, f->replaced == 1);
  cft_couchsim_tell(w.sim, "restore", "%s", "{\"name\":\"s\"}");
  FOLLOW_AWAIT(&w, (follow_audit(f->follow), follow_now(f).unproven == 1));
  ck_assert_int_eq(follow_served(f, "late"), 1);
  ck_assert_int_eq(follow_served(f, "a"), 5);
  FOLLOW_AWAIT(&w, follow_served(f, "late") == -1);
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 3);
  ck_assert(follow_is_listed(f));
  ck_assert_uint_eq(follow_now(f).older + follow_now(f).unproven, 0);
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_a_mirror_that_is_over_is_opened_again) {
  follow_world w;
  follower *f = follow_some(&w);

  cft_couchsim_rule(
      w.sim, "%s",
      "{\"db\":\"apps\",\"times\":-1,\"method\":\"GET\",\"do\":{"
      "\"status\":403,\"error\":\"forbidden\",\"reason\":\"no\"}}");
  cft_couchsim_tell(w.sim, "close", "%s", "{\"feeds\":true}");
  FOLLOW_AWAIT(&w, follow_now(f).trouble[0] != '\0');
  FOLLOW_AWAIT(&w, !follow_now(f).synced);
  follow_world_for(&w, 1500); /* opened again, in vain */
  ck_assert_int_eq(follow_served(f, "a"), 5);
  ck_assert_uint_eq(follow_now(f).routes, 3);
  ck_assert_int_eq(follow_now(f).source, FOLLOW_DATABASE);
  ck_assert(!follow_audit(f->follow));
  cft_couchsim_no_rules(w.sim);
  follow_delete(&w, "route:a");
  follow_put_route(&w, "b", 6);
  FOLLOW_AWAIT(&w, follow_now(f).synced);
  ck_assert_int_eq(follow_served(f, "b"), 6);
  ck_assert_int_eq(follow_served(f, "c"), 5);
  ck_assert_str_ne(follow_now(f).trouble, "");
  ck_assert_uint_eq(follow_now(f).unproven, 1);
  ck_assert_int_eq(follow_served(f, "a"), 5); /* who knows */
  FOLLOW_AWAIT(&w, follow_served(f, "a") == -1);
  ck_assert_str_eq(follow_now(f).trouble, "");
  ck_assert(follow_is_listed(f));
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_a_database_that_is_not_there_yet) {
  follow_world w;
  follower *f;

  follow_world_open(&w);
  cft_couchsim_must(w.sim, 200, "DELETE", "/apps", "%s", "");
  f = follower_new(&w, 0);
  follower_open(f);
  FOLLOW_AWAIT(&w, follow_now(f).trouble[0] != '\0');
  ck_assert(!table_is_ready(f->table));
  cft_couchsim_must(w.sim, 201, "PUT", "/apps", "%s", "");
  follow_put_route(&w, "a", 1);
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 1);
  ck_assert(table_is_ready(f->table));
  ck_assert_str_eq(follow_now(f).trouble, "");
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_a_database_deleted_and_made_anew) {
  follow_world w;
  follower *f = follow_some(&w);

  another_second(&w);
  cft_couchsim_must(w.sim, 200, "DELETE", "/apps", "%s", "");
  follow_world_for(&w, 1200);
  ck_assert_int_eq(follow_served(f, "a"), 5);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps", "%s", "");
  follow_put_route(&w, "a", 6);
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 6);
  ck_assert_int_eq(follow_served(f, "b"), 5);
  FOLLOW_AWAIT(&w, follow_served(f, "b") == -1);
  FOLLOW_AWAIT(&w, follow_is_listed(f));
  follow_world_close(&w);
}
END_TEST

/* What was unreadable, and is in no history any more. */
START_TEST(test_follow_unreadable_ones_are_dropped_as_others) {
  follow_world w;
  follower *f = follow_some(&w);

  follow_put(&w, "route:a", "\"gen\":\"x\"");
  FOLLOW_AWAIT(&w, follow_now(f).unreadable == 1);
  ck_assert_int_eq(follow_served(f, "a"), 5);
  recreate(&w);
  FOLLOW_AWAIT(&w, follow_now(f).unproven == 3);
  ck_assert_uint_eq(follow_now(f).unreadable, 0);
  ck_assert_int_eq(follow_served(f, "a"), 5);
  follow_put(&w, "route:a", "\"gen\":\"x\"");
  FOLLOW_AWAIT(&w, follow_now(f).unreadable == 1);
  FOLLOW_AWAIT(&w, follow_served(f, "b") == -1);
  ck_assert_int_eq(follow_served(f, "a"),
                   5); /* it is there, whatever it says */
  ck_assert_uint_eq(follow_now(f).routes, 1);
  follow_world_close(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_follow_history");
  TCase *c = tcase_create("history");

  tcase_add_test(c, test_follow_an_empty_database_loses_nothing_at_once);
  tcase_add_test(c, test_follow_what_comes_back_in_time_was_never_away);
  tcase_add_test(c, test_follow_a_gen_goes_back_only_when_it_was_read_twice);
  tcase_add_test(c, test_follow_a_backup_is_believed_when_it_was_read_twice);
  tcase_add_test(c, test_follow_a_mirror_that_is_over_is_opened_again);
  tcase_add_test(c, test_follow_a_database_that_is_not_there_yet);
  tcase_add_test(c, test_follow_a_database_deleted_and_made_anew);
  tcase_add_test(c, test_follow_unreadable_ones_are_dropped_as_others);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
