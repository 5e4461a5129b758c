/*
 * What a provisioner knows of its drones, and who may have a free one.
 */
#include "provisioner/pool.h"
#include "support/unit.h"

#include <string.h>

static const char claim_a[] = "0123456789abcdef0123456789abcdef";

static drone_doc drone(int n, enum drone_state state, const char *rev) {
  drone_doc d;

  memset(&d, 0, sizeof d);
  (void)snprintf(d.addr, sizeof d.addr, "127.1.0.%d:4000", n);
  (void)snprintf(d.ctl, sizeof d.ctl, "127.1.0.%d:4001", n);
  (void)snprintf(d.rev, sizeof d.rev, "%s", rev);
  d.state = state;
  if (state == DRONE_CLAIMED || state == DRONE_BOUND) {
    memcpy(d.claim.id, claim_a, sizeof claim_a);
    (void)snprintf(d.claim.app, sizeof d.claim.app, "app%d", n);
  }
  return d;
}

static void add(pool *p, int n, enum drone_state state, const char *rev) {
  drone_doc d = drone(n, state, rev);

  ck_assert(pool_see(p, &d, false, 0));
}

START_TEST(test_pool_the_newer_of_feed_and_own_writes_counts) {
  pool *p = pool_new();
  drone_doc d = drone(1, DRONE_FREE, "4-a"), out;

  ck_assert(pool_see(p, &d, false, 1000));
  ck_assert(!pool_see(p, &d, false, 1001)); /* nothing new */
  d = drone(1, DRONE_CLAIMED, "5-b");
  ck_assert(pool_see(p, &d, true, 2000));
  /* the feed is behind */
  d = drone(1, DRONE_FREE, "4-a");
  ck_assert(!pool_see(p, &d, false, 3000));
  ck_assert(pool_get(p, "127.1.0.1:4000", &out));
  ck_assert_int_eq(out.state, DRONE_CLAIMED);
  /* it goes by what came in the end, also when that was set back */
  ck_assert(pool_see(p, &d, false, 2000 + 31000));
  ck_assert(pool_get(p, "127.1.0.1:4000", &out));
  ck_assert_int_eq(out.state, DRONE_FREE);
  /* the same number, another's write: the feed knows who won */
  d = drone(1, DRONE_BOUND, "5-c");
  ck_assert(pool_see(p, &d, true, 40000));
  d = drone(1, DRONE_CLAIMED, "5-d");
  ck_assert(pool_see(p, &d, false, 40001));
  pool_free(p);
}
END_TEST

START_TEST(test_pool_what_the_feed_lacks_is_gone_unless_just_written) {
  pool *p = pool_new();
  drone_doc d = drone(1, DRONE_BOOTING, "1-a"), out;

  (void)pool_see(p, &d, true, 1000);
  pool_missing(p, d.addr, 2000);
  ck_assert(pool_get(p, d.addr, &out));
  pool_missing(p, d.addr, 32000);
  ck_assert(!pool_get(p, d.addr, &out));
  (void)pool_see(p, &d, false, 33000);
  pool_missing(p, d.addr, 33001);
  ck_assert(!pool_get(p, d.addr, &out));
  pool_free(p);
}
END_TEST

START_TEST(test_pool_a_drone_is_handed_to_one_worker_only) {
  pool *p = pool_new();
  drone_doc a, b, c;

  add(p, 1, DRONE_FREE, "1-a");
  add(p, 2, DRONE_FREE, "1-a");
  add(p, 3, DRONE_BOUND, "1-a");
  add(p, 4, DRONE_DEAD, "1-a");
  ck_assert_uint_eq(pool_take(p, "one", 7, &a), 0);
  ck_assert_uint_eq(pool_take(p, "two", 7, &b), 0);
  ck_assert_str_ne(a.addr, b.addr);
  ck_assert_uint_eq(pool_take(p, "three", 7, &c), 1);
  pool_return(p, b.addr, 60000); /* not for a while */
  ck_assert_uint_eq(pool_take(p, "three", 7, &c), 1);
  pool_return(p, a.addr, 0); /* it came to nothing */
  ck_assert_uint_eq(pool_take(p, "three", 7, &c), 0);
  ck_assert_str_eq(c.addr, a.addr);
  pool_free(p);
}
END_TEST

START_TEST(test_pool_apps_get_drones_in_the_order_in_which_they_came) {
  pool *p = pool_new();
  char turns[4][NAME_MOST + 1];
  drone_doc d;

  ck_assert_uint_eq(pool_take(p, "one", 0, &d), 1);
  ck_assert_uint_eq(pool_take(p, "two", 0, &d), 2);
  ck_assert_uint_eq(pool_take(p, "one", 0, &d), 1); /* asking does not help */
  ck_assert_uint_eq(pool_position(p, "two"), 2);
  ck_assert_uint_eq(pool_position(p, "none"), 0);
  ck_assert_uint_eq(pool_turns(p, turns, 4), 0);
  add(p, 1, DRONE_FREE, "1-a");
  ck_assert_uint_eq(pool_turns(p, turns, 4), 1);
  ck_assert_str_eq(turns[0], "one");
  ck_assert(pool_waits(p, "two"));
  ck_assert(!pool_waits(p, "one"));
  ck_assert_uint_eq(pool_take(p, "two", 0, &d), 2);
  ck_assert_uint_eq(pool_take(p, "three", 0, &d), 3);
  pool_leave(p, "one");
  ck_assert_uint_eq(pool_take(p, "two", 0, &d), 0);
  ck_assert_uint_eq(pool_position(p, "three"), 1);
  pool_free(p);
}
END_TEST

START_TEST(test_pool_claims_are_found_by_their_app) {
  pool *p = pool_new();
  drone_doc out[4];
  pool_counts counts;

  add(p, 3, DRONE_BOUND, "1-a");
  add(p, 1, DRONE_FREE, "1-a");
  add(p, 2, DRONE_CLAIMED, "1-a");
  ck_assert_uint_eq(pool_of_app(p, "app3", out, 4), 1);
  ck_assert_str_eq(out[0].addr, "127.1.0.3:4000");
  ck_assert_uint_eq(pool_of_app(p, "app1", out, 4), 0);
  pool_abandon(p, "127.1.0.2:4000", claim_a);
  ck_assert(pool_abandoned(p, "127.1.0.2:4000", claim_a));
  add(p, 2, DRONE_FREE, "2-b");
  ck_assert(!pool_abandoned(p, "127.1.0.2:4000", claim_a));
  pool_count(p, &counts);
  ck_assert_uint_eq(counts.all, 3);
  ck_assert_uint_eq(counts.of[DRONE_FREE], 2);
  ck_assert_uint_eq(counts.of[DRONE_BOUND], 1);
  pool_free(p);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("pool");
  TCase *tc = tcase_create("pool");

  tcase_add_test(tc, test_pool_the_newer_of_feed_and_own_writes_counts);
  tcase_add_test(tc, test_pool_what_the_feed_lacks_is_gone_unless_just_written);
  tcase_add_test(tc, test_pool_a_drone_is_handed_to_one_worker_only);
  tcase_add_test(tc, test_pool_apps_get_drones_in_the_order_in_which_they_came);
  tcase_add_test(tc, test_pool_claims_are_found_by_their_app);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
